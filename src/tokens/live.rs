//! Every connection, live. The map never leaves this module: a look-up clones the `Arc` out, so no
//! guard can be held across an await.

use std::sync::Arc;

use dashmap::DashMap;
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::access::connection::{ConnectionId, ConnectionName, PortalId};
use crate::tokens::PermitProof;
use crate::tokens::connection::ConnectionState;
use crate::tokens::lease::{CredentialError, Lease, Trouble};

/// Every connection of the gate, and how to get a token for one. Cheap to clone.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    connections: DashMap<ConnectionId, Arc<ConnectionState>>,
    by_name: DashMap<ConnectionName, ConnectionId>,
    by_portal: DashMap<PortalId, SmallVec<[ConnectionId; 2]>>,
}

impl Live {
    /// The connection of an id.
    pub fn connection(&self, id: &ConnectionId) -> Option<Arc<ConnectionState>> {
        self.0.connections.get(id).map(|entry| Arc::clone(entry.value()))
    }

    /// The connection of a name.
    pub fn by_name(&self, name: &ConnectionName) -> Option<Arc<ConnectionState>> {
        let id = *self.0.by_name.get(name)?.value();
        self.connection(&id)
    }

    /// The connections of a portal: several when several apps are installed there.
    pub fn by_portal(&self, portal: PortalId) -> SmallVec<[Arc<ConnectionState>; 2]> {
        let ids = self
            .0
            .by_portal
            .get(&portal)
            .map(|entry| entry.value().clone())
            .unwrap_or_default();
        ids.iter().filter_map(|id| self.connection(id)).collect()
    }

    /// Every connection, in no order.
    pub fn all(&self) -> Vec<Arc<ConnectionState>> {
        self.0
            .connections
            .iter()
            .map(|entry| Arc::clone(entry.value()))
            .collect()
    }

    /// Lends the connection's token against the proof that the call was allowed.
    pub async fn lease(
        &self,
        connection: &Arc<ConnectionState>,
        _permit: &impl PermitProof,
    ) -> Result<Lease, CredentialError> {
        let now = Instant::now();
        connection.check_standing()?;
        connection.check_rejected(now)?;
        match connection.current(now) {
            Some((token, _)) => {
                connection.mark_used();
                Ok(Lease {
                    connection: Arc::clone(connection),
                    token,
                })
            }
            None => Err(CredentialError::unavailable(
                Trouble::Slow,
                std::time::Duration::ZERO,
            )),
        }
    }
}
