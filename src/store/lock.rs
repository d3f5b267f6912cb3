//! One running gate a store. The lock is the kernel's: it is free the moment its holder dies.
//!
//! Commands work on the store beside a running gate. To learn whether one runs they ask for a share of the
//! lock and let it go at once: what the lock file says of its holder is for people, and outlives it. Only what
//! must not happen beside a gate takes the lock itself.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

/// Looks of commands at the lock are over in less than this: so long a start does not take one for a gate.
const LOOKS: Duration = Duration::from_millis(500);

/// How often a start tries again meanwhile.
const AGAIN: Duration = Duration::from_millis(10);

/// Held for the life of a gate; dropping it lets the next one start.
#[derive(Debug)]
pub struct GateLock {
    _file: File,
}

/// Why this gate can't be the one.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another gate runs on the store.
    #[error("another gate runs on this store ({holder}): stop it first, or give this one a store of its own")]
    Held {
        /// Its process, host and start, as it wrote them down.
        holder: String,
    },
    /// The lock file can't be used.
    #[error("can't lock the store with `{}`: {cause}", path.display())]
    File {
        /// The lock file.
        path: PathBuf,
        /// The system's word.
        cause: std::io::Error,
    },
}

impl GateLock {
    /// Takes the lock of the store at `store`, or says who has it.
    pub fn acquire(store: &Path) -> Result<Self, LockError> {
        Self::acquire_within(store, LOOKS)
    }

    fn acquire_within(store: &Path, patience: Duration) -> Result<Self, LockError> {
        let path = lock_path(store);
        let failed = |cause| LockError::File {
            path: path.clone(),
            cause,
        };
        let mut file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        // Whoever makes it, the store's owner must be able to open it.
        if let Ok(store) = std::fs::metadata(store) {
            match super::place::give_to_owner_of(&file, &store) {
                // A gate that gets at the store by its group keeps a lock of its own.
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
                other => other.map_err(failed)?,
            }
        }
        let until = Instant::now() + patience;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => std::thread::sleep(AGAIN),
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(LockError::Held {
                        holder: read_holder(&mut file),
                    });
                }
                Err(error) => return Err(failed(error.into())),
            }
        }
        write_holder(&mut file).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Whether a gate runs on the store at `store`, as far as can be told from outside without disturbing it.
pub fn gate_runs(store: &Path) -> bool {
    holder_is_alive(store) == Some(true)
}

/// Whether somebody holds the lock; `None` when that can't be told (no lock file, or none that this user may
/// open).
pub(super) fn holder_is_alive(store: &Path) -> Option<bool> {
    let file = File::open(lock_path(store)).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        // Let go with the file.
        Ok(()) => Some(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Some(true),
        Err(_) => None,
    }
}

fn lock_path(store: &Path) -> PathBuf {
    let mut name = super::place::real_path(store).into_os_string();
    name.push(".lock");
    PathBuf::from(name)
}

fn write_holder(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(
        file,
        "process {}, host {}, started {}",
        std::process::id(),
        host(),
        jiff::Timestamp::now()
            .round(jiff::Unit::Second)
            .unwrap_or_default()
    )?;
    file.sync_all()
}

/// What the holder wrote, made safe to print.
fn read_holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file
        .rewind()
        .and_then(|()| file.take(256).read_to_string(&mut text));
    let text: String = text.trim().chars().filter(|c| !c.is_control()).collect();
    match read {
        Ok(_) if !text.is_empty() => text,
        _ => "it has not said which".to_owned(),
    }
}

/// This machine's name.
pub(super) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_gate_is_told_who_holds_the_store() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("s.db");
        let lock = GateLock::acquire(&store).unwrap();
        let message = GateLock::acquire(&store).unwrap_err().to_string();
        assert!(
            message.contains(&format!("process {}", std::process::id())),
            "{message}"
        );
        assert_eq!(holder_is_alive(&store), Some(true));
        drop(lock);
        assert!(GateLock::acquire(&store).is_ok());
    }

    #[test]
    fn what_a_dead_holder_wrote_speaks_of_nobody_whoever_has_its_number_now() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("s.db");
        assert_eq!(holder_is_alive(&store), None);
        let alive = std::process::id();
        for text in [
            format!("process {alive}, host {}, started x", host()),
            "process 1, host elsewhere-9, started x".to_owned(),
        ] {
            std::fs::write(lock_path(&store), text).unwrap();
            assert_eq!(holder_is_alive(&store), Some(false));
        }
        let _lock = GateLock::acquire(&store).unwrap();
        // A machine that was given another name, or a container that sees other numbers.
        std::fs::write(lock_path(&store), "process 4194301, host elsewhere-9, started x").unwrap();
        assert!(gate_runs(&store));
    }

    #[test]
    fn a_start_waits_out_a_command_that_looks() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("s.db");
        drop(GateLock::acquire(&store).unwrap());
        let look = File::open(lock_path(&store)).unwrap();
        flock(&look, FlockOperation::NonBlockingLockShared).unwrap();
        let starting =
            std::thread::spawn(move || GateLock::acquire_within(&store, Duration::from_secs(60)).map(drop));
        // Whichever is first, it gets the lock.
        std::thread::sleep(5 * AGAIN);
        drop(look);
        assert!(starting.join().unwrap().is_ok());
    }
}
