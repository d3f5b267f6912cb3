//! Which scopes open a touch: any one of some terms, every scope of that term.
//!
//! Every request carries one or two of these, and nearly all are one scope or a choice of two: they are
//! held in the value itself and copied, so that no counter shared by all threads is touched. The few long
//! ones are shared.

use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use super::facts::ScopeIndex;

/// One way to meet a requirement: every scope of it.
pub type Term = SmallVec<[ScopeIndex; 2]>;

/// Scopes held in the value itself.
const FEW: usize = 6;

/// Scopes that must be opened: any one of the terms, every scope of that term.
///
/// Empty = no scope is known to open it, so only a rule that names the operation can.
#[derive(Clone)]
pub struct Requirement(Form);

#[derive(Clone)]
enum Form {
    /// All scopes, term after term.
    Few {
        scopes: [ScopeIndex; FEW],
        /// How many of them there are.
        count: u8,
        /// A bit for each scope that ends a term.
        last_of_term: u8,
    },
    Many(Arc<Vec<Term>>),
}

impl Requirement {
    /// What no scope opens.
    pub const NONE: Self = Self(Form::Few {
        scopes: [ScopeIndex(0); FEW],
        count: 0,
        last_of_term: 0,
    });

    /// Whether no scope opens it.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Form::Few { count, .. } => *count == 0,
            Form::Many(terms) => terms.is_empty(),
        }
    }

    /// The terms, in the order given.
    pub fn iter(&self) -> Terms<'_> {
        match &self.0 {
            Form::Few {
                scopes,
                count,
                last_of_term,
            } => Terms {
                few: scopes.get(..usize::from(*count)).unwrap_or_default(),
                last_of_term: *last_of_term,
                many: [].iter(),
            },
            Form::Many(terms) => Terms {
                few: &[],
                last_of_term: 0,
                many: terms.iter(),
            },
        }
    }

    /// The first term.
    pub fn first(&self) -> Option<&[ScopeIndex]> {
        self.iter().next()
    }

    /// Every scope of every term.
    pub fn scopes(&self) -> impl Iterator<Item = &ScopeIndex> {
        self.iter().flatten()
    }
}

impl FromIterator<Term> for Requirement {
    fn from_iter<I: IntoIterator<Item = Term>>(terms: I) -> Self {
        let terms: Vec<Term> = terms.into_iter().collect();
        let mut scopes = [ScopeIndex(0); FEW];
        let (mut count, mut last_of_term) = (0u8, 0u8);
        for term in &terms {
            for scope in term {
                match scopes.get_mut(usize::from(count)) {
                    Some(place) => *place = *scope,
                    None => return Self(Form::Many(Arc::new(terms))),
                }
                count += 1;
            }
            match count.checked_sub(1) {
                // A term that asks for nothing would be met by everybody; it can't be told from its
                // neighbour in the short form.
                _ if term.is_empty() => return Self(Form::Many(Arc::new(terms))),
                Some(last) => last_of_term |= 1 << last,
                None => {}
            }
        }
        Self(Form::Few {
            scopes,
            count,
            last_of_term,
        })
    }
}

impl PartialEq for Requirement {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Requirement {}

impl std::hash::Hash for Requirement {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.iter().for_each(|term| term.hash(state));
    }
}

impl fmt::Debug for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for &'a Requirement {
    type Item = &'a [ScopeIndex];
    type IntoIter = Terms<'a>;

    fn into_iter(self) -> Terms<'a> {
        self.iter()
    }
}

/// The terms of a requirement.
#[derive(Clone, Debug)]
pub struct Terms<'a> {
    few: &'a [ScopeIndex],
    last_of_term: u8,
    many: std::slice::Iter<'a, Term>,
}

impl<'a> Iterator for Terms<'a> {
    type Item = &'a [ScopeIndex];

    fn next(&mut self) -> Option<&'a [ScopeIndex]> {
        if self.few.is_empty() {
            return self.many.next().map(|term| &**term);
        }
        let length = self.last_of_term.trailing_zeros() as usize + 1;
        let (term, rest) = self.few.split_at_checked(length)?;
        self.few = rest;
        self.last_of_term = self.last_of_term.checked_shr(length as u32).unwrap_or(0);
        Some(term)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirement(terms: &[&[u16]]) -> Requirement {
        let term = |term: &&[u16]| term.iter().map(|scope| ScopeIndex(*scope)).collect();
        terms.iter().map(term).collect()
    }

    #[test]
    fn the_terms_that_went_in_come_out_whatever_the_form() {
        let cases: [&[&[u16]]; 9] = [
            &[],
            &[&[7]],
            &[&[7, 8]],
            &[&[7], &[8]],
            &[&[1, 2], &[3], &[4, 5, 6]],
            &[&[1], &[2], &[3], &[4], &[5], &[6]],
            &[&[1, 2, 3, 4, 5, 6]],
            &[&[1, 2, 3, 4, 5, 6, 7]],
            &[&[1], &[2, 3, 4], &[5], &[6, 7], &[8]],
        ];
        for terms in cases {
            let found = requirement(terms);
            let numbers: Vec<Vec<u16>> = found
                .iter()
                .map(|term| term.iter().map(|scope| scope.0).collect())
                .collect();
            assert_eq!(numbers, terms, "{found:?}");
            assert_eq!(found.is_empty(), terms.is_empty());
            assert_eq!(found, found.clone());
        }
        assert_ne!(requirement(&[&[1, 2]]), requirement(&[&[1], &[2]]));
    }

    #[test]
    fn a_term_that_asks_for_nothing_stays_one() {
        let found = requirement(&[&[], &[1]]);
        assert_eq!(found.first(), Some(&[][..]));
        assert!(!found.is_empty());
    }

    #[test]
    fn it_is_two_words_long() {
        assert!(size_of::<Requirement>() <= 16, "{}", size_of::<Requirement>());
    }
}
