//! Faults of the token endpoint: calls are told to come again, HubSpot is not asked more often for it, and
//! the grant is kept.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::place::{Credential, Got, Place, SHORT};
use crate::script::{Act, json};

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
}

impl Fault {
    const fn new(fault: &'static str, call: &'static str, result: &'static str) -> Self {
        Self { fault, call, result }
    }

    /// The row as the README has it.
    pub fn markdown(&self) -> String {
        format!("| {} | {} | `{}` |", self.fault, self.call, self.result)
    }
}

#[rustfmt::skip]
pub const FAULTS: [Fault; 8] = [
    Fault::new("it never answers",                               "503", "transient"),
    Fault::new("it takes the question and closes",               "503", "transient"),
    Fault::new("it answers 200 with a web page",                 "503", "transient"),
    Fault::new("it answers 200 with JSON that has no token",     "503", "transient"),
    Fault::new("its answer is longer than 256 KiB",              "503", "transient"),
    Fault::new("it answers 500",                                 "503", "transient"),
    Fault::new("it answers 429",                                 "503", "transient"),
    Fault::new("its `expires_in` is negative",                   "200", "ok"),
];

fn acts() -> [Act; 7] {
    let long = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(300 * 1024));
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>please sign in";
    [
        Act::Hang(Vec::new()),
        Act::Close(Vec::new()),
        Act::Close(page.into()),
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
        "| {:<42} | {:<4} | {:<20} | {:<9} | {:<8} | {:<7} | {:<8} |",
        "fault of the token endpoint", "call", "subCategory", "result", "asked", "longest", "recovers"
    );
    for (fault, act) in FAULTS.iter().zip(acts()) {
        meet(&place, fault, act).await;
    }
    let negative = &FAULTS[7];
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
    for _ in 0..CALLS {
        assert_eq!(place.read().await.word(), "200");
    }
    assert!(place.upstream.token_count() <= 1, "not a refresh a call");
}

async fn meet(place: &Place, fault: &Fault, act: Act) {
    let log = place.gate.log().len();
    let before = refreshes(place, fault.result).await;
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
    let begun = Instant::now();
    let calls = join_all((0..CALLS).map(|_| place.read())).await;
    let longest = begun.elapsed();
    for call in &calls {
        let Got::Whole(reply) = call else {
            panic!("{}: {call:?}", fault.fault);
        };
        assert_eq!(reply.status.to_string(), fault.call, "{}: {reply:?}", fault.fault);
        assert_eq!(reply.sub_category(), "scopegate.credential", "{}", fault.fault);
        let wait: u32 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{}: {reply:?}", fault.fault);
    }
    assert!(longest < Duration::from_secs(15), "{}: {longest:?}", fault.fault);
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
    place.upstream.token(Act::Good, "1");
    let recovered = place.recovers().await;
    let wanted = before + 1.0;
    place
        .until("it is counted", async |place| {
            refreshes(place, fault.result).await >= wanted
        })
        .await;
    let log = place.gate.log()[log..].to_owned();
    assert!(log.contains("token not refreshed"), "{}: {log}", fault.fault);
    assert!(!log.contains("connection.dead"), "{}: {log}", fault.fault);
    println!(
        "| {:<42} | {:<4} | {:<20} | {:<9} | {:>2} for {:<2} | {:>5.1} s | {:>6.2} s |",
        fault.fault,
        fault.call,
        "scopegate.credential",
        fault.result,
        asked,
        CALLS + 1,
        longest.as_secs_f64(),
        recovered.as_secs_f64()
    );
}
