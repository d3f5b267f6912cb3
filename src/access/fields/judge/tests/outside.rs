use super::{bounds, judged, shown};
use crate::access::fields::plan::AnswerRule;

/// What the warehouse's policy of the examples says.
const MOST: &str = "contacts read=!*ssn*,salary*; * read=all write=all";
const LITTLE: &str = "contacts read=firstname write=firstname";

fn of(request: &str, body: &str, touched: &[&str], rules: &str) -> String {
    shown(judged(request, body, touched, &bounds(rules)))
}

#[test]
fn operations_without_a_type_pass_unless_they_carry_what_is_hidden() {
    for (request, most, little) in [
        ("GET /crm/v3/owners", "same", "same"),
        ("GET /forms/v2/forms", "same", "same"),
        ("GET /automation/v3/workflows", "same", "same"),
        ("GET /crm/v3/lists/1/memberships", "same", "same"),
        ("GET /email/public/v1/campaigns", "same", "same"),
        (
            "GET /email/public/v1/events",
            "same",
            "deny property email,ip_city,ip_country,ip_state at path",
        ),
        (
            "GET /email/public/v1/subscriptions/timeline",
            "same",
            "deny property email at path",
        ),
        (
            "POST /automation/v2/workflows/1/enrollments/contacts/a@b",
            "same",
            "deny property email at path",
        ),
        (
            "GET /form-integrations/v1/submissions/forms/1",
            "deny property * at path",
            "deny property * at path",
        ),
        (
            "GET /webhooks-journal/journal/2026-03/latest",
            "deny property * at path",
            "deny property * at path",
        ),
    ] {
        assert_eq!(of(request, "", &[], MOST), most, "{request}");
        assert_eq!(of(request, "", &[], LITTLE), little, "{request}");
    }
    for request in [
        "POST /automation/v3/workflows",
        "POST /webhooks/v3/1/subscriptions",
        "PUT /cms/v3/source-code/published/content/a.html",
    ] {
        assert_eq!(of(request, "", &[], MOST), "deny property * at path", "{request}");
        assert_eq!(of(request, "", &[], "* read=all write=all"), "same", "{request}");
    }
}

/// Tokens of an event may be stamped on its record: rendered, they are that record's values.
#[test]
fn what_a_template_makes_of_an_event_is_shown_only_to_those_who_see_the_record_whole() {
    for path in ["1/2/detail", "1/2/render"] {
        let request = format!("GET /integrators/timeline/v3/events/{path}");
        for (touched, rules, passes) in [
            (&["contacts"][..], LITTLE, false),
            // Which type it is about only the template knows.
            (&["contacts"][..], "contacts read=all", false),
            (&["contacts"][..], "contacts read=all; * read=all", true),
            (&["deals"][..], "contacts read=all", false),
            (&[][..], "contacts read=all", false),
            (&[][..], "* read=all", true),
        ] {
            // Its answer is of no known shape, so what does not pass as it is is refused.
            let plan = judged(&request, "", touched, &bounds(rules));
            let as_it_is = plan.is_ok_and(|plan| plan.answer == AnswerRule::Pass);
            assert_eq!(as_it_is, passes, "{request} {touched:?} {rules}");
        }
    }
}

#[test]
fn exports_pass_only_if_every_property_of_every_type_touched_is_readable() {
    let export = "POST /crm/v3/exports/export/async";
    for (touched, rules, expected) in [
        (&["deals"][..], MOST, "same"),
        (&["deals", "contacts"][..], MOST, "deny property * at /"),
        (&["contacts"][..], "contacts read=all; * read=all", "same"),
        (&[][..], MOST, "deny property * at /"),
    ] {
        assert_eq!(of(export, "{}", touched, rules), expected, "{touched:?} {rules}");
    }
}

#[test]
fn activities_and_events_are_written_only_where_everything_may_be() {
    let engagement = "POST /engagements/v1/engagements";
    let event = "POST /crm/v3/timeline/events";
    for (request, touched, rules, expected) in [
        (engagement, &["notes", "contacts"][..], MOST, "same"),
        (
            engagement,
            &["notes"][..],
            "notes read=all; contacts read=all",
            "deny property * at path",
        ),
        (engagement, &["notes"][..], "notes read=all write=all", "same"),
        (
            engagement,
            &[][..],
            "notes read=all write=all",
            "deny property * at path",
        ),
        (event, &["deals"][..], MOST, "same"),
        (
            event,
            &["contacts"][..],
            "contacts read=all write=email",
            "deny property * at path",
        ),
        (
            event,
            &[][..],
            "contacts read=all write=email",
            "deny property * at path",
        ),
    ] {
        assert_eq!(
            of(request, "{}", touched, rules),
            expected,
            "{request} {touched:?} {rules}"
        );
    }
}

#[test]
fn graphql_passes_if_every_field_is_a_property_that_may_be_read() {
    for (document, expected) in [
        ("{ CRM { contact_collection { items { email } } } }", "same"),
        (
            "{ CRM { contact_collection { items { email salary } } } }",
            "deny property salary at /query",
        ),
        (
            "{ CRM { contact_collection { items { email: salary } } } }",
            "deny property salary at /query",
        ),
        (
            "{ CRM { contact_collection { items { ...f } } } } fragment f on Contact { a: salary }",
            "deny property salary at /query",
        ),
        (
            "{ CRM { contact_collection(filter: {salary__gt: 1}) { items { email } } } }",
            "deny property salary at /query",
        ),
        (
            "{ CRM { contact_collection(orderBy: salary__asc) { items { email } } } }",
            "deny property salary at /query",
        ),
        (
            r#"{ CRM { contact(uniqueIdentifier: \"ssn\", uniqueIdentifierValue: \"1\") { email } } }"#,
            "deny property ssn at /query",
        ),
        ("{ CRM { deal_collection { items { salary } } } }", "same"),
    ] {
        let body = format!(r#"{{"query":"{document}"}}"#);
        assert_eq!(
            of("POST /collector/graphql", &body, &[], MOST),
            expected,
            "{document}"
        );
    }
    let plan = |rules: &str| {
        let body = r#"{"query":"{ CRM { contact_collection { items { email } } } }"}"#;
        judged("POST /collector/graphql", body, &[], &bounds(rules)).unwrap()
    };
    assert_eq!(plan("* read=all").answer, AnswerRule::Pass);
    assert!(matches!(plan(MOST).answer, AnswerRule::Filter(_)));
}

#[test]
fn bodies_that_set_properties_of_somebody_are_held_to_the_list() {
    let rules = "contacts read=email,firstname write=email,firstname; meetings read=hs_meeting_title write=hs_meeting_title";
    let book = "POST /scheduler/v3/meetings/meeting-links/book";
    let calendar = "POST /scheduler/v3/meetings/calendar";
    let send = "POST /marketing/v4/email/single-send";
    let event = "POST /events/v3/send";
    for (request, body, expected) in [
        (book, r#"{"slug":"x","email":"a@b","firstName":"A"}"#, "same"),
        (
            book,
            r#"{"slug":"x","lastName":"B"}"#,
            "deny property lastname at /lastName",
        ),
        (
            book,
            r#"{"formFields":[{"name":"firstname","value":"A"},{"name":"salary","value":"1"}]}"#,
            "deny property salary at /formFields/1/name",
        ),
        (calendar, r#"{"properties":{"hs_meeting_title":"x"}}"#, "same"),
        (
            calendar,
            r#"{"properties":{"hs_meeting_body":"x"}}"#,
            "deny property hs_meeting_body at /properties/hs_meeting_body",
        ),
        (
            send,
            r#"{"emailId":1,"message":{"to":"a@b"},"contactProperties":{"firstname":"A"}}"#,
            "same",
        ),
        (
            send,
            r#"{"emailId":1,"contactProperties":{"salary":"1"}}"#,
            "deny property salary at /contactProperties/salary",
        ),
        (
            send,
            r#"{"emailId":1,"contactProperties":[{"name":"salary","value":"1"}]}"#,
            "deny property salary at /contactProperties/0/name",
        ),
        (
            send,
            r#"{"emailId":1,"ContactProperties":{"salary":"1"}}"#,
            "refuse refused_body at /ContactProperties",
        ),
        (
            send,
            r#"{"emailId":1,"message":{"to":"a@b","bcc":["c@d"]}}"#,
            "deny property * at /message/bcc",
        ),
        (send, r#"{"emailId":1,"message":{"to":"a@b","cc":[]}}"#, "same"),
        (event, r#"{"eventName":"x","objectId":"1"}"#, "same"),
        (event, r#"{"eventName":"x","email":"a@b"}"#, "same"),
        (
            event,
            r#"{"eventName":"x","utk":"a"}"#,
            "deny property hubspotutk at /utk",
        ),
    ] {
        assert_eq!(of(request, body, &[], rules), expected, "{request} {body}");
    }
    assert_eq!(
        of(event, r#"{"eventName":"x","email":"a@b"}"#, &[], LITTLE),
        "deny property email at /email"
    );
}

#[test]
fn events_are_not_looked_up_by_a_hidden_property() {
    let list = "GET /events/v3/events?objectType=contact&";
    for (query, expected) in [
        ("objectId=1", "same"),
        ("objectProperty.email=a@b", "same"),
        (
            "objectProperty.salary=1",
            "deny property salary at objectProperty",
        ),
        (
            "objectProperty.Salary=1",
            "deny property salary at objectProperty",
        ),
        (
            "objectproperty.salary=1",
            "refuse refused_query at objectProperty",
        ),
        (
            "objectProperty%5Bsalary%5D=1",
            "refuse refused_query at objectProperty",
        ),
    ] {
        assert_eq!(of(&format!("{list}{query}"), "", &[], MOST), expected, "{query}");
    }
    assert_eq!(
        of("GET /events/v3/events?objectProperty.salary=1", "", &[], MOST),
        "deny property salary at objectProperty"
    );
}
