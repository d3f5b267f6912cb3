//! HubSpot's refusals, and what went wrong on the way to it.

use std::fmt::Display;
use std::time::Duration;

use uuid::Uuid;

use crate::clock;
use crate::hubspot::breaker::{Fate, Turn};
use crate::hubspot::forbidden::Forbidden;
use crate::metrics::{Metrics, RetryResult, RetryWhy, UpstreamErrorKind, Worker};

/// The upstream answered 403: not a decision of ours.
pub struct UpstreamForbade<'a> {
    /// The correlation id.
    pub id: Uuid,
    /// Who called.
    pub integration: &'a str,
    /// In which account.
    pub connection: &'a str,
    /// What it asked for.
    pub operation: Option<&'a str>,
    /// As the answer's body says, held against what was granted.
    pub forbidden: &'a Forbidden,
}

impl UpstreamForbade<'_> {
    /// Counts it and writes a line, within the budget: who reads only logs shall not be sent on a
    /// chase by HubSpot's words.
    pub fn emit(&self, worker: &Worker) {
        let (integration, connection) = (self.integration, self.connection);
        let (cause, lacks) = (self.forbidden.cause.as_str(), &self.forbidden.lacks);
        let detail = self.forbidden.detail.map(|detail| detail.as_str());
        worker.forbidden(integration, self.forbidden.cause);
        if let Some(withheld) = worker.metrics().forbidden_lines.spend(clock::wall()) {
            let operation = self.operation.unwrap_or("-");
            tracing::warn!(event = "upstream.forbidden", request.id = %self.id, integration, connection, operation, cause, %lacks, detail, withheld, "HubSpot refused a call that the policy allows");
        }
    }
}

/// Something failed between the gate and the upstream.
pub struct UpstreamFailed<'a> {
    /// The correlation id of the request it failed for.
    pub id: Option<Uuid>,
    /// What.
    pub kind: UpstreamErrorKind,
    /// The system's or the TLS library's words; never the upstream's.
    pub detail: &'a dyn Display,
}

impl UpstreamFailed<'_> {
    /// Counts it and writes a warning, within the budget of its kind.
    pub fn emit(&self, metrics: &Metrics) {
        metrics.upstream_error(self.kind);
        if let Some(withheld) = metrics.upstream_lines[self.kind.index()].spend(clock::wall()) {
            let id = self.id.map(tracing::field::display);
            tracing::warn!(request.id = id, kind = self.kind.as_str(), detail = %self.detail, withheld, "the upstream failed");
        }
    }
}

/// An answer repeats the token that its request carried: something between the gate and the client's
/// answer is not what it should be.
pub struct TokenEchoed<'a> {
    /// The correlation id.
    pub id: Uuid,
    /// Who would have got it.
    pub integration: Option<&'a str>,
    /// Where it stood: `head` or `body`.
    pub place: &'static str,
    /// Whether some of the answer had gone down before: never of the token.
    pub was_begun: bool,
}

impl TokenEchoed<'_> {
    /// Counts it and writes a line, each time: it never happens in order.
    pub fn emit(&self, metrics: &Metrics) {
        metrics.upstream_error(UpstreamErrorKind::TokenEcho);
        let (integration, place, was_begun) = (self.integration.unwrap_or("-"), self.place, self.was_begun);
        tracing::error!(event = "token.echoed", request.id = %self.id, integration, place, was_begun, "an answer repeats the upstream token and was stopped");
    }
}
/// Something went up a second time, or would have.
pub struct UpstreamRetried {
    /// The correlation id.
    pub id: Uuid,
    /// Why.
    pub why: RetryWhy,
    /// What came of it.
    pub result: RetryResult,
}

impl UpstreamRetried {
    /// Counts it; a budget that is used up is a warning, within the budget of lines.
    pub fn emit(&self, metrics: &Metrics) {
        metrics.upstream_retry(self.why, self.result);
        let why = self.why.as_str();
        if self.result != RetryResult::NoBudget {
            tracing::debug!(request.id = %self.id, why, result = self.result.as_str(), "a call went up again");
        } else if let Some(withheld) = metrics.retry_lines.spend(clock::wall()) {
            tracing::warn!(event = "upstream.retry_budget", request.id = %self.id, why, withheld, "a call is not repeated: more of all calls fail than `limits.retry_percent` lets be repeated; see the upstream's failures before this");
        }
    }
}

/// The breaker in front of the upstream opened or closed.
pub struct BreakerTurned(pub Turn);

impl BreakerTurned {
    /// Counts it and says so: everybody is concerned.
    pub fn emit(&self, metrics: &Metrics) {
        match self.0 {
            Turn::Opened {
                fate,
                failures,
                attempts,
            } => {
                metrics.breaker_opened();
                let (cause, remedy) = match fate {
                    Fate::Unreachable => (
                        "no connection can be made",
                        "look at DNS, network, proxies and `upstream.ca`",
                    ),
                    Fate::Unanswered | Fate::Answered => (
                        "connections bring no answer of HubSpot's",
                        "look at HubSpot's status page and at proxies in between",
                    ),
                };
                tracing::error!(
                    event = "upstream.breaker_opened",
                    cause,
                    failures,
                    attempts,
                    remedy,
                    "the upstream is left alone: calls are answered with 503 until a probe is answered"
                );
            }
            Turn::Closed { after } => {
                let after_ms = millis(after);
                tracing::info!(
                    event = "upstream.breaker_closed",
                    after_ms,
                    "the upstream answers again"
                );
            }
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
