//! One of several connections that hold one grant is given another one.

use super::sharing::with_twin;
use super::*;
use crate::access::connection::CredentialKind;
use crate::tokens::engine::{Engine, Need, Start};
use crate::vault::CredentialDigest;

const OTHER: &str = "canary-other";

/// Puts another grant in the place of a connection's, as `connection rotate` does once HubSpot has
/// vouched for it.
fn give_another(world: &World, connection: &str) {
    let row = world
        .store
        .connection_by_name(&name(connection))
        .unwrap()
        .unwrap();
    let (endpoints, other) = (Endpoints::default(), secret(OTHER));
    let enrolment = world.enrolment(&endpoints);
    let sealed = enrolment
        .seal_new(&row.id, row.kind, row.generation + 1, &other)
        .unwrap();
    let new = crate::store::NewCredential {
        email: None,
        kind: row.kind,
        data_key: sealed.data_key,
        access: None,
        refresh: sealed.refresh,
        user_id: Some(77),
        scopes: Vec::new(),
        handed: CredentialDigest::of(&other),
        same: false,
    };
    let given = world.store.replace_credential(&row, &new, &by_test()).unwrap();
    assert_eq!(given, Some(Standing::Ok));
}

/// A refresh for `acme` that HubSpot takes its time over.
async fn asking(world: &World, gate: &Gate) -> tokio::task::JoinHandle<Result<String, CredentialError>> {
    world.fake.set(|state| state.delay = Duration::from_millis(500));
    let (live, acme) = (gate.live.clone(), gate.acme());
    let asking = tokio::spawn(async move {
        let lease = live.lease(&acme, permit()).await;
        lease.map(|lease| token_of(&lease))
    });
    eventually("the question is under way", || {
        world.fake.0.lock().unwrap().in_flight.0 > 0
    })
    .await;
    asking
}

/// From here on HubSpot knows the other grant only, and answers at once.
fn know_the_other(world: &World) {
    world.fake.set(|state| {
        state.refresh = OTHER.to_owned();
        state.delay = Duration::ZERO;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_given_another_grant_takes_nothing_of_a_common_refresh_under_way() {
    let world = with_twin().await;
    let gate = world.gate();
    let asking = asking(&world, &gate).await;
    give_another(&world, "twin");
    gate.follow();
    assert_eq!(asking.await.unwrap().unwrap(), "Bearer canary-access-1");
    let twin = gate.live.by_name(&name("twin")).unwrap();
    assert!(
        twin.current(tokio::time::Instant::now()).is_none(),
        "a token of the grant it was taken off"
    );
    know_the_other(&world);
    assert_eq!(gate.lease_of("twin").await.unwrap(), "Bearer canary-access-2");
    assert_eq!(gate.lease_of("acme").await.unwrap(), "Bearer canary-access-1");
    assert_eq!(world.fake.calls(), 2);
    world.assert_no_canary_on_disk();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_death_of_a_common_grant_does_not_stop_who_was_given_another_meanwhile() {
    let world = with_twin().await;
    world.fake.set(|state| state.refresh = "uninstalled".to_owned());
    let gate = world.gate();
    let asking = asking(&world, &gate).await;
    give_another(&world, "twin");
    gate.follow();
    assert_eq!(
        asking.await.unwrap(),
        Err(CredentialError::Blocked(Standing::Dead))
    );
    let twin = gate.live.by_name(&name("twin")).unwrap();
    assert_eq!(twin.standing(), Standing::Ok);
    let stored = world.store.connection_by_name(&name("twin")).unwrap().unwrap();
    assert_eq!(stored.standing, Standing::Ok);
    know_the_other(&world);
    assert!(gate.lease_of("twin").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asked_for_all_and_is_given_another_grant_leaves_the_others_what_came() {
    let world = with_twin().await;
    let gate = world.gate();
    let asking = asking(&world, &gate).await;
    give_another(&world, "acme");
    gate.follow();
    assert!(asking.await.unwrap().is_err(), "what came is not its own");
    assert_eq!(gate.lease_of("twin").await.unwrap(), "Bearer canary-access-1");
    assert_eq!(world.fake.calls(), 1, "and nobody asks again");
    know_the_other(&world);
    for _ in 0..400 {
        if let Ok(token) = gate.lease_of("acme").await {
            assert_eq!(token, "Bearer canary-access-2");
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the new grant is never asked with");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_of_a_shared_grant_is_of_the_one_it_was_asked_for_and_parts_the_two() {
    let world = with_twin().await;
    let gate = world.gate();
    for connection in ["acme", "twin"] {
        assert_eq!(gate.lease_of(connection).await.unwrap(), "Bearer canary-access-1");
    }
    let row = world.store.connection_by_name(&name("twin")).unwrap().unwrap();
    know_the_other(&world);
    let endpoints = Endpoints::default();
    let rotated = world
        .enrolment(&endpoints)
        .rotate(&row, CredentialKind::OAuth, &secret(OTHER), &by_test())
        .await
        .unwrap();
    assert_eq!((rotated.standing, rotated.same), (Standing::Ok, false));
    gate.follow();
    let twin = gate.live.by_name(&name("twin")).unwrap();
    assert!(!gate.acme().is_sharing() && !twin.is_sharing());
    assert!(world.store.sharers(&gate.acme().id()).unwrap().is_empty());
    assert_eq!(gate.lease_of("twin").await.unwrap(), "Bearer canary-access-2");
    assert_eq!(
        gate.lease_of("acme").await.unwrap(),
        "Bearer canary-access-1",
        "it goes on with the grant it has"
    );
    // The old grant's death is not the other's.
    let lease = gate.live.lease(&gate.acme(), permit()).await.unwrap();
    assert_eq!(
        gate.live.rejected(&lease).await.unwrap_err(),
        CredentialError::Blocked(Standing::Dead)
    );
    assert!(gate.lease_of("twin").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_hubspot_says_of_a_token_that_was_replaced_meanwhile_suspends_nobody() {
    let world = World::empty().await;
    let endpoints = Endpoints::default();
    let enrolment = world.enrolment(&endpoints);
    enrolment
        .add_static(&name("acme"), portal(), &secret("pat-na1-canary-old"), &by_test())
        .await
        .unwrap();
    assert_eq!(world.standing(), Standing::Unverified, "nobody could tell");
    let gate = world.gate();
    world.fake.set(|state| {
        state.static_hub = Some(1);
        state.delay = Duration::from_millis(500);
    });
    let Start::Flying(mut verdict) = Engine::start(gate.live.engine(), &gate.acme(), Need::Repair) else {
        panic!("it is to be verified");
    };
    eventually("the question is under way", || {
        world.fake.0.lock().unwrap().in_flight.0 > 0
    })
    .await;
    let (row, good) = (world.row(), secret("pat-na1-canary-good"));
    let sealed = enrolment
        .seal_new(&row.id, row.kind, row.generation + 1, &good)
        .unwrap();
    let new = crate::store::NewCredential {
        email: None,
        kind: row.kind,
        data_key: sealed.data_key,
        access: sealed.access,
        refresh: sealed.refresh,
        user_id: Some(77),
        scopes: Vec::new(),
        handed: CredentialDigest::of(&good),
        same: false,
    };
    world.store.replace_credential(&row, &new, &by_test()).unwrap();
    gate.follow();
    verdict.wait_for(Option::is_some).await.unwrap();
    assert_eq!(world.standing(), Standing::Ok);
    assert_eq!(gate.acme().standing(), Standing::Ok);
    assert_eq!(
        token_of(&gate.lease().await.unwrap()),
        "Bearer pat-na1-canary-good"
    );
}
