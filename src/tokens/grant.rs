//! One grant, held by one connection or by several: whoever holds it joins the same refresh.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::access::connection::ConnectionId;
use crate::tokens::connection::ConnectionState;
use crate::tokens::flight::Flight;

/// What all holders of a grant have in common.
#[derive(Default)]
pub(super) struct Grant {
    flight: Mutex<Flight>,
    holders: Mutex<Vec<Weak<ConnectionState>>>,
}

impl Grant {
    /// The lock is held for a few instructions, never across an await.
    pub(super) fn flight(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection of this id, if it holds the grant.
    pub(super) fn holder(&self, id: &ConnectionId) -> Option<Arc<ConnectionState>> {
        let holders = self.lock();
        holders
            .iter()
            .filter_map(Weak::upgrade)
            .find(|holder| holder.id() == *id)
    }

    /// Whether anybody still holds it.
    pub(super) fn is_held(&self) -> bool {
        self.lock().iter().any(|holder| holder.strong_count() > 0)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<ConnectionState>>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionState {
    /// Whether others hold its grant, too.
    pub(super) fn is_sharing(&self) -> bool {
        let grant = self.grant();
        let holders = grant.lock();
        holders.iter().filter(|holder| holder.strong_count() > 0).count() > 1
    }

    /// Leaves the others that hold its grant: what they owe or wait for stays theirs, and what they are
    /// told is not meant for it any more.
    pub(super) fn leave(&self) {
        let before = self.grant();
        before
            .lock()
            .retain(|holder| !std::ptr::eq(holder.as_ptr(), self) && holder.strong_count() > 0);
        self.set_grant(Arc::default());
    }

    /// Makes the connection a holder of `grant`, and of no other. One in the middle of a refresh stays
    /// where it is: the store's lease keeps the two apart, and the next change moves it.
    pub(super) fn hold(self: &Arc<Self>, grant: &Arc<Grant>) {
        let before = self.grant();
        if Arc::ptr_eq(&before, grant) {
            let mut holders = grant.lock();
            if !holders.iter().any(|holder| holder.as_ptr() == Arc::as_ptr(self)) {
                holders.push(Arc::downgrade(self));
            }
            return;
        }
        if before.flight().is_busy() {
            return;
        }
        before
            .lock()
            .retain(|holder| holder.as_ptr() != Arc::as_ptr(self) && holder.strong_count() > 0);
        grant.lock().push(Arc::downgrade(self));
        self.set_grant(Arc::clone(grant));
    }
}
