//! Creating, changing and archiving single records.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::read::find;
use super::render::{Rendered, Selection};
use crate::sim::access::{self, Access};
use crate::sim::answer::Answer;
use crate::sim::associations::store::End;
use crate::sim::associations::types::{self as association_types, AssociationType, Category};
use crate::sim::call::Cx;
use crate::sim::object_types::ObjectKind;
use crate::sim::portal::PortalData;
use crate::sim::problem::{Context, Detail, Handled, Problem};
use crate::sim::property::Sensitivity;
use crate::sim::records::Taken;

/// Longest value in characters.
const VALUE_CHARACTERS: usize = 65_536;
/// Most associations in one input.
const INLINE_ASSOCIATIONS: usize = 100;

/// A record to create.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateInput {
    #[serde(default)]
    pub(super) properties: BTreeMap<String, Value>,
    #[serde(default, deserialize_with = "null_as_empty")]
    pub(super) associations: Vec<InlineAssociation>,
    #[serde(default)]
    pub(super) object_write_trace_id: Option<String>,
}

/// SDKs write `null` where there is nothing.
fn null_as_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<InlineAssociation>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// An association made together with a record.
#[derive(Debug, Deserialize)]
pub(super) struct InlineAssociation {
    to: Target,
    #[serde(default)]
    types: Vec<TypeInput>,
}

#[derive(Debug, Deserialize)]
struct Target {
    id: Value,
}

/// An association type as bodies name it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::sim) struct TypeInput {
    pub(in crate::sim) association_category: Category,
    pub(in crate::sim) association_type_id: u32,
}

#[derive(Debug, Deserialize)]
struct UpdateInput {
    #[serde(default)]
    properties: BTreeMap<String, Value>,
}

/// `POST …/{type}`.
pub(super) fn create(cx: Cx<'_>, kind: ObjectKind) -> Handled<Answer> {
    let input: CreateInput = cx.call.json()?;
    let rendered = create_one(cx, kind, input)?;
    Ok(Answer::json(StatusCode::CREATED, &rendered))
}

/// Creates a record; nothing is done when any part of it is wrong.
pub(super) fn create_one(cx: Cx<'_>, kind: ObjectKind, input: CreateInput) -> Handled<Rendered> {
    let values = values(cx, kind, input.properties)?;
    if values.is_empty() && kind.spec().name == "contacts" {
        return Err(Problem::validation(
            "Contacts need at least one of email, firstname or lastname.",
        ));
    }
    let ends = inline_ends(cx, kind, &input.associations)?;
    let selection = selection_of(cx, kind, &values)?;
    let mut data = cx.who.portal.write();
    if data
        .table(kind)
        .is_some_and(|table| table.len() >= cx.sim.options.records_per_type)
    {
        return Err(Problem::validation(
            "The simulator holds as many records of this type as it was told to.",
        ));
    }
    let id = data
        .table_mut(kind)
        .create(values, cx.call.now_ms)
        .map_err(|taken| conflict(cx, kind, "0", &taken))?;
    for (to, how) in ends {
        data.associations.add(End { kind, id }, to, how);
    }
    render(&data, kind, id, &selection)
}

/// Creates a record for an older API; its id.
pub(in crate::sim) fn create_plain(
    cx: Cx<'_>,
    kind: ObjectKind,
    properties: BTreeMap<String, Value>,
) -> Handled<u64> {
    let input = CreateInput {
        properties,
        associations: Vec::new(),
        object_write_trace_id: None,
    };
    create_one(cx, kind, input).map(|rendered| rendered.id)
}

/// Changes a record for an older API; its id.
pub(in crate::sim) fn update_plain(
    cx: Cx<'_>,
    kind: ObjectKind,
    id: &str,
    id_property: Option<&str>,
    properties: BTreeMap<String, Value>,
) -> Handled<u64> {
    update_one(cx, kind, id, id_property, properties).map(|rendered| rendered.id)
}

/// `PATCH …/{type}/{id}`.
pub(super) fn update(cx: Cx<'_>, kind: ObjectKind, id: &str) -> Handled<Answer> {
    let input: UpdateInput = cx.call.json()?;
    let rendered = update_one(cx, kind, id, cx.call.query.first("idProperty"), input.properties)?;
    Ok(Answer::ok(&rendered))
}

/// Changes a record.
pub(super) fn update_one(
    cx: Cx<'_>,
    kind: ObjectKind,
    id: &str,
    id_property: Option<&str>,
    properties: BTreeMap<String, Value>,
) -> Handled<Rendered> {
    let values = values(cx, kind, properties)?;
    if values.is_empty() {
        return Err(Problem::validation(
            "No properties found to update, please provide at least one.",
        ));
    }
    let selection = selection_of(cx, kind, &values)?;
    let mut data = cx.who.portal.write();
    let found = find(&data, kind, id, id_property)?;
    match data.table_mut(kind).update(found, values, cx.call.now_ms) {
        Ok(true) => render(&data, kind, found, &selection),
        Ok(false) => Err(Problem::object_not_found(id)),
        Err(taken) => Err(conflict(cx, kind, id, &taken)),
    }
}

/// `DELETE …/{type}/{id}`: archives; a record that is not there is none the less gone.
pub(super) fn archive(cx: Cx<'_>, kind: ObjectKind, id: &str) -> Handled<Answer> {
    let mut data = cx.who.portal.write();
    if let Ok(found) = find(&data, kind, id, cx.call.query.first("idProperty")) {
        data.table_mut(kind).archive(found, cx.call.now_ms);
    }
    Ok(Answer::no_content())
}

fn render(data: &PortalData, kind: ObjectKind, id: u64, selection: &Selection) -> Handled<Rendered> {
    let record = data.table(kind).and_then(|table| table.get(id));
    record
        .map(|record| selection.render(data, record))
        .ok_or_else(|| Problem::object_not_found(&id.to_string()))
}

/// A write answers with the defaults and what was sent.
fn selection_of(cx: Cx<'_>, kind: ObjectKind, values: &BTreeMap<String, String>) -> Handled<Selection> {
    let defaults = kind.spec().defaults.iter().map(|name| (*name).to_owned());
    let names: Vec<String> = defaults.chain(values.keys().cloned()).collect();
    Selection::new(cx, kind, &names, &[], Access::Write)
}

/// Checks names and values against the definitions and collects every mistake.
pub(super) fn values(
    cx: Cx<'_>,
    kind: ObjectKind,
    properties: BTreeMap<String, Value>,
) -> Handled<BTreeMap<String, String>> {
    let mut accepted = BTreeMap::new();
    let mut mistakes: Vec<(String, &'static str, String)> = Vec::new();
    let mut protected = Sensitivity::Ordinary;
    {
        let data = cx.who.portal.read();
        for (name, value) in properties {
            let value = match value {
                Value::Null => String::new(),
                Value::String(text) => text,
                other => other.to_string(),
            };
            match data.property(kind, &name) {
                None => {
                    let message = format!("Property \"{name}\" does not exist");
                    mistakes.push((name, "PROPERTY_DOESNT_EXIST", message));
                }
                Some(property) if property.read_only => {
                    let message = format!("\"{name}\" is a read only property; its value cannot be set.");
                    mistakes.push((name, "READ_ONLY_VALUE", message));
                }
                Some(_) if value.chars().count() > VALUE_CHARACTERS => {
                    let message = format!("The value of \"{name}\" is too long");
                    mistakes.push((name, "VALUE_TOO_LONG", message));
                }
                Some(property) => {
                    if property.sensitivity != Sensitivity::Ordinary {
                        protected = property.sensitivity;
                    }
                    match property.accepts(&value) {
                        Ok(()) => drop(accepted.insert(name, value)),
                        Err(code) => {
                            let message = format!("{value} was not a valid {}.", property.value_type);
                            mistakes.push((name, code, message));
                        }
                    }
                }
            }
        }
    }
    if !mistakes.is_empty() {
        return Err(invalid_values(mistakes));
    }
    access::allow_sensitive(cx, kind, protected, Access::Write)?;
    Ok(accepted)
}

fn invalid_values(mistakes: Vec<(String, &'static str, String)>) -> Box<Problem> {
    let listed: Vec<Value> = mistakes
        .iter()
        .map(|(name, code, message)| {
            json!({ "isValid": false, "message": message, "error": code, "name": name, "localizedErrorMessage": message })
        })
        .collect();
    let mut problem = Problem::validation(format!(
        "Property values were not valid: {}",
        Value::Array(listed)
    ));
    for (name, code, message) in mistakes {
        problem = problem.detail(Detail {
            message,
            code: Some(code),
            place: None,
            context: Some(Context(vec![("propertyName".to_owned(), vec![name])])),
        });
    }
    problem
}

/// The 409 that names the record which has the value; for other properties than an address, the value, too.
fn conflict(cx: Cx<'_>, kind: ObjectKind, id: &str, taken: &Taken) -> Box<Problem> {
    let message = if kind.spec().name == "contacts" && taken.property == "email" {
        format!("Contact already exists. Existing ID: {}", taken.by)
    } else {
        format!(
            "Cannot set PropertyValueCoordinates{{portalId={}, objectTypeId={}, objectId={id}, propertyName={}, \
             value={}}} on {id}. {} already has that value.",
            cx.who.portal.hub_id(),
            kind.type_id(),
            taken.property,
            taken.value,
            taken.by
        )
    };
    Problem::new(StatusCode::CONFLICT, Some("CONFLICT"), message)
}

/// The records inline associations point at: the type is told by the association type's id.
fn inline_ends(
    cx: Cx<'_>,
    kind: ObjectKind,
    inputs: &[InlineAssociation],
) -> Handled<Vec<(End, AssociationType)>> {
    if inputs.len() > INLINE_ASSOCIATIONS {
        return Err(Problem::validation("Too many associations in one input."));
    }
    let mut ends = Vec::new();
    for input in inputs {
        let id = plain_id(&input.to.id)?;
        if input.types.is_empty() {
            return Err(Problem::validation("associations need at least one type"));
        }
        for how in &input.types {
            let how = AssociationType {
                category: how.association_category,
                id: how.association_type_id,
            };
            let to = target_kind(cx, kind, how).ok_or_else(|| {
                Problem::validation(format!(
                    "No association type with id {} from {}",
                    how.id,
                    kind.path_name()
                ))
            })?;
            access::allow_both(cx, kind, to, Access::Write)?;
            let exists = cx
                .who
                .portal
                .read()
                .table(to)
                .is_some_and(|table| table.get(id).is_some());
            if !exists {
                return Err(Problem::object_not_found(&id.to_string()));
            }
            ends.push((End { kind: to, id }, how));
        }
    }
    Ok(ends)
}

/// The other type of an association type that begins at `kind`.
fn target_kind(cx: Cx<'_>, kind: ObjectKind, how: AssociationType) -> Option<ObjectKind> {
    let data = cx.who.portal.read();
    let mut kinds = data.properties.keys().copied();
    match how.category {
        Category::HubspotDefined => kinds.find(|to| association_types::exists(kind, *to, how)),
        _ => kinds.find(|to| {
            data.associations
                .labels(kind, *to)
                .iter()
                .any(|label| label.id == how.id)
        }),
    }
}

/// Ids come as strings and as numbers.
pub(in crate::sim) fn plain_id(value: &Value) -> Handled<u64> {
    let number = match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    number.ok_or_else(|| Problem::validation("ids must be numeric"))
}
