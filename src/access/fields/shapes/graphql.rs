//! GraphQL answers mirror the query, so no shape can know them.

use super::errors::ITEM_ERRORS;
use super::pieces::object;
use crate::access::fields::shape::Shape;

/// The answer to a query each of whose fields was resolved to a property that may be read. Only such
/// a query may use it, which is why [`of`](super::of) does not give it out.
pub const GRAPHQL: Shape = object!(
    Refused; [],
    "data": Shape::Any,
    "errors": ITEM_ERRORS,
    "extensions": Shape::Drop,
);
