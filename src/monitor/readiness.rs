//! Whether this gate should get traffic.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::audit::Watch;

/// Most warnings that are listed; the rest are counted.
const WARNINGS: usize = 100;

/// What must hold before the gate is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The configuration was read.
    Configuration,
    /// Policies were read, those that don't load apart.
    Policies,
    /// The master key was opened and fits the store.
    MasterKey,
    /// The store can be read.
    Store,
    /// Audit records reach the disk.
    Audit,
}

impl Condition {
    /// Every condition.
    pub const ALL: [Condition; 5] = [
        Condition::Configuration,
        Condition::Policies,
        Condition::MasterKey,
        Condition::Store,
        Condition::Audit,
    ];

    fn bit(self) -> u8 {
        match self {
            Condition::Configuration => 1,
            Condition::Policies => 2,
            Condition::MasterKey => 4,
            Condition::Store => 8,
            Condition::Audit => 16,
        }
    }

    /// The condition, as `?verbose` names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Condition::Configuration => "configuration loaded",
            Condition::Policies => "policies loaded",
            Condition::MasterKey => "master key opened",
            Condition::Store => "store readable",
            Condition::Audit => "audit writable",
        }
    }
}

/// Readiness of one moment.
#[derive(Clone, Debug)]
pub struct Told {
    /// Whether the gate should get traffic.
    pub ready: bool,
    /// Whether it is going down.
    pub draining: bool,
    /// Every condition and whether it holds.
    pub conditions: [(&'static str, bool); Condition::ALL.len()],
    /// Subject and text, as many as are listed.
    pub warnings: Vec<(String, String)>,
}

/// The conditions, each false until somebody says otherwise.
#[derive(Default)]
pub struct Readiness {
    met: AtomicU8,
    draining: AtomicBool,
    audit: OnceLock<Watch>,
    hardening: OnceLock<Vec<(bool, String)>>,
    warnings: Mutex<BTreeMap<String, String>>,
}

impl Readiness {
    /// Says whether a condition holds.
    pub fn set(&self, condition: Condition, holds: bool) {
        if holds {
            self.met.fetch_or(condition.bit(), Ordering::SeqCst);
        } else {
            self.met.fetch_and(!condition.bit(), Ordering::SeqCst);
        }
    }

    /// Takes [`Condition::Audit`] from the log itself from now on. The first watch stays.
    pub fn watch_audit(&self, watch: Watch) {
        let _ = self.audit.set(watch);
    }

    /// What the process gave up at its start: a line a measure, with whether it is in force. Said once.
    pub fn hardened(&self, lines: Vec<(bool, String)>) {
        let _ = self.hardening.set(lines);
    }

    /// Unready from now on, whatever else holds: the gate is going down.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Lists a warning under `subject` (`connection acme`), in place of an earlier one. Texts of
    /// ours only: whoever reaches the listener can read them.
    pub fn warn(&self, subject: impl Into<String>, text: impl Into<String>) {
        self.lock().insert(subject.into(), text.into());
    }

    /// Takes the warning about `subject` off the list.
    pub fn clear_warning(&self, subject: &str) {
        self.lock().remove(subject);
    }

    /// Whether the gate should get traffic.
    pub fn is_ready(&self) -> bool {
        !self.draining.load(Ordering::SeqCst) && Condition::ALL.into_iter().all(|c| self.holds(c))
    }

    fn holds(&self, condition: Condition) -> bool {
        match (condition, self.audit.get()) {
            (Condition::Audit, Some(watch)) => watch.writable(),
            _ => self.met.load(Ordering::SeqCst) & condition.bit() != 0,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it, for programs.
    pub fn told(&self) -> Told {
        let warnings = self.lock();
        let warnings = warnings.iter().take(WARNINGS);
        Told {
            ready: self.is_ready(),
            draining: self.draining.load(Ordering::SeqCst),
            conditions: Condition::ALL.map(|one| (one.as_str(), self.holds(one))),
            warnings: warnings
                .map(|(subject, text)| (subject.clone(), text.clone()))
                .collect(),
        }
    }

    /// One line a condition (`[+]` holds, `[-]` does not), one a measure of hardening, one a warning (`[!]`), then
    /// the verdict.
    pub fn verbose(&self) -> String {
        let mut text = String::new();
        let mut line = |mark: &str, what: &str| {
            // Writing to a String can't fail.
            let _ = writeln!(text, "[{mark}] {what}");
        };
        for condition in Condition::ALL {
            line(if self.holds(condition) { "+" } else { "-" }, condition.as_str());
        }
        let draining = self.draining.load(Ordering::SeqCst);
        line(if draining { "-" } else { "+" }, "not draining");
        for (holds, measure) in self.hardening.get().into_iter().flatten() {
            line(if *holds { "+" } else { "!" }, &format!("hardening: {measure}"));
        }
        let warnings = self.lock();
        for (subject, warning) in warnings.iter().take(WARNINGS) {
            line("!", &format!("{subject}: {warning}"));
        }
        if warnings.len() > WARNINGS {
            line("!", &format!("{} more warnings", warnings.len() - WARNINGS));
        }
        text.push_str(if self.is_ready() { "ready\n" } else { "not ready\n" });
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready() -> Readiness {
        let readiness = Readiness::default();
        for condition in Condition::ALL {
            readiness.set(condition, true);
        }
        readiness
    }

    #[test]
    fn the_gate_is_ready_only_while_every_condition_holds() {
        assert!(ready().is_ready());
        assert!(!Readiness::default().is_ready());
        for condition in Condition::ALL {
            let readiness = ready();
            readiness.set(condition, false);
            assert!(!readiness.is_ready(), "{condition:?}");
            assert!(
                readiness
                    .verbose()
                    .contains(&format!("[-] {}", condition.as_str()))
            );
            readiness.set(condition, true);
            assert!(readiness.is_ready(), "{condition:?}");
        }
    }

    #[test]
    fn draining_is_final_and_warnings_never_make_unready() {
        let readiness = ready();
        readiness.warn("connection acme", "suspended");
        assert!(readiness.is_ready());
        assert!(
            readiness
                .verbose()
                .contains("[!] connection acme: suspended\nready\n")
        );
        readiness.clear_warning("connection acme");
        assert!(!readiness.verbose().contains("acme"));
        readiness.drain();
        assert!(!readiness.is_ready());
        assert!(readiness.verbose().ends_with("[-] not draining\nnot ready\n"));
    }

    #[test]
    fn what_the_process_gave_up_is_listed_and_what_it_could_not_is_a_warning() {
        let readiness = ready();
        readiness.hardened(vec![
            (true, "no core dumps: in force".to_owned()),
            (false, "system calls: not available".to_owned()),
        ]);
        let text = readiness.verbose();
        assert!(
            text.contains("[+] hardening: no core dumps: in force\n"),
            "{text}"
        );
        assert!(
            text.contains("[!] hardening: system calls: not available\n"),
            "{text}"
        );
        assert!(readiness.is_ready());
    }

    #[test]
    fn a_thousand_warnings_are_listed_briefly() {
        let readiness = ready();
        for n in 0..1000 {
            readiness.warn(format!("connection c{n}"), "dead");
        }
        let text = readiness.verbose();
        assert_eq!(text.matches("[!]").count(), WARNINGS + 1);
        assert!(text.contains("[!] 900 more warnings"));
    }
}
