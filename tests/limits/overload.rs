//! Far more at once than the gate takes: refused cheaply, within bounds, and nobody else is harmed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use scopegate::sim::{Action, Fault, Matching};

use crate::child::Gate;
use crate::support::{Setup, World, reader};
use crate::wire::{Reply, Wire, get};

const SLOW: &str = "/crm/v3/objects/contacts/1001";
const QUICK: &str = "/crm/v3/objects/contacts/1002";

/// Connections of the one that floods.
const CONNECTIONS: usize = 300;
/// Connections one key may hold, calls under way, calls that may wait.
const PER_KEY: usize = 60;
const CALLS: usize = 8;
const WAITING: usize = 100;
/// Most memory the gate may ever have had, in KiB: what a debug build starts with, and some.
const PEAK_KIB: u64 = 256 * 1024;

async fn world(config: &str) -> (World, String, String) {
    let mut world = World::with(Setup {
        policies: vec![
            ("flood", reader().replace("reader", "flood")),
            ("calm", reader().replace("reader", "calm")),
        ],
        config: config.to_owned(),
        ..Setup::default()
    })
    .await;
    let keys = (world.key("flood"), world.key("calm"));
    world.stop().await;
    (world, keys.0, keys.1)
}

fn code(reply: &Reply) -> String {
    match reply.status {
        200 => "200".to_owned(),
        _ => reply.json()["errors"][0]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_one_integration_is_refused_within_bounds_and_the_other_is_served() {
    let (world, flood, calm) = world(&format!(
        "limits: {{ connections_per_key: {PER_KEY}, in_flight_per_integration: {CALLS}, waiting_per_integration: {WAITING}, in_flight_wait: 300ms }}\n"
    ))
    .await;
    let config = std::fs::read_to_string(world.config()).unwrap();
    std::fs::write(world.config(), config.replace("workers: 2", "workers: 1")).unwrap();
    world.sim.fault(Fault::always(
        Matching::path(SLOW),
        Action::Delay(Duration::from_secs(1)),
    ));
    world.sim.forget_received();
    let mut gate = Gate::start(&world.config());
    let address = gate.gate;
    let begun = Instant::now();
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let flood = flood.clone();
            tokio::spawn(async move {
                let mut replies = Vec::new();
                for _ in 0..2 {
                    let mut wire = Wire::open(address).await;
                    while wire.write(get(SLOW, &flood)).await {
                        let Some(reply) = wire.reply().await else {
                            break;
                        };
                        let closes = reply.header("connection") == Some("close");
                        replies.push(reply);
                        if closes || replies.len() >= 3 {
                            break;
                        }
                    }
                }
                replies
            })
        })
        .collect();
    let mut other = Wire::open(address).await;
    let mut served = 0;
    while clients.iter().any(|client| !client.is_finished()) {
        let reply = other.ask(get(QUICK, &calm)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        served += 1;
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for client in clients {
        for reply in client.await.unwrap() {
            if reply.status != 200 {
                assert_eq!(reply.status, 429, "{reply:?}");
                assert_eq!(reply.header("retry-after"), Some("1"), "{reply:?}");
                assert_eq!(reply.sub_category(), "scopegate.limit");
                assert_eq!(reply.verdict(), "refuse");
            }
            *counts.entry(code(&reply)).or_default() += 1;
        }
    }
    let elapsed = begun.elapsed();
    for wanted in ["200", "limit_in_flight", "limit_connections"] {
        assert!(counts.get(wanted).is_some_and(|count| *count > 0), "{counts:?}");
    }
    assert_eq!(counts.len(), 3, "{counts:?}");
    // No more went up at a time than may: each of them took a second.
    let went_up = world
        .sim
        .received()
        .iter()
        .filter(|request| request.target == SLOW)
        .count();
    let most = CALLS * (elapsed.as_secs() as usize + 2);
    assert!(went_up <= most, "{went_up} in {elapsed:?}");
    let peak = gate.peak_kib();
    println!("{counts:?} in {elapsed:?}, the other was served {served} times; peak {peak} KiB");
    assert!(peak < PEAK_KIB, "{peak} KiB");
    // The flood is over: every place was given back.
    let mut wire = Wire::open(address).await;
    for _ in 0..2 {
        assert_eq!(wire.ask(get(QUICK, &flood)).await.status, 200);
    }
    gate.signal(rustix::process::Signal::INT);
    gate.wait();
    let audit = world.audit();
    let shed = |line: &&serde_json::Value| {
        line["reason"] == "limit_in_flight" || line["reason"] == "limit_connections"
    };
    let (singly, summed): (Vec<_>, Vec<_>) = audit
        .iter()
        .filter(shed)
        .partition(|line| line["kind"] == "decision");
    assert_eq!(singly.len(), 0, "a flood does not fill the log");
    let sum: u64 = summed.iter().filter_map(|line| line["count"].as_u64()).sum();
    let answered: usize = counts
        .iter()
        .filter(|(code, _)| *code != "200")
        .map(|(_, count)| count)
        .sum();
    assert_eq!(sum, answered as u64, "and all of it is in the sums");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_integrations_bodies_take_no_room_from_anothers() {
    let (mut world, flood, calm) = world(
        "limits: { judged_body_size: 64KiB, judged_size_per_integration: 64KiB, judged_total_size: 1MiB }\n",
    )
    .await;
    world.start().await;
    let batch = |key: &str, length: usize| {
        format!(
            "POST /crm/v3/objects/contacts/search HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let body = format!("{{\"limit\":1,\"sorts\":[]{}}}", " ".repeat(20_000));
    let ask = async |key: &str| {
        let mut wire = Wire::open(world.gate).await;
        wire.ask(format!("{}{body}", batch(key, body.len()))).await
    };
    let refused = |reply: &Reply| {
        assert_eq!(
            (reply.status, reply.header("retry-after")),
            (503, Some("1")),
            "{reply:?}"
        );
    };
    let held = loop {
        // Most of a body has come, and the rest does not.
        let mut held = Wire::open(world.gate).await;
        held.write(batch(&flood, 60_000)).await;
        held.write(format!("{{\"query\":\"{}", "x".repeat(55_000))).await;
        let no_room = world.until("there is no room for a second one", async |_| {
            let reply = ask(&flood).await;
            if reply.status != 200 {
                refused(&reply);
            }
            reply.status == 503
        });
        tokio::select! {
            () = no_room => break held,
            // The second one was quicker than the end of the first.
            reply = held.reply() => refused(&reply.unwrap()),
        }
    };
    assert_eq!(ask(&calm).await.status, 200);
    drop(held);
    world
        .until("the room is given back", async |_| {
            ask(&flood).await.status == 200
        })
        .await;
}
