//! Settings as used: every value parsed, every path absolute, every bound a number with a reason.
//!
//! What an operator writes (a tree of values) and what the gate runs on ([`Config`]) are different types;
//! ports open only after the one became the other without a mistake.

mod apps;
mod check;
mod environment;
mod layers;
mod load;
mod mistakes;
mod settings;
mod tree;
mod value;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use apps::{AppSettings, NewPortals};
pub use check::{START_PATH, own_url};
pub use load::{Effective, Loaded, Origin, Overrides, load};
pub use mistakes::{ConfigErrors, Mistake};

pub use crate::logging::LogFormat;

/// Versions of HubSpot's OAuth endpoints there are.
pub const OAUTH_VERSIONS: [&str; 4] = ["v1", "v3", "2026-03", "2026-09"];

/// Everything the gate runs on.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where integrations connect.
    pub listen: SocketAddr,
    /// TLS for integrations; `None` = clear text.
    pub tls: Option<TlsFiles>,
    /// The admin listener.
    pub admin_listen: SocketAddr,
    /// Who reaches it, and how.
    pub admin: AdminSettings,
    /// A listener of its own for `/livez`, `/readyz`, `/metrics`; `None` = on `admin_listen`.
    pub monitor_listen: Option<SocketAddr>,
    /// Where people connect accounts.
    pub install: InstallSettings,
    /// The HubSpot apps that people install, by name.
    pub apps: BTreeMap<String, AppSettings>,
    /// Where requests go.
    pub upstream: UpstreamSettings,
    /// Version of HubSpot's OAuth endpoints that grants are refreshed at: one of [`OAUTH_VERSIONS`].
    pub oauth_version: String,
    /// Origin that links in answers are rewritten to when the request's own is not a known name.
    pub public_url: String,
    /// Nobody set `public_url`: it follows from `listen`, and from the port the system chose if
    /// that is 0 ([`own_url`]).
    pub public_url_is_default: bool,
    /// Folder of policies.
    pub policies: PathBuf,
    /// Additions to the embedded catalogue.
    pub catalogue: CatalogueSettings,
    /// The SQLite file.
    pub store: PathBuf,
    /// Where the master key comes from.
    pub master_key: MasterKeySource,
    /// How the command is run that prints it, if it is one.
    pub key_command: KeyCommand,
    /// Audit files.
    pub audit: AuditSettings,
    /// Name of this gate in audit and metrics.
    pub instance: String,
    /// Data-plane threads, at least 1.
    pub workers: usize,
    /// Age at which a long-lived credential is due for rotation; zero = never by age alone.
    pub rotation_max_age: Duration,
    /// Draining.
    pub shutdown: ShutdownSettings,
    /// Bounds of the request path.
    pub limits: Limits,
    /// Reads or writes of a connection that were all refused for this long are a finding.
    pub health_failing_after: Duration,
    /// How log lines look.
    pub log: LogFormat,
    /// The people behind credentials.
    pub people: PeopleSettings,
    /// What a running gate gives up.
    pub hardening: HardeningSettings,
}

impl Config {
    /// The defaults, with every relative path under `folder`.
    pub fn in_folder(folder: &Path) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
        Self {
            listen,
            tls: None,
            admin_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9465)),
            admin: AdminSettings::default(),
            monitor_listen: None,
            install: InstallSettings {
                listen: None,
                public_url: None,
                authorize_url: "https://app.hubspot.com/oauth/authorize".to_owned(),
            },
            apps: BTreeMap::new(),
            upstream: UpstreamSettings {
                url: "https://api.hubapi.com".to_owned(),
                ca: None,
                allow_private: false,
                compression: false,
            },
            oauth_version: OAUTH_VERSIONS[2].to_owned(),
            public_url: own_url(listen, false),
            public_url_is_default: true,
            policies: folder.join("policies/"),
            catalogue: CatalogueSettings::default(),
            store: folder.join("data/scopegate.db"),
            master_key: MasterKeySource::File(folder.join("data/master.key")),
            key_command: KeyCommand::default(),
            audit: AuditSettings {
                dir: folder.join("data/audit"),
                durable_reads: false,
                queue_records: 8192,
                max_wait: Duration::from_secs(2),
                file_bytes: 256 << 20,
            },
            instance: host_name(),
            workers: cores(),
            rotation_max_age: Duration::from_secs(365 * 86_400),
            shutdown: ShutdownSettings {
                delay: Duration::from_secs(5),
                grace: Duration::from_secs(25),
            },
            limits: Limits::default(),
            health_failing_after: Duration::from_secs(86_400),
            log: LogFormat::Auto,
            people: PeopleSettings::default(),
            hardening: HardeningSettings::default(),
        }
    }

    /// Where `/livez`, `/readyz` and `/metrics` are served.
    pub fn monitor_address(&self) -> SocketAddr {
        self.monitor_listen.unwrap_or(self.admin_listen)
    }
}

/// The host's name, as far as it can be a folder's.
fn host_name() -> String {
    let name: String = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .take(64)
        .collect();
    if name.is_empty() { "gate".to_owned() } else { name }
}

/// Data-plane threads unless somebody says otherwise: one a core.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// PEM files for the listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// CA of client certificates: set = mTLS is required.
    pub client_ca: Option<PathBuf>,
}

/// The admin listener's ways in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdminSettings {
    /// TLS; without it the listener is for this machine alone.
    pub tls: Option<TlsFiles>,
    /// Names it is asked by, besides those of this machine and its own address.
    pub hosts: Vec<String>,
    /// Origins of web pages that may ask; none by default.
    pub origins: Vec<String>,
}

/// The install listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallSettings {
    /// Where it listens; `None` = it is off.
    pub listen: Option<SocketAddr>,
    /// The origin by which browsers reach it.
    pub public_url: Option<String>,
    /// Where HubSpot asks for consent.
    pub authorize_url: String,
}

/// Where and how the upstream is reached.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    /// An origin.
    pub url: String,
    /// PEM file in place of the system's roots.
    pub ca: Option<PathBuf>,
    /// Whether a name may resolve to a private address.
    pub allow_private: bool,
    /// Ask for gzip where the answer is searched, and decode it.
    pub compression: bool,
}

/// Additions to the catalogue.
#[derive(Clone, Debug, Default)]
pub struct CatalogueSettings {
    /// A table of more operations.
    pub extra: Option<PathBuf>,
    /// Version segments under which known operations are accepted, too.
    pub versions: Vec<String>,
}

/// Where the 32 bytes of the master key come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterKeySource {
    /// A file, not readable by others.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A program that prints it: the KMS hook.
    Command(Vec<String>),
    /// A systemd credential, by name.
    Credential(String),
}

/// How the command that prints the master key is run.
#[derive(Clone, Debug)]
pub struct KeyCommand {
    /// Longest time it may take.
    pub wait: Duration,
    /// Names of environment variables that it is given, besides those every program needs.
    pub env: Vec<String>,
}

impl Default for KeyCommand {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(30), // a KMS call takes a second or two; longer means it hangs
            env: Vec::new(),
        }
    }
}

/// Audit files and how durable they are.
#[derive(Clone, Debug)]
pub struct AuditSettings {
    /// Folder; one sub-folder an instance.
    pub dir: PathBuf,
    /// Whether reads wait for the disk as writes do.
    pub durable_reads: bool,
    /// Records of one worker that may wait for the writer: at 20 ms a drain, 400,000 a second.
    pub queue_records: usize,
    /// Longest time a record may wait for the disk; beyond it requests are refused.
    pub max_wait: Duration,
    /// Size at which a new file is begun.
    pub file_bytes: u64,
}

/// Who watches the people behind credentials, and who of them is no natural person.
#[derive(Clone, Debug)]
pub struct PeopleSettings {
    /// Names of connections set aside for it: each watches its own portal.
    pub watchers: Vec<String>,
    /// How often.
    pub every: Duration,
    /// Addresses of service users; `*` stands for anything.
    pub technical_users: Vec<String>,
}

impl PeopleSettings {
    /// Whether a connection of this name is set aside for watching.
    pub fn is_watcher(&self, connection: &str) -> bool {
        self.watchers.iter().any(|name| name == connection)
    }
}

impl Default for PeopleSettings {
    fn default() -> Self {
        Self {
            watchers: Vec::new(),
            every: Duration::from_secs(300),
            technical_users: Vec::new(),
        }
    }
}

/// What a running gate gives up besides what it always does.
#[derive(Clone, Debug)]
pub struct HardeningSettings {
    /// Files, ports and system calls that it does not need, where the kernel can take them away.
    pub sandbox: bool,
    /// More folders and files it may read: what a link will be swapped to.
    pub read: Vec<PathBuf>,
}

impl Default for HardeningSettings {
    fn default() -> Self {
        Self {
            sandbox: true,
            read: Vec::new(),
        }
    }
}

/// How the gate goes down.
#[derive(Clone, Copy, Debug)]
pub struct ShutdownSettings {
    /// Unready, yet still accepting: load balancers notice.
    pub delay: Duration,
    /// What is in flight may finish.
    pub grace: Duration,
}

/// Bounds of the request path; each default says why.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest request target in bytes: extractors put 400 property names into the query.
    pub target_bytes: usize,
    /// Largest request head in bytes.
    pub head_bytes: usize,
    /// Most header fields in a request.
    pub header_fields: usize,
    /// Largest body that is judged.
    pub judged_body_bytes: usize,
    /// All judged bodies together; beyond it 503.
    pub judged_total_bytes: usize,
    /// Judged bodies of one integration, together; beyond it 503: half of all, so that there is room for
    /// others whatever one sends.
    pub judged_bytes_per_integration: usize,
    /// All answers that are held to be filtered whole, together; beyond it they are filtered as they
    /// stream.
    pub answers_total_bytes: usize,
    /// Largest body that streams through.
    pub body_bytes: u64,
    /// Largest answer that is read whole (error bodies).
    pub error_body_bytes: usize,
    /// Request bytes kept for a replay after an upstream 401.
    pub replay_bytes: usize,
    /// Open client connections.
    pub connections: usize,
    /// Open client connections from one address.
    pub connections_per_address: usize,
    /// Open client connections with one key: a client that keeps its connections needs a few.
    pub connections_per_key: usize,
    /// Requests under way, a worker: what they hold in memory is bounded by it.
    pub in_flight: usize,
    /// Requests of one integration under way, a worker. What one has ready to run is what another's
    /// request waits for; at HubSpot's 50 ms an answer this is 1,280 a second, six times HubSpot's limit
    /// for one app in one account.
    pub in_flight_per_integration: usize,
    /// Requests of one integration that wait for one of those to end, a worker.
    pub waiting_per_integration: usize,
    /// How long they wait, up to twice as long, before they are refused. Also what holds up a client that
    /// repeats at once.
    pub in_flight_wait: Duration,
    /// Upstream connections a worker, in use and idle.
    pub upstream_connections: usize,
    /// Upstream connections a worker that are being made at once.
    pub upstream_connecting: usize,
    /// Calls of a worker that wait for one; beyond it 503.
    pub upstream_waiting: usize,
    /// Idle upstream connections a worker.
    pub upstream_idle: usize,
    /// HTTP/2 streams a connection.
    pub h2_streams: u32,
    /// HTTP/2 frames at once that ask for nothing.
    pub h2_control_frames: u64,
    /// Bytes a second that a client must send of a body, or take of an answer, while it is waited for.
    pub body_rate: u64,
    /// Time of waiting over which they are averaged.
    pub body_rate_over: Duration,
    /// From accept to the first byte, the TLS handshake included.
    pub first_byte: Duration,
    /// From the first byte to the end of the head.
    pub head: Duration,
    /// Longest wait for the next bytes of a request body.
    pub body_idle: Duration,
    /// Longest time for the whole of a body that is judged.
    pub judged_body: Duration,
    /// An idle client connection.
    pub idle: Duration,
    /// Upstream: resolve, connect, handshake.
    pub connect: Duration,
    /// Upstream: from the request's last byte to the answer's head.
    pub answer_head: Duration,
    /// Upstream: longest wait for the next bytes of an answer.
    pub answer_idle: Duration,
    /// A request from head to last byte.
    pub total: Duration,
    /// How many of a hundred calls may go up a second time, the gate over.
    pub retry_percent: u32,
    /// How many may before that share has come together.
    pub retry_reserve: u32,
    /// Fewest failures at which the upstream is left alone; 0: never.
    pub breaker_failures: u32,
    /// Least share of calls that failed, in percent.
    pub breaker_percent: u32,
    /// How far back they are counted.
    pub breaker_window: Duration,
    /// How long the upstream is left alone before it is tried again.
    pub breaker_pause: Duration,
    /// Waiting for a token to be refreshed.
    pub token: Duration,
    /// Policies that don't load keep their previous version this long.
    pub policies_stale: Duration,
    /// A store that can't be read this long stops the gate answering.
    pub store_max_staleness: Duration,
    /// Most series of `scopegate_requests_total`.
    pub metrics_series: usize,
    /// Most connections with series of their own.
    pub metrics_connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            target_bytes: 32 * 1024,
            head_bytes: 64 * 1024,
            header_fields: 100,
            judged_body_bytes: 8 * 1024 * 1024,
            judged_total_bytes: 256 * 1024 * 1024,
            judged_bytes_per_integration: 128 * 1024 * 1024,
            answers_total_bytes: 64 * 1024 * 1024,
            body_bytes: 1024 * 1024 * 1024,
            error_body_bytes: 256 * 1024,
            replay_bytes: 64 * 1024,
            connections: 10_000,
            connections_per_address: 2_000,
            connections_per_key: 500,
            in_flight: 1_024,
            in_flight_per_integration: 64,
            waiting_per_integration: 512,
            in_flight_wait: Duration::from_millis(500),
            upstream_connections: 1_024, // answers of 1 s let a worker send as many a second
            upstream_connecting: 64,
            upstream_waiting: 1_024,
            upstream_idle: 64,
            h2_streams: 100,
            h2_control_frames: 2_000, // a client that gives window back by the kilobyte never comes near
            body_rate: 256,           // the slowest of modems is ten times as fast
            body_rate_over: Duration::from_secs(10),
            first_byte: Duration::from_secs(10),
            head: Duration::from_secs(10),
            body_idle: Duration::from_secs(30),
            judged_body: Duration::from_secs(60),
            idle: Duration::from_secs(75),
            connect: Duration::from_secs(10),
            answer_head: Duration::from_secs(110), // HubSpot's own edge gives up after 100 s
            answer_idle: Duration::from_secs(60),
            total: Duration::from_secs(900),
            retry_percent: 10,
            retry_reserve: 10,
            breaker_failures: 10, // a quiet gate with two slow calls is not in trouble
            breaker_percent: 50,
            breaker_window: Duration::from_secs(10),
            breaker_pause: Duration::from_secs(2),
            token: Duration::from_secs(10),
            policies_stale: Duration::from_secs(3600),
            store_max_staleness: Duration::from_secs(10),
            metrics_series: 20_000,
            metrics_connections: 500,
        }
    }
}
