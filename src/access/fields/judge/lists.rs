//! Filters of lists: a list tells which records pass, so a filter on a hidden property tells its
//! values. Branches and filters are walked; properties may stand in an `operation`, too.

use super::body::{each, members, object};
use super::names::must_read;
use super::whose::Whose;
use super::words::{OTHER_FORM, UNKNOWN_FILTER, refused};
use super::{Case, Stopped};
use crate::access::catalogue::UNKNOWN_OBJECT;
use crate::access::json::Json;
use crate::access::pointer::At;

const CREATE: [&str; 8] = [
    "customProperties",
    "filterBranch",
    "listFolderId",
    "listPermissions",
    "membershipSettings",
    "name",
    "objectTypeId",
    "processingType",
];
const BRANCH: [&str; 8] = [
    "associationCategory",
    "associationTypeId",
    "filterBranchOperator",
    "filterBranchType",
    "filterBranches",
    "filters",
    "objectTypeId",
    "operator",
];

/// A new list: the body says of which type its members are.
pub(super) fn create(case: &Case<'_>) -> Result<(), Stopped> {
    let body = case.body()?;
    members(body, &At::BODY, &CREATE)?;
    let Some(Json::String(object)) = body.get("objectTypeId") else {
        return Err(refused(OTHER_FORM, At::BODY.key("objectTypeId").place()));
    };
    let whose = of_spelling(case, object, &At::BODY.key("objectTypeId"))?;
    filters(case, &whose, body)
}

/// New filters of a list, whose type only HubSpot knows.
pub(super) fn update(case: &Case<'_>) -> Result<(), Stopped> {
    let body = case.body()?;
    members(body, &At::BODY, &["filterBranch"])?;
    filters(case, &Whose::any(case.bounds), body)
}

fn filters(case: &Case<'_>, whose: &Whose, body: &Json) -> Result<(), Stopped> {
    match body.get("filterBranch") {
        None | Some(Json::Null) => Ok(()),
        Some(root) => branch(case, whose, root, &At::BODY.key("filterBranch")),
    }
}

fn of_spelling(case: &Case<'_>, spelling: &str, at: &At<'_>) -> Result<Whose, Stopped> {
    let object = case
        .catalogue
        .object_type(spelling)
        .ok_or_else(|| refused(UNKNOWN_OBJECT, at.place()))?;
    Ok(Whose::of(case.catalogue, case.bounds, &object))
}

/// One branch; the parser bounds how deep they nest.
fn branch(case: &Case<'_>, outer: &Whose, value: &Json, at: &At<'_>) -> Result<(), Stopped> {
    members(value, at, &BRANCH)?;
    let kind = value.get("filterBranchType");
    let own = match kind {
        Some(Json::String(kind)) if kind == "ASSOCIATION" => {
            let at = at.key("objectTypeId");
            match value.get("objectTypeId") {
                Some(Json::String(object)) => Some(of_spelling(case, object, &at)?),
                _ => return Err(refused(OTHER_FORM, at.place())),
            }
        }
        Some(Json::String(kind))
            if ["AND", "OR", "NOT_ALL", "NOT_ANY", "RESTRICTED"].contains(&kind.as_str()) =>
        {
            None
        }
        _ => return Err(refused(UNKNOWN_FILTER, at.key("filterBranchType").place())),
    };
    let whose = own.as_ref().unwrap_or(outer);
    each(value, "filters", at, |one, at| filter(case, whose, one, at))?;
    each(value, "filterBranches", at, |one, at| {
        branch(case, whose, one, at)
    })
}

fn filter(case: &Case<'_>, whose: &Whose, value: &Json, at: &At<'_>) -> Result<(), Stopped> {
    match value.get("filterType") {
        Some(Json::String(kind)) if kind == "PROPERTY" => {
            members(value, at, &["filterType", "operation", "property"])?;
            let name_at = at.key("property");
            let Some(Json::String(name)) = value.get("property") else {
                return Err(refused(OTHER_FORM, name_at.place()));
            };
            must_read(case, whose, name, name_at.place())?;
            match value.get("operation") {
                Some(operation) => named_within(case, whose, operation, &at.key("operation")),
                None => Ok(()),
            }
        }
        Some(Json::String(kind)) if kind == "IN_LIST" => {
            members(value, at, &["filterType", "listId", "metadata", "operator"]).map(|_| ())
        }
        _ => Err(refused(UNKNOWN_FILTER, at.key("filterType").place())),
    }
}

/// Operations compare with other properties: `comparisonPropertyName`, a point in time that
/// `property` says. Any member whose name speaks of a property names one.
fn named_within(case: &Case<'_>, whose: &Whose, value: &Json, at: &At<'_>) -> Result<(), Stopped> {
    match value {
        Json::Object(_) => object(value, at)?.iter().try_for_each(|(member, value)| {
            let at = at.key(member);
            match (member.to_lowercase().contains("property"), value) {
                (_, Json::Null | Json::Bool(_)) => Ok(()),
                (true, Json::String(name)) => must_read(case, whose, name, at.place()),
                (true, _) => Err(refused(OTHER_FORM, at.place())),
                (false, value) => named_within(case, whose, value, &at),
            }
        }),
        Json::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| named_within(case, whose, item, &at.index(index))),
        _ => Ok(()),
    }
}
