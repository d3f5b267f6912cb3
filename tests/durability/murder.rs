//! SIGKILL at random times under load: whatever HubSpot saw was recorded before.
//!
//! Each client has an integration of its own and sends one request after the other. So the requests that the
//! simulator saw of a client and the decisions that the log has of its integration can be compared one to
//! one: every request was answered before the next was sent, and at most the last decision led to nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use scopegate::sim::SimOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::child::Gate;
use crate::place::{Faults, start};
use crate::support::{Setup, World, policy};
use crate::wire::{Wire, get, post, request};
use crate::{Random, count, row};

/// What a client does, and under which effect it is recorded.
const KINDS: [(&str, &str); 4] = [
    ("reads", "read"),
    ("writes", "write"),
    ("deletes", "delete"),
    ("erases", "irreversible"),
];
const CLIENTS_EACH: usize = 2;

/// How many lives more there may be until each kind went up: for a machine that is too slow for the first.
const MORE_LIVES: usize = 20;

/// Longest wait for the simulator to read what is there; only a failing test ever waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Names and kinds of the clients; the number is the record that only this one touches.
fn clients() -> Vec<(String, &'static str, usize)> {
    let all = KINDS
        .iter()
        .flat_map(|(kind, _)| (0..CLIENTS_EACH).map(move |n| (*kind, n)));
    all.enumerate()
        .map(|(index, (kind, n))| (format!("{kind}-{n}"), kind, 770_000 + index))
        .collect()
}

/// Kinds of which HubSpot saw nothing: what was said of them is empty.
fn unseen(received: &BTreeMap<String, usize>) -> BTreeSet<&'static str> {
    let seen = |kind: &str| received.keys().any(|name| name.starts_with(kind));
    KINDS
        .iter()
        .map(|(kind, _)| *kind)
        .filter(|kind| !seen(kind))
        .collect()
}

fn call(kind: &str, record: usize, key: &str) -> String {
    let one = format!("/crm/v3/objects/contacts/{record}");
    match kind {
        "reads" => get(&one, key),
        "writes" => request(
            "PATCH",
            &one,
            key,
            &["Content-Type: application/json"],
            r#"{"properties":{"firstname":"Ada"}}"#,
        ),
        "deletes" => request("DELETE", &one, key, &[], ""),
        _ => post(
            "/crm/v3/objects/contacts/gdpr-delete",
            key,
            &format!(r#"{{"objectId":"{record}"}}"#),
        ),
    }
}

async fn world(durable: &str) -> (World, Vec<String>) {
    let rules = "allow:\n  - scope: [crm.objects.contacts.read, crm.objects.contacts.write]\n  - operation: \
                 [crm.objects.archive, crm.objects.gdpr-delete]\n    objects: [contacts]\n";
    let policies = clients()
        .into_iter()
        .map(|(name, ..)| {
            let name: &'static str = name.leak();
            (name, policy(name, rules))
        })
        .collect();
    let mut world = World::with(Setup {
        policies,
        config: format!("audit: {{ durable: {durable} }}\n"),
        // All that a life sends is compared, so the simulator has to remember all.
        sim: SimOptions {
            recorded_requests: 200_000,
            recorded_body_bytes: 256,
            ..SimOptions::default()
        },
        ..Setup::default()
    })
    .await;
    let keys = clients().iter().map(|(name, ..)| world.key(name)).collect();
    world.stop().await;
    world.sim.forget_received();
    (world, keys)
}

/// Sends until the gate is gone; how many were answered.
async fn send(
    gate: std::net::SocketAddr,
    kind: &'static str,
    record: usize,
    key: String,
    stop: Arc<AtomicBool>,
) -> usize {
    let mut answered = 0;
    while !stop.load(Ordering::Relaxed) {
        let Ok(stream) = tokio::net::TcpStream::connect(gate).await else {
            break;
        };
        let mut wire = Wire::over(stream);
        while wire.write(call(kind, record, &key)).await {
            match wire.reply().await {
                Some(reply) => {
                    assert!(reply.status != 401 && reply.status != 403, "{kind}: {reply:?}");
                    answered += 1;
                }
                None => break,
            }
        }
    }
    answered
}

/// Waits until the simulator has read all that a dead gate left it: read later, it would be taken for the next one's.
async fn is_read(world: &World) {
    // Connections are accepted one after the other: once this one is answered, no other is on its way.
    let simulator = world.sim_origin.strip_prefix("http://").unwrap();
    let mut last = tokio::net::TcpStream::connect(simulator).await.unwrap();
    last.write_all(b"no request\r\n\r\n").await.unwrap();
    let mut refused = Vec::new();
    last.read_to_end(&mut refused).await.unwrap();
    assert!(refused.starts_with(b"HTTP/1.1 400"), "{refused:?}");
    drop(last);
    let begun = Instant::now();
    while world.sim.connections() > 0 {
        assert!(begun.elapsed() < PATIENCE, "the simulator waits for a dead gate");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn life(world: &World, keys: &[String], faults: &Faults, moment: Duration) -> usize {
    let mut gate: Gate = start(&world.config(), faults);
    let stop = Arc::new(AtomicBool::new(false));
    let crowd: Vec<_> = clients()
        .into_iter()
        .zip(keys)
        .map(|((_, kind, record), key)| {
            tokio::spawn(send(gate.gate, kind, record, key.clone(), Arc::clone(&stop)))
        })
        .collect();
    tokio::time::sleep(moment).await;
    gate.signal(Signal::KILL);
    gate.wait();
    stop.store(true, Ordering::Relaxed);
    let mut answered = 0;
    for client in crowd {
        answered += client.await.unwrap();
    }
    answered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_hubspot_saw_of_a_gate_that_was_killed_was_recorded_before() {
    for durable in ["writes", "all"] {
        let (world, keys) = world(durable).await;
        let faults = Faults::at(world.dir.path());
        let rounds = count("DURABILITY_ROUNDS", 2);
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut answered = 0;
        let mut received: BTreeMap<String, usize> = BTreeMap::new();
        let mut recorded_before: BTreeMap<String, usize> = BTreeMap::new();
        let mut round = 0;
        while round < rounds || (round < rounds + MORE_LIVES && !unseen(&received).is_empty()) {
            round += 1;
            let moment = Duration::from_millis(300 + random.below(900));
            answered += life(&world, &keys, &faults, moment).await;
            is_read(&world).await;
            let mut of_this_life: BTreeMap<String, usize> = BTreeMap::new();
            for one in world.sim.received() {
                let text = format!("{} {}", one.target, String::from_utf8_lossy(&one.body));
                let owner = clients()
                    .into_iter()
                    .find(|(_, _, record)| text.contains(&record.to_string()));
                let owner = owner.expect("a client's").0;
                *received.entry(owner.clone()).or_default() += 1;
                *of_this_life.entry(owner).or_default() += 1;
            }
            world.sim.forget_received();
            let mut recorded: BTreeMap<String, usize> = BTreeMap::new();
            // The last line may be torn; a start cuts it.
            for line in world.audit_text().lines() {
                let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else {
                    continue;
                };
                if line["kind"] == "decision" && line["decision"] == "allow" {
                    let name = line["integration"].as_str().unwrap();
                    let (_, effect) = KINDS.iter().find(|(kind, _)| name.starts_with(kind)).unwrap();
                    assert_eq!(line["effect"], *effect, "{name}: {line}");
                    *recorded.entry(name.to_owned()).or_default() += 1;
                }
            }
            for (name, kind, _) in clients() {
                let of = |counts: &BTreeMap<String, usize>| counts.get(&name).copied().unwrap_or(0);
                // What a decision of an earlier life led to makes up for nothing in this one.
                let (saw, has) = (of(&of_this_life), of(&recorded) - of(&recorded_before));
                if kind != "reads" || durable == "all" {
                    assert!(
                        saw <= has,
                        "{name}, life {round}: HubSpot saw {saw}, the log has {has}"
                    );
                    assert!(
                        has <= saw + 1,
                        "{name}: at most one decision of a life led to nothing: {saw}, {has}"
                    );
                }
            }
            recorded_before = recorded;
        }
        let total: usize = received.values().sum();
        assert!(total > 4 * rounds, "there was load: {total}");
        let unseen = unseen(&received);
        assert!(
            unseen.is_empty(),
            "in {round} lives HubSpot saw nothing of {unseen:?}: {received:?}"
        );
        let config = world.config();
        let check = tokio::task::spawn_blocking(move || {
            crate::support::scopegate(&["--config", crate::support::path(&config), "store", "check"])
        });
        let check = check.await.unwrap();
        assert!(
            check.status.success(),
            "{}",
            String::from_utf8_lossy(&check.stdout)
        );
        row(
            &format!(
                "`kill -9` under {} clients, `audit.durable: {durable}`",
                clients().len()
            ),
            &format!(
                "{round} kills, {answered} answers, HubSpot saw {total} requests: each {} was recorded before it went up",
                if durable == "all" {
                    "of them"
                } else {
                    "write, delete and erasure"
                }
            ),
            "start it again: the store is sound, a `gap` line marks the place",
        );
    }
}
