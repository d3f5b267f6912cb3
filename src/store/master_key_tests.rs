//! Master keys that come and go under a store with connections.

use super::super::testing::{by_test, store};
use super::*;
use crate::store::connections::tests::new;
use crate::vault::{MasterKey, Vault};

fn master(byte: u8) -> MasterKey {
    MasterKey::from_bytes([byte; 32])
}

/// A store under master key 9 with so many connections.
fn furnished(count: u32) -> (tempfile::TempDir, Store, Vault) {
    let (dir, store) = store();
    let vault = Vault::open(&master(9), store.id(), None).unwrap();
    store.record_key_check(&vault.key_check()).unwrap();
    for n in 0..count {
        let mut connection = new(0, &format!("c{n}"), u64::from(n) + 1);
        let mut id = [0; 12];
        id[..4].copy_from_slice(&n.to_be_bytes());
        connection.id = ConnectionId::generate(id);
        let owner = Owner::connection(&connection.id);
        connection.data_key = vault.new_data_key(&owner).unwrap().1;
        store.add_connection(&connection, &by_test()).unwrap();
    }
    (dir, store, vault)
}

fn to(store: &Store, old: u8, next: u8) -> Rotation {
    Rotation::new(
        &master(old),
        &master(next),
        store.id(),
        &store.recorded().unwrap(),
    )
    .unwrap()
}

fn all_open(store: &Store, vault: &Vault) -> bool {
    store.kept_keys().unwrap().iter().all(|kept| {
        vault
            .data_key(kept.owner.as_ref().unwrap(), &kept.wrapped)
            .is_ok()
    })
}

#[test]
fn a_rotation_is_announced_then_turned_and_nothing_of_it_stays_behind() {
    let (dir, store, vault) = furnished(20);
    let rotation = to(&store, 9, 2);
    assert!(matches!(
        store.turn_master_key(&rotation, &by_test(), || {}),
        Err(StoreError::Rekeyed)
    ));
    store.announce_master_key(&rotation, &by_test()).unwrap();
    store.announce_master_key(&to(&store, 9, 2), &by_test()).unwrap();
    assert!(matches!(
        store.announce_master_key(&to(&store, 9, 3), &by_test()),
        Err(StoreError::OtherRotation)
    ));
    vault.follow(&store.recorded().unwrap()).unwrap();
    let turned = store.turn_master_key(&rotation, &by_test(), || {}).unwrap();
    let own = store
        .kept_keys()
        .unwrap()
        .iter()
        .filter(|kept| kept.kind == "store")
        .count();
    assert_eq!((turned.wrapped, turned.left.len()), (20 + own, 0));
    vault.follow(&store.recorded().unwrap()).unwrap();
    let started = Vault::open_recorded(&master(2), store.id(), &store.recorded().unwrap()).unwrap();
    assert!(all_open(&store, &vault) && all_open(&store, &started));
    assert!(store.recorded().unwrap().next.is_none());
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(memchr::memmem::find(&bytes, rotation.announced().as_stored()).is_none());
    }
}

#[test]
fn what_opens_under_neither_key_is_named_and_holds_nothing_up() {
    let (_dir, store, _vault) = furnished(3);
    store
        .write(|tx| Ok(tx.execute("UPDATE connections SET data_key = x'01' WHERE name = 'c1'", [])?))
        .unwrap();
    let rotation = to(&store, 9, 2);
    store.announce_master_key(&rotation, &by_test()).unwrap();
    let turned = store.turn_master_key(&rotation, &by_test(), || {}).unwrap();
    let own = store
        .kept_keys()
        .unwrap()
        .iter()
        .filter(|kept| kept.kind == "store")
        .count();
    assert_eq!((turned.wrapped, turned.left.len()), (2 + own, 1));
}

#[test]
fn a_key_of_the_stores_own_goes_along_and_one_that_does_not_open_stops_the_rotation() {
    let (_dir, store, vault) = furnished(1);
    let (_, own) = vault.new_data_key(&Owner::store()).unwrap();
    let put = |bytes: &[u8]| store.write(|tx| set(tx, "row_key", bytes)).unwrap();
    put(&[1; 61]);
    let rotation = to(&store, 9, 2);
    store.announce_master_key(&rotation, &by_test()).unwrap();
    let stopped = store.turn_master_key(&rotation, &by_test(), || {}).unwrap_err();
    assert!(matches!(stopped, StoreError::Damaged(_)), "{stopped}");
    assert!(
        store.recorded().unwrap().check == Some(rotation.old_check().clone()),
        "nothing happened"
    );
    put(own.as_stored());
    store.turn_master_key(&rotation, &by_test(), || {}).unwrap();
    let next = Vault::open_recorded(&master(2), store.id(), &store.recorded().unwrap()).unwrap();
    assert!(all_open(&store, &next));
}

#[test]
fn an_anchor_from_before_a_rotation_is_believed_after_it() {
    use crate::store::AnchorFile;
    let (dir, store, _) = furnished(1);
    let file = AnchorFile::of(&store, dir.path());
    let at = jiff::Timestamp::UNIX_EPOCH;
    file.write(store.row_key().unwrap(), 1, at).unwrap();
    let rotation = to(&store, 9, 2);
    store.announce_master_key(&rotation, &by_test()).unwrap();
    store.turn_master_key(&rotation, &by_test(), || {}).unwrap();
    let again = Store::open_existing(store.path()).unwrap();
    let next = Vault::open_recorded(&master(2), store.id(), &again.recorded().unwrap()).unwrap();
    again.seal_rows_with(&next).unwrap();
    assert!(file.read(again.row_key().unwrap()).unwrap().unwrap().genuine);
}

#[test]
fn a_key_wrapped_before_a_rotation_is_not_stored_after_it() {
    let (_dir, store, vault) = furnished(1);
    let (mut early, mut late) = (new(7, "early", 7), new(8, "late", 8));
    for connection in [&mut early, &mut late] {
        connection.data_key = vault.new_data_key(&Owner::connection(&connection.id)).unwrap().1;
    }
    let rotation = to(&store, 9, 2);
    store.announce_master_key(&rotation, &by_test()).unwrap();
    store.add_connection(&early, &by_test()).unwrap();
    let following = Vault::open_recorded(&master(9), store.id(), &store.recorded().unwrap()).unwrap();
    let mut by_next = new(9, "by-next", 9);
    by_next.data_key = following.new_data_key(&Owner::connection(&by_next.id)).unwrap().1;
    store.add_connection(&by_next, &by_test()).unwrap();
    let turned = store.turn_master_key(&rotation, &by_test(), || {}).unwrap();
    let own = store
        .kept_keys()
        .unwrap()
        .iter()
        .filter(|kept| kept.kind == "store")
        .count();
    assert_eq!(turned.wrapped, 3 + own, "under either key");
    let error = store.add_connection(&late, &by_test()).unwrap_err();
    assert!(error.to_string().contains("try again"), "{error}");
    following.follow(&store.recorded().unwrap()).unwrap();
    assert!(all_open(&store, &following));
}

/// `ROTATION_CONNECTIONS=10000 cargo test --lib many_are_turned -- --nocapture` is the long run.
#[test]
fn many_are_turned_in_one_short_transaction() {
    let count = std::env::var("ROTATION_CONNECTIONS").ok();
    let count: u32 = count.and_then(|count| count.parse().ok()).unwrap_or(200);
    let (_dir, store, _vault) = furnished(count);
    let rotation = to(&store, 9, 2);
    store.announce_master_key(&rotation, &by_test()).unwrap();
    let began = std::time::Instant::now();
    let turned = store.turn_master_key(&rotation, &by_test(), || {}).unwrap();
    assert!(turned.wrapped >= count as usize && turned.left.is_empty());
    eprintln!(
        "{count} data keys turned within {} ms",
        began.elapsed().as_millis()
    );
}
