use jiff::Timestamp;

use super::*;
use crate::access::admin_key::AdminKeyHash;
use crate::access::connection::ConnectionId;
use crate::access::key::{KeyHash, KeyId};
use crate::access::role::Role;
use crate::store::testing::{by_test, store, vault};
use crate::store::{NewAdminCredential, NewKey, Revoked, Sealing};

fn key(seed: u8, binding: Binding) -> NewKey {
    NewKey {
        id: KeyId::parse(&format!("{}", char::from(b'a' + seed)).repeat(12)).unwrap(),
        hash: KeyHash::from_stored([seed; 32]),
        integration: "report".to_owned(),
        binding,
        expires: Some(Timestamp::from_second(4_000_000_000).unwrap()),
    }
}

fn edit(store: &Store, sql: &str) {
    let raw = Connection::open(store.path()).unwrap();
    raw.execute_batch(sql).unwrap();
}

#[test]
fn a_key_row_that_somebody_edits_opens_nothing() {
    for column in [
        "integration = 'admin'",
        "connection = 'aaaaaaaaaaaa'",
        "connection = NULL",
        "expires_at = NULL",
        "expires_at = expires_at + 1",
        "hash = x'0101010101010101010101010101010101010101010101010101010101010101'",
        "id = 'zzzzzzzzzzzz'",
        "seal = NULL",
        "seal = x''",
        "seal = (SELECT seal FROM keys k WHERE k.id <> keys.id)",
    ] {
        let (_dir, store) = store();
        let connection = ConnectionId::generate([7; 12]);
        let new = crate::store::connections::tests::new(7, "acme", 1);
        assert_eq!(new.id, connection);
        store.add_connection(&new, &by_test()).unwrap();
        let bound = Binding::Connection(connection);
        store
            .add_keys(&[key(0, bound), key(2, Binding::Any)], &by_test())
            .unwrap();
        assert_eq!(store.key_rows().unwrap().damaged.len(), 0);
        edit(
            &store,
            &format!("UPDATE keys SET {column} WHERE id = 'aaaaaaaaaaaa'"),
        );
        let rows = store.key_rows().unwrap();
        assert_eq!((rows.sound.len(), rows.damaged.len()), (1, 1), "{column}");
        assert_eq!(&*rows.sound[0].integration, "report");
    }
}

#[test]
fn an_admin_credential_that_somebody_edits_lets_nobody_in_and_a_revoked_one_stays_revoked() {
    let new = |id: &str, name: &str| NewAdminCredential {
        id: KeyId::parse(id).unwrap(),
        hash: AdminKeyHash::from_stored([7; 32]),
        name: name.to_owned(),
        role: Role::Viewer,
        expires: Timestamp::from_second(4_000_000_000).unwrap(),
    };
    for column in [
        "role = 'security'",
        "expires_at = expires_at + 1",
        "hash = x'0101010101010101010101010101010101010101010101010101010101010101'",
        "name = 'mallory'",
        "seal = NULL",
        "seal = (SELECT seal FROM admin_credentials o WHERE o.id <> admin_credentials.id)",
    ] {
        let (_dir, store) = store();
        let (alice, bob) = (new("aaaaaaaaaaaa", "alice"), new("bbbbbbbbbbbb", "bob"));
        let now = Timestamp::UNIX_EPOCH;
        for credential in [&alice, &bob] {
            store.add_admin_credential(credential, now, &by_test()).unwrap();
        }
        edit(
            &store,
            &format!("UPDATE admin_credentials SET {column} WHERE id = 'aaaaaaaaaaaa'"),
        );
        let found = store.admin_credential(&alice.id);
        assert!(matches!(found, Err(StoreError::Damaged(_))), "{column}");
        assert!(store.admin_credential(&bob.id).unwrap().is_some());
        store.revoke_admin_credential(&bob.id, &by_test()).unwrap();
        assert!(
            store
                .admin_credential(&bob.id)
                .unwrap()
                .unwrap()
                .revoked
                .is_some()
        );
        edit(
            &store,
            "UPDATE admin_credentials SET revoked_at = NULL WHERE name = 'bob'",
        );
        assert!(store.admin_credential(&bob.id).is_err(), "it stays revoked");
    }
}

#[test]
fn a_key_that_was_revoked_stays_so_whatever_is_edited_and_a_forged_one_has_no_successor() {
    let (_dir, store) = store();
    let new = key(0, Binding::Any);
    store.add_keys(&[key(0, Binding::Any)], &by_test()).unwrap();
    assert_eq!(store.revoke_key(&new.id, &by_test()).unwrap(), Revoked::Now);
    assert_eq!(store.key_rows().unwrap().damaged.len(), 0);
    edit(&store, "UPDATE keys SET revoked_at = NULL");
    assert_eq!(store.key_rows().unwrap().damaged, [Some(new.id)]);

    let until = Timestamp::from_second(5_000_000_000).unwrap();
    let successor = key(1, Binding::Any);
    assert!(matches!(
        store.rotate_key(&new.id, &successor, until, &by_test()),
        Err(StoreError::Damaged(_))
    ));
    assert!(store.keys().unwrap().is_empty());
}

#[test]
fn connections_whose_names_accounts_or_apps_are_swapped_are_damaged() {
    for column in ["name = name || 'x'", "portal = portal + 1", "seal = NULL"] {
        let (_dir, store) = store();
        for (seed, name) in [(1, "acme"), (2, "globex")] {
            let new = crate::store::connections::tests::new(seed, name, u64::from(seed));
            store.add_connection(&new, &by_test()).unwrap();
        }
        edit(
            &store,
            &format!("UPDATE connections SET {column} WHERE name = 'acme'"),
        );
        let rows = store.connection_rows().unwrap();
        assert_eq!((rows.sound.len(), rows.damaged.len()), (1, 1), "{column}");
        assert!(rows.damaged[0].finding().contains("scopegate connection remove"));
    }
    let (_dir, store) = store();
    for (seed, name) in [(1, "acme"), (2, "globex")] {
        let new = crate::store::connections::tests::new(seed, name, u64::from(seed));
        store.add_connection(&new, &by_test()).unwrap();
    }
    edit(
        &store,
        "UPDATE connections SET name = 'tmp' WHERE name = 'acme'; UPDATE connections SET name = 'acme' WHERE name = \
         'globex'; UPDATE connections SET name = 'globex' WHERE name = 'tmp'",
    );
    assert_eq!(store.connection_rows().unwrap().damaged.len(), 2);
}

#[test]
fn a_store_whose_row_key_was_taken_away_gets_no_other() {
    let (_dir, store) = store();
    store.add_keys(&[key(0, Binding::Any)], &by_test()).unwrap();
    edit(&store, "DELETE FROM meta WHERE name = 'row_key'");
    let again = Store::open_existing(store.path()).unwrap();
    let error = again.seal_rows_with(&vault(&again)).unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");
    assert!(matches!(
        again.add_keys(&[key(1, Binding::Any)], &by_test()),
        Err(StoreError::Locked)
    ));
}

#[test]
fn a_store_of_a_version_without_seals_gets_them_once() {
    let (_dir, store) = store();
    store.add_keys(&[key(0, Binding::Any)], &by_test()).unwrap();
    let new = crate::store::connections::tests::new(1, "acme", 1);
    store.add_connection(&new, &by_test()).unwrap();
    // As the version before left it.
    edit(
        &store,
        "ALTER TABLE keys DROP COLUMN seal; ALTER TABLE connections DROP COLUMN seal; DROP TABLE anchor; ALTER TABLE kills DROP COLUMN digest; ALTER TABLE installs DROP COLUMN seal;
         DELETE FROM meta WHERE name = 'row_key'; PRAGMA user_version = 10",
    );
    let path = store.path().to_owned();
    drop(store);
    assert!(matches!(
        Store::open(&path),
        Err(StoreError::Older { found: 10, .. })
    ));
    let unlock = |id: &str, _: Option<&crate::vault::KeyCheck>| -> Result<Sealing, StoreError> {
        let master = crate::vault::MasterKey::from_bytes([9; 32]);
        let vault = Vault::open(&master, id, None).unwrap();
        let (rows, stored) = vault.new_row_key().unwrap();
        Ok(Sealing {
            check: vault.key_check().clone(),
            rows,
            stored,
            by: Some(by_test()),
        })
    };
    let event = || {
        let events = Store::open(&path).unwrap().admin_events_after(0).unwrap();
        events.last().unwrap().action.clone()
    };
    assert_eq!(Store::migrate(&path, unlock).unwrap().0, 10);
    assert_eq!(event(), "store migrate");
    let store = Store::open(&path).unwrap();
    assert_eq!(store.key_check().unwrap(), Some(vault(&store).key_check()));
    store.seal_rows_with(&vault(&store)).unwrap();
    assert_eq!(store.key_rows().unwrap().sound.len(), 1);
    assert_eq!(store.connection_rows().unwrap().sound.len(), 1);

    edit(&store, "UPDATE keys SET seal = NULL");
    let never = |_: &str, _: Option<&crate::vault::KeyCheck>| -> Result<Sealing, StoreError> {
        panic!("sealed once")
    };
    Store::migrate(&path, never).unwrap();
    assert_eq!(
        store.key_rows().unwrap().sound.len(),
        0,
        "not sealed a second time"
    );
}

#[test]
fn a_store_whose_version_was_set_back_is_not_sealed_anew() {
    let (_dir, store) = store();
    store.add_keys(&[key(0, Binding::Any)], &by_test()).unwrap();
    edit(
        &store,
        "ALTER TABLE keys DROP COLUMN seal; ALTER TABLE connections DROP COLUMN seal; DROP TABLE anchor; ALTER TABLE kills DROP COLUMN digest; ALTER TABLE installs DROP COLUMN seal;
         UPDATE keys SET integration = 'admin'; PRAGMA user_version = 10",
    );
    let path = store.path().to_owned();
    drop(store);
    let never = |_: &str, _: Option<&crate::vault::KeyCheck>| -> Result<Sealing, StoreError> {
        panic!("the master key is not asked for")
    };
    let error = Store::migrate(&path, never).unwrap_err().to_string();
    assert!(error.contains("set back") && error.contains("backup"), "{error}");
}
