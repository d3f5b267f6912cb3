//! People as tables, for people.

use std::fmt::Write as _;

use crate::cli::admin::{self, columns};
use crate::people::register::{Able, Person};

/// Most names in one cell; beyond it, how many there are.
const NAMES: usize = 3;

/// Everybody, then the findings.
pub(super) fn list(people: &[Person]) -> String {
    let mut rows = vec![titles(&[
        "PERSON",
        "STATE",
        "PORTALS",
        "CONNECTIONS",
        "INTEGRATIONS",
        "FINDINGS",
    ])];
    for person in people {
        let mut portals: Vec<u64> = person.connections.iter().map(|one| one.portal).collect();
        portals.sort_unstable();
        portals.dedup();
        let connections = person.connections.iter().map(|one| one.connection.clone());
        rows.push(vec![
            person.person.clone(),
            person.state.to_owned(),
            some(portals.iter().map(u64::to_string).collect()),
            some(connections.collect()),
            some(integrations(person)),
            open(person).to_string(),
        ]);
    }
    let mut text = columns(&rows);
    let findings = findings(people.iter());
    if !findings.is_empty() {
        let _ = write!(text, "\n{findings}");
    }
    text
}

/// One person.
pub(super) fn show(person: &Person, able: &[Able]) -> String {
    let mut text = head(person);
    for account in &person.accounts {
        let mut line = format!(
            "portal {}: user {}, {}",
            account.portal, account.user_id, account.state
        );
        match account.super_admin {
            Some(true) => line.push_str(", super admin"),
            Some(false) => line.push_str(", no super admin"),
            None => {}
        }
        if let Some(seen) = &account.seen {
            let _ = write!(line, ", last known {}", short(seen));
        }
        if let (Some(since), Some(why)) = (&account.unknown_since, &account.unknown_why) {
            let _ = write!(line, ", unknown since {} ({why})", short(since));
        }
        let _ = writeln!(text, "{line}");
    }
    let _ = write!(text, "\n{}\n{}", stands(person), who_can_anew(able));
    let findings = findings(std::iter::once(person));
    if !findings.is_empty() {
        let _ = write!(text, "\n{findings}");
    }
    text
}

/// What offboarding would do.
pub(super) fn plan(person: &Person, able: &[Able]) -> String {
    let mut text = head(person);
    let _ = write!(text, "\n{}\n", stands(person));
    text.push_str(&who_can_anew(able));
    text.push_str("nothing was changed\n");
    text
}

fn who_can_anew(able: &[Able]) -> String {
    able.iter().map(|portal| who_can(portal) + "\n").collect()
}

/// What offboarding did.
pub(super) fn done(person: &Person) -> String {
    stands(person)
}

fn head(person: &Person) -> String {
    let mut text = format!("{}: {}", person.person, person.state);
    if let Some(since) = &person.since {
        let _ = write!(text, " since {}", short(since));
    }
    if let Some(word) = &person.offboarded {
        let _ = write!(
            text,
            ", offboarded {} by {}: {}",
            short(&word.at),
            word.by,
            word.reason
        );
    }
    text.push('\n');
    text
}

/// Connections, the integrations on them, and what each policy makes of an installer who is gone.
fn stands(person: &Person) -> String {
    let mut rows = vec![titles(&[
        "CONNECTION",
        "PORTAL",
        "INTEGRATION",
        "OWNER",
        "LAST READ",
        "LAST WRITE",
        "WHEN THE PERSON IS GONE",
    ])];
    let none = || "-".to_owned();
    for one in &person.connections {
        let mut row = vec![one.connection.clone(), one.portal.to_string()];
        if one.integrations.is_empty() {
            row.extend([none(), none(), none(), none()]);
            row.push(match one.watcher {
                true => "the gate watches people with it".to_owned(),
                false => "no policy covers it".to_owned(),
            });
            rows.push(row);
            continue;
        }
        for standing in &one.integrations {
            let mut row = row.clone();
            row.extend([
                standing.integration.clone(),
                standing.owner.clone(),
                standing.last_read.as_deref().map_or_else(none, short),
                standing.last_write.as_deref().map_or_else(none, short),
                format!(
                    "{}: {}",
                    standing.installer_removed,
                    standing.rules.removed.meaning()
                ),
            ]);
            rows.push(row);
        }
    }
    columns(&rows)
}

fn who_can(able: &Able) -> String {
    let mut text = format!("portal {}: can authorise anew: ", able.portal);
    match (&able.asked, able.super_admins.as_slice()) {
        (None, _) => {
            let why = able.trouble.as_deref().unwrap_or("nobody knows");
            let _ = write!(text, "unknown, {why}");
            return text;
        }
        (Some(_), []) => text.push_str("no super admin"),
        (Some(_), admins) => {
            let _ = write!(text, "super admins {}", admins.join(", "));
        }
    }
    let _ = write!(
        text,
        "; for scopes approved before, any of {} others",
        able.others
    );
    if let Some(asked) = &able.asked {
        let _ = write!(text, " (as of {})", short(asked));
    }
    if let Some(trouble) = &able.trouble {
        let _ = write!(text, "; {trouble}");
    }
    text
}

fn findings<'a>(people: impl Iterator<Item = &'a Person>) -> String {
    let mut rows = vec![titles(&[
        "FINDING",
        "KIND",
        "CONNECTION",
        "PERSON",
        "SINCE",
        "ACKNOWLEDGED",
    ])];
    for person in people {
        for finding in &person.findings {
            rows.push(vec![
                finding.id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
                finding.kind.clone(),
                finding.connection.clone(),
                person.person.clone(),
                short(&finding.since),
                finding.acknowledged.clone().unwrap_or_else(|| "-".to_owned()),
            ]);
        }
    }
    if rows.len() == 1 {
        return String::new();
    }
    columns(&rows)
}

fn integrations(person: &Person) -> Vec<String> {
    let mut names: Vec<String> = person
        .connections
        .iter()
        .flat_map(|one| {
            one.integrations
                .iter()
                .map(|standing| standing.integration.clone())
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn open(person: &Person) -> usize {
    person.findings.iter().filter(|finding| finding.is_open()).count()
}

fn some(names: Vec<String>) -> String {
    match names.len() {
        0 => "-".to_owned(),
        count if count > NAMES => count.to_string(),
        _ => names.join(", "),
    }
}

fn titles(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// `2026-11-26 12:40Z` of a full time.
fn short(at: &str) -> String {
    at.parse::<jiff::Timestamp>()
        .map_or_else(|_| at.to_owned(), admin::short)
}
