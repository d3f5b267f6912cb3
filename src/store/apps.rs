//! HubSpot apps: client ids and sealed client secrets.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::changes::{ChangeKind, record_change, record_event};
use super::master_key::must_fit;
use super::{Provenance, Store, StoreError, read_number, timestamp, timestamp_opt};
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
                    remedy: "its connections go on using it; give it another secret with `scopegate app \
                             rotate-secret`, or choose another name for an app with another client id",
                });
            }
            must_fit(tx, &new.data_key)?;
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
pub(super) mod tests {
    use super::*;
    use crate::store::testing::{by_test, store};

    pub(in crate::store) fn app(name: &str, other: Option<u8>) -> NewApp {
        NewApp {
            name: name.to_owned(),
            client_id: "c".to_owned(),
            data_key: WrappedKey::from_stored(vec![1]),
            secret: Sealed::from_stored(vec![2]),
            other_secret: other.map(|byte| Sealed::from_stored(vec![byte])),
        }
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
