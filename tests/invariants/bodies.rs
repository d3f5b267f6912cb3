//! Bodies that decide: read whole, parsed strictly, rebuilt; what parsers disagree on goes nowhere.

use crate::support::{Setup, World};
use crate::wire::{Wire, request};

const CREATE: &str = "/crm/v3/objects/contacts";

/// A create with these bytes as its body, on a connection of its own.
async fn create(world: &World, key: &str, lines: &[&str], body: &[u8]) -> crate::wire::Reply {
    let mut wire = Wire::open(world.gate).await;
    let length = format!("Content-Length: {}", body.len());
    let mut all = vec![length.as_str()];
    all.extend_from_slice(lines);
    let mut bytes = request("POST", CREATE, key, &all, "").into_bytes();
    bytes.extend_from_slice(body);
    wire.write(bytes).await;
    wire.reply().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_parsers_could_read_differently_is_refused_where_it_decides() {
    let world = World::plain().await;
    let key = world.key("writer");
    let hide = r#""associations":[{"to":{"id":"1"}}]"#;
    let deep = |depth: usize| {
        format!(
            "{{\"properties\":{{\"a\":{}1{}}}}}",
            "[".repeat(depth),
            "]".repeat(depth)
        )
        .into_bytes()
    };
    let table: Vec<Vec<u8>> = vec![
        br#"{"properties":{"a":"1"},"properties":{"a":"2"}}"#.to_vec(),
        br#"{"properties":{"a":"1","a":"2"}}"#.to_vec(),
        br#"{"properties":{"a":"1","\u0061":"2"}}"#.to_vec(),
        format!(r#"{{"associations":[],{hide}}}"#).into_bytes(),
        format!(r#"{{{hide},"associations":null}}"#).into_bytes(),
        br#"{"associations":[],"\u0061ssociations":[{}]}"#.to_vec(),
        [b"\xef\xbb\xbf".as_slice(), br#"{"properties":{}}"#].concat(),
        [b"\xff\xfe{\0}\0".as_slice()].concat(),
        b"{\"properties\":{\"a\":\"\xff\"}}".to_vec(),
        b"{\"properties\":{\"a\":\"\xc0\xaf\"}}".to_vec(),
        b"{\"properties\":{\"a\":\"\xed\xa0\x80\"}}".to_vec(),
        br#"{"properties":{"a":"\ud800"}}"#.to_vec(),
        b"{\"properties\":{\"a\":\"\x01\"}}".to_vec(),
        br#"{"properties":{"a":NaN}}"#.to_vec(),
        br#"{"properties":{"a":01}}"#.to_vec(),
        br#"{"properties":{"a":1.}}"#.to_vec(),
        br#"{"properties":{"a":0x10}}"#.to_vec(),
        br#"{"properties":{},}"#.to_vec(),
        br#"{'properties':{}}"#.to_vec(),
        br#"{properties:{}}"#.to_vec(),
        br#"{"properties":{}} {"associations":[{}]}"#.to_vec(),
        br#"{"properties":{}}x"#.to_vec(),
        br#"/* {} */ {"properties":{}}"#.to_vec(),
        b"{\"properties\":{}}\0".to_vec(),
        br#"{"properties":"#.to_vec(),
        b"[".repeat(100_000),
        b"{\"a\":".repeat(50_000),
        deep(40),
        b"properties=x".to_vec(),
    ];
    for body in &table {
        let reply = create(&world, &key, &["Content-Type: application/json"], body).await;
        let what = String::from_utf8_lossy(&body[..body.len().min(80)]);
        assert_eq!(
            (reply.status, reply.sub_category().as_str()),
            (400, "scopegate.refused"),
            "{what}: {reply:?}"
        );
        assert_eq!(reply.verdict(), "refuse");
    }
    let fine = br#"{"properties":{"email":"fine@example.com"}}"#;
    for (lines, what) in [
        (&["Content-Type: application/x-www-form-urlencoded"][..], "a form"),
        (&["Content-Type: text/plain"], "plain text"),
        (&["Content-Type: multipart/form-data; boundary=x"], "multipart"),
        (&["Content-Type: application/xml"], "XML"),
        (
            &["Content-Type: application/json; charset=utf-16"],
            "JSON in another charset",
        ),
        (
            &["Content-Type: application/json;charset=utf-7"],
            "JSON in yet another",
        ),
        (&["Content-Type: application/json, text/html"], "two types"),
        (
            &["Content-Type: application/json", "Content-Encoding: gzip"],
            "said to be compressed",
        ),
        (
            &["Content-Type: application/json", "Content-Encoding: identity, br"],
            "said to be compressed, too",
        ),
    ] {
        let reply = create(&world, &key, lines, fine).await;
        assert_eq!(
            (reply.status, reply.verdict().as_str()),
            (400, "refuse"),
            "{what}: {reply:?}"
        );
    }
    assert!(world.sim.received().is_empty(), "{:?}", world.sim.received());
    for lines in [
        &["Content-Type: application/json"][..],
        &["Content-Type: Application/JSON; charset=\"UTF-8\""],
        &[],
    ] {
        let email = format!(
            r#"{{"properties":{{"email":"fine{}@example.com"}}}}"#,
            lines.join("").len()
        );
        let reply = create(&world, &key, lines, email.as_bytes()).await;
        assert_eq!(reply.status, 201, "{lines:?} {reply:?}");
    }
    for received in world.sim.received() {
        let sent_as = received
            .header("content-type")
            .unwrap_or_default()
            .to_ascii_lowercase();
        assert!(
            sent_as.starts_with("application/json"),
            "a body judged as JSON went up as {sent_as:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_judged_is_what_goes_up_whatever_its_spelling() {
    let world = World::plain().await;
    let key = world.key("writer");
    let body = " {\"prop\\u0065rties\":\n{ \"email\":\"J\\u006fe@example.com\", \"n\": 1.50e3, \"big\": 12345678901234567890 }\t,\"associations\":[ ] } ";
    let reply = create(&world, &key, &["Content-Type: application/json"], body.as_bytes()).await;
    assert_eq!(reply.verdict(), "allow", "{reply:?}");
    let received = world.sim.received();
    let expected = r#"{"properties":{"email":"Joe@example.com","n":1.50e3,"big":12345678901234567890},"associations":[]}"#;
    assert_eq!(received[0].body, expected.as_bytes());
    assert_eq!(
        received[0].header("content-length"),
        Some(&*expected.len().to_string())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_its_bound_is_413_before_it_was_read_and_all_together_are_bounded() {
    let config =
        "limits: { judged_body_size: 64KiB, judged_total_size: 1MiB, body_size: 1MiB, body_wait: 3s }\n";
    let world = World::with(Setup {
        config: config.into(),
        ..Setup::default()
    })
    .await;
    let key = world.key("writer");
    // Announced: refused by the head alone. Chunked: refused when the bound is passed.
    for (target, length) in [
        (CREATE, 64 * 1024 + 1),
        (CREATE, 999_999_999_999_999_usize),
        ("/files/v3/files", 1 << 30),
    ] {
        let mut wire = Wire::open(world.gate).await;
        let length = format!("Content-Length: {length}");
        let reply = wire
            .ask(request(
                "POST",
                target,
                &key,
                &["Content-Type: application/json", &length],
                "",
            ))
            .await;
        assert_eq!(
            (reply.status, reply.sub_category().as_str()),
            (413, "scopegate.too_large"),
            "{target} {reply:?}"
        );
        assert!(
            wire.has_ended().await,
            "the rest of a body that never came would be taken for a request"
        );
    }
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    let mut wire = Wire::open(world.gate).await;
    let head = request(
        "POST",
        CREATE,
        &key,
        &["Content-Type: application/json", "Transfer-Encoding: chunked"],
        "",
    );
    wire.write(head + &chunk.repeat(5)).await;
    let reply = wire.reply().await.unwrap();
    assert_eq!(
        (reply.status, reply.sub_category().as_str()),
        (413, "scopegate.too_large"),
        "{reply:?}"
    );

    // A streamed upload of which nobody could tell HubSpot what it is.
    let mut wire = Wire::open(world.gate).await;
    let lines = [
        "Content-Type: multipart/form-data; boundary=a=b",
        "Transfer-Encoding: chunked",
    ];
    wire.write(request("POST", "/files/v3/files", &key, &lines, "") + &chunk)
        .await;
    let reply = wire.reply().await.unwrap();
    assert_eq!(
        (reply.status, reply.sub_category().as_str()),
        (400, "scopegate.refused"),
        "{reply:?}"
    );
    assert!(reply.text().contains("`Content-Type` is not"), "{reply:?}");

    // A streamed upload that turns out too long: stopped, and never seen as whole by the upstream.
    let mut wire = Wire::open(world.gate).await;
    let lines = [
        "Content-Type: multipart/form-data; boundary=b",
        "Transfer-Encoding: chunked",
    ];
    wire.write(request("POST", "/files/v3/files", &key, &lines, "") + &chunk.repeat(80))
        .await;
    let reply = wire.reply().await.unwrap();
    assert_eq!(
        (reply.status, reply.sub_category().as_str()),
        (413, "scopegate.too_large"),
        "{reply:?}"
    );
    assert!(
        world
            .sim
            .received()
            .iter()
            .all(|received| received.status.is_none_or(|status| status >= 400))
    );

    // Many at once that never end: whoever comes over the total is told to come again.
    let half = format!("{{\"x\":\"{}", "y".repeat(60_000));
    let mut waiting = Vec::new();
    for _ in 0..18 {
        let mut wire = Wire::open(world.gate).await;
        let head = request(
            "POST",
            CREATE,
            &key,
            &["Content-Type: application/json", "Content-Length: 65000"],
            "",
        );
        wire.write(head + &half).await;
        waiting.push(wire);
    }
    let mut told_to_come_again = 0;
    for mut wire in waiting {
        let reply = wire.reply().await.unwrap();
        let over = reply.status == 503 && reply.header("retry-after").is_some();
        assert!(reply.status == 400 || over, "{reply:?}");
        told_to_come_again += usize::from(over);
    }
    assert!(told_to_come_again >= 1, "18 bodies of 60 kB were held in 1 MiB");
    let fine = create(
        &world,
        &key,
        &["Content-Type: application/json"],
        br#"{"properties":{"email":"after@example.com"}}"#,
    )
    .await;
    assert_eq!(fine.status, 201, "room is given back: {fine:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_carries_no_body_up() {
    let world = World::plain().await;
    let key = world.key("reader");
    let mut wire = Wire::open(world.gate).await;
    let get = |lines: &[&str], body: &str| request("GET", "/crm/v3/objects/contacts/1001", &key, lines, body);
    wire.write(get(
        &["Content-Type: application/x-www-form-urlencoded"],
        "_method=DELETE",
    ))
    .await;
    let reply = wire.reply().await.unwrap();
    assert!(reply.status == 200 || reply.status == 400, "{reply:?}");
    for received in world.sim.received() {
        assert_eq!(
            (received.body_bytes, received.header("content-length")),
            (0, None),
            "{received:?}"
        );
        assert_eq!(received.header("transfer-encoding"), None);
    }
}
