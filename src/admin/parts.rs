//! What the routes work with.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::refusal::{Code, Refusal};
use super::who::Who;
use crate::access::json::JudgedBody;
use crate::config::Config;
use crate::hubspot::control::ControlClient;
use crate::hubspot::oauth::Endpoints;
use crate::metrics::Metrics;
use crate::monitor::Readiness;
use crate::reports::kills;
use crate::snapshot::Snapshot;
use crate::store::{Follower, Provenance, Store, StoreError};
use crate::vault::Vault;

/// How long a change waits for running gates to follow, as the command line does.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// What the composition root hands over.
pub struct Parts {
    /// A way into the store of this listener's own: a long list holds up nobody else.
    pub store: Store,
    /// Settings.
    pub config: Config,
    /// Policies and catalogue in force.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Opens a credential that HubSpot must be asked about before it is resumed.
    pub vault: Arc<Vault>,
    /// Asks HubSpot.
    pub client: ControlClient,
    /// Where.
    pub endpoints: Endpoints,
    /// Whether the gate is ready, and what is the matter.
    pub readiness: Arc<Readiness>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

impl Parts {
    /// The same with another way into the store: what is done with one never waits for the other.
    pub(super) fn beside(&self) -> Result<Self, StoreError> {
        let store = Store::open_existing(self.store.path())?;
        store.seal_rows_with(&self.vault)?;
        Ok(Self {
            store,
            config: self.config.clone(),
            snapshot: Arc::clone(&self.snapshot),
            vault: Arc::clone(&self.vault),
            client: self.client.clone(),
            endpoints: self.endpoints.clone(),
            readiness: Arc::clone(&self.readiness),
            metrics: Arc::clone(&self.metrics),
        })
    }
}

/// One request, as a route sees it: everything about it was checked.
pub(super) struct Call<'a> {
    /// Who asks.
    pub who: &'a Who,
    /// What stood in the route's `{…}`.
    pub named: &'a str,
    /// The query: names that the route takes, each once.
    pub query: &'a [(&'a str, &'a str)],
    /// The body, as it came.
    pub body: &'a [u8],
    /// When it is no longer waited for.
    pub until: Instant,
    /// The listener goes down: nothing that takes long is waited for any more.
    pub stop: &'a CancellationToken,
}

/// What a route answers.
pub(super) type Answer = Result<Value, Refusal>;

impl<'a> Call<'a> {
    /// A parameter of the query.
    pub fn asked(&self, name: &str) -> Option<&'a str> {
        self.query
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
    }

    /// The body: strict JSON, and of it exactly the fields that the route takes.
    pub fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, Refusal> {
        let malformed = |why: &'static str, what: &'static str| Refusal::new(Code::Malformed, why, what);
        JudgedBody::parse(self.body).map_err(|refusal| malformed(refusal.cause, refusal.remedy))?;
        serde_json::from_slice(self.body).map_err(|_| {
            malformed(
                "the body is not what this route takes",
                "send the fields that the table of routes shows, no others, each of its type",
            )
        })
    }

    /// Who and why, for the record. No change without a reason.
    pub fn because(&self, reason: &str) -> Result<Provenance, Refusal> {
        match Provenance::reason_of(reason) {
            Ok(Some(reason)) => Ok(Provenance {
                actor: self.who.actor.clone(),
                reason: Some(reason),
            }),
            _ => Err(Refusal::new(
                Code::Malformed,
                "a change needs a reason, which is recorded",
                "send `reason`: one line of at most 500 bytes",
            )),
        }
    }
}

/// Adds to what was changed whether running gates have followed.
pub(super) fn followed(mut changed: Value, followers: Result<Vec<Follower>, StoreError>) -> Value {
    let (gates, in_force) = match &followers {
        Ok(followers) => {
            let all = followers
                .iter()
                .all(|follower| matches!(follower, Follower::InForce { .. }));
            (kills::gates(followers), json!(all))
        }
        // The change is made; nobody can tell who has followed.
        Err(_) => (Value::Null, Value::Null),
    };
    changed["gates"] = gates;
    changed["in_force"] = in_force;
    changed
}
