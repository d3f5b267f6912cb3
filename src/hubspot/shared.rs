//! What the pools of all workers share: counts, the breaker, and how much may be sent a second time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::breaker::Breaker;
use super::places::Place;
use super::retries::RetryBudget;

/// What the pools of all workers share.
pub struct Shared {
    /// Counts.
    pub stats: PoolStats,
    /// Leaves an upstream that can't be reached alone.
    pub breaker: Breaker,
    /// How much may be sent a second time.
    pub retries: RetryBudget,
}

/// Counts over all workers, read by the metrics at a scrape.
#[derive(Debug, Default)]
pub struct PoolStats {
    /// Connections opened, ever.
    pub opened: AtomicU64,
    /// Requests that were answered.
    pub sent: AtomicU64,
    /// Of these, on a connection that had served one before.
    pub reused: AtomicU64,
    /// Idle now.
    pub idle: AtomicI64,
    /// In use now.
    pub active: AtomicI64,
    /// Being made now.
    pub connecting: AtomicI64,
}

/// One connection being made, counted.
pub(super) struct Counted<'a>(&'a PoolStats);

impl<'a> Counted<'a> {
    pub(super) fn begin(stats: &'a PoolStats) -> Self {
        stats.connecting.fetch_add(1, Ordering::Relaxed);
        Self(stats)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.connecting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One connection in use: its place, and a count.
pub(super) struct Active {
    shared: Arc<Shared>,
    _place: Place,
}

impl Active {
    pub(super) fn begin(shared: &Arc<Shared>, place: Place) -> Self {
        shared.stats.active.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::clone(shared),
            _place: place,
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.shared.stats.active.fetch_sub(1, Ordering::Relaxed);
    }
}
