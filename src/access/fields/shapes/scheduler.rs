//! Meetings as the scheduler shows them: a meeting by its properties, a booking by the fields of its
//! form. Paths name no type: the first type is the one whose values these are, meetings and contacts.
//!
//! Source: HubSpot's public specifications (scheduler).

use super::AnswerShape::{self, Known};
use super::pieces::{FIRST, ONLY_WHOLE, SCALARS, members, object};
use crate::access::fields::shape::Shape;

/// What `scheduler.meetings.VERB` answers where values stand in it.
pub(super) fn of(verb: &str) -> Option<AnswerShape> {
    Some(match verb {
        "calendar" => Known(&MEETING),
        "meeting-links.book" => Known(&BOOKING),
        _ => return None,
    })
}

/// Attachments and attendees are lists of ids here.
const VALUE: Shape = Shape::Kinds {
    scalar: &Shape::Scalar,
    object: &Shape::Drop,
    array: &SCALARS,
};

const MEETING: Shape = object!(
    Dropped; ["id", "createdAt", "lastUpdatedAt"],
    "properties": Shape::Properties {
        of: FIRST,
        granted: false,
        value: &VALUE,
        bare: &VALUE,
    },
);

/// Fields are properties of the contact. Its name stands in the subject, too.
const BOOKING: Shape = object!(
    Dropped; ["calendarEventId", "contactId", "start", "end", "duration", "bookingTimezone", "locale", "isOffline"],
    "formFields": Shape::Named {
        of: FIRST,
        key: "name",
        item: &members!(
            Dropped; ["name", "value", "valueLabel", "label", "translatedLabel", "fieldType", "isCustom"]
        ),
    },
    "subject": ONLY_WHOLE,
    "location": ONLY_WHOLE,
    "guestEmails": ONLY_WHOLE,
    "legalConsentResponses": ONLY_WHOLE,
    "webConferenceUrl": ONLY_WHOLE,
    "webConferenceMeetingId": ONLY_WHOLE,
);
