//! Bodies that take something away: records out of a list, stages out of a pipeline.
//!
//! Whatever else HubSpot may come to read here, only what is documented to leave all in its place is no
//! removal.

use super::shape;
use crate::access::catalogue::Row;
use crate::access::json::Json;
use crate::access::pointer::At;
use crate::access::refusal::Refusal;

/// Members that say of a pipeline or a stage what it is called, where it stands, and what it means.
const OF_A_STAGE: [&str; 3] = ["displayOrder", "label", "metadata"];

/// Whether the body of a row that may remove something does.
pub(super) fn removes(row: &Row, body: &Json) -> Result<bool, Refusal> {
    if !row.may_remove() {
        return Ok(false);
    }
    let members = shape::object(body, &At::BODY)?;
    Ok(members.iter().any(|(key, value)| {
        let adds = row.is_delete_if_removing() && (key == "recordIdsToAdd" || value.is_empty());
        // No filters at all are other filters, too.
        let renames = row.is_delete_if_refiltering() && key == "name";
        let is_restored = key == "archived" && *value == Json::Bool(false);
        let keeps = row.is_delete_if_restaging() && (OF_A_STAGE.contains(&key.as_str()) || is_restored);
        !(adds || renames || keeps)
    }))
}
