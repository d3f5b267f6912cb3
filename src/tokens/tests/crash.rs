//! What is left when a process dies in a refresh, at the level of the store. A crash is a gate that is
//! dropped where it stands; its successor starts on the same files.

use std::time::Duration;

use super::fake::Rotation;
use super::*;
use crate::store::Begin;
use crate::tokens::Trouble;
use crate::tokens::engine::{Engine, Need, Start};
use crate::tokens::flight::Outcome;

/// As if a process had died right after its intent.
fn die_after_intent(world: &World) {
    let id = world.row().id;
    let begun = world
        .store
        .begin_refresh(&id, "dead", Duration::from_secs(60))
        .unwrap();
    assert!(matches!(begun, Begin::Started(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_before_the_question_costs_nothing() {
    let world = World::new().await;
    die_after_intent(&world);
    let gate = world.gate();
    assert!(gate.acme().is_uncertain());
    assert_eq!(token_of(&gate.lease().await.unwrap()), "Bearer canary-access-1");
    assert!(!gate.acme().is_uncertain());
    assert!(world.row().intent.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_costs_nothing_with_a_stable_server() {
    let world = World::new().await;
    world.fake.set(|state| {
        state.rotation = Rotation::Stable;
        state.lose_answers = 1;
    });
    let gate = world.gate();
    let error = gate.lease().await.unwrap_err();
    assert!(matches!(
        error,
        CredentialError::Unavailable {
            trouble: Trouble::Unreachable,
            ..
        }
    ));
    assert!(world.row().intent.is_some(), "the next attempt must know");
    drop(gate);
    let gate = world.gate();
    assert!(gate.lease().await.is_ok());
    assert_eq!(world.standing(), Standing::Ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_of_a_rotating_server_is_reauthorise_not_dead_and_tried_once() {
    let world = World::new().await;
    world.fake.set(|state| state.lose_answers = 1);
    let gate = world.gate();
    assert!(gate.lease().await.is_err());
    drop(gate);
    let gate = world.gate();
    for _ in 0..3 {
        assert_eq!(
            gate.lease().await.unwrap_err(),
            CredentialError::Blocked(Standing::Reauthorise)
        );
    }
    assert_eq!(world.fake.calls(), 2, "the old token was tried once");
    assert_eq!(world.standing(), Standing::Reauthorise);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_predecessor_left_open_is_found_out_without_a_request() {
    let world = World::new().await;
    die_after_intent(&world);
    let gate = world.gate();
    let _keeper = keep(&gate);
    eventually("the grant is certain again", || !gate.acme().is_uncertain()).await;
    assert_eq!(world.fake.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saved_token_serves_the_next_process_without_a_question() {
    let world = World::new().await;
    let gate = world.gate();
    gate.lease().await.unwrap();
    drop(gate);
    let gate = world.gate();
    assert_eq!(token_of(&gate.lease().await.unwrap()), "Bearer canary-access-1");
    assert_eq!(world.fake.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_an_open_intent_a_valid_access_token_serves_meanwhile() {
    let world = World::new().await;
    let gate = world.gate();
    gate.lease().await.unwrap();
    drop(gate);
    die_after_intent(&world);
    let gate = world.gate();
    assert!(gate.acme().is_uncertain());
    assert_eq!(token_of(&gate.lease().await.unwrap()), "Bearer canary-access-1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_can_not_be_saved_is_used_and_saved_later() {
    let world = World::new().await;
    let raw = fill(&world);
    let gate = world.gate();
    assert_eq!(token_of(&gate.lease().await.unwrap()), "Bearer canary-access-1");
    assert!(!gate.acme().is_durable());
    assert_eq!(world.row().generation, 1);
    let _keeper = keep(&gate);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(!gate.acme().is_durable());
    raw.execute_batch("DROP TRIGGER full").unwrap();
    eventually("the grant is saved", || gate.acme().is_durable()).await;
    assert_eq!(world.row().generation, 2);
    assert_eq!(world.fake.calls(), 1, "no second refresh was needed");
    world.assert_no_canary_on_disk();
}

/// A store that takes everything but refreshed grants, until this is undone.
fn fill(world: &World) -> rusqlite::Connection {
    let raw = rusqlite::Connection::open(world.store.path()).unwrap();
    raw.execute_batch(
        "CREATE TRIGGER full BEFORE UPDATE OF refresh_token ON connections
         BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    )
    .unwrap();
    raw
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_is_owed_to_the_store_is_saved_at_an_orderly_stop() {
    let world = World::new().await;
    let disk = fill(&world);
    let gate = world.gate();
    gate.lease().await.unwrap();
    assert!(!gate.acme().is_durable());
    // It is tried again and fails: a pause begins.
    let Start::Flying(mut landing) = Engine::start(gate.live.engine(), &gate.acme(), Need::Repair) else {
        panic!("it is owed");
    };
    landing.wait_for(Option::is_some).await.unwrap();
    disk.execute_batch("DROP TRIGGER full").unwrap();
    gate.live.finish().await;
    assert_eq!(world.row().generation, 2, "saved, whatever the pause");
    drop(gate);
    let gate = world.gate();
    let lease = gate.lease().await.unwrap();
    gate.live.rejected(&lease).await.unwrap();
    assert_eq!(
        world.fake.calls(),
        2,
        "the next start asks with the new refresh token"
    );
    assert_eq!(world.standing(), Standing::Ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_owed_to_the_store_is_tried_again_soon_however_often_it_failed() {
    let world = World::new().await;
    let _disk = fill(&world);
    let gate = world.gate();
    gate.lease().await.unwrap();
    let (grant, now) = (gate.acme().grant(), tokio::time::Instant::now());
    for _ in 0..10 {
        let mut flight = grant.flight();
        flight.forced = Some(now);
        flight.land(Outcome::Failed(Trouble::Store), None, now, 0);
        let (wait, trouble) = flight.must_wait(now).unwrap();
        assert_eq!((wait, trouble), (Duration::from_secs(2), Trouble::Store));
        assert_eq!(flight.forced, None, "no token came of it that could be refused");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_an_answer_as_long_as_hubspot_may_take_and_has_nobody_asked_anew() {
    let world = World::new().await;
    let other = PortalId::new(PORTAL + 1).unwrap();
    let endpoints = Endpoints::default();
    world.fake.set(|state| state.many = true);
    let grant = secret(&format!("grant-{other}"));
    world
        .enrolment(&endpoints)
        .add_grant(&name("other"), other, "marketing", &grant, &by_test())
        .await
        .unwrap();
    let gate = world.gate();
    let engine = Arc::clone(gate.live.engine());
    world.fake.set(|state| state.delay = Duration::from_millis(1_500));
    let Start::Flying(_) = Engine::start(&engine, &gate.acme(), Need::Now) else {
        panic!("it has no token");
    };
    eventually("HubSpot is asked", || {
        world.fake.0.lock().unwrap().in_flight.0 == 1
    })
    .await;
    // All other places are taken, so that the next one stands in line.
    let places = u32::try_from(engine.at_once.available_permits()).unwrap();
    let taken = engine.at_once.acquire_many(places).await.unwrap();
    let in_line = gate.live.by_name(&name("other")).unwrap();
    let Start::Flying(_) = Engine::start(&engine, &in_line, Need::Now) else {
        panic!("it has no token");
    };
    let stopped = tokio::time::timeout(Duration::from_secs(4), gate.live.finish()).await;
    assert!(stopped.is_ok(), "it ends when the answer is saved");
    drop(taken);
    assert_eq!(world.row().generation, 2, "what came is saved");
    assert_eq!(world.fake.calls(), 1, "who stood in line has not asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_can_not_take_the_intent_means_no_question() {
    let world = World::new().await;
    let raw = rusqlite::Connection::open(world.store.path()).unwrap();
    raw.execute_batch(
        "CREATE TRIGGER full BEFORE UPDATE OF intent_at ON connections
         BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    )
    .unwrap();
    let gate = world.gate();
    let error = gate.lease().await.unwrap_err();
    assert!(matches!(
        error,
        CredentialError::Unavailable {
            trouble: Trouble::Store,
            ..
        }
    ));
    assert_eq!(world.fake.calls(), 0);
}

/// As if the process had died right after the grant was saved: nothing later reaches the store.
fn stop_after_save(world: &World) -> rusqlite::Connection {
    let raw = rusqlite::Connection::open(world.store.path()).unwrap();
    raw.execute_batch(
        "CREATE TRIGGER dead BEFORE UPDATE ON connections WHEN OLD.generation = 2
         BEGIN SELECT RAISE(ABORT, 'dead'); END",
    )
    .unwrap();
    raw
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_before_the_portal_is_known_lends_nobody_a_foreign_token() {
    let world = World::new().await;
    world.fake.set(|state| {
        state.hub_id = Some(1);
        state.tells_portal = false;
    });
    let raw = stop_after_save(&world);
    let gate = world.gate();
    assert!(gate.lease().await.is_err());
    drop(gate);
    raw.execute_batch("DROP TRIGGER dead").unwrap();
    assert_eq!(world.row().generation, 2, "the refresh token is saved");
    assert_ne!(world.standing(), Standing::Suspended, "nobody has noted it");
    let gate = world.gate();
    let lent = gate.lease().await.map(|lease| token_of(&lease));
    assert_eq!(lent, Err(CredentialError::Blocked(Standing::Suspended)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_whose_portal_was_asked_for_serves_the_next_process_without_a_question() {
    let world = World::new().await;
    world.fake.set(|state| state.tells_portal = false);
    let gate = world.gate();
    gate.lease().await.unwrap();
    drop(gate);
    let gate = world.gate();
    assert_eq!(token_of(&gate.lease().await.unwrap()), "Bearer canary-access-1");
    assert_eq!(world.fake.calls(), 1);
}
