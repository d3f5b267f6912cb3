//! Bodies that set values: each name must be writable, each value one of those that `values` lists.

use std::borrow::Cow;

use super::body::{each, members, object, scalars, text};
use super::names::{must_read, must_write};
use super::query::{is_the_id, must_take};
use super::whose::Whose;
use super::words;
use super::{Case, Stopped};
use crate::access::json::Json;
use crate::access::pointer::At;

/// Create or update of one record.
pub(super) fn one(case: &mut Case<'_>, whose: &Whose) -> Result<(), Stopped> {
    record(case, whose, case.body()?, &At::BODY)
}

/// Batch create, update or upsert.
pub(super) fn many(case: &mut Case<'_>, whose: &Whose) -> Result<(), Stopped> {
    let body = case.body()?;
    members(body, &At::BODY, &["inputs"])?;
    each(body, "inputs", &At::BODY, |input, at| {
        record(case, whose, input, at)
    })
}

fn record(case: &Case<'_>, whose: &Whose, value: &Json, at: &At<'_>) -> Result<(), Stopped> {
    const KNOWN: [&str; 5] = [
        "associations",
        "id",
        "idProperty",
        "objectWriteTraceId",
        "properties",
    ];
    let known = match case.row.may_carry_associations() {
        true => &KNOWN[..],
        false => &KNOWN[1..],
    };
    members(value, at, known)?;
    scalars(value, &["id", "objectWriteTraceId"], at)?;
    if let Some(property) = text(value, "idProperty", at)? {
        let place = || at.key("idProperty").place();
        must_read(case, whose, property, place())?;
        if !is_the_id(property) {
            let given = value.get("id").and_then(text_of).unwrap_or_default();
            must_take(case, whose, property, &given, place())?;
        }
    }
    match value.get("properties") {
        None | Some(Json::Null) => Ok(()),
        Some(properties) => map(case, whose, properties, &at.key("properties")),
    }
}

/// `{"name": value}`.
pub(super) fn map(case: &Case<'_>, whose: &Whose, properties: &Json, at: &At<'_>) -> Result<(), Stopped> {
    for (name, value) in object(properties, at)? {
        set(case, whose, name, value, &at.key(name))?;
    }
    Ok(())
}

/// One property, set to one value; `at` is to blame.
pub(super) fn set(
    case: &Case<'_>,
    whose: &Whose,
    name: &str,
    value: &Json,
    at: &At<'_>,
) -> Result<(), Stopped> {
    must_write(case, whose, name, at.place())?;
    if !whose.view.has_values(name) {
        return Ok(());
    }
    match text_of(value) {
        Some(text) if whose.view.may_be(name, &text) => Ok(()),
        _ => Err(words::value(case.bounds, whose, name, at.place())),
    }
}

/// A scalar as `values` writes it: HubSpot stores text. `null` clears, as the empty text does;
/// what is no scalar is no value of a list.
fn text_of(value: &Json) -> Option<Cow<'_, str>> {
    match value {
        Json::Null => Some(Cow::Borrowed("")),
        Json::Bool(true) => Some(Cow::Borrowed("true")),
        Json::Bool(false) => Some(Cow::Borrowed("false")),
        Json::Number(text) => Some(Cow::Borrowed(text)),
        Json::String(text) => Some(Cow::Borrowed(text)),
        Json::Array(_) | Json::Object(_) => None,
    }
}
