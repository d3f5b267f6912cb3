//! What rules open, gathered into lines and cells: type or surface × effect.

use std::collections::BTreeMap;

use crate::access::catalogue::Catalogue;
use crate::access::effect::Effect;
use crate::access::facts::{Risks, Surface};
use crate::access::policy::opens::{Opened, object_label};

/// A row of a listing: an object type, its definitions, or a surface without a type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowName {
    /// Records first, then definitions, then the rest.
    order: u8,
    /// Position of the type in the catalogue.
    position: u8,
    /// What people read.
    pub name: String,
}

/// The row an opened operation belongs to.
pub fn row_of(catalogue: &Catalogue, opened: &Opened) -> RowName {
    let touch = &opened.opening.touch;
    match &touch.object {
        Some(object) => {
            let name = object_label(catalogue, object);
            let position = catalogue
                .object_types()
                .position(|(known, _)| known == *object)
                .and_then(|at| u8::try_from(at).ok())
                .unwrap_or(u8::MAX);
            let (order, name) = match touch.surface {
                Surface::Definitions => (1, format!("{name} definitions")),
                Surface::Records | Surface::Fixed => (0, name.to_owned()),
            };
            RowName {
                order,
                position,
                name,
            }
        }
        None => RowName {
            order: 2,
            position: u8::MAX,
            name: surface(operation_id(catalogue, opened)).to_owned(),
        },
    }
}

/// `crm.owners` of `crm.owners.list`: what an operation without a type works on.
fn surface(id: &str) -> &str {
    id.rsplit_once('.').map_or(id, |(before, _)| before)
}

/// The id of an opened operation.
pub fn operation_id<'c>(catalogue: &'c Catalogue, opened: &Opened) -> &'c str {
    catalogue
        .operation(opened.opening.operation)
        .map_or("", |operation| &*operation.id)
}

/// Operations by row and effect, each id once.
pub fn by_row<'c>(
    catalogue: &'c Catalogue,
    opened: impl Iterator<Item = &'c Opened>,
) -> BTreeMap<(RowName, Effect), Vec<&'c Opened>> {
    let mut rows: BTreeMap<(RowName, Effect), Vec<&Opened>> = BTreeMap::new();
    for found in opened {
        let key = (row_of(catalogue, found), found.opening.effect);
        rows.entry(key).or_default().push(found);
    }
    rows
}

/// The ids of operations, sorted, each once.
pub fn ids<'c>(catalogue: &'c Catalogue, opened: &[&Opened]) -> Vec<&'c str> {
    let mut ids: Vec<&str> = opened.iter().map(|o| operation_id(catalogue, o)).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Ids as a person reads them: what they have in common once, the rest in a list.
pub fn short(ids: &[&str]) -> String {
    let mut families: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for id in ids {
        let family = [
            "crm.objects.",
            "crm.associations.",
            "crm.properties.",
            "crm.pipelines.",
        ]
        .into_iter()
        .find(|prefix| id.starts_with(prefix))
        .unwrap_or_default();
        families
            .entry(family)
            .or_default()
            .push(id.strip_prefix(family).unwrap_or(id));
    }
    let shown: Vec<String> = families
        .into_iter()
        .map(|(family, names)| match (family, names.as_slice()) {
            ("", names) => names.join(", "),
            (family, [one]) => format!("{family}{one}"),
            (family, names) => format!("{family}{{{}}}", names.join(", ")),
        })
        .collect();
    shown.join(", ")
}

/// The risks of operations, each once.
pub fn risks(found: &[&Opened]) -> Vec<&'static str> {
    let all = found
        .iter()
        .fold(Risks::default(), |all, opened| all.union(opened.opening.risks));
    all.names().collect()
}
