//! Searches that filter by associations.

use super::*;

#[test]
fn a_filter_by_associations_reads_them() {
    let plain: &[&str] = &["crm.objects.search read contacts"];
    let tied: &[&str] = &[
        "crm.objects.search read contacts",
        "crm.associations.list read contacts+companies",
    ];
    for request in [
        "POST /crm/v3/objects/contacts/search",
        "POST /crm/objects/2026-03/0-1/search",
    ] {
        all_need(
            request,
            &[
                ("{}", plain),
                (
                    r#"{"filterGroups":[{"filters":[{"propertyName":"email","operator":"EQ","value":"associations.deal"}]}]}"#,
                    plain,
                ),
                (
                    r#"{"filterGroups":[{"filters":[{"propertyName":"associations.company","operator":"EQ","value":"1"}]}]}"#,
                    tied,
                ),
                (
                    r#"{"filterGroups":[{"filters":[]},{"filters":[{"propertyName":"Associations.0-2"}]}]}"#,
                    tied,
                ),
                (
                    r#"{"filters":[{"propertyName":" associations.companies "}]}"#,
                    tied,
                ),
                (r#"{"sorts":["-associations.company"]}"#, tied),
                (
                    r#"{"sorts":[{"propertyName":"associations.company","direction":"ASCENDING"}]}"#,
                    tied,
                ),
                (r#"{"properties":["email","associations.company"]}"#, tied),
            ],
        );
        all_refused(
            request,
            &[
                (
                    r#"{"filterGroups":[{"filters":[{"propertyName":"associations.car"}]}]}"#,
                    "unknown_object /filterGroups/0/filters/0/propertyName",
                ),
                (
                    r#"{"filterGroups":[{"filters":[{"propertyname":"associations.company"}]}]}"#,
                    "refused_unjudged /filterGroups/0/filters/0/propertyname",
                ),
                (r#"{"filter_groups":[]}"#, "refused_unjudged /filter_groups"),
                (
                    r#"{"filterGroups":[{"Filters":[]}]}"#,
                    "refused_unjudged /filterGroups/0/Filters",
                ),
                (r#"{"filterGroups":{"filters":[]}}"#, "refused_body /filterGroups"),
                (
                    r#"{"properties":"associations.company"}"#,
                    "refused_body /properties",
                ),
                (r#"{"sorts":[1]}"#, "refused_body /sorts/0"),
                ("[]", "refused_body /"),
            ],
        );
    }
    assert_eq!(
        reason("POST /crm/v3/objects/contacts/search", None),
        Reason::RefusedBody
    );
}
