//! All of a start but the ports: store, master key, catalogue, policies, audit log, connections.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use http::HeaderValue;
use jiff::Timestamp;

use super::{internal, usage};
use crate::access::integration::KeyIndex;
use crate::access::kill::Switches;
use crate::access::policy_set::{CeilingState, PolicySet};
use crate::access::policy_text::mistake::Mistake;
use crate::audit::{self, Auditor};
use crate::catalogue_file;
use crate::cli::CommandError;
use crate::config::Config;
use crate::hubspot::connect::SharedUpstream;
use crate::hubspot::control::ControlClient;
use crate::hubspot::oauth::Endpoints;
use crate::hubspot::pool::PoolStats;
use crate::install::{InstallParts, Installer};
use crate::metrics::{Metrics, MetricsBounds};
use crate::monitor::{Condition, Readiness};
use crate::policy_files;
use crate::proxy::gate::{Freshness, Gate, Names};
use crate::proxy::introspect::QUESTIONS_BYTES;
use crate::proxy::judged::Budget;
use crate::proxy::kills::Stops;
use crate::proxy::links::ORIGIN_BYTES_MOST;
use crate::proxy::tls;
use crate::publisher::{self, Publisher, read_upstream};
use crate::snapshot::Snapshot;
use crate::store::{GateLock, Store};
use crate::tokens::{Live, LiveParts, TokenSettings};
use crate::vault::MasterKey;
use crate::vault::Vault;

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
    pub(super) config: Config,
    pub(super) gate: Arc<Gate>,
    pub(super) publisher: Publisher,
    pub(super) auditor: Auditor,
    pub(super) readiness: Arc<Readiness>,
    pub(super) installer: Option<Installer>,
    pub(super) lock: GateLock,
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
