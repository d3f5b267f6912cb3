//! Whoever may not read `salary` must not learn it by asking which records have one, in whatever
//! spelling and carrier.

use super::{bounds, judged, outcome, shown};
use crate::access::query::Query;
use crate::access::target::Target;

/// `salary` is hidden by a list and by an exception; nothing else of note is.
const RULES: [&str; 2] = [
    "contacts read=email,firstname write=email; * read=all write=all",
    "contacts read=!salary write=all; * read=all write=all",
];

/// Every way to call contacts.
const CONTACTS: [&str; 5] = ["contacts", "contact", "CONTACT", "0-1", "%63ontacts"];
/// Every API that searches them.
const SEARCHES: [&str; 4] = [
    "/crm/v3/objects/T/search",
    "/crm/objects/v3/T/search",
    "/crm/objects/2026-03/T/search",
    "/crm/objects/2026-03/T/search/",
];
/// Spellings of the name, inside JSON quotes.
const NAMES: [&str; 8] = [
    "salary",
    "SALARY",
    "Salary",
    " salary",
    "salary ",
    "\\u0073alary",
    "sal\\u200bary",
    "company.salary",
];

fn stops(request: &str, body: &str, rules: &str) {
    let got = outcome(request, body, rules);
    assert!(
        got.starts_with("deny property") || got.starts_with("refuse"),
        "{request} {body} under {rules}: {got}"
    );
    assert!(
        got.starts_with("deny property") || !body.contains("\"salary\""),
        "{request} {body}: {got}"
    );
}

#[test]
fn no_search_filters_or_sorts_by_a_hidden_property_in_any_spelling() {
    let mut tried = 0;
    for rules in RULES {
        for path in SEARCHES {
            for object in CONTACTS {
                let request = format!("POST {}", path.replace('T', object));
                for name in NAMES {
                    for body in [
                        format!(
                            r#"{{"filterGroups":[{{"filters":[{{"propertyName":"{name}","operator":"GT","value":"1"}}]}}]}}"#
                        ),
                        format!(
                            r#"{{"filterGroups":[{{"filters":[{{"propertyName":"email","operator":"HAS_PROPERTY"}},{{"value":"1","operator":"GT","propertyName":"{name}"}}]}}]}}"#
                        ),
                        format!(r#"{{"filters":[{{"propertyName":"{name}","operator":"HAS_PROPERTY"}}]}}"#),
                        format!(r#"{{"sorts":["{name}"]}}"#),
                        format!(r#"{{"sorts":["-{name}"]}}"#),
                        format!(r#"{{"sorts":[{{"propertyName":"{name}","direction":"DESCENDING"}}]}}"#),
                    ] {
                        tried += 1;
                        stops(&request, &body, rules);
                    }
                }
                // Members in another case may be read as the member they resemble.
                for body in [
                    r#"{"filtergroups":[{"filters":[{"propertyName":"salary"}]}]}"#,
                    r#"{"filterGroups":[{"Filters":[{"propertyName":"salary"}]}]}"#,
                    r#"{"filterGroups":[{"filters":[{"propertyname":"salary"}]}]}"#,
                    r#"{"Sorts":["salary"]}"#,
                    r#"{"sort":"salary"}"#,
                    r#"{"filterGroups":{"filters":[{"propertyName":"salary"}]}}"#,
                    r#"{"filterGroups":[[{"propertyName":"salary"}]]}"#,
                ] {
                    tried += 1;
                    let got = outcome(&request, body, rules);
                    assert!(got.starts_with("refuse refused_body"), "{body}: {got}");
                }
            }
        }
    }
    assert!(tried > 2000, "{tried}");
}

#[test]
fn no_read_looks_a_record_up_by_a_hidden_property() {
    for rules in RULES {
        for object in CONTACTS {
            for name in ["salary", "SALARY", "%20salary", "s%61lary"] {
                for base in [
                    "/crm/v3/objects/T/1",
                    "/crm/objects/v3/T/1",
                    "/crm/objects/2026-03/T/1",
                ] {
                    let path = base.replace('T', object);
                    stops(&format!("GET {path}?idProperty={name}"), "", rules);
                    stops(
                        &format!("PATCH {path}?idProperty={name}"),
                        r#"{"properties":{}}"#,
                        rules,
                    );
                }
            }
            let batch = |verb: &str| format!("POST /crm/v3/objects/{object}/batch/{verb}");
            for name in NAMES {
                for (verb, body) in [
                    (
                        "read",
                        format!(r#"{{"idProperty":"{name}","inputs":[{{"id":"1"}}]}}"#),
                    ),
                    (
                        "read",
                        format!(r#"{{"inputs":[{{"id":"1","idProperty":"{name}"}}]}}"#),
                    ),
                    (
                        "update",
                        format!(r#"{{"inputs":[{{"id":"1","idProperty":"{name}","properties":{{}}}}]}}"#),
                    ),
                    (
                        "upsert",
                        format!(r#"{{"inputs":[{{"id":"1","idProperty":"{name}","properties":{{}}}}]}}"#),
                    ),
                ] {
                    stops(&batch(verb), &body, rules);
                }
            }
        }
    }
}

#[test]
fn free_text_passes_only_where_all_that_it_looks_at_is_readable() {
    let all = "firstname,lastname,email,phone,hs_additional_emails,fax,mobilephone,company,hs_marketable_until_renewal";
    for (rules, passes) in [
        (format!("contacts read={all}"), true),
        ("contacts read=!salary".to_owned(), true),
        ("contacts read=email,firstname".to_owned(), false),
        ("contacts read=!phone".to_owned(), false),
        // What is derived from it is hidden with it.
        ("contacts read=!email".to_owned(), false),
        ("contacts read=none".to_owned(), false),
    ] {
        for (request, body) in [
            (
                "POST /crm/v3/objects/contacts/search",
                r#"{"query":"a","properties":["hs_object_id"]}"#,
            ),
            ("GET /contacts/v1/search/query?q=a", ""),
        ] {
            let got = outcome(request, body, &rules);
            assert_eq!(
                !got.starts_with("deny property"),
                passes,
                "{request} {rules}: {got}"
            );
        }
        let empty = outcome(
            "POST /crm/v3/objects/contacts/search",
            r#"{"query":" ","properties":["hs_object_id"]}"#,
            &rules,
        );
        assert_eq!(empty, "same");
    }
    // Nobody says what is looked at.
    for object in ["leads", "p_car", "2-1", "line_items"] {
        let got = outcome(
            &format!("POST /crm/v3/objects/{object}/search"),
            r#"{"query":"a"}"#,
            &format!("{object} read=!salary"),
        );
        assert_eq!(got, "deny property * at /query", "{object}");
    }
}

#[test]
fn links_are_no_properties_and_nothing_that_resembles_them_passes_as_one() {
    for (name, expected) in [
        ("associations.company", "same"),
        ("associations.0-2", "same"),
        (
            "Associations.company",
            "deny property associations.company at /filters/0/propertyName",
        ),
        (
            "associations.company.salary",
            "deny property associations.company.salary at /filters/0/propertyName",
        ),
        (
            "associations.",
            "deny property associations. at /filters/0/propertyName",
        ),
    ] {
        let body = format!(
            r#"{{"properties":["email"],"filters":[{{"propertyName":"{name}","operator":"EQ","value":"1"}}]}}"#
        );
        let got = judged(
            "POST /crm/v3/objects/contacts/search",
            &body,
            &["contacts"],
            &bounds(RULES[0]),
        );
        assert_eq!(shown(got), expected, "{name}");
    }
}

/// Carriers in queries are read by their exact names; what resembles one never gets this far.
#[test]
fn near_misses_of_carriers_in_queries_are_refused() {
    for query in [
        "Properties=salary",
        "properties[]=salary",
        "properties%5B0%5D=salary",
        "PROPERTIESWITHHISTORY=salary",
        "idproperty=salary",
        "IDProperty=salary",
    ] {
        assert!(Query::parse(query).is_err(), "{query}");
    }
    for query in [
        "sort=salary",
        "Sort=salary",
        "sorts=-salary",
        "order=salary",
        "sort=email,salary",
        "orderBy=salary",
    ] {
        for path in ["/crm/v3/objects/contacts", "/contacts/v1/search/query"] {
            stops(&format!("GET {path}?{query}"), "", RULES[0]);
        }
    }
    assert!(Target::parse("GET", "/crm/v3/objects/contacts?sort=email&order=DESC").is_ok());
    assert_eq!(
        outcome(
            "GET /contacts/v1/lists/all/contacts/all?sort=email&order=DESC&property=email&formSubmissionMode=none",
            "",
            RULES[0]
        ),
        "up ?sort=email&order=DESC&property=email&formSubmissionMode=none"
    );
}

#[test]
fn lists_filter_by_readable_properties_only() {
    let create = "POST /crm/v3/lists";
    let list = |branch: &str| {
        format!(r#"{{"name":"x","objectTypeId":"0-1","processingType":"DYNAMIC","filterBranch":{branch}}}"#)
    };
    let and = |filter: &str| {
        format!(
            r#"{{"filterBranchType":"OR","filterBranches":[{{"filterBranchType":"AND","filters":[{filter}]}}]}}"#
        )
    };
    let at = "/filterBranch/filterBranches/0/filters/0";
    let by = |name: &str| {
        format!(
            r#"{{"filterType":"PROPERTY","property":"{name}","operation":{{"operationType":"NUMBER","operator":"IS_GREATER_THAN","value":1}}}}"#
        )
    };
    let cases = [
        (list(&and(&by("email"))), "same".to_owned()),
        (
            list(&and(&by("salary"))),
            format!("deny property salary at {at}/property"),
        ),
        (
            list(&and(&by("Salary"))),
            format!("deny property salary at {at}/property"),
        ),
        (
            list(&and(
                r#"{"filterType":"PROPERTY","property":"email","operation":{"operationType":"COMPARATIVE_DATE","comparisonPropertyName":"salary"}}"#,
            )),
            format!("deny property salary at {at}/operation/comparisonPropertyName"),
        ),
        (
            list(&and(
                r#"{"filterType":"PROPERTY","property":"email","operation":{"timePoint":{"timeType":"PROPERTY_REFERENCED","property":"salary"}}}"#,
            )),
            format!("deny property salary at {at}/operation/timePoint/property"),
        ),
        (
            list(&and(
                r#"{"filterType":"PROPERTY","property":"email","operation":{"operationType":"TIME_RANGED","propertyParser":"UPDATED_AT","lowerBoundTimePoint":{"timeType":"DATE","timezoneSource":"CUSTOM","zoneId":"UTC","year":2026,"month":1,"day":1}}}"#,
            )),
            "same".to_owned(),
        ),
        (
            list(&and(
                r#"{"filterType":"PROPERTY","property":"email","operation":{"propertyParser":"salary"}}"#,
            )),
            format!("deny property salary at {at}/operation/propertyParser"),
        ),
        (
            list(&and(
                r#"{"filterType":"IN_LIST","listId":"1","operator":"IN_LIST"}"#,
            )),
            "same".to_owned(),
        ),
        (
            list(&and(r#"{"filterType":"FORM_SUBMISSION","formId":"1"}"#)),
            format!("refuse refused_body at {at}/filterType"),
        ),
        (
            list(
                r#"{"filterBranchType":"AND","filterBranches":[{"filterBranchType":"ASSOCIATION","objectTypeId":"0-2","filters":[{"filterType":"PROPERTY","property":"salary"}]}]}"#,
            ),
            "same".to_owned(),
        ),
        (
            list(
                r#"{"filterBranchType":"ASSOCIATION","objectTypeId":"0-1","filters":[{"filterType":"PROPERTY","property":"salary"}]}"#,
            ),
            "deny property salary at /filterBranch/filters/0/property".to_owned(),
        ),
        (
            list(
                r#"{"filterBranchType":"PROPERTY_ASSOCIATION","objectTypeId":"0-2","propertyWithObjectId":"salary","filters":[]}"#,
            ),
            "refuse refused_body at /filterBranch/propertyWithObjectId".to_owned(),
        ),
        (
            list(r#"{"filterBranchType":"UNIFIED_EVENTS","filters":[]}"#),
            "refuse refused_body at /filterBranch/filterBranchType".to_owned(),
        ),
        (
            r#"{"name":"x","objectTypeId":"0-1","processingType":"MANUAL"}"#.to_owned(),
            "same".to_owned(),
        ),
        (
            r#"{"name":"x","processingType":"MANUAL"}"#.to_owned(),
            "refuse refused_body at /objectTypeId".to_owned(),
        ),
        (
            r#"{"name":"x","objectTypeId":"0-1","FilterBranch":{}}"#.to_owned(),
            "refuse refused_body at /FilterBranch".to_owned(),
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(
            shown(judged(create, &body, &["contacts"], &bounds(RULES[0]))),
            expected,
            "{body}"
        );
    }
    // Of which type a list is stands in HubSpot alone: every type's rule holds.
    let update = format!(r#"{{"filterBranch":{}}}"#, and(&by("salary")));
    for rules in RULES {
        let got = outcome("PUT /crm/v3/lists/7/update-list-filters", &update, rules);
        assert_eq!(got, format!("deny property salary at {at}/property"));
    }
}
