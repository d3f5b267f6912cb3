//! Loading and reloading: contracts.md §2, items 9 and 10.

use std::time::Duration;

use super::*;
use crate::access::decide::{Question, decide};
use crate::access::facts::{Facts, Need};
use crate::access::policy::tables::ConnectionRef;
use crate::access::policy_text::mistake::code;
use crate::access::refusal::Reason;

const HOUR: Duration = Duration::from_secs(3600);

fn catalogue() -> Catalogue {
    Catalogue::embedded().unwrap()
}

fn at(time: &str) -> Timestamp {
    format!("2026-11-22T{time}Z").parse().unwrap()
}

fn file(inside: &str, text: &str) -> PolicyFile {
    PolicyFile {
        path: format!("policies/{inside}").into(),
        inside: inside.to_owned(),
        text: Ok(text.into()),
    }
}

fn policy_file(name: &str, allow: &str) -> PolicyFile {
    let text = format!("integration: {name}\nowner: o\nconnections: [a]\nallow:\n{allow}");
    file(&format!("{name}.yaml"), &text)
}

const READ: &str = "  - scope: crm.objects.contacts.read\n";
const WRITE: &str = "  - scope: crm.objects.contacts.write\n";
const BROKEN: &str = "  - scope: crm.objects.contcts.read\n";

fn build(files: &[PolicyFile], previous: Option<&PolicySet>, now: &str) -> (PolicySet, Vec<&'static str>) {
    let (set, mistakes) = PolicySet::build(files, &catalogue(), previous, at(now), HOUR);
    (set, mistakes.iter().map(|m| m.code).collect())
}

fn state(set: &PolicySet, name: &str, now: &str) -> &'static str {
    match set.policy(name, at(now)) {
        PolicyState::Missing => "missing",
        PolicyState::Invalid => "invalid",
        PolicyState::Expired(_) => "expired",
        PolicyState::Ready(_) => "ready",
    }
}

fn allows(set: &PolicySet, name: &str, operation: &str) -> Result<(), Reason> {
    allows_in(&catalogue(), set, name, operation)
}

fn allows_in(catalogue: &Catalogue, set: &PolicySet, name: &str, operation: &str) -> Result<(), Reason> {
    let now = at("12:00:00");
    let PolicyState::Ready(policy) = set.policy(name, now) else {
        panic!("{name} is not ready");
    };
    let index = catalogue.operation_by_id(operation).unwrap();
    let operation = catalogue.operation(index).unwrap();
    let contacts = catalogue.object_type("contacts").unwrap();
    let facts = Facts {
        concerns: Default::default(),
        batch: None,
        needs: [Need {
            operation: index,
            effect: operation.effect,
            risks: operation.risks,
            touches: catalogue
                .touches(index, Some(&contacts))
                .into_iter()
                .take(1)
                .collect(),
        }]
        .into_iter()
        .collect(),
    };
    let decision = decide(&Question {
        policy,
        ceiling: set.ceiling(),
        catalogue,
        facts: &facts,
        request: None,
        connection: ConnectionRef { name: "a", app: None },
        now,
    });
    decision.denial().map_or(Ok(()), |denial| Err(denial.reason))
}

#[test]
fn a_broken_policy_disables_its_integration_at_start_and_no_other() {
    let (set, codes) = build(
        &[policy_file("a", READ), policy_file("b", BROKEN)],
        None,
        "12:00:00",
    );
    assert_eq!(codes, [code::UNKNOWN_SCOPE]);
    assert_eq!(state(&set, "a", "12:00:00"), "ready");
    assert_eq!(state(&set, "b", "12:00:00"), "invalid");
    assert_eq!(state(&set, "c", "12:00:00"), "missing");
}

#[test]
fn a_policy_that_no_longer_loads_keeps_its_version_for_an_hour_from_its_first_failure() {
    let (good, _) = build(&[policy_file("a", READ)], None, "12:00:00");
    let (first, _) = build(&[policy_file("a", BROKEN)], Some(&good), "12:10:00");
    assert_eq!(state(&first, "a", "12:10:00"), "ready");
    assert_eq!(allows(&first, "a", "crm.objects.get"), Ok(()));
    // Another failing edit does not lend it more time.
    let (second, _) = build(&[policy_file("a", "  - nonsense\n")], Some(&first), "12:50:00");
    assert_eq!(state(&second, "a", "13:09:59"), "ready");
    assert_eq!(state(&second, "a", "13:10:00"), "invalid");
    assert_eq!(second.next_change(), Some(at("13:10:00")));
    let (late, _) = build(&[policy_file("a", BROKEN)], Some(&second), "13:20:00");
    assert_eq!(state(&late, "a", "13:20:00"), "invalid");
    let (mended, codes) = build(&[policy_file("a", WRITE)], Some(&late), "13:30:00");
    assert!(codes.is_empty());
    assert_eq!(state(&mended, "a", "23:00:00"), "ready");
    assert_eq!(allows(&mended, "a", "crm.objects.get"), Err(Reason::NoRule));
}

#[test]
fn a_policy_whose_file_is_gone_is_gone_at_once() {
    let (before, _) = build(
        &[policy_file("a", READ), policy_file("b", READ)],
        None,
        "12:00:00",
    );
    let (after, _) = build(&[policy_file("b", READ)], Some(&before), "12:00:01");
    assert_eq!(state(&after, "a", "12:00:01"), "missing");
    assert_ne!(before.digest(), after.digest());
}

#[test]
fn nobodys_mistake_delays_a_tightening() {
    let both = [policy_file("a", WRITE), policy_file("b", READ)];
    let (before, _) = build(&both, None, "12:00:00");
    let ceiling = file("_ceiling.yaml", "deny:\n  - effects: [write]\n");
    let (after, _) = build(
        &[policy_file("a", BROKEN), policy_file("b", BROKEN), ceiling],
        Some(&before),
        "12:00:01",
    );
    assert_eq!(allows(&before, "a", "crm.objects.update"), Ok(()));
    assert_eq!(allows(&after, "a", "crm.objects.update"), Err(Reason::Ceiling));
    assert_eq!(allows(&after, "b", "crm.objects.get"), Ok(()));
}

#[test]
fn a_ceiling_that_vanishes_or_breaks_leaves_the_running_one_in_force() {
    let policy = || policy_file("a", WRITE);
    let ceiling = |text: &str| file("_ceiling.yaml", text);
    let (running, _) = build(
        &[policy(), ceiling("deny:\n  - effects: [write]\n")],
        None,
        "12:00:00",
    );
    assert_eq!(running.ceiling_state(), CeilingState::InForce);
    let (gone, codes) = build(&[policy()], Some(&running), "12:00:01");
    assert_eq!(
        (gone.ceiling_state(), codes),
        (CeilingState::Kept, vec![code::FILE_NAME])
    );
    assert_eq!(allows(&gone, "a", "crm.objects.update"), Err(Reason::Ceiling));
    let (broken, codes) = build(&[policy(), ceiling("deny: 5\n")], Some(&gone), "12:00:02");
    assert_eq!(
        (broken.ceiling_state(), codes),
        (CeilingState::Kept, vec![code::WRONG_KIND])
    );
    assert_eq!(allows(&broken, "a", "crm.objects.update"), Err(Reason::Ceiling));
    let (loose, _) = build(&[policy(), ceiling("deny: []\n")], Some(&broken), "12:00:03");
    assert_eq!(loose.ceiling_state(), CeilingState::InForce);
    assert_eq!(allows(&loose, "a", "crm.objects.update"), Ok(()));
}

#[test]
fn a_broken_ceiling_at_start_allows_nothing() {
    for text in ["deny: 5\n", "", "properties: all\n", "deny: [\n"] {
        let (set, _) = build(
            &[policy_file("a", READ), file("_ceiling.yaml", text)],
            None,
            "12:00:00",
        );
        assert_eq!(set.ceiling_state(), CeilingState::Broken, "{text}");
        assert_eq!(state(&set, "a", "12:00:00"), "invalid", "{text}");
    }
}

#[test]
fn what_exceeds_the_ceiling_is_said_and_clipped_and_still_loads() {
    let ceiling = file(
        "_ceiling.yaml",
        "allow:\n  - scope: crm.objects.contacts.read\nrequire: [expires]\n",
    );
    let both = format!("{READ}{WRITE}");
    let files = [policy_file("a", &both), ceiling];
    let (set, codes) = build(&files, None, "12:00:00");
    assert!(codes.is_empty());
    let mistakes = set.beyond_ceiling(&catalogue(), at("12:00:00"));
    let codes: Vec<_> = mistakes.iter().map(|m| m.code).collect();
    assert_eq!(codes, [code::CEILING_REQUIRES, code::BEYOND_CEILING]);
    assert_eq!(mistakes[1].span.line, 6, "{:?}", mistakes[1]);
    assert_eq!(allows(&set, "a", "crm.objects.get"), Ok(()));
    assert_eq!(allows(&set, "a", "crm.objects.update"), Err(Reason::Ceiling));
}

#[test]
fn two_files_for_one_integration_are_a_mistake_in_both() {
    let (good, _) = build(&[policy_file("a", READ)], None, "12:00:00");
    let other = PolicyFile {
        inside: "sub/a.yaml".to_owned(),
        path: "policies/sub/a.yaml".into(),
        ..policy_file("a", WRITE)
    };
    let (set, codes) = build(&[policy_file("a", READ), other], Some(&good), "12:00:01");
    assert_eq!(codes, [code::DUPLICATE_POLICY, code::DUPLICATE_POLICY]);
    assert_eq!(state(&set, "a", "12:00:01"), "ready");
    assert_eq!(state(&set, "a", "13:00:01"), "invalid");
}

#[test]
fn file_names_say_what_a_file_is() {
    for (inside, kind) in [
        ("_ceiling.yaml", FileKind::Ceiling),
        ("sub/_ceiling.yaml", FileKind::Misnamed),
        ("sub/a.yaml", FileKind::Policy("a")),
        ("a.cases.yaml", FileKind::Cases("a")),
        ("a.yml", FileKind::Misnamed),
        ("policy.schema.json", FileKind::Other),
    ] {
        assert_eq!(file(inside, "").kind(), kind, "{inside}");
    }
    let (_, codes) = build(
        &[
            file("sub/_ceiling.yaml", ""),
            file("a.yml", ""),
            file("A b.yaml", ""),
        ],
        None,
        "12:00:00",
    );
    assert_eq!(codes, [code::FILE_NAME, code::FILE_NAME, code::BAD_NAME]);
}

#[test]
fn a_file_that_cannot_be_read_counts_as_one_that_does_not_load() {
    let (good, _) = build(&[policy_file("a", READ)], None, "12:00:00");
    let unreadable = PolicyFile {
        text: Err("permission denied".to_owned()),
        ..policy_file("a", READ)
    };
    let (set, codes) = build(&[unreadable], Some(&good), "12:00:01");
    assert_eq!(codes, [code::UNREADABLE]);
    assert_eq!(state(&set, "a", "12:59:59"), "ready");
    assert_eq!(state(&set, "a", "13:00:01"), "invalid");
}

#[test]
fn a_folder_that_cannot_be_read_does_not_keep_policies_for_ever() {
    let (good, _) = build(&[policy_file("a", READ)], None, "12:00:00");
    let stale = good.unreadable(&catalogue(), at("12:30:00"), HOUR);
    let again = stale.unreadable(&catalogue(), at("12:45:00"), HOUR);
    assert_eq!(state(&again, "a", "13:29:59"), "ready");
    assert_eq!(state(&again, "a", "13:30:00"), "invalid");
    let over = again.unreadable(&catalogue(), at("13:30:00"), HOUR);
    assert_eq!(state(&over, "a", "13:30:00"), "invalid");
    assert_eq!(over.next_change(), None, "nothing is left to be looked at again");
}

/// An operation that stands before all others: it moves each of them by one.
const ADDITION: &str = "method\tpath\tid\teffect\tresolve\tleast\n\
                        GET\t/crm/v3/brand-new/{id}\tcrm.brand-new.get\tread\tfixed\tcrm.objects.owners.read\n";

#[test]
fn a_folder_that_cannot_be_read_and_a_catalogue_that_changed_deny_and_allow_the_same_operations() {
    let named = "deny:\n  - operation: [crm.objects.merge]\n";
    let policy = policy_file("a", WRITE);
    let policy = file("a.yaml", &format!("{}{named}", policy.text.unwrap()));
    let ceiling = file("_ceiling.yaml", "deny:\n  - operation: [crm.objects.update]\n");
    let (good, codes) = build(&[policy, ceiling], None, "12:00:00");
    assert!(codes.is_empty(), "{codes:?}");
    let extended = Catalogue::with(Some(ADDITION), &[]).unwrap();
    let place = |catalogue: &Catalogue| catalogue.operation_by_id("crm.objects.merge").unwrap();
    assert_ne!(place(&extended), place(&catalogue()), "the addition moves it");
    let stale = good.unreadable(&extended, at("12:30:00"), HOUR);
    assert!(stale.is_of(&extended) && !stale.is_of(&catalogue()));
    assert_eq!(stale.ceiling_state(), CeilingState::Kept);
    for operation in [
        "crm.objects.create",
        "crm.objects.update",
        "crm.objects.merge",
        "crm.objects.get",
    ] {
        assert_eq!(
            allows_in(&extended, &stale, "a", operation),
            allows(&good, "a", operation),
            "{operation}"
        );
    }
}

#[test]
fn a_ceiling_that_a_changed_catalogue_breaks_stays_broken_when_its_file_is_removed() {
    let extended = Catalogue::with(Some(ADDITION), &[]).unwrap();
    let ceiling = file("_ceiling.yaml", "deny:\n  - operation: [crm.brand-new.get]\n");
    let policy = || policy_file("a", READ);
    fn build(files: &[PolicyFile], catalogue: &Catalogue, previous: Option<&PolicySet>) -> PolicySet {
        PolicySet::build(files, catalogue, previous, at("12:00:00"), HOUR).0
    }
    let good = build(&[policy(), ceiling], &extended, None);
    assert_eq!(good.ceiling_state(), CeilingState::InForce);
    for broken in [
        build(&[policy()], &catalogue(), Some(&good)),
        good.unreadable(&catalogue(), at("12:00:00"), HOUR),
    ] {
        assert_eq!(broken.ceiling_state(), CeilingState::Broken);
        let still = broken.unreadable(&catalogue(), at("12:00:00"), HOUR);
        assert_eq!(still.ceiling_state(), CeilingState::Broken);
        let (still, mistakes) =
            PolicySet::build(&[policy()], &catalogue(), Some(&still), at("12:00:00"), HOUR);
        assert_eq!(still.ceiling_state(), CeilingState::Broken);
        assert_eq!(state(&still, "a", "12:00:00"), "invalid");
        assert!(mistakes.iter().any(Mistake::is_error), "{mistakes:?}");
        // The catalogue has it again.
        let well = build(&[policy()], &extended, Some(&still));
        assert_eq!(well.ceiling_state(), CeilingState::Kept);
        assert_eq!(state(&well, "a", "12:00:00"), "ready");
    }
}

#[test]
fn a_ceiling_that_never_loaded_is_gone_with_its_file_and_not_before() {
    let (good, _) = build(&[policy_file("a", READ)], None, "12:00:00");
    let broken = file("_ceiling.yaml", "deny: [ {");
    let (set, codes) = build(&[policy_file("a", READ), broken], Some(&good), "12:00:00");
    assert_eq!(
        (set.ceiling_state(), codes.is_empty()),
        (CeilingState::Broken, false)
    );
    assert_eq!(state(&set, "a", "12:00:00"), "invalid");
    let unreadable = set.unreadable(&catalogue(), at("12:00:00"), HOUR);
    assert_eq!(unreadable.ceiling_state(), CeilingState::Broken);
    for before in [set, unreadable] {
        let (after, codes) = build(&[policy_file("a", READ)], Some(&before), "12:00:01");
        assert_eq!((after.ceiling_state(), codes), (CeilingState::Absent, vec![]));
        assert_eq!(state(&after, "a", "12:00:01"), "ready");
    }
}

#[test]
fn an_expired_policy_is_told_from_an_invalid_one() {
    let text = "integration: a\nowner: o\nconnections: [a]\nexpires: 2026-11-21\n";
    let (set, _) = build(&[file("a.yaml", text)], None, "12:00:00");
    assert_eq!(state(&set, "a", "12:00:00"), "expired");
}

#[test]
fn a_changed_catalogue_compiles_what_stands_in_again() {
    let extended = Catalogue::with(None, &["2099-01".to_owned()]).unwrap();
    let (good, _) = build(
        &[
            policy_file("a", READ),
            file("_ceiling.yaml", "deny:\n  - effects: [write]\n"),
        ],
        None,
        "12:00:00",
    );
    let (set, _) = PolicySet::build(
        &[policy_file("a", BROKEN)],
        &extended,
        Some(&good),
        at("12:00:01"),
        HOUR,
    );
    assert_ne!(extended.digest(), catalogue().digest());
    assert_eq!(state(&set, "a", "12:00:01"), "ready");
    assert_eq!(set.ceiling_state(), CeilingState::Kept);
    assert_eq!(allows(&set, "a", "crm.objects.get"), Ok(()));
}

#[test]
fn the_digest_is_of_what_is_in_force() {
    let (a, _) = build(&[policy_file("a", READ)], None, "12:00:00");
    let (same, _) = build(&[policy_file("a", READ)], None, "18:00:00");
    let (other, _) = build(&[policy_file("a", WRITE)], None, "12:00:00");
    let (stale, _) = build(&[policy_file("a", BROKEN)], Some(&a), "12:00:00");
    assert_eq!(a.digest(), same.digest());
    assert_eq!(a.digest(), stale.digest());
    assert_ne!(a.digest(), other.digest());
    assert_eq!(a.digest().len(), 64);
}

#[test]
fn an_unchanged_policy_is_not_compiled_again() {
    let (before, _) = build(
        &[policy_file("a", READ), policy_file("b", READ)],
        None,
        "12:00:00",
    );
    let (after, _) = build(
        &[policy_file("a", READ), policy_file("b", WRITE)],
        Some(&before),
        "12:00:01",
    );
    let policy = |set: &PolicySet, name: &str| match set.policy(name, at("12:00:02")) {
        PolicyState::Ready(policy) => Arc::clone(policy),
        other => panic!("{other:?}"),
    };
    assert!(Arc::ptr_eq(&policy(&before, "a"), &policy(&after, "a")));
    assert!(!Arc::ptr_eq(&policy(&before, "b"), &policy(&after, "b")));
}
