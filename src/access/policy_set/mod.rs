//! All policies and the ceiling, as one value that is swapped whole (contracts.md §2, item 10).
//!
//! Built from the texts of a folder and the set that was in force before: a file that does not
//! load never delays the others. Deliberately absent: files and clocks.

mod builder;
mod file;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use self::builder::{Builder, NextCeiling};
pub use self::file::{FileKind, PolicyFile};
use super::catalogue::Catalogue;
use super::policy::Policy;
use super::policy::ceiling::Ceiling;
use super::policy::compare;
use super::policy_text::mistake::Mistake;

/// What is known of an integration's policy.
#[derive(Clone, Copy, Debug)]
pub enum PolicyState<'a> {
    /// There is none.
    Missing,
    /// There is one that does not load, and no earlier version may stand in for it.
    Invalid,
    /// Its last day is over.
    Expired(&'a Arc<Policy>),
    /// In force.
    Ready(&'a Arc<Policy>),
}

/// How the ceiling stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CeilingState {
    /// There is none.
    Absent,
    /// As the file says.
    InForce,
    /// The file vanished or does not load: the running one stays in force.
    Kept,
    /// The file does not load and none is running: a gate must not start, nothing is allowed. Or a changed catalogue does
    /// not have what the running one names: so it stays, with the file or without, until one loads.
    Broken,
}

/// Policies and ceiling in force.
#[derive(Debug)]
pub struct PolicySet {
    entries: BTreeMap<Arc<str>, Entry>,
    ceiling: Option<Arc<Ceiling>>,
    /// The one that was in force until a changed catalogue did not have what it names. For its text alone.
    lost_ceiling: Option<Arc<Ceiling>>,
    ceiling_state: CeilingState,
    catalogue_digest: String,
    digest: String,
}

#[derive(Clone, Debug)]
struct Entry {
    policy: Option<Arc<Policy>>,
    /// Set while the file does not load: until then the previous version stands in for it.
    stands_in_until: Option<Timestamp>,
}

impl PolicySet {
    /// Builds the set of `files`. `previous` is the set in force, if any; a policy that does not
    /// load keeps its version from there for `policies_stale` from its first failure.
    ///
    /// Returns every mistake of every changed file; the errors among them are of files that did not
    /// load. What policies ask for beyond the ceiling is not looked for here, since a tightening
    /// should not wait for it: see [`PolicySet::beyond_ceiling`].
    pub fn build(
        files: &[PolicyFile],
        catalogue: &Catalogue,
        previous: Option<&PolicySet>,
        now: Timestamp,
        policies_stale: std::time::Duration,
    ) -> (Self, Vec<Mistake>) {
        let mut builder = Builder {
            catalogue,
            previous,
            now,
            stale_at: after(now, policies_stale),
            mistakes: Vec::new(),
        };
        let next = builder.ceiling(files);
        let mut by_name: BTreeMap<&str, Vec<&PolicyFile>> = BTreeMap::new();
        for file in files {
            match file.kind() {
                FileKind::Policy(stem) => by_name.entry(stem).or_default().push(file),
                FileKind::Misnamed => builder.misnamed(file),
                FileKind::Ceiling | FileKind::Cases(_) | FileKind::Other => {}
            }
        }
        let mut entries = BTreeMap::new();
        for (stem, files) in by_name {
            if let Some(entry) = builder.entry(stem, &files) {
                entries.insert(Arc::from(stem), entry);
            }
        }
        (Self::of(entries, next, catalogue), builder.mistakes)
    }

    /// The set in force when the folder as a whole can't be read: every policy stands in for itself, no longer than a
    /// broken one would, resolved against `catalogue`, which may have changed meanwhile.
    pub fn unreadable(
        &self,
        catalogue: &Catalogue,
        now: Timestamp,
        policies_stale: std::time::Duration,
    ) -> Self {
        let builder = Builder {
            catalogue,
            previous: Some(self),
            now,
            stale_at: after(now, policies_stale),
            mistakes: Vec::new(),
        };
        let names = self.entries.keys();
        let entries = names
            .map(|name| (Arc::clone(name), builder.standing_in(name)))
            .collect();
        Self::of(entries, builder.kept_ceiling(self.ceiling_state), catalogue)
    }

    /// What was resolved against `catalogue`.
    fn of(entries: BTreeMap<Arc<str>, Entry>, next: NextCeiling, catalogue: &Catalogue) -> Self {
        Self {
            digest: digest(&entries, next.ceiling.as_deref()),
            entries,
            ceiling: next.ceiling,
            lost_ceiling: next.lost,
            ceiling_state: next.state,
            catalogue_digest: catalogue.digest().to_owned(),
        }
    }

    /// Whether this is the catalogue that the policies were resolved against: indices of another one mean other
    /// operations.
    pub fn is_of(&self, catalogue: &Catalogue) -> bool {
        self.catalogue_digest == catalogue.digest()
    }

    /// What is known of an integration's policy, now.
    pub fn policy(&self, integration: &str, now: Timestamp) -> PolicyState<'_> {
        self.policy_at(integration, || now)
    }

    /// The same; only what ends asks for the time.
    pub fn policy_at(&self, integration: &str, now: impl Fn() -> Timestamp) -> PolicyState<'_> {
        let Some(entry) = self.entries.get(integration) else {
            return PolicyState::Missing;
        };
        let is_over = entry.stands_in_until.is_some_and(|until| now() >= until);
        match &entry.policy {
            Some(policy) if !is_over && self.ceiling_state != CeilingState::Broken => {
                match policy.expires_at().is_some_and(|_| policy.is_expired(now())) {
                    true => PolicyState::Expired(policy),
                    false => PolicyState::Ready(policy),
                }
            }
            _ => PolicyState::Invalid,
        }
    }

    /// Every integration that has a policy file, and whether the file loads as it stands (for
    /// metrics: `scopegate_policy_invalid`).
    pub fn integrations(&self) -> impl Iterator<Item = (&Arc<str>, Option<&Arc<Policy>>, bool)> {
        self.entries.iter().map(|(name, entry)| {
            let loads = entry.policy.is_some() && entry.stands_in_until.is_none();
            (name, entry.policy.as_ref(), loads)
        })
    }

    /// The ceiling in force.
    pub fn ceiling(&self) -> Option<&Ceiling> {
        self.ceiling.as_deref()
    }

    /// What policies ask for that the ceiling does not allow, and what it requires that they lack:
    /// for people, after the set is in force. The decision clips whatever this says.
    pub fn beyond_ceiling(&self, catalogue: &Catalogue, now: Timestamp) -> Vec<Mistake> {
        let Some(ceiling) = &self.ceiling else {
            return Vec::new();
        };
        let policies = self.entries.values().filter_map(|entry| entry.policy.as_ref());
        policies
            .flat_map(|policy| compare::with_ceiling(policy, ceiling, catalogue, now))
            .collect()
    }

    /// How the ceiling stands.
    pub fn ceiling_state(&self) -> CeilingState {
        self.ceiling_state
    }

    /// When the first of the standing-in versions must go: the publisher builds again then.
    pub fn next_change(&self) -> Option<Timestamp> {
        self.entries.values().filter_map(|e| e.stands_in_until).min()
    }

    /// SHA-256 over what is in force: 64 hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// A moment later; a setting beyond the calendar means never.
fn after(now: Timestamp, wait: std::time::Duration) -> Timestamp {
    jiff::SignedDuration::try_from(wait)
        .ok()
        .and_then(|wait| now.checked_add(wait).ok())
        .unwrap_or(Timestamp::MAX)
}

fn digest(entries: &BTreeMap<Arc<str>, Entry>, ceiling: Option<&Ceiling>) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut part = |text: &str| {
        // The length first, so that two parts never look like one.
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    };
    for (name, entry) in entries {
        part(name);
        part(entry.policy.as_ref().map_or("", |policy| &policy.text));
    }
    part(ceiling.map_or("", |ceiling| &ceiling.text));
    let digest = context.finish();
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
