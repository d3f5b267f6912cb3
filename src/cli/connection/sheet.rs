//! A connection on one sheet, a fact a line: what state it is in, whose consent it stands on, how it
//! fares, who uses it. Never a credential.

use jiff::Timestamp;

use super::rotation;
use crate::access::effect::Class;
use crate::cli::admin::{columns, short};
use crate::reports::connections::{expires_of, last_refresh, next_refresh, not_granted};
use crate::reports::{Surroundings, Usage};
use crate::store::{ClassHealth, ConnectionRow};

/// Integrations that are listed; the rest is counted.
const INTEGRATIONS: usize = 50;

/// The sheet.
pub(super) fn sheet(row: &ConnectionRow, around: &Surroundings) -> String {
    let none = || "-".to_owned();
    let text = |text: &Option<String>| text.clone().unwrap_or_else(none);
    let time = |at: Option<Timestamp>| at.map_or_else(none, short);
    let stops = around.kills(row).into_iter().map(|kill| {
        let (subject, since, actor, reason) = (&kill.subject, short(kill.at), &kill.actor, &kill.reason);
        (
            "stopped by",
            format!("the stop of {subject}, since {since}, by {actor}: {reason}"),
        )
    });
    let stops: Vec<_> = stops.collect();
    let mut facts = vec![
        ("name", row.name.to_string()),
        ("id", row.id.to_string()),
        ("portal", row.portal.to_string()),
        ("kind", row.kind.as_str().to_owned()),
        ("app", text(&row.app)),
        ("labels", labels_of(row)),
        ("state", around.state(row).to_owned()),
    ];
    if !stops.is_empty() {
        facts.extend(stops);
        facts.push(("state beneath", row.shown_standing().as_str().to_owned()));
    }
    facts.extend([
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
    ]);
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

fn dash_if_empty(text: String) -> String {
    match text.is_empty() {
        true => "-".to_owned(),
        false => text,
    }
}
