//! Lists: what they concern.

use super::*;

#[test]
fn a_list_concerns_the_types_that_path_and_filters_name() {
    for request in ["POST /crm/v3/lists", "POST /crm/lists/2026-03"] {
        for (body, expected) in [
            (r#"{"objectTypeId":"0-1","name":"x"}"#, vec!["contacts"]),
            (
                r#"{"objectTypeId":"0-1","filterBranch":{"filterBranches":[{"filterBranchType":"ASSOCIATION","objectTypeId":"0-2","associationTypeId":1,"associationCategory":"HUBSPOT_DEFINED","filters":[]}]}}"#,
                vec!["contacts", "companies"],
            ),
            (
                r#"{"objectTypeId":"contact","filterBranch":{"filters":[{"toObjectType":"DEAL"}]}}"#,
                vec!["contacts", "deals"],
            ),
            (
                r#"{"objectTypeId":"0-1","filterBranch":{"associationTypeId":15,"associationCategory":"HUBSPOT_DEFINED"}}"#,
                vec!["contacts", "tickets"],
            ),
        ] {
            assert_eq!(concerns(request, Some(body)), expected, "{body}");
            assert_eq!(needs(request, Some(body)), ["crm.lists.create write "], "{body}");
        }
        let anything = r#"{"objectTypeId":"0-1","filterBranch":{"associationTypeId":15,"associationCategory":"USER_DEFINED"}}"#;
        assert_eq!(concerns(request, Some(anything)).len(), 36);
        all_refused(
            request,
            &[
                ("{}", "refused_body /objectTypeId"),
                (r#"{"objecttypeid":"0-1"}"#, "refused_body /objectTypeId"),
                (r#"{"objectTypeId":"cars"}"#, "unknown_object /objectTypeId"),
                (r#"{"objectTypeId":1}"#, "refused_body /objectTypeId"),
                (
                    r#"{"objectTypeId":"0-1","filterBranch":{"filterBranches":[{"ObjectTypeId":"x"}]}}"#,
                    "unknown_object /filterBranch/filterBranches/0/ObjectTypeId",
                ),
                ("[]", "refused_body /"),
            ],
        );
    }
    assert_eq!(
        concerns(
            "PUT /crm/v3/lists/5/update-list-filters",
            Some(r#"{"filterBranch":{"objectTypeId":"0-3"}}"#)
        ),
        ["deals"]
    );
}

#[test]
fn memberships_concern_the_types_of_the_records_they_are_asked_for() {
    let batch = "POST /crm/v3/lists/records/memberships/batch/read";
    assert_eq!(
        concerns(
            batch,
            Some(
                r#"{"inputs":[{"objectTypeId":"0-1","recordId":"1"},{"objectTypeId":"0-2","recordId":"2"}]}"#
            )
        ),
        ["contacts", "companies"]
    );
    all_refused(
        batch,
        &[
            (
                r#"{"inputs":[{"recordId":"1"}]}"#,
                "refused_body /inputs/0/objectTypeId",
            ),
            (r#"{"inputs":[1]}"#, "refused_body /inputs/0"),
        ],
    );
    for request in [
        "GET /crm/v3/lists/records/0-1/5/memberships",
        "GET /crm/lists/2026-03/records/contacts/5/memberships",
        "GET /crm/v3/lists/object-type-id/0-1/name/vips",
    ] {
        assert_eq!(concerns(request, None), ["contacts"], "{request}");
    }
    assert_eq!(
        reason("GET /crm/v3/lists/records/cars/5/memberships", None),
        Reason::UnknownObject
    );
}
