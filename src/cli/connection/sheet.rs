//! A connection on one sheet, a fact a line: what state it is in, whose consent it stands on, how it
//! fares, who uses it. Never a credential.

use jiff::Timestamp;

use super::surroundings::{Surroundings, Usage};
use super::{expires_of, rotation};
use crate::access::connection::CredentialKind;
use crate::access::effect::Class;
use crate::cli::admin::{columns, short};
use crate::store::{ClassHealth, ConnectionRow};
use crate::tokens::expiry::renewed_from;

/// Integrations that are listed; the rest is counted.
const INTEGRATIONS: usize = 50;

/// The sheet.
pub(super) fn sheet(row: &ConnectionRow, around: &Surroundings) -> String {
    let none = || "-".to_owned();
    let text = |text: &Option<String>| text.clone().unwrap_or_else(none);
    let time = |at: Option<Timestamp>| at.map_or_else(none, short);
    let mut facts = vec![
        ("name", row.name.to_string()),
        ("id", row.id.to_string()),
        ("portal", row.portal.to_string()),
        ("kind", row.kind.as_str().to_owned()),
        ("app", text(&row.app)),
        ("labels", labels_of(row)),
        ("state", around.state(row).to_owned()),
        ("since", short(row.standing_since)),
        ("why", text(&row.standing_why)),
        ("trouble", text(&row.health)),
        ("installer", installer_of(row)),
        ("installed", time(row.installed)),
        ("rights then", text(&row.installer_rights)),
        ("scopes", row.scopes.join(" ")),
        ("not granted", dash_if_empty(not_granted(row).join(" "))),
        ("added", short(row.created)),
        ("credential since", aged(row.credential_at, around.now())),
        ("rotation", rotation::text(row, around.max_age, around.now())),
        ("last refresh", time(last_refresh(row))),
        (
            "next refresh",
            next_refresh(row).map_or_else(none, |at| format!("from {} on, while it is in use", short(at))),
        ),
        ("token until", time(expires_of(row))),
        ("refreshing since", time(row.intent)),
    ];
    let health = around.health(row);
    let failing = around.failing(row);
    for class in Class::ALL {
        let name = match class {
            Class::Read => "reads",
            Class::Write => "writes",
        };
        let fails = failing.iter().any(|one| one.class == class);
        facts.push((name, side(health.of(class), fails)));
    }
    let usage = around.usage(row);
    for (name, usage) in usage.iter().take(INTEGRATIONS) {
        facts.push(("integration", format!("{name}: {}", line_of(usage))));
    }
    if usage.len() > INTEGRATIONS {
        facts.push(("integration", format!("and {} more", usage.len() - INTEGRATIONS)));
    }
    let findings = around.findings(row);
    facts.push(("open findings", findings.len().to_string()));
    facts.extend(findings.into_iter().map(|finding| ("finding", finding)));
    let rows: Vec<Vec<String>> = facts
        .into_iter()
        .map(|(name, value)| vec![name.to_owned(), value])
        .collect();
    columns(&rows)
}

/// One word or two for a list: how both sides fare.
pub(super) fn mark(row: &ConnectionRow, around: &Surroundings) -> &'static str {
    let failing = around.failing(row);
    let fails = |class| failing.iter().any(|one| one.class == class);
    let health = around.health(row);
    match (fails(Class::Read), fails(Class::Write)) {
        (true, true) => "all fail",
        (false, true) => "writes fail",
        (true, false) => "reads fail",
        _ if health.read.success.or(health.write.success).is_none() => "-",
        _ => "ok",
    }
}

/// Adds what the sheet shows to the JSON of a connection.
pub(super) fn extend(json: &mut serde_json::Value, row: &ConnectionRow, around: &Surroundings) {
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
    let more = serde_json::json!({
        "labels": labels,
        "installer_email": row.installer_email,
        "installer_rights": rights,
        "installed": time(row.installed),
        "requested_scopes": row.requested_scopes,
        "scopes_not_granted": not_granted(row),
        "credential_since": row.credential_at.to_string(),
        "rotation_due": rotation::json(row, around.max_age, around.now()),
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

/// A time and how many days ago that is.
fn aged(at: Timestamp, now: Timestamp) -> String {
    let days = now.duration_since(at).as_hours() / 24;
    format!("{} ({days} days ago)", short(at))
}

fn side(health: &ClassHealth, fails: bool) -> String {
    let last = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), short);
    let word = match (fails, health.failures, health.success) {
        (true, ..) => "FAIL",
        (false, 0, None) => return "not used yet".to_owned(),
        (false, 0, Some(_)) => "ok",
        _ => "refused lately",
    };
    let mut text = format!("{word}; last success {}", last(health.success));
    if let Some(at) = health.failure {
        let cause = health.cause.as_deref().unwrap_or("unknown");
        text.push_str(&format!("; last refusal {} ({cause})", short(at)));
    }
    if health.failures > 0 {
        text.push_str(&format!(", {} since the last success", health.failures));
    }
    text
}

fn line_of(usage: &Usage) -> String {
    let last = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), short);
    let keys = match usage.keys {
        0 => "no key".to_owned(),
        1 => "1 key".to_owned(),
        keys => format!("{keys} keys"),
    };
    let policy = match usage.covered {
        Some(true) => "",
        Some(false) => ", not in its policy",
        None => ", its policy can't be read",
    };
    format!(
        "{keys}{policy}, last read {}, last write {}",
        last(usage.last_read),
        last(usage.last_write)
    )
}

/// `person@example.com (user 9003)`: the id stays when an address changes.
fn installer_of(row: &ConnectionRow) -> String {
    match (&row.installer_email, row.user_id) {
        (Some(email), Some(id)) => format!("{email} (user {id})"),
        (Some(email), None) => email.clone(),
        (None, Some(id)) => id.to_string(),
        (None, None) => "-".to_owned(),
    }
}

fn labels_of(row: &ConnectionRow) -> String {
    let labels: Vec<String> = row
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    dash_if_empty(labels.join(" "))
}

fn not_granted(row: &ConnectionRow) -> Vec<&str> {
    let requested = row
        .requested_scopes
        .iter()
        .filter(|scope| !row.scopes.contains(scope));
    requested.map(String::as_str).collect()
}

fn last_refresh(row: &ConnectionRow) -> Option<Timestamp> {
    let obtained = row.access.as_ref().map(|token| token.obtained);
    row.refreshed
        .or(obtained)
        .filter(|_| row.kind == CredentialKind::OAuth)
}

fn next_refresh(row: &ConnectionRow) -> Option<Timestamp> {
    let token = row.access.as_ref()?;
    Some(renewed_from(token.obtained, token.expires?))
}

fn dash_if_empty(text: String) -> String {
    match text.is_empty() {
        true => "-".to_owned(),
        false => text,
    }
}
