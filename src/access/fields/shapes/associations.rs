//! Links between records: ids, types and labels, which are words of the portal's set-up. One answer
//! is more: to make a link by its v3 path shows the whole record.
//!
//! Source: HubSpot's public specifications (associations, objects), its legacy documentation of CRM
//! associations v1.

use super::AnswerShape::{self, Free, Known};
use super::errors::ITEM_ERRORS;
use super::pieces::{BATCH_WITHOUT_RESULTS, ID, NOTHING, ONLY_WHOLE, PAGING, SCALARS, batch, object, page};
use super::records::{ASSOCIATIONS, HISTORIES, PROPERTIES};
use crate::access::fields::shape::Shape;

/// What `crm.associations.VERB` answers.
pub(super) fn of(verb: &str) -> Option<AnswerShape> {
    Some(match verb {
        "list" => Known(&LIST),
        "create" => Known(&MADE),
        "batch.read" => Known(&BATCH_READ),
        "batch.create" | "batch.associate.default" => Known(&BATCH_MADE),
        "batch.archive" | "batch.labels.archive" | "definitions.configurations.batch.purge" => {
            Known(&BATCH_WITHOUT_RESULTS)
        }
        "definitions.configurations.batch.create" | "definitions.configurations.batch.update" => {
            Known(&BATCH_CONFIGURED)
        }
        // 204 without a body.
        "archive" => Known(&NOTHING),
        "definitions.configurations.list"
        | "labels.archive"
        | "labels.create"
        | "labels.list"
        | "labels.replace"
        | "types.list" => Free,
        _ => return None,
    })
}

/// What `crm-associations.VERB` answers: ids, or 204.
pub(super) fn of_v1(verb: &str) -> Option<AnswerShape> {
    Some(match verb {
        "list" => Known(&IDS_V1),
        "create" | "batch.create" | "archive" | "batch.archive" => Free,
        _ => return None,
    })
}

const TYPE: Shape = object!(
    Dropped; ["category", "typeId", "label", "fromObjectTypeId", "toObjectTypeId"]
);

/// v3: `{id, type}`; since: `{toObjectId, associationTypes}`.
const LINK: Shape = object!(
    Dropped; ["id", "type", "toObjectId"],
    "associationTypes": Shape::Array(&TYPE),
);

const LIST: Shape = page!(Shape::Array(&LINK));

const BATCH_READ: Shape = batch!(Shape::Array(&object!(
    Dropped; [],
    "from": ID,
    "to": Shape::Array(&LINK),
    "paging": PAGING,
)));

const SPECIFICATION: Shape = object!(Dropped; ["associationCategory", "associationTypeId"]);

/// What was linked, in all three spellings.
const ONE_MADE: Shape = object!(
    Dropped; ["fromObjectId", "fromObjectTypeId", "toObjectId", "toObjectTypeId", "type"],
    "labels": SCALARS,
    "from": ID,
    "to": ID,
    "associationSpec": SPECIFICATION,
);

const BATCH_MADE: Shape = batch!(Shape::Array(&ONE_MADE));

const BATCH_CONFIGURED: Shape = batch!(Shape::Array(&object!(
    Dropped; ["category", "label", "typeId", "userEnforcedMaxToObjectIds"]
)));

/// One path with several answers: the link, a batch of links, what was created, and, in v3, the
/// record with its default properties.
const MADE: Shape = object!(
    Dropped;
    ["fromObjectId", "fromObjectTypeId", "toObjectId", "toObjectTypeId", "createdResourceId",
     "status", "requestedAt", "startedAt", "completedAt", "numErrors",
     "id", "createdAt", "updatedAt", "archived", "archivedAt", "objectWriteTraceId"],
    "labels": SCALARS,
    "entity": ONE_MADE,
    "location": ONLY_WHOLE,
    "results": Shape::Array(&ONE_MADE),
    "errors": ITEM_ERRORS,
    "links": ONLY_WHOLE,
    "properties": PROPERTIES,
    "propertiesWithHistory": HISTORIES,
    "associations": ASSOCIATIONS,
    "url": ONLY_WHOLE,
    "warnings": ONLY_WHOLE,
);

const IDS_V1: Shape = object!(Dropped; ["hasMore", "offset"], "results": SCALARS);
