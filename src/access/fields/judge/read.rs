//! Bodies that ask for records: which of them, by which property, with which properties.

use super::body::{each, members, name_list, scalars, strings, text, with};
use super::names::{ID, granted, must_read};
use super::query::visible_defaults;
use super::whose::Whose;
use super::words::Way;
use super::{Case, Stopped};
use crate::access::json::Json;
use crate::access::pointer::At;

/// `batch/read`.
pub(super) fn batch(case: &mut Case<'_>, whose: &Whose) -> Result<(), Stopped> {
    let body = case.body()?;
    members(
        body,
        &At::BODY,
        &["inputs", "properties", "propertiesWithHistory", "idProperty"],
    )?;
    look_up(case, whose, body, &At::BODY)?;
    each(body, "inputs", &At::BODY, |input, at| {
        members(input, at, &["id", "idProperty"])?;
        scalars(input, &["id"], at)?;
        look_up(case, whose, input, at)
    })?;
    narrow_body(case, whose, body)
}

/// Ids of records to archive, merge or erase.
pub(super) fn ids(case: &mut Case<'_>, whose: &Whose) -> Result<(), Stopped> {
    const KNOWN: [&str; 5] = [
        "inputs",
        "objectId",
        "idProperty",
        "primaryObjectId",
        "objectIdToMerge",
    ];
    let body = case.body()?;
    members(body, &At::BODY, &KNOWN)?;
    scalars(
        body,
        &["objectId", "primaryObjectId", "objectIdToMerge"],
        &At::BODY,
    )?;
    look_up(case, whose, body, &At::BODY)?;
    each(body, "inputs", &At::BODY, |input, at| {
        members(input, at, &["id", "idProperty"])?;
        scalars(input, &["id"], at)?;
        look_up(case, whose, input, at)
    })
}

/// `idProperty` is a filter on that property.
pub(super) fn look_up(case: &Case<'_>, whose: &Whose, parent: &Json, at: &At<'_>) -> Result<(), Stopped> {
    match text(parent, "idProperty", at)? {
        Some(property) => must_read(case, whose, property, at.key("idProperty").place()),
        None => Ok(()),
    }
}

/// Narrows `properties` and `propertiesWithHistory` of a body that reads records.
pub(super) fn narrow_body(case: &mut Case<'_>, whose: &Whose, body: &Json) -> Result<(), Stopped> {
    if whose.view.reads_all() {
        return Ok(());
    }
    let mut changes: Vec<(&str, Option<Json>)> = Vec::new();
    for (member, way) in [("properties", Way::Read), ("propertiesWithHistory", Way::History)] {
        let asked = name_list(body, member, &At::BODY)?;
        let Some(asked) = asked.filter(|names| !names.is_empty()) else {
            if way == Way::Read
                && let Some(names) = visible_defaults(whose)
            {
                changes.push((member, Some(strings(&names))));
            }
            continue;
        };
        let mut kept = granted(case, whose, way, asked.iter().copied(), || {
            At::BODY.key(member).place()
        })?;
        if kept == asked {
            continue;
        }
        if kept.is_empty() && way == Way::Read {
            kept.push(ID);
        }
        changes.push((member, (!kept.is_empty()).then(|| strings(&kept))));
    }
    if !changes.is_empty() {
        case.body = Some(with(body, changes));
    }
    Ok(())
}
