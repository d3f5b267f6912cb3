//! One name for each kind of property name: names that no list and no pattern tells apart are
//! granted alike, so one of them answers for all.
//!
//! All lists and patterns run side by side as one automaton over the characters they are made of and
//! one they are not; each state it can reach is a kind of name, and the shortest name that leads there
//! stands for it.

use std::collections::{HashMap, VecDeque};

use crate::access::fields::Names;
use crate::access::fields::grant::ALWAYS_READABLE;

/// Most kinds of names that are told apart. Each listed name takes as many as it has characters;
/// patterns that hold several `*` multiply.
pub const KINDS_MAX: usize = 50_000;

/// There are more kinds of names than are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyKinds;

/// Every name and pattern that sets of names are made of.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// Names, each once.
    pub literals: Vec<String>,
    /// Patterns with a `*`, each once.
    pub patterns: Vec<String>,
}

impl Words {
    /// Those that are always readable, to begin with.
    pub fn new() -> Self {
        Self {
            literals: ALWAYS_READABLE.iter().map(|name| (*name).to_owned()).collect(),
            patterns: Vec::new(),
        }
    }

    /// Adds those of a set.
    pub fn add(&mut self, names: &Names) {
        match names {
            Names::All => {}
            Names::Listed(names) => names.iter().for_each(|name| self.add_name(name)),
            Names::Except { patterns, derived } => {
                patterns
                    .iter()
                    .for_each(|pattern| self.add_name(pattern.as_str()));
                derived.iter().for_each(|name| self.add_name(name));
            }
        }
    }

    /// Adds one name or pattern.
    pub fn add_name(&mut self, name: &str) {
        let words = match name.contains('*') {
            true => &mut self.patterns,
            false => &mut self.literals,
        };
        if !words.iter().any(|known| known == name) {
            words.push(name.to_owned());
        }
    }

    /// A name of each kind, the shortest first.
    ///
    /// # Errors
    /// There are more kinds than [`KINDS_MAX`].
    pub fn kinds(&self) -> Result<Vec<String>, TooManyKinds> {
        let words: Vec<Vec<char>> = self
            .literals
            .iter()
            .chain(&self.patterns)
            .map(|word| word.chars().collect())
            .collect();
        let alphabet = alphabet(&words);
        let start: State = normal(&words, (0..words.len()).map(|word| (word, 0)).collect());
        let mut known: HashMap<State, ()> = HashMap::new();
        let mut queue = VecDeque::from([(start, String::new())]);
        let mut kinds = Vec::new();
        while let Some((state, name)) = queue.pop_front() {
            for character in &alphabet {
                let next = step(&words, &state, *character);
                if known.contains_key(&next) {
                    continue;
                }
                if known.len() == KINDS_MAX {
                    return Err(TooManyKinds);
                }
                known.insert(next.clone(), ());
                let mut longer = name.clone();
                longer.push(*character);
                kinds.push(longer.clone());
                queue.push_back((next, longer));
            }
        }
        Ok(kinds)
    }
}

/// Where in which words a name has got to, sorted: (word, characters of it that are behind).
type State = Vec<(usize, usize)>;

fn step(words: &[Vec<char>], state: &State, character: char) -> State {
    let mut next = State::new();
    for (word, at) in state {
        match words.get(*word).and_then(|word| word.get(*at)) {
            Some('*') => next.push((*word, *at)),
            Some(expected) if *expected == character => next.push((*word, at + 1)),
            _ => {}
        }
    }
    normal(words, next)
}

/// The same places, written in one way: a `*` may stand for nothing, and who has reached a later `*`
/// of a word has left what stands before it.
fn normal(words: &[Vec<char>], state: State) -> State {
    let mut whole = State::new();
    for (word, mut at) in state {
        whole.push((word, at));
        while words.get(word).and_then(|word| word.get(at)) == Some(&'*') {
            at += 1;
            whole.push((word, at));
        }
    }
    whole.sort_unstable();
    whole.dedup();
    let is_star = |(word, at): &(usize, usize)| words.get(*word).and_then(|w| w.get(*at)) == Some(&'*');
    let latest: HashMap<usize, usize> = whole.iter().filter(|place| is_star(place)).copied().collect();
    whole.retain(|(word, at)| latest.get(word).is_none_or(|star| at >= star));
    // Behind a last `*` everything matches: one place says so.
    whole.retain(|(word, at)| {
        let len = words.get(*word).map_or(0, Vec::len);
        !(*at == len && latest.get(word) == Some(&(len.saturating_sub(1))) && len > 0)
    });
    whole
}

/// The characters of the words, and one that is in none of them.
fn alphabet(words: &[Vec<char>]) -> Vec<char> {
    let mut characters: Vec<char> = words.iter().flatten().copied().filter(|c| *c != '*').collect();
    characters.sort_unstable();
    characters.dedup();
    let plain = ('a'..='z').rev().chain('0'..='9').chain(['_', '-', '.']);
    // HubSpot's names are plain; should every plain character be in use, this one is not.
    let other = plain.chain(['\u{1}', '\u{2}']).find(|c| !characters.contains(c));
    characters.extend(other);
    characters
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::access::fields::Pattern;

    fn matching(words: &[String], name: &str) -> Vec<bool> {
        words
            .iter()
            .map(|word| Pattern::new(word).matches(name))
            .collect()
    }

    proptest! {
        /// The oracle is the pattern's own matching, over every short name.
        #[test]
        fn whatever_a_name_matches_a_kind_matches_the_same(
            words in proptest::collection::vec("[ab*]{1,4}", 0..4),
        ) {
            let mut all = Words::default();
            words.iter().for_each(|word| all.add_name(word));
            let kinds = all.kinds().unwrap();
            let of_kinds: Vec<Vec<bool>> = kinds.iter().map(|kind| matching(&words, kind)).collect();
            let mut names = vec![String::new()];
            for _ in 0..5 {
                names = names.iter().flat_map(|name| ["a", "b", "c"].map(|c| format!("{name}{c}"))).collect();
                for name in &names {
                    prop_assert!(of_kinds.contains(&matching(&words, name)), "{words:?} {name}");
                }
            }
        }
    }

    #[test]
    fn a_kind_is_shown_by_its_shortest_name_and_too_many_are_an_error() {
        let mut words = Words::default();
        words.add_name("*ssn*");
        assert_eq!(words.kinds().unwrap(), ["n", "s", "ss", "ssn"]);
        for word in 0..40 {
            words.add_name(&format!("*{}*{}*", ('a'..='z').nth(word % 26).unwrap(), word));
        }
        assert_eq!(words.kinds(), Err(TooManyKinds));
    }
}
