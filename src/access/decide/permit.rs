//! Proof, as a value, that a decision allowed a request.

use std::sync::Arc;

use crate::access::charge::Charge;
use crate::access::effect::Effect;
use crate::access::facts::OperationIndex;
use crate::access::fields::Plan;

/// A request was allowed. Only [`decide`](super::decide) makes one, and whoever hands out a token
/// asks for it.
///
/// Invariant: not `Clone`; one decision, one permit.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    operation: OperationIndex,
    effect: Effect,
    rule: Arc<str>,
    observed_deny: bool,
    plan: Option<Box<Plan>>,
    charge: Option<Charge>,
}

impl Permit {
    pub(super) fn new(
        operation: OperationIndex,
        effect: Effect,
        rule: Arc<str>,
        observed_deny: bool,
        plan: Option<Box<Plan>>,
        charge: Option<Charge>,
    ) -> Self {
        Self {
            operation,
            effect,
            rule,
            observed_deny,
            plan,
            charge,
        }
    }

    /// What its records cost under the policy's limits; `None` = nothing counts them.
    pub fn charge(&self) -> Option<Charge> {
        self.charge
    }

    /// The operation itself, not what query or body add.
    pub fn operation(&self) -> OperationIndex {
        self.operation
    }

    /// The strongest effect of the request.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// The rule that opened the operation: `contact-report#allow[0]`.
    pub fn rule(&self) -> &Arc<str> {
        &self.rule
    }

    /// How the request goes up and its answer comes down under property rules; `None` = nothing is
    /// bounded.
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_deref()
    }

    /// The same, to be carried out.
    pub fn take_plan(&mut self) -> Option<Box<Plan>> {
        self.plan.take()
    }

    /// Whether it passes only because the policy observes: recorded `would_deny`.
    pub fn observed_deny(&self) -> bool {
        self.observed_deny
    }
}
