//! Timeline events of apps: accepted, kept, and read back. v3 and dated, and the older `integrations/v1`.

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::call::Cx;
use super::clock::iso;
use super::problem::{Handled, Problem};
use super::random;
use super::scopes::Need;

const TIMELINE: Need = &[&["timeline"]];
/// Events of one portal.
const EVENTS: usize = 10_000;
/// Events in one batch.
const INPUTS: usize = 500;

/// An event as it was sent.
#[derive(Clone, Debug)]
pub(super) struct TimelineEvent {
    template: String,
    id: String,
    sent: Map<String, Value>,
    at_ms: i64,
}

/// Everything under `/integrators/timeline/…/events`.
pub(super) fn events(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    cx.who.scopes().require(TIMELINE)?;
    match (&cx.call.method, words) {
        (&Method::POST, []) => {
            let event = keep(cx, cx.call.json()?, "eventTemplateId")?;
            Ok(Answer::json(StatusCode::CREATED, &described(&event)))
        }
        (&Method::POST, ["batch"] | ["batch", "create"]) => {
            let results = batch(cx, "inputs", "eventTemplateId")?;
            Ok(Answer::json(
                StatusCode::CREATED,
                &json!({
                    "status": "COMPLETE",
                    "results": results,
                    "startedAt": iso(cx.call.now_ms),
                    "completedAt": iso(cx.call.now_ms),
                }),
            ))
        }
        (&Method::GET, [template, id]) => one(cx, template, id),
        (_, [] | ["batch"] | [_, _]) => Err(Problem::method_not_allowed()),
        _ => Err(Problem::not_found()),
    }
}

/// `/integrations/v1/{appId}/timeline/…`.
pub(super) fn older(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    cx.who.scopes().require(TIMELINE)?;
    match (&cx.call.method, words) {
        (&Method::PUT, ["event"]) => {
            keep(cx, cx.call.json()?, "eventTypeId")?;
            Ok(Answer::no_content())
        }
        (&Method::PUT, ["event", "batch"]) => {
            batch(cx, "eventWrappers", "eventTypeId")?;
            Ok(Answer::no_content())
        }
        (&Method::GET, ["event", template, id]) => one(cx, template, id),
        _ => Err(Problem::not_found()),
    }
}

fn batch(cx: Cx<'_>, member: &str, template: &str) -> Handled<Vec<Value>> {
    let body: Value = cx.call.json()?;
    let inputs = body.get(member).and_then(Value::as_array);
    let inputs = inputs.filter(|inputs| (1..=INPUTS).contains(&inputs.len()));
    let inputs =
        inputs.ok_or_else(|| Problem::validation(format!("{member} must hold 1 to {INPUTS} events")))?;
    let mut results = Vec::new();
    for input in inputs {
        results.push(described(&keep(cx, input.clone(), template)?));
    }
    Ok(results)
}

/// Keeps an event; it must say its template and what record it is about.
fn keep(cx: Cx<'_>, sent: Value, template: &str) -> Handled<TimelineEvent> {
    let Value::Object(sent) = sent else {
        return Err(Problem::validation("an event is an object"));
    };
    let text = |name: &str| {
        sent.get(name)
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    let Some(template) = text(template) else {
        return Err(Problem::validation(format!("{template} is required")));
    };
    let about = ["objectId", "email", "utk", "domain"];
    if !about.iter().any(|name| sent.contains_key(*name)) {
        return Err(Problem::validation(
            "one of objectId, email, utk and domain is required",
        ));
    }
    let event = TimelineEvent {
        id: text("id").unwrap_or_else(random::uuid),
        template,
        sent,
        at_ms: cx.call.now_ms,
    };
    let mut data = cx.who.portal.write();
    if data.timeline.len() >= EVENTS {
        return Err(Problem::validation(
            "The portal has as many events as it can have.",
        ));
    }
    data.timeline.push(event.clone());
    Ok(event)
}

fn one(cx: Cx<'_>, template: &str, id: &str) -> Handled<Answer> {
    let data = cx.who.portal.read();
    let found = data
        .timeline
        .iter()
        .find(|event| event.template == template && event.id == id);
    found
        .map(|event| Answer::ok(&described(event)))
        .ok_or_else(Problem::not_found)
}

/// The event as sent, with its id and time.
fn described(event: &TimelineEvent) -> Value {
    let mut members = event.sent.clone();
    members.insert("id".to_owned(), json!(event.id));
    members.insert("eventTemplateId".to_owned(), json!(event.template));
    members.insert("createdAt".to_owned(), json!(iso(event.at_ms)));
    Value::Object(members)
}
