//! Many accounts with one app, as an agency has them: small portals, made quickly.

use super::portal::{Fixtures, PortalOptions};
use super::scopes::Scopes;
use super::simulator::{Install, Sim};
use crate::secret::Secret;

/// Most portals made at once: each holds its own definitions of properties in memory.
const COUNT_MAX: u64 = 2_000;

impl Sim {
    /// Makes portals `first`, `first + 1`, …, without records, and installs the app into each. Their
    /// numbers and refresh tokens, in order; at most 2,000 at once, and none for an unknown app.
    pub fn fleet(&self, client_id: &str, first: u64, count: u64, scopes: &Scopes) -> Vec<(u64, Secret)> {
        (first..first.saturating_add(count.min(COUNT_MAX)))
            .filter_map(|hub_id| {
                self.add_portal(PortalOptions {
                    fixtures: Fixtures::Empty,
                    ..PortalOptions::new(hub_id)
                });
                let token = self.install(Install::new(client_id, hub_id, scopes.clone()))?;
                Some((hub_id, token))
            })
            .collect()
    }
}
