//! Bodies that take something away.

use super::*;

#[test]
fn removing_from_a_list_while_adding_is_a_removal() {
    let request = "PUT /crm/v3/lists/5/memberships/add-and-remove";
    for (body, effect) in [
        (r#"{"recordIdsToAdd":["1"]}"#, "write"),
        (r#"{"recordIdsToAdd":["1"],"recordIdsToRemove":[]}"#, "write"),
        (r#"{"recordIdsToAdd":["1"],"recordIdsToRemove":["2"]}"#, "delete"),
        (r#"{"recordidstoremove":["2"]}"#, "delete"),
    ] {
        let expected = format!("crm.lists.memberships.add-and-remove {effect} ");
        assert_eq!(needs(request, Some(body)), [expected], "{body}");
    }
    assert_eq!(reason(request, Some("[1]")), Reason::RefusedBody);
    assert_eq!(reason(request, None), Reason::RefusedBody);
}

#[test]
fn other_filters_may_empty_a_list() {
    assert_eq!(
        needs(
            "PUT /crm/v3/lists/5/update-list-filters",
            Some(r#"{"filterBranch":{}}"#)
        ),
        ["crm.lists.update-list-filters delete "]
    );
    let legacy = "POST /contacts/v1/lists/5";
    for (body, effect) in [
        (r#"{"name":"x"}"#, "write"),
        // Without any filter it has other members, too.
        (r#"{"name":"x","filters":[]}"#, "delete"),
        (r#"{"filters":null}"#, "delete"),
        (r#"{"name":"x","filters":[[{"property":"email"}]]}"#, "delete"),
        (r#"{"Filters":[[{}]]}"#, "delete"),
    ] {
        let expected = format!("contacts.lists.update {effect} contacts");
        assert_eq!(needs(legacy, Some(body)), [expected], "{body}");
    }
}

#[test]
fn a_pipeline_that_is_archived_or_loses_stages_is_a_removal() {
    for (request, id) in [
        ("PATCH /crm/v3/pipelines/deals/7", "crm.pipelines.update"),
        ("PATCH /crm/pipelines/2026-09/0-3/7", "crm.pipelines.update"),
        ("PUT /crm/v3/pipelines/deals/7", "crm.pipelines.replace"),
        ("PUT /crm/pipelines/2025-09/0-3/7", "crm.pipelines.replace"),
        (
            "PATCH /crm/v3/pipelines/deals/7/stages/8",
            "crm.pipelines.stages.update",
        ),
        (
            "PUT /crm/pipelines/2026-03/deals/7/stages/8",
            "crm.pipelines.stages.replace",
        ),
        ("PUT /crm-pipelines/v1/pipelines/deals/7", "crm-pipelines.replace"),
    ] {
        for (body, effect) in [
            (
                r#"{"label":"x","displayOrder":1,"metadata":{"probability":"0.1"}}"#,
                "write",
            ),
            (r#"{"archived":false}"#, "write"),
            (r#"{"archived":true}"#, "delete"),
            (r#"{"Archived":true}"#, "delete"),
            (r#"{"archived":"true"}"#, "delete"),
            (r#"{"active":false}"#, "delete"),
            (r#"{"label":"x","displayOrder":1,"stages":[]}"#, "delete"),
            (r#"{"label":"x","stages":[{"label":"a"}]}"#, "delete"),
        ] {
            let expected = format!("{id} {effect} deals");
            assert_eq!(needs(request, Some(body)), [expected], "{request} {body}");
        }
        assert_eq!(reason(request, None), Reason::RefusedBody, "{request}");
    }
}
