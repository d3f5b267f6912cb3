use super::*;
use crate::access::connection::{ConnectionName, CredentialKind};
use crate::store::saves;
use crate::store::testing::{by_test, store};
use crate::store::{NewApp, NewConnection};

const MINUTE: Duration = Duration::from_secs(60);

fn with_grant() -> (tempfile::TempDir, Store, ConnectionId) {
    let (dir, store) = store();
    let sealed = || Sealed::from_stored(vec![1; 40]);
    let app = NewApp {
        name: "app".to_owned(),
        client_id: "client".to_owned(),
        data_key: WrappedKey::from_stored(vec![1]),
        secret: sealed(),
        other_secret: None,
    };
    store.add_app(&app, &by_test()).unwrap();
    let id = ConnectionId::generate([1; 12]);
    let connection = NewConnection {
        id,
        name: ConnectionName::parse("acme").unwrap(),
        portal: PortalId::new(1).unwrap(),
        kind: CredentialKind::OAuth,
        app: Some("app".to_owned()),
        standing: Standing::Unverified,
        standing_why: None,
        user_id: None,
        installer_email: None,
        scopes: Vec::new(),
        data_key: WrappedKey::from_stored(vec![1]),
        access: None,
        refresh: Some(sealed()),
        labels: crate::access::label::Labels::default(),
        handed: None,
    };
    store.add_connection(&connection, &by_test()).unwrap();
    (dir, store, id)
}

fn begin(store: &Store, id: &ConnectionId) -> Ticket {
    match store.begin_refresh(id, "g1", MINUTE).unwrap() {
        Begin::Started(ticket) => *ticket,
        other => panic!("{other:?}"),
    }
}

fn tokens(byte: u8) -> NewTokens {
    NewTokens {
        access: Sealed::from_stored(vec![byte; 40]),
        refresh: Sealed::from_stored(vec![byte; 41]),
        expires: Timestamp::from_second(1801).unwrap(),
        standing: Some((Standing::Ok, None)),
    }
}

fn grant(byte: u8) -> NewGrant {
    NewGrant {
        obtained: Timestamp::from_second(1).unwrap(),
        clock: None,
        scopes: Some(vec!["oauth".to_owned()]),
        user_id: Some(9),
        print: print(byte),
        tokens: vec![tokens(byte)],
    }
}

fn print(byte: u8) -> GrantPrint {
    GrantPrint::from_stored(vec![byte; 32]).unwrap()
}

#[test]
fn one_attempt_at_a_time_and_the_next_one_has_the_next_fence() {
    let (_dir, store, id) = with_grant();
    let first = begin(&store, &id);
    assert!(!first.uncertain);
    assert!(matches!(
        store.begin_refresh(&id, "g2", MINUTE).unwrap(),
        Begin::Busy { .. }
    ));
    assert_eq!(
        store.save_refreshed(&first, &grant(2), &by_test()).unwrap(),
        Saved::Yes
    );
    let second = begin(&store, &id);
    assert_eq!(second.own.fence, first.own.fence + 1);
    assert_eq!(second.own.generation, first.own.generation + 1);
    assert!(!second.uncertain);
    let row = store.connection(&id).unwrap().unwrap();
    assert_eq!((row.standing, row.user_id), (Standing::Ok, Some(9)));
}

#[test]
fn a_holder_that_lost_its_lease_never_writes() {
    let (_dir, store, id) = with_grant();
    let slow = match store.begin_refresh(&id, "g1", Duration::ZERO).unwrap() {
        Begin::Started(ticket) => *ticket,
        other => panic!("{other:?}"),
    };
    let quick = begin(&store, &id);
    assert!(
        quick.uncertain,
        "the slow one's answer may have rotated the grant"
    );
    assert_eq!(
        store.save_refreshed(&slow, &grant(3), &by_test()).unwrap(),
        Saved::Lost
    );
    assert!(!store.end_refresh(&slow, false, None).unwrap());
    assert_eq!(
        store.save_refreshed(&quick, &grant(4), &by_test()).unwrap(),
        Saved::Yes
    );
    assert_eq!(
        store.save_refreshed(&slow, &grant(3), &by_test()).unwrap(),
        Saved::Lost
    );
    let row = store.connection(&id).unwrap().unwrap();
    assert_eq!(row.refresh.unwrap(), Sealed::from_stored(vec![4; 41]));
}

#[test]
fn saving_twice_is_saving_once() {
    let (_dir, store, id) = with_grant();
    let ticket = begin(&store, &id);
    assert_eq!(
        store.save_refreshed(&ticket, &grant(2), &by_test()).unwrap(),
        Saved::Yes
    );
    assert_eq!(
        store.save_refreshed(&ticket, &grant(2), &by_test()).unwrap(),
        Saved::Yes
    );
    assert_eq!(store.connection(&id).unwrap().unwrap().generation, 2);
}

#[test]
fn a_predecessors_death_is_seen_by_its_open_intent() {
    let (_dir, store, id) = with_grant();
    let lock = GateLock::acquire(store.path()).unwrap();
    let dead = begin(&store, &id);
    store.take_over_leases(&lock).unwrap();
    let next = begin(&store, &id);
    assert!(next.uncertain);
    assert_eq!(
        store.save_refreshed(&dead, &grant(2), &by_test()).unwrap(),
        Saved::Lost
    );
}

#[test]
fn an_attempt_that_certainly_did_nothing_leaves_no_intent() {
    let (_dir, store, id) = with_grant();
    let ticket = begin(&store, &id);
    assert!(store.end_refresh(&ticket, false, Some("configuration")).unwrap());
    let row = store.connection(&id).unwrap().unwrap();
    assert_eq!(row.health.as_deref(), Some("configuration"));
    assert!(row.intent.is_none());
    let ticket = begin(&store, &id);
    store.end_refresh(&ticket, true, None).unwrap();
    assert!(begin(&store, &id).uncertain);
}

#[test]
fn a_suspension_during_a_refresh_stays() {
    let (_dir, store, id) = with_grant();
    let ticket = begin(&store, &id);
    let passing = [Standing::Unverified];
    store
        .change_standing(&id, &passing, Standing::Suspended, None, "x", &by_test())
        .unwrap();
    assert_eq!(
        store.save_refreshed(&ticket, &grant(2), &by_test()).unwrap(),
        Saved::Yes
    );
    assert_eq!(
        store.connection(&id).unwrap().unwrap().standing,
        Standing::Suspended
    );
}

#[test]
fn a_removed_connection_has_nothing_to_refresh() {
    let (_dir, store, id) = with_grant();
    let ticket = begin(&store, &id);
    store.remove_connection(&id, &by_test()).unwrap();
    assert_eq!(
        store.save_refreshed(&ticket, &grant(2), &by_test()).unwrap(),
        Saved::Lost
    );
    assert!(matches!(
        store.begin_refresh(&id, "g1", MINUTE).unwrap(),
        Begin::Gone
    ));
}

/// Adds `name` under an app of its own, holding the refresh token that `print` stands for.
fn add_sharer(store: &Store, seed: u8, name: &str, held: u8) -> ConnectionId {
    let app = NewApp {
        name: format!("app-{name}"),
        client_id: "client".to_owned(),
        data_key: WrappedKey::from_stored(vec![1]),
        secret: Sealed::from_stored(vec![1; 40]),
        other_secret: None,
    };
    store.add_app(&app, &by_test()).unwrap();
    let id = ConnectionId::generate([seed; 12]);
    let connection = NewConnection {
        id,
        name: ConnectionName::parse(name).unwrap(),
        portal: PortalId::new(1).unwrap(),
        kind: CredentialKind::OAuth,
        app: Some(app.name),
        standing: Standing::Ok,
        standing_why: None,
        user_id: None,
        installer_email: None,
        scopes: Vec::new(),
        data_key: WrappedKey::from_stored(vec![1]),
        access: None,
        refresh: Some(Sealed::from_stored(vec![1; 40])),
        labels: crate::access::label::Labels::default(),
        handed: None,
    };
    store.add_connection(&connection, &by_test()).unwrap();
    store.note_grant(&id, 1, &print(held), &by_test()).unwrap();
    id
}

#[test]
fn all_holders_of_a_grant_get_the_new_token_in_one_transaction() {
    let (_dir, store, first) = with_grant();
    assert!(!store.note_grant(&first, 1, &print(1), &by_test()).unwrap());
    let second = add_sharer(&store, 2, "second", 1);
    let other = add_sharer(&store, 3, "other", 9);
    assert_eq!(
        store.sharers(&first).unwrap(),
        [ConnectionName::parse("second").unwrap()]
    );
    assert!(store.sharers(&other).unwrap().is_empty());

    let ticket = begin(&store, &second);
    assert_eq!(ticket.own.connection, second);
    assert_eq!(ticket.sharers[0].connection, first);
    assert_eq!(
        ticket.apps.len(),
        2,
        "the sharer's app may know a secret that ours does not"
    );
    assert!(matches!(
        store.begin_refresh(&first, "g1", MINUTE).unwrap(),
        Begin::Busy { .. }
    ));
    assert!(matches!(
        store.begin_refresh(&other, "g1", MINUTE).unwrap(),
        Begin::Started(_)
    ));
    let mut fresh = grant(2);
    fresh.tokens.push(tokens(3));
    assert_eq!(
        store.save_refreshed(&ticket, &fresh, &by_test()).unwrap(),
        Saved::Yes
    );
    let row = |id| store.connection(id).unwrap().unwrap();
    assert_eq!(row(&second).refresh.unwrap(), Sealed::from_stored(vec![2; 41]));
    assert_eq!(row(&first).refresh.unwrap(), Sealed::from_stored(vec![3; 41]));
    for id in [&first, &second] {
        let row = row(id);
        assert_eq!((row.generation, row.grant_print), (2, Some(print(2))));
        assert!(row.intent.is_none() && row.refreshed.is_some());
    }
    assert_eq!(row(&other).generation, 1);
}

#[test]
fn removing_one_holder_leaves_the_others_and_what_is_saved_reaches_them() {
    let (_dir, store, first) = with_grant();
    store.note_grant(&first, 1, &print(1), &by_test()).unwrap();
    let second = add_sharer(&store, 2, "second", 1);
    let ticket = begin(&store, &second);
    store.remove_connection(&second, &by_test()).unwrap();
    let mut fresh = grant(2);
    fresh.tokens.push(tokens(3));
    let saved = store.save_refreshed(&ticket, &fresh, &by_test()).unwrap();
    assert_eq!(saved, Saved::Lost, "the one that asked is gone");
    let row = store.connection(&first).unwrap().unwrap();
    assert_eq!(row.refresh.unwrap(), Sealed::from_stored(vec![3; 41]));
    assert!(store.sharers(&first).unwrap().is_empty());
    assert!(begin(&store, &first).sharers.is_empty());
}

#[test]
fn one_that_was_given_another_grant_leaves_the_others_and_does_not_come_back() {
    let (_dir, store, first) = with_grant();
    store.note_grant(&first, 1, &print(1), &by_test()).unwrap();
    let second = add_sharer(&store, 2, "second", 1);
    assert!(!store.note_grant(&first, 1, &print(5), &by_test()).unwrap());
    assert!(store.sharers(&second).unwrap().is_empty());
    assert!(begin(&store, &second).sharers.is_empty());
    let third = add_sharer(&store, 4, "third", 1);
    assert_eq!(
        store.sharers(&third).unwrap(),
        [ConnectionName::parse("second").unwrap()]
    );
}

#[test]
fn a_lease_does_not_last_because_a_clock_was_set_back() {
    let (_dir, store, id) = with_grant();
    let ticket = begin(&store, &id);
    let set_back = |hours: i64| {
        rusqlite::Connection::open(store.path())
            .unwrap()
            .execute(
                "UPDATE connections SET lease_until = lease_until + ?1",
                params![hours * 3_600_000],
            )
            .unwrap();
    };
    assert!(matches!(
        store.begin_refresh(&id, "g2", MINUTE).unwrap(),
        Begin::Busy { .. }
    ));
    set_back(3);
    let next = begin(&store, &id);
    assert_eq!(next.own.fence, ticket.own.fence + 1, "not held for three hours");
    set_back(-3);
    let next = begin(&store, &id);
    assert_eq!(
        store.save_refreshed(&ticket, &grant(2), &by_test()).unwrap(),
        Saved::Lost,
        "set forward, the lease ends early, and the fence keeps the late one from writing"
    );
    assert_eq!(
        store.save_refreshed(&next, &grant(3), &by_test()).unwrap(),
        Saved::Yes
    );
}

#[test]
fn a_refresh_notes_when_it_was_and_leaves_the_age_of_the_credential_alone() {
    let (_dir, store, id) = with_grant();
    let before = store.connection(&id).unwrap().unwrap();
    assert_eq!(before.refreshed, None);
    let ticket = begin(&store, &id);
    store.save_refreshed(&ticket, &grant(2), &by_test()).unwrap();
    let after = store.connection(&id).unwrap().unwrap();
    assert!(after.refreshed.unwrap() >= before.created);
    assert_eq!(after.credential_at, before.credential_at);
}

#[test]
fn a_save_waits_for_the_transaction_under_way_and_for_no_other() {
    use std::sync::mpsc;
    let (_dir, store, id) = with_grant();
    let ticket = begin(&store, &id);
    std::thread::scope(|scope| {
        let (go, wait) = mpsc::channel();
        let (started, under_way) = mpsc::channel();
        let store = &store;
        scope.spawn(move || {
            store
                .write(|_| {
                    started.send(()).unwrap();
                    wait.recv().unwrap();
                    Ok(())
                })
                .unwrap();
        });
        under_way.recv().unwrap();
        let others: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    store
                        .write(|tx| {
                            Ok(tx.query_row("SELECT generation FROM connections", [], |row| row.get(0))?)
                        })
                        .unwrap()
                })
            })
            .collect();
        let save = scope.spawn(|| store.save_refreshed(&ticket, &grant(2), &by_test()).unwrap());
        // Until it stands in the queue nobody can know of it.
        while !store.saves.is_waiting() {
            std::thread::yield_now();
        }
        go.send(()).unwrap();
        assert_eq!(save.join().unwrap(), Saved::Yes);
        for other in others {
            let seen: i64 = other.join().unwrap();
            assert_eq!(seen, 2, "it went before all that waited");
        }
    });
}

#[test]
fn saves_that_wait_together_are_saved_together_and_one_that_fails_fails_alone() {
    let (_dir, store, id) = with_grant();
    let good = begin(&store, &id);
    let stale = Ticket {
        own: Member {
            fence: good.own.fence + 9,
            ..good.own.clone()
        },
        ..good.clone()
    };
    let impossible = Ticket {
        own: Member {
            generation: u64::MAX,
            ..good.own.clone()
        },
        ..good.clone()
    };
    let writer = store.writer.lock().unwrap();
    std::thread::scope(|scope| {
        let save = |ticket| {
            let store = &store;
            scope.spawn(move || store.save_refreshed(ticket, &grant(2), &by_test()))
        };
        let (impossible, stale, good) = (save(&impossible), save(&stale), save(&good));
        while store.saves.len() < 3 {
            std::thread::yield_now();
        }
        drop(saves::Writer::new(writer, &store.saves));
        assert!(impossible.join().unwrap().is_err());
        assert_eq!(stale.join().unwrap().unwrap(), Saved::Lost);
        assert_eq!(good.join().unwrap().unwrap(), Saved::Yes);
    });
    assert_eq!(store.connection(&id).unwrap().unwrap().generation, 2);
}
