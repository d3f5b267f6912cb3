//! What the gate keeps: keys (hashes only), connections and apps (sealed bytes only), and the list of
//! changes a running gate follows.
//!
//! One SQLite file in WAL mode, every commit synced. Each change that a running gate must see stands in
//! `changes` in the same transaction, and so does the line that says who did it and why. Never sees a
//! secret in plain form: sealing is the vault's.

mod admin_credentials;
mod admin_events;
mod anchor;
mod app_secrets;
mod apps;
mod backup;
mod changes;
mod connections;
mod error;
mod filesystem;
mod findings;
mod grants;
mod health;
mod installs;
mod keys;
mod kills;
mod labels;
mod limits;
mod lock;
mod machine_time;
mod master_key;
mod people;
mod place;
mod rotation;
mod saves;
mod schema;
mod seals;
mod sharing;
#[cfg(test)]
pub(crate) mod simulated;
mod standings;

pub use admin_credentials::{AdminCredentialRow, AdminCredentialRows, NewAdminCredential};
pub use admin_events::AdminEvent;
pub use anchor::{Anchor, AnchorError, AnchorFile, AnchorKeeper, Anchored, judge};
pub use app_secrets::SecretChange;
pub use apps::{AppRow, NewApp, no_such_app};
pub use backup::Backup;
pub use changes::{Change, ChangeKind, Changes, Follower};
pub use connections::{ConnectionRow, ConnectionRows, DamagedRow, NewConnection, PageMark, StoredToken};
pub use error::StoreError;
pub use findings::{Acknowledged, Acknowledging, FindingRow, NewFinding, OpenFinding, Reconciled};
pub use grants::{AppCredentials, Begin, Member, NewGrant, NewTokens, Saved, Ticket};
pub use health::{ClassHealth, ConnectionHealth, LastUse};
pub use installs::{Beginning, Grant, Hash, InstallPhase, InstallRow, NewInstall};
pub use keys::{KeyRow, KeyRows, NewKey, Revoked};
pub use kills::{KillRow, Killed, kills_covering};
pub use limits::{LimitChange, LimitUse, UsedLimit, WINDOW_PARTS};
pub use lock::{GateLock, LockError, gate_runs};
pub use machine_time::MachineTime;
pub use master_key::{KeptKey, Turned};
pub use people::{OffboardedRow, PersonRow, WatchRow};
pub use place::real_path;
pub use rotation::NewCredential;
pub use standings::{Resumed, Whose};

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};

use crate::vault::{KeyCheck, RowKey, WrappedKey};

/// How long a statement waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages in the write-ahead log at which it is emptied: SQLite's own default.
const CHECKPOINT_PAGES: u32 = 1_000;

/// SQLite's default.
const PAGE_BYTES: u64 = 4_096;

/// Longest reason, in bytes.
pub const REASON_MAX: usize = 500;

/// What can't be a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reason is one line of at most {REASON_MAX} bytes")]
pub struct NotAReason;

/// Who changed something, and why: goes into the same transaction as the change.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// `cli:alice@host`, `api:NAME/ID` of an admin credential, or `gate:instance` for what the gate does by
    /// itself.
    pub actor: String,
    /// What the operator gave as `--reason`.
    pub reason: Option<String>,
}

impl Provenance {
    /// Reads a reason; nothing but blanks is none.
    ///
    /// # Errors
    /// It is longer than [`REASON_MAX`] bytes, or not one line.
    pub fn reason_of(text: &str) -> Result<Option<String>, NotAReason> {
        let text = text.trim();
        match text.len() > REASON_MAX || text.chars().any(char::is_control) {
            true => Err(NotAReason),
            false => Ok((!text.is_empty()).then(|| text.to_owned())),
        }
    }
}

/// The store, open. Methods block on the disk: async code calls them on a blocking thread.
pub struct Store {
    path: PathBuf,
    id: String,
    /// Apart, so that a poll never waits for a commit of our own.
    writer: Mutex<Connection>,
    /// Saves of refreshed grants, which go before everything else that waits for the writer.
    saves: saves::Saves,
    reader: Mutex<Connection>,
    /// Moves what is in the write-ahead log into the file, so that no commit has to; once somebody does that.
    checkpointer: OnceLock<Mutex<Connection>>,
    /// The files as they were opened.
    opened: place::Opened,
    /// What seals rows, once somebody has opened the vault.
    rows: OnceLock<RowKey>,
}

/// What a store of a version without seals needs to get them: of the vault that opens it.
pub struct Sealing {
    /// What recognises the master key.
    pub check: KeyCheck,
    /// Seals the rows there are.
    pub rows: RowKey,
    /// The same, as stored.
    pub stored: WrappedKey,
    /// Who had the rows sealed as they are, and why: recorded.
    pub by: Option<Provenance>,
}

impl Store {
    /// Opens the file, making a new store (mode 0600) when there is none. A store of an older version
    /// is not touched: [`Store::migrate`] is a step of its own.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let path = real_path(path);
        Self::open_at(&path).map_err(|error| error.at(&path))
    }

    /// Opens the file if it is there: for who only looks, or changes what must be there already.
    pub fn open_existing(path: &Path) -> Result<Self, StoreError> {
        must_exist(path)?;
        Self::open(path)
    }

    fn open_at(path: &Path) -> Result<Self, StoreError> {
        place::prepare(path)?;
        let writer = connect(path)?;
        schema::create_or_check(&writer)?;
        let reader = connect(path)?;
        reader.pragma_update(None, "query_only", true)?;
        let id = store_id(&writer)?;
        let opened = place::Opened::at(path);
        Ok(Self {
            opened,
            rows: OnceLock::new(),
            path: path.to_owned(),
            id,
            writer: Mutex::new(writer),
            saves: saves::Saves::default(),
            reader: Mutex::new(reader),
            checkpointer: OnceLock::new(),
        })
    }

    /// Brings the file to this version's schema; returns the versions before and after. `unlock` is asked
    /// only for a store whose rows have no seals yet, by its id and what recognises its master key.
    pub fn migrate<E: From<StoreError>>(
        path: &Path,
        unlock: impl FnOnce(&str, Option<&KeyCheck>) -> Result<Sealing, E>,
    ) -> Result<(u32, u32), E> {
        let path = &real_path(path);
        let named = |error: StoreError| E::from(error.at(path));
        must_exist(path)
            .and_then(|()| place::prepare(path))
            .map_err(named)?;
        let connection = connect(path).map_err(named)?;
        let sealing = match schema::without_seals(&connection).map_err(named)? {
            false => None,
            true => {
                // No version without seals has such a key: the version was set back, to have forged rows sealed.
                if seals::has_key(&connection).map_err(named)? {
                    return Err(named(StoreError::SetBack));
                }
                let id = store_id(&connection).map_err(named)?;
                let check = key_check(&connection).map_err(named)?;
                Some(unlock(&id, check.as_ref())?)
            }
        };
        schema::migrate(&connection, sealing.as_ref()).map_err(named)
    }

    /// An error once the file, its log or the log's index is gone, replaced, or has a second name: what is
    /// read here is then not what others write.
    pub fn in_place(&self) -> Result<(), StoreError> {
        self.opened.check()
    }

    /// Moves what is in a log that somebody removed into the file, while that can be done: nobody else can
    /// read it any more. Best effort.
    pub fn rescue_log(&self) -> bool {
        self.opened.only_lost_its_log()
            && self
                .writer()
                .query_row("PRAGMA wal_checkpoint(FULL)", [], |row| row.get::<_, i64>(0))
                .is_ok_and(|busy| busy == 0)
    }

    /// How long writes through this handle wait for another process's write from now on.
    pub fn wait_for_writers(&self, patience: Duration) -> Result<(), StoreError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(writer.busy_timeout(patience)?)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Random, made with the store: ties the master key's check value to it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The tag of the master key this store is sealed with, once there is one.
    pub fn key_check(&self) -> Result<Option<KeyCheck>, StoreError> {
        key_check(&self.reader())
    }

    /// Records the tag if there is none yet; returns the one that counts.
    pub fn record_key_check(&self, check: &KeyCheck) -> Result<KeyCheck, StoreError> {
        self.write(|tx| {
            tx.execute(
                "INSERT INTO meta (name, value) VALUES ('key_check', ?1) ON CONFLICT (name) DO NOTHING",
                params![check.to_stored().as_slice()],
            )?;
            Ok(())
        })?;
        self.key_check()?
            .ok_or(StoreError::Damaged("the master key's check value"))
    }

    /// What is wrong with the file itself; empty when nothing is.
    pub fn integrity(&self) -> Result<Vec<String>, StoreError> {
        self.check_pages().map_err(|error| error.at(&self.path))
    }

    fn check_pages(&self) -> Result<Vec<String>, StoreError> {
        let reader = self.reader();
        let mut findings = Vec::new();
        let mut statement = reader.prepare("PRAGMA integrity_check(20)")?;
        for line in statement.query_map([], |row| row.get::<_, String>(0))? {
            let line = line?;
            if line != "ok" {
                findings.push(line);
            }
        }
        Ok(findings)
    }

    /// The machine's wall clock as the store sees it.
    pub fn now(&self) -> Result<Timestamp, StoreError> {
        let milliseconds =
            self.reader()
                .query_row("SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)", [], |row| {
                    row.get(0)
                })?;
        timestamp(milliseconds)
    }

    /// One writing transaction: all of it, durable, or nothing.
    fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer();
        let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = work(&tx)?;
        commit(tx)?;
        Ok(result)
    }

    /// The writer, once every save that waited has been carried out.
    fn writer(&self) -> saves::Writer<'_> {
        let connection = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        saves::Writer::new(connection, &self.saves)
    }

    /// From now on [`Store::checkpoint`] is called regularly, and commits leave that work to it, unless the
    /// log grows tenfold.
    pub fn checkpoint_apart(&self) -> Result<(), StoreError> {
        self.writer()
            .pragma_update(None, "wal_autocheckpoint", 10 * CHECKPOINT_PAGES)?;
        let checkpointer = connect(&self.path)?;
        // One is enough, should somebody ask twice.
        let _ = self.checkpointer.set(Mutex::new(checkpointer));
        Ok(())
    }

    /// Moves what is in the write-ahead log into the file when there is much of it and nobody is at it already,
    /// without holding up a commit. Best effort.
    pub fn checkpoint(&self) {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let pages = std::fs::metadata(log).map_or(0, |metadata| metadata.len()) / PAGE_BYTES;
        if pages < u64::from(CHECKPOINT_PAGES) {
            return;
        }
        let Some(checkpointer) = self.checkpointer.get() else {
            return;
        };
        let checkpointer = match checkpointer.try_lock() {
            Ok(checkpointer) => checkpointer,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // One is at it, as long as its disk takes: one more each second would be threads without end.
            Err(TryLockError::WouldBlock) => return,
        };
        let outcome = checkpointer.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if let Err(error) = outcome {
            tracing::debug!(error = %error, "write-ahead log not moved yet");
        }
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves what is only in the write-ahead log into the file and empties the log, so that a destroyed
    /// data key is gone from both. Best effort: a reader may hold the log for a moment, and the next
    /// checkpoint does it then.
    fn forget_log(&self) {
        let writer = self.writer();
        let outcome = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = outcome {
            tracing::debug!(error = %error, "write-ahead log not emptied yet");
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.path.display())
    }
}

/// Counts the transaction and makes it durable.
fn commit(tx: Transaction<'_>) -> Result<(), StoreError> {
    anchor::count(&tx)?;
    fail::fail_point!("store-commit", |_| Err(StoreError::Sqlite(
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), None)
    )));
    tx.commit()?;
    Ok(())
}

fn must_exist(path: &Path) -> Result<(), StoreError> {
    match path.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(StoreError::Missing(path.to_owned())),
        Err(cause) => Err(StoreError::File {
            path: path.to_owned(),
            cause,
        }),
    }
}

fn store_id(connection: &Connection) -> Result<String, StoreError> {
    Ok(
        connection.query_row("SELECT value FROM meta WHERE name = 'store_id'", [], |row| {
            row.get(0)
        })?,
    )
}

fn key_check(connection: &Connection) -> Result<Option<KeyCheck>, StoreError> {
    use rusqlite::OptionalExtension;
    let stored: Option<Vec<u8>> = connection
        .query_row("SELECT value FROM meta WHERE name = 'key_check'", [], |row| {
            row.get(0)
        })
        .optional()?;
    stored
        .map(|bytes| {
            <[u8; 32]>::try_from(bytes)
                .map(KeyCheck::from_stored)
                .map_err(|_| StoreError::Damaged("the master key's check value"))
        })
        .transpose()
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // More statements than the default holds: none is compiled while a grant waits to be saved.
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Deleted rows are overwritten: a destroyed data key is destroyed.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // A running gate has no other folder to put them, and rows have no business in one.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    #[cfg(test)]
    simulated::set_clock(&connection)?;
    Ok(connection)
}

/// A stored number of milliseconds as an instant.
fn timestamp(milliseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(milliseconds).map_err(|_| StoreError::Damaged("a time"))
}

fn timestamp_opt(milliseconds: Option<i64>) -> Result<Option<Timestamp>, StoreError> {
    milliseconds.map(timestamp).transpose()
}

/// An unsigned number as SQLite holds it.
fn stored_number(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Damaged("a number"))
}

fn read_number(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Damaged("a number"))
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A store in a folder of its own, removed with the guard.
    pub fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("scopegate.db")).unwrap();
        store.seal_rows_with(&vault(&store)).unwrap();
        (dir, store)
    }

    /// Adds so many connections, `c-0`, `c-1`, …; their ids.
    pub fn connections(store: &Store, count: u64) -> Vec<crate::access::connection::ConnectionId> {
        let name = |n| crate::access::connection::ConnectionName::parse(&format!("c-{n}")).unwrap();
        let add = |n: u64| {
            let mut new = connections::tests::new(0, "c", 1_000 + n);
            let mut random = [7; 12];
            random[..8].copy_from_slice(&n.to_be_bytes());
            new.id = crate::access::connection::ConnectionId::generate(random);
            (new.name, new.installer_email) = (name(n), Some(format!("person-{n}@example.com")));
            store.add_connection(&new, &by_test()).unwrap();
            new.id
        };
        (0..count).map(add).collect()
    }

    /// What opens it.
    pub fn vault(store: &Store) -> crate::vault::Vault {
        let master = crate::vault::MasterKey::from_bytes([9; 32]);
        crate::vault::Vault::open(&master, store.id(), None).unwrap()
    }

    /// A connection of portal 1 as a store gives it out, installed by this person.
    pub fn installed_by(name: &str, user_id: Option<u64>, email: Option<&str>) -> ConnectionRow {
        let (_dir, store) = store();
        let mut new = connections::tests::new(name.len() as u8, name, 1);
        new.user_id = user_id;
        new.installer_email = email.map(str::to_owned);
        store.add_connection(&new, &by_test()).unwrap();
        store.connections().unwrap().remove(0)
    }

    /// A private app's connection, to be added; nothing in it opens.
    pub fn connection(seed: u8, name: &str, portal: u64) -> NewConnection {
        connections::tests::new(seed, name, portal)
    }

    pub fn by_test() -> Provenance {
        Provenance {
            actor: "test".to_owned(),
            reason: Some("because".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::store;
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_new_store_and_its_log_are_for_their_owner_alone() {
        let (dir, store) = store();
        store.record_key_check(&KeyCheck::from_stored([1; 32])).unwrap();
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        }
    }

    #[test]
    fn a_store_that_others_can_open_is_refused() {
        let (dir, store) = store();
        let path = store.path().to_owned();
        drop(store);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o604)).unwrap();
        let message = Store::open(&path).unwrap_err().to_string();
        assert!(message.contains("chmod"), "{message}");
        drop(dir);
    }

    #[test]
    fn a_file_that_is_no_store_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, b"important notes, more than sixteen bytes").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let error = Store::open(&path).err().unwrap().to_string();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
        assert!(std::fs::read(&path).unwrap().starts_with(b"important"));

        let other = dir.path().join("other.db");
        Connection::open(&other)
            .unwrap()
            .execute_batch("CREATE TABLE t (x)")
            .unwrap();
        std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(Store::open(&other), Err(StoreError::NotAStore(_))));
    }

    #[test]
    fn who_only_looks_makes_no_store() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data/scopegate.db");
        let never =
            |_: &str, _: Option<&KeyCheck>| -> Result<Sealing, StoreError> { panic!("not asked for") };
        for error in [
            Store::open_existing(&path).err().unwrap(),
            Store::migrate(&path, never).unwrap_err(),
        ] {
            assert!(matches!(error, StoreError::Missing(_)), "{error}");
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
        assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
        drop(Store::open(&path).unwrap());
        assert!(Store::open_existing(&path).is_ok());
        assert!(Store::migrate(&path, never).is_ok());
    }

    #[test]
    fn a_checkpoint_that_hangs_keeps_no_other_waiting() {
        let (_dir, store) = store();
        store.checkpoint_apart().unwrap();
        let much = "INSERT INTO meta (name, value) VALUES ('much', zeroblob(8000000))";
        store.write(|tx| Ok(tx.execute(much, [])?)).unwrap();
        let hanging = store.checkpointer.get().unwrap().lock().unwrap();
        std::thread::scope(|scope| {
            let (done, came_back) = std::sync::mpsc::channel();
            let store = &store;
            scope.spawn(move || {
                store.checkpoint();
                let _ = done.send(());
            });
            let came_back = came_back.recv_timeout(Duration::from_secs(10));
            drop(hanging);
            assert!(came_back.is_ok());
        });
    }

    #[test]
    fn the_first_master_key_check_counts() {
        let (_dir, store) = store();
        assert_eq!(store.key_check().unwrap(), None);
        let first = KeyCheck::from_stored([1; 32]);
        assert_eq!(store.record_key_check(&first).unwrap(), first);
        let second = KeyCheck::from_stored([2; 32]);
        assert_eq!(store.record_key_check(&second).unwrap(), first);
    }

    #[test]
    fn the_file_reopens_with_the_same_identity() {
        let (dir, store) = store();
        let id = store.id().to_owned();
        let path = store.path().to_owned();
        drop(store);
        assert_eq!(Store::open(&path).unwrap().id(), id);
        assert!(Store::open(&path).unwrap().integrity().unwrap().is_empty());
        drop(dir);
    }
}
