//! Keeps findings up to date: after every poll, and every few seconds, since policies, connections and
//! operators change things, too. Each is told once when it begins and once when it is over.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::People;
use super::findings::World;
use crate::access::connection::PortalId;
use crate::events::{FindingBegan, FindingEnded};
use crate::metrics::FindingKind;
use crate::store::{FindingRow, Reconciled, StoreError};

/// How often everything is looked at though nothing was seen: 300 connections cost some milliseconds.
const EVERY: Duration = Duration::from_secs(10);

/// Looks until `stop`.
pub(super) async fn run(people: Arc<People>, stop: CancellationToken) {
    let every = EVERY.min(people.settings.every);
    loop {
        match people.look_after().await {
            Ok(reconciled) => people.tell(&reconciled),
            Err(error) => people.store_failed(&error),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = people.look.notified() => {}
            () = tokio::time::sleep(every) => {}
        }
    }
}

impl People {
    async fn look_after(&self) -> Result<Reconciled, StoreError> {
        let (policies, settings) = (Arc::clone(&self.snapshot.load().policies), self.settings.clone());
        self.on_disk(move |store| {
            let connections = store.connections()?;
            let watched: Vec<PortalId> = connections
                .iter()
                .filter(|row| settings.is_watcher(row.name.as_str()))
                .map(|row| row.portal)
                .collect();
            store.forget_people(&watched)?;
            let (people, uses) = (store.people()?, store.last_use(None)?);
            let world = World {
                connections: &connections,
                people: &people,
                policies: &policies,
                settings: &settings,
                uses: &uses,
            };
            let now = Timestamp::now();
            store.reconcile_findings(now, &world.findings(now))
        })
        .await
    }

    /// Log and metrics. That somebody went or came back stands in the audit log already.
    fn tell(&self, reconciled: &Reconciled) {
        for row in &reconciled.began {
            FindingBegan {
                id: row.id,
                kind: &row.kind,
                detail: &row.detail,
            }
            .emit();
        }
        for row in &reconciled.ended {
            FindingEnded {
                id: row.id,
                kind: &row.kind,
                detail: &row.detail,
            }
            .emit();
        }
        let open = |kind: &FindingKind| {
            let is_open = |row: &&FindingRow| row.kind == kind.as_str() && row.acknowledged.is_none();
            reconciled.open.iter().filter(is_open).count()
        };
        let counts: Vec<_> = FindingKind::ALL.iter().map(|kind| (*kind, open(kind))).collect();
        self.metrics.set_findings(&counts);
    }
}
