//! How many client connections there are, and how many of them sleep.

use std::rc::Rc;

use prometheus::IntGauge;

use super::worker::Worker;
use crate::metrics::{ClientConnection, Metrics};

/// Where a worker counts its client connections.
pub struct Presences {
    awake: IntGauge,
    asleep: IntGauge,
}

impl Presences {
    /// The gate's gauges: all workers count on the same.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            awake: metrics.client_connections(ClientConnection::Awake),
            asleep: metrics.client_connections(ClientConnection::Asleep),
        }
    }

    fn of(&self, is_asleep: bool) -> &IntGauge {
        if is_asleep { &self.asleep } else { &self.awake }
    }
}

/// One connection, counted until it is dropped.
pub struct Presence {
    worker: Rc<Worker>,
    is_asleep: bool,
}

impl Presence {
    /// It begins awake.
    pub fn begin(worker: &Rc<Worker>) -> Self {
        worker.presences().of(false).inc();
        Self {
            worker: Rc::clone(worker),
            is_asleep: false,
        }
    }

    /// From now on it sleeps, or does not.
    pub fn set_asleep(&mut self, is_asleep: bool) {
        if self.is_asleep != is_asleep {
            let presences = self.worker.presences();
            presences.of(self.is_asleep).dec();
            presences.of(is_asleep).inc();
            self.is_asleep = is_asleep;
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.worker.presences().of(self.is_asleep).dec();
    }
}
