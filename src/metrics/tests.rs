//! What `/metrics` says, against the contract.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::access::connection::Standing;
use crate::access::effect::Effect;
use crate::access::installer::Installer;
use crate::access::kill::KillKind;
use crate::access::refusal::Reason;
use crate::access::verdict::{Source, Verdict};

const BOUNDS: MetricsBounds = MetricsBounds {
    series: 20_000,
    connections: 2,
};

/// Name, kind and labels as in the contract, without the parts that do not exist yet.
const CONTRACT: &[(&str, &str, &str)] = &[
    (
        "scopegate_requests_total",
        "counter",
        "decision,effect,integration,operation,reason",
    ),
    (
        "scopegate_responses_total",
        "counter",
        "code,effect,integration,source",
    ),
    ("scopegate_request_duration_seconds", "histogram", "integration"),
    ("scopegate_gate_duration_seconds", "histogram", ""),
    ("scopegate_client_connections", "gauge", "state"),
    ("scopegate_client_connections_ended_total", "counter", "why"),
    ("scopegate_upstream_errors_total", "counter", "kind"),
    ("scopegate_forbidden_total", "counter", "cause,integration"),
    ("scopegate_properties_stripped_total", "counter", "integration"),
    ("scopegate_token_refreshes_total", "counter", "app,result"),
    ("scopegate_token_refresh_failures_total", "counter", "cause"),
    (
        "scopegate_installer_alerts_total",
        "counter",
        "installer,integration",
    ),
    ("scopegate_findings", "gauge", "kind"),
    ("scopegate_connections", "gauge", "app,state"),
    ("scopegate_connection_state", "gauge", "connection,state"),
    ("scopegate_token_expires_timestamp_seconds", "gauge", "connection"),
    (
        "scopegate_connection_last_refresh_timestamp_seconds",
        "gauge",
        "connection",
    ),
    ("scopegate_connection_health", "gauge", "class,connection"),
    ("scopegate_connections_failing", "gauge", "app,class"),
    ("scopegate_connections_rotation_due", "gauge", "app"),
    ("scopegate_policy_invalid", "gauge", "integration"),
    (
        "scopegate_policy_expires_timestamp_seconds",
        "gauge",
        "integration",
    ),
    ("scopegate_key_expires_timestamp_seconds", "gauge", "integration"),
    ("scopegate_config_last_reload_successful", "gauge", ""),
    (
        "scopegate_config_last_reload_success_timestamp_seconds",
        "gauge",
        "",
    ),
    ("scopegate_policy_info", "gauge", "digest"),
    ("scopegate_catalogue_info", "gauge", "digest"),
    ("scopegate_killed", "gauge", "kind"),
    ("scopegate_hardening", "gauge", "measure"),
    ("scopegate_audit_records_total", "counter", "result"),
    ("scopegate_audit_oldest_unwritten_seconds", "gauge", ""),
    ("scopegate_store_errors_total", "counter", "op"),
    ("scopegate_admin_requests_total", "counter", "result"),
    ("scopegate_clock_jumps_total", "counter", "direction"),
    ("scopegate_inflight_requests", "gauge", ""),
    ("scopegate_upstream_connections", "gauge", "state"),
    ("scopegate_upstream_reuse_ratio", "gauge", ""),
    ("scopegate_upstream_retries_total", "counter", "result,why"),
    ("scopegate_upstream_breaker_state", "gauge", "state"),
    ("scopegate_upstream_breaker_opened_total", "counter", ""),
    ("scopegate_build_info", "gauge", "version"),
];

fn metrics() -> Arc<Metrics> {
    Metrics::new(BOUNDS).unwrap()
}

fn request<'a>(
    integration: &'a str,
    operation: &'a str,
    verdict: Verdict,
    reason: Reason,
) -> RequestLabels<'a> {
    RequestLabels {
        integration: Some(integration),
        operation: Some(operation),
        effect: Some(Effect::Read),
        verdict,
        reason,
    }
}

fn answer(status: u16) -> AnswerLabels<'static> {
    AnswerLabels {
        integration: Some("contact-report"),
        effect: Some(Effect::Read),
        status,
        source: Source::Upstream,
        duration: std::time::Duration::from_millis(80),
        gate: std::time::Duration::from_micros(40),
    }
}

/// Everything has happened once.
fn busy() -> Arc<Metrics> {
    let metrics = metrics();
    let worker = metrics.worker();
    worker.decided(&request(
        "contact-report",
        "crm.objects.list",
        Verdict::Allow,
        Reason::None,
    ));
    worker.answered(&answer(200));
    worker.forbidden("contact-report", ForbiddenCause::Tier);
    worker.stripped("contact-report", 3);
    worker.installer_alert("contact-report", Installer::Gone);
    let now = jiff::Timestamp::from_second(1_800_000_000).unwrap();
    metrics.token_refresh(None, RefreshResult::Ok);
    metrics.set_hardening("calls", true);
    metrics.set_connections(&[ConnectionSample {
        connection: "acme",
        app: None,
        state: "ok",
        token_expires: Some(now),
    }]);
    metrics.set_connection_health(&[HealthSample {
        connection: "acme",
        app: None,
        read_fails: false,
        write_fails: true,
        last_refresh: Some(now),
    }]);
    metrics.set_rotation_due([(None, true)]);
    metrics.set_policies(
        "sha256:p",
        &[PolicySample {
            integration: "contact-report",
            invalid: false,
            expires: Some(now),
        }],
    );
    metrics.set_catalogue("sha256:c");
    metrics.set_keys(&[KeySample {
        integration: "contact-report",
        expires: now,
    }]);
    metrics.set_reload(true, now);
    metrics.set_upstream_leases(4, 3);
    metrics
}

/// Name → (type, labels of its samples) as a scraper reads them.
fn families(text: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut families: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            families.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        } else if !line.starts_with('#') {
            let (series, _) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end).filter(|base| families.contains_key(*base)))
                .unwrap_or(name);
            let names = labels
                .trim_end_matches('}')
                .split("\",")
                .filter(|l| !l.is_empty());
            let names = names.map(|label| label.split('=').next().unwrap().to_owned());
            let family = families
                .get_mut(base)
                .unwrap_or_else(|| panic!("no TYPE for {name}"));
            family.1.extend(names.filter(|name| name != "le"));
        }
    }
    families
}

#[test]
fn metrics_are_those_of_the_contract_by_name_kind_and_labels() {
    let families = families(&busy().render().unwrap());
    let found: Vec<_> = families
        .iter()
        .map(|(name, (kind, labels))| {
            let labels: Vec<_> = labels.iter().map(String::as_str).collect();
            (name.clone(), kind.clone(), labels.join(","))
        })
        .collect();
    let mut expected: Vec<_> = CONTRACT
        .iter()
        .map(|(name, kind, labels)| ((*name).to_owned(), (*kind).to_owned(), (*labels).to_owned()))
        .collect();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn the_reuse_ratio_is_the_part_of_requests_that_found_an_open_connection() {
    let text = busy().render().unwrap();
    assert!(text.contains("scopegate_upstream_reuse_ratio 0.75\n"), "{text}");
}

#[test]
fn names_follow_the_conventions_of_prometheus() {
    let text = busy().render().unwrap();
    for (name, (kind, _)) in families(&text) {
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
        assert!(
            !["_ms", "_millis", "_bytes_total_seconds"]
                .iter()
                .any(|end| name.ends_with(end)),
            "{name}"
        );
        let help = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("# HELP {name} ")));
        assert!(
            help.is_some_and(|help| help.len() > 10 && help.ends_with('.')),
            "{name}: {help:?}"
        );
    }
}

#[test]
fn a_scrape_shows_what_was_counted_before_it_by_every_worker() {
    let metrics = metrics();
    let counted = request("a", "crm.objects.list", Verdict::Allow, Reason::None);
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let worker = metrics.worker();
            std::thread::spawn(move || {
                for _ in 0..1000 {
                    worker.decided(&counted);
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    let line = r#"scopegate_requests_total{decision="allow",effect="read",integration="a",operation="crm.objects.list",reason="none"} 4000"#;
    let text = metrics.render().unwrap();
    assert!(text.lines().any(|found| found == line), "{text}");
}

#[test]
fn refused_requests_and_unknown_callers_never_name_an_operation_or_an_integration() {
    let metrics = metrics();
    let worker = metrics.worker();
    worker.decided(&request(
        "a",
        "crm.objects.list",
        Verdict::Refuse,
        Reason::RefusedBody,
    ));
    worker.decided(&RequestLabels {
        integration: None,
        operation: None,
        effect: None,
        verdict: Verdict::Deny,
        reason: Reason::KeyUnknown,
    });
    let text = metrics.render().unwrap();
    for line in [
        r#"scopegate_requests_total{decision="refuse",effect="read",integration="a",operation="other",reason="refused_body"} 1"#,
        r#"scopegate_requests_total{decision="deny",effect="-",integration="-",operation="other",reason="key_unknown"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
}

fn series_of_requests(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| line.starts_with("scopegate_requests_total{"))
        .collect()
}

#[test]
fn the_bound_on_series_holds_and_no_request_is_lost() {
    let metrics = Metrics::new(MetricsBounds {
        series: 100,
        connections: 0,
    })
    .unwrap();
    let workers = [metrics.worker(), metrics.worker()];
    let mut counted = 0;
    for integration in 0..50 {
        for operation in 0..50 {
            for worker in &workers {
                let (integration, operation) = (format!("i{integration}"), format!("o{operation}"));
                worker.decided(&request(&integration, &operation, Verdict::Allow, Reason::None));
                counted += 1;
            }
        }
    }
    let text = metrics.render().unwrap();
    let series = series_of_requests(&text);
    assert!(series.len() <= 100, "{}", series.len());
    let sum: u64 = series
        .iter()
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
        .sum();
    assert_eq!(sum, counted);
    assert!(series.iter().any(|line| line.contains(r#"operation="other""#)));
    // A series that exists goes on counting under its own name.
    let before = series
        .iter()
        .find(|line| line.contains(r#"integration="i0",operation="o0""#))
        .unwrap()
        .to_string();
    workers[0].decided(&request("i0", "o0", Verdict::Allow, Reason::None));
    let text = metrics.render().unwrap();
    assert!(!text.contains(&before));
    assert!(text.contains(r#"integration="i0",operation="o0",reason="none"} 3"#));
}

#[test]
fn a_status_that_is_none_is_one_label() {
    let metrics = metrics();
    let worker = metrics.worker();
    for status in [0, 7, 600, 999, 65535] {
        worker.answered(&answer(status));
    }
    worker.answered(&answer(477));
    let text = metrics.render().unwrap();
    let codes: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("scopegate_responses_total"))
        .collect();
    assert_eq!(codes.len(), 2, "{codes:?}");
    assert!(
        codes
            .iter()
            .any(|line| line.contains(r#"code="other""#) && line.ends_with(" 5"))
    );
}

#[test]
fn what_is_gone_has_no_series_and_many_connections_have_none_of_their_own() {
    let metrics = busy();
    metrics.set_policies("sha256:q", &[]);
    metrics.set_keys(&[]);
    let many: Vec<_> = ["a", "b", "c"]
        .into_iter()
        .map(|connection| ConnectionSample {
            connection,
            app: Some("marketing"),
            state: "ok",
            token_expires: None,
        })
        .collect();
    metrics.set_connections(&many);
    let text = metrics.render().unwrap();
    assert!(!text.contains("sha256:p") && text.contains("sha256:q"));
    assert!(!text.contains("scopegate_key_expires_timestamp_seconds{"));
    assert!(text.contains(r#"scopegate_connections{app="marketing",state="ok"} 3"#));
    assert!(!text.contains("scopegate_connection_state{"));
}

#[test]
fn requests_in_flight_are_counted_until_their_guard_goes() {
    let metrics = metrics();
    let worker = metrics.worker();
    let guard = worker.in_flight();
    assert!(
        metrics
            .render()
            .unwrap()
            .contains("scopegate_inflight_requests 1")
    );
    drop(guard);
    assert!(
        metrics
            .render()
            .unwrap()
            .contains("scopegate_inflight_requests 0")
    );
}

#[test]
fn a_hook_is_asked_at_each_scrape() {
    let metrics = metrics();
    metrics.before_scrape(|metrics| metrics.set_catalogue("sha256:fresh"));
    assert!(metrics.render().unwrap().contains("sha256:fresh"));
}

#[test]
fn every_word_of_the_program_is_explained_and_no_other() {
    let mut program: Vec<(&str, &str)> = Vec::new();
    program.extend(Reason::ALL.iter().map(|word| ("reason", word.as_str())));
    program.extend(
        UpstreamErrorKind::ALL
            .iter()
            .map(|word| (UpstreamErrorKind::SET, word.as_str())),
    );
    program.extend(
        ForbiddenCause::ALL
            .iter()
            .map(|word| (ForbiddenCause::SET, word.as_str())),
    );
    program.extend(
        ForbiddenDetail::ALL
            .iter()
            .map(|word| (ForbiddenDetail::SET, word.as_str())),
    );
    program.extend(
        RefreshResult::ALL
            .iter()
            .map(|word| (RefreshResult::SET, word.as_str())),
    );
    program.extend(
        RefreshCause::ALL
            .iter()
            .map(|word| (RefreshCause::SET, word.as_str())),
    );
    program.extend(StoreOp::ALL.iter().map(|word| (StoreOp::SET, word.as_str())));
    program.extend(ClockJump::ALL.iter().map(|word| (ClockJump::SET, word.as_str())));
    program.extend(
        AuditResult::ALL
            .iter()
            .map(|word| (AuditResult::SET, word.as_str())),
    );
    program.extend(ClientEnd::ALL.iter().map(|word| (ClientEnd::SET, word.as_str())));
    program.extend(
        AdminResult::ALL
            .iter()
            .map(|word| (AdminResult::SET, word.as_str())),
    );
    program.extend(
        UpstreamConnection::ALL
            .iter()
            .map(|word| (UpstreamConnection::SET, word.as_str())),
    );
    program.extend(
        BreakerState::ALL
            .iter()
            .map(|word| (BreakerState::SET, word.as_str())),
    );
    program.extend(RetryWhy::ALL.iter().map(|word| (RetryWhy::SET, word.as_str())));
    program.extend(
        RetryResult::ALL
            .iter()
            .map(|word| (RetryResult::SET, word.as_str())),
    );
    program.extend(
        Standing::ALL
            .iter()
            .map(|word| ("connection_state", word.as_str())),
    );
    program.extend(KillKind::ALL.iter().map(|word| (KillKind::SET, word.as_str())));
    program.extend(
        FindingKind::ALL
            .iter()
            .map(|word| (FindingKind::SET, word.as_str())),
    );
    let table = include_str!("../../catalogue/reasons.tsv");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .skip(2)
        .map(|line| line.split('\t').collect())
        .collect();
    for row in &rows {
        assert_eq!(row.len(), 4, "{row:?}");
        assert!(row[2].len() > 5, "{row:?} explains nothing");
    }
    let table: Vec<_> = rows.iter().map(|row| (row[0], row[1])).collect();
    assert_eq!(table, program);
}
