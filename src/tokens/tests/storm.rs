//! Many connections at once: after an outage of the token endpoint, and at a start at which all have expired.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use tokio::task::JoinSet;

use super::*;
use crate::tokens::engine::AT_ONCE;

const MANY: u64 = 300;

/// Calls in the first second: a burst and an even pace, as the brake has them. On a machine that stops for a
/// moment, those who had their turn by then come at once; and a little for the clock.
const FIRST_SECOND: usize = 16 + 50 + AT_ONCE + 5;

async fn with_many() -> World {
    let world = World::empty().await;
    world.fake.set(|state| {
        state.many = true;
        state.delay = Duration::from_millis(30);
    });
    let endpoints = Endpoints::default();
    let enrolment = world.enrolment(&endpoints);
    let app_secret = secret("canary-app-secret");
    enrolment
        .add_app("marketing", "client-1", &app_secret, None, &by_test())
        .unwrap();
    for portal in 1..=MANY {
        let (name, id) = (name(&format!("p{portal}")), PortalId::new(portal).unwrap());
        let grant = secret(&format!("grant-{portal}"));
        enrolment
            .add_grant(&name, id, "marketing", &grant, &by_test())
            .await
            .unwrap();
    }
    world
}

/// Everybody asks until there is a token, and comes again when told to; returns what was told.
async fn everybody(gate: &Gate) -> Vec<Duration> {
    let mut clients = JoinSet::new();
    for connection in gate.live.all() {
        let live = gate.live.clone();
        clients.spawn(async move {
            let mut told = Vec::new();
            loop {
                match live.lease(&connection, permit()).await {
                    Ok(_) => return told,
                    Err(CredentialError::Unavailable { retry_after, .. }) => {
                        told.push(retry_after);
                        tokio::time::sleep(retry_after).await;
                    }
                    Err(other) => panic!("{other:?}"),
                }
            }
        });
    }
    let mut all = Vec::new();
    while let Some(told) = clients.join_next().await {
        all.extend(told.unwrap());
    }
    all
}

fn assert_once_each_and_spread(world: &World) {
    world.fake.set(|state| {
        let mut calls: HashMap<&str, u32> = HashMap::new();
        for (_, token) in &state.granted {
            *calls.entry(token).or_default() += 1;
        }
        assert_eq!(calls.len() as u64, MANY);
        assert!(calls.values().all(|calls| *calls == 1), "once each");
        assert!(
            state.in_flight.1 as usize <= AT_ONCE,
            "{} at once",
            state.in_flight.1
        );
        let first = state.granted.iter().map(|(at, _)| *at).min().unwrap();
        let soon = |at: &Instant| at.duration_since(first) <= Duration::from_secs(1);
        let early = state.granted.iter().filter(|(at, _)| soon(at)).count();
        assert!(early <= FIRST_SECOND, "{early} in the first second");
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_with_three_hundred_expired_connections_asks_for_each_once_and_not_all_at_once() {
    let world = with_many().await;
    let gate = world.gate_with(TokenSettings {
        wait: Duration::from_secs(60),
        ..TokenSettings::default()
    });
    let started = Instant::now();
    assert!(
        everybody(&gate).await.is_empty(),
        "everybody waited and was served"
    );
    let took = started.elapsed();
    assert_once_each_and_spread(&world);
    let mut windows = std::mem::take(&mut *gate.live.engine().windows.lock().unwrap());
    windows.sort_unstable();
    println!(
        "300 tokens after {took:?}; from answer to commit: median {:?}, 99 % {:?}, longest {:?}",
        windows[windows.len() / 2],
        windows[windows.len() * 99 / 100],
        windows.last().unwrap()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_outage_of_the_token_endpoint_refreshes_are_spread_and_nobody_comes_twice() {
    let world = with_many().await;
    let gate = world.gate();
    world.fake.set(|state| state.down = true);
    let calls_before = world.fake.calls();
    let fake = world.fake.clone();
    let outage = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        let during = fake.calls() - calls_before;
        fake.set(|state| state.down = false);
        during
    });
    let told = everybody(&gate).await;
    let during = outage.await.unwrap();
    // Those on their way when it went down, and a probe or two; not one for each connection.
    assert!(during as usize <= AT_ONCE + 4, "{during} calls while it was down");
    assert!(told.len() as u64 >= MANY - 20, "{} were told to wait", told.len());
    let seconds: BTreeSet<u64> = told.iter().map(Duration::as_secs).collect();
    assert!(
        seconds.len() >= 3,
        "all were told to come in the same second: {seconds:?}"
    );
    assert_once_each_and_spread(&world);
}
