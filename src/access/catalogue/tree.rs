//! Recognition: a tree over path segments, compiled once, walked without allocation.
//!
//! Precedence is that of the left-most literal; a path whose literal branch has no such method or
//! version falls back to a parameter (GET …/contacts/search reads the contact with the id `search`).
//! HubSpot serves an API as `area/version/name` and as `area/name/version`; a row answers to both.

use std::collections::{HashMap, HashSet};

use smallvec::SmallVec;

use super::direct::Direct;
use super::layout::{Plain, age};
use super::rows::{Row, RowIndex, is_version};
use super::types::ObjectTypes;
use super::words::Words;
use crate::access::object_type::ObjectType;
use crate::access::target::{Method, Target};

/// Where a row's parameters stand: positions of segments in the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Captures<'t> {
    positions: &'t [u8],
    /// The parameter that takes the rest of the path, behind those.
    rest: Option<u8>,
}

impl Captures<'_> {
    /// The position of the n-th parameter.
    pub(super) fn nth(&self, ordinal: u8) -> Option<u8> {
        let rest = self.rest.filter(|_| self.positions.len() == usize::from(ordinal));
        self.positions.get(usize::from(ordinal)).copied().or(rest)
    }
}

/// What the walk ended in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Walk<'t> {
    Found(RowIndex, Captures<'t>),
    /// The path is known under other versions only.
    UnknownVersion,
    Unknown,
}

#[derive(Debug, Default)]
pub(super) struct Node {
    /// How many segments lead here.
    depth: u8,
    /// Which of them are parameters.
    captures: SmallVec<[u8; 8]>,
    /// Sorted by literal.
    pub(super) literals: Vec<(Box<str>, u32)>,
    /// The same literals, to be looked up.
    words: Words,
    /// Whether a literal has a capital letter.
    has_capitals: bool,
    /// Literals that are spellings of an object type, so that each of its other spellings takes them too.
    pub(super) types: Vec<(ObjectType, u32)>,
    pub(super) version: Option<u32>,
    pub(super) parameter: Option<u32>,
    /// Rows that end here: method, version, row.
    pub(super) rows: Vec<(Method, VersionIndex, RowIndex)>,
    /// Rows whose last parameter takes this segment and all that follow.
    pub(super) rest: Vec<(Method, VersionIndex, RowIndex)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct VersionIndex(u16);

/// Templates without a version.
pub(super) const NO_VERSION: VersionIndex = VersionIndex(u16::MAX);
/// A segment that has the form of a version nobody knows.
const UNKNOWN_VERSION: VersionIndex = VersionIndex(u16::MAX - 1);

/// The compiled templates.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) direct: Direct,
    versions: Vec<Box<str>>,
}

impl Tree {
    /// Compiles `rows`. A row's own layout goes before another row's twin. `more_versions`: further
    /// versions under which every operation exists, as its newest row says.
    pub(super) fn build(rows: &[Row], more_versions: &[String]) -> Self {
        let mut tree = Self {
            nodes: vec![Node::default()],
            direct: Direct::default(),
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
            node.words = Words::new(node.literals.iter().cloned());
            node.has_capitals = node.literals.iter().any(|(literal, _)| has_capital(literal));
        }
        tree.nodes.shrink_to_fit();
        tree
    }

    /// Works out ahead where targets lead, so that most are found without a search.
    pub(super) fn straighten(mut self, types: &ObjectTypes) -> Self {
        self.direct = Direct::build(&self, types);
        self
    }

    fn add_version(&mut self, version: &str) {
        if self.version(version) == UNKNOWN_VERSION {
            self.versions.push(version.into());
        }
    }

    fn version(&self, segment: &str) -> VersionIndex {
        self.versions
            .iter()
            .position(|known| **known == *segment)
            .and_then(|position| u16::try_from(position).ok())
            .map_or(UNKNOWN_VERSION, VersionIndex)
    }

    /// The version of a segment, if rows have it.
    pub(super) fn known_version(&self, segment: &str) -> Option<VersionIndex> {
        Some(self.version(segment)).filter(|version| *version != UNKNOWN_VERSION)
    }

    fn insert(&mut self, index: RowIndex, row: &Row, plain: &Plain<'_>, version_at: Option<usize>) {
        let mut node = 0u32;
        let last = plain.segments.len().saturating_sub(1);
        for (position, segment) in plain.segments.iter().enumerate() {
            if version_at == Some(position) {
                node = self.child(node, Kind::Version);
            }
            if segment.starts_with('{') {
                if row.takes_rest && position == last {
                    self.put(node, index, row, |node| &mut node.rest);
                }
                node = self.child(node, Kind::Parameter);
            } else {
                node = self.literal(node, segment, plain.types.get(&position));
            }
        }
        if version_at == Some(plain.segments.len()) {
            node = self.child(node, Kind::Version);
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

    fn child(&mut self, parent: u32, kind: Kind) -> u32 {
        let new = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let Some(node) = self.nodes.get_mut(parent as usize) else {
            return parent;
        };
        let below = node.below(kind);
        let slot = match kind {
            Kind::Version => &mut node.version,
            Kind::Parameter => &mut node.parameter,
        };
        if let Some(existing) = *slot {
            return existing;
        }
        *slot = Some(new);
        self.nodes.push(below);
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
            let below = Node {
                depth: node.depth.saturating_add(1),
                captures: node.captures.clone(),
                ..Node::default()
            };
            self.nodes.push(below);
        }
        child
    }

    /// Gives each of `versions` the newest row of every method at every end that lacks it.
    fn extend_to(&mut self, versions: &[String]) {
        let wanted: Vec<VersionIndex> = versions.iter().map(|version| self.version(version)).collect();
        let names = &self.versions;
        let age = |version: VersionIndex| names.get(usize::from(version.0)).map(|name| age(name));
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
    pub(super) fn walk(&self, target: &Target, types: &ObjectTypes) -> Walk<'_> {
        match self.direct.find(self, target) {
            Some((row, node)) => Walk::Found(row, self.captures(node)),
            None => self.search(target, types),
        }
    }

    /// The same, branch by branch.
    pub(super) fn search(&self, target: &Target, types: &ObjectTypes) -> Walk<'_> {
        let mut search = Search {
            tree: self,
            target,
            types,
            any_version: false,
            doubtful: false,
            budget: WALK_STEPS,
        };
        if let Some((row, captures)) = search.step(0, 0, NO_VERSION) {
            return Walk::Found(row, captures);
        }
        if search.doubtful {
            return Walk::Unknown;
        }
        search.any_version = true;
        search.budget = WALK_STEPS;
        match search.step(0, 0, NO_VERSION) {
            Some(_) => Walk::UnknownVersion,
            None => Walk::Unknown,
        }
    }

    pub(super) fn captures(&self, node: u32) -> Captures<'_> {
        let node = self.nodes.get(node as usize);
        Captures {
            positions: node.map_or(&[], |node| &node.captures),
            rest: None,
        }
    }
}

/// Most nodes looked at for one target: far more than any template needs, few enough that no target
/// is expensive.
const WALK_STEPS: u32 = 2_000;

struct Search<'t, 'a> {
    tree: &'t Tree,
    target: &'a Target,
    types: &'a ObjectTypes,
    /// Whether a row of any version will do, to tell an unknown version from an unknown operation.
    any_version: bool,
    /// Whether a segment was nearly a literal: then no other branch is looked at either.
    doubtful: bool,
    budget: u32,
}

impl<'t> Search<'t, '_> {
    fn step(
        &mut self,
        node: u32,
        position: usize,
        version: VersionIndex,
    ) -> Option<(RowIndex, Captures<'t>)> {
        self.budget = self.budget.checked_sub(1)?;
        if self.doubtful {
            return None;
        }
        let tree: &'t Tree = self.tree;
        let node = tree.nodes.get(node as usize)?;
        let ends = |row: RowIndex, rest: Option<u8>| {
            let positions = &*node.captures;
            (row, Captures { positions, rest })
        };
        let Some(segment) = self.target.segment(position) else {
            return self.row(&node.rows, version).map(|row| ends(row, None));
        };
        let exact = node.literal(segment);
        if let Some(child) = exact
            && let Some(found) = self.step(child, position + 1, version)
        {
            return Some(found);
        }
        if !node.types.is_empty()
            && let Some(object) = self.types.resolve(segment)
        {
            for (known, child) in &node.types {
                if *known == object
                    && Some(*child) != exact
                    && let Some(found) = self.step(*child, position + 1, version)
                {
                    return Some(found);
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
            && let Some(found) = self.step(child, position + 1, self.tree.version(segment))
        {
            return Some(found);
        }
        if let Some(child) = node.parameter
            && let Some(found) = self.step(child, position + 1, version)
        {
            return Some(found);
        }
        if !node.rest.is_empty()
            && !self.doubtful
            && let Some(row) = self.row(&node.rest, version)
        {
            return Some(ends(row, Some(node.depth)));
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
pub(super) fn is_plain(segment: &str) -> bool {
    segment.bytes().fold(true, |all, byte| {
        all & byte.is_ascii_graphic() & !byte.is_ascii_uppercase()
    })
}

pub(super) fn has_capital(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// A branch that is not a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Version,
    Parameter,
}

impl Node {
    /// A new node below this one, by such a branch.
    fn below(&self, kind: Kind) -> Self {
        let mut captures = self.captures.clone();
        if kind == Kind::Parameter {
            captures.push(self.depth);
        }
        Self {
            depth: self.depth.saturating_add(1),
            captures,
            ..Self::default()
        }
    }

    /// The child of a literal.
    pub(super) fn literal(&self, segment: &str) -> Option<u32> {
        self.words.find(segment)
    }

    /// Whether a segment is one of the literals but for the case of its letters or white space around it.
    pub(super) fn is_nearly_a_literal(&self, segment: &str) -> bool {
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
