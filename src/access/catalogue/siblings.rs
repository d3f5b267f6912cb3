//! How a row of `catalogue.extra` relates to the shipped ones, versions left aside.

use super::extra::shape;
use super::layout::Plain;
use super::rows::{Row, TypeSource};
use super::types::ObjectTypes;
use crate::access::object_type::ObjectType;

/// What a shipped row is to a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kin {
    /// The same template in another version or layout.
    Sibling,
    /// The same, with a parameter where the new row names an object type.
    Generic,
    /// Some path is read by both.
    Overlaps,
    /// No path in common.
    Stranger,
}

/// Where the type of a row is found: comparable between a literal and a generic template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The type itself.
    Type(ObjectType),
    /// A segment, counted without the version.
    Segment(usize),
}

/// What `known` is to `new`.
pub(super) fn kin(known: &Row, new: &Row, types: &ObjectTypes) -> Kin {
    if known.method != new.method {
        return Kin::Stranger;
    }
    let (own, other) = (shape(&new.template), shape(&known.template));
    if own == other {
        return Kin::Sibling;
    }
    if overlaps((&other, known.takes_rest), (&own, new.takes_rest)) {
        return match is_generic(known, &other, &own, types) {
            true => Kin::Generic,
            false => Kin::Overlaps,
        };
    }
    if takes_a_version(known, &other, new, &own) {
        return Kin::Overlaps;
    }
    Kin::Stranger
}

/// Whether templates (and whether the last parameter takes the rest) have a path in common.
fn overlaps((a, a_rest): (&[&str], bool), (b, b_rest): (&[&str], bool)) -> bool {
    let fits = a.len() == b.len() || (a_rest && a.len() < b.len()) || (b_rest && b.len() < a.len());
    fits && a.iter().zip(b).all(|(x, y)| x == y || *x == "{}" || *y == "{}")
}

fn is_generic(known: &Row, other: &[&str], own: &[&str], types: &ObjectTypes) -> bool {
    let typed = places(known);
    other.len() == own.len()
        && (0usize..).zip(other.iter().zip(own)).all(|(at, (theirs, ours))| {
            theirs == ours
                || (*theirs == "{}" && typed.contains(&Place::Segment(at)) && types.resolve(ours).is_some())
                || (types.resolve(theirs).is_some() && types.resolve(theirs) == types.resolve(ours))
        })
}

/// A parameter of a template without version can stand where another one has its version.
fn takes_a_version(known: &Row, other: &[&str], new: &Row, own: &[&str]) -> bool {
    if new.version.is_some() {
        return false;
    }
    let usual = Plain::new(known).version_at;
    (0..own.len())
        .filter(|at| own.get(*at) == Some(&"{}") && ([1, 2].contains(at) || usual == Some(*at)))
        .any(|at| {
            let mut without = own.to_vec();
            without.remove(at);
            overlaps((other, known.takes_rest), (&without, new.takes_rest))
        })
}

/// Whether the version of `new` has a row of its own for the operation of `other`, which is more
/// literal: then `new` is never asked.
pub(super) fn is_answered_before(rows: &[Row], other: &Row, new: &Row) -> bool {
    let (own, literal) = (shape(&new.template), shape(&other.template));
    own.iter()
        .zip(&literal)
        .all(|(own, other)| own == other || *own == "{}")
        && rows
            .iter()
            .any(|row| row.id == other.id && row.version == new.version && shape(&row.template) == literal)
        && new.version.is_some()
}

/// Where the types of `known` stand, its parameters filled in by the literals of `new`.
pub(super) fn types_of(known: &Row, new: &Row, types: &ObjectTypes) -> Vec<Place> {
    let own = shape(&new.template);
    let fill = |place| match place {
        Place::Segment(at) => own
            .get(at)
            .filter(|segment| **segment != "{}")
            .and_then(|segment| types.resolve(segment))
            .map_or(Place::Segment(at), Place::Type),
        known => known,
    };
    places(known).into_iter().map(fill).collect()
}

/// Where the types of a row stand.
pub(super) fn places(row: &Row) -> Vec<Place> {
    let parameters: Vec<usize> = (0usize..)
        .zip(shape(&row.template))
        .filter(|(_, segment)| *segment == "{}")
        .map(|(at, _)| at)
        .collect();
    row.sources()
        .iter()
        .filter_map(|source| match source {
            TypeSource::Literal(object) => Some(Place::Type(object.clone())),
            TypeSource::Parameter(ordinal) => {
                parameters.get(usize::from(*ordinal)).copied().map(Place::Segment)
            }
        })
        .collect()
}
