//! `crm-associations/v1`: the definition's id says which types a link joins.

use super::Gathering;
use super::shape;
use crate::access::json::Json;
use crate::access::pointer::At;
use crate::access::refusal::{Place, Reason, Refusal};

/// One link, or a list of them.
pub(super) fn read(gathering: &mut Gathering<'_>, body: &Json) -> Result<(), Refusal> {
    match body {
        Json::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| link(gathering, item, &At::BODY.index(index))),
        one => link(gathering, one, &At::BODY),
    }
}

/// `{fromObjectId, toObjectId, category, definitionId}`.
fn link(gathering: &mut Gathering<'_>, item: &Json, at: &At<'_>) -> Result<(), Refusal> {
    let members = shape::object(item, at)?;
    shape::spelt(members, &["category", "definitionId"], at)?;
    let category = shape::text(shape::needed(members, "category", at)?, &at.key("category"))?;
    if category != "HUBSPOT_DEFINED" {
        return Err(at.key("category").refuse(UNKNOWN_DEFINITION));
    }
    let at_id = at.key("definitionId");
    let id = shape::number(shape::needed(members, "definitionId", at)?, &at_id)?;
    joins(gathering, id).map_err(|refusal| at_id.refuse(refusal))
}

/// Links of one record by the definition in the path, whose last segment it is.
pub(super) fn listed(gathering: &mut Gathering<'_>) -> Result<(), Refusal> {
    let word = gathering.row.segment_at(gathering.target, "{definitionId}");
    let digits = word.filter(|word| word.bytes().all(|b| b.is_ascii_digit()));
    let id = digits.and_then(|word| word.parse().ok());
    let found = id.ok_or(UNKNOWN_DEFINITION).and_then(|id| joins(gathering, id));
    found.map_err(|refusal| refusal.at(Place::PATH))
}

/// Both ends, with an engagement standing for each of the five types it may be.
fn joins(gathering: &mut Gathering<'_>, id: u32) -> Result<(), Refusal> {
    let definition = gathering.catalogue.association_definition(id);
    let definition = definition.ok_or(UNKNOWN_DEFINITION)?.clone();
    for from in &definition.from {
        for to in &definition.to {
            gathering.need_main(&[from.clone(), to.clone()])?;
        }
    }
    Ok(())
}

const UNKNOWN_DEFINITION: Refusal = Refusal::new(
    Reason::RefusedUnjudged,
    "the association's definition is none whose object types HubSpot publishes",
    "use the associations API of version 4, whose path names both types",
);
