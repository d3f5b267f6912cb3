//! Follows emergency stops. A thread of its own, with its own way into the store: reading a thousand
//! policies, a large table or a slow disk's folder holds up the publisher, and must not hold up a stop.
//!
//! Invariant: a stop is written back as in force only after every flag is set.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::events::{KillsInForce, StoreFailed};
use crate::metrics::StoreOp;
use crate::proxy::gate::Gate;
use crate::store::{Store, StoreError};

/// How often the store is asked: one row of a table that is in memory.
const POLL: Duration = Duration::from_millis(50);

/// How long writing back waits for another process's write. Looking for the next stop comes first; what
/// was not written back is tried again.
const WRITE_PATIENCE: Duration = Duration::from_millis(50);

/// How often it is said that the stops can't be read.
const SAY_EVERY: Duration = Duration::from_secs(1);

/// Follows emergency stops.
pub struct KillFollower {
    gate: Arc<Gate>,
    store: Store,
    instance: String,
    max_staleness: Duration,
    /// The version that was last written back as in force.
    written_back: Option<u64>,
    /// When it was last said that the stops can't be read.
    said: Option<Instant>,
}

impl KillFollower {
    /// A follower for the gate that holds the store's lock.
    pub fn new(config: &Config, gate: Arc<Gate>) -> Result<Self, StoreError> {
        let store = Store::open_existing(&config.store)?;
        store.wait_for_writers(WRITE_PATIENCE)?;
        Ok(Self {
            gate,
            store,
            instance: config.instance.clone(),
            max_staleness: config.limits.store_max_staleness,
            written_back: None,
            said: None,
        })
    }

    /// Announces this gate to commands, then puts in force what there is: a stop that was committed
    /// before the announcement is in force when this returns, a later one is waited for.
    pub fn begin(&mut self) -> Result<(), StoreError> {
        // The gate does not listen yet: here there is time to wait.
        self.store.wait_for_writers(self.max_staleness)?;
        self.store.begin_following_kills(&self.instance)?;
        self.store.wait_for_writers(WRITE_PATIENCE)?;
        self.follow()
    }

    /// Follows until told to stop, or until nobody can tell any more.
    pub fn run(mut self, stop: &Receiver<()>) {
        while stop.recv_timeout(POLL) == Err(RecvTimeoutError::Timeout) {
            match self.follow() {
                Ok(()) => self.said = None,
                Err(error) => self.failed(&error),
            }
        }
        // The line is only for commands that wait: a failure leaves them waiting, no more.
        let _ = self.store.end_following_kills(&self.instance);
    }

    fn failed(&mut self, error: &StoreError) {
        if matches!(error, StoreError::Damaged(_) | StoreError::Displaced(_)) {
            // Not a store that is busy for a while: there may be a stop, and nobody can tell of what.
            self.gate.stops.renew(Duration::ZERO);
        }
        if matches!(error, StoreError::Displaced(_)) {
            // This thread looks first, and whoever is told kills the gate next: by then what only a removed log
            // held is in the file.
            self.store.rescue_log();
        }
        if self.said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
            self.said = Some(Instant::now());
            StoreFailed {
                op: StoreOp::Poll,
                detail: error,
            }
            .emit(&self.gate.metrics);
        }
    }

    fn follow(&mut self) -> Result<(), StoreError> {
        self.store.in_place()?;
        let version = self.store.kills_version()?;
        if self.written_back != Some(version) {
            let kills = self.store.kill_state()?;
            let in_force = kills.version;
            let event = KillsInForce::of(&kills);
            if self.gate.apply_kills(kills) {
                event.emit();
            }
            self.gate.stops.renew(self.max_staleness);
            self.store.note_kills_in_force(&self.instance, in_force)?;
            self.written_back = Some(in_force);
        }
        self.gate.stops.renew(self.max_staleness);
        Ok(())
    }
}
