//! Whatever the client sends: what goes up names no hidden property in any carrier.

use proptest::prelude::*;

use super::{bounds, judged};
use crate::access::json::{Json, JudgedBody, Text};
use crate::access::query::Query;

const HIDDEN: [&str; 3] = ["salary", "ssn", "hs_email_domain"];
const RULES: [&str; 3] = [
    "contacts read=email,firstname write=email,firstname",
    "contacts read=!salary,ssn,email write=!salary,ssn,hs_email_domain",
    "deny contacts read=email write=email; * read=all write=all",
];

fn a_name() -> impl Strategy<Value = String> {
    let base = prop_oneof![
        Just("email"),
        Just("firstname"),
        Just("createdate"),
        Just("salary"),
        Just("ssn"),
        Just("hs_email_domain"),
        Just("associations.company"),
        Just("x.salary"),
        Just(""),
    ];
    (base, 0u8..6).prop_map(|(name, how)| match how {
        0 => name.to_uppercase(),
        1 => format!(" {name} "),
        2 => format!("-{name}"),
        3 => format!("{name}\u{a0}"),
        _ => name.to_owned(),
    })
}

fn a_key() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "properties", "propertiesWithHistory", "inputs", "id", "idProperty", "filterGroups", "filters",
            "propertyName", "sorts", "query", "limit", "direction", "operator", "name", "property",
        ]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["Properties", "FILTERS", "sort", "fields", "facets"]).prop_map(str::to_owned),
        1 => a_name(),
    ]
}

fn a_body() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        6 => a_name().prop_map(|name| Json::String(name.into())),
        1 => Just(Json::Null),
        1 => Just(Json::Number("1".into())),
        1 => Just(Json::Bool(true)),
    ];
    let inner = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            members(inner),
        ]
    });
    members(inner)
}

fn members(value: impl Strategy<Value = Json>) -> impl Strategy<Value = Json> {
    prop::collection::vec((a_key().prop_map(Text::from), value), 0..4).prop_map(|mut list| {
        list.sort_by(|a, b| a.0.cmp(&b.0));
        list.dedup_by(|a, b| a.0 == b.0);
        Json::Object(list)
    })
}

/// Bodies of about the documented form, so that many of them pass.
fn a_likely_body() -> impl Strategy<Value = Json> {
    let names = || {
        prop::collection::vec(a_name().prop_map(|name| Json::String(name.into())), 0..4).prop_map(Json::Array)
    };
    let filter = a_name().prop_map(|name| {
        Json::Object(vec![
            ("propertyName".into(), Json::String(name.into())),
            ("operator".into(), Json::String("EQ".into())),
        ])
    });
    let filters = prop::collection::vec(filter, 0..3).prop_map(Json::Array);
    (
        prop::option::of(names()),
        prop::option::of(names()),
        prop::option::of(filters),
        prop::option::of(a_name()),
    )
        .prop_map(|(properties, sorts, filters, id)| {
            let mut out = Vec::new();
            out.extend(properties.map(|value| ("properties".into(), value)));
            out.extend(sorts.map(|value| ("sorts".into(), value)));
            out.extend(filters.map(|value| ("filters".into(), value)));
            out.extend(id.map(|value| ("idProperty".into(), Json::String(value.into()))));
            Json::Object(out)
        })
}

fn names_hidden(text: &str) -> bool {
    let plain: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    let plain = plain.to_lowercase();
    HIDDEN.contains(&plain.as_str())
        || plain
            .rsplit_once('.')
            .is_some_and(|(_, last)| HIDDEN.contains(&last))
}

/// Any string or key that names a hidden property, but for the values of ids and free text.
fn holds_hidden(value: &Json) -> bool {
    match value {
        Json::String(text) => names_hidden(text),
        Json::Array(items) => items.iter().any(holds_hidden),
        Json::Object(members) => members
            .iter()
            .filter(|(key, _)| {
                ![
                    "id",
                    "query",
                    "limit",
                    "operator",
                    "direction",
                    "after",
                    "objectWriteTraceId",
                ]
                .contains(&key.as_str())
            })
            .any(|(key, value)| names_hidden(key) || holds_hidden(value)),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn no_body_that_goes_up_names_a_hidden_property(
        body in prop_oneof![a_body(), a_likely_body()],
        rules in prop::sample::select(RULES.to_vec()),
        path in prop::sample::select(vec![
            "POST /crm/v3/objects/contacts/search",
            "POST /crm/objects/2026-03/0-1/search",
            "POST /crm/v3/objects/contacts/batch/read",
        ]),
    ) {
        let text = String::from_utf8(JudgedBody::from(body.clone()).rebuild()).unwrap();
        if let Ok(plan) = judged(path, &text, &[], &bounds(rules)) {
            let up = plan.body.unwrap_or(body);
            prop_assert!(!holds_hidden(&up), "{up:?}");
        }
    }

    #[test]
    fn no_write_that_goes_up_sets_a_property_that_may_not_be(
        names in prop::collection::vec(a_name(), 0..3),
        rules in prop::sample::select(RULES.to_vec()),
    ) {
        let mut properties: Vec<_> = names.into_iter().map(|name| (Text::from(name), Json::Number("1".into()))).collect();
        properties.sort_by(|a, b| a.0.cmp(&b.0));
        properties.dedup_by(|a, b| a.0 == b.0);
        let properties = Json::Object(properties);
        let text = String::from_utf8(JudgedBody::from(properties.clone()).rebuild()).unwrap();
        let one = format!(r#"{{"properties":{text}}}"#);
        let many = format!(r#"{{"inputs":[{{"id":"1","properties":{text}}}]}}"#);
        for (request, body) in [
            ("PATCH /crm/v3/objects/contacts/1", one),
            ("POST /crm/v3/objects/contacts/batch/update", many),
        ] {
            if judged(request, &body, &[], &bounds(rules)).is_ok() {
                prop_assert!(!holds_hidden(&properties), "{body}");
            }
        }
    }

    #[test]
    fn no_query_that_goes_up_names_a_hidden_property(
        lists in prop::collection::vec(
            (
                prop::sample::select(vec!["properties", "propertiesWithHistory", "property", "sort", "idProperty"]),
                prop::collection::vec(a_name(), 0..4),
            ),
            0..4,
        ),
        rules in prop::sample::select(RULES.to_vec()),
        path in prop::sample::select(vec![
            "GET /crm/v3/objects/contacts",
            "GET /crm/objects/2026-03/0-1/1",
            "GET /contacts/v1/lists/all/contacts/all",
            "GET /contacts/v1/contact/vid/1/profile",
        ]),
    ) {
        let mut query = String::new();
        for (name, values) in &lists {
            if *name == "idProperty" && query.contains("idProperty") {
                continue;
            }
            let value: String = values.join(",").bytes().map(|b| format!("%{b:02x}")).collect();
            query += &format!("{name}={value}&");
        }
        if let Ok(plan) = judged(&format!("{path}?{query}"), "", &[], &bounds(rules)) {
            let up = plan.query.unwrap_or_else(|| Query::parse(&query).unwrap());
            for (name, value) in up.iter() {
                prop_assert!(!value.split(',').any(names_hidden), "{name}={value}");
            }
        }
    }
}
