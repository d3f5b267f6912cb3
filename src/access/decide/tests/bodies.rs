//! Operations whose types stand in the body: opened by name with `objects`, end to end.

use super::*;
use crate::access::explain::{Asked, Explanation, Under, explain};

fn explained(policy: &Policy, ceiling: Option<&Ceiling>, request: &str, body: &str) -> Explanation {
    let (method, target) = request.split_once(' ').unwrap();
    let asked = Asked {
        method,
        target,
        body: (!body.is_empty()).then_some(body.as_bytes()),
        content_type: None,
    };
    let under = Under {
        policy,
        ceiling,
        connection: ACME,
        now: now(),
    };
    explain(catalogue(), &asked, Some(&under))
}

/// `allow`, or `deny REASON`, under these rules.
fn decided(rules: &str, request: &str, body: &str) -> String {
    let found = explained(&policy(rules), None, request, body);
    match (found.decision, found.reason) {
        (Some("allow"), _) => "allow".to_owned(),
        (Some(decision), reason) => format!("{decision} {}", reason.unwrap_or("-")),
        (None, _) => "none".to_owned(),
    }
}

const IMPORT: &str = r#"{"importOperations":{"0-1":"UPSERT","0-2":"UPSERT"},"files":[]}"#;
const EXPORT: &str = r#"{"objectType":"CONTACT","associatedObjectType":"COMPANY"}"#;
const LINKED: &str = r#"{"properties":{},"associations":[{"to":{"id":"1"},"types":[{"associationCategory":"HUBSPOT_DEFINED","associationTypeId":279}]}]}"#;
const GRAPHQL: &str =
    r#"{"query":"{CRM{contact{email associations{company_collection__primary{items{name}}}}}}"}"#;

#[test]
fn a_rule_that_names_the_operation_opens_the_types_it_lists() {
    let links = "operation: crm.associations.create\n    objects: [contacts, companies]";
    let reads = "operation: crm.associations.list\n    objects: [contacts, companies]";
    for (request, body, operation, with) in [
        ("POST /crm/v3/imports", IMPORT, "crm.imports.create", links),
        (
            "POST /crm/v3/exports/export/async",
            EXPORT,
            "crm.exports.export.async",
            reads,
        ),
        (
            "POST /collector/graphql",
            GRAPHQL,
            "collector.graphql.query",
            reads,
        ),
        (
            "POST /crm-object-schemas/v3/schemas/batch/read",
            r#"{"inputs":["0-1","0-2"]}"#,
            "crm.schemas.batch.read",
            links,
        ),
        (
            "POST /crm/v3/schemas/contacts/associations",
            r#"{"fromObjectTypeId":"0-1","toObjectTypeId":"0-2","name":"x"}"#,
            "crm.schemas.associations.create",
            links,
        ),
        (
            "PUT /crm-associations/v1/associations",
            r#"{"category":"HUBSPOT_DEFINED","definitionId":1}"#,
            "crm-associations.create",
            links,
        ),
        (
            "POST /crm/v3/timeline/events",
            r#"{"email":"a@x.io","domain":"x.io"}"#,
            "integrators.timeline.events.create",
            links,
        ),
        (
            "POST /crm/v3/objects/contacts",
            LINKED,
            "crm.objects.create",
            links,
        ),
    ] {
        let rules = |objects: &str| {
            format!(
                "allow:\n  - operation: {operation}\n    objects: [{objects}]\n    risks: [bulk-export]\n  - {with}\n"
            )
        };
        assert_eq!(
            decided(&rules("contacts, companies"), request, body),
            "allow",
            "{request}"
        );
        assert_eq!(decided(&rules("\"*\""), request, body), "allow", "{request}");
        let without = rules("contacts, companies").replace(operation, "crm.properties.list");
        assert_eq!(decided(&without, request, body), "deny no_rule", "{request}");
        if operation != "crm.objects.create" {
            assert_eq!(
                decided(&rules("contacts"), request, body),
                "deny object",
                "{request}"
            );
        }
        let other = rules("contacts, companies").replace(with, "scope: crm.lists.read");
        let is_linked = ["crm.schemas", "crm-associations", "integrators"];
        if !is_linked.iter().any(|start| operation.starts_with(start)) {
            assert!(decided(&other, request, body).starts_with("deny "), "{request}");
        }
    }
}

#[test]
fn scopes_open_definitions_and_links_and_nothing_that_answers_for_several_types() {
    let scopes = "allow:\n  - scope: [crm.objects.contacts.read, crm.objects.companies.read]\n  - scope: [crm.objects.contacts.write, crm.objects.companies.write]\n  - scope: [crm.schemas.contacts.read, crm.schemas.companies.read]\n  - scope: [crm.import, crm.export, timeline]\n    effects: [read, write]\n    risks: [bulk-export]\n";
    for (request, body, expected) in [
        ("POST /crm/v3/imports", IMPORT, "deny no_rule"),
        ("POST /crm/v3/exports/export/async", EXPORT, "deny no_rule"),
        ("POST /collector/graphql", GRAPHQL, "deny no_rule"),
        (
            "POST /crm/v3/timeline/events",
            r#"{"email":"a@x.io"}"#,
            "deny no_rule",
        ),
        (
            "POST /engagements/v1/engagements",
            r#"{"engagement":{"type":"NOTE"}}"#,
            "deny no_rule",
        ),
        ("GET /engagements/v1/engagements/paged", "", "deny no_rule"),
        ("GET /crm/v3/imports", "", "allow"),
        (
            "POST /crm-object-schemas/v3/schemas/batch/read",
            r#"{"inputs":["0-1"]}"#,
            "allow",
        ),
        (
            "PUT /crm-associations/v1/associations",
            r#"{"category":"HUBSPOT_DEFINED","definitionId":1}"#,
            "allow",
        ),
        (
            "PUT /crm-associations/v1/associations",
            r#"{"category":"HUBSPOT_DEFINED","definitionId":4}"#,
            "deny no_rule",
        ),
        ("POST /crm/v3/objects/contacts", LINKED, "allow"),
    ] {
        assert_eq!(decided(scopes, request, body), expected, "{request} {body}");
    }
}

#[test]
fn a_deny_on_a_scope_catches_what_only_its_name_opens() {
    for (request, body, operation, scope) in [
        (
            "POST /crm/v3/imports",
            r#"{"importOperations":{"0-1":"CREATE"}}"#,
            "crm.imports.create",
            "crm.import",
        ),
        (
            "POST /crm/v3/exports/export/async",
            r#"{"objectType":"0-1"}"#,
            "crm.exports.export.async",
            "crm.export",
        ),
        (
            "POST /collector/graphql",
            r#"{"query":"{CRM{contact{email}}}"}"#,
            "collector.graphql.query",
            "crm.objects.contacts.read",
        ),
        (
            "POST /collector/graphql",
            r#"{"query":"{CRM{contact{email}}}"}"#,
            "collector.graphql.query",
            "collector.graphql_query.execute",
        ),
        (
            "POST /crm/v3/timeline/events",
            r#"{"email":"a@x.io"}"#,
            "integrators.timeline.events.create",
            "crm.objects.contacts.write",
        ),
        (
            "POST /engagements/v1/engagements",
            r#"{"engagement":{"type":"NOTE"}}"#,
            "engagements.create",
            "tickets",
        ),
    ] {
        let rules =
            format!("allow:\n  - operation: {operation}\n    objects: [\"*\"]\n    risks: [bulk-export]\n");
        assert_eq!(decided(&rules, request, body), "allow", "{request}");
        let with_deny = format!("{rules}deny:\n  - scope: {scope}\n");
        assert_eq!(
            decided(&with_deny, request, body),
            "deny deny_rule",
            "{request} {scope}"
        );
    }
}

#[test]
fn a_request_that_does_not_say_its_type_needs_a_rule_for_all() {
    let rules = |objects: &str| {
        format!(
            "allow:\n  - operation: [integrators.timeline.events.create, integrators.timeline.events.get]\n    objects: [{objects}]\n"
        )
    };
    let event = r#"{"objectId":"5","email":"a@x.io"}"#;
    for (request, body) in [
        ("POST /crm/v3/timeline/events", event),
        ("GET /integrators/timeline/v3/events/1/2", ""),
    ] {
        assert_eq!(decided(&rules("\"*\""), request, body), "allow", "{request}");
        assert_eq!(
            decided(&rules("contacts, companies, custom"), request, body),
            "deny object",
            "{request}"
        );
        for denied in ["deals", "custom", "p_car"] {
            let with_deny = format!("{}deny:\n  - objects: [{denied}]\n", rules("\"*\""));
            assert_eq!(
                decided(&with_deny, request, body),
                "deny deny_rule",
                "{request} {denied}"
            );
        }
    }
}

#[test]
fn a_deny_catches_what_a_request_only_concerns() {
    let rules = "allow:\n  - operation: [crm.lists.create, crm.lists.update-list-filters, crm.lists.records.memberships.list, engagements.list, engagements.archive]\n";
    for (request, body, caught_by) in [
        (
            "POST /crm/v3/lists",
            r#"{"objectTypeId":"0-1","name":"x"}"#,
            "contacts",
        ),
        (
            "POST /crm/v3/lists",
            r#"{"objectTypeId":"0-1","filterBranch":{"filterBranches":[{"objectTypeId":"0-3"}]}}"#,
            "deals",
        ),
        (
            "PUT /crm/v3/lists/5/update-list-filters",
            r#"{"filterBranch":{"objectTypeId":"0-2"}}"#,
            "companies",
        ),
        ("GET /crm/v3/lists/records/0-1/5/memberships", "", "contacts"),
        ("GET /engagements/v1/engagements/paged", "", "calls"),
        ("DELETE /engagements/v1/engagements/5", "", "notes"),
    ] {
        assert_eq!(decided(rules, request, body), "allow", "{request}");
        let denied = |deny: &str| decided(&format!("{rules}deny:\n  - {deny}\n"), request, body);
        assert_eq!(
            denied(&format!("objects: [{caught_by}]")),
            "deny deny_rule",
            "{request}"
        );
        assert_eq!(denied("objects: [quotes]"), "allow", "{request}");
        assert_eq!(
            denied(&format!("objects: [{caught_by}]\n    effects: [irreversible]")),
            "allow",
            "{request}"
        );
        let above = ceiling(&format!("deny:\n  - objects: [{caught_by}]\n"));
        let found = explained(&policy(rules), Some(&above), request, body);
        assert_eq!(
            (found.decision, found.reason),
            (Some("deny"), Some("ceiling")),
            "{request}"
        );
    }
}

#[test]
fn a_deny_catches_what_changes_contacts_or_shows_links_though_no_type_of_it_says_so() {
    let send = "allow:\n  - scope: transactional-email\n    effects: [write]\n    risks: [sends-message]\n";
    let attend = "allow:\n  - scope: crm.objects.marketing_events.write\n";
    let event = "allow:\n  - operation: [events.send, events.custom.send.batch]\n";
    let deals = "allow:\n  - scope: crm.objects.deals.read\n";
    for (rules, request, body, caught_by) in [
        (
            attend,
            "POST /marketing/v3/marketing-events/1/attendance/register/email-create",
            r#"{"inputs":[{"email":"new@example.com","contactProperties":{"lifecyclestage":"customer"}}]}"#,
            "contacts",
        ),
        (
            send,
            "POST /email/public/v1/singleEmail/send",
            r#"{"emailId":1,"contactProperties":[{"name":"a","value":"b"}]}"#,
            "contacts",
        ),
        (
            event,
            "POST /events/v3/send",
            r#"{"eventName":"x","email":"new@example.com"}"#,
            "contacts",
        ),
        (
            event,
            "POST /events/custom/2026-09/send/batch",
            r#"{"inputs":[{"email":"new@example.com"}]}"#,
            "contacts",
        ),
        (deals, "GET /deals/v1/deal/7", "", "contacts"),
        (deals, "GET /deals/v1/deal/recent/modified", "", "companies"),
        (deals, "GET /deals/v1/deal/7", "", "tickets"),
    ] {
        assert_eq!(decided(rules, request, body), "allow", "{request}");
        let denied = |deny: &str| decided(&format!("{rules}deny:\n  - {deny}\n"), request, body);
        assert_eq!(
            denied(&format!("objects: [{caught_by}]")),
            "deny deny_rule",
            "{request}"
        );
        assert_eq!(denied("objects: [quotes]"), "allow", "{request}");
    }
    let current = decided(
        &format!("{deals}deny:\n  - objects: [contacts]\n"),
        "GET /crm/v3/objects/deals/7",
        "",
    );
    assert_eq!(current, "allow", "which shows links when it is asked to alone");
}

#[test]
fn a_denial_names_the_type_that_a_request_concerns() {
    let rules =
        "allow:\n  - operation: crm.lists.create\ndeny:\n  - objects: [contacts]\n    id: no-contacts\n";
    let found = explained(
        &policy(rules),
        None,
        "POST /crm/v3/lists",
        r#"{"objectTypeId":"0-1"}"#,
    );
    assert_eq!(found.rule.as_deref(), Some("t#no-contacts"));
    assert_eq!(found.lacks, ["object:contacts"]);
}

#[test]
fn a_denial_of_any_type_does_not_list_them_all() {
    let event = r#"{"objectId":"5"}"#;
    for (rules, remedy) in [
        (
            "",
            "add the rule `{operation: integrators.timeline.events.create, objects: [\"*\"]}` to `allow`",
        ),
        (
            "allow:\n  - operation: integrators.timeline.events.create\n    objects: [contacts]\n    id: events\n",
            "in rule `t#events` write `objects: [\"*\"]`, since the request does not say which type it touches",
        ),
    ] {
        let found = explained(&policy(rules), None, "POST /crm/v3/timeline/events", event);
        assert_eq!(found.remedy.as_deref(), Some(remedy));
        assert_eq!(found.lacks.len(), 1, "{:?}", found.lacks);
    }
}

#[test]
fn an_import_is_read_whatever_the_policy_says_of_batches() {
    let (method, target) = ("POST", "/crm/v3/imports");
    let target = crate::access::target::Target::parse(method, target).unwrap();
    let recognised = catalogue().recognise(&target).unwrap();
    let need = crate::access::decide::body_need(catalogue(), &recognised, &policy(""), None);
    assert_eq!(need, crate::access::catalogue::BodyNeed::Import);
}
