//! Emergency stops and live connections: who is covered, from when, and what a revival gives back.

use std::future::Future as _;
use std::task::Poll;

use super::sharing::with_twin;
use super::*;
use crate::access::kill::{KillKind, KillSubject};
use crate::tokens::engine::{Engine, Need, Start};

fn subject(kind: KillKind, name: &str) -> KillSubject {
    KillSubject::parse(kind, name).unwrap()
}

fn because() -> Provenance {
    Provenance {
        reason: Some("because".to_owned()),
        ..by_test()
    }
}

impl World {
    fn kill(&self, kind: KillKind, name: &str) {
        self.store.kill(&subject(kind, name), &because()).unwrap();
    }

    fn set_installer(&self, email: &str) {
        let raw = rusqlite::Connection::open(self.store.path()).unwrap();
        raw.execute("UPDATE connections SET installer_email = ?1", [email])
            .unwrap();
    }
}

impl Gate {
    /// Takes the store's stops in force, as their follower does.
    fn follow_kills(&self) {
        let kills = self.live.engine().parts.store.kill_state().unwrap();
        self.live.apply_kills(&Arc::new(kills));
    }
}

const KILLED: CredentialError = CredentialError::Blocked(Standing::Killed);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_stop_blocks_the_lease_and_its_end_gives_it_back() {
    let world = World::new().await;
    world.set_installer("Ada@Example.com");
    let gate = world.gate();
    gate.lease().await.unwrap();
    for (kind, name) in [
        (KillKind::Connection, "acme"),
        (KillKind::App, "marketing"),
        (KillKind::Portal, "62515"),
        (KillKind::Person, "ADA@example.com"),
        (KillKind::All, ""),
    ] {
        world.kill(kind, name);
        gate.follow_kills();
        assert_eq!(gate.lease().await.unwrap_err(), KILLED, "{kind:?}");
        assert_eq!(gate.acme().standing(), Standing::Killed);
        assert_eq!(world.standing(), Standing::Ok, "the standing is not touched");
        world.store.revive(&subject(kind, name), &because()).unwrap();
        gate.follow_kills();
        gate.lease().await.unwrap();
    }
    world.kill(KillKind::Integration, "acme");
    gate.follow_kills();
    gate.lease().await.unwrap();
    assert_eq!(world.fake.calls(), 1, "one token served them all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_comes_or_changes_hands_under_a_stop_is_born_stopped() {
    let world = World::new().await;
    world.kill(KillKind::Person, "eve@example.com");
    world.kill(KillKind::Portal, "62516");
    let gate = world.gate();
    gate.lease().await.unwrap();
    let endpoints = Endpoints::default();
    let other = PortalId::new(62516).unwrap();
    world.fake.set(|state| state.static_hub = Some(62516));
    world
        .enrolment(&endpoints)
        .add_static(&name("later"), other, &secret("pat-na1-canary"), &by_test())
        .await
        .unwrap();
    world.set_installer("Eve@example.com");
    gate.follow();
    assert!(gate.live.by_name(&name("later")).unwrap().is_killed());
    assert!(gate.acme().is_killed(), "it is hers now");
    // And at a start: before anybody follows anything.
    drop(gate);
    let gate = world.gate();
    assert_eq!(gate.lease().await.unwrap_err(), KILLED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_under_way_is_saved_and_none_begins_while_the_stop_lasts() {
    let world = World::new().await;
    let gate = world.gate();
    world.fake.set(|state| state.delay = Duration::from_millis(300));
    let waiting = gate.lease();
    tokio::pin!(waiting);
    let asked = async { eventually("a refresh has begun", || world.row().intent.is_some()).await };
    tokio::select! {
        lease = &mut waiting => panic!("too fast: {lease:?}"),
        () = asked => {}
    }
    world.kill(KillKind::Connection, "acme");
    gate.follow_kills();
    assert_eq!(waiting.await.unwrap_err(), KILLED);
    eventually("what came is saved", || world.row().generation == 2).await;
    assert_eq!(world.row().standing, Standing::Ok);
    assert!(gate.acme().current(tokio::time::Instant::now()).is_some());

    // A token that is due, used, and of a stopped connection is not renewed ahead of its end.
    let _keeping = keep(&gate);
    for _ in 0..3 {
        assert_eq!(gate.lease().await.unwrap_err(), KILLED);
        let start = Engine::start(gate.live.engine(), &gate.acme(), Need::Replace(2));
        assert!(matches!(start, Start::Met));
    }
    assert_eq!(world.fake.calls(), 1);
    world
        .store
        .revive(&subject(KillKind::Connection, "acme"), &because())
        .unwrap();
    gate.follow_kills();
    let lease = gate.lease().await.unwrap();
    assert_eq!(token_of(&lease), "Bearer canary-access-1");
    assert_eq!(world.fake.calls(), 1, "nothing was lost, nothing asked again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_to_the_grant_meanwhile_shows_after_a_revival() {
    let world = World::new().await;
    let gate = world.gate();
    world.kill(KillKind::All, "");
    gate.follow_kills();
    let (from, by) = ([Standing::Ok], by_test());
    world
        .store
        .change_standing(&world.row().id, &from, Standing::Suspended, None, "x", &by)
        .unwrap();
    gate.follow();
    assert_eq!(gate.lease().await.unwrap_err(), KILLED);
    world.store.revive(&KillSubject::all(), &because()).unwrap();
    gate.follow_kills();
    assert_eq!(
        gate.lease().await.unwrap_err(),
        CredentialError::Blocked(Standing::Suspended)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_learnt_under_a_stop_of_that_person_stops_the_connection() {
    let world = World::new().await;
    let raw = rusqlite::Connection::open(world.store.path()).unwrap();
    raw.execute("UPDATE connections SET installer_email = NULL, user_id = 77", [])
        .unwrap();
    world.kill(KillKind::Person, "ada@example.com");
    let gate = world.gate();
    gate.lease().await.unwrap();
    let seen = crate::store::PersonRow {
        portal: portal(),
        user_id: 77,
        email: Some("Ada@example.com".to_owned()),
        super_admin: None,
        presence: crate::access::installer::Presence::Here,
        presence_since: jiff::Timestamp::now(),
        lost_rights_since: None,
        unknown_since: None,
        unknown_why: None,
        seen: None,
        watch: "{}".to_owned(),
    };
    world.store.note_person(&seen, &by_test()).unwrap();
    gate.follow();
    assert_eq!(gate.lease().await.unwrap_err(), KILLED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_watcher_gives_up_the_question_that_is_under_way_and_asks_no_more() {
    let world = World::empty().await;
    let endpoints = Endpoints::default();
    world.fake.set(|state| state.static_hub = Some(PORTAL));
    world
        .enrolment(&endpoints)
        .add_static(&name("watcher"), portal(), &secret("pat-na1-canary"), &by_test())
        .await
        .unwrap();
    let gate = world.gate();
    let watcher = gate.live.by_name(&name("watcher")).unwrap();
    let question = crate::hubspot::people::PeopleQuestion::Owner(1);
    // Less than the client's patience, more than a stop may take.
    world.fake.set(|state| state.delay = Duration::from_millis(1_900));
    let asking = gate.live.ask(&watcher, &question);
    tokio::pin!(asking);
    tokio::select! {
        answer = &mut asking => panic!("too fast: {answer:?}"),
        () = tokio::time::sleep(Duration::from_millis(200)) => {}
    }
    world.kill(KillKind::Connection, "watcher");
    gate.follow_kills();
    let ended = asking.await;
    assert!(
        matches!(ended, Err(crate::tokens::OwnQuestionError::NoToken(KILLED))),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_of_one_holder_fails_nobody_who_waits_for_the_common_grant() {
    let world = with_twin().await;
    let gate = world.gate();
    let engine = Arc::clone(gate.live.engine());
    // What comes now stands in line.
    let places = u32::try_from(engine.at_once.available_permits()).unwrap();
    let taken = engine.at_once.acquire_many(places).await.unwrap();
    let (acme, twin) = (gate.acme(), gate.live.by_name(&name("twin")).unwrap());
    let mut of_acme = Box::pin(gate.live.lease(&acme, permit()));
    let mut of_twin = Box::pin(gate.live.lease(&twin, permit()));
    // The first asks for both, the second joins it.
    for waiting in [&mut of_acme, &mut of_twin] {
        let waits = std::future::poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending()));
        assert!(waits.await);
    }
    world.kill(KillKind::Connection, "acme");
    gate.follow_kills();
    drop(taken);
    assert_eq!(of_acme.await.unwrap_err(), KILLED);
    assert_eq!(token_of(&of_twin.await.unwrap()), "Bearer canary-access-1");
    assert_eq!(world.fake.calls(), 1);
}
