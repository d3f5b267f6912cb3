//! Lists: the types that path and body name, whose records are touched only as members.
//!
//! Rows of lists are opened by `crm.lists.*` or by name, without `objects`. So the types are concerns:
//! nothing opens them, and a `deny` on one of them catches the request.

use super::Gathering;
use super::shape::{self, member};
use crate::access::catalogue::Row;
use crate::access::json::Json;
use crate::access::pointer::At;
use crate::access::refusal::{Place, Refusal};

/// What keys that name a type end in, as [`shape::fold`] leaves them: `toObjectTypeId` and the like.
const TYPE_KEYS: [&str; 2] = ["objecttypeid", "objecttype"];

/// The types that a row of lists concerns.
pub(super) fn concerns(gathering: &mut Gathering<'_>, body: Option<&Json>) -> Result<(), Refusal> {
    if let Some(word) = gathering.row.segment_at(gathering.target, "{objectTypeId}") {
        let object = gathering.catalogue.object_type(word);
        gathering.concern(object.ok_or_else(|| crate::access::catalogue::UNKNOWN_OBJECT.at(Place::PATH))?);
    }
    let Some(body) = body else { return Ok(()) };
    let members = shape::object(body, &At::BODY)?;
    match member(members, "inputs") {
        // Memberships of records: each says of which type it is.
        Some(_) => {
            let at = At::BODY.key("inputs");
            for (index, item) in shape::list(member(members, "inputs"), &at)?.iter().enumerate() {
                let at = at.index(index);
                shape::needed(shape::object(item, &at)?, "objectTypeId", &at)?;
            }
        }
        None if is_new(gathering.row) => {
            shape::needed(members, "objectTypeId", &At::BODY)?;
        }
        None => {}
    }
    walk(gathering, body, &At::BODY)
}

/// Filters name a list by its id alone; only a new list has a type to say.
fn is_new(row: &Row) -> bool {
    !row.template.contains('{')
}

/// Every type named anywhere in the body: by itself, or by an association that a branch of the filters
/// goes along.
fn walk(gathering: &mut Gathering<'_>, value: &Json, at: &At<'_>) -> Result<(), Refusal> {
    match value {
        Json::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| walk(gathering, item, &at.index(index))),
        Json::Object(members) => {
            let mut says_type = false;
            for (key, value) in members {
                let at = at.key(key);
                let folded: String = shape::fold(key).collect();
                if TYPE_KEYS.iter().any(|end| folded.ends_with(end)) && *value != Json::Null {
                    let object = shape::object_type(gathering.catalogue, value, &at)?;
                    gathering.concern(object);
                    says_type = true;
                } else {
                    walk(gathering, value, &at)?;
                }
            }
            along(gathering, members, says_type)
        }
        _ => Ok(()),
    }
}

/// An association leads to the types of its ends if HubSpot defines it, to the type beside it if there
/// is one, and else to any.
fn along(gathering: &mut Gathering<'_>, members: &shape::Members, says_type: bool) -> Result<(), Refusal> {
    let folds = |name: &'static str| {
        members
            .iter()
            .find(|(key, value)| shape::folds_alike(key, name) && *value != Json::Null)
            .map(|(_, value)| value)
    };
    let Some(id) = folds("associationTypeId") else {
        return Ok(());
    };
    let is_ours =
        matches!(folds("associationCategory"), Some(Json::String(category)) if category == "HUBSPOT_DEFINED");
    let id = shape::number(id, &At::BODY).ok().filter(|_| is_ours);
    let ends = id.and_then(|id| gathering.catalogue.association_type(id));
    match ends {
        Some((from, to)) => {
            let (from, to) = (from.clone(), to.clone());
            gathering.concern(from);
            gathering.concern(to);
        }
        None if says_type || gathering.concerns_all => {}
        None => {
            gathering.concerns_all = true;
            for object in gathering.catalogue.any_type().collect::<Vec<_>>() {
                gathering.concern(object);
            }
        }
    }
    Ok(())
}
