//! What the pools of all workers share: the breaker, how much may be sent a second time, and where their
//! counts come together.

use std::sync::{Arc, Mutex, PoisonError};

use super::breaker::Breaker;
use super::places::Place;
use super::retries::RetryBudget;
use crate::part::{Part, sum};

/// What the pools of all workers share.
pub struct Shared {
    /// Leaves an upstream that can't be reached alone.
    pub breaker: Breaker,
    /// How much may be sent a second time.
    pub retries: RetryBudget,
    pools: Mutex<Vec<Arc<PoolStats>>>,
}

impl Shared {
    /// No pools yet.
    pub fn new(breaker: Breaker, retries: RetryBudget) -> Self {
        Self {
            breaker,
            retries,
            pools: Mutex::default(),
        }
    }

    /// One more pool's counts.
    pub(super) fn join(&self) -> Arc<PoolStats> {
        let stats = Arc::new(PoolStats::default());
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.push(Arc::clone(&stats));
        stats
    }

    /// All pools' counts of something together.
    pub fn count(&self, of: impl Fn(&PoolStats) -> &Part) -> u64 {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        sum(pools.iter().map(|stats| of(stats).get()))
    }
}

/// One pool's counts, changed by its worker alone, read by the metrics at a scrape.
#[derive(Debug, Default)]
pub struct PoolStats {
    /// Connections opened, ever.
    pub opened: Part,
    /// Requests that were answered.
    pub sent: Part,
    /// Of these, on a connection that had served one before.
    pub reused: Part,
    /// Idle now.
    pub idle: Part,
    /// In use now.
    pub active: Part,
    /// Being made now.
    pub connecting: Part,
}

/// One connection being made, counted.
pub(super) struct Counted<'a>(&'a PoolStats);

impl<'a> Counted<'a> {
    pub(super) fn begin(stats: &'a PoolStats) -> Self {
        stats.connecting.add(1);
        Self(stats)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.connecting.sub(1);
    }
}

/// One connection in use: its place, and a count.
pub(super) struct Active {
    stats: Arc<PoolStats>,
    _place: Place,
}

impl Active {
    pub(super) fn begin(stats: &Arc<PoolStats>, place: Place) -> Self {
        stats.active.add(1);
        Self {
            stats: Arc::clone(stats),
            _place: place,
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.stats.active.sub(1);
    }
}
