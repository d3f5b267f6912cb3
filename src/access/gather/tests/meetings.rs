//! Meetings made by the scheduler.

use super::*;

#[test]
fn a_meeting_on_a_calendar_is_linked_to_what_it_names() {
    let request = "POST /scheduler/v3/meetings/calendar";
    let link =
        r#"[{"to":{"id":"1"},"types":[{"associationCategory":"HUBSPOT_DEFINED","associationTypeId":200}]}]"#;
    all_need(
        request,
        &[
            (
                r#"{"properties":{}}"#,
                &["scheduler.meetings.calendar write meetings"],
            ),
            (
                &format!(r#"{{"properties":{{}},"associations":{link}}}"#),
                &[
                    "scheduler.meetings.calendar write meetings",
                    "crm.associations.create write meetings+contacts",
                ],
            ),
        ],
    );
    all_refused(
        request,
        &[
            (
                r#"{"associations":[{"to":{"id":"1"}}]}"#,
                "refused_unjudged /associations/0/types",
            ),
            (r#"{"associated":[1]}"#, "refused_unjudged /associated"),
            (r#"{"objectTypeId":"0-1"}"#, "refused_unjudged /objectTypeId"),
        ],
    );
}

#[test]
fn a_booking_makes_a_contact_and_a_meeting() {
    assert_eq!(
        needs("POST /scheduler/v3/meetings/meeting-links/book", Some("{}")),
        [
            "scheduler.meetings.meeting-links.book write contacts",
            "scheduler.meetings.meeting-links.book write meetings",
            "crm.associations.create write meetings+contacts",
        ]
    );
}
