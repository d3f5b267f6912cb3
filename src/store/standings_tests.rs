use super::*;
use crate::store::NewConnection;
use crate::store::connections::tests::new;
use crate::store::testing::{by_test, store};

fn with(standing: Standing) -> (tempfile::TempDir, Store, ConnectionId) {
    let (dir, store) = store();
    let added = NewConnection {
        standing,
        ..new(1, "acme", 62515)
    };
    store.add_connection(&added, &by_test()).unwrap();
    (dir, store, added.id)
}

fn suspend(store: &Store, id: &ConnectionId) {
    let from = [Standing::Ok, Standing::Unverified];
    store
        .change_standing(id, &from, Standing::Suspended, Some("why"), "x", &by_test())
        .unwrap();
}

fn row(store: &Store, id: &ConnectionId) -> ConnectionRow {
    store.connection(id).unwrap().unwrap()
}

#[test]
fn a_standing_changes_only_from_where_it_may_and_only_to_one_that_stops() {
    let (_dir, store, id) = with(Standing::Ok);
    let change = |from: &[Standing], to| {
        store
            .change_standing(&id, from, to, Some("why"), "x", &by_test())
            .unwrap()
    };
    assert_eq!(change(&[Standing::Dead], Standing::Suspended), Standing::Ok);
    assert_eq!(row(&store, &id).standing, Standing::Ok);
    assert_eq!(change(&[Standing::Ok], Standing::Suspended), Standing::Ok);
    assert_eq!(change(&[Standing::Suspended], Standing::Ok), Standing::Suspended);
    assert_eq!(row(&store, &id).standing, Standing::Suspended);
}

#[test]
fn resuming_gives_back_what_hubspot_said_and_no_more() {
    for (before, after) in [
        (Standing::Ok, Standing::Ok),
        (Standing::Unverified, Standing::Unverified),
    ] {
        let (_dir, store, id) = with(before);
        assert_eq!(
            store.resume(&id, &by_test()).unwrap(),
            Resumed::NotSuspended(before)
        );
        suspend(&store, &id);
        assert_eq!(store.resume(&id, &by_test()).unwrap(), Resumed::Passes(after));
        assert_eq!(row(&store, &id).standing, after);
    }
}

#[test]
fn another_portals_credential_is_not_resumed_unasked_even_after_an_operators_suspension() {
    for suspended_before in [false, true] {
        let (_dir, store, id) = with(Standing::Unverified);
        if suspended_before {
            suspend(&store, &id);
        }
        store
            .suspend_foreign(&id, "another portal's", "x", &by_test())
            .unwrap();
        assert_eq!(store.resume(&id, &by_test()).unwrap(), Resumed::Foreign);
        let asked = row(&store, &id);
        assert_eq!(
            (asked.standing, asked.whose),
            (Standing::Suspended, Whose::Foreign)
        );
        let why = asked.standing_why.as_deref();
        assert_eq!(
            why,
            Some(if suspended_before {
                "why"
            } else {
                "another portal's"
            })
        );
    }
}

#[test]
fn what_was_asked_about_an_earlier_credential_resumes_nothing() {
    let (_dir, store, id) = with(Standing::Unverified);
    store.suspend_foreign(&id, "why", "x", &by_test()).unwrap();
    let asked = row(&store, &id);
    let earlier = ConnectionRow {
        generation: asked.generation + 1,
        ..asked.clone()
    };
    let resume = |row| {
        store.resume_verified(
            row,
            Some(9),
            Some("ann@example.com"),
            &["a".to_owned()],
            &by_test(),
        )
    };
    assert!(!resume(&earlier).unwrap());
    assert_eq!(row(&store, &id).standing, Standing::Suspended);
    assert!(resume(&asked).unwrap());
    let after = row(&store, &id);
    assert_eq!((after.standing, after.whose), (Standing::Ok, Whose::Own));
    assert_eq!((after.user_id, after.scopes), (Some(9), vec!["a".to_owned()]));
    assert!(!resume(&asked).unwrap(), "no longer suspended");
}

#[test]
fn a_verification_does_not_end_a_suspension() {
    let (_dir, store, id) = with(Standing::Unverified);
    suspend(&store, &id);
    store.verify_connection(&id, None, None, &[], &by_test()).unwrap();
    let after = row(&store, &id);
    assert_eq!(
        (after.standing, after.whose),
        (Standing::Suspended, Whose::Unknown)
    );
}

#[test]
fn whoever_is_behind_a_credential_that_is_verified_late_is_known_by_address() {
    let email = Some("ann@example.com");
    for resume in [false, true] {
        let (_dir, store, id) = with(Standing::Unverified);
        store.offboard("ann@example.com", "leaves", &by_test()).unwrap();
        if resume {
            store.suspend_foreign(&id, "why", "x", &by_test()).unwrap();
            let asked = row(&store, &id);
            assert!(
                store
                    .resume_verified(&asked, Some(9), email, &[], &by_test())
                    .unwrap()
            );
        } else {
            store
                .verify_connection(&id, Some(9), email, &[], &by_test())
                .unwrap();
        }
        let after = row(&store, &id);
        assert_eq!(
            (after.standing, after.installer_email.as_deref()),
            (Standing::Ok, email)
        );
        assert_eq!(after.shown_standing(), Standing::InstallerRemoved);
    }
}
