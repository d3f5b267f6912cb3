//! Private-app tokens and service keys: nothing to refresh.

use super::*;
use crate::tokens::Trouble;

async fn with_static() -> World {
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
            assert_eq!(gate.acme().account().scopes, ["oauth"]);
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
