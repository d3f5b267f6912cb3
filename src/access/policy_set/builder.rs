//! The next set: each file for itself, what does not load stood in for by what is in force.

use std::sync::Arc;

use jiff::Timestamp;

use super::{CeilingState, Entry, FileKind, PolicyFile, PolicySet};
use crate::access::catalogue::Catalogue;
use crate::access::policy::Policy;
use crate::access::policy::ceiling::Ceiling;
use crate::access::policy_text::mistake::{Mistake, Span, code};
use crate::access::policy_text::read::is_integration_name;

/// Builds the next set beside the one in force.
pub(super) struct Builder<'a> {
    pub(super) catalogue: &'a Catalogue,
    pub(super) previous: Option<&'a PolicySet>,
    pub(super) now: Timestamp,
    pub(super) stale_at: Timestamp,
    pub(super) mistakes: Vec<Mistake>,
}

/// The ceiling of the next set.
pub(super) struct NextCeiling {
    pub(super) ceiling: Option<Arc<Ceiling>>,
    /// What was in force and is no more, since the catalogue does not have what it names.
    pub(super) lost: Option<Arc<Ceiling>>,
    pub(super) state: CeilingState,
}

/// What is said of a ceiling whose file is gone.
fn vanished(kept: &NextCeiling) -> Option<Mistake> {
    let mistake = match (&kept.ceiling, &kept.lost) {
        (Some(ceiling), _) => Mistake::warning(
            code::FILE_NAME,
            Span::start(),
            "the ceiling has vanished, and the running one stays in force",
        )
        .help("put it back, or restart the gate to drop it")
        .in_file(&ceiling.file),
        (None, Some(lost)) => Mistake::error(
            code::FILE_NAME,
            Span::start(),
            "the ceiling has vanished, and the running one names what the catalogue no longer has: nothing is allowed",
        )
        .help("put in one that loads, or restart the gate to drop it")
        .in_file(&lost.file),
        (None, None) => return None,
    };
    Some(mistake)
}

impl Builder<'_> {
    pub(super) fn misnamed(&mut self, file: &PolicyFile) {
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
    pub(super) fn ceiling(&mut self, files: &[PolicyFile]) -> NextCeiling {
        let Some(file) = files.iter().find(|file| file.kind() == FileKind::Ceiling) else {
            let kept = self.kept_ceiling(CeilingState::Absent);
            self.mistakes.extend(vanished(&kept));
            return kept;
        };
        let loaded = match &file.text {
            Ok(text) => Ceiling::load(&file.path, text, self.catalogue),
            Err(why) => Err(vec![unreadable(file, why)]),
        };
        match loaded {
            Ok((ceiling, warnings)) => {
                self.mistakes.extend(warnings);
                NextCeiling {
                    ceiling: Some(Arc::new(ceiling)),
                    lost: None,
                    state: CeilingState::InForce,
                }
            }
            Err(mistakes) => {
                self.mistakes.extend(mistakes);
                self.kept_ceiling(CeilingState::Broken)
            }
        }
    }

    /// The running ceiling, when nothing takes its place; `otherwise` if there is none. One that names what a changed
    /// catalogue does not have is kept for when it does again: until then nothing is allowed.
    pub(super) fn kept_ceiling(&self, otherwise: CeilingState) -> NextCeiling {
        let running = self.previous.and_then(|set| set.ceiling.as_ref());
        let lost = self.previous.and_then(|set| set.lost_ceiling.as_ref());
        let again = match running {
            Some(running) if self.same_catalogue() => Some(Arc::clone(running)),
            // Indices of another catalogue would mean other operations.
            _ => running.or(lost).and_then(|text| {
                let loaded = Ceiling::load(&text.file, &text.text, self.catalogue);
                loaded.ok().map(|(ceiling, _)| Arc::new(ceiling))
            }),
        };
        match (again, running.or(lost)) {
            (Some(ceiling), _) => NextCeiling {
                ceiling: Some(ceiling),
                lost: None,
                state: CeilingState::Kept,
            },
            (None, Some(lost)) => NextCeiling {
                ceiling: None,
                lost: Some(Arc::clone(lost)),
                state: CeilingState::Broken,
            },
            (None, None) => NextCeiling {
                ceiling: None,
                lost: None,
                state: otherwise,
            },
        }
    }

    fn same_catalogue(&self) -> bool {
        self.previous.is_some_and(|set| set.is_of(self.catalogue))
    }

    pub(super) fn entry(&mut self, stem: &str, files: &[&PolicyFile]) -> Option<Entry> {
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
            // Which of them stays is for people to say, and they want to see what is wrong in it.
            let read = match &file.text {
                Ok(text) => Policy::load(&file.path, stem, text, self.catalogue, self.now),
                Err(why) => Err(vec![unreadable(file, why)]),
            };
            self.mistakes.extend(match read {
                Ok((_, warnings)) => warnings,
                Err(mistakes) => mistakes,
            });
        }
    }

    /// The previous version, for as long as it may stand in.
    pub(super) fn standing_in(&self, stem: &str) -> Entry {
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
