//! HubSpot apps: client ids and sealed client secrets.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::changes::{ChangeKind, record_change, record_event};
use super::{Provenance, Store, StoreError, read_number, timestamp};
use crate::vault::{Sealed, WrappedKey};

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
    /// One app.
    pub fn app(&self, name: &str) -> Result<Option<AppRow>, StoreError> {
        let reader = self.reader();
        let row = reader
            .query_row(
                "SELECT name, client_id, data_key, secret, secret_version, other_secret, other_secret_version,
                     created_at FROM apps WHERE name = ?1",
                params![name],
                |row| {
                    Ok((
                        row.get::<_, String>(0)?,
                        row.get::<_, String>(1)?,
                        row.get::<_, Vec<u8>>(2)?,
                        row.get::<_, Vec<u8>>(3)?,
                        row.get::<_, i64>(4)?,
                        row.get::<_, Option<Vec<u8>>>(5)?,
                        row.get::<_, Option<i64>>(6)?,
                        row.get::<_, i64>(7)?,
                    ))
                },
            )
            .optional()?;
        let Some((name, client_id, data_key, secret, version, other, other_version, created)) = row else {
            return Ok(None);
        };
        let other_secret = match (other, other_version) {
            (Some(sealed), Some(version)) => Some((Sealed::from_stored(sealed), read_number(version)?)),
            _ => None,
        };
        Ok(Some(AppRow {
            name,
            client_id,
            data_key: WrappedKey::from_stored(data_key),
            secret: (Sealed::from_stored(secret), read_number(version)?),
            other_secret,
            created: timestamp(created)?,
        }))
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
                     other_secret_version, created_at)
                 VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, CAST(unixepoch('subsec') * 1000 AS INTEGER))",
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{by_test, store};

    #[test]
    fn an_app_reads_back_with_both_secrets_and_its_name_is_taken() {
        let (_dir, store) = store();
        let app = NewApp {
            name: "marketing".to_owned(),
            client_id: "c".to_owned(),
            data_key: WrappedKey::from_stored(vec![1]),
            secret: Sealed::from_stored(vec![2]),
            other_secret: Some(Sealed::from_stored(vec![3])),
        };
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
