//! What commands changed, as the audit log wants it: each row stands in the same transaction as the
//! change it speaks of, and is copied into the log by the gate that applies the change, or at its
//! next start.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError};

/// Most rows handed out at once.
const BATCH: i64 = 1_000;

/// A state-changing command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminEvent {
    /// Grows with every event.
    pub id: i64,
    /// When it was committed.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What, in a word.
    pub action: String,
    /// To what.
    pub subject: String,
    /// Why, in the operator's words.
    pub reason: Option<String>,
}

impl Store {
    /// The events after number `after`, in order, at most 1,000: ask again while there are any.
    pub fn admin_events_after(&self, after: i64) -> Result<Vec<AdminEvent>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(
            "SELECT seq, at, actor, action, subject, reason FROM admin_events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        )?;
        let mut found = statement.query(params![after, BATCH])?;
        let mut events = Vec::new();
        while let Some(row) = found.next()? {
            let at = Timestamp::from_millisecond(row.get(1)?)
                .map_err(|_| StoreError::Damaged("an admin event"))?;
            events.push(AdminEvent {
                id: row.get(0)?,
                at,
                actor: row.get(2)?,
                action: row.get(3)?,
                subject: row.get(4)?,
                reason: row.get(5)?,
            });
        }
        Ok(events)
    }

    /// The number of the last event that is in this gate's audit log; 0 = none: a gate
    /// without a log of its own begins with the first.
    pub fn audited(&self, instance: &str) -> Result<i64, StoreError> {
        let seq = self
            .reader()
            .query_row(
                "SELECT seq FROM audited WHERE instance = ?1",
                params![instance],
                |row| row.get(0),
            )
            .optional()?;
        Ok(seq.unwrap_or(0))
    }

    /// Notes how far this gate's audit log has come.
    pub fn note_audited(&self, instance: &str, seq: i64) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute(
                "INSERT INTO audited (instance, seq) VALUES (?1, ?2)
                 ON CONFLICT (instance) DO UPDATE SET seq = excluded.seq",
                params![instance, seq],
            )?;
            Ok(())
        })
    }
}
