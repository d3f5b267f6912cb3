//! Seals over plain columns: which key opens what, which account a connection is, what an admin credential may,
//! how far an install is and whose.
//!
//! Whoever can write the file but has not the master key can destroy rows, and can't make one that opens
//! more: a key or connection whose seal does not hold counts as damaged. Revoking takes the seal away, so
//! that it can be done without the master key, and undone only by who has the master key or kept the row's old
//! seal: a copy of the file from before brings that one row back, since seals do not say how old they are. The
//! anchor tells an old file, not an old row; who may have copied a key's row should have the key's policy end,
//! too. Deliberately not sealed is what commands must be able to change without the master key: emergency stops
//! and standings.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::installs::InstallRow;
use super::master_key::must_fit;
use super::{Store, StoreError};
use crate::access::connection::ConnectionId;
use crate::access::integration::Binding;
use crate::vault::{RowKey, RowSeal, Vault, WrappedKey};

/// What a key's seal holds.
pub(super) struct KeyFacts<'a> {
    pub(super) id: &'a str,
    pub(super) hash: [u8; 32],
    pub(super) integration: &'a str,
    pub(super) connection: Option<&'a str>,
    /// Milliseconds.
    pub(super) expires: Option<i64>,
}

impl KeyFacts<'_> {
    pub(super) fn seal(&self, rows: &RowKey) -> RowSeal {
        self.parts(|parts| rows.seal(parts))
    }

    pub(super) fn check(&self, rows: &RowKey, seal: Option<&[u8]>) -> Result<(), StoreError> {
        let holds = seal.is_some_and(|seal| self.parts(|parts| rows.holds(parts, seal)));
        holds
            .then_some(())
            .ok_or(StoreError::Damaged("the seal of a key"))
    }

    /// No id is empty, and no time has no bytes: absent is told from every value.
    fn parts<T>(&self, then: impl FnOnce(&[&[u8]]) -> T) -> T {
        let expires = self.expires.map(i64::to_be_bytes);
        then(&[
            b"key 1",
            self.id.as_bytes(),
            &self.hash,
            self.integration.as_bytes(),
            self.connection.unwrap_or_default().as_bytes(),
            expires.as_ref().map_or(&[], |bytes| bytes.as_slice()),
        ])
    }
}

/// What an admin credential's seal holds.
pub(super) struct AdminFacts<'a> {
    pub(super) id: &'a str,
    pub(super) hash: [u8; 32],
    pub(super) name: &'a str,
    pub(super) role: &'a str,
    /// Milliseconds.
    pub(super) expires: i64,
}

impl AdminFacts<'_> {
    pub(super) fn seal(&self, rows: &RowKey) -> RowSeal {
        self.parts(|parts| rows.seal(parts))
    }

    pub(super) fn check(&self, rows: &RowKey, seal: Option<&[u8]>) -> Result<(), StoreError> {
        let holds = seal.is_some_and(|seal| self.parts(|parts| rows.holds(parts, seal)));
        holds
            .then_some(())
            .ok_or(StoreError::Damaged("the seal of an admin credential"))
    }

    fn parts<T>(&self, then: impl FnOnce(&[&[u8]]) -> T) -> T {
        then(&[
            b"admin 1",
            self.id.as_bytes(),
            &self.hash,
            self.name.as_bytes(),
            self.role.as_bytes(),
            &self.expires.to_be_bytes(),
        ])
    }
}

/// What a connection's seal holds: all that says which account it is, none of which ever changes.
pub(super) struct ConnectionFacts<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) portal: i64,
    pub(super) app: Option<&'a str>,
}

impl ConnectionFacts<'_> {
    pub(super) fn seal(&self, rows: &RowKey) -> RowSeal {
        self.parts(|parts| rows.seal(parts))
    }

    pub(super) fn check(&self, rows: &RowKey, seal: Option<&[u8]>) -> Result<(), StoreError> {
        let holds = seal.is_some_and(|seal| self.parts(|parts| rows.holds(parts, seal)));
        holds
            .then_some(())
            .ok_or(StoreError::Damaged("the seal over name, portal and app"))
    }

    fn parts<T>(&self, then: impl FnOnce(&[&[u8]]) -> T) -> T {
        then(&[
            b"connection 1",
            self.id.as_bytes(),
            self.name.as_bytes(),
            &self.portal.to_be_bytes(),
            self.app.unwrap_or_default().as_bytes(),
        ])
    }
}

/// What an install's seal holds: all that changes while it is under way, and what its ticket does not sign.
pub(super) struct InstallFacts<'a>(pub(super) &'a InstallRow);

impl InstallFacts<'_> {
    pub(super) fn seal(&self, rows: &RowKey) -> RowSeal {
        self.parts(|parts| rows.seal(parts))
    }

    pub(super) fn hold(&self, rows: &RowKey, seal: Option<&[u8]>) -> bool {
        seal.is_some_and(|seal| self.parts(|parts| rows.holds(parts, seal)))
    }

    /// No hash, time or reason is empty: absent is told from every value.
    fn parts<T>(&self, then: impl FnOnce(&[&[u8]]) -> T) -> T {
        let row = self.0;
        let back_until = row.back_until.map(|at| at.as_millisecond().to_be_bytes());
        then(&[
            b"install 1",
            row.id.as_bytes(),
            row.ticket.as_ref().map_or(&[], |hash| hash.as_slice()),
            row.app.as_bytes(),
            row.by.actor.as_bytes(),
            row.by.reason.as_deref().unwrap_or_default().as_bytes(),
            row.phase.as_str().as_bytes(),
            &row.attempt.to_be_bytes(),
            row.browser.as_ref().map_or(&[], |hash| hash.as_slice()),
            row.state.as_ref().map_or(&[], |hash| hash.as_slice()),
            &[u8::from(row.verifier.is_some())],
            &row.expires.as_millisecond().to_be_bytes(),
            back_until.as_ref().map_or(&[], |bytes| bytes.as_slice()),
        ])
    }
}

/// The connection a binding names, as its column holds it.
pub(super) fn bound_to(binding: &Binding) -> Option<&str> {
    match binding {
        Binding::Any => None,
        Binding::Connection(id) => Some(ConnectionId::as_str(id)),
    }
}

impl Store {
    /// From now on rows that say who may do what are sealed when written and checked when read. A store
    /// without any such row gets its key here; one with rows and no key was tampered with.
    pub fn seal_rows_with(&self, vault: &Vault) -> Result<(), StoreError> {
        if self.rows.get().is_some() {
            return Ok(());
        }
        let found = wrapped(&self.reader())?;
        let stored = match found {
            Some(stored) => stored,
            None => {
                let (_, fresh) = vault.new_row_key().map_err(|_| NO_KEY)?;
                self.write(|tx| begin(tx, &fresh))?;
                let kept = wrapped(&self.reader())?;
                kept.ok_or(NO_KEY)?
            }
        };
        // Another thread may have been first, with the same key.
        let _ = self.rows.set(vault.row_key(&stored).map_err(|_| NO_KEY)?);
        Ok(())
    }

    /// The key that seals rows: whoever adds one must have opened the vault.
    pub fn row_key(&self) -> Result<&RowKey, StoreError> {
        self.rows.get().ok_or(StoreError::Locked)
    }
}

const NO_KEY: StoreError = StoreError::Damaged("the key that seals its rows");

fn wrapped(connection: &Connection) -> Result<Option<WrappedKey>, StoreError> {
    let stored: Option<Vec<u8>> = connection
        .query_row("SELECT value FROM meta WHERE name = 'row_key'", [], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(stored.map(WrappedKey::from_stored))
}

/// Whether the file holds the key that seals its rows.
pub(super) fn has_key(connection: &Connection) -> Result<bool, StoreError> {
    Ok(wrapped(connection)?.is_some())
}

fn begin(tx: &Transaction<'_>, fresh: &WrappedKey) -> Result<(), StoreError> {
    let rows: i64 = tx.query_row(
        "SELECT (SELECT count(*) FROM keys) + (SELECT count(*) FROM connections)",
        [],
        |row| row.get(0),
    )?;
    if wrapped(tx)?.is_none() && rows > 0 {
        return Err(NO_KEY);
    }
    must_fit(tx, fresh)?;
    keep(tx, fresh)
}

fn keep(tx: &Transaction<'_>, key: &WrappedKey) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO meta (name, value) VALUES ('row_key', ?1) ON CONFLICT (name) DO NOTHING",
        params![key.as_stored()],
    )?;
    Ok(())
}

/// Gives a store that knew no seals its key, and seals what it holds: only while its schema is brought up
/// to the version that has them.
pub(super) fn seal_all(tx: &Transaction<'_>, rows: &RowKey, stored: &WrappedKey) -> Result<(), StoreError> {
    keep(tx, stored)?;
    let mut keys = tx
        .prepare("SELECT id, hash, integration, connection, expires_at FROM keys WHERE revoked_at IS NULL")?;
    let mut found = keys.query([])?;
    while let Some(row) = found.next()? {
        let (id, hash, integration): (String, Vec<u8>, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let connection: Option<String> = row.get(3)?;
        // One whose hash is no hash opens nothing, sealed or not.
        let Ok(hash) = <[u8; 32]>::try_from(hash) else {
            continue;
        };
        let facts = KeyFacts {
            id: &id,
            hash,
            integration: &integration,
            connection: connection.as_deref(),
            expires: row.get(4)?,
        };
        let seal = facts.seal(rows);
        tx.execute(
            "UPDATE keys SET seal = ?2 WHERE id = ?1",
            params![id, seal.as_stored()],
        )?;
    }
    let mut connections = tx.prepare("SELECT id, name, portal, app FROM connections")?;
    let mut found = connections.query([])?;
    while let Some(row) = found.next()? {
        let (id, name, portal): (String, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let app: Option<String> = row.get(3)?;
        let facts = ConnectionFacts {
            id: &id,
            name: &name,
            portal,
            app: app.as_deref(),
        };
        let seal = facts.seal(rows);
        tx.execute(
            "UPDATE connections SET seal = ?2 WHERE id = ?1",
            params![id, seal.as_stored()],
        )?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "seals_tests.rs"]
mod tests;
