//! Filters of lists: a list tells which records pass, so a filter on a hidden property tells its
//! values. Branches and filters are walked; properties may stand in an `operation`, too.

use super::body::{each, members, object};
use super::names::must_read;
use super::whose::Whose;
use super::words::{OTHER_FORM, UNKNOWN_FILTER, refused};
use super::{Case, Stopped};
use crate::access::catalogue::UNKNOWN_OBJECT;
use crate::access::json::Json;
use crate::access::object_type::ObjectType;
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

/// The records that a branch along an association is about. `objectTypeId` says so, and the association's
/// own type once more; which of the two counts, HubSpot alone knows, so both must grant a property. Where
/// nobody says where the association leads, every type must.
fn along(case: &Case<'_>, outer: &Whose, value: &Json, at: &At<'_>) -> Result<Whose, Stopped> {
    let spelling_at = at.key("objectTypeId");
    let Some(Json::String(spelling)) = value.get("objectTypeId") else {
        return Err(refused(OTHER_FORM, spelling_at.place()));
    };
    let own = of_spelling(case, spelling, &spelling_at)?;
    let id = match value.get("associationTypeId") {
        None | Some(Json::Null) => return Ok(own),
        Some(Json::Number(id)) => id.parse().ok(),
        Some(Json::String(id)) => id.parse().ok(),
        Some(_) => None,
    };
    let category = value.get("associationCategory");
    let is_ours = matches!(category, Some(Json::String(word)) if word == "HUBSPOT_DEFINED");
    let ends = id
        .filter(|_| is_ours)
        .and_then(|id| case.catalogue.association_type(id));
    let Some((from, to)) = ends else {
        return Ok(own.and(&Whose::any(case.bounds)));
    };
    // The list's own records stand at one end, whichever it is.
    let is_further = |end: &&ObjectType| outer.object.as_ref() != Some(*end);
    let further = match outer.object {
        Some(_) => [from, to].into_iter().find(is_further),
        None => Some(to),
    };
    Ok(match further {
        Some(end) => own.and(&Whose::of(case.catalogue, case.bounds, end)),
        None => own,
    })
}

/// One branch; the parser bounds how deep they nest.
fn branch(case: &Case<'_>, outer: &Whose, value: &Json, at: &At<'_>) -> Result<(), Stopped> {
    members(value, at, &BRANCH)?;
    let kind = value.get("filterBranchType");
    let own = match kind {
        Some(Json::String(kind)) if kind == "ASSOCIATION" => Some(along(case, outer, value, at)?),
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

/// What `propertyParser` may say: which part of the property counts, not which property.
const PARTS: [&str; 2] = ["VALUE", "UPDATED_AT"];

/// Operations compare with other properties: `comparisonPropertyName`, a point in time that
/// `property` says. Any member whose name speaks of a property names one.
fn named_within(case: &Case<'_>, whose: &Whose, value: &Json, at: &At<'_>) -> Result<(), Stopped> {
    match value {
        Json::Object(_) => object(value, at)?.iter().try_for_each(|(member, value)| {
            let at = at.key(member);
            match (member.to_lowercase().contains("property"), value) {
                (_, Json::Null | Json::Bool(_)) => Ok(()),
                (true, Json::String(part))
                    if member == "propertyParser" && PARTS.contains(&part.as_str()) =>
                {
                    Ok(())
                }
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
