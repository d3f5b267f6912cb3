//! Exports: a file of everything that was named, behind an address that asks for no credential.
//!
//! The work is done when the result is asked for. Whoever has the address has the data, for five minutes,
//! as HubSpot's documentation of exports says.

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::{self, Access};
use super::answer::Answer;
use super::call::{Call, Cx};
use super::clock::iso;
use super::object_types::ObjectKind;
use super::objects::property_value;
use super::problem::{Handled, Problem};
use super::property::Sensitivity;
use super::random;
use super::scopes::Need;
use super::simulator::Sim;

const EXPORT: Need = &[&["crm.export"]];
/// Exports of one portal that are remembered.
const EXPORTS: usize = 1_000;
/// How long the address of a result works.
const ADDRESS_MS: i64 = 300_000;
/// First word of a result's address; HubSpot's is on another host.
pub(super) const RESULTS: &str = "export-results";

/// An export that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Export {
    id: u64,
    name: String,
    format: String,
    kind: ObjectKind,
    properties: Vec<String>,
    list: Option<u64>,
    secret: String,
    at_ms: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewExport {
    export_type: String,
    #[serde(default)]
    export_name: String,
    #[serde(default)]
    format: String,
    object_type: String,
    #[serde(default)]
    object_properties: Vec<String>,
    #[serde(default)]
    associated_object_type: Option<AssociatedTypes>,
    #[serde(default)]
    list_id: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AssociatedTypes {
    One(String),
    Many(Vec<String>),
}

/// Everything under `/crm/…/exports/export`.
pub(super) fn route(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    cx.who.scopes().require(EXPORT)?;
    match (&cx.call.method, words) {
        (&Method::POST, ["async"]) => create(cx),
        (&Method::GET, ["async", "tasks", id, "status"]) => {
            let data = cx.who.portal.read();
            let export = find(&data.exports, id)?;
            let at = iso(export.at_ms);
            Ok(Answer::ok(&json!({
                "status": "COMPLETE",
                "result": format!("{}/{RESULTS}/{}/{}", cx.call.origin, cx.who.portal.hub_id(), export.secret),
                "requestedAt": at,
                "startedAt": at,
                "completedAt": iso(cx.call.now_ms),
                "numErrors": 0,
                "errors": [],
                "links": {},
            })))
        }
        (&Method::GET, [id]) => {
            let data = cx.who.portal.read();
            let export = find(&data.exports, id)?;
            Ok(Answer::ok(&json!({
                "id": export.id.to_string(),
                "exportName": export.name,
                "exportState": "DONE",
                "exportType": if export.list.is_some() { "LIST" } else { "VIEW" },
                "objectType": export.kind.type_id(),
                "objectProperties": export.properties,
                "format": export.format,
                "createdAt": iso(export.at_ms),
                "updatedAt": iso(export.at_ms),
            })))
        }
        (_, ["async"] | [_] | ["async", "tasks", _, "status"]) => Err(Problem::method_not_allowed()),
        _ => Err(Problem::not_found()),
    }
}

fn find<'a>(exports: &'a [Export], id: &str) -> Handled<&'a Export> {
    let found = exports.iter().find(|export| export.id.to_string() == id);
    found.ok_or_else(Problem::not_found)
}

fn create(cx: Cx<'_>) -> Handled<Answer> {
    let asked: NewExport = cx.call.json()?;
    let kind = access::open(cx, &asked.object_type, Access::Read)?;
    let associated = match asked.associated_object_type {
        None => Vec::new(),
        Some(AssociatedTypes::One(word)) => vec![word],
        Some(AssociatedTypes::Many(words)) => words,
    };
    for word in &associated {
        access::open(cx, word, Access::Read)?;
    }
    let list = match (asked.export_type.as_str(), &asked.list_id) {
        ("VIEW", _) => None,
        ("LIST", Some(id)) => Some(super::objects::plain_id(id)?),
        _ => {
            return Err(Problem::validation(
                "exportType must be VIEW, or LIST with listId",
            ));
        }
    };
    let protected: Vec<Sensitivity> = {
        let data = cx.who.portal.read();
        let named = asked.object_properties.iter();
        named
            .filter_map(|name| data.property(kind, name).map(|known| known.sensitivity))
            .collect()
    };
    for sensitivity in protected {
        access::allow_sensitive(cx, kind, sensitivity, Access::Read)?;
    }
    let mut data = cx.who.portal.write();
    if data.exports.len() >= EXPORTS {
        return Err(Problem::validation(
            "The portal has as many exports as it can have.",
        ));
    }
    let id = 700 + data.exports.len() as u64;
    data.exports.push(Export {
        id,
        name: asked.export_name,
        format: asked.format,
        kind,
        properties: asked.object_properties,
        list,
        secret: random::uuid(),
        at_ms: cx.call.now_ms,
    });
    let status = format!(
        "{}/crm/{}/exports/export/async/tasks/{id}/status",
        cx.call.origin, cx.call.version
    );
    Ok(Answer::json(
        StatusCode::ACCEPTED,
        &json!({ "id": id.to_string(), "links": { "status": status } }),
    ))
}

/// `GET /export-results/{hub}/{secret}`, without a credential: the file itself.
pub(super) fn result(sim: &Sim, call: &Call, words: &[&str]) -> Handled<Answer> {
    let [hub_id, secret] = words else {
        return Err(Problem::not_found());
    };
    let portal = hub_id.parse().ok().and_then(|hub_id| sim.portal(hub_id));
    let portal = portal.ok_or_else(Problem::not_found)?;
    let data = portal.read();
    let export = data.exports.iter().find(|export| export.secret == *secret);
    let export = export
        .filter(|export| call.now_ms - export.at_ms <= ADDRESS_MS)
        .ok_or_else(Problem::not_found)?;
    let members = export
        .list
        .and_then(|id| data.lists.iter().find(|list| list.id == id))
        .map(|list| &list.members);
    let mut file = format!("Record ID,{}\n", export.properties.join(","));
    for record in data.table(export.kind).into_iter().flat_map(|table| table.live()) {
        if export.list.is_some() && !members.is_some_and(|members| members.contains(&record.id)) {
            continue;
        }
        file.push_str(&record.id.to_string());
        for name in &export.properties {
            let value = property_value(export.kind, record, name).unwrap_or_default();
            file.push_str(&format!(",\"{}\"", value.replace('"', "\"\"")));
        }
        file.push('\n');
    }
    let mut answer = Answer::bytes(StatusCode::OK, file.into());
    answer.set(
        "content-type",
        http::HeaderValue::from_static("text/csv;charset=utf-8"),
    );
    Ok(answer)
}
