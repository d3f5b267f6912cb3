//! What `properties:` grants: per object type and direction a set of names, and values that may be
//! set. Several entries may hold for one type (its own and `"*"`, of policy and ceiling); a name
//! must be granted by each.
//!
//! Names are compared in lower case: HubSpot's property names have no other.

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::access::object_type::ObjectType;

/// Always readable, filterable and sortable; their history is not (contracts.md §2, item 7).
pub const ALWAYS_READABLE: [&str; 5] = [
    "hs_object_id",
    "createdate",
    "hs_createdate",
    "lastmodifieddate",
    "hs_lastmodifieddate",
];

/// A name with wildcards, as `except` may hold one. Lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// A pattern; `*` stands for any run of characters, an empty one too.
    pub fn new(text: &str) -> Self {
        Self(text.to_lowercase().into())
    }

    /// As it was written, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a name in lower case matches.
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(first) = parts.next() else {
            return name.is_empty();
        };
        let Some(mut rest) = name.strip_prefix(first) else {
            return false;
        };
        let mut last: Option<&str> = None;
        for part in parts {
            if let Some(between) = last
                && let Some(at) = rest.find(between)
            {
                rest = rest.get(at + between.len()..).unwrap_or_default();
            } else if last.is_some() {
                return false;
            }
            last = Some(part);
        }
        match last {
            None => rest.is_empty(),
            Some(end) => rest.ends_with(end),
        }
    }
}

/// A set of property names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// Every property.
    All,
    /// These: lower case, sorted, each once. Empty = none.
    Listed(Box<[Box<str>]>),
    /// All but those that match.
    Except {
        /// As written.
        patterns: Box<[Pattern]>,
        /// Properties derived from one that matches; lower case, sorted.
        derived: Box<[Box<str>]>,
    },
}

impl Names {
    /// No property.
    pub fn none() -> Self {
        Self::Listed(Box::default())
    }

    /// These names, in whatever order and case.
    pub fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut names: Vec<Box<str>> = names.into_iter().map(|name| name.to_lowercase().into()).collect();
        names.sort_unstable();
        names.dedup();
        Self::Listed(names.into())
    }

    /// All but these; what is derived from a hidden property is hidden, too.
    pub fn except<'n>(patterns: impl IntoIterator<Item = &'n str>) -> Self {
        let patterns: Box<[Pattern]> = patterns.into_iter().map(Pattern::new).collect();
        let hidden = |name: &str| patterns.iter().any(|pattern| pattern.matches(name));
        let derived = super::judge::known::derived_from(&hidden);
        Self::Except { patterns, derived }
    }

    /// Whether every property is in it.
    pub fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// Whether no property is in it.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::Listed(names) if names.is_empty())
    }

    /// Whether it holds a name; `name` is in lower case.
    pub fn hold(&self, name: &str) -> bool {
        let is_in = |names: &[Box<str>]| names.binary_search_by(|known| (**known).cmp(name)).is_ok();
        match self {
            Self::All => true,
            Self::Listed(names) => is_in(names),
            Self::Except { patterns, derived } => {
                !patterns.iter().any(|pattern| pattern.matches(name)) && !is_in(derived)
            }
        }
    }
}

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

/// The `properties:` block of a policy or of the ceiling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// By type; a type stands once.
    types: Vec<(ObjectType, Arc<Entry>)>,
    /// Every spelling of the named types, lower case, sorted, with the position in `types`.
    spellings: Vec<(Box<str>, usize)>,
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

    fn own(&self, object: &ObjectType) -> Option<&Arc<Entry>> {
        self.types
            .iter()
            .find(|(known, _)| known == object)
            .map(|(_, entry)| entry)
    }

    /// A custom object has several spellings, and HubSpot alone knows which mean the same one. A
    /// rule that names one of them must not be passed by calling the object by another: the entries
    /// of every spelling that may mean the same object hold for one that has none.
    fn alike(&self, object: &ObjectType) -> SmallVec<[&Arc<Entry>; 2]> {
        let ObjectType::Custom(own) = object else {
            return SmallVec::new();
        };
        let alike =
            |known: &ObjectType| matches!(known, ObjectType::Custom(other) if may_be_the_same(own, other));
        let entries = self.types.iter().filter(|(known, _)| alike(known));
        entries.map(|(_, entry)| entry).collect()
    }

    /// The entry of a type by any spelling.
    fn own_by_spelling(&self, spelling: &str) -> Option<&Arc<Entry>> {
        let lower = spelling.to_lowercase();
        let at = self
            .spellings
            .binary_search_by(|(known, _)| (**known).cmp(&lower))
            .ok()?;
        self.types.get(self.spellings.get(at)?.1).map(|(_, entry)| entry)
    }

    fn add_to(&self, view: &mut View, own: Option<&Arc<Entry>>) {
        if own.is_none() && self.star.is_none() {
            view.closed = true;
        }
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
            match block.own(object) {
                Some(own) => block.add_to(&mut view, Some(own)),
                None => {
                    let alike = block.alike(object);
                    view.closed |= alike.is_empty() && block.star.is_none();
                    view.entries.extend(alike.into_iter().chain(&block.star).cloned());
                }
            }
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
                block.add_to(&mut view, block.own_by_spelling(spelling));
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
            let all = block.types.iter().map(|(_, entry)| entry).chain(&block.star);
            view.entries.extend(all.cloned());
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
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, name, expected) in [
            ("*ssn*", "ssn", true),
            ("*ssn*", "my_ssn_old", true),
            ("*ssn*", "sn", false),
            ("salary*", "salary", true),
            ("salary*", "base_salary", false),
            ("*_iban", "bank_iban", true),
            ("*_iban", "bank_iban_old", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*", "", true),
            ("*", "anything", true),
            ("iban", "iban", true),
            ("iban", "ibans", false),
            ("IBAN", "iban", true),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(name), expected, "{pattern} {name}");
        }
    }

    fn bounds(types: Vec<(u8, Entry)>, star: Option<Entry>) -> Bounds {
        let types = types
            .into_iter()
            .map(|(row, entry)| (ObjectType::Known(row), vec![format!("0-{row}")], entry))
            .collect();
        Bounds {
            policy: Some(Arc::new(Properties::new(types, star, OnExtra::Strip))),
            ceiling: None,
        }
    }

    fn reading(read: Names) -> Entry {
        Entry {
            read,
            write: Names::none(),
            values: BTreeMap::new(),
        }
    }

    #[test]
    fn a_type_without_an_entry_has_no_values_unless_a_star_says_so() {
        let listed = || reading(Names::listed(["email"]));
        let closed = bounds(vec![(1, listed())], None);
        assert!(!closed.view(&ObjectType::Known(2)).reads("name"));
        assert!(closed.view(&ObjectType::Known(2)).reads("hs_object_id"));
        assert!(!closed.view(&ObjectType::Known(2)).reads_history("createdate"));
        let open = bounds(vec![(1, listed())], Some(Entry::all()));
        assert!(open.view(&ObjectType::Known(2)).reads_all());
        assert!(open.view(&ObjectType::Known(1)).reads("Email"));
        assert!(!open.view(&ObjectType::Known(1)).reads("phone"));
        assert!(!open.view_of_any().reads("phone") && open.view_of_any().reads("email"));
        assert!(!closed.view_of_any().reads("email"));
        assert!(!closed.view_of_spellings([]).reads("email"));
        assert!(closed.view_of_spellings(["0-1"]).reads("email"));
        assert!(!closed.view_of_spellings(["0-1", "0-2"]).reads("email"));
        assert!(Bounds::default().view(&ObjectType::Known(1)).reads_all());
    }

    #[test]
    fn a_custom_object_called_by_another_spelling_is_bounded_by_the_rule_for_the_one_named() {
        let custom = |spelling: &str| ObjectType::Custom(spelling.into());
        let named = |spelling: &str| {
            let entry = reading(Names::listed(["wheels"]));
            let types = vec![(custom(spelling), vec![spelling.to_owned()], entry)];
            Bounds {
                policy: Some(Arc::new(Properties::new(
                    types,
                    Some(Entry::all()),
                    OnExtra::Strip,
                ))),
                ceiling: None,
            }
        };
        for (rule, called, bounded) in [
            ("p_car", "p_car", true),
            ("p_car", "2-1", true),
            ("2-1", "p_car", true),
            ("p_car", "p456_car", true),
            ("p456_car", "p_car", true),
            ("p_car", "p_boat", false),
            ("2-1", "2-2", false),
        ] {
            let view = named(rule).view(&custom(called));
            assert_eq!(!view.reads("price"), bounded, "{rule} {called}");
            assert!(view.reads("wheels"));
        }
        assert!(named("p_car").view(&ObjectType::Known(1)).reads_all());
    }

    #[test]
    fn an_own_entry_and_the_star_must_both_grant() {
        let both = bounds(
            vec![(1, reading(Names::listed(["email", "ssn"])))],
            Some(reading(Names::except(["*ssn*"]))),
        );
        let view = both.view(&ObjectType::Known(1));
        assert!(view.reads("email") && !view.reads("ssn") && !view.reads("phone"));
        assert!(!view.writes("email"));
        assert_eq!(view.readable_names().unwrap(), ["email".into()]);
    }
}
