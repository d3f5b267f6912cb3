//! What the process gives up at its start, and what became of each measure.
//!
//! In this order, since later ones forbid what earlier ones need: [`begin`] (no core, not dumpable,
//! umask); the master key is fetched, possibly by a command; [`Hardening::confine`] (no new privileges,
//! Landlock, seccomp), before any other thread exists, so that all of them inherit it. What is given up is
//! never got back: files that are re-read, ports and the store must be known by then.
//!
//! A kernel that lacks a measure is said so, and the gate runs all the same. Knows nothing of the store, the
//! vault or requests.

mod calls;
mod files;
pub mod modes;
mod places;

use std::fmt;
use std::path::Path;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::config::Config;

/// One thing that is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// No core file.
    CoreDumps,
    /// Memory is closed to other processes of the same user.
    Memory,
    /// New files are for their owner alone.
    Umask,
    /// Runs as an unprivileged user.
    User,
    /// Files with secrets, and their folders, are closed to others.
    Modes,
    /// No program started from here gains privileges.
    Privileges,
    /// Landlock: files.
    Files,
    /// Landlock: TCP ports.
    Ports,
    /// seccomp: system calls.
    Calls,
}

impl Measure {
    /// Every measure, in the order in which they are shown.
    pub const ALL: [Self; 9] = [
        Self::CoreDumps,
        Self::Memory,
        Self::Umask,
        Self::User,
        Self::Modes,
        Self::Privileges,
        Self::Files,
        Self::Ports,
        Self::Calls,
    ];

    /// The measure's word, as a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CoreDumps => "core_dumps",
            Self::Memory => "memory",
            Self::Umask => "umask",
            Self::User => "user",
            Self::Modes => "modes",
            Self::Privileges => "privileges",
            Self::Files => "files",
            Self::Ports => "ports",
            Self::Calls => "calls",
        }
    }

    /// The measure, as people read it.
    fn title(self) -> &'static str {
        match self {
            Self::CoreDumps => "no core dumps",
            Self::Memory => "memory closed to other processes",
            Self::Umask => "new files for their owner alone",
            Self::User => "unprivileged user",
            Self::Modes => "files with secrets closed to others",
            Self::Privileges => "no new privileges",
            Self::Files => "other files out of reach (Landlock)",
            Self::Ports => "other TCP ports out of reach (Landlock)",
            Self::Calls => "dangerous system calls refused (seccomp)",
        }
    }
}

/// What became of a measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// In force, with what there is to say about it.
    InForce(String),
    /// Switched off by the configuration.
    Off,
    /// The kernel does not have it, or not all of it.
    NotAvailable(String),
    /// Should be in force and is not: why, and what to do.
    Failed(String),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InForce(detail) if detail.is_empty() => f.write_str("in force"),
            Self::InForce(detail) => write!(f, "in force: {detail}"),
            Self::Off => f.write_str("off: `hardening.sandbox` is `off`"),
            Self::NotAvailable(why) => write!(f, "not available: {why}"),
            Self::Failed(why) => write!(f, "not in force: {why}"),
        }
    }
}

/// Every measure that was tried, and what became of it.
#[derive(Clone, Debug, Default)]
pub struct Hardening {
    measures: Vec<(Measure, State)>,
}

/// The part that disturbs nothing, first thing in the process.
pub fn begin() -> Hardening {
    let mut hardening = Hardening::default();
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let outcome = |result: rustix::io::Result<()>, detail: &str| match result {
        Ok(()) => State::InForce(detail.to_owned()),
        Err(error) => State::Failed(format!("the system refuses it: {error}")),
    };
    hardening.note(Measure::CoreDumps, outcome(setrlimit(Resource::Core, none), ""));
    let closed = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    hardening.note(Measure::Memory, outcome(closed, ""));
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    hardening.note(Measure::Umask, State::InForce("077".to_owned()));
    hardening.note(Measure::User, user());
    hardening
}

/// Root can do whatever the kernel does not take away, and reads every file in reach.
fn user() -> State {
    match is_root() {
        true => State::Failed(
            "the gate runs as root: give it a user of its own, as the unit in `deploy/` does".to_owned(),
        ),
        false => State::InForce(format!("user {}", rustix::process::geteuid().as_raw())),
    }
}

/// Whether this process is root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Hardening {
    /// Looks at the modes of files and folders that hold secrets, or that the gate goes by, the
    /// configuration's `file` among them. Those that only tell too much are noted; the first that others could
    /// write to is the error.
    ///
    /// # Errors
    /// A file or folder that others can replace, with the remedy.
    pub fn look_at_modes(&mut self, config: &Config, file: &Path) -> Result<(), String> {
        let found = modes::findings(config, file);
        if let Some(open) = found.iter().find(|finding| finding.writable) {
            return Err(open.to_string());
        }
        let said: Vec<String> = found.iter().map(ToString::to_string).collect();
        let state = match said.is_empty() {
            true => State::InForce(String::new()),
            false => State::Failed(said.join("; ")),
        };
        self.note(Measure::Modes, state);
        Ok(())
    }

    /// Gives up what a running gate does not need: privileges, other files, other ports, dangerous calls.
    /// Holds for this thread and all that it starts from now on: call it before there are others.
    pub fn confine(&mut self, config: &Config) {
        if !config.hardening.sandbox {
            for measure in [
                Measure::Privileges,
                Measure::Files,
                Measure::Ports,
                Measure::Calls,
            ] {
                self.note(measure, State::Off);
            }
            return;
        }
        let privileges = match rustix::thread::set_no_new_privs(true) {
            Ok(()) => State::InForce(String::new()),
            Err(error) => State::Failed(format!("the system refuses it: {error}")),
        };
        self.note(Measure::Privileges, privileges);
        let (files, ports) = files::confine(&places::Places::of(config));
        self.note(Measure::Files, files);
        self.note(Measure::Ports, ports);
        self.note(Measure::Calls, calls::confine());
    }

    fn note(&mut self, measure: Measure, state: State) {
        self.measures.push((measure, state));
    }

    /// Every measure that was tried.
    pub fn measures(&self) -> &[(Measure, State)] {
        &self.measures
    }

    /// Whether a measure is in force.
    pub fn holds(&self, measure: Measure) -> bool {
        self.measures
            .iter()
            .any(|(known, state)| *known == measure && matches!(state, State::InForce(_)))
    }

    /// One line a measure, with whether it is in force. Tells nothing secret.
    pub fn lines(&self) -> Vec<(bool, String)> {
        let line = |(measure, state): &(Measure, State)| {
            let holds = matches!(state, State::InForce(_));
            (holds, format!("{}: {state}", measure.title()))
        };
        self.measures.iter().map(line).collect()
    }

    /// What keeps a strict start from going on.
    pub fn refuses_strictly(&self) -> Option<String> {
        self.measures
            .iter()
            .find_map(|(measure, state)| match (measure, state) {
                (Measure::Modes, _) => None,
                (_, State::Failed(why)) => Some(format!("{}: {why}", measure.title())),
                _ => None,
            })
    }

    /// Says in the log what is in force, and each measure that is not as a warning of its own.
    pub fn say(&self) {
        let in_force: Vec<&str> = self
            .measures
            .iter()
            .filter(|(_, state)| matches!(state, State::InForce(_)))
            .map(|(measure, _)| measure.as_str())
            .collect();
        tracing::info!(event = "gate.hardened", in_force = in_force.join(" ").as_str());
        for (measure, state) in &self.measures {
            if !matches!(state, State::InForce(_)) {
                let measure = measure.as_str();
                let state = state.to_string();
                tracing::warn!(event = "gate.not_hardened", measure, state = state.as_str());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_force_says_why_and_root_is_refused_strictly() {
        let mut hardening = Hardening::default();
        hardening.note(Measure::CoreDumps, State::InForce(String::new()));
        hardening.note(Measure::Calls, State::NotAvailable("no seccomp".to_owned()));
        assert!(hardening.holds(Measure::CoreDumps) && !hardening.holds(Measure::Calls));
        assert_eq!(
            hardening.lines(),
            [
                (true, "no core dumps: in force".to_owned()),
                (
                    false,
                    "dangerous system calls refused (seccomp): not available: no seccomp".to_owned()
                ),
            ]
        );
        assert_eq!(
            hardening.refuses_strictly(),
            None,
            "a kernel may lack what it lacks"
        );
        hardening.note(Measure::User, State::Failed("the gate runs as root".to_owned()));
        let refused = hardening.refuses_strictly().unwrap();
        assert!(refused.contains("root"), "{refused}");
    }

    #[test]
    fn every_measure_has_a_word_of_its_own() {
        let mut words: Vec<_> = Measure::ALL.iter().map(|measure| measure.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Measure::ALL.len());
    }

    #[test]
    fn a_sandbox_that_is_off_is_said_for_each_of_its_measures() {
        let mut config = Config::in_folder(Path::new("/nowhere"));
        config.hardening.sandbox = false;
        let mut hardening = Hardening::default();
        hardening.confine(&config);
        let lines = hardening.lines();
        assert_eq!(lines.len(), 4);
        assert!(
            lines
                .iter()
                .all(|(holds, line)| !holds && line.contains("`hardening.sandbox` is `off`")),
            "{lines:?}"
        );
    }
}
