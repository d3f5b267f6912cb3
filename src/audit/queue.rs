//! A worker's own bounded queue to the writer, and what all queues share.

use std::collections::HashMap;
use std::mem;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::fold::Strangers;
use super::network::Network;
use super::record::{DecisionRecord, OutcomeRecord, Record};
use super::{AuditRefused, Counts};
use crate::access::refusal::Reason;
use crate::config::AuditSettings;

/// A batch that has grown beyond this is made small again when it is empty: a burst must not keep its memory.
const KEPT_TEXT_BYTES: usize = 1 << 20;

/// A record on its way, and who waits for it.
pub(super) struct Entry {
    pub(super) what: What,
    pub(super) waiter: Option<oneshot::Sender<()>>,
}

/// What is on its way. Lines stand in [`Batch::text`].
pub(super) enum What {
    /// A line.
    Line(Range<usize>),
    /// The line of a denial, and what decides whether it gets one of its own.
    Denial {
        line: Range<usize>,
        integration: Arc<str>,
        reason: Reason,
        time: Timestamp,
    },
    /// A record of which the writer makes the line.
    Record(Record),
}

/// What was handed over since the last drain.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    /// Lines, each without its number.
    pub(super) text: Vec<u8>,
}

impl Batch {
    /// Empties it; its room stays.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.text.clear();
        if self.text.capacity() > KEPT_TEXT_BYTES {
            *self = Self::default();
        }
    }
}

/// One worker's queue.
pub(super) struct Queue {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    batch: Batch,
    /// When the oldest of `batch` came.
    oldest: Option<Instant>,
    /// When the oldest of those came that the writer holds and that are not on the disk.
    in_flight: Option<Instant>,
    /// Decisions taken while the queue was filling up, by integration: nobody's may take all of it.
    crowd: HashMap<Arc<str>, usize>,
    strangers: Strangers,
    /// Nothing is taken any more. Set under the lock, so that what was taken is drained.
    closed: bool,
}

impl State {
    fn waiting_since(&self) -> Option<Instant> {
        self.in_flight.or(self.oldest)
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is queued, and leaves `into`, which is empty, for what comes next; it counts as in flight until
    /// [`Queue::synced`].
    pub(super) fn drain(&self, into: &mut Batch) {
        let mut state = self.lock();
        if state.batch.entries.is_empty() {
            return;
        }
        mem::swap(&mut state.batch, into);
        state.crowd.clear();
        let oldest = state.oldest.take();
        state.in_flight = state.in_flight.or(oldest);
    }

    pub(super) fn take_strangers(&self) -> Strangers {
        mem::take(&mut self.lock().strangers)
    }

    fn synced(&self) {
        self.lock().in_flight = None;
    }

    fn is_empty(&self) -> bool {
        self.lock().batch.entries.is_empty()
    }

    fn owes_something(&self) -> bool {
        let state = self.lock();
        !state.batch.entries.is_empty() || !state.strangers.is_empty() || state.in_flight.is_some()
    }
}

/// What the writer and all handles share.
pub(super) struct Shared {
    queues: Mutex<Vec<Arc<Queue>>>,
    writer: OnceLock<Thread>,
    /// The writer sleeps until somebody wakes it.
    idle: AtomicBool,
    /// Somebody waits for the disk.
    urgent: AtomicBool,
    closed: AtomicBool,
    healthy: AtomicBool,
    written: AtomicU64,
    refused: AtomicU64,
    folded: AtomicU64,
    /// Records of what had happened that found no room, since the last gap line.
    overflowed: AtomicU64,
    capacity: usize,
    pub(super) max_wait: Duration,
    durable_reads: bool,
}

impl Shared {
    pub(super) fn new(settings: &AuditSettings) -> Self {
        Self {
            queues: Mutex::default(),
            writer: OnceLock::new(),
            idle: AtomicBool::new(false),
            urgent: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            healthy: AtomicBool::new(true),
            written: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            folded: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
            capacity: settings.queue_records,
            max_wait: settings.max_wait,
            durable_reads: settings.durable_reads,
        }
    }

    pub(super) fn set_writer(&self, thread: Thread) {
        // Set once, right after the thread was spawned; a push before it is found by the writer's
        // own tick.
        let _ = self.writer.set(thread);
    }

    fn wake(&self) {
        if let Some(thread) = self.writer.get() {
            thread.unpark();
        }
    }

    pub(super) fn close(&self) {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        for queue in queues.iter() {
            queue.lock().closed = true;
        }
        // Last, and under the lock: a drain by whoever sees it finds all that was taken, and a queue that is
        // made from here on is closed from its beginning.
        self.closed.store(true, Ordering::SeqCst);
        drop(queues);
        self.wake();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(super) fn take_urgent(&self) -> bool {
        self.urgent.swap(false, Ordering::SeqCst)
    }

    pub(super) fn set_idle(&self, idle: bool) {
        self.idle.store(idle, Ordering::SeqCst);
    }

    pub(super) fn healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    pub(super) fn set_healthy(&self, healthy: bool) {
        self.healthy.store(healthy, Ordering::Relaxed);
    }

    pub(super) fn take_overflowed(&self) -> u64 {
        self.overflowed.swap(0, Ordering::Relaxed)
    }

    /// The queues; those whose handles are gone and that are empty are let go.
    pub(super) fn queues(&self, into: &mut Vec<Arc<Queue>>) {
        into.clear(); // first: a queue held here would never count as let go
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|queue| Arc::strong_count(queue) > 1 || queue.owes_something());
        into.extend(queues.iter().cloned());
    }

    #[cfg(test)]
    pub(super) fn queue_count(&self) -> usize {
        self.queues.lock().unwrap().len()
    }

    pub(super) fn anything_queued(&self) -> bool {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.iter().any(|queue| !queue.is_empty())
    }

    pub(super) fn synced(&self, records: u64) {
        self.written.fetch_add(records, Ordering::Relaxed);
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        for queue in queues.iter() {
            queue.synced();
        }
    }

    pub(super) fn count_folded(&self, records: u64) {
        self.folded.fetch_add(records, Ordering::Relaxed);
    }

    pub(super) fn oldest_unwritten(&self) -> Duration {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues
            .iter()
            .filter_map(|queue| queue.lock().waiting_since())
            .min()
            .map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            written: self.written.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            folded: self.folded.load(Ordering::Relaxed),
        }
    }

    fn refuse(&self, refused: AuditRefused) -> AuditRefused {
        self.refused.fetch_add(1, Ordering::Relaxed);
        refused
    }
}

/// A worker's way to the writer. `Send`, cheap to clone; clones share one queue.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
}

/// A record on its way to the disk.
pub struct Recording {
    shared: Arc<Shared>,
    synced: oneshot::Receiver<()>,
}

impl Recording {
    /// Has the writer begin at once, and waits until the record is on the disk.
    ///
    /// # Errors
    /// The disk took longer than `audit.max_wait` ([`AuditRefused::Slow`]): it may be waited for again.
    pub async fn wait(&mut self) -> Result<(), AuditRefused> {
        self.shared.urgent.store(true, Ordering::SeqCst);
        self.shared.wake();
        match tokio::time::timeout(self.shared.max_wait, &mut self.synced).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.shared.refuse(AuditRefused::Stopped)),
            Err(_) => Err(self.shared.refuse(AuditRefused::Slow)),
        }
    }

    /// Has the writer begin at once, and says whether the record is on the disk; `None`: not yet.
    ///
    /// # Errors
    /// The log ended first.
    pub fn look(&mut self) -> Option<Result<(), AuditRefused>> {
        self.shared.urgent.store(true, Ordering::SeqCst);
        self.shared.wake();
        match self.synced.try_recv() {
            Ok(()) => Some(Ok(())),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Closed) => Some(Err(self.shared.refuse(AuditRefused::Stopped))),
        }
    }
}

/// Waits until what was handed over is on the disk, if it must be.
///
/// # Errors
/// It was not taken, or the disk took longer than `audit.max_wait`.
pub async fn on_disk(handed: Result<Option<Recording>, AuditRefused>) -> Result<(), AuditRefused> {
    match handed? {
        Some(mut recording) => recording.wait().await,
        None => Ok(()),
    }
}

impl Handle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let queue = Arc::new(Queue {
            state: Mutex::default(),
        });
        let mut queues = shared.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queue.lock().closed = shared.is_closed();
        queues.push(Arc::clone(&queue));
        drop(queues);
        Self { shared, queue }
    }

    /// Hands a decision over. One that lets data be changed must be on the disk before anything goes up, as all must
    /// with `audit.durable: all`: then there is something to wait for.
    ///
    /// # Errors
    /// The record was not taken: the request must not go upstream.
    pub fn decided(&self, record: &DecisionRecord<'_>) -> Result<Option<Recording>, AuditRefused> {
        let passes = record.verdict.passes();
        let changes = record.effect.is_none_or(|effect| effect.changes_data());
        let (waiter, recording) = if passes && (changes || self.shared.durable_reads) {
            let (waiter, recording) = self.recording();
            (Some(waiter), Some(recording))
        } else {
            (None, None)
        };
        self.enqueue(Some(record.integration), waiter, |text| {
            let line = put(text, |text| record.write_line(text));
            if passes {
                return What::Line(line);
            }
            What::Denial {
                line,
                integration: Arc::clone(record.integration),
                reason: record.reason,
                time: record.time,
            }
        })?;
        if recording.is_none() {
            self.wake_if_idle();
        }
        Ok(recording)
    }

    /// Hands over what became of a call that was decided; it is on the disk within about 50 ms.
    ///
    /// # Errors
    /// There is no room, or the log is closed. What has already happened is taken for longer than decisions are.
    pub fn ended(&self, record: &OutcomeRecord<'_>) -> Result<(), AuditRefused> {
        self.enqueue(None, None, |text| {
            What::Line(put(text, |text| record.write_line(text)))
        })?;
        self.wake_if_idle();
        Ok(())
    }

    /// Hands another record over; it is on the disk within about 50 ms.
    ///
    /// # Errors
    /// As [`Handle::ended`].
    pub fn push(&self, record: Record) -> Result<(), AuditRefused> {
        self.enqueue(None, None, |_| What::Record(record))?;
        self.wake_if_idle();
        Ok(())
    }

    /// Hands a record over that is on the disk once what is returned has been waited for. Whoever hands over
    /// several waits for the last: a queue keeps their order.
    ///
    /// # Errors
    /// As [`Handle::ended`].
    pub fn begin_durable(&self, record: Record) -> Result<Recording, AuditRefused> {
        let (waiter, recording) = self.recording();
        self.enqueue(None, Some(waiter), |_| What::Record(record))?;
        Ok(recording)
    }

    fn recording(&self) -> (oneshot::Sender<()>, Recording) {
        let (waiter, synced) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        (waiter, Recording { shared, synced })
    }

    fn wake_if_idle(&self) {
        if self.shared.idle.load(Ordering::SeqCst) && self.shared.idle.swap(false, Ordering::SeqCst) {
            self.shared.wake();
        }
    }

    /// Counts a call without a valid key. Never refused, never a line of its own: one line a
    /// reason and network in ten seconds, so that strangers can't fill the disk.
    pub fn stranger(&self, reason: Reason, network: Network) {
        self.queue.lock().strangers.add(reason, network);
    }

    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        self.queue.lock().batch.entries.len()
    }

    /// `decided`: whose decision it is; `None`: it has happened. Lines are put into the batch as they are written.
    fn enqueue(
        &self,
        decided: Option<&Arc<str>>,
        waiter: Option<oneshot::Sender<()>>,
        put: impl FnOnce(&mut Vec<u8>) -> What,
    ) -> Result<(), AuditRefused> {
        let now = Instant::now();
        // Who waits for a record learns that it was not taken, and hands it over again.
        let is_lost = decided.is_none() && waiter.is_none();
        let refused = {
            let mut state = self.queue.lock();
            match self.refusal(&state, decided, now) {
                Some(refused) => refused,
                None => {
                    if let Some(integration) = decided.filter(|_| self.fills_up(&state)) {
                        *state.crowd.entry(Arc::clone(integration)).or_default() += 1;
                    }
                    let what = put(&mut state.batch.text);
                    state.batch.entries.push(Entry { what, waiter });
                    state.oldest.get_or_insert(now);
                    return Ok(());
                }
            }
        };
        if is_lost {
            self.shared.overflowed.fetch_add(1, Ordering::Relaxed);
        }
        Err(self.shared.refuse(refused))
    }

    /// Whether so much waits that from now on it matters whose it is.
    fn fills_up(&self, state: &State) -> bool {
        state.batch.entries.len() >= self.shared.capacity / 8
    }

    /// Whether an integration has its share of a queue that fills up: a quarter.
    fn has_its_share(&self, state: &State, integration: &str) -> bool {
        let taken = state.crowd.get(integration).copied().unwrap_or(0);
        taken >= self.shared.capacity / 4
    }

    fn refusal(&self, state: &State, decided: Option<&Arc<str>>, now: Instant) -> Option<AuditRefused> {
        let happened = decided.is_none();
        // Twice the room for what has happened: every decision that was taken has room for its
        // outcome.
        let capacity = self.shared.capacity.saturating_mul(if happened { 2 } else { 1 });
        if state.closed {
            Some(AuditRefused::Stopped)
        } else if state.batch.entries.len() >= capacity
            || decided.is_some_and(|integration| self.has_its_share(state, integration))
        {
            Some(AuditRefused::Full)
        } else if !happened
            && state
                .waiting_since()
                .is_some_and(|since| now.duration_since(since) > self.shared.max_wait)
        {
            Some(AuditRefused::Stale)
        } else {
            None
        }
    }
}

/// Has `write` append a line; where it stands.
fn put(text: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
    let begin = text.len();
    write(text);
    begin..text.len()
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn a_line_that_was_not_finished_is_nobodys_and_shifts_no_other() {
        let handle = Handle::new(Arc::new(Shared::new(&AuditSettings {
            dir: "unused".into(),
            durable_reads: false,
            queue_records: 100,
            max_wait: Duration::from_secs(2),
            file_bytes: 1 << 20,
        })));
        let line = |bytes: &'static [u8]| {
            handle.enqueue(None, None, |text| {
                What::Line(put(text, |text| text.extend_from_slice(bytes)))
            })
        };
        line(b"one").unwrap();
        let broken = || {
            handle.enqueue(None, None, |text| {
                text.extend_from_slice(b"hal");
                panic!("in the middle of a line")
            })
        };
        assert!(catch_unwind(AssertUnwindSafe(broken)).is_err());
        line(b"two").unwrap();
        let mut batch = Batch::default();
        handle.queue.drain(&mut batch);
        let lines = batch.entries.iter().map(|entry| match &entry.what {
            What::Line(line) => batch.text.get(line.clone()),
            What::Denial { .. } | What::Record(_) => None,
        });
        assert!(lines.eq([Some(&b"one"[..]), Some(b"two")]));
    }
}
