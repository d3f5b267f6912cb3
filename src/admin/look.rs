//! What everybody with a credential may look at. Never a token, a secret or a hash.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use super::page;
use super::parts::{Answer, Call, Parts};
use super::refusal::{Code, Refusal};
use crate::access::connection::ConnectionName;
use crate::access::decide::bounds;
use crate::access::explain::{Asked, Under, explain, usual_connection};
use crate::access::key::KeyId;
use crate::access::kill::KillKind;
use crate::access::policy::Policy;
use crate::access::policy::tables::ConnectionRef;
use crate::access::policy_set::{CeilingState, PolicySet, PolicyState};
use crate::access::policy_text::written::Selector;
use crate::clock;
use crate::reports::denials::{self, Wanted};
use crate::reports::opened::by_row;
use crate::reports::{
    Surroundings, connections as connection_json, keys as key_json, kills as kill_json, permission,
};
use crate::store::{ConnectionRow, FindingRow, StoreError};

/// How far back denials are looked for, in hours: a day of a busy gate's log is more than a request may
/// read, and the command line reads all of it.
const DENIAL_HOURS: i64 = 24;
/// When reading the log is given up: some gigabytes.
const DENIAL_TIME: Duration = Duration::from_secs(10);

fn failed(parts: &Parts) -> impl Fn(StoreError) -> Refusal + '_ {
    |error| Refusal::of_store(&error, &parts.metrics)
}

pub(super) fn status(parts: &Parts, call: &Call<'_>) -> Answer {
    let snapshot = parts.snapshot.load_full();
    let told = parts.readiness.told();
    let conditions: BTreeMap<&str, bool> = told.conditions.into_iter().collect();
    let warnings: Vec<Value> = told
        .warnings
        .into_iter()
        .map(|(subject, text)| json!({ "subject": subject, "warning": text }))
        .collect();
    let ceiling = match snapshot.policies.ceiling_state() {
        CeilingState::Absent => "absent",
        CeilingState::InForce => "in force",
        CeilingState::Kept => "kept: the file does not load",
        CeilingState::Broken => "broken",
    };
    let kills = parts.store.kills().map_err(failed(parts))?.len();
    Ok(json!({
        "instance": parts.config.instance,
        "version": env!("CARGO_PKG_VERSION"),
        "you": {
            "name": call.who.name, "role": call.who.role.as_str(), "expires": call.who.expires.to_string(),
        },
        "ready": told.ready,
        "draining": told.draining,
        "conditions": conditions,
        "warnings": warnings,
        "snapshot": snapshot.version,
        "policies": {
            "digest": &*snapshot.policy_digest,
            "count": snapshot.policies.integrations().count(),
            "ceiling": ceiling,
        },
        "catalogue": { "digest": &*snapshot.catalogue_digest },
        "kills": kills,
    }))
}

pub(super) fn integrations(parts: &Parts, call: &Call<'_>) -> Answer {
    let (snapshot, now) = (parts.snapshot.load_full(), clock::now());
    let policies = &snapshot.policies;
    let keys = parts.store.keys().map_err(failed(parts))?;
    let kills = parts.store.kills().map_err(failed(parts))?;
    let rows: Vec<(&str, Option<&Policy>, bool)> = policies
        .integrations()
        .map(|(name, policy, loads)| (&**name, policy.map(|policy| &**policy), loads))
        .collect();
    let shown = |(name, policy, loads): &(&str, Option<&Policy>, bool)| {
        let state = match (policies.policy(name, now), loads) {
            (PolicyState::Ready(_), true) => "ready",
            (PolicyState::Ready(_), false) => "stale: an earlier version stands in",
            (PolicyState::Expired(_), _) => "expired",
            (PolicyState::Invalid, _) => "invalid",
            (PolicyState::Missing, _) => "missing",
        };
        let killed = kills.iter().any(|kill| match kill.subject.kind() {
            KillKind::All => true,
            KillKind::Integration => kill.subject.name() == *name,
            _ => false,
        });
        let good = keys
            .iter()
            .filter(|key| key.integration == *name && key_json::state_of(key, now) == "ok");
        json!({
            "integration": name,
            "owner": policy.map(|policy| &*policy.owner),
            "description": policy.and_then(|policy| policy.description.as_deref()),
            "state": state,
            "killed": killed,
            "connections": policy.map(|policy| policy.connections.iter().map(selector).collect::<Vec<_>>()),
            "expires": policy.and_then(|policy| policy.expires).map(|day| day.to_string()),
            "review_by": policy.and_then(|policy| policy.review_by).map(|day| day.to_string()),
            "observes": policy.is_some_and(|policy| policy.observe.as_ref().is_some_and(|observe| observe.is_on(now))),
            "keys": good.count(),
        })
    };
    page::of(call, rows, |(name, ..)| (*name).to_owned(), shown)
}

fn selector(selector: &Selector) -> Value {
    match selector {
        Selector::Name(name) => json!(name),
        Selector::App(app) => json!({ "app": app }),
        Selector::All => json!("*"),
    }
}

/// The policy of an integration, expired or not.
fn policy_of<'a>(policies: &'a PolicySet, integration: &str) -> Result<&'a Arc<Policy>, Refusal> {
    match policies.policy(integration, clock::now()) {
        PolicyState::Ready(policy) | PolicyState::Expired(policy) => Ok(policy),
        PolicyState::Invalid => Err(Refusal::new(
            Code::Conflict,
            "the policy does not load, so its integration may do nothing",
            "see `scopegate policy check`",
        )),
        PolicyState::Missing => Err(Refusal::no_such("policy", "see `GET /v1/integrations`")),
    }
}

pub(super) fn policy(parts: &Parts, call: &Call<'_>) -> Answer {
    let snapshot = parts.snapshot.load_full();
    let (policies, catalogue) = (&snapshot.policies, &snapshot.catalogue);
    let policy = policy_of(policies, call.named)?;
    let opened = permission::opened(policy, policies.ceiling(), catalogue);
    let cells = by_row(catalogue, opened.iter());
    let bounds = bounds(policy, policies.ceiling());
    Ok(json!({
        "integration": &*policy.integration,
        "expired": policy.is_expired(clock::now()),
        "cells": permission::lines(policy, &bounds, catalogue, &cells),
    }))
}

pub(super) fn connections(parts: &Parts, call: &Call<'_>) -> Answer {
    let around = surroundings(parts)?;
    let rows = parts.store.connections().map_err(failed(parts))?;
    page::of(
        call,
        rows,
        |row| row.name.to_string(),
        |row| connection_json::json_of(row, &around),
    )
}

pub(super) fn connection(parts: &Parts, call: &Call<'_>) -> Answer {
    let row = connection_named(parts, call.named)?;
    Ok(connection_json::json_of(&row, &surroundings(parts)?))
}

fn surroundings(parts: &Parts) -> Result<Surroundings, Refusal> {
    let policies = Arc::clone(&parts.snapshot.load().policies);
    Surroundings::read(&parts.store, &parts.config, Some(policies), clock::now()).map_err(failed(parts))
}

/// The connection of a name.
pub(super) fn connection_named(parts: &Parts, name: &str) -> Result<ConnectionRow, Refusal> {
    let none = || Refusal::no_such("connection", "see `GET /v1/connections`");
    let name = ConnectionName::parse(name).ok_or_else(none)?;
    let row = parts.store.connection_by_name(&name).map_err(failed(parts))?;
    row.ok_or_else(none)
}

/// The id of a key or a credential.
pub(super) fn key_id(text: &str, what: &str) -> Result<KeyId, Refusal> {
    KeyId::parse(text).ok_or_else(|| Refusal::no_such(what, "an id has 12 characters, as lists show it"))
}

pub(super) fn keys(parts: &Parts, call: &Call<'_>) -> Answer {
    let now = clock::now();
    let connections = parts.store.connections().map_err(failed(parts))?;
    let rows = parts.store.keys().map_err(failed(parts))?;
    page::of(
        call,
        rows,
        |row| row.id.to_string(),
        |row| key_json::json_of(row, &connections, now),
    )
}

pub(super) fn kills(parts: &Parts, call: &Call<'_>) -> Answer {
    let now = clock::now();
    let rows = parts.store.kills().map_err(failed(parts))?;
    let connections = parts.store.connections().map_err(failed(parts))?;
    let keys = parts.store.keys().map_err(failed(parts))?;
    page::of(
        call,
        rows,
        |row| format!("{}:{}", row.subject.kind().as_str(), row.subject.name()),
        |row| {
            let reach = kill_json::Reach::among(&row.subject, &connections, &keys, now);
            kill_json::json_of(row, &reach)
        },
    )
}

pub(super) fn denials(parts: &Parts, call: &Call<'_>) -> Answer {
    let limit = page::limit(call)?;
    let hours = hours(call.asked("since").unwrap_or("1h"))?;
    let since = clock::now() - SignedDuration::from_hours(hours);
    let wanted = Wanted {
        since,
        integration: call.asked("integration"),
        connection: call.asked("connection"),
    };
    let until = call.until.min(Instant::now() + DENIAL_TIME);
    let found = denials::read(&parts.config.audit.dir, &wanted, Some(until)).map_err(|error| {
        if error.kind() == std::io::ErrorKind::TimedOut {
            return Refusal::new(
                Code::TooLong,
                "the audit log of that time is longer than can be read here",
                "ask for less, or use `scopegate denials`",
            );
        }
        tracing::error!(%error, "the audit log could not be read for the admin API");
        Refusal::new(
            Code::Failed,
            "the audit log could not be read",
            "the gate's log says more",
        )
    })?;
    let groups = found.groups.len();
    let items: Vec<Value> = found
        .groups
        .iter()
        .take(limit)
        .map(|(group, times)| denials::json_of(group, times))
        .collect();
    Ok(json!({
        "since": since.to_string(),
        "items": items,
        "left_out": u64::try_from(groups.saturating_sub(limit)).unwrap_or(u64::MAX).saturating_add(found.beyond),
        "unread_lines": found.unread,
    }))
}

/// `1h` to `24h`.
fn hours(text: &str) -> Result<i64, Refusal> {
    text.strip_suffix('h')
        .filter(|number| number.len() <= 2 && number.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|number| number.parse().ok())
        .filter(|hours| (1..=DENIAL_HOURS).contains(hours))
        .ok_or_else(|| {
            Refusal::new(
                Code::Malformed,
                "`since` is how far back: `1h` to `24h`",
                "for more use `scopegate denials`",
            )
        })
}

pub(super) fn findings(parts: &Parts, call: &Call<'_>) -> Answer {
    let rows = parts.store.open_findings().map_err(failed(parts))?;
    let connections = parts.store.connections().map_err(failed(parts))?;
    let shown = |row: &FindingRow| {
        let connection = connections.iter().find(|one| one.id == row.connection);
        let acknowledged = row
            .acknowledged
            .as_ref()
            .map(|note| json!({ "at": note.at.to_string(), "by": note.by, "why": note.why }));
        json!({
            "id": row.id,
            "kind": row.kind,
            "connection": connection.map(|one| one.name.as_str()),
            "person": row.person,
            "since": row.since.to_string(),
            "began": row.began.to_string(),
            "detail": serde_json::from_str::<Value>(&row.detail).unwrap_or(Value::Null),
            "acknowledged": acknowledged,
        })
    };
    page::of(call, rows, |row| row.id, shown)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    method: String,
    target: String,
    #[serde(default)]
    integration: Option<String>,
    #[serde(default)]
    connection: Option<String>,
    /// The request's body, as text.
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    content_type: Option<String>,
}

/// What would be decided, by the live path's own code and the policies in force. Nothing is sent anywhere.
pub(super) fn explained(parts: &Parts, call: &Call<'_>) -> Answer {
    let question: Question = call.read()?;
    let snapshot = parts.snapshot.load_full();
    let policy = question
        .integration
        .as_deref()
        .map(|name| policy_of(&snapshot.policies, name))
        .transpose()?;
    if question.connection.is_some() && policy.is_none() {
        return Err(Refusal::new(
            Code::Malformed,
            "`connection` says nothing without `integration`",
            "name both, or neither",
        ));
    }
    let row = question
        .connection
        .as_deref()
        .map(|name| connection_named(parts, name))
        .transpose()?;
    let under = policy.map(|policy| Under {
        policy,
        ceiling: snapshot.policies.ceiling(),
        connection: match &row {
            Some(row) => ConnectionRef {
                name: row.name.as_str(),
                app: row.app.as_deref(),
            },
            None => usual_connection(policy),
        },
        now: clock::now(),
    });
    let asked = Asked {
        method: &question.method,
        target: &question.target,
        body: question.body.as_deref().map(str::as_bytes),
        content_type: question.content_type.as_deref(),
    };
    let answer = explain(&snapshot.catalogue, &asked, under.as_ref());
    serde_json::to_value(answer)
        .map_err(|_| Refusal::new(Code::Failed, "the answer could not be written", "report this"))
}
