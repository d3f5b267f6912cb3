//! What an operator changes, one thing at a time: by the store's own functions, as the command line does.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::json;

use super::look::{connection_named, key_id};
use super::parts::{Answer, Call, PATIENCE, Parts, followed};
use super::refusal::{Code, Refusal};
use crate::access::connection::Standing;
use crate::access::label::{Label, LabelKey, Labels};
use crate::store::{Acknowledging, ConnectionRow, Resumed, Revoked};
use crate::tokens::{EnrolError, Enrolment, ResumeError};

/// A change that needs nothing but its reason.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Because {
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelChange {
    #[serde(default)]
    set: Vec<String>,
    #[serde(default)]
    unset: Vec<String>,
    reason: String,
}

pub(super) fn suspend(parts: &Parts, call: &Call<'_>) -> Answer {
    let by = call.because(&call.read::<Because>()?.reason)?;
    let row = connection_named(parts, call.named)?;
    let (from, to) = ([Standing::Unverified, Standing::Ok], Standing::Suspended);
    let before = parts
        .store
        .change_standing(
            &row.id,
            &from,
            to,
            by.reason.as_deref(),
            "connection suspend",
            &by,
        )
        .map_err(|error| Refusal::of_store(&error, &parts.metrics))?;
    if from.contains(&before) {
        return Ok(moved(parts, &row, before, to));
    }
    as_wished(&row, before, to)
}

pub(super) fn resume(parts: &Parts, call: &Call<'_>) -> Answer {
    let by = call.because(&call.read::<Because>()?.reason)?;
    let row = connection_named(parts, call.named)?;
    let enrolment = Enrolment {
        store: &parts.store,
        vault: &parts.vault,
        client: &parts.client,
        endpoints: &parts.endpoints,
    };
    // Given up only while HubSpot is waited for: what is stored is stored in one go.
    let asked = async {
        tokio::select! {
            resumed = enrolment.resume(&row, &by) => resumed.map_err(|error| not_resumed(error, parts)),
            () = tokio::time::sleep_until(call.until.into()) => Err(given_up()),
            () = call.stop.cancelled() => Err(given_up()),
        }
    };
    let done = tokio::runtime::Handle::current().block_on(asked)?;
    match done {
        Resumed::Passes(to) => Ok(moved(parts, &row, row.standing, to)),
        Resumed::NotSuspended(is @ Standing::Unverified) => as_wished(&row, is, is),
        Resumed::NotSuspended(is) => as_wished(&row, is, Standing::Ok),
        // Invariant: the enrolment has asked, and said so itself.
        Resumed::Foreign | Resumed::Unasked => as_wished(&row, row.standing, Standing::Ok),
    }
}

fn given_up() -> Refusal {
    Refusal::new(
        Code::TooLong,
        "HubSpot did not say whose the credential is in time: the connection stays as it is",
        "try again",
    )
}

fn not_resumed(error: ResumeError, parts: &Parts) -> Refusal {
    let again = "see what it is now, and try again";
    match error {
        ResumeError::Enrol(EnrolError::Store(error)) => Refusal::of_store(&error, &parts.metrics),
        ResumeError::WrongPortal { .. } => Refusal::new(
            Code::Conflict,
            "the credential is another portal's: the connection stays as it is",
            "give it a credential of its portal with `scopegate connection rotate`",
        ),
        ResumeError::NotTold { .. } => Refusal::new(
            Code::Conflict,
            "HubSpot did not say whose the credential is: the connection stays as it is",
            "try again when HubSpot can be asked, or give it another credential with `scopegate connection rotate`",
        ),
        ResumeError::Changed(_) => {
            Refusal::new(Code::Conflict, "the connection was changed meanwhile", again)
        }
        ResumeError::Enrol(error) => {
            tracing::error!(%error, "a connection could not be resumed by the admin API");
            Refusal::new(
                Code::Failed,
                "HubSpot could not be asked",
                "the gate's log says more",
            )
        }
    }
}

/// A connection changed its standing.
fn moved(parts: &Parts, row: &ConnectionRow, before: Standing, to: Standing) -> serde_json::Value {
    let changed = json!({
        "name": row.name.as_str(), "before": before.as_str(), "state": to.as_str(), "result": "changed",
    });
    followed(changed, parts.store.await_applied(PATIENCE))
}

/// It has the wished standing already, or can't have it.
fn as_wished(row: &ConnectionRow, is: Standing, wished: Standing) -> Answer {
    if is == wished {
        let (name, state) = (row.name.as_str(), is.as_str());
        return Ok(json!({ "name": name, "before": state, "state": state, "result": "unchanged" }));
    }
    Err(Refusal::new(
        Code::Conflict,
        format!(
            "the connection is `{}`: that can't be changed to `{}`",
            is.as_str(),
            wished.as_str()
        ),
        "see why by `GET /v1/connections/{name}`",
    ))
}

pub(super) fn labels(parts: &Parts, call: &Call<'_>) -> Answer {
    let malformed = |what: String| {
        Refusal::new(
            Code::Malformed,
            what,
            "write `set` as `[\"key=value\"]`, `unset` as `[\"key\"]`",
        )
    };
    let change: LabelChange = call.read()?;
    let by = call.because(&change.reason)?;
    let parsed = "a label can't be read";
    let set: Vec<Label> = change
        .set
        .iter()
        .map(|one| one.parse())
        .collect::<Result<_, _>>()
        .map_err(|_| malformed(parsed.to_owned()))?;
    let unset: Vec<LabelKey> = change
        .unset
        .iter()
        .map(|one| one.parse())
        .collect::<Result<_, _>>()
        .map_err(|_| malformed(parsed.to_owned()))?;
    let keys: BTreeSet<&str> = set
        .iter()
        .map(Label::key)
        .chain(unset.iter().map(LabelKey::as_str))
        .collect();
    if keys.is_empty() || keys.len() < set.len() + unset.len() {
        return Err(malformed(
            "each label is set or unset once, and at least one is".to_owned(),
        ));
    }
    let row = connection_named(parts, call.named)?;
    let known = Labels::of_stored(&row.labels);
    let labels = known
        .changed(&set, &unset)
        .map_err(|error| malformed(error.to_string()))?;
    let result = if labels == known { "unchanged" } else { "changed" };
    if labels != known {
        parts
            .store
            .set_labels(&[(row.id, labels.clone())], &by)
            .map_err(|error| Refusal::of_store(&error, &parts.metrics))?;
    }
    let labels: std::collections::BTreeMap<&str, &str> = labels.iter().collect();
    Ok(json!({ "name": row.name.as_str(), "labels": labels, "result": result }))
}

pub(super) fn revoke_key(parts: &Parts, call: &Call<'_>) -> Answer {
    let by = call.because(&call.read::<Because>()?.reason)?;
    let id = key_id(call.named, "key")?;
    let revoked = parts
        .store
        .revoke_key(&id, &by)
        .map_err(|error| Refusal::of_store(&error, &parts.metrics))?;
    match revoked {
        Revoked::Before => Ok(json!({ "id": id.as_str(), "result": "unchanged" })),
        Revoked::Now => Ok(followed(
            json!({ "id": id.as_str(), "result": "changed" }),
            parts.store.await_applied(PATIENCE),
        )),
    }
}

pub(super) fn acknowledge(parts: &Parts, call: &Call<'_>) -> Answer {
    let by = call.because(&call.read::<Because>()?.reason)?;
    let plain = !call.named.is_empty() && call.named.bytes().all(|byte| byte.is_ascii_digit());
    let none = || {
        Refusal::new(
            Code::NotFound,
            "there is no finding of that number",
            "see `GET /v1/findings`",
        )
    };
    let id: i64 = call.named.parse().ok().filter(|_| plain).ok_or_else(none)?;
    let done = parts
        .store
        .acknowledge_finding(id, &by)
        .map_err(|error| Refusal::of_store(&error, &parts.metrics))?;
    match done {
        Acknowledging::Done => Ok(followed(
            json!({ "id": id, "result": "changed" }),
            parts.store.await_applied(PATIENCE),
        )),
        Acknowledging::Already => Ok(json!({ "id": id, "result": "unchanged" })),
        Acknowledging::Over => Err(Refusal::new(
            Code::Conflict,
            "the finding is over",
            "there is nothing left to acknowledge",
        )),
        Acknowledging::Unknown => Err(none()),
    }
}
