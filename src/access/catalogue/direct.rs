//! The way by which nearly every target is found: all branches of the tree at once, so that no walk
//! comes back.
//!
//! [`Tree`] says what a path means, by trying one branch after the other. This is the same, worked out
//! ahead as an automaton is made deterministic: a state stands for the branches that are still open, in
//! the order in which the tree would try them. Deliberately absent: whatever is not plain (other letters
//! than the catalogue's, parameters that take several segments, two versions). There it finds nothing, and
//! the tree decides. A test holds the two to each other.

use std::collections::HashMap;

use super::rows::{RowIndex, is_version};
use super::tree::{NO_VERSION, Node, Tree, VersionIndex, has_capital, is_plain};
use super::types::ObjectTypes;
use super::words::Words;
use crate::access::object_type::ObjectType;
use crate::access::target::{Method, Target};

/// No state: the tree decides.
const NONE: u32 = u32::MAX;

/// Most states: many times what the shipped catalogue and an operator's own need. A branch beyond it is
/// left to the tree.
const STATES: usize = 100_000;

/// The automaton.
#[derive(Debug, Default)]
pub(super) struct Direct {
    states: Vec<State>,
}

#[derive(Debug)]
struct State {
    /// Words, and where each leads.
    words: Words,
    /// Where a version leads, while there was none.
    version: u32,
    /// Where any other segment leads.
    other: u32,
    /// Whether a word has a capital letter: then a segment in small letters may nearly be it.
    has_capitals: bool,
    /// Whether words are spellings of object types, which are known in other letters, too.
    has_types: bool,
    /// What ends here, by method and version.
    ends: Box<[End]>,
}

/// A row that ends in a state.
#[derive(Clone, Copy, Debug)]
struct End {
    method: Method,
    version: VersionIndex,
    /// Its place among all that end there, in the order in which the tree would come to them.
    order: u16,
    row: RowIndex,
    node: u32,
}

impl Direct {
    /// Works out the states of `tree`.
    pub(super) fn build(tree: &Tree, types: &ObjectTypes) -> Self {
        let mut building = Building {
            tree,
            types,
            known: HashMap::new(),
            sets: Vec::new(),
        };
        building.state(vec![0]);
        let mut states = Vec::new();
        // Each state names those it leads to, which are worked out in their turn.
        while let Some(nodes) = building.sets.get(states.len()).cloned() {
            states.push(building.work_out(&nodes));
        }
        states.shrink_to_fit();
        Self { states }
    }

    /// The row of a target, and the node of the tree it ends in; `None`: ask the tree.
    pub(super) fn find(&self, tree: &Tree, target: &Target) -> Option<(RowIndex, u32)> {
        let mut state = self.states.first()?;
        let mut version = NO_VERSION;
        for segment in target.segments() {
            let next = match state.words.find(segment) {
                Some(next) => next,
                None if !state.is_surely_no_word(segment) => return None,
                None if state.version != NONE && is_version(segment) => {
                    if version != NO_VERSION {
                        return None;
                    }
                    version = tree.known_version(segment)?;
                    state.version
                }
                None => state.other,
            };
            state = self.states.get(next as usize)?;
        }
        state.end(target.method(), version).map(|end| (end.row, end.node))
    }
}

impl State {
    /// Whether a segment that is not one of the words is not meant for one, in other letters or with white
    /// space around it, either.
    fn is_surely_no_word(&self, segment: &str) -> bool {
        match is_plain(segment) {
            true => !self.has_capitals || !self.words.has_nearly(segment),
            false => !self.has_types && !self.words.has_nearly(segment),
        }
    }

    fn end(&self, method: Method, version: VersionIndex) -> Option<&End> {
        let at = |version: VersionIndex| {
            let found = self
                .ends
                .binary_search_by_key(&(method, version), |end| (end.method, end.version));
            found.ok().and_then(|position| self.ends.get(position))
        };
        match version {
            NO_VERSION => at(NO_VERSION),
            // A branch may have taken the version for something else, and have none.
            version => [at(version), at(NO_VERSION)]
                .into_iter()
                .flatten()
                .min_by_key(|end| end.order),
        }
    }
}

struct Building<'a> {
    tree: &'a Tree,
    types: &'a ObjectTypes,
    known: HashMap<Vec<u32>, u32>,
    sets: Vec<Vec<u32>>,
}

impl Building<'_> {
    /// The state of these nodes, to be worked out if it is new.
    fn state(&mut self, mut nodes: Vec<u32>) -> u32 {
        if nodes.is_empty() {
            return NONE;
        }
        // A branch that was open before stays where it stood.
        let mut seen = std::collections::HashSet::new();
        nodes.retain(|node| seen.insert(*node));
        if let Some(known) = self.known.get(&nodes) {
            return *known;
        }
        let Some(new) = u32::try_from(self.sets.len())
            .ok()
            .filter(|_| self.sets.len() < STATES)
        else {
            return NONE;
        };
        self.known.insert(nodes.clone(), new);
        self.sets.push(nodes);
        new
    }

    fn work_out(&mut self, set: &[u32]) -> State {
        let tree = self.tree;
        let nodes: Vec<(u32, &Node)> = set
            .iter()
            .filter_map(|index| tree.nodes.get(*index as usize).map(|node| (*index, node)))
            .collect();
        if nodes.iter().any(|(_, node)| node.is_beyond_direct()) {
            return State::none();
        }
        let words = self.words(&nodes);
        let next: Vec<u32> = words.iter().map(|word| self.after_word(&nodes, word)).collect();
        let on = |child: fn(&Node) -> Option<u32>| nodes.iter().filter_map(move |(_, node)| child(node));
        let other = self.state(on(|node| node.parameter).collect());
        let version = match on(|node| node.version).next() {
            None => NONE,
            Some(_) => {
                let branches = nodes.iter().flat_map(|(_, node)| [node.version, node.parameter]);
                match self.state(branches.flatten().collect()) {
                    // A version would be taken for something else here.
                    NONE => return State::none(),
                    version => version,
                }
            }
        };
        State {
            has_capitals: words.iter().any(|word| has_capital(word)),
            has_types: nodes.iter().any(|(_, node)| !node.types.is_empty()),
            words: Words::new(words.into_iter().zip(next)),
            version,
            other,
            ends: ends(&nodes),
        }
    }

    /// Every literal, and every spelling of those that name an object type; sorted.
    fn words(&self, nodes: &[(u32, &Node)]) -> Vec<Box<str>> {
        let literals = nodes.iter().flat_map(|(_, node)| &node.literals);
        let mut words: Vec<Box<str>> = literals.map(|(literal, _)| literal.clone()).collect();
        let types = nodes.iter().flat_map(|(_, node)| &node.types);
        words.extend(
            types
                .flat_map(|(object, _)| self.types.spellings_of(object))
                .map(Into::into),
        );
        words.sort_unstable();
        words.dedup();
        words
    }

    /// The branches that are open after a word, in the tree's order; none if the tree would doubt on the
    /// way.
    fn after_word(&mut self, nodes: &[(u32, &Node)], word: &str) -> u32 {
        let object = self.types.resolve(word);
        let mut open = Vec::new();
        for (_, node) in nodes {
            let exact = node.literal(word);
            open.extend(exact);
            match &object {
                Some(object) if !node.types.is_empty() => {
                    let same = node.types.iter().filter(|(known, _)| known == object);
                    open.extend(
                        same.map(|(_, child)| *child)
                            .filter(|child| Some(*child) != exact),
                    );
                }
                _ if exact.is_none() && node.is_nearly_a_literal(word) => return NONE,
                _ => {}
            }
            if node.version.is_some() && is_version(word) {
                return NONE;
            }
            open.extend(node.parameter);
        }
        self.state(open)
    }
}

fn ends(nodes: &[(u32, &Node)]) -> Box<[End]> {
    let rows = nodes.iter().flat_map(|(index, node)| {
        let rows = node.rows.iter();
        rows.map(move |(method, version, row)| (*method, *version, *row, *index))
    });
    let mut ends: Vec<End> = rows
        .zip(0u16..)
        .map(|((method, version, row, node), order)| End {
            method,
            version,
            order,
            row,
            node,
        })
        .collect();
    ends.sort_by_key(|end| (end.method, end.version, end.order));
    ends.dedup_by_key(|end| (end.method, end.version));
    ends.into()
}

impl State {
    /// Leads nowhere and ends nothing.
    fn none() -> Self {
        Self {
            words: Words::default(),
            version: NONE,
            other: NONE,
            has_capitals: false,
            has_types: false,
            ends: Box::default(),
        }
    }
}

impl Node {
    /// What only the tree walks: a parameter that takes several segments, and literals for custom objects,
    /// whose spellings are without number.
    fn is_beyond_direct(&self) -> bool {
        let is_custom = |(object, _): &(ObjectType, u32)| matches!(object, ObjectType::Custom(_));
        !self.rest.is_empty() || self.types.iter().any(is_custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::access::catalogue::tests::shipped;
    use crate::access::catalogue::tree::Walk;

    /// What stands for a parameter or in a literal's place: ids, spellings of types, words of templates,
    /// versions, other letters.
    const VALUES: [&str; 22] = [
        "1",
        "contacts",
        "Contacts",
        "0-1",
        "2-77",
        "p_car",
        "companies",
        "contact",
        "batch",
        "Batch",
        "read",
        "search",
        "v3",
        "v4",
        "2026-03",
        "v77",
        "x",
        "associations",
        "default",
        "archived",
        "objects",
        "a@example.com",
    ];
    const METHODS: [Method; 5] = [
        Method::Get,
        Method::Post,
        Method::Put,
        Method::Patch,
        Method::Delete,
    ];

    /// Where the direct way finds anything, the search finds the same. Whether it did.
    fn check(method: Method, path: &str) -> bool {
        let catalogue = shipped();
        let Ok(target) = Target::parse(method.as_str(), path) else {
            return false;
        };
        let tree = &catalogue.tree;
        let Some((row, node)) = tree.direct.find(tree, &target) else {
            return false;
        };
        let searched = tree.search(&target, &catalogue.types);
        assert_eq!(
            searched,
            Walk::Found(row, tree.captures(node)),
            "{method:?} {path}"
        );
        true
    }

    fn filled(template: &str, value: impl Fn(usize) -> &'static str) -> String {
        let segments = template.split('/').enumerate();
        let filled: Vec<&str> = segments
            .map(|(position, segment)| {
                if segment.starts_with('{') {
                    value(position)
                } else {
                    segment
                }
            })
            .collect();
        filled.join("/")
    }

    #[test]
    fn every_row_is_found_directly_and_as_the_search_finds_it() {
        let rows = &shipped().rows;
        let missed: Vec<&str> = rows
            .iter()
            .filter(|row| !check(row.method, &filled(&row.template, |_| "1")))
            .map(|row| &*row.template)
            .collect();
        // Those whose last parameter takes the rest of the path, and what stands beside them.
        assert!(
            missed.len() * 50 < rows.len(),
            "{} of {}: {missed:?}",
            missed.len(),
            rows.len()
        );
        for row in rows {
            for value in VALUES {
                check(row.method, &filled(&row.template, |_| value));
            }
        }
    }

    #[test]
    fn a_path_that_leaves_a_literal_branch_without_such_a_row_is_found_directly() {
        let link = "/crm/v4/objects/contacts/1/associations/default/companies/2";
        assert!(check(Method::Put, link));
        assert!(check(Method::Get, "/crm/objects/2026-03/0-1/123"));
    }

    #[test]
    fn there_are_few_states() {
        let tree = &shipped().tree;
        let (states, nodes) = (tree.direct.states.len(), tree.nodes.len());
        assert!(states < 4 * nodes, "{states} states of {nodes} nodes");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn nothing_is_found_otherwise_than_by_the_search(
            row in any::<prop::sample::Index>(),
            method in prop::sample::select(&METHODS[..]),
            own_method in any::<bool>(),
            values in prop::collection::vec(prop::sample::select(&VALUES[..]), 16),
            replaced in prop::collection::vec((0usize..12, prop::sample::select(&VALUES[..])), 0..3),
            moved in prop::option::of((1usize..6, 1usize..6)),
        ) {
            let row = row.get(&shipped().rows);
            let path = filled(&row.template, |position| values.get(position).copied().unwrap_or("1"));
            let mut segments: Vec<&str> = path.split('/').collect();
            for (position, value) in replaced {
                if let Some(segment) = segments.get_mut(position + 1) {
                    *segment = value;
                }
            }
            if let Some((from, to)) = moved
                && from.max(to) < segments.len()
            {
                let segment = segments.remove(from);
                segments.insert(to, segment);
            }
            check(if own_method { row.method } else { method }, &segments.join("/"));
        }
    }
}
