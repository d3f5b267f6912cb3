//! Deletions, and what can't be undone, stay within their limits over any number of kills.

use rustix::process::Signal;

use crate::child::Gate;
use crate::removals::{REMOVALS, RULES, Removal};
use crate::support::{Setup, World, policy};
use crate::wire::{Wire, post, request};

const LIMIT: usize = 60;
const CLIENTS: usize = 4;

fn rounds() -> usize {
    std::env::var("LIMIT_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(4)
}

/// How many removals HubSpot saw: clients ask for nothing else.
fn removed(world: &World) -> usize {
    let received = world.sim.received();
    let is_removal = |target: &str| target.starts_with("/crm/") || target.starts_with("/cms/");
    received
        .iter()
        .filter(|request| is_removal(&request.target))
        .count()
}

fn call(removal: Removal, id: usize, key: &str) -> String {
    let (method, target, body) = removal.one(id);
    let body = body.unwrap_or_default();
    request(method, &target, key, &["Content-Type: application/json"], &body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_is_killed_under_load_lets_no_more_be_deleted_than_the_limit() {
    for removal in REMOVALS {
        no_more_goes_than_the_limit(removal).await;
    }
}

async fn no_more_goes_than_the_limit(removal: Removal) {
    let rounds = rounds();
    let limit = LIMIT * rounds / 4;
    let rules = format!("allow:\n{RULES}limits: {{{}: {limit}/1d}}\n", removal.limit());
    let mut world = World::with(Setup {
        policies: vec![("desk", policy("desk", &rules))],
        ..Setup::default()
    })
    .await;
    let key = world.key("desk");
    world.stop().await;
    world.sim.forget_received();
    let mut lost_at_most = 0;
    for round in 0..rounds {
        let mut gate = Gate::start(&world.config());
        let before = removed(&world);
        let address = gate.gate;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let key = key.clone();
                tokio::spawn(async move {
                    let mut wire = Wire::open(address).await;
                    for n in 0.. {
                        if !wire
                            .write(call(removal, 500_000 + client * 10_000 + n, &key))
                            .await
                        {
                            return;
                        }
                        match wire.reply().await {
                            Some(reply) if reply.status == 429 => return,
                            Some(_) => {}
                            None => return,
                        }
                    }
                })
            })
            .collect();
        // Into the middle of it: so many have gone up.
        let aim = before + 3 + 2 * round % 7;
        world
            .until("some have gone up, or none may any more", async |world| {
                removed(world) >= aim || clients.iter().all(|client| client.is_finished())
            })
            .await;
        gate.signal(Signal::KILL);
        gate.wait();
        lost_at_most += CLIENTS;
        for client in clients {
            client.abort();
            let _ = client.await;
        }
    }
    let at_kills = removed(&world);
    assert!(at_kills >= 3, "{removal:?}: {at_kills} went up under the kills");
    // What is left of the limit goes through, and then nothing more.
    let mut gate = Gate::start(&world.config());
    let mut wire = Wire::open(gate.gate).await;
    let mut refused = None;
    for n in 0..=limit {
        let reply = wire.ask(call(removal, 900_000 + n, &key)).await;
        if reply.status == 429 {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.expect("the limit is reached");
    assert_eq!(refused.sub_category(), "scopegate.limit");
    let seen = removed(&world);
    assert!(seen <= limit, "{removal:?}: {seen} were removed, {limit} may be");
    assert!(
        seen + lost_at_most >= limit,
        "{removal:?}: {seen} of {limit} after {rounds} kills: more was lost than was under way"
    );
    // And nothing more after another kill.
    gate.signal(Signal::KILL);
    gate.wait();
    let gate = Gate::start(&world.config());
    let mut wire = Wire::open(gate.gate).await;
    let (target, three) = removal.three();
    for asked in [call(removal, 950_000, &key), post(target, &key, three)] {
        assert_eq!(wire.ask(asked).await.status, 429, "{removal:?}");
    }
    assert_eq!(removed(&world), seen, "{removal:?}: what was refused went up");
    println!(
        "{rounds} kills: {seen} of {limit} calls ({}) reached HubSpot, {} were counted and not seen",
        removal.limit(),
        limit - seen
    );
}
