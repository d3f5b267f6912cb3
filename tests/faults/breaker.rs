//! What bounds the harm: the breaker, the retry budget, and the places in line.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::certificates::Certificates;
use crate::place::{Credential, Got, Place, READ, SHORT};
use crate::script::{Act, Door, Tls, html, json};
use crate::wire::{Wire, get};

/// With these lines in place of the breaker that is switched off.
fn limits(more: &str) -> String {
    SHORT.replace("breaker_failures: 0", more)
}

async fn is_in_state(place: &Place, state: &str) -> bool {
    let labels = format!("{{state=\"{state}\"}}");
    place.sample("scopegate_upstream_breaker_state", &labels).await == 1.0
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_brings_no_answers_is_left_alone_and_taken_up_again_by_one_probe() {
    const CALLS: usize = 60;
    const FAILURES: usize = 5;
    let config = limits(&format!(
        "breaker_failures: {FAILURES}, breaker_window: 30s, breaker_pause: 1s"
    ));
    let mut place = Place::new(&config).await;
    place.recovers().await;
    let storms: [(&str, Option<Act>, &str); 3] = [
        (
            "no answer",
            Some(Act::Close(Vec::new())),
            "connections bring no answer of HubSpot's",
        ),
        (
            "an edge's 502",
            Some(Act::Answer(html("502 Bad Gateway"))),
            "connections bring no answer of HubSpot's",
        ),
        ("nobody listens", None, "no connection can be made"),
    ];
    for (storm, act, cause) in storms {
        let log = place.gate.log().len();
        let opened = place.sample("scopegate_upstream_breaker_opened_total", "").await;
        match act {
            Some(act) => place.upstream.act(act),
            None => place.upstream.door(Door::Shut).await,
        }
        place.upstream.forget();
        let begun = Instant::now();
        let (mut tried, mut held, mut waits) = (0, 0, Vec::new());
        for call in 0..CALLS {
            // Writes are held as reads are.
            let got = if call % 4 == 0 {
                place.write().await
            } else {
                place.read().await
            };
            let Got::Whole(reply) = &got else {
                panic!("{storm}: {got:?}")
            };
            match reply.status {
                502 => tried += 1,
                503 => {
                    held += 1;
                    assert_eq!(got.sub_category(), "scopegate.upstream", "{storm}: {reply:?}");
                    assert!(reply.text().contains("nothing was sent"), "{storm}: {reply:?}");
                    waits.push(reply.header("retry-after").unwrap().parse::<u32>().unwrap());
                }
                other => panic!("{storm}: {other}"),
            }
        }
        let took = begun.elapsed();
        // One for each second it took, as a probe.
        let most = FAILURES + 1 + took.as_secs() as usize * 2;
        assert!(
            tried <= most && held >= CALLS - most,
            "{storm}: {tried} tried, {held} held"
        );
        let sent = place.upstream.count("GET") + place.upstream.count("POST");
        assert!(sent <= tried, "{storm}: HubSpot saw {sent} of {tried}");
        assert!(
            waits.iter().all(|wait| (1..=10).contains(wait)),
            "{storm}: {waits:?}"
        );
        assert!(
            waits.iter().any(|wait| wait != &waits[0]),
            "{storm}: all come back at once: {waits:?}"
        );
        let is_held = is_in_state(&place, "open").await || is_in_state(&place, "half_open").await;
        assert!(is_held, "{storm}: {}", place.metrics().await);
        assert!(place.errors("breaker_open").await >= held as f64, "{storm}");
        place.upstream.act(Act::Good);
        place.upstream.door(Door::Open).await;
        let recovered = place.recovers().await;
        assert!(is_in_state(&place, "closed").await, "{storm}");
        let again = place.sample("scopegate_upstream_breaker_opened_total", "").await;
        assert_eq!(again - opened, 1.0, "{storm}");
        let log = place.gate.log()[log..].to_owned();
        for said in ["upstream.breaker_opened", cause, "upstream.breaker_closed"] {
            assert!(log.contains(said), "{storm}: no `{said}` in {log}");
        }
        println!(
            "breaker: {storm}: {tried} of {CALLS} tried, {held} answered at once, {:.2} s for all, {:.2} s to recover",
            took.as_secs_f64(),
            recovered.as_secs_f64()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hubspot_itself_says_never_has_it_left_alone_and_is_never_repeated() {
    const CALLS: usize = 30;
    let place = Place::new(&limits("breaker_failures: 1, breaker_percent: 1")).await;
    place.recovers().await;
    let error = r#"{"status":"error","message":"no"}"#;
    for status in [
        "429 Too Many Requests",
        "500 Internal Server Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "504 Gateway Timeout",
        "404 Not Found",
    ] {
        place.upstream.act(Act::Answer(json(status, "", error)));
        place.upstream.forget();
        let answers = join_all((0..CALLS).map(|_| place.read())).await;
        for got in &answers {
            let Got::Whole(reply) = got else {
                panic!("{status}: {got:?}")
            };
            assert_eq!(&status[..3], reply.status.to_string(), "{reply:?}");
            assert_eq!(reply.header("x-scopegate-source"), Some("upstream"), "{reply:?}");
        }
        assert_eq!(place.upstream.count("GET"), CALLS, "{status}");
        assert!(is_in_state(&place, "closed").await, "{status}");
    }
    for result in ["ok", "failed", "no_budget"] {
        for why in ["unsent", "closed", "unauthorised"] {
            assert_eq!(place.retries(why, result).await, 0.0, "{why} {result}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_reads_lose_their_connections_a_tenth_and_the_reserve_are_repeated() {
    const CALLS: usize = 100;
    const RESERVE: usize = 3;
    let place = Place::new(&limits(&format!("breaker_failures: 0, retry_reserve: {RESERVE}"))).await;
    place.recovers().await;
    place.upstream.act(Act::CloseWhenReused);
    place.upstream.forget();
    let (mut passed, mut failed) = (0, 0);
    for _ in 0..CALLS {
        match place.read().await.word().as_str() {
            "200" => passed += 1,
            "502" => failed += 1,
            other => panic!("{other}"),
        }
    }
    let sent = place.upstream.count("GET");
    let (ok, refused) = (
        place.retries("closed", "ok").await,
        place.retries("closed", "no_budget").await,
    );
    println!(
        "retries: {CALLS} reads, {sent} attempts, {ok} repeated, {refused} over the budget, {passed} passed, {failed} failed"
    );
    assert!(
        sent <= CALLS + CALLS / 10 + RESERVE,
        "{sent} attempts for {CALLS} calls"
    );
    assert!(ok >= RESERVE as f64 && refused == failed as f64 && failed > 0);
    assert!(place.gate.log().contains("upstream.retry_budget"));
    place.upstream.act(Act::Good);
    place.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_bounded_and_so_is_who_waits_for_one() {
    let place = Place::new(&limits(
        "breaker_failures: 0, upstream_connections: 2, upstream_waiting: 3",
    ))
    .await;
    place.recovers().await;
    place.upstream.act(Act::Hang(Vec::new()));
    place.upstream.forget();
    let answers = join_all((0..12).map(|_| place.read())).await;
    let mut words: Vec<(String, String)> = answers
        .iter()
        .map(|got| (got.word(), got.sub_category()))
        .collect();
    words.sort();
    let of = |status: &str, sub: &str| {
        let wanted = (status.to_owned(), sub.to_owned());
        words.iter().filter(|word| **word == wanted).count()
    };
    let (upstream, overloaded) = (of("504", "scopegate.upstream"), of("503", "scopegate.overloaded"));
    assert_eq!(upstream + overloaded, 12, "{words:?}");
    // Two, and those of the three in line who got a place when the first two had given up.
    assert!((2..=5).contains(&upstream), "{words:?}");
    assert_eq!(
        place.upstream.count("GET"),
        upstream,
        "who was turned away was not sent"
    );
    assert!(place.errors("no_connection").await >= overloaded as f64);
    assert!(place.gate.log().contains("\"kind\":\"no_connection\""));
    for got in &answers {
        let Got::Whole(reply) = got else { panic!("{got:?}") };
        assert!(reply.header("retry-after").is_some(), "{reply:?}");
    }
    // In line, served as soon as there is a place.
    place.upstream.act(Act::Keep);
    place.recovers().await;
    let before = place.upstream.connections();
    let served = join_all((0..5).map(|_| place.read())).await;
    assert!(served.iter().all(|got| got.word() == "200"), "{served:?}");
    assert!(place.upstream.connections() - before <= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_accounts_trouble_never_stops_another() {
    let config = limits("breaker_failures: 5, breaker_window: 60s");
    let place = Place::with(&config, Credential::Two, None).await;
    place.recovers().await;
    assert_eq!(place.read_other().await.word(), "200");
    let edge = html("504 Gateway Timeout");
    for trouble in [Act::Close(Vec::new()), Act::Answer(edge)] {
        place.upstream.act_on(&place.token, trouble);
        for _ in 0..40 {
            let got = place.read().await;
            assert!(matches!(got.word().as_str(), "502" | "504"), "{got:?}");
            assert_eq!(place.read_other().await.word(), "200");
        }
        assert!(is_in_state(&place, "closed").await, "{}", place.gate.log());
    }
    place.upstream.act_on(&place.token, Act::Good);
    place.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_lets_every_attempt_hang_is_not_given_all_of_them_at_once() {
    const CALLS: usize = 16;
    let certificates = Certificates::new();
    let config = limits("breaker_failures: 0, upstream_connecting: 2");
    let mut place = Place::with(&config, Credential::Static, Some(&certificates.ca_pem)).await;
    place.upstream.tls(Tls::On(certificates.good.clone()));
    place.recovers().await;
    place.upstream.door(Door::Mute).await;
    place.upstream.forget();
    let begun = Instant::now();
    let answers = join_all((0..CALLS).map(|_| place.read())).await;
    let longest = begun.elapsed();
    for got in &answers {
        assert!(matches!(got.word().as_str(), "503" | "504"), "{got:?}");
    }
    // Two at once; an end that is still on its way may overlap with the next two beginnings.
    let most = place.upstream.most_open();
    assert!((1..=4).contains(&most), "{most} at once for {CALLS} calls");
    assert!(longest.as_secs() < 15, "{longest:?}");
    assert!(place.errors("no_connection").await >= 1.0);
    place.upstream.door(Door::Open).await;
    place.recovers().await;
}

/// Begins a read, and leaves when its connection is under way.
async fn begin_and_leave(place: &mut Place) {
    let before = place.upstream.connections();
    let mut wire = Wire::open(place.gate.gate).await;
    wire.write(get(READ, &place.key)).await;
    place
        .until("it waits for a connection", async |place| {
            place.upstream.connections() > before
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_nobody_waits_for_long_enough_is_left_alone_all_the_same() {
    const FAILURES: usize = 5;
    let certificates = Certificates::new();
    let config = limits(&format!("breaker_failures: {FAILURES}, breaker_pause: 1s"))
        .replace("connect_wait: 1s", "connect_wait: 3s");
    let mut place = Place::with(&config, Credential::Static, Some(&certificates.ca_pem)).await;
    place.upstream.tls(Tls::On(certificates.good.clone()));
    place.recovers().await;
    place.upstream.door(Door::Mute).await;
    place.upstream.forget();
    for _ in 0..FAILURES {
        begin_and_leave(&mut place).await;
    }
    place
        .until(
            "what was begun for those who left has come to its end",
            async |place| is_in_state(place, "open").await,
        )
        .await;
    assert_eq!(place.errors("abandoned").await, FAILURES as f64);
    let log = place.gate.log();
    for said in ["upstream.breaker_opened", "no connection can be made"] {
        assert!(log.contains(said), "no `{said}` in {log}");
    }
    assert_eq!(place.upstream.connections(), FAILURES);
    // A probe whose client leaves is under way all the same: who comes meanwhile does not begin another.
    place
        .until("a probe is due", async |place| {
            let mut wire = Wire::open(place.gate.gate).await;
            wire.write(get(READ, &place.key)).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            place.upstream.connections() > FAILURES
        })
        .await;
    assert!(is_in_state(&place, "half_open").await);
    assert_eq!(place.read().await.word(), "503");
    assert_eq!(place.upstream.connections(), FAILURES + 1);
    place
        .until("it failed", async |place| is_in_state(place, "open").await)
        .await;
    place.upstream.door(Door::Open).await;
    place.recovers().await;
    assert!(is_in_state(&place, "closed").await, "{}", place.gate.log());
}

/// Sends a read, waits until the upstream has it, and leaves after so long.
async fn ask_and_leave(place: &Place, after: Duration) {
    let before = place.upstream.count("GET");
    let mut wire = Wire::open(place.gate.gate).await;
    wire.write(get(READ, &place.key)).await;
    place
        .until("it went up", async |place| place.upstream.count("GET") > before)
        .await;
    let early = tokio::time::timeout(after, wire.reply()).await;
    assert!(early.is_err(), "{early:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_says_nothing_is_left_alone_though_clients_wait_for_less_than_the_gate_would() {
    const FAILURES: usize = 4;
    let config = limits(&format!(
        "breaker_failures: {FAILURES}, breaker_window: 60s, breaker_pause: 1s"
    ))
    .replace("answer_head_wait: 1s", "answer_head_wait: 30s");
    let place = Place::new(&config).await;
    place.recovers().await;
    place.upstream.act(Act::Hang(Vec::new()));
    place.upstream.forget();
    let is_idle = async |place: &Place| {
        let active = "{state=\"active\"}";
        place.sample("scopegate_upstream_connections", active).await == 0.0
    };
    for _ in 0..3 * FAILURES {
        ask_and_leave(&place, Duration::ZERO).await;
    }
    place.until("all are seen to have left", is_idle).await;
    assert_eq!(
        place.errors("unawaited").await,
        0.0,
        "who leaves early says nothing"
    );
    assert!(is_in_state(&place, "closed").await);
    // A fifth of the wait for an answer, and a little.
    let long = Duration::from_secs(7);
    place.upstream.forget();
    for early in [true, false] {
        let silent = (0..FAILURES / 2).map(|_| ask_and_leave(&place, long));
        join_all(silent).await;
        place.until("they are seen to have left", is_idle).await;
        assert_eq!(is_in_state(&place, "closed").await, early);
    }
    assert!(is_in_state(&place, "open").await);
    assert_eq!(place.errors("unawaited").await, FAILURES as f64);
    assert_eq!(place.errors("abandoned").await, 0.0);
    let log = place.gate.log();
    for said in [
        "upstream.breaker_opened",
        "connections bring no answer of HubSpot's",
        "\"kind\":\"unawaited\"",
    ] {
        assert!(log.contains(said), "no `{said}` in {log}");
    }
    place.upstream.act(Act::Good);
    place.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_connections_that_are_being_made_a_quarter_are_for_clients_that_left() {
    const CONNECTING: usize = 8;
    let certificates = Certificates::new();
    let config = limits(&format!("breaker_failures: 0, upstream_connecting: {CONNECTING}"))
        .replace("connect_wait: 1s", "connect_wait: 30s");
    let mut place = Place::with(&config, Credential::Static, Some(&certificates.ca_pem)).await;
    place.upstream.tls(Tls::On(certificates.good.clone()));
    place.recovers().await;
    place.upstream.door(Door::Mute).await;
    place.upstream.forget();
    let connecting = async |place: &Place| {
        place
            .sample("scopegate_upstream_connections", "{state=\"connecting\"}")
            .await
    };
    for left in 1..=CONNECTING {
        begin_and_leave(&mut place).await;
        place
            .until("it is seen to have left", async |place| {
                place.errors("abandoned").await == left as f64
            })
            .await;
    }
    place
        .until("more than a quarter are given up", async |place| {
            connecting(place).await == (CONNECTING / 4) as f64
        })
        .await;
    assert_eq!(place.upstream.connections(), CONNECTING);
    // What is given up is no news of the upstream, and who comes next finds a place.
    assert_eq!(
        place.errors("connect").await + place.errors("connect_timeout").await,
        0.0
    );
    place.upstream.door(Door::Open).await;
    assert_eq!(place.read().await.word(), "200");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_begun_for_somebody_who_left_serves_who_comes_next() {
    let certificates = Certificates::new();
    let config = SHORT.replace("connect_wait: 1s", "connect_wait: 30s");
    let mut place = Place::with(&config, Credential::Static, Some(&certificates.ca_pem)).await;
    place.upstream.tls(Tls::On(certificates.good.clone()));
    place.recovers().await;
    place.upstream.door(Door::Late).await;
    place.upstream.forget();
    begin_and_leave(&mut place).await;
    place
        .until("its client is seen to have left", async |place| {
            place.errors("abandoned").await == 1.0
        })
        .await;
    assert_eq!(place.upstream.count("GET"), 0);
    place.upstream.act(Act::Keep);
    place
        .until("it is kept", async |place| {
            place
                .sample("scopegate_upstream_connections", "{state=\"idle\"}")
                .await
                == 1.0
        })
        .await;
    assert_eq!(place.read().await.word(), "200");
    assert_eq!(place.upstream.connections(), 1);
    assert_eq!(place.upstream.count("GET"), 1);
}
