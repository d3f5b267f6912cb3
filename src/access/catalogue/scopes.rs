//! Scopes: the direction their name promises, the object type they are named after, the types
//! HubSpot serves under them.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::CatalogueError;
use super::table::Table;
use crate::access::effect::Effect;
use crate::access::facts::{Requirement, ScopeIndex};
use crate::access::object_type::ObjectType;

/// What a reader takes from a scope's name (column `by_name` of `catalogue/scopes.tsv`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Opens `read`.
    Read,
    /// Opens `write`, and does not imply its read scope.
    Write,
    /// Says neither, so a rule must carry `effects`.
    Both,
}

impl Direction {
    /// The effect a rule by this scope opens without `effects`; `None`: it must carry them.
    pub fn default_effect(self) -> Option<Effect> {
        match self {
            Direction::Read => Some(Effect::Read),
            Direction::Write => Some(Effect::Write),
            Direction::Both => None,
        }
    }
}

/// One HubSpot scope.
#[derive(Clone, Debug)]
pub struct Scope {
    /// As HubSpot writes it.
    pub name: Box<str>,
    /// By its name, never by the operations it was seen on.
    pub direction: Direction,
    /// The known type it is named after: `crm.objects.contacts.read` and `tickets` have one;
    /// owners, lists, forms, `e-commerce`, `sales-email-read` and the scopes of custom objects have none.
    pub named_after: Option<ObjectType>,
    /// Every known type whose records or definitions HubSpot opens under it, in the order of the table.
    pub serves: Vec<ObjectType>,
    /// Whether it opens custom objects: one pair of scopes for all of them, so a rule names each.
    pub serves_custom: bool,
}

/// The table of scopes.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    pub(super) all: Vec<Scope>,
    by_name: HashMap<Box<str>, ScopeIndex>,
}

impl Scopes {
    pub(super) fn parse(text: &str) -> Result<Self, CatalogueError> {
        let table = Table::parse("scopes.tsv", text)?;
        let mut scopes = Self::default();
        for record in table.records() {
            let name = record.need("scope")?;
            let direction = match record.need("by_name")? {
                "read" => Direction::Read,
                "write" => Direction::Write,
                "both" => Direction::Both,
                _ => return Err(record.error("`by_name` is one of read, write, both")),
            };
            let index =
                u16::try_from(scopes.all.len()).map_err(|_| record.error("more than 65,535 scopes"))?;
            if scopes.by_name.insert(name.into(), ScopeIndex(index)).is_some() {
                return Err(record.error(format!("scope `{name}` stands twice")));
            }
            scopes.all.push(Scope {
                name: name.into(),
                direction,
                named_after: None,
                serves: Vec::new(),
                serves_custom: false,
            });
        }
        Ok(scopes)
    }

    pub(super) fn find(&self, name: &str) -> Option<ScopeIndex> {
        self.by_name.get(name).copied()
    }

    pub(super) fn get(&self, index: ScopeIndex) -> Option<&Scope> {
        self.all.get(usize::from(index.0))
    }

    /// Notes that `scope` opens `object`; `object` is `None` for custom objects.
    pub(super) fn serve(&mut self, scope: ScopeIndex, object: Option<ObjectType>) {
        let Some(scope) = self.all.get_mut(usize::from(scope.0)) else {
            return;
        };
        match object {
            None => scope.serves_custom = true,
            Some(object) if !scope.serves.contains(&object) => scope.serves.push(object),
            Some(_) => {}
        }
    }

    /// Reads a requirement: `|` = or, `+` = and. `-`, `?` and `@any` are the empty requirement:
    /// no scope is known to open it.
    pub(super) fn requirement(&self, text: &str) -> Result<Terms, String> {
        if matches!(text, "-" | "?" | "@any" | "") {
            return Ok(Terms::new());
        }
        text.split('|')
            .map(|term| {
                term.split('+')
                    .map(|name| self.find(name).ok_or_else(|| format!("unknown scope `{name}`")))
                    .collect()
            })
            .collect()
    }
}

/// The terms of a requirement while it is being built.
pub(super) type Terms = Vec<SmallVec<[ScopeIndex; 2]>>;

/// Freezes `terms`, leaving out what another term already covers.
pub(super) fn freeze(terms: &[SmallVec<[ScopeIndex; 2]>]) -> Requirement {
    let mut kept: Terms = Vec::new();
    for term in terms {
        if !kept.iter().any(|k| covers(k, term)) {
            kept.retain(|k| !covers(term, k));
            kept.push(term.clone());
        }
    }
    kept.into_iter().collect()
}

/// Whether every scope of `term` is in `other`: whoever meets `other` meets `term`.
pub(super) fn covers(term: &[ScopeIndex], other: &[ScopeIndex]) -> bool {
    term.iter().all(|scope| other.contains(scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_drops_the_terms_another_one_covers() {
        let scopes = Scopes::parse("scope\tby_name\na\tread\nb\tread\nc\twrite\n").unwrap();
        let terms = scopes.requirement("a+b|a|c").unwrap();
        let frozen = freeze(&terms);
        assert_eq!(frozen.iter().count(), 2);
        assert!(scopes.requirement("a|d").is_err());
        assert!(scopes.requirement("?").unwrap().is_empty());
    }

    #[test]
    fn a_scope_that_stands_twice_or_has_no_direction_is_refused() {
        assert!(Scopes::parse("scope\tby_name\na\tread\na\tread\n").is_err());
        assert!(Scopes::parse("scope\tby_name\na\tup\n").is_err());
    }
}
