//! Lines about calls as people and machines read them: operations, types, places.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::access::catalogue::Catalogue;
use crate::access::facts::OperationIndex;
use crate::access::object_type::ObjectType;
use crate::access::policy::opens::object_label;
use crate::access::survey::Space;
use crate::access::survey::places::Place;
use crate::access::survey::space::Ends;
use crate::reports::opened::short;

/// Most types that are named as left out.
const BUT_MAX: usize = 8;

/// Most types of one call that are named; the calls that touch more may touch any.
const AT_ONCE_MAX: usize = 8;

/// The ids of operations.
pub fn ids<'c>(catalogue: &'c Catalogue, operations: &[OperationIndex]) -> Vec<&'c str> {
    let operations = operations.iter().filter_map(|index| catalogue.operation(*index));
    operations.map(|operation| &*operation.id).collect()
}

/// Operations in short: `crm.objects.{get, list}`.
pub fn operations(catalogue: &Catalogue, operations: &[OperationIndex]) -> String {
    short(&ids(catalogue, operations))
}

/// Types, or pairs of types, in short: `contacts, deals`; `contacts to companies`; nothing for calls
/// that touch none.
pub fn ends(catalogue: &Catalogue, space: &Space, ends: &[Ends]) -> String {
    let label = |object: &ObjectType| object_label(catalogue, object).to_owned();
    let names = |objects: &[&ObjectType]| objects.iter().map(|o| label(o)).collect::<Vec<_>>().join(", ");
    let list = |objects: &[&ObjectType]| {
        let others: Vec<&ObjectType> = space.objects.iter().filter(|o| !objects.contains(o)).collect();
        match (others.len(), objects.len()) {
            (0, _) => "every type".to_owned(),
            (few, most) if few < most && few <= BUT_MAX => format!("every type but {}", names(&others)),
            _ => names(objects),
        }
    };
    let mut singles: Vec<&ObjectType> = Vec::new();
    let mut seconds: BTreeMap<&ObjectType, Vec<&ObjectType>> = BTreeMap::new();
    let mut at_once: Vec<String> = Vec::new();
    for touched in ends {
        match touched.as_slice() {
            [] => {}
            [only] => singles.push(only),
            [first, second] => seconds.entry(first).or_default().push(second),
            more => {
                let more: Vec<&ObjectType> = more.iter().collect();
                at_once.push(match more.len() > AT_ONCE_MAX {
                    true => "types of any kind at once".to_owned(),
                    false => format!("{} at once", list(&more)),
                });
            }
        }
    }
    // First ends that go with the same second ones stand together.
    let mut together: BTreeMap<Vec<&ObjectType>, Vec<&ObjectType>> = BTreeMap::new();
    for (first, second) in seconds {
        together.entry(second).or_default().push(first);
    }
    let mut parts: Vec<String> = together
        .into_iter()
        .map(|(second, first)| format!("{} to {}", list(&first), list(&second)))
        .collect();
    parts.sort();
    if !singles.is_empty() {
        parts.push(list(&singles));
    }
    parts.extend(at_once);
    parts.join("; ")
}

/// The same for machines: names, and lists of two names for pairs.
pub fn ends_json(catalogue: &Catalogue, ends: &[Ends]) -> Vec<Value> {
    let label = |object: &ObjectType| object_label(catalogue, object).to_owned();
    let values = ends.iter().filter_map(|touched| match touched.as_slice() {
        [] => None,
        [only] => Some(json!(label(only))),
        pair => Some(json!(pair.iter().map(label).collect::<Vec<_>>())),
    });
    values.collect()
}

/// What people call the places.
pub fn labels<'p>(places: &'p [Place], at: &[usize]) -> Vec<&'p str> {
    let places = at.iter().filter_map(|index| places.get(*index));
    places
        .flat_map(|place| &place.labels)
        .map(String::as_str)
        .collect()
}
