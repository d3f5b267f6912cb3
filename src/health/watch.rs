//! Follows the health of all connections while the gate runs: writes down what changed, says once
//! when a side begins to fail and when it works again, and shows it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{Failing, findings};
use crate::access::connection::ConnectionId;
use crate::access::effect::Class;
use crate::events::{ConnectionFailing, ConnectionWorks, StoreFailed};
use crate::metrics::{ConnectionSample, HealthSample, Metrics, StoreOp};
use crate::monitor::Readiness;
use crate::store::Store;
use crate::tokens::{ConnectionState, Live};

/// How often health is judged: an alert may be this late.
const JUDGE_EVERY: Duration = Duration::from_secs(1);

/// How often it is written down, at most: what a crash may lose of it.
const SAVE_EVERY: u32 = 3;

/// Follows the health of all connections.
pub struct Watcher {
    /// The connections.
    pub live: Live,
    /// Where health is kept.
    pub store: Arc<Store>,
    /// Where it is counted.
    pub metrics: Arc<Metrics>,
    /// Where it is listed.
    pub readiness: Arc<Readiness>,
    /// For how long a side must fail.
    pub failing_after: Duration,
}

/// What was said: which sides fail, and what the connection was called then.
type Said = BTreeMap<(ConnectionId, Class), String>;

impl Watcher {
    /// Follows until `stop`, and writes down the rest.
    pub async fn run(self, stop: CancellationToken) {
        let mut said = Said::new();
        let mut refreshed = BTreeMap::new();
        let mut round = 0;
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(JUDGE_EVERY) => {}
            }
            round = (round + 1) % SAVE_EVERY;
            let connections = self.live.all();
            if round == 0 || stop.is_cancelled() {
                self.save(&connections, &mut refreshed).await;
            }
            self.judge(&connections, &refreshed, &mut said);
        }
    }

    /// One alert when a side begins to fail, one line when it works again; what is shown follows.
    fn judge(
        &self,
        connections: &[Arc<ConnectionState>],
        refreshed: &BTreeMap<ConnectionId, Timestamp>,
        said: &mut Said,
    ) {
        let mut found = Said::new();
        let mut samples = Vec::with_capacity(connections.len());
        for connection in connections {
            let failing = findings(&connection.health(), self.failing_after);
            let fails = |class| failing.iter().any(|one| one.class == class);
            samples.push(HealthSample {
                connection: connection.name().as_str(),
                app: connection.app(),
                read_fails: fails(Class::Read),
                write_fails: fails(Class::Write),
                last_refresh: refreshed.get(&connection.id()).copied(),
            });
            if failing.is_empty() {
                continue;
            }
            let name = connection.name().as_str();
            let sentences: Vec<String> = failing.iter().map(Failing::sentence).collect();
            self.readiness.warn(subject(name), sentences.join("; "));
            for one in &failing {
                let key = (connection.id(), one.class);
                if !said.contains_key(&key) {
                    fails_now(connection, one);
                }
                found.insert(key, name.to_owned());
            }
        }
        show_connections(&self.metrics, connections);
        self.metrics.set_connection_health(&samples);
        for ((id, class), name) in said.iter().filter(|(key, _)| !found.contains_key(key)) {
            if !found.contains_key(&(*id, class.other())) {
                self.readiness.clear_warning(&subject(name));
            }
            if connections.iter().any(|known| known.id() == *id) {
                let (connection, class) = (name, *class);
                ConnectionWorks { connection, class }.emit();
            }
        }
        *said = found;
    }

    /// Writes down what changed, and learns when tokens were refreshed. What can't be written is owed,
    /// and tried again.
    async fn save(
        &self,
        connections: &[Arc<ConnectionState>],
        refreshed: &mut BTreeMap<ConnectionId, Timestamp>,
    ) {
        let changed: Vec<_> = connections.iter().filter(|one| one.take_pulse_change()).collect();
        let health: Vec<_> = changed.iter().map(|one| (one.id(), one.health())).collect();
        let uses: Vec<_> = changed.iter().flat_map(|one| one.uses()).collect();
        let store = Arc::clone(&self.store);
        // Only shown for each connection by itself: not looked up where there are too many for that.
        let each = self.metrics.shows_each(connections.len());
        let work = move || {
            if !health.is_empty() {
                store.save_health(&health, &uses)?;
            }
            if each {
                store.last_refreshes()
            } else {
                Ok(BTreeMap::new())
            }
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(times)) => *refreshed = times,
            Ok(Err(error)) => {
                changed.iter().for_each(|one| one.owe_pulse());
                let (op, detail) = (StoreOp::Write, &error);
                StoreFailed { op, detail }.emit(&self.metrics);
            }
            // The runtime goes down.
            Err(_) => {}
        }
    }
}

fn fails_now(connection: &ConnectionState, failing: &Failing) {
    ConnectionFailing {
        connection: connection.name().as_str(),
        app: connection.app(),
        class: failing.class,
        since: failing.since,
        failures: failing.failures,
        cause: &failing.cause,
        other: failing.other.as_str(),
    }
    .emit();
}

/// Shows the state of every connection.
pub fn show_connections(metrics: &Metrics, connections: &[Arc<ConnectionState>]) {
    let samples = connections.iter().map(|connection| ConnectionSample {
        connection: connection.name().as_str(),
        app: connection.app(),
        state: connection.shown_standing().as_str(),
        token_expires: connection.token_expires(),
    });
    metrics.set_connections(&samples.collect::<Vec<_>>());
}

fn subject(name: &str) -> String {
    format!("health of connection {name}")
}
