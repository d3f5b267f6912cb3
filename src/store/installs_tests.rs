use super::*;
use crate::store::testing::{by_test, store};
use crate::store::{ClassHealth, ConnectionHealth, NewApp, Resumed};

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap()
}

fn with_app() -> (tempfile::TempDir, Store) {
    let (dir, store) = store();
    let app = NewApp {
        name: "agency".to_owned(),
        client_id: "c".to_owned(),
        data_key: WrappedKey::from_stored(vec![1]),
        secret: Sealed::from_stored(vec![2]),
        other_secret: None,
    };
    store.add_app(&app, &by_test()).unwrap();
    (dir, store)
}

fn new(id: &str) -> NewInstall {
    NewInstall {
        id: id.to_owned(),
        ticket: Some([1; 32]),
        app: "agency".to_owned(),
        name: ConnectionName::parse("acme"),
        connection: None,
        portal: PortalId::new(1001),
        labels: "tier=gold".to_owned(),
        required: vec!["oauth".to_owned()],
        optional: vec![],
        expires: later(900),
    }
}

fn beginning(browser: u8, state: u8) -> Beginning {
    Beginning {
        browser: [browser; 32],
        state: [state; 32],
        verifier: Some((WrappedKey::from_stored(vec![3]), Sealed::from_stored(vec![4]))),
        back_until: later(900),
    }
}

fn grant(seed: u8, name: &str, portal: u64) -> Grant {
    Grant {
        id: ConnectionId::generate([seed; 12]),
        name: ConnectionName::parse(name).unwrap(),
        portal: PortalId::new(portal).unwrap(),
        app: "agency".to_owned(),
        standing: Standing::Ok,
        standing_why: None,
        over: None,
        data_key: WrappedKey::from_stored(vec![5]),
        handed: CredentialDigest::from_stored(&[5; 32]).unwrap(),
        access: Sealed::from_stored(vec![6]),
        refresh: Sealed::from_stored(vec![7]),
        obtained: Timestamp::now(),
        expires: later(1800),
        user_id: Some(9001),
        email: Some("ada@example.com".to_owned()),
        rights: Some("{}".to_owned()),
        scopes: vec!["oauth".to_owned()],
        requested: vec!["oauth".to_owned(), "tickets".to_owned()],
        labels: "tier=gold".to_owned(),
    }
}

#[test]
fn a_ticket_is_bound_to_the_first_browser_and_a_state_is_taken_once() {
    let (_dir, store) = with_app();
    store.add_install(&new("i"), &by_test()).unwrap();
    assert!(store.begin_install("i", &beginning(1, 1)).unwrap());
    assert!(
        !store.begin_install("i", &beginning(2, 2)).unwrap(),
        "another browser"
    );
    assert!(
        store.begin_install("i", &beginning(1, 3)).unwrap(),
        "the same again"
    );
    assert_eq!(
        store.take_install("i", &[1; 32]).unwrap(),
        None,
        "a state that was replaced"
    );
    assert_eq!(store.take_install("i", &[3; 32]).unwrap(), Some(1));
    assert_eq!(store.take_install("i", &[3; 32]).unwrap(), None, "replayed");
    assert!(
        !store.begin_install("i", &beginning(1, 4)).unwrap(),
        "while a code is used"
    );
    store.reopen_install("i", 1).unwrap();
    assert!(store.begin_install("i", &beginning(1, 4)).unwrap());
    assert_eq!(store.take_install("i", &[4; 32]).unwrap(), Some(2));
    store.reopen_install("i", 1).unwrap();
    assert_eq!(
        store.install("i").unwrap().unwrap().phase,
        InstallPhase::Exchanging
    );
}

#[test]
fn connection_and_end_of_the_install_are_one() {
    let (_dir, store) = with_app();
    store.add_install(&new("i"), &by_test()).unwrap();
    store.begin_install("i", &beginning(1, 1)).unwrap();
    assert!(
        !store
            .complete_install(Some(("i", 0)), &grant(1, "acme", 1001), &by_test())
            .unwrap()
    );
    let attempt = store.take_install("i", &[1; 32]).unwrap().unwrap();
    assert!(
        !store
            .complete_install(Some(("i", attempt + 1)), &grant(1, "acme", 1001), &by_test())
            .unwrap()
    );
    assert!(store.connections().unwrap().is_empty());
    assert!(
        store
            .complete_install(Some(("i", attempt)), &grant(1, "acme", 1001), &by_test())
            .unwrap()
    );
    let row = store.connections().unwrap().pop().unwrap();
    assert_eq!(
        (row.user_id, row.installer_email.as_deref()),
        (Some(9001), Some("ada@example.com"))
    );
    assert_eq!(row.labels, [("tier".to_owned(), "gold".to_owned())]);
    assert_eq!(row.requested_scopes.len(), 2);
    assert!(row.installed.is_some());
    assert_eq!(store.install("i").unwrap().unwrap().phase, InstallPhase::Done);
    // The name is taken: neither happens.
    store.add_install(&new("j"), &by_test()).unwrap();
    store.begin_install("j", &beginning(1, 9)).unwrap();
    let attempt = store.take_install("j", &[9; 32]).unwrap().unwrap();
    assert!(
        store
            .complete_install(Some(("j", attempt)), &grant(2, "acme", 1002), &by_test())
            .is_err()
    );
    assert_eq!(
        store.install("j").unwrap().unwrap().phase,
        InstallPhase::Exchanging
    );
}

#[test]
fn a_grant_over_an_old_one_heals_what_died_and_leaves_a_suspension() {
    for (before, after) in [
        (Standing::Dead, Standing::Ok),
        (Standing::Reauthorise, Standing::Ok),
        (Standing::InstallerRemoved, Standing::InstallerRemoved), // the same person
        (Standing::Suspended, Standing::Suspended),
    ] {
        let (_dir, store) = with_app();
        store
            .complete_install(None, &grant(1, "acme", 1001), &by_test())
            .unwrap();
        let id = grant(1, "acme", 1001).id;
        store
            .change_standing(&id, &[Standing::Ok], before, Some("why"), "test", &by_test())
            .unwrap();
        let again = Grant {
            over: Some(1),
            labels: String::new(),
            ..grant(1, "acme", 1001)
        };
        let seq = store.last_change().unwrap();
        assert!(store.complete_install(None, &again, &by_test()).unwrap());
        assert!(store.last_change().unwrap() > seq, "a running gate is told");
        let row = store.connection(&id).unwrap().unwrap();
        assert_eq!((row.standing, row.generation), (after, 2));
        assert_eq!(row.labels.len(), 1, "kept");
        assert!(
            !store.complete_install(None, &again, &by_test()).unwrap(),
            "the row has moved on"
        );
        let elsewhere = Grant {
            over: Some(2),
            ..grant(1, "acme", 1002)
        };
        assert!(!store.complete_install(None, &elsewhere, &by_test()).unwrap());
    }
}

#[test]
fn a_grant_over_an_old_one_keeps_its_persons_address_and_ends_the_old_ones_refusals() {
    let (_dir, store) = with_app();
    store
        .complete_install(None, &grant(1, "acme", 1001), &by_test())
        .unwrap();
    let id = grant(1, "acme", 1001).id;
    let at = |second| Some(Timestamp::from_second(second).unwrap());
    let refused = ClassHealth {
        failure: at(90_000),
        failures: 9,
        failing_since: at(1),
        ..ClassHealth::default()
    };
    let health = ConnectionHealth {
        read: ClassHealth::default(),
        write: refused,
    };
    store.save_health(&[(id, health)], &[]).unwrap();
    let again = Grant {
        over: Some(1),
        email: None,
        ..grant(1, "acme", 1001)
    };
    assert!(store.complete_install(None, &again, &by_test()).unwrap());
    let email = || store.connection(&id).unwrap().unwrap().installer_email;
    assert_eq!(
        email().as_deref(),
        Some("ada@example.com"),
        "a stop of that person goes by it"
    );
    assert_eq!(store.connection_health().unwrap()[&id].write.failures, 0);
    let by_another = Grant {
        over: Some(2),
        email: None,
        user_id: Some(9002),
        ..grant(1, "acme", 1001)
    };
    assert!(store.complete_install(None, &by_another, &by_test()).unwrap());
    assert_eq!(email(), None, "not the other's");
}

#[test]
fn a_pending_connection_passes_nothing_until_it_is_resumed() {
    let (_dir, store) = with_app();
    let pending = Grant {
        standing: Standing::Pending,
        standing_why: Some("installed without a ticket"),
        ..grant(1, "agency-1001", 1001)
    };
    store.complete_install(None, &pending, &by_test()).unwrap();
    assert_eq!(
        store.resume(&pending.id, &by_test()).unwrap(),
        Resumed::Passes(Standing::Ok)
    );
}

#[test]
fn installs_of_strangers_are_bounded_and_old_ones_forgotten() {
    let (_dir, store) = with_app();
    let mut first = new("old");
    (first.ticket, first.expires) = (None, later(-10));
    assert!(
        store
            .add_begun_install(&first, &beginning(1, 1), &by_test())
            .unwrap()
    );
    let mut second = new("new");
    (second.ticket, second.name) = (None, None);
    assert!(
        store
            .add_begun_install(&second, &beginning(1, 2), &by_test())
            .unwrap()
    );
    assert!(store.install("old").unwrap().is_none());
    assert!(store.install_of_state(&[2; 32]).unwrap().unwrap().name.is_none());
    let mut ticket = new("ticket");
    ticket.expires = later(-10);
    store.add_install(&ticket, &by_test()).unwrap();
    store.add_install(&new("other"), &by_test()).unwrap();
    assert!(
        store.install("ticket").unwrap().is_some(),
        "a late click is told what happened"
    );
}

#[test]
fn strangers_that_give_up_what_they_began_make_no_room_for_more() {
    let (_dir, store) = with_app();
    let stranger = |number: u32| {
        let mut install = new(&format!("i{number}"));
        (install.ticket, install.name) = (None, None);
        let mut beginning = beginning(1, 1);
        beginning.state[..4].copy_from_slice(&number.to_be_bytes());
        (install, beginning)
    };
    let most = u32::try_from(WITHOUT_TICKET_MAX).unwrap();
    let rows = store.row_key().unwrap();
    store
        .write(|tx| {
            for number in 0..most {
                let (install, beginning) = stranger(number);
                insert(tx, rows, &install, &by_test(), Some(&beginning))?;
            }
            Ok(())
        })
        .unwrap();
    let (_, first) = stranger(0);
    let attempt = store.take_install("i0", &first.state).unwrap().unwrap();
    store.reopen_install("i0", attempt).unwrap();
    let (install, beginning) = stranger(most);
    let added = store.add_begun_install(&install, &beginning, &by_test());
    assert!(!added.unwrap());
}

#[test]
fn a_person_who_is_not_told_counts_as_the_one_before() {
    let ada = Some("ada@example.com");
    for (user_id, email, person) in [
        (Some(9001), None, (Some(9001), ada)),
        (None, None, (Some(9001), ada)),
        (Some(7), None, (Some(7), None)),
        (
            Some(7),
            Some("bob@example.com"),
            (Some(7), Some("bob@example.com")),
        ),
    ] {
        let (_dir, store) = with_app();
        let first = grant(1, "acme", 1001);
        store.complete_install(None, &first, &by_test()).unwrap();
        let again = Grant {
            over: Some(1),
            user_id,
            email: email.map(str::to_owned),
            ..grant(1, "acme", 1001)
        };
        assert!(store.complete_install(None, &again, &by_test()).unwrap());
        let row = store.connection(&first.id).unwrap().unwrap();
        assert_eq!((row.user_id, row.installer_email.as_deref()), person);
    }
}

#[test]
fn the_token_of_a_renewed_consent_is_not_as_old_as_the_one_before() {
    let (_dir, store) = with_app();
    let first = grant(1, "acme", 1001);
    store.complete_install(None, &first, &by_test()).unwrap();
    store
        .write(|tx| {
            // As a refresh notes it.
            tx.execute(
                "UPDATE connections SET access_boot = 'this run', access_boot_ms = 1",
                [],
            )?;
            Ok(())
        })
        .unwrap();
    let again = Grant {
        over: Some(1),
        ..grant(1, "acme", 1001)
    };
    assert!(store.complete_install(None, &again, &by_test()).unwrap());
    let row = store.connection(&first.id).unwrap().unwrap();
    assert!(row.access.is_some() && row.access_clock.is_none());
}

#[test]
fn a_row_that_somebody_else_altered_goes_no_step_further() {
    let alterations = [
        "phase = 'begun'",
        "attempt = attempt + 1",
        "browser = zeroblob(32)",
        "browser = NULL",
        "state = zeroblob(32)",
        "back_until = back_until + 1",
        "expires_at = expires_at + 1",
        "ticket = NULL",
        "app = 'other'",
        "actor = 'somebody'",
        "reason = NULL",
        "data_key = NULL, verifier = NULL",
        "seal = NULL",
        "seal = zeroblob(32)",
    ];
    for alteration in alterations {
        let (_dir, store) = with_app();
        let other = NewApp {
            name: "other".to_owned(),
            client_id: "o".to_owned(),
            data_key: WrappedKey::from_stored(vec![1]),
            secret: Sealed::from_stored(vec![2]),
            other_secret: None,
        };
        store.add_app(&other, &by_test()).unwrap();
        let alter = |id: &str| {
            let sql = format!("UPDATE installs SET {alteration} WHERE id = '{id}'");
            let altered = store.write(|tx| Ok(tx.execute(&sql, [])?)).unwrap();
            assert_eq!(altered, 1);
        };
        let altered = |outcome: StoreError| {
            assert!(
                matches!(outcome, StoreError::Damaged("the seal of an install")),
                "{alteration}"
            )
        };
        let begun = |id: &str, number: u8| {
            store.add_install(&new(id), &by_test()).unwrap();
            assert!(store.begin_install(id, &beginning(1, number)).unwrap());
        };
        // While its code is used, so that each alteration is one.
        begun("i", 1);
        assert_eq!(store.take_install("i", &[1; 32]).unwrap(), Some(1));
        assert!(store.install("i").unwrap().unwrap().genuine);
        alter("i");
        assert!(!store.install("i").unwrap().unwrap().genuine, "{alteration}");
        let beginning = beginning(1, 9);
        altered(store.begin_install("i", &beginning).unwrap_err());
        altered(store.take_install("i", &[1; 32]).unwrap_err());
        altered(store.reopen_install("i", 1).unwrap_err());
        let grant = grant(1, "acme", 1001);
        altered(
            store
                .complete_install(Some(("i", 1)), &grant, &by_test())
                .unwrap_err(),
        );
        assert!(store.connections().unwrap().is_empty());
    }
}
