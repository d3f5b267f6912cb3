//! `/companies/v2` and `/companies/v1`: companies, and who belongs to them.
//!
//! Source: HubSpot's legacy documentation of the Companies API.

use super::AnswerShape::{self, Known};
use super::nested::PROPERTIES;
use super::pieces::{NOTHING, ONLY_WHOLE, SCALARS, SECOND, members, object};
use crate::access::fields::shape::Shape;

/// What `crm.objects.VERB` answers below `/companies`.
pub(super) fn of_records(verb: &str) -> Option<AnswerShape> {
    Some(match verb {
        "get" | "create" | "update" => Known(&COMPANY),
        "list" => Known(&PAGE),
        "archive" => Known(&ARCHIVED),
        _ => return None,
    })
}

/// What `crm.associations.VERB` answers below `/companies`: to add a contact shows the company.
pub(super) fn of_associations(verb: &str) -> Option<AnswerShape> {
    Some(match verb {
        "list" => Known(&VIDS),
        "create" => Known(&COMPANY),
        _ => return None,
    })
}

/// What the operations answer that only companies have.
pub(super) fn of(id: &str) -> Option<AnswerShape> {
    Some(match id {
        "companies.recent.created" | "companies.recent.modified" => Known(&PAGE),
        "companies.domains.search" => Known(&FOUND),
        "companies.contacts.list" => Known(&CONTACTS),
        // 202 without a body.
        "companies.batch-async.update" => Known(&NOTHING),
        _ => return None,
    })
}

const COMPANY: Shape = object!(
    Dropped; ["portalId", "companyId", "isDeleted"],
    "properties": PROPERTIES,
    "additionalDomains": ONLY_WHOLE,
    "stateChanges": ONLY_WHOLE,
    "mergeAudits": ONLY_WHOLE,
);

const PAGE: Shape = object!(
    Refused; ["has-more", "hasMore", "offset", "total"],
    "companies": Shape::Array(&COMPANY),
    "results": Shape::Array(&COMPANY),
);

const FOUND: Shape = object!(
    Refused; ["hasMore", "total"],
    "results": Shape::Array(&COMPANY),
    "offset": object!(Dropped; ["companyId", "isPrimary"]),
);

const ARCHIVED: Shape = object!(Dropped; ["companyId", "deleted"]);

const VIDS: Shape = object!(Dropped; ["vidOffset", "hasMore"], "vids": SCALARS);

/// What says more of a contact than its properties do.
const ONLY_WHOLE_CONTACT: Shape = Shape::IfAll(SECOND, &Shape::Any, &Shape::Drop);

/// Contacts, the second type, in a shape of their own: properties stand in a list.
const CONTACT: Shape = object!(
    Dropped; ["vid", "canonicalVid", "portalId", "portalid", "isContact"],
    "vids": SCALARS,
    "mergedVids": SCALARS,
    "properties": Shape::Named {
        of: SECOND,
        key: "name",
        item: &members!(Dropped; ["name", "value"]),
    },
    "identities": ONLY_WHOLE_CONTACT,
    "listMembership": ONLY_WHOLE_CONTACT,
    "imports": ONLY_WHOLE_CONTACT,
    "publicToken": ONLY_WHOLE_CONTACT,
    "mergeAudit": ONLY_WHOLE_CONTACT,
);

const CONTACTS: Shape = object!(
    Refused; ["vidOffset", "hasMore"],
    "contacts": Shape::Array(&CONTACT),
);
