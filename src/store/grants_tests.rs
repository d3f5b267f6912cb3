use super::*;
use crate::access::connection::{ConnectionName, CredentialKind};
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

fn grant(byte: u8) -> NewGrant {
    NewGrant {
        access: Sealed::from_stored(vec![byte; 40]),
        refresh: Sealed::from_stored(vec![byte; 41]),
        obtained: Timestamp::from_second(1).unwrap(),
        expires: Timestamp::from_second(1801).unwrap(),
        scopes: Some(vec!["oauth".to_owned()]),
        user_id: Some(9),
        standing: Some((Standing::Ok, None)),
    }
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
    assert_eq!(second.fence, first.fence + 1);
    assert_eq!(second.generation, first.generation + 1);
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
