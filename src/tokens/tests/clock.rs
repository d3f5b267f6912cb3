//! The wall clock is set forward or back by hours. What was written before is then off by as much, which is
//! how the tests make it happen.

use super::*;
use crate::tokens::expiry::Phase;
use tokio::time::Instant;

const HOUR: i64 = 3_600_000;

/// As if the wall clock had been moved by `hours` since everything was written.
fn move_wall_clock(world: &World, hours: i64) {
    rusqlite::Connection::open(world.store.path())
        .unwrap()
        .execute(
            "UPDATE connections SET access_obtained_at = access_obtained_at - ?1,
                 access_expires_at = access_expires_at - ?1, lease_until = lease_until - ?1,
                 intent_at = intent_at - ?1",
            [hours * HOUR],
        )
        .unwrap();
}

/// As if the machine had been started anew.
fn start_machine_anew(world: &World) {
    rusqlite::Connection::open(world.store.path())
        .unwrap()
        .execute("UPDATE connections SET access_boot = 'another run'", [])
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_token_is_as_old_as_it_is_whatever_the_wall_clock_says() {
    for hours in [-9, -1, 1, 9] {
        let world = World::new().await;
        let gate = world.gate();
        gate.lease().await.unwrap();
        drop(gate);
        move_wall_clock(&world, hours);
        let gate = world.gate();
        assert!(gate.lease().await.is_ok(), "{hours}");
        assert_eq!(world.fake.calls(), 1, "{hours}: it was still good");
        let (_, phase) = gate.acme().current(Instant::now()).unwrap();
        assert_eq!(phase, Phase::Fresh);
        let later = Instant::now() + Duration::from_secs(1800);
        assert!(
            gate.acme().current(later).is_none(),
            "{hours}: and ends when it ends"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_start_of_the_machine_a_token_of_implausible_times_is_refreshed_not_sent() {
    for hours in [-9, -1, 1, 9] {
        let world = World::new().await;
        let gate = world.gate();
        gate.lease().await.unwrap();
        drop(gate);
        start_machine_anew(&world);
        move_wall_clock(&world, hours);
        let gate = world.gate();
        assert_eq!(
            token_of(&gate.lease().await.unwrap()),
            "Bearer canary-access-2",
            "{hours}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_gate_does_not_notice() {
    let world = World::new().await;
    let gate = world.gate();
    gate.lease().await.unwrap();
    for hours in [9, -18] {
        move_wall_clock(&world, hours);
        gate.live.reload().unwrap();
        assert!(gate.lease().await.is_ok());
    }
    assert_eq!(world.fake.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_left_behind_blocks_no_refresh_for_hours() {
    let world = World::new().await;
    let gate = world.gate();
    let id = gate.acme().id();
    // Another process took it, and the clock was set back by nine hours since.
    world
        .store
        .begin_refresh(&id, "gone", Duration::from_secs(60))
        .unwrap();
    move_wall_clock(&world, -9);
    assert!(gate.lease().await.is_ok());
}

#[tokio::test]
async fn a_lease_is_good_until_its_token_runs_out_however_long_ago_it_was_lent() {
    let world = World::new().await;
    let gate = world.gate();
    let asked = Instant::now();
    let lease = gate.lease().await.unwrap();
    assert!(lease.is_good(asked + Duration::from_secs(1_794)));
    let answered = Instant::now();
    assert!(!lease.is_good(answered + Duration::from_secs(1_795)));
}
