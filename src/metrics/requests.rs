//! The series of one request, and the bound on how many there can be.
//!
//! A worker keeps its parts of the counters it has used: a request whose labels were seen before costs two
//! look-ups by borrowed text and an addition. Nothing is buffered, so a scrape shows every
//! request that was counted before it began.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use prometheus::IntCounter;

use super::parts::{Flight, Spread};
use super::{ForbiddenCause, Metrics, OTHER, UNKNOWN};
use crate::access::effect::Effect;
use crate::access::installer::Installer;
use crate::access::refusal::Reason;
use crate::access::verdict::{Source, Verdict};
use crate::part::Part;

/// The labels of `scopegate_requests_total`.
#[derive(Clone, Copy, Debug)]
pub struct RequestLabels<'a> {
    /// `None` before the key is known.
    pub integration: Option<&'a str>,
    /// The operation's id; `None` = not recognised.
    pub operation: Option<&'a str>,
    /// The strongest effect; `None` = not recognised.
    pub effect: Option<Effect>,
    /// The decision.
    pub verdict: Verdict,
    /// Why it did not pass.
    pub reason: Reason,
}

/// The labels and figures of an answer that ended.
#[derive(Clone, Copy, Debug)]
pub struct AnswerLabels<'a> {
    /// `None` before the key is known.
    pub integration: Option<&'a str>,
    /// The strongest effect; `None` = not recognised.
    pub effect: Option<Effect>,
    /// The status that was sent.
    pub status: u16,
    /// Who wrote the answer.
    pub source: Source,
    /// From the first byte of the request to the last of its answer.
    pub duration: Duration,
    /// The part of it that the gate itself needed.
    pub gate: Duration,
}

/// Which series of `scopegate_requests_total` exist, so that they stay within the bound.
pub(super) struct SeriesBound {
    most: usize,
    /// No new series with an operation's own name: once true, never false again.
    full: AtomicBool,
    known: Mutex<HashSet<Box<[Box<str>]>>>,
}

impl SeriesBound {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            full: AtomicBool::new(false),
            known: Mutex::default(),
        }
    }

    /// Whether the series may exist. `reserve` is the part of the bound that is kept for series
    /// that say less.
    fn admits(&self, labels: &[&str], reserve: usize) -> bool {
        let labels: Box<[Box<str>]> = labels.iter().map(|label| Box::from(*label)).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(&labels) {
            return true;
        }
        if known.len() >= self.most.saturating_sub(reserve) {
            return false;
        }
        known.insert(labels)
    }
}

/// One worker's counters. `Send`, not `Sync`: each worker has its own.
pub struct Worker {
    metrics: Arc<Metrics>,
    integrations: RefCell<Known<Box<str>, Cached>>,
    flight: Arc<Flight>,
    gate_duration: Arc<Spread>,
}

/// By names that no stranger can choose: policies' and the catalogue's.
type Known<K, V> = HashMap<K, V, RandomState>;

/// What tells the requests of one operation apart.
type RequestKey = (Option<Effect>, Verdict, Reason);

struct Cached {
    /// By operation.
    requests: Known<Box<str>, Known<RequestKey, Arc<Part>>>,
    responses: Known<(Option<Effect>, u16, Source), Arc<Part>>,
    duration: Arc<Spread>,
}

/// Counts a request as in flight until it is dropped. Not `Send`: the count is its worker's.
pub struct InFlight(Arc<Flight>, PhantomData<*const ()>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.over.add(1);
    }
}

impl Worker {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            flight: metrics.flights.join(),
            gate_duration: metrics.gate_duration.part_of(""),
            metrics,
            integrations: RefCell::default(),
        }
    }

    /// The registry behind it.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Counts a request in flight.
    pub fn in_flight(&self) -> InFlight {
        self.flight.begun.add(1);
        InFlight(Arc::clone(&self.flight), PhantomData)
    }

    /// Counts a decision.
    pub fn decided(&self, labels: &RequestLabels<'_>) {
        let operation = match labels.verdict {
            Verdict::Refuse => OTHER,
            _ => labels.operation.unwrap_or(OTHER),
        };
        let key = (labels.effect, labels.verdict, labels.reason);
        self.with(labels.integration, |cached| {
            if let Some(count) = cached.request(operation, key) {
                count.add(1);
                return;
            }
            let full = self.metrics.series.full.load(Ordering::Relaxed);
            if full && let Some(count) = cached.request(OTHER, key) {
                count.add(1);
                return;
            }
            let (operation, counter) = self.metrics.requests_series(labels, operation);
            let count = self.metrics.counted.part_of(counter);
            count.add(1);
            cached
                .requests
                .entry(operation.into())
                .or_default()
                .insert(key, count);
        });
    }

    /// Counts an answer that ended, and how long it took.
    pub fn answered(&self, answer: &AnswerLabels<'_>) {
        let key = (answer.effect, answer.status, answer.source);
        self.with(answer.integration, |cached| {
            cached.duration.observe(answer.duration);
            let count = cached.responses.entry(key).or_insert_with(|| {
                let counter = self.metrics.responses.with_label_values(&[
                    answer.integration.unwrap_or(UNKNOWN),
                    answer.effect.map_or(UNKNOWN, Effect::as_str),
                    &code(answer.status),
                    answer.source.as_str(),
                ]);
                self.metrics.counted.part_of(counter)
            });
            count.add(1);
        });
        self.gate_duration.observe(answer.gate);
    }

    /// Counts a 403 of the upstream.
    pub fn forbidden(&self, integration: &str, cause: ForbiddenCause) {
        self.metrics
            .forbidden
            .with_label_values(&[integration, cause.as_str()])
            .inc();
    }

    /// Counts a request that passed although nobody is behind its credential as there should be.
    pub fn installer_alert(&self, integration: &str, installer: Installer) {
        self.metrics
            .installer_alerts
            .with_label_values(&[integration, installer.as_str()])
            .inc();
    }

    /// Counts values that were removed from an answer.
    pub fn stripped(&self, integration: &str, values: u64) {
        self.metrics
            .stripped
            .with_label_values(&[integration])
            .inc_by(values);
    }

    fn with(&self, integration: Option<&str>, f: impl FnOnce(&mut Cached)) {
        let integration = integration.unwrap_or(UNKNOWN);
        let mut integrations = self.integrations.borrow_mut();
        if let Some(cached) = integrations.get_mut(integration) {
            return f(cached);
        }
        let cached = integrations.entry(integration.into()).or_insert_with(|| Cached {
            requests: Known::default(),
            responses: Known::default(),
            duration: self.metrics.request_duration.part_of(integration),
        });
        f(cached);
    }
}

impl Cached {
    fn request(&self, operation: &str, key: RequestKey) -> Option<&Part> {
        self.requests.get(operation)?.get(&key).map(Arc::as_ref)
    }
}

impl Metrics {
    /// The counter for these labels, or for those that say less once the bound is reached: first
    /// without the operation, at last without the integration. A tenth of the bound is kept for
    /// each of the two.
    fn requests_series<'a>(&self, labels: &RequestLabels<'a>, operation: &'a str) -> (&'a str, IntCounter) {
        let integration = labels.integration.unwrap_or(UNKNOWN);
        let effect = labels.effect.map_or(UNKNOWN, Effect::as_str);
        let (verdict, reason) = (labels.verdict.as_str(), labels.reason.as_str());
        let tenth = self.series.most / 10;
        let named = [integration, operation, effect, verdict, reason];
        if operation != OTHER {
            if self.series.admits(&named, 2 * tenth) {
                return (operation, self.requests.with_label_values(&named));
            }
            self.series.full.store(true, Ordering::Relaxed);
        }
        let unnamed = [integration, OTHER, effect, verdict, reason];
        if self.series.admits(&unnamed, tenth) {
            return (OTHER, self.requests.with_label_values(&unnamed));
        }
        let nobody = [OTHER, OTHER, effect, verdict, reason];
        if self.series.admits(&nobody, 0) {
            return (OTHER, self.requests.with_label_values(&nobody));
        }
        let nothing = [OTHER, OTHER, OTHER, OTHER, OTHER];
        (OTHER, self.requests.with_label_values(&nothing))
    }
}

/// A status as a label; what is no HTTP status is one value.
fn code(status: u16) -> String {
    if (100..600).contains(&status) {
        status.to_string()
    } else {
        OTHER.to_owned()
    }
}
