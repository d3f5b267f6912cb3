//! Faults of the token endpoint: calls are told to come again, HubSpot is not asked more often for it, and
//! the grant is kept.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use crate::place::{ALLOWANCE, Credential, Got, Place, SHORT, timed, wait};
use crate::script::{Act, Door, html, json};

/// Calls that meet each fault at once.
const CALLS: usize = 8;

/// Most questions to the token endpoint while they do: one a second, and what was under way.
const ASKED_MOST: usize = 5;

/// One fault.
pub struct Fault {
    fault: &'static str,
    /// What a call gets.
    call: &'static str,
    /// `result` of `scopegate_token_refreshes_total`.
    result: &'static str,
    /// `cause` of `scopegate_token_refresh_failures_total` and of the log line; empty: no failure.
    cause: &'static str,
    /// `status` of the log line, if the endpoint refused.
    status: Option<u16>,
    /// The limit that ends it, of those in `place::SHORT`; empty: calls are answered at once.
    ended_by: &'static str,
}

impl Fault {
    const fn new(fault: &'static str, call: &'static str, result: &'static str, cause: &'static str) -> Self {
        Self {
            fault,
            call,
            result,
            cause,
            status: None,
            ended_by: "",
        }
    }

    const fn said_by(self, status: u16) -> Self {
        Self {
            status: Some(status),
            ..self
        }
    }

    const fn ended_by(self, limit: &'static str) -> Self {
        Self {
            ended_by: limit,
            ..self
        }
    }

    /// The row as the README has it.
    pub fn markdown(&self) -> String {
        let cause = match self.cause {
            "" => String::new(),
            cause => format!("`{cause}`"),
        };
        format!("| {} | {} | `{}` | {cause} |", self.fault, self.call, self.result)
    }
}

#[rustfmt::skip]
pub const FAULTS: [Fault; 10] = [
    Fault::new("it never answers",                               "503", "transient", "timeout").ended_by("token_wait"),
    Fault::new("it takes the question and closes",               "503", "transient", "closed"),
    Fault::new("it closes in the middle of its answer",          "503", "transient", "closed"),
    Fault::new("it does not say how long its answer is",         "503", "transient", "protocol"),
    Fault::new("it answers 200 with a web page",                 "503", "transient", "not_json"),
    Fault::new("it answers 200 with JSON that has no token",     "503", "transient", "no_token"),
    Fault::new("its answer is longer than 256 KiB",              "503", "transient", "too_large"),
    Fault::new("it answers 500",                                 "503", "transient", "server_error").said_by(500),
    Fault::new("it answers 429",                                 "503", "transient", "rate_limited").said_by(429),
    Fault::new("its `expires_in` is negative",                   "200", "ok",        ""),
];

fn acts() -> [Act; 9] {
    let long = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(300 * 1024));
    let endless =
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>please sign in";
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 900\r\nConnection: close\r\n\r\n{\"access_token\":";
    [
        Act::Hang(Vec::new()),
        Act::Close(Vec::new()),
        Act::Close(cut.into()),
        Act::Close(endless.into()),
        Act::Answer(html("200 OK")),
        Act::Answer(json("200 OK", "", r#"{"status":"ok"}"#)),
        Act::Answer(json("200 OK", "", &long)),
        Act::Answer(json("500 Internal Server Error", "", r#"{"status":"error"}"#)),
        Act::Answer(json(
            "429 Too Many Requests",
            "Retry-After: 1\r\n",
            r#"{"status":"error"}"#,
        )),
    ]
}

async fn failures(place: &Place, cause: &str) -> f64 {
    let labels = format!("{{cause=\"{cause}\"}}");
    place
        .sample("scopegate_token_refresh_failures_total", &labels)
        .await
}

async fn refreshes(place: &Place, result: &str) -> f64 {
    let labels = format!("{{app=\"marketing\",result=\"{result}\"}}");
    place.sample("scopegate_token_refreshes_total", &labels).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_the_token_endpoint_is_told_as_a_wait_and_loses_no_grant() {
    let place = Place::with(SHORT, Credential::Grant, None).await;
    place.upstream.token(Act::Good, "1");
    place.recovers().await;
    println!(
        "| {:<42} | {:<4} | {:<20} | {:<9} | {:<12} | {:<8} | {:<7} | {:<8} |",
        "fault of the token endpoint",
        "call",
        "subCategory",
        "result",
        "cause",
        "asked",
        "longest",
        "recovers"
    );
    for (fault, act) in FAULTS.iter().zip(acts()) {
        meet(&place, fault, act).await;
    }
    let negative = &FAULTS[9];
    let before = refreshes(&place, negative.result).await;
    place.upstream.token(Act::Good, "-1");
    // The next refresh brings it; from then on the token counts for a while.
    place
        .until("a token of negative life is used", async |place| {
            assert_eq!(place.read().await.word(), negative.call, "{}", negative.fault);
            refreshes(place, negative.result).await > before
        })
        .await;
    place.upstream.forget();
    let mut longest = Duration::ZERO;
    for _ in 0..CALLS {
        assert_eq!(timed(&mut longest, place.read()).await.word(), "200");
    }
    in_time_and_by_no_more_connections_than_requests(&place, negative, longest);
    assert!(place.upstream.token_count() <= 1, "not a refresh a call");
}

async fn meet(place: &Place, fault: &Fault, act: Act) {
    let log = place.gate.log().len();
    let before = refreshes(place, fault.result).await;
    let caused = failures(place, fault.cause).await;
    place.upstream.forget();
    place.upstream.token(act, "1");
    let mut passed = 0;
    place
        .until("the token runs out", async |place| {
            let has_one = place.read().await.word() == "200";
            passed += usize::from(has_one);
            !has_one
        })
        .await;
    let mut longest = Duration::ZERO;
    let calls = timed(&mut longest, join_all((0..CALLS).map(|_| place.read()))).await;
    for call in &calls {
        let Got::Whole(reply) = call else {
            panic!("{}: {call:?}", fault.fault);
        };
        assert_eq!(reply.status.to_string(), fault.call, "{}: {reply:?}", fault.fault);
        assert_eq!(reply.sub_category(), "scopegate.credential", "{}", fault.fault);
        let wait: u32 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{}: {reply:?}", fault.fault);
    }
    in_time_and_by_no_more_connections_than_requests(place, fault, longest);
    let asked = place.upstream.token_count();
    assert!(
        (1..=ASKED_MOST).contains(&asked),
        "{}: {asked} questions for {CALLS} calls",
        fault.fault
    );
    assert_eq!(
        place.upstream.count("GET"),
        passed,
        "{}: no call goes up without a token that lives",
        fault.fault
    );
    // An end to the fault would end a silence some other way.
    place
        .until("the cause is counted", async |place| {
            failures(place, fault.cause).await > caused
        })
        .await;
    place.upstream.token(Act::Good, "1");
    let recovered = place.recovers().await;
    let wanted = before + 1.0;
    place
        .until("it is counted", async |place| {
            refreshes(place, fault.result).await >= wanted
        })
        .await;
    let failed = refreshes(place, fault.result).await - before;
    let caused = failures(place, fault.cause).await - caused;
    assert_eq!(caused, failed, "{}: each failure has its cause", fault.fault);
    let log = place.gate.log()[log..].to_owned();
    let lines = failed_lines(&log);
    assert!(!lines.is_empty(), "{}: {log}", fault.fault);
    for line in &lines {
        assert_eq!(line["cause"], fault.cause, "{}: {line}", fault.fault);
        assert_eq!(line["status"].as_u64(), fault.status.map(u64::from), "{line}");
    }
    assert!(!log.contains("connection.dead"), "{}: {log}", fault.fault);
    for sent in ["please sign in", "Bad gateway"] {
        assert!(!log.contains(sent), "what it sent stands nowhere: {log}");
    }
    println!(
        "| {:<42} | {:<4} | {:<20} | {:<9} | {:<12} | {:>2} for {:<2} | {:>5.1} s | {:>6.2} s |",
        fault.fault,
        fault.call,
        "scopegate.credential",
        fault.result,
        fault.cause,
        asked,
        CALLS + 1,
        longest.as_secs_f64(),
        recovered.as_secs_f64()
    );
}

fn in_time_and_by_no_more_connections_than_requests(place: &Place, fault: &Fault, longest: Duration) {
    let most = wait(fault.ended_by) + ALLOWANCE;
    assert!(longest < most, "{}: {longest:?}, not {most:?}", fault.fault);
    let (made, seen) = (place.upstream.connections(), place.upstream.seen().len());
    // Each question has one of its own, and the next one's may stand before it is read.
    assert!(
        made <= seen + 1,
        "{}: {made} connections for {seen} requests",
        fault.fault
    );
}

/// The lines about refreshes that failed, whatever the cause.
fn failed_lines(log: &str) -> Vec<Value> {
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| {
            let said = line["message"].as_str().unwrap_or_default();
            said.starts_with("token not refreshed")
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_that_nobody_reaches_is_named_by_what_failed() {
    let mut place = Place::with(SHORT, Credential::Grant, None).await;
    place.upstream.token(Act::Good, "1");
    place.recovers().await;
    place.upstream.door(Door::Shut).await;
    place
        .until("refreshes are held back", async |place| {
            let _ = place.read().await;
            place.gate.log().contains("token_endpoint.down")
        })
        .await;
    assert!(failures(&place, "connect").await > 0.0);
    let log = place.gate.log();
    let lines = failed_lines(&log);
    let unreached = |line: &Value| line["cause"] == "connect" && line["status"].is_null();
    // The one that was under way when the door was shut may say something else.
    assert!(lines.iter().any(unreached), "{log}");
    let down = log.lines().find(|line| line.contains("token_endpoint.down"));
    let down: Value = serde_json::from_str(down.unwrap()).unwrap();
    assert!(unreached(&down), "{down}");
    place.upstream.door(Door::Open).await;
    place.recovers().await;
}
