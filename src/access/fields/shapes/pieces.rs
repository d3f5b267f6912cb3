//! What stands in the answers of several APIs, and how shapes are written here.

use super::errors::ITEM_ERRORS;
use crate::access::fields::shape::{Members, Of, Shape, Unknown};

/// The members of an object: those that are scalars by their names alone, then the others.
macro_rules! members {
    ($unknown:ident; [$($scalar:literal),* $(,)?] $(, $name:literal: $shape:expr)* $(,)?) => {
        $crate::access::fields::shape::Members {
            known: &[
                $(($scalar, $crate::access::fields::shape::Shape::Scalar),)*
                $(($name, $shape),)*
            ],
            unknown: $crate::access::fields::shape::Unknown::$unknown,
        }
    };
}

/// An object with such members.
macro_rules! object {
    ($($members:tt)*) => {
        $crate::access::fields::shape::Shape::Object(&$crate::access::fields::shapes::pieces::members!($($members)*))
    };
}

pub(super) use {members, object};

/// The type that the operation's path names, or the first of the two.
pub(super) const FIRST: Of = Of::Type(0);
/// The second one, or the first of [`extra_types`](super::extra_types).
pub(super) const SECOND: Of = Of::Type(1);

/// What is shown to those who may read all of the first type: it quotes values, or says more than
/// properties do.
pub(super) const ONLY_WHOLE: Shape = Shape::IfAll(FIRST, &Shape::Any, &Shape::Drop);

/// Ids, or words of the portal's set-up.
pub(super) const SCALARS: Shape = Shape::Array(&Shape::Scalar);

/// `{"id": …}`.
pub(super) const ID: Shape = object!(Dropped; ["id"]);

const NEXT: Shape = object!(Dropped; ["after", "link"]);
const PREVIOUS: Shape = object!(Dropped; ["before", "link"]);

/// Where the pages before and after this one are. Cursors and the request's own URL.
pub(super) const PAGING: Shape = object!(Dropped; [], "next": NEXT, "prev": PREVIOUS);

/// An answer in which nothing is expected: whatever is there is removed.
pub(super) const NOTHING: Shape = object!(Dropped; []);

/// The members of a batch's answer, whose results are in this shape.
macro_rules! batch {
    ($results:expr) => {
        $crate::access::fields::shapes::pieces::object!(
            Refused;
            ["status", "requestedAt", "startedAt", "completedAt", "numErrors", "total"],
            "results": $results,
            "errors": $crate::access::fields::shapes::errors::ITEM_ERRORS,
            "links": $crate::access::fields::shapes::pieces::ONLY_WHOLE,
            "paging": $crate::access::fields::shapes::pieces::PAGING,
        )
    };
}

/// `{"results": […], "paging": …}`, with a `total` where something was searched.
macro_rules! page {
    ($results:expr) => {
        $crate::access::fields::shapes::pieces::object!(
            Refused;
            ["total"],
            "results": $results,
            "paging": $crate::access::fields::shapes::pieces::PAGING,
        )
    };
}

pub(super) use {batch, page};

/// A batch of what holds no records: one whose results are removed.
pub(super) const BATCH_WITHOUT_RESULTS: Shape = Shape::Object(&Members {
    known: &[
        ("status", Shape::Scalar),
        ("requestedAt", Shape::Scalar),
        ("startedAt", Shape::Scalar),
        ("completedAt", Shape::Scalar),
        ("numErrors", Shape::Scalar),
        ("results", Shape::Array(&NOTHING)),
        ("errors", ITEM_ERRORS),
    ],
    unknown: Unknown::Dropped,
});
