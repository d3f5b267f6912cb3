//! Custom object types: listing them, getting one, getting several.

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Cx;
use super::clock::iso;
use super::definitions::in_use;
use super::object_types::ObjectKind;
use super::portal::{CustomSchema, PortalData};
use super::problem::{Handled, Problem};
use super::scopes::Need;

const READ: Need = &[&["crm.schemas.custom.read"], &["crm.objects.custom.read"]];

/// Everything under `/crm/…/schemas` and `/crm-object-schemas/…/schemas`.
pub(super) fn route(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    let batch = words == ["batch", "read"];
    if cx.call.method != (if batch { Method::POST } else { Method::GET }) {
        return Err(Problem::method_not_allowed());
    }
    cx.who.scopes().require(READ)?;
    match words {
        [] => {
            let data = cx.who.portal.read();
            let results: Vec<Value> = data
                .schemas
                .iter()
                .map(|schema| described(cx, &data, schema))
                .collect();
            Ok(Answer::ok(&json!({ "results": results })))
        }
        ["batch", "read"] => batch_read(cx),
        [word] => {
            let Some(ObjectKind::Custom(number)) = cx.who.portal.kind(word) else {
                return Err(Problem::not_found());
            };
            let data = cx.who.portal.read();
            let found = data.schemas.iter().find(|schema| schema.number == number);
            found
                .map(|schema| Answer::ok(&described(cx, &data, schema)))
                .ok_or_else(Problem::not_found)
        }
        _ => Err(Problem::not_found()),
    }
}

#[derive(Deserialize)]
struct BatchRead {
    inputs: Vec<String>,
}

/// Schemas by name or id; an unknown one is told beside the others.
fn batch_read(cx: Cx<'_>) -> Handled<Answer> {
    let asked: BatchRead = cx.call.json()?;
    // Types are found before the data is locked: both lock it.
    let kinds: Vec<_> = asked.inputs.iter().map(|word| cx.who.portal.kind(word)).collect();
    let data = cx.who.portal.read();
    let (mut results, mut missing) = (Vec::new(), Vec::new());
    for (word, kind) in asked.inputs.into_iter().zip(kinds) {
        let own = |schema: &&CustomSchema| kind == Some(ObjectKind::Custom(schema.number));
        match data.schemas.iter().find(own) {
            Some(schema) => results.push(described(cx, &data, schema)),
            None => missing.push(word),
        }
    }
    let now = iso(cx.call.now_ms);
    let mut answer =
        json!({ "status": "COMPLETE", "results": results, "startedAt": now, "completedAt": now });
    if missing.is_empty() {
        return Ok(Answer::ok(&answer));
    }
    if let Some(members) = answer.as_object_mut() {
        members.insert("numErrors".to_owned(), json!(1));
        members.insert(
            "errors".to_owned(),
            json!([{
                "status": "error",
                "category": "OBJECT_NOT_FOUND",
                "message": "Could not get some schemas",
                "context": { "ids": missing },
            }]),
        );
    }
    Ok(Answer::json(StatusCode::MULTI_STATUS, &answer))
}

fn described(cx: Cx<'_>, data: &PortalData, schema: &CustomSchema) -> Value {
    let kind = ObjectKind::Custom(schema.number);
    let properties: Vec<Value> = in_use(data, kind)
        .map(|property| {
            json!({
                "name": property.name,
                "label": property.label,
                "type": property.value_type,
                "fieldType": property.field_type,
                "groupName": property.group,
                "description": property.description,
                "options": [],
                "archived": false,
            })
        })
        .collect();
    json!({
        "id": schema.number.to_string(),
        "objectTypeId": kind.type_id(),
        "name": schema.name,
        "fullyQualifiedName": format!("p{}_{}", cx.who.portal.hub_id(), schema.name),
        "labels": { "singular": schema.singular, "plural": schema.plural },
        "primaryDisplayProperty": schema.primary_property,
        "secondaryDisplayProperties": [],
        "searchableProperties": [schema.primary_property],
        "requiredProperties": [schema.primary_property],
        "properties": properties,
        "associations": [],
        "archived": false,
        "createdAt": iso(schema.created_ms),
        "updatedAt": iso(schema.created_ms),
    })
}
