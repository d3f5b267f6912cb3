//! Requests: decided, ended, filtered, not recorded.

use uuid::Uuid;

use super::micros;
use crate::audit::AuditRefused;
use crate::clock;
use crate::metrics::{AnswerLabels, Metrics, RequestLabels, Worker};

/// A request was decided.
#[derive(Debug)]
pub struct RequestDecided<'a> {
    /// The correlation id.
    pub id: Uuid,
    /// Who, what, and the decision.
    pub labels: RequestLabels<'a>,
    /// The rule that decided.
    pub rule: Option<&'a str>,
}

impl RequestDecided<'_> {
    /// Counts it; a denial of a known integration is a log line, within the budget.
    pub fn emit(&self, worker: &Worker) {
        let labels = &self.labels;
        worker.decided(labels);
        let (operation, rule) = (labels.operation.unwrap_or("-"), self.rule.unwrap_or("-"));
        let (decision, reason) = (labels.verdict.as_str(), labels.reason.as_str());
        let Some(integration) = labels.integration.filter(|_| !labels.verdict.passes()) else {
            tracing::debug!(request.id = %self.id, operation, decision, reason, rule, "request decided");
            return;
        };
        if let Some(withheld) = worker.metrics().denial_lines.spend(clock::wall()) {
            tracing::info!(request.id = %self.id, integration, operation, decision, reason, rule, withheld, "request not let through");
        }
    }
}

/// An answer ended.
#[derive(Debug)]
pub struct RequestEnded<'a> {
    /// The correlation id.
    pub id: Uuid,
    /// Who, and the answer.
    pub answer: AnswerLabels<'a>,
}

impl RequestEnded<'_> {
    /// Counts it.
    pub fn emit(&self, worker: &Worker) {
        worker.answered(&self.answer);
        let duration_us = micros(self.answer.duration);
        let gate_us = micros(self.answer.gate);
        tracing::debug!(
            request.id = %self.id, http.response.status_code = self.answer.status,
            source = self.answer.source.as_str(), duration_us, gate_us, "request ended"
        );
    }
}

/// Property rules removed values from an answer.
#[derive(Debug)]
pub struct PropertiesStripped<'a> {
    /// The correlation id.
    pub id: Uuid,
    /// Who called.
    pub integration: &'a str,
    /// How many.
    pub values: u64,
}

impl PropertiesStripped<'_> {
    /// Counts them.
    pub fn emit(&self, worker: &Worker) {
        worker.stripped(self.integration, self.values);
        tracing::debug!(request.id = %self.id, integration = self.integration, values = self.values, "properties removed");
    }
}

/// A request was refused because it could not be recorded.
#[derive(Debug)]
pub struct AuditRefusedRequest {
    /// The correlation id.
    pub id: Uuid,
    /// Why.
    pub why: AuditRefused,
}

impl AuditRefusedRequest {
    /// Writes an error, within the budget; the log counts it itself.
    pub fn emit(&self, metrics: &Metrics) {
        if let Some(withheld) = metrics.audit_lines.spend(clock::wall()) {
            tracing::error!(request.id = %self.id, why = %self.why, withheld, "a request was refused: it could not be recorded");
        }
    }
}
