//! What tells an old copy of the store from the store.
//!
//! The store counts its transactions; how far it had come stands in a file of its own, in the audit folder,
//! signed with the key that seals rows, which outlives a rotation of the master key. A store that has not come as far as that file says is an old copy: keys that were revoked work in
//! it again, and its refresh tokens may be dead. The file follows within a second and never holds up a
//! transaction. Deliberately no defence against who can write both the store and the file: they can put both
//! back, or none; for that, keep the audit folder elsewhere. Commands that would change an old copy are refused
//! like a gate: their transactions count, too, and would bring it up to the anchor.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};
use serde::{Deserialize, Serialize};

use super::changes::record_event;
use super::place::give_to_owner_of;
use super::{Provenance, Store, StoreError, read_number, stored_number};
use crate::vault::RowKey;

/// How far a store had come when somebody last looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Its count of transactions.
    pub version: u64,
    /// When, by the wall clock.
    pub at: Timestamp,
    /// Whether its signature holds: it was written by who could open this store.
    pub genuine: bool,
}

/// How far a store jumps at most because of an anchor that nobody signed: more transactions than a gate makes in
/// its life, and room for as many such jumps as anybody will have patience for.
const JUMP_MOST: u64 = 1 << 40;

impl Anchor {
    /// From where a store of `version` transactions counts on when it is accepted in spite of this anchor.
    pub fn accepted(&self, version: u64) -> u64 {
        match self.genuine {
            true => self.version,
            // Else whoever can write the file counts the store to the end of all numbers.
            false => self.version.min(version.saturating_add(JUMP_MOST)),
        }
    }
}

/// What the anchor says about a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchored {
    /// It is as new as the anchor, or newer.
    Fine,
    /// There is no anchor, or none that can be believed: nothing can be told.
    Unknown,
    /// It is an old copy.
    Old(Anchor),
}

/// How far behind the store the anchor may be.
const ANCHOR_EVERY: Duration = Duration::from_secs(1);

#[derive(Serialize, Deserialize)]
struct Written {
    store: String,
    version: u64,
    at: i64,
    signature: String,
}

/// The file that says how far one store has come.
#[derive(Debug)]
pub struct AnchorFile {
    path: PathBuf,
    store: String,
    /// The store's file: whoever owns it must be able to read the anchor.
    beside: PathBuf,
}

impl AnchorFile {
    /// Of `store`, in `folder`.
    pub fn of(store: &Store, folder: &Path) -> Self {
        Self {
            path: Self::path_of(store.id(), folder),
            store: store.id().to_owned(),
            beside: store.path().to_owned(),
        }
    }

    /// Where that of the store with this id is.
    pub fn path_of(id: &str, folder: &Path) -> PathBuf {
        folder.join(format!("store-{id}.anchor"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says; `None` when there is none. One that is no anchor says 0.
    pub fn read(&self, rows: &RowKey) -> std::io::Result<Option<Anchor>> {
        self.read_with(Some(rows))
    }

    /// The same for who has not the key that it is signed with: nobody vouches for what it says.
    pub fn claimed(&self) -> std::io::Result<Option<Anchor>> {
        self.read_with(None)
    }

    fn read_with(&self, rows: Option<&RowKey>) -> std::io::Result<Option<Anchor>> {
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let unreadable = Anchor {
            version: 0,
            at: Timestamp::UNIX_EPOCH,
            genuine: false,
        };
        let Ok(written) = serde_json::from_slice::<Written>(&text) else {
            return Ok(Some(unreadable));
        };
        let at = Timestamp::from_millisecond(written.at).unwrap_or(Timestamp::UNIX_EPOCH);
        let genuine = rows
            .zip(hex_bytes(&written.signature))
            .is_some_and(|(rows, tag)| {
                self.signed(written.version, written.at, |parts| rows.holds(parts, &tag))
            });
        Ok(Some(Anchor {
            version: written.version,
            at,
            genuine: genuine && written.store == self.store,
        }))
    }

    /// Replaces it, durably. It stays its owner's whoever replaces it; the first is of the store's owner.
    pub fn write(&self, rows: &RowKey, version: u64, at: Timestamp) -> std::io::Result<()> {
        let at = at.as_millisecond();
        let tag = self.signed(version, at, |parts| rows.seal(parts));
        let signature = tag.as_stored().iter().map(|byte| format!("{byte:02x}")).collect();
        let written = Written {
            store: self.store.clone(),
            version,
            at,
            signature,
        };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().prefix(".anchor-").tempfile_in(folder)?;
        serde_json::to_writer(&mut file, &written)?;
        file.write_all(b"\n")?;
        let like = std::fs::metadata(&self.path).or_else(|_| std::fs::metadata(&self.beside))?;
        give_to_owner_of(file.as_file(), &like)?;
        let mode = like.permissions().mode() & 0o660;
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        std::fs::File::open(folder)?.sync_all()
    }

    fn signed<T>(&self, version: u64, at: i64, then: impl FnOnce(&[&[u8]]) -> T) -> T {
        then(&[
            b"store anchor 1",
            self.store.as_bytes(),
            &version.to_be_bytes(),
            &at.to_be_bytes(),
        ])
    }
}

/// Follows a store with its anchor, for the gate that runs on it.
pub struct AnchorKeeper {
    file: AnchorFile,
    written: u64,
    /// When the last attempt was.
    tried: Option<Instant>,
}

impl AnchorKeeper {
    /// A keeper of the anchor of `store` in `folder`.
    pub fn of(store: &Store, folder: &Path) -> Self {
        Self {
            file: AnchorFile::of(store, folder),
            written: 0,
            tried: None,
        }
    }

    /// Writes down how far the store has come, if it has, at most once a second. False: it is not yet time to
    /// try, and nothing is known.
    pub fn follow(&mut self, store: &Store, wall: Timestamp) -> Result<bool, AnchorError> {
        match self.tried {
            Some(tried) if tried.elapsed() < ANCHOR_EVERY => Ok(false),
            _ => self.write(store, wall).map(|()| true),
        }
    }

    /// Likewise, now.
    pub fn write(&mut self, store: &Store, wall: Timestamp) -> Result<(), AnchorError> {
        self.tried = Some(Instant::now());
        let version = store.version()?;
        if version > self.written {
            self.file
                .write(store.row_key()?, version, wall)
                .map_err(|cause| AnchorError::File {
                    path: self.file.path.clone(),
                    cause,
                })?;
            self.written = version;
        }
        Ok(())
    }
}

/// Why the anchor does not follow.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file can't be written.
    #[error("the store's anchor `{}` can't be written: {cause}", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// The system's word.
        cause: std::io::Error,
    },
}

/// An anchor that claims more than the store has is believed whoever wrote it: at worst it stops a start, or a
/// command.
/// One that claims less says nothing unless it is genuine.
pub fn judge(anchor: Option<Anchor>, version: u64) -> Anchored {
    match anchor {
        Some(anchor) if anchor.version > version => Anchored::Old(anchor),
        Some(anchor) if anchor.genuine => Anchored::Fine,
        _ => Anchored::Unknown,
    }
}

impl Store {
    /// How many transactions it has seen.
    pub fn version(&self) -> Result<u64, StoreError> {
        version(&self.reader())
    }

    /// Takes an old copy for the store from now on: it counts on from beyond the anchor, and every grant is
    /// uncertain, since a refresh may have happened that this copy does not know of. Says how many grants.
    pub fn accept_old_copy(&self, anchor: u64, by: &Provenance) -> Result<usize, StoreError> {
        let beyond = stored_number(anchor)?;
        self.write(|tx| {
            tx.execute(
                "UPDATE anchor SET version = max(version, ?1) + 1 WHERE one = 1",
                params![beyond],
            )?;
            let grants = tx.execute(
                "UPDATE connections SET intent_at = coalesce(intent_at, CAST(unixepoch('subsec') * 1000 AS INTEGER)),
                     lease_holder = NULL, lease_until = NULL
                 WHERE refresh_token IS NOT NULL",
                [],
            )?;
            record_event(tx, by, "store accept-rollback", "store")?;
            Ok(grants)
        })
    }
}

/// One more transaction.
pub(super) fn count(tx: &Transaction<'_>) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE anchor SET version = version + 1 WHERE one = 1")?
        .execute([])?;
    Ok(())
}

fn version(connection: &Connection) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached("SELECT version FROM anchor WHERE one = 1")?;
    read_number(statement.query_row([], |row| row.get(0))?)
}

fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{by_test, store};
    use crate::vault::{MasterKey, Vault};

    #[test]
    fn every_transaction_counts_and_an_old_copy_is_told() {
        let (dir, store) = store();
        let rows = store.row_key().unwrap();
        let file = AnchorFile::of(&store, dir.path());
        assert_eq!(judge(file.read(rows).unwrap(), 5), Anchored::Unknown);
        let before = store.version().unwrap();
        store.note_applied("g", 1).unwrap();
        assert_eq!(store.version().unwrap(), before + 1);
        file.write(rows, before + 1, Timestamp::from_second(7).unwrap())
            .unwrap();
        let anchor = file.read(rows).unwrap().unwrap();
        assert_eq!((anchor.version, anchor.genuine), (before + 1, true));
        assert_eq!(judge(Some(anchor), before + 1), Anchored::Fine);
        assert_eq!(judge(Some(anchor), before + 2), Anchored::Fine);
        assert_eq!(judge(Some(anchor), before), Anchored::Old(anchor));
    }

    #[test]
    fn a_replaced_anchor_stays_its_owners() {
        use std::os::unix::fs::{MetadataExt, chown};
        let (dir, store) = store();
        let (rows, file) = (store.row_key().unwrap(), AnchorFile::of(&store, dir.path()));
        let facts = |path: &Path| {
            let metadata = std::fs::metadata(path).unwrap();
            (metadata.uid(), metadata.gid(), metadata.mode() & 0o777)
        };
        // Only root can give files away; for anybody else all are theirs.
        let _ = chown(store.path(), Some(1_234), Some(1_235));
        file.write(rows, 1, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(facts(file.path()), facts(store.path()), "the first");
        let _ = chown(file.path(), Some(1_236), Some(1_237));
        std::fs::set_permissions(file.path(), Permissions::from_mode(0o640)).unwrap();
        let before = facts(file.path());
        file.write(rows, 2, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(facts(file.path()), before);
    }

    #[test]
    fn an_anchor_that_was_edited_vouches_for_nothing() {
        let (dir, store) = store();
        let file = AnchorFile::of(&store, dir.path());
        let mine = store.row_key().unwrap();
        file.write(mine, 70, Timestamp::from_second(7).unwrap()).unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        let vault = Vault::open(&MasterKey::from_bytes([2; 32]), store.id(), None).unwrap();
        let (other, _) = vault.new_row_key().unwrap();
        assert!(!file.read(&other).unwrap().unwrap().genuine);
        for (from, to) in [
            ("70", "20"),
            ("7000", "7001"),
            ("\"signature\":\"", "\"signature\":\"0"),
        ] {
            std::fs::write(file.path(), text.replacen(from, to, 1)).unwrap();
            let anchor = file.read(mine).unwrap().unwrap();
            assert!(!anchor.genuine, "{from} as {to}");
            assert_eq!(judge(Some(anchor), 100), Anchored::Unknown, "{from} as {to}");
        }
        std::fs::write(file.path(), "nonsense").unwrap();
        assert_eq!(judge(file.read(mine).unwrap(), 0), Anchored::Unknown);
    }

    #[test]
    fn a_failure_is_not_taken_back_by_a_look_that_did_not_try() {
        let (dir, store) = store();
        let folder = dir.path().join("later");
        let mut keeper = AnchorKeeper::of(&store, &folder);
        let now = Timestamp::UNIX_EPOCH;
        assert!(keeper.follow(&store, now).is_err());
        assert!(!keeper.follow(&store, now).unwrap(), "too early to tell");
        std::fs::create_dir(&folder).unwrap();
        keeper.tried = None;
        assert!(keeper.follow(&store, now).unwrap());
    }

    #[test]
    fn an_anchor_that_nobody_signed_does_not_use_up_the_count() {
        let (_dir, store) = store();
        let anchor = |version, genuine| Anchor {
            version,
            at: Timestamp::UNIX_EPOCH,
            genuine,
        };
        for version in [i64::MAX as u64 - 1, i64::MAX as u64, u64::MAX] {
            let before = store.version().unwrap();
            let beyond = anchor(version, false).accepted(before);
            store.accept_old_copy(beyond, &by_test()).unwrap();
            store.note_applied("g", 1).unwrap();
            let jumped = store.version().unwrap() - before;
            assert!((1..=JUMP_MOST + 4).contains(&jumped), "{version}: {jumped}");
        }
        assert_eq!(anchor(1 << 50, true).accepted(7), 1 << 50);
        assert_eq!(anchor(70, false).accepted(7), 70);
    }

    #[test]
    fn an_accepted_copy_counts_on_from_beyond_the_anchor() {
        let (_dir, store) = store();
        assert_eq!(store.accept_old_copy(500, &by_test()).unwrap(), 0);
        assert!(store.version().unwrap() > 500);
        let events = store.admin_events_after(0).unwrap();
        assert_eq!(events.last().unwrap().action, "store accept-rollback");
    }
}
