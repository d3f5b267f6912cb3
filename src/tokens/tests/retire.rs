//! Revoking a grant that somebody refreshes, or has tried to.

use super::*;
use crate::store::{Begin, Ticket};
use crate::tokens::engine::{Engine, Need, Start};
use crate::tokens::{RetireError, RetireStep, Retirement};

/// What `scopegate kill --revoke` does for `acme`.
async fn revoke(world: &World) -> Result<(), RetireError> {
    let parts = LiveParts {
        instance: "command:1".to_owned(),
        ..world.parts(TokenSettings::default())
    };
    Retirement::new(parts)
        .carry_out(RetireStep::Revoke, &world.row(), &[], &by_test())
        .await
}

/// As a process that is asking.
fn begin(world: &World) -> Begin {
    let id = world.row().id;
    world
        .store
        .begin_refresh(&id, "other", Duration::from_secs(60))
        .unwrap()
}

fn begun(world: &World) -> Ticket {
    match begin(world) {
        Begin::Started(ticket) => *ticket,
        other => panic!("{other:?}"),
    }
}

fn lives(world: &World) -> bool {
    world.fake.0.lock().unwrap().refresh != "revoked"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_refresh_under_way_brings_is_what_is_revoked() {
    let world = World::new().await;
    let gate = world.gate();
    world.fake.set(|state| state.delay = Duration::from_millis(400));
    let start = Engine::start(gate.live.engine(), &gate.acme(), Need::Now);
    assert!(matches!(start, Start::Flying(_)));
    eventually("HubSpot is asked", || {
        world.fake.0.lock().unwrap().in_flight.0 > 0
    })
    .await;
    revoke(&world).await.unwrap();
    assert_eq!(world.row().generation, 2);
    assert!(!lives(&world), "its successor is out and good");
    assert_eq!(world.standing(), Standing::Dead);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_can_begin_a_refresh_while_a_grant_is_revoked_and_nothing_is_left_of_it() {
    let world = World::new().await;
    world.fake.set(|state| state.held = true);
    let revoking = revoke(&world);
    tokio::pin!(revoking);
    let asked = eventually("HubSpot is asked", || {
        world.fake.0.lock().unwrap().in_flight.0 > 0
    });
    tokio::select! {
        ended = &mut revoking => panic!("too fast: {ended:?}"),
        () = asked => {}
    }
    assert!(matches!(begin(&world), Begin::Busy { .. }));
    assert_eq!(
        world.row().intent,
        None,
        "who is stopped here has not asked for another token"
    );
    world.fake.set(|state| state.held = false);
    revoking.await.unwrap();
    assert!(!lives(&world));
    assert_eq!(world.row().intent, None);
    assert!(matches!(begin(&world), Begin::Started(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_whose_refresh_broke_off_is_revoked_as_far_as_it_is_known_and_not_called_so() {
    let world = World::new().await;
    let ticket = begun(&world);
    world.store.end_refresh(&ticket, true, None).unwrap();
    let ended = revoke(&world).await;
    assert!(matches!(ended, Err(RetireError::BrokeOff)), "{ended:?}");
    assert!(!lives(&world));
    assert_eq!(world.standing(), Standing::Ok);
    assert!(
        world.row().intent.is_some(),
        "whoever comes next must know it, too"
    );
    assert!(matches!(begin(&world), Begin::Started(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_that_does_not_end_is_not_waited_for_forever_and_the_grant_not_called_revoked() {
    let mut world = World::new().await;
    let short = Duration::from_millis(500);
    let ca = include_bytes!("../../../tests/data/ca.pem");
    let upstream = Upstream::new(&world.url, client_tls(Some(ca)).unwrap(), false).unwrap();
    world.client = ControlClient::new(upstream.shared(), short, short);
    begun(&world);
    let ended = revoke(&world).await;
    assert!(matches!(ended, Err(RetireError::UnderWay)), "{ended:?}");
    assert!(!lives(&world), "what is in the store is revoked all the same");
    assert_eq!(world.standing(), Standing::Ok);
    assert!(
        matches!(begin(&world), Begin::Busy { .. }),
        "theirs is not taken away"
    );
}
