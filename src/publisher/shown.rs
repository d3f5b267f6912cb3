//! What the publisher shows people of what it published: metrics, warnings of `/readyz?verbose`, and
//! each mistake once in the log.

use std::collections::BTreeMap;

use super::Publisher;
use crate::access::connection::Standing;
use crate::access::key::KeyId;
use crate::access::kill::{KillKind, Kills};
use crate::access::policy_text::mistake::Mistake;
use crate::clock;
use crate::health;
use crate::metrics::{KeySample, PolicySample};
use crate::snapshot::Snapshot;

/// A key whose row can't be read, or is not as it was written, opens nothing; the others do.
pub fn log_damaged_keys(ids: &[Option<KeyId>]) {
    for id in ids {
        let key = id.as_ref().map_or("?", KeyId::as_str);
        tracing::error!(
            event = "key.damaged",
            key,
            "a key can't be read, or was changed by another program than scopegate, and opens nothing: run `scopegate \
             store check`"
        );
    }
}

impl Publisher {
    /// Each set of mistakes once.
    pub(super) fn say_mistakes(&mut self, mistakes: &[Mistake]) {
        let lines: Vec<String> = mistakes.iter().map(Mistake::one_line).collect();
        if lines != self.said {
            log_mistakes(mistakes);
            self.said = lines;
        }
    }

    /// What the ceiling clips: for people, and after the swap, so that it delays nothing.
    pub fn show_clipped(&self) {
        let snapshot = self.gate.snapshot.load_full();
        log_mistakes(
            &snapshot
                .policies
                .beyond_ceiling(&snapshot.catalogue, clock::now()),
        );
    }

    /// Everything the metrics say about policies.
    pub fn show_policies(&mut self, snapshot: &Snapshot) {
        let samples: Vec<PolicySample<'_>> = snapshot
            .policies
            .integrations()
            .map(|(name, policy, loads)| PolicySample {
                integration: name,
                invalid: !loads,
                expires: policy.and_then(|policy| policy.expires_at()),
            })
            .collect();
        let invalid = samples.iter().filter(|sample| sample.invalid);
        let why = "does not load; see the log, or run `scopegate policy check`";
        let found = invalid
            .map(|sample| (format!("policy {}", sample.integration), why.to_owned()))
            .collect();
        self.warn_about("policy ", found);
        self.gate.metrics.set_policies(&snapshot.policy_digest, &samples);
        self.gate.metrics.set_catalogue(&snapshot.catalogue_digest);
    }

    /// Everything the metrics say about keys and connections.
    pub fn show_keys_and_connections(&mut self) {
        let snapshot = self.gate.snapshot.load_full();
        let keys: Vec<KeySample<'_>> = snapshot
            .keys
            .iter()
            .filter(|key| key.fault(clock::now).is_none())
            .filter_map(|key| {
                Some(KeySample {
                    integration: &key.integration,
                    expires: key.expires()?,
                })
            })
            .collect();
        self.gate.metrics.set_keys(&keys);
        let all = self.gate.live.all();
        let standings = all
            .iter()
            .map(|connection| (connection.name(), connection.shown_standing()));
        let troubled = standings.filter(|(_, standing)| *standing != Standing::Ok);
        let found = troubled.map(|(name, standing)| {
            (
                format!("connection {name}"),
                format!("is `{}`", standing.as_str()),
            )
        });
        let found = found.collect();
        health::show_connections(&self.gate.metrics, &all);
        self.warn_about("connection ", found);
        self.show_rotation();
    }

    /// Lists emergency stops by kind: whom they name stands in the audit log and `kill --list`.
    pub fn show_kills(&mut self, kills: &Kills) {
        let found = KillKind::ALL
            .into_iter()
            .filter(|kind| kills.count(*kind) > 0)
            .map(|kind| {
                let (subject, count) = (format!("kill {}", kind.as_str()), kills.count(kind));
                (subject, format!("{count} in force; see `scopegate kill --list`"))
            })
            .collect();
        self.warn_about("kill ", found);
    }

    /// Lists these warnings, and takes earlier ones of the kind off the list.
    fn warn_about(&mut self, kind: &str, found: BTreeMap<String, String>) {
        for over in self
            .warned
            .iter()
            .filter(|subject| subject.starts_with(kind) && !found.contains_key(*subject))
        {
            self.readiness.clear_warning(over);
        }
        self.warned.retain(|subject| !subject.starts_with(kind));
        for (subject, text) in found {
            self.readiness.warn(subject.clone(), text);
            self.warned.insert(subject);
        }
    }
}

/// Each mistake once, where it stands, without the text of the file.
pub fn log_mistakes(mistakes: &[Mistake]) {
    for mistake in mistakes {
        let (code, file, line, what) = (
            mistake.code,
            &*mistake.file,
            mistake.span.line,
            mistake.message.as_str(),
        );
        if mistake.is_error() {
            tracing::error!(event = "policy.mistake", code, file, line, what);
        } else {
            tracing::warn!(event = "policy.mistake", code, file, line, what);
        }
    }
}
