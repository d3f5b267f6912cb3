//! `/contacts/v1`: contacts by their `vid`, and lists of them.
//!
//! Source: HubSpot's legacy documentation of the Contacts API (get, all, recent, batch, search,
//! create, create or update, merge, secondary e-mail, statistics) and of contact lists.

use super::AnswerShape::{self, Free, Known};
use super::nested::{PROPERTIES, VALUE_ALONE};
use super::pieces::{NOTHING, ONLY_WHOLE, SCALARS, SECOND, object};
use crate::access::fields::shape::Shape;

/// What `crm.objects.VERB` answers below `/contacts/v1`.
pub(super) fn of_records(verb: &str) -> Option<AnswerShape> {
    Some(match verb {
        "get" | "create" => Known(&CONTACT),
        "list" | "search" => Known(&PAGE),
        "batch.read" => Known(&BY_ID),
        // 202 without a body; what it complains of stands in a 400.
        "batch.upsert" => Known(&NOTHING),
        "archive" => Known(&ARCHIVED),
        // 204 without a body.
        "update" => Known(&NOTHING),
        // The one word `SUCCESS`, which is no JSON.
        "merge" => Free,
        _ => return None,
    })
}

/// What the operations answer that only `/contacts/v1` has.
pub(super) fn of(id: &str) -> Option<AnswerShape> {
    Some(match id {
        "contacts.contact.utk.get" => Known(&CONTACT),
        "contacts.contact.utk.batch.read" => Known(&BY_ID),
        "contacts.contact.create-or-update" => Known(&WRITTEN),
        "contacts.recent.created"
        | "contacts.recent.modified"
        | "contacts.lists.contacts.list"
        | "contacts.lists.contacts.recent" => Known(&PAGE),
        "contacts.statistics" => Known(&STATISTICS),
        "contacts.secondary-email.create" | "contacts.secondary-email.archive" => Known(&SECONDARY_EMAILS),
        "contacts.lists.add" | "contacts.lists.remove" => Known(&MEMBERS),
        "contacts.lists.list"
        | "contacts.lists.static"
        | "contacts.lists.dynamic"
        | "contacts.lists.batch.read" => Known(&LISTS),
        "contacts.lists.get" | "contacts.lists.create" | "contacts.lists.update" => Known(&LIST),
        "contacts.lists.archive" => Free,
        _ => return None,
    })
}

/// The types whose records stand in the answers of an operation, beside contacts.
pub(super) fn extra_types(id: &str) -> &'static [&'static str] {
    let shape = match id.strip_prefix("crm.objects.") {
        Some(verb) => of_records(verb),
        None => of(id),
    };
    let shows_contacts = [&CONTACT, &PAGE, &BY_ID]
        .iter()
        .any(|shown| shape == Some(Known(shown)));
    match shows_contacts {
        true => &["companies"],
        false => &[],
    }
}

/// The company of a contact, with properties of its own.
const COMPANY: Shape = object!(
    Dropped; ["company-id", "portal-id"],
    "properties": Shape::Properties {
        of: SECOND,
        granted: false,
        value: &VALUE_ALONE,
        bare: &VALUE_ALONE,
    },
);

/// What is left out unless all may be read: addresses in `identity-profiles`, names and addresses in
/// `merge-audits`, a link that opens the profile in `profile-url`.
const CONTACT: Shape = object!(
    Dropped; ["addedAt", "vid", "canonical-vid", "portal-id", "is-contact"],
    "merged-vids": SCALARS,
    "properties": PROPERTIES,
    "associated-company": COMPANY,
    "identity-profiles": ONLY_WHOLE,
    "form-submissions": ONLY_WHOLE,
    "list-memberships": ONLY_WHOLE,
    "merge-audits": ONLY_WHOLE,
    "profile-url": ONLY_WHOLE,
    "profile-token": ONLY_WHOLE,
);

/// A page, or what was found: `query` is the client's own.
const PAGE: Shape = object!(
    Refused; ["query", "total", "offset", "has-more", "vid-offset", "time-offset"],
    "contacts": Shape::Array(&CONTACT),
);

const BY_ID: Shape = Shape::Map(&CONTACT);

const WRITTEN: Shape = object!(Dropped; ["vid", "isNew"]);

const ARCHIVED: Shape = object!(Dropped; ["vid", "deleted"], "reason": ONLY_WHOLE);

const STATISTICS: Shape = object!(Dropped; ["contacts", "last-new-contact-at"]);

/// They are the property `hs_additional_emails`.
const SECONDARY_EMAILS: Shape = object!(Dropped; ["portalId", "vid"], "secondaryEmails": ONLY_WHOLE);

const MEMBERS: Shape = object!(
    Dropped; [],
    "updated": SCALARS,
    "discarded": SCALARS,
    "invalidVids": SCALARS,
    "invalidEmails": ONLY_WHOLE,
);

const LIST_STATE: Shape = object!(
    Dropped; ["processing", "size", "lastProcessingStateChangeAt", "lastSizeChangeAt"]
);

/// A list without its filters: they quote values, of companies and deals as well, and say who is in
/// it.
const LIST: Shape = object!(
    Dropped;
    ["listId", "internalListId", "parentId", "portalId", "name", "dynamic", "listType", "internal",
     "readOnly", "limitExempt", "archived", "deleted", "deleteable", "deletable", "authorId",
     "createdAt", "updatedAt"],
    "metaData": LIST_STATE,
);

const LISTS: Shape = object!(
    Refused; ["offset", "has-more", "total"],
    "lists": Shape::Array(&LIST),
);
