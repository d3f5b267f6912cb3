//! One data-plane thread: its runtime, its upstream connections, its counters. Nothing here is
//! shared with another worker but what [`Gate`] holds.

use std::cell::{Cell, RefCell};
use std::io;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Cache};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::accept::Accepted;
use super::connection;
use super::downward;
use super::drain::Drain;
use super::gate::Gate;
use super::ids::IdSource;
use super::lanes::Lanes;
use super::presence::Presences;
use super::upload::UpBody;
use crate::access::refusal::Refusal;
use crate::access::verdict::Verdict;
use crate::audit::{self, Network};
use crate::config::Limits;
use crate::hubspot::pool::{Pool, PoolSettings};
use crate::metrics::{self, ClientEnd, RequestLabels};
use crate::snapshot::Snapshot;

/// How often idle upstream connections are looked over.
const TICK: Duration = Duration::from_secs(5);

/// One worker's own things.
pub struct Worker {
    gate: Arc<Gate>,
    snapshot: RefCell<Held>,
    pool: Rc<Pool<UpBody>>,
    upstream_version: Cell<u64>,
    audit: audit::Handle,
    metrics: metrics::Worker,
    ids: IdSource,
    stirred: Arc<Notify>,
    lanes: Lanes,
    drain: Drain,
    presences: Presences,
}

impl Worker {
    fn new(gate: Arc<Gate>, audit: audit::Handle) -> Rc<Self> {
        let limits = &gate.limits;
        let settings = PoolSettings {
            connections: limits.upstream_connections,
            connecting: limits.upstream_connecting,
            waiting: limits.upstream_waiting,
            idle: limits.upstream_idle,
            idle_for: Duration::from_secs(60),
            age: Duration::from_secs(600),
            requests: 10_000,
            connect: limits.connect,
            answer_head: limits.answer_head,
            answer_idle: limits.answer_idle,
            names: downward::read_name,
        };
        let (upstream, version) = gate.upstream();
        let pool = Pool::new(upstream, settings, Arc::clone(&gate.pools));
        let metrics = gate.metrics.worker();
        Rc::new(Self {
            pool,
            upstream_version: Cell::new(version),
            audit,
            metrics,
            ids: IdSource::default(),
            stirred: Arc::default(),
            lanes: Lanes::new(&gate.limits),
            drain: Drain::default(),
            presences: Presences::new(&gate.metrics),
            snapshot: RefCell::new(Held::of(&gate.snapshot)),
            gate,
        })
    }

    /// What all workers share.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Catalogue, policies and keys of the moment.
    pub fn snapshot(&self) -> Rc<Taken> {
        self.snapshot.borrow_mut().current()
    }

    /// Bounds of the request path.
    pub fn limits(&self) -> &Limits {
        &self.gate.limits
    }

    /// TLS for integrations, as of now.
    pub fn tls(&self) -> Option<Arc<rustls::ServerConfig>> {
        self.gate.tls.load_full()
    }

    /// This worker's upstream connections.
    pub fn pool(&self) -> &Rc<Pool<UpBody>> {
        &self.pool
    }

    /// This worker's queue to the audit log.
    pub fn audit(&self) -> &audit::Handle {
        &self.audit
    }

    /// Which of this worker's calls have a place.
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Tells this worker's connections that it is going down.
    pub(super) fn drain(&self) -> &Drain {
        &self.drain
    }

    /// Where this worker's connections are counted.
    pub(super) fn presences(&self) -> &Presences {
        &self.presences
    }

    /// This worker's counters.
    pub fn metrics(&self) -> &metrics::Worker {
        &self.metrics
    }

    /// Wakes this worker's calls when a live flag may have changed: calls wait for it without a lock
    /// that another worker holds, too.
    pub fn stirred(&self) -> &Arc<Notify> {
        &self.stirred
    }

    /// A new correlation id.
    pub fn next_id(&self) -> Uuid {
        self.ids.next()
    }

    /// Counts a client connection that the gate gave up.
    pub fn client_ended(&self, end: ClientEnd) {
        self.metrics.metrics().client_ended(end);
    }

    /// Counts and records a head that the guard refused: there is no request to count it with.
    pub fn note_violation(&self, refusal: &Refusal, network: Network) {
        self.audit.stranger(refusal.reason, network);
        self.metrics.decided(&RequestLabels {
            integration: None,
            operation: None,
            effect: None,
            verdict: Verdict::Refuse,
            reason: refusal.reason,
        });
    }

    fn tick(&self) {
        fail::fail_point!("worker-tick");
        // Without calls, too, no old snapshot is kept for long.
        self.snapshot();
        let (upstream, version) = self.gate.upstream();
        if self.upstream_version.replace(version) != version {
            self.pool.replace_upstream(upstream);
        }
        self.pool.sweep(Instant::now());
    }
}

/// A snapshot as a worker's calls share it.
pub struct Taken(Arc<Snapshot>);

impl Deref for Taken {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.0
    }
}

/// The snapshot as the worker holds it: looked at for each call, and counted anew only when it is another one, so that
/// workers do not pass a count that all share to and fro.
struct Held {
    shared: Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>,
    given: Rc<Taken>,
}

impl Held {
    fn of(shared: &Arc<ArcSwap<Snapshot>>) -> Self {
        let mut shared = Cache::new(Arc::clone(shared));
        let given = Rc::new(Taken(Arc::clone(shared.load())));
        Self { shared, given }
    }

    fn current(&mut self) -> Rc<Taken> {
        let now = self.shared.load();
        if !Arc::ptr_eq(now, &self.given.0) {
            self.given = Rc::new(Taken(Arc::clone(now)));
        }
        Rc::clone(&self.given)
    }
}

/// When workers end.
#[derive(Clone, Default)]
pub struct Ending {
    /// Take no new socket, finish what is under way.
    pub drain: CancellationToken,
    /// Drop what is still under way.
    pub abort: CancellationToken,
    /// One has ended by itself, in a defect: its share of clients would find nobody.
    pub gone: CancellationToken,
}

/// Tells when a worker's thread ends although nobody asked it to.
struct Lives(Ending);

impl Drop for Lives {
    fn drop(&mut self) {
        if !self.0.drain.is_cancelled() {
            self.0.gone.cancel();
        }
    }
}

/// Starts a worker on a thread of its own. The thread ends when it has drained, or at `abort`.
///
/// # Errors
/// There is no thread, or no runtime for it: the system's limits.
pub fn spawn(
    gate: Arc<Gate>,
    audit: audit::Handle,
    sockets: mpsc::UnboundedReceiver<Accepted>,
    ending: Ending,
    index: usize,
) -> io::Result<std::thread::JoinHandle<()>> {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new()
        .name(format!("worker-{index}"))
        .spawn(move || {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default());
            let (runtime, result) = match runtime {
                Ok(runtime) => (Some(runtime), Ok(())),
                Err(error) => (None, Err(error)),
            };
            // Whoever starts the gate waits for it.
            let _ = tell.send(result);
            if let Some(runtime) = runtime {
                let _lives = Lives(ending.clone());
                runtime.block_on(run(Worker::new(gate, audit), sockets, ending));
            }
        })?;
    told.recv()
        .map_err(|_| io::Error::other("a worker ended in a defect"))??;
    Ok(thread)
}

async fn run(worker: Rc<Worker>, mut sockets: mpsc::UnboundedReceiver<Accepted>, ending: Ending) {
    let open = TaskTracker::new();
    let mut ticks = tokio::time::interval(TICK);
    let stirring = tokio::task::spawn_local(stir(Rc::clone(&worker)));
    loop {
        tokio::select! {
            biased;
            () = ending.drain.cancelled() => break,
            socket = sockets.recv() => match socket {
                Some(accepted) => {
                    let served = connection::serve(Rc::clone(&worker), accepted);
                    tokio::task::spawn_local(open.track_future(served));
                }
                None => break,
            },
            _ = ticks.tick() => worker.tick(),
        }
    }
    open.close();
    let telling = async {
        ending.drain.cancelled().await;
        worker.drain.tell();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = open.wait() => {}
        () = telling => {}
        () = ending.abort.cancelled() => {}
    }
    stirring.abort();
}

/// Passes on that live flags may have changed. Until the last call is over, a shutdown's included.
async fn stir(worker: Rc<Worker>) {
    let mut changes = worker.gate.stops.changes();
    while changes.changed().await.is_ok() {
        worker.stirred.notify_waiters();
    }
}
