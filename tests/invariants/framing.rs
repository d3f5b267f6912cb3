//! Where a request begins and ends: nobody can make the gate and the upstream, or the gate and
//! itself, see two different borders.

use crate::support::{World, samples};
use crate::wire::{Reply, Wire, get, post, request};

const GOOD: &str = "/crm/v3/objects/contacts/1001";
const SMUGGLED: &str = "/crm/v3/objects/contacts/1002";
const CREATE: &str = "/crm/v3/objects/contacts";

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_can_be_read_two_ways_is_refused_and_ends_the_connection() {
    let world = World::plain().await;
    let key = world.key("writer");
    let auth = format!("Authorization: Bearer {key}\r\n");
    let smuggled = get(SMUGGLED, &key);
    let length = smuggled.len();
    let post =
        |lines: &str| format!("POST {CREATE} HTTP/1.1\r\nHost: gate\r\n{auth}{lines}\r\n0\r\n\r\n{smuggled}");
    let get = |line: &str, lines: &str| format!("{line}\r\n{lines}{auth}\r\n{smuggled}");
    let table = [
        // Length and coding, each way round, and doubled.
        post(&format!(
            "Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"
        )),
        post(&format!(
            "Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"
        )),
        post("Content-Length: 5\r\nContent-Length: 5\r\n"),
        post("Content-Length: 5\r\nContent-Length: 6\r\n"),
        post("Content-Length: 5, 5\r\n"),
        post("Content-Length: +5\r\n"),
        post("Content-Length: -1\r\n"),
        post("Content-Length: 0x5\r\n"),
        post("Content-Length: 5 5\r\n"),
        post("Content-Length:\r\n"),
        post("Content-Length: 18446744073709551617\r\n"),
        post("Content-Length : 5\r\n"),
        post("Content-Length\t: 5\r\n"),
        post("Content-Length\0: 5\r\n"),
        // Everything that is nearly `chunked`.
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
        post("Transfer-Encoding: identity\r\n"),
        post("Transfer-Encoding: identity, chunked\r\n"),
        post("Transfer-Encoding: gzip, chunked\r\n"),
        post("Transfer-Encoding: chunked, chunked\r\n"),
        post("Transfer-Encoding: ,chunked\r\n"),
        post("Transfer-Encoding: chunked,\r\n"),
        post("Transfer-Encoding: \"chunked\"\r\n"),
        post("Transfer-Encoding: xchunked\r\n"),
        post("Transfer-Encoding: chunked;q=1\r\n"),
        post("Transfer-Encoding: \x0bchunked\r\n"),
        post("Transfer-Encoding:\r\n chunked\r\n"),
        post("Transfer-Encoding : chunked\r\n"),
        post("Transfer-Encoding:\r\n"),
        post("X: y\r\n Transfer-Encoding: chunked\r\n"),
        get(
            &format!("POST {CREATE} HTTP/1.0"),
            "Host: gate\r\nTransfer-Encoding: chunked\r\n",
        ),
        // Line ends.
        get(&format!("GET {GOOD} HTTP/1.1"), "Host: gate\nX: y\r\n"),
        get(&format!("GET {GOOD} HTTP/1.1"), "Host: gate\rX: y\r\n"),
        format!(
            "GET {GOOD} HTTP/1.1\nHost: gate\n{}\n\n{smuggled}",
            auth.trim_end()
        ),
        format!("\nGET {GOOD} HTTP/1.1\r\nHost: gate\r\n{auth}\r\n"),
        // Hosts.
        get(&format!("GET {GOOD} HTTP/1.1"), ""),
        get(&format!("GET {GOOD} HTTP/1.1"), "Host:\r\n"),
        get(&format!("GET {GOOD} HTTP/1.1"), "Host: gate\r\nHost: gate\r\n"),
        get(
            &format!("GET {GOOD} HTTP/1.1"),
            "Host: gate\r\nhost: api.hubapi.com\r\n",
        ),
        get(&format!("GET {GOOD} HTTP/1.1"), "Host: gate/x\r\n"),
        get(&format!("GET {GOOD} HTTP/1.1"), "Host: user@gate\r\n"),
        get(&format!("GET {GOOD} HTTP/1.1"), "Host: gate, api.hubapi.com\r\n"),
        // Fields and request lines.
        get(&format!("GET {GOOD} HTTP/1.1"), "Host: gate\r\n: empty\r\n"),
        get(&format!("GET {GOOD} HTTP/1.1"), "Host: gate\r\nX: a\0b\r\n"),
        get(&format!("GET {GOOD} HTTP/1.1"), "Host: gate\r\nnocolon\r\n"),
        get(&format!("GET {GOOD} HTTP/1.1"), "Host: gate\r\nX: a\r\n\tb\r\n"),
        get(&format!("GET {GOOD}"), "Host: gate\r\n"),
        get(&format!("GET  {GOOD} HTTP/1.1"), "Host: gate\r\n"),
        get(&format!("GET {GOOD} HTTP/1.1 "), "Host: gate\r\n"),
        get(&format!("GET\t{GOOD}\tHTTP/1.1"), "Host: gate\r\n"),
        get(&format!(" GET {GOOD} HTTP/1.1"), "Host: gate\r\n"),
        get(&format!("GET {GOOD} HTTP/1.1\r\n"), "\r\nHost: gate\r\n"),
        get(&format!("GET {GOOD} HTTP/1.2"), "Host: gate\r\n"),
        get(&format!("GET {GOOD} HTTP/2.0"), "Host: gate\r\n"),
        get(&format!("GET {GOOD} http/1.1"), "Host: gate\r\n"),
        get(&format!("GET {GOOD} HTTP/1.1 HTTP/1.1"), "Host: gate\r\n"),
        get(&format!("G ET {GOOD} HTTP/1.1"), "Host: gate\r\n"),
    ];
    for bytes in &table {
        let mut wire = Wire::open(world.gate).await;
        wire.write(bytes).await;
        let reply = wire
            .reply()
            .await
            .unwrap_or_else(|| panic!("no answer to {bytes:?}"));
        assert_eq!(
            (reply.status, reply.verdict().as_str()),
            (400, "refuse"),
            "{bytes:?} {reply:?}"
        );
        assert!(!reply.head.contains(&key) && !reply.text().contains(&key));
        assert!(wire.has_ended().await, "more than one answer to {bytes:?}");
    }
    assert!(world.sim.received().is_empty(), "nothing of all that went up");
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_well_framed_but_never_served_leave_the_connection_safe() {
    let world = World::plain().await;
    let key = world.key("writer");
    let body = r#"{"properties":{"email":"x@example.com"}}"#;
    let lines = |lines: &[&str]| request("GET", GOOD, &key, lines, "");
    let table = [
        lines(&[&format!("Authorization: Bearer {key}")]),
        lines(&["Content-Type: a/b", "Content-Type: application/json"]),
        lines(&["X-Scopegate-Connection: acme", "X-Scopegate-Connection: acme"]),
        lines(&[
            "Upgrade: h2c",
            "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
            "Connection: Upgrade, HTTP2-Settings",
        ]),
        lines(&[
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: x",
            "Sec-WebSocket-Version: 13",
        ]),
        lines(&["Upgrade: TLS/1.0"]),
        lines(&["Expect: 200-ok"]),
        lines(&["Expect: 100-continue", "Expect: 100-continue"]),
        lines(&["Expect:"]),
        lines(&["Content-Encoding: gzip"]),
        request("TRACE", GOOD, &key, &[], ""),
        request("OPTIONS", "*", &key, &[], ""),
        request("CONNECT", "api.hubapi.com:443", &key, &[], ""),
        request("CONNECT", GOOD, &key, &[], ""),
        request("get", GOOD, &key, &[], ""),
        request("HEAD", GOOD, &key, &[], ""),
        request("PROPFIND", GOOD, &key, &[], ""),
        request("PRI", "*", &key, &[], ""),
        request(
            "POST",
            CREATE,
            &key,
            &["Expect: soon", "Content-Type: application/json"],
            body,
        ),
        request("POST", CREATE, &key, &["Content-Encoding: gzip"], body),
        request(
            "GET",
            "http://api.hubapi.com/crm/v3/objects/contacts/1002",
            &key,
            &[],
            "",
        ),
        request("GET", "http://gate/crm/v3/objects/contacts/1002", &key, &[], ""),
        request("GET", "gate/crm/v3/objects/contacts/1002", &key, &[], ""),
        request(
            "PATCH",
            "/crm/v3/objects/deals/7",
            &key,
            &["Content-Type: application/json"],
            &get(SMUGGLED, &key),
        ),
    ];
    for bytes in &table {
        let (reply, next) = refused_then_next(&world, bytes, &key).await;
        let expected = if bytes.contains("objects/deals") {
            (403, "deny")
        } else {
            (400, "refuse")
        };
        assert_eq!(
            (reply.status, reply.verdict().as_str()),
            expected,
            "{bytes:?} {reply:?}"
        );
        if let Some(next) = next {
            assert_eq!(
                (next.status, next.verdict().as_str()),
                (200, "allow"),
                "after {bytes:?}: {next:?}"
            );
            assert_eq!(next.json()["id"], "1001", "after {bytes:?}");
        }
    }
    for received in world.sim.received() {
        assert_eq!(
            (received.method.as_str(), received.target.as_str()),
            ("GET", GOOD)
        );
    }
}

/// The refusal of `bytes`, and the answer to a good request behind it, if the gate kept the connection.
async fn refused_then_next(world: &World, bytes: &str, key: &str) -> (Reply, Option<Reply>) {
    let mut wire = Wire::open(world.gate).await;
    wire.write(format!("{bytes}{}", get(GOOD, key))).await;
    let head_only = bytes.starts_with("HEAD ");
    let refusal = if head_only {
        wire.head().await
    } else {
        wire.reply().await
    };
    let refusal = refusal.unwrap_or_else(|| panic!("no answer to {bytes:?}"));
    let next = wire.reply().await;
    if next.is_some() {
        let last = wire.ask(get(GOOD, key)).await;
        assert_eq!(last.json()["id"], "1001", "the borders moved behind {bytes:?}");
    }
    (refusal, next)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_behind_one_another_are_answered_in_order_behind_chunked_bodies_too() {
    let world = World::plain().await;
    let (key, reader) = (world.key("writer"), world.key("reader"));
    let mut wire = Wire::open(world.gate).await;
    let search = "/crm/v3/objects/contacts/search";
    let body = r#"{"limit":1}"#;
    let whole = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let chunked = |key: &str, target: &str, chunks: &str| {
        let lines = ["Content-Type: application/json", "Transfer-Encoding: chunked"];
        request("POST", target, key, &lines, "") + chunks
    };
    let four = [
        get(GOOD, &key),
        post(search, &key, body),
        chunked(&key, search, &whole),
        get(SMUGGLED, &key),
    ];
    wire.write(four.concat()).await;
    assert_eq!(wire.reply().await.unwrap().json()["id"], "1001");
    for _ in 0..2 {
        let found = wire.reply().await.unwrap().json();
        assert_eq!(found["results"].as_array().unwrap().len(), 1);
    }
    assert_eq!(wire.reply().await.unwrap().json()["id"], "1002");
    assert_eq!(wire.ask(get(GOOD, &key)).await.status, 200, "it is still in step");

    // Behind a refusal either the next request is read where it begins, or nothing is.
    let plain = chunked(&key, search, &whole);
    let by_head = [
        "Expect: soon\r\nHost:",
        "Content-Encoding: gzip\r\nHost:",
        "X-Scopegate-Connection: a\r\nX-Scopegate-Connection: a\r\nHost:",
    ];
    let refused = by_head.map(|lines| (plain.replacen("Host:", lines, 1), 400));
    let by_method = ["GET", "HEAD", "get"].map(|method| (plain.replacen("POST", method, 1), 400));
    let others = [
        (chunked(&reader, CREATE, &whole), 403),
        (chunked("sg_l_wrong", search, &whole), 401),
    ];
    for (bytes, status) in refused.into_iter().chain(by_method).chain(others) {
        let mut wire = Wire::open(world.gate).await;
        wire.write(format!("{bytes}{}", get(SMUGGLED, &key))).await;
        let reply = match bytes.starts_with("HEAD") {
            true => wire.head().await.unwrap(),
            false => wire.reply().await.unwrap(),
        };
        assert_eq!(reply.status, status, "{bytes:?} {reply:?}");
        if let Some(next) = wire.reply().await {
            assert_eq!(next.json()["id"], "1002", "behind {bytes:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_served_behind_chunks_that_could_be_read_two_ways() {
    let world = World::plain().await;
    let key = world.key("writer");
    let body = r#"{"limit":1}"#;
    let size = format!("{:x}", body.len());
    let smuggled = get(SMUGGLED, &key);
    let lines = ["Content-Type: application/json", "Transfer-Encoding: chunked"];
    let head = request("POST", "/crm/v3/objects/contacts/search", &key, &lines, "");
    for chunks in [
        format!("{size};ext=1\r\n{body}\r\n0\r\n\r\n"),
        format!("{size};\n{body}\r\n0\r\n\r\n"),
        format!("{size}\n{body}\r\n0\r\n\r\n"),
        format!("{size} \r\n{body}\r\n0\r\n\r\n"),
        format!("0x{size}\r\n{body}\r\n0\r\n\r\n"),
        format!("{size}\r\n{body}\n0\r\n\r\n"),
        format!("{size}\r\n{body}\r\n0\r\nX-Trailer: {SMUGGLED}\r\n\r\n"),
        format!("{size}\r\n{body}\r\n0\n\n"),
        format!("1{:016x}\r\n{body}\r\n0\r\n\r\n", body.len()),
        format!("-{size}\r\n{body}\r\n0\r\n\r\n"),
    ] {
        for cut in [1, head.len(), head.len() + 3, usize::MAX] {
            let bytes = format!("{head}{chunks}{smuggled}");
            let (first, rest) = bytes.split_at(cut.min(bytes.len()));
            let mut wire = Wire::open(world.gate).await;
            wire.write(first).await;
            wire.write(rest).await;
            let reply = wire
                .reply()
                .await
                .unwrap_or_else(|| panic!("no answer to {chunks:?}"));
            assert_eq!(
                (reply.status, reply.sub_category().as_str()),
                (400, "scopegate.refused"),
                "{chunks:?} {reply:?}"
            );
            assert!(wire.has_ended().await, "something was served behind {chunks:?}");
        }
    }
    assert!(world.sim.received().is_empty(), "nothing of all that went up");
}

/// A client that asks whether it may send its body, and sends its next request instead.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_place_of_a_body_that_was_announced_is_no_request() {
    let world = World::plain().await;
    let (key, reader) = (world.key("writer"), world.key("reader"));
    let smuggled = get(SMUGGLED, &key);
    let last = request("GET", SMUGGLED, &key, &["Connection: close"], "");
    let length = smuggled.len();
    let by_length = format!("Content-Length: {length}");
    let lines = |framing| ["Content-Type: application/json", "Expect: 100-continue", framing];
    // Refused by its head alone, and by the body that it is invited to send.
    for (key, invited) in [("sg_l_wrong", false), (&reader, true)] {
        for (framing, before) in [
            (&by_length[..], String::new()),
            ("Content-Length: 100000", String::new()),
            ("Transfer-Encoding: chunked", format!("{length:x}\r\n")),
            ("Transfer-Encoding: chunked", String::new()),
        ] {
            for waits in [true, false] {
                let mut wire = Wire::open(world.gate).await;
                wire.write(request("POST", CREATE, key, &lines(framing), ""))
                    .await;
                let first = if waits { wire.reply().await } else { None };
                wire.write(format!("{before}{smuggled}{before}{last}")).await;
                let mut reply = match first {
                    Some(reply) => Some(reply),
                    None => wire.reply().await,
                };
                let mut statuses = Vec::new();
                while let Some(one) = reply {
                    statuses.push(one.status);
                    let cut_short = framing == "Content-Length: 100000" && one.status == 100;
                    reply = if cut_short { None } else { wire.reply().await };
                }
                // Behind the body that was announced, and only there, the next request begins.
                let expected: &[&[u16]] = match (invited, framing == by_length) {
                    (false, true) => &[&[401], &[401, 200]],
                    (false, false) => &[&[401]],
                    (true, true) => &[&[100, 400, 200]],
                    (true, false) => &[&[100], &[100, 400]],
                };
                assert!(
                    expected.contains(&&statuses[..]),
                    "{framing} {invited}: {statuses:?}"
                );
            }
        }
    }
    let served = world.sim.received();
    assert!(served.iter().all(|received| received.target == SMUGGLED));
    assert!(served.len() <= 4, "the one that stood for a body was served, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_request_is_answered_before_what_is_wrong_behind_it_is() {
    let world = World::plain().await;
    let key = world.key("writer");
    let (good, search) = (
        get(GOOD, &key),
        post("/crm/v3/objects/contacts/search", &key, r#"{"limit":1}"#),
    );
    let wrong = [
        "GET / HTTP/1.1\nHost: gate\n\n",
        "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        "\0",
    ];
    for bytes in wrong.map(|wrong| format!("{good}{search}{wrong}\r\n\r\n{}", get(SMUGGLED, &key))) {
        for at in [good.len() + search.len(), good.len() + 7, bytes.len()] {
            let mut wire = Wire::open(world.gate).await;
            let (first, rest) = bytes.split_at(at);
            wire.write(first).await;
            wire.write(rest).await;
            assert_eq!(wire.reply().await.unwrap().json()["id"], "1001", "{bytes:?}");
            assert_eq!(wire.reply().await.unwrap().status, 200, "{bytes:?}");
            let refusal = wire.reply().await.unwrap();
            assert_eq!((refusal.status, refusal.verdict().as_str()), (400, "refuse"));
            assert!(wire.has_ended().await, "something was served behind {bytes:?}");
        }
    }
    let smuggled = |received: &scopegate::sim::Received| received.target == SMUGGLED;
    assert!(!world.sim.received().iter().any(smuggled));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_never_cuts_short_the_answers_before_it() {
    let world = World::plain().await;
    let key = world.key("reader");
    // More than the buffers on the way hold, to a client that takes its time.
    let (count, list) = (60, get("/crm/v3/objects/contacts?limit=100", &key));
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut wire = Wire::over(socket.connect(world.gate).await.unwrap());
    wire.write(list.repeat(count) + "GET / HTTP/1.1\nHost: gate\n\n" + &get(SMUGGLED, &key))
        .await;
    world
        .until("answers wait to be read", async |world| {
            world.sim.received().len() > 2
        })
        .await;
    for number in 0..count {
        let reply = wire.reply().await.unwrap();
        assert!(reply.status == 200 && reply.whole, "{number}: {reply:?}");
        assert_eq!(reply.json()["results"].as_array().unwrap().len(), 100, "{number}");
    }
    let refusal = wire.reply().await.unwrap();
    assert_eq!((refusal.status, refusal.verdict().as_str()), (400, "refuse"));
    assert!(wire.has_ended().await, "something was served behind the refusal");
    let counted = samples(&world.metrics().await, "scopegate_requests_total");
    let refused = counted
        .iter()
        .filter(|(labels, _)| labels.contains("refused_framing"));
    assert_eq!(refused.map(|(_, count)| count).sum::<f64>(), 1.0, "{counted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_a_client_that_is_still_sending_its_body() {
    let world = World::plain().await;
    let key = world.key("reader");
    for length in [100, 70_000, 1_000_000, 20_000_000] {
        for head_first in [true, false] {
            let head = request(
                "POST",
                "/files/v3/files",
                &key,
                &[
                    "Content-Type: multipart/form-data; boundary=b",
                    &format!("Content-Length: {length}"),
                ],
                "",
            );
            let mut wire = Wire::open(world.gate).await;
            let body = "x".repeat(length);
            if head_first {
                assert!(wire.write(&head).await);
                // A client may notice at any time that nobody reads on.
                wire.write(&body).await;
            } else {
                wire.write(head + &body).await;
            }
            let reply = wire.reply().await.expect("the refusal, not a broken connection");
            assert_eq!((reply.status, reply.whole), (403, true), "{length}: {reply:?}");
        }
    }
    assert!(world.sim.received().is_empty());
}
