//! From parts that were built to a gate that listens: every thread and task is started here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::way::Way;
use super::{Prepared, Server, internal};
use crate::admin;
use crate::caps::Caps;
use crate::cli::CommandError;
use crate::clock;
use crate::config::{Config, own_url};
use crate::health::Watcher;
use crate::hubspot::breaker::State;
use crate::install;
use crate::metrics::{BreakerState, UpstreamConnection};
use crate::monitor;
use crate::people;
use crate::proxy::accept::{WorkerHandle, accept};
use crate::proxy::gate::{Gate, Names};
use crate::proxy::worker::{self, Ending};
use crate::publisher::KillFollower;
use crate::watch::Watch;

impl Prepared {
    /// Opens the ports and starts every part.
    pub async fn listen(self) -> Result<Server, CommandError> {
        let Self {
            config,
            gate,
            publisher,
            auditor,
            readiness,
            installer,
            counting,
            admin: admin_parts,
            admin_tls,
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
        watch_limits(&gate);

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
        gate.metrics.set_reload(true, clock::wall());
        let publisher = std::thread::Builder::new()
            .name("publisher".to_owned())
            .spawn(move || publisher.run(&inbox))
            .map_err(internal)?;

        let ending = Ending::default();
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
        let metrics = Arc::clone(&gate.metrics);
        tokio::spawn(accept(listener, handles, caps, metrics, stop_accepting.clone()));
        let stop_tokens = CancellationToken::new();
        tokio::spawn(gate.live.clone().keep(stop_tokens.clone()));
        let health = tokio::spawn(watcher.run(stop_tokens.clone()));
        let people = tokio::spawn(people::run(people_parts, stop_tokens.clone()));
        let stop_monitor = CancellationToken::new();
        let state = monitor::State {
            readiness: Arc::clone(&readiness),
            metrics: Arc::clone(&gate.metrics),
        };
        let beside_admin = match monitor {
            Some(listener) => {
                tokio::spawn(monitor::serve(listener, state, stop_monitor.clone()));
                None
            }
            None => Some(state),
        };
        let administration = tokio::spawn(admin::serve(
            (admin, admin_address),
            Way::admin(admin_tls),
            admin_parts,
            beside_admin,
            stop_monitor.clone(),
        ));
        let stop_install = CancellationToken::new();
        let installs = install.map(|(listener, installer)| {
            let way = (listener, Way::install());
            tokio::spawn(install::serve(way, installer, stop_install.clone()))
        });
        Ok(Server {
            gate: address,
            admin: admin_address,
            monitor: monitor_address,
            install: install_address,
            secure: config.tls.is_some(),
            admin_secure: config.admin.tls.is_some(),
            readiness,
            messages,
            publisher,
            kills,
            workers,
            ending,
            stop_accepting,
            stop_monitor,
            administration,
            stop_install,
            installs,
            stop_tokens,
            health,
            people,
            live: gate.live.clone(),
            counting: (Arc::clone(&gate.quotas), counting),
            auditor,
            config,
            _lock: lock,
        })
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

/// How full limits are is looked up at a scrape.
fn watch_limits(gate: &Arc<Gate>) {
    let quotas = Arc::clone(&gate.quotas);
    gate.metrics.before_scrape(move |metrics| {
        let fullness = quotas.fullness();
        let used = fullness
            .iter()
            .map(|of| (&*of.integration, of.counted.as_str(), of.ratio));
        metrics.set_limits(used);
    });
}

/// The pools count by themselves; a scrape reads what they have.
fn watch_pool(gate: &Arc<Gate>) {
    let pools = Arc::clone(&gate.pools);
    gate.metrics.before_scrape(move |metrics| {
        let show = |state, count: u64| {
            let count = i64::try_from(count).unwrap_or(0);
            metrics.upstream_connections(state).set(count);
        };
        show(UpstreamConnection::Active, pools.count(|stats| &stats.active));
        show(UpstreamConnection::Idle, pools.count(|stats| &stats.idle));
        show(
            UpstreamConnection::Connecting,
            pools.count(|stats| &stats.connecting),
        );
        metrics.set_breaker(match pools.breaker.state() {
            State::Closed => BreakerState::Closed,
            State::HalfOpen => BreakerState::HalfOpen,
            State::Open => BreakerState::Open,
        });
        metrics.set_upstream_leases(
            pools.count(|stats| &stats.sent),
            pools.count(|stats| &stats.reused),
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
