//! Private-app tokens and service keys: nothing to refresh.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::store::Resumed;
use crate::tokens::{OwnQuestionError, ResumeError, Trouble};

pub(super) async fn with_static() -> World {
    let world = World::empty().await;
    let endpoints = Endpoints::default();
    let added = world
        .enrolment(&endpoints)
        .add_static(&name("acme"), portal(), &secret("pat-na1-canary"), &by_test())
        .await
        .unwrap();
    assert!(
        added.unverified.is_some(),
        "the fake knows no introspection of static tokens"
    );
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unverified_static_token_is_lent_as_it_is() {
    let world = with_static().await;
    assert_eq!(world.standing(), Standing::Unverified);
    let gate = world.gate();
    let lease = gate.lease().await.unwrap();
    assert_eq!(token_of(&lease), "Bearer pat-na1-canary");
    assert!(lease.found_in(b"{\"echo\":\"pat-na1-canary\"}"));
    assert!(!lease.found_in(b"pat-na1-canar"));
    assert_eq!(format!("{lease:?}"), "Lease(acme #1)");
    world.assert_no_canary_on_disk();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_its_credential_is_replaced_a_connection_is_never_without_a_token() {
    let world = with_static().await;
    let gate = world.gate();
    let connection = Arc::clone(gate.lease().await.unwrap().connection());
    let (done, looking) = (Arc::<AtomicBool>::default(), Arc::clone(&connection));
    let told = Arc::clone(&done);
    let looks = std::thread::spawn(move || {
        let (mut with, mut without) = (0u64, 0u64);
        while !told.load(Ordering::Relaxed) {
            match looking.current(tokio::time::Instant::now()) {
                Some(_) => with += 1,
                None => without += 1,
            }
        }
        (with, without)
    });
    let endpoints = Endpoints::default();
    for round in 0..40 {
        let token = format!("pat-na1-canary-{round}");
        let (row, plain) = (world.row(), secret(&token));
        let sealed = world
            .enrolment(&endpoints)
            .seal_new(&row.id, row.kind, row.generation + 1, &plain)
            .unwrap();
        let new = crate::store::NewCredential {
            kind: row.kind,
            data_key: sealed.data_key,
            access: sealed.access,
            refresh: None,
            user_id: None,
            email: None,
            scopes: Vec::new(),
            handed: crate::vault::CredentialDigest::of(&plain),
            same: false,
        };
        world.store.replace_credential(&row, &new, &by_test()).unwrap();
        gate.follow();
        let lease = gate.lease().await.unwrap();
        assert_eq!(token_of(&lease), format!("Bearer {token}"));
    }
    done.store(true, Ordering::Relaxed);
    let (with, without) = looks.join().unwrap();
    assert!(
        with > 40 && without == 0,
        "{without} of {} looks found none",
        with + without
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_static_token_is_not_refreshed() {
    let world = with_static().await;
    let gate = world.gate();
    let lease = gate.lease().await.unwrap();
    let error = gate.live.rejected(&lease).await.unwrap_err();
    assert!(matches!(
        error,
        CredentialError::Unavailable {
            trouble: Trouble::Rejected,
            ..
        }
    ));
    assert_eq!(world.fake.calls(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_altered_in_the_store_is_not_lent() {
    let world = with_static().await;
    let raw = rusqlite::Connection::open(world.store.path()).unwrap();
    raw.execute("UPDATE connections SET access_token = zeroblob(40)", [])
        .unwrap();
    let gate = world.gate();
    let error = gate.lease().await.unwrap_err();
    assert!(matches!(
        error,
        CredentialError::Unavailable {
            trouble: Trouble::Configuration,
            ..
        }
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unverified_token_is_verified_as_soon_as_hubspot_tells() {
    for (hub, expected) in [(PORTAL, Standing::Ok), (PORTAL + 1, Standing::Suspended)] {
        let world = with_static().await;
        let gate = world.gate();
        let _keeper = keep(&gate);
        world.fake.set(|state| state.static_hub = Some(hub));
        eventually("it is verified", || gate.acme().standing() == expected).await;
        eventually("and stored so", || world.standing() == expected).await;
        if expected == Standing::Ok {
            assert_eq!(world.row().user_id, Some(5));
            assert_eq!(*gate.acme().account().scopes, ["oauth"]);
        } else {
            assert!(gate.lease().await.is_err());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejection_is_shown_in_lists_while_it_lasts() {
    let world = with_static().await;
    let gate = world.gate();
    let _keeper = keep(&gate);
    let lease = gate.lease().await.unwrap();
    gate.live.rejected(&lease).await.unwrap_err();
    eventually("it is shown", || {
        world.row().health.as_deref() == Some("rejected")
    })
    .await;
    lease.accepted();
    eventually("it is over", || world.row().health.is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_another_portal_passes_nothing_until_hubspot_says_it_is_its_own() {
    let world = with_static().await;
    let gate = world.gate();
    let keeper = keep(&gate);
    world.fake.set(|state| state.static_hub = Some(PORTAL + 1));
    eventually("it is suspended", || world.standing() == Standing::Suspended).await;
    let endpoints = Endpoints::default();
    let resume = async || {
        let outcome = world.enrolment(&endpoints).resume(&world.row(), &by_test()).await;
        gate.follow();
        outcome
    };
    let blocked = CredentialError::Blocked(Standing::Suspended);
    let refused = resume().await;
    assert!(
        matches!(refused, Err(ResumeError::WrongPortal { found, .. }) if found == PORTAL + 1),
        "{refused:?}"
    );
    assert_eq!(gate.lease().await.unwrap_err(), blocked);
    world.fake.set(|state| state.static_hub = None);
    assert!(matches!(resume().await, Err(ResumeError::NotTold { .. })));
    assert_eq!(gate.lease().await.unwrap_err(), blocked);
    world.fake.set(|state| state.static_hub = Some(PORTAL));
    assert_eq!(resume().await.unwrap(), Resumed::Passes(Standing::Ok));
    assert_eq!(token_of(&gate.lease().await.unwrap()), "Bearer pat-na1-canary");
    drop((keeper, gate));
    assert!(world.gate().lease().await.is_ok(), "after a start");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_hubspot_refuses_while_it_is_unverified_is_shown_as_rejected() {
    let world = with_static().await;
    world.fake.set(|state| state.static_refused = true);
    let gate = world.gate();
    let _keeper = keep(&gate);
    eventually("it is shown", || {
        world.row().health.as_deref() == Some("rejected")
    })
    .await;
    assert_eq!(world.standing(), Standing::Unverified);
    world.fake.set(|state| state.static_hub = Some(PORTAL));
    eventually("it is over", || world.row().health.is_none()).await;
    assert_eq!(world.standing(), Standing::Ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gate_asks_about_people_with_a_connection_set_aside_for_it_and_no_other() {
    let world = with_static().await;
    let endpoints = Endpoints::default();
    world
        .enrolment(&endpoints)
        .add_static(
            &name("watcher"),
            portal(),
            &secret("pat-na1-canary-2"),
            &by_test(),
        )
        .await
        .unwrap();
    let gate = world.gate();
    let question = crate::hubspot::people::PeopleQuestion::User(7);
    let refused = gate.live.ask(&gate.acme(), &question).await;
    assert!(matches!(refused, Err(OwnQuestionError::NotOurs)), "{refused:?}");
    let watcher = gate.live.by_name(&name("watcher")).unwrap();
    // Whose it is nobody knows yet: its account's people may be others.
    let early = gate.live.ask(&watcher, &question).await;
    assert!(matches!(early, Err(OwnQuestionError::Unverified)), "{early:?}");
    world.fake.set(|state| state.static_hub = Some(PORTAL));
    let keeper = keep(&gate);
    eventually("it is verified", || watcher.standing() == Standing::Ok).await;
    drop(keeper);
    assert_eq!(gate.live.ask(&watcher, &question).await.unwrap().status, 404);
    // Refused by HubSpot, it is not asked again and again.
    world.fake.set(|state| state.static_refused = true);
    assert_eq!(gate.live.ask(&watcher, &question).await.unwrap().status, 401);
    let none = gate.live.ask(&watcher, &question).await;
    assert!(matches!(none, Err(OwnQuestionError::NoToken(_))), "{none:?}");
    assert!(!format!("{none:?}").contains("canary"));
}
