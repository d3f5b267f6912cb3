//! Searches: a filter or a sort on a hidden property is refused, never left out: without it the
//! request would find more, and with it the property can be guessed.

use super::body::{each, items, members, scalars, text};
use super::free_text;
use super::names::must_read;
use super::read::narrow_body;
use super::whose::Whose;
use super::words::{OTHER_FORM, refused};
use super::{Case, Stopped};
use crate::access::json::Json;
use crate::access::pointer::At;

const BODY: [&str; 9] = [
    "after",
    "direction",
    "filterGroups",
    "filters",
    "limit",
    "properties",
    "query",
    "sortBy",
    "sorts",
];
const FILTER: [&str; 5] = ["highValue", "operator", "propertyName", "value", "values"];

pub(super) fn judge(case: &mut Case<'_>, whose: &Whose) -> Result<(), Stopped> {
    let body = case.body()?;
    members(body, &At::BODY, &BODY)?;
    scalars(body, &["after", "direction", "limit"], &At::BODY)?;
    each(body, "filterGroups", &At::BODY, |group, at| {
        members(group, at, &["filters"])?;
        each(group, "filters", at, |filter, at| {
            check_filter(case, whose, filter, at)
        })
    })?;
    each(body, "filters", &At::BODY, |filter, at| {
        check_filter(case, whose, filter, at)
    })?;
    check_sorts(case, whose, body)?;
    if let Some(query) = text(body, "query", &At::BODY)? {
        free_text::judge(case, whose, query, At::BODY.key("query").place())?;
    }
    narrow_body(case, whose, body)
}

fn check_filter(case: &Case<'_>, whose: &Whose, filter: &Json, at: &At<'_>) -> Result<(), Stopped> {
    members(filter, at, &FILTER)?;
    scalars(filter, &["operator"], at)?;
    for member in ["highValue", "value", "values"] {
        if !filter.get(member).is_none_or(is_plain) {
            return Err(refused(OTHER_FORM, at.key(member).place()));
        }
    }
    let at = at.key("propertyName");
    let Some(Json::String(name)) = filter.get("propertyName") else {
        return Err(refused(OTHER_FORM, at.place()));
    };
    match is_associations(name) {
        true => Ok(()),
        false => must_read(case, whose, name, at.place()),
    }
}

/// What a property is compared with: a scalar, or a list of them.
fn is_plain(value: &Json) -> bool {
    match value {
        Json::Object(_) => false,
        Json::Array(items) => !items
            .iter()
            .any(|item| matches!(item, Json::Object(_) | Json::Array(_))),
        _ => true,
    }
}

/// `associations.TYPE` is no property but a need of its own, which the request's facts hold.
fn is_associations(name: &str) -> bool {
    name.strip_prefix("associations.")
        .is_some_and(|object| !object.is_empty() && !object.contains('.'))
}

fn check_sorts(case: &Case<'_>, whose: &Whose, body: &Json) -> Result<(), Stopped> {
    // HubSpot does not document it; n8n's node sends its own setting along with `sorts`.
    if let Some(name) = text(body, "sortBy", &At::BODY)? {
        must_read(case, whose, name, At::BODY.key("sortBy").place())?;
    }
    let Some(sorts) = body.get("sorts") else {
        return Ok(());
    };
    let array = At::BODY.key("sorts");
    for (index, sort) in items(sorts, &array)?.iter().enumerate() {
        let at = array.index(index);
        let (name, at) = match sort {
            Json::String(name) => (name.strip_prefix('-').unwrap_or(name), at),
            Json::Object(_) => {
                members(sort, &at, &["direction", "propertyName"])?;
                scalars(sort, &["direction"], &at)?;
                let Some(Json::String(name)) = sort.get("propertyName") else {
                    return Err(refused(OTHER_FORM, at.place()));
                };
                must_read(case, whose, name, at.key("propertyName").place())?;
                continue;
            }
            _ => return Err(refused(OTHER_FORM, at.place())),
        };
        must_read(case, whose, name, at.place())?;
    }
    Ok(())
}
