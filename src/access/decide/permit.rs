//! Proof, as a value, that a decision allowed a request.

use std::sync::Arc;

use crate::access::effect::Effect;
use crate::access::facts::OperationIndex;

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
}

impl Permit {
    pub(super) fn new(
        integration: Arc<str>,
        operation: OperationIndex,
        effect: Effect,
        rule: Arc<str>,
        observed_deny: bool,
    ) -> Self {
        Self {
            integration,
            operation,
            effect,
            rule,
            observed_deny,
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

    /// Whether it passes only because the policy observes: recorded `would_deny`.
    pub fn observed_deny(&self) -> bool {
        self.observed_deny
    }
}
