//! Which connection a request goes to: never a default, never the first.

use std::sync::Arc;

use smallvec::SmallVec;

use super::stop::Stop;
use crate::access::connection::Selector;
use crate::access::integration::{Binding, KeyEntry};
use crate::access::policy::Policy;
use crate::access::policy::tables::ConnectionRef;
use crate::access::refusal::Reason;
use crate::tokens::{ConnectionState, Live};

/// The connection as policies see it.
pub fn as_ref(connection: &ConnectionState) -> ConnectionRef<'_> {
    ConnectionRef {
        name: connection.name().as_str(),
        app: connection.app(),
    }
}

/// Chooses the connection, in the order of the contract: the key's own, the one named, the policy's
/// only one. A connection outside the policy and one that does not exist get the same answer. Whether it
/// is in service is asked next, when it is known which it is.
pub fn choose(
    live: &Live,
    key: &KeyEntry,
    policy: &Policy,
    by_key: Option<&Selector>,
    by_header: Option<&Selector>,
) -> Result<Arc<ConnectionState>, Stop> {
    let foreign = || Stop::Connection(Reason::ConnectionForeign);
    let named = match (by_key, by_header) {
        (Some(key), Some(header)) if key != header => return Err(Stop::ConnectionUnnamed),
        (key, header) => key.or(header),
    };
    let chosen = match (key.binding, named) {
        (Binding::Connection(id), None) => live.connection(&id).ok_or_else(foreign)?,
        (Binding::Connection(id), Some(selector)) => live
            .connection(&id)
            .filter(|connection| is_selected(connection, selector))
            .ok_or_else(foreign)?,
        (Binding::Any, Some(selector)) => one_of(live, policy, selector)?,
        (Binding::Any, None) => {
            let only = policy.only_connection().ok_or(Stop::ConnectionUnnamed)?;
            Selector::parse(only)
                .map_or_else(|| Err(foreign()), |selector| one_of(live, policy, &selector))?
        }
    };
    if !is_open(&chosen, policy) {
        return Err(foreign());
    }
    Ok(chosen)
}

/// A watcher is the gate's own, whatever a policy says: it is no candidate either, where another
/// connection to the same account is meant.
fn is_open(connection: &ConnectionState, policy: &Policy) -> bool {
    !connection.is_watcher() && policy.covers(as_ref(connection))
}

fn is_selected(connection: &ConnectionState, selector: &Selector) -> bool {
    match selector {
        Selector::Name(name) => connection.name() == name,
        Selector::Portal(portal) => connection.portal() == *portal,
        Selector::Unreadable => false,
    }
}

/// The one connection of the policy that `selector` names.
fn one_of(live: &Live, policy: &Policy, selector: &Selector) -> Result<Arc<ConnectionState>, Stop> {
    let mut found = match selector {
        Selector::Name(name) => live.by_name(name).into_iter().collect(),
        Selector::Portal(portal) => live.by_portal(*portal),
        Selector::Unreadable => SmallVec::new(),
    };
    found.retain(|connection| is_open(connection, policy));
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(Stop::ConnectionUnnamed),
        (None, _) => Err(Stop::Connection(Reason::ConnectionForeign)),
    }
}
