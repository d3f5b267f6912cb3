//! Short answers, which are read whole before their head goes down: what a stall, an end and a client that
//! goes meanwhile leave behind.

use std::future::Future;
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::place::{Place, is_withheld};
use crate::support::canaries::heard::Overheard;
use crate::support::samples;
use crate::upstream::Script;
use crate::wire::{Wire, get, post};

const READ: &str = "/crm/v3/objects/contacts/1001";
const CREATE: &str = "/crm/v3/objects/contacts";
const CREATED: &str = r#"{"properties":{"email":"a@example.com"}}"#;

/// An answer that says it has a hundred bytes, and has fewer.
fn begun() -> Script {
    Script::new("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"id\":")
}

/// The last outcome in the audit log, once there are so many.
async fn outcome(place: &Place, count: usize) -> serde_json::Value {
    let outcomes = || {
        let lines = place.world.audit().into_iter();
        lines.filter(|line| line["kind"] == "outcome").collect::<Vec<_>>()
    };
    place
        .world
        .until("the outcome is recorded", async |_| outcomes().len() >= count)
        .await;
    outcomes().pop().unwrap()
}

/// A call over HTTP/2, and what drives its connection.
async fn over_http2(
    place: &Place,
) -> (
    impl Future<Output = hyper::Result<http::Response<hyper::body::Incoming>>>,
    tokio::task::JoinHandle<hyper::Result<()>>,
) {
    let stream = Overheard::connect(place.world.gate).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let driver = tokio::spawn(connection);
    let request = http::Request::get(format!("http://{}{READ}", place.world.gate))
        .header("authorization", format!("Bearer {}", place.reader()))
        .body(Full::<Bytes>::default())
        .unwrap();
    (async move { sender.send_request(request).await }, driver)
}

/// A call over HTTP/2 that is given up as soon as HubSpot has it.
async fn give_up_a_stream(place: &Place, asked: usize) {
    let (call, driver) = over_http2(place).await;
    tokio::select! {
        answer = call => panic!("{answer:?}"),
        () = until_asked(place, asked) => {}
    }
    // The stream alone is reset: its connection stays.
    tokio::time::sleep(Duration::from_millis(200)).await;
    driver.abort();
}

async fn until_asked(place: &Place, count: usize) {
    place
        .world
        .until("HubSpot is asked", async |_| {
            place.upstream.asked().len() >= count
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_while_a_short_answer_is_read_ends_its_connection_and_frees_its_place() {
    // One place: what was not given back is missed by the next call.
    let place = Place::with("limits: { in_flight_per_integration: 1, waiting_per_integration: 1 }\n").await;
    for (round, way) in ["a read", "a write", "a stream"].into_iter().enumerate() {
        let since = place.upstream.asked().len();
        place.upstream.say(begun());
        match way {
            "a stream" => give_up_a_stream(&place, since + 1).await,
            way => {
                let mut wire = Wire::open(place.world.gate).await;
                let asked = match way {
                    "a write" => post(CREATE, place.writer(), CREATED),
                    _ => get(READ, place.reader()),
                };
                wire.write(asked).await;
                until_asked(&place, since + 1).await;
                drop(wire);
            }
        }
        let connection = place.upstream.asked()[since].connection;
        place
            .world
            .until("the upstream connection is ended", async |_| {
                place.upstream.left().contains(&connection)
            })
            .await;
        // Each round has three calls: this one and, on either worker, the next.
        let outcome = outcome(&place, 3 * round + 1).await;
        let integration = if way == "a write" { "writer" } else { "reader" };
        assert_eq!(
            (
                &outcome["integration"],
                &outcome["status"],
                &outcome["reason"],
                &outcome["sent_upstream"],
                &outcome["cut_short"],
                &outcome["response_bytes"]
            ),
            (
                &integration.into(),
                &0.into(),
                &"none".into(),
                &true.into(),
                &true.into(),
                &0.into()
            ),
            "{way}: {outcome}"
        );
        place.next_ones_are_right(way).await;
        assert!(place.used_again(since).is_empty(), "{way}");
    }
    let metrics = place.world.metrics().await;
    assert_eq!(samples(&metrics, "scopegate_inflight_requests")[""], 0.0);
}

/// Its end goes down with its last piece, and nobody asks for more.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_that_went_down_whole_is_on_record_as_whole() {
    let place = Place::new().await;
    let body = format!("{{\"id\":\"{}\"}}", "7".repeat(100_000));
    let script = || {
        Script::new(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    };
    for (round, way) in ["HTTP/1.1", "HTTP/2"].into_iter().enumerate() {
        place.upstream.say(script());
        let seen = match way {
            "HTTP/2" => {
                let (call, driver) = over_http2(&place).await;
                let body = call.await.unwrap().into_body().collect().await.unwrap();
                driver.abort();
                body.to_bytes()
            }
            _ => {
                let mut wire = Wire::open(place.world.gate).await;
                wire.write(get(READ, place.reader())).await;
                let reply = wire.reply().await.unwrap();
                reply.body.into()
            }
        };
        assert!(seen == body, "{way}: {} bytes", seen.len());
        let outcome = outcome(&place, round + 1).await;
        assert!(outcome["cut_short"].is_null(), "{way}: {outcome}");
        assert_eq!(outcome["response_bytes"], body.len(), "{way}: {outcome}");
    }
}

/// What comes packed may unpack to any length: no head waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_packed_answer_is_not_short_however_short_it_comes() {
    let place = Place::new().await;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(&vec![b' '; 1024 * 1024]).unwrap();
    let packed = packer.finish().unwrap();
    assert!(packed.len() < 32 * 1024);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        packed.len()
    );
    let all_but_its_end = [head.as_bytes(), &packed[..packed.len() - 8]].concat();
    place.upstream.say(Script::new(all_but_its_end));
    let mut wire = Wire::open(place.world.gate).await;
    wire.write(get(READ, place.reader())).await;
    let head = wire.head().await.expect("a head before the answer's end");
    assert_eq!(head.status, 200, "{head:?}");
    assert!(wire.skip(512 * 1024).await >= 512 * 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_answer_that_ends_early_or_stops_is_withheld_and_says_whether_a_write_may_have_happened() {
    let place = Place::with("limits: { answer_wait: 1s }\n").await;
    for (round, script) in [begun as fn() -> Script, || begun().closing()]
        .into_iter()
        .enumerate()
    {
        let read = place.under(place.reader(), script()).await.unwrap();
        assert!(is_withheld(&read), "{read:?}");
        let write = place.under_a_write(script()).await.unwrap();
        assert!(is_withheld(&write), "{write:?}");
        assert!(write.text().contains("look before repeating it"), "{write:?}");
        assert!(!read.text().contains("look before repeating it"), "{read:?}");
        // Whole, in the gate's words: it is HubSpot's answer that was cut, not this one.
        let outcome = outcome(&place, 2 * round + 2).await;
        assert_eq!(
            (&outcome["status"], &outcome["source"], &outcome["reason"]),
            (&502.into(), &"gate".into(), &"upstream".into()),
            "{outcome}"
        );
        assert_eq!(outcome["sent_upstream"], true, "{outcome}");
        assert!(outcome["cut_short"].is_null(), "{outcome}");
    }
    assert_eq!(place.failures("body_timeout").await, 2.0);
    assert_eq!(place.failures("closed").await, 2.0);
}
