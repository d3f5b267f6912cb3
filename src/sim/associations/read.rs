//! Reading associations: of one record, or of up to a thousand.

use std::collections::BTreeSet;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Pair;
use super::store::{Associations, End};
use super::types::{self, AssociationType, Category};
use crate::sim::answer::Answer;
use crate::sim::call::Cx;
use crate::sim::clock::iso;
use crate::sim::object_types::ObjectKind;
use crate::sim::objects::plain_id;
use crate::sim::problem::{Handled, Problem};

/// Inputs of one batch.
const INPUTS: usize = 1_000;
/// Largest page of one record's associations.
const PAGE_MOST: u64 = 500;

/// An association as v4 names it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Associated<'a> {
    to_object_id: u64,
    association_types: Vec<HowV4<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HowV4<'a> {
    category: Category,
    type_id: u32,
    label: Option<&'a str>,
}

fn v4<'a>(
    store: &'a Associations,
    (from, to): (ObjectKind, ObjectKind),
    id: u64,
    types: &'a BTreeSet<AssociationType>,
) -> Value {
    let association_types = types
        .iter()
        .map(|how| HowV4 {
            category: how.category,
            type_id: how.id,
            label: store.label_text(from, to, *how),
        })
        .collect();
    json!(Associated {
        to_object_id: id,
        association_types
    })
}

fn v3(from: ObjectKind, to: ObjectKind, id: u64, types: &BTreeSet<AssociationType>) -> Vec<Value> {
    types
        .iter()
        .map(|how| json!({ "id": id.to_string(), "type": types::v3_name(from, to, *how) }))
        .collect()
}

/// `GET …/objects/{type}/{id}/associations/{to}`.
pub(super) fn list(cx: Cx<'_>, pair: Pair, from: End) -> Handled<Answer> {
    let limit = cx.call.query.limit(PAGE_MOST, PAGE_MOST)?;
    let after = cx.call.query.number("after")?.unwrap_or(0);
    let data = cx.who.portal.read();
    let mut found = data.associations.of(from, pair.to).filter(|(id, _)| *id > after);
    let (mut results, mut last) = (Vec::new(), 0);
    for (id, types) in found.by_ref().take(limit) {
        last = id;
        if pair.v3 {
            results.extend(v3(pair.from, pair.to, id, types));
        } else {
            results.push(v4(&data.associations, (pair.from, pair.to), id, types));
        }
    }
    let mut body = json!({ "results": results });
    if found.next().is_some()
        && let Some(members) = body.as_object_mut()
    {
        let path = format!(
            "/crm/objects/{}/{}/{}/associations/{}?limit={limit}&after={last}",
            cx.call.version,
            pair.from.path_name(),
            from.id,
            pair.to.path_name()
        );
        let next = json!({ "after": last.to_string(), "link": format!("{}{path}", cx.call.origin) });
        members.insert("paging".to_owned(), json!({ "next": next }));
    }
    Ok(Answer::ok(&body))
}

#[derive(Deserialize)]
struct Inputs {
    #[serde(default)]
    inputs: Vec<Input>,
}

#[derive(Deserialize)]
struct Input {
    id: Value,
    #[serde(default)]
    after: Option<Value>,
}

/// `POST …/associations/{from}/{to}/batch/read`.
pub(super) fn batch(cx: Cx<'_>, pair: Pair) -> Handled<Answer> {
    let asked: Inputs = cx.call.json()?;
    if asked.inputs.is_empty() || asked.inputs.len() > INPUTS {
        return Err(Problem::validation(format!("inputs must hold 1 to {INPUTS} ids")));
    }
    let data = cx.who.portal.read();
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for input in &asked.inputs {
        let from = End {
            kind: pair.from,
            id: plain_id(&input.id)?,
        };
        let after = input.after.as_ref().map(plain_id).transpose()?.unwrap_or(0);
        let to: Vec<Value> = data
            .associations
            .of(from, pair.to)
            .filter(|(id, _)| *id > after)
            .flat_map(|(id, types)| {
                if pair.v3 {
                    v3(pair.from, pair.to, id, types)
                } else {
                    vec![v4(&data.associations, (pair.from, pair.to), id, types)]
                }
            })
            .collect();
        if to.is_empty() {
            errors.push(none_found(pair, from.id));
        } else {
            results.push(json!({ "from": { "id": from.id.to_string() }, "to": to }));
        }
    }
    let mut body = json!({
        "status": "COMPLETE",
        "results": results,
        "startedAt": iso(cx.call.now_ms),
        "completedAt": iso(cx.sim.now_ms()),
    });
    let mut status = StatusCode::OK;
    if !errors.is_empty()
        && let Some(members) = body.as_object_mut()
    {
        status = StatusCode::MULTI_STATUS;
        members.insert("numErrors".to_owned(), json!(errors.len()));
        members.insert("errors".to_owned(), Value::Array(errors));
    }
    Ok(Answer::json(status, &body))
}

fn none_found(pair: Pair, id: u64) -> Value {
    json!({
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
        "message": format!("No {} is associated with {} {id}.", pair.to.spec().singular, pair.from.spec().singular),
        "context": {
            "fromObjectId": [id.to_string()],
            "fromObjectType": [pair.from.path_name()],
            "toObjectType": [pair.to.path_name()],
        },
    })
}
