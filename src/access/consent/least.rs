//! The least set of scopes that serves what is wanted: of alternatives, one that is asked for anyway.

use crate::access::facts::{Requirement, ScopeIndex};

/// Something that needs scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Any one of the terms, every scope of that term; empty: nothing.
    pub requirement: Requirement,
    /// Whether it can be done without.
    pub is_optional: bool,
}

impl Wanted {
    /// Whether a scope is part of one of the ways.
    pub fn names(&self, scope: ScopeIndex) -> bool {
        self.requirement.iter().any(|term| term.contains(&scope))
    }
}

/// Scopes to ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Least {
    /// Without these something that is needed fails.
    pub required: Vec<ScopeIndex>,
    /// What optional things need beside them.
    pub optional: Vec<ScopeIndex>,
}

/// Picks the scopes, `base` first.
pub fn least(base: Option<ScopeIndex>, wanted: &[Wanted]) -> Least {
    let mut required: Vec<ScopeIndex> = base.into_iter().collect();
    cover(&mut required, wanted, false);
    let mut all = required.clone();
    cover(&mut all, wanted, true);
    let optional = all.split_off(required.len());
    Least { required, optional }
}

/// Adds what is wanted and `held` lacks: first where there is no choice.
fn cover(held: &mut Vec<ScopeIndex>, wanted: &[Wanted], optional: bool) {
    for choice in [false, true] {
        for wanted in wanted.iter().filter(|wanted| wanted.is_optional == optional) {
            let terms = &wanted.requirement;
            let is_held = terms
                .iter()
                .any(|term| term.iter().all(|scope| held.contains(scope)));
            if is_held || (terms.iter().nth(1).is_some()) != choice {
                continue;
            }
            for scope in terms.first().into_iter().flatten() {
                if !held.contains(scope) {
                    held.push(*scope);
                }
            }
        }
    }
}
