//! Whether a call that was allowed may still go on: its key, its connection and the person behind that,
//! as they are now.
//!
//! All are live flags, seen whatever snapshot the call began with. They are looked at after every
//! wait, before the first upstream byte, and at each piece of an answer; what waits for long is woken
//! when they change.

use std::pin::pin;
use std::sync::Arc;

use tokio::sync::Notify;

use super::stop::{Denied, Stop};
use crate::access::effect::Effect;
use crate::access::installer::Barred;
use crate::access::integration::KeyEntry;
use crate::access::policy::Policy;
use crate::clock;
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
    /// The policy it was allowed by: what it says of a person behind the connection who leaves.
    pub policy: Arc<Policy>,
    /// What the call does.
    pub effect: Effect,
}

impl Rights {
    /// An error once the key was revoked or expired, the connection was stopped, or the person behind
    /// it is gone and the policy says that such a call does not pass then.
    pub fn check(&self) -> Result<(), Stop> {
        check(&self.key, &self.connection, &self.policy, self.effect)
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

/// [`Rights::check`] of what is not held together.
pub fn check(
    key: &KeyEntry,
    connection: &ConnectionState,
    policy: &Policy,
    effect: Effect,
) -> Result<(), Stop> {
    if let Some(fault) = key.fault(clock::now) {
        return Err(Stop::Key(fault.reason()));
    }
    if let Some(reason) = connection.standing().refusal() {
        return Err(Stop::Connection(reason));
    }
    match policy.installer.judge(connection.installer(), effect) {
        Ok(()) => Ok(()),
        Err(Barred::Whole(reason)) => Err(Stop::Connection(reason)),
        Err(Barred::ButReads(reason)) => Err(Stop::Denied(Box::new(Denied {
            reason,
            lacks: vec!["installer".to_owned()],
            scopes: Vec::new(),
            remedy: "let another person authorise the connection; `scopegate people show` says who it was and who can"
                .to_owned(),
            properties: Vec::new(),
            place: None,
            owner: policy.owner.clone(),
        }))),
    }
}
