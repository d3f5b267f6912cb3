//! Injected faults, as a client on the socket sees them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::json;

use crate::world::{World, gunzip};
use scopegate::sim::{Action, Canned, EchoPlace, Fault, KnownFault, Matching};

const CONTACT: &str = "/crm/v3/objects/contacts/1001";

async fn struck(action: Action) -> (World, Result<crate::world::Answer, String>) {
    let world = World::plain().await;
    world.sim.fault(Fault::once(Matching::path("/crm"), action));
    let answer = world.try_as("GET", CONTACT, &world.token, "").await;
    assert_eq!(world.get(CONTACT).await.status, 200, "the fault struck once");
    (world, answer)
}

#[tokio::test]
async fn a_canned_answer_takes_the_place_of_the_real_one() {
    let canned = Canned::new(302, "moved")
        .header("location", "https://evil.example/")
        .header("content-type", "text/plain");
    let (_, answer) = struck(Action::Answer(canned)).await;
    let answer = answer.unwrap();
    assert_eq!(
        (answer.status, answer.header("location"), answer.text().as_str()),
        (302, "https://evil.example/", "moved")
    );
    assert_eq!(answer.header("content-type"), "text/plain");
}

#[tokio::test]
async fn known_failures_have_their_published_bodies() {
    for (known, status, part) in [
        (KnownFault::ExpiredToken, 401, "EXPIRED_AUTHENTICATION"),
        (KnownFault::EdgeBlock, 403, "Cloudflare"),
        (KnownFault::EdgeChallenge, 403, "Just a moment"),
        (KnownFault::EdgeCode, 403, "error code: 1020"),
        (KnownFault::NotPublic, 403, "isn't available for public use"),
        (KnownFault::MissingScope, 403, "requiredGranularScopes"),
        (
            KnownFault::MissingScopeText,
            403,
            "does not have proper permissions! (requires any of",
        ),
        (KnownFault::UserPermission, 403, "USER_DOES_NOT_HAVE_PERMISSIONS"),
        (
            KnownFault::UserPermissionOnType,
            403,
            "(requires one of [tickets-read",
        ),
        (
            KnownFault::MissingScopeOlder,
            403,
            "All of the following scopes are required.\",\"context\":{\"requiredScopes\"",
        ),
        (
            KnownFault::WrongScope,
            403,
            "\"requiredGranularScopes\":[\"contacts\"]",
        ),
        (KnownFault::SensitiveScope, 403, "sensitive data scope"),
        (KnownFault::ProductLibrary, 403, "[product library]"),
        (KnownFault::GatedText, 403, "MISSING_PERMISSIONS"),
        (KnownFault::ClientNotListed, 403, "not allow-listed"),
        (KnownFault::Archived, 403, "archived"),
        (KnownFault::Gated, 403, "GATED"),
        (KnownFault::PortalPaused, 403, "HIGH_RISK_PORTAL"),
        (
            KnownFault::Unexplained,
            403,
            "There was a problem with the request.",
        ),
        (KnownFault::Locked, 423, "locked"),
        (KnownFault::TenSecondly, 429, "TEN_SECONDLY_ROLLING"),
        (KnownFault::Daily, 429, "\"policyName\":\"DAILY\""),
        (KnownFault::SearchRateLimits, 429, "RATE_LIMITS"),
        (KnownFault::Migrating, 477, "migrated"),
        (KnownFault::Unavailable, 503, "unavailable"),
        (KnownFault::EdgeTimeout, 524, "timeout"),
    ] {
        let (_, answer) = struck(Action::Known(known)).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status, status, "{known:?}");
        assert!(answer.text().contains(part), "{known:?}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_connection_may_close_before_anything_was_done_or_after() {
    let body = json!({"properties": {"city": "Nowhere"}}).to_string();
    for (action, done) in [(Action::CloseBeforeHead, false), (Action::LoseAnswer, true)] {
        let world = World::plain().await;
        world
            .sim
            .fault(Fault::once(Matching::any().method("PATCH"), action));
        assert!(world.try_as("PATCH", CONTACT, &world.token, &body).await.is_err());
        let city =
            world.get(&format!("{CONTACT}?properties=city")).await.json()["properties"]["city"].clone();
        assert_eq!(city == json!("Nowhere"), done);
    }
}

#[tokio::test]
async fn a_body_may_end_in_the_middle() {
    let (_, answer) = struck(Action::HalfBody).await;
    assert!(answer.is_err());
}

#[tokio::test]
async fn a_hanging_answer_ends_with_the_simulator() {
    for action in [Action::HangBeforeHead, Action::HangMidBody] {
        let world = World::plain().await;
        world.sim.fault(Fault::once(Matching::any(), action));
        let waiting = world.try_as("GET", CONTACT, &world.token, "");
        let waited = tokio::time::timeout(Duration::from_millis(300), waiting).await;
        assert!(waited.is_err(), "no answer yet");
    }
}

#[tokio::test]
async fn the_credential_may_come_back_in_the_answer() {
    let (world, answer) = struck(Action::EchoAuthorization(EchoPlace::Body)).await;
    assert!(answer.unwrap().text().contains(&world.token));
    let (world, answer) = struck(Action::EchoAuthorization(EchoPlace::Base64)).await;
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &world.token);
    assert!(answer.unwrap().text().contains(&encoded));
    let (world, answer) = struck(Action::EchoAuthorization(EchoPlace::Header("x-debug".into()))).await;
    assert_eq!(
        answer.unwrap().header("x-debug"),
        format!("Bearer {}", world.token)
    );
}

#[tokio::test]
async fn gzip_comes_unasked_broken_or_as_a_bomb() {
    let (_, answer) = struck(Action::ForceGzip).await;
    let answer = answer.unwrap();
    assert_eq!(answer.header("content-encoding"), "gzip");
    assert!(gunzip(&answer.body).unwrap().starts_with(b"{\"id\":\"1001\""));
    let (_, answer) = struck(Action::BadGzip).await;
    assert!(gunzip(&answer.unwrap().body).is_err());
    let (_, answer) = struck(Action::GzipBomb {
        decoded_bytes: 5_000_000,
    })
    .await;
    let body = answer.unwrap().body;
    assert!(body.len() < 50_000);
    assert_eq!(gunzip(&body).unwrap().len(), 5_000_000);
}

#[tokio::test]
async fn raw_bytes_and_a_protocol_switch_reach_the_client_as_they_are() {
    let raw = Bytes::from_static(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
    let (_, answer) = struck(Action::Raw(raw)).await;
    assert_eq!(answer.unwrap().text(), "hi");
    let (_, answer) = struck(Action::Raw(Bytes::from_static(b"nonsense\r\n\r\n"))).await;
    assert!(answer.is_err());
    let (_, answer) = struck(Action::SwitchProtocols).await;
    assert_eq!(answer.unwrap().status, 101);
}

#[tokio::test]
async fn delays_and_trickles_take_their_time() {
    let begun = Instant::now();
    let (_, answer) = struck(Action::Delay(Duration::from_millis(120))).await;
    assert_eq!(answer.unwrap().status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(120));
    let trickle = Action::Trickle {
        piece_bytes: 100,
        pause: Duration::from_millis(5),
    };
    let (_, answer) = struck(trickle).await;
    assert_eq!(answer.unwrap().json()["id"], "1001");
}

#[tokio::test]
async fn what_was_received_can_be_read_back() {
    let world = World::plain().await;
    world
        .send(
            "POST",
            "/crm/v3/objects/contacts/search?x=%20y",
            json!({"limit": 1}),
        )
        .await;
    let received = world.sim.received();
    let last = received.last().unwrap();
    assert_eq!(
        (last.method.as_str(), last.target.as_str()),
        ("POST", "/crm/v3/objects/contacts/search?x=%20y")
    );
    assert_eq!(
        (&last.body[..], last.body_bytes, last.status),
        (&b"{\"limit\":1}"[..], 11, Some(200))
    );
    assert_eq!(
        last.header("authorization"),
        Some(format!("Bearer {}", world.token).as_str())
    );
    assert!(last.complete);
    assert_eq!(world.sim.received_count(), 1);
    world.sim.forget_received();
    assert!(world.sim.received().is_empty());
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_accept_it_and_carry_the_edge_headers() {
    let world = World::plain().await;
    let request = Request::get("/crm/v3/objects/contacts?limit=50")
        .header("authorization", format!("bearer {}", world.token))
        .header("accept-encoding", "gzip, deflate")
        .body(Full::<Bytes>::default())
        .unwrap();
    let answer = world.request(request).await.unwrap();
    assert_eq!(answer.header("content-encoding"), "gzip");
    assert!(gunzip(&answer.body).unwrap().starts_with(b"{\"results\":["));
    assert_eq!(answer.header("server"), "cloudflare");
    assert_eq!(answer.header("vary"), "origin, Accept-Encoding");
    assert_eq!(answer.header("x-hubspot-correlation-id").len(), 36);
    assert!(answer.header("set-cookie").starts_with("__cf_bm="));
    assert_eq!(
        world
            .get("/crm/v3/objects/contacts?limit=50")
            .await
            .header("content-encoding"),
        ""
    );
}
