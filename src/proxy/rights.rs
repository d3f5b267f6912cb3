//! Whether a call that was allowed may still go on: its key and its connection, as they are now.
//!
//! Both are live flags, seen whatever snapshot the call began with. They are looked at after every
//! wait, before the first upstream byte, and at each piece of an answer; what waits for long is woken
//! when they change.

use std::pin::pin;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Notify;

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
    /// Tells that they may have changed.
    pub stirred: Arc<Notify>,
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

    /// Waits until the call may no longer go on, and says why. A key that expires wakes nobody: it is
    /// noticed at the next look.
    pub async fn withdrawn(&self) -> Stop {
        loop {
            let mut stirred = pin!(self.stirred.notified());
            // Before the look: what changes after it wakes.
            stirred.as_mut().enable();
            if let Err(stop) = self.check() {
                return stop;
            }
            stirred.await;
        }
    }
}
