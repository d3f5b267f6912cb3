//! Emergency stops in force, and how far running gates have followed them.
//!
//! Apart from the list of changes on purpose: a gate follows the stops by their version alone, so that
//! nothing else it has to read or to load can hold them up.

use std::time::{Duration, Instant};

use aws_lc_rs::digest::{self, Digest};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::changes::{ChangeKind, record_change, record_event};
use super::lock::holder_is_alive;
use super::{ConnectionRow, Follower, Provenance, Store, StoreError, read_number, stored_number, timestamp};
use crate::access::connection::Standing;
use crate::access::kill::{Covered, KillKind, KillSubject, Kills};

/// How often a command looks whether running gates have followed.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// One stop, in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KillRow {
    /// What is stopped.
    pub subject: KillSubject,
    /// Why, in the operator's words.
    pub reason: String,
    /// By whom.
    pub actor: String,
    /// Since when.
    pub at: Timestamp,
}

impl ConnectionRow {
    /// What of it a stop may name.
    pub fn covered(&self) -> Covered<'_> {
        Covered {
            name: self.name.as_str(),
            app: self.app.as_deref(),
            portal: self.portal,
            person: [self.installer_email.as_deref(), self.person_email.as_deref()],
        }
    }

    /// The state as people see it: `killed` while one of the stops covers it, else its standing.
    pub fn state(&self, kills: &[KillRow]) -> Standing {
        match kills_covering(kills, self).is_empty() {
            true => self.shown_standing(),
            false => Standing::Killed,
        }
    }
}

/// The stops that cover a connection: while there is one, its state is `killed`, whatever its standing.
pub fn kills_covering<'a>(kills: &'a [KillRow], connection: &ConnectionRow) -> Vec<&'a KillRow> {
    kills
        .iter()
        .filter(|kill| kill.subject.covers(connection.covered()))
        .collect()
}

/// What became of a wish to stop something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Killed {
    /// It is stopped from now on.
    Now,
    /// It was stopped already, by this.
    Before(Box<KillRow>),
}

impl Store {
    /// Every stop in force, oldest first.
    pub fn kills(&self) -> Result<Vec<KillRow>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(
            "SELECT kind, subject, reason, actor, at, digest FROM kills ORDER BY at, rowid",
        )?;
        let mut found = statement.query([])?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            rows.push(KillRow {
                subject: subject(row.get(0)?, row.get(1)?, row.get(5)?)?,
                reason: row.get(2)?,
                actor: row.get(3)?,
                at: timestamp(row.get(4)?)?,
            });
        }
        Ok(rows)
    }

    /// One line for every stop that can't be read; empty when all can.
    pub fn unreadable_kills(&self) -> Result<Vec<String>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare("SELECT kind, subject, digest FROM kills")?;
        let mut found = statement.query([])?;
        let mut lines = Vec::new();
        while let Some(row) = found.next()? {
            let (kind, name): (String, String) = (row.get(0)?, row.get(1)?);
            if subject(kind.clone(), name, row.get(2)?).is_err() {
                let kind: String = kind.chars().filter(|c| !c.is_control()).take(40).collect();
                lines.push(format!(
                    "an emergency stop of kind `{kind}` can't be read: gates let nothing pass until it is taken out \
                     of table `kills`, or a scopegate runs that knows it"
                ));
            }
        }
        Ok(lines)
    }

    /// Stops a subject; it need not exist. `by` must hold a reason.
    pub fn kill(&self, subject: &KillSubject, by: &Provenance) -> Result<Killed, StoreError> {
        let reason = by.reason.as_deref().ok_or(StoreError::NoReason)?;
        let (kind, name) = (subject.kind().as_str(), subject.name());
        self.write(|tx| {
            if let Some(row) = one(tx, subject)? {
                return Ok(Killed::Before(Box::new(row)));
            }
            tx.execute(
                "INSERT INTO kills (kind, subject, reason, actor, at, digest)
                 VALUES (?1, ?2, ?3, ?4, CAST(unixepoch('subsec') * 1000 AS INTEGER), ?5)",
                params![kind, name, reason, by.actor, digest(kind, name).as_ref()],
            )?;
            note(tx, "kill", subject, by)?;
            Ok(Killed::Now)
        })
    }

    /// Ends a stop; false when there is none of exactly this subject.
    pub fn revive(&self, subject: &KillSubject, by: &Provenance) -> Result<bool, StoreError> {
        by.reason.as_deref().ok_or(StoreError::NoReason)?;
        self.write(|tx| {
            let ended = tx.execute(
                "DELETE FROM kills WHERE kind = ?1 AND subject = ?2",
                params![subject.kind().as_str(), subject.name()],
            )?;
            if ended > 0 {
                note(tx, "revive", subject, by)?;
            }
            Ok(ended > 0)
        })
    }

    /// The stops of one moment, with their version.
    pub fn kill_state(&self) -> Result<Kills, StoreError> {
        let reader = self.reader();
        // One moment: version and rows must belong together.
        let tx = reader.unchecked_transaction()?;
        let version = version(&tx)?;
        let mut statement = tx.prepare_cached("SELECT kind, subject, digest FROM kills")?;
        let mut found = statement.query([])?;
        let mut subjects = Vec::new();
        while let Some(row) = found.next()? {
            subjects.push(subject(row.get(0)?, row.get(1)?, row.get(2)?)?);
        }
        Ok(Kills::new(version, subjects))
    }

    /// The version of the stops there are now: all a follower needs to ask while nothing happens.
    pub fn kills_version(&self) -> Result<u64, StoreError> {
        version(&self.reader())
    }

    /// A gate begins to follow: commands wait for it from here on. The gate holds the store's lock, so
    /// that what others left behind speaks of none that runs.
    pub fn begin_following_kills(&self, instance: &str) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute("DELETE FROM kill_followers", [])?;
            tx.execute(
                "INSERT INTO kill_followers (instance, version) VALUES (?1, -1)",
                params![instance],
            )?;
            Ok(())
        })
    }

    /// Writes back that the stops of `version` are in force in a gate.
    pub fn note_kills_in_force(&self, instance: &str, version: u64) -> Result<(), StoreError> {
        let version = stored_number(version)?;
        self.write(|tx| {
            tx.execute(
                "UPDATE kill_followers SET version = ?2 WHERE instance = ?1",
                params![instance, version],
            )?;
            Ok(())
        })
    }

    /// A gate that stops is waited for by no command.
    pub fn end_following_kills(&self, instance: &str) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute(
                "DELETE FROM kill_followers WHERE instance = ?1",
                params![instance],
            )?;
            Ok(())
        })
    }

    /// Waits up to `patience` for every running gate to have put the stops there are now in force. Times
    /// count from `since`: taken before the change was committed, they are never shorter than the truth.
    /// Empty: no gate runs.
    pub fn await_kills(&self, since: Instant, patience: Duration) -> Result<Vec<Follower>, StoreError> {
        let started = Instant::now();
        let target = stored_number(self.kills_version()?)?;
        let mut answered: Vec<Follower> = Vec::new();
        loop {
            // Also while it is waited for: a gate whose process was ended lets nothing pass any more.
            if holder_is_alive(&self.path) == Some(false) {
                return Ok(Vec::new());
            }
            let mut silent = Vec::new();
            for (instance, version) in self.kill_followers()? {
                let known = answered
                    .iter()
                    .any(|follower| matches!(follower, Follower::InForce { instance: known, .. } if *known == instance));
                match version >= target {
                    _ if known => {}
                    true => answered.push(Follower::InForce {
                        instance,
                        after: since.elapsed(),
                    }),
                    false => silent.push(Follower::Silent { instance }),
                }
            }
            if silent.is_empty() || started.elapsed() >= patience {
                answered.extend(silent);
                return Ok(answered);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn kill_followers(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let reader = self.reader();
        let mut statement =
            reader.prepare_cached("SELECT instance, version FROM kill_followers ORDER BY instance")?;
        let mut found = statement.query([])?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            rows.push((row.get(0)?, row.get(1)?));
        }
        Ok(rows)
    }
}

fn note(
    tx: &Transaction<'_>,
    action: &str,
    subject: &KillSubject,
    by: &Provenance,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE meta SET value = value + 1 WHERE name = 'kills_version'",
        [],
    )?;
    let kind = subject.kind().as_str();
    record_change(tx, ChangeKind::Kill, kind)?;
    record_event(tx, by, action, format!("{kind} {}", subject.name()).trim_end())
}

fn one(tx: &Transaction<'_>, wanted: &KillSubject) -> Result<Option<KillRow>, StoreError> {
    let row: Option<(String, String, i64)> = tx
        .query_row(
            "SELECT reason, actor, at FROM kills WHERE kind = ?1 AND subject = ?2",
            params![wanted.kind().as_str(), wanted.name()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    row.map(|(reason, actor, at)| {
        Ok(KillRow {
            subject: wanted.clone(),
            reason,
            actor,
            at: timestamp(at)?,
        })
    })
    .transpose()
}

fn version(connection: &Connection) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE name = 'kills_version'")?;
    read_number(statement.query_row([], |row| row.get(0))?)
}

/// Against a bad disk, not against people: a stop must be possible without the master key.
fn digest(kind: &str, name: &str) -> Digest {
    digest::digest(&digest::SHA256, format!("{kind}\n{name}").as_bytes())
}

/// A row that can't be read may stop anything: nothing is guessed.
fn subject(kind: String, name: String, written: Option<Vec<u8>>) -> Result<KillSubject, StoreError> {
    if written.is_some_and(|written| written != digest(&kind, &name).as_ref()) {
        return Err(StoreError::Damaged("an emergency stop"));
    }
    KillKind::parse(&kind)
        .and_then(|kind| KillSubject::parse(kind, &name))
        .ok_or(StoreError::Damaged("an emergency stop"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::connections::tests::new;
    use crate::store::testing::{by_test, store};

    fn subject(kind: KillKind, name: &str) -> KillSubject {
        KillSubject::parse(kind, name).unwrap()
    }

    #[test]
    fn a_stop_is_recorded_once_with_change_event_and_version_and_ends_once() {
        let (_dir, store) = store();
        let report = subject(KillKind::Integration, "report");
        assert_eq!(store.kill_state().unwrap().version, 0);
        assert_eq!(store.kill(&report, &by_test()).unwrap(), Killed::Now);
        let Killed::Before(row) = store.kill(&report, &by_test()).unwrap() else {
            panic!("stopped twice");
        };
        assert_eq!((&*row.reason, &*row.actor), ("because", "test"));
        let state = store.kill_state().unwrap();
        assert_eq!(state.version, 1);
        assert!(state.stop_integration("report") && !state.stop_integration("other"));
        assert_eq!(store.kills().unwrap(), [*row]);
        assert!(store.revive(&report, &by_test()).unwrap());
        assert!(!store.revive(&report, &by_test()).unwrap());
        assert_eq!(store.kills_version().unwrap(), 2);
        assert!(store.kills().unwrap().is_empty());
        let changes = store.changes_after(0).unwrap().rows;
        assert_eq!(changes.len(), 2);
        assert!(changes.iter().all(|change| change.kind == ChangeKind::Kill));
        let events: Vec<_> = store
            .admin_events_after(0)
            .unwrap()
            .into_iter()
            .map(|event| (event.action, event.subject, event.reason.unwrap()))
            .collect();
        let because = |action: &str| {
            (
                action.to_owned(),
                "integration report".to_owned(),
                "because".to_owned(),
            )
        };
        assert_eq!(events, [because("kill"), because("revive")]);
    }

    #[test]
    fn nothing_is_stopped_or_revived_without_a_reason() {
        let (_dir, store) = store();
        let by = Provenance {
            actor: "test".to_owned(),
            reason: None,
        };
        assert!(matches!(
            store.kill(&KillSubject::all(), &by),
            Err(StoreError::NoReason)
        ));
        store.kill(&KillSubject::all(), &by_test()).unwrap();
        assert!(store.revive(&KillSubject::all(), &by).is_err());
        assert_eq!(store.kills().unwrap().len(), 1);
    }

    #[test]
    fn overlapping_stops_are_each_in_force_and_a_standing_is_not_touched() {
        let (_dir, store) = store();
        let added = new(1, "acme", 62515);
        store.add_connection(&added, &by_test()).unwrap();
        let (portal, name) = (
            subject(KillKind::Portal, "62515"),
            subject(KillKind::Connection, "acme"),
        );
        for stop in [&portal, &name, &subject(KillKind::Connection, "other")] {
            store.kill(stop, &by_test()).unwrap();
        }
        let row = store.connection(&added.id).unwrap().unwrap();
        let covering = |store: &Store| {
            let kills = store.kills().unwrap();
            let covering = kills_covering(&kills, &row).into_iter();
            covering.map(|kill| kill.subject.clone()).collect::<Vec<_>>()
        };
        assert_eq!(covering(&store), [portal.clone(), name.clone()]);
        store.revive(&portal, &by_test()).unwrap();
        assert_eq!(covering(&store), [name]);
        assert_eq!(row.standing, added.standing);
    }

    #[test]
    fn a_command_waits_for_running_gates_and_for_none_that_left() {
        let (_dir, store) = store();
        let waited = || store.await_kills(Instant::now(), Duration::ZERO).unwrap();
        store.kill(&KillSubject::all(), &by_test()).unwrap();
        assert!(waited().is_empty());
        store.begin_following_kills("g0").unwrap();
        store.begin_following_kills("g1").unwrap();
        let silent = Follower::Silent {
            instance: "g1".to_owned(),
        };
        assert_eq!(waited(), [silent]);
        store.note_kills_in_force("g1", 1).unwrap();
        assert!(matches!(&waited()[..], [Follower::InForce { instance, .. }] if instance == "g1"));
        store.revive(&KillSubject::all(), &by_test()).unwrap();
        assert!(matches!(&waited()[..], [Follower::Silent { .. }]));
        store.end_following_kills("g1").unwrap();
        assert!(waited().is_empty());
    }

    #[test]
    fn a_gate_whose_process_ends_while_it_is_waited_for_is_waited_for_no_longer() {
        let (_dir, store) = store();
        store.begin_following_kills("g1").unwrap();
        store.kill(&KillSubject::all(), &by_test()).unwrap();
        let lock = store.path().with_extension("db.lock");
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let (ended, patience) = (
            format!("process 4194301, host {host}, started x"),
            Duration::from_secs(20),
        );
        let waited = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let since = Instant::now();
                (store.await_kills(since, patience).unwrap(), since.elapsed())
            });
            std::thread::sleep(LOOK_EVERY * 5);
            std::fs::write(&lock, ended).unwrap();
            waiting.join().unwrap()
        });
        assert!(waited.0.is_empty() && waited.1 < patience, "{waited:?}");
    }

    #[test]
    fn a_stop_that_can_not_be_read_is_an_error_not_overlooked() {
        let (_dir, store) = store();
        store
            .write(|tx| {
                Ok(tx.execute(
                    "INSERT INTO kills (kind, subject, reason, actor, at) VALUES ('planet', 'x', 'r', 'a', 0)",
                    [],
                )?)
            })
            .unwrap();
        assert!(store.kill_state().is_err() && store.kills().is_err());
    }
}
