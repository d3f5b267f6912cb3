//! The master key is rotated under a running gate: credentials stay what they are, whatever wraps them.

use super::sharing::with_twin;
use super::statics::with_static;
use super::*;
use crate::vault::Rotation;

const OLD: u8 = 4;

/// A rotation of the world's master key, announced, and the gate has taken it.
fn announced(world: &World, gate: &Gate) -> Rotation {
    world.store.record_key_check(&world.vault.key_check()).unwrap();
    let key = |byte| MasterKey::from_bytes([byte; 32]);
    let recorded = world.store.recorded().unwrap();
    let rotation = Rotation::new(&key(OLD), &key(OLD + 1), world.store.id(), &recorded).unwrap();
    world.store.announce_master_key(&rotation, &by_test()).unwrap();
    gate.follow();
    rotation
}

/// Applies what is new since `seq` and nothing else, as a running gate does.
fn follow_after(world: &World, gate: &Gate, seq: u64) {
    for change in world.store.changes_after(seq).unwrap().rows {
        gate.live.apply_change(&change).unwrap();
    }
}

/// The store turns; the gate follows.
fn turn(world: &World, gate: &Gate, rotation: &Rotation) {
    let before = world.store.last_change().unwrap();
    let turned = world.store.turn_master_key(rotation, &by_test(), || {}).unwrap();
    assert!(turned.left.is_empty(), "{turned:?}");
    follow_after(world, gate, before);
    assert_eq!(world.vault.key_check(), *rotation.new_check());
}

/// The next lease refreshes, once, and the one after it does not.
async fn refreshes_once(world: &World, gate: &Gate, number: u32) {
    let expected = format!("Bearer canary-access-{number}");
    for _ in 0..2 {
        assert_eq!(token_of(&gate.lease().await.unwrap()), expected);
        assert_eq!(world.fake.calls(), number);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_rotation_of_the_master_key_a_token_that_ran_out_is_refreshed_once_and_lent() {
    let world = World::new().await;
    let gate = world.gate();
    world.fake.set(|state| state.life_seconds = 1);
    gate.lease().await.unwrap();
    let rotation = announced(&world, &gate);
    turn(&world, &gate, &rotation);
    let later = gate.acme();
    eventually("the token runs out", || {
        later.current(tokio::time::Instant::now()).is_none()
    })
    .await;
    world.fake.set(|state| state.life_seconds = 1800);
    refreshes_once(&world, &gate, 2).await;
    drop(gate);
    let gate = world.gate();
    assert_eq!(token_of(&gate.lease().await.unwrap()), "Bearer canary-access-2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_under_way_while_the_master_key_turns_is_saved_and_lent() {
    let world = World::new().await;
    let gate = world.gate();
    let rotation = announced(&world, &gate);
    world.fake.set(|state| state.held = true);
    let live = gate.live.clone();
    let connection = gate.acme();
    let asking = tokio::spawn(async move { live.lease(&connection, permit()).await.map(|_| ()) });
    eventually("HubSpot is asked", || {
        world.fake.0.lock().unwrap().in_flight.0 == 1
    })
    .await;
    turn(&world, &gate, &rotation);
    // And the connection's row is read again, for whatever reason.
    gate.follow();
    assert_eq!(world.row().generation, 1, "it is under way");
    world.fake.set(|state| state.held = false);
    assert_eq!(asking.await.unwrap(), Ok(()));
    refreshes_once(&world, &gate, 1).await;
    assert_eq!(world.row().generation, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_after_a_rotation_of_the_master_key_forgets_nothing_and_parts_nobody() {
    let world = with_twin().await;
    let gate = world.gate();
    gate.lease().await.unwrap();
    let rotation = announced(&world, &gate);
    turn(&world, &gate, &rotation);
    // Known of the credential, and nowhere but in memory.
    assert!(gate.acme().mark_rejected(tokio::time::Instant::now()));
    let before = world.store.last_change().unwrap();
    world
        .store
        .mark_rotation(&[gate.acme().id()], &by_test())
        .unwrap();
    follow_after(&world, &gate, before);
    assert!(gate.acme().is_rejected());
    gate.acme().accepted();
    refreshes_once(&world, &gate, 1).await;
    assert!(gate.acme().is_sharing());
    assert_eq!(gate.lease_of("twin").await.unwrap(), "Bearer canary-access-1");
    assert_eq!(world.fake.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_static_token_is_verified_after_a_rotation_of_the_master_key() {
    let world = with_static().await;
    let gate = world.gate();
    let rotation = announced(&world, &gate);
    turn(&world, &gate, &rotation);
    assert_eq!(gate.acme().standing(), Standing::Unverified);
    world.fake.set(|state| state.static_hub = Some(PORTAL));
    let _keeper = keep(&gate);
    eventually("it is verified", || gate.acme().standing() == Standing::Ok).await;
    assert_eq!(token_of(&gate.lease().await.unwrap()), "Bearer pat-na1-canary");
}
