//! All of a start but the ports: store, master key, catalogue, policies, audit log, connections.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use http::HeaderValue;

use super::way::AdminTls;
use super::{internal, usage};
use crate::access::integration::KeyIndex;
use crate::access::kill::Switches;
use crate::access::policy_set::{CeilingState, PolicySet};
use crate::access::policy_text::mistake::Mistake;
use crate::admin::{self, Admin};
use crate::audit::{self, Auditor};
use crate::catalogue_file;
use crate::cli::CommandError;
use crate::clock::{self, Jumps};
use crate::config::{Config, Limits, TlsFiles};
use crate::events::{BreakerTurned, StoreFailed};
use crate::harden::Hardening;
use crate::hubspot::breaker::{Breaker, BreakerSettings};
use crate::hubspot::connect::SharedUpstream;
use crate::hubspot::control::ControlClient;
use crate::hubspot::oauth::Endpoints;
use crate::hubspot::retries::RetryBudget;
use crate::hubspot::shared::Shared;
use crate::install::{InstallParts, Installer};
use crate::metrics::{Metrics, MetricsBounds, StoreOp};
use crate::monitor::{Condition, Readiness};
use crate::policy_files;
use crate::proxy::gate::{Freshness, Gate, Names};
use crate::proxy::introspect::QUESTIONS_BYTES;
use crate::proxy::judged::Budget;
use crate::proxy::kills::Stops;
use crate::proxy::lanes::Shares;
use crate::proxy::links::ORIGIN_BYTES_MOST;
use crate::proxy::tls;
use crate::publisher::{self, Publisher, read_upstream};
use crate::quota::{Ledger, Quotas, machine_time};
use crate::snapshot::Snapshot;
use crate::store::{AnchorFile, AnchorKeeper, Anchored, GateLock, Store, StoreError, judge};
use crate::tokens::{Live, LiveParts, TokenSettings, unlock, unlock_with};
use crate::vault::{HeldKeys, Vault};

/// One question to HubSpot's token endpoint and its answer: HubSpot's own edge gives up at 100 s, a
/// refresh that takes a third of that is not going to come.
const CONTROL_CALL: Duration = Duration::from_secs(30);

/// Clocks of two starts may differ by this much before it is said.
const CLOCKS_APART: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);

/// How a start may differ.
#[derive(Clone, Copy, Debug, Default)]
pub struct StartOptions {
    /// A policy that does not load is a reason not to start.
    pub strict: bool,
}

/// A gate that was built but does not listen yet: all of a start but the ports.
pub struct Prepared {
    pub(super) config: Config,
    pub(super) gate: Arc<Gate>,
    pub(super) publisher: Publisher,
    pub(super) auditor: Auditor,
    pub(super) readiness: Arc<Readiness>,
    pub(super) installer: Option<Installer>,
    pub(super) counting: JoinHandle<()>,
    pub(super) admin: Admin,
    pub(super) admin_tls: Option<AdminTls>,
    pub(super) lock: GateLock,
}

impl Prepared {
    /// Everything a start needs but the ports: store, master key, catalogue, policies, audit log,
    /// connections. Every mistake of the operator's is exit 2.
    pub async fn new(config: Config, options: StartOptions) -> Result<Self, CommandError> {
        let keys = HeldKeys::load(&config.master_key, &config.key_command).map_err(usage)?;
        Self::with_keys(config, options, &keys).await
    }

    /// The same with a master key that was fetched before: a process that was hardened meanwhile could not
    /// run the command that prints it.
    pub async fn with_keys(
        config: Config,
        options: StartOptions,
        keys: &HeldKeys,
    ) -> Result<Self, CommandError> {
        let readiness = Arc::new(Readiness::default());
        readiness.set(Condition::Configuration, true);
        let lock = GateLock::acquire(&config.store).map_err(usage)?;
        let store = Arc::new(Store::open(&config.store).map_err(usage)?);
        check_pages(&store)?;
        // Before the master key is looked at: a rotation that begins in between is then followed.
        let applied = store.last_change().map_err(internal)?;
        let vault = Arc::new(unlock_with(&store, keys)?);
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
        check_anchor(&config, &store)?;
        let installer = installer(&config, &store, &vault, &shared, &metrics);
        let live = Live::load(
            token_parts(&config, &store, Arc::clone(&vault), Arc::clone(&shared), &metrics),
            &lock,
        )
        .map_err(internal)?;
        let kills = store.kill_state().map_err(internal)?;
        let switches = Switches::new(Arc::new(kills));
        let mut keys = KeyIndex::build_on(Arc::clone(&switches), []);
        let damaged = store
            .visit_keys(|row| keys.put(row.to_entry()))
            .map_err(internal)?;
        publisher::log_damaged_keys(&damaged);
        let snapshot = Snapshot::first(catalogue, Arc::new(policies), keys);
        let (quotas, counting) = quotas(&config, &store, &metrics)?;
        let gate = Arc::new(Gate {
            limits: config.limits.clone(),
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
            live,
            tls: ArcSwapOption::empty(),
            names: ArcSwap::from_pointee(Names::new(&config.public_url, config.listen)),
            upstream_host: HeaderValue::from_str(upstream.authority()).map_err(internal)?,
            upstream_origin: Bytes::copy_from_slice(upstream.origin().as_bytes()),
            compression: config.upstream.compression,
            pools: Arc::new(pools(&config.limits, &metrics)),
            judged: Budget::new(config.limits.judged_total_bytes),
            shares: Shares::new(&config.limits),
            quotas,
            answers: Budget::new(config.limits.answers_total_bytes),
            upstream: Arc::clone(&shared),
            questions: Budget::new(QUESTIONS_BYTES),
            freshness: Freshness::starting(config.limits.store_max_staleness),
            stops: Stops::starting(switches, config.limits.store_max_staleness),
            metrics,
        });
        if let Some(files) = &config.tls {
            gate.tls.store(Some(tls::server_config(files).map_err(usage)?));
        }
        let anchor = AnchorKeeper::of(&store, &config.audit.dir);
        let admin_tls = match &config.admin.tls {
            Some(files) => Some(Arc::new(ArcSwap::new(read_admin_tls(files)?))),
            None => None,
        };
        let own_way = Store::open_existing(&config.store).map_err(usage)?;
        own_way.seal_rows_with(&vault).map_err(internal)?;
        let admin = Admin::new(admin::Parts {
            store: own_way,
            config: config.clone(),
            snapshot: Arc::clone(&gate.snapshot),
            vault,
            client: ControlClient::new(shared, config.limits.connect, CONTROL_CALL),
            endpoints: Endpoints::of(&config.oauth_version).unwrap_or_default(),
            readiness: Arc::clone(&readiness),
            metrics: Arc::clone(&gate.metrics),
        })
        .map_err(usage)?;
        let audited = store.audited(&config.instance).map_err(internal)?;
        let publisher = Publisher {
            config: config.clone(),
            gate: Arc::clone(&gate),
            audited,
            ticked_off: audited,
            recording: None,
            store,
            audit: auditor.handle(),
            readiness: Arc::clone(&readiness),
            applied,
            written_back: None,
            boot: uuid::Uuid::new_v4(),
            watch: None,
            runtime: tokio::runtime::Handle::current(),
            said,
            warned: std::collections::BTreeSet::new(),
            rotation: publisher::RotationWatch::default(),
            admin_tls: admin_tls.clone(),
            anchor,
            jumps: Jumps::starting(),
        };
        Ok(Self {
            config,
            gate,
            publisher,
            auditor,
            readiness,
            installer,
            counting,
            admin,
            admin_tls,
            lock,
        })
    }

    /// Shows what the process gave up: on the monitor listener and in the metrics.
    pub fn hardened(self, hardening: &Hardening) -> Self {
        self.readiness.hardened(hardening.lines());
        for (measure, _) in hardening.measures() {
            self.gate
                .metrics
                .set_hardening(measure.as_str(), hardening.holds(*measure));
        }
        self
    }

    /// Whether a start would get as far as its ports: the same steps, but nothing is taken or written
    /// that a gate running on the same store and audit folder would notice.
    pub fn check(config: &Config, options: StartOptions) -> Result<(), CommandError> {
        let store = Arc::new(Store::open(&config.store).map_err(usage)?);
        check_pages(&store)?;
        unlock(&store, &config.master_key, &config.key_command)?;
        check_anchor(config, &store)?;
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
        if let Some(files) = &config.admin.tls {
            read_admin_tls(files)?;
        }
        Ok(())
    }
}

/// What integrations have used of their limits, as the store remembers it, and the thread that notes more.
fn quotas(
    config: &Config,
    store: &Arc<Store>,
    metrics: &Arc<Metrics>,
) -> Result<(Arc<Quotas>, JoinHandle<()>), CommandError> {
    let now = machine_time();
    store.forget_limit_uses(&now).map_err(internal)?;
    let before = store.limit_uses(&now).map_err(internal)?;
    let told = Arc::clone(metrics);
    let failed = move |error: &StoreError| {
        StoreFailed {
            op: StoreOp::Write,
            detail: error,
        }
        .emit(&told);
    };
    let (ledger, counting) =
        Ledger::start(Arc::clone(store), config.audit.max_wait, failed).map_err(internal)?;
    Ok((Arc::new(Quotas::resume(&before, ledger)), counting))
}

fn read_admin_tls(files: &TlsFiles) -> Result<Arc<rustls::ServerConfig>, CommandError> {
    tls::http1_config(files).map_err(|error| usage(format!("`admin.tls`: {error}")))
}

/// A row that a broken page hides is a key that was not revoked, or a stop that is not there.
fn check_pages(store: &Store) -> Result<(), CommandError> {
    let found = store.integrity().map_err(internal)?;
    let Some(first) = found.first() else { return Ok(()) };
    Err(CommandError::internal(format!(
        "the store `{}` is damaged ({} findings, the first: {first})",
        store.path().display(),
        found.len()
    ))
    .hint("see `scopegate store check`; restore the store from a backup"))
}

/// Refuses an old copy of the store: revoked keys would work again, and its grants may be dead.
fn check_anchor(config: &Config, store: &Store) -> Result<(), CommandError> {
    let file = AnchorFile::of(store, &config.audit.dir);
    let anchor = file.read(store.row_key().map_err(internal)?).map_err(|error| {
        CommandError::usage(format!("the store's anchor `{}`: {error}", file.path().display()))
    })?;
    let version = store.version().map_err(internal)?;
    match judge(anchor, version) {
        Anchored::Fine => {
            let ahead = anchor.map(|anchor| anchor.at.duration_since(clock::wall()));
            if let Some(ahead) = ahead.filter(|ahead| *ahead > CLOCKS_APART) {
                tracing::warn!(
                    event = "clock.behind",
                    seconds = ahead.as_secs(),
                    "the wall clock is behind the time at which this store was last written: keys and policies that had \
                     expired may work; set the clock"
                );
            }
            Ok(())
        }
        Anchored::Unknown => {
            tracing::warn!(
                event = "store.no_anchor",
                file = %file.path().display(),
                "no anchor that can be believed: whether this store is an old copy can't be told; one is begun"
            );
            Ok(())
        }
        Anchored::Old(anchor) => Err(CommandError::old_copy(anchor, version)),
    }
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

/// What the upstream connections of all workers share.
fn pools(limits: &Limits, metrics: &Arc<Metrics>) -> Shared {
    let settings = BreakerSettings {
        failures: limits.breaker_failures,
        percent: limits.breaker_percent,
        window: limits.breaker_window,
        pause: limits.breaker_pause,
        // As long as making a connection may take, with both lines to stand in: a probe that hangs keeps the next one no
        // longer.
        probe: limits.connect.saturating_mul(3),
    };
    let counted = Arc::clone(metrics);
    Shared::new(
        Breaker::new(settings, move |turn| BreakerTurned(turn).emit(&counted)),
        RetryBudget::new(limits.retry_percent, limits.retry_reserve),
    )
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
        clock::now(),
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
