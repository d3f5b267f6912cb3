//! Every series of the contract that the gate can feed, under one registry.
//!
//! Labels come from closed sets ([`words`], [`Reason`](crate::access::refusal::Reason), effects,
//! verdicts) or from names that operators chose (integrations, apps, connections); never a path,
//! an id, an address or a property. Names and units follow the Prometheus conventions: base units,
//! `_total` on counters.

mod parts;
mod requests;
mod state;
pub mod words;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{
    Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

pub use crate::hubspot::forbidden::{ForbiddenCause, ForbiddenDetail};
pub use requests::{AnswerLabels, InFlight, RequestLabels, Worker};
pub use state::{ConnectionSample, HealthSample, KeySample, PolicySample};
pub use words::{
    AdminResult, AuditResult, BreakerState, ClientConnection, ClientEnd, ClockJump, FindingKind,
    RefreshCause, RefreshResult, RetryResult, RetryWhy, StoreOp, UpstreamConnection, UpstreamErrorKind,
};

use crate::access::kill::KillKind;
use crate::audit::Watch;
use crate::logging::LineBudget;
use parts::{Counters, Durations, Flights};
use requests::SeriesBound;

/// What a label says before it is known.
pub const UNKNOWN: &str = "-";
/// What a label says when telling apart would make too many series.
pub const OTHER: &str = "other";

/// Buckets of whole requests, in seconds: HubSpot answers in 50 ms to 2 s, and gives up at 100 s.
const REQUEST_BUCKETS: [f64; 13] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0,
];
/// Buckets of the gate's own part, in seconds: tens of microseconds for a read, a disk's sync for
/// a write.
const GATE_BUCKETS: [f64; 13] = [
    0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5,
];

/// Most connections with series of their own, and most series of `scopegate_requests_total`.
#[derive(Clone, Copy, Debug)]
pub struct MetricsBounds {
    /// `metrics.series`.
    pub series: usize,
    /// `metrics.connections`.
    pub connections: usize,
}

/// The registry and its series.
pub struct Metrics {
    registry: Registry,
    bounds: MetricsBounds,
    series: SeriesBound,
    requests: IntCounterVec,
    responses: IntCounterVec,
    request_duration: Durations,
    gate_duration: Durations,
    upstream_errors: IntCounterVec,
    client_connections: IntGaugeVec,
    client_ends: IntCounterVec,
    forbidden: IntCounterVec,
    stripped: IntCounterVec,
    token_refreshes: IntCounterVec,
    token_failures: IntCounterVec,
    installer_alerts: IntCounterVec,
    limit_used: GaugeVec,
    findings: IntGaugeVec,
    connections: IntGaugeVec,
    connection_state: IntGaugeVec,
    token_expires: GaugeVec,
    last_refresh: GaugeVec,
    connection_health: IntGaugeVec,
    connections_failing: IntGaugeVec,
    rotation_due: IntGaugeVec,
    policy_invalid: IntGaugeVec,
    policy_expires: GaugeVec,
    key_expires: GaugeVec,
    reload_successful: IntGauge,
    reload_success_time: Gauge,
    policy_info: IntGaugeVec,
    catalogue_info: IntGaugeVec,
    killed: IntGaugeVec,
    hardening: IntGaugeVec,
    audit_records: IntCounterVec,
    audit_oldest: Gauge,
    store_errors: IntCounterVec,
    admin_requests: IntCounterVec,
    clock_jumps: IntCounterVec,
    inflight: IntGauge,
    /// What the workers count, apart from each other.
    counted: Counters,
    flights: Flights,
    upstream_connections: IntGaugeVec,
    upstream_reuse: Gauge,
    upstream_retries: IntCounterVec,
    breaker_state: IntGaugeVec,
    breaker_opened: IntCounter,
    upstream_leases: AtomicU64,
    upstream_reused: AtomicU64,
    audit: Mutex<Option<Watch>>,
    #[allow(clippy::type_complexity)] // a list of hooks, named by its use
    hooks: Mutex<Vec<Box<dyn Fn(&Metrics) + Send + Sync>>>,
    pub(crate) denial_lines: LineBudget,
    pub(crate) forbidden_lines: LineBudget,
    /// One a kind: a storm of one does not hide that there is another.
    pub(crate) upstream_lines: [LineBudget; UpstreamErrorKind::ALL.len()],
    pub(crate) retry_lines: LineBudget,
    pub(crate) install_lines: LineBudget,
    pub(crate) store_lines: LineBudget,
    pub(crate) audit_lines: LineBudget,
    pub(crate) admin_lines: LineBudget,
    /// Held while a picture (policies, keys, connections) is replaced or scraped.
    picture: Mutex<()>,
}

impl Metrics {
    /// All series, registered.
    ///
    /// # Errors
    /// A name or label that Prometheus does not accept, or one that stands twice: a mistake in
    /// this file, found by its test.
    pub fn new(bounds: MetricsBounds) -> prometheus::Result<Arc<Self>> {
        let r = Registry::new();
        let metrics = Self {
            requests: counters(
                &r,
                "scopegate_requests_total",
                "Requests by decision.",
                &["integration", "operation", "effect", "decision", "reason"],
            )?,
            responses: counters(
                &r,
                "scopegate_responses_total",
                "Answers that ended, by status and by who wrote them.",
                &["integration", "effect", "code", "source"],
            )?,
            request_duration: register(
                &r,
                Durations::new(
                    "scopegate_request_duration_seconds",
                    "From the first byte of a request to the last of its answer.",
                    &REQUEST_BUCKETS,
                    Some("integration"),
                )?,
            )?,
            gate_duration: register(
                &r,
                Durations::new(
                    "scopegate_gate_duration_seconds",
                    "The gate's own part of a request, without upstream time.",
                    &GATE_BUCKETS,
                    None,
                )?,
            )?,
            counted: Counters::default(),
            flights: Flights::default(),
            upstream_errors: counters(
                &r,
                "scopegate_upstream_errors_total",
                "What failed between the gate and the upstream.",
                &["kind"],
            )?,
            client_connections: gauges(
                &r,
                "scopegate_client_connections",
                "Open client connections; those asleep are idle and hold little more than their socket.",
                &["state"],
            )?,
            client_ends: counters(
                &r,
                "scopegate_client_connections_ended_total",
                "Client connections that the gate gave up, by why.",
                &["why"],
            )?,
            forbidden: counters(
                &r,
                "scopegate_forbidden_total",
                "403 answers of the upstream, by cause.",
                &["integration", "cause"],
            )?,
            stripped: counters(
                &r,
                "scopegate_properties_stripped_total",
                "Values that property rules removed from answers.",
                &["integration"],
            )?,
            token_refreshes: counters(
                &r,
                "scopegate_token_refreshes_total",
                "Token refreshes, by how they ended.",
                &["app", "result"],
            )?,
            token_failures: counters(
                &r,
                "scopegate_token_refresh_failures_total",
                "Token refreshes that failed, by cause.",
                &["cause"],
            )?,
            installer_alerts: counters(
                &r,
                "scopegate_installer_alerts_total",
                "Requests that passed although the connection's installer is gone or lost rights.",
                &["integration", "installer"],
            )?,
            limit_used: float_gauges(
                &r,
                "scopegate_limit_used_ratio",
                "Used part of a policy's limit on the connection where it is fullest; 1 = nothing more passes.",
                &["integration", "limit"],
            )?,
            findings: gauges(
                &r,
                "scopegate_findings",
                "Findings about the people behind credentials that are open and not acknowledged.",
                &["kind"],
            )?,
            connections: gauges(
                &r,
                "scopegate_connections",
                "Connections by state.",
                &["app", "state"],
            )?,
            connection_state: gauges(
                &r,
                "scopegate_connection_state",
                "1 for the state a connection is in; only while there are few connections.",
                &["connection", "state"],
            )?,
            token_expires: float_gauges(
                &r,
                "scopegate_token_expires_timestamp_seconds",
                "When a connection's access token expires; only while there are few connections.",
                &["connection"],
            )?,
            last_refresh: float_gauges(
                &r,
                "scopegate_connection_last_refresh_timestamp_seconds",
                "When a connection's access token was last refreshed; only while there are few connections.",
                &["connection"],
            )?,
            connection_health: gauges(
                &r,
                "scopegate_connection_health",
                "0 while HubSpot has refused every read, or every write, of a connection for long; only while there are few connections.",
                &["connection", "class"],
            )?,
            connections_failing: gauges(
                &r,
                "scopegate_connections_failing",
                "Connections whose reads, or writes, HubSpot has refused for long.",
                &["app", "class"],
            )?,
            rotation_due: gauges(
                &r,
                "scopegate_connections_rotation_due",
                "Connections whose long-lived credential is due for rotation.",
                &["app"],
            )?,
            policy_invalid: gauges(
                &r,
                "scopegate_policy_invalid",
                "1 while an integration's policy does not load.",
                &["integration"],
            )?,
            policy_expires: float_gauges(
                &r,
                "scopegate_policy_expires_timestamp_seconds",
                "When an integration's policy expires.",
                &["integration"],
            )?,
            key_expires: float_gauges(
                &r,
                "scopegate_key_expires_timestamp_seconds",
                "When the first of an integration's keys expires.",
                &["integration"],
            )?,
            reload_successful: register(
                &r,
                IntGauge::new(
                    "scopegate_config_last_reload_successful",
                    "1 if the last reload of configuration and policies was without mistakes.",
                )?,
            )?,
            reload_success_time: register(
                &r,
                Gauge::new(
                    "scopegate_config_last_reload_success_timestamp_seconds",
                    "When the last reload without mistakes took effect.",
                )?,
            )?,
            policy_info: gauges(
                &r,
                "scopegate_policy_info",
                "1 for the policies in force.",
                &["digest"],
            )?,
            catalogue_info: gauges(
                &r,
                "scopegate_catalogue_info",
                "1 for the catalogue in force.",
                &["digest"],
            )?,
            killed: gauges(&r, "scopegate_killed", "Emergency stops in force.", &["kind"])?,
            hardening: gauges(
                &r,
                "scopegate_hardening",
                "1 for each measure of hardening that is in force.",
                &["measure"],
            )?,
            audit_records: counters(
                &r,
                "scopegate_audit_records_total",
                "Audit records, by what became of them.",
                &["result"],
            )?,
            audit_oldest: register(
                &r,
                Gauge::new(
                    "scopegate_audit_oldest_unwritten_seconds",
                    "Age of the oldest audit record that is not on the disk.",
                )?,
            )?,
            store_errors: counters(
                &r,
                "scopegate_store_errors_total",
                "Failed uses of the store.",
                &["op"],
            )?,
            admin_requests: counters(
                &r,
                "scopegate_admin_requests_total",
                "Requests to the admin API by what became of them.",
                &["result"],
            )?,
            clock_jumps: counters(
                &r,
                "scopegate_clock_jumps_total",
                "How often the wall clock was set while the gate ran.",
                &["direction"],
            )?,
            inflight: register(
                &r,
                IntGauge::new(
                    "scopegate_inflight_requests",
                    "Requests whose answers have not ended.",
                )?,
            )?,
            upstream_connections: gauges(
                &r,
                "scopegate_upstream_connections",
                "Connections to the upstream.",
                &["state"],
            )?,
            upstream_reuse: register(
                &r,
                Gauge::new(
                    "scopegate_upstream_reuse_ratio",
                    "Part of all upstream requests that found an open connection.",
                )?,
            )?,
            upstream_retries: counters(
                &r,
                "scopegate_upstream_retries_total",
                "Calls that went up a second time, or would have.",
                &["why", "result"],
            )?,
            breaker_state: gauges(
                &r,
                "scopegate_upstream_breaker_state",
                "1 for what the breaker in front of the upstream is doing.",
                &["state"],
            )?,
            breaker_opened: register(
                &r,
                IntCounter::new(
                    "scopegate_upstream_breaker_opened_total",
                    "How often the breaker in front of the upstream has opened.",
                )?,
            )?,
            upstream_leases: AtomicU64::new(0),
            upstream_reused: AtomicU64::new(0),
            audit: Mutex::default(),
            hooks: Mutex::default(),
            denial_lines: LineBudget::default(),
            forbidden_lines: LineBudget::default(),
            upstream_lines: Default::default(),
            retry_lines: LineBudget::default(),
            install_lines: LineBudget::default(),
            store_lines: LineBudget::default(),
            audit_lines: LineBudget::default(),
            admin_lines: LineBudget::default(),
            picture: Mutex::default(),
            series: SeriesBound::new(bounds.series),
            bounds,
            registry: r,
        };
        metrics.begin()?;
        Ok(Arc::new(metrics))
    }

    /// Series of closed sets exist from the start, so that a rate over them is never "no data".
    fn begin(&self) -> prometheus::Result<()> {
        // There from the first scrape on, whoever counts later.
        self.gate_duration.part_of("");
        for kind in UpstreamErrorKind::ALL {
            self.upstream_errors.with_label_values(&[kind.as_str()]);
        }
        for state in ClientConnection::ALL {
            self.client_connections.with_label_values(&[state.as_str()]);
        }
        for end in ClientEnd::ALL {
            self.client_ends.with_label_values(&[end.as_str()]);
        }
        for cause in RefreshCause::ALL {
            self.token_failures.with_label_values(&[cause.as_str()]);
        }
        for op in StoreOp::ALL {
            self.store_errors.with_label_values(&[op.as_str()]);
        }
        for result in AdminResult::ALL {
            self.admin_requests.with_label_values(&[result.as_str()]);
        }
        for direction in ClockJump::ALL {
            self.clock_jumps.with_label_values(&[direction.as_str()]);
        }
        for result in AuditResult::ALL {
            self.audit_records.with_label_values(&[result.as_str()]);
        }
        for kind in KillKind::ALL {
            self.killed.with_label_values(&[kind.as_str()]);
        }
        for kind in FindingKind::ALL {
            self.findings.with_label_values(&[kind.as_str()]);
        }
        for state in UpstreamConnection::ALL {
            self.upstream_connections.with_label_values(&[state.as_str()]);
        }
        for why in RetryWhy::ALL {
            for result in RetryResult::ALL {
                self.upstream_retries
                    .with_label_values(&[why.as_str(), result.as_str()]);
            }
        }
        self.set_breaker(BreakerState::Closed);
        gauges(
            &self.registry,
            "scopegate_build_info",
            "1, with the version that runs.",
            &["version"],
        )?
        .with_label_values(&[env!("CARGO_PKG_VERSION")])
        .set(1);
        Ok(())
    }

    /// A worker's own way to the counters of requests.
    pub fn worker(self: &Arc<Self>) -> Worker {
        Worker::new(Arc::clone(self))
    }

    /// Takes the audit log's figures from `watch` at each scrape.
    pub fn watch_audit(&self, watch: Watch) {
        *self.audit.lock().unwrap_or_else(PoisonError::into_inner) = Some(watch);
    }

    /// Runs `hook` before each scrape: for figures that are cheaper to look up than to keep.
    /// It may replace pictures ([`Metrics::set_connections`]); it must not add hooks.
    pub fn before_scrape(&self, hook: impl Fn(&Metrics) + Send + Sync + 'static) {
        self.hooks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Box::new(hook));
    }

    /// Counts a failure between the gate and the upstream.
    pub fn upstream_error(&self, kind: UpstreamErrorKind) {
        self.upstream_errors.with_label_values(&[kind.as_str()]).inc();
    }

    /// A gauge to keep for the life of a worker: how many client connections are in this state.
    pub fn client_connections(&self, state: ClientConnection) -> IntGauge {
        self.client_connections.with_label_values(&[state.as_str()])
    }

    /// Counts a client connection that the gate gave up.
    pub fn client_ended(&self, end: ClientEnd) {
        self.client_ends.with_label_values(&[end.as_str()]).inc();
    }

    /// Counts something that went up a second time, or would have.
    pub fn upstream_retry(&self, why: RetryWhy, result: RetryResult) {
        self.upstream_retries
            .with_label_values(&[why.as_str(), result.as_str()])
            .inc();
    }

    /// Counts that the breaker in front of the upstream opened.
    pub fn breaker_opened(&self) {
        self.breaker_opened.inc();
    }

    /// What the breaker in front of the upstream is doing.
    pub fn set_breaker(&self, state: BreakerState) {
        for one in BreakerState::ALL {
            let value = i64::from(*one == state);
            self.breaker_state.with_label_values(&[one.as_str()]).set(value);
        }
    }

    /// Counts the end of a token refresh; `app` is `-` for a connection without one.
    pub fn token_refresh(&self, app: Option<&str>, result: RefreshResult) {
        self.token_refreshes
            .with_label_values(&[app.unwrap_or(UNKNOWN), result.as_str()])
            .inc();
    }

    /// Counts why a token refresh failed.
    pub fn token_refresh_failed(&self, cause: RefreshCause) {
        self.token_failures.with_label_values(&[cause.as_str()]).inc();
    }

    /// Shows whether a measure of hardening is in force.
    pub fn set_hardening(&self, measure: &'static str, in_force: bool) {
        self.hardening
            .with_label_values(&[measure])
            .set(i64::from(in_force));
    }

    /// Counts a failed use of the store.
    pub fn store_error(&self, op: StoreOp) {
        self.store_errors.with_label_values(&[op.as_str()]).inc();
    }

    /// Counts a request to the admin API.
    pub fn admin_request(&self, result: AdminResult) {
        self.admin_requests.with_label_values(&[result.as_str()]).inc();
    }

    /// Counts that the wall clock was set.
    pub fn clock_jumped(&self, direction: ClockJump) {
        self.clock_jumps.with_label_values(&[direction.as_str()]).inc();
    }

    /// A gauge to keep for the life of a pool: how many upstream connections are in this state.
    pub fn upstream_connections(&self, state: UpstreamConnection) -> IntGauge {
        self.upstream_connections.with_label_values(&[state.as_str()])
    }

    /// How many requests went upstream so far, and how many of them found an open connection: the
    /// pools count, a scrape takes their figures over.
    pub fn set_upstream_leases(&self, all: u64, reused: u64) {
        self.upstream_leases.store(all, Ordering::Relaxed);
        self.upstream_reused.store(reused, Ordering::Relaxed);
    }

    /// The text of `/metrics`: everything counted before the call is in it.
    ///
    /// # Errors
    /// A series that can't be written as text: none of ours.
    pub fn render(&self) -> prometheus::Result<String> {
        for hook in self.hooks.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            hook(self);
        }
        let _picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
        self.look_up();
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    fn look_up(&self) {
        self.counted.tell();
        self.inflight.set(self.flights.under_way());
        let leases = self.upstream_leases.load(Ordering::Relaxed);
        if leases > 0 {
            let reused = self.upstream_reused.load(Ordering::Relaxed);
            self.upstream_reuse.set(reused as f64 / leases as f64);
        }
        let watch = self.audit.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = &*watch {
            let counts = watch.counts();
            self.raise(AuditResult::Written, counts.written);
            self.raise(AuditResult::Folded, counts.folded);
            self.raise(AuditResult::Refused, counts.refused);
            self.audit_oldest.set(watch.oldest_unwritten().as_secs_f64());
        }
    }

    fn raise(&self, result: AuditResult, to: u64) {
        let counter: IntCounter = self.audit_records.with_label_values(&[result.as_str()]);
        counter.inc_by(to.saturating_sub(counter.get()));
    }
}

fn register<C: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn counters(r: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    register(r, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn gauges(r: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
    register(r, IntGaugeVec::new(Opts::new(name, help), labels)?)
}

fn float_gauges(r: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
    register(r, GaugeVec::new(Opts::new(name, help), labels)?)
}

#[cfg(test)]
mod tests;
