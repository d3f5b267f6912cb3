//! Security's own: who may ask here, and who changed what. Credentials are made on the command line alone.

use serde_json::{Value, json};

use super::change::Because;
use super::look::key_id;
use super::page;
use super::parts::{Answer, Call, Parts};
use super::refusal::Refusal;
use crate::clock;
use crate::reports::credentials::json_of;
use crate::store::{AdminEvent, Revoked};

pub(super) fn list(parts: &Parts, call: &Call<'_>) -> Answer {
    let now = clock::now();
    let rows = parts
        .store
        .admin_credentials()
        .map_err(|error| Refusal::of_store(&error, &parts.metrics))?;
    page::of(call, rows, |row| row.id.to_string(), |row| json_of(row, now))
}

pub(super) fn revoke(parts: &Parts, call: &Call<'_>) -> Answer {
    let by = call.because(&call.read::<Because>()?.reason)?;
    let id = key_id(call.named, "admin credential")?;
    let revoked = parts
        .store
        .revoke_admin_credential(&id, &by)
        .map_err(|error| Refusal::of_store(&error, &parts.metrics))?;
    let result = match revoked {
        Revoked::Now => "changed",
        Revoked::Before => "unchanged",
    };
    Ok(json!({ "id": id.as_str(), "result": result }))
}

/// Every change there was, by whomever, in order.
pub(super) fn events(parts: &Parts, call: &Call<'_>) -> Answer {
    let (limit, after) = (page::limit(call)?, page::after::<i64>(call)?.unwrap_or(0));
    let mut rows = parts
        .store
        .admin_events_after(after)
        .map_err(|error| Refusal::of_store(&error, &parts.metrics))?;
    // The store hands out as many at once as a page may have.
    let more = rows.len() > limit || rows.len() == page::MOST;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.id.to_string());
    Ok(json!({ "items": rows.iter().map(event).collect::<Vec<_>>(), "next": next }))
}

fn event(row: &AdminEvent) -> Value {
    json!({
        "id": row.id,
        "at": row.at.to_string(),
        "actor": row.actor,
        "action": row.action,
        "subject": row.subject,
        "reason": row.reason,
    })
}
