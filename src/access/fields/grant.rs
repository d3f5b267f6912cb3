//! What `properties:` grants: per object type and direction a set of names, and values that may be
//! set. Several entries may hold for one type (its own and `"*"`, of policy and ceiling); a name
//! must be granted by each.
//!
//! Names are compared in lower case: HubSpot's property names have no other.

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::SmallVec;

pub use super::names::{Names, Pattern};
use crate::access::catalogue::is_custom_spelling;
use crate::access::object_type::ObjectType;

/// Always readable, filterable and sortable; their history is not (contracts.md §2, item 7).
pub const ALWAYS_READABLE: [&str; 5] = [
    "hs_object_id",
    "createdate",
    "hs_createdate",
    "lastmodifieddate",
    "hs_lastmodifieddate",
];

/// What one entry of `properties:` grants for a type. A direction not named is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// May be read, filtered and sorted by.
    pub read: Names,
    /// May be written.
    pub write: Names,
    /// Property (lower case) to the values that may be set; a property that is not here takes any.
    pub values: BTreeMap<Box<str>, Box<[Box<str>]>>,
}

impl Entry {
    /// Everything in both directions.
    pub fn all() -> Self {
        Self {
            read: Names::All,
            write: Names::All,
            values: BTreeMap::new(),
        }
    }
}

/// What to do with a read that names a hidden property (`on_extra_property`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExtra {
    /// Leave it out; extractors narrow themselves.
    #[default]
    Strip,
    /// Deny the request.
    Deny,
}

impl OnExtra {
    /// Every word of it.
    pub const WORDS: [(&'static str, OnExtra); 2] = [("strip", OnExtra::Strip), ("deny", OnExtra::Deny)];

    /// The word in a policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strip => "strip",
            Self::Deny => "deny",
        }
    }
}

/// One of the two ways of a property's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Out of HubSpot: read, filtered and sorted by.
    Read,
    /// Into it.
    Write,
}

impl Direction {
    /// Both.
    pub const BOTH: [Direction; 2] = [Direction::Read, Direction::Write];

    /// The key in a policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// The `properties:` block of a policy or of the ceiling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// By type; a type stands once.
    types: Vec<(ObjectType, Arc<Entry>)>,
    /// Every spelling of the named types, lower case, sorted, with the position in `types`.
    spellings: Vec<(Box<str>, usize)>,
    /// `custom`: every custom object without an entry of its own.
    custom: Option<Arc<Entry>>,
    /// `"*"`.
    star: Option<Arc<Entry>>,
    /// What becomes of a read that names a hidden property. Of a ceiling: strip.
    pub on_extra: OnExtra,
}

impl Properties {
    /// A block. `types` with all spellings of each ([`crate::access::catalogue::Catalogue::object_spellings`]).
    pub fn new(types: Vec<(ObjectType, Vec<String>, Entry)>, star: Option<Entry>, on_extra: OnExtra) -> Self {
        let mut block = Self {
            on_extra,
            star: star.map(Arc::new),
            ..Self::default()
        };
        for (position, (object, spellings, entry)) in types.into_iter().enumerate() {
            block.types.push((object, Arc::new(entry)));
            let lower = spellings
                .into_iter()
                .map(|word| (word.to_lowercase().into(), position));
            block.spellings.extend(lower);
        }
        block.spellings.sort_unstable();
        block
    }

    /// The types with an entry of their own, in the order written.
    pub fn types(&self) -> impl Iterator<Item = (&ObjectType, &Entry)> {
        self.types.iter().map(|(object, entry)| (object, &**entry))
    }

    /// The entry of `"*"`.
    pub fn star(&self) -> Option<&Entry> {
        self.star.as_deref()
    }

    /// Adds the entry of `custom`, which holds for custom objects without one of their own.
    #[must_use]
    pub fn with_custom(self, custom: Option<Entry>) -> Self {
        Self {
            custom: custom.map(Arc::new),
            ..self
        }
    }

    /// The entry of `custom`.
    pub fn custom(&self) -> Option<&Entry> {
        self.custom.as_deref()
    }

    fn named(&self, object: &ObjectType) -> Option<&Arc<Entry>> {
        self.types
            .iter()
            .find(|(known, _)| known == object)
            .map(|(_, entry)| entry)
    }

    fn named_by_spelling(&self, lower: &str) -> Option<&Arc<Entry>> {
        let at = self
            .spellings
            .binary_search_by(|(known, _)| (**known).cmp(lower))
            .ok()?;
        self.types.get(self.spellings.get(at)?.1).map(|(_, entry)| entry)
    }

    /// What holds for a type: its own entry and that of `"*"`.
    fn add_type(&self, view: &mut View, object: &ObjectType) {
        match (self.named(object), object) {
            (Some(own), _) => self.add(view, [own]),
            (None, ObjectType::Custom(spelling)) => {
                self.add_unnamed_custom(view, &|named| may_be_the_same(spelling, named));
            }
            (None, ObjectType::Known(_)) => self.add_star(view),
        }
    }

    /// The same for a type by any spelling. A word that the block does not name may be a custom
    /// object's own name: then both what holds for those and what holds for the rest.
    fn add_spelling(&self, view: &mut View, spelling: &str) {
        let lower = spelling.to_lowercase();
        if let Some(own) = self.named_by_spelling(&lower) {
            self.add(view, [own]);
        } else if is_custom_spelling(&lower) {
            self.add_unnamed_custom(view, &|named| may_be_the_same(&lower, named));
        } else if lower.starts_with("0-") {
            self.add_star(view);
        } else {
            self.add_unnamed_custom(view, &|_| true);
            view.closed |= self.star.is_none();
        }
    }

    /// A custom object by a spelling that the block does not name. HubSpot alone knows whether it
    /// is one that the block names by another, and a rule must not be passed by calling the object
    /// by another name: no more is granted than of each that it may be.
    fn add_unnamed_custom(&self, view: &mut View, may_be: &dyn Fn(&str) -> bool) {
        view.closed |= self.custom.is_none() && self.star.is_none();
        let alike = self
            .types
            .iter()
            .filter(|(object, _)| matches!(object, ObjectType::Custom(named) if may_be(named)))
            .map(|(_, entry)| entry);
        self.add(view, alike.chain(&self.custom));
    }

    fn add_star(&self, view: &mut View) {
        view.closed |= self.star.is_none();
        self.add(view, []);
    }

    fn add<'e>(&'e self, view: &mut View, own: impl IntoIterator<Item = &'e Arc<Entry>>) {
        view.entries.extend(own.into_iter().chain(&self.star).cloned());
    }
}

/// What holds for one request: the policy's block and the ceiling's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The policy's, if it has one.
    pub policy: Option<Arc<Properties>>,
    /// The ceiling's, if it has one.
    pub ceiling: Option<Arc<Properties>>,
}

impl Bounds {
    /// Whether nothing is bounded at all.
    pub fn are_none(&self) -> bool {
        self.policy.is_none() && self.ceiling.is_none()
    }

    fn blocks(&self) -> impl Iterator<Item = &Properties> {
        self.policy.as_deref().into_iter().chain(self.ceiling.as_deref())
    }

    /// What may be done with the properties of a type.
    pub fn view(&self, object: &ObjectType) -> View {
        let mut view = View::default();
        for block in self.blocks() {
            block.add_type(&mut view, object);
        }
        view
    }

    /// The same for a type by the spellings an answer calls it by, all of them one type: what each
    /// spelling is granted, since HubSpot alone knows which of them a rule means.
    pub fn view_of_spellings<'s>(&self, spellings: impl IntoIterator<Item = &'s str>) -> View {
        let mut view = View::default();
        let mut none = true;
        for spelling in spellings {
            none = false;
            for block in self.blocks() {
                block.add_spelling(&mut view, spelling);
            }
        }
        view.closed |= none && !self.are_none();
        view
    }

    /// What holds for whatever type: the least of every entry there is. For requests that do not
    /// say which type they mean.
    pub fn view_of_any(&self) -> View {
        let mut view = View::default();
        for block in self.blocks() {
            view.closed |= block.star.is_none();
            let all = block.types.iter().map(|(_, entry)| entry);
            block.add(&mut view, all.chain(&block.custom));
        }
        view
    }

    /// What becomes of a read that names a hidden property.
    pub fn on_extra(&self) -> OnExtra {
        self.policy
            .as_ref()
            .map_or(OnExtra::Strip, |block| block.on_extra)
    }
}

/// What may be done with the properties of one type: all of its entries must grant it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    entries: SmallVec<[Arc<Entry>; 2]>,
    /// A block has no entry for the type: it has no values at all.
    closed: bool,
}

impl View {
    /// The entries that must all grant a property: for people and comparisons; the questions below
    /// are what decides.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(|entry| &**entry)
    }

    /// What both grant.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            entries: self.entries.iter().chain(&other.entries).cloned().collect(),
            closed: self.closed || other.closed,
        }
    }

    /// Whether the type has no values at all, since a block has no entry for it.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether every property may be read, and with them what says more than properties do.
    pub fn reads_all(&self) -> bool {
        !self.closed && self.entries.iter().all(|entry| entry.read.is_all())
    }

    /// Whether every property may be written, with any value.
    pub fn writes_all(&self) -> bool {
        let free = |entry: &Arc<Entry>| entry.write.is_all() && entry.values.is_empty();
        !self.closed && self.entries.iter().all(free)
    }

    /// Whether a property may be read, filtered and sorted by. In any case of letters.
    pub fn reads(&self, name: &str) -> bool {
        let name = lower(name);
        ALWAYS_READABLE.contains(&&*name) || self.granted(&name)
    }

    /// Whether a property's history may be read.
    pub fn reads_history(&self, name: &str) -> bool {
        self.granted(&lower(name))
    }

    fn granted(&self, lower: &str) -> bool {
        !self.closed && self.entries.iter().all(|entry| entry.read.hold(lower))
    }

    /// Whether a property may be written.
    pub fn writes(&self, name: &str) -> bool {
        let name = lower(name);
        !self.closed && self.entries.iter().all(|entry| entry.write.hold(&name))
    }

    /// Whether a property may be set to some values only.
    pub fn has_values(&self, name: &str) -> bool {
        let name = lower(name);
        self.entries.iter().any(|entry| entry.values.contains_key(&*name))
    }

    /// Whether a property may be set to a value; [`View::writes`] apart.
    pub fn may_be(&self, name: &str, value: &str) -> bool {
        let name = lower(name);
        let lists = self.entries.iter().filter_map(|entry| entry.values.get(&*name));
        lists
            .into_iter()
            .all(|values| values.iter().any(|one| **one == *value))
    }

    /// What is granted in a direction, by all entries together. The always readable are in it only
    /// if they are granted by name.
    pub fn names(&self, direction: Direction) -> Names {
        if self.closed {
            return Names::none();
        }
        let of = |entry: &Arc<Entry>| match direction {
            Direction::Read => entry.read.clone(),
            Direction::Write => entry.write.clone(),
        };
        let mut all = self.entries.iter().map(of);
        let first = all.next().unwrap_or(Names::All);
        all.fold(first, |names, more| names.both(&more))
    }

    /// The properties that may be set to some values only, with those that every entry lets be set.
    pub fn values(&self) -> BTreeMap<Box<str>, Vec<Box<str>>> {
        let lists = self.entries.iter().flat_map(|entry| &entry.values);
        let mut values: BTreeMap<Box<str>, Vec<Box<str>>> = BTreeMap::new();
        for (name, list) in lists {
            match values.get_mut(name) {
                Some(known) => known.retain(|value| list.contains(value)),
                None => {
                    values.insert(name.clone(), list.to_vec());
                }
            }
        }
        values.retain(|name, _| self.writes(name));
        values
    }

    /// The names that may be read, if they are known one by one: those of the shortest list that
    /// the other entries grant, too.
    pub fn readable_names(&self) -> Option<Vec<Box<str>>> {
        if self.closed {
            return Some(Vec::new());
        }
        let lists = self.entries.iter().filter_map(|entry| match &entry.read {
            Names::Listed(names) => Some(names),
            Names::All | Names::Except { .. } => None,
        });
        let shortest = lists.min_by_key(|names| names.len())?;
        Some(
            shortest
                .iter()
                .filter(|name| self.granted(name))
                .cloned()
                .collect(),
        )
    }
}

/// An id (`2-123`) and a name may mean the same custom object; two ids never do, and two names only
/// if they end alike (`p_car`, `p456_car`).
fn may_be_the_same(one: &str, other: &str) -> bool {
    match (one.starts_with("2-"), other.starts_with("2-")) {
        (true, true) => one == other,
        (false, false) => {
            let name = |spelling: &str| spelling.split_once('_').map(|(_, name)| name.to_owned());
            name(one) == name(other)
        }
        _ => true,
    }
}

fn lower(name: &str) -> std::borrow::Cow<'_, str> {
    match name
        .bytes()
        .any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii())
    {
        true => name.to_lowercase().into(),
        false => name.into(),
    }
}

#[cfg(test)]
mod tests;
