//! How many records a request names.

use super::*;

#[test]
fn records_are_counted_in_every_form_hubspot_has() {
    for (request, body, expected) in [
        (
            "POST /crm/v3/objects/contacts/batch/read",
            Some(r#"{"properties":["a","b"],"inputs":[{"id":"1"},{"id":"2"}]}"#),
            Some(2),
        ),
        (
            "POST /crm/v3/objects/contacts/batch/update",
            Some(r#"{"inputs":[]}"#),
            Some(0),
        ),
        (
            "POST /crm/v3/objects/contacts/batch/archive",
            Some(r#"{"inputs":[{"id":"1"}],"Inputs":[{},{}]}"#),
            Some(3),
        ),
        (
            "POST /crm/v4/associations/contacts/companies/batch/create",
            Some(r#"{"inputs":[{"from":{"id":1},"to":{"id":2}},{}]}"#),
            Some(2),
        ),
        (
            "POST /crm/v4/associations/contacts/companies/batch/archive",
            Some(r#"{"inputs":[{"from":{"id":1},"to":[{"id":2},{"id":3}]}]}"#),
            Some(2),
        ),
        (
            "POST /contacts/v1/contact/batch",
            Some(r#"[{"vid":1},{"vid":2},{"email":"x"}]"#),
            Some(3),
        ),
        (
            "POST /crm-objects/v1/objects/tickets/batch-read",
            Some(r#"{"ids":[1,2,3,4]}"#),
            Some(4),
        ),
        (
            "POST /crm-objects/v1/objects/tickets/batch-update",
            Some(r#"[{"objectId":1}]"#),
            Some(1),
        ),
        (
            "POST /crm-objects/v1/objects/tickets/batch-update",
            Some(r#"{"176602":[{"name":"a"},{"name":"b"}],"176603":[{"name":"a"}]}"#),
            Some(2),
        ),
        ("POST /deals/v1/batch-async/update", Some(r#"[{},{}]"#), Some(2)),
        (
            "POST /contacts/v1/lists/5/add",
            Some(r#"{"vids":[1,2],"emails":["a@x.io"]}"#),
            Some(3),
        ),
        (
            "PUT /crm/v3/lists/5/memberships/add",
            Some(r#"["1","2"]"#),
            Some(2),
        ),
        (
            "PUT /crm/v3/lists/5/memberships/remove",
            Some(r#"["1"]"#),
            Some(1),
        ),
        (
            "PUT /crm/v3/lists/5/memberships/add-and-remove",
            Some(r#"{"recordIdsToAdd":["1"],"recordIdsToRemove":["2","3"]}"#),
            Some(3),
        ),
        (
            "POST /crm/v3/objects/contacts/batch/archive",
            Some(r#"{"1":{},"2":{},"3":{}}"#),
            Some(3),
        ),
        (
            "GET /contacts/v1/contact/vids/batch?vid=1&vid=2&vid=3&property=email",
            None,
            Some(3),
        ),
        (
            "GET /contacts/v1/contact/emails/batch?email=a&email=b,c",
            None,
            Some(3),
        ),
        ("GET /crm/v3/objects/contacts", None, None),
        (
            "POST /crm/v3/objects/contacts",
            Some(r#"{"properties":{}}"#),
            None,
        ),
    ] {
        let found = facts(request, body).unwrap_or_else(|refusal| panic!("{request} {refusal:?}"));
        assert_eq!(found.batch, expected, "{request} {body:?}");
    }
}
