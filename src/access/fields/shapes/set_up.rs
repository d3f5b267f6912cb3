//! Imports, lists, limits and the like: the portal's own words, in which values of records are
//! quoted here and there.
//!
//! Source: HubSpot's public specifications (imports, lists, limits, object library, task series,
//! timeline).

use super::AnswerShape::{self, Free, Known};
use super::pieces::{FIRST, PAGING, SCALARS, batch, object, page};
use super::records::PROPERTIES;
use crate::access::fields::shape::Shape;

/// What these operations answer, whether or not their paths name a type.
pub(super) fn of(id: &str) -> Option<AnswerShape> {
    Some(match id {
        "crm.imports.create" | "crm.imports.get" => Known(&IMPORT),
        "crm.imports.list" => Known(&IMPORTS),
        "crm.imports.errors.list" => Known(&IMPORT_ERRORS),
        "crm.lists.create" | "crm.lists.get" | "crm.lists.get-by-name" => Known(&LIST_HELD),
        "crm.lists.update-list-filters" | "crm.lists.update-list-name" => Known(&LIST_HELD),
        "crm.lists.list" | "crm.lists.search" => Known(&LISTS),
        "crm.lists.all" => Known(&LIST_PAGE),
        "crm.lists.records.memberships.batch.read" => Known(&MEMBERSHIPS),
        "crm.limits.associations.records.get" => Known(&AT_LIMIT),
        "crm.task-series.create" | "crm.task-series.get" | "crm.task-series.update" => Known(&TASK_SERIES),
        "integrators.timeline.events.create"
        | "integrators.timeline.events.get"
        | "integrations.timeline.event.create"
        | "integrations.timeline.event.get" => Known(&EVENT),
        "integrators.timeline.events.batch.create" | "integrations.timeline.event.batch.create" => {
            Known(&EVENTS)
        }
        // Whether a type is in use, and what the types at a limit are called.
        "crm.object-library.enablement.get" | "crm.limits.associations.records.to" => Free,
        _ => return None,
    })
}

const IMPORT_METADATA: Shape = object!(
    Dropped; [],
    "counters": Shape::Map(&Shape::Scalar),
    "fileIds": SCALARS,
    "objectLists": Shape::Array(&object!(Dropped; ["listId", "objectType"])),
);

/// An import without its request: that maps columns to properties, hidden ones too.
const IMPORT: Shape = object!(
    Dropped; ["id", "importName", "importSource", "state", "optOutImport", "createdAt", "updatedAt"],
    "importTemplate": object!(Dropped; ["templateId", "templateType"]),
    "mappedObjectTypeIds": SCALARS,
    "metadata": IMPORT_METADATA,
);

const IMPORTS: Shape = page!(Shape::Array(&IMPORT));

/// Where in which file an error is, and of what kind; HubSpot adds the value and the whole row.
const IMPORT_ERRORS: Shape = page!(Shape::Array(&object!(
    Dropped; ["id", "createdAt", "errorType", "objectType", "objectTypeId", "knownColumnNumber"],
    "sourceData": object!(Dropped; ["fileId", "lineNumber", "pageName", "containsEncryptedProperties"]),
)));

/// A list without its filters: they quote values, of associated types as well. `additionalProperties`
/// of a search are properties of the list.
const LIST: Shape = object!(
    Dropped;
    ["listId", "listVersion", "name", "objectTypeId", "processingStatus", "processingType", "size",
     "createdAt", "createdById", "updatedAt", "updatedById", "deletedAt", "filtersUpdatedAt"],
    "additionalProperties": Shape::Map(&Shape::Scalar),
    "listPermissions": object!(
        Dropped; [], "teamsWithEditAccess": SCALARS, "usersWithEditAccess": SCALARS
    ),
    "membershipSettings": object!(Dropped; ["includeUnassigned", "membershipTeamId"]),
);

const LIST_HELD: Shape = object!(Refused; [], "list": LIST, "updatedList": LIST);

const LISTS: Shape = object!(
    Refused; ["hasMore", "offset", "total"],
    "lists": Shape::Array(&LIST),
    "paging": PAGING,
);

const LIST_PAGE: Shape = page!(Shape::Array(&LIST));

const MEMBERSHIP: Shape = object!(
    Dropped; ["listId", "listVersion", "isPublicList", "firstAddedTimestamp", "lastAddedTimestamp"]
);

const MEMBERSHIPS: Shape = batch!(Shape::Array(&object!(
    Dropped; ["objectTypeId", "recordId"],
    "recordListMemberships": Shape::Array(&MEMBERSHIP),
)));

/// A record near a limit; its `label` is its display property.
const SAMPLE: Shape = object!(
    Dropped; ["objectId", "percentage", "usage"],
    "label": Shape::IfAll(FIRST, &Shape::Scalar, &Shape::Drop),
);

const AT_LIMIT: Shape = object!(
    Refused; ["limit", "totalRecordsAtLimit", "totalRecordsNearLimit"],
    "atLimitFromRecordSamples": Shape::Array(&SAMPLE),
    "nearLimitFromRecordSamples": Shape::Array(&SAMPLE),
);

/// A task, the first type, that repeats.
const TASK_SERIES: Shape = object!(
    Dropped; ["id", "createdAt", "updatedAt"],
    "properties": PROPERTIES,
    "series": object!(Dropped; ["repeatInterval", "repeatStatus", "startsAt"]),
);

/// An event of an app. Left out: the record's address and domain, and the event's own data, into
/// which an app may have written properties. The events of a batch may be of several types.
const EVENT: Shape = object!(
    Dropped;
    ["id", "eventTemplateId", "eventTypeId", "eventTypeName", "objectId", "objectType",
     "objectTypeFullyQualifiedName", "customObjectTypeId", "createdAt", "timestamp"]
);

const EVENTS: Shape = batch!(Shape::Array(&EVENT));
