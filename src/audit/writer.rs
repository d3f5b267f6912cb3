//! The one thread that owns the files: drains the queues, numbers the records, writes, syncs,
//! tells those who wait.

use std::io;
use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::files::Found;
use super::fold::{Denials, Strangers};
use super::numbered::Numbered;
use super::queue::{Batch, Queue, Shared, What};
use super::record::{GapCause, GapRecord, GateEvent, GateRecord, Record};
use crate::clock;

/// How long read records are gathered before they are written.
const DRAIN_EVERY: Duration = Duration::from_millis(20);
/// How long alike calls are gathered into one line.
const FOLD_EVERY: Duration = Duration::from_secs(10);
/// Pause between attempts while the disk refuses.
const RETRY_EVERY: Duration = Duration::from_millis(100);
/// How often the stop line is written, if the file is taken away beneath it each time.
const ENDS: u32 = 3;
/// Longest sleep of an idle writer: aggregates have their deadline.
const IDLE_TICK: Duration = Duration::from_secs(1);

/// Where lines go. A sink that fails has taken nothing: the same lines come again.
pub(crate) trait Sink: Send {
    /// Appends whole lines and returns once they are durable. `now` decides the day's file.
    fn commit(&mut self, lines: &[u8], now: Timestamp) -> io::Result<()>;

    /// Whether records that were durable have been taken away since the last call.
    fn take_removed(&mut self) -> bool {
        false
    }
}

/// The writer thread's state.
pub(super) struct Writer {
    shared: Arc<Shared>,
    sink: Box<dyn Sink>,
    boot: Uuid,
    queues: Vec<Arc<Queue>>,
    batch: Batch,
    numbered: Numbered,
    waiters: Vec<oneshot::Sender<()>>,
    strangers: Strangers,
    denials: Denials,
    drained: Instant,
    folded: Instant,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, sink: Box<dyn Sink>, next_seq: u64, boot: Uuid) -> Self {
        let now = Instant::now();
        Self {
            shared,
            sink,
            boot,
            queues: Vec::new(),
            batch: Batch::default(),
            numbered: Numbered::from(next_seq),
            waiters: Vec::new(),
            strangers: Strangers::default(),
            denials: Denials::default(),
            drained: now,
            folded: now,
        }
    }

    /// Writes the gap marker, if the last run did not end in order, and the start line; before the
    /// thread runs, so that a log that can't be written is an error of the start.
    pub(super) fn begin(&mut self, found: &Found) -> io::Result<()> {
        let time = clock::wall();
        if !found.ended_in_order {
            self.numbered.add(&Record::Gap(Box::new(GapRecord {
                time,
                cause: GapCause::Crash,
                cut_bytes: found.cut_bytes,
                records: 0,
            })));
        }
        self.numbered.add(&Record::Gate(Box::new(GateRecord {
            time,
            event: GateEvent::Start,
            boot: self.boot,
            detail: concat!("version ", env!("CARGO_PKG_VERSION")).to_owned(),
        })));
        self.sink.commit(self.numbered.lines(), time)?;
        self.committed();
        Ok(())
    }

    /// Runs until the log is closed; `false` = something could not be written.
    pub(super) fn run(mut self) -> bool {
        loop {
            self.wait();
            // Read before the drain: nothing is taken after the close, so this drain finds all.
            let closing = self.shared.is_closed();
            self.drain();
            if closing || self.folded.elapsed() >= FOLD_EVERY {
                self.fold();
            }
            if closing {
                return self.end();
            }
            if self.numbered.lines().is_empty() {
                // All that was taken is counted in a sum to come: nothing of it waits for the disk.
                self.shared.synced(0);
            } else if !self.commit() {
                return false;
            }
        }
    }

    /// The stop line comes last, behind what was found out when it was written, too.
    fn end(&mut self) -> bool {
        for _ in 0..ENDS {
            self.numbered.add(&Record::Gate(Box::new(GateRecord {
                time: clock::wall(),
                event: GateEvent::Stop,
                boot: self.boot,
                detail: String::new(),
            })));
            if !self.commit() {
                return false;
            }
            if self.numbered.lines().is_empty() {
                return true;
            }
        }
        false
    }

    /// Sleeps until somebody waits for the disk, the log is closed, or it is time to drain. Not at all when the last
    /// commit left something to say.
    fn wait(&self) {
        if !self.numbered.lines().is_empty() {
            return;
        }
        let mut drain_at = self.drained + DRAIN_EVERY;
        loop {
            if self.shared.take_urgent() || self.shared.is_closed() {
                return;
            }
            let now = Instant::now();
            if now < drain_at {
                thread::park_timeout(drain_at - now);
                continue;
            }
            // From here on a push wakes the writer; one that came just before is seen below.
            self.shared.set_idle(true);
            if self.shared.anything_queued() || self.folded.elapsed() >= FOLD_EVERY {
                self.shared.set_idle(false);
                return;
            }
            thread::park_timeout(IDLE_TICK);
            self.shared.set_idle(false);
            drain_at = Instant::now() + DRAIN_EVERY;
        }
    }

    fn drain(&mut self) {
        self.drained = Instant::now();
        self.shared.queues(&mut self.queues);
        let queues = mem::take(&mut self.queues);
        let mut batch = mem::take(&mut self.batch);
        for queue in &queues {
            queue.drain(&mut batch);
            self.add_all(&mut batch);
        }
        self.batch = batch;
        self.queues = queues;
        let overflowed = self.shared.take_overflowed();
        if overflowed > 0 {
            self.numbered.add(&Record::Gap(Box::new(GapRecord {
                time: clock::wall(),
                cause: GapCause::Overflow,
                cut_bytes: 0,
                records: overflowed,
            })));
        }
    }

    /// All of a batch, in its order; leaves it empty.
    fn add_all(&mut self, batch: &mut Batch) {
        let mut folded = 0;
        for entry in batch.entries.drain(..) {
            let is_kept = match entry.what {
                What::Line(line) => self.add_line(&batch.text, line),
                What::Denial {
                    line,
                    integration,
                    reason,
                    time,
                } => {
                    if self.denials.takes_a_line(&integration, reason, time) {
                        self.add_line(&batch.text, line)
                    } else {
                        folded += 1;
                        true
                    }
                }
                What::Record(record) => self.numbered.add(&record),
            };
            // Whose record is not there is not told that it is.
            self.waiters.extend(entry.waiter.filter(|_| is_kept));
        }
        self.shared.count_folded(folded);
        batch.clear();
    }

    /// `false`: there is no such line, which was put there.
    fn add_line(&mut self, text: &[u8], line: Range<usize>) -> bool {
        let line = text.get(line);
        match line {
            Some(line) => self.numbered.add_line(line),
            None => tracing::error!("an audit record has no line"),
        }
        line.is_some()
    }

    fn fold(&mut self) {
        self.folded = Instant::now();
        for queue in &self.queues {
            self.strangers.merge(queue.take_strangers());
        }
        if self.strangers.is_empty() && self.denials.is_empty() {
            return;
        }
        let time = clock::wall();
        let mut records = self.strangers.records(time);
        records.extend(self.denials.records(time));
        for record in &records {
            self.numbered.add(record);
        }
    }

    /// Until the sink takes the lines, or the log is closed and the disk had its time. Queues fill
    /// meanwhile, and refuse.
    fn commit(&mut self) -> bool {
        let mut closing_since = None;
        loop {
            match self.sink.commit(self.numbered.lines(), clock::wall()) {
                Ok(()) => {
                    if !self.shared.healthy() {
                        tracing::info!("the audit log can be written again");
                    }
                    self.committed();
                    self.note_removed();
                    return true;
                }
                Err(error) => {
                    if self.shared.healthy() {
                        tracing::error!(
                            %error,
                            "the audit log can't be written: requests are refused until the disk of `audit.dir` takes it"
                        );
                    }
                    self.shared.set_healthy(false);
                }
            }
            if self.shared.is_closed() {
                let since = *closing_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= self.shared.max_wait {
                    return false;
                }
            }
            thread::sleep(RETRY_EVERY);
        }
    }

    /// Records were there and are gone, or are elsewhere: the next lines begin by saying so.
    fn note_removed(&mut self) {
        if self.sink.take_removed() {
            self.numbered.add(&Record::Gap(Box::new(GapRecord {
                time: clock::wall(),
                cause: GapCause::Removed,
                cut_bytes: 0,
                records: 0,
            })));
        }
    }

    fn committed(&mut self) {
        self.shared.set_healthy(true);
        self.shared.synced(self.numbered.clear());
        for waiter in self.waiters.drain(..) {
            // Whoever gave up waiting has been answered 503; the record stands nevertheless.
            let _ = waiter.send(());
        }
    }
}
