//! Faults of the upstream, one after the other, under one gate that outlives them all.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::place::{Got, Place, READ, SHORT, timed};
use crate::script::{Act, Door, RECORD, Tls, html, json, packed_zeros};
use crate::table::{Observed, PLAIN, Row, TLS, Watched, head};
use crate::wire::{Wire, get, request};

/// How many calls meet a fault at once: enough that one more, sent twice, would be noticed.
const READS: usize = 4;
const WRITES: usize = 2;

/// Lets calls meet what has been set up, ends it by `end`, and looks at everything.
pub async fn meet(place: &mut Place, row: &Row, end: impl AsyncFnOnce(&mut Place)) {
    let watched = Watched::begin(place, row.kind).await;
    place.upstream.forget();
    let begun = Instant::now();
    let reads = join_all((0..READS).map(|_| place.read()));
    let writes = join_all((0..WRITES).map(|_| place.write()));
    let (reads, writes) = tokio::join!(reads, writes);
    let longest = begun.elapsed();
    let sent = (place.upstream.count("GET"), place.upstream.count("POST"));
    let made = place.upstream.connections();
    let (counted, log) = watched.end(place).await;
    for write in &writes {
        says_whether_it_may_have_happened(write, row);
    }
    end(place).await;
    let recovered = place.recovers().await;
    row.hold(&Observed {
        reads,
        writes,
        sent,
        made,
        longest,
        counted,
        log,
        recovered,
    });
}

/// A write that may have been done says so; one that certainly was not says that.
fn says_whether_it_may_have_happened(write: &Got, row: &Row) {
    let Got::Whole(reply) = write else { return };
    if reply.header("x-scopegate-source") != Some("gate") {
        return;
    }
    let is_unsure = reply
        .text()
        .contains("Whether the change took effect is not known");
    let is_sure = reply.text().contains("Nothing was changed");
    let may_have_arrived = row.sent.1 > 0 || row.kind == "head_timeout";
    assert_eq!(
        (is_unsure, is_sure),
        (may_have_arrived, !may_have_arrived),
        "{}: {reply:?}",
        row.fault
    );
}

fn head_and(part: &str) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    format!("{head}{part}").into_bytes()
}

fn acts() -> Vec<(&'static Row, Act)> {
    let half = &RECORD[..RECORD.len() / 2];
    let announced = format!("Content-Length: {}\r\n\r\n{half}", RECORD.len());
    let limits = "Retry-After: 7\r\nX-HubSpot-RateLimit-Remaining: 0\r\n";
    let slow_down = r#"{"status":"error","message":"You have reached your secondly limit.","errorType":"RATE_LIMIT","policyName":"SECONDLY"}"#;
    let broken = r#"{"status":"error","message":"internal error"}"#;
    let bomb = packed_zeros(64 << 20);
    let packed = format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len());
    let acts = [
        Act::Hang(Vec::new()),
        Act::Hang(head_and("Content-")),
        Act::Hang(head_and(&announced)),
        Act::Trickle(Duration::from_millis(300)),
        Act::Close(Vec::new()),
        Act::Reset(Vec::new()),
        Act::Reset(head_and("Content-")),
        Act::Reset(head_and(&announced)),
        Act::Close(head_and(&announced)),
        Act::Close(head_and("Transfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n")),
        Act::Bytes(head_and(
            "Transfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\nzz\r\n:1}\r\n0\r\n\r\n",
        )),
        Act::Close(head_and("Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}")),
        Act::Bytes(b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec()),
        Act::Bytes([head_and(&packed), bomb].concat()),
        Act::Answer(json("429 Too Many Requests", limits, slow_down)),
        Act::Answer(json("500 Internal Server Error", "", broken)),
        Act::Answer(html("502 Bad Gateway")),
    ];
    PLAIN[3..20].iter().zip(acts).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_the_upstream_is_answered_named_and_outlived() {
    let config = SHORT.replace("limits: {", "limits: { body_size: 8MiB,");
    let mut place = Place::new(&config).await;
    place.recovers().await;
    head();
    for (row, door) in PLAIN.iter().zip([Door::Shut, Door::Full, Door::Mute]) {
        place.upstream.door(door).await;
        let mut row = *row;
        if door == Door::Full && !place.upstream.hung() {
            // A loopback that never drops what it has no room for: then there is nothing to wait for but an
            // answer.
            (row.kind, row.ended_by) = ("head_timeout", "answer_head_wait");
        }
        meet(&mut place, &row, async |place| {
            place.upstream.door(Door::Open).await
        })
        .await;
    }
    let peak = place.gate.peak_kib();
    for (row, act) in acts() {
        place.upstream.act(act);
        meet(&mut place, row, async |place| place.upstream.act(Act::Good)).await;
    }
    let grown = place.gate.peak_kib() - peak;
    assert!(
        grown < 48 << 10,
        "six answers of 64 MiB, unpacked, took {grown} KiB"
    );
    let limited = {
        place.upstream.act(acts()[14].1.clone());
        place.read().await
    };
    let Got::Whole(limited) = limited else {
        panic!("{limited:?}");
    };
    assert_eq!(limited.header("retry-after"), Some("7"), "{limited:?}");
    assert_eq!(
        limited.header("x-hubspot-ratelimit-remaining"),
        Some("0"),
        "{limited:?}"
    );
    assert_eq!(limited.json()["policyName"], "SECONDLY", "{limited:?}");
    reused_connections(&mut place).await;
    an_early_answer(&mut place).await;
}

/// A pooled connection that is closed, or spoiled, at the moment of its next use.
async fn reused_connections(place: &mut Place) {
    for (row, act) in [(&PLAIN[20], Act::CloseWhenReused), (&PLAIN[21], Act::Surplus)] {
        let watched = Watched::begin(place, row.kind).await;
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        let (mut longest, mut made) = (Duration::ZERO, 0);
        let (ok, mut sent) = (place.retries("closed", "ok").await, (0, 0));
        for _ in 0..READS {
            // One connection that idles and has served; the next call takes it.
            one_idle(place, &act).await;
            reads.push(timed(&mut longest, place.read()).await);
            sent.0 += place.upstream.count("GET");
            made += place.upstream.connections();
        }
        let repeated = place.retries("closed", "ok").await - ok;
        assert_eq!(repeated as usize, READS * (row.sent.0 - 1), "{}", row.fault);
        for _ in 0..WRITES {
            one_idle(place, &act).await;
            writes.push(timed(&mut longest, place.write()).await);
            sent.1 += place.upstream.count("POST");
            made += place.upstream.connections();
        }
        for got in reads.iter().chain(&writes).filter(|got| got.word() == "200") {
            let Got::Whole(reply) = got else { continue };
            assert_eq!(reply.json()["id"], "1001", "its own answer: {reply:?}");
        }
        writes
            .iter()
            .for_each(|write| says_whether_it_may_have_happened(write, row));
        let (counted, log) = watched.end(place).await;
        place.upstream.act(Act::Good);
        let recovered = place.recovers().await;
        row.hold(&Observed {
            reads,
            writes,
            sent,
            made,
            longest,
            counted,
            log,
            recovered,
        });
    }
}

/// Exactly one connection of the gate's is idle, and has served.
async fn one_idle(place: &mut Place, act: &Act) {
    // What idled before is closed by an answer that says so.
    place.upstream.act(Act::Good);
    while place
        .sample("scopegate_upstream_connections", "{state=\"idle\"}")
        .await
        > 0.0
    {
        place.read().await;
    }
    place.upstream.act(act.clone());
    assert_eq!(place.read().await.word(), "200");
    place.upstream.forget();
}

/// The answer comes down, and the connection behind it, still in the middle of a body, serves nobody else.
async fn an_early_answer(place: &mut Place) {
    let row = &PLAIN[22];
    let refused = json("400 Bad Request", "", r#"{"status":"error","message":"enough"}"#);
    place.upstream.act(Act::Early(refused));
    place.upstream.forget();
    let (mut longest, mut writes) = (Duration::ZERO, Vec::new());
    for _ in 0..WRITES {
        let lines = [
            "Content-Type: multipart/form-data; boundary=b",
            "Content-Length: 6000000",
        ];
        let upload = async {
            let mut wire = Wire::open(place.gate.gate).await;
            wire.write(request("POST", "/files/v3/files", &place.key, &lines, ""))
                .await;
            wire.write("x".repeat(100_000)).await;
            Got::of(wire.reply().await)
        };
        writes.push(timed(&mut longest, upload).await);
    }
    let sent = (0, place.upstream.count("POST"));
    let made = place.upstream.connections();
    let spoiled: Vec<usize> = place.upstream.seen().iter().map(|seen| seen.connection).collect();
    place.upstream.act(Act::Good);
    let recovered = place.recovers().await;
    let mut wire = Wire::open(place.gate.gate).await;
    for _ in 0..4 {
        assert_eq!(wire.ask(get(READ, &place.key)).await.status, 200);
    }
    let reads = place.upstream.seen();
    let reads = reads.iter().filter(|seen| seen.method == "GET");
    assert!(reads.clone().count() >= 4);
    assert!(reads.clone().all(|read| !spoiled.contains(&read.connection)));
    row.hold(&Observed {
        reads: Vec::new(),
        writes,
        sent,
        made,
        longest,
        counted: 0.0,
        log: String::new(),
        recovered,
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_can_not_prove_who_it_is_gets_neither_call_nor_token() {
    let authorities = crate::certificates::Certificates::new();
    let mut place = Place::with(SHORT, crate::place::Credential::Static, Some(&authorities.ca_pem)).await;
    place.upstream.tls(Tls::On(authorities.good.clone()));
    place.recovers().await;
    head();
    let bad = [
        Tls::On(authorities.other_name.clone()),
        Tls::On(authorities.unknown.clone()),
        Tls::On(authorities.expired.clone()),
        Tls::Nonsense,
    ];
    for (row, tls) in TLS.iter().zip(bad) {
        place.upstream.tls(tls);
        let good = authorities.good.clone();
        meet(&mut place, row, async |place| {
            // Neither the call nor the token: what came is the beginning of a handshake, if anything.
            let came = place.upstream.bytes();
            for secret in [&place.token, "contacts", "Bearer"] {
                assert!(
                    memchr::memmem::find(&came, secret.as_bytes()).is_none(),
                    "{}",
                    row.fault
                );
            }
            place.upstream.tls(Tls::On(good));
        })
        .await;
    }
    place.upstream.door(Door::Mute).await;
    meet(&mut place, &TLS[4], async |place| {
        place.upstream.door(Door::Open).await
    })
    .await;
}
