//! The steps of a call that concern how much: its place among others, its charge, and what the answer
//! shows it to have cost.

use std::rc::Rc;
use std::sync::Arc;

use http::{StatusCode, Version};

use super::case::Case;
use super::lanes::Member;
use super::outcome::Outcome;
use super::steps::{Caller, Standpoint};
use super::stop::{Limited, Stop};
use crate::access::connection::Selector;
use crate::access::decide::Permit;
use crate::access::policy::Policy;
use crate::access::refusal::Reason;
use crate::access::tally::Tally;
use crate::quota::{Charged, Exceeded};
use crate::secret::Secret;

/// What a call was charged, by whose limits, and where those stopped its answer.
pub struct Bill {
    charged: Charged,
    policy: Arc<Policy>,
    exceeded: Option<Exceeded>,
}

impl Case {
    /// Who calls. What a stopped integration goes on trying takes its turns in the integration's lane, and
    /// where it finds none in time, it is refused all the same.
    pub async fn identify(
        &mut self,
        credential: Secret,
        by_header: Option<Selector>,
    ) -> Result<Caller, Stop> {
        let caller = self.authenticate(credential, by_header);
        if let (Err(Stop::Key(Reason::Killed)), Some(key)) = (&caller, &self.key) {
            let (gate, lanes) = (self.worker.gate(), self.worker.lanes());
            self.is_crowded_out = !lanes.take_turn(&key.integration, &gate.shares).await;
        }
        caller
    }

    /// A place for the call: its key may hold the connection, and its integration has no more under way
    /// than it may. Looked at before body, policy and record, so that turning a flood away costs little.
    pub async fn admit(&mut self, caller: &Caller, version: Version) -> Result<(), Stop> {
        let worker = Rc::clone(&self.worker);
        let (gate, lanes) = (worker.gate(), worker.lanes());
        if let Err(stop) = Member::join(&self.peer.member, caller.key(), gate.limits.connections_per_key) {
            lanes.hold_up().await;
            // It is of no use to its client. HTTP/2 has no such field.
            self.closes |= version < Version::HTTP_2;
            return Err(stop);
        }
        let place = lanes.enter(&caller.key().integration, &gate.shares).await?;
        self.outcome.place = Some(place);
        Ok(())
    }

    /// The gate answers the call by itself: its place is not free for the next one at once.
    pub(super) fn linger(&mut self) {
        if let Some(place) = self.outcome.place.take() {
            self.worker.lanes().linger(place);
        }
    }

    /// Charges the call under its policy's limits, as a whole or not at all.
    pub fn charge(&mut self, at: &Standpoint, permit: &Permit) -> Result<(), Stop> {
        let policy = &at.policy;
        if !policy.limits.has_caps() {
            return Ok(());
        }
        let quotas = &self.worker.gate().quotas;
        match quotas.charge(
            &policy.integration,
            at.connection.id(),
            &policy.limits,
            permit.charge(),
        ) {
            Ok(charged) => {
                self.outcome.bill = Some(Box::new(Bill {
                    charged,
                    policy: Arc::clone(policy),
                    exceeded: None,
                }));
                Ok(())
            }
            Err(exceeded) => {
                self.rule = Some(format!("{}#limits", policy.integration).into());
                Err(limited(exceeded, policy))
            }
        }
    }

    /// The answer has begun: what of it is to be counted as it comes.
    pub(super) fn begin_tally(&mut self, status: StatusCode, is_json: bool) -> Option<Tally> {
        let bill = self.outcome.bill.as_mut()?;
        let quotas = &self.worker.gate().quotas;
        quotas.answered(&mut bill.charged, status.is_success(), is_json);
        let counts = bill.charged.counts_answer() && status.is_success() && is_json;
        counts.then(Tally::default)
    }
}

impl Outcome {
    /// So many records have come in the answer; whether they may go on.
    pub(super) fn read_so_far(&mut self, records: u32) -> bool {
        let quotas = &self.worker().gate().quotas;
        let quotas = Arc::clone(quotas);
        let Some(bill) = self.bill.as_mut() else {
            return true;
        };
        match quotas.read_so_far(&mut bill.charged, &bill.policy.limits, records) {
            Ok(()) => true,
            Err(exceeded) => {
                bill.exceeded = Some(exceeded);
                false
            }
        }
    }

    /// Why the answer may not go on: it holds more records than the policy has left.
    pub(super) fn limit(&self) -> Option<Stop> {
        let bill = self.bill.as_deref()?;
        bill.exceeded.map(|exceeded| limited(exceeded, &bill.policy))
    }

    /// The call is over: what it did not use is given back.
    pub(super) fn settle(&mut self) {
        if let Some(bill) = self.bill.take() {
            self.worker()
                .gate()
                .quotas
                .settle(bill.charged, self.sent_upstream.get());
        }
    }
}

impl Bill {
    /// What was charged.
    pub(super) fn charged(&self) -> &Charged {
        &self.charged
    }

    /// The store has it, if it must be there.
    pub(super) fn noted(&mut self) {
        self.charged.noted();
    }
}

fn limited(exceeded: Exceeded, policy: &Policy) -> Stop {
    Stop::Limited(Box::new(Limited {
        exceeded,
        owner: policy.owner.clone(),
    }))
}
