//! Item 9: allowed = the policy allows and the ceiling allows, for every request.

use super::*;

const WIDE: &str = "allow:\n  - scope: [crm.objects.contacts.read, crm.objects.deals.read]\n  - scope: crm.objects.contacts.write\n    effects: [write, delete, irreversible]\n";

#[test]
fn a_ceiling_grants_nothing() {
    let ceiling = ceiling("allow:\n  - scope: crm.objects.contacts.read\n");
    let asked = facts([need("crm.objects.get", &["contacts"])]);
    assert_eq!(outcome_of(&policy(""), Some(&ceiling), &asked), "deny no_rule");
}

#[test]
fn what_the_ceiling_does_not_allow_or_denies_is_denied() {
    let policy = policy(WIDE);
    for (text, operation, object, expected) in [
        (
            "allow:\n  - scope: crm.objects.contacts.read\n",
            "crm.objects.get",
            "contacts",
            "allow t#allow[0]",
        ),
        (
            "allow:\n  - scope: crm.objects.contacts.read\n",
            "crm.objects.get",
            "deals",
            "deny ceiling",
        ),
        ("allow: []\n", "crm.objects.get", "contacts", "deny ceiling"),
        (
            "deny:\n  - effects: [irreversible]\n",
            "crm.objects.merge",
            "contacts",
            "deny ceiling",
        ),
        (
            "deny:\n  - effects: [irreversible]\n",
            "crm.objects.archive",
            "contacts",
            "allow t#allow[1]",
        ),
        (
            "deny:\n  - objects: [deals]\n",
            "crm.objects.get",
            "deals",
            "deny ceiling",
        ),
        (
            "allow:\n  - operation: crm.objects.get\n    objects: [\"*\"]\n",
            "crm.objects.get",
            "deals",
            "allow t#allow[0]",
        ),
        (
            "allow:\n  - operation: crm.objects.get\n    objects: [\"*\"]\n",
            "crm.objects.list",
            "deals",
            "deny ceiling",
        ),
    ] {
        let asked = facts([need(operation, &[object])]);
        assert_eq!(
            outcome_of(&policy, Some(&ceiling(text)), &asked),
            expected,
            "{text}{operation} {object}"
        );
    }
}

#[test]
fn every_need_must_be_within_the_ceiling() {
    let policy = policy("allow:\n  - scope: [crm.objects.contacts.read, crm.objects.deals.read]\n");
    let asked = facts([
        need("crm.objects.get", &["contacts"]),
        need("crm.associations.list", &["contacts", "deals"]),
    ]);
    assert_eq!(
        outcome_of(&policy, Some(&ceiling("deny:\n  - objects: [deals]\n")), &asked),
        "deny ceiling"
    );
    assert_eq!(
        outcome_of(&policy, Some(&ceiling("deny:\n  - objects: [notes]\n")), &asked),
        "allow t#allow[0]"
    );
}

#[test]
fn the_policys_own_denial_is_named_before_the_ceilings() {
    let policy = policy("allow:\n  - scope: crm.objects.contacts.read\n");
    let asked = facts([need("crm.objects.merge", &["contacts"])]);
    assert_eq!(
        outcome_of(
            &policy,
            Some(&ceiling("deny:\n  - effects: [irreversible]\n")),
            &asked
        ),
        "deny no_rule"
    );
}

#[test]
fn a_ceilings_denial_names_its_rule_and_who_can_change_it() {
    let policy = policy(WIDE);
    let ceiling = ceiling("deny:\n  - effects: [irreversible]\n    id: nothing-for-good\n");
    let asked = facts([need("crm.objects.merge", &["contacts"])]);
    let decision = judge(&policy, Some(&ceiling), &asked, ACME);
    let denial = decision.denial().unwrap();
    assert_eq!(denial.reason, Reason::Ceiling);
    assert_eq!(denial.rule.as_deref(), Some("_ceiling#nothing-for-good"));
    assert_eq!(denial.lacks, ["effect:irreversible"]);
    assert!(denial.required_scopes.is_empty());
    assert!(denial.remedy.contains("_ceiling.yaml"), "{}", denial.remedy);
}
