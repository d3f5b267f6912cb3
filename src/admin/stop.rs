//! Emergency stops and their end. The stop comes first: it is committed before anything else is looked at.

use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};

use super::change::Because;
use super::parts::{Answer, Call, PATIENCE, Parts, followed};
use super::refusal::{Code, Refusal};
use crate::access::kill::{KillKind, KillSubject};
use crate::reports::kills::Reach;
use crate::store::{Killed, Provenance};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stop {
    kind: String,
    #[serde(default)]
    subject: Option<String>,
    reason: String,
}

impl Stop {
    fn subject(&self) -> Result<KillSubject, Refusal> {
        let kind = KillKind::parse(&self.kind);
        match (kind, self.subject.as_deref()) {
            (Some(KillKind::All), None) => Some(KillSubject::all()),
            (Some(KillKind::All), Some(_)) | (None, _) => None,
            (Some(kind), subject) => KillSubject::parse(kind, subject.unwrap_or_default()),
        }
        .ok_or_else(|| {
            Refusal::new(
                Code::Malformed,
                "what is to be stopped or revived is not named",
                "send `kind` (integration, connection, app, portal, person, all) and, but for all, `subject`",
            )
        })
    }
}

pub(super) fn integration(parts: &Parts, call: &Call<'_>) -> Answer {
    named(KillKind::Integration, parts, call)
}

pub(super) fn connection(parts: &Parts, call: &Call<'_>) -> Answer {
    named(KillKind::Connection, parts, call)
}

fn named(kind: KillKind, parts: &Parts, call: &Call<'_>) -> Answer {
    let by = call.because(&call.read::<Because>()?.reason)?;
    let subject = KillSubject::parse(kind, call.named)
        .ok_or_else(|| Refusal::no_such(kind.as_str(), "a name has `a-z`, `0-9` and `-`"))?;
    kill(parts, &subject, &by)
}

pub(super) fn anything(parts: &Parts, call: &Call<'_>) -> Answer {
    let stop: Stop = call.read()?;
    let by = call.because(&stop.reason)?;
    kill(parts, &stop.subject()?, &by)
}

/// It need not exist: `connections` and `keys` say what is stopped by it now.
fn kill(parts: &Parts, subject: &KillSubject, by: &Provenance) -> Answer {
    // Before the commit: the time told is never shorter than the truth.
    let since = Instant::now();
    let killed = parts
        .store
        .kill(subject, by)
        .map_err(|error| Refusal::of_store(&error, &parts.metrics))?;
    let followers = parts.store.await_kills(since, PATIENCE);
    let before = match killed {
        Killed::Now => Value::Null,
        Killed::Before(row) => {
            json!({ "since": row.at.to_string(), "actor": row.actor, "reason": row.reason })
        }
    };
    Ok(followed(
        told(parts, subject, json!({ "killed_before": before })),
        followers,
    ))
}

pub(super) fn revive(parts: &Parts, call: &Call<'_>) -> Answer {
    let stop: Stop = call.read()?;
    let by = call.because(&stop.reason)?;
    let subject = stop.subject()?;
    let since = Instant::now();
    let revived = parts
        .store
        .revive(&subject, &by)
        .map_err(|error| Refusal::of_store(&error, &parts.metrics))?;
    if !revived {
        return Err(Refusal::new(
            Code::Conflict,
            "nothing of exactly this name is stopped",
            "`GET /v1/kills` shows what is stopped, each as it was named: revive exactly that",
        ));
    }
    let followers = parts.store.await_kills(since, PATIENCE);
    Ok(followed(told(parts, &subject, json!({})), followers))
}

/// What it reaches now. Best effort: what was asked for is done.
fn told(parts: &Parts, subject: &KillSubject, mut done: Value) -> Value {
    let reach = Reach::of(subject, &parts.store).ok();
    done["kind"] = json!(subject.kind().as_str());
    done["subject"] = json!(subject.name());
    done["connections"] = json!(reach.as_ref().map(|reach| reach.connections.len()));
    done["keys"] = json!(reach.as_ref().map(|reach| reach.keys));
    done
}
