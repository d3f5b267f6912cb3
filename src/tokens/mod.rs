//! A live upstream token for a permitted call.
//!
//! [`Live`] holds every connection's state; [`Live::lease`] hands out a token against the proof of a
//! decision, refreshing it first when no valid one exists. A refresh is a state machine of its own: it
//! runs on the control plane, one at a time per connection, and outlives the client that asked for it.
//! Deliberately absent: a cache that forgets, a token without a permit (but for the gate's own questions
//! about people, [`Live::ask`]), a retry of a dead grant.

mod brake;
mod bring;
mod connection;
mod consent;
mod engine;
mod enrol;
pub mod expiry;
pub mod failpoints;
mod flight;
mod give_up;
mod grant;
mod keeper;
mod lease;
mod live;
mod opened;
mod own;
mod pulse;
mod refresh;
mod resume;
mod retire;
mod rotate;
mod scope_lists;
mod sound;
mod stock;
mod unlock;
mod verify;

#[cfg(test)]
mod tests;

pub use bring::{BringError, Brought, Wished};
pub use connection::{Account, ConnectionState};
pub use consent::{ConsentError, Consented, SealedGrant};
pub use engine::{LiveParts, TokenSettings};
pub use enrol::{Candidate, EnrolError, Enrolled, Enrolment};
pub use lease::{CredentialError, Lease, Trouble};
pub use live::Live;
pub use own::OwnQuestionError;
pub use pulse::FailureCause;
pub use resume::ResumeError;
pub use retire::{RetireError, RetireStep, Retirement};
pub use rotate::{Rotated, SecretError, SecretRotated, SecretRotation};
pub use sound::{findings, unopened_keys};
pub use unlock::{UnlockError, unlock, unlock_to_seal, unlock_with};
