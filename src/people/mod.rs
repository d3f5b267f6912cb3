//! The people behind credentials: watched, so that nobody's grant goes on working unnoticed after they
//! have left.
//!
//! A watcher, a connection set aside for it, asks HubSpot about whoever installed the connections of
//! its portal (`watch`, `ask`). What its sources say is settled by a pure state machine
//! ([`verdict`]) and kept in the store; running gates follow by the list of changes, and each policy says
//! what its integration may still do. Whatever somebody should act upon is a finding ([`findings`]),
//! with the date it began and the date it was over.
//!
//! Deliberately absent: stopping anything because something is unknown, and deciding for a policy.

mod ask;
pub mod findings;
mod keep;
pub mod register;
pub mod verdict;
mod watch;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::audit;
use crate::config::PeopleSettings;
use crate::events::StoreFailed;
use crate::metrics::{Metrics, StoreOp};
use crate::snapshot::Snapshot;
use crate::store::{Provenance, Store, StoreError};
use crate::tokens::Live;

/// Portals asked about at one time.
const AT_ONCE: usize = 4;

/// What watching works with.
pub struct Parts {
    /// Tokens for the watchers' questions.
    pub live: Live,
    /// Where people and findings are kept.
    pub store: Arc<Store>,
    /// Policies of the moment: which integrations stand on a connection.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Whom to watch with, how often.
    pub settings: PeopleSettings,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Where each round is recorded.
    pub audit: audit::Handle,
    /// This gate's name, in events.
    pub instance: String,
    /// A random id of this run of the process.
    pub boot: Uuid,
}

/// The watchers and the keeper of findings.
struct People {
    live: Live,
    store: Arc<Store>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    settings: PeopleSettings,
    metrics: Arc<Metrics>,
    audit: audit::Handle,
    instance: String,
    boot: Uuid,
    turns: Semaphore,
    /// Something was seen: findings are to be looked at.
    look: Notify,
}

/// Watches people and keeps findings until `stop`: to be spawned on the control plane.
pub async fn run(parts: Parts, stop: CancellationToken) {
    let people = People {
        live: parts.live,
        store: parts.store,
        snapshot: parts.snapshot,
        settings: parts.settings,
        metrics: parts.metrics,
        audit: parts.audit,
        instance: parts.instance,
        boot: parts.boot,
        turns: Semaphore::new(AT_ONCE),
        look: Notify::new(),
    };
    watch::run(Arc::new(people), stop).await;
}

impl People {
    /// Runs work on the store where it may block.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || work(&store))
            .await
            .unwrap_or(Err(StoreError::Interrupted))
    }

    /// Who did what the gate did by itself.
    fn provenance(&self) -> Provenance {
        Provenance {
            actor: format!("gate:{}", self.instance),
            reason: None,
        }
    }

    fn store_failed(&self, error: &StoreError) {
        StoreFailed {
            op: StoreOp::Write,
            detail: error,
        }
        .emit(&self.metrics);
    }
}
