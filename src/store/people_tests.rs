use super::*;
use crate::access::installer::Installer;
use crate::access::kill::{KillKind, KillSubject};
use crate::store::connections::tests::new;
use crate::store::testing::{by_test, store};
use crate::store::{Acknowledging, ChangeKind, ConnectionRow, NewFinding};

const USER: u64 = 7;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn person(presence: Presence, since: i64) -> PersonRow {
    PersonRow {
        portal: PortalId::new(1).unwrap(),
        user_id: USER,
        email: Some("Ann@Example.com".to_owned()),
        super_admin: Some(false),
        presence,
        presence_since: at(since),
        lost_rights_since: None,
        unknown_since: None,
        unknown_why: None,
        seen: Some(at(since)),
        watch: "{}".to_owned(),
    }
}

/// A store with connections `a` and `b` of portals 1 and 2, both installed by user 7.
fn two() -> (tempfile::TempDir, Store) {
    let (dir, store) = store();
    store.add_connection(&new(1, "a", 1), &by_test()).unwrap();
    store.add_connection(&new(2, "b", 2), &by_test()).unwrap();
    (dir, store)
}

fn row(store: &Store, name: &str) -> ConnectionRow {
    let name = crate::access::connection::ConnectionName::parse(name).unwrap();
    store.connection_by_name(&name).unwrap().unwrap()
}

fn about(store: &Store, name: &str) -> Option<About> {
    row(store, name).installer.map(|note| note.about)
}

fn actions(store: &Store) -> Vec<String> {
    let events = store.admin_events_after(0).unwrap();
    events.into_iter().map(|event| event.action).collect()
}

#[test]
fn what_is_known_of_a_person_holds_for_the_connections_of_that_portal_alone() {
    let (_dir, store) = two();
    let before = store.last_change().unwrap();
    store.note_person(&person(Presence::Here, 0), &by_test()).unwrap();
    let addressed = store.changes_after(before).unwrap().rows;
    assert_eq!(
        addressed.len(),
        1,
        "the address, which a stop of a person may name"
    );
    assert_eq!(addressed[0].id, row(&store, "a").id.as_str());
    let before = store.last_change().unwrap();
    store.note_person(&person(Presence::Here, 0), &by_test()).unwrap();
    assert_eq!(store.last_change().unwrap(), before, "nothing to follow");
    assert_eq!(
        row(&store, "a").installer_email.as_deref(),
        Some("Ann@Example.com")
    );
    assert_eq!(row(&store, "b").installer_email, None);

    store
        .note_person(&person(Presence::Removed, 5), &by_test())
        .unwrap();
    assert_eq!(
        (about(&store, "a"), about(&store, "b")),
        (Some(About::Removed), None)
    );
    assert_eq!(row(&store, "a").installer.unwrap().since, at(5));
    let changes = store.changes_after(before).unwrap().rows;
    assert_eq!(changes.len(), 1);
    assert_eq!(
        (changes[0].kind, &*changes[0].id),
        (ChangeKind::Connection, row(&store, "a").id.as_str())
    );
    assert_eq!(actions(&store).last().unwrap(), "installer removed");

    // The same again is nothing new; back again is.
    store
        .note_person(&person(Presence::Removed, 5), &by_test())
        .unwrap();
    assert_eq!(store.last_change().unwrap(), before + 1);
    store.note_person(&person(Presence::Here, 9), &by_test()).unwrap();
    assert_eq!(about(&store, "a"), None);
    assert_eq!(actions(&store).last().unwrap(), "installer is back");
    assert_eq!(store.people().unwrap(), [person(Presence::Here, 9)]);
}

#[test]
fn lost_rights_count_until_the_person_consents_anew() {
    let (_dir, store) = two();
    let mut lost = person(Presence::Here, 0);
    lost.lost_rights_since = Some(at(5));
    store.note_person(&lost, &by_test()).unwrap();
    assert_eq!(about(&store, "a"), Some(About::LostRights));
    let sql = |sql: &str| store.write(|tx| Ok(tx.execute(sql, [])?)).unwrap();
    sql(&format!(
        "UPDATE connections SET installed_at = {}",
        at(6).as_millisecond()
    ));
    assert_eq!(about(&store, "a"), None);
    lost.lost_rights_since = Some(at(7));
    store.note_person(&lost, &by_test()).unwrap();
    assert_eq!(about(&store, "a"), Some(About::LostRights));
    // Being gone is more than having lost rights.
    lost.presence = Presence::Deactivated;
    store.note_person(&lost, &by_test()).unwrap();
    assert_eq!(about(&store, "a"), Some(About::Deactivated));
}

#[test]
fn another_installer_on_the_row_is_another_answer_at_once() {
    let (_dir, store) = two();
    store
        .note_person(&person(Presence::Removed, 5), &by_test())
        .unwrap();
    let before = store.last_change().unwrap();
    store
        .write(|tx| Ok(tx.execute("UPDATE connections SET user_id = 8 WHERE name = 'a'", [])?))
        .unwrap();
    assert_eq!(about(&store, "a"), None);
    assert_eq!(
        row(&store, "a").installer_email,
        None,
        "it was the other person's"
    );
    assert_eq!(
        store.changes_after(before).unwrap().rows.len(),
        1,
        "gates read the row again"
    );
    // An install that writes both keeps its own address.
    store
        .write(|tx| {
            Ok(tx.execute(
                "UPDATE connections SET user_id = 9, installer_email = 'new@example.com' WHERE name = 'a'",
                [],
            )?)
        })
        .unwrap();
    assert_eq!(
        row(&store, "a").installer_email.as_deref(),
        Some("new@example.com")
    );
    store.forget_people(&[]).unwrap();
    assert!(
        store.people().unwrap().is_empty(),
        "nobody stands on that person any more"
    );
}

#[test]
fn an_operator_offboards_whoever_the_address_belongs_to_and_takes_it_back() {
    let (_dir, store) = two();
    store.note_person(&person(Presence::Here, 0), &by_test()).unwrap();
    let before = store.last_change().unwrap();
    assert!(store.offboard("ANN@example.com", "leaves", &by_test()).unwrap());
    assert_eq!(
        (about(&store, "a"), about(&store, "b")),
        (Some(About::Offboarded), None)
    );
    assert_eq!(
        InstallerNote::installer(row(&store, "a").installer.as_ref()),
        Installer::Gone
    );
    assert!(!store.offboard("ann@example.com", "again", &by_test()).unwrap());
    assert_eq!(store.changes_after(before).unwrap().rows.len(), 1);
    assert_eq!(store.offboarded().unwrap()[0].reason, "leaves");
    // HubSpot agrees later: the operator's word is the older and stays.
    store
        .note_person(&person(Presence::Removed, 9), &by_test())
        .unwrap();
    assert_eq!(about(&store, "a"), Some(About::Offboarded));
    assert!(store.reinstate("Ann@example.com", &by_test()).unwrap());
    assert_eq!(about(&store, "a"), Some(About::Removed));
    assert!(!store.reinstate("ann@example.com", &by_test()).unwrap());
    let actions = actions(&store);
    for action in ["people offboard", "installer offboarded", "people reinstate"] {
        assert!(
            actions.iter().any(|known| known == action),
            "{action} in {actions:?}"
        );
    }
}

#[test]
fn an_acknowledgement_of_a_finding_holds_for_that_state_alone() {
    let (_dir, store) = two();
    store
        .note_person(&person(Presence::Deactivated, 5), &by_test())
        .unwrap();
    let found = |kind, since| NewFinding {
        kind,
        connection: row(&store, "a").id,
        person: Some("ann@example.com".to_owned()),
        since: at(since),
        detail: "{}".to_owned(),
    };
    let deactivated = [found("installer_deactivated", 5)];
    let first = store.change_findings(at(6), &[], &deactivated).unwrap();
    assert_eq!((first.began.len(), first.ended.len()), (1, 0));

    let id = first.began[0].id;
    let before = store.last_change().unwrap();
    assert_eq!(
        store.acknowledge_finding(id + 1, &by_test()).unwrap(),
        Acknowledging::Unknown
    );
    assert_eq!(
        store.acknowledge_finding(id, &by_test()).unwrap(),
        Acknowledging::Done
    );
    assert_eq!(
        store.acknowledge_finding(id, &by_test()).unwrap(),
        Acknowledging::Already
    );
    let note = row(&store, "a").installer.unwrap();
    assert_eq!((note.about, note.acknowledged), (About::Deactivated, true));
    assert_eq!(InstallerNote::installer(Some(&note)), Installer::Present);
    assert_eq!(store.changes_after(before).unwrap().rows.len(), 1, "gates follow");
    assert_eq!(
        store.open_findings().unwrap()[0]
            .acknowledged
            .as_ref()
            .unwrap()
            .why,
        "because"
    );

    // Removed is another state: the acknowledgement was not for that.
    store
        .note_person(&person(Presence::Removed, 8), &by_test())
        .unwrap();
    assert!(!row(&store, "a").installer.unwrap().acknowledged);
    let next = store
        .change_findings(at(9), &[id], &[found("installer_removed", 8)])
        .unwrap();
    assert_eq!((next.began.len(), next.ended.len()), (1, 1));
    assert_eq!(
        store.acknowledge_finding(id, &by_test()).unwrap(),
        Acknowledging::Over
    );
    // So is being deactivated a second time.
    store
        .note_person(&person(Presence::Deactivated, 10), &by_test())
        .unwrap();
    assert!(!row(&store, "a").installer.unwrap().acknowledged);
}

#[test]
fn an_acknowledgement_hides_nothing_that_is_found_beside_it() {
    let (_dir, store) = two();
    store.note_person(&person(Presence::Here, 0), &by_test()).unwrap();
    store.offboard("ann@example.com", "leaves", &by_test()).unwrap();
    let note = || row(&store, "a").installer.unwrap();
    let acknowledge = || {
        let found = NewFinding {
            kind: match note().about {
                About::Offboarded => "installer_offboarded",
                About::Removed => "installer_removed",
                other => panic!("{other:?}"),
            },
            connection: row(&store, "a").id,
            person: None,
            since: note().since,
            detail: "{}".to_owned(),
        };
        let began = store.change_findings(at(9), &[], &[found]).unwrap().began;
        store.acknowledge_finding(began[0].id, &by_test()).unwrap();
    };
    acknowledge();
    assert_eq!((note().about, note().acknowledged), (About::Offboarded, true));
    // HubSpot says so, too: that is news, and nobody has acknowledged it.
    let changed = store.last_change().unwrap();
    store
        .note_person(&person(Presence::Removed, 5), &by_test())
        .unwrap();
    assert_eq!((note().about, note().acknowledged), (About::Removed, false));
    assert!(store.last_change().unwrap() > changed, "gates follow");
    acknowledge();
    assert!(note().acknowledged);
    // What was acknowledged stays so when the other is taken back.
    store.reinstate("ann@example.com", &by_test()).unwrap();
    assert_eq!((note().about, note().acknowledged), (About::Removed, true));
}

#[test]
fn what_a_watcher_learnt_goes_with_it() {
    let (_dir, store) = two();
    let watch = WatchRow {
        portal: PortalId::new(1).unwrap(),
        watcher: "w".to_owned(),
        asked: at(1),
        trouble: None,
        super_admins: vec!["root@example.com".to_owned()],
        others: 3,
    };
    store.note_watch(&watch).unwrap();
    store.forget_people(&[watch.portal]).unwrap();
    assert_eq!(store.watches().unwrap(), [watch]);
    store.forget_people(&[]).unwrap();
    assert!(store.watches().unwrap().is_empty());
}

#[test]
fn a_stop_of_a_person_covers_their_connections_by_the_old_and_the_new_address() {
    let (_dir, store) = two();
    store.note_person(&person(Presence::Here, 0), &by_test()).unwrap();
    let before = store.last_change().unwrap();
    let renamed = PersonRow {
        email: Some("ann.new@example.com".to_owned()),
        ..person(Presence::Here, 0)
    };
    store.note_person(&renamed, &by_test()).unwrap();
    let changes = store.changes_after(before).unwrap().rows;
    assert_eq!(changes.len(), 1, "a running gate reads the connection again");
    for address in ["ann@example.com", "Ann.New@example.com"] {
        let stop = KillSubject::parse(KillKind::Person, address).unwrap();
        assert!(stop.covers(row(&store, "a").covered()), "{address}");
        assert!(!stop.covers(row(&store, "b").covered()), "{address}");
    }
}

#[test]
fn an_address_that_came_with_one_credential_counts_for_every_connection_of_that_person() {
    let stop = KillSubject::parse(KillKind::Person, "ada@example.com").unwrap();
    let covered = |store: &Store, name: &str| stop.covers(row(store, name).covered());
    let with = |seed: u8, name: &str, portal: u64, email: Option<&str>| {
        let mut new = new(seed, name, portal);
        new.installer_email = email.map(str::to_owned);
        new
    };
    let (_dir, store) = store();
    let silent = with(1, "silent", 1, None);
    store.add_connection(&silent, &by_test()).unwrap();
    store
        .add_connection(&with(2, "elsewhere", 2, None), &by_test())
        .unwrap();
    let before = store.last_change().unwrap();
    let told = with(3, "told", 1, Some("Ada@example.com"));
    store.add_connection(&told, &by_test()).unwrap();
    let changed: Vec<_> = store.changes_after(before).unwrap().rows;
    assert!(
        changed.iter().any(|change| change.id == silent.id.as_str()),
        "a running gate reads the other one again: {changed:?}"
    );
    // And the other way round; and for good.
    store
        .add_connection(&with(4, "later", 1, None), &by_test())
        .unwrap();
    store.remove_connection(&told.id, &by_test()).unwrap();
    assert!(covered(&store, "silent") && covered(&store, "later"));
    assert!(
        !covered(&store, "elsewhere"),
        "user 7 of another account is somebody else"
    );
}
