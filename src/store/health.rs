//! Whether reads and writes of each connection work, and when each integration last made one.
//!
//! The gate counts in memory and writes down every few seconds: after a crash the last of it is
//! missing, which costs nobody anything. No change rows: nobody follows these.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Row, Transaction, params};

use super::{Store, StoreError, read_number, stored_number, timestamp, timestamp_opt};
use crate::access::connection::ConnectionId;
use crate::access::effect::Class;

/// How reads, or writes, of one connection fare at HubSpot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassHealth {
    /// The last 2xx.
    pub success: Option<Timestamp>,
    /// The last 401 or 403.
    pub failure: Option<Timestamp>,
    /// Its cause: a word of `forbidden_cause`, or `unauthorised`.
    pub cause: Option<String>,
    /// How many 2xx since the last failure.
    pub successes: u64,
    /// How many 401 and 403 since the last success.
    pub failures: u64,
    /// The first of those failures.
    pub failing_since: Option<Timestamp>,
}

/// Both sides of one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionHealth {
    /// Its reads.
    pub read: ClassHealth,
    /// Its writes, deletions among them.
    pub write: ClassHealth,
}

impl ConnectionHealth {
    /// One side.
    pub fn of(&self, class: Class) -> &ClassHealth {
        match class {
            Class::Read => &self.read,
            Class::Write => &self.write,
        }
    }

    fn of_mut(&mut self, class: Class) -> &mut ClassHealth {
        match class {
            Class::Read => &mut self.read,
            Class::Write => &mut self.write,
        }
    }
}

/// When HubSpot last carried something out for an integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastUse {
    /// For whom.
    pub integration: String,
    /// In which account.
    pub connection: ConnectionId,
    /// A read, or a write.
    pub class: Class,
    /// When: to the second, and a few seconds late if the gate runs.
    pub at: Timestamp,
}

impl Store {
    /// When each integration last read and wrote, of one connection or of all; by integration.
    pub fn last_use(&self, connection: Option<&ConnectionId>) -> Result<Vec<LastUse>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(
            "SELECT connection, integration, class, at FROM last_uses WHERE ?1 IS NULL OR connection = ?1
             ORDER BY integration, connection, class",
        )?;
        let mut found = statement.query(params![connection.map(ConnectionId::as_str)])?;
        let mut uses = Vec::new();
        while let Some(row) = found.next()? {
            uses.push(LastUse {
                connection: id_of(row)?,
                integration: row.get(1)?,
                class: class_of(row, 2)?,
                at: timestamp(row.get(3)?)?,
            });
        }
        Ok(uses)
    }

    /// How each connection fares, of those that anything is known of.
    pub fn connection_health(&self) -> Result<BTreeMap<ConnectionId, ConnectionHealth>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(
            "SELECT connection, class, success_at, failure_at, failure_cause, successes, failures, failing_since
             FROM connection_health",
        )?;
        let mut found = statement.query([])?;
        let mut all: BTreeMap<ConnectionId, ConnectionHealth> = BTreeMap::new();
        while let Some(row) = found.next()? {
            let health = all.entry(id_of(row)?).or_default();
            *health.of_mut(class_of(row, 1)?) = ClassHealth {
                success: timestamp_opt(row.get(2)?)?,
                failure: timestamp_opt(row.get(3)?)?,
                cause: row.get(4)?,
                successes: read_number(row.get(5)?)?,
                failures: read_number(row.get(6)?)?,
                failing_since: timestamp_opt(row.get(7)?)?,
            };
        }
        Ok(all)
    }

    /// When each OAuth connection got the access token it has: its last refresh, or its install.
    pub fn last_refreshes(&self) -> Result<BTreeMap<ConnectionId, Timestamp>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(
            "SELECT id, coalesce(refreshed_at, access_obtained_at) FROM connections
             WHERE refresh_token IS NOT NULL AND coalesce(refreshed_at, access_obtained_at) IS NOT NULL",
        )?;
        let mut found = statement.query([])?;
        let mut all = BTreeMap::new();
        while let Some(row) = found.next()? {
            all.insert(id_of(row)?, timestamp(row.get(1)?)?);
        }
        Ok(all)
    }

    /// Writes down what changed, in one transaction. What concerns a connection that is gone is
    /// left out.
    pub fn save_health(
        &self,
        health: &[(ConnectionId, ConnectionHealth)],
        uses: &[LastUse],
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            for (id, health) in health {
                for class in Class::ALL {
                    save_class(tx, id, class, health.of(class))?;
                }
            }
            for last in uses {
                tx.prepare_cached(
                    "INSERT INTO last_uses (connection, integration, class, at)
                     SELECT id, ?2, ?3, ?4 FROM connections WHERE id = ?1
                     ON CONFLICT (connection, integration, class) DO UPDATE SET at = max(at, excluded.at)",
                )?
                .execute(params![
                    last.connection.as_str(),
                    last.integration,
                    last.class.as_str(),
                    last.at.as_millisecond()
                ])?;
            }
            Ok(())
        })
    }
}

/// A new credential: refusals of the old one end, or whoever repaired it so would be told of them for good.
pub(super) fn end_failures(tx: &Transaction<'_>, id: &ConnectionId) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE connection_health SET failures = 0, failing_since = NULL WHERE connection = ?1",
        params![id.as_str()],
    )?;
    Ok(())
}

fn save_class(
    tx: &Transaction<'_>,
    id: &ConnectionId,
    class: Class,
    health: &ClassHealth,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO connection_health (connection, class, success_at, failure_at, failure_cause, successes,
             failures, failing_since)
         SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM connections WHERE id = ?1
         ON CONFLICT (connection, class) DO UPDATE SET success_at = excluded.success_at,
             failure_at = excluded.failure_at, failure_cause = excluded.failure_cause,
             successes = excluded.successes, failures = excluded.failures,
             failing_since = excluded.failing_since",
    )?
    .execute(params![
        id.as_str(),
        class.as_str(),
        health.success.map(Timestamp::as_millisecond),
        health.failure.map(Timestamp::as_millisecond),
        health.cause,
        stored_number(health.successes)?,
        stored_number(health.failures)?,
        health.failing_since.map(Timestamp::as_millisecond),
    ])?;
    Ok(())
}

fn id_of(row: &Row<'_>) -> Result<ConnectionId, StoreError> {
    ConnectionId::parse(&row.get::<_, String>(0)?).ok_or(StoreError::Damaged("a connection's id"))
}

fn class_of(row: &Row<'_>, column: usize) -> Result<Class, StoreError> {
    Class::parse(&row.get::<_, String>(column)?).ok_or(StoreError::Damaged("a class of calls"))
}

#[cfg(test)]
mod tests {
    use super::super::connections::tests::new;
    use super::*;
    use crate::store::testing::{by_test, store};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn used(connection: ConnectionId, integration: &str, class: Class, second: i64) -> LastUse {
        LastUse {
            integration: integration.to_owned(),
            connection,
            class,
            at: at(second),
        }
    }

    #[test]
    fn the_last_use_of_each_integration_is_kept_and_never_goes_back() {
        let (_dir, store) = store();
        let (one, other) = (new(1, "acme", 1), new(2, "beta", 2));
        store.add_connection(&one, &by_test()).unwrap();
        store.add_connection(&other, &by_test()).unwrap();
        let uses = [
            used(one.id, "report", Class::Read, 20),
            used(one.id, "report", Class::Write, 10),
            used(other.id, "report", Class::Read, 5),
        ];
        store.save_health(&[], &uses).unwrap();
        store
            .save_health(&[], &[used(one.id, "report", Class::Read, 19)])
            .unwrap();
        assert_eq!(store.last_use(Some(&one.id)).unwrap(), uses[..2]);
        assert_eq!(store.last_use(None).unwrap().len(), 3);
    }

    #[test]
    fn health_reads_back_as_saved_and_goes_with_its_connection() {
        let (_dir, store) = store();
        let (added, gone) = (new(1, "acme", 1), new(2, "beta", 2));
        store.add_connection(&added, &by_test()).unwrap();
        let health = ConnectionHealth {
            read: ClassHealth {
                success: Some(at(3)),
                successes: 7,
                ..ClassHealth::default()
            },
            write: ClassHealth {
                failure: Some(at(9)),
                cause: Some("user_permission".to_owned()),
                failures: 3,
                failing_since: Some(at(1)),
                ..ClassHealth::default()
            },
        };
        let both = [(added.id, health.clone()), (gone.id, health.clone())];
        let uses = [
            used(added.id, "a", Class::Read, 1),
            used(gone.id, "a", Class::Read, 1),
        ];
        store.save_health(&both, &uses).unwrap();
        let read = store.connection_health().unwrap();
        assert_eq!(
            read.into_iter().collect::<Vec<_>>(),
            [(added.id, health)],
            "what is not there is left out"
        );
        store.remove_connection(&added.id, &by_test()).unwrap();
        assert!(store.connection_health().unwrap().is_empty());
        assert!(store.last_use(None).unwrap().is_empty());
    }
}
