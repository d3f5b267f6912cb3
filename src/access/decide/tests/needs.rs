//! Item 5: a request that needs several things needs each of them allowed.

use super::*;

#[test]
fn both_ends_of_an_association_are_needed_from_scopes() {
    let create = ("crm.associations.create", ["contacts", "companies"]);
    let one = policy("allow:\n  - scope: crm.objects.contacts.write\n");
    let both =
        policy("allow:\n  - scope: crm.objects.contacts.write\n  - scope: crm.objects.companies.write\n");
    assert_eq!(outcome(&one, create.0, &create.1), "deny no_rule");
    assert_eq!(outcome(&both, create.0, &create.1), "allow t#allow[0]");
}

#[test]
fn associations_beside_a_read_are_judged_as_listing_them() {
    let asked = facts([
        need("crm.objects.get", &["contacts"]),
        need("crm.associations.list", &["contacts", "companies"]),
    ]);
    let contacts = policy("allow:\n  - scope: crm.objects.contacts.read\n");
    let both = policy("allow:\n  - scope: [crm.objects.contacts.read, crm.objects.companies.read]\n");
    let named = policy(
        "allow:\n  - operation: crm.objects.get\n    objects: [contacts]\n  - operation: crm.associations.list\n    objects: [contacts, companies]\n",
    );
    assert_eq!(outcome_of(&contacts, None, &asked), "deny no_rule");
    assert_eq!(outcome_of(&both, None, &asked), "allow t#allow[0]");
    assert_eq!(outcome_of(&named, None, &asked), "allow t#allow[0]");
}

#[test]
fn a_denial_of_one_need_denies_the_request() {
    let policy = policy(
        "allow:\n  - scope: [crm.objects.contacts.read, crm.objects.deals.read]\ndeny:\n  - objects: [deals]\n",
    );
    let asked = facts([
        need("crm.objects.get", &["contacts"]),
        need("crm.associations.list", &["contacts", "deals"]),
    ]);
    assert_eq!(outcome_of(&policy, None, &asked), "deny deny_rule");
}

#[test]
fn the_permit_carries_the_strongest_effect_of_all_needs() {
    let policy = policy("allow:\n  - scope: [crm.objects.contacts.read, crm.objects.contacts.write]\n");
    let asked = facts([
        need("crm.objects.get", &["contacts"]),
        need("crm.objects.update", &["contacts"]),
    ]);
    let permit = judge(&policy, None, &asked, ACME).permit().unwrap();
    assert_eq!(permit.effect(), Effect::Write);
    assert_eq!(permit.operation(), asked.needs[0].operation);
}
