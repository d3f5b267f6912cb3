//! What is worth noting, as structs: `emit` writes the log line and the metrics, so that the code
//! that notices stays clean and this file is the catalogue.
//!
//! Every field is a word or a name of ours. Deliberately absent: paths, bodies, messages of the
//! upstream, anything a client wrote.

use std::fmt::Display;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::access::connection::{ConnectionName, PortalId};
use crate::access::effect::Class;
use crate::access::kill::{KillKind, Kills};
use crate::audit::AuditRefused;
use crate::hubspot::forbidden::Forbidden;
use crate::metrics::{
    AnswerLabels, Metrics, RefreshResult, RequestLabels, StoreOp, UpstreamErrorKind, Worker,
};

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
        if let Some(withheld) = worker.metrics().denial_lines.spend(Timestamp::now()) {
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

/// Credentials are due for rotation.
#[derive(Debug)]
pub struct RotationFound {
    /// How many.
    pub due: usize,
}

impl RotationFound {
    /// Logs it; the gauge is set where they are counted.
    pub fn emit(&self) {
        tracing::warn!(
            event = "rotation.due",
            due = self.due,
            "credentials are due for rotation: see `scopegate connection list --rotation-due`"
        );
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

/// An install has come one step further.
#[derive(Debug)]
pub struct InstallMoved<'a> {
    /// The app.
    pub app: &'a str,
    /// What the connection is called, if that is known yet.
    pub connection: Option<&'a ConnectionName>,
    /// The account, if that is known yet.
    pub portal: Option<PortalId>,
    /// `begun`, `connected`, `connected_again`, `pending`.
    pub step: &'static str,
}

impl InstallMoved<'_> {
    /// Writes a line.
    pub fn emit(&self) {
        let connection = self.connection.map_or("-", ConnectionName::as_str);
        let portal = self.portal.map_or(0, PortalId::get);
        tracing::info!(app = self.app, connection, portal, step = self.step, "install");
    }
}

/// An install, or something that looked like one, was not gone on with.
#[derive(Debug)]
pub struct InstallRefused<'a> {
    /// The app, if a known one was meant.
    pub app: Option<&'a str>,
    /// The connection, if a ticket names one.
    pub connection: Option<&'a ConnectionName>,
    /// One of a fixed set of words.
    pub reason: &'static str,
}

impl InstallRefused<'_> {
    /// Writes a warning, within the budget: strangers can cause it.
    pub fn emit(&self, metrics: &Metrics) {
        let Some(withheld) = metrics.install_lines.spend(Timestamp::now()) else {
            return;
        };
        let (app, connection) = (
            self.app.unwrap_or("-"),
            self.connection.map_or("-", ConnectionName::as_str),
        );
        tracing::warn!(
            app,
            connection,
            reason = self.reason,
            withheld,
            "install not gone on with"
        );
    }
}

/// A token refresh ended.
#[derive(Debug)]
pub struct TokenRefreshed<'a> {
    /// The connection's name.
    pub connection: &'a str,
    /// Its app.
    pub app: Option<&'a str>,
    /// How it ended.
    pub result: RefreshResult,
    /// How long it took.
    pub duration: Duration,
    /// From the last byte of HubSpot's answer to the durable commit: the time in which a crash would lose
    /// a grant that was rotated.
    pub window: Option<Duration>,
}

impl TokenRefreshed<'_> {
    /// Counts it; what somebody must act upon is an error, what passes by itself a warning.
    pub fn emit(&self, metrics: &Metrics) {
        metrics.token_refresh(self.app, self.result);
        let (connection, app) = (self.connection, self.app.unwrap_or("-"));
        let (result, duration_us) = (self.result.as_str(), micros(self.duration));
        match self.result {
            RefreshResult::Ok | RefreshResult::Rotated | RefreshResult::Superseded => {
                let window_us = self.window.map(micros);
                tracing::info!(connection, app, result, duration_us, window_us, "token refreshed");
            }
            RefreshResult::Transient => {
                tracing::warn!(
                    connection,
                    app,
                    result,
                    duration_us,
                    "token not refreshed; it is tried again"
                );
            }
            RefreshResult::NotDurable => {
                tracing::error!(
                    connection,
                    app,
                    result,
                    duration_us,
                    "a refreshed token could not be saved; it is kept in memory and tried again"
                );
            }
            // The alert is the connection's change of state.
            RefreshResult::DeadGrant => {
                tracing::info!(
                    connection,
                    app,
                    result,
                    duration_us,
                    "token not refreshed: the grant is dead"
                );
            }
            RefreshResult::WrongClient | RefreshResult::Configuration => {
                tracing::error!(
                    connection,
                    app,
                    result,
                    duration_us,
                    "token not refreshed; somebody has to act"
                );
            }
        }
    }
}

/// The token endpoint went down, for all connections, or came back.
#[derive(Debug)]
pub struct TokenEndpoint<'a> {
    /// Which of the two.
    pub up: bool,
    /// This gate.
    pub instance: &'a str,
}

impl TokenEndpoint<'_> {
    /// Once each time; what it means for each connection is counted with its refreshes.
    pub fn emit(&self) {
        let instance = self.instance;
        if self.up {
            tracing::info!(
                event = "token_endpoint.up",
                instance,
                "the token endpoint answers again"
            );
        } else {
            tracing::error!(
                event = "token_endpoint.down",
                instance,
                "the token endpoint is down: refreshes are held back, one at a time asks whether it is back"
            );
        }
    }
}

/// A connection changed its state.
#[derive(Debug)]
pub struct ConnectionChanged<'a> {
    /// The connection's name.
    pub connection: &'a str,
    /// The contract's words.
    pub from: &'static str,
    /// Likewise.
    pub to: &'static str,
    /// Why, in our words.
    pub why: &'a str,
}

impl ConnectionChanged<'_> {
    /// Writes a line; the series follow from the next picture.
    pub fn emit(&self) {
        let (connection, from, to, why) = (self.connection, self.from, self.to, self.why);
        match to {
            "ok" | "unverified" => tracing::info!(connection, from, to, why, "connection changed"),
            // Nothing brings it back but a person: the one alert there is about it.
            "dead" | "reauthorise" => tracing::error!(
                event = "connection.dead",
                connection,
                from,
                to,
                why,
                remedy = format!(
                    "run `scopegate connection install {connection}`, or give it a new credential with `scopegate \
                     connection rotate {connection}`"
                ),
                "the connection's grant is gone: nothing passes until somebody authorises it again"
            ),
            _ => tracing::warn!(connection, from, to, why, "connection changed"),
        }
    }
}

/// One side of a connection does not work: an alert.
#[derive(Debug)]
pub struct ConnectionFailing<'a> {
    /// The connection's name.
    pub connection: &'a str,
    /// Its app.
    pub app: Option<&'a str>,
    /// Reads or writes.
    pub class: Class,
    /// The first failure since the last success.
    pub since: Timestamp,
    /// How many there were.
    pub failures: u64,
    /// The cause of the last one.
    pub cause: &'a str,
    /// How the other side fares: `work`, `fail`, `are not used`.
    pub other: &'a str,
}

impl ConnectionFailing<'_> {
    /// Writes an error; to be called once each time it begins.
    pub fn emit(&self) {
        let (connection, app) = (self.connection, self.app.unwrap_or("-"));
        let (since, failures, cause, other) = (self.since, self.failures, self.cause, self.other);
        match self.class {
            Class::Read => {
                tracing::error!(event = "connection.reads_failing", connection, app, %since, failures, cause, writes = other, "HubSpot refuses every read; see `scopegate connection show`");
            }
            Class::Write => {
                tracing::error!(event = "connection.writes_failing", connection, app, %since, failures, cause, reads = other, "HubSpot refuses every write; see `scopegate connection show`");
            }
        }
    }
}

/// A side of a connection that did not work works again.
#[derive(Debug)]
pub struct ConnectionWorks<'a> {
    /// The connection's name.
    pub connection: &'a str,
    /// Reads or writes.
    pub class: Class,
}

impl ConnectionWorks<'_> {
    /// Writes a line.
    pub fn emit(&self) {
        let (connection, class) = (self.connection, self.class.as_str());
        tracing::info!(
            event = "connection.works_again",
            connection,
            class,
            "HubSpot carries calls out again"
        );
    }
}

/// Emergency stops were put in force, or ended.
#[derive(Debug)]
pub struct KillsInForce {
    version: u64,
    counts: [(KillKind, usize); 6],
}

impl KillsInForce {
    /// What is in force now. Whom a stop names stands in the audit log.
    pub fn of(kills: &Kills) -> Self {
        Self {
            version: kills.version,
            counts: KillKind::ALL.map(|kind| (kind, kills.count(kind))),
        }
    }

    /// Writes a line; the series are set with the flags.
    pub fn emit(&self) {
        let in_force: usize = self.counts.iter().map(|(_, count)| count).sum();
        let kinds: Vec<&str> = self
            .counts
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(kind, _)| kind.as_str())
            .collect();
        let (version, kinds) = (self.version, kinds.join(" "));
        tracing::warn!(
            event = "kills.in_force",
            version,
            in_force,
            kinds,
            "emergency stops changed"
        );
    }
}

/// Something about the people behind credentials is to be acted upon.
#[derive(Debug)]
pub struct FindingBegan<'a> {
    /// What an operator acknowledges it by.
    pub id: i64,
    /// The word of its kind.
    pub kind: &'a str,
    /// Connection, portal, integrations and what they last did, as JSON. Not the person: addresses
    /// are for who asks, `scopegate people list`.
    pub detail: &'a str,
}

impl FindingBegan<'_> {
    /// Writes a warning, once.
    pub fn emit(&self) {
        let (finding, kind, detail) = (self.id, self.kind, self.detail);
        tracing::warn!(finding, kind, detail, "a finding: see `scopegate people list`");
    }
}

/// It is over.
#[derive(Debug)]
pub struct FindingEnded<'a> {
    /// Which.
    pub id: i64,
    /// The word of its kind.
    pub kind: &'a str,
    /// As it was when it began.
    pub detail: &'a str,
}

impl FindingEnded<'_> {
    /// Writes a line, once.
    pub fn emit(&self) {
        let (finding, kind, detail) = (self.id, self.kind, self.detail);
        tracing::info!(finding, kind, detail, "a finding is over");
    }
}

/// Policies or configuration were reloaded.
#[derive(Debug)]
pub struct Reloaded<'a> {
    /// When it took effect.
    pub time: Timestamp,
    /// Digest of the policies in force now.
    pub digest: &'a str,
    /// Version of the snapshot.
    pub snapshot: u64,
    /// Policies that are in force.
    pub policies: usize,
    /// Mistakes that were found; what they stand in kept its previous version.
    pub mistakes: usize,
}

impl Reloaded<'_> {
    /// Says so, and sets the series of reloads.
    pub fn emit(&self, metrics: &Metrics) {
        metrics.set_reload(self.mistakes == 0, self.time);
        let (digest, snapshot, policies, mistakes) =
            (self.digest, self.snapshot, self.policies, self.mistakes);
        if mistakes == 0 {
            tracing::info!(digest, snapshot, policies, "policies loaded");
        } else {
            tracing::error!(
                digest,
                snapshot,
                policies,
                mistakes,
                "policies loaded with mistakes: run `scopegate policy check`"
            );
        }
    }
}

/// The store could not be used.
pub struct StoreFailed<'a> {
    /// What was wanted.
    pub op: StoreOp,
    /// The store's words; never a value.
    pub detail: &'a dyn Display,
}

impl StoreFailed<'_> {
    /// Counts it and writes an error, within the budget.
    pub fn emit(&self, metrics: &Metrics) {
        metrics.store_error(self.op);
        if let Some(withheld) = metrics.store_lines.spend(Timestamp::now()) {
            tracing::error!(op = self.op.as_str(), detail = %self.detail, withheld, "the store could not be used");
        }
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
        if let Some(withheld) = metrics.audit_lines.spend(Timestamp::now()) {
            tracing::error!(request.id = %self.id, why = %self.why, withheld, "a request was refused: it could not be recorded");
        }
    }
}

/// The gate goes down.
#[derive(Debug)]
pub struct Draining {
    /// Requests whose answers have not ended.
    pub in_flight: i64,
    /// How long they may take.
    pub grace: Duration,
}

impl Draining {
    /// Writes a line.
    pub fn emit(&self) {
        let (in_flight, grace_s) = (self.in_flight, self.grace.as_secs());
        tracing::info!(in_flight, grace_s, "going down: requests in flight may end");
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::effect::Effect;
    use crate::access::refusal::Reason;
    use crate::access::verdict::{Source, Verdict};
    use crate::metrics::MetricsBounds;

    #[test]
    fn each_event_counts_what_it_tells() {
        let bounds = MetricsBounds {
            series: 100,
            connections: 1,
        };
        let metrics = Metrics::new(bounds).unwrap();
        let worker = metrics.worker();
        let id = Uuid::new_v4();
        let labels = RequestLabels {
            integration: Some("a"),
            operation: Some("crm.objects.list"),
            effect: Some(Effect::Read),
            verdict: Verdict::Deny,
            reason: Reason::NoRule,
        };
        RequestDecided {
            id,
            labels,
            rule: None,
        }
        .emit(&worker);
        let answer = AnswerLabels {
            integration: Some("a"),
            effect: Some(Effect::Read),
            status: 403,
            source: Source::Gate,
            duration: Duration::from_millis(1),
            gate: Duration::from_millis(1),
        };
        RequestEnded { id, answer }.emit(&worker);
        UpstreamForbade {
            id,
            integration: "a",
            connection: "acme",
            operation: None,
            forbidden: &Forbidden::too_long(),
        }
        .emit(&worker);
        PropertiesStripped {
            id,
            integration: "a",
            values: 2,
        }
        .emit(&worker);
        let (kind, detail) = (UpstreamErrorKind::Closed, &"gone");
        UpstreamFailed {
            id: Some(id),
            kind,
            detail,
        }
        .emit(&metrics);
        StoreFailed {
            op: StoreOp::Poll,
            detail,
        }
        .emit(&metrics);
        let refreshed = TokenRefreshed {
            connection: "acme",
            app: Some("marketing"),
            result: RefreshResult::Rotated,
            duration: Duration::from_millis(90),
            window: None,
        };
        refreshed.emit(&metrics);
        let reloaded = Reloaded {
            time: Timestamp::UNIX_EPOCH,
            digest: "sha256:p",
            snapshot: 2,
            policies: 1,
            mistakes: 1,
        };
        reloaded.emit(&metrics);
        let text = metrics.render().unwrap();
        for line in [
            r#"scopegate_requests_total{decision="deny",effect="read",integration="a",operation="crm.objects.list",reason="no_rule"} 1"#,
            r#"scopegate_responses_total{code="403",effect="read",integration="a",source="gate"} 1"#,
            r#"scopegate_forbidden_total{cause="unknown",integration="a"} 1"#,
            r#"scopegate_properties_stripped_total{integration="a"} 2"#,
            r#"scopegate_upstream_errors_total{kind="closed"} 1"#,
            r#"scopegate_store_errors_total{op="poll"} 1"#,
            r#"scopegate_token_refreshes_total{app="marketing",result="rotated"} 1"#,
            "scopegate_config_last_reload_successful 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
