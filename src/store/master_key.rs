//! What the store records of its master key, and the change from one to the next: announced first, so that
//! running gates have both, then everything wrapped anew in one transaction. A process that dies leaves the
//! one or the other, never a mixture that nothing opens.

use rusqlite::{OptionalExtension, Transaction, params};

use super::changes::{record_change, record_event};
use super::{ChangeKind, Provenance, Store, StoreError};
use crate::access::connection::ConnectionId;
use crate::vault::{KeyCheck, Owner, Recorded, Rotation, Sealed, WrappedKey};

const CHECK: &str = "key_check";
const PRINT_KEY: &str = "print_key";
const NEXT_CHECK: &str = "next_key_check";
const NEXT_KEY: &str = "next_master_key";

/// Every place a wrapped data key stands in: table, column that names its owner, who that is.
const PLACES: [(&str, &str, OwnerOf); 3] = [
    ("connections", "id", owner_connection),
    ("apps", "name", owner_app),
    ("installs", "id", owner_install),
];

/// Keys of the store's own, in `meta`: every row stands on them, so none may stay behind.
const OWN: [&str; 1] = ["row_key"];

type OwnerOf = fn(&str) -> Option<Owner>;

fn owner_connection(id: &str) -> Option<Owner> {
    ConnectionId::parse(id).map(|id| Owner::connection(&id))
}

fn owner_app(name: &str) -> Option<Owner> {
    Some(Owner::app(name))
}

fn owner_install(id: &str) -> Option<Owner> {
    Some(Owner::install(id))
}

/// A wrapped data key, and whose it is.
#[derive(Clone, Debug)]
pub struct KeptKey {
    /// `connection`, `app`, `install`.
    pub kind: &'static str,
    /// Its name, or id.
    pub name: String,
    /// Whose; `None` when the row's own id can't be read.
    pub owner: Option<Owner>,
    /// The key.
    pub wrapped: WrappedKey,
}

/// What a turn to the new key did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turned {
    /// Data keys that are under the new key now.
    pub wrapped: usize,
    /// `KIND NAME` of those that opened under neither key, and were left as they are.
    pub left: Vec<String>,
}

impl Store {
    /// What is recorded of the master key.
    pub fn recorded(&self) -> Result<Recorded, StoreError> {
        let reader = self.reader();
        // One look: what is read apart could be of two moments of a rotation.
        let tx = reader.unchecked_transaction()?;
        recorded(&tx)
    }

    /// Every wrapped data key there is.
    pub fn kept_keys(&self) -> Result<Vec<KeptKey>, StoreError> {
        let reader = self.reader();
        let tx = reader.unchecked_transaction()?;
        let mut kept = Vec::new();
        for (table, column, owner_of) in PLACES {
            let kind = table.trim_end_matches('s');
            let shown = if table == "connections" { "name" } else { column };
            let mut statement = tx.prepare(&format!(
                "SELECT {column}, {shown}, data_key FROM {table} WHERE data_key IS NOT NULL ORDER BY {shown}"
            ))?;
            let mut found = statement.query([])?;
            while let Some(row) = found.next()? {
                let id: String = row.get(0)?;
                kept.push(KeptKey {
                    kind,
                    name: row.get(1)?,
                    owner: owner_of(&id),
                    wrapped: WrappedKey::from_stored(row.get(2)?),
                });
            }
        }
        for name in OWN {
            kept.extend(value(&tx, name)?.map(|wrapped| KeptKey {
                kind: "store",
                name: name.to_owned(),
                owner: Some(Owner::store()),
                wrapped: WrappedKey::from_stored(wrapped),
            }));
        }
        Ok(kept)
    }

    /// Tells running gates the next master key, sealed under the present one. Does nothing when it is
    /// announced already.
    ///
    /// # Errors
    /// Another rotation is under way, or the present key is another one by now.
    pub fn announce_master_key(&self, rotation: &Rotation, by: &Provenance) -> Result<(), StoreError> {
        self.write(|tx| {
            let recorded = recorded(tx)?;
            if recorded.check.as_ref() != Some(rotation.old_check()) {
                return Err(StoreError::Rekeyed);
            }
            match recorded.next {
                Some((check, _)) if check == *rotation.new_check() => return Ok(()),
                Some(_) => return Err(StoreError::OtherRotation),
                None => {}
            }
            set(tx, NEXT_CHECK, &rotation.new_check().to_stored())?;
            set(tx, NEXT_KEY, rotation.announced().as_stored())?;
            record_change(tx, ChangeKind::MasterKey, "next")?;
            record_event(tx, by, "master-key rotate", "announced")
        })
    }

    /// Wraps every data key anew and records the new master key, all at once. `halfway` runs before the
    /// commit: for tests of what a crash leaves.
    ///
    /// # Errors
    /// The rotation was not announced, or is another one.
    pub fn turn_master_key(
        &self,
        rotation: &Rotation,
        by: &Provenance,
        halfway: impl FnOnce(),
    ) -> Result<Turned, StoreError> {
        let turned = self.write(|tx| {
            let recorded = recorded(tx)?;
            let announced = recorded.next.as_ref().map(|(check, _)| check);
            if recorded.check.as_ref() != Some(rotation.old_check())
                || announced != Some(rotation.new_check())
            {
                return Err(StoreError::Rekeyed);
            }
            let turned = rewrap(tx, rotation)?;
            set(tx, CHECK, &rotation.new_check().to_stored())?;
            set(tx, PRINT_KEY, rotation.print_key().as_stored())?;
            tx.execute(
                "DELETE FROM meta WHERE name IN (?1, ?2)",
                params![NEXT_CHECK, NEXT_KEY],
            )?;
            record_change(tx, ChangeKind::MasterKey, "turned")?;
            record_event(tx, by, "master-key rotate", "turned")?;
            halfway();
            Ok(turned)
        })?;
        // The announcement is a key, if a sealed one: it goes out of the log, too.
        self.forget_log();
        Ok(turned)
    }
}

/// Refuses a data key that was wrapped by a master key which does not count any more: the process that
/// made it began before a rotation and has not noticed its end.
pub(super) fn must_fit(tx: &Transaction<'_>, key: &WrappedKey) -> Result<(), StoreError> {
    let Some(under) = key.under() else { return Ok(()) };
    let recorded = recorded(tx)?;
    let next = recorded.next.map(|(check, _)| check);
    match recorded.check {
        Some(check) if check != *under && next.as_ref() != Some(under) => Err(StoreError::Rekeyed),
        _ => Ok(()),
    }
}

fn recorded(tx: &Transaction<'_>) -> Result<Recorded, StoreError> {
    let get = |name: &str| value(tx, name);
    let check = |name| -> Result<Option<KeyCheck>, StoreError> {
        let bytes = get(name)?.map(<[u8; 32]>::try_from).transpose();
        let bytes = bytes.map_err(|_| StoreError::Damaged("the master key's check value"))?;
        Ok(bytes.map(KeyCheck::from_stored))
    };
    let next = match (check(NEXT_CHECK)?, get(NEXT_KEY)?) {
        (Some(check), Some(sealed)) => Some((check, Sealed::from_stored(sealed))),
        (None, None) => None,
        _ => return Err(StoreError::Damaged("a rotation of the master key")),
    };
    Ok(Recorded {
        check: check(CHECK)?,
        print_key: get(PRINT_KEY)?.map(Sealed::from_stored),
        next,
    })
}

fn value(tx: &Transaction<'_>, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}

fn set(tx: &Transaction<'_>, name: &str, value: &[u8]) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        params![name, value],
    )?;
    Ok(())
}

fn rewrap(tx: &Transaction<'_>, rotation: &Rotation) -> Result<Turned, StoreError> {
    let mut turned = Turned {
        wrapped: 0,
        left: Vec::new(),
    };
    for name in OWN {
        let Some(wrapped) = value(tx, name)? else { continue };
        let anew = rotation
            .rewrap(&Owner::store(), &WrappedKey::from_stored(wrapped))
            .map_err(|_| StoreError::Damaged("a key of the store's own"))?;
        set(tx, name, anew.as_stored())?;
        turned.wrapped += 1;
    }
    for (table, column, owner_of) in PLACES {
        let rows: Vec<(String, Vec<u8>)> = tx
            .prepare(&format!(
                "SELECT {column}, data_key FROM {table} WHERE data_key IS NOT NULL"
            ))?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let mut update = tx.prepare(&format!("UPDATE {table} SET data_key = ?2 WHERE {column} = ?1"))?;
        for (id, wrapped) in rows {
            let wrapped = WrappedKey::from_stored(wrapped);
            let anew = owner_of(&id).and_then(|owner| rotation.rewrap(&owner, &wrapped).ok());
            match anew {
                Some(anew) => {
                    update.execute(params![id, anew.as_stored()])?;
                    turned.wrapped += 1;
                }
                None => turned.left.push(format!("{} {id}", table.trim_end_matches('s'))),
            }
        }
    }
    Ok(turned)
}

#[cfg(test)]
#[path = "master_key_tests.rs"]
mod tests;
