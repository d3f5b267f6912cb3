//! The store as it stands on the disk, seen from outside every process: read anew only when somebody committed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use super::server::read_refresh_token;
use crate::access::connection::ConnectionId;
use crate::vault::{KeyPrint, Owner, Place, Sealed, Vault, WrappedKey};

/// One connection's row, as far as the invariants speak of it.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) generation: u64,
    pub(super) key: KeyPrint,
    refresh: Vec<u8>,
    /// Grant and number of the refresh token.
    pub(super) token: (usize, u64),
}

pub(super) struct Inspector {
    connection: Connection,
    vault: Arc<Vault>,
    /// SQLite's own number for what others committed.
    version: i64,
    rows: BTreeMap<String, Kept>,
}

impl Inspector {
    pub(super) fn new(file: &Path, vault: &Arc<Vault>) -> Self {
        Self {
            connection: Connection::open(file).unwrap(),
            vault: Arc::clone(vault),
            version: -1,
            rows: BTreeMap::new(),
        }
    }

    /// Grows with every commit.
    pub(super) fn version(&self) -> i64 {
        let mut statement = self.connection.prepare_cached("PRAGMA data_version").unwrap();
        statement.query_row([], |row| row.get(0)).unwrap()
    }

    /// The last change in the list that gates follow.
    pub(super) fn last_change(&self) -> u64 {
        let sql = "SELECT coalesce(max(seq), 0) FROM changes";
        let mut statement = self.connection.prepare_cached(sql).unwrap();
        let last: i64 = statement.query_row([], |row| row.get(0)).unwrap();
        last.try_into().unwrap()
    }

    pub(super) fn row(&mut self, connection: &str) -> Kept {
        let version = self.version();
        if version != self.version {
            self.read();
            self.version = version;
        }
        self.rows[connection].clone()
    }

    fn read(&mut self) {
        let sql = "SELECT id, name, generation, data_key, refresh_token FROM connections";
        let mut statement = self.connection.prepare_cached(sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let name: String = row.get(1).unwrap();
            let refresh: Vec<u8> = row.get(4).unwrap();
            if self.rows.get(&name).is_some_and(|known| known.refresh == refresh) {
                continue;
            }
            let id = ConnectionId::parse(&row.get::<_, String>(0).unwrap()).unwrap();
            let generation = u64::try_from(row.get::<_, i64>(2).unwrap()).unwrap();
            let data_key = WrappedKey::from_stored(row.get(3).unwrap());
            let owner = Owner::connection(&id);
            let place = Place {
                owner: &owner,
                field: "refresh",
                version: generation,
            };
            let key = self.vault.data_key(&owner, &data_key).unwrap();
            let plain = key.open(place, &Sealed::from_stored(refresh.clone())).unwrap();
            let kept = Kept {
                generation,
                key: key.print(),
                refresh,
                token: read_refresh_token(plain.expose()).unwrap(),
            };
            self.rows.insert(name, kept);
        }
    }
}
