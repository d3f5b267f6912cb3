//! Schemas of object types: definitions of all their properties, and properties by name.
//!
//! Source: HubSpot's public specifications (CRM object schemas).

use super::AnswerShape::{self, Free, Known};
use super::definitions::{ALL, ALL_OF_OWN};
use super::pieces::{FIRST, batch, members, object, page};
use crate::access::fields::shape::{Members, Of, Shape};

/// What `crm.schemas.VERB` answers.
pub(super) fn of(verb: &str) -> Option<AnswerShape> {
    Some(match verb {
        "get" | "update" => Known(&ONE),
        "create" => Known(&OWN),
        "list" => Known(&LIST),
        "batch.read" => Known(&BATCH),
        "associations.create" => Known(&ASSOCIATION),
        "archive" | "associations.archive" => Free,
        _ => return None,
    })
}

/// What `media-bridge.schemas.VERB` answers: its paths name an app's types, so schemas say their own.
pub(super) fn of_media_bridge(verb: &str) -> Option<AnswerShape> {
    Some(match verb {
        "get" | "update" => Known(&OWN),
        "list" => Known(&LIST),
        "associations.create" => Known(&ASSOCIATION),
        _ => return None,
    })
}

/// What ties the type to another.
const ASSOCIATION: Shape = object!(
    Dropped;
    ["id", "name", "fromObjectTypeId", "toObjectTypeId", "cardinality", "inverseCardinality",
     "createdAt", "updatedAt"]
);

/// The members of a schema whose type is `of`.
macro_rules! schema {
    ($of:expr, $definitions:expr) => {
        members!(
            Dropped;
            ["id", "objectTypeId", "fullyQualifiedName", "name", "description", "metaType", "portalId",
             "archived", "allowsSensitiveProperties", "createdAt", "updatedAt"],
            "labels": object!(Dropped; ["singular", "plural"]),
            "properties": $definitions,
            "requiredProperties": Shape::NameList($of),
            "searchableProperties": Shape::NameList($of),
            "secondaryDisplayProperties": Shape::NameList($of),
            "primaryDisplayProperty": Shape::Name($of),
            "associations": Shape::Array(&ASSOCIATION),
            "createdByUserId": Shape::IfAll($of, &Shape::Scalar, &Shape::Drop),
            "updatedByUserId": Shape::IfAll($of, &Shape::Scalar, &Shape::Drop),
        )
    };
}

const OF_FIRST: Members = schema!(FIRST, ALL);
const OF_OWN: Members = schema!(Of::Own, ALL_OF_OWN);

const ONE: Shape = Shape::Object(&OF_FIRST);

/// A schema that says which type it is of.
const OWN: Shape = Shape::Typed {
    keys: &["objectTypeId", "fullyQualifiedName"],
    members: &OF_OWN,
};

const LIST: Shape = page!(Shape::Array(&OWN));

const BATCH: Shape = batch!(Shape::Array(&OWN));
