//! The gate itself: reloads, its store, its end.

use std::fmt::Display;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock;
use crate::metrics::{ClockJump, Metrics, StoreOp};

/// Policies or configuration were reloaded.
#[derive(Debug)]
pub struct Reloaded<'a> {
    /// When it took effect.
    pub time: Timestamp,
    /// Digest of the policies in force now.
    pub digest: &'a str,
    /// Version of the snapshot.
    pub snapshot: u64,
    /// Policies that are in force.
    pub policies: usize,
    /// Mistakes that were found; what they stand in kept its previous version.
    pub mistakes: usize,
}

impl Reloaded<'_> {
    /// Says so, and sets the series of reloads.
    pub fn emit(&self, metrics: &Metrics) {
        metrics.set_reload(self.mistakes == 0, self.time);
        let (digest, snapshot, policies, mistakes) =
            (self.digest, self.snapshot, self.policies, self.mistakes);
        if mistakes == 0 {
            tracing::info!(digest, snapshot, policies, "policies loaded");
        } else {
            tracing::error!(
                digest,
                snapshot,
                policies,
                mistakes,
                "policies loaded with mistakes: run `scopegate policy check`"
            );
        }
    }
}

/// The store could not be used.
pub struct StoreFailed<'a> {
    /// What was wanted.
    pub op: StoreOp,
    /// The store's words; never a value.
    pub detail: &'a dyn Display,
}

impl StoreFailed<'_> {
    /// Counts it and writes an error, within the budget.
    pub fn emit(&self, metrics: &Metrics) {
        metrics.store_error(self.op);
        if let Some(withheld) = metrics.store_lines.spend(clock::wall()) {
            tracing::error!(op = self.op.as_str(), detail = %self.detail, withheld, "the store could not be used");
        }
    }
}

/// Somebody set the wall clock.
#[derive(Debug)]
pub struct ClockJumped {
    /// By how much; negative = back.
    pub by: jiff::SignedDuration,
}

impl ClockJumped {
    /// Counts it and writes a warning.
    pub fn emit(&self, metrics: &Metrics) {
        let seconds = self.by.as_secs();
        if seconds < 0 {
            metrics.clock_jumped(ClockJump::Back);
            tracing::warn!(
                event = "clock.jumped",
                seconds,
                "the wall clock was set back: keys and policies go on ageing from the latest time there was; if that was \
                 wrong, start the gate anew"
            );
        } else {
            metrics.clock_jumped(ClockJump::Forward);
            tracing::warn!(
                event = "clock.jumped",
                seconds,
                "the wall clock was set forward: keys and policies expire by it"
            );
        }
    }
}

/// The gate goes down.
#[derive(Debug)]
pub struct Draining {
    /// Requests whose answers have not ended.
    pub in_flight: i64,
    /// How long they may take.
    pub grace: Duration,
}

impl Draining {
    /// Writes a line.
    pub fn emit(&self) {
        let (in_flight, grace_s) = (self.in_flight, self.grace.as_secs());
        tracing::info!(in_flight, grace_s, "going down: requests in flight may end");
    }
}
