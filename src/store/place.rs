//! The file itself: its one name, who may open it, and whether it still is the one that was opened.
//!
//! SQLite keeps its log beside the file, by the name the file was opened by, and its locks are the
//! kernel's, by file and process. So a second name means a second log over the same bytes; a file or log
//! that is replaced or removed beneath a running gate leaves it reading bytes nobody else writes; and a
//! descriptor of ours that is opened on the file and closed again would drop SQLite's locks. Hence: the
//! name is resolved, a file with two names is refused, files are looked at again and again, and a file that
//! is there is never opened here.

use std::fs::Metadata;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{StoreError, filesystem};

/// The path with links resolved, as far as it exists: lock, log and store go by one name.
pub fn real_path(path: &Path) -> PathBuf {
    if let Ok(real) = std::fs::canonicalize(path) {
        return real;
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = std::fs::canonicalize(parent.unwrap_or(Path::new(".")));
    match (folder, path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// Makes the file for its owner alone, and refuses one that others can open, that has two names, or that
/// lies where locks don't hold.
pub(super) fn prepare(path: &Path) -> Result<(), StoreError> {
    let unusable = |cause| StoreError::File {
        path: path.to_owned(),
        cause,
    };
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(unusable)?;
        filesystem::refuse_network(parent)?;
    }
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(unusable(error)),
    }
    let metadata = std::fs::metadata(path).map_err(unusable)?;
    if !metadata.is_file() {
        let what = if metadata.file_type().is_fifo() {
            "a pipe"
        } else {
            "no file"
        };
        return Err(unusable(std::io::Error::other(what)));
    }
    if metadata.mode() & 0o007 != 0 {
        return Err(StoreError::Exposed(path.to_owned()));
    }
    if metadata.nlink() > 1 {
        return Err(StoreError::TwoNames(path.to_owned()));
    }
    use rustix::fs::{Access, access};
    access(path, Access::READ_OK | Access::WRITE_OK).map_err(|error| unusable(error.into()))
}

/// Gives a new file to whom `like` belongs: a command that an administrator runs must leave nothing that the
/// gate can't open. Nothing to do for whoever owns both.
pub(crate) fn give_to_owner_of(file: &std::fs::File, like: &Metadata) -> std::io::Result<()> {
    let (mine, owner) = (file.metadata()?, like.uid());
    if mine.uid() != owner {
        let (owner, group) = (
            rustix::fs::Uid::from_raw(owner),
            rustix::fs::Gid::from_raw(like.gid()),
        );
        rustix::fs::fchown(file, Some(owner), Some(group))?;
    }
    Ok(())
}

/// Which files were opened: the store, its log, the log's index.
#[derive(Debug)]
pub(super) struct Opened([(PathBuf, Option<(u64, u64)>); 3]);

impl Opened {
    /// What stands there now. To be called once the log is in use.
    pub(super) fn at(path: &Path) -> Self {
        let with = |end: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        };
        Self([with(""), with("-wal"), with("-shm")].map(|path| {
            let identity = std::fs::metadata(&path).ok().as_ref().map(identity);
            (path, identity)
        }))
    }

    /// An error once one of them is gone, or another stands in its place.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        for (path, known) in &self.0 {
            let Some(known) = known else { continue };
            let there = std::fs::metadata(path).ok();
            if there.as_ref().map(identity) != Some(*known) {
                return Err(StoreError::Displaced(path.clone()));
            }
            if there.is_some_and(|there| there.nlink() > 1) {
                return Err(StoreError::TwoNames(path.clone()));
            }
        }
        Ok(())
    }

    /// Whether only the log was removed, and nothing stands in its place: what it held can still be moved
    /// into the store.
    pub(super) fn only_lost_its_log(&self) -> bool {
        let [store, log, _] = &self.0;
        let there = |(path, known): &(PathBuf, Option<(u64, u64)>)| {
            std::fs::metadata(path).ok().as_ref().map(identity) == *known
        };
        there(store) && log.1.is_some() && log.0.try_exists().is_ok_and(|there| !there)
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::testing::store;

    #[test]
    fn a_link_leads_to_the_same_store_and_a_second_name_is_refused() {
        let (dir, store) = store();
        let (link, twin) = (dir.path().join("link.db"), dir.path().join("twin.db"));
        std::os::unix::fs::symlink(store.path(), &link).unwrap();
        assert_eq!(Store::open_existing(&link).unwrap().path(), store.path());
        std::fs::hard_link(store.path(), &twin).unwrap();
        for path in [&twin, &link] {
            let error = Store::open_existing(path).unwrap_err().to_string();
            assert!(error.contains("two names"), "{error}");
        }
        assert!(matches!(store.in_place(), Err(StoreError::TwoNames(_))));
        std::fs::remove_file(&twin).unwrap();
        assert!(store.in_place().is_ok());
        assert!(Store::open_existing(&link).is_ok());
    }

    #[test]
    fn what_an_administrator_makes_belongs_to_the_stores_owner() {
        use std::os::unix::fs::chown;
        let (dir, store) = store();
        let made = std::fs::File::create(dir.path().join("made")).unwrap();
        // Only root can give files away; for anybody else both are theirs.
        let given = chown(store.path(), Some(1_234), Some(1_235)).is_ok();
        let owner = std::fs::metadata(store.path()).unwrap();
        give_to_owner_of(&made, &owner).unwrap();
        let made = made.metadata().unwrap();
        assert_eq!((made.uid(), made.gid()), (owner.uid(), owner.gid()));
        assert!(!given || made.uid() == 1_234);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Store::open(dir.path()).is_err());
        assert!(Store::open(Path::new("/dev/full")).is_err());
    }

    #[test]
    fn opening_the_store_twice_keeps_the_locks_of_the_first() {
        let (_dir, first) = store();
        let second = Store::open_existing(first.path()).unwrap();
        drop(second);
        let inode = std::fs::metadata(first.path()).unwrap().ino();
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        let mine = format!(" {} ", std::process::id());
        let held = locks.lines().any(|line| {
            line.contains("POSIX") && line.contains(&mine) && line.contains(&format!(":{inode} "))
        });
        assert!(held, "{locks}");
    }

    #[test]
    fn a_file_that_is_removed_or_replaced_is_noticed() {
        for end in ["", "-wal", "-shm"] {
            let (dir, store) = store();
            assert!(store.in_place().is_ok());
            let mut name = store.path().as_os_str().to_owned();
            name.push(end);
            let away = dir.path().join("away");
            std::fs::rename(&name, &away).unwrap();
            assert!(matches!(store.in_place(), Err(StoreError::Displaced(_))), "{end}");
            std::fs::write(&name, b"another").unwrap();
            assert!(matches!(store.in_place(), Err(StoreError::Displaced(_))), "{end}");
            std::fs::rename(&away, &name).unwrap();
            assert!(store.in_place().is_ok(), "{end}");
        }
    }
}
