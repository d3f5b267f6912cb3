//! A live upstream token for a permitted call.
//!
//! [`Live`] holds every connection's state; [`Live::lease`] hands out a token against the proof of a
//! decision, refreshing it first when no valid one exists. A refresh is a state machine of its own: it
//! runs on the control plane, one at a time per connection, and outlives the client that asked for it.
//! Deliberately absent: a cache that forgets, a token without a permit, a retry of a dead grant.

mod connection;
pub mod expiry;
mod lease;
mod live;

pub use connection::{Account, ConnectionState};
pub use lease::{CredentialError, Lease, Trouble};
pub use live::Live;

/// The proof that a decision allowed the call: whoever leases a token must show one.
///
/// Implemented by the decision's permit and by nothing else.
pub trait PermitProof {}
