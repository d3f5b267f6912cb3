//! Keys: hashes, what they stand for, when they end.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::changes::{ChangeKind, record_change, record_event};
use super::seals::{KeyFacts, bound_to};
use super::{Provenance, Store, StoreError, timestamp, timestamp_opt};
use crate::access::connection::ConnectionId;
use crate::access::integration::{Binding, KeyEntry};
use crate::access::key::{KeyHash, KeyId};
use crate::vault::RowKey;

const COLUMNS: &str =
    "id, hash, integration, connection, created_at, created_by, expires_at, revoked_at, seal";

/// A key as stored.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// Public id.
    pub id: KeyId,
    /// SHA-256 of its text.
    pub hash: KeyHash,
    /// Whose it is.
    pub integration: String,
    /// What it may be used with.
    pub binding: Binding,
    /// When it was made.
    pub created: Timestamp,
    /// By whom.
    pub created_by: String,
    /// From here on it is worthless.
    pub expires: Option<Timestamp>,
    /// Since when it has been revoked.
    pub revoked: Option<Timestamp>,
}

impl KeyRow {
    /// The key as the request path knows it.
    pub fn to_entry(&self) -> KeyEntry {
        KeyEntry::new(
            self.id,
            self.hash,
            Arc::from(&*self.integration),
            self.binding,
            self.expires,
            self.revoked.is_some(),
        )
    }

    fn facts(&self) -> KeyFacts<'_> {
        KeyFacts {
            id: self.id.as_str(),
            hash: self.hash.to_stored(),
            integration: &self.integration,
            connection: bound_to(&self.binding),
            expires: self.expires.map(Timestamp::as_millisecond),
        }
    }
}

/// A key to be stored.
#[derive(Debug)]
pub struct NewKey {
    /// Public id.
    pub id: KeyId,
    /// SHA-256 of its text.
    pub hash: KeyHash,
    /// Whose it is.
    pub integration: String,
    /// What it may be used with.
    pub binding: Binding,
    /// From here on it is worthless.
    pub expires: Option<Timestamp>,
}

/// What a revocation found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// It was good until now.
    Now,
    /// It had been revoked before.
    Before,
}

/// Every key.
#[derive(Debug, Default)]
pub struct KeyRows {
    /// Those that can be read.
    pub sound: Vec<KeyRow>,
    /// Ids of those that can't, where not even the id is damaged.
    pub damaged: Vec<Option<KeyId>>,
}

impl Store {
    /// Every key, in whatever state, oldest first.
    pub fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        Ok(self.key_rows()?.sound)
    }

    /// Every key, and apart those whose row can't be read: these open nothing.
    pub fn key_rows(&self) -> Result<KeyRows, StoreError> {
        let reader = self.reader();
        let mut statement =
            reader.prepare_cached(&format!("SELECT {COLUMNS} FROM keys ORDER BY created_at, id"))?;
        let mut found = statement.query([])?;
        let mut rows = KeyRows::default();
        // An error here is the file's, and nothing can be relied on; one in `read` is the row's.
        while let Some(row) = found.next()? {
            match read(row, self.rows.get()) {
                Ok(sound) => rows.sound.push(sound),
                Err(_) => rows
                    .damaged
                    .push(row.get::<_, String>("id").ok().and_then(|id| KeyId::parse(&id))),
            }
        }
        Ok(rows)
    }

    /// Every key that can be read, in no order that means anything, one after the other: what a gate keeps of
    /// a hundred thousand is small, their rows together are not. Returns what can't be read, as
    /// [`KeyRows::damaged`].
    pub fn visit_keys(&self, mut visit: impl FnMut(KeyRow)) -> Result<Vec<Option<KeyId>>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(&format!("SELECT {COLUMNS} FROM keys"))?;
        let mut found = statement.query([])?;
        let mut damaged = Vec::new();
        while let Some(row) = found.next()? {
            match read(row, self.rows.get()) {
                Ok(sound) => visit(sound),
                Err(_) => damaged.push(row.get::<_, String>("id").ok().and_then(|id| KeyId::parse(&id))),
            }
        }
        Ok(damaged)
    }

    /// One key. One whose row can't be read is [`StoreError::Damaged`].
    pub fn key(&self, id: &KeyId) -> Result<Option<KeyRow>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(&format!("SELECT {COLUMNS} FROM keys WHERE id = ?1"))?;
        let mut found = statement.query(params![id.as_str()])?;
        let row = found.next()?;
        row.map(|row| read(row, self.rows.get()).map_err(|_| StoreError::Damaged("a key")))
            .transpose()
    }

    /// Adds keys, all or none. A key bound to a connection needs that connection to exist.
    pub fn add_keys(&self, keys: &[NewKey], by: &Provenance) -> Result<(), StoreError> {
        let rows = self.row_key()?;
        self.write(|tx| {
            keys.iter()
                .try_for_each(|key| insert(tx, rows, key, "key create", by))
        })
    }

    /// Revokes one key for good.
    pub fn revoke_key(&self, id: &KeyId, by: &Provenance) -> Result<Revoked, StoreError> {
        self.write(|tx| {
            if end_key(tx, id)? {
                record_event(tx, by, "key revoke", id.as_str())?;
                return Ok(Revoked::Now);
            }
            let known: Option<i64> = tx
                .query_row("SELECT 1 FROM keys WHERE id = ?1", params![id.as_str()], |row| {
                    row.get(0)
                })
                .optional()?;
            known.map(|_| Revoked::Before).ok_or_else(|| not_found(id))
        })
    }

    /// Adds `new` and lets `old` end at `overlap_until`, or earlier if it was to end earlier.
    pub fn rotate_key(
        &self,
        old: &KeyId,
        new: &NewKey,
        overlap_until: Timestamp,
        by: &Provenance,
    ) -> Result<(), StoreError> {
        let rows = self.row_key()?;
        self.write(|tx| {
            shorten(tx, rows, old, overlap_until)?;
            record_change(tx, ChangeKind::Key, old.as_str())?;
            record_event(tx, by, "key rotate", old.as_str())?;
            insert(tx, rows, new, "key create", by)
        })
    }
}

/// Lets a key end at `until`, or earlier if it was to end earlier. One whose seal does not hold is not
/// sealed anew.
fn shorten(tx: &Transaction<'_>, rows: &RowKey, id: &KeyId, until: Timestamp) -> Result<(), StoreError> {
    let mut statement = tx.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM keys WHERE id = ?1 AND revoked_at IS NULL"
    ))?;
    let mut found = statement.query(params![id.as_str()])?;
    let row = found.next()?.ok_or_else(|| not_found(id))?;
    let mut key = read(row, Some(rows))?;
    key.expires = Some(key.expires.map_or(until, |expires| expires.min(until)));
    tx.execute(
        "UPDATE keys SET expires_at = ?2, seal = ?3 WHERE id = ?1",
        params![
            id.as_str(),
            key.expires.map(Timestamp::as_millisecond),
            key.facts().seal(rows).as_stored()
        ],
    )?;
    Ok(())
}

fn insert(
    tx: &Transaction<'_>,
    rows: &RowKey,
    key: &NewKey,
    action: &str,
    by: &Provenance,
) -> Result<(), StoreError> {
    match key.binding {
        Binding::Any => {}
        Binding::Connection(id) => {
            let known: Option<i64> = tx
                .query_row(
                    "SELECT 1 FROM connections WHERE id = ?1",
                    params![id.as_str()],
                    |row| row.get(0),
                )
                .optional()?;
            if known.is_none() {
                return Err(StoreError::NotFound {
                    what: "connection with id",
                    name: id.to_string(),
                    list: "connection list",
                });
            }
        }
    }
    let facts = KeyFacts {
        id: key.id.as_str(),
        hash: key.hash.to_stored(),
        integration: &key.integration,
        connection: bound_to(&key.binding),
        expires: key.expires.map(Timestamp::as_millisecond),
    };
    tx.execute(
        "INSERT INTO keys (id, hash, integration, connection, created_at, created_by, expires_at, seal)
         VALUES (?1, ?2, ?3, ?4, CAST(unixepoch('subsec') * 1000 AS INTEGER), ?5, ?6, ?7)",
        params![
            facts.id,
            facts.hash.as_slice(),
            facts.integration,
            facts.connection,
            by.actor,
            facts.expires,
            facts.seal(rows).as_stored(),
        ],
    )?;
    record_change(tx, ChangeKind::Key, key.id.as_str())?;
    record_event(tx, by, action, key.id.as_str())
}

/// Revokes every key bound to a connection that goes away.
pub(super) fn end_keys_of(
    tx: &Transaction<'_>,
    connection: &ConnectionId,
    by: &Provenance,
) -> Result<usize, StoreError> {
    let mut statement =
        tx.prepare("SELECT id FROM keys WHERE connection = ?1 AND revoked_at IS NULL ORDER BY id")?;
    let ids = statement
        .query_map(params![connection.as_str()], |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    for id in &ids {
        let id = KeyId::parse(id).ok_or(StoreError::Damaged("a key's id"))?;
        end_key(tx, &id)?;
        record_event(tx, by, "key revoke", id.as_str())?;
    }
    Ok(ids.len())
}

/// False when there was nothing to revoke.
fn end_key(tx: &Transaction<'_>, id: &KeyId) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE keys SET revoked_at = CAST(unixepoch('subsec') * 1000 AS INTEGER), seal = NULL
         WHERE id = ?1 AND revoked_at IS NULL",
        params![id.as_str()],
    )?;
    if changed > 0 {
        record_change(tx, ChangeKind::Key, id.as_str())?;
    }
    Ok(changed > 0)
}

fn not_found(id: &KeyId) -> StoreError {
    StoreError::NotFound {
        what: "key that is in force with id",
        name: id.to_string(),
        list: "key list",
    }
}

/// With the key that seals rows at hand, one that is not revoked must hold its seal.
fn read(row: &Row<'_>, rows: Option<&RowKey>) -> Result<KeyRow, StoreError> {
    let key = parse(row)?;
    if let Some(rows) = rows.filter(|_| key.revoked.is_none()) {
        let seal: Option<Vec<u8>> = row.get("seal")?;
        key.facts().check(rows, seal.as_deref())?;
    }
    Ok(key)
}

fn parse(row: &Row<'_>) -> Result<KeyRow, StoreError> {
    let id: String = row.get(0)?;
    let hash: Vec<u8> = row.get(1)?;
    let connection: Option<String> = row.get(3)?;
    let binding = match connection {
        None => Binding::Any,
        Some(id) => {
            Binding::Connection(ConnectionId::parse(&id).ok_or(StoreError::Damaged("a connection's id"))?)
        }
    };
    Ok(KeyRow {
        id: KeyId::parse(&id).ok_or(StoreError::Damaged("a key's id"))?,
        hash: <[u8; 32]>::try_from(hash)
            .map(KeyHash::from_stored)
            .map_err(|_| StoreError::Damaged("a key's hash"))?,
        integration: row.get(2)?,
        binding,
        created: timestamp(row.get(4)?)?,
        created_by: row.get(5)?,
        expires: timestamp_opt(row.get(6)?)?,
        revoked: timestamp_opt(row.get(7)?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::key::{Environment, IssuedKey, KeyRandomness, PresentedKey};
    use crate::store::testing::{by_test, store};

    fn issue(seed: u8) -> (IssuedKey, NewKey) {
        let issued = IssuedKey::generate(
            Environment::Live,
            &KeyRandomness {
                id: [seed; 12],
                secret: zeroize::Zeroizing::new([seed; 32]),
            },
        );
        let new = NewKey {
            id: issued.id,
            hash: issued.hash,
            integration: "crm".to_owned(),
            binding: Binding::Any,
            expires: None,
        };
        (issued, new)
    }

    #[test]
    fn a_stored_key_is_recognised_and_its_text_is_nowhere_in_the_file() {
        let (dir, store) = store();
        let (issued, new) = issue(5);
        store.add_keys(&[new], &by_test()).unwrap();
        let row = store.key(&issued.id).unwrap().unwrap();
        assert!(
            row.hash
                .matches(&PresentedKey::parse(issued.text.expose()).unwrap().hash)
        );
        let secret = &issued.text.expose()[18..61];
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(memchr::memmem::find(&bytes, secret.as_bytes()).is_none());
        }
    }

    #[test]
    fn a_damaged_key_opens_nothing_and_the_others_do() {
        let (_dir, store) = store();
        let keys = [issue(1).1, issue(2).1];
        store.add_keys(&keys, &by_test()).unwrap();
        rusqlite::Connection::open(store.path())
            .unwrap()
            .execute(
                "UPDATE keys SET hash = x'00', revoked_at = 5 WHERE id = ?1",
                params![keys[0].id.as_str()],
            )
            .unwrap();
        let rows = store.key_rows().unwrap();
        assert_eq!(rows.damaged, [Some(keys[0].id)]);
        assert_eq!(rows.sound.len(), 1);
        assert_eq!(store.keys().unwrap()[0].id, keys[1].id);
        assert!(matches!(store.key(&keys[0].id), Err(StoreError::Damaged(_))));
    }

    #[test]
    fn revoking_is_a_change_once_and_names_an_unknown_key() {
        let (_dir, store) = store();
        let (issued, new) = issue(5);
        store.add_keys(&[new], &by_test()).unwrap();
        let seen = store.last_change().unwrap();
        assert_eq!(store.revoke_key(&issued.id, &by_test()).unwrap(), Revoked::Now);
        assert_eq!(store.revoke_key(&issued.id, &by_test()).unwrap(), Revoked::Before);
        let changes = store.changes_after(seen).unwrap().rows;
        assert_eq!(changes.len(), 1);
        assert_eq!(
            (changes[0].kind, &*changes[0].id),
            (ChangeKind::Key, issued.id.as_str())
        );
        assert!(matches!(
            store.revoke_key(&issue(6).0.id, &by_test()),
            Err(StoreError::NotFound { .. })
        ));
    }

    #[test]
    fn rotation_never_lengthens_the_old_key() {
        let (_dir, store) = store();
        let at = |second| Timestamp::from_second(second).unwrap();
        let (old, mut new) = issue(1);
        new.expires = Some(at(100));
        store.add_keys(&[new], &by_test()).unwrap();
        store
            .rotate_key(&old.id, &issue(2).1, at(500), &by_test())
            .unwrap();
        assert_eq!(store.key(&old.id).unwrap().unwrap().expires, Some(at(100)));
        store
            .rotate_key(&old.id, &issue(3).1, at(50), &by_test())
            .unwrap();
        assert_eq!(store.key(&old.id).unwrap().unwrap().expires, Some(at(50)));
        store.revoke_key(&old.id, &by_test()).unwrap();
        assert!(
            store
                .rotate_key(&old.id, &issue(4).1, at(60), &by_test())
                .is_err()
        );
        assert_eq!(
            store.keys().unwrap().len(),
            3,
            "the failed rotation left no key behind"
        );
    }

    #[test]
    fn several_keys_are_stored_together_or_not_at_all() {
        let (_dir, store) = store();
        let (_, one) = issue(1);
        let (_, same_again) = issue(1);
        assert!(store.add_keys(&[one, same_again], &by_test()).is_err());
        assert!(store.keys().unwrap().is_empty());
    }

    #[test]
    fn a_key_can_not_be_bound_to_a_connection_that_is_not_there() {
        let (_dir, store) = store();
        let (_, mut key) = issue(1);
        key.binding = Binding::Connection(ConnectionId::generate([1; 12]));
        assert!(matches!(
            store.add_keys(&[key], &by_test()),
            Err(StoreError::NotFound { .. })
        ));
    }
}
