//! A connection as JSON: what state it is in, whose consent it stands on, how it fares, who uses it.
//! Never a credential.

use jiff::Timestamp;

use super::surroundings::Surroundings;
use crate::access::connection::CredentialKind;
use crate::access::effect::Class;
use crate::access::rotation::{rotation_at, rotation_due};
use crate::store::ConnectionRow;
use crate::tokens::expiry::renewed_from;

/// A connection, whole.
pub fn json_of(row: &ConnectionRow, around: &Surroundings) -> serde_json::Value {
    let mut json = serde_json::json!({
        "name": row.name.as_str(),
        "id": row.id.as_str(),
        "portal": row.portal.get(),
        "kind": row.kind.as_str(),
        "app": row.app,
        "state": around.state(row),
        "why": row.standing_why,
        "since": row.standing_since.to_string(),
        "trouble": row.health,
        "token_expires": expires_of(row).map(|at| at.to_string()),
        "user_id": row.user_id,
        "scopes": row.scopes,
        "created": row.created.to_string(),
    });
    extend(&mut json, row, around);
    json
}

/// Adds what the sheet shows to the JSON of a connection.
fn extend(json: &mut serde_json::Value, row: &ConnectionRow, around: &Surroundings) {
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let (health, failing) = (around.health(row), around.failing(row));
    let side = |class: Class| {
        let side = health.of(class);
        let is_failing = failing.iter().any(|one| one.class == class);
        serde_json::json!({
            "failing": is_failing,
            "last_success": time(side.success),
            "last_failure": time(side.failure),
            "cause": side.cause,
            "successes": side.successes,
            "failures": side.failures,
            "failing_since": time(side.failing_since),
        })
    };
    let labels: std::collections::BTreeMap<&str, &str> = row
        .labels
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    // What an install noted as JSON stays JSON.
    let rights = row
        .installer_rights
        .as_deref()
        .map(|text| serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::from(text)));
    let integrations: Vec<_> = around
        .usage(row)
        .into_iter()
        .map(|(name, usage)| {
            serde_json::json!({
                "integration": name,
                "keys": usage.keys,
                "covered": usage.covered,
                "last_read": time(usage.last_read),
                "last_write": time(usage.last_write),
            })
        })
        .collect();
    let stops: Vec<_> = around
        .kills(row)
        .into_iter()
        .map(|kill| {
            serde_json::json!({
                "kind": kill.subject.kind().as_str(),
                "subject": kill.subject.name(),
                "since": kill.at.to_string(),
                "actor": kill.actor,
                "reason": kill.reason,
            })
        })
        .collect();
    let more = serde_json::json!({
        "state_beneath": row.shown_standing().as_str(),
        "stopped_by": stops,
        "labels": labels,
        "installer_email": row.installer_email,
        "installer_rights": rights,
        "installed": time(row.installed),
        "requested_scopes": row.requested_scopes,
        "scopes_not_granted": not_granted(row),
        "credential_since": row.credential_at.to_string(),
        "rotation_due": rotation(row, around),
        "last_refresh": time(last_refresh(row)),
        "next_refresh": time(next_refresh(row)),
        "health": { "read": side(Class::Read), "write": side(Class::Write) },
        "integrations": integrations,
        "findings": around.findings(row),
    });
    if let (Some(json), serde_json::Value::Object(more)) = (json.as_object_mut(), more) {
        json.extend(more);
    }
}

/// When the credential is or becomes due for rotation, and why it is.
fn rotation(row: &ConnectionRow, around: &Surroundings) -> serde_json::Value {
    let due = rotation_due(&row.credential_age(), around.max_age, around.now());
    let at = due
        .map(|due| due.since)
        .or_else(|| rotation_at(row.credential_at, around.max_age));
    serde_json::json!({
        "due": due.is_some(),
        "at": at.map(|at| at.to_string()),
        "why": due.map(|due| due.why.as_str()),
        "reason": row.rotation_marked.as_ref().and_then(|(_, why)| why.as_deref()),
    })
}

/// When the access token ends, if that is known.
pub fn expires_of(row: &ConnectionRow) -> Option<Timestamp> {
    row.access.as_ref().and_then(|token| token.expires)
}

/// Scopes that were asked for and not granted.
pub fn not_granted(row: &ConnectionRow) -> Vec<&str> {
    let requested = row
        .requested_scopes
        .iter()
        .filter(|scope| !row.scopes.contains(scope));
    requested.map(String::as_str).collect()
}

/// When its grant was last refreshed.
pub fn last_refresh(row: &ConnectionRow) -> Option<Timestamp> {
    let obtained = row.access.as_ref().map(|token| token.obtained);
    row.refreshed
        .or(obtained)
        .filter(|_| row.kind == CredentialKind::OAuth)
}

/// From when on its grant is refreshed while it is in use.
pub fn next_refresh(row: &ConnectionRow) -> Option<Timestamp> {
    let token = row.access.as_ref()?;
    Some(renewed_from(token.obtained, token.expires?))
}
