//! What an upstream saw: numbers, by thread so that counting costs nothing, and heads if it is told to keep them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Most heads that are kept: a driver looks at a handful.
const KEPT_MAX: usize = 1_000;

/// What one thread saw since its start.
#[derive(Debug, Default)]
pub struct Counts {
    connections: AtomicU64,
    resumed: AtomicU64,
    requests: AtomicU64,
    refused: AtomicU64,
    leaked: AtomicU64,
    unknown: AtomicU64,
}

/// How a request was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It carried the token.
    Good,
    /// It did not.
    Refused,
}

impl Counts {
    /// A connection is open, its handshake done.
    pub fn connected(&self, is_resumed: bool) {
        self.connections.fetch_add(1, Relaxed);
        self.resumed.fetch_add(u64::from(is_resumed), Relaxed);
    }

    /// A request was read. `leaks`: it had a gate's key in it.
    pub fn requested(&self, taken: Taken, leaks: bool) {
        self.requests.fetch_add(1, Relaxed);
        self.refused
            .fetch_add(u64::from(taken == Taken::Refused), Relaxed);
        self.leaked.fetch_add(u64::from(leaks), Relaxed);
    }

    /// A request for something that is not served here.
    pub fn unknown(&self) {
        self.unknown.fetch_add(1, Relaxed);
    }

    /// All threads' numbers together, as JSON.
    pub fn json(all: &[std::sync::Arc<Self>]) -> String {
        let sum = |of: fn(&Self) -> &AtomicU64| -> u64 { all.iter().map(|one| of(one).load(Relaxed)).sum() };
        format!(
            "{{\"connections\": {}, \"resumed\": {}, \"requests\": {}, \"refused\": {}, \"leaked\": {}, \
             \"unknown\": {}}}\n",
            sum(|one| &one.connections),
            sum(|one| &one.resumed),
            sum(|one| &one.requests),
            sum(|one| &one.refused),
            sum(|one| &one.leaked),
            sum(|one| &one.unknown),
        )
    }
}

/// Heads of requests, for a driver to look at. Off unless asked for.
#[derive(Debug, Default)]
pub struct Kept {
    is_on: AtomicBool,
    heads: Mutex<Vec<u8>>,
    count: AtomicU64,
}

impl Kept {
    /// Begins anew, or stops.
    pub fn keep(&self, is_on: bool) {
        if let Ok(mut heads) = self.heads.lock() {
            heads.clear();
        }
        self.count.store(0, Relaxed);
        self.is_on.store(is_on, Relaxed);
    }

    /// One head, if they are kept. One load where they are not.
    pub fn head(&self, head: &[u8]) {
        if self.is_on.load(Relaxed)
            && self.count.fetch_add(1, Relaxed) < KEPT_MAX as u64
            && let Ok(mut heads) = self.heads.lock()
        {
            heads.extend_from_slice(head);
        }
    }

    /// All of them, each with the empty line that ends it.
    pub fn text(&self) -> Vec<u8> {
        self.heads.lock().map(|heads| heads.clone()).unwrap_or_default()
    }
}
