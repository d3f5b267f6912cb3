//! Many answers in as few lines as say the same: places first, then types, then operations.

use std::collections::BTreeMap;

use super::space::Ends;
use crate::access::effect::Effect;
use crate::access::facts::OperationIndex;

/// One answer about one call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Answer<K> {
    /// What is said.
    pub key: K,
    /// The operation and its effect; `None` where it is about all of them.
    pub call: Option<(OperationIndex, Effect)>,
    /// The types the call touches: none, one, or both ends.
    pub ends: Ends,
    /// Where, by position in a list of places.
    pub place: usize,
}

/// Answers that say the same of several places, types and operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<K> {
    /// What is said.
    pub key: K,
    /// The effect of the calls, if the line is about calls.
    pub effect: Option<Effect>,
    /// The operations, in the order of the catalogue.
    pub operations: Vec<OperationIndex>,
    /// The types or pairs of types, sorted; one empty entry for calls that touch none.
    pub ends: Vec<Ends>,
    /// Where, sorted.
    pub places: Vec<usize>,
}

/// Gathers answers into lines, in the order of what they say.
pub fn gather<K: Ord + Clone>(answers: impl IntoIterator<Item = Answer<K>>) -> Vec<Line<K>> {
    type Call = Option<(OperationIndex, Effect)>;
    let mut by_place: BTreeMap<(K, Call, Ends), Vec<usize>> = BTreeMap::new();
    for answer in answers {
        let key = (answer.key, answer.call, answer.ends);
        by_place.entry(key).or_default().push(answer.place);
    }
    let mut by_ends: BTreeMap<(K, Call, Vec<usize>), Vec<Ends>> = BTreeMap::new();
    for ((key, call, ends), mut places) in by_place {
        places.sort_unstable();
        places.dedup();
        by_ends.entry((key, call, places)).or_default().push(ends);
    }
    type Rest = (Option<Effect>, Vec<Ends>, Vec<usize>);
    let mut by_operation: BTreeMap<(K, Rest), Vec<OperationIndex>> = BTreeMap::new();
    for ((key, call, places), ends) in by_ends {
        let rest = (call.map(|(_, effect)| effect), ends, places);
        let operations = by_operation.entry((key, rest)).or_default();
        operations.extend(call.map(|(operation, _)| operation));
    }
    let lines = by_operation
        .into_iter()
        .map(|((key, (effect, ends, places)), operations)| Line {
            key,
            effect,
            operations,
            ends,
            places,
        });
    lines.collect()
}
