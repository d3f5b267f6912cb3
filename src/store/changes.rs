//! What a running gate must see, in order, and how far each gate has come.

use std::time::{Duration, Instant};

use rusqlite::{Transaction, params};

use super::lock::holder_is_alive;
use super::{Provenance, Store, StoreError, read_number, stored_number};

/// Rows kept: a gate that polls four times a second is never this far behind.
const KEPT: i64 = 100_000;

/// Most rows handed out at once.
const BATCH: i64 = 1_000;

/// What kind of thing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// A key: made, revoked, or its expiry moved. `id` is the key's.
    Key,
    /// A connection: added, removed, or its standing changed. `id` is the connection's.
    Connection,
    /// An app. `id` is its name.
    App,
    /// An emergency stop. `id` is its kind: gates read all of them, by their own version.
    Kill,
    /// The master key: one was announced, or counts from now on.
    MasterKey,
}

impl ChangeKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Connection => "connection",
            Self::App => "app",
            Self::Kill => "kill",
            Self::MasterKey => "master-key",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [
            Self::Key,
            Self::Connection,
            Self::App,
            Self::Kill,
            Self::MasterKey,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == word)
    }
}

/// One change: read the named row again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Grows with every change.
    pub seq: u64,
    /// What to read.
    pub kind: ChangeKind,
    /// Which.
    pub id: String,
}

/// The next changes.
#[derive(Debug)]
pub struct Changes {
    /// In order, at most 1,000: ask again while there are any.
    pub rows: Vec<Change>,
    /// Rows in between are gone: load everything anew.
    pub missed: bool,
}

/// What a command learns about running gates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Follower {
    /// The gate has applied the change.
    InForce {
        /// Its name.
        instance: String,
        /// After this long.
        after: Duration,
    },
    /// It should have, but has not answered.
    Silent {
        /// Its name.
        instance: String,
    },
}

pub(super) fn record_change(tx: &Transaction<'_>, kind: ChangeKind, id: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO changes (kind, id) VALUES (?1, ?2)",
        params![kind.as_str(), id],
    )?;
    tx.execute(
        "DELETE FROM changes WHERE seq <= ?1",
        params![tx.last_insert_rowid() - KEPT],
    )?;
    Ok(())
}

/// `subject` is a name or id of ours, never something of a customer's.
pub(super) fn record_event(
    tx: &Transaction<'_>,
    by: &Provenance,
    action: &str,
    subject: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO admin_events (at, actor, action, subject, reason)
         VALUES (CAST(unixepoch('subsec') * 1000 AS INTEGER), ?1, ?2, ?3, ?4)",
        params![by.actor, action, subject, by.reason],
    )?;
    Ok(())
}

impl Store {
    /// The number of the last change. Read it before loading everything: what changes meanwhile is then
    /// applied twice, never missed.
    pub fn last_change(&self) -> Result<u64, StoreError> {
        let seq = self.reader().query_row(
            "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'changes'), 0)",
            [],
            |row| row.get(0),
        )?;
        read_number(seq)
    }

    /// The changes after number `after`, in order.
    pub fn changes_after(&self, after: u64) -> Result<Changes, StoreError> {
        let reader = self.reader();
        let after_stored = stored_number(after)?;
        let mut statement = reader
            .prepare_cached("SELECT seq, kind, id FROM changes WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
        let mut found = statement.query(params![after_stored, BATCH])?;
        let mut rows: Vec<Change> = Vec::new();
        let mut damaged = false;
        while let Some(row) = found.next()? {
            let kind: String = row.get(1)?;
            let Some(kind) = ChangeKind::parse(&kind) else {
                damaged = true;
                continue;
            };
            rows.push(Change {
                seq: read_number(row.get(0)?)?,
                kind,
                id: row.get(2)?,
            });
        }
        // What a damaged row speaks of is found by reading everything, too.
        let missed = damaged || rows.first().is_some_and(|first| first.seq > after + 1);
        Ok(Changes { rows, missed })
    }

    /// Writes back how far this gate has come; commands wait for it.
    pub fn note_applied(&self, instance: &str, seq: u64) -> Result<(), StoreError> {
        let seq = stored_number(seq)?;
        self.write(|tx| {
            tx.execute(
                "INSERT INTO applied (instance, seq, at)
                 VALUES (?1, ?2, CAST(unixepoch('subsec') * 1000 AS INTEGER))
                 ON CONFLICT (instance) DO UPDATE SET seq = excluded.seq, at = excluded.at",
                params![instance, seq],
            )?;
            Ok(())
        })
    }

    /// A gate begins to follow: commands wait for it from here on. The gate holds the store's lock, so that
    /// what others left behind, under whatever name, speaks of none that runs.
    pub fn begin_following(&self, instance: &str, seq: u64) -> Result<(), StoreError> {
        let seq = stored_number(seq)?;
        self.write(|tx| {
            tx.execute("DELETE FROM applied", [])?;
            tx.execute(
                "INSERT INTO applied (instance, seq, at)
                 VALUES (?1, ?2, CAST(unixepoch('subsec') * 1000 AS INTEGER))",
                params![instance, seq],
            )?;
            Ok(())
        })
    }

    /// A gate that stops takes its line away, so that no command waits for it.
    pub fn forget_instance(&self, instance: &str) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute("DELETE FROM applied WHERE instance = ?1", params![instance])?;
            Ok(())
        })
    }

    /// Waits up to `patience` for every running gate to have applied all changes there are now. Empty:
    /// no gate runs, the change holds from its next start.
    pub fn await_applied(&self, patience: Duration) -> Result<Vec<Follower>, StoreError> {
        let started = Instant::now();
        let target = self.last_change()?;
        let mut answered: Vec<Follower> = Vec::new();
        loop {
            // One that dies meanwhile is not waited for: what it left behind speaks of nobody.
            if holder_is_alive(&self.path) == Some(false) {
                return Ok(Vec::new());
            }
            let mut silent = Vec::new();
            for (instance, seq) in self.applied()? {
                let known = answered
                    .iter()
                    .any(|follower| matches!(follower, Follower::InForce { instance: known, .. } if *known == instance));
                if known {
                    continue;
                }
                if seq >= target {
                    answered.push(Follower::InForce {
                        instance,
                        after: started.elapsed(),
                    });
                } else {
                    silent.push(Follower::Silent { instance });
                }
            }
            if silent.is_empty() || started.elapsed() >= patience {
                answered.extend(silent);
                return Ok(answered);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits up to `patience` for a gate that is just starting to say how far it has come. False when it has
    /// not, and what is changed now may escape it.
    pub fn await_announced(&self, patience: Duration) -> Result<bool, StoreError> {
        let started = Instant::now();
        loop {
            if holder_is_alive(&self.path) != Some(true) || !self.applied()?.is_empty() {
                return Ok(true);
            }
            if started.elapsed() >= patience {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn applied(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached("SELECT instance, seq FROM applied ORDER BY instance")?;
        let mut found = statement.query([])?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            rows.push((row.get(0)?, read_number(row.get(1)?)?));
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::store;

    fn change(store: &Store, id: &str) {
        store.write(|tx| record_change(tx, ChangeKind::Key, id)).unwrap();
    }

    #[test]
    fn changes_come_in_order_and_once() {
        let (_dir, store) = store();
        assert_eq!(store.last_change().unwrap(), 0);
        change(&store, "a");
        change(&store, "b");
        let all = store.changes_after(0).unwrap();
        assert_eq!(all.rows.iter().map(|c| &*c.id).collect::<Vec<_>>(), ["a", "b"]);
        assert!(!all.missed);
        assert_eq!(store.changes_after(1).unwrap().rows.len(), 1);
        assert!(store.changes_after(2).unwrap().rows.is_empty());
        assert_eq!(store.last_change().unwrap(), 2);
    }

    #[test]
    fn a_gap_is_noticed() {
        let (_dir, store) = store();
        for id in ["a", "b", "c"] {
            change(&store, id);
        }
        store
            .write(|tx| Ok(tx.execute("DELETE FROM changes WHERE seq <= 2", [])?))
            .unwrap();
        assert!(store.changes_after(0).unwrap().missed);
        assert!(!store.changes_after(2).unwrap().missed);
    }

    #[test]
    fn a_command_waits_for_the_gates_that_run() {
        let (_dir, store) = store();
        change(&store, "a");
        assert!(store.await_applied(Duration::ZERO).unwrap().is_empty());
        store.note_applied("g1", 0).unwrap();
        assert_eq!(
            store.await_applied(Duration::ZERO).unwrap(),
            [Follower::Silent {
                instance: "g1".to_owned()
            }]
        );
        store.note_applied("g1", 1).unwrap();
        assert!(matches!(
            &store.await_applied(Duration::from_secs(2)).unwrap()[..],
            [Follower::InForce { .. }]
        ));
        store.note_applied("crashed", 0).unwrap();
        store.begin_following("g1", 1).unwrap();
        assert!(
            matches!(
                &store.await_applied(Duration::ZERO).unwrap()[..],
                [Follower::InForce { .. }]
            ),
            "nobody waits for a gate of another name that died"
        );
        store.forget_instance("g1").unwrap();
        assert!(store.await_applied(Duration::ZERO).unwrap().is_empty());
    }
}
