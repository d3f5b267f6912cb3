//! crm-objects v1: tickets, products and line items in pages, singly, in batches.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::nested::{self, Depth};
use crate::sim::access::{self, Access};
use crate::sim::answer::Answer;
use crate::sim::call::Cx;
use crate::sim::object_types::ObjectKind;
use crate::sim::objects;
use crate::sim::portal::PortalData;
use crate::sim::problem::{Handled, Problem};
use crate::sim::records::Record;

/// Records of one page.
const PAGE: usize = 100;
/// Inputs of one batch.
const INPUTS: usize = 100;

#[derive(Deserialize)]
struct Pair {
    name: String,
    #[serde(default)]
    value: Value,
}

#[derive(Deserialize)]
struct Update {
    #[serde(alias = "id")]
    #[serde(rename = "objectId")]
    id: Value,
    properties: Vec<Pair>,
}

#[derive(Deserialize)]
struct Ids {
    ids: Vec<Value>,
}

/// Everything under `/crm-objects/v1/objects/`.
pub(super) fn route(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    let [word @ ("tickets" | "products" | "line_items"), rest @ ..] = words else {
        return Err(Problem::not_found());
    };
    let open = |access| access::open(cx, word, access);
    match (&cx.call.method, rest) {
        (&Method::GET, ["paged"]) => paged(cx, open(Access::Read)?),
        (&Method::GET, [id]) => {
            let kind = open(Access::Read)?;
            shown(cx, kind, id, true)
        }
        (&Method::POST, ["batch-read"]) => batch_read(cx, open(Access::Read)?),
        (&Method::POST, []) => {
            let kind = open(Access::Write)?;
            let id = objects::create_plain(cx, kind, values(cx.call.json()?))?;
            shown(cx, kind, &id.to_string(), false)
        }
        (&Method::PUT, [id]) => {
            let kind = open(Access::Write)?;
            let id = objects::update_plain(cx, kind, id, None, values(cx.call.json()?))?;
            shown(cx, kind, &id.to_string(), false)
        }
        (&Method::DELETE, [id]) => {
            let kind = open(Access::Write)?;
            archive(cx, kind, id)
        }
        (&Method::POST, ["batch-create"]) => {
            let kind = open(Access::Write)?;
            let inputs: Vec<Vec<Pair>> = bounded(cx.call.json()?)?;
            let mut made = Vec::new();
            for pairs in inputs {
                let id = objects::create_plain(cx, kind, values(pairs))?;
                made.push(one(cx, kind, &id.to_string(), false)?);
            }
            Ok(Answer::ok(&made))
        }
        (&Method::POST, ["batch-update"]) => {
            let kind = open(Access::Write)?;
            for input in bounded::<Update>(cx.call.json()?)? {
                let id = objects::plain_id(&input.id)?.to_string();
                objects::update_plain(cx, kind, &id, None, values(input.properties))?;
            }
            Ok(Answer::no_content())
        }
        (&Method::POST, ["batch-delete"]) => {
            let kind = open(Access::Write)?;
            let asked: Ids = cx.call.json()?;
            for id in bounded(asked.ids)? {
                archive(cx, kind, &objects::plain_id(&id)?.to_string())?;
            }
            Ok(Answer::no_content())
        }
        (_, [] | [_]) => Err(Problem::method_not_allowed()),
        _ => Err(Problem::not_found()),
    }
}

fn values(pairs: Vec<Pair>) -> BTreeMap<String, Value> {
    pairs.into_iter().map(|pair| (pair.name, pair.value)).collect()
}

fn bounded<T>(inputs: Vec<T>) -> Handled<Vec<T>> {
    match inputs.len() {
        1..=INPUTS => Ok(inputs),
        _ => Err(Problem::validation(format!("1 to {INPUTS} inputs"))),
    }
}

fn archive(cx: Cx<'_>, kind: ObjectKind, id: &str) -> Handled<Answer> {
    let mut data = cx.who.portal.write();
    let found = objects::find(&data, kind, id, None)?;
    match data.table_mut(kind).archive(found, cx.call.now_ms) {
        true => Ok(Answer::no_content()),
        false => Err(Problem::not_found()),
    }
}

fn paged(cx: Cx<'_>, kind: ObjectKind) -> Handled<Answer> {
    let after = cx.call.query.number("offset")?.unwrap_or(0);
    let (names, depth) = named(cx);
    let data = cx.who.portal.read();
    let mut records = data
        .table(kind)
        .into_iter()
        .flat_map(|table| table.after(after))
        .filter(|record| record.archived_ms.is_none());
    let mut offset = after;
    let mut objects = Vec::new();
    for record in records.by_ref().take(PAGE) {
        offset = record.id;
        objects.push(object(cx, kind, &data, record, &names, depth));
    }
    Ok(Answer::ok(&json!({
        "objects": objects,
        "hasMore": records.next().is_some(),
        "offset": offset,
    })))
}

/// Named properties; with history if the parameter says so.
fn named(cx: Cx<'_>) -> (Vec<String>, Depth) {
    let with_history = nested::names(cx, &["propertiesWithHistory"]);
    let depth = if with_history.is_empty() {
        Depth::Value
    } else {
        Depth::Versions
    };
    let mut names = nested::names(cx, &["properties"]);
    names.extend(with_history);
    (names, depth)
}

fn shown(cx: Cx<'_>, kind: ObjectKind, id: &str, chosen: bool) -> Handled<Answer> {
    Ok(Answer::ok(&one(cx, kind, id, chosen)?))
}

/// One record: with the properties named in the query, or, after a write, with all of them.
fn one(cx: Cx<'_>, kind: ObjectKind, id: &str, chosen: bool) -> Handled<Value> {
    let data = cx.who.portal.read();
    let found = objects::find(&data, kind, id, None)?;
    let record = data.table(kind).and_then(|table| table.get(found));
    let record = record
        .filter(|record| record.archived_ms.is_none())
        .ok_or_else(Problem::not_found)?;
    let (names, depth) = if chosen {
        named(cx)
    } else {
        (nested::all(&data, kind), Depth::Versions)
    };
    Ok(object(cx, kind, &data, record, &names, depth))
}

/// A map from id to record; what is not there is left out.
fn batch_read(cx: Cx<'_>, kind: ObjectKind) -> Handled<Answer> {
    let asked: Ids = cx.call.json()?;
    let (names, depth) = named(cx);
    let data = cx.who.portal.read();
    let mut found = Map::new();
    for id in bounded(asked.ids)? {
        let id = objects::plain_id(&id)?;
        let record = data.table(kind).and_then(|table| table.get(id));
        if let Some(record) = record.filter(|record| record.archived_ms.is_none()) {
            found.insert(id.to_string(), object(cx, kind, &data, record, &names, depth));
        }
    }
    Ok(Answer::ok(&Value::Object(found)))
}

fn object(
    cx: Cx<'_>,
    kind: ObjectKind,
    data: &PortalData,
    record: &Record,
    names: &[String],
    depth: Depth,
) -> Value {
    json!({
        "objectType": kind.title(),
        "portalId": cx.who.portal.hub_id(),
        "objectId": record.id,
        "properties": nested::properties(data, kind, record, names, depth),
        "version": 1,
        "isDeleted": false,
    })
}
