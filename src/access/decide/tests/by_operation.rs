//! Item 3: an `allow` by operation is complete in itself.

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
fn an_operation_rule_opens_its_operation_without_any_scope_rule() {
    let policy =
        policy("allow:\n  - operation: [crm.objects.archive, crm.objects.merge]\n    objects: [contacts]\n");
    assert_eq!(
        outcome(&policy, "crm.objects.archive", &["contacts"]),
        "allow t#allow[0]"
    );
    assert_eq!(
        outcome(&policy, "crm.objects.merge", &["contacts"]),
        "allow t#allow[0]"
    );
    assert_eq!(outcome(&policy, "crm.objects.get", &["contacts"]), "deny no_rule");
    assert_eq!(
        outcome(&policy, "crm.objects.archive", &["companies"]),
        "deny object"
    );
}

#[test]
fn an_operation_that_takes_a_type_needs_objects() {
    assert_eq!(
        codes("allow:\n  - operation: crm.objects.get\n"),
        [code::OBJECTS_REQUIRED]
    );
    assert_eq!(
        codes("allow:\n  - operation: crm.associations.create\n"),
        [code::OBJECTS_REQUIRED]
    );
    assert_eq!(
        codes("allow:\n  - operation: crm.owners.list\n    objects: [contacts]\n"),
        [code::OBJECT_NOT_SERVED]
    );
    assert!(
        codes("allow:\n  - operation: [crm.owners.list, crm.objects.get]\n    objects: [contacts]\n")
            .is_empty()
    );
}

#[test]
fn a_star_in_objects_means_all_types_custom_ones_too() {
    let policy = policy("allow:\n  - operation: crm.objects.get\n    objects: [\"*\"]\n");
    for object in ["contacts", "emails", "2-9", "p_car"] {
        assert_eq!(
            outcome(&policy, "crm.objects.get", &[object]),
            "allow t#allow[0]",
            "{object}"
        );
    }
}

#[test]
fn both_ends_of_a_pair_must_be_listed() {
    let policy =
        policy("allow:\n  - operation: crm.associations.create\n    objects: [contacts, companies]\n");
    for (from, to, expected) in [
        ("contacts", "companies", "allow t#allow[0]"),
        ("companies", "contacts", "allow t#allow[0]"),
        ("contacts", "contacts", "allow t#allow[0]"),
        ("contacts", "deals", "deny object"),
        ("deals", "companies", "deny object"),
        ("deals", "tickets", "deny object"),
    ] {
        assert_eq!(
            outcome(&policy, "crm.associations.create", &[from, to]),
            expected,
            "{from} {to}"
        );
    }
}

#[test]
fn two_rules_with_one_end_each_do_not_open_the_pair() {
    let text = "allow:\n  - operation: crm.associations.create\n    objects: [contacts]\n  - operation: crm.associations.create\n    objects: [companies]\n";
    let policy = policy(text);
    assert_eq!(
        outcome(&policy, "crm.associations.create", &["contacts", "companies"]),
        "deny object"
    );
}

#[test]
fn no_wildcards_stand_in_allow() {
    for name in ["crm.objects.*", "*", "crm.*.get", "crm.objects.ge*"] {
        let found = codes(&format!(
            "allow:\n  - operation: \"{name}\"\n    objects: [contacts]\n"
        ));
        assert_eq!(found, [code::WILDCARD], "{name}");
    }
    assert_eq!(codes("allow:\n  - scope: \"crm.objects.*\"\n"), [code::WILDCARD]);
    let star = "allow:\n  - operation: crm.objects.get\n    objects: [\"*\", contacts]\n";
    assert_eq!(codes(star), [code::WILDCARD]);
    let scope = "allow:\n  - scope: crm.objects.contacts.read\n    objects: [\"*\"]\n";
    assert_eq!(codes(scope), [code::WILDCARD]);
}

#[test]
fn an_operation_rule_opens_the_operations_own_effect_and_a_raised_one_only_when_named() {
    let plain = policy("allow:\n  - operation: crm.objects.archive\n    objects: [contacts]\n");
    let named = policy(
        "allow:\n  - operation: crm.objects.archive\n    objects: [contacts]\n    effects: [delete, irreversible]\n",
    );
    let purge = facts([raised(
        need("crm.objects.archive", &["contacts"]),
        Effect::Irreversible,
    )]);
    assert_eq!(outcome_of(&plain, None, &purge), "deny effect");
    assert_eq!(outcome_of(&named, None, &purge), "allow t#allow[0]");
    assert_eq!(
        outcome(&named, "crm.objects.archive", &["contacts"]),
        "allow t#allow[0]"
    );
}

#[test]
fn naming_an_operation_takes_in_its_risks_unless_the_rule_names_others() {
    let (_, operation) = catalogue()
        .operations()
        .find(|(_, o)| !o.risks.is_empty() && o.id.starts_with("files.") && !o.unjudged)
        .unwrap();
    let plain = policy(&format!("allow:\n  - operation: {}\n", operation.id));
    assert_eq!(outcome(&plain, &operation.id, &[]), "allow t#allow[0]");
    let other = policy(&format!(
        "allow:\n  - operation: {}\n    risks: [moves-money]\n",
        operation.id
    ));
    assert_eq!(outcome(&other, &operation.id, &[]), "deny risk");
}

#[test]
fn a_rule_holds_for_its_connections_alone() {
    let text = "allow:\n  - scope: crm.objects.contacts.read\n    connections: [beta]\n  - scope: crm.objects.deals.read\n    connections: [{app: shop}]\n";
    let policy = policy(text);
    let on = |operation: &str, object: &str, name: &str, app: Option<&str>| {
        let facts = facts([need(operation, &[object])]);
        judge(&policy, None, &facts, ConnectionRef { name, app })
            .permit()
            .is_some()
    };
    assert!(!on("crm.objects.get", "contacts", "acme", None));
    assert!(on("crm.objects.get", "contacts", "beta", None));
    assert!(!on("crm.objects.get", "deals", "beta", None));
    assert!(on("crm.objects.get", "deals", "portal-7", Some("shop")));
    assert!(!on("crm.objects.get", "deals", "shop", Some("other")));
    assert!(on("crm.objects.get", "contacts", "beta", Some("shop")));
    assert!(on("crm.objects.get", "deals", "beta", Some("shop")));
}

#[test]
fn more_rules_for_one_operation_than_a_word_has_bits_still_all_count() {
    let mut text = String::from("allow:\n");
    for i in 0..130 {
        text.push_str(&format!("  - operation: crm.objects.get\n    objects: [2-{i}]\n"));
    }
    let policy = policy(&text);
    assert_eq!(outcome(&policy, "crm.objects.get", &["2-0"]), "allow t#allow[0]");
    assert_eq!(
        outcome(&policy, "crm.objects.get", &["2-129"]),
        "allow t#allow[129]"
    );
    assert_eq!(outcome(&policy, "crm.objects.get", &["2-130"]), "deny object");
}
