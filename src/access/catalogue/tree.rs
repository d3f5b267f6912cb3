//! Recognition: a tree over path segments, compiled once, walked without allocation.
//!
//! Precedence is that of the left-most literal; a path whose literal branch has no such method or
//! version falls back to a parameter (GET …/contacts/search reads the contact with the id `search`).
//! HubSpot serves an API as `area/version/name` and as `area/name/version`; a row answers to both.

use std::collections::{HashMap, HashSet};

use smallvec::SmallVec;

use super::layout::{Plain, age};
use super::rows::{Row, RowIndex, is_version};
use super::types::ObjectTypes;
use super::words::{self, Words};
use crate::access::object_type::ObjectType;
use crate::access::target::{Method, Target};

/// Parameters captured on the way: positions of segments in the target.
pub(super) type Captures = SmallVec<[u8; 8]>;

/// What the walk ended in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Walk {
    Found(RowIndex, Captures),
    /// The path is known under other versions only.
    UnknownVersion,
    Unknown,
}

#[derive(Debug, Default)]
struct Node {
    /// Sorted by literal.
    literals: Vec<(Box<str>, u32)>,
    /// The same literals, to be looked up.
    words: Words,
    /// Whether a literal has a capital letter.
    has_capitals: bool,
    /// Literals that are spellings of an object type, so that each of its other spellings takes them too.
    types: Vec<(ObjectType, u32)>,
    version: Option<u32>,
    parameter: Option<u32>,
    /// Rows that end here: method, version, row.
    rows: Vec<(Method, VersionIndex, RowIndex)>,
    /// Rows whose last parameter takes this segment and all that follow.
    rest: Vec<(Method, VersionIndex, RowIndex)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct VersionIndex(u16);

/// Templates without a version.
const NO_VERSION: VersionIndex = VersionIndex(u16::MAX);
/// A segment that has the form of a version nobody knows.
const UNKNOWN_VERSION: VersionIndex = VersionIndex(u16::MAX - 1);

/// The compiled templates.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// What each version begins with, and the version.
    versions: Vec<(u64, Box<str>)>,
}

impl Tree {
    /// Compiles `rows`. A row's own layout goes before another row's twin. `more_versions`: further
    /// versions under which every operation exists, as its newest row says.
    pub(super) fn build(rows: &[Row], more_versions: &[String]) -> Self {
        let mut tree = Self {
            nodes: vec![Node::default()],
            versions: Vec::new(),
        };
        for version in rows.iter().filter_map(|row| row.version.as_deref()) {
            tree.add_version(version);
        }
        let plain: Vec<Plain<'_>> = rows.iter().map(Plain::new).collect();
        let mut layouts: HashMap<(Method, String), Vec<usize>> = HashMap::new();
        for (row, plain) in rows.iter().zip(&plain) {
            if let Some(position) = plain.version_at {
                layouts
                    .entry((row.method, plain.shape()))
                    .or_default()
                    .push(position);
            }
        }
        let mut twins = Vec::new();
        for ((index, row), plain) in (0u32..).map(RowIndex).zip(rows).zip(&plain) {
            tree.insert(index, row, plain, plain.version_at);
            let Some(own) = plain.version_at else { continue };
            let seen = layouts.get(&(row.method, plain.shape()));
            let places: HashSet<usize> = [1, 2]
                .into_iter()
                .chain(seen.into_iter().flatten().copied())
                .collect();
            twins.extend(
                places
                    .into_iter()
                    .filter(|place| *place != own && plain.may_hold_version_at(*place))
                    .map(|place| (index, place)),
            );
        }
        twins.sort_unstable();
        for (index, place) in twins {
            if let (Some(row), Some(plain)) = (rows.get(index.0 as usize), plain.get(index.0 as usize)) {
                tree.insert(index, row, plain, Some(place));
            }
        }
        for version in more_versions {
            tree.add_version(version);
        }
        tree.extend_to(more_versions);
        for node in &mut tree.nodes {
            node.literals.sort();
            let literals = || node.literals.iter().map(|(literal, _)| literal);
            node.words = Words::new(literals().cloned());
            node.has_capitals = literals().any(|literal| has_capital(literal));
        }
        tree
    }

    fn add_version(&mut self, version: &str) {
        if self.version(version) == UNKNOWN_VERSION {
            self.versions.push((words::beginning(version), version.into()));
        }
    }

    fn version(&self, segment: &str) -> VersionIndex {
        let first = words::beginning(segment);
        self.versions
            .iter()
            .position(|(begins, known)| *begins == first && **known == *segment)
            .and_then(|position| u16::try_from(position).ok())
            .map_or(UNKNOWN_VERSION, VersionIndex)
    }

    fn insert(&mut self, index: RowIndex, row: &Row, plain: &Plain<'_>, version_at: Option<usize>) {
        let mut node = 0u32;
        let last = plain.segments.len().saturating_sub(1);
        for (position, segment) in plain.segments.iter().enumerate() {
            if version_at == Some(position) {
                node = self.child(node, |node| &mut node.version);
            }
            if segment.starts_with('{') {
                if row.takes_rest && position == last {
                    self.put(node, index, row, |node| &mut node.rest);
                }
                node = self.child(node, |node| &mut node.parameter);
            } else {
                node = self.literal(node, segment, plain.types.get(&position));
            }
        }
        if version_at == Some(plain.segments.len()) {
            node = self.child(node, |node| &mut node.version);
        }
        self.put(node, index, row, |node| &mut node.rows);
    }

    fn put(
        &mut self,
        node: u32,
        index: RowIndex,
        row: &Row,
        list: impl Fn(&mut Node) -> &mut Vec<(Method, VersionIndex, RowIndex)>,
    ) {
        let version = row
            .version
            .as_deref()
            .map_or(NO_VERSION, |version| self.version(version));
        if let Some(node) = self.nodes.get_mut(node as usize) {
            let list = list(node);
            if !list.iter().any(|(m, v, _)| (*m, *v) == (row.method, version)) {
                list.push((row.method, version, index));
            }
        }
    }

    fn child(&mut self, parent: u32, slot: impl Fn(&mut Node) -> &mut Option<u32>) -> u32 {
        let new = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let Some(parent) = self.nodes.get_mut(parent as usize) else {
            return parent;
        };
        let slot = slot(parent);
        if let Some(existing) = *slot {
            return existing;
        }
        *slot = Some(new);
        self.nodes.push(Node::default());
        new
    }

    fn literal(&mut self, parent: u32, literal: &str, object: Option<&ObjectType>) -> u32 {
        let new = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let Some(node) = self.nodes.get_mut(parent as usize) else {
            return parent;
        };
        let child = match node.literals.iter().find(|(known, _)| **known == *literal) {
            Some((_, child)) => *child,
            None => {
                node.literals.push((literal.into(), new));
                new
            }
        };
        if let Some(object) = object {
            let entry = (object.clone(), child);
            if !node.types.contains(&entry) {
                node.types.push(entry);
            }
        }
        if child == new {
            self.nodes.push(Node::default());
        }
        child
    }

    /// Gives each of `versions` the newest row of every method at every end that lacks it.
    fn extend_to(&mut self, versions: &[String]) {
        let wanted: Vec<VersionIndex> = versions.iter().map(|version| self.version(version)).collect();
        let names = &self.versions;
        let age = |version: VersionIndex| names.get(usize::from(version.0)).map(|(_, name)| age(name));
        for node in &mut self.nodes {
            for list in [&mut node.rows, &mut node.rest] {
                let mut newest: Vec<(Method, VersionIndex, RowIndex)> = Vec::new();
                for entry in list.iter().filter(|(_, version, _)| *version != NO_VERSION) {
                    match newest.iter_mut().find(|(method, _, _)| *method == entry.0) {
                        Some(known) if age(known.1) < age(entry.1) => *known = *entry,
                        Some(_) => {}
                        None => newest.push(*entry),
                    }
                }
                for version in &wanted {
                    for (method, _, row) in &newest {
                        if !list.iter().any(|(m, v, _)| (m, v) == (method, version)) {
                            list.push((*method, *version, *row));
                        }
                    }
                }
            }
        }
    }

    /// Finds the row of a target.
    pub(super) fn walk(&self, target: &Target, types: &ObjectTypes) -> Walk {
        let mut search = Search {
            tree: self,
            target,
            types,
            any_version: false,
            doubtful: false,
            captures: Captures::new(),
            budget: WALK_STEPS,
        };
        if let Some(row) = search.straight() {
            return Walk::Found(row, search.captures);
        }
        search.captures.clear();
        if let Some(row) = search.step(0, 0, NO_VERSION) {
            return Walk::Found(row, search.captures);
        }
        if search.doubtful {
            return Walk::Unknown;
        }
        search.any_version = true;
        search.captures.clear();
        search.budget = WALK_STEPS;
        match search.step(0, 0, NO_VERSION) {
            Some(_) => Walk::UnknownVersion,
            None => Walk::Unknown,
        }
    }
}

/// Most nodes looked at for one target: far more than any template needs, few enough that no target
/// is expensive.
const WALK_STEPS: u32 = 2_000;

struct Search<'a> {
    tree: &'a Tree,
    target: &'a Target,
    types: &'a ObjectTypes,
    /// Whether a row of any version will do, to tell an unknown version from an unknown operation.
    any_version: bool,
    /// Whether a segment was nearly a literal: then no other branch is looked at either.
    doubtful: bool,
    captures: Captures,
    budget: u32,
}

impl Search<'_> {
    /// Takes at each segment the branch that [`Search::step`] tries first, and never comes back: what it
    /// finds, `step` would find, and most targets are found so.
    fn straight(&mut self) -> Option<RowIndex> {
        let mut node = self.tree.nodes.first()?;
        let mut version = NO_VERSION;
        for (segment, position) in self.target.segments().zip(0u8..) {
            let child = match node.literal(segment) {
                Some(child) => child,
                None => match self.as_type(node, segment)? {
                    Some(child) => child,
                    None if version == NO_VERSION && node.version.is_some() && is_version(segment) => {
                        version = self.tree.version(segment);
                        node.version?
                    }
                    None => {
                        self.captures.push(position);
                        node.parameter?
                    }
                },
            };
            node = self.tree.nodes.get(child as usize)?;
        }
        self.row(&node.rows, version)
    }

    /// The child of a literal by another spelling of its type; `None` outside: the segment is nearly a
    /// literal, so the straight way ends.
    fn as_type(&self, node: &Node, segment: &str) -> Option<Option<u32>> {
        let object = match node.types.is_empty() {
            true => None,
            false => self.types.resolve(segment),
        };
        match object {
            Some(object) => {
                let mut known = node.types.iter();
                Some(known.find(|(known, _)| *known == object).map(|(_, child)| *child))
            }
            None if node.is_nearly_a_literal(segment) => None,
            None => Some(None),
        }
    }

    fn step(&mut self, node: u32, position: usize, version: VersionIndex) -> Option<RowIndex> {
        self.budget = self.budget.checked_sub(1)?;
        if self.doubtful {
            return None;
        }
        let node = self.tree.nodes.get(node as usize)?;
        let Some(segment) = self.target.segment(position) else {
            return self.row(&node.rows, version);
        };
        let exact = node.literal(segment);
        if let Some(child) = exact
            && let Some(row) = self.step(child, position + 1, version)
        {
            return Some(row);
        }
        if !node.types.is_empty()
            && let Some(object) = self.types.resolve(segment)
        {
            for (known, child) in &node.types {
                if *known == object
                    && Some(*child) != exact
                    && let Some(row) = self.step(*child, position + 1, version)
                {
                    return Some(row);
                }
            }
        } else if exact.is_none() && node.is_nearly_a_literal(segment) {
            // Upstream may or may not take it for the literal; nobody means a record of that name, nor,
            // further up, a folder's path that holds it.
            self.doubtful = true;
            return None;
        }
        if let Some(child) = node.version
            && version == NO_VERSION
            && is_version(segment)
            && let Some(row) = self.step(child, position + 1, self.tree.version(segment))
        {
            return Some(row);
        }
        let before = self.captures.len();
        if let Some(child) = node.parameter {
            self.captures.push(u8::try_from(position).ok()?);
            if let Some(row) = self.step(child, position + 1, version) {
                return Some(row);
            }
            self.captures.truncate(before);
        }
        if !node.rest.is_empty()
            && !self.doubtful
            && let Some(row) = self.row(&node.rest, version)
        {
            self.captures.push(u8::try_from(position).ok()?);
            return Some(row);
        }
        None
    }

    fn row(&self, rows: &[(Method, VersionIndex, RowIndex)], version: VersionIndex) -> Option<RowIndex> {
        let method = self.target.method();
        rows.iter()
            .find(|(m, v, _)| *m == method && (*v == version || (self.any_version && version != NO_VERSION)))
            .map(|(_, _, row)| *row)
    }
}

/// Visible ASCII without capital letters: no case to differ in, no white space of any kind.
fn is_plain(segment: &str) -> bool {
    segment.bytes().fold(true, |all, byte| {
        all & byte.is_ascii_graphic() & !byte.is_ascii_uppercase()
    })
}

fn has_capital(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_uppercase())
}

impl Node {
    /// The child of a literal.
    fn literal(&self, segment: &str) -> Option<u32> {
        let position = self.words.find(segment)?;
        self.literals.get(position).map(|(_, child)| *child)
    }

    /// Whether a segment is one of the literals but for the case of its letters or white space around it.
    fn is_nearly_a_literal(&self, segment: &str) -> bool {
        if !self.has_capitals && is_plain(segment) {
            return false; // in small letters throughout it would be one of them exactly
        }
        let word = segment.trim();
        word.bytes().any(|b| b.is_ascii_alphabetic())
            && self
                .literals
                .iter()
                .any(|(literal, _)| literal.eq_ignore_ascii_case(word))
    }
}
