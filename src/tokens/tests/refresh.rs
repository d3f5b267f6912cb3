//! Refreshing while nothing crashes.

use std::time::Duration;

use super::fake::Rotation;
use super::*;
use crate::store::Resumed;
use crate::tokens::engine::{Engine, Need, Start};
use crate::tokens::refresh::read_again;
use crate::tokens::{Trouble, keeper};
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_waiters_cost_one_token_call() {
    let world = World::new().await;
    world.fake.set(|state| state.delay = Duration::from_millis(50));
    let gate = world.gate();
    let tasks: Vec<_> = (0..500)
        .map(|_| {
            let (live, acme) = (gate.live.clone(), gate.acme());
            tokio::spawn(async move { live.lease(&acme, permit()).await.map(|lease| token_of(&lease)) })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), "Bearer canary-access-1");
    }
    assert_eq!(world.fake.calls(), 1);
    world.assert_no_canary_on_disk();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_outlives_the_client_that_asked_for_it() {
    let world = World::new().await;
    world.fake.set(|state| state.delay = Duration::from_millis(100));
    let gate = world.gate();
    let impatient = tokio::time::timeout(Duration::from_millis(20), gate.lease()).await;
    assert!(impatient.is_err(), "the client went away");
    assert_eq!(token_of(&gate.lease().await.unwrap()), "Bearer canary-access-1");
    assert_eq!(world.fake.calls(), 1);
    assert_eq!(world.row().generation, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_returned_refresh_token_is_stored_before_the_access_token_is_lent() {
    for rotation in [Rotation::Strict, Rotation::Stable] {
        let world = World::new().await;
        world.fake.set(|state| {
            state.rotation = rotation;
            // Used up at once: every lease needs a fresh one.
            state.life_seconds = 0;
        });
        let gate = world.gate();
        for round in 1..=4 {
            let _ = gate.lease().await;
            assert_eq!(
                world.fake.calls(),
                round,
                "each refresh used what the one before returned"
            );
            assert_eq!(world.row().generation, u64::from(round) + 1);
            assert_eq!(world.standing(), Standing::Ok);
        }
        world.assert_no_canary_on_disk();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_token_is_never_lent() {
    let world = World::new().await;
    world.fake.set(|state| state.life_seconds = 1);
    let gate = world.gate();
    assert_eq!(token_of(&gate.lease().await.unwrap()), "Bearer canary-access-1");
    tokio::time::sleep(Duration::from_millis(1000)).await;
    assert_eq!(token_of(&gate.lease().await.unwrap()), "Bearer canary-access-2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ageing_token_is_lent_and_renewed_behind_the_scenes() {
    let world = World::new().await;
    world.fake.set(|state| state.life_seconds = 4);
    let gate = world.gate();
    assert_eq!(token_of(&gate.lease().await.unwrap()), "Bearer canary-access-1");
    tokio::time::sleep(Duration::from_millis(3500)).await;
    world.fake.set(|state| state.delay = Duration::from_millis(20));
    let lease = gate.lease().await.unwrap();
    assert_eq!(token_of(&lease), "Bearer canary-access-1", "nobody waited");
    eventually("it is renewed", || gate.acme().generation() == 3).await;
    assert_eq!(token_of(&gate.lease().await.unwrap()), "Bearer canary-access-2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_grant_is_dead_and_is_asked_about_once() {
    let world = World::new().await;
    world.fake.set(|state| state.refresh = "uninstalled".to_owned());
    let gate = world.gate();
    for _ in 0..3 {
        assert_eq!(
            gate.lease().await.unwrap_err(),
            CredentialError::Blocked(Standing::Dead)
        );
    }
    assert_eq!(world.fake.calls(), 1);
    assert_eq!(world.standing(), Standing::Dead);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_of_configuration_revokes_nothing() {
    for (status, body) in [
        (401, r#"{"error":"invalid_client","status":"BAD_CLIENT_SECRET"}"#),
        (
            400,
            r#"{"error":"invalid_grant","status":"MISMATCH_REFRESH_TOKEN_CLIENT"}"#,
        ),
        (418, r#"{"status":"BRAND_NEW_WORD"}"#),
    ] {
        let world = World::new().await;
        world.fake.script(status, body);
        let gate = world.gate();
        let error = gate.lease().await.unwrap_err();
        assert!(
            matches!(
                error,
                CredentialError::Unavailable {
                    trouble: Trouble::Configuration,
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(world.standing(), Standing::Ok);
        assert_eq!(world.row().health.as_deref(), Some("configuration"));
        assert!(world.row().intent.is_none());
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert!(gate.lease().await.is_ok(), "it is tried again and works");
        assert_eq!(world.row().health, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transient_failure_backs_off_and_says_when_to_come_again() {
    let world = World::new().await;
    world.fake.script(503, "");
    let gate = world.gate();
    for _ in 0..20 {
        let CredentialError::Unavailable {
            trouble: Trouble::Busy,
            retry_after,
        } = gate.lease().await.unwrap_err()
        else {
            panic!("not busy");
        };
        assert!(retry_after >= Duration::from_secs(1));
    }
    assert_eq!(world.fake.calls(), 1, "the endpoint is left alone meanwhile");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(gate.lease().await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_waits_only_so_long() {
    let world = World::new().await;
    world.fake.set(|state| state.delay = Duration::from_millis(400));
    let gate = world.gate_with(TokenSettings {
        wait: Duration::from_millis(50),
        ..TokenSettings::default()
    });
    let error = gate.lease().await.unwrap_err();
    assert!(matches!(
        error,
        CredentialError::Unavailable {
            trouble: Trouble::Slow,
            ..
        }
    ));
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(gate.lease().await.is_ok());
    assert_eq!(world.fake.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_of_another_portal_suspends_the_connection_and_its_token_is_never_used() {
    // The answer to the refresh tells, or only introspection does.
    for told in [true, false] {
        let world = World::new().await;
        world.fake.set(|state| {
            state.hub_id = Some(1);
            state.tells_portal = told;
        });
        let gate = world.gate();
        let suspended = CredentialError::Blocked(Standing::Suspended);
        assert_eq!(gate.lease().await.unwrap_err(), suspended, "{told}");
        let row = world.row();
        assert_eq!(row.standing, Standing::Suspended);
        assert_eq!(row.generation, 2, "what came back is kept all the same");
        // Whoever asked was told it is in order again.
        let resume = || {
            let row = world.row();
            assert_eq!(world.store.resume(&row.id, &by_test()).unwrap(), Resumed::Foreign);
            world.store.resume_verified(&row, None, None, &[], &by_test())
        };
        assert!(resume().unwrap());
        gate.follow();
        let again = gate.lease().await;
        assert_eq!(
            again.map(|lease| token_of(&lease)),
            Err(suspended),
            "asked anew: {told}"
        );
        drop(gate);
        assert!(resume().unwrap());
        let gate = world.gate();
        assert_eq!(
            gate.lease().await.unwrap_err(),
            suspended,
            "after a start: {told}"
        );
        assert_eq!(world.fake.calls(), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_another_portal_is_not_lent_though_somebody_reads_the_connection_as_it_was() {
    let world = World::new().await;
    world.fake.set(|state| {
        state.hub_id = Some(1);
        state.tells_portal = false;
        state.delay = Duration::from_millis(300);
    });
    let gate = world.gate();
    let acme = gate.acme();
    let Start::Flying(mut landing) = Engine::start(gate.live.engine(), &acme, Need::Now) else {
        panic!("it has no token");
    };
    eventually("what came is saved", || world.row().generation == 2).await;
    // HubSpot is asked whose it is; the suspension that follows has to wait for the disk.
    let other = rusqlite::Connection::open(world.store.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    eventually("it is suspended in memory", || {
        acme.standing() == Standing::Suspended
    })
    .await;
    gate.follow();
    assert_eq!(acme.standing(), Standing::Ok, "as the store has it still");
    other.execute_batch("ROLLBACK").unwrap();
    landing.wait_for(Option::is_some).await.unwrap();
    assert!(acme.current(Instant::now()).is_none(), "another portal's token");
    assert_eq!(world.standing(), Standing::Suspended);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_of_a_connection_a_moment_ago_stops_it_and_never_lets_it_pass() {
    let world = World::new().await;
    let gate = world.gate();
    let acme = gate.acme();
    // The publisher has taken a suspension in force that was not there yet when the row was read.
    acme.set_standing(Standing::Suspended);
    let _ = read_again(gate.live.engine(), &acme).await;
    assert_eq!(acme.standing(), Standing::Suspended);
    // And the other way round.
    acme.set_standing(Standing::Ok);
    let (from, to) = ([Standing::Ok], Standing::Dead);
    world
        .store
        .change_standing(&acme.id(), &from, to, None, "x", &by_test())
        .unwrap();
    let _ = read_again(gate.live.engine(), &acme).await;
    assert_eq!(acme.standing(), Standing::Dead);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_401_forces_one_refresh_for_all_who_saw_it() {
    let world = World::new().await;
    let gate = world.gate();
    let first = gate.lease().await.unwrap();
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (live, refused) = (gate.live.clone(), first.clone());
            tokio::spawn(async move { live.rejected(&refused).await.map(|lease| token_of(&lease)) })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), "Bearer canary-access-2");
    }
    assert_eq!(world.fake.calls(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_401_within_a_minute_rejects_the_connection_until_a_call_is_accepted() {
    let world = World::new().await;
    let gate = world.gate();
    let first = gate.lease().await.unwrap();
    let second = gate.live.rejected(&first).await.unwrap();
    let error = gate.live.rejected(&second).await.unwrap_err();
    assert!(matches!(
        error,
        CredentialError::Unavailable {
            trouble: Trouble::Rejected,
            ..
        }
    ));
    assert_eq!(error.reason(), crate::access::refusal::Reason::ConnectionRejected);
    assert_eq!(world.fake.calls(), 2, "no third token was asked for");
    assert!(gate.acme().is_rejected());
    assert!(gate.lease().await.is_err());
    second.accepted();
    assert!(gate.lease().await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_is_seen_by_who_waits_and_ended_by_resuming() {
    let world = World::new().await;
    world.fake.set(|state| state.delay = Duration::from_millis(100));
    let gate = world.gate();
    let (live, acme) = (gate.live.clone(), gate.acme());
    let id = acme.id();
    let waiter = tokio::spawn(async move { live.lease(&acme, permit()).await });
    tokio::time::sleep(Duration::from_millis(30)).await;
    let (from, to) = ([Standing::Ok], Standing::Suspended);
    world
        .store
        .change_standing(&id, &from, to, None, "x", &by_test())
        .unwrap();
    gate.follow();
    assert_eq!(
        waiter.await.unwrap().unwrap_err(),
        CredentialError::Blocked(Standing::Suspended)
    );
    assert_eq!(world.row().generation, 2, "the refresh was completed and stored");
    let resumed = world.store.resume(&id, &by_test()).unwrap();
    assert_eq!(resumed, Resumed::Passes(Standing::Ok));
    gate.follow();
    assert_eq!(token_of(&gate.lease().await.unwrap()), "Bearer canary-access-1");
    assert_eq!(world.fake.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_connection_is_killed_for_who_still_holds_it() {
    let world = World::new().await;
    let gate = world.gate();
    let acme = gate.acme();
    gate.lease().await.unwrap();
    world.store.remove_connection(&acme.id(), &by_test()).unwrap();
    gate.follow();
    assert_eq!(
        gate.live.lease(&acme, permit()).await.unwrap_err(),
        CredentialError::Blocked(Standing::Killed)
    );
    assert!(gate.live.by_name(&name("acme")).is_none());
    assert!(gate.live.by_portal(portal()).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_secret_of_an_app_is_tried_when_the_first_is_refused() {
    let world = World::empty().await;
    let endpoints = Endpoints::default();
    let enrolment = world.enrolment(&endpoints);
    let (old, new) = (secret("old-secret"), secret("canary-app-secret"));
    enrolment
        .add_app("marketing", "client-1", &old, Some(&new), &by_test())
        .unwrap();
    let grant = secret("canary-refresh-0");
    enrolment
        .add_grant(&name("acme"), portal(), "marketing", &grant, &by_test())
        .await
        .unwrap();
    let gate = world.gate();
    assert!(gate.lease().await.is_ok());
    assert_eq!(world.fake.calls(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_moved_from_another_record_is_not_used() {
    let moves = [
        "UPDATE connections SET refresh_token = (SELECT refresh_token FROM connections WHERE name = 'other')",
        "UPDATE connections SET (refresh_token, data_key) =
             (SELECT refresh_token, data_key FROM connections WHERE name = 'other')",
        "UPDATE connections SET generation = generation + 1",
        "UPDATE connections SET refresh_token = data_key",
    ];
    for moved in moves {
        let world = World::new().await;
        let other = PortalId::new(PORTAL + 1).unwrap();
        world.fake.set(|state| state.hub_id = Some(other.get()));
        let endpoints = Endpoints::default();
        let grant = secret("canary-refresh-0");
        world
            .enrolment(&endpoints)
            .add_grant(&name("other"), other, "marketing", &grant, &by_test())
            .await
            .unwrap();
        rusqlite::Connection::open(world.store.path())
            .unwrap()
            .execute(&format!("{moved} WHERE name = 'acme'"), [])
            .unwrap();
        let gate = world.gate();
        let error = gate.lease().await.unwrap_err();
        assert!(
            matches!(
                error,
                CredentialError::Unavailable {
                    trouble: Trouble::Configuration,
                    ..
                }
            ),
            "{moved}: {error:?}"
        );
        assert_eq!(world.fake.calls(), 0, "nothing was guessed, nothing was sent");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_in_use_is_renewed_without_a_request_and_an_idle_one_lapses() {
    let world = World::new().await;
    let gate = world.gate();
    gate.lease().await.unwrap();
    drop(gate);
    // The next process takes the token up; nobody has used it there yet.
    let gate = world.gate();
    let acme = gate.acme();
    let at = |seconds| keeper::need_of(&acme, Instant::now() + Duration::from_secs(seconds));
    assert_eq!(at(1_600), None, "idle");
    gate.lease().await.unwrap();
    assert_eq!(at(0), None);
    assert_eq!(at(1_600), Some(Need::Ahead));
    assert_eq!(at(1_800), None, "it lapsed: the next request will see to it");
}
