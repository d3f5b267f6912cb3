//! A gate in a process of its own, somebody who works through it all the while, and what a flood cost.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use scopegate::sim::{Sim, SimOptions};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use crate::child::Gate;
use crate::support::{Setup, World, monitor, samples};
use crate::way_up::WayUp;
use crate::wire::{Wire, get};

pub const READ: &str = "/crm/v3/objects/contacts/1001";

/// Most that each flood was seen to add to the gate's memory, in KiB: a debug build, one test at a time and up to
/// six, beside other work of the machine. It may add [`TIMES_SEEN`] times as much, and [`LEAST_BOUND_KIB`] in any
/// case.
const SEEN_KIB: [(&str, u64); 34] = [
    ("SETTINGS flood", 640),
    ("PING flood", 80),
    ("PRIORITY flood", 112),
    ("unknown frames", 48),
    ("WINDOW_UPDATE by one", 32),
    ("SETTINGS of many values", 500),
    ("PING flood, unread", 32),
    ("rapid reset", 752),
    ("made you reset: overflow", 200),
    ("made you reset: window 0", 108),
    ("made you reset: data", 144),
    ("streams beyond the bound", 2_176),
    ("rapid reset, keyed reads", 652),
    ("rapid reset, keyed writes", 92),
    ("reset at once: keyed reads", 3_072),
    ("reset on its way: reads", 3_212),
    ("reset on its way: writes", 1_888),
    ("CONTINUATION flood", 756),
    ("empty CONTINUATION flood", 88),
    ("HPACK bomb", 220),
    ("a head that never ends", 112),
    ("empty DATA flood", 732),
    ("DATA of one byte", 2_168),
    ("windows of nothing", 2_140),
    ("windows of one byte", 3_664),
    ("windows that open by one", 3_328),
    ("windows that overflow", 88),
    ("slow heads", 3_152),
    ("many fields", 20),
    ("one long field", 136),
    ("pipelining, read", 312),
    ("pipelining, unread", 148),
    ("connections", 964),
    ("chunks of one byte", 3_944),
];
const TIMES_SEEN: u64 = 4;
/// What a debug build beside others may add for no reason that a flood has.
const LEAST_BOUND_KIB: u64 = 8 * 1024;
/// Longest that the other client may wait for an answer: a loaded machine, not a starved client.
const MOST_WAIT: Duration = Duration::from_secs(8);

const LIMITS: &str = "first_byte_wait: 3s, head_wait: 3s, idle_wait: 4s, body_wait: 3s, judged_body_wait: 5s, answer_wait: 3s, \
                      connections: 400, connections_per_address: 200";
/// Requests of a flood that the simulator remembers: all of them.
const REMEMBERED: usize = 100_000;

pub struct Ground {
    pub gate: SocketAddr,
    /// Of the integration that goes on working.
    pub key: String,
    /// Of the one that floods, where a flood has a key at all.
    pub flooding: String,
    child: Gate,
    world: World,
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

/// The world, and the keys of who works and of who floods.
async fn world(limits: &str) -> (World, String, String) {
    let mut world = World::with(Setup {
        sim: SimOptions {
            recorded_requests: REMEMBERED,
            ..SimOptions::default()
        },
        config: format!("limits: {{ {LIMITS}{limits} }}\n"),
        ..Setup::default()
    })
    .await;
    let keys = (world.key("reader"), world.key("writer"));
    world.stop().await;
    (world, keys.0, keys.1)
}

/// What a flood of this name may add to the gate's memory.
fn bound_kib(name: &str) -> u64 {
    let seen = SEEN_KIB.iter().find(|(flood, _)| *flood == name);
    let (_, seen) = seen.unwrap_or_else(|| panic!("nobody has measured what {name:?} costs"));
    (TIMES_SEEN * seen).max(LEAST_BOUND_KIB)
}

impl Ground {
    pub async fn new() -> Self {
        Self::on(world("").await).await
    }

    /// With more limits, and with somebody who watches what is under way to the upstream of the calls that `is_of`
    /// tells by the beginnings of their heads.
    pub async fn watched(limits: &str, is_of: fn(&[u8]) -> bool) -> (Self, WayUp) {
        let (world, key, flooding) = world(&format!(", {limits}")).await;
        let way = WayUp::to(&world.sim_origin, is_of).await;
        let config = std::fs::read_to_string(world.config()).unwrap();
        std::fs::write(world.config(), config.replace(&world.sim_origin, &way.origin)).unwrap();
        (Self::on((world, key, flooding)).await, way)
    }

    async fn on((world, key, flooding): (World, String, String)) -> Self {
        let child = Gate::start(&world.config());
        let ground = Self {
            gate: child.gate,
            key,
            flooding,
            child,
            world,
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
        self.endings().await[&format!("{{why=\"{why}\"}}")]
    }

    /// The same of every reason.
    pub async fn endings(&self) -> BTreeMap<String, f64> {
        let metrics = monitor(self.child.admin, "/metrics").await;
        samples(&metrics, "scopegate_client_connections_ended_total")
    }

    /// Calls that are under way.
    pub async fn under_way(&self) -> f64 {
        let metrics = monitor(self.child.admin, "/metrics").await;
        samples(&metrics, "scopegate_inflight_requests")[""]
    }

    pub fn sim(&self) -> &Sim {
        &self.world.sim
    }

    /// The audit log as it is on the disk, while the gate writes it.
    pub fn audit_text(&self) -> String {
        self.world.audit_text()
    }

    /// The whole audit log, once the gate is stopped.
    pub fn end(&mut self) -> Vec<serde_json::Value> {
        self.child.signal(rustix::process::Signal::INT);
        let status = self.child.wait();
        assert!(status.success(), "{status}: {}", self.child.log());
        self.world.audit()
    }

    /// The most memory that the gate has from now on is a flood's; what it had most before, where nobody may ask
    /// the kernel to forget it (the gate hides its memory from everybody but root).
    fn forget_peak(&self) -> u64 {
        // Not permitted is fine.
        let _ = std::fs::write(format!("/proc/{}/clear_refs", self.child.pid()), "5");
        self.child.peak_kib()
    }

    /// Runs a flood beside a client that works; says what it cost, and holds it to the bounds.
    pub async fn under(&self, name: &str, flood: impl Future<Output = Cost>) {
        let before = self.forget_peak();
        let worker = Worker::start(self.gate, self.key.clone());
        let begun = Instant::now();
        let cost = flood.await;
        let took = begun.elapsed();
        let (served, worst) = worker.stop().await;
        let growth = self.child.peak_kib().saturating_sub(before);
        println!(
            "{name:<28} {:>9} {:<12} {:>6} ms  +{growth:>6} KiB  other: {served:>4} served, worst {:>5} ms  {}",
            cost.sent,
            cost.unit,
            took.as_millis(),
            worst.as_millis(),
            cost.ended,
        );
        let bound = bound_kib(name);
        assert!(
            growth < bound,
            "{name}: memory grew by {growth} KiB, not less than {bound}"
        );
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
