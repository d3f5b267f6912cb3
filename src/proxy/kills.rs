//! Emergency stops in a running gate: the flags are set here, in one place and in order, and whatever
//! waits is woken to look at them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::gate::{Freshness, Gate};
use crate::access::kill::{Kills, Switches};

/// What the gate holds for its emergency stops.
pub struct Stops {
    switches: Arc<Switches>,
    /// The version whose flags are set.
    in_force: Mutex<u64>,
    /// How long the last look for stops is good for: apart from that for all else, since another thread
    /// looks.
    freshness: Freshness,
    stirred: watch::Sender<()>,
}

impl Stops {
    /// Stops of a gate that starts. Keys hang on `switches`; what was read lately is good for `period`.
    pub fn starting(switches: Arc<Switches>, period: Duration) -> Self {
        Self {
            switches,
            in_force: Mutex::new(0),
            freshness: Freshness::starting(period),
            stirred: watch::Sender::new(()),
        }
    }

    /// The store was asked for stops just now.
    pub fn renew(&self, period: Duration) {
        self.freshness.renew(period);
    }

    /// Whether it was asked lately enough to decide.
    pub fn are_fresh(&self, now: Instant) -> bool {
        self.freshness.holds(now)
    }

    /// Tells of every change of live flags: each worker listens.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.stirred.subscribe()
    }
}

impl Gate {
    /// Puts emergency stops in force: every flag is set when this returns. Stops older than those in force
    /// change nothing, so that it does not matter who reads them when. True when they were newer.
    pub fn apply_kills(&self, kills: Kills) -> bool {
        let mut in_force = self.stops.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        if kills.version < *in_force {
            return false;
        }
        let is_news = kills.version > *in_force;
        let kills = Arc::new(kills);
        self.stops.switches.apply(&kills);
        self.live.apply_kills(&kills);
        *in_force = kills.version;
        drop(in_force);
        self.stir();
        self.metrics.set_killed(&kills);
        is_news
    }

    /// Wakes whoever waits while a live flag may have changed.
    pub fn stir(&self) {
        self.stops.stirred.send_replace(());
    }
}
