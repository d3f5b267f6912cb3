//! The filter in the path: HubSpot answers what it likes, and the client sees what the rules let it.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use scopegate::sim::{Action, Canned, Fault, KnownFault, Matching};
use serde_json::{Value, json};

use crate::portal::{planted, with, world};
use crate::support::canaries::heard::Overheard;
use crate::support::{World, samples, within};
use crate::wire::{Reply, Wire, get, request};

const LIST: &str = "/crm/v3/objects/contacts?limit=100";

async fn under(world: &World, key: &str, actions: Vec<Action>) -> Option<Reply> {
    for action in actions {
        world.sim.fault(Fault::once(Matching::any(), action));
    }
    let mut wire = Wire::open(world.gate).await;
    wire.write(get(LIST, key)).await;
    wire.reply().await
}

fn canned(body: impl Into<Bytes>) -> Vec<Action> {
    vec![Action::Answer(Canned::new(200, body))]
}

/// A page of contacts as HubSpot would answer it to somebody who may see everything.
fn page(records: usize, hidden: &str) -> Value {
    let record = |n: usize| {
        json!({
            "id": (1000 + n).to_string(),
            "properties": {"email": format!("{n}@example.com"), "ssn": hidden, "hs_object_id": n.to_string()},
            "propertiesWithHistory": {"ssn": [{"value": hidden}], "email": [{"value": "e"}]},
            "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z", "archived": false,
        })
    };
    json!({"results": (0..records).map(record).collect::<Vec<_>>()})
}

fn stripped_total(metrics: &str) -> f64 {
    samples(metrics, "scopegate_properties_stripped_total")
        .values()
        .sum()
}

fn misshapen_total(metrics: &str) -> f64 {
    let errors = samples(metrics, "scopegate_upstream_errors_total");
    errors.get("{kind=\"answer_shape\"}").copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_holds_more_than_was_asked_for_is_stripped_and_says_by_how_much() {
    let (world, key) = world().await;
    let planted = planted(&world).await;
    for coding in [
        vec![],
        vec![Action::ForceGzip],
        vec![Action::Trickle {
            piece_bytes: 7,
            pause: std::time::Duration::ZERO,
        }],
    ] {
        let before = stripped_total(&world.metrics().await);
        let what = format!("{coding:?}");
        let mut actions = canned(page(2, "PLANTED-contacts-ssn-9000").to_string());
        actions.extend(coding);
        let reply = under(&world, &key, actions).await.unwrap();
        assert_eq!((reply.status, reply.whole), (200, true), "{what}: {reply:?}");
        assert!(
            !reply.text().contains("PLANTED") && !reply.text().contains("ssn"),
            "{reply:?}"
        );
        assert_eq!(reply.json()["results"][1]["properties"]["email"], "1@example.com");
        let said: f64 = reply.header("x-scopegate-stripped").unwrap().parse().unwrap();
        assert!(said >= 4.0, "{reply:?}");
        let counted = stripped_total(&world.metrics().await) - before;
        assert!((counted - said).abs() < 0.5, "{counted} counted, {said} said");
    }
    // As HubSpot would have listed them to the owner of the token.
    let reply = under(&world, &key, canned(planted.contacts.clone()))
        .await
        .unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
    planted.none_in(&reply.text(), "a whole page of contacts");
    let clean = under(&world, &key, canned(json!({"results": []}).to_string()))
        .await
        .unwrap();
    assert_eq!(clean.header("x-scopegate-stripped"), None);
    assert_eq!(clean.json(), json!({"results": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_streams_filtered_and_counts_what_it_lost() {
    let (mut world, key) = world().await;
    let before = stripped_total(&world.metrics().await);
    let reply = under(
        &world,
        &key,
        canned(page(4_000, "PLANTED-contacts-ssn-9000").to_string()),
    )
    .await
    .unwrap();
    assert_eq!((reply.status, reply.whole), (200, true));
    assert!(reply.body.len() > 256 * 1024, "{} bytes", reply.body.len());
    assert!(!reply.text().contains("PLANTED"));
    assert_eq!(reply.json()["results"].as_array().unwrap().len(), 4_000);
    assert!(reply.header("content-length").is_none() && reply.header("x-scopegate-stripped").is_none());
    assert!(stripped_total(&world.metrics().await) - before >= 8_000.0);
    let id = reply.id();
    world.stop().await;
    let outcome = world
        .audit()
        .into_iter()
        .find(|line| line["kind"] == "outcome" && line["id"] == *id);
    assert!(outcome.unwrap()["stripped"].as_u64().unwrap() >= 8_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_understood_is_a_502_and_nothing_of_it_passes() {
    let (world, key) = world().await;
    let record = json!({"id": "1", "properties": {"ssn": "PLANTED-contacts-ssn-9000"}});
    let typed = |content_type: &str, body: &str| {
        vec![Action::Answer(
            Canned::new(200, body.to_owned()).header("content-type", content_type),
        )]
    };
    let table: Vec<(&str, Vec<Action>)> = vec![
        (
            "an unknown container",
            canned(json!({"results": [], "extras": {"a": record}}).to_string()),
        ),
        (
            "an unknown list",
            canned(json!({"results": [], "extras": [record]}).to_string()),
        ),
        ("a list at the top", canned(json!([record]).to_string())),
        (
            "properties that are no object",
            canned(r#"{"results":[{"id":"1","properties":["PLANTED-contacts-ssn-9000"]}]}"#),
        ),
        (
            "the same name twice",
            canned(
                r#"{"results":[],"results":[{"id":"1","properties":{"ssn":"PLANTED-contacts-ssn-9000"}}]}"#,
            ),
        ),
        (
            "cut short",
            canned(r#"{"results":[{"id":"1","properties":{"email":"PLANTED-contacts-ssn-9000"#),
        ),
        (
            "more behind the end",
            canned(r#"{"results":[]}{"ssn":"PLANTED-contacts-ssn-9000"}"#),
        ),
        ("no JSON", canned("PLANTED-contacts-ssn-9000")),
        ("HTML", typed("text/html", "<p>PLANTED-contacts-ssn-9000</p>")),
        ("CSV", typed("text/csv", "ssn\nPLANTED-contacts-ssn-9000")),
        (
            "another charset",
            typed("application/json; charset=utf-16", "{\"results\":[]}"),
        ),
        ("no type", typed("", "{\"ssn\":\"PLANTED-contacts-ssn-9000\"}")),
    ];
    let before = misshapen_total(&world.metrics().await);
    for (what, actions) in table {
        let reply = under(&world, &key, actions).await.unwrap();
        assert_eq!(
            (reply.status, reply.sub_category().as_str(), reply.whole),
            (502, "scopegate.upstream", true),
            "{what}: {reply:?}"
        );
        assert!(
            reply.header("retry-after").is_some() && reply.verdict() == "allow",
            "{what}"
        );
        assert!(!format!("{reply:?}").contains("PLANTED"), "{what}: {reply:?}");
    }
    assert!(misshapen_total(&world.metrics().await) - before >= 7.0);
    assert_eq!(under(&world, &key, vec![]).await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_that_is_not_understood_in_its_middle_never_looks_whole() {
    let (world, key) = world().await;
    let good = page(4_000, "PLANTED-contacts-ssn-9000").to_string();
    let good = good.strip_suffix("]}").unwrap();
    for end in [
        r#"],"extras":{"a":{"ssn":"PLANTED-contacts-ssn-9000"}}}"#,
        r#",["PLANTED-contacts-ssn-9000"]]}"#,
        r#"],"results":[]}"#,
        "",
        "]",
        "]}}",
        "]} PLANTED-contacts-ssn-9000",
    ] {
        let reply = under(&world, &key, canned(format!("{good}{end}"))).await.unwrap();
        assert_eq!(reply.status, 200, "{end}");
        assert!(!reply.whole, "{end}: a shortened answer ended like a whole one");
        assert!(serde_json::from_slice::<Value>(&reply.body).is_err(), "{end}");
        assert!(!reply.text().contains("PLANTED"), "{end}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http2_a_broken_off_answer_is_a_reset_stream() {
    let (world, key) = world().await;
    let good = page(4_000, "PLANTED-contacts-ssn-9000").to_string();
    for (end, is_whole) in [
        ("", true),
        (r#","extras":[{"ssn":"PLANTED-contacts-ssn-9000"}]}"#, false),
    ] {
        let body = match is_whole {
            true => good.clone(),
            false => format!("{}{end}", good.strip_suffix('}').unwrap()),
        };
        for action in canned(body) {
            world.sim.fault(Fault::once(Matching::any(), action));
        }
        let stream = Overheard::connect(world.gate).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        let driver = tokio::spawn(connection);
        let request = http::Request::get(format!("http://{}{LIST}", world.gate))
            .header("authorization", format!("Bearer {key}"))
            .body(Empty::<Bytes>::new())
            .unwrap();
        let response = within(sender.send_request(request)).await.unwrap();
        assert_eq!(response.status(), 200);
        let collected = within(response.into_body().collect()).await;
        assert_eq!(collected.is_ok(), is_whole, "{end}: {:?}", collected.err());
        driver.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_to_hold_answers_they_are_filtered_as_they_stream() {
    let (world, key) = with("limits: { answers_total_size: 0 }\n").await;
    let reply = under(
        &world,
        &key,
        canned(page(2, "PLANTED-contacts-ssn-9000").to_string()),
    )
    .await
    .unwrap();
    assert!(reply.whole && !reply.text().contains("PLANTED"), "{reply:?}");
    assert_eq!(reply.header("x-scopegate-stripped"), None);
    let bad = json!({"results": [{"id": "1"}], "extras": {"ssn": "PLANTED-contacts-ssn-9000"}}).to_string();
    let pieces = Action::Trickle {
        piece_bytes: 20,
        pause: std::time::Duration::from_millis(1),
    };
    let mut actions = canned(bad);
    actions.push(pieces);
    let reply = under(&world, &key, actions).await.unwrap();
    assert!(
        (reply.status == 502 || !reply.whole) && !reply.text().contains("PLANTED"),
        "{reply:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_keeps_its_status_and_loses_what_may_quote_a_value() {
    let (world, key) = world().await;
    let quoting = json!({
        "status": "error", "category": "VALIDATION_ERROR", "correlationId": "7e5c1a9e-0000-4000-8000-000000000000",
        "message": "Property values were not valid: PLANTED-contacts-ssn-9000",
        "errors": [{"message": "PLANTED-contacts-ssn-9000 is not valid", "in": "ssn", "context": {"value": ["PLANTED-contacts-ssn-9000"]}}],
        "context": {"ssn": ["PLANTED-contacts-ssn-9000"]},
    });
    let answer = |status: u16, body: &str, content_type: &str| {
        vec![Action::Answer(
            Canned::new(status, body.to_owned()).header("content-type", content_type),
        )]
    };
    for status in [400, 404, 409, 429, 500, 503] {
        let reply = under(
            &world,
            &key,
            answer(status, &quoting.to_string(), "application/json;charset=utf-8"),
        )
        .await
        .unwrap();
        assert_eq!(reply.status, status, "{reply:?}");
        assert!(!reply.text().contains("PLANTED"), "{reply:?}");
        assert_eq!(reply.json()["category"], "VALIDATION_ERROR");
        assert_eq!(reply.header("x-scopegate-source"), Some("upstream"));
    }
    for (body, content_type) in [
        ("<html>PLANTED-contacts-ssn-9000</html>", "text/html"),
        ("PLANTED-contacts-ssn-9000", "application/json"),
        ("[\"PLANTED-contacts-ssn-9000\"]", "application/json"),
        (
            &*format!(
                "{{\"message\":\"{}PLANTED-contacts-ssn-9000\"}}",
                "x".repeat(300_000)
            ),
            "application/json",
        ),
    ] {
        let reply = under(&world, &key, answer(404, body, content_type))
            .await
            .unwrap();
        assert_eq!(
            (reply.status, reply.whole),
            (404, true),
            "{content_type}: {reply:.500?}"
        );
        assert!(!reply.text().contains("PLANTED") && reply.json()["subCategory"] == "scopegate.upstream");
        assert_eq!(
            reply.header("content-type"),
            Some("application/json;charset=utf-8")
        );
        assert_eq!(reply.header("x-scopegate-source"), Some("gate"));
    }
    let empty = under(&world, &key, answer(404, "", "application/json"))
        .await
        .unwrap();
    assert_eq!((empty.status, empty.body.len()), (404, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cause_of_a_403_is_read_before_its_words_are_withheld() {
    let (world, key) = world().await;
    for (fault, cause) in [
        (KnownFault::MissingScope, "missing_scope"),
        (KnownFault::NotPublic, "tier"),
        (KnownFault::UserPermission, "user_permission"),
    ] {
        let reply = under(&world, &key, vec![Action::Known(fault)]).await.unwrap();
        assert_eq!(reply.status, 403, "{reply:?}");
        let causes = samples(&world.metrics().await, "scopegate_forbidden_total");
        let counted = causes
            .iter()
            .find(|(labels, _)| labels.contains(cause))
            .map(|(_, count)| *count);
        assert_eq!(counted, Some(1.0), "{cause} in {causes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_answer_is_withheld_says_that_it_was_made() {
    let (world, key) = world().await;
    let path = "/crm/v3/objects/contacts/1001";
    world.sim.fault(Fault::once(
        Matching::path(path),
        Action::Answer(Canned::new(
            200,
            r#"{"id":"1","others":[{"ssn":"PLANTED-contacts-ssn-9000"}],"properties":7}"#,
        )),
    ));
    let body = r#"{"properties":{"firstname":"N"}}"#;
    let mut wire = Wire::open(world.gate).await;
    let reply = wire
        .ask(request(
            "PATCH",
            path,
            &key,
            &["Content-Type: application/json"],
            body,
        ))
        .await;
    assert_eq!(
        (reply.status, reply.sub_category().as_str()),
        (502, "scopegate.upstream")
    );
    let message = reply.json()["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("carried the request out") && message.contains("Look before"),
        "{message}"
    );
    assert!(!message.contains("PLANTED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_answers_no_values_still_loses_the_words_of_its_errors() {
    let (world, key) = world().await;
    let archive = async || {
        let mut wire = Wire::open(world.gate).await;
        wire.ask(request("DELETE", "/crm/v3/objects/contacts/1009", &key, &[], ""))
            .await
    };
    let quoting =
        r#"{"status":"error","message":"PLANTED-contacts-ssn-9000 blocks it","category":"VALIDATION_ERROR"}"#;
    world.sim.fault(Fault::once(
        Matching::any(),
        Action::Answer(Canned::new(400, quoting)),
    ));
    let refused = archive().await;
    assert_eq!(
        (refused.status, refused.verdict().as_str()),
        (400, "allow"),
        "{refused:?}"
    );
    assert!(!refused.text().contains("PLANTED"), "{refused:?}");
    assert_eq!(refused.json()["category"], "VALIDATION_ERROR");
    let done = archive().await;
    assert_eq!((done.status, done.body.len()), (204, 0), "{done:?}");
}
