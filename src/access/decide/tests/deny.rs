//! Items 1 and 4: `deny` beats `allow`; a denied effect denies the stronger ones.

use super::*;
use crate::access::policy_text::mistake::code;

const EVERYTHING: &str = "allow:\n  - scope: [crm.objects.contacts.read, crm.objects.companies.read]\n  - scope: [crm.objects.contacts.write, crm.objects.companies.write]\n    effects: [write, delete, irreversible]\n  - operation: [crm.associations.create, crm.associations.archive]\n    objects: [\"*\"]\n";

fn with(deny: &str) -> Policy {
    policy(&format!("{EVERYTHING}deny:\n{deny}"))
}

#[test]
fn each_condition_denies_and_all_conditions_of_a_rule_must_hold() {
    for (deny, operation, objects, expected) in [
        (
            "  - objects: [companies]\n",
            "crm.objects.get",
            &["companies"][..],
            true,
        ),
        (
            "  - objects: [companies]\n",
            "crm.objects.get",
            &["contacts"],
            false,
        ),
        (
            "  - effects: [delete]\n    objects: [companies]\n",
            "crm.objects.archive",
            &["companies"],
            true,
        ),
        (
            "  - effects: [delete]\n    objects: [companies]\n",
            "crm.objects.archive",
            &["contacts"],
            false,
        ),
        (
            "  - effects: [delete]\n    objects: [companies]\n",
            "crm.objects.update",
            &["companies"],
            false,
        ),
        (
            "  - operation: crm.objects.archive\n",
            "crm.objects.archive",
            &["contacts"],
            true,
        ),
        (
            "  - operation: crm.objects.archive\n",
            "crm.objects.update",
            &["contacts"],
            false,
        ),
        (
            "  - operation: \"crm.objects.*\"\n",
            "crm.objects.get",
            &["contacts"],
            true,
        ),
        (
            "  - operation: \"crm.objects.batch.*\"\n",
            "crm.objects.get",
            &["contacts"],
            false,
        ),
        (
            "  - operation: \"crm.objects.batch.*\"\n",
            "crm.objects.batch.read",
            &["contacts"],
            true,
        ),
        ("  - operation: \"*\"\n", "crm.objects.get", &["contacts"], true),
        (
            "  - scope: crm.objects.contacts.write\n",
            "crm.objects.update",
            &["contacts"],
            true,
        ),
        (
            "  - scope: crm.objects.contacts.write\n",
            "crm.objects.get",
            &["contacts"],
            false,
        ),
        ("  - objects: [\"*\"]\n", "crm.objects.get", &["contacts"], true),
    ] {
        let outcome = outcome(&with(deny), operation, objects);
        let wanted = if expected { "deny deny_rule" } else { "allow" };
        assert!(
            outcome.starts_with(wanted),
            "{deny}{operation} {objects:?}: {outcome}"
        );
    }
}

#[test]
fn a_denied_effect_denies_the_stronger_ones_and_leaves_the_weaker() {
    for (effect, get, update, archive, merge) in [
        ("read", false, false, false, false),
        ("write", true, false, false, false),
        ("delete", true, true, false, false),
        ("irreversible", true, true, true, false),
        ("auth", true, true, true, true),
    ] {
        let policy = with(&format!("  - effects: [{effect}]\n"));
        let passes = |operation: &str| outcome(&policy, operation, &["contacts"]).starts_with("allow");
        assert_eq!(
            (
                passes("crm.objects.get"),
                passes("crm.objects.update"),
                passes("crm.objects.archive"),
                passes("crm.objects.merge")
            ),
            (get, update, archive, merge),
            "{effect}"
        );
    }
}

#[test]
fn a_raised_effect_meets_the_denial_of_the_stronger_one() {
    let policy = policy(
        "allow:\n  - operation: crm.objects.archive\n    objects: [contacts]\n    effects: [delete, irreversible]\ndeny:\n  - effects: [irreversible]\n",
    );
    assert_eq!(
        outcome(&policy, "crm.objects.archive", &["contacts"]),
        "allow t#allow[0]"
    );
    let purge = facts([raised(
        need("crm.objects.archive", &["contacts"]),
        Effect::Irreversible,
    )]);
    assert_eq!(outcome_of(&policy, None, &purge), "deny deny_rule");
}

#[test]
fn one_denied_end_denies_a_pair() {
    let policy = with("  - objects: [deals]\n");
    assert_eq!(
        outcome(&policy, "crm.associations.create", &["contacts", "deals"]),
        "deny deny_rule"
    );
    assert_eq!(
        outcome(&policy, "crm.associations.create", &["deals", "contacts"]),
        "deny deny_rule"
    );
    assert!(outcome(&policy, "crm.associations.create", &["contacts", "companies"]).starts_with("allow"));
}

#[test]
fn a_denied_risk_denies_what_an_operation_rule_names() {
    let (_, operation) = catalogue()
        .operations()
        .find(|(_, o)| o.risks == crate::access::facts::Risks::parse("hands-out-url").unwrap() && !o.unjudged)
        .unwrap();
    let text = format!(
        "allow:\n  - operation: {}\ndeny:\n  - risks: [bulk-export, hands-out-url]\n",
        operation.id
    );
    assert_eq!(outcome(&policy(&text), &operation.id, &[]), "deny deny_rule");
}

#[test]
fn a_denial_holds_for_its_connections_alone() {
    let policy = with("  - effects: [write]\n    connections: [beta]\n");
    let facts = facts([need("crm.objects.update", &["contacts"])]);
    let on = |name| {
        judge(&policy, None, &facts, ConnectionRef { name, app: None })
            .permit()
            .is_some()
    };
    assert!(on("acme"));
    assert!(!on("beta"));
}

#[test]
fn a_denied_custom_object_has_no_other_spelling_to_hide_behind() {
    let text = "allow:\n  - scope: crm.objects.custom.read\n  - operation: crm.objects.update\n    objects: [p_car]\ndeny:\n  - objects: [p_salary]\n";
    let (policy, warnings) = load(text).unwrap();
    assert_eq!(
        warnings.iter().map(|w| w.code).collect::<Vec<_>>(),
        [code::LINT_CUSTOM_DENY]
    );
    assert_eq!(
        outcome(&policy, "crm.objects.get", &["p_salary"]),
        "deny deny_rule"
    );
    assert_eq!(outcome(&policy, "crm.objects.get", &["2-404"]), "deny deny_rule");
    assert!(outcome(&policy, "crm.objects.get", &["p_car"]).starts_with("allow"));
}

#[test]
fn many_denials_all_count() {
    let mut text = String::from("  - effects: [irreversible]\n");
    for i in 0..100 {
        text.push_str(&format!(
            "  - objects: [contacts]\n    operation: crm.objects.get\n    connections: [c{i}]\n"
        ));
    }
    text.push_str("  - objects: [companies]\n");
    let text = format!("integration: t\nowner: t\nconnections: \"*\"\n{EVERYTHING}deny:\n{text}");
    let (policy, _) = Policy::load(&Arc::from("t.yaml"), "t", &Arc::from(text), catalogue(), now()).unwrap();
    assert_eq!(
        outcome(&policy, "crm.objects.get", &["companies"]),
        "deny deny_rule"
    );
    let facts = facts([need("crm.objects.get", &["contacts"])]);
    let on = |name| {
        judge(&policy, None, &facts, ConnectionRef { name, app: None })
            .permit()
            .is_some()
    };
    assert!(on("acme") && !on("c0") && !on("c99"));
}
