//! What query and body add to the row.

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
        format!("{} {} {}", operation.id, need.effect.as_str(), types.join("+"))
    };
    facts.needs.iter().map(line).collect()
}

fn reason(request: &str, body: Option<&str>) -> Reason {
    match facts(request, body) {
        Ok(facts) => panic!("{request} {body:?} passed: {facts:?}"),
        Err(refusal) => refusal.reason,
    }
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
fn a_create_passes_only_without_associations() {
    let create = "POST /crm/v3/objects/contacts";
    for body in [
        r#"{"properties":{"email":"a@x.io"}}"#,
        r#"{"properties":{},"associations":[]}"#,
        r#"{"properties":{},"associations":null}"#,
        r#"{"properties":{"associations":"a property of that name"}}"#,
    ] {
        assert_eq!(
            needs(create, Some(body)),
            ["crm.objects.create write contacts"],
            "{body}"
        );
    }
    for body in [
        r#"{"properties":{},"associations":[{"to":{"id":"1"},"types":[]}]}"#,
        r#"{"associations":{"x":1}}"#,
        r#"{"associations":"x"}"#,
        r#"{"associations":0}"#,
        r#"{"associations":false}"#,
        r#"{"\u0061ssociations":[1]}"#,
        r#"{"Associations":[1]}"#,
    ] {
        assert_eq!(reason(create, Some(body)), Reason::RefusedUnjudged, "{body}");
    }
    for body in [
        "[]",
        "1",
        "\"associations\"",
        r#"{"associations":[],"associations":[1]}"#,
        "{",
    ] {
        assert_eq!(reason(create, Some(body)), Reason::RefusedBody, "{body}");
    }
    assert_eq!(reason(create, None), Reason::RefusedBody);
}

#[test]
fn batches_are_judged_item_by_item_in_every_spelling_of_the_path() {
    for path in [
        "/crm/v3/objects/contacts/batch/create",
        "/crm/objects/v3/0-1/batch/create",
        "/crm/objects/2026-03/contact/batch/upsert",
        "/crm/v3/objects/deals/batch/create",
        "/crm/v3/objects/p_car/batch/upsert",
    ] {
        let request = format!("POST {path}");
        assert_eq!(
            needs(
                &request,
                Some(r#"{"inputs":[{"properties":{}},{"associations":[]}]}"#)
            )
            .len(),
            1
        );
        for body in [
            r#"{"inputs":[{"properties":{}},{"associations":[{}]}]}"#,
            r#"{"inputs":[],"associations":[1]}"#,
            r#"{"Inputs":[{"associations":[1]}]}"#,
        ] {
            assert_eq!(
                reason(&request, Some(body)),
                Reason::RefusedUnjudged,
                "{path} {body}"
            );
        }
        for body in [
            r#"{"inputs":{"associations":[1]}}"#,
            r#"{"inputs":[[]]}"#,
            r#"{"inputs":"x"}"#,
        ] {
            assert_eq!(reason(&request, Some(body)), Reason::RefusedBody, "{path} {body}");
        }
    }
    let legacy = Some(r#"{"associations":{"associatedVids":[1]}}"#);
    assert_eq!(reason("POST /deals/v1/deal", legacy), Reason::RefusedUnjudged);
}

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
fn operations_whose_types_stand_in_the_body_are_refused() {
    for request in [
        "POST /crm/v3/imports",
        "GET /crm/v3/imports",
        "POST /crm/v3/exports/export/async",
        "POST /collector/graphql",
        "POST /crm/v3/lists",
        "POST /crm/v3/lists/records/memberships/batch/read",
        "POST /crm-object-schemas/v3/schemas/batch/read",
        "POST /crm/v3/timeline/events",
        "POST /integrators/timeline/v3/events",
        "POST /engagements/v1/engagements",
        "GET /engagements/v1/engagements/paged",
        "PUT /crm-associations/v1/associations",
        "PUT /crm-associations/v1/associations/delete-batch",
        "PUT /integrations/v1/7/timeline/event",
        "POST /scheduler/v3/meetings/meeting-links/book",
        "POST /webhooks-journal/snapshots/2026-03/crm",
    ] {
        assert_eq!(reason(request, Some("{}")), Reason::RefusedUnjudged, "{request}");
    }
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
fn a_schema_that_ties_itself_to_other_types_is_refused() {
    for path in [
        "/crm/v3/schemas",
        "/crm/schemas/v3",
        "/crm-object-schemas/v3/schemas",
        "/crm-object-schemas/2025-09/schemas",
        "/crm-object-schemas/2026-03/schemas",
        "/crm-object-schemas/2026-09/schemas",
    ] {
        let create = format!("POST {path}");
        for body in [
            r#"{"name":"car","associatedObjects":["CONTACT"]}"#,
            r#"{"name":"car","associatedObjects":"0-1"}"#,
            r#"{"name":"car","AssociatedObjects":["0-1"]}"#,
            r#"{"name":"car","associatedObjects":{"0-1":{}}}"#,
        ] {
            assert_eq!(
                reason(&create, Some(body)),
                Reason::RefusedUnjudged,
                "{create} {body}"
            );
        }
        for body in [
            r#"{"name":"car"}"#,
            r#"{"name":"car","associatedObjects":null}"#,
            r#"{"name":"car","associatedObjects":[]}"#,
        ] {
            assert_eq!(
                needs(&create, Some(body)),
                ["crm.schemas.create write "],
                "{create} {body}"
            );
        }
        assert_eq!(reason(&create, Some("[]")), Reason::RefusedBody);
        assert_eq!(reason(&create, None), Reason::RefusedBody);
    }
}

#[test]
fn bodies_that_name_another_type_than_the_path_are_refused() {
    let between = r#"{"fromObjectTypeId":"0-1","toObjectTypeId":"0-3","name":"x"}"#;
    for request in [
        "POST /crm/v3/schemas/2-1/associations",
        "POST /crm/schemas/v3/2-1/associations",
        "POST /crm-object-schemas/v3/schemas/2-1/associations",
        "POST /crm-object-schemas/2025-09/schemas/p_car/associations",
        "POST /crm-object-schemas/2026-03/schemas/2-1/associations",
        "POST /crm-object-schemas/2026-09/schemas/2-1/associations",
        "POST /media-bridge/v1/7/schemas/2-1/associations",
        "POST /media-bridge/2026-03/7/schemas/2-1/associations",
        "POST /webhooks-journal/subscriptions/2026-03",
        "PUT /extensions/ecomm/v2/sync/messages",
        "POST /extensions/ecomm/v2/imports/page",
    ] {
        assert_eq!(
            reason(request, Some(between)),
            Reason::RefusedUnjudged,
            "{request}"
        );
    }
}
