//! One integration floods the gate, another does its modest work: how much longer that takes.
//!
//! Both phases alternate within one run, so that whatever else the machine does falls on both. The flood
//! is hundreds of connections that ask again as soon as they are answered; HubSpot's stand-in answers after
//! 50 ms, as HubSpot does at its quickest. The gate is the real binary, with one worker.
//!
//! What is asserted is what is promised, and measured again where the machine did something else meanwhile.
//! `FAIRNESS_ROUNDS` makes the run longer, and `FAIRNESS_MOST` asserts another ratio.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use scopegate::sim::{Action, Fault, Matching};

use crate::child::Gate;
use crate::support::{Setup, World, reader};
use crate::wire::{Wire, get};

const CALM: &str = "/crm/v3/objects/contacts/1001";
const FLOOD: &str = "/crm/v3/objects/contacts/1002";
const DENIED: &str = "/crm/v3/objects/deals/1";

/// HubSpot at its quickest.
const ANSWER: Duration = Duration::from_millis(50);
const PHASE: Duration = Duration::from_millis(1_000);
/// Calls of each kind that a 99th percentile needs at least.
const ENOUGH: usize = 150;
/// The flood moves the other's 99th percentile by less.
const MOST: f64 = 2.0;
/// Attempts at a quiet moment.
const ATTEMPTS: usize = 6;
const FLOODERS: usize = 200;
/// Connections of the calm one, each asking one thing after another.
const CALM_CONNECTIONS: usize = 6;

fn number<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// How long each call of the calm one took, for as long as a phase.
async fn calm_phase(address: std::net::SocketAddr, key: &str) -> Vec<Duration> {
    let until = Instant::now() + PHASE;
    let clients: Vec<_> = (0..CALM_CONNECTIONS)
        .map(|_| {
            let request = get(CALM, key);
            tokio::spawn(async move {
                let mut wire = Wire::open(address).await;
                assert_eq!(
                    wire.ask(&request).await.status,
                    200,
                    "a first one makes the connections"
                );
                let mut took = Vec::new();
                while Instant::now() < until {
                    let begun = Instant::now();
                    assert_eq!(wire.ask(&request).await.status, 200);
                    took.push(begun.elapsed());
                }
                took
            })
        })
        .collect();
    let mut all = Vec::new();
    for client in clients {
        all.extend(client.await.unwrap());
    }
    all
}

/// A flood under way.
struct Flood {
    stop: Arc<AtomicBool>,
    /// Answered, and what of it was not refused for being too much.
    counts: Arc<[AtomicUsize; 2]>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

/// Floods until told to stop; counts what was answered, and what of it was let through.
fn flood(address: std::net::SocketAddr, key: &str, target: &'static str) -> Flood {
    let (stop, counts): (Arc<AtomicBool>, Arc<[AtomicUsize; 2]>) = Default::default();
    let clients = (0..FLOODERS)
        .map(|_| {
            let (stop, counts) = (Arc::clone(&stop), Arc::clone(&counts));
            let request = get(target, key);
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let mut wire = Wire::open(address).await;
                    while !stop.load(Ordering::Relaxed) && wire.write(&request).await {
                        let Some(reply) = wire.reply().await else {
                            break;
                        };
                        counts[0].fetch_add(1, Ordering::Relaxed);
                        if matches!(reply.status, 200 | 403) {
                            counts[1].fetch_add(1, Ordering::Relaxed);
                        } else {
                            assert!(
                                reply.status == 429 && reply.header("retry-after").is_some(),
                                "{reply:?}"
                            );
                        }
                        if reply.header("connection") == Some("close") {
                            break;
                        }
                    }
                }
            })
        })
        .collect();
    Flood {
        stop,
        counts,
        clients,
    }
}

fn percentile(took: &mut [Duration], part: f64) -> Duration {
    took.sort_unstable();
    let last = took.len() - 1;
    took[((last as f64) * part).ceil() as usize]
}

struct Measured {
    p50: f64,
    p99: f64,
    flood_per_second: usize,
}

async fn measure(limits: &str, target: &'static str, rounds: usize) -> Measured {
    let mut world = World::with(Setup {
        policies: vec![
            ("flood", reader().replace("reader", "flood")),
            ("calm", reader().replace("reader", "calm")),
        ],
        config: format!("limits: {limits}\n"),
        ..Setup::default()
    })
    .await;
    let (flooder, calm) = (world.key("flood"), world.key("calm"));
    world.stop().await;
    let config = std::fs::read_to_string(world.config()).unwrap();
    std::fs::write(world.config(), config.replace("workers: 2", "workers: 1")).unwrap();
    world
        .sim
        .fault(Fault::always(Matching::any(), Action::Delay(ANSWER)));
    let gate = Gate::start_with(&world.config(), "warn");
    let (mut alone, mut flooded) = (Vec::new(), Vec::new());
    let mut answered = 0;
    // On a machine that is busy enough a phase holds few calls: as many phases as make some figures.
    let mut done = 0;
    while done < rounds || (alone.len().min(flooded.len()) < ENOUGH && done < 5 * rounds) {
        done += 1;
        alone.extend(calm_phase(gate.gate, &calm).await);
        let Flood {
            stop,
            counts,
            clients,
        } = flood(gate.gate, &flooder, target);
        // Until it is under way: as many were answered as there are connections.
        world
            .until("the flood is under way", async |_| {
                counts[0].load(Ordering::Relaxed) >= FLOODERS
            })
            .await;
        let before = counts[0].load(Ordering::Relaxed);
        flooded.extend(calm_phase(gate.gate, &calm).await);
        answered += counts[0].load(Ordering::Relaxed) - before;
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.unwrap();
        }
        world.sim.forget_received();
    }
    let mut of = |part: f64| {
        let (alone, flooded) = (percentile(&mut alone, part), percentile(&mut flooded, part));
        println!(
            "  p{:.0}: {alone:.1?} alone, {flooded:.1?} beside the flood",
            part * 100.0
        );
        flooded.as_secs_f64() / alone.as_secs_f64()
    };
    let (p50, p99) = (of(0.5), of(0.99));
    let flood_per_second = answered * 1_000 / (PHASE.as_millis() as usize * done);
    println!(
        "  {} and {} calls; the flood was answered {flood_per_second} times a second",
        alone.len(),
        flooded.len()
    );
    Measured {
        p50,
        p99,
        flood_per_second,
    }
}

/// Measures until it is good enough, a few times at most: whatever else the machine does meanwhile makes
/// it worse, never better.
async fn settled(what: &str, target: &'static str, rounds: usize) -> Measured {
    let most = number("FAIRNESS_MOST", MOST);
    let mut measured = None;
    for _ in 0..ATTEMPTS {
        println!("{what}:");
        let found = measure("{ in_flight_per_integration: 16 }", target, rounds).await;
        println!("  ratio p50 {:.2}, p99 {:.2}", found.p50, found.p99);
        let is_good = found.p99 < most && found.p50 < 1.5;
        measured = Some(found);
        if is_good {
            break;
        }
    }
    measured.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flooding_integration_does_not_take_the_others_time() {
    let rounds = number("FAIRNESS_ROUNDS", 2);
    let most = number("FAIRNESS_MOST", MOST);
    for (what, target) in [("calls that go up", FLOOD), ("calls that are denied", DENIED)] {
        let found = settled(what, target, rounds).await;
        assert!(found.flood_per_second > FLOODERS / 2, "there was a flood");
        assert!(found.p99 < most, "{what}: p99 moved by {:.2}", found.p99);
        assert!(found.p50 < 1.5, "{what}: the median moved by {:.2}", found.p50);
        if std::env::var_os("FAIRNESS_ROUNDS").is_some() {
            // What it is without lanes, for comparison: no claim about it.
            println!("{what}, no lanes:");
            let free = "{ in_flight_per_integration: 100000, in_flight: 100000 }";
            let found = measure(free, target, rounds).await;
            println!("  ratio p50 {:.2}, p99 {:.2}", found.p50, found.p99);
        }
    }
}
