//! A copy of the store while gates and commands work on it: consistent, looked at, and there as a whole or not
//! at all. Never a master key, not even a sealed one: no copy is made while one is on its way to a gate.

use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::schema;
use super::{Store, StoreError, connect, read_number};

/// What was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Size of the file.
    pub bytes: u64,
    /// Connections in it.
    pub connections: u64,
    /// Keys in it.
    pub keys: u64,
}

impl Store {
    /// Writes a copy to the new file `to` (mode 0600). It is of one moment; writers are not held up.
    ///
    /// # Errors
    /// The file is there, can't be written, or does not hold what it should; a rotation of the master key
    /// is under way. Nothing is left behind then.
    pub fn backup(&self, to: &Path) -> Result<Backup, StoreError> {
        let unusable = |cause| StoreError::BackupFile {
            path: to.to_owned(),
            cause,
        };
        if to.symlink_metadata().is_ok() {
            return Err(StoreError::BackupExists(to.to_owned()));
        }
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
        // For its owner alone from its first byte on, beside its place, gone if anything fails.
        let copy = tempfile::Builder::new()
            .prefix(".scopegate-backup-")
            .tempfile_in(&folder)
            .map_err(unusable)?;
        let name = copy
            .path()
            .to_str()
            .ok_or_else(|| unusable(std::io::Error::other("the path is not UTF-8")))?;
        connect(&self.path)?.execute("VACUUM INTO ?1", params![name])?;
        copy.as_file().sync_all().map_err(unusable)?;
        let backup = self.look_at(copy.path())?;
        copy.persist_noclobber(to)
            .map_err(|error| match error.error.kind() {
                std::io::ErrorKind::AlreadyExists => StoreError::BackupExists(to.to_owned()),
                _ => unusable(error.error),
            })?;
        File::open(&folder)
            .and_then(|folder| folder.sync_all())
            .map_err(unusable)?;
        Ok(backup)
    }

    /// Opens the copy as a restore would, and compares what must be the same.
    fn look_at(&self, path: &Path) -> Result<Backup, StoreError> {
        let copy = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        schema::check(&copy)?;
        let sound: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        let meta = |name: &str| {
            let sql = "SELECT CAST(value AS BLOB) FROM meta WHERE name = ?1";
            copy.query_row(sql, [name], |row| row.get::<_, Vec<u8>>(0))
                .optional()
        };
        if meta("next_master_key")?.is_some() {
            return Err(StoreError::OtherRotation);
        }
        let check = self.key_check()?.map(|check| check.to_stored().to_vec());
        let same = meta("store_id")?.as_deref() == Some(self.id.as_bytes()) && meta("key_check")? == check;
        if sound != "ok" || !same {
            return Err(StoreError::BackupUnsound);
        }
        let count = |table: &str| -> Result<u64, StoreError> {
            let sql = format!("SELECT count(*) FROM {table}");
            read_number(copy.query_row(&sql, [], |row| row.get(0))?)
        };
        Ok(Backup {
            bytes: std::fs::metadata(path).map_or(0, |metadata| metadata.len()),
            connections: count("connections")?,
            keys: count("keys")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{by_test, store};
    use super::*;
    use crate::store::connections::tests::new;
    use crate::vault::{KeyCheck, MasterKey, Rotation, Vault};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_backup_is_a_store_of_its_own_for_its_owner_alone_and_replaces_nothing() {
        let (dir, store) = store();
        store.record_key_check(&KeyCheck::from_stored([1; 32])).unwrap();
        store.add_connection(&new(1, "acme", 1), &by_test()).unwrap();
        let to = dir.path().join("copy.db");
        let backup = store.backup(&to).unwrap();
        assert_eq!((backup.connections, backup.keys), (1, 0));
        assert_eq!(
            std::fs::metadata(&to).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(matches!(store.backup(&to), Err(StoreError::BackupExists(_))));
        let copy = Store::open_existing(&to).unwrap();
        assert_eq!(copy.id(), store.id());
        assert_eq!(copy.key_check().unwrap(), store.key_check().unwrap());
        assert_eq!(copy.connections().unwrap().len(), 1);
        assert!(copy.integrity().unwrap().is_empty());
    }

    #[test]
    fn a_backup_that_fails_leaves_nothing_and_says_what_to_do() {
        let (dir, store) = store();
        let nowhere = store
            .backup(&dir.path().join("no/such/folder/copy.db"))
            .unwrap_err();
        assert!(nowhere.to_string().contains("copy.db"), "{nowhere}");
        let master = |byte| MasterKey::from_bytes([byte; 32]);
        let vault = Vault::open(&master(9), store.id(), None).unwrap();
        store.record_key_check(&vault.key_check()).unwrap();
        let recorded = store.recorded().unwrap();
        let rotation = Rotation::new(&master(9), &master(2), store.id(), &recorded).unwrap();
        store.announce_master_key(&rotation, &by_test()).unwrap();
        let out = tempfile::tempdir().unwrap();
        let under_way = store.backup(&out.path().join("copy.db")).unwrap_err();
        assert!(under_way.to_string().contains("finish it first"), "{under_way}");
        assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
        store.turn_master_key(&rotation, &by_test(), || {}).unwrap();
        assert!(store.backup(&out.path().join("copy.db")).is_ok());
    }

    #[test]
    fn what_was_removed_is_not_in_a_backup() {
        let (dir, store) = store();
        let mut connection = new(1, "acme", 1);
        let canary = b"canary-of-a-data-key-that-was-destroyed".to_vec();
        connection.data_key = crate::vault::WrappedKey::from_stored(canary.clone());
        store.add_connection(&connection, &by_test()).unwrap();
        store.remove_connection(&connection.id, &by_test()).unwrap();
        let to = dir.path().join("copy.db");
        store.backup(&to).unwrap();
        assert!(memchr::memmem::find(&std::fs::read(&to).unwrap(), &canary).is_none());
    }
}
