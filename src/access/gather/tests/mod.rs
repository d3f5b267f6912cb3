//! What query and body add to the row, a file a reader.

mod any_body;
mod associations;
mod count;
mod engagements;
mod exports;
mod graphql;
mod imports;
mod links;
mod lists;
mod meetings;
mod removal;
mod schemas;
mod search;
mod timeline;

use super::*;

fn catalogue() -> &'static Catalogue {
    static CATALOGUE: std::sync::LazyLock<Catalogue> =
        std::sync::LazyLock::new(|| Catalogue::embedded().unwrap());
    &CATALOGUE
}

fn facts(request: &str, body: Option<&str>) -> Result<Facts, Refusal> {
    let (method, target) = request.split_once(' ').unwrap();
    let target = Target::parse(method, target)?;
    let recognised = catalogue().recognise(&target)?;
    let body = match body {
        Some(text) => Some(JudgedBody::parse(text.as_bytes())?),
        None => None,
    };
    gather(catalogue(), &recognised, &target, body.as_ref())
}

/// One line a need: operation, effect, types.
fn needs(request: &str, body: Option<&str>) -> Vec<String> {
    let facts = facts(request, body).unwrap_or_else(|refusal| panic!("{request}: {refusal:?}"));
    let line = |need: &Need| {
        let operation = catalogue().operation(need.operation).unwrap();
        let types: Vec<&str> = need
            .touches
            .iter()
            .filter_map(|touch| touch.object.as_ref())
            .map(|object| catalogue().object_name(object))
            .collect();
        // A request that does not say its type touches every one.
        let types = match types.len() {
            0..=2 => types.join("+"),
            _ => "*".to_owned(),
        };
        format!("{} {} {types}", operation.id, need.effect.as_str())
    };
    facts.needs.iter().map(line).collect()
}

fn reason(request: &str, body: Option<&str>) -> Reason {
    match facts(request, body) {
        Ok(facts) => panic!("{request} {body:?} passed: {facts:?}"),
        Err(refusal) => refusal.reason,
    }
}

/// `reason place` of a refusal.
fn refused(request: &str, body: &str) -> String {
    let refusal = match facts(request, Some(body)) {
        Ok(facts) => panic!("{request} {body} passed: {facts:?}"),
        Err(refusal) => refusal,
    };
    let place = refusal.place.as_ref().map_or("-", Place::as_str);
    format!("{} {place}", refusal.reason.as_str())
}

/// Each body is refused, with this reason and place.
fn all_refused(request: &str, cases: &[(&str, &str)]) {
    for (body, expected) in cases {
        assert_eq!(refused(request, body), *expected, "{request} {body}");
    }
}

/// Each body needs exactly these things.
fn all_need(request: &str, cases: &[(&str, &[&str])]) {
    for (body, expected) in cases {
        assert_eq!(needs(request, Some(body)), *expected, "{request} {body}");
    }
}

/// The types a request concerns.
fn concerns(request: &str, body: Option<&str>) -> Vec<String> {
    let facts = facts(request, body).unwrap_or_else(|refusal| panic!("{request}: {refusal:?}"));
    let names = facts
        .concerns
        .iter()
        .map(|object| catalogue().object_name(object).to_owned());
    names.collect()
}

#[test]
fn a_plain_read_needs_its_operation_on_its_type() {
    assert_eq!(
        needs("GET /crm/v3/objects/0-1/5", None),
        ["crm.objects.get read contacts"]
    );
    assert_eq!(needs("GET /crm/v3/owners", None), ["crm.owners.list read "]);
    assert_eq!(
        needs(
            "PUT /crm/v4/objects/contacts/1/associations/default/companies/2",
            None
        ),
        ["crm.associations.create write contacts+companies"]
    );
}

#[test]
fn associations_in_a_query_are_reads_of_their_own() {
    for query in [
        "associations=companies&associations=notes",
        "associations=companies,notes",
        "associations=0-2,NOTE",
        "associations=%63ompany%2C+note,companies",
        "limit=5&associations=companies,,notes&archived=false",
    ] {
        assert_eq!(
            needs(&format!("GET /crm/v3/objects/contacts?{query}"), None),
            [
                "crm.objects.list read contacts",
                "crm.associations.list read contacts+companies",
                "crm.associations.list read contacts+notes",
            ],
            "{query}"
        );
    }
    assert_eq!(
        needs("GET /crm/objects/2026-03/deals/1?associations=p_car", None).len(),
        2,
        "a custom object is a type like any other"
    );
}

#[test]
fn associations_that_are_not_understood_are_refused() {
    let list = "GET /crm/v3/objects/contacts";
    assert_eq!(
        reason(&format!("{list}?associations=companies,cars"), None),
        Reason::UnknownObject
    );
    assert_eq!(
        reason(&format!("{list}?Associations=companies"), None),
        Reason::RefusedQuery
    );
    assert_eq!(
        reason(&format!("{list}?associations[]=companies"), None),
        Reason::RefusedQuery
    );
    assert_eq!(
        reason("GET /crm/v3/owners?associations=contacts", None),
        Reason::RefusedQuery
    );
    assert_eq!(
        reason("GET /crm/v3/properties/contacts?associations=contacts", None),
        Reason::RefusedQuery
    );
    let many: Vec<String> = (0..=ASSOCIATED_TYPES).map(|n| format!("2-{n}")).collect();
    assert_eq!(
        reason(&format!("{list}?associations={}", many.join(",")), None),
        Reason::RefusedQuery
    );
}

#[test]
fn archived_raises_the_removal_of_a_schema_and_nothing_else() {
    let schema = "DELETE /crm-object-schemas/v3/schemas/p_car";
    for (query, effect) in [
        ("", "delete"),
        ("?archived=false", "delete"),
        ("?archived=true", "irreversible"),
        ("?archived=TRUE", "irreversible"),
        ("?archived=1", "irreversible"),
        ("?archived", "irreversible"),
        ("?%61rchived=true", "irreversible"),
    ] {
        let expected = format!("crm.schemas.archive {effect} p_car");
        assert_eq!(needs(&format!("{schema}{query}"), None), [expected], "{query}");
    }
    assert_eq!(
        needs("GET /crm/v3/objects/contacts?archived=true", None),
        ["crm.objects.list read contacts"]
    );
}

#[test]
fn risks_travel_with_the_need() {
    let facts = facts("POST /marketing/v3/emails/5/publish", None).unwrap();
    assert_eq!(facts.main().risks.names().collect::<Vec<_>>(), ["sends-message"]);
}

#[test]
fn a_v1_deal_with_its_associations_is_a_read_of_each_of_them() {
    let with = "GET /deals/v1/deal/paged?includeAssociations=True";
    let needed = needs(with, None);
    assert_eq!(needed.len(), 5, "{needed:?}");
    for other in ["contacts", "companies", "deals", "tickets"] {
        assert!(
            needed.contains(&format!("crm.associations.list read deals+{other}")),
            "{needed:?}"
        );
    }
    assert_eq!(
        needs("GET /deals/v1/deal/paged?includeAssociations=False", None).len(),
        1
    );
    assert_eq!(
        reason("GET /crm/v3/owners?includeAssociations=true", None),
        Reason::RefusedQuery
    );
    let twice = Target::parse(
        "GET",
        "/deals/v1/deal/paged?includeAssociations=false&includeAssociations=true",
    );
    assert_eq!(twice.unwrap_err().reason, Reason::RefusedQuery);
}

#[test]
fn operations_that_nothing_reads_are_refused() {
    for request in [
        "POST /crm/task-series/2026-09-beta",
        "POST /webhooks-journal/snapshots/2026-03/crm",
        "POST /webhooks-journal/snapshots/2027-03-beta/crm",
        "POST /webhooks-journal/subscriptions/2026-03",
        "POST /webhooks-journal/subscriptions/2027-03-beta",
        "PUT /extensions/ecomm/v2/sync/messages",
        "POST /extensions/ecomm/v2/imports/page",
    ] {
        assert_eq!(reason(request, Some("{}")), Reason::RefusedUnjudged, "{request}");
    }
    let unread: Vec<&str> = catalogue()
        .operations()
        .filter(|(_, operation)| operation.unjudged)
        .map(|(_, operation)| &*operation.id)
        .collect();
    assert_eq!(
        unread,
        [
            "crm.task-series.create",
            "extensions.ecomm.imports.page",
            "extensions.ecomm.sync.messages.replace",
            "webhooks-journal.snapshots.crm",
            "webhooks-journal.subscriptions.create",
        ]
    );
}

#[test]
fn a_body_that_decides_must_be_there_and_be_what_is_documented() {
    for (_, operation) in catalogue().operations() {
        for row in operation.rows.iter().filter_map(|index| catalogue().row(*index)) {
            let Some(reader) = row.reader().filter(|reader| reader.reads_body()) else {
                continue;
            };
            let path: Vec<&str> = row
                .template
                .split('/')
                .map(|segment| if segment.starts_with('{') { "2-7" } else { segment })
                .collect();
            let request = format!("{} {}", row.method.as_str(), path.join("/"));
            assert_eq!(reason(&request, None), Reason::RefusedBody, "{request}");
            for hostile in ["1", "\"x\"", "[1]", "[[]]", "{}", "null", "true"] {
                let found = facts(&request, Some(hostile));
                let is_harmless = reader == Reader::EngagementUpdate || reader == Reader::Meeting;
                match found {
                    Ok(_) => assert!(is_harmless && hostile == "{}", "{request} {hostile}"),
                    Err(refusal) => assert!(
                        matches!(refusal.reason, Reason::RefusedBody | Reason::RefusedUnjudged),
                        "{request} {hostile} {refusal:?}"
                    ),
                }
            }
        }
    }
}
