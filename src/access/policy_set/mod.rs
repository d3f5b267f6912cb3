//! All policies and the ceiling, as one value that is swapped whole (contracts.md §2, item 10).
//!
//! Built from the texts of a folder and the set that was in force before: a file that does not
//! load never delays the others. Deliberately absent: files and clocks.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::catalogue::Catalogue;
use super::policy::Policy;
use super::policy::ceiling::{Ceiling, FILE_NAME as CEILING_FILE};
use super::policy::compare;
use super::policy_text::mistake::{Mistake, Span, code};
use super::policy_text::read::is_integration_name;

/// One file of the policy folder, as found there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// Path as people should see it.
    pub path: Arc<str>,
    /// Path inside the folder, with `/`: `sales/crm-sync.yaml`.
    pub inside: String,
    /// The text, or why it can't be had.
    pub text: Result<Arc<str>, String>,
}

/// What a file is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind<'a> {
    /// `_ceiling.yaml` at the top.
    Ceiling,
    /// A policy, by its name without `.yaml`.
    Policy(&'a str),
    /// Cases of a policy, by the policy's name.
    Cases(&'a str),
    /// A name people would expect to be read, and is not.
    Misnamed,
    /// Something else.
    Other,
}

impl PolicyFile {
    /// What the file is.
    pub fn kind(&self) -> FileKind<'_> {
        let name = self.inside.rsplit('/').next().unwrap_or(&self.inside);
        if name == CEILING_FILE {
            return match self.inside == CEILING_FILE {
                true => FileKind::Ceiling,
                false => FileKind::Misnamed,
            };
        }
        if let Some(stem) = name.strip_suffix(".cases.yaml") {
            return FileKind::Cases(stem);
        }
        match name.strip_suffix(".yaml") {
            Some(stem) => FileKind::Policy(stem),
            None if name.ends_with(".yml") => FileKind::Misnamed,
            None => FileKind::Other,
        }
    }
}

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
    /// The file does not load and none is running: a gate must not start, nothing is allowed.
    Broken,
}

/// Policies and ceiling in force.
#[derive(Debug)]
pub struct PolicySet {
    entries: BTreeMap<Arc<str>, Entry>,
    ceiling: Option<Arc<Ceiling>>,
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
            stale_at: now + jiff::SignedDuration::try_from(policies_stale).unwrap_or_default(),
            mistakes: Vec::new(),
        };
        let (ceiling, ceiling_state) = builder.ceiling(files);
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
        let set = Self {
            digest: digest(&entries, ceiling.as_deref()),
            entries,
            ceiling,
            ceiling_state,
            catalogue_digest: catalogue.digest().to_owned(),
        };
        (set, builder.mistakes)
    }

    /// The set in force when the folder as a whole can't be read: every policy stands in for
    /// itself, no longer than a broken one would.
    pub fn unreadable(&self, now: Timestamp, policies_stale: std::time::Duration) -> Self {
        let stale_at = now + jiff::SignedDuration::try_from(policies_stale).unwrap_or_default();
        let entries = self.entries.iter().map(|(name, entry)| {
            let entry = Entry {
                policy: entry.policy.clone(),
                stands_in_until: entry.stands_in_until.or(Some(stale_at)),
            };
            (Arc::clone(name), entry)
        });
        Self {
            entries: entries.collect(),
            ceiling: self.ceiling.clone(),
            ceiling_state: match self.ceiling_state {
                CeilingState::InForce => CeilingState::Kept,
                other => other,
            },
            catalogue_digest: self.catalogue_digest.clone(),
            digest: self.digest.clone(),
        }
    }

    /// What is known of an integration's policy, now.
    pub fn policy(&self, integration: &str, now: Timestamp) -> PolicyState<'_> {
        let Some(entry) = self.entries.get(integration) else {
            return PolicyState::Missing;
        };
        let is_over = entry.stands_in_until.is_some_and(|until| now >= until);
        match &entry.policy {
            Some(policy) if !is_over && self.ceiling_state != CeilingState::Broken => {
                match policy.is_expired(now) {
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

struct Builder<'a> {
    catalogue: &'a Catalogue,
    previous: Option<&'a PolicySet>,
    now: Timestamp,
    stale_at: Timestamp,
    mistakes: Vec<Mistake>,
}

impl Builder<'_> {
    fn misnamed(&mut self, file: &PolicyFile) {
        let (message, help) = match file.inside.ends_with(".yml") {
            true => ("this file is not read", "name it `NAME.yaml`"),
            false => (
                "a ceiling in a sub-folder is not read",
                "there is one ceiling, at the top of the policy folder",
            ),
        };
        self.mistakes.push(
            Mistake::error(code::FILE_NAME, Span::start(), message)
                .help(help)
                .in_file(&file.path),
        );
    }

    /// A changed ceiling takes effect if it loads; one that vanishes or does not load leaves the
    /// running one in force.
    fn ceiling(&mut self, files: &[PolicyFile]) -> (Option<Arc<Ceiling>>, CeilingState) {
        let running = self.previous.and_then(|set| set.ceiling.clone());
        let Some(file) = files.iter().find(|file| file.kind() == FileKind::Ceiling) else {
            return match running {
                None => (None, CeilingState::Absent),
                Some(running) => {
                    let mistake = Mistake::warning(
                        code::FILE_NAME,
                        Span::start(),
                        "the ceiling has vanished, and the running one stays in force",
                    );
                    let mistake = mistake.help("put it back, or restart the gate to drop it");
                    self.mistakes.push(mistake.in_file(&running.file));
                    match self.again(running) {
                        Some(running) => (Some(running), CeilingState::Kept),
                        None => (None, CeilingState::Broken),
                    }
                }
            };
        };
        let loaded = match &file.text {
            Ok(text) => Ceiling::load(&file.path, text, self.catalogue),
            Err(why) => Err(vec![unreadable(file, why)]),
        };
        match loaded {
            Ok((ceiling, warnings)) => {
                self.mistakes.extend(warnings);
                (Some(Arc::new(ceiling)), CeilingState::InForce)
            }
            Err(mistakes) => {
                self.mistakes.extend(mistakes);
                match running.and_then(|running| self.again(running)) {
                    Some(running) => (Some(running), CeilingState::Kept),
                    None => (None, CeilingState::Broken),
                }
            }
        }
    }

    /// A running ceiling, compiled again if the catalogue has changed under it: indices of another
    /// catalogue would mean other operations. `None` if it names what no longer exists.
    fn again(&self, running: Arc<Ceiling>) -> Option<Arc<Ceiling>> {
        if self.same_catalogue() {
            return Some(running);
        }
        let loaded = Ceiling::load(&running.file, &running.text, self.catalogue);
        loaded.ok().map(|(ceiling, _)| Arc::new(ceiling))
    }

    fn same_catalogue(&self) -> bool {
        self.previous
            .is_some_and(|set| set.catalogue_digest == self.catalogue.digest())
    }

    fn entry(&mut self, stem: &str, files: &[&PolicyFile]) -> Option<Entry> {
        if stem.starts_with(['.', '_']) {
            return None;
        }
        let [file] = files else {
            self.duplicates(stem, files);
            return Some(self.standing_in(stem));
        };
        if !is_integration_name(stem) {
            self.mistakes.push(
                Mistake::error(
                    code::BAD_NAME,
                    Span::start(),
                    "this file's name is no integration's name",
                )
                .help("use 1 to 64 of a-z, 0-9 and `-`, then `.yaml`")
                .in_file(&file.path),
            );
            return None;
        }
        let text = match &file.text {
            Ok(text) => text,
            Err(why) => {
                self.mistakes.push(unreadable(file, why));
                return Some(self.standing_in(stem));
            }
        };
        if let Some(unchanged) = self.unchanged(stem, file, text) {
            return Some(unchanged);
        }
        match Policy::load(&file.path, stem, text, self.catalogue, self.now) {
            Ok((policy, warnings)) => {
                self.mistakes.extend(warnings);
                Some(Entry {
                    policy: Some(Arc::new(policy)),
                    stands_in_until: None,
                })
            }
            Err(mistakes) => {
                self.mistakes.extend(mistakes);
                Some(self.standing_in(stem))
            }
        }
    }

    /// The entry in force, if its file is as it was: a reload costs what has changed.
    fn unchanged(&self, stem: &str, file: &PolicyFile, text: &Arc<str>) -> Option<Entry> {
        let before = self.previous?.entries.get(stem)?;
        let policy = before.policy.as_ref()?;
        let is_same = policy.text == *text && policy.file == file.path;
        (is_same && before.stands_in_until.is_none() && self.same_catalogue()).then(|| before.clone())
    }

    fn duplicates(&mut self, stem: &str, files: &[&PolicyFile]) {
        for file in files {
            let others: Vec<&str> = files
                .iter()
                .filter(|other| other.path != file.path)
                .map(|other| &*other.path)
                .collect();
            self.mistakes.push(
                Mistake::error(
                    code::DUPLICATE_POLICY,
                    Span::start(),
                    format!("`{stem}` has another policy: {}", others.join(", ")),
                )
                .help("keep one file for each integration")
                .in_file(&file.path),
            );
        }
    }

    /// The previous version, for as long as it may stand in.
    fn standing_in(&self, stem: &str) -> Entry {
        let nothing = Entry {
            policy: None,
            stands_in_until: None,
        };
        let Some(before) = self.previous.and_then(|set| set.entries.get(stem)) else {
            return nothing;
        };
        let Some(policy) = &before.policy else {
            return nothing;
        };
        let until = before.stands_in_until.unwrap_or(self.stale_at);
        if self.now >= until {
            return nothing;
        }
        let policy = match self.same_catalogue() {
            true => Some(Arc::clone(policy)),
            false => Policy::load(&policy.file, stem, &policy.text, self.catalogue, self.now)
                .ok()
                .map(|(policy, _)| Arc::new(policy)),
        };
        Entry {
            policy,
            stands_in_until: Some(until),
        }
    }
}

fn unreadable(file: &PolicyFile, why: &str) -> Mistake {
    Mistake::error(
        code::UNREADABLE,
        Span::start(),
        format!("this file can't be read: {why}"),
    )
    .help("make it a readable UTF-8 text file")
    .in_file(&file.path)
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
