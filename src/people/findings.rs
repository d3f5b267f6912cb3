//! What somebody should act upon, worked out from what is known of people. Pure: time is an argument.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::access::effect::Class;
use crate::access::installer::{About, Installer, InstallerRules};
use crate::access::policy::tables::ConnectionRef;
use crate::access::policy_set::PolicySet;
use crate::access::policy_text::written::Selector;
use crate::config::PeopleSettings;
use crate::metrics::FindingKind;
use crate::store::{ConnectionRow, LastUse, NewFinding, PersonRow};

/// How long a watcher may not be able to tell before that is a finding.
pub const UNKNOWN_FOR: Duration = Duration::from_secs(24 * 3600);

/// Everything that findings follow from.
pub struct World<'a> {
    /// Every connection.
    pub connections: &'a [ConnectionRow],
    /// Everybody a watcher has looked for, in the store's order: by portal and user.
    pub people: &'a [PersonRow],
    /// The policies in force.
    pub policies: &'a PolicySet,
    /// Who watches, and who counts as a service user.
    pub settings: &'a PeopleSettings,
    /// When integrations last did something, in the store's order: by integration, connection, class.
    pub uses: &'a [LastUse],
}

/// An integration that may use a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Which.
    pub integration: String,
    /// Whom to ask.
    pub owner: String,
    /// What its policy says about an installer who is gone.
    pub installer_removed: &'static str,
    /// What it says about one who lost rights.
    pub installer_lost_rights: &'static str,
    /// When HubSpot last carried out a read for it.
    pub last_read: Option<String>,
    /// When it last carried out a write.
    pub last_write: Option<String>,
    /// The policy's rules, for those who ask what they mean.
    #[serde(skip)]
    pub rules: InstallerRules,
}

/// Integrations that a finding names: with a hundred policies for all of ten thousand accounts, all of them
/// in each would be gigabytes.
const INTEGRATIONS_TOLD: usize = 20;

/// What a finding tells people.
#[derive(Debug, Serialize)]
struct Detail<'a> {
    connection: &'a str,
    portal: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    integrations: Vec<Standing>,
    /// Beyond those that are named.
    #[serde(skip_serializing_if = "Option::is_none")]
    more_integrations: Option<usize>,
}

/// Something that is so now; whether it is news, the store knows.
#[derive(Debug)]
pub struct Found<'a> {
    /// What.
    pub kind: FindingKind,
    /// About which connection.
    pub row: &'a ConnectionRow,
    /// Since when.
    pub since: Timestamp,
    why: Option<&'a str>,
}

impl<'a> World<'a> {
    /// All findings, by connection.
    pub fn findings(&self, now: Timestamp) -> Vec<Found<'a>> {
        let mut found = Vec::new();
        for row in self.connections {
            let person = self.person(row);
            let mut add = |kind: FindingKind, since: Timestamp, why: Option<&'a str>| {
                found.push(Found {
                    kind,
                    row,
                    since,
                    why,
                });
            };
            if let Some(note) = &row.installer {
                add(kind_of(note.about), note.since, None);
            }
            let consented = row.installed.unwrap_or(row.created);
            match row.user_id {
                None => add(FindingKind::InstallerUnknown, consented, None),
                Some(_) if !self.is_service_user(row, person) => {
                    add(FindingKind::InstallerIsNoServiceUser, consented, None);
                }
                Some(_) => {}
            }
            if person.and_then(|person| person.super_admin) == Some(true) {
                add(FindingKind::InstallerIsSuperAdmin, consented, None);
            }
            if let Some((since, why)) = person.and_then(unknown_since)
                && now > since
                && now.duration_since(since).unsigned_abs() >= UNKNOWN_FOR
            {
                add(FindingKind::WatchUnknown, since, why);
            }
            if self.is_watcher(row) && self.covering(row, false).next().is_some() {
                add(FindingKind::WatcherCoveredByPolicy, row.created, None);
            }
        }
        found
    }

    /// A finding with all that is told of it.
    pub fn told(&self, found: &Found<'_>) -> NewFinding {
        NewFinding {
            kind: found.kind.as_str(),
            connection: found.row.id,
            person: name_of(found.row, self.person(found.row)),
            since: found.since,
            detail: self.detail(found.row, found.why),
        }
    }

    /// The person behind a connection, if a watcher has looked for them.
    pub fn person(&self, row: &ConnectionRow) -> Option<&'a PersonRow> {
        let wanted = (row.portal, row.user_id?);
        let found = self
            .people
            .binary_search_by_key(&wanted, |person| (person.portal, person.user_id));
        self.people.get(found.ok()?)
    }

    /// Whether the connection is set aside for watching.
    pub fn is_watcher(&self, row: &ConnectionRow) -> bool {
        self.settings.is_watcher(row.name.as_str())
    }

    /// The integrations whose policies cover a connection, and what they last did there. None stand on
    /// a watcher: calls to it are refused, whatever a policy says.
    pub fn standing_on(&self, row: &ConnectionRow) -> Vec<Standing> {
        if self.is_watcher(row) {
            return Vec::new();
        }
        let last = |integration: &str, class| {
            let found = self.uses.binary_search_by(|last| {
                let wanted = (integration, &row.id, class);
                (last.integration.as_str(), &last.connection, last.class).cmp(&wanted)
            });
            self.uses.get(found.ok()?).map(|last| last.at.to_string())
        };
        self.covering(row, true)
            .map(|policy| Standing {
                integration: policy.integration.to_string(),
                owner: policy.owner.clone(),
                installer_removed: policy.installer.removed.as_str(),
                installer_lost_rights: policy.installer.lost_rights.as_str(),
                last_read: last(&policy.integration, Class::Read),
                last_write: last(&policy.integration, Class::Write),
                rules: policy.installer,
            })
            .collect()
    }

    /// Policies that cover a connection; `by_all`: also those that say `"*"`, which never means a
    /// watcher.
    fn covering(
        &self,
        row: &ConnectionRow,
        by_all: bool,
    ) -> impl Iterator<Item = &crate::access::policy::Policy> {
        let connection = ConnectionRef {
            name: row.name.as_str(),
            app: row.app.as_deref(),
        };
        self.policies
            .integrations()
            .filter_map(|(_, policy, _)| policy.map(AsRef::as_ref))
            .filter(move |policy| {
                policy.connections.iter().any(|selector| {
                    (by_all || *selector != Selector::All) && connection.is_selected_by(selector)
                })
            })
    }

    /// Without a known address nobody is a service user.
    fn is_service_user(&self, row: &ConnectionRow, person: Option<&PersonRow>) -> bool {
        [
            person.and_then(|person| person.email.as_deref()),
            row.installer_email.as_deref(),
        ]
        .into_iter()
        .flatten()
        .any(|email| {
            self.settings
                .technical_users
                .iter()
                .any(|pattern| matches(pattern, email))
        })
    }

    fn detail(&self, row: &ConnectionRow, why: Option<&str>) -> String {
        let mut integrations = self.standing_on(row);
        if self.is_watcher(row) {
            // For the finding that policies name it.
            integrations.extend(self.covering(row, false).map(|policy| Standing {
                integration: policy.integration.to_string(),
                owner: policy.owner.clone(),
                installer_removed: policy.installer.removed.as_str(),
                installer_lost_rights: policy.installer.lost_rights.as_str(),
                last_read: None,
                last_write: None,
                rules: policy.installer,
            }));
        }
        let more = integrations.len().saturating_sub(INTEGRATIONS_TOLD);
        integrations.truncate(INTEGRATIONS_TOLD);
        let detail = Detail {
            connection: row.name.as_str(),
            portal: row.portal.get(),
            why,
            integrations,
            more_integrations: (more > 0).then_some(more),
        };
        // Names and times always serialise.
        serde_json::to_string(&detail).unwrap_or_default()
    }
}

/// Since when nobody can tell whether a person is there, and why: the watcher could not, or none has asked
/// since, because it was taken away, say.
fn unknown_since(person: &PersonRow) -> Option<(Timestamp, Option<&str>)> {
    match (person.unknown_since, person.seen) {
        (Some(since), _) => Some((since, person.unknown_why.as_deref())),
        (None, Some(seen)) => Some((seen, Some("no watcher has asked since"))),
        (None, None) => None,
    }
}

/// The word for a person: the address, else HubSpot's number.
pub fn name_of(row: &ConnectionRow, person: Option<&PersonRow>) -> Option<String> {
    person
        .and_then(|person| person.email.clone())
        .or_else(|| row.installer_email.clone())
        .or_else(|| row.user_id.map(|id| format!("user {id}")))
}

fn kind_of(about: About) -> FindingKind {
    match about {
        About::Offboarded => FindingKind::InstallerOffboarded,
        About::Removed => FindingKind::InstallerRemoved,
        About::Deactivated => FindingKind::InstallerDeactivated,
        About::LostRights => FindingKind::InstallerLostRights,
    }
}

/// Whether a kind is about an installer who is gone.
pub fn is_gone(kind: &str) -> bool {
    About::ALL
        .into_iter()
        .any(|about| about.installer() == Installer::Gone && kind_of(about).as_str() == kind)
}

/// Whether an address fits a pattern in which `*` stands for anything; case does not matter.
fn matches(pattern: &str, email: &str) -> bool {
    let (pattern, email) = (pattern.to_ascii_lowercase(), email.to_ascii_lowercase());
    let mut pieces = pattern.split('*');
    // Invariant: `split` yields at least one piece.
    let Some(mut rest) = pieces.next().and_then(|first| email.strip_prefix(first)) else {
        return false;
    };
    let mut last = None;
    for piece in pieces {
        if let Some(middle) = last.replace(piece) {
            match rest.split_once(middle) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
    }
    match last {
        None => rest.is_empty(),
        Some(end) => rest.ends_with(end),
    }
}

#[cfg(test)]
#[path = "findings_tests.rs"]
mod tests;
