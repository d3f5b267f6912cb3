//! Proof, as a value, that a decision allowed a request.

use std::sync::Arc;

use crate::access::effect::Effect;
use crate::access::facts::OperationIndex;
use crate::access::fields::Plan;

/// A request was allowed. Only [`decide`](super::decide) makes one, and whoever hands out a token
/// asks for it.
///
/// Invariant: not `Clone`; one decision, one permit.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    integration: Arc<str>,
    operation: OperationIndex,
    effect: Effect,
    rule: Arc<str>,
    observed_deny: bool,
    plan: Option<Box<Plan>>,
}

impl Permit {
    pub(super) fn new(
        integration: Arc<str>,
        operation: OperationIndex,
        effect: Effect,
        rule: Arc<str>,
        observed_deny: bool,
        plan: Option<Box<Plan>>,
    ) -> Self {
        Self {
            integration,
            operation,
            effect,
            rule,
            observed_deny,
            plan,
        }
    }

    /// Whose policy allowed it.
    pub fn integration(&self) -> &Arc<str> {
        &self.integration
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
