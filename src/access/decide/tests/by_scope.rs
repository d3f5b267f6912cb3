//! Item 2: an `allow` by scope opens what a reviewer reads in the name, and no more.

use super::*;
use crate::access::policy_text::mistake::code;

fn codes(rest: &str) -> Vec<&'static str> {
    load(rest)
        .map(|(_, warnings)| warnings)
        .unwrap_or_else(|mistakes| mistakes)
        .iter()
        .map(|m| m.code)
        .collect()
}

#[test]
fn without_objects_a_scope_opens_the_type_it_is_named_after_and_no_other() {
    for (scope, effects, opened, closed) in [
        ("crm.objects.contacts.read", "", "contacts", "notes"),
        ("crm.objects.contacts.read", "", "contacts", "calls"),
        ("crm.objects.contacts.read", "", "contacts", "companies"),
        (
            "crm.objects.contacts.read",
            "",
            "contacts",
            "feedback_submissions",
        ),
        ("crm.objects.line_items.read", "", "line_items", "discounts"),
        ("tickets", "    effects: [read]\n", "tickets", "contacts"),
        ("crm.objects.goals.read", "", "goal_targets", "deals"),
        (
            "crm.objects.partner-clients.read",
            "",
            "partner_clients",
            "partner_services",
        ),
    ] {
        let policy = policy(&format!("allow:\n  - scope: {scope}\n{effects}"));
        assert_eq!(
            outcome(&policy, "crm.objects.get", &[opened]),
            "allow t#allow[0]",
            "{scope}"
        );
        assert!(
            outcome(&policy, "crm.objects.get", &[closed]).starts_with("deny"),
            "{scope} {closed}"
        );
    }
}

#[test]
fn objects_replace_the_default_type() {
    let policy = policy("allow:\n  - scope: crm.objects.contacts.read\n    objects: [notes, calls]\n");
    assert_eq!(
        outcome(&policy, "crm.objects.get", &["notes"]),
        "allow t#allow[0]"
    );
    assert_eq!(
        outcome(&policy, "crm.objects.get", &["calls"]),
        "allow t#allow[0]"
    );
    assert_eq!(outcome(&policy, "crm.objects.get", &["contacts"]), "deny object");
}

#[test]
fn a_scope_named_after_no_type_opens_its_own_fixed_rows() {
    let policy = policy("allow:\n  - scope: [crm.objects.owners.read, crm.lists.read]\n");
    assert_eq!(outcome(&policy, "crm.owners.list", &[]), "allow t#allow[0]");
    assert_eq!(outcome(&policy, "crm.owners.get", &[]), "allow t#allow[0]");
    assert!(outcome(&policy, "crm.objects.get", &["contacts"]).starts_with("deny"));
}

#[test]
fn a_scope_that_serves_several_types_and_names_none_needs_objects() {
    assert_eq!(
        codes("allow:\n  - scope: e-commerce\n    effects: [read]\n"),
        [code::OBJECTS_REQUIRED]
    );
    let policy = policy("allow:\n  - scope: e-commerce\n    effects: [read]\n    objects: [products]\n");
    assert_eq!(
        outcome(&policy, "crm.objects.get", &["products"]),
        "allow t#allow[0]"
    );
    assert!(outcome(&policy, "crm.objects.get", &["line_items"]).starts_with("deny"));
}

#[test]
fn a_type_that_the_scope_does_not_serve_is_an_error() {
    for (scope, object) in [
        ("crm.objects.contacts.read", "companies"),
        ("crm.objects.owners.read", "contacts"),
        ("crm.objects.companies.read", "2-123"),
        ("crm.objects.deals.write", "custom"),
    ] {
        let found = codes(&format!("allow:\n  - scope: {scope}\n    objects: [{object}]\n"));
        assert_eq!(found, [code::OBJECT_NOT_SERVED], "{scope} {object}");
    }
}

#[test]
fn of_several_scopes_each_opens_the_types_it_serves() {
    let text = "allow:\n  - scope: [crm.objects.contacts.read, crm.objects.companies.read]\n    objects: [notes, companies]\n";
    let policy = policy(text);
    assert_eq!(
        outcome(&policy, "crm.objects.get", &["companies"]),
        "allow t#allow[0]"
    );
    assert_eq!(
        outcome(&policy, "crm.objects.get", &["notes"]),
        "allow t#allow[0]"
    );
    assert_eq!(outcome(&policy, "crm.objects.get", &["contacts"]), "deny object");
    let idle =
        "allow:\n  - scope: [crm.objects.contacts.read, crm.objects.deals.read]\n    objects: [notes]\n";
    assert_eq!(codes(idle), [code::OBJECT_NOT_SERVED]);
}

#[test]
fn the_direction_in_the_name_is_the_effect() {
    let read = policy("allow:\n  - scope: crm.objects.contacts.read\n");
    let write = policy("allow:\n  - scope: crm.objects.contacts.write\n");
    for (operation, by_read, by_write) in [
        ("crm.objects.get", true, false),
        ("crm.objects.list", true, false),
        ("crm.objects.search", true, false),
        ("crm.objects.batch.read", true, false),
        ("crm.objects.create", false, true),
        ("crm.objects.update", false, true),
        ("crm.objects.batch.upsert", false, true),
        ("crm.objects.archive", false, false),
        ("crm.objects.merge", false, false),
        ("crm.objects.gdpr-delete", false, false),
    ] {
        let opened = |p: &Policy| outcome(p, operation, &["contacts"]).starts_with("allow");
        assert_eq!(
            (opened(&read), opened(&write)),
            (by_read, by_write),
            "{operation}"
        );
    }
}

#[test]
fn a_scope_for_both_directions_must_carry_effects() {
    for scope in [
        "tickets",
        "content",
        "automation",
        "forms",
        "files",
        "hubdb",
        "oauth",
        "timeline",
    ] {
        let found = codes(&format!("allow:\n  - scope: {scope}\n"));
        assert!(found.contains(&code::EFFECTS_REQUIRED), "{scope}: {found:?}");
    }
}

#[test]
fn effects_replace_the_default_and_never_add_to_it() {
    let policy = policy("allow:\n  - scope: crm.objects.contacts.write\n    effects: [delete]\n");
    assert_eq!(
        outcome(&policy, "crm.objects.archive", &["contacts"]),
        "allow t#allow[0]"
    );
    assert_eq!(
        outcome(&policy, "crm.objects.update", &["contacts"]),
        "deny effect"
    );
    assert_eq!(
        outcome(&policy, "crm.objects.merge", &["contacts"]),
        "deny effect"
    );
}

#[test]
fn delete_and_irreversible_are_opened_only_when_named() {
    let policy =
        policy("allow:\n  - scope: crm.objects.contacts.write\n    effects: [write, irreversible]\n");
    assert_eq!(
        outcome(&policy, "crm.objects.gdpr-delete", &["contacts"]),
        "allow t#allow[0]"
    );
    assert_eq!(
        outcome(&policy, "crm.objects.archive", &["contacts"]),
        "deny effect"
    );
}

#[test]
fn auth_and_meta_are_opened_by_operation_alone() {
    for effect in ["auth", "meta"] {
        let found = codes(&format!(
            "allow:\n  - scope: transactional-email\n    effects: [{effect}]\n"
        ));
        assert_eq!(found, [code::BAD_EFFECT], "{effect}");
    }
    let (index, operation) = catalogue()
        .operations()
        .find(|(_, o)| o.effect == Effect::Auth && o.risks.is_empty() && !o.unjudged)
        .unwrap();
    let named = policy(&format!("allow:\n  - operation: {}\n", operation.id));
    assert_eq!(
        outcome(&named, &operation.id, &[]),
        "allow t#allow[0]",
        "{index:?}"
    );
}

#[test]
fn definitions_are_read_with_the_objects_scope_and_written_by_schema_scopes_alone() {
    let read = policy("allow:\n  - scope: crm.objects.contacts.read\n");
    let write = policy("allow:\n  - scope: crm.objects.contacts.write\n    effects: [write, delete]\n");
    let schema = policy("allow:\n  - scope: crm.schemas.contacts.write\n");
    assert_eq!(
        outcome(&read, "crm.properties.list", &["contacts"]),
        "allow t#allow[0]"
    );
    assert_eq!(
        outcome(&write, "crm.properties.create", &["contacts"]),
        "deny no_rule"
    );
    assert_eq!(
        outcome(&schema, "crm.properties.create", &["contacts"]),
        "allow t#allow[0]"
    );
    assert_eq!(
        outcome(&schema, "crm.objects.create", &["contacts"]),
        "deny no_rule"
    );
    let named = policy("allow:\n  - operation: crm.properties.create\n    objects: [contacts]\n");
    assert_eq!(
        outcome(&named, "crm.properties.create", &["contacts"]),
        "allow t#allow[0]"
    );
}

#[test]
fn a_risk_is_opened_only_when_the_rule_names_it() {
    let without = policy("allow:\n  - scope: automation.sequences.enrollments.write\n");
    let with =
        policy("allow:\n  - scope: automation.sequences.enrollments.write\n    risks: [sends-message]\n");
    let other =
        policy("allow:\n  - scope: automation.sequences.enrollments.write\n    risks: [bulk-export]\n");
    let (_, operation) = catalogue()
        .operations()
        .find(|(_, o)| o.id.starts_with("automation.sequences.enrollments") && !o.risks.is_empty())
        .unwrap();
    assert_eq!(outcome(&without, &operation.id, &[]), "deny risk");
    assert_eq!(outcome(&with, &operation.id, &[]), "allow t#allow[0]");
    assert_eq!(outcome(&other, &operation.id, &[]), "deny risk");
}

#[test]
fn an_and_term_is_met_by_the_union_of_rules() {
    let mail = need("crm.objects.get", &["emails"]);
    assert!(mail.touches[0].requirement.iter().all(|term| term.len() == 2));
    let one = "  - scope: crm.objects.contacts.read\n    objects: [emails]\n";
    let other = "  - scope: sales-email-read\n    objects: [emails]\n";
    for half in [one, other] {
        let policy = policy(&format!("allow:\n{half}"));
        assert_eq!(outcome(&policy, "crm.objects.get", &["emails"]), "deny no_rule");
    }
    let both = policy(&format!("allow:\n{one}{other}"));
    assert_eq!(outcome(&both, "crm.objects.get", &["emails"]), "allow t#allow[0]");
    let elsewhere = "  - scope: sales-email-read\n    objects: [emails]\n    connections: [beta]\n";
    let apart = policy(&format!("allow:\n{one}{elsewhere}"));
    assert_eq!(outcome(&apart, "crm.objects.get", &["emails"]), "deny no_rule");
}

#[test]
fn in_an_and_term_one_scope_opens_the_effect_and_the_others_must_be_held() {
    let text = "allow:\n  - scope: crm.objects.contacts.write\n    objects: [emails]\n  - scope: sales-email-read\n    objects: [emails]\n";
    let writer = policy(text);
    assert_eq!(
        outcome(&writer, "crm.objects.create", &["emails"]),
        "allow t#allow[0]"
    );
    assert_eq!(
        outcome(&writer, "crm.objects.archive", &["emails"]),
        "deny effect"
    );
    let reader =
        policy("allow:\n  - scope: [crm.objects.contacts.read, sales-email-read]\n    objects: [emails]\n");
    assert_eq!(
        outcome(&reader, "crm.objects.create", &["emails"]),
        "deny no_rule"
    );
}

#[test]
fn a_write_scope_does_not_imply_its_read_scope() {
    let policy = policy("allow:\n  - scope: crm.objects.deals.write\n");
    assert_eq!(outcome(&policy, "crm.objects.get", &["deals"]), "deny no_rule");
}

#[test]
fn custom_objects_are_opened_by_their_scope_or_one_by_one() {
    let all = policy("allow:\n  - scope: crm.objects.custom.read\n");
    let one = policy("allow:\n  - scope: crm.objects.custom.read\n    objects: [p_car]\n");
    let word = policy("allow:\n  - scope: crm.objects.custom.read\n    objects: [custom]\n");
    for object in ["p_car", "2-17", "p456_boat"] {
        assert_eq!(
            outcome(&all, "crm.objects.get", &[object]),
            "allow t#allow[0]",
            "{object}"
        );
        assert_eq!(
            outcome(&word, "crm.objects.get", &[object]),
            "allow t#allow[0]",
            "{object}"
        );
        let by_name = outcome(&one, "crm.objects.get", &[object]).starts_with("allow");
        assert_eq!(by_name, object == "p_car", "{object}");
    }
    assert!(outcome(&all, "crm.objects.get", &["contacts"]).starts_with("deny"));
    assert!(outcome(&all, "crm.objects.create", &["p_car"]).starts_with("deny"));
}

#[test]
fn what_answers_for_several_types_at_once_is_opened_by_no_scope() {
    let mut seen = 0;
    for (index, operation) in catalogue().operations() {
        for touch in catalogue().touches(index, None) {
            if !touch.requirement.is_empty() || operation.unjudged {
                continue;
            }
            seen += 1;
            let named = policy(&format!("allow:\n  - operation: {}\n", operation.id));
            assert_eq!(
                outcome(&named, &operation.id, &[]),
                "allow t#allow[0]",
                "{}",
                operation.id
            );
        }
        if seen > 40 {
            break;
        }
    }
    assert!(seen > 10);
}

#[test]
fn what_a_scope_does_not_speak_of_is_not_opened_by_it() {
    let contacts = policy("allow:\n  - scope: [crm.objects.contacts.read, crm.objects.contacts.write]\n");
    for operation in [
        "notetaker.conversation.recap.get",
        "crm.extensions.calling.inbound-call",
    ] {
        assert_eq!(outcome(&contacts, operation, &[]), "deny no_rule");
        let denial = denial_of(&contacts, operation, &[]);
        assert_eq!(denial.lacks, [format!("operation:{operation}")]);
        let named = policy(&format!("allow:\n  - operation: {operation}\n"));
        assert_eq!(outcome(&named, operation, &[]), "allow t#allow[0]");
    }
    let events = policy("allow:\n  - scope: crm.objects.marketing_events.read\n");
    assert_eq!(
        outcome(&events, "marketing.marketing-events.events.get", &[]),
        "allow t#allow[0]"
    );
}
