//! Exports.

use super::*;

#[test]
fn an_export_needs_its_type_and_what_is_written_out_with_it() {
    for request in [
        "POST /crm/v3/exports/export/async",
        "POST /crm/exports/2026-03/export/async",
    ] {
        all_need(
            request,
            &[
                (
                    r#"{"exportType":"VIEW","objectType":"CONTACT","objectProperties":["email"]}"#,
                    &["crm.exports.export.async read contacts"],
                ),
                (
                    r#"{"objectType":"0-1","associatedObjectType":"COMPANY","overrideAssociatedObjectsPerDefinitionPerRowLimit":true}"#,
                    &[
                        "crm.exports.export.async read contacts",
                        "crm.exports.export.async read companies",
                        "crm.associations.list read contacts+companies",
                    ],
                ),
                (
                    r#"{"objectType":"2-7","associatedObjectType":["0-3"],"publicCrmSearchRequest":{"filters":[{"propertyName":"associations.ticket"}]}}"#,
                    &[
                        "crm.exports.export.async read 2-7",
                        "crm.exports.export.async read deals",
                        "crm.associations.list read 2-7+deals",
                        "crm.associations.list read 2-7+tickets",
                    ],
                ),
            ],
        );
        all_refused(
            request,
            &[
                ("{}", "refused_body /objectType"),
                (r#"{"objectType":"cars"}"#, "unknown_object /objectType"),
                (r#"{"objectType":["CONTACT"]}"#, "refused_body /objectType"),
                (
                    r#"{"ObjectType":"CONTACT","objectType":"DEAL"}"#,
                    "refused_unjudged /ObjectType",
                ),
                (
                    r#"{"objectType":"DEAL","associatedObjectType":"car"}"#,
                    "unknown_object /associatedObjectType",
                ),
                (
                    r#"{"objectType":"DEAL","associatedObjectTypes":["CONTACT"]}"#,
                    "refused_unjudged /associatedObjectTypes",
                ),
                (
                    r#"{"objectType":"DEAL","publicCrmSearchRequest":[]}"#,
                    "refused_body /publicCrmSearchRequest",
                ),
                (
                    r#"{"objectType":"DEAL","publicCrmSearchRequest":{"filters":[{"propertyName":"associations.x"}]}}"#,
                    "unknown_object /publicCrmSearchRequest/filters/0/propertyName",
                ),
                (
                    r#"{"objectType":"DEAL","objectProperties":[1]}"#,
                    "refused_body /objectProperties/0",
                ),
            ],
        );
        let risks = facts(request, Some(r#"{"objectType":"0-1"}"#))
            .unwrap()
            .main()
            .risks;
        assert_eq!(risks, Risks::parse("bulk-export").unwrap());
    }
}

/// The request says a type and a list, and which of them counts is HubSpot's to know.
#[test]
fn the_export_of_a_list_may_be_of_any_type() {
    let request = "POST /crm/v3/exports/export/async";
    let any: &[&str] = &[
        "crm.exports.export.async read contacts",
        "crm.exports.export.async read *",
    ];
    all_need(
        request,
        &[
            (
                r#"{"exportType":"LIST","listId":"7","objectType":"CONTACT"}"#,
                any,
            ),
            (r#"{"exportType":"LIST","objectType":"CONTACT"}"#, any),
            (r#"{"exportType":"list","objectType":"CONTACT"}"#, any),
            (r#"{"exportType":"VIEW","listId":7,"objectType":"CONTACT"}"#, any),
            (r#"{"listId":7,"objectType":"CONTACT"}"#, any),
            (
                r#"{"exportType":"VIEW","listId":null,"objectType":"CONTACT"}"#,
                &["crm.exports.export.async read contacts"],
            ),
        ],
    );
    all_refused(
        request,
        &[
            (
                r#"{"exportType":["LIST"],"objectType":"CONTACT"}"#,
                "refused_body /exportType",
            ),
            (
                r#"{"listID":7,"objectType":"CONTACT"}"#,
                "refused_unjudged /listID",
            ),
        ],
    );
}
