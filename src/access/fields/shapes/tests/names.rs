//! Each object's members have names of their own.

use std::collections::BTreeSet;

use super::{catalogue, rows};
use crate::access::fields::shape::Shape;
use crate::access::fields::shapes::{AnswerShape, ERROR, GRAPHQL, of};

/// Members of one name would make what a shape says depend on their order.
#[test]
fn no_shape_knows_a_member_twice() {
    let catalogue = catalogue();
    let mut shapes: Vec<&'static Shape> = rows(&catalogue)
        .filter_map(|(_, row)| match of(&row.id, row) {
            Some(AnswerShape::Known(shape)) => Some(shape),
            _ => None,
        })
        .collect();
    shapes.extend([&ERROR, &GRAPHQL]);
    shapes.sort_unstable_by_key(|shape| std::ptr::from_ref(*shape) as usize);
    shapes.dedup_by_key(|shape| std::ptr::from_ref(*shape) as usize);
    shapes.into_iter().for_each(assert_names_are_unique);
}

fn assert_names_are_unique(shape: &Shape) {
    let members = match shape {
        Shape::Object(members)
        | Shape::Named { item: members, .. }
        | Shape::NamedOne { item: members, .. }
        | Shape::Typed { members, .. } => members,
        Shape::Array(inner) | Shape::Map(inner) => return assert_names_are_unique(inner),
        Shape::Either { object, array } | Shape::IfAll(_, object, array) => {
            assert_names_are_unique(object);
            return assert_names_are_unique(array);
        }
        Shape::Properties { value, bare, .. } => {
            assert_names_are_unique(value);
            return assert_names_are_unique(bare);
        }
        Shape::Kinds {
            scalar,
            object,
            array,
        } => {
            return [scalar, object, array]
                .into_iter()
                .for_each(|shape| assert_names_are_unique(shape));
        }
        _ => return,
    };
    let names: BTreeSet<&str> = members.known.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), members.known.len(), "{names:?}");
    members
        .known
        .iter()
        .for_each(|(_, shape)| assert_names_are_unique(shape));
}
