//! Random answers that fit a shape, or nearly do: most pass, so that what is kept of them is compared.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::arbitrary::{json, name, property_name, scalar, space, spelled};
use crate::access::fields::shape::{Members, Shape, Unknown};

/// An answer of a shape, as text.
pub fn fitting(shape: &'static Shape) -> BoxedStrategy<String> {
    let fits = match shape {
        Shape::Any | Shape::Drop => return json().boxed(),
        Shape::Scalar => return scalar().boxed(),
        Shape::Text(_) => name().boxed(),
        Shape::Object(members) => object(members, &[], name().boxed()),
        Shape::Array(item) => array(fitting(item)),
        Shape::Map(value) => pairs(name().boxed(), fitting(value)),
        Shape::TextUnless(kept, _) => {
            let kept = spelled(select(kept.to_vec()).prop_map(String::from));
            prop_oneof![kept, name(), scalar()].boxed()
        }
        Shape::Kinds {
            scalar,
            object,
            array,
        } => prop_oneof![fitting(scalar), fitting(object), fitting(array)].boxed(),
        Shape::Either { object, array } => prop_oneof![fitting(object), fitting(array)].boxed(),
        Shape::IfAll(_, all, some) => prop_oneof![fitting(all), fitting(some)].boxed(),
        Shape::Properties { value, bare, .. } => pairs(
            property_name().boxed(),
            prop_oneof![fitting(value), fitting(bare)].boxed(),
        ),
        Shape::Named { key, item, .. } => array(one_named(key, item)),
        Shape::NamedOne { key, item, .. } => one_named(key, item),
        Shape::NameList(_) => array(property_name().boxed()),
        Shape::Name(_) => property_name().boxed(),
        Shape::Typed { keys, members } => {
            let types = select(vec!["contacts", "0-1", "Companies", "deals", "unheard"]);
            object(members, keys, spelled(types.prop_map(String::from)).boxed())
        }
    };
    prop_oneof![60 => fits, 2 => Just("null".to_owned()), 1 => json()].boxed()
}

fn one_named(key: &'static &'static str, item: &'static Members) -> BoxedStrategy<String> {
    object(item, std::slice::from_ref(key), property_name().boxed())
}

/// An object with some of its members in any order; those that say whose it is (`keys`) are nearly
/// always there.
fn object(
    members: &'static Members,
    keys: &'static [&'static str],
    said: BoxedStrategy<String>,
) -> BoxedStrategy<String> {
    let known = subsequence(members.known.iter().collect::<Vec<_>>(), 0..=members.known.len()).prop_shuffle();
    let keys = prop_oneof![9 => Just(keys), 1 => Just(&[][..])];
    let all = (known, keys, any::<prop::sample::Index>()).prop_flat_map(move |(known, keys, place)| {
        let others = known
            .into_iter()
            .filter(|(name, _)| !keys.contains(name))
            .map(|(name, shape)| (*name, fitting(shape)));
        let mut all: Vec<(&str, BoxedStrategy<String>)> = others.collect();
        for key in keys {
            all.insert(place.index(all.len() + 1), (key, said.clone()));
        }
        let unknown = match members.unknown {
            Unknown::Dropped => json().boxed(),
            Unknown::Refused => scalar().boxed(),
        };
        all.insert(place.index(all.len() + 1), ("not known", unknown));
        let member = |(name, value): (&str, BoxedStrategy<String>)| {
            (space(), spelled(Just(name.to_owned())), space(), value, space())
                .prop_map(|(a, name, b, value, c)| format!("{a}{name}{b}:{value}{c}"))
        };
        all.into_iter().map(member).collect::<Vec<_>>()
    });
    all.prop_map(|all| format!("{{{}}}", all.join(","))).boxed()
}

fn array(element: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let element = (space(), element, space()).prop_map(|(a, element, b)| format!("{a}{element}{b}"));
    let all = prop::collection::vec(element, 0..4);
    all.prop_map(|all| format!("[{}]", all.join(","))).boxed()
}

/// Pairs whose names are mostly different.
fn pairs(name: BoxedStrategy<String>, value: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let all = prop::collection::vec((name, space(), value), 0..5);
    all.prop_map(|all| {
        let mut seen = std::collections::HashSet::new();
        let once = all.into_iter().filter(|(name, ..)| seen.insert(name.clone()));
        let all: Vec<String> = once
            .map(|(name, space, value)| format!("{name}:{space}{value}"))
            .collect();
        format!("{{{}}}", all.join(","))
    })
    .boxed()
}
