//! Engagements of version 1.

use super::*;

#[test]
fn a_new_engagement_is_of_the_type_it_says_and_linked_to_what_it_names() {
    all_need(
        "POST /engagements/v1/engagements",
        &[
            (
                r#"{"engagement":{"type":"NOTE","ownerId":1},"metadata":{"body":"x"}}"#,
                &["engagements.create write notes"],
            ),
            (
                r#"{"engagement":{"type":"EMAIL"},"associations":{"contactIds":[],"ownerIds":[1]}}"#,
                &["engagements.create write emails"],
            ),
            (
                r#"{"engagement":{"type":"CALL"},"associations":{"contactIds":[1],"companyIds":[2],"dealIds":[3],"ticketIds":[4]}}"#,
                &[
                    "engagements.create write calls",
                    "crm.associations.create write calls+contacts",
                    "crm.associations.create write calls+companies",
                    "crm.associations.create write calls+deals",
                    "crm.associations.create write calls+tickets",
                ],
            ),
        ],
    );
    all_refused(
        "POST /engagements/v1/engagements",
        &[
            ("{}", "refused_body /engagement"),
            (r#"{"engagement":{}}"#, "refused_body /engagement/type"),
            (
                r#"{"engagement":{"type":"note"}}"#,
                "refused_body /engagement/type",
            ),
            (
                r#"{"engagement":{"type":"PUBLISHING_TASK"}}"#,
                "refused_body /engagement/type",
            ),
            (
                r#"{"engagement":{"type":"NOTE","Type":"CALL"}}"#,
                "refused_unjudged /engagement/Type",
            ),
            (
                r#"{"Engagement":{"type":"NOTE"}}"#,
                "refused_unjudged /Engagement",
            ),
            (
                r#"{"engagement":{"type":"NOTE"},"associations":{"quoteIds":[1]}}"#,
                "refused_unjudged /associations/quoteIds",
            ),
            (
                r#"{"engagement":{"type":"NOTE"},"associatedObjects":[{"id":1}]}"#,
                "refused_unjudged /associatedObjects",
            ),
            (
                r#"{"engagement":{"type":"NOTE"},"associations":[1]}"#,
                "refused_body /associations",
            ),
            (
                r#"{"engagement":{"type":"NOTE"},"associations":{"contactIds":1}}"#,
                "refused_body /associations/contactIds",
            ),
        ],
    );
    let facts = facts(
        "POST /engagements/v1/engagements",
        Some(r#"{"engagement":{"type":"NOTE"}}"#),
    )
    .unwrap();
    let operation = catalogue().operation(facts.main().operation).unwrap();
    assert!(operation.by_name_alone);
}

#[test]
fn engagements_that_do_not_say_their_type_concern_all_five() {
    let five = ["calls", "emails", "meetings", "notes", "tasks"];
    for (request, operation, body) in [
        (
            "GET /engagements/v1/engagements/paged",
            "engagements.list read ",
            None,
        ),
        (
            "GET /engagements/v1/engagements/recent/modified",
            "engagements.recent.modified read ",
            None,
        ),
        ("GET /engagements/v1/engagements/5", "engagements.get read ", None),
        (
            "DELETE /engagements/v1/engagements/5",
            "engagements.archive delete ",
            None,
        ),
        (
            "PATCH /engagements/v1/engagements/5",
            "engagements.update write ",
            Some(r#"{"metadata":{"body":"x"}}"#),
        ),
    ] {
        assert_eq!(needs(request, body), [operation], "{request}");
        assert_eq!(concerns(request, body), five, "{request}");
    }
    let associated = "GET /engagements/v1/engagements/associated/CONTACT/5/paged";
    assert_eq!(needs(associated, None), ["engagements.associated.list read "]);
    assert_eq!(concerns(associated, None).last().unwrap(), "contacts");
    assert_eq!(concerns(associated, None).len(), 6);
    all_refused(
        "PATCH /engagements/v1/engagements/5",
        &[
            (
                r#"{"associations":{"contactIds":[1]}}"#,
                "refused_unjudged /associations",
            ),
            (r#"{"associations":{}}"#, "refused_unjudged /associations"),
            (r#"{"Associations":{}}"#, "refused_unjudged /Associations"),
        ],
    );
}
