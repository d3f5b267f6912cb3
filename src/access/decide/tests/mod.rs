//! The semantics of contracts.md §2, sentence by sentence.

mod bodies;
mod by_operation;
mod by_scope;
mod ceiling;
mod denial;
mod deny;
mod needs;
mod observe;
mod speed;
mod walk;

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use smallvec::SmallVec;

use super::{Decision, Denial, Question, decide};
use crate::access::catalogue::Catalogue;
use crate::access::effect::Effect;
use crate::access::facts::{Facts, Need, Touch};
use crate::access::policy::Policy;
use crate::access::policy::ceiling::Ceiling;
use crate::access::policy::tables::ConnectionRef;
use crate::access::policy_text::mistake::Mistake;
use crate::access::refusal::Reason;

pub(super) fn catalogue() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    CATALOGUE.get_or_init(|| Catalogue::embedded().unwrap())
}

pub(super) fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

/// A policy named `t` with the given keys after the required ones.
pub(super) fn load(rest: &str) -> Result<(Policy, Vec<Mistake>), Vec<Mistake>> {
    let text =
        format!("integration: t\nowner: t@example.com\nconnections: [acme, beta, {{app: shop}}]\n{rest}");
    Policy::load(&Arc::from("t.yaml"), "t", &Arc::from(text), catalogue(), now())
}

pub(super) fn policy(rest: &str) -> Policy {
    match load(rest) {
        Ok((policy, _)) => policy,
        Err(mistakes) => panic!("{rest}\n{mistakes:#?}"),
    }
}

pub(super) fn ceiling(text: &str) -> Ceiling {
    Ceiling::load(&Arc::from("_ceiling.yaml"), &Arc::from(text), catalogue())
        .unwrap_or_else(|mistakes| panic!("{text}\n{mistakes:#?}"))
        .0
}

/// The need of an operation on types (two for a pair), as the table has it.
pub(super) fn need(operation: &str, objects: &[&str]) -> Need {
    let catalogue = catalogue();
    let index = catalogue
        .operation_by_id(operation)
        .unwrap_or_else(|| panic!("no operation {operation}"));
    let found = catalogue.operation(index).unwrap();
    let touch = |object: Option<&str>| -> Touch {
        let object = object.map(|o| catalogue.object_type(o).unwrap());
        let touches = catalogue.touches(index, object.as_ref());
        touches
            .into_iter()
            .next()
            .unwrap_or_else(|| panic!("{operation} does not touch {object:?}"))
    };
    let touches: SmallVec<[Touch; 2]> = match objects {
        [] => [touch(None)].into_iter().collect(),
        objects => objects.iter().map(|o| touch(Some(o))).collect(),
    };
    Need {
        operation: index,
        effect: found.effect,
        risks: found.risks,
        touches,
    }
}

pub(super) fn facts(needs: impl IntoIterator<Item = Need>) -> Facts {
    Facts {
        needs: needs.into_iter().collect(),
        concerns: SmallVec::new(),
        batch: None,
    }
}

pub(super) const ACME: ConnectionRef<'static> = ConnectionRef {
    name: "acme",
    app: None,
};

pub(super) fn judge(
    policy: &Policy,
    ceiling: Option<&Ceiling>,
    facts: &Facts,
    connection: ConnectionRef<'_>,
) -> Decision {
    decide(&Question {
        policy,
        ceiling,
        catalogue: catalogue(),
        facts,
        request: None,
        connection,
        now: now(),
    })
}

/// `allow t#allow[0]`, `deny effect`: what tables of cases compare with.
pub(super) fn outcome(policy: &Policy, operation: &str, objects: &[&str]) -> String {
    outcome_of(policy, None, &facts([need(operation, objects)]))
}

pub(super) fn outcome_of(policy: &Policy, ceiling: Option<&Ceiling>, facts: &Facts) -> String {
    match judge(policy, ceiling, facts, ACME) {
        Decision::Refuse(refusal) => format!("refuse {}", refusal.reason.as_str()),
        Decision::Allow(permit) => {
            let word = if permit.observed_deny() {
                "observe"
            } else {
                "allow"
            };
            format!("{word} {}", permit.rule())
        }
        Decision::Deny(denial) => format!("deny {}", denial.reason.as_str()),
    }
}

pub(super) fn denial_of(policy: &Policy, operation: &str, objects: &[&str]) -> Denial {
    let facts = facts([need(operation, objects)]);
    match judge(policy, None, &facts, ACME) {
        Decision::Deny(denial) => *denial,
        other => panic!("no denial: {other:?}"),
    }
}

pub(super) fn raised(mut need: Need, effect: Effect) -> Need {
    need.effect = effect;
    need
}

#[test]
fn an_empty_policy_denies_everything() {
    let policy = policy("");
    for (operation, objects) in [
        ("crm.objects.get", &["contacts"][..]),
        ("crm.owners.list", &[]),
        ("crm.associations.create", &["contacts", "companies"]),
    ] {
        assert_eq!(
            outcome(&policy, operation, objects),
            "deny no_rule",
            "{operation}"
        );
    }
    let nothing = facts([]);
    assert_eq!(outcome_of(&policy, None, &nothing), "deny no_rule");
}

#[test]
fn the_order_of_rules_never_matters() {
    let a = "  - scope: crm.objects.contacts.read\n";
    let b = "  - operation: crm.objects.update\n    objects: [contacts]\n";
    let (forth, back) = (
        policy(&format!("allow:\n{a}{b}")),
        policy(&format!("allow:\n{b}{a}")),
    );
    for operation in ["crm.objects.get", "crm.objects.update", "crm.objects.archive"] {
        let decided = |p: &Policy| outcome(p, operation, &["contacts"]).starts_with("allow");
        assert_eq!(decided(&forth), decided(&back), "{operation}");
    }
}

#[test]
fn a_policy_ends_with_its_last_day_in_utc() {
    let policy = policy("expires: 2027-06-30\nallow:\n  - scope: crm.objects.contacts.read\n");
    let facts = facts([need("crm.objects.get", &["contacts"])]);
    let at = |time: &str| {
        let decision = decide(&Question {
            policy: &policy,
            ceiling: None,
            catalogue: catalogue(),
            facts: &facts,
            request: None,
            connection: ACME,
            now: time.parse().unwrap(),
        });
        decision.denial().map(|d| d.reason)
    };
    assert_eq!(at("2027-06-30T23:59:59.999Z"), None);
    assert_eq!(at("2027-07-01T00:00:00Z"), Some(Reason::PolicyExpired));
    assert_eq!(at("2031-01-01T00:00:00Z"), Some(Reason::PolicyExpired));
}

#[test]
fn an_overdue_review_is_a_finding_and_never_a_refusal() {
    let policy = policy("review_by: 2020-01-01\nallow:\n  - scope: crm.objects.contacts.read\n");
    assert!(policy.is_review_overdue(now()));
    assert_eq!(
        outcome(&policy, "crm.objects.get", &["contacts"]),
        "allow t#allow[0]"
    );
}

#[test]
fn the_same_question_has_the_same_answer_and_the_permit_says_what_was_judged() {
    let policy = policy("allow:\n  - scope: crm.objects.contacts.read\n    id: people\n");
    let facts = facts([need("crm.objects.search", &["contacts"])]);
    for _ in 0..3 {
        let permit = judge(&policy, None, &facts, ACME).permit().unwrap();
        assert_eq!(&**permit.rule(), "t#people");
        assert_eq!(permit.effect(), Effect::Read);
        assert_eq!(permit.operation(), facts.main().operation);
    }
}
