use std::sync::Arc;

use super::*;
use crate::access::catalogue::Catalogue;
use crate::access::connection::PortalId;
use crate::access::installer::{InstallerNote, Presence};
use crate::access::policy_set::PolicyFile;
use crate::store::testing::installed_by;

const DAY: i64 = 86_400;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn person(user_id: u64, super_admin: bool) -> PersonRow {
    PersonRow {
        portal: PortalId::new(1).unwrap(),
        user_id,
        email: Some("svc-sync@example.com".to_owned()),
        super_admin: Some(super_admin),
        presence: Presence::Here,
        presence_since: at(0),
        lost_rights_since: None,
        unknown_since: None,
        unknown_why: None,
        seen: None,
        watch: String::new(),
    }
}

fn policies(connections: &[(&str, &str)]) -> PolicySet {
    let catalogue = Catalogue::embedded().unwrap();
    let files: Vec<PolicyFile> = connections
        .iter()
        .map(|(name, connections)| PolicyFile {
            path: format!("{name}.yaml").into(),
            inside: format!("{name}.yaml"),
            text: Ok(format!(
                "integration: {name}\nowner: o@example.com\nconnections: {connections}\nallow: []\n"
            )
            .into()),
        })
        .collect();
    PolicySet::build(&files, &catalogue, None, at(0), Duration::ZERO).0
}

fn settings() -> PeopleSettings {
    PeopleSettings {
        watchers: vec!["watcher".to_owned()],
        technical_users: vec!["svc-*@example.com".to_owned()],
        ..PeopleSettings::default()
    }
}

/// Kinds found, in their order.
fn kinds(
    row: &ConnectionRow,
    people: &[PersonRow],
    policies: &PolicySet,
    now: Timestamp,
) -> Vec<&'static str> {
    let settings = settings();
    let world = World {
        connections: std::slice::from_ref(row),
        people,
        policies,
        settings: &settings,
        uses: &[],
    };
    world
        .findings(now)
        .into_iter()
        .map(|finding| finding.kind.as_str())
        .collect()
}

#[test]
fn each_kind_is_found_where_it_is_and_nowhere_else() {
    let none = policies(&[]);
    let service = installed_by("acme", Some(7), Some("SVC-sync@example.com"));
    assert!(kinds(&service, &[], &none, at(0)).is_empty());
    assert!(kinds(&service, &[person(7, false)], &none, at(0)).is_empty());
    assert_eq!(
        kinds(&service, &[person(7, true)], &none, at(0)),
        ["installer_is_super_admin"]
    );
    assert!(
        kinds(&service, &[person(8, true)], &none, at(0)).is_empty(),
        "somebody else"
    );

    let ann = installed_by("acme", Some(7), Some("ann@example.com"));
    assert_eq!(kinds(&ann, &[], &none, at(0)), ["installer_is_no_service_user"]);
    let unnamed = installed_by("acme", Some(7), None);
    assert_eq!(
        kinds(&unnamed, &[], &none, at(0)),
        ["installer_is_no_service_user"]
    );
    let unknown = installed_by("acme", None, None);
    assert_eq!(kinds(&unknown, &[], &none, at(0)), ["installer_unknown"]);

    for (about, kind) in [
        (About::Removed, "installer_removed"),
        (About::Deactivated, "installer_deactivated"),
        (About::Offboarded, "installer_offboarded"),
        (About::LostRights, "installer_lost_rights"),
    ] {
        let mut row = service.clone();
        row.installer = Some(InstallerNote {
            about,
            since: at(3),
            acknowledged: true,
        });
        // An acknowledged one is a finding still, of its date.
        assert_eq!(kinds(&row, &[], &none, at(9)), [kind]);
        assert_eq!(is_gone(kind), about != About::LostRights);
    }
}

#[test]
fn what_nobody_can_tell_is_a_finding_after_a_day_and_not_before() {
    let service = installed_by("acme", Some(7), Some("svc-sync@example.com"));
    let mut person = person(7, false);
    person.unknown_since = Some(at(0));
    person.unknown_why = Some("users: the watcher may not ask this (403)".to_owned());
    let none = policies(&[]);
    for (now, expected) in [
        (at(-5), &[][..]),
        (at(0), &[]),
        (at(DAY - 1), &[]),
        (at(DAY), &["watch_unknown_24h"]),
        (at(9 * DAY), &["watch_unknown_24h"]),
    ] {
        assert_eq!(
            kinds(&service, std::slice::from_ref(&person), &none, now),
            expected,
            "{now}"
        );
    }
}

#[test]
fn who_is_not_looked_for_any_more_is_unknown_too() {
    let service = installed_by("acme", Some(7), Some("svc-sync@example.com"));
    let mut person = person(7, false);
    person.seen = Some(at(0));
    let found = |now| kinds(&service, std::slice::from_ref(&person), &policies(&[]), now);
    assert!(found(at(DAY - 1)).is_empty());
    assert_eq!(found(at(DAY)), ["watch_unknown_24h"]);
}

#[test]
fn a_policy_that_names_a_watcher_is_a_finding_and_one_for_all_does_not_mean_it() {
    let watcher = installed_by("watcher", Some(7), Some("svc-sync@example.com"));
    assert!(kinds(&watcher, &[], &policies(&[("all", "\"*\"")]), at(0)).is_empty());
    let named = policies(&[("report", "[watcher]")]);
    assert_eq!(kinds(&watcher, &[], &named, at(0)), ["watcher_covered_by_policy"]);
}

#[test]
fn a_finding_names_the_integrations_and_what_they_last_did() {
    let mut row = installed_by("acme", Some(7), Some("svc-sync@example.com"));
    row.installer = Some(InstallerNote {
        about: About::Removed,
        since: at(3),
        acknowledged: false,
    });
    let (policies, settings) = (
        policies(&[("report", "[acme]"), ("sync", "\"*\""), ("other", "[globex]")]),
        settings(),
    );
    let uses = [
        LastUse {
            integration: "other".to_owned(),
            connection: row.id,
            class: Class::Write,
            at: at(2),
        },
        LastUse {
            integration: "report".to_owned(),
            connection: row.id,
            class: Class::Read,
            at: at(1),
        },
    ];
    let world = World {
        connections: std::slice::from_ref(&row),
        people: &[],
        policies: &policies,
        settings: &settings,
        uses: &uses,
    };
    let found = world.findings(at(9));
    assert_eq!(found.len(), 1);
    let found = [world.told(&found[0])];
    assert_eq!(
        (found[0].person.as_deref(), found[0].since),
        (Some("svc-sync@example.com"), at(3))
    );
    let detail: serde_json::Value = serde_json::from_str(&found[0].detail).unwrap();
    assert_eq!(detail["connection"], "acme");
    let said: Vec<_> = detail["integrations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["integration"].as_str().unwrap(),
                &one["last_read"],
                &one["last_write"],
            )
        })
        .collect();
    let (read, null) = (serde_json::json!(at(1).to_string()), serde_json::Value::Null);
    assert_eq!(said, [("report", &read, &null), ("sync", &null, &null)]);
}

#[test]
fn a_finding_names_twenty_integrations_and_counts_the_others() {
    let row = installed_by("acme", None, None);
    let names: Vec<String> = (0..23).map(|n| format!("i{n:02}")).collect();
    let all: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "[acme]")).collect();
    let (policies, settings) = (policies(&all), settings());
    let world = World {
        connections: std::slice::from_ref(&row),
        people: &[],
        policies: &policies,
        settings: &settings,
        uses: &[],
    };
    let told = world.told(&world.findings(at(9))[0]);
    let detail: serde_json::Value = serde_json::from_str(&told.detail).unwrap();
    assert_eq!(detail["integrations"].as_array().unwrap().len(), 20);
    assert_eq!(detail["more_integrations"], 3);
}

#[test]
fn a_pattern_fits_whole_addresses_in_any_case() {
    for (pattern, email, fits) in [
        ("svc-*@example.com", "svc-sync@example.com", true),
        ("svc-*@example.com", "SVC-@EXAMPLE.com", true),
        ("svc-*@example.com", "x-svc-sync@example.com", false),
        ("svc-*@example.com", "svc-sync@example.com.evil", false),
        ("hub@example.com", "hub@example.com", true),
        ("hub@example.com", "hub@example.comm", false),
        ("*-bot@*.example.com", "crm-bot@eu.example.com", true),
        ("*-bot@*.example.com", "crm-bot@example.com", false),
        ("a*a@b.c", "a@b.c", false),
    ] {
        assert_eq!(matches(pattern, email), fits, "{pattern} {email}");
    }
}

#[test]
fn policies_of_the_tests_load() {
    let set = policies(&[("report", "[acme]")]);
    assert!(
        set.integrations()
            .all(|(_, policy, loads): (&Arc<str>, _, _)| policy.is_some() && loads)
    );
}
