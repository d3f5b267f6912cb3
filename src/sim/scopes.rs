//! What a credential may do, and the check that a call needs.
//!
//! Written from HubSpot's public scope documentation by hand: the simulator judges on its own, so that a
//! mistake in the gate's catalogue meets a second opinion.

use std::collections::BTreeSet;

use super::problem::{Handled, Problem};

/// Alternatives, each a list of scopes that are all needed.
pub(super) type Need = &'static [&'static [&'static str]];

/// The base scope every app has.
pub(super) const BASE: &str = "oauth";

/// The scopes a credential was granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<String>);

impl Scopes {
    /// The named scopes and the base scope.
    pub fn new<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let mut set: BTreeSet<String> = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
        set.insert(BASE.to_owned());
        Self(set)
    }

    /// In alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether `name` was granted.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Whether one alternative is wholly granted.
    pub(super) fn satisfy(&self, need: Need) -> bool {
        need.iter().any(|all| all.iter().all(|name| self.has(name)))
    }

    /// The 403 a call meets when no alternative is granted.
    pub(super) fn require(&self, need: Need) -> Handled<()> {
        if self.satisfy(need) {
            return Ok(());
        }
        let conjunctive = need.len() == 1 && need.iter().any(|all| all.len() > 1);
        let mut names: Vec<String> = Vec::new();
        for name in need.iter().flat_map(|all| all.iter()) {
            if !names.iter().any(|known| known == name) {
                names.push((*name).to_owned());
            }
        }
        Err(Problem::missing_scopes(names, conjunctive))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alternative_is_enough_and_all_of_its_scopes_are_needed() {
        const PAIR: Need = &[&["a"], &["b", "c"]];
        for (granted, passes) in [
            (vec!["a"], true),
            (vec!["b"], false),
            (vec!["b", "c"], true),
            (vec![], false),
        ] {
            assert_eq!(Scopes::new(&granted).satisfy(PAIR), passes, "{granted:?}");
        }
    }

    #[test]
    fn every_credential_has_the_base_scope() {
        assert!(Scopes::new::<&str>([]).has(BASE));
    }
}
