//! Deletions stay within their limit over any number of kills.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Signal;

use crate::child::Gate;
use crate::support::{Setup, World, policy};
use crate::wire::Wire;

const LIMIT: usize = 60;
const CLIENTS: usize = 4;

fn rounds() -> usize {
    std::env::var("LIMIT_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(4)
}

fn deletions(world: &World) -> usize {
    let received = world.sim.received();
    received
        .iter()
        .filter(|request| request.method == "DELETE")
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_is_killed_under_load_lets_no_more_be_deleted_than_the_limit() {
    let rounds = rounds();
    let limit = LIMIT * rounds / 4;
    let rules = format!(
        "allow:\n  - scope: crm.objects.contacts.write\n    effects: [delete]\n    reason: tests\nlimits: {{records_deleted: {limit}/1d}}\n"
    );
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
        let before = deletions(&world);
        let answered = Arc::new(AtomicUsize::new(0));
        let address = gate.gate;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (key, answered) = (key.clone(), Arc::clone(&answered));
                tokio::spawn(async move {
                    let mut wire = Wire::open(address).await;
                    for n in 0.. {
                        let id = 500_000 + client * 10_000 + n;
                        let request = format!("DELETE /crm/v3/objects/contacts/{id} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n");
                        if !wire.write(request).await {
                            return;
                        }
                        match wire.reply().await {
                            Some(reply) if reply.status == 429 => return,
                            Some(_) => answered.fetch_add(1, Ordering::Relaxed),
                            None => return,
                        };
                    }
                })
            })
            .collect();
        // Into the middle of it: so many have gone up.
        let aim = before + 3 + 2 * round % 7;
        world
            .until("some have gone up, or none may any more", async |world| {
                deletions(world) >= aim || clients.iter().all(|client| client.is_finished())
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
    // What is left of the limit goes through, and then nothing more.
    let gate = Gate::start(&world.config());
    let mut wire = Wire::open(gate.gate).await;
    let delete = |n: usize| {
        format!(
            "DELETE /crm/v3/objects/contacts/{} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n",
            900_000 + n
        )
    };
    let mut refused = None;
    for n in 0..=limit {
        let reply = wire.ask(delete(n)).await;
        if reply.status == 429 {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.expect("the limit is reached");
    assert_eq!(refused.sub_category(), "scopegate.limit");
    let seen = deletions(&world);
    assert!(seen <= limit, "{seen} were deleted, {limit} may be");
    assert!(
        seen + lost_at_most >= limit,
        "{seen} of {limit} after {rounds} kills: more was lost than was under way"
    );
    println!(
        "{rounds} kills: {seen} of {limit} deletions reached HubSpot, {} were counted and not seen",
        limit - seen
    );
}
