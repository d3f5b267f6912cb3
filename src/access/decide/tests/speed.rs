//! A decision looks up and does not search: its work must not grow with the number of rules.
//!
//! Instruction counts and nanoseconds belong to `benches/`; here a bound so wide that only a
//! search could miss it.

use std::time::Instant;

use super::*;

fn policy_of(rules: usize) -> Policy {
    let mut text = String::from("allow:\n  - scope: crm.objects.contacts.read\n");
    for i in 1..rules {
        text.push_str(&format!(
            "  - operation: [crm.objects.get, crm.objects.list]\n    objects: [2-{i}]\n"
        ));
    }
    text.push_str("deny:\n  - effects: [irreversible]\n");
    policy(&text)
}

/// The best of many rounds, each short enough to be undisturbed on a busy machine.
fn best_nanoseconds(policy: &Policy) -> u128 {
    let facts = facts([need("crm.objects.list", &["contacts"])]);
    let question = Question {
        policy,
        ceiling: None,
        catalogue: catalogue(),
        facts: &facts,
        request: None,
        connection: ACME,
        now: now(),
    };
    let round = || {
        let start = Instant::now();
        for _ in 0..50 {
            assert!(matches!(
                decide(std::hint::black_box(&question)),
                Decision::Allow(_)
            ));
        }
        start.elapsed().as_nanos() / 50
    };
    (0..400).map(|_| round()).min().unwrap()
}

#[test]
fn a_thousand_rules_decide_about_as_fast_as_one() {
    let (one, many) = (policy_of(1), policy_of(900));
    let (one, many) = (best_nanoseconds(&one), best_nanoseconds(&many));
    assert!(
        many < one * 8 + 2_000,
        "{one} ns with one rule, {many} ns with 900"
    );
}
