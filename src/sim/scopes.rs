//! What a credential may do, and the check that a call needs.
//!
//! Written from HubSpot's public scope documentation by hand: the simulator judges on its own, so that a
//! mistake in the gate's catalogue meets a second opinion.

use std::collections::BTreeSet;

use super::object_types::Spec;
use super::problem::{Handled, Problem};
use super::type_table::{CUSTOM, TYPES};

/// Alternatives, each a list of scopes that are all needed.
pub(super) type Need = &'static [&'static [&'static str]];

/// The base scope every app has.
pub(super) const BASE: &str = "oauth";

/// Scopes that no object type is named after.
const OTHERS: &[&str] = &[
    BASE,
    "account-info.security.read",
    "automation",
    "collector.graphql_query.execute",
    "crm.export",
    "crm.import",
    "crm.lists.read",
    "crm.lists.write",
    "crm.objects.contacts.highly_sensitive.read.v2",
    "crm.objects.contacts.highly_sensitive.write.v2",
    "crm.objects.contacts.sensitive.read.v2",
    "crm.objects.contacts.sensitive.write.v2",
    "crm.objects.owners.read",
    "files",
    "forms",
    "sales-email-read",
    "settings.users.read",
    "settings.users.teams.read",
    "timeline",
];

/// The scopes a credential was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scopes {
    /// Every scope the simulator knows.
    All,
    /// These, and the base scope.
    Only(BTreeSet<String>),
}

impl Scopes {
    /// The named scopes and the base scope.
    pub fn new<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let mut set: BTreeSet<String> = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
        set.insert(BASE.to_owned());
        Self::Only(set)
    }

    /// In alphabetical order.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Only(set) => set.iter().map(String::as_str).collect(),
            Self::All => {
                let of_type = |spec: &'static Spec| {
                    [spec.read, spec.write, spec.schema_read, spec.schema_write]
                        .into_iter()
                        .flatten()
                };
                let typed = TYPES.iter().chain(std::iter::once(&CUSTOM)).flat_map(of_type);
                let all: BTreeSet<&str> = typed.flat_map(|all| all.iter()).chain(OTHERS).copied().collect();
                all.into_iter().collect()
            }
        }
    }

    /// Whether `name` was granted.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(set) => set.contains(name),
        }
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
    fn all_scopes_hold_each_that_is_listed_and_the_base_scope() {
        let names = Scopes::All.names();
        for name in [
            "oauth",
            "crm.objects.contacts.read",
            "crm.schemas.custom.write",
            "tickets",
            "files",
        ] {
            assert!(names.contains(&name), "{name}");
        }
        assert!(names.is_sorted());
    }

    #[test]
    fn every_credential_has_the_base_scope() {
        assert!(Scopes::new::<&str>([]).has(BASE));
    }
}
