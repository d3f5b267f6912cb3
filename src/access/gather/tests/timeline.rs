//! Timeline events.

use super::*;

#[test]
fn an_event_belongs_to_the_record_it_is_addressed_to() {
    for (request, operation) in [
        (
            "POST /integrators/timeline/v3/events",
            "integrators.timeline.events.create",
        ),
        (
            "POST /integrators/timeline/2026-03/events",
            "integrators.timeline.events.create",
        ),
        (
            "POST /crm/v3/timeline/events",
            "integrators.timeline.events.create",
        ),
        (
            "PUT /integrations/v1/7/timeline/event",
            "integrations.timeline.event.create",
        ),
    ] {
        for (body, types) in [
            (
                r#"{"eventTemplateId":"1","email":"a@x.io","tokens":{}}"#,
                vec!["contacts"],
            ),
            (r#"{"utk":"x"}"#, vec!["contacts"]),
            (r#"{"domain":"x.io"}"#, vec!["companies"]),
            (
                r#"{"domain":"x.io","email":"a@x.io"}"#,
                vec!["contacts", "companies"],
            ),
            // The template decides, and it may be of any type.
            (r#"{"objectId":"5"}"#, vec!["*"]),
            (r#"{"objectId":"5","email":"a@x.io"}"#, vec!["*"]),
        ] {
            let expected: Vec<String> = types
                .iter()
                .map(|object| format!("{operation} write {object}"))
                .collect();
            assert_eq!(needs(request, Some(body)), expected, "{request} {body}");
        }
        all_refused(
            request,
            &[
                (r#"{"eventTemplateId":"1"}"#, "refused_body /"),
                (
                    r#"{"email":"a@x.io","ObjectId":"5"}"#,
                    "refused_unjudged /ObjectId",
                ),
                (
                    r#"{"email":"a@x.io","object_id":"5"}"#,
                    "refused_unjudged /object_id",
                ),
                (
                    r#"{"email":"a@x.io","objectTypeId":"0-3"}"#,
                    "refused_unjudged /objectTypeId",
                ),
                ("[]", "refused_body /"),
            ],
        );
    }
}

#[test]
fn every_event_of_a_batch_is_judged() {
    for (request, list) in [
        ("POST /integrators/timeline/v3/events/batch/create", "inputs"),
        ("POST /integrators/timeline/2026-03/events/batch", "inputs"),
        ("PUT /integrations/v1/7/timeline/event/batch", "eventWrappers"),
    ] {
        let body = format!(r#"{{"{list}":[{{"email":"a@x.io"}},{{"domain":"x.io"}},{{"email":"b@x.io"}}]}}"#);
        let found = facts(request, Some(&body)).unwrap();
        assert_eq!((found.needs.len(), found.batch), (2, Some(3)), "{request}");
        all_refused(
            request,
            &[
                (
                    &format!(r#"{{"{list}":[{{"email":"a@x.io"}},{{}}]}}"#),
                    &format!("refused_body /{list}/1"),
                ),
                (&format!(r#"{{"{list}":[]}}"#), "refused_body /"),
                (r#"{"INPUTS":[{"email":"a@x.io"}]}"#, "refused_unjudged /INPUTS"),
                (
                    &format!(r#"{{"{list}":{{"email":"a@x.io"}}}}"#),
                    &format!("refused_body /{list}"),
                ),
            ],
        );
    }
}

/// The operation for one event does not look into lists, that for many not beside them.
#[test]
fn an_event_and_a_list_of_events_are_never_in_one_body() {
    for request in [
        "POST /integrators/timeline/v3/events",
        "POST /crm/v3/timeline/events",
        "PUT /integrations/v1/7/timeline/event",
        "POST /integrators/timeline/v3/events/batch/create",
        "PUT /integrations/v1/7/timeline/event/batch",
    ] {
        for list in ["inputs", "eventWrappers"] {
            let other = if list == "inputs" {
                "eventWrappers"
            } else {
                "inputs"
            };
            for body in [
                format!(r#"{{"{list}":[{{"email":"a@x.io"}}],"objectId":"5","eventTemplateId":"1"}}"#),
                format!(r#"{{"domain":"x.io","{list}":[{{"email":"a@x.io"}}]}}"#),
                format!(r#"{{"{list}":[{{"email":"a@x.io"}}],"{other}":[{{"objectId":"5"}}]}}"#),
                format!(r#"{{"{list}":[],"email":"a@x.io"}}"#),
            ] {
                assert_eq!(refused(request, &body), "refused_body /", "{request} {body}");
            }
            let body = format!(r#"{{"{list}":[{{"email":"a@x.io"}}],"objectId":null}}"#);
            assert!(facts(request, Some(&body)).is_ok(), "{request} {body}");
        }
    }
}

#[test]
fn an_event_that_is_read_may_be_of_any_type() {
    assert_eq!(
        needs("GET /integrators/timeline/v3/events/1/2", None),
        ["integrators.timeline.events.get read *"]
    );
    assert_eq!(
        needs("GET /integrations/v1/7/timeline/event/1/2", None),
        ["integrations.timeline.event.get read *"]
    );
    for part in ["detail", "render"] {
        assert_eq!(
            needs(&format!("GET /integrators/timeline/v3/events/1/2/{part}"), None),
            [format!("integrators.timeline.events.{part} read *")]
        );
    }
}
