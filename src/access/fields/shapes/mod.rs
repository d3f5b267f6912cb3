//! Which operation answers in which shape.
//!
//! Deliberately absent: guesses. An operation on records of a bounded type whose answer is not
//! described here is refused before it goes up.

use super::shape::{Members, Shape, Unknown};
use crate::access::catalogue::Row;

/// What is known of an operation's 2xx answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerShape {
    /// No value of a property can stand in it (ids, counts, nothing at all).
    Free,
    /// It has this shape.
    Known(&'static Shape),
}

/// The shape of the 2xx answers of a row; `None` if it is not known.
pub fn of(_id: &str, _row: &Row) -> Option<AnswerShape> {
    None
}

/// Names of further types whose records stand in the 2xx answers of a row; their views follow those
/// of the row's own types.
pub fn extra_types(_id: &str, _row: &Row) -> &'static [&'static str] {
    &[]
}

/// Answers that are no success: HubSpot's error envelope, its words replaced.
pub const ERROR: Shape = Shape::Object(&Members {
    known: &[
        ("status", Shape::Scalar),
        ("category", Shape::Scalar),
        ("correlationId", Shape::Scalar),
    ],
    unknown: Unknown::Dropped,
});
