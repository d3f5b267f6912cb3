//! Lists of granted scopes, each kept once: most accounts of one app were granted the same. Kept for each of
//! 100,000 accounts by itself, sixteen scopes were 100 MB.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Lists that may be forgotten before it is looked which are.
const FEW: usize = 64;

/// The lists that anybody holds.
#[derive(Default)]
pub(super) struct ScopeLists(Mutex<Lists>);

#[derive(Default)]
struct Lists {
    known: HashSet<Arc<[String]>>,
    /// How many there were when those that nobody holds were last forgotten.
    held: usize,
}

impl ScopeLists {
    /// The one list of these scopes, in this order.
    pub(super) fn of(&self, scopes: &[String]) -> Arc<[String]> {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lists.known.get(scopes) {
            return Arc::clone(known);
        }
        if lists.known.len() >= 2 * lists.held + FEW {
            lists.known.retain(|list| Arc::strong_count(list) > 1);
            lists.held = lists.known.len();
        }
        let list: Arc<[String]> = scopes.into();
        lists.known.insert(Arc::clone(&list));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(n: usize) -> Vec<String> {
        vec!["oauth".to_owned(), format!("scope-{n}")]
    }

    #[test]
    fn the_same_scopes_are_one_list_and_what_nobody_holds_is_forgotten() {
        let lists = ScopeLists::default();
        let held = lists.of(&scopes(0));
        for n in 1..10 * FEW {
            lists.of(&scopes(n));
        }
        assert!(Arc::ptr_eq(&held, &lists.of(&scopes(0))));
        let known = lists.0.lock().unwrap().known.len();
        assert!(known <= 2 + FEW, "{known}");
    }
}
