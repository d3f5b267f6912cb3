//! One running gate a store. The lock is the kernel's: it is free the moment its holder dies.
//!
//! Commands never take it; they work on the store beside a running gate.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

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
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(LockError::Held {
                    holder: read_holder(&mut file),
                });
            }
            Err(error) => return Err(failed(error.into())),
        }
        write_holder(&mut file).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Whether a gate runs on the store at `store`, as far as can be told from outside without disturbing it.
pub fn gate_runs(store: &Path) -> bool {
    holder_is_alive(store) == Some(true)
}

/// Whether the process named in the lock file is alive on this host; `None` when that can't be told
/// (another host, no lock file).
pub(super) fn holder_is_alive(store: &Path) -> Option<bool> {
    let mut file = File::open(lock_path(store)).ok()?;
    let holder = read_holder(&mut file);
    let field = |name: &str| {
        holder
            .split(", ")
            .find_map(|part| part.strip_prefix(name)?.strip_prefix(' '))
    };
    if field("host")? != host() {
        return None;
    }
    let pid = rustix::process::Pid::from_raw(field("process")?.parse().ok()?)?;
    match rustix::process::test_kill_process(pid) {
        Ok(()) | Err(rustix::io::Errno::PERM) => Some(true),
        Err(_) => Some(false),
    }
}

fn lock_path(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
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
    fn a_dead_holder_is_known_to_be_dead() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("s.db");
        assert_eq!(holder_is_alive(&store), None);
        let text = format!("process 4194301, host {}, started x", host());
        std::fs::write(lock_path(&store), text).unwrap();
        assert_eq!(holder_is_alive(&store), Some(false));
        std::fs::write(lock_path(&store), "process 1, host elsewhere-9, started x").unwrap();
        assert_eq!(holder_is_alive(&store), None);
    }
}
