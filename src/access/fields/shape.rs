//! The grammar of answers: what stands where, as far as property rules must know.
//!
//! A shape is data. [`shapes`](super::shapes) says which operation answers in which shape; the
//! filter and its slow model walk both. `null` stands for any value and is always kept.

use std::sync::Arc;

use smallvec::SmallVec;

use super::grant::{Bounds, View};

/// What may stand in a place of an answer, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Any value, kept as it is: no value of a property can stand here.
    Any,
    /// A string, a number or a boolean, kept. Anything else is a violation.
    Scalar,
    /// Any value, removed.
    Drop,
    /// A string, replaced by this one (plain ASCII, nothing to escape). Anything else is a violation.
    Text(&'static str),
    /// A string, a number or a boolean, replaced by the second string unless it is a string among
    /// the first: clients compare those. All of them are plain ASCII with nothing to escape; a
    /// string that is written with an escape is not among them. Anything else is a violation.
    TextUnless(&'static [&'static str], &'static str),
    /// An object with known members. Anything else is a violation.
    Object(&'static Members),
    /// An array of such values. Anything else is a violation.
    Array(&'static Shape),
    /// An object whose member names are ids or the like, and whose values are of this shape.
    Map(&'static Shape),
    /// Whichever of two kinds it is.
    Either {
        /// What an object is.
        object: &'static Shape,
        /// What an array is.
        array: &'static Shape,
    },
    /// Whichever of three kinds it is: for answers whose types are not dependable, errors above all.
    /// A kind that is not expected is dropped, so that it is no violation.
    Kinds {
        /// What a string, a number, a boolean or `null` is.
        scalar: &'static Shape,
        /// What an object is.
        object: &'static Shape,
        /// What an array is.
        array: &'static Shape,
    },
    /// The second shape, unless every property of the type may be read: then the first.
    IfAll(Of, &'static Shape, &'static Shape),
    /// An object whose member names are names of properties. Hidden ones are removed.
    Properties {
        /// Whose.
        of: Of,
        /// Whether a name must be granted itself to be kept, as histories must: always-readable is
        /// not enough.
        granted: bool,
        /// The value of a property whose history may be read.
        value: &'static Shape,
        /// The value of one that is readable without its history. With `granted` it is not used.
        bare: &'static Shape,
    },
    /// An array of objects each of which names a property in its member `key` (a string); those of
    /// hidden properties are removed whole. An object without the member is a violation. The
    /// element is held until its key is known.
    Named {
        /// Whose.
        of: Of,
        /// The member.
        key: &'static str,
        /// The object. Its members may be `Shape::Bare` where a history stands.
        item: &'static Members,
    },
    /// Like one element of `Named`, not in an array. A hidden one becomes `{}`.
    NamedOne {
        /// Whose.
        of: Of,
        /// The member.
        key: &'static str,
        /// The object.
        item: &'static Members,
    },
    /// An array of strings, names of properties. Hidden ones are removed.
    NameList(Of),
    /// A string, the name of a property. A hidden one becomes `null`.
    Name(Of),
    /// An object that says its own type, by these members (strings; one at least), wherever they
    /// stand in it; below it [`Of::Own`] is that type. It is held until all of its bytes are there.
    Typed {
        /// Members that spell the type.
        keys: &'static [&'static str],
        /// The object.
        members: &'static Members,
    },
}

/// Whose property it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The type at this position of [`Views`]: the operation's own is 0.
    Type(u8),
    /// The type that the enclosing [`Shape::Typed`] says.
    Own,
}

/// The members of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Members {
    /// By name; names are compared exactly, unescaped.
    pub known: &'static [(&'static str, Shape)],
    /// What becomes of others.
    pub unknown: Unknown,
}

/// What becomes of a member that a shape does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Of a record: it is removed, whatever it is.
    Dropped,
    /// Of what holds records: a string, number, boolean or null is removed; an object or array is a
    /// violation, since records may stand in it.
    Refused,
}

/// What may be read of the types in an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Views {
    /// By [`Of::Type`].
    pub types: SmallVec<[View; 2]>,
    /// For objects that say their own type.
    pub bounds: Bounds,
}

impl Views {
    /// The view of a position; a position without one has no values at all.
    pub fn of(&self, position: u8) -> View {
        let known = self.types.get(usize::from(position)).cloned();
        known.unwrap_or_else(nothing)
    }
}

/// The view of a type nobody grants anything of, whatever else is bounded.
fn nothing() -> View {
    let bounds = Bounds {
        policy: Some(Arc::default()),
        ceiling: None,
    };
    bounds.view_of_spellings([])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_without_a_view_has_no_values_even_where_nothing_is_bounded() {
        let views = Views::default();
        assert!(!views.of(0).reads_all() && !views.of(0).reads("email"));
        assert!(views.of(0).reads("hs_object_id") && !views.of(0).reads_history("hs_object_id"));
    }
}
