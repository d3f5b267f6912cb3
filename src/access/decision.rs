//! The outcome of a decision: a permit, or a denial that says what is missing and how to add it.

use super::decide::Permit;
use super::refusal::{Place, Reason, Refusal};

/// Allow or deny; a request that was not understood gets here only if a property rule asks for more
/// than the rules by operation did.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may pass.
    Allow(Permit),
    /// It may not. Boxed: the common case is the other one.
    Deny(Box<Denial>),
    /// Under a property rule it was not understood.
    Refuse(Box<Refusal>),
}

/// Why a request may not pass, in the words of a policy and without anything the client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// `no_rule`, `deny_rule`, `ceiling`, `effect`, `object`, `risk` or `policy_expired`.
    pub reason: Reason,
    /// What is missing, as written in a policy: `scope:…`, `effect:…`, `object:…`, `risk:…`,
    /// `operation:ID`. Never repeated.
    pub lacks: Vec<String>,
    /// Scopes that would open it; empty unless a scope is what is missing.
    pub required_scopes: Vec<String>,
    /// The rule that denied it, or that came nearest to allowing it: `erp-sync#deny[0]`.
    pub rule: Option<String>,
    /// The smallest change that would allow it, in one sentence.
    pub remedy: String,
    /// Properties that are denied, by their plain names.
    pub properties: Vec<String>,
    /// Where in the request the first of them stands.
    pub place: Option<Place>,
}

impl Decision {
    /// The permit, if there is one.
    pub fn permit(self) -> Option<Permit> {
        match self {
            Decision::Allow(permit) => Some(permit),
            Decision::Deny(_) | Decision::Refuse(_) => None,
        }
    }

    /// The denial, if there is one.
    pub fn denial(&self) -> Option<&Denial> {
        match self {
            Decision::Allow(_) | Decision::Refuse(_) => None,
            Decision::Deny(denial) => Some(denial),
        }
    }
}
