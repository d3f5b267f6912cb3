//! Definitions: properties, their groups, pipelines. v3 and dated.

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::{self, Access};
use super::answer::Answer;
use super::call::Cx;
use super::clock::iso;
use super::object_types::ObjectKind;
use super::portal::{Pipeline, PortalData};
use super::problem::{Handled, Problem};
use super::property::{Property, Sensitivity};

/// Properties a type may have; HubSpot's own limit is 1,000 custom ones.
const PROPERTIES: usize = 1_500;
/// Inputs of one batch.
const INPUTS: usize = 100;
/// The time all definitions were made.
const DEFINED_MS: i64 = 1_700_000_000_000;

/// Everything under `/crm/…/properties`.
pub(super) fn properties(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    match (&cx.call.method, words) {
        (&Method::GET, [word]) => list(cx, access::open(cx, word, Access::SchemaRead)?),
        (&Method::POST, [word]) => create(cx, access::open(cx, word, Access::SchemaWrite)?),
        (&Method::GET, [word, "groups"]) => groups(cx, access::open(cx, word, Access::SchemaRead)?),
        (&Method::GET, [word, "groups", name]) => {
            group(cx, access::open(cx, word, Access::SchemaRead)?, name)
        }
        (&Method::POST, [word, "batch", "read"]) => {
            batch_read(cx, access::open(cx, word, Access::SchemaRead)?)
        }
        (&Method::GET, [word, name]) => one(cx, access::open(cx, word, Access::SchemaRead)?, name),
        (&Method::PATCH, [word, name]) => update(cx, access::open(cx, word, Access::SchemaWrite)?, name),
        (&Method::DELETE, [word, name]) => archive(cx, access::open(cx, word, Access::SchemaWrite)?, name),
        (_, [_] | [_, _] | [_, "groups", _] | [_, "batch", "read"]) => Err(Problem::method_not_allowed()),
        _ => Err(Problem::not_found()),
    }
}

/// The properties of a type that are in use.
pub(super) fn in_use(data: &PortalData, kind: ObjectKind) -> impl Iterator<Item = &Property> {
    data.properties
        .get(&kind)
        .into_iter()
        .flat_map(|all| all.values())
        .filter(|property| !property.archived)
}

fn described(property: &Property) -> Value {
    let options: Vec<Value> = property
        .options
        .iter()
        .enumerate()
        .map(|(order, (value, label))| {
            json!({ "label": label, "value": value, "displayOrder": order, "hidden": false })
        })
        .collect();
    json!({
        "updatedAt": iso(DEFINED_MS),
        "createdAt": iso(DEFINED_MS),
        "name": property.name,
        "label": property.label,
        "type": property.value_type,
        "fieldType": property.field_type,
        "description": property.description,
        "groupName": property.group,
        "options": options,
        "displayOrder": -1,
        "calculated": false,
        "externalOptions": false,
        "archived": property.archived,
        "hasUniqueValue": property.unique,
        "hidden": false,
        "hubspotDefined": property.hubspot_defined,
        "dataSensitivity": property.sensitivity.name(),
        "modificationMetadata": {
            "archivable": !property.hubspot_defined,
            "readOnlyDefinition": property.hubspot_defined,
            "readOnlyValue": property.read_only,
        },
        "formField": !property.read_only,
    })
}

/// `dataSensitivity` chooses which properties are listed; ordinary ones unless told.
fn wanted(cx: Cx<'_>) -> Sensitivity {
    match cx.call.query.first("dataSensitivity") {
        Some("sensitive") => Sensitivity::Sensitive,
        Some("highly_sensitive") => Sensitivity::HighlySensitive,
        _ => Sensitivity::Ordinary,
    }
}

fn list(cx: Cx<'_>, kind: ObjectKind) -> Handled<Answer> {
    let (archived, wanted) = (cx.call.query.flag("archived"), wanted(cx));
    let data = cx.who.portal.read();
    let found = data
        .properties
        .get(&kind)
        .into_iter()
        .flat_map(|all| all.values());
    let found = found.filter(|property| property.archived == archived && property.sensitivity == wanted);
    Ok(Answer::ok(
        &json!({ "results": found.map(described).collect::<Vec<_>>() }),
    ))
}

fn one(cx: Cx<'_>, kind: ObjectKind, name: &str) -> Handled<Answer> {
    let data = cx.who.portal.read();
    data.property(kind, name)
        .map(|property| Answer::ok(&described(property)))
        .ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Box<Problem> {
    Problem::new(
        StatusCode::NOT_FOUND,
        Some("OBJECT_NOT_FOUND"),
        format!("Property {name} does not exist"),
    )
}

#[derive(Deserialize)]
struct BatchRead {
    #[serde(default)]
    inputs: Vec<Name>,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

fn batch_read(cx: Cx<'_>, kind: ObjectKind) -> Handled<Answer> {
    let asked: BatchRead = cx.call.json()?;
    if asked.inputs.len() > INPUTS {
        return Err(Problem::validation(format!("at most {INPUTS} inputs")));
    }
    let data = cx.who.portal.read();
    let results: Vec<Value> = asked
        .inputs
        .iter()
        .filter_map(|input| data.property(kind, &input.name))
        .map(described)
        .collect();
    Ok(Answer::ok(&json!({
        "status": "COMPLETE",
        "results": results,
        "startedAt": iso(cx.call.now_ms),
        "completedAt": iso(cx.call.now_ms),
    })))
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Definition {
    name: Option<String>,
    label: Option<String>,
    #[serde(rename = "type")]
    value_type: Option<String>,
    field_type: Option<String>,
    group_name: Option<String>,
    description: Option<String>,
    options: Option<Vec<Choice>>,
    has_unique_value: bool,
    data_sensitivity: Option<String>,
}

#[derive(Deserialize)]
struct Choice {
    label: String,
    value: String,
}

fn create(cx: Cx<'_>, kind: ObjectKind) -> Handled<Answer> {
    let asked: Definition = cx.call.json()?;
    let name = asked.name.clone().unwrap_or_default();
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.len() > 100 || !name.chars().all(legal) {
        return Err(Problem::validation("name must hold 1 to 100 of a-z, 0-9 and _"));
    }
    let mut property = Property::text(&name, &name, "custom");
    property.hubspot_defined = false;
    property.unique = asked.has_unique_value;
    property.sensitivity = match asked.data_sensitivity.as_deref() {
        Some("sensitive") => Sensitivity::Sensitive,
        Some("highly_sensitive") => Sensitivity::HighlySensitive,
        _ => Sensitivity::Ordinary,
    };
    access::allow_sensitive(cx, kind, property.sensitivity, Access::Write)?;
    change(&mut property, asked);
    let mut data = cx.who.portal.write();
    let all = data.properties.entry(kind).or_default();
    if all.contains_key(&name) {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            Some("CONFLICT"),
            format!("A property named '{name}' already exists."),
        ));
    }
    if all.len() >= PROPERTIES {
        return Err(Problem::validation(
            "The type has as many properties as it can have.",
        ));
    }
    all.insert(name.clone(), property.clone());
    if property.unique {
        data.table_mut(kind).declare_unique(&name);
    }
    Ok(Answer::json(StatusCode::CREATED, &described(&property)))
}

fn change(property: &mut Property, asked: Definition) {
    let set = |slot: &mut String, value: Option<String>| {
        if let Some(value) = value {
            *slot = value;
        }
    };
    set(&mut property.label, asked.label);
    set(&mut property.value_type, asked.value_type);
    set(&mut property.field_type, asked.field_type);
    set(&mut property.group, asked.group_name);
    set(&mut property.description, asked.description);
    if let Some(options) = asked.options {
        property.options = options
            .into_iter()
            .map(|choice| (choice.value, choice.label))
            .collect();
    }
}

fn update(cx: Cx<'_>, kind: ObjectKind, name: &str) -> Handled<Answer> {
    let asked: Definition = cx.call.json()?;
    let mut data = cx.who.portal.write();
    let property = data
        .properties
        .get_mut(&kind)
        .and_then(|all| all.get_mut(name))
        .ok_or_else(|| missing(name))?;
    change(property, asked);
    Ok(Answer::ok(&described(property)))
}

fn archive(cx: Cx<'_>, kind: ObjectKind, name: &str) -> Handled<Answer> {
    let mut data = cx.who.portal.write();
    let property = data.properties.get_mut(&kind).and_then(|all| all.get_mut(name));
    match property {
        Some(property) if property.hubspot_defined => Err(Problem::validation(format!(
            "{name} is defined by HubSpot and can't be archived."
        ))),
        Some(property) => {
            property.archived = true;
            Ok(Answer::no_content())
        }
        None => Err(missing(name)),
    }
}

/// Groups are told by the properties in them.
pub(super) fn group_names(data: &PortalData, kind: ObjectKind) -> Vec<String> {
    let mut names: Vec<String> = in_use(data, kind)
        .map(|property| property.group.clone())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn described_group(name: &str) -> Value {
    json!({ "name": name, "label": name.replace('_', " "), "displayOrder": -1, "archived": false })
}

fn groups(cx: Cx<'_>, kind: ObjectKind) -> Handled<Answer> {
    let names = group_names(&cx.who.portal.read(), kind);
    let results: Vec<Value> = names.iter().map(|name| described_group(name)).collect();
    Ok(Answer::ok(&json!({ "results": results })))
}

fn group(cx: Cx<'_>, kind: ObjectKind, name: &str) -> Handled<Answer> {
    let names = group_names(&cx.who.portal.read(), kind);
    let known = names.iter().any(|known| known == name);
    if known {
        Ok(Answer::ok(&described_group(name)))
    } else {
        Err(missing(name))
    }
}

/// Everything under `/crm/…/pipelines`: reading.
pub(super) fn pipelines(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    let [word, rest @ ..] = words else {
        return Err(Problem::not_found());
    };
    if cx.call.method != Method::GET {
        return Err(Problem::method_not_allowed());
    }
    let kind = access::open(cx, word, Access::SchemaRead)?;
    let data = cx.who.portal.read();
    let all = data.pipelines.get(&kind).map_or(&[][..], Vec::as_slice);
    let find = |id: &str| {
        all.iter()
            .find(|pipeline| pipeline.id == id)
            .ok_or_else(Problem::not_found)
    };
    match rest {
        [] => Ok(Answer::ok(
            &json!({ "results": all.iter().map(pipeline).collect::<Vec<_>>() }),
        )),
        [id] => Ok(Answer::ok(&pipeline(find(id)?))),
        [id, "stages"] => Ok(Answer::ok(&json!({ "results": stages(find(id)?) }))),
        [id, "stages", stage] => {
            let found = stages(find(id)?)
                .into_iter()
                .find(|known| known.get("id").is_some_and(|id| id == stage));
            found
                .map(|stage| Answer::ok(&stage))
                .ok_or_else(Problem::not_found)
        }
        _ => Err(Problem::not_found()),
    }
}

pub(super) fn pipeline(pipeline: &Pipeline) -> Value {
    json!({
        "label": pipeline.label,
        "displayOrder": 0,
        "id": pipeline.id,
        "stages": stages(pipeline),
        "createdAt": iso(DEFINED_MS),
        "updatedAt": iso(DEFINED_MS),
        "archived": false,
    })
}

fn stages(pipeline: &Pipeline) -> Vec<Value> {
    pipeline
        .stages
        .iter()
        .enumerate()
        .map(|(order, stage)| {
            let metadata: serde_json::Map<String, Value> = stage
                .metadata
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!(value)))
                .collect();
            json!({
                "label": stage.label,
                "displayOrder": order,
                "metadata": metadata,
                "id": stage.id,
                "createdAt": iso(DEFINED_MS),
                "updatedAt": iso(DEFINED_MS),
                "archived": false,
                "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
            })
        })
        .collect()
}
