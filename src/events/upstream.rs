//! HubSpot's refusals, and what went wrong on the way to it.

use std::fmt::Display;

use jiff::Timestamp;
use uuid::Uuid;

use crate::hubspot::forbidden::Forbidden;
use crate::metrics::{Metrics, UpstreamErrorKind, Worker};

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
        if let Some(withheld) = worker.metrics().forbidden_lines.spend(Timestamp::now()) {
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
    /// Counts it and writes a warning, within the budget.
    pub fn emit(&self, metrics: &Metrics) {
        metrics.upstream_error(self.kind);
        if let Some(withheld) = metrics.upstream_lines.spend(Timestamp::now()) {
            let id = self.id.map(tracing::field::display);
            tracing::warn!(request.id = id, kind = self.kind.as_str(), detail = %self.detail, withheld, "the upstream failed");
        }
    }
}
