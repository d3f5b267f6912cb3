//! The monitor listener: `/livez`, `/readyz`, `/healthz`, `/metrics`. No credentials, so nothing
//! secret, nothing that changes anything, and no name of a person.
//!
//! Readiness is about this gate alone: never HubSpot, one connection or one policy, because a load
//! balancer would take a gate out of service for what the next gate can't do either. Those are
//! warnings, listed by `/readyz?verbose`.

mod readiness;
mod serve;

pub use readiness::{Condition, Readiness};
pub use serve::{State, is_route, routes, serve};

#[cfg(test)]
mod tests;
