//! The composition root: builds the parts, passes them down, and takes them apart in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use http::HeaderValue;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::access::integration::KeyIndex;
use crate::access::kill::Switches;
use crate::access::policy_set::{CeilingState, PolicySet};
use crate::access::policy_text::mistake::Mistake;
use crate::audit::{self, Auditor};
use crate::catalogue_file;
use crate::cli::CommandError;
use crate::config::{Config, own_url};
use crate::health::Watcher;
use crate::hubspot::connect::SharedUpstream;
use crate::hubspot::control::ControlClient;
use crate::hubspot::oauth::Endpoints;
use crate::hubspot::pool::PoolStats;
use crate::install::{self, InstallParts, Installer};
use crate::metrics::{Metrics, MetricsBounds, UpstreamConnection};
use crate::monitor::{self, Condition, Readiness};
use crate::people;
use crate::policy_files;
use crate::proxy::accept::{Caps, WorkerHandle, accept};
use crate::proxy::gate::{Freshness, Gate, Names};
use crate::proxy::introspect::QUESTIONS_BYTES;
use crate::proxy::judged::Budget;
use crate::proxy::kills::Stops;
use crate::proxy::links::ORIGIN_BYTES_MOST;
use crate::proxy::tls;
use crate::proxy::worker::{self, Ending};
use crate::publisher::{self, KillFollower, Message, Publisher, read_upstream};
use crate::snapshot::Snapshot;
use crate::store::{GateLock, Store};
use crate::tokens::{Live, LiveParts, TokenSettings};
use crate::vault::MasterKey;
use crate::vault::Vault;
use crate::watch::Watch;

/// One question to HubSpot's token endpoint and its answer: HubSpot's own edge gives up at 100 s, a
/// refresh that takes a third of that is not going to come.
const CONTROL_CALL: Duration = Duration::from_secs(30);

/// How a start may differ.
#[derive(Clone, Copy, Debug, Default)]
pub struct StartOptions {
    /// A policy that does not load is a reason not to start.
    pub strict: bool,
}

/// A gate that was built but does not listen yet: all of a start but the ports.
pub struct Prepared {
    config: Config,
    gate: Arc<Gate>,
    publisher: Publisher,
    auditor: Auditor,
    readiness: Arc<Readiness>,
    installer: Option<Installer>,
    lock: GateLock,
}

/// A running gate.
pub struct Server {
    /// Where integrations connect.
    pub gate: SocketAddr,
    /// The admin listener.
    pub admin: SocketAddr,
    /// The monitor listener, if it is one of its own.
    pub monitor: Option<SocketAddr>,
    /// The install listener, if it is on.
    pub install: Option<SocketAddr>,
    secure: bool,
    config: Config,
    readiness: Arc<Readiness>,
    messages: mpsc::Sender<Message>,
    publisher: JoinHandle<()>,
    kills: (mpsc::Sender<()>, JoinHandle<()>),
    workers: Vec<JoinHandle<()>>,
    ending: Ending,
    stop_accepting: CancellationToken,
    stop_monitor: CancellationToken,
    stop_install: CancellationToken,
    installs: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
    stop_tokens: CancellationToken,
    health: tokio::task::JoinHandle<()>,
    people: tokio::task::JoinHandle<()>,
    live: Live,
    auditor: Auditor,
    _lock: GateLock,
}

impl Prepared {
    /// Everything a start needs but the ports: store, master key, catalogue, policies, audit log,
    /// connections. Every mistake of the operator's is exit 2.
    pub async fn new(config: Config, options: StartOptions) -> Result<Self, CommandError> {
        let readiness = Arc::new(Readiness::default());
        readiness.set(Condition::Configuration, true);
        let lock = GateLock::acquire(&config.store).map_err(usage)?;
        let store = Arc::new(Store::open(&config.store).map_err(usage)?);
        let vault = Arc::new(open_vault(&config, &store)?);
        readiness.set(Condition::MasterKey, true);
        readiness.set(Condition::Store, true);
        let upstream = read_upstream(&config).map_err(CommandError::usage)?;
        if upstream.origin().len() > ORIGIN_BYTES_MOST {
            return Err(CommandError::usage("`upstream.url` is too long"));
        }
        let shared = upstream.clone().shared();
        let catalogue = Arc::new(catalogue_file::read(&config.catalogue).map_err(usage)?);
        let (policies, said) = read_policies(&config, &catalogue, options)?;
        readiness.set(Condition::Policies, true);
        let metrics = metrics(&config)?;
        let auditor = Auditor::start(&config.audit, &config.instance).map_err(|error| {
            CommandError::usage(format!("`audit.dir` `{}`: {error}", config.audit.dir.display()))
        })?;
        readiness.watch_audit(auditor.watch());
        metrics.watch_audit(auditor.watch());
        let applied = store.last_change().map_err(internal)?;
        let installer = installer(&config, &store, &vault, &shared, &metrics);
        let live = Live::load(
            token_parts(&config, &store, vault, Arc::clone(&shared), &metrics),
            &lock,
        )
        .map_err(internal)?;
        let kills = store.kill_state().map_err(internal)?;
        let switches = Switches::new(Arc::new(kills));
        let keys = store.keys().map_err(internal)?;
        let keys = KeyIndex::build_on(Arc::clone(&switches), keys.iter().map(|row| row.to_entry()));
        let snapshot = Snapshot::first(catalogue, Arc::new(policies), keys);
        let gate = Arc::new(Gate {
            limits: config.limits.clone(),
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
            live,
            tls: ArcSwapOption::empty(),
            names: ArcSwap::from_pointee(Names::new(&config.public_url, config.listen)),
            upstream_host: HeaderValue::from_str(upstream.authority()).map_err(internal)?,
            upstream_origin: Bytes::copy_from_slice(upstream.origin().as_bytes()),
            compression: config.upstream.compression,
            pool_stats: Arc::new(PoolStats::default()),
            judged: Budget::new(config.limits.judged_total_bytes),
            answers: Budget::new(config.limits.answers_total_bytes),
            upstream: shared,
            questions: Budget::new(QUESTIONS_BYTES),
            freshness: Freshness::starting(config.limits.store_max_staleness),
            stops: Stops::starting(switches, config.limits.store_max_staleness),
            metrics,
        });
        if let Some(files) = &config.tls {
            gate.tls.store(Some(tls::server_config(files).map_err(usage)?));
        }
        let publisher = Publisher {
            config: config.clone(),
            gate: Arc::clone(&gate),
            audited: store.audited(&config.instance).map_err(internal)?,
            store,
            audit: auditor.handle(),
            readiness: Arc::clone(&readiness),
            applied,
            boot: uuid::Uuid::new_v4(),
            watch: None,
            runtime: tokio::runtime::Handle::current(),
            said,
            warned: std::collections::BTreeSet::new(),
            rotation: publisher::RotationWatch::default(),
        };
        Ok(Self {
            config,
            gate,
            publisher,
            auditor,
            readiness,
            installer,
            lock,
        })
    }

    /// Whether a start would get as far as its ports: the same steps, but nothing is taken or written
    /// that a gate running on the same store and audit folder would notice.
    pub fn check(config: &Config, options: StartOptions) -> Result<(), CommandError> {
        let store = Arc::new(Store::open(&config.store).map_err(usage)?);
        open_vault(config, &store)?;
        let upstream = read_upstream(config).map_err(CommandError::usage)?;
        if upstream.origin().len() > ORIGIN_BYTES_MOST {
            return Err(CommandError::usage("`upstream.url` is too long"));
        }
        let catalogue = Arc::new(catalogue_file::read(&config.catalogue).map_err(usage)?);
        read_policies(config, &catalogue, options)?;
        metrics(config)?;
        audit::check(&config.audit, &config.instance).map_err(|error| {
            CommandError::usage(format!("`audit.dir` `{}`: {error}", config.audit.dir.display()))
        })?;
        store.connections().map_err(internal)?;
        store.keys().map_err(internal)?;
        store.kills().map_err(internal)?;
        if let Some(files) = &config.tls {
            tls::server_config(files).map_err(usage)?;
        }
        Ok(())
    }

    /// Opens the ports and starts every part.
    pub async fn listen(self) -> Result<Server, CommandError> {
        let Self {
            config,
            gate,
            publisher,
            auditor,
            readiness,
            installer,
            lock,
        } = self;
        let listener = bind(config.listen, "listen").await?;
        let admin = bind(config.admin_listen, "admin.listen").await?;
        let monitor = match config.monitor_listen {
            None => None,
            Some(address) => Some(bind(address, "monitor.listen").await?),
        };
        let install = match (config.install.listen, installer) {
            (Some(address), Some(installer)) => Some((bind(address, "install.listen").await?, installer)),
            _ => None,
        };
        let install_address = install
            .as_ref()
            .map(|(listener, _)| local(listener))
            .transpose()?;
        let (address, admin_address) = (local(&listener)?, local(&admin)?);
        let monitor_address = monitor.as_ref().map(local).transpose()?;
        let public_url = if config.public_url_is_default {
            own_url(address, config.tls.is_some())
        } else {
            config.public_url.clone()
        };
        gate.names.store(Arc::new(Names::new(&public_url, address)));
        watch_pool(&gate);

        let watcher = Watcher {
            live: gate.live.clone(),
            store: Arc::clone(&publisher.store),
            metrics: Arc::clone(&gate.metrics),
            readiness: Arc::clone(&readiness),
            failing_after: config.health_failing_after,
        };
        let kills = follow_kills(&config, &gate)?;
        let (messages, inbox) = mpsc::channel();
        let people_parts = people::Parts {
            live: gate.live.clone(),
            store: Arc::clone(&publisher.store),
            snapshot: Arc::clone(&gate.snapshot),
            settings: config.people.clone(),
            metrics: Arc::clone(&gate.metrics),
            audit: auditor.handle(),
            instance: config.instance.clone(),
            boot: publisher.boot,
        };
        let mut publisher = publisher;
        publisher.announce().map_err(internal)?;
        publisher.watch = Some(Watch::new(&config, messages.clone()));
        publisher.show_policies(&gate.snapshot.load());
        publisher.show_keys_and_connections();
        publisher.show_clipped();
        let stopped = publisher.store.kill_state().map_err(internal)?;
        publisher.show_kills(&stopped);
        gate.metrics.set_reload(true, Timestamp::now());
        let publisher = std::thread::Builder::new()
            .name("publisher".to_owned())
            .spawn(move || publisher.run(&inbox))
            .map_err(internal)?;

        let ending = Ending {
            drain: CancellationToken::new(),
            abort: CancellationToken::new(),
        };
        let (mut handles, mut workers) = (Vec::new(), Vec::new());
        for index in 0..config.workers {
            let (handle, sockets) = WorkerHandle::new();
            let thread = worker::spawn(
                Arc::clone(&gate),
                auditor.handle(),
                sockets,
                ending.clone(),
                index,
            );
            workers.push(thread.map_err(internal)?);
            handles.push(handle);
        }
        let caps = Caps {
            total: config.limits.connections,
            per_address: config.limits.connections_per_address,
        };
        let stop_accepting = CancellationToken::new();
        tokio::spawn(accept(listener, handles, caps, stop_accepting.clone()));
        let stop_tokens = CancellationToken::new();
        tokio::spawn(gate.live.clone().keep(stop_tokens.clone()));
        let health = tokio::spawn(watcher.run(stop_tokens.clone()));
        let people = tokio::spawn(people::run(people_parts, stop_tokens.clone()));
        let stop_monitor = CancellationToken::new();
        let state = monitor::State {
            readiness: Arc::clone(&readiness),
            metrics: Arc::clone(&gate.metrics),
        };
        // Until there is an admin API, its listener carries the monitor's routes.
        for listener in [Some(admin), monitor].into_iter().flatten() {
            tokio::spawn(monitor::serve(listener, state.clone(), stop_monitor.clone()));
        }
        let stop_install = CancellationToken::new();
        let installs = install.map(|(listener, installer)| {
            tokio::spawn(install::serve(listener, installer, stop_install.clone()))
        });
        Ok(Server {
            gate: address,
            admin: admin_address,
            monitor: monitor_address,
            install: install_address,
            secure: config.tls.is_some(),
            readiness,
            messages,
            publisher,
            kills,
            workers,
            ending,
            stop_accepting,
            stop_monitor,
            stop_install,
            installs,
            stop_tokens,
            health,
            people,
            live: gate.live.clone(),
            auditor,
            config,
            _lock: lock,
        })
    }
}

impl Server {
    /// The contract's `ready` line, without its end.
    pub fn ready_line(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        let mut line = format!("ready gate={scheme}://{} admin=http://{}", self.gate, self.admin);
        if let Some(monitor) = self.monitor {
            line.push_str(&format!(" monitor=http://{monitor}"));
        }
        if let Some(install) = self.install {
            line.push_str(&format!(" install=http://{install}"));
        }
        line
    }

    /// Reads everything anew, as on SIGHUP.
    pub fn reload(&self) {
        let _ = self.messages.send(Message::Reload);
    }

    /// Goes down in order: unready at once, still accepting for `shutdown.delay`, then what is in
    /// flight has `shutdown.grace`. `hurry` ends the delay and the grace.
    pub async fn shutdown(self, hurry: CancellationToken) {
        self.readiness.drain();
        wait(self.config.shutdown.delay, &hurry).await;
        self.stop_accepting.cancel();
        self.stop_install.cancel();
        self.ending.drain.cancel();
        let workers = self.workers;
        let mut finished = tokio::task::spawn_blocking(move || {
            for worker in workers {
                // A worker that panicked has already said so.
                let _ = worker.join();
            }
        });
        let grace = wait(self.config.shutdown.grace, &hurry);
        tokio::select! {
            _ = &mut finished => {}
            () = grace => {
                tracing::warn!(event = "shutdown.aborted", "requests in flight were ended");
                self.ending.abort.cancel();
                let _ = finished.await;
            }
        }
        // What a person has granted by now is stored before the store is let go.
        if let Some(installs) = self.installs {
            let _ = installs.await;
        }
        self.stop_tokens.cancel();
        // Stopped in the middle of a question; a round that is being written down is finished.
        let _ = self.people.await;
        self.live.finish(self.config.limits.token).await;
        // The last health is written down; what does not get there is a few seconds of it.
        let _ = tokio::time::timeout(self.config.limits.store_max_staleness, self.health).await;
        let _ = self.messages.send(Message::Stop);
        let (publisher, auditor, (kills_go_on, kills)) = (self.publisher, self.auditor, self.kills);
        let closed = tokio::task::spawn_blocking(move || {
            drop(kills_go_on);
            let _ = kills.join();
            let _ = publisher.join();
            auditor.stop()
        })
        .await;
        if !closed.unwrap_or(false) {
            tracing::error!(
                event = "audit.incomplete",
                "not all audit records reached the disk"
            );
        }
        self.stop_monitor.cancel();
    }
}

/// Puts emergency stops in force before anything is accepted, and goes on following them. They are
/// followed for as long as what is returned first is kept.
fn follow_kills(
    config: &Config,
    gate: &Arc<Gate>,
) -> Result<(mpsc::Sender<()>, JoinHandle<()>), CommandError> {
    let mut follower = KillFollower::new(config, Arc::clone(gate)).map_err(internal)?;
    follower.begin().map_err(internal)?;
    let (go_on, over) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("kills".to_owned())
        .spawn(move || follower.run(&over))
        .map_err(internal)?;
    Ok((go_on, thread))
}

async fn wait(limit: Duration, hurry: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(limit) => {}
        () = hurry.cancelled() => {}
    }
}

fn usage(error: impl std::fmt::Display) -> CommandError {
    CommandError::usage(error.to_string())
}

fn internal(error: impl std::fmt::Display) -> CommandError {
    CommandError::internal(error.to_string())
}

fn open_vault(config: &Config, store: &Store) -> Result<Vault, CommandError> {
    let master = MasterKey::load(&config.master_key).map_err(usage)?;
    let recorded = store.key_check().map_err(internal)?;
    let vault = Vault::open(&master, store.id(), recorded.as_ref()).map_err(usage)?;
    if recorded.is_none() {
        let kept = store.record_key_check(vault.key_check()).map_err(internal)?;
        if kept != *vault.key_check() {
            return Err(usage(crate::vault::WrongMasterKey));
        }
    }
    Ok(vault)
}

fn installer(
    config: &Config,
    store: &Arc<Store>,
    vault: &Arc<Vault>,
    upstream: &SharedUpstream,
    metrics: &Arc<Metrics>,
) -> Option<Installer> {
    config.install.listen?;
    Some(Installer::new(InstallParts {
        store: Arc::clone(store),
        vault: Arc::clone(vault),
        client: ControlClient::new(Arc::clone(upstream), config.limits.connect, CONTROL_CALL),
        endpoints: Endpoints::default(),
        apps: config.apps.clone(),
        authorize_url: config.install.authorize_url.clone(),
        instance: config.instance.clone(),
        metrics: Arc::clone(metrics),
    }))
}

fn token_parts(
    config: &Config,
    store: &Arc<Store>,
    vault: Arc<Vault>,
    upstream: SharedUpstream,
    metrics: &Arc<Metrics>,
) -> LiveParts {
    LiveParts {
        store: Arc::clone(store),
        vault,
        client: ControlClient::new(upstream, config.limits.connect, CONTROL_CALL),
        // Invariant: the setting takes no other version; a test holds the two lists together.
        endpoints: Endpoints::of(&config.oauth_version).unwrap_or_default(),
        runtime: tokio::runtime::Handle::current(),
        instance: config.instance.clone(),
        metrics: Arc::clone(metrics),
        settings: TokenSettings {
            wait: config.limits.token,
            ..TokenSettings::default()
        },
        watchers: config.people.watchers.iter().cloned().collect(),
    }
}

/// At start there is no previous version to keep: a ceiling that does not load is exit 2, a policy
/// that does not load disables its integration.
fn read_policies(
    config: &Config,
    catalogue: &crate::access::catalogue::Catalogue,
    options: StartOptions,
) -> Result<(PolicySet, Vec<String>), CommandError> {
    let files = policy_files::read_folder(&config.policies).map_err(|error| {
        CommandError::usage(format!("`policies` `{}`: {error}", config.policies.display()))
    })?;
    let (set, mistakes) = PolicySet::build(
        &files,
        catalogue,
        None,
        Timestamp::now(),
        config.limits.policies_stale,
    );
    publisher::log_mistakes(&mistakes);
    let check = "run `scopegate policy check` on the folder: it shows every mistake";
    if set.ceiling_state() == CeilingState::Broken {
        return Err(CommandError::usage("the ceiling `_ceiling.yaml` does not load").hint(check));
    }
    if options.strict && mistakes.iter().any(Mistake::is_error) {
        return Err(CommandError::usage("a policy does not load, and `--strict` was given").hint(check));
    }
    Ok((set, mistakes.iter().map(Mistake::one_line).collect()))
}

fn metrics(config: &Config) -> Result<Arc<Metrics>, CommandError> {
    let bounds = MetricsBounds {
        series: config.limits.metrics_series,
        connections: config.limits.metrics_connections,
    };
    Metrics::new(bounds).map_err(internal)
}

/// The pool counts with atomics of its own; a scrape reads them.
fn watch_pool(gate: &Arc<Gate>) {
    let stats = Arc::clone(&gate.pool_stats);
    gate.metrics.before_scrape(move |metrics| {
        let count = |state, value: &AtomicI64| {
            metrics
                .upstream_connections(state)
                .set(value.load(Ordering::Relaxed))
        };
        count(UpstreamConnection::Active, &stats.active);
        count(UpstreamConnection::Idle, &stats.idle);
        metrics.set_upstream_leases(
            stats.sent.load(Ordering::Relaxed),
            stats.reused.load(Ordering::Relaxed),
        );
    });
}

async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, CommandError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| CommandError::usage(format!("`{setting}` {address} can't be bound: {error}")))
}

fn local(listener: &TcpListener) -> Result<SocketAddr, CommandError> {
    listener.local_addr().map_err(internal)
}
