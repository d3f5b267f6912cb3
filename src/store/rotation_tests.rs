use super::*;
use crate::store::apps::tests::app;
use crate::store::connections::tests::new;
use crate::store::testing::{by_test, store};
use crate::store::{Begin, ClassHealth, ConnectionHealth, NewGrant, NewTokens, Saved};
use std::time::Duration;

fn credential(of: &ConnectionRow, user_id: u64, same: bool) -> NewCredential {
    NewCredential {
        kind: of.kind,
        data_key: WrappedKey::from_stored(vec![0xe8; 61]),
        access: Some(StoredToken {
            sealed: Sealed::from_stored(vec![9; 40]),
            obtained: Timestamp::from_second(2).unwrap(),
            expires: None,
        }),
        refresh: None,
        user_id: Some(user_id),
        email: None,
        scopes: vec!["c".to_owned()],
        handed: CredentialDigest::from_stored(&[5; 32]).unwrap(),
        same,
    }
}

#[test]
fn the_old_credential_and_its_data_key_are_gone_and_name_id_and_labels_stay() {
    let (dir, store) = store();
    let added = new(1, "acme", 1);
    store.add_connection(&added, &by_test()).unwrap();
    store.mark_rotation(&[added.id], &by_test()).unwrap();
    let row = store.connection(&added.id).unwrap().unwrap();
    assert_eq!(
        row.rotation_marked.as_ref().unwrap().1.as_deref(),
        Some("because")
    );
    let standing = store.replace_credential(&row, &credential(&row, 7, false), &by_test());
    assert_eq!(standing.unwrap(), Some(Standing::Ok));
    let after = store.connection(&added.id).unwrap().unwrap();
    assert_eq!((after.generation, after.user_id), (2, Some(7)));
    assert_eq!(after.scopes, ["c"]);
    assert!(after.credential_at >= row.credential_at && after.rotation_marked.is_none());
    assert_eq!(after.access.unwrap().sealed, Sealed::from_stored(vec![9; 40]));
    let holds_old_key = std::fs::read_dir(dir.path()).unwrap().any(|entry| {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        memchr::memmem::find(&bytes, &[0xd7; 61]).is_some()
    });
    assert!(!holds_old_key);
}

#[test]
fn a_new_credential_ends_the_finding_that_the_old_one_was_refused() {
    let (_dir, store) = store();
    let added = new(1, "acme", 1);
    store.add_connection(&added, &by_test()).unwrap();
    let at = |second| Timestamp::from_second(second).unwrap();
    let refused = ClassHealth {
        failure: Some(at(90_000)),
        cause: Some("user_permission".to_owned()),
        failures: 9,
        failing_since: Some(at(1)),
        ..ClassHealth::default()
    };
    let health = ConnectionHealth {
        read: ClassHealth::default(),
        write: refused,
    };
    store.save_health(&[(added.id, health)], &[]).unwrap();
    let row_of_failures = || {
        let write = &store.connection_health().unwrap()[&added.id].write;
        (write.failures, write.failing_since.is_some())
    };
    assert_eq!(row_of_failures(), (9, true));
    let row = store.connection(&added.id).unwrap().unwrap();
    store
        .replace_credential(&row, &credential(&row, 8, false), &by_test())
        .unwrap();
    assert_eq!(row_of_failures(), (0, false));
}

#[test]
fn who_read_too_early_writes_nothing() {
    let (_dir, store) = store();
    let added = new(1, "acme", 1);
    store.add_connection(&added, &by_test()).unwrap();
    let row = store.connection(&added.id).unwrap().unwrap();
    store
        .replace_credential(&row, &credential(&row, 7, false), &by_test())
        .unwrap();
    let again = store.replace_credential(&row, &credential(&row, 7, false), &by_test());
    assert_eq!(again.unwrap(), None);
    assert_eq!(store.connection(&added.id).unwrap().unwrap().generation, 2);
    assert!(matches!(
        store
            .begin_refresh(&added.id, "g", Duration::from_secs(1))
            .unwrap(),
        Begin::Gone
    ));
}

#[test]
fn the_same_credential_again_is_as_old_as_it_was() {
    let (_dir, store) = store();
    let added = new(1, "acme", 1);
    store.add_connection(&added, &by_test()).unwrap();
    store.mark_rotation(&[added.id], &by_test()).unwrap();
    let row = store.connection(&added.id).unwrap().unwrap();
    store
        .replace_credential(&row, &credential(&row, 7, true), &by_test())
        .unwrap();
    let after = store.connection(&added.id).unwrap().unwrap();
    assert_eq!(after.credential_at, row.credential_at);
    assert!(after.rotation_marked.is_some());
}

#[test]
fn a_good_credential_ends_what_its_predecessor_caused_and_nothing_else() {
    for (before, user_id, after) in [
        (Standing::Dead, 7, Standing::Ok),
        (Standing::Reauthorise, 7, Standing::Ok),
        (Standing::InstallerRemoved, 7, Standing::InstallerRemoved),
        (Standing::InstallerRemoved, 8, Standing::Ok),
        (Standing::Suspended, 8, Standing::Suspended),
        (Standing::Pending, 8, Standing::Pending),
        (Standing::Killed, 8, Standing::Killed),
    ] {
        let (_dir, store) = store();
        let added = new(1, "acme", 1);
        store.add_connection(&added, &by_test()).unwrap();
        store
            .change_standing(&added.id, &[Standing::Ok], before, None, "x", &by_test())
            .unwrap();
        let row = store.connection(&added.id).unwrap().unwrap();
        let standing = store
            .replace_credential(&row, &credential(&row, user_id, false), &by_test())
            .unwrap();
        assert_eq!(standing, Some(after), "{before:?} {user_id}");
        let stored = store.connection(&added.id).unwrap().unwrap();
        assert_eq!((stored.standing, stored.user_id), (after, Some(user_id)));
    }
}

#[test]
fn a_refresh_that_was_under_way_writes_nothing_over_the_new_grant() {
    let (_dir, store) = store();
    store.add_app(&app("marketing", None), &by_test()).unwrap();
    let mut added = new(1, "acme", 1);
    added.kind = CredentialKind::OAuth;
    added.app = Some("marketing".to_owned());
    added.refresh = added.access.take().map(|token| token.sealed);
    store.add_connection(&added, &by_test()).unwrap();
    let row = store.connection(&added.id).unwrap().unwrap();
    let Begin::Started(ticket) = store
        .begin_refresh(&added.id, "g", Duration::from_secs(60))
        .unwrap()
    else {
        panic!("not begun");
    };
    let mut renewed = credential(&row, 7, false);
    renewed.refresh = renewed.access.take().map(|token| token.sealed);
    store.replace_credential(&row, &renewed, &by_test()).unwrap();
    let late = NewGrant {
        obtained: Timestamp::from_second(1).unwrap(),
        clock: None,
        scopes: None,
        user_id: None,
        print: crate::vault::GrantPrint::from_stored(vec![2; 32]).unwrap(),
        tokens: vec![NewTokens {
            access: Sealed::from_stored(vec![1]),
            refresh: Sealed::from_stored(vec![2]),
            expires: Timestamp::from_second(1801).unwrap(),
            standing: None,
        }],
    };
    assert_eq!(
        store.save_refreshed(&ticket, &late, &by_test()).unwrap(),
        Saved::Lost
    );
    assert!(!store.end_refresh(&ticket, true, Some("x")).unwrap());
    let after = store.connection(&added.id).unwrap().unwrap();
    assert_eq!(after.refresh, Some(Sealed::from_stored(vec![9; 40])));
    assert_eq!((after.intent, after.health), (None, None));
    // And the next begins at once.
    assert!(matches!(
        store
            .begin_refresh(&added.id, "g", Duration::from_secs(60))
            .unwrap(),
        Begin::Started(_)
    ));
}

#[test]
fn whoever_is_behind_the_new_credential_is_known_by_address_so_that_they_can_be_offboarded() {
    let (_dir, store) = store();
    let mut added = new(1, "acme", 1);
    (added.user_id, added.installer_email) = (Some(7), Some("ann@example.com".to_owned()));
    store.add_connection(&added, &by_test()).unwrap();
    let rotate = |user_id, email: Option<&str>, same| {
        let row = store.connection(&added.id).unwrap().unwrap();
        let new = NewCredential {
            user_id,
            email: email.map(str::to_owned),
            ..credential(&row, 0, same)
        };
        store.replace_credential(&row, &new, &by_test()).unwrap();
        let row = store.connection(&added.id).unwrap().unwrap();
        (row.user_id, row.installer_email, row.installer.is_some())
    };
    let is = |user_id, email: Option<&str>, gone| (user_id, email.map(str::to_owned), gone);
    store.offboard("ann@example.com", "leaves", &by_test()).unwrap();
    // Another person lifts it.
    assert_eq!(
        rotate(Some(8), Some("bob@example.com"), false),
        is(Some(8), Some("bob@example.com"), false)
    );
    // The same mailbox under another number does not.
    assert_eq!(
        rotate(Some(9), Some("Ann@example.com"), false),
        is(Some(9), Some("Ann@example.com"), true)
    );
    assert_eq!(
        rotate(Some(10), Some("Ann@example.com"), false),
        is(Some(10), Some("Ann@example.com"), true)
    );
    // Nor does the same credential again, though HubSpot does not tell this time whose it is.
    assert_eq!(
        rotate(None, None, true),
        is(Some(10), Some("Ann@example.com"), true)
    );
    assert_eq!(rotate(None, None, false), is(None, None, false));
}
