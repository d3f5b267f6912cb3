use super::*;
use crate::store::testing::{by_test, store};

pub(in crate::store) fn new(seed: u8, name: &str, portal: u64) -> NewConnection {
    NewConnection {
        id: ConnectionId::generate([seed; 12]),
        name: ConnectionName::parse(name).unwrap(),
        portal: PortalId::new(portal).unwrap(),
        kind: CredentialKind::PrivateApp,
        app: None,
        standing: Standing::Ok,
        standing_why: None,
        user_id: Some(7),
        installer_email: None,
        scopes: vec!["a".to_owned(), "b".to_owned()],
        data_key: WrappedKey::from_stored(vec![0xd7; 61]),
        access: Some(StoredToken {
            sealed: Sealed::from_stored(vec![1; 40]),
            obtained: Timestamp::from_second(1).unwrap(),
            expires: None,
        }),
        refresh: None,
        labels: Labels::default(),
        handed: None,
    }
}

#[test]
fn a_connection_reads_back_as_stored() {
    let (_dir, store) = store();
    let added = new(1, "acme", 62515);
    store.add_connection(&added, &by_test()).unwrap();
    let row = store.connection_by_name(&added.name).unwrap().unwrap();
    assert_eq!(row.id, added.id);
    assert_eq!(row.portal, added.portal);
    assert_eq!(row.scopes, added.scopes);
    assert_eq!(row.generation, 1);
    assert_eq!(row.access.unwrap().sealed, added.access.unwrap().sealed);
    assert!(row.intent.is_none());
    assert_eq!(store.connections().unwrap().len(), 1);
}

#[test]
fn names_are_unique_and_two_private_apps_may_share_a_portal() {
    let (_dir, store) = store();
    store.add_connection(&new(1, "acme", 1), &by_test()).unwrap();
    assert!(matches!(
        store.add_connection(&new(2, "acme", 2), &by_test()),
        Err(StoreError::NameTaken { .. })
    ));
    assert!(store.add_connection(&new(3, "acme-2", 1), &by_test()).is_ok());
}

#[test]
fn removing_destroys_the_data_key_in_the_file_and_its_log() {
    let (dir, store) = store();
    let added = new(1, "acme", 1);
    store.add_connection(&added, &by_test()).unwrap();
    let holds_key = || {
        std::fs::read_dir(dir.path()).unwrap().any(|entry| {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            memchr::memmem::find(&bytes, &[0xd7; 61]).is_some()
        })
    };
    assert!(holds_key());
    store.remove_connection(&added.id, &by_test()).unwrap();
    assert!(!holds_key());
    assert!(store.remove_connection(&added.id, &by_test()).is_err());
}

#[test]
fn a_damaged_change_costs_a_look_at_everything_and_no_more() {
    let (_dir, store) = store();
    store.add_connection(&new(1, "acme", 1), &by_test()).unwrap();
    let seen = store.last_change().unwrap();
    rusqlite::Connection::open(store.path())
        .unwrap()
        .execute("INSERT INTO changes (kind, id) VALUES ('planet', 'x')", [])
        .unwrap();
    let changes = store.changes_after(seen).unwrap();
    assert!(changes.missed);
    assert!(!store.changes_after(store.last_change().unwrap()).unwrap().missed);
}
