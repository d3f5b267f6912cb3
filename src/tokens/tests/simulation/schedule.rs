//! One schedule: connections, requesters, operators and faults, as the seed has them, and what must hold after every
//! step.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

use super::super::{by_test, name, permit, secret};
use super::dice::Dice;
use super::inspector::Inspector;
use super::process::{Counts, Faults, Process, Shared, World, lock};
use super::server::{Loss, Mode, Server, refresh_token};
use crate::access::connection::{CredentialKind, PortalId, Standing};
use crate::access::kill::{KillKind, KillSubject};
use crate::hubspot::connect::{Upstream, client_tls};
use crate::hubspot::control::ControlClient;
use crate::hubspot::oauth::Endpoints;
use crate::metrics::{Metrics, MetricsBounds};
use crate::store::simulated::{Machine, simulate};
use crate::store::{ConnectionRow, GateLock, MachineTime, NewCredential, Provenance, Store};
use crate::tokens::connection::ConnectionState;
use crate::tokens::engine::Engine;
use crate::tokens::{CredentialError, Enrolment, Live, LiveParts, TokenSettings, keeper};
use crate::vault::{CredentialDigest, MasterKey, Vault};

/// `a` and `twin` hold one grant, `b` has its own.
pub(super) const CONNECTIONS: [(&str, &str, u64); 3] = [
    ("a", "marketing", 1001),
    ("b", "marketing", 1002),
    ("twin", "twins", 1001),
];

/// What a request waits at most: once for a refresh, and once more if that one was stopped by a kill.
const WAIT: Duration = Duration::from_secs(10);

/// Steps of a schedule.
const STEPS: u64 = 40;

/// How long after the last fault everything must work again: the longest back-off and `Retry-After` there are.
const RECOVERY: Duration = Duration::from_secs(600);

/// 2026-01-01.
const EPOCH: i64 = 1_767_225_600;

/// A store as three enrolments leave it, and what opens it.
struct Template {
    _dir: tempfile::TempDir,
    file: PathBuf,
    vault: Arc<Vault>,
}

/// How a schedule ended.
pub(super) struct Ended {
    pub(super) counts: Counts,
    pub(super) trace: Vec<String>,
    pub(super) violations: Vec<String>,
}

/// Runs one.
pub(super) fn run(seed: u64) -> Ended {
    let template = template();
    let ended = simulated_time().block_on(async {
        let mut schedule = Schedule::new(seed, template);
        schedule.play().await;
        schedule.end().await
    });
    simulate(None, None);
    ended
}

struct Gate {
    process: Arc<Process>,
    live: Live,
    seen: u64,
    /// Of the store, when it last looked for changes.
    version: i64,
    _lock: GateLock,
    _dir: Option<tempfile::TempDir>,
}

struct Schedule {
    world: World,
    dir: tempfile::TempDir,
    vault: Arc<Vault>,
    /// The operator's own handle, which no fault befalls.
    store: Arc<Store>,
    inspector: Arc<Mutex<Inspector>>,
    gates: Vec<Gate>,
    started: usize,
    requests: Arc<Mutex<BTreeMap<usize, Instant>>>,
    next_request: usize,
    /// The furthest refresh token of each grant that ever stood in the store, by connection.
    furthest: BTreeMap<(String, usize), u64>,
    second_may_come: bool,
    clock_may_jump: bool,
}

fn template() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| simulated_time().block_on(make_template()))
}

fn simulated_time() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

async fn make_template() -> Template {
    let dir = in_memory();
    let file = dir.path().join("scopegate.db");
    let store = Arc::new(Store::open(&file).unwrap());
    let vault = Arc::new(Vault::open(&MasterKey::from_bytes([4; 32]), store.id(), None).unwrap());
    let world = world(0, Mode::Stable);
    for portal in [1001, 1002] {
        lock(&world).server.install(portal);
    }
    let client = client(Arc::new(Process::new(0, &world)));
    let endpoints = Endpoints::default();
    let enrolment = Enrolment {
        store: &store,
        vault: &vault,
        client: &client,
        endpoints: &endpoints,
    };
    for app in ["marketing", "twins"] {
        enrolment
            .add_app(app, "client-1", &secret("app-secret"), None, &by_test())
            .unwrap();
    }
    for (connection, app, portal) in CONNECTIONS {
        let token = secret(&refresh_token(usize::from(portal == 1002), 0));
        enrolment
            .add_grant(
                &name(connection),
                PortalId::new(portal).unwrap(),
                app,
                &token,
                &by_test(),
            )
            .await
            .unwrap();
    }
    drop(store);
    Template {
        _dir: dir,
        file,
        vault,
    }
}

/// A folder in memory where there is one: thousands of stores are synced.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn world(seed: u64, mode: Mode) -> World {
    Arc::new(Mutex::new(Shared {
        dice: Dice::new(seed),
        server: Server::default(),
        mode,
        faults: Faults::default(),
        counts: Counts::default(),
        began: Instant::now(),
        trace: Vec::new(),
        violations: Vec::new(),
        wall_offset_ms: 0,
        boot: 1,
        booted: Instant::now(),
        two_processes: false,
    }))
}

fn client(process: Arc<Process>) -> ControlClient {
    static UPSTREAM: OnceLock<Upstream> = OnceLock::new();
    let upstream = UPSTREAM.get_or_init(|| {
        let ca = include_bytes!("../../../../tests/data/ca.pem");
        Upstream::new("http://127.0.0.1:9", client_tls(Some(ca)).unwrap(), false).unwrap()
    });
    let (connect, total) = (Duration::from_secs(2), Duration::from_secs(8));
    ControlClient::new(upstream.clone().shared(), connect, total).simulate(process)
}

fn because() -> Provenance {
    Provenance {
        reason: Some("simulated".to_owned()),
        ..by_test()
    }
}

fn machine(world: &World) -> Machine {
    let shared = lock(world);
    let passed = SignedDuration::try_from(shared.began.elapsed()).unwrap();
    let wall =
        Timestamp::from_second(EPOCH).unwrap() + passed + SignedDuration::from_millis(shared.wall_offset_ms);
    Machine {
        wall,
        clock: MachineTime {
            boot: shared.boot.to_string(),
            milliseconds: u64::try_from(shared.booted.elapsed().as_millis()).unwrap(),
        },
    }
}

impl Schedule {
    fn new(seed: u64, template: &Template) -> Self {
        let mode = [Mode::Stable, Mode::Rotating, Mode::ReuseDetecting][usize::try_from(seed % 3).unwrap()];
        let world = world(seed, mode);
        let clock = Arc::clone(&world);
        // Dice of their own for what only spreads: a gate that spreads more must not turn the schedule over.
        let spread = Mutex::new(Dice::new(!seed));
        simulate(
            Some(Box::new(move || machine(&clock))),
            Some(Box::new(move || {
                let thrown = spread
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .below(256);
                u8::try_from(thrown).unwrap()
            })),
        );
        let dir = in_memory();
        let file = dir.path().join("scopegate.db");
        std::fs::copy(&template.file, &file).unwrap();
        let store = Arc::new(Store::open(&file).unwrap());
        let (second_may_come, clock_may_jump) = {
            let mut shared = lock(&world);
            for portal in [1001, 1002] {
                shared.server.install(portal);
            }
            // Some schedules are calm in one respect or another, so that what hides behind a fault is seen.
            let mut some = |most: u64| match shared.dice.chance(500) {
                true => shared.dice.below(most),
                false => 0,
            };
            shared.faults = Faults {
                not_sent: some(150),
                lost_question: some(100),
                lost_answer: some(60),
                slow: some(300),
                busy: some(150),
                nonsense: some(60),
                disk_refuses: some(100),
                disk_lies: some(60),
                disk_slow: some(700),
                death: some(25),
            };
            (shared.dice.chance(150), shared.dice.chance(400))
        };
        let inspector = Inspector::new(&file, &template.vault);
        let mut schedule = Self {
            world,
            inspector: Arc::new(Mutex::new(inspector)),
            dir,
            vault: Arc::clone(&template.vault),
            store,
            gates: Vec::new(),
            started: 0,
            requests: Arc::default(),
            next_request: 0,
            furthest: BTreeMap::new(),
            second_may_come,
            clock_may_jump,
        };
        schedule.start(false);
        schedule
    }

    /// Starts a process; `astray`: it does not see the lock of the one that runs.
    fn start(&mut self, astray: bool) {
        self.started += 1;
        let number = self.started;
        lock(&self.world).note(format!("process {number} starts"));
        let process = Arc::new(Process::new(number, &self.world));
        let path = self.dir.path().join("scopegate.db");
        let elsewhere = astray.then(in_memory);
        let locked = elsewhere
            .as_ref()
            .map_or(path.clone(), |dir| dir.path().join("x.db"));
        let lock = GateLock::acquire(&locked).unwrap();
        static METRICS: OnceLock<Arc<Metrics>> = OnceLock::new();
        let bounds = MetricsBounds {
            series: 100,
            connections: 10,
        };
        let metrics = METRICS.get_or_init(|| Metrics::new(bounds).unwrap());
        let parts = LiveParts {
            watchers: BTreeSet::new(),
            store: Arc::new(Store::open(&path).unwrap()),
            vault: Arc::clone(&self.vault),
            client: client(Arc::clone(&process)),
            endpoints: Endpoints::default(),
            runtime: tokio::runtime::Handle::current(),
            instance: format!("g{number}"),
            metrics: Arc::clone(metrics),
            settings: TokenSettings {
                wait: WAIT,
                ..TokenSettings::default()
            },
        };
        let (seen, version) = {
            let inspector = self.inspector.lock().unwrap();
            (inspector.last_change(), inspector.version())
        };
        let live = Live::load(parts, &lock).unwrap();
        self.gates.push(Gate {
            process,
            live,
            seen,
            version,
            _lock: lock,
            _dir: elsewhere,
        });
    }

    async fn play(&mut self) {
        for _ in 0..STEPS {
            let (kind, wait) = {
                let mut shared = lock(&self.world);
                (shared.dice.below(100), shared.dice.below(3_000))
            };
            self.step(kind);
            // Mostly a moment, at times long enough for tokens to age and expire.
            let wait = if wait > 2_700 { wait * 60 } else { wait / 4 };
            self.pass(Duration::from_millis(wait)).await;
            self.look_after();
            self.check();
        }
    }

    /// Lets time pass; gates look after their tokens, as they do each second.
    async fn pass(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            sleep((until - Instant::now()).min(Duration::from_secs(1))).await;
            self.tick();
            // Of a long wait, the seconds in which nothing is due are skipped.
            if until - Instant::now() > Duration::from_secs(30) {
                sleep(Duration::from_secs(7)).await;
            }
        }
    }

    fn tick(&mut self) {
        for gate in self.gates.iter().filter(|gate| !gate.process.is_dead()) {
            let now = Instant::now();
            for connection in all(&gate.live) {
                if let Some(need) = keeper::need_of(&connection, now) {
                    let _ = Engine::start(gate.live.engine(), &connection, need);
                }
            }
        }
    }

    fn step(&mut self, kind: u64) {
        match kind {
            0..45 => self.requests(1),
            45..60 => self.requests(5),
            60..68 => self.reject(),
            68..74 => {
                let at = self.pick(self.gates.len());
                self.gates[at].process.die("by a signal");
            }
            74..80 => self.suspend_or_resume(),
            80..86 => self.kill_or_revive(),
            86..90 => self.give_another_grant(),
            90..94 if self.second_may_come && self.gates.len() < 2 => {
                let mut shared = lock(&self.world);
                shared.two_processes = true;
                shared.counts.second_processes += 1;
                drop(shared);
                self.start(true);
            }
            94..98 if self.clock_may_jump => self.jump(),
            _ => {}
        }
        self.follow();
    }

    fn pick(&self, of: usize) -> usize {
        usize::try_from(lock(&self.world).dice.below(of as u64)).unwrap()
    }

    fn pick_name(&self) -> &'static str {
        CONNECTIONS[self.pick(CONNECTIONS.len())].0
    }

    fn requests(&mut self, many: usize) {
        let (gate, connection) = (self.pick(self.gates.len()), self.pick_name());
        let gate = &self.gates[gate];
        let Some(state) = gate.live.by_name(&name(connection)) else {
            return;
        };
        for _ in 0..many {
            self.next_request += 1;
            let request = Request {
                number: self.next_request,
                world: Arc::clone(&self.world),
                inspector: Arc::clone(&self.inspector),
                process: Arc::clone(&gate.process),
                waiting: Arc::clone(&self.requests),
            };
            tokio::spawn(request.lease(gate.live.clone(), Arc::clone(&state), false));
        }
    }

    /// HubSpot refuses a token that should be good: it is to be replaced, at most once.
    fn reject(&mut self) {
        let (gate, connection) = (self.pick(self.gates.len()), self.pick_name());
        let gate = &self.gates[gate];
        if let Some(state) = gate.live.by_name(&name(connection)) {
            self.next_request += 1;
            let request = Request {
                number: self.next_request,
                world: Arc::clone(&self.world),
                inspector: Arc::clone(&self.inspector),
                process: Arc::clone(&gate.process),
                waiting: Arc::clone(&self.requests),
            };
            tokio::spawn(request.lease(gate.live.clone(), state, true));
        }
    }

    fn row(&self, connection: &str) -> ConnectionRow {
        self.store.connection_by_name(&name(connection)).unwrap().unwrap()
    }

    fn suspend_or_resume(&mut self) {
        let connection = self.pick_name();
        let row = self.row(connection);
        lock(&self.world).note(format!("the operator suspends or resumes {connection}"));
        match row.standing {
            Standing::Suspended => {
                self.store.resume(&row.id, &by_test()).unwrap();
            }
            Standing::Ok | Standing::Unverified => {
                let (from, to) = ([Standing::Ok, Standing::Unverified], Standing::Suspended);
                self.store
                    .change_standing(&row.id, &from, to, None, "connection suspend", &by_test())
                    .unwrap();
            }
            // The command leaves what HubSpot said alone.
            _ => {}
        }
    }

    fn kill_or_revive(&mut self) {
        let subject = KillSubject::parse(KillKind::Connection, self.pick_name()).unwrap();
        lock(&self.world).note(format!("the operator kills or revives {}", subject.name()));
        if !self.store.revive(&subject, &because()).unwrap() {
            self.store.kill(&subject, &because()).unwrap();
        }
    }

    /// Somebody installs anew, and the connection is given that grant.
    fn give_another_grant(&mut self) {
        let connection = self.pick_name();
        let row = self.row(connection);
        let grant = {
            let mut shared = lock(&self.world);
            shared.counts.regrants += 1;
            let grant = shared.server.install(row.portal.get());
            shared.note(format!("{connection} is given grant {grant}"));
            grant
        };
        let (endpoints, token) = (Endpoints::default(), secret(&refresh_token(grant, 0)));
        let client = client(Arc::new(Process::new(0, &self.world)));
        let enrolment = Enrolment {
            store: &self.store,
            vault: &self.vault,
            client: &client,
            endpoints: &endpoints,
        };
        let sealed = enrolment
            .seal_new(&row.id, CredentialKind::OAuth, row.generation + 1, &token)
            .unwrap();
        let new = NewCredential {
            email: None,
            kind: row.kind,
            data_key: sealed.data_key,
            access: None,
            refresh: sealed.refresh,
            user_id: Some(77),
            scopes: Vec::new(),
            handed: CredentialDigest::of(&token),
            same: false,
        };
        self.store.replace_credential(&row, &new, &by_test()).unwrap();
    }

    /// Hours or years: less is within what clocks of two starts may differ.
    fn jump(&mut self) {
        let mut shared = lock(&self.world);
        let hours = [1, 30, 9_000][usize::try_from(shared.dice.below(3)).unwrap()];
        let sign = if shared.dice.chance(500) { 1 } else { -1 };
        shared.wall_offset_ms += sign * hours * 3_600_000;
        shared.counts.jumps += 1;
        shared.note(format!("the wall clock jumps {} hours", sign * hours));
    }

    /// Gates apply what stands in the store, as their publishers do.
    fn follow(&mut self) {
        let version = self.inspector.lock().unwrap().version();
        let behind = |gate: &&mut Gate| !gate.process.is_dead() && gate.version != version;
        let mut kills = None;
        for gate in self.gates.iter_mut().filter(behind) {
            let kills = kills.get_or_insert_with(|| Arc::new(self.store.kill_state().unwrap()));
            gate.version = version;
            gate.live.apply_kills(kills);
            for change in self.store.changes_after(gate.seen).unwrap().rows {
                gate.live.apply_change(&change).unwrap();
                gate.seen = change.seq;
            }
        }
    }

    /// Buries the dead, and starts anew where nobody is left.
    fn look_after(&mut self) {
        let dead = self.gates.iter().any(|gate| gate.process.is_dead());
        if dead {
            self.gates.retain(|gate| !gate.process.is_dead());
            self.note_losses();
        }
        if self.gates.is_empty() {
            if !self.clock_may_jump && lock(&self.world).dice.chance(200) {
                let mut shared = lock(&self.world);
                shared.boot += 1;
                shared.booted = Instant::now();
                shared.note("the machine starts anew".to_owned());
            }
            self.start(false);
        }
        self.follow();
    }

    /// What a dead process had received and not saved is lost, with a server that rotates.
    fn note_losses(&mut self) {
        if lock(&self.world).mode == Mode::Stable {
            return;
        }
        for (connection, ..) in CONNECTIONS {
            let (grant, number) = self.stored(connection);
            let mut shared = lock(&self.world);
            let truth = &mut shared.server.grants[grant];
            if truth.current != number && truth.lost.is_none() {
                truth.lost = Some(Loss::DiedBeforeSave);
                shared.counts.losses += 1;
            }
        }
    }

    /// Grant and number of the refresh token in the store.
    fn stored(&self, connection: &str) -> (usize, u64) {
        self.inspector.lock().unwrap().row(connection).token
    }

    /// What must hold whatever happened.
    fn check(&mut self) {
        for (connection, ..) in CONNECTIONS {
            let (grant, number) = self.stored(connection);
            let furthest = self.furthest.entry((connection.to_owned(), grant)).or_default();
            if number < *furthest {
                let what =
                    format!("{connection}: refresh token {number} overwrote {furthest} of grant {grant}");
                lock(&self.world).violated(what);
            }
            *furthest = number.max(*furthest);
            let shared = lock(&self.world);
            let truth = &shared.server.grants[grant];
            assert!(
                number <= truth.current,
                "the store knows a token that HubSpot never gave out"
            );
        }
        let late: Vec<usize> = {
            let waiting = self.requests.lock().unwrap();
            let late = |since: &Instant| since.elapsed() > 2 * WAIT + Duration::from_secs(1);
            waiting
                .iter()
                .filter(|(_, since)| late(since))
                .map(|(number, _)| *number)
                .collect()
        };
        for number in late {
            self.requests.lock().unwrap().remove(&number);
            lock(&self.world).violated(format!("request {number} waits beyond its bound"));
        }
    }

    /// Faults end; everything that was not lost works again, in time, and says so if it was.
    async fn end(mut self) -> Ended {
        {
            let mut shared = lock(&self.world);
            shared.faults = Faults::default();
            shared.note("faults end".to_owned());
        }
        // Of two, the one that is meant to be stays; half of the time everything starts anew.
        let anew = self.gates.len() > 1 || lock(&self.world).dice.chance(500);
        if anew {
            self.gates.iter().for_each(|gate| gate.process.die("at the end"));
        }
        self.pass(Duration::from_secs(1)).await;
        self.look_after();
        for (connection, ..) in CONNECTIONS {
            let row = self.row(connection);
            if row.standing == Standing::Suspended {
                self.store.resume(&row.id, &by_test()).unwrap();
            }
            let subject = KillSubject::parse(KillKind::Connection, connection).unwrap();
            self.store.revive(&subject, &because()).unwrap();
        }
        self.follow();
        let until = Instant::now() + RECOVERY;
        let mut open: Vec<&str> = CONNECTIONS.iter().map(|(connection, ..)| *connection).collect();
        while !open.is_empty() && Instant::now() < until {
            self.pass(Duration::from_secs(5)).await;
            let live = self.gates[0].live.clone();
            let mut still = Vec::new();
            for connection in open {
                let state = live.by_name(&name(connection)).unwrap();
                if !self.is_settled(connection, live.lease(&state, permit()).await) {
                    still.push(connection);
                }
            }
            open = still;
            self.check();
        }
        for connection in open {
            let standing = self.row(connection).standing;
            lock(&self.world).violated(format!("{connection} ({standing:?}) does not work again"));
        }
        let (a, twin) = (self.stored("a"), self.stored("twin"));
        if a.0 == twin.0 && a != twin && self.row("a").standing == Standing::Ok {
            lock(&self.world).violated(format!(
                "who shares a grant does not hold the same token: {a:?} {twin:?}"
            ));
        }
        let mut shared = lock(&self.world);
        Ended {
            counts: shared.counts,
            trace: std::mem::take(&mut shared.trace),
            violations: std::mem::take(&mut shared.violations),
        }
    }

    /// Whether a connection works, or was lost and says so.
    fn is_settled(&self, connection: &str, lease: Result<crate::tokens::Lease, CredentialError>) -> bool {
        let (grant, _) = self.stored(connection);
        let portal = self.row(connection).portal.get();
        let mut shared = lock(&self.world);
        match lease {
            Ok(lease) => {
                let accepted = shared.server.accepts(lease.plain().expose());
                if accepted != Ok(portal) {
                    shared.violated(format!("{connection} lends, after all: {accepted:?}"));
                }
                true
            }
            Err(CredentialError::Blocked(standing @ (Standing::Reauthorise | Standing::Dead))) => {
                match shared.server.grants[grant].lost {
                    None => shared.violated(format!(
                        "{connection} is {standing:?}, and its grant {grant} was not lost"
                    )),
                    // Nobody revoked it, and nobody must be told so.
                    Some(why) if standing == Standing::Dead && why.is_own() => {
                        shared.violated(format!("{connection} is dead, and the loss was ours: {why:?}"));
                    }
                    Some(_) => {}
                }
                true
            }
            Err(_) => false,
        }
    }
}

fn all(live: &Live) -> Vec<Arc<ConnectionState>> {
    let mut all = live.all();
    all.sort_by(|one, other| one.name().as_str().cmp(other.name().as_str()));
    all
}

/// One call that needs a token.
struct Request {
    number: usize,
    world: World,
    inspector: Arc<Mutex<Inspector>>,
    process: Arc<Process>,
    waiting: Arc<Mutex<BTreeMap<usize, Instant>>>,
}

impl Request {
    async fn lease(self, live: Live, connection: Arc<ConnectionState>, refused: bool) {
        self.waiting.lock().unwrap().insert(self.number, Instant::now());
        let mut lease = live.lease(&connection, permit()).await;
        if let (true, Ok(lent)) = (refused, &lease) {
            lease = live.rejected(lent).await;
        }
        self.waiting.lock().unwrap().remove(&self.number);
        if self.process.is_dead() {
            return;
        }
        match lease {
            Ok(lease) => self.check(&connection, &lease),
            Err(_) => lock(&self.world).counts.refused += 1,
        }
    }

    /// A token that was lent is good, the connection's, and saved or known not to be.
    fn check(&self, connection: &ConnectionState, lease: &crate::tokens::Lease) {
        let row = self.inspector.lock().unwrap().row(connection.name().as_str());
        let mut shared = lock(&self.world);
        shared.counts.leases += 1;
        let accepted = shared.server.accepts(lease.plain().expose());
        let what = format!("request {} on {}", self.number, connection.name());
        match accepted {
            Ok(portal) if portal == connection.portal().get() => {}
            Ok(portal) => shared.violated(format!("{what}: lent a token of portal {portal}")),
            Err(why) => shared.violated(format!("{what}: {why}")),
        }
        let same = connection.holds(row.key);
        if same && row.generation < lease.token.generation {
            match connection.is_durable() {
                true => shared.violated(format!(
                    "{what}: lent token {} while {} is saved",
                    lease.token.generation, row.generation
                )),
                false => shared.counts.unsaved_use += 1,
            }
        }
        if connection.standing().refusal().is_some() {
            shared.violated(format!("{what}: lent while {:?}", connection.standing()));
        }
    }
}
