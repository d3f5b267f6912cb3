//! Connections of clients and to the upstream: kept, shared, replaced, never a reason for an error.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinSet;

use crate::relay::Relay;
use crate::support::canaries::heard::Overheard;
use crate::support::{Setup, World, samples, within};
use crate::wire::{Wire, get, post, request};

const GOOD: &str = "/crm/v3/objects/contacts/1001";

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_carries_many_requests_and_so_does_the_one_behind_it() {
    let world = World::plain().await;
    let key = world.key("writer");
    let mut wire = Wire::open(world.gate).await;
    for round in 0..100 {
        let reply = match round % 4 {
            0 => wire.ask(get(GOOD, &key)).await,
            1 => {
                wire.ask(post("/crm/v3/objects/contacts/search", &key, r#"{"limit":1}"#))
                    .await
            }
            2 => wire.ask(get("/crm/v3/objects/contacts/404404", &key)).await,
            _ => {
                wire.ask(request(
                    "PATCH",
                    GOOD,
                    &key,
                    &[],
                    r#"{"properties":{"phone":"1"}}"#,
                ))
                .await
            }
        };
        let expected = if round % 4 == 2 { 404 } else { 200 };
        assert_eq!(reply.status, expected, "{round}: {reply:?}");
        assert_eq!(reply.header("x-scopegate-source"), Some("upstream"));
    }
    let metrics = world.metrics().await;
    let ratio = samples(&metrics, "scopegate_upstream_reuse_ratio")[""];
    assert!(ratio >= 0.98, "{ratio}");
    let upstream = samples(&metrics, "scopegate_upstream_connections");
    assert_eq!(upstream[r#"{state="idle"}"#], 1.0, "{upstream:?}");
    assert_eq!(upstream[r#"{state="active"}"#], 0.0, "{upstream:?}");
    let told_to_close = wire
        .ask(request("GET", GOOD, &key, &["Connection: close"], ""))
        .await;
    assert_eq!(told_to_close.status, 200);
    assert!(wire.has_ended().await);
    let mut old = Wire::open(world.gate).await;
    old.write(format!(
        "GET {GOOD} HTTP/1.0\r\nHost: gate\r\nAuthorization: Bearer {key}\r\n\r\n"
    ))
    .await;
    assert_eq!(old.reply().await.unwrap().json()["id"], "1001");
    assert!(old.has_ended().await, "HTTP/1.0 closes unless asked not to");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_one_clear_text_http2_connection_are_served_side_by_side() {
    let world = World::plain().await;
    let key = world.key("writer");
    let stream = Overheard::connect(world.gate).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let driver = tokio::spawn(connection);
    let uri = |target: &str| format!("http://{}{target}", world.gate);
    let build = |method: &str, target: &str, body: &'static str| {
        let request = Request::builder()
            .method(method)
            .uri(uri(target))
            .header("authorization", format!("Bearer {key}"));
        request
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from_static(body.as_bytes())))
            .unwrap()
    };
    // All at once: each waits at the upstream, so that one after the other would take 60 times as long.
    use scopegate::sim::{Action, Fault, Matching};
    let slow = world.sim.fault(Fault::always(
        Matching::any(),
        Action::Delay(Duration::from_millis(300)),
    ));
    let mut calls = JoinSet::new();
    let begun = std::time::Instant::now();
    for id in 0..60 {
        let request = build("GET", &format!("/crm/v3/objects/contacts/{}", 1001 + id), "");
        let sent = sender.clone().send_request(request);
        calls.spawn(async move {
            let response = sent.await.unwrap();
            let (status, body) = (
                response.status(),
                response.into_body().collect().await.unwrap().to_bytes(),
            );
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            (
                status.as_u16(),
                body["id"].as_str().and_then(|found| found.parse().ok()) == Some(1001 + id),
            )
        });
    }
    let answers = within(calls.join_all()).await;
    assert!(answers.iter().all(|answer| *answer == (200, true)), "{answers:?}");
    assert!(
        begun.elapsed() < Duration::from_secs(9),
        "they waited for one another: {:?}",
        begun.elapsed()
    );
    world.sim.remove_fault(slow);

    let ask = async |request| {
        let response = within(sender.clone().send_request(request)).await.unwrap();
        (
            response.status().as_u16(),
            response.into_body().collect().await.unwrap().to_bytes(),
        )
    };
    let body = r#"{"properties":{"email":"h2@example.com"}}"#;
    assert_eq!(ask(build("POST", "/crm/v3/objects/contacts", body)).await.0, 201);
    assert_eq!(ask(build("GET", "/crm/v3/objects/deals", "")).await.0, 403);
    // HTTP/2's own ways to name two hosts or none.
    world.sim.forget_received();
    let mut two_hosts = build("GET", GOOD, "");
    two_hosts
        .headers_mut()
        .insert("host", "api.hubapi.com".parse().unwrap());
    assert_eq!(ask(two_hosts).await.0, 400);
    let mut user = build("GET", GOOD, "");
    *user.uri_mut() = format!("http://user@{}{GOOD}", world.gate).parse().unwrap();
    assert_eq!(ask(user).await.0, 400);
    let mut doubled = build("GET", GOOD, "");
    doubled
        .headers_mut()
        .append("authorization", "Bearer x".parse().unwrap());
    assert_eq!(ask(doubled).await.0, 400);
    for method in ["CONNECT", "TRACE", "OPTIONS", "HEAD"] {
        assert_eq!(ask(build(method, GOOD, "")).await.0, 400, "{method}");
    }
    assert!(world.sim.received().is_empty());
    assert_eq!(
        ask(build("GET", GOOD, "")).await.0,
        200,
        "the connection outlives refusals"
    );
    driver.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_closes_idle_connections_is_no_error_to_a_client() {
    let mut world = World::plain().await;
    let key = world.key("writer");
    world.stop().await;
    let relay = Relay::to(world.sim_origin.strip_prefix("http://").unwrap().parse().unwrap()).await;
    let config = std::fs::read_to_string(world.config()).unwrap();
    std::fs::write(
        world.config(),
        config.replace(&world.sim_origin, &format!("http://{}", relay.address)),
    )
    .unwrap();
    world.start().await;
    let mut wire = Wire::open(world.gate).await;
    for round in 0..20 {
        let opened = relay.opened();
        let body = format!(r#"{{"properties":{{"email":"relay{round}@example.com"}}}}"#);
        assert_eq!(
            wire.ask(post("/crm/v3/objects/contacts", &key, &body))
                .await
                .status,
            201,
            "{round}"
        );
        assert_eq!(wire.ask(get(GOOD, &key)).await.status, 200, "{round}");
        assert_eq!(relay.opened(), opened + 1, "one connection served both");
        relay.cut();
        world
            .until("the connections are closed", async |_| relay.carrying() == 0)
            .await;
    }
    let created = world
        .sim
        .received()
        .iter()
        .filter(|received| received.method == "POST")
        .count();
    assert_eq!(created, 20, "no write was sent twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_over_the_cap_are_closed_and_their_places_given_back() {
    let config = "limits: { connections: 6, connections_per_address: 4 }\n";
    let setup = Setup {
        config: config.into(),
        ..Setup::default()
    };
    let world = World::with(setup).await;
    let key = world.key("reader");
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut wire = Wire::open(world.gate).await;
        assert_eq!(wire.ask(get(GOOD, &key)).await.status, 200);
        open.push(wire);
    }
    for _ in 0..3 {
        let mut over = Wire::open(world.gate).await;
        over.write(get(GOOD, &key)).await;
        assert!(over.has_ended().await, "one more than `connections_per_address`");
    }
    for wire in &mut open {
        assert_eq!(
            wire.ask(get(GOOD, &key)).await.status,
            200,
            "those that are open serve on"
        );
    }
    open.clear();
    let served = async |world: &World| {
        let mut wire = Wire::open(world.gate).await;
        wire.write(get(GOOD, &key)).await && wire.reply().await.is_some_and(|reply| reply.status == 200)
    };
    world.until("a place is free again", served).await;
}
