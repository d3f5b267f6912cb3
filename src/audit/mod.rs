//! What happened, kept before it happens: the audit log.
//!
//! One writer thread owns the files and gives each record its number. Each worker hands it
//! records through a bounded queue of its own: a push is a lock nobody else holds, and for what a call leaves
//! the line itself, written into the queue's text: no system call, and, where what passes need not be waited
//! for, no count that another thread changes, too. The writer drains every 20 ms, writes what it found and
//! calls `fdatasync` once. A record that must be durable wakes it at once, and all that were queued
//! meanwhile share the next sync.
//!
//! Invariant: a decision is refused ([`AuditRefused`]) rather than made without a record. A queue
//! that is full, a durable wait of more than two seconds, a read record not on the disk after two
//! seconds: each refuses until the disk follows again. What could not be refused any more, because
//! it had already happened, is counted and shows as a `gap` line.
//!
//! Deliberately absent: retention (files are only ever added; keeping and removing them is the
//! operator's), network sinks, and the hash chain, for which the line leaves room.

mod files;
mod fold;
mod line;
mod network;
mod numbered;
mod queue;
mod read;
mod record;
mod writer;

use std::io;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use uuid::Uuid;

pub use network::Network;
pub use queue::{Handle, Recording, on_disk};
pub use read::{Unread, lines, lines_until};
pub use record::{
    AdminRecord, AggregateRecord, DecisionRecord, GapCause, GapRecord, GateEvent, GateRecord, LimitRecord,
    OutcomeRecord, Record, RefusedRecord,
};

use crate::clock;
use crate::config::AuditSettings;
use files::Files;
use queue::Shared;
use writer::{Sink, Writer};

/// Why a record was not taken: the request it speaks of must be answered 503 `scopegate.audit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditRefused {
    /// The worker's queue is full.
    #[error("the audit queue is full: the disk of `audit.dir` does not follow")]
    Full,
    /// Something handed over earlier is still not on the disk.
    #[error("audit records have been waiting for the disk of `audit.dir` for too long")]
    Stale,
    /// This record was not on the disk in time. It may still get there.
    #[error("the audit record was not on the disk of `audit.dir` in time")]
    Slow,
    /// The log has been closed.
    #[error("the audit log is closed: the gate is stopping")]
    Stopped,
}

/// The audit log, open. Dropping it without [`Auditor::stop`] closes it too, but waits for nothing.
pub struct Auditor {
    shared: Arc<Shared>,
    /// Says how the writer ended. In a mutex since a receiver by itself is one thread's.
    ended: Mutex<mpsc::Receiver<bool>>,
}

impl Drop for Auditor {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// Whether a log could be started in `dir/INSTANCE`: the folder can be made, and a file in it. Leaves
/// the log itself alone, and a gate that writes it.
pub fn check(settings: &AuditSettings, instance: &str) -> io::Result<()> {
    files::check(&settings.dir.join(instance))
}

/// What a start makes of a folder with any files: the number of its next record, whether the log ended in order, and
/// how many bytes of torn lines it cut off.
#[cfg(fuzzing)]
pub fn open_hostile(folder: &std::path::Path) -> io::Result<(u64, bool, u64)> {
    let (_, found) = Files::open(folder, u64::MAX, jiff::Timestamp::UNIX_EPOCH)?;
    Ok((found.next_seq, found.ended_in_order, found.cut_bytes))
}

impl Auditor {
    /// Opens (or makes) `dir/INSTANCE`, cuts a torn last line, and starts the writer thread.
    ///
    /// Fails if the folder can't be made, read or written, or another gate writes there.
    pub fn start(settings: &AuditSettings, instance: &str) -> io::Result<Self> {
        let folder = settings.dir.join(instance);
        let (files, found) = Files::open(&folder, settings.file_bytes, clock::wall())?;
        Self::with_sink(settings, Box::new(files), found)
    }

    pub(crate) fn with_sink(
        settings: &AuditSettings,
        sink: Box<dyn Sink>,
        found: files::Found,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(settings));
        let mut writer = Writer::new(Arc::clone(&shared), sink, found.next_seq, Uuid::new_v4());
        writer.begin(&found)?;
        let (tell, ended) = mpsc::sync_channel(1);
        let writer = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || {
                let _ = tell.send(writer.run());
            })?;
        shared.set_writer(writer.thread().clone());
        Ok(Self {
            shared,
            ended: Mutex::new(ended),
        })
    }

    /// A new queue to the writer. One a worker; clones share the queue.
    pub fn handle(&self) -> Handle {
        Handle::new(Arc::clone(&self.shared))
    }

    /// What metrics and readiness look at; outlives the log.
    pub fn watch(&self) -> Watch {
        Watch {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Takes no more records, writes and syncs what is queued, closes the log. Blocks up to twice the
    /// time a durable record may wait, and a second: once for what is being written, once for the rest. `false` = not
    /// all could be written, or the disk hangs.
    pub fn stop(mut self) -> bool {
        self.shared.close();
        let most = self.shared.max_wait.saturating_mul(2) + Duration::from_secs(1);
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        ended.recv_timeout(most).unwrap_or(false)
    }
}

/// The log's condition.
#[derive(Clone)]
pub struct Watch {
    shared: Arc<Shared>,
}

impl Watch {
    /// Whether the last attempt to write succeeded and nothing has been waiting for too long.
    pub fn writable(&self) -> bool {
        self.shared.healthy() && self.shared.oldest_unwritten() <= self.shared.max_wait
    }

    /// How long the oldest record that is not on the disk has been waiting; zero = none.
    pub fn oldest_unwritten(&self) -> Duration {
        self.shared.oldest_unwritten()
    }

    /// Records so far.
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }
}

/// Records since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// On the disk.
    pub written: u64,
    /// Not taken.
    pub refused: u64,
    /// Folded into an aggregate.
    pub folded: u64,
}

#[cfg(test)]
mod tests;
