//! What the two ends of a client connection know of each other: its service (requests being served) and
//! its [`Io`](super::io::Io) (bytes, deadlines, why it gave up). One thread, one connection.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use crate::metrics::{ClientEnd, Metrics};

/// How many requests of a connection are being served, and why it ended if a bound was reached.
#[derive(Clone, Default)]
pub struct Activity(Rc<Shared>);

#[derive(Default)]
struct Shared {
    begun: Cell<u64>,
    ended: Cell<u64>,
    answered: Cell<u64>,
    reader: Cell<Option<Waker>>,
    has_end: Cell<bool>,
    /// `None`: nobody counts, as in a test of one end alone.
    metrics: Option<Arc<Metrics>>,
    at_rest: Cell<bool>,
    has_turn: Cell<bool>,
}

impl Activity {
    /// Of a connection that is counted in `metrics` when it is given up.
    pub fn counted(metrics: &Arc<Metrics>) -> Self {
        Self(Rc::new(Shared {
            metrics: Some(Arc::clone(metrics)),
            ..Shared::default()
        }))
    }

    /// One more request is being served, until the guard is dropped.
    pub fn begin(&self) -> ActiveGuard {
        self.0.begun.set(self.0.begun.get() + 1);
        ActiveGuard(self.clone())
    }

    /// Requests there have been.
    pub fn begun(&self) -> u64 {
        self.0.begun.get()
    }

    /// Requests that are over, to the last byte of their answers.
    pub fn ended(&self) -> u64 {
        self.0.ended.get()
    }

    /// Requests whose answers went down to their ends.
    pub fn answered(&self) -> u64 {
        self.0.answered.get()
    }

    /// Whether no request is being served.
    pub fn is_idle(&self) -> bool {
        self.begun() == self.ended()
    }

    /// The connection's reader waits until a request is over.
    pub fn wake_reader_later(&self, waker: &Waker) {
        let kept = match self.0.reader.take() {
            Some(kept) if kept.will_wake(waker) => kept,
            _ => waker.clone(),
        };
        self.0.reader.set(Some(kept));
    }

    /// The reader may go on.
    pub fn wake_reader(&self) {
        if let Some(waker) = self.0.reader.take() {
            waker.wake();
        }
    }

    /// Whether nothing is to be done but to wait for the client, and the connection may sleep meanwhile.
    pub fn is_at_rest(&self) -> bool {
        self.0.at_rest.get()
    }

    /// Says so, or that it is over.
    pub fn set_at_rest(&self, is_at_rest: bool) {
        self.0.at_rest.set(is_at_rest);
    }

    /// The connection's own task runs, or has run: what ends meanwhile it sees for itself, at the end of its
    /// turn, and need not be woken for.
    pub fn set_turn(&self, has_turn: bool) {
        self.0.has_turn.set(has_turn);
    }

    /// The connection is given up for this reason, and counted so, before its client can see it. The first
    /// reason counts.
    pub fn give_up(&self, end: ClientEnd) {
        if self.0.has_end.replace(true) {
            return;
        }
        if let Some(metrics) = &self.0.metrics {
            metrics.client_ended(end);
        }
    }
}

/// A request being served.
pub struct ActiveGuard(Activity);

impl ActiveGuard {
    /// The request is over because it was answered, not because its client gave it up.
    pub fn answered(&self) {
        let shared = &self.0.0;
        shared.answered.set(shared.answered.get() + 1);
    }
}

impl Drop for ActiveGuard {
    fn drop(&mut self) {
        let shared = &self.0.0;
        shared.ended.set(shared.ended.get() + 1);
        if !shared.has_turn.get() {
            self.0.wake_reader();
        }
    }
}
