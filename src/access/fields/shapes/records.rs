//! Records of `/crm/…/objects` (v3, v4 and dated): HubSpot's public specifications,
//! `SimplePublicObject*` and `BatchResponseSimplePublicObject*`.

use super::AnswerShape::{self, Known};
use super::pieces::{FIRST, NOTHING, ONLY_WHOLE, PAGING, batch, object, page};
use crate::access::fields::shape::Shape;

/// What `crm.objects.VERB` answers.
pub(super) fn of(verb: &str) -> Option<AnswerShape> {
    Some(match verb {
        "list" | "search" => Known(&PAGE),
        "get" | "update" | "merge" => Known(&RECORD),
        "create" => Known(&CREATED),
        "batch.read" | "batch.create" | "batch.update" | "batch.upsert" => Known(&BATCH),
        // 204 without a body.
        "archive" | "batch.archive" | "gdpr-delete" => Known(&NOTHING),
        _ => return None,
    })
}

/// Where a value came from tells of people, files and other integrations.
const SOURCE: Shape = Shape::IfAll(FIRST, &Shape::Scalar, &Shape::Drop);

const VERSION: Shape = object!(
    Dropped; ["value", "timestamp"],
    "sourceType": SOURCE,
    "sourceId": SOURCE,
    "sourceLabel": SOURCE,
    "updatedByUserId": SOURCE,
);

/// Name to value.
pub(super) const PROPERTIES: Shape = Shape::Properties {
    of: FIRST,
    granted: false,
    value: &Shape::Scalar,
    bare: &Shape::Scalar,
};

/// Name to versions.
pub(super) const HISTORIES: Shape = Shape::Properties {
    of: FIRST,
    granted: true,
    value: &Shape::Array(&VERSION),
    bare: &Shape::Drop,
};

const LINK: Shape = object!(Dropped; ["id", "type"]);

/// Type to ids of records.
pub(super) const ASSOCIATIONS: Shape = Shape::Map(&object!(
    Dropped; [],
    "results": Shape::Array(&LINK),
    "paging": PAGING,
));

pub(super) const RECORD: Shape = object!(
    Dropped; ["id", "createdAt", "updatedAt", "archived", "archivedAt", "new", "objectWriteTraceId"],
    "properties": PROPERTIES,
    "propertiesWithHistory": HISTORIES,
    "associations": ASSOCIATIONS,
    "url": ONLY_WHOLE,
    "warnings": ONLY_WHOLE,
);

/// A record as `create` answers: bare, or, in 2025-09, as the `entity` of what was created.
const CREATED: Shape = object!(
    Dropped;
    ["id", "createdAt", "updatedAt", "archived", "archivedAt", "new", "objectWriteTraceId", "createdResourceId"],
    "properties": PROPERTIES,
    "propertiesWithHistory": HISTORIES,
    "associations": ASSOCIATIONS,
    "url": ONLY_WHOLE,
    "warnings": ONLY_WHOLE,
    "entity": RECORD,
    "location": ONLY_WHOLE,
);

const PAGE: Shape = page!(Shape::Array(&RECORD));

const BATCH: Shape = batch!(Shape::Array(&RECORD));
