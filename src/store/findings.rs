//! Findings about the people behind credentials: when each began and ended, and whether an operator
//! has acknowledged it.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::changes::record_event;
use super::people::{connection_id, notes, tell};
use super::{Provenance, Store, StoreError, timestamp, timestamp_opt};
use crate::access::connection::ConnectionId;

/// A finding to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFinding {
    /// The word of its kind.
    pub kind: &'static str,
    /// The connection it is about.
    pub connection: ConnectionId,
    /// The person, as people call them.
    pub person: Option<String>,
    /// Since when it is so: a later state of the same kind is another finding.
    pub since: Timestamp,
    /// What to tell people: JSON.
    pub detail: String,
}

/// A finding as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingRow {
    /// What an operator acknowledges it by.
    pub id: i64,
    /// The word of its kind.
    pub kind: String,
    /// The connection it is about; it may be gone by now.
    pub connection: ConnectionId,
    /// The person.
    pub person: Option<String>,
    /// Since when it is so.
    pub since: Timestamp,
    /// When the gate noted it.
    pub began: Timestamp,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// As it was when it began: JSON.
    pub detail: String,
    /// When, by whom and why it was acknowledged.
    pub acknowledged: Option<Acknowledged>,
}

/// An operator's word that a finding is known and accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Why.
    pub why: String,
}

/// What an open finding is recognised by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFinding {
    /// Its number.
    pub id: i64,
    /// The word of its kind.
    pub kind: String,
    /// The connection it is about.
    pub connection: ConnectionId,
    /// Since when it is so.
    pub since: Timestamp,
}

/// What changed by bringing findings up to date.
#[derive(Debug, Default)]
pub struct Reconciled {
    /// Began just now.
    pub began: Vec<FindingRow>,
    /// Ended just now.
    pub ended: Vec<FindingRow>,
}

/// What became of an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledging {
    /// It is acknowledged.
    Done,
    /// It was already.
    Already,
    /// It is over.
    Over,
    /// There is no such finding.
    Unknown,
}

const COLUMNS: &str = "id, kind, connection, person, since, began_at, ended_at, detail, acknowledged_at, \
     acknowledged_by, acknowledged_why";

/// Findings that are over and kept: the log has all of them.
const ENDED_KEPT: i64 = 10_000;

impl Store {
    /// Findings that are not over, in the order of their beginning.
    pub fn open_findings(&self) -> Result<Vec<FindingRow>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM findings WHERE ended_at IS NULL ORDER BY id"
        ))?;
        let mut found = statement.query([])?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            rows.push(read(row)?);
        }
        Ok(rows)
    }

    /// Findings about these connections that are not over, by what they are recognised by.
    pub fn open_findings_about(&self, connections: &[ConnectionId]) -> Result<Vec<OpenFinding>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(
            "SELECT id, kind, since FROM findings WHERE connection = ?1 AND ended_at IS NULL ORDER BY id",
        )?;
        let mut open = Vec::new();
        for connection in connections {
            let mut found = statement.query(params![connection.as_str()])?;
            while let Some(row) = found.next()? {
                open.push(OpenFinding {
                    id: row.get(0)?,
                    kind: row.get(1)?,
                    connection: *connection,
                    since: timestamp(row.get(2)?)?,
                });
            }
        }
        Ok(open)
    }

    /// Findings about connections that are gone and that are not over.
    pub fn orphaned_findings(&self) -> Result<Vec<i64>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(
            "SELECT id FROM findings WHERE ended_at IS NULL
             AND NOT EXISTS (SELECT 1 FROM connections c WHERE c.id = findings.connection)",
        )?;
        let ids = statement.query_map([], |row| row.get(0))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    /// How many findings of each kind are open and not acknowledged.
    pub fn finding_counts(&self) -> Result<Vec<(String, usize)>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(
            "SELECT kind, count(*) FROM findings WHERE ended_at IS NULL AND acknowledged_at IS NULL GROUP BY kind",
        )?;
        let mut found = statement.query([])?;
        let mut counts = Vec::new();
        while let Some(row) = found.next()? {
            let count = usize::try_from(row.get::<_, i64>(1)?).unwrap_or_default();
            counts.push((row.get(0)?, count));
        }
        Ok(counts)
    }

    /// Ends findings and begins others, in one transaction.
    pub fn change_findings(
        &self,
        now: Timestamp,
        ended: &[i64],
        begun: &[NewFinding],
    ) -> Result<Reconciled, StoreError> {
        if ended.is_empty() && begun.is_empty() {
            return Ok(Reconciled::default());
        }
        let at = now.as_millisecond();
        self.write(|tx| {
            let mut changed = Reconciled::default();
            for id in ended {
                let sql = format!("UPDATE findings SET ended_at = ?2 WHERE id = ?1 RETURNING {COLUMNS}");
                let mut statement = tx.prepare_cached(&sql)?;
                let mut found = statement.query(params![id, at])?;
                while let Some(row) = found.next()? {
                    changed.ended.push(read(row)?);
                }
            }
            for new in begun {
                let sql = format!(
                    "INSERT INTO findings (kind, connection, person, since, began_at, detail)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING {COLUMNS}"
                );
                let mut statement = tx.prepare_cached(&sql)?;
                let mut found = statement.query(params![
                    new.kind,
                    new.connection.as_str(),
                    new.person,
                    new.since.as_millisecond(),
                    at,
                    new.detail
                ])?;
                while let Some(row) = found.next()? {
                    changed.began.push(read(row)?);
                }
            }
            if !ended.is_empty() {
                tx.execute(
                    "DELETE FROM findings WHERE ended_at IS NOT NULL AND id <= (SELECT max(id) FROM findings) - ?1",
                    params![ENDED_KEPT],
                )?;
            }
            Ok(changed)
        })
    }

    /// Notes an operator's word that a finding is known and accepted: calls pass as if it were not so,
    /// until something else is found.
    pub fn acknowledge_finding(&self, id: i64, by: &Provenance) -> Result<Acknowledging, StoreError> {
        self.write(|tx| {
            let row = tx
                .query_row(
                    &format!("SELECT {COLUMNS} FROM findings WHERE id = ?1"),
                    params![id],
                    |row| Ok(read(row)),
                )
                .optional()?
                .transpose()?;
            let row = match row {
                None => return Ok(Acknowledging::Unknown),
                Some(row) if row.ended.is_some() => return Ok(Acknowledging::Over),
                Some(row) if row.acknowledged.is_some() => return Ok(Acknowledging::Already),
                Some(row) => row,
            };
            let ids = [row.connection.to_string()];
            let before = notes(tx, &ids)?;
            tx.execute(
                "UPDATE findings SET acknowledged_at = CAST(unixepoch('subsec') * 1000 AS INTEGER),
                     acknowledged_by = ?2, acknowledged_why = ?3 WHERE id = ?1",
                params![id, by.actor, by.reason.as_deref().unwrap_or_default()],
            )?;
            record_event(tx, by, "people acknowledge", &format!("finding {id}"))?;
            tell(tx, &ids, &before, by)?;
            Ok(Acknowledging::Done)
        })
    }
}

fn read(row: &Row<'_>) -> Result<FindingRow, StoreError> {
    let acknowledged = match row.get::<_, Option<i64>>(8)? {
        None => None,
        Some(at) => Some(Acknowledged {
            at: timestamp(at)?,
            by: row.get::<_, Option<String>>(9)?.unwrap_or_default(),
            why: row.get::<_, Option<String>>(10)?.unwrap_or_default(),
        }),
    };
    Ok(FindingRow {
        id: row.get(0)?,
        kind: row.get(1)?,
        connection: connection_id(&row.get::<_, String>(2)?)?,
        person: row.get(3)?,
        since: timestamp(row.get(4)?)?,
        began: timestamp(row.get(5)?)?,
        ended: timestamp_opt(row.get(6)?)?,
        detail: row.get(7)?,
        acknowledged,
    })
}
