//! How many records a request names, for `limits.batch`.

use super::shape::folds_alike;
use crate::access::json::Json;
use crate::access::target::{Method, Target};

/// Members that list records, in all generations of HubSpot's API.
const LISTS: [&str; 11] = [
    "inputs",
    "ids",
    "vids",
    "emails",
    "utks",
    "eventWrappers",
    "objectIds",
    "recordIds",
    "recordIdsToAdd",
    "recordIdsToRemove",
    "requests",
];

/// Members that list properties, whatever the operation.
const NO_RECORDS: [&str; 3] = ["properties", "propertiesWithHistory", "property"];

/// Parameters that name one record each (contacts v1, and `id` of the associations of deals v1).
const PARAMETERS: [&str; 6] = ["vid", "email", "utk", "id", "listId", "vids"];

/// The records that the query names, or the body, whichever are more; `None` if there is nothing to count.
pub(super) fn records(target: &Target, body: Option<&Json>) -> Option<u32> {
    let in_query = in_query(target);
    let count = match (target.method(), body) {
        (Method::Get, _) => in_query,
        (_, Some(body)) => in_query.max(in_body(body)),
        (_, None) if in_query > 0 => in_query,
        (_, None) => return None,
    };
    Some(u32::try_from(count).unwrap_or(u32::MAX))
}

fn in_query(target: &Target) -> usize {
    target
        .query()
        .iter()
        .filter(|(name, _)| PARAMETERS.iter().any(|known| name.eq_ignore_ascii_case(known)))
        .map(|(_, value)| value.split(',').count())
        .sum()
}

/// An array, the arrays that are known to list records, else all that do not list properties; an object
/// keyed by ids has one record a member.
fn in_body(body: &Json) -> usize {
    let members = match body {
        Json::Array(items) => return of_list(items),
        Json::Object(members) => members,
        _ => return 1,
    };
    let lists = |is_counted: fn(&str) -> bool| {
        let counted = members.iter().filter_map(move |(key, value)| match value {
            Json::Array(items) if is_counted(key) => Some(of_list(items)),
            _ => None,
        });
        counted.fold((0usize, false), |(sum, _), count| (sum + count, true))
    };
    let (known, stands) = lists(|key| LISTS.iter().any(|known| folds_alike(key, known)));
    let (all, _) = lists(|key| !NO_RECORDS.contains(&key) && !is_id(key));
    let by_id = members.iter().filter(|(key, _)| is_id(key)).count();
    match stands {
        true => known + by_id,
        false => all + by_id,
    }
}

fn is_id(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_digit())
}

/// An association from one record to several counts as several.
fn of_list(items: &[Json]) -> usize {
    items
        .iter()
        .map(|item| match item.get("to") {
            Some(Json::Array(others)) => others.len().max(1),
            _ => 1,
        })
        .sum()
}
