//! Ways round a rule that no single carrier shows: by an effect that is no write, by what is made
//! now and looked at later, by members that two readers take for different things.

use super::{check, outcome};

/// Everything may be read, little written.
const READS_ALL: &str = "contacts read=all write=email; * read=all write=all";
/// `salary` is hidden, nothing else.
const HIDES_ONE: &str = "contacts read=!salary write=!salary; * read=all write=all";

/// Whoever may not write a property may not do away with it either, be it with its definition.
#[test]
fn what_is_not_writable_is_not_removed() {
    let batch = "POST /crm/v3/properties/contacts/batch/archive";
    check(&[
        (
            "DELETE /crm/v3/properties/contacts/salary",
            "",
            READS_ALL,
            "deny property salary at path",
        ),
        ("DELETE /crm/v3/properties/contacts/email", "", READS_ALL, "same"),
        (
            "DELETE /crm/properties/2026-03/contacts/salary",
            "",
            READS_ALL,
            "deny property salary at path",
        ),
        (
            "DELETE /properties/v1/contacts/properties/named/salary",
            "",
            READS_ALL,
            "deny property salary at path",
        ),
        (
            "DELETE /properties/v2/contacts/properties/named/salary",
            "",
            READS_ALL,
            "deny property salary at path",
        ),
        (
            batch,
            r#"{"inputs":[{"name":"email"},{"name":"salary"}]}"#,
            READS_ALL,
            "deny property salary at /inputs/1/name",
        ),
        (batch, r#"{"inputs":[{"name":"email"}]}"#, READS_ALL, "same"),
        (
            "DELETE /contacts/v1/secondary-email/1/email/a@b",
            "",
            READS_ALL,
            "deny property hs_additional_emails at path",
        ),
        // Records are not properties.
        ("DELETE /crm/v3/objects/contacts/1", "", READS_ALL, "same"),
        (
            "POST /crm/v3/objects/contacts/batch/archive",
            r#"{"inputs":[{"id":"1"}]}"#,
            READS_ALL,
            "same",
        ),
    ]);
}

/// Forms, pages and e-mails show a visitor or recipient what is known of them; whoever makes one may
/// be that visitor.
#[test]
fn nothing_that_shows_or_sets_any_property_later_is_made() {
    for request in [
        "POST /forms/v2/forms",
        "POST /marketing/v3/forms",
        "PATCH /marketing/v3/forms/1",
        "POST /marketing/v3/emails",
        "PATCH /marketing/v3/emails/1/draft",
        "POST /marketing-emails/v1/emails",
        "POST /cms/v3/pages/site-pages",
        "PATCH /cms/v3/pages/landing-pages/1/draft",
        "POST /cms/v3/blogs/posts",
        "POST /content/api/v2/pages",
        "POST /content/api/v2/blog-posts",
        // Finds records by a property of the definition's choice, when the event comes.
        "POST /events/v3/event-definitions",
        "PATCH /events/custom/2026-09/event-definitions/e",
        // Calls and meetings are told to an address that is set here.
        "PATCH /crm/v3/extensions/calling/1/settings",
        "PUT /crm/v3/extensions/videoconferencing/settings/1",
        "POST /conversations/v3/custom-channels",
    ] {
        let got = outcome(request, "", HIDES_ONE);
        assert_eq!(got, "deny property * at path", "{request}");
        let got = outcome(request, "", "* read=all write=all");
        assert_eq!(got, "same", "{request}");
    }
    for request in [
        "GET /marketing/v3/forms",
        "GET /marketing/v3/emails",
        "GET /cms/v3/pages/site-pages",
        "GET /events/v3/event-definitions",
        "POST /cms/v3/hubdb/tables",
        "POST /cms/v3/blogs/tags",
    ] {
        assert_eq!(outcome(request, "", HIDES_ONE), "same", "{request}");
    }
}

#[test]
fn what_people_left_with_their_address_needs_the_address() {
    for (request, rules, expected) in [
        (
            "GET /comments/v3/comments",
            "contacts read=!email",
            "deny property email at path",
        ),
        (
            "GET /comments/v3/comments",
            "contacts read=firstname,lastname,email",
            "same",
        ),
        (
            "GET /events/v3/events?objectType=contact&objectId=1",
            "contacts read=email",
            "deny property ip_city,ip_country,ip_state at path",
        ),
        (
            "GET /events/event-occurrences/2026-03?objectId=1",
            "contacts read=email",
            "deny property ip_city,ip_country,ip_state at path",
        ),
        (
            "GET /events/v3/events?objectType=deal&objectId=1",
            "contacts read=email; deals read=all",
            "same",
        ),
        (
            "GET /events/v3/events?objectType=contact&objectId=1",
            HIDES_ONE,
            "same",
        ),
    ] {
        assert_eq!(outcome(request, "", rules), expected, "{request} {rules}");
    }
}
