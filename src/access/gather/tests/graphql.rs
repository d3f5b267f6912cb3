//! GraphQL, from the body to the needs. What documents resolve to is tested with the resolver.

use super::*;

const GRAPHQL: &str = "POST /collector/graphql";

#[test]
fn a_query_needs_each_type_and_each_link_it_follows() {
    all_need(
        GRAPHQL,
        &[
            (
                r#"{"query":"{ CRM { contact_collection(limit: 5) { items { email } } } }"}"#,
                &["collector.graphql.query read contacts"],
            ),
            (
                r#"{"operationName":"q","variables":{},"query":"query q { CRM { deal(uniqueIdentifier: \"id\", uniqueIdentifierValue: \"1\") { amount associations { company_collection__primary { items { name } } } } } }"}"#,
                &[
                    "collector.graphql.query read deals",
                    "collector.graphql.query read companies",
                    "crm.associations.list read deals+companies",
                ],
            ),
        ],
    );
    let facts = facts(GRAPHQL, Some(r#"{"query":"{CRM{deal{amount}}}"}"#)).unwrap();
    let operation = catalogue().operation(facts.main().operation).unwrap();
    assert!(operation.by_name_alone);
}

#[test]
fn a_request_in_another_form_is_refused() {
    all_refused(
        GRAPHQL,
        &[
            ("{}", "refused_body /query"),
            (r#"{"query":""}"#, "refused_body /query"),
            (r#"[{"query":"{CRM{deal{amount}}}"}]"#, "refused_body /"),
            (r#"{"query":["{CRM{deal{amount}}}"]}"#, "refused_body /query"),
            (
                r#"{"query":"{CRM{deal{amount}}}","extensions":{"persistedQuery":{}}}"#,
                "refused_body /extensions",
            ),
            (
                r#"{"query":"{CRM{deal{amount}}}","Query":"{CRM{contact{email}}}"}"#,
                "refused_body /Query",
            ),
            (r#"{"query":"{CRM{deal{amount}}}","id":"x"}"#, "refused_body /id"),
            (
                r#"{"query":"{CRM{deal{amount}}}","operationName":1}"#,
                "refused_body /operationName",
            ),
            (
                r#"{"query":"{CRM{deal{amount}}}","variables":"{}"}"#,
                "refused_body /variables",
            ),
            (
                r#"{"query":"mutation { CRM { deal { amount } } }"}"#,
                "refused_unjudged /query",
            ),
        ],
    );
    let with_query = "POST /collector/graphql?query=%7BCRM%7Bcontact%7Bemail%7D%7D%7D";
    assert_eq!(
        refused(with_query, r#"{"query":"{CRM{deal{amount}}}"}"#),
        "refused_query query"
    );
    assert_eq!(
        reason("GET /collector/graphql?query=x", None),
        Reason::UnknownOperation
    );
}
