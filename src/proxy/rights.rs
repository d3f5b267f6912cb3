//! Whether a call that was allowed may still go on: its key and its connection, as they are now.
//!
//! Both are live flags, seen whatever snapshot the call began with. They are looked at after every
//! wait, before the first upstream byte, and at each piece of an answer.

use std::sync::Arc;

use jiff::Timestamp;

use super::stop::Stop;
use crate::access::integration::KeyEntry;
use crate::tokens::ConnectionState;

/// What a call stands on.
#[derive(Clone)]
pub struct Rights {
    /// The key it came with.
    pub key: Arc<KeyEntry>,
    /// The connection it goes to.
    pub connection: Arc<ConnectionState>,
}

impl Rights {
    /// An error once the key was revoked or expired, or the connection was stopped.
    pub fn check(&self) -> Result<(), Stop> {
        if let Some(fault) = self.key.fault(Timestamp::now()) {
            return Err(Stop::Key(fault.reason()));
        }
        match self.connection.standing().refusal() {
            Some(reason) => Err(Stop::Connection(reason)),
            None => Ok(()),
        }
    }
}
