//! What became of a call: counted and recorded once, when its answer has ended, however it ended.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::activity::ActiveGuard;
use super::download::DownloadError;
use super::lanes::Place;
use super::limited::Bill;
use super::rights::Rights;
use super::worker::Worker;
use crate::access::effect::Effect;
use crate::access::refusal::Reason;
use crate::access::verdict::Source;
use crate::audit::{OutcomeRecord, RefusedRecord};
use crate::clock;
use crate::events::{PropertiesStripped, RequestEnded, TokenEchoed, UpstreamFailed};
use crate::hubspot::forbidden::Forbidden;
use crate::metrics::{AnswerLabels, InFlight, UpstreamErrorKind};

/// The books of one call, closed when dropped.
pub struct Outcome {
    worker: Rc<Worker>,
    _in_flight: InFlight,
    active: ActiveGuard,
    started: Instant,
    id: Uuid,
    /// Who called, once known.
    pub integration: Option<Arc<str>>,
    /// The effect, once known.
    pub effect: Option<Effect>,
    /// Doing it twice does nothing more than doing it once: a read that has no risk.
    pub repeatable: bool,
    /// An allow was recorded: an outcome must follow.
    pub owes_record: bool,
    /// The status sent; 0 = none yet.
    pub status: u16,
    /// Who wrote the answer.
    pub source: Source,
    /// Why it failed after all.
    pub reason: Reason,
    /// Request bytes reached the upstream.
    pub sent_upstream: Cell<bool>,
    /// The request went up twice.
    pub replayed: bool,
    /// What it stands on, once it goes up: what was withdrawn before its end was not stopped by that,
    /// unless it is a read.
    pub rights: Option<Rc<Rights>>,
    /// Values that property rules removed from the answer.
    pub stripped: u64,
    /// Why HubSpot answered 403.
    pub refused: Option<Box<Refused>>,
    /// Its place among the calls under way.
    pub place: Option<Place>,
    /// What it was charged under its policy's limits.
    pub bill: Option<Box<Bill>>,
    /// Body bytes from the integration.
    pub request_bytes: u64,
    /// Body bytes to the integration.
    pub response_bytes: u64,
    /// The answer's body has not ended.
    pub open: bool,
    forwarded: Option<Instant>,
}

impl Outcome {
    /// Opens the books.
    pub fn begin(worker: &Rc<Worker>, active: ActiveGuard) -> Self {
        Self {
            _in_flight: worker.metrics().in_flight(),
            active,
            started: Instant::now(),
            id: worker.next_id(),
            worker: Rc::clone(worker),
            integration: None,
            effect: None,
            repeatable: false,
            owes_record: false,
            status: 0,
            source: Source::Gate,
            reason: Reason::None,
            sent_upstream: Cell::new(false),
            replayed: false,
            rights: None,
            stripped: 0,
            refused: None,
            place: None,
            bill: None,
            request_bytes: 0,
            response_bytes: 0,
            open: true,
            forwarded: None,
        }
    }

    /// Whose books these are.
    pub(super) fn worker(&self) -> &Rc<Worker> {
        &self.worker
    }

    /// The correlation id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// When the request's head was complete.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// From here on the upstream has it.
    pub fn forwarding(&mut self) {
        self.forwarded.get_or_insert_with(Instant::now);
    }

    /// The answer could not be passed on, or not to its end; `begun`: some of it has gone down.
    pub fn broken_off(&self, error: &DownloadError, was_begun: bool) {
        let metrics = self.worker.metrics().metrics();
        match error.kind() {
            Some(UpstreamErrorKind::TokenEcho) => self.echoed("body", was_begun),
            // A misshapen answer is an event of its own, and so is what was stopped by us.
            None | Some(UpstreamErrorKind::AnswerShape) => {}
            Some(kind) => UpstreamFailed {
                id: Some(self.id),
                kind,
                detail: error,
            }
            .emit(metrics),
        }
        tracing::warn!(event = "answer.broken_off", id = %self.id, error = %error, was_begun, "an answer was withheld or broken off");
    }

    /// The answer repeats the token.
    pub fn echoed(&self, place: &'static str, was_begun: bool) {
        TokenEchoed {
            id: self.id,
            integration: self.integration.as_deref(),
            place,
            was_begun,
        }
        .emit(self.worker.metrics().metrics());
    }

    /// Whether a change may have been made, whatever becomes of its answer.
    pub fn changed_data(&self) -> bool {
        self.effect.is_none_or(Effect::changes_data)
    }

    /// The answer was not what is known of its operation; `violation` says how, in words of ours.
    pub fn misshapen(&self, violation: &dyn std::fmt::Display) {
        self.withheld(UpstreamErrorKind::AnswerShape, violation);
    }

    /// The answer is not passed on at all; `detail` says why, in words of ours.
    pub fn withheld(&self, kind: UpstreamErrorKind, detail: &dyn std::fmt::Display) {
        UpstreamFailed {
            id: Some(self.id),
            kind,
            detail,
        }
        .emit(self.worker.metrics().metrics());
    }

    /// Whether it went on although it was killed, suspended or revoked meanwhile.
    fn ran_on(&self) -> bool {
        let withdrawn = || self.rights.as_ref().is_some_and(|rights| rights.check().is_err());
        self.sent_upstream.get() && self.effect != Some(Effect::Read) && withdrawn()
    }

    /// The call's place is free: at once if it was answered, else no sooner than an answer would have come.
    fn leave(&mut self) {
        if !self.open {
            self.active.answered();
        } else if let Some(place) = self.place.take() {
            self.worker.lanes().give_up(place);
        }
    }

    fn upstream_time(&self, now: Instant) -> Duration {
        self.forwarded
            .map_or(Duration::ZERO, |since| now.duration_since(since))
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.settle();
        self.leave();
        let now = Instant::now();
        let duration = now.duration_since(self.started);
        let upstream = self.upstream_time(now);
        let answer = AnswerLabels {
            integration: self.integration.as_deref(),
            effect: self.effect,
            status: self.status,
            source: self.source,
            duration,
            gate: duration.saturating_sub(upstream),
        };
        RequestEnded { id: self.id, answer }.emit(self.worker.metrics());
        if let Some(integration) = self.integration.as_deref().filter(|_| self.stripped > 0) {
            PropertiesStripped {
                id: self.id,
                integration,
                values: self.stripped,
            }
            .emit(self.worker.metrics());
        }
        let Some(integration) = self.integration.as_deref().filter(|_| self.owes_record) else {
            return;
        };
        let record = OutcomeRecord {
            time: clock::wall(),
            id: self.id,
            integration,
            status: self.status,
            source: self.source,
            reason: self.reason,
            sent_upstream: self.sent_upstream.get(),
            cut_short: self.open,
            replayed: self.replayed,
            after_kill: self.ran_on(),
            stripped: self.stripped,
            refused: self.refused.as_deref().map(Refused::record),
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            duration,
            upstream,
        };
        // It has happened: what finds no room is counted, and shows as a gap in the log.
        let _ = self.worker.audit().ended(&record);
    }
}

/// A 403 of HubSpot's, with what its record needs to stand alone.
pub struct Refused {
    /// Why.
    pub forbidden: Forbidden,
    /// The connection's name.
    pub connection: Arc<str>,
    /// The operation's id.
    pub operation: Option<Arc<str>>,
}

impl Refused {
    fn record(&self) -> RefusedRecord<'_> {
        let forbidden = &self.forbidden;
        RefusedRecord {
            cause: forbidden.cause.as_str(),
            lacks: forbidden.lacks.scopes(),
            lacks_any: forbidden.lacks.is_any(),
            detail: forbidden.detail.map(|detail| detail.as_str()),
            connection: &self.connection,
            operation: self.operation.as_deref(),
        }
    }
}
