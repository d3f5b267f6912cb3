//! Batches of up to a hundred inputs: read, create, update, upsert, archive.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::read::find;
use super::render::{Rendered, Selection};
use super::write::{CreateInput, create_one, update_one};
use crate::sim::access::Access;
use crate::sim::answer::Answer;
use crate::sim::call::Cx;
use crate::sim::clock::iso;
use crate::sim::object_types::ObjectKind;
use crate::sim::problem::{Context, Handled, Problem};

/// Inputs in one batch.
const INPUTS: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchRead {
    #[serde(default)]
    inputs: Vec<IdInput>,
    #[serde(default)]
    properties: Vec<String>,
    #[serde(default)]
    properties_with_history: Vec<String>,
    #[serde(default)]
    id_property: Option<String>,
}

#[derive(Debug, Deserialize)]
struct IdInput {
    id: Value,
}

#[derive(Debug, Deserialize)]
struct Inputs<T> {
    #[serde(default = "Vec::new")]
    inputs: Vec<T>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WriteInput {
    id: Value,
    #[serde(default)]
    id_property: Option<String>,
    #[serde(default)]
    properties: BTreeMap<String, Value>,
    #[serde(default)]
    object_write_trace_id: Option<String>,
}

/// An input that failed, in a 207.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InputError {
    status: &'static str,
    category: &'static str,
    message: String,
    context: Context,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchAnswer {
    status: &'static str,
    results: Vec<Rendered>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_errors: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<InputError>,
    started_at: String,
    completed_at: String,
}

fn finish(cx: Cx<'_>, whole: StatusCode, results: Vec<Rendered>, errors: Vec<InputError>) -> Answer {
    let status = if errors.is_empty() {
        whole
    } else {
        StatusCode::MULTI_STATUS
    };
    let body = BatchAnswer {
        status: "COMPLETE",
        results,
        num_errors: (!errors.is_empty()).then_some(errors.len()),
        errors,
        started_at: iso(cx.call.now_ms),
        completed_at: iso(cx.sim.now_ms()),
    };
    Answer::json(status, &body)
}

fn bounded(inputs: usize) -> Handled<()> {
    match inputs {
        0 => Err(Problem::validation("inputs must not be empty")),
        1..=INPUTS => Ok(()),
        _ => Err(Problem::validation(format!(
            "The maximum number of inputs is {INPUTS}, got {inputs}."
        ))),
    }
}

/// `POST …/batch/read`: what is not there is told in a 207 beside what is.
pub(super) fn read(cx: Cx<'_>, kind: ObjectKind) -> Handled<Answer> {
    let asked: BatchRead = cx.call.json()?;
    bounded(asked.inputs.len())?;
    let selection = Selection::new(
        cx,
        kind,
        &asked.properties,
        &asked.properties_with_history,
        Access::Read,
    )?;
    let archived = cx.call.query.flag("archived");
    let data = cx.who.portal.read();
    let (mut results, mut missing) = (Vec::new(), Vec::new());
    for input in &asked.inputs {
        let id = text(&input.id);
        let record = match find(&data, kind, &id, asked.id_property.as_deref()) {
            Ok(found) => data.table(kind).and_then(|table| table.get(found)),
            Err(problem) if problem.status == StatusCode::BAD_REQUEST => return Err(problem),
            Err(_) => None,
        };
        match record.filter(|record| record.archived_ms.is_some() == archived) {
            Some(record) => results.push(selection.render(&data, record)),
            None => missing.push(id),
        }
    }
    let errors = if missing.is_empty() {
        Vec::new()
    } else {
        vec![not_found(kind, missing)]
    };
    Ok(finish(cx, StatusCode::OK, results, errors))
}

fn not_found(kind: ObjectKind, ids: Vec<String>) -> InputError {
    InputError {
        status: "error",
        category: "OBJECT_NOT_FOUND",
        message: format!(
            "Could not get some {} objects, they may be deleted or not exist. Check that ids are valid.",
            kind.title()
        ),
        context: Context(vec![("ids".to_owned(), ids)]),
    }
}

/// `POST …/batch/create`: all or nothing, unless every input asks for its own outcome.
pub(super) fn create(cx: Cx<'_>, kind: ObjectKind) -> Handled<Answer> {
    let asked: Inputs<CreateInput> = cx.call.json()?;
    bounded(asked.inputs.len())?;
    let apart = asked
        .inputs
        .iter()
        .all(|input| input.object_write_trace_id.is_some());
    if !apart {
        // Names and values of all inputs are checked before the first record is made.
        for input in &asked.inputs {
            super::write::values(cx, kind, input.properties.clone())?;
        }
    }
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for input in asked.inputs {
        let trace = input.object_write_trace_id.clone();
        match create_one(cx, kind, input) {
            Ok(mut rendered) => {
                rendered.object_write_trace_id = trace;
                results.push(rendered);
            }
            Err(problem) if apart => errors.push(traced(*problem, trace)),
            Err(problem) => return Err(problem),
        }
    }
    Ok(finish(cx, StatusCode::CREATED, results, errors))
}

/// `POST …/batch/update`.
pub(super) fn update(cx: Cx<'_>, kind: ObjectKind) -> Handled<Answer> {
    let asked: Inputs<WriteInput> = cx.call.json()?;
    bounded(asked.inputs.len())?;
    let (mut results, mut errors, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for input in asked.inputs {
        let id = text(&input.id);
        match update_one(cx, kind, &id, input.id_property.as_deref(), input.properties) {
            Ok(rendered) => results.push(rendered),
            Err(problem) if problem.status == StatusCode::NOT_FOUND => missing.push(id),
            Err(problem) if input.object_write_trace_id.is_some() => {
                errors.push(traced(*problem, input.object_write_trace_id));
            }
            Err(problem) => return Err(problem),
        }
    }
    if !missing.is_empty() {
        errors.push(not_found(kind, missing));
    }
    Ok(finish(cx, StatusCode::OK, results, errors))
}

/// `POST …/batch/upsert`.
pub(super) fn upsert(cx: Cx<'_>, kind: ObjectKind) -> Handled<Answer> {
    let asked: Inputs<WriteInput> = cx.call.json()?;
    bounded(asked.inputs.len())?;
    let mut results = Vec::new();
    for input in asked.inputs {
        let Some(id_property) = input.id_property else {
            return Err(Problem::validation(
                "idProperty is required in every input of an upsert",
            ));
        };
        let id = text(&input.id);
        let exists = find(&cx.who.portal.read(), kind, &id, Some(&id_property));
        let mut rendered = match exists {
            Ok(_) => update_one(cx, kind, &id, Some(&id_property), input.properties)?,
            Err(problem) if problem.status == StatusCode::NOT_FOUND => {
                let mut properties = input.properties;
                properties.insert(id_property, Value::String(id));
                let new = CreateInput {
                    properties,
                    associations: Vec::new(),
                    object_write_trace_id: None,
                };
                let mut rendered = create_one(cx, kind, new)?;
                rendered.new = Some(true);
                rendered
            }
            Err(problem) => return Err(problem),
        };
        rendered.new.get_or_insert(false);
        rendered.object_write_trace_id = input.object_write_trace_id;
        results.push(rendered);
    }
    Ok(finish(cx, StatusCode::OK, results, Vec::new()))
}

/// `POST …/batch/archive`.
pub(super) fn archive(cx: Cx<'_>, kind: ObjectKind) -> Handled<Answer> {
    let asked: Inputs<IdInput> = cx.call.json()?;
    bounded(asked.inputs.len())?;
    let mut data = cx.who.portal.write();
    for input in &asked.inputs {
        if let Ok(found) = find(&data, kind, &text(&input.id), None) {
            data.table_mut(kind).archive(found, cx.call.now_ms);
        }
    }
    Ok(Answer::no_content())
}

fn traced(problem: Problem, trace: Option<String>) -> InputError {
    let mut context = problem.context.unwrap_or_default();
    context
        .0
        .push(("objectWriteTraceId".to_owned(), trace.into_iter().collect()));
    InputError {
        status: "error",
        category: problem.category.unwrap_or("VALIDATION_ERROR"),
        message: problem.message,
        context,
    }
}

/// Ids come as strings and as numbers.
fn text(id: &Value) -> String {
    match id {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
