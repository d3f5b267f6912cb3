//! A gate in a process of its own, somebody who works through it all the while, and what a flood cost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use crate::child::Gate;
use crate::support::{Setup, World, monitor, samples};
use crate::wire::{Wire, get};

pub const READ: &str = "/crm/v3/objects/contacts/1001";

/// Most that the gate's memory may grow under one flood.
const MOST_GROWTH_KIB: u64 = 96 * 1024;
/// Longest that the other client may wait for an answer: a loaded machine, not a starved client.
const MOST_WAIT: Duration = Duration::from_secs(8);

const LIMITS: &str = "limits: { first_byte_wait: 3s, head_wait: 3s, idle_wait: 4s, body_wait: 3s, judged_body_wait: 5s, \
                      answer_wait: 3s, connections: 400, connections_per_address: 200 }\n";

pub struct Ground {
    pub gate: SocketAddr,
    /// Of the integration that goes on working.
    pub key: String,
    /// Of the one that floods, where a flood has a key at all.
    pub flooding: String,
    child: Gate,
    _world: World,
}

/// What one flood did.
pub struct Cost {
    pub sent: u64,
    pub unit: &'static str,
    pub ended: String,
}

/// Every flood so many times as long.
pub fn times() -> u64 {
    let text = std::env::var("FLOOD_TIMES").ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(1)
}

impl Ground {
    pub async fn new() -> Self {
        let mut world = World::with(Setup {
            config: LIMITS.into(),
            ..Setup::default()
        })
        .await;
        let (key, flooding) = (world.key("reader"), world.key("writer"));
        world.stop().await;
        let child = Gate::start(&world.config());
        let ground = Self {
            gate: child.gate,
            key,
            flooding,
            child,
            _world: world,
        };
        // Warm: what it needs once is not a flood's.
        let mut wire = ground.other().await;
        for _ in 0..50 {
            assert_eq!(wire.ask(get(READ, &ground.key)).await.status, 200);
        }
        ground
    }

    /// A connection from another address than the floods'.
    pub async fn other(&self) -> Wire {
        Wire::over(other(self.gate).await)
    }

    /// What the gate has counted of connections given up for this reason.
    pub async fn given_up(&self, why: &str) -> f64 {
        let metrics = monitor(self.child.admin, "/metrics").await;
        let counted = samples(&metrics, "scopegate_client_connections_ended_total");
        counted[&format!("{{why=\"{why}\"}}")]
    }

    fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.pid()));
        let status = status.expect("the gate is alive");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Runs a flood beside a client that works; says what it cost, and holds it to the bounds.
    pub async fn under(&self, name: &str, flood: impl Future<Output = Cost>) {
        let before = self.memory_kib();
        let worker = Worker::start(self.gate, self.key.clone());
        let mut peak = before;
        let mut flood = std::pin::pin!(flood);
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        let begun = Instant::now();
        let cost = loop {
            tokio::select! {
                cost = &mut flood => break cost,
                _ = looks.tick() => peak = peak.max(self.memory_kib()),
            }
        };
        let took = begun.elapsed();
        let (served, worst) = worker.stop().await;
        peak = peak.max(self.memory_kib());
        let growth = peak.saturating_sub(before);
        println!(
            "{name:<28} {:>9} {:<12} {:>6} ms  +{growth:>6} KiB  other: {served:>4} served, worst {:>5} ms  {}",
            cost.sent,
            cost.unit,
            took.as_millis(),
            worst.as_millis(),
            cost.ended,
        );
        assert!(growth < MOST_GROWTH_KIB, "{name}: memory grew by {growth} KiB");
        assert!(
            served > 0 && worst < MOST_WAIT,
            "{name}: {served} served, worst {worst:?}"
        );
    }
}

/// From 127.0.0.2: the floods come from 127.0.0.1.
async fn other(gate: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let stream = socket.connect(gate).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Somebody who goes on working, each request over a new connection or a kept one.
struct Worker {
    stop: Arc<AtomicBool>,
    worst_us: Arc<AtomicU64>,
    working: JoinHandle<u64>,
}

impl Worker {
    fn start(gate: SocketAddr, key: String) -> Self {
        let (stop, worst_us): (Arc<AtomicBool>, Arc<AtomicU64>) = Default::default();
        let (stopped, worst) = (Arc::clone(&stop), Arc::clone(&worst_us));
        let working = tokio::spawn(async move {
            let mut kept = Wire::over(other(gate).await);
            let mut served = 0;
            loop {
                let begun = Instant::now();
                if served % 4 == 0 {
                    kept = Wire::over(other(gate).await);
                }
                let reply = kept.ask(get(READ, &key)).await;
                assert_eq!(reply.status, 200, "the other client: {reply:?}");
                served += 1;
                let took = u64::try_from(begun.elapsed().as_micros()).unwrap();
                worst.fetch_max(took, Ordering::Relaxed);
                if stopped.load(Ordering::Relaxed) {
                    return served;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        Self {
            stop,
            worst_us,
            working,
        }
    }

    async fn stop(self) -> (u64, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        let served = self.working.await.unwrap();
        (
            served,
            Duration::from_micros(self.worst_us.load(Ordering::Relaxed)),
        )
    }
}
