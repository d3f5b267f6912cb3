//! Item 8: observing.

use super::*;
use crate::access::policy_text::mistake::code;

fn observing(rest: &str) -> Policy {
    policy(&format!(
        "observe: {rest}\nallow:\n  - scope: crm.objects.contacts.read\n"
    ))
}

#[test]
fn what_nothing_allows_passes_if_its_effect_is_listed_and_is_marked() {
    let policy = observing("{until: 2027-01-15, effects: [read]}");
    assert_eq!(
        outcome(&policy, "crm.objects.get", &["contacts"]),
        "allow t#allow[0]"
    );
    assert_eq!(
        outcome(&policy, "crm.objects.get", &["deals"]),
        "observe t#observe"
    );
    assert_eq!(
        outcome(&policy, "crm.objects.update", &["contacts"]),
        "deny no_rule"
    );
}

#[test]
fn irreversible_and_auth_cannot_be_observed_and_until_has_a_bound() {
    let loads = |observe: &str| {
        load(&format!("observe: {observe}\n"))
            .map(|_| ())
            .map_err(|m| m[0].code)
    };
    assert_eq!(
        loads("{until: 2027-01-15, effects: [irreversible]}"),
        Err(code::BAD_OBSERVE)
    );
    assert_eq!(
        loads("{until: 2027-01-15, effects: [read, auth]}"),
        Err(code::BAD_OBSERVE)
    );
    assert_eq!(loads("{effects: [read]}"), Err(code::MISSING_KEY));
    assert_eq!(loads("{until: 2027-01-15}"), Err(code::MISSING_KEY));
    // 60 days after 2026-11-22 is 2027-01-21.
    assert_eq!(loads("{until: 2027-01-21, effects: [read]}"), Ok(()));
    assert_eq!(
        loads("{until: 2027-01-22, effects: [read]}"),
        Err(code::BAD_OBSERVE)
    );
}

#[test]
fn a_risk_passes_only_if_observe_names_it() {
    let risky = need("crm.objects.get", &["deals"]);
    let risky = facts([Need {
        risks: crate::access::facts::Risks::parse("bulk-export").unwrap(),
        ..risky
    }]);
    let without = observing("{until: 2027-01-15, effects: [read]}");
    let with = observing("{until: 2027-01-15, effects: [read], risks: [bulk-export]}");
    assert_eq!(outcome_of(&without, None, &risky), "deny no_rule");
    assert_eq!(outcome_of(&with, None, &risky), "observe t#observe");
}

#[test]
fn deny_and_the_ceiling_hold_while_observing() {
    let policy =
        policy("observe: {until: 2027-01-15, effects: [read, write, delete]}\ndeny:\n  - objects: [deals]\n");
    let deals = facts([need("crm.objects.get", &["deals"])]);
    let notes = facts([need("crm.objects.get", &["notes"])]);
    assert_eq!(outcome_of(&policy, None, &deals), "deny deny_rule");
    assert_eq!(outcome_of(&policy, None, &notes), "observe t#observe");
    let denies = ceiling("deny:\n  - objects: [notes]\n");
    assert_eq!(outcome_of(&policy, Some(&denies), &notes), "deny ceiling");
    let narrow = ceiling("allow:\n  - scope: crm.objects.contacts.read\n");
    assert_eq!(outcome_of(&policy, Some(&narrow), &notes), "deny ceiling");
    let never = ceiling("observe: never\n");
    assert_eq!(outcome_of(&policy, Some(&never), &notes), "deny no_rule");
}

#[test]
fn observing_ends_with_its_day_and_the_policy_goes_on() {
    let policy = observing("{until: 2026-12-01, effects: [read]}");
    let (deals, contacts) = (
        facts([need("crm.objects.get", &["deals"])]),
        facts([need("crm.objects.get", &["contacts"])]),
    );
    let at = |facts: &Facts, time: &str| {
        let question = Question {
            policy: &policy,
            ceiling: None,
            catalogue: catalogue(),
            facts,
            request: None,
            connection: ACME,
            now: time.parse().unwrap(),
        };
        decide(&question).permit().is_some()
    };
    assert!(at(&deals, "2026-12-01T23:59:59Z"));
    assert!(!at(&deals, "2026-12-02T00:00:00Z"));
    assert!(at(&contacts, "2026-12-02T00:00:00Z"));
}

#[test]
fn one_observed_need_marks_the_whole_request() {
    let policy = observing("{until: 2027-01-15, effects: [read]}");
    let asked = facts([
        need("crm.objects.get", &["contacts"]),
        need("crm.associations.list", &["contacts", "deals"]),
    ]);
    assert_eq!(outcome_of(&policy, None, &asked), "observe t#observe");
}
