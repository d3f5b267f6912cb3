//! What is worth noting, as structs: `emit` writes the log line and the metrics, so that the code
//! that notices stays clean and this folder is the catalogue.
//!
//! Every field is a word or a name of ours. Deliberately absent: paths, bodies, messages of the
//! upstream, anything a client wrote.

mod admin;
mod connections;
mod gate;
mod people;
mod requests;
mod tokens;
mod upstream;

use std::time::Duration;

pub use admin::AdminAnswered;
pub use connections::{ConnectionChanged, ConnectionFailing, ConnectionWorks, KillsInForce};
pub use gate::{ClockJumped, Draining, Reloaded, StoreFailed};
pub use people::{FindingBegan, FindingEnded, FindingsWithheld, InstallMoved, InstallRefused};
pub use requests::{AuditRefusedRequest, PropertiesStripped, RequestDecided, RequestEnded};
pub use tokens::{RefreshFailure, RotationFound, TokenEndpoint, TokenRefreshed};
pub use upstream::{BreakerTurned, TokenEchoed, UpstreamFailed, UpstreamForbade, UpstreamRetried};

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::access::effect::Effect;
    use crate::access::refusal::Reason;
    use crate::access::verdict::{Source, Verdict};
    use crate::hubspot::forbidden::Forbidden;
    use crate::metrics::{
        AnswerLabels, Metrics, MetricsBounds, RefreshCause, RefreshResult, RequestLabels, StoreOp,
        UpstreamErrorKind,
    };

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
            failure: None,
            duration: Duration::from_millis(90),
            window: None,
        };
        refreshed.emit(&metrics);
        let failed = TokenRefreshed {
            result: RefreshResult::Transient,
            failure: Some(RefreshCause::Timeout.into()),
            ..refreshed
        };
        failed.emit(&metrics);
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
            r#"scopegate_token_refreshes_total{app="marketing",result="transient"} 1"#,
            r#"scopegate_token_refresh_failures_total{cause="timeout"} 1"#,
            r#"scopegate_token_refresh_failures_total{cause="store"} 0"#,
            "scopegate_config_last_reload_successful 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
