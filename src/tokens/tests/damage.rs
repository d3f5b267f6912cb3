//! One row of the store is damaged: its connection says so, all others go on.

use super::*;
use crate::tokens::{Trouble, findings};

/// `p1` and `p2`, of which `p1` is about to be damaged.
async fn with_two() -> World {
    let world = World::empty().await;
    world.fake.set(|state| state.many = true);
    let endpoints = Endpoints::default();
    let enrolment = world.enrolment(&endpoints);
    let app_secret = secret("canary-app-secret");
    enrolment
        .add_app("marketing", "client-1", &app_secret, None, &by_test())
        .unwrap();
    for portal in 1..=2 {
        let grant = secret(&format!("grant-{portal}"));
        let id = PortalId::new(portal).unwrap();
        enrolment
            .add_grant(&name(&format!("p{portal}")), id, "marketing", &grant, &by_test())
            .await
            .unwrap();
    }
    world
}

fn damage(world: &World, how: &str) {
    let raw = rusqlite::Connection::open(world.store.path()).unwrap();
    let sql = format!("UPDATE connections SET {how} WHERE name = 'p1'");
    assert_eq!(raw.execute(&sql, []).unwrap(), 1);
    raw.execute(
        "INSERT INTO changes (kind, id) SELECT 'connection', id FROM connections WHERE name = 'p1'",
        [],
    )
    .unwrap();
}

async fn ask(gate: &Gate, connection: &str) -> Result<(), CredentialError> {
    let connection = gate.live.by_name(&name(connection)).unwrap();
    gate.live.lease(&connection, permit()).await.map(|_| ())
}

/// Damage, and what the damaged connection answers.
const DAMAGES: [(&str, Trouble); 11] = [
    ("standing = 'sideways'", Trouble::Damaged),
    ("standing = ''", Trouble::Damaged),
    ("whose = 'mine'", Trouble::Damaged),
    ("kind = 'magic'", Trouble::Damaged),
    ("generation = -7", Trouble::Damaged),
    ("created_at = 9223372036854775807", Trouble::Damaged),
    ("labels = CAST(x'ff' AS TEXT)", Trouble::Damaged),
    ("refresh_token = x'00'", Trouble::Configuration),
    (
        "refresh_token = substr(refresh_token, 1, 20)",
        Trouble::Configuration,
    ),
    (
        "refresh_token = randomblob(length(refresh_token))",
        Trouble::Configuration,
    ),
    ("data_key = substr(data_key, 2)", Trouble::Configuration),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_row_stops_its_own_connection_alone_and_is_named_by_the_check() {
    for (how, expected) in DAMAGES {
        let world = with_two().await;
        damage(&world, how);
        let gate = world.gate();
        let refused = ask(&gate, "p1").await;
        assert!(
            matches!(refused, Err(CredentialError::Unavailable { trouble, .. }) if trouble == expected),
            "{how}: {refused:?}"
        );
        assert_eq!(ask(&gate, "p2").await, Ok(()), "{how}");
        assert_eq!(
            world.store.connections().unwrap().last().unwrap().name,
            name("p2")
        );
        let found = findings(&world.store, &world.vault).unwrap();
        assert_eq!(found.len(), 1, "{how}: {found:?}");
        assert!(
            found[0].contains("`p1`") && found[0].contains("scopegate connection"),
            "{how}: {found:?}"
        );
        world.fake.set(|state| {
            assert!(state.granted.iter().all(|(_, token)| token == "grant-2"), "{how}");
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_while_the_gate_runs_stops_one_connection_and_its_repair_brings_it_back() {
    let world = with_two().await;
    let gate = world.gate();
    assert_eq!(ask(&gate, "p1").await, Ok(()));
    damage(&world, "standing = 'sideways'");
    gate.follow();
    gate.live.reload().unwrap();
    assert!(matches!(
        ask(&gate, "p1").await,
        Err(CredentialError::Unavailable {
            trouble: Trouble::Damaged,
            ..
        })
    ));
    assert_eq!(ask(&gate, "p2").await, Ok(()));
    damage(&world, "standing = 'ok'");
    gate.follow();
    assert_eq!(ask(&gate, "p1").await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_connection_can_be_removed() {
    let world = with_two().await;
    damage(&world, "standing = 'sideways'");
    let gate = world.gate();
    let rows = world.store.connection_rows().unwrap();
    let damaged = &rows.damaged[0];
    assert_eq!(damaged.name, Some(name("p1")));
    assert!(
        damaged.finding().contains("a connection's standing"),
        "{}",
        damaged.finding()
    );
    world
        .store
        .remove_connection(&damaged.id.unwrap(), &by_test())
        .unwrap();
    gate.follow();
    assert!(gate.live.by_name(&name("p1")).is_none());
    assert!(findings(&world.store, &world.vault).unwrap().is_empty());
}
