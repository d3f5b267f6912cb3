//! Making and ending associations, singly and in batches.

use http::StatusCode;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::Pair;
use super::store::End;
use super::types::{self, AssociationType};
use crate::sim::answer::Answer;
use crate::sim::call::Cx;
use crate::sim::clock::iso;
use crate::sim::objects::{TypeInput, plain_id};
use crate::sim::portal::PortalData;
use crate::sim::problem::{Handled, Problem};

/// Inputs of one batch; HubSpot takes 2,000 to create and 1,000 to archive.
const INPUTS: usize = 2_000;

#[derive(Deserialize)]
struct Inputs {
    #[serde(default)]
    inputs: Vec<Input>,
}

#[derive(Deserialize)]
struct Input {
    from: Id,
    #[serde(deserialize_with = "one_or_many")]
    to: Vec<Id>,
    #[serde(default)]
    types: Vec<TypeInput>,
    /// The v3 spelling of one type.
    #[serde(default, rename = "type")]
    how: Option<String>,
}

#[derive(Deserialize)]
struct Id {
    id: Value,
}

/// Archiving names a list, creating one record.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Id>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Many(Vec<Id>),
        One(Id),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::Many(ids) => ids,
        Either::One(id) => vec![id],
    })
}

fn inputs(cx: Cx<'_>) -> Handled<Vec<Input>> {
    let asked: Inputs = cx.call.json()?;
    match asked.inputs.len() {
        1..=INPUTS => Ok(asked.inputs),
        _ => Err(Problem::validation(format!(
            "inputs must hold 1 to {INPUTS} associations"
        ))),
    }
}

/// The records and types of every input, all checked before the first is written.
fn resolve(cx: Cx<'_>, pair: Pair) -> Handled<Vec<(End, End, Vec<AssociationType>)>> {
    let data = cx.who.portal.read();
    let mut resolved = Vec::new();
    for input in inputs(cx)? {
        let from = existing(
            &data,
            End {
                kind: pair.from,
                id: plain_id(&input.from.id)?,
            },
        )?;
        let types = match &input.how {
            Some(word) => vec![named(pair, word)?],
            None => input
                .types
                .iter()
                .map(|how| known(&data, pair, *how))
                .collect::<Handled<_>>()?,
        };
        for to in &input.to {
            let to = existing(
                &data,
                End {
                    kind: pair.to,
                    id: plain_id(&to.id)?,
                },
            )?;
            resolved.push((from, to, types.clone()));
        }
    }
    Ok(resolved)
}

fn existing(data: &PortalData, end: End) -> Handled<End> {
    let found = data.table(end.kind).and_then(|table| table.get(end.id));
    found
        .map(|record| End { id: record.id, ..end })
        .ok_or_else(|| Problem::object_not_found(&end.id.to_string()))
}

/// A type that exists between the two.
fn known(data: &PortalData, pair: Pair, how: TypeInput) -> Handled<AssociationType> {
    let how = AssociationType {
        category: how.association_category,
        id: how.association_type_id,
    };
    let labelled = || {
        data.associations
            .labels(pair.from, pair.to)
            .iter()
            .any(|label| label.id == how.id)
    };
    if types::exists(pair.from, pair.to, how) || labelled() {
        return Ok(how);
    }
    Err(Problem::validation(format!(
        "No association type with id {} between {} and {}",
        how.id,
        pair.from.path_name(),
        pair.to.path_name()
    )))
}

/// A type by its v3 name or number.
fn named(pair: Pair, word: &str) -> Handled<AssociationType> {
    let plain = types::unlabelled(pair.from, pair.to);
    let primary = types::primary(pair.from, pair.to);
    [primary, Some(plain)]
        .into_iter()
        .flatten()
        .find(|how| {
            how.id.to_string() == word || types::v3_name(pair.from, pair.to, *how).eq_ignore_ascii_case(word)
        })
        .ok_or_else(|| Problem::validation(format!("{word} is no association type of these objects")))
}

fn associate(data: &mut PortalData, from: End, to: End, how: AssociationType) -> Handled<()> {
    if data.associations.add(from, to, how) {
        return Ok(());
    }
    Err(Problem::validation(
        "The record has as many associations as it can have.",
    ))
}

fn labels(data: &PortalData, from: End, to: End, how: &[AssociationType]) -> Value {
    let labels: Vec<&str> = how
        .iter()
        .filter_map(|how| data.associations.label_text(from.kind, to.kind, *how))
        .collect();
    json!({
        "fromObjectTypeId": from.kind.type_id(),
        "fromObjectId": from.id.to_string(),
        "toObjectTypeId": to.kind.type_id(),
        "toObjectId": to.id.to_string(),
        "labels": labels,
    })
}

fn batch_answer(cx: Cx<'_>, status: StatusCode, results: Vec<Value>) -> Answer {
    Answer::json(
        status,
        &json!({
            "status": "COMPLETE",
            "results": results,
            "startedAt": iso(cx.call.now_ms),
            "completedAt": iso(cx.sim.now_ms()),
        }),
    )
}

/// `POST …/batch/create`.
pub(super) fn batch_create(cx: Cx<'_>, pair: Pair) -> Handled<Answer> {
    let resolved = resolve(cx, pair)?;
    let mut data = cx.who.portal.write();
    let mut results = Vec::new();
    for (from, to, how) in resolved {
        if how.is_empty() {
            return Err(Problem::validation("types must not be empty"));
        }
        for how in &how {
            associate(&mut data, from, to, *how)?;
        }
        results.push(if pair.v3 {
            let name = how.first().map(|how| types::v3_name(pair.from, pair.to, *how));
            json!({ "from": { "id": from.id.to_string() }, "to": { "id": to.id.to_string() }, "type": name })
        } else {
            labels(&data, from, to, &how)
        });
    }
    Ok(batch_answer(cx, StatusCode::CREATED, results))
}

/// `POST …/batch/associate/default`.
pub(super) fn batch_default(cx: Cx<'_>, pair: Pair) -> Handled<Answer> {
    let resolved = resolve(cx, pair)?;
    let mut data = cx.who.portal.write();
    let mut results = Vec::new();
    for (from, to, _) in resolved {
        results.extend(default_one(&mut data, from, to)?);
    }
    Ok(batch_answer(cx, StatusCode::OK, results))
}

/// Associates without a label and says so in both directions.
fn default_one(data: &mut PortalData, from: End, to: End) -> Handled<[Value; 2]> {
    let how = types::unlabelled(from.kind, to.kind);
    associate(data, from, to, how)?;
    let back = types::inverse(from.kind, to.kind, how);
    let one = |from: End, to: End, how: AssociationType| {
        json!({
            "from": { "id": from.id.to_string() },
            "to": { "id": to.id.to_string() },
            "associationSpec": { "associationCategory": how.category, "associationTypeId": how.id },
        })
    };
    Ok([one(from, to, how), one(to, from, back)])
}

/// `POST …/batch/archive`.
pub(super) fn batch_archive(cx: Cx<'_>, pair: Pair) -> Handled<Answer> {
    let asked = inputs(cx)?;
    let mut data = cx.who.portal.write();
    for input in &asked {
        let from = End {
            kind: pair.from,
            id: plain_id(&input.from.id)?,
        };
        for to in &input.to {
            data.associations.remove(
                from,
                End {
                    kind: pair.to,
                    id: plain_id(&to.id)?,
                },
            );
        }
    }
    Ok(Answer::no_content())
}

/// `POST …/batch/labels/archive`: takes the named types off, leaving the rest.
pub(super) fn batch_labels_archive(cx: Cx<'_>, pair: Pair) -> Handled<Answer> {
    let resolved = resolve(cx, pair)?;
    let mut data = cx.who.portal.write();
    for (from, to, how) in resolved {
        for how in how {
            data.associations.remove_type(from, to, how);
        }
    }
    Ok(Answer::no_content())
}

/// `PUT …/associations/{to}/{id}` with a list of types.
pub(super) fn put(cx: Cx<'_>, from: End, to: End) -> Handled<Answer> {
    let asked: Vec<TypeInput> = cx.call.json()?;
    let pair = Pair {
        from: from.kind,
        to: to.kind,
        v3: false,
    };
    let mut data = cx.who.portal.write();
    let how: Vec<AssociationType> = asked
        .into_iter()
        .map(|how| known(&data, pair, how))
        .collect::<Handled<_>>()?;
    if how.is_empty() {
        return Err(Problem::validation("at least one association type is required"));
    }
    for how in &how {
        associate(&mut data, from, to, *how)?;
    }
    Ok(Answer::json(StatusCode::CREATED, &labels(&data, from, to, &how)))
}

/// `PUT …/associations/default/{to}/{id}`.
pub(super) fn put_default(cx: Cx<'_>, from: End, to: End) -> Handled<Answer> {
    let results = default_one(&mut cx.who.portal.write(), from, to)?;
    Ok(batch_answer(cx, StatusCode::OK, results.into()))
}

/// `PUT …/associations/{to}/{id}/{type}`: answers with the record, as v3 does.
pub(super) fn put_v3(cx: Cx<'_>, from: End, to: End, word: &str) -> Handled<Answer> {
    let pair = Pair {
        from: from.kind,
        to: to.kind,
        v3: true,
    };
    let mut data = cx.who.portal.write();
    let how = named(pair, word)?;
    associate(&mut data, from, to, how)?;
    let record = data.table(from.kind).and_then(|table| table.get(from.id));
    let record = record.ok_or_else(|| Problem::object_not_found(&from.id.to_string()))?;
    let mut properties = serde_json::Map::new();
    for name in from.kind.spec().defaults {
        properties.insert((*name).to_owned(), json!(record.value(name)));
    }
    properties.insert("hs_object_id".to_owned(), json!(record.id.to_string()));
    Ok(Answer::ok(&json!({
        "id": record.id.to_string(),
        "properties": properties,
        "createdAt": iso(record.created_ms),
        "updatedAt": iso(record.updated_ms),
        "archived": record.archived_ms.is_some(),
        "associations": {
            (to.kind.path_name()): {
                "results": [{ "id": to.id.to_string(), "type": types::v3_name(from.kind, to.kind, how) }]
            }
        },
    })))
}

/// `DELETE …/associations/{to}/{id}/{type}`.
pub(super) fn delete_v3(cx: Cx<'_>, from: End, to: End, word: &str) -> Handled<Answer> {
    let pair = Pair {
        from: from.kind,
        to: to.kind,
        v3: true,
    };
    let mut data = cx.who.portal.write();
    let how = named(pair, word)?;
    data.associations.remove_type(from, to, how);
    Ok(Answer::no_content())
}
