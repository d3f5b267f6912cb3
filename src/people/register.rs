//! Everybody behind a connection, with what stands on them: what `scopegate people` shows. Pure.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Serialize;

use super::findings::{Standing, World};
use crate::access::connection::PortalId;
use crate::access::installer::About;
use crate::store::{ConnectionRow, FindingRow, OffboardedRow, PersonRow, WatchRow};

/// One person, in all their accounts.
#[derive(Debug, Serialize)]
pub struct Person {
    /// The address, else HubSpot's number and the portal, else that nobody knows.
    pub person: String,
    /// The address, in lower case.
    pub email: Option<String>,
    /// The word for the worst there is to say.
    pub state: &'static str,
    /// Since when, if anything was ever settled.
    pub since: Option<String>,
    /// What an operator said when offboarding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offboarded: Option<Offboarded>,
    /// As each account's watcher sees it.
    pub accounts: Vec<Account>,
    /// What they installed.
    pub connections: Vec<Installed>,
    /// What is to be acted upon.
    pub findings: Vec<Finding>,
}

/// An operator's word.
#[derive(Debug, Serialize)]
pub struct Offboarded {
    /// When.
    pub at: String,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A person in one account.
#[derive(Debug, Serialize)]
pub struct Account {
    /// Which.
    pub portal: u64,
    /// HubSpot's number.
    pub user_id: u64,
    /// `here`, `deactivated`, `removed`, `lost_rights`.
    pub state: &'static str,
    /// Whether a super admin, if told.
    pub super_admin: Option<bool>,
    /// When a watcher last could tell.
    pub seen: Option<String>,
    /// Since when it can't, and why.
    pub unknown_since: Option<String>,
    /// Why not.
    pub unknown_why: Option<String>,
}

/// A connection that stands on a person.
#[derive(Debug, Serialize)]
pub struct Installed {
    /// Its name.
    pub connection: String,
    /// Its account.
    pub portal: u64,
    /// The address it was installed under; the person may have another one by now.
    #[serde(skip)]
    pub address: Option<String>,
    /// Whether it is the gate's own.
    pub watcher: bool,
    /// The integrations that use it.
    pub integrations: Vec<Standing>,
}

/// Something to act upon.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// What to acknowledge it by; none: the gate has not noted it yet.
    pub id: Option<i64>,
    /// Its kind.
    pub kind: String,
    /// About which connection.
    pub connection: String,
    /// Since when it is so.
    pub since: String,
    /// When the gate noted it.
    pub began: Option<String>,
    /// Integrations and what they last did, as it was then.
    pub then: Option<serde_json::Value>,
    /// Who acknowledged it, when and why.
    pub acknowledged: Option<String>,
}

impl Finding {
    /// Whether somebody should act upon it.
    pub fn is_open(&self) -> bool {
        self.acknowledged.is_none()
    }
}

/// Words for a state from bad to good: the worst stands for a person.
const STATES: [&str; 7] = [
    "offboarded",
    "removed",
    "deactivated",
    "lost_rights",
    "unknown",
    "unwatched",
    "here",
];

/// Everybody, by name.
pub fn register(
    world: &World<'_>,
    noted: &[FindingRow],
    offboarded: &[OffboardedRow],
    watches: &[WatchRow],
    now: Timestamp,
) -> Vec<Person> {
    let mut people: BTreeMap<String, Person> = BTreeMap::new();
    let noted: HashMap<_, &FindingRow> = noted
        .iter()
        .map(|noted| ((&*noted.kind, noted.connection, noted.since), noted))
        .collect();
    // By connection, in the order of the connections.
    let mut findings = world.findings(now).into_iter().peekable();
    for row in world.connections {
        let seen = world.person(row);
        let (name, email) = key_of(row, seen);
        let person = people.entry(name.clone()).or_insert_with(|| blank(name, email));
        person.connections.push(Installed {
            connection: row.name.to_string(),
            portal: row.portal.get(),
            address: row.installer_email.clone(),
            watcher: world.is_watcher(row),
            integrations: world.standing_on(row),
        });
        match seen {
            Some(seen)
                if !person
                    .accounts
                    .iter()
                    .any(|account| account.portal == seen.portal.get()) =>
            {
                person.accounts.push(account(seen));
            }
            Some(_) => {}
            None => worsen(person, "unwatched"),
        }
        if seen.is_some() && !watches.iter().any(|watch| watch.portal == row.portal) {
            worsen(person, "unwatched");
        }
        if seen.is_some_and(|seen| seen.unknown_since.is_some()) {
            worsen(person, "unknown");
        }
        if let Some(note) = &row.installer {
            worsen(person, note.about.as_str());
            person.since = Some(note.since.to_string());
        }
        while let Some(found) = findings.next_if(|found| found.row.id == row.id) {
            let kind = found.kind.as_str();
            let noted = noted.get(&(kind, row.id, found.since));
            person.findings.push(Finding {
                id: noted.map(|noted| noted.id),
                kind: kind.to_owned(),
                connection: row.name.to_string(),
                since: found.since.to_string(),
                began: noted.map(|noted| noted.began.to_string()),
                then: noted.and_then(|noted| serde_json::from_str(&noted.detail).ok()),
                acknowledged: noted
                    .and_then(|noted| noted.acknowledged.as_ref())
                    .map(|word| format!("{} by {}: {}", word.at, word.by, word.why)),
            });
        }
    }
    for row in offboarded {
        let person = people
            .entry(row.email.clone())
            .or_insert_with(|| blank(row.email.clone(), Some(row.email.clone())));
        worsen(person, About::Offboarded.as_str());
        person.offboarded = Some(Offboarded {
            at: row.at.to_string(),
            by: row.actor.clone(),
            reason: row.reason.clone(),
        });
    }
    people.into_values().collect()
}

/// Who could authorise the connections of a portal anew.
#[derive(Debug, Serialize)]
pub struct Able {
    /// The account.
    pub portal: u64,
    /// Active super admins, without those who leave.
    pub super_admins: Vec<String>,
    /// How many other active people there are: enough for scopes that were approved before.
    pub others: u64,
    /// When the watcher asked.
    pub asked: Option<String>,
    /// Why it could not tell, or that nobody watches.
    pub trouble: Option<String>,
}

/// Who could authorise a portal's connections anew, as far as its watcher knows: without those who leave.
pub fn able(portal: PortalId, watches: &[WatchRow], leaving: &[&str]) -> Able {
    match watches.iter().find(|watch| watch.portal == portal) {
        None => Able {
            portal: portal.get(),
            super_admins: Vec::new(),
            others: 0,
            asked: None,
            trouble: Some("no watcher has looked at this portal".to_owned()),
        },
        Some(watch) => Able {
            portal: portal.get(),
            super_admins: watch
                .super_admins
                .iter()
                .filter(|email| !leaving.iter().any(|gone| email.eq_ignore_ascii_case(gone)))
                .cloned()
                .collect(),
            others: watch.others,
            asked: Some(watch.asked.to_string()),
            trouble: watch.trouble.clone(),
        },
    }
}

/// The name a connection's installer goes by, and the address.
fn key_of(row: &ConnectionRow, person: Option<&PersonRow>) -> (String, Option<String>) {
    let email = person
        .and_then(|person| person.email.as_deref())
        .or(row.installer_email.as_deref())
        .map(str::to_ascii_lowercase);
    let name = match (&email, row.user_id) {
        (Some(email), _) => email.clone(),
        (None, Some(id)) => format!("user {id} of portal {}", row.portal),
        (None, None) => format!("unknown, of connection {}", row.name),
    };
    (name, email)
}

fn blank(person: String, email: Option<String>) -> Person {
    Person {
        person,
        email,
        state: "here",
        since: None,
        offboarded: None,
        accounts: Vec::new(),
        connections: Vec::new(),
        findings: Vec::new(),
    }
}

fn worsen(person: &mut Person, word: &'static str) {
    let rank = |word: &str| STATES.iter().position(|state| *state == word);
    if rank(word) < rank(person.state) {
        person.state = word;
    }
}

fn account(person: &PersonRow) -> Account {
    let state = match person.presence {
        presence if presence.is_gone() => presence.as_str(),
        _ if person.lost_rights_since.is_some() => About::LostRights.as_str(),
        presence => presence.as_str(),
    };
    Account {
        portal: person.portal.get(),
        user_id: person.user_id,
        state,
        super_admin: person.super_admin,
        seen: person.seen.map(|at| at.to_string()),
        unknown_since: person.unknown_since.map(|at| at.to_string()),
        unknown_why: person.unknown_why.clone(),
    }
}
