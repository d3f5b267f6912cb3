//! Several connections that hold one grant.

use super::fake::Rotation;
use super::*;
use crate::tokens::Trouble;

/// `acme`, and `twin` with the same refresh token under another app entry of the same client id.
pub(super) async fn with_twin() -> World {
    let world = World::new().await;
    add_twin(&world, "canary-app-secret").await;
    world
}

async fn add_twin(world: &World, app_secret: &str) {
    let endpoints = Endpoints::default();
    let enrolment = world.enrolment(&endpoints);
    enrolment
        .add_app(
            "twins",
            "client-1",
            &secret("canary-app-secret"),
            None,
            &by_test(),
        )
        .unwrap();
    let grant = secret(&world.fake.0.lock().unwrap().refresh);
    let added = enrolment
        .add_grant(&name("twin"), portal(), "twins", &grant, &by_test())
        .await
        .unwrap();
    assert_eq!(added.shares_with, [name("acme")]);
    if app_secret != "canary-app-secret" {
        // Rotated at HubSpot since, and nobody told this entry.
        let raw = rusqlite::Connection::open(world.store.path()).unwrap();
        let owner = crate::vault::Owner::app("twins");
        let (key, wrapped) = world.vault.new_data_key(&owner).unwrap();
        let place = crate::vault::Place {
            owner: &owner,
            field: "secret",
            version: 1,
        };
        let sealed = key.seal(place, &secret(app_secret)).unwrap();
        raw.execute(
            "UPDATE apps SET secret = ?1, data_key = ?2 WHERE name = 'twins'",
            rusqlite::params![sealed.as_stored(), wrapped.as_stored()],
        )
        .unwrap();
    }
}

impl Gate {
    pub(super) async fn lease_of(&self, connection: &str) -> Result<String, CredentialError> {
        let connection = self.live.by_name(&name(connection)).unwrap();
        let lease = self.live.lease(&connection, permit()).await;
        lease.map(|lease| token_of(&lease))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_refresh_serves_all_who_hold_the_grant() {
    for rotation in [Rotation::Strict, Rotation::Stable] {
        let world = with_twin().await;
        world.fake.set(|state| {
            state.rotation = rotation;
            state.delay = Duration::from_millis(50);
        });
        let gate = world.gate();
        let (acme, twin) = tokio::join!(gate.lease_of("acme"), gate.lease_of("twin"));
        assert_eq!(acme.unwrap(), "Bearer canary-access-1");
        assert_eq!(twin.unwrap(), "Bearer canary-access-1");
        assert_eq!(world.fake.calls(), 1);
        drop(gate);
        let gate = world.gate();
        assert!(gate.lease_of("acme").await.is_ok() && gate.lease_of("twin").await.is_ok());
        assert_eq!(world.fake.calls(), 1, "both were saved");
        world.assert_no_canary_on_disk();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_by_one_never_takes_the_grant_from_the_other() {
    let world = with_twin().await;
    // Used up at once: each lease has the grant rotated.
    world.fake.set(|state| state.life_seconds = 0);
    for round in 1..=3 {
        let gate = world.gate();
        let _ = gate.lease_of("acme").await;
        drop(gate);
        let gate = world.gate();
        let _ = gate.lease_of("twin").await;
        assert_eq!(world.fake.calls(), 2 * round);
        for connection in world.store.connections().unwrap() {
            assert_eq!(connection.standing, Standing::Ok, "{}", connection.name);
            assert_eq!(connection.generation, 1 + 2 * u64::from(round));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removing_one_holder_leaves_the_other_at_work() {
    let world = with_twin().await;
    let gate = world.gate();
    gate.lease_of("acme").await.unwrap();
    let acme = gate.acme();
    world.store.remove_connection(&acme.id(), &by_test()).unwrap();
    gate.follow();
    assert!(gate.lease_of("twin").await.is_ok());
    let refused = gate.live.by_name(&name("twin")).unwrap();
    let lease = gate.live.lease(&refused, permit()).await.unwrap();
    let fresh = gate.live.rejected(&lease).await.unwrap();
    assert_eq!(token_of(&fresh), "Bearer canary-access-2");
    assert_eq!(world.fake.calls(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_holder_is_not_left_behind() {
    let world = with_twin().await;
    let twin = world.store.connection_by_name(&name("twin")).unwrap().unwrap();
    let (from, to) = ([Standing::Ok], Standing::Suspended);
    world
        .store
        .change_standing(&twin.id, &from, to, None, "x", &by_test())
        .unwrap();
    let gate = world.gate();
    gate.lease_of("acme").await.unwrap();
    assert_eq!(
        gate.lease_of("twin").await,
        Err(CredentialError::Blocked(Standing::Suspended))
    );
    world.store.resume(&twin.id, &by_test()).unwrap();
    gate.follow();
    assert!(gate.lease_of("twin").await.is_ok());
    assert_eq!(world.fake.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_grant_stops_all_who_hold_it_at_once_and_is_told_of_once_each() {
    let world = with_twin().await;
    world.fake.set(|state| {
        state.refresh = "uninstalled".to_owned();
        state.delay = Duration::from_millis(50);
    });
    let gate = world.gate();
    let waiting: Vec<_> = (0..100)
        .map(|index| {
            let connection = if index % 2 == 0 { "acme" } else { "twin" };
            let connection = gate.live.by_name(&name(connection)).unwrap();
            let live = gate.live.clone();
            tokio::spawn(async move {
                live.lease(&connection, permit())
                    .await
                    .map(|lease| token_of(&lease))
            })
        })
        .collect();
    for waiter in waiting {
        assert_eq!(
            waiter.await.unwrap(),
            Err(CredentialError::Blocked(Standing::Dead))
        );
    }
    assert_eq!(world.fake.calls(), 1);
    let events = world.store.admin_events_after(0).unwrap();
    let ended = events
        .iter()
        .filter(|event| event.action == "connection grant ended");
    assert_eq!(ended.count(), 2, "one for each connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sharing_that_was_never_noted_is_found_at_the_start() {
    let world = with_twin().await;
    rusqlite::Connection::open(world.store.path())
        .unwrap()
        .execute("UPDATE connections SET grant_print = NULL, grant_id = NULL", [])
        .unwrap();
    let gate = world.gate();
    assert_eq!(world.store.sharers(&gate.acme().id()).unwrap(), [name("twin")]);
    gate.lease_of("twin").await.unwrap();
    gate.lease_of("acme").await.unwrap();
    assert_eq!(world.fake.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sharing_that_can_not_be_noted_is_found_when_it_can_be() {
    let world = with_twin().await;
    let disk = rusqlite::Connection::open(world.store.path()).unwrap();
    disk.execute("UPDATE connections SET grant_print = NULL, grant_id = NULL", [])
        .unwrap();
    disk.execute_batch(
        "CREATE TRIGGER full BEFORE UPDATE OF grant_print ON connections
         BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    )
    .unwrap();
    let gate = world.gate();
    let sharers = || world.store.sharers(&gate.acme().id()).unwrap();
    assert!(!gate.live.note_again());
    assert!(sharers().is_empty());
    disk.execute_batch("DROP TRIGGER full").unwrap();
    assert!(gate.live.note_again());
    assert_eq!(sharers(), [name("twin")]);
    // What was noted is a change of both.
    gate.follow();
    gate.lease_of("twin").await.unwrap();
    gate.lease_of("acme").await.unwrap();
    assert_eq!(world.fake.calls(), 1, "before either of them has lost it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_added_to_a_running_gate_joins_the_others() {
    let world = World::new().await;
    let gate = world.gate();
    gate.lease_of("acme").await.unwrap();
    add_twin(&world, "canary-app-secret").await;
    gate.follow();
    gate.lease_of("twin").await.unwrap();
    assert_eq!(world.fake.calls(), 2);
    assert_eq!(
        gate.lease_of("acme").await.unwrap(),
        "Bearer canary-access-2",
        "the older holder goes on with what the newer one got"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_entry_that_missed_a_rotated_secret_is_helped_by_the_other() {
    let world = World::new().await;
    add_twin(&world, "old-secret").await;
    let gate = world.gate();
    assert!(gate.lease_of("twin").await.is_ok());
    assert_eq!(world.fake.calls(), 2, "the own secret first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_was_given_another_grant_behind_the_gates_back_is_not_overwritten() {
    let world = with_twin().await;
    let twin = world.store.connection_by_name(&name("twin")).unwrap().unwrap();
    let owner = crate::vault::Owner::connection(&twin.id);
    let key = world.vault.data_key(&owner, &twin.data_key).unwrap();
    let place = crate::vault::Place {
        owner: &owner,
        field: "refresh",
        version: twin.generation,
    };
    let sealed = key.seal(place, &secret("canary-other-grant")).unwrap();
    let gate = world.gate();
    rusqlite::Connection::open(world.store.path())
        .unwrap()
        .execute(
            "UPDATE connections SET refresh_token = ?1 WHERE name = 'twin'",
            [sealed.as_stored()],
        )
        .unwrap();
    gate.lease_of("acme").await.unwrap();
    let after = world.store.connection_by_name(&name("twin")).unwrap().unwrap();
    assert_eq!(after.refresh, Some(sealed));
    assert_eq!((after.generation, after.intent), (1, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_client_secret_revokes_nothing_and_all_recover_when_it_is_right_again() {
    let world = with_twin().await;
    world.fake.set(|state| state.secret = "rotated".to_owned());
    let gate = world.gate();
    for connection in ["acme", "twin"] {
        assert!(matches!(
            gate.lease_of(connection).await,
            Err(CredentialError::Unavailable {
                trouble: Trouble::Configuration,
                ..
            })
        ));
    }
    for connection in world.store.connections().unwrap() {
        assert_eq!(connection.standing, Standing::Ok);
        assert_eq!(connection.health.as_deref(), Some("configuration"));
    }
    world
        .fake
        .set(|state| state.secret = "canary-app-secret".to_owned());
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(gate.lease_of("twin").await.is_ok() && gate.lease_of("acme").await.is_ok());
    for connection in world.store.connections().unwrap() {
        assert_eq!(connection.health, None);
    }
}
