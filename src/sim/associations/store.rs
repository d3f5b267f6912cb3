//! Which records are associated, under which association types. Both directions are stored.

use std::collections::{BTreeMap, BTreeSet};

use super::types::{self, AssociationType, Category};
use crate::sim::object_types::ObjectKind;

/// Associations one record may have to another type; HubSpot's own limit is higher, ours bounds memory.
const PER_RECORD: usize = 50_000;

/// A record of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sim) struct End {
    pub(in crate::sim) kind: ObjectKind,
    pub(in crate::sim) id: u64,
}

/// A label that someone defined.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Label {
    pub(in crate::sim) id: u32,
    pub(in crate::sim) name: String,
    pub(in crate::sim) text: String,
}

/// All associations of a portal.
#[derive(Clone, Debug, Default)]
pub(in crate::sim) struct Associations {
    links: BTreeMap<(End, ObjectKind), BTreeMap<u64, BTreeSet<AssociationType>>>,
    labels: BTreeMap<(ObjectKind, ObjectKind), Vec<Label>>,
    labels_made: u32,
}

impl Associations {
    /// The ids of type `to` that `from` is associated with, and how.
    pub(in crate::sim) fn of(
        &self,
        from: End,
        to: ObjectKind,
    ) -> impl Iterator<Item = (u64, &BTreeSet<AssociationType>)> {
        self.links
            .get(&(from, to))
            .into_iter()
            .flatten()
            .map(|(id, types)| (*id, types))
    }

    /// Associates in both directions; `false` when the record has no room for more.
    pub(in crate::sim) fn add(&mut self, from: End, to: End, how: AssociationType) -> bool {
        let forward = self.links.entry((from, to.kind)).or_default();
        if forward.len() >= PER_RECORD && !forward.contains_key(&to.id) {
            return false;
        }
        let unlabelled = types::unlabelled(from.kind, to.kind);
        forward.entry(to.id).or_default().extend([how, unlabelled]);
        let backward = self
            .links
            .entry((to, from.kind))
            .or_default()
            .entry(from.id)
            .or_default();
        backward.extend([
            types::inverse(from.kind, to.kind, how),
            types::unlabelled(to.kind, from.kind),
        ]);
        true
    }

    /// Ends an association wholly.
    pub(in crate::sim) fn remove(&mut self, from: End, to: End) {
        for (one, other) in [(from, to), (to, from)] {
            if let Some(ids) = self.links.get_mut(&(one, other.kind)) {
                ids.remove(&other.id);
            }
        }
    }

    /// Takes one type off an association; without any type left the association ends.
    pub(in crate::sim) fn remove_type(&mut self, from: End, to: End, how: AssociationType) {
        let inverse = types::inverse(from.kind, to.kind, how);
        for (one, other, kind) in [(from, to, how), (to, from, inverse)] {
            let Some(ids) = self.links.get_mut(&(one, other.kind)) else {
                continue;
            };
            let Some(types) = ids.get_mut(&other.id) else {
                continue;
            };
            types.remove(&kind);
            if types.is_empty() {
                ids.remove(&other.id);
            }
        }
    }

    /// Forgets a record that is gone, moving its associations to `heir` if there is one.
    pub(in crate::sim) fn forget(&mut self, gone: End, heir: Option<End>) {
        let kinds: Vec<ObjectKind> = self
            .links
            .keys()
            .filter(|(end, _)| *end == gone)
            .map(|(_, kind)| *kind)
            .collect();
        for kind in kinds {
            for (id, types) in self.links.remove(&(gone, kind)).unwrap_or_default() {
                let other = End { kind, id };
                if let Some(ids) = self.links.get_mut(&(other, gone.kind)) {
                    ids.remove(&gone.id);
                }
                if let Some(heir) = heir.filter(|heir| *heir != other) {
                    for how in types {
                        self.add(heir, other, how);
                    }
                }
            }
        }
    }

    /// Labels people defined between two types.
    pub(in crate::sim) fn labels(&self, from: ObjectKind, to: ObjectKind) -> &[Label] {
        self.labels.get(&(from, to)).map_or(&[], Vec::as_slice)
    }

    /// Defines a label in both directions and returns its id.
    pub(in crate::sim) fn define(&mut self, from: ObjectKind, to: ObjectKind, name: &str, text: &str) -> u32 {
        self.labels_made += 2;
        let id = self.labels_made - 1;
        let label = Label {
            id,
            name: name.to_owned(),
            text: text.to_owned(),
        };
        self.labels.entry((from, to)).or_default().push(label.clone());
        if from != to {
            self.labels
                .entry((to, from))
                .or_default()
                .push(Label { id: id + 1, ..label });
        }
        id
    }

    /// Removes a label's definition.
    pub(in crate::sim) fn undefine(&mut self, from: ObjectKind, to: ObjectKind, id: u32) -> bool {
        let Some(labels) = self.labels.get_mut(&(from, to)) else {
            return false;
        };
        let before = labels.len();
        labels.retain(|label| label.id != id);
        labels.len() < before
    }

    /// What people call an association type.
    pub(in crate::sim) fn label_text(
        &self,
        from: ObjectKind,
        to: ObjectKind,
        how: AssociationType,
    ) -> Option<&str> {
        match how.category {
            Category::UserDefined => self
                .labels(from, to)
                .iter()
                .find(|label| label.id == how.id)
                .map(|label| label.text.as_str()),
            _ => types::is_primary(from, to, how).then_some("Primary"),
        }
    }
}
