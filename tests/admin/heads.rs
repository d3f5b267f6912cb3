//! Hostile requests: whatever a head or a body tries, the answer is a plain no and nothing is changed.

use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::ask::{Asked, Line, ask, credential, get, post, raw};
use crate::support::canaries::heard::Overheard;
use crate::support::{World, within};

#[tokio::test]
async fn a_head_that_could_be_read_two_ways_is_refused_and_ends_the_connection() {
    let world = World::plain().await;
    let good = credential(&world, "alice", "security");
    let (host, auth) = (world.monitor, format!("Authorization: Bearer {good}\r\n"));
    let plain = format!("Host: {host}\r\n{auth}");
    // What follows on the same connection must never be answered.
    let behind = format!("GET /v1/status HTTP/1.1\r\n{plain}\r\n");
    let cases = [
        (
            "a bare line feed",
            format!("GET /v1/status HTTP/1.1\nHost: {host}\n{auth}\n\n"),
            "400",
        ),
        ("no host", format!("GET /v1/status HTTP/1.1\r\n{auth}\r\n"), "400"),
        (
            "two hosts",
            format!("GET /v1/status HTTP/1.1\r\nHost: {host}\r\n{plain}\r\n"),
            "400",
        ),
        (
            "a length beside chunks",
            format!(
                "POST /v1/kill HTTP/1.1\r\n{plain}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            "400",
        ),
        (
            "chunks",
            format!(
                "POST /v1/kill HTTP/1.1\r\n{plain}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            "411",
        ),
        (
            "an older version",
            format!("GET /v1/status HTTP/1.0\r\n{plain}\r\n"),
            "400",
        ),
        (
            "an absolute target",
            format!("GET http://{host}/v1/status HTTP/1.1\r\n{plain}\r\n"),
            "400",
        ),
        (
            "a fragment",
            format!("GET /v1/status#x HTTP/1.1\r\n{plain}\r\n"),
            "400",
        ),
        (
            "bytes above ASCII",
            format!("GET /v1/st\u{e4}tus HTTP/1.1\r\n{plain}\r\n"),
            "400",
        ),
        (
            "a folded field",
            format!("GET /v1/status HTTP/1.1\r\n{plain}X: a\r\n b\r\n\r\n"),
            "400",
        ),
        (
            "a head too large",
            format!(
                "GET /v1/status HTTP/1.1\r\n{plain}X: {}\r\n\r\n",
                "x".repeat(9_000)
            ),
            "400",
        ),
        (
            "two credentials",
            format!("GET /v1/status HTTP/1.1\r\n{plain}{auth}\r\n"),
            "400",
        ),
        (
            "a look with a body",
            format!("GET /v1/status HTTP/1.1\r\n{plain}Content-Length: 3\r\n\r\nabc"),
            "400",
        ),
    ];
    for (what, head, status) in cases {
        let answer = raw(world.monitor, format!("{head}{behind}").as_bytes()).await;
        assert!(
            answer.get(9..).is_some_and(|rest| rest.starts_with(status)),
            "{what}: {answer}"
        );
        assert_eq!(answer.matches("\r\n\r\n{").count(), 1, "{what}: {answer}");
        assert!(!answer.contains("200 OK"), "{what}: {answer}");
        assert!(
            answer.to_ascii_lowercase().contains("connection: close"),
            "{what}: {answer}"
        );
    }
    assert!(world.command(&["kill", "--list", "--json"]).stdout.is_empty());
}

#[tokio::test]
async fn a_body_is_strict_json_of_the_fields_the_route_takes() {
    let world = World::plain().await;
    let security = credential(&world, "alice", "security");
    let big = format!(r#"{{"reason":"{}"}}"#, "x".repeat(2 << 20));
    for (body, status) in [
        ("", StatusCode::BAD_REQUEST),
        ("{}", StatusCode::BAD_REQUEST),
        ("[]", StatusCode::BAD_REQUEST),
        ("null", StatusCode::BAD_REQUEST),
        (r#"{"reason":"a","reason":"b"}"#, StatusCode::BAD_REQUEST),
        (r#"{"reason":"a","force":true}"#, StatusCode::BAD_REQUEST),
        (r#"{"reason":"a"} {}"#, StatusCode::BAD_REQUEST),
        (r#"{"reason":["a"]}"#, StatusCode::BAD_REQUEST),
        (r#"{"reason":null}"#, StatusCode::BAD_REQUEST),
        (r#"{"reason":""}"#, StatusCode::BAD_REQUEST),
        (r#"{"reason":"  "}"#, StatusCode::BAD_REQUEST),
        (r#"{"reason":"a\nb"}"#, StatusCode::BAD_REQUEST),
        ("\u{feff}{\"reason\":\"a\"}", StatusCode::BAD_REQUEST),
        (&big, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        for target in [
            "/v1/connections/acme/suspend",
            "/v1/integrations/reader/kill",
            "/v1/kill",
        ] {
            let told = post(&world, target, &security, body).await;
            assert_eq!(told.status, status, "{target} {body:.60}: {}", told.text);
        }
    }
    for body in [
        r#"{"kind":"all","subject":"x","reason":"a"}"#,
        r#"{"kind":"planet","subject":"x","reason":"a"}"#,
        r#"{"kind":"portal","subject":"0x1","reason":"a"}"#,
        r#"{"kind":"person","subject":"","reason":"a"}"#,
        r#"{"kind":"integration","reason":"a"}"#,
    ] {
        assert_eq!(
            post(&world, "/v1/kill", &security, body).await.status,
            StatusCode::BAD_REQUEST,
            "{body}"
        );
    }
    let encoded = Asked {
        content_type: Some("application/json; charset=utf-16"),
        ..Asked::post("/v1/kill", &security, r#"{"kind":"all","reason":"a"}"#)
    };
    assert_eq!(
        ask(&world, &encoded).await.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    let output = world.command(&["connection", "list", "--json"]);
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains(r#""state":"ok""#)
    );
    assert!(world.command(&["kill", "--list", "--json"]).stdout.is_empty());
}

#[tokio::test]
async fn who_fails_too_often_is_told_to_wait_and_locks_nobody_out() {
    let world = World::plain().await;
    let viewer = credential(&world, "alice", "viewer");
    let key = world.key("reader");
    let mut line = Line::open(world.monitor).await;
    for n in 0..20 {
        let told = line.ask(&Asked::get("/v1/status", &key)).await;
        assert_eq!(told.status, StatusCode::UNAUTHORIZED, "{n}");
    }
    let mut line = Line::open(world.monitor).await;
    let told = line.ask(&Asked::get("/v1/status", &key)).await;
    assert_eq!(told.status, StatusCode::TOO_MANY_REQUESTS);
    let seconds: u64 = told.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
    assert_eq!(get(&world, "/v1/status", &viewer).await.status, StatusCode::OK);
    let metrics = world.metrics().await;
    assert!(
        metrics.contains(r#"scopegate_admin_requests_total{result="unauthenticated"} 21"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_request_that_never_ends_is_not_waited_for_for_ever() {
    let world = World::plain().await;
    let operator = credential(&world, "alice", "operator");
    let mut stream = Overheard::connect(world.monitor).await.unwrap();
    let head = format!(
        "POST /v1/connections/acme/suspend HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {operator}\r\n\
         Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{{",
        world.monitor
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.contains("too_long"),
        "{answer}"
    );
}

#[tokio::test]
async fn one_address_does_not_take_every_place() {
    let world = World::plain().await;
    let viewer = credential(&world, "alice", "viewer");
    let mut held = Vec::new();
    for _ in 0..40 {
        held.push(Overheard::connect(world.monitor).await.unwrap());
    }
    let from = std::net::Ipv4Addr::new(127, 3, 0, 1).into();
    let mut line = within(Line::open_from(world.monitor, from)).await;
    assert_eq!(
        line.ask(&Asked::get("/v1/status", &viewer)).await.status,
        StatusCode::OK
    );
    drop(held);
}
