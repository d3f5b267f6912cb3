//! Every wait ends: each of these clients and upstreams stops somewhere, and the gate does not wait on.

use std::time::{Duration, Instant};

use scopegate::sim::{Action, Fault, Matching};
use tokio::io::AsyncWriteExt;

use crate::support::{Setup, World, policy};
use crate::wire::{Reply, Wire, get, post, request};

const LIMITS: &str = "limits: { first_byte_wait: 1s, head_wait: 1s, body_wait: 1s, idle_wait: 1s, connect_wait: 1s, \
                      answer_head_wait: 1s, answer_wait: 1s, total_wait: 3s }\n";

/// From one second, the limit, to what a loaded machine may add.
fn in_time(begun: Instant, limit_seconds: u64) {
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(limit_seconds * 1000 - 100),
        "given up after {took:?} already"
    );
    assert!(
        took < Duration::from_secs(limit_seconds + 4),
        "given up after {took:?} only"
    );
}

/// Writes `bytes`, then one byte at a time as slowly as a deadline between two bytes would bear, until
/// the gate has had enough; returns what it says.
async fn trickle(world: &World, bytes: &str) -> Option<Reply> {
    let wire = Wire::open(world.gate).await;
    let (read, mut write) = wire.stream.into_split();
    write.write_all(bytes.as_bytes()).await.unwrap();
    let mut reading = Wire::over(tokio::io::join(read, tokio::io::sink()));
    let mut reply = std::pin::pin!(reading.reply());
    let mut pace = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            reply = &mut reply => return reply,
            _ = pace.tick() => {
                // The gate may have closed its end; the answer says so next.
                let _ = write.write_all(b"x").await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_or_trickles_anywhere_is_given_up() {
    let world = World::with(Setup {
        config: LIMITS.into(),
        ..Setup::default()
    })
    .await;
    let key = world.key("writer");
    let silent = async |bytes: String| {
        let mut wire = Wire::open(world.gate).await;
        let begun = Instant::now();
        wire.write(bytes).await;
        let reply = wire.reply().await;
        in_time(begun, 1);
        assert!(wire.has_ended().await);
        reply
    };
    let upload = |lines: &[&str]| request("POST", "/files/v3/files", &key, lines, "");
    let begun = Instant::now();
    let (nothing, preface, head, body, stream, chunk, slow_head, idle) = tokio::join!(
        silent(String::new()),
        silent("PRI * HTTP/2.0\r\n\r\n".into()),
        silent("GET /crm HTTP/1.1\r\nHost: ga".into()),
        silent(
            post("/crm/v3/objects/contacts", &key, "{\"a\":1}")
                .replace("\"a\"", "\"")
                .replace("}", "")
        ),
        silent(
            upload(&[
                "Content-Type: multipart/form-data; boundary=b",
                "Content-Length: 100"
            ]) + "--b"
        ),
        silent(
            upload(&[
                "Content-Type: multipart/form-data; boundary=b",
                "Transfer-Encoding: chunked"
            ]) + "5\r\nab"
        ),
        trickle(&world, "GET /crm HTTP/1.1\r\nHost: gate\r\nX: "),
        async {
            let mut wire = Wire::open(world.gate).await;
            assert_eq!(
                wire.ask(get("/crm/v3/objects/contacts/1001", &key)).await.status,
                200
            );
            let begun = Instant::now();
            assert!(wire.has_ended().await);
            in_time(begun, 1);
        },
    );
    assert!(begun.elapsed() < Duration::from_secs(12));
    let () = idle;
    assert!(
        nothing.is_none() && preface.is_none(),
        "who never asked gets no answer"
    );
    for reply in [head, slow_head].into_iter().flatten() {
        assert!((400..500).contains(&reply.status), "{reply:?}");
    }
    for reply in [body, stream, chunk] {
        let reply = reply.expect("half a body is answered");
        assert_eq!(
            (reply.status, reply.verdict().is_empty()),
            (400, false),
            "{reply:?}"
        );
    }
    assert!(
        world
            .sim
            .received()
            .iter()
            .all(|received| received.status != Some(201)),
        "half a body was taken for one"
    );
    let one_at_a_time = request(
        "POST",
        "/files/v3/files",
        &key,
        &[
            "Content-Type: multipart/form-data; boundary=b",
            "Content-Length: 100",
        ],
        "",
    );
    let begun = Instant::now();
    let reply = trickle(&world, &one_at_a_time).await.expect("an answer");
    in_time(begun, 3);
    assert!(
        reply.status >= 400,
        "a body byte by byte ends with `limits.total_wait`: {reply:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_stops_anywhere_is_given_up() {
    let reader = policy("reader", "allow:\n  - scope: crm.objects.contacts.read\n");
    let mut world = World::with(Setup {
        config: LIMITS.into(),
        policies: vec![("reader", reader)],
        ..Setup::default()
    })
    .await;
    let key = world.key("reader");
    let under = async |target: &str, action: Action| {
        world.sim.fault(Fault::once(Matching::path(target), action));
        let mut wire = Wire::open(world.gate).await;
        let begun = Instant::now();
        wire.write(get(target, &key)).await;
        (wire.reply().await.expect("an answer"), begun)
    };
    let trickled = Action::Trickle {
        piece_bytes: 1,
        pause: Duration::from_millis(300),
    };
    let (no_head, half, endless) = tokio::join!(
        under("/crm/v3/objects/contacts/1001", Action::HangBeforeHead),
        under("/crm/v3/objects/contacts/1002", Action::HangMidBody),
        under("/crm/v3/objects/contacts/1003", trickled),
    );
    assert_eq!(
        (no_head.0.status, no_head.0.sub_category().as_str()),
        (504, "scopegate.upstream"),
        "{:?}",
        no_head.0
    );
    in_time(no_head.1, 1);
    // A short answer's head is not sent before its end has come: the client is told what happened.
    assert_eq!(
        (half.0.status, half.0.sub_category().as_str(), half.0.whole),
        (502, "scopegate.upstream", true),
        "{:?}",
        half.0
    );
    assert_eq!(
        (
            endless.0.status,
            endless.0.sub_category().as_str(),
            endless.0.whole
        ),
        (504, "scopegate.upstream", true),
        "{:?}",
        endless.0
    );
    in_time(endless.1, 3);

    // A listener that accepts and then says nothing in TLS.
    world.stop().await;
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = std::fs::read_to_string(world.config()).unwrap();
    let origin = format!("https://{}", mute.local_addr().unwrap());
    std::fs::write(world.config(), config.replace(&world.sim_origin, &origin)).unwrap();
    world.start().await;
    let begun = Instant::now();
    let reply = Wire::open(world.gate)
        .await
        .ask(get("/crm/v3/objects/contacts/1001", &key))
        .await;
    assert_eq!(
        (reply.status, reply.sub_category().as_str()),
        (504, "scopegate.upstream"),
        "{reply:?}"
    );
    in_time(begun, 1);
}
