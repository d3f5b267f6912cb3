//! `/crm-objects/v1`: tickets, products and line items before v3. Every write shows the records.
//!
//! Source: HubSpot's legacy documentation of tickets v1. Its change log is not described here: it
//! tells which property changed when.

use super::AnswerShape::{self, Known};
use super::nested::PROPERTIES;
use super::pieces::{NOTHING, ONLY_WHOLE, object};
use crate::access::fields::shape::Shape;

/// What `crm.objects.VERB` answers below `/crm-objects`.
pub(super) fn of_records(verb: &str) -> Option<AnswerShape> {
    Some(match verb {
        "get" | "create" | "update" => Known(&OBJECT),
        "list" => Known(&PAGE),
        "batch.read" | "batch.create" | "batch.update" => Known(&MANY),
        // 204 without a body.
        "archive" | "batch.archive" => Known(&NOTHING),
        _ => return None,
    })
}

const OBJECT: Shape = object!(
    Dropped; ["objectType", "portalId", "objectId", "version", "isDeleted"],
    "properties": PROPERTIES,
    "validationErrors": ONLY_WHOLE,
);

const PAGE: Shape = object!(
    Refused; ["hasMore", "offset", "total"],
    "objects": Shape::Array(&OBJECT),
);

/// Read by id they are a map, written a list.
const MANY: Shape = Shape::Either {
    object: &Shape::Map(&OBJECT),
    array: &Shape::Array(&OBJECT),
};
