//! HubSpot apps: client ids and sealed client secrets.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::changes::{ChangeKind, record_change, record_event};
use super::{Provenance, Store, StoreError, read_number, stored_number, timestamp, timestamp_opt};
use crate::vault::{Sealed, WrappedKey};

const COLUMNS: &str = "name, client_id, data_key, secret, secret_version, other_secret, other_secret_version, \
     created_at, secret_at, other_secret_at, worked_version, worked_at";

/// An app as stored.
#[derive(Clone, Debug)]
pub struct AppRow {
    /// Its name, which is also its identity.
    pub name: String,
    /// HubSpot's client id; not a secret.
    pub client_id: String,
    /// Its data key, wrapped.
    pub data_key: WrappedKey,
    /// The secret to try first, sealed for field `secret` and the version beside it.
    pub secret: (Sealed, u64),
    /// The secret to try when that one is refused, while one is being rotated.
    pub other_secret: Option<(Sealed, u64)>,
    /// When it was added.
    pub created: Timestamp,
    /// When the first secret came in.
    pub secret_at: Timestamp,
    /// When the other one did.
    pub other_secret_at: Option<Timestamp>,
    /// The version of the secret that HubSpot took last, and when that was first seen.
    pub worked: Option<(u64, Timestamp)>,
}

impl AppRow {
    /// The version for the next secret.
    pub fn next_version(&self) -> u64 {
        let other = self.other_secret.as_ref().map_or(0, |(_, version)| *version);
        self.secret.1.max(other) + 1
    }
}

/// An app to be stored.
#[derive(Debug)]
pub struct NewApp {
    /// Unique.
    pub name: String,
    /// HubSpot's client id.
    pub client_id: String,
    /// Its data key, wrapped.
    pub data_key: WrappedKey,
    /// Sealed for version 1.
    pub secret: Sealed,
    /// Sealed for version 2.
    pub other_secret: Option<Sealed>,
}

impl Store {
    /// Every app, by name.
    pub fn apps(&self) -> Result<Vec<AppRow>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(&format!("SELECT {COLUMNS} FROM apps ORDER BY name"))?;
        let mut found = statement.query([])?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            rows.push(read(row)?);
        }
        Ok(rows)
    }

    /// One app.
    pub fn app(&self, name: &str) -> Result<Option<AppRow>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(&format!("SELECT {COLUMNS} FROM apps WHERE name = ?1"))?;
        let mut found = statement.query(params![name])?;
        found.next()?.map(read).transpose()
    }

    /// Adds an app.
    pub fn add_app(&self, new: &NewApp, by: &Provenance) -> Result<(), StoreError> {
        self.write(|tx| {
            let known: Option<i64> = tx
                .query_row("SELECT 1 FROM apps WHERE name = ?1", params![new.name], |row| {
                    row.get(0)
                })
                .optional()?;
            if known.is_some() {
                return Err(StoreError::NameTaken {
                    what: "app",
                    name: new.name.clone(),
                    remedy: "its connections go on using it; choose another name for an app with another client \
                             id or secret",
                });
            }
            tx.execute(
                "INSERT INTO apps (name, client_id, data_key, secret, secret_version, other_secret,
                     other_secret_version, created_at, secret_at, other_secret_at)
                 SELECT ?1, ?2, ?3, ?4, 1, ?5, ?6, now, now, iif(?5 IS NULL, NULL, now)
                 FROM (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now)",
                params![
                    new.name,
                    new.client_id,
                    new.data_key.as_stored(),
                    new.secret.as_stored(),
                    new.other_secret.as_ref().map(Sealed::as_stored),
                    new.other_secret.as_ref().map(|_| 2),
                ],
            )?;
            record_change(tx, ChangeKind::App, &new.name)?;
            record_event(tx, by, "app add", &new.name)
        })
    }

    /// Changes which secrets an app has. False when they have changed since `of` was read: nothing is
    /// done. A running gate takes them at its next refresh.
    pub fn change_secrets(
        &self,
        of: &AppRow,
        change: &SecretChange,
        by: &Provenance,
    ) -> Result<bool, StoreError> {
        let known_other = of.other_secret.as_ref().map(|(_, version)| *version);
        let known_other = known_other.map(stored_number).transpose()?;
        let now_first = (&of.secret.0, of.secret.1, Some(of.secret_at));
        let now_other = match (&of.other_secret, of.other_secret_at) {
            (Some((sealed, version)), at) => Some((sealed, *version, at)),
            _ => None,
        };
        let (first, other, action) = match change {
            SecretChange::First { sealed, keep_other } => (
                (sealed, of.next_version(), None),
                Some(now_first).filter(|_| *keep_other),
                "app rotate-secret",
            ),
            SecretChange::Swap => match now_other {
                Some(now_other) => (now_other, Some(now_first), "app rotate-secret back"),
                None => return Ok(false),
            },
            SecretChange::Finish => (now_first, None, "app rotate-secret finish"),
        };
        let milliseconds = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
        let changed = self.write(|tx| {
            let changed = tx.execute(
                "UPDATE apps SET secret = ?4, secret_version = ?5,
                     secret_at = coalesce(?6, CAST(unixepoch('subsec') * 1000 AS INTEGER)),
                     other_secret = ?7, other_secret_version = ?8, other_secret_at = ?9
                 WHERE name = ?1 AND secret_version = ?2 AND other_secret_version IS ?3",
                params![
                    of.name,
                    stored_number(of.secret.1)?,
                    known_other,
                    first.0.as_stored(),
                    stored_number(first.1)?,
                    milliseconds(first.2),
                    other.map(|(sealed, ..)| sealed.as_stored()),
                    other.map(|(_, version, _)| stored_number(version)).transpose()?,
                    other.and_then(|(.., at)| milliseconds(at)),
                ],
            )?;
            if changed > 0 {
                record_change(tx, ChangeKind::App, &of.name)?;
                record_event(tx, by, action, &of.name)?;
            }
            Ok(changed > 0)
        })?;
        // A secret that was dropped is gone from the log, too.
        self.forget_log();
        Ok(changed)
    }

    /// Notes which of an app's secrets HubSpot took. Writes only when it was another one before.
    pub fn note_secret_worked(&self, name: &str, version: u64) -> Result<(), StoreError> {
        let version = stored_number(version)?;
        let known: Option<Option<i64>> = self
            .reader()
            .query_row(
                "SELECT worked_version FROM apps WHERE name = ?1",
                params![name],
                |row| row.get(0),
            )
            .optional()?;
        if known.is_none_or(|known| known == Some(version)) {
            return Ok(());
        }
        self.write(|tx| {
            tx.execute(
                "UPDATE apps SET worked_version = ?2, worked_at = CAST(unixepoch('subsec') * 1000 AS INTEGER)
                 WHERE name = ?1 AND worked_version IS NOT ?2",
                params![name, version],
            )?;
            Ok(())
        })
    }

    /// Removes an app that no connection uses, and destroys its data key.
    pub fn remove_app(&self, name: &str, by: &Provenance) -> Result<(), StoreError> {
        self.write(|tx| {
            let connections: i64 = tx.query_row(
                "SELECT count(*) FROM connections WHERE app = ?1",
                params![name],
                |row| row.get(0),
            )?;
            if connections > 0 {
                return Err(StoreError::AppInUse {
                    app: name.to_owned(),
                    connections: read_number(connections)?,
                });
            }
            if tx.execute("DELETE FROM apps WHERE name = ?1", params![name])? == 0 {
                return Err(no_such_app(name));
            }
            record_change(tx, ChangeKind::App, name)?;
            record_event(tx, by, "app remove", name)
        })?;
        self.forget_log();
        Ok(())
    }
}

/// What is changed about an app's secrets.
#[derive(Debug)]
pub enum SecretChange {
    /// This one, sealed for [`AppRow::next_version`], is tried first from now on.
    First {
        /// It.
        sealed: Sealed,
        /// Whether the one tried first so far is tried second.
        keep_other: bool,
    },
    /// The second is tried first, and the first second.
    Swap,
    /// The second is dropped.
    Finish,
}

/// The error for an app that is not there.
pub fn no_such_app(name: &str) -> StoreError {
    StoreError::NotFound {
        what: "app",
        name: name.to_owned(),
        list: "app list",
    }
}

fn read(row: &Row<'_>) -> Result<AppRow, StoreError> {
    let other = row.get::<_, Option<Vec<u8>>>("other_secret")?;
    let other_secret = match (other, row.get::<_, Option<i64>>("other_secret_version")?) {
        (Some(sealed), Some(version)) => Some((Sealed::from_stored(sealed), read_number(version)?)),
        _ => None,
    };
    let worked = match (
        row.get::<_, Option<i64>>("worked_version")?,
        timestamp_opt(row.get("worked_at")?)?,
    ) {
        (Some(version), Some(at)) => Some((read_number(version)?, at)),
        _ => None,
    };
    Ok(AppRow {
        name: row.get("name")?,
        client_id: row.get("client_id")?,
        data_key: WrappedKey::from_stored(row.get("data_key")?),
        secret: (
            Sealed::from_stored(row.get("secret")?),
            read_number(row.get("secret_version")?)?,
        ),
        other_secret,
        created: timestamp(row.get("created_at")?)?,
        secret_at: timestamp(row.get("secret_at")?)?,
        other_secret_at: timestamp_opt(row.get("other_secret_at")?)?,
        worked,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{by_test, store};

    fn app(name: &str, other: Option<u8>) -> NewApp {
        NewApp {
            name: name.to_owned(),
            client_id: "c".to_owned(),
            data_key: WrappedKey::from_stored(vec![1]),
            secret: Sealed::from_stored(vec![2]),
            other_secret: other.map(|byte| Sealed::from_stored(vec![byte])),
        }
    }

    fn row(store: &Store) -> AppRow {
        store.app("marketing").unwrap().unwrap()
    }

    /// First byte and version of the first secret and of the second.
    fn secrets(store: &Store) -> ((u8, u64), Option<(u8, u64)>) {
        let of = |(sealed, version): &(Sealed, u64)| (sealed.as_stored()[0], *version);
        let row = row(store);
        (of(&row.secret), row.other_secret.as_ref().map(of))
    }

    #[test]
    fn a_secret_is_rotated_rolled_back_and_finished() {
        let (_dir, store) = store();
        store.add_app(&app("marketing", None), &by_test()).unwrap();
        let first = |byte: u8, keep_other| SecretChange::First {
            sealed: Sealed::from_stored(vec![byte]),
            keep_other,
        };
        let change = |change: SecretChange| {
            let before = store.last_change().unwrap();
            assert!(store.change_secrets(&row(&store), &change, &by_test()).unwrap());
            assert_eq!(store.last_change().unwrap(), before + 1, "gates must see it");
        };
        assert_eq!(secrets(&store), ((2, 1), None));
        change(first(5, true));
        assert_eq!(secrets(&store), ((5, 2), Some((2, 1))));
        change(SecretChange::Swap);
        assert_eq!(secrets(&store), ((2, 1), Some((5, 2))));
        let stale = row(&store);
        change(SecretChange::Swap);
        change(SecretChange::Finish);
        assert_eq!(secrets(&store), ((5, 2), None));
        assert!(row(&store).other_secret_at.is_none());
        assert!(
            !store
                .change_secrets(&stale, &SecretChange::Swap, &by_test())
                .unwrap()
        );
        change(first(6, false));
        assert_eq!(secrets(&store), ((6, 3), None));
    }

    #[test]
    fn the_secret_that_worked_is_noted_once() {
        let (_dir, store) = store();
        store.add_app(&app("marketing", Some(3)), &by_test()).unwrap();
        assert_eq!(row(&store).worked, None);
        store.note_secret_worked("marketing", 2).unwrap();
        let worked = row(&store).worked;
        assert_eq!(worked.map(|(version, _)| version), Some(2));
        store.note_secret_worked("marketing", 2).unwrap();
        assert_eq!(row(&store).worked, worked);
        store.note_secret_worked("marketing", 1).unwrap();
        assert_eq!(row(&store).worked.map(|(version, _)| version), Some(1));
        assert!(store.note_secret_worked("nobody", 1).is_ok());
    }

    #[test]
    fn an_app_in_use_stays_and_says_by_how_many() {
        use crate::store::connections::tests::new;
        let (_dir, store) = store();
        store.add_app(&app("marketing", None), &by_test()).unwrap();
        store.add_app(&app("sales", None), &by_test()).unwrap();
        for seed in [1, 2] {
            let mut connection = new(seed, &format!("c{seed}"), seed.into());
            connection.app = Some("marketing".to_owned());
            store.add_connection(&connection, &by_test()).unwrap();
        }
        let message = store.remove_app("marketing", &by_test()).unwrap_err().to_string();
        assert!(message.contains("used by 2 connections"), "{message}");
        store.remove_app("sales", &by_test()).unwrap();
        assert!(matches!(
            store.remove_app("sales", &by_test()),
            Err(StoreError::NotFound { .. })
        ));
        assert_eq!(store.apps().unwrap().len(), 1);
    }

    #[test]
    fn an_app_reads_back_with_both_secrets_and_its_name_is_taken() {
        let (_dir, store) = store();
        let app = app("marketing", Some(3));
        store.add_app(&app, &by_test()).unwrap();
        let row = store.app("marketing").unwrap().unwrap();
        assert_eq!(row.secret, (Sealed::from_stored(vec![2]), 1));
        assert_eq!(row.other_secret, Some((Sealed::from_stored(vec![3]), 2)));
        assert!(matches!(
            store.add_app(&app, &by_test()),
            Err(StoreError::NameTaken { .. })
        ));
        assert!(store.app("other").unwrap().is_none());
    }
}
