//! What a refresh works with, and how one is started: single-flight, on the control plane, whoever asks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::access::connection::CredentialKind;
use crate::events::StoreFailed;
use crate::hubspot::control::ControlClient;
use crate::hubspot::oauth::Endpoints;
use crate::metrics::{Metrics, StoreOp};
use crate::store::{Provenance, Store, StoreError};
use crate::tokens::brake::Brake;
use crate::tokens::connection::ConnectionState;
use crate::tokens::expiry::Phase;
use crate::tokens::flight::{Landing, Outcome};
use crate::tokens::grant::Grant;
use crate::tokens::lease::Trouble;
use crate::tokens::scope_lists::ScopeLists;
use crate::tokens::{refresh, verify};
use crate::vault::Vault;

/// Refreshes at one time, over all connections: the token endpoint is one, and has limits.
pub(super) const AT_ONCE: usize = 16;

/// Bounds of waiting and trying.
#[derive(Clone, Copy, Debug)]
pub struct TokenSettings {
    /// Longest a request waits for a token.
    pub wait: Duration,
    /// A refresh forced by an upstream 401: at most one a connection in this time.
    pub forced_every: Duration,
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(10),
            forced_every: Duration::from_secs(60),
        }
    }
}

/// What [`crate::tokens::Live`] is made of.
pub struct LiveParts {
    /// Where grants are kept.
    pub store: Arc<Store>,
    /// What opens them.
    pub vault: Arc<Vault>,
    /// How the token endpoint is asked.
    pub client: ControlClient,
    /// Where it is.
    pub endpoints: Endpoints,
    /// The control plane's runtime: refreshes run there and outlive who asked for them.
    pub runtime: Handle,
    /// This gate's name, in leases and events.
    pub instance: String,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Bounds.
    pub settings: TokenSettings,
    /// Names of the connections that are the gate's own, to watch people with.
    pub watchers: BTreeSet<String>,
}

pub(super) struct Engine {
    pub(super) parts: LiveParts,
    pub(super) at_once: Semaphore,
    pub(super) brake: Brake,
    pub(super) scope_lists: ScopeLists,
    pub(super) tasks: TaskTracker,
    /// From each answer's last byte to its durable commit.
    #[cfg(test)]
    pub(super) windows: std::sync::Mutex<Vec<Duration>>,
}

/// Why a refresh is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// The token is due; nobody waits.
    Ahead,
    /// There is no token that may be sent.
    Now,
    /// The upstream refused the token of this generation.
    Replace(u64),
    /// A predecessor may have died in a refresh, a save is owed, or a static token is unverified.
    Repair,
}

/// What became of the wish.
pub(super) enum Start {
    /// Wait for this.
    Flying(Landing),
    /// The need is met already.
    Met,
    /// Not yet: an earlier attempt failed.
    Later(Trouble, Duration),
    /// A forced refresh was just made, and its token was refused as well; or there is nothing to
    /// refresh with.
    Never,
}

impl Engine {
    pub(super) fn new(parts: LiveParts) -> Self {
        Self {
            parts,
            at_once: Semaphore::new(AT_ONCE),
            brake: Brake::default(),
            scope_lists: ScopeLists::default(),
            tasks: TaskTracker::new(),
            #[cfg(test)]
            windows: std::sync::Mutex::default(),
        }
    }

    /// Starts a refresh or joins the one under way.
    pub(super) fn start(self: &Arc<Self>, connection: &Arc<ConnectionState>, need: Need) -> Start {
        let now = Instant::now();
        let grant = connection.grant();
        let mut flight = grant.flight();
        if let Some(landing) = &flight.under_way {
            return Start::Flying(landing.clone());
        }
        // Nothing new begins for what is stopped in an emergency: whoever asked looks at the state next.
        // What was received and could not be saved is still saved.
        if connection.is_killed() && flight.unsaved.is_none() {
            return Start::Met;
        }
        // Asked again under the lock: one may have landed since the caller looked.
        if is_met(connection, need, now) {
            return Start::Met;
        }
        if connection.kind() != CredentialKind::OAuth && need != Need::Repair {
            return Start::Never;
        }
        if let Some((wait, trouble)) = flight.must_wait(now) {
            return Start::Later(trouble, wait);
        }
        // What is owed to the store does not wait for the endpoint.
        if connection.kind() == CredentialKind::OAuth && flight.unsaved.is_none() {
            if let Some((wait, trouble)) = self.brake.held(now) {
                return Start::Later(trouble, wait);
            }
            // Those who have a token let those go first who have none.
            if need == Need::Ahead && self.at_once.available_permits() == 0 {
                return Start::Later(Trouble::Slow, Duration::ZERO);
            }
        }
        if matches!(need, Need::Replace(_)) {
            let lately = flight
                .forced
                .is_some_and(|at| now.duration_since(at) < self.parts.settings.forced_every);
            if lately {
                return Start::Never;
            }
            flight.forced = Some(now);
        }
        let (teller, landing) = watch::channel(None);
        flight.under_way = Some(landing.clone());
        drop(flight);
        self.launch(Arc::clone(connection), grant, need, teller);
        Start::Flying(landing)
    }

    fn launch(
        self: &Arc<Self>,
        connection: Arc<ConnectionState>,
        grant: Arc<Grant>,
        need: Need,
        teller: watch::Sender<Option<Outcome>>,
    ) {
        let engine = Arc::clone(self);
        let mut arrival = Arrival {
            connection,
            grant,
            teller,
            landed: false,
        };
        let task = async move {
            let (outcome, asked) = match arrival.connection.kind() {
                CredentialKind::OAuth => {
                    refresh::attempt(&engine, &arrival.connection, &arrival.grant, need).await
                }
                _ => verify::attempt(&engine, &arrival.connection).await,
            };
            arrival.land(outcome, asked);
        };
        self.tasks.spawn_on(task, &self.parts.runtime);
    }

    /// From now on no question begins: what stands in line for one ends without it.
    pub(super) fn stop(&self) {
        self.at_once.close();
        self.tasks.close();
    }

    /// Whether [`Engine::stop`] was called.
    pub(super) fn is_stopping(&self) -> bool {
        self.at_once.is_closed()
    }

    /// Runs work on the store where it may block.
    pub(super) async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = Arc::clone(&self.parts.store);
        #[cfg(test)]
        if let Some(outside) = self.parts.client.simulated() {
            if !outside.disk_begins().await {
                return Err(StoreError::Interrupted);
            }
            let done = work(&store);
            return match outside.disk_ends().await {
                true => done,
                false => Err(StoreError::Interrupted),
            };
        }
        tokio::task::spawn_blocking(move || work(&store))
            .await
            .unwrap_or(Err(StoreError::Interrupted))
    }

    /// Tells that the store could not be used for a refresh.
    pub(super) fn store_failed(&self, op: StoreOp, error: &StoreError) {
        let detail = error;
        StoreFailed { op, detail }.emit(&self.parts.metrics);
    }

    /// Who did what the gate did by itself.
    pub(super) fn provenance(&self) -> Provenance {
        Provenance {
            actor: format!("gate:{}", self.parts.instance),
            reason: None,
        }
    }
}

fn is_met(connection: &ConnectionState, need: Need, now: Instant) -> bool {
    let current = connection.current(now);
    match need {
        Need::Ahead => matches!(current, Some((_, Phase::Fresh))),
        Need::Now => current.is_some(),
        Need::Replace(generation) => current.is_some_and(|(token, _)| token.generation > generation),
        Need::Repair => false,
    }
}

/// Lands the flight whatever happens to the task: waiters are never left hanging, and a task that was
/// dropped or panicked does not block the next one.
struct Arrival {
    connection: Arc<ConnectionState>,
    grant: Arc<Grant>,
    teller: watch::Sender<Option<Outcome>>,
    landed: bool,
}

impl Arrival {
    fn land(&mut self, outcome: Outcome, asked: Option<Duration>) {
        self.landed = true;
        self.grant.flight().land(outcome, asked, Instant::now(), jitter());
        // Nobody may be waiting.
        let _ = self.teller.send(Some(outcome));
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if !self.landed {
            self.land(Outcome::Failed(Trouble::Slow), None);
        }
    }
}

/// Spreads what would otherwise happen together; not a secret.
pub(super) fn jitter() -> u8 {
    #[cfg(test)]
    if let Some(thrown) = crate::store::simulated::dice() {
        return thrown;
    }
    let mut byte = [0];
    // Without randomness nothing is spread, which harms nobody.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    byte[0]
}
