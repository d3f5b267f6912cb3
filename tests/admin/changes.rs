//! What each change does, to whom it is seen, and that it is written down with who and why.

use http::StatusCode;
use serde_json::{Value, json};

use crate::ask::{credential, get, id_of, post};
use crate::support::World;

const GOOD: &str = "/crm/v3/objects/contacts/1001";

/// What the store's events say, by the API.
async fn events(world: &World, security: &str) -> Vec<Value> {
    let told = get(world, "/v1/events?limit=1000", security).await;
    told.json()["items"].as_array().unwrap().clone()
}

fn is_by(event: &Value, action: &str, credential: &str, name: &str, reason: &str) -> bool {
    event["action"] == action
        && event["actor"] == format!("api:{name}/{}", id_of(credential))
        && event["reason"] == reason
}

#[tokio::test]
async fn a_suspension_stops_calls_a_resumption_lets_them_pass_and_both_are_recorded() {
    let mut world = World::plain().await;
    let operator = credential(&world, "ops", "operator");
    let security = credential(&world, "sec", "security");
    let key = world.key("reader");
    assert_eq!(world.get(GOOD, &key).await.status, StatusCode::OK);
    let told = post(
        &world,
        "/v1/connections/acme/suspend",
        &operator,
        r#"{"reason":"moving"}"#,
    )
    .await;
    let json = told.json();
    assert_eq!(
        (
            &json["before"],
            &json["state"],
            &json["result"],
            &json["in_force"]
        ),
        (&json!("ok"), &json!("suspended"), &json!("changed"), &json!(true)),
        "{}",
        told.text
    );
    assert_eq!(json["gates"][0]["instance"], "test");
    assert_eq!(world.get(GOOD, &key).await.status, StatusCode::UNAUTHORIZED);
    let again = post(
        &world,
        "/v1/connections/acme/suspend",
        &operator,
        r#"{"reason":"moving"}"#,
    )
    .await;
    assert_eq!(again.json()["result"], "unchanged");
    let told = post(
        &world,
        "/v1/connections/acme/resume",
        &operator,
        r#"{"reason":"moved"}"#,
    )
    .await;
    assert_eq!(told.json()["state"], "ok", "{}", told.text);
    assert_eq!(world.get(GOOD, &key).await.status, StatusCode::OK);
    let found = events(&world, &security).await;
    assert!(
        found
            .iter()
            .any(|event| is_by(event, "connection suspend", &operator, "ops", "moving"))
    );
    assert!(
        found
            .iter()
            .any(|event| is_by(event, "connection resume", &operator, "ops", "moved"))
    );
    // The same rows stand in the audit log.
    world.stop().await;
    let log = world.audit_text();
    for action in ["connection suspend", "connection resume"] {
        let line = log.lines().find(|line| line.contains(action)).unwrap();
        assert!(line.contains(&format!("api:ops/{}", id_of(&operator))), "{line}");
    }
}

#[tokio::test]
async fn a_stop_is_in_force_when_it_is_answered_and_only_security_ends_it() {
    let world = World::plain().await;
    let operator = credential(&world, "ops", "operator");
    let security = credential(&world, "sec", "security");
    let key = world.key("reader");
    let told = post(
        &world,
        "/v1/integrations/reader/kill",
        &operator,
        r#"{"reason":"leak"}"#,
    )
    .await;
    let json = told.json();
    assert_eq!(
        (&json["killed_before"], &json["keys"], &json["in_force"]),
        (&Value::Null, &json!(1), &json!(true))
    );
    assert_eq!(world.get(GOOD, &key).await.status, StatusCode::UNAUTHORIZED);
    let again = post(
        &world,
        "/v1/integrations/reader/kill",
        &operator,
        r#"{"reason":"again"}"#,
    )
    .await;
    assert_eq!(again.json()["killed_before"]["reason"], "leak");
    let kills = get(&world, "/v1/kills", &operator).await.json();
    assert_eq!(
        (&kills["items"][0]["kind"], &kills["items"][0]["subject"]),
        (&json!("integration"), &json!("reader"))
    );
    let end = r#"{"kind":"integration","subject":"reader","reason":"over"}"#;
    assert_eq!(
        post(&world, "/v1/revive", &operator, end).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        post(&world, "/v1/revive", &security, end).await.status,
        StatusCode::OK
    );
    assert_eq!(world.get(GOOD, &key).await.status, StatusCode::OK);
    let told = post(&world, "/v1/revive", &security, end).await;
    assert_eq!((told.status, &*told.code()), (StatusCode::CONFLICT, "conflict"));
    let all = r#"{"kind":"all","reason":"drill"}"#;
    assert_eq!(
        post(&world, "/v1/kill", &operator, all).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        post(&world, "/v1/kill", &security, all).await.status,
        StatusCode::OK
    );
    assert_eq!(world.get(GOOD, &key).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        post(&world, "/v1/revive", &security, all).await.status,
        StatusCode::OK
    );
    let told = post(
        &world,
        "/v1/connections/acme/kill",
        &operator,
        r#"{"reason":"leak"}"#,
    )
    .await;
    assert_eq!(told.json()["connections"], 1, "{}", told.text);
    let shown = get(&world, "/v1/connections/acme", &operator).await.json();
    assert_eq!(
        (&shown["state"], &shown["state_beneath"]),
        (&json!("killed"), &json!("ok"))
    );
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_and_labels_stay_what_they_were_made() {
    let world = World::plain().await;
    let operator = credential(&world, "ops", "operator");
    let security = credential(&world, "sec", "security");
    let key = world.key("reader");
    let target = format!("/v1/keys/{}/revoke", &key[5..17]);
    let told = post(&world, &target, &operator, r#"{"reason":"rotated"}"#).await;
    assert_eq!(
        (&told.json()["result"], &told.json()["in_force"]),
        (&json!("changed"), &json!(true))
    );
    assert_eq!(world.get(GOOD, &key).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        post(&world, &target, &operator, r#"{"reason":"x"}"#).await.json()["result"],
        "unchanged"
    );
    let none = post(
        &world,
        "/v1/keys/zzzzzzzzzzzz/revoke",
        &operator,
        r#"{"reason":"x"}"#,
    )
    .await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    let labels = "/v1/connections/acme/labels";
    let told = post(
        &world,
        labels,
        &operator,
        r#"{"set":["region=eu","team=crm"],"reason":"sorted"}"#,
    )
    .await;
    assert_eq!(
        told.json()["labels"],
        json!({ "region": "eu", "team": "crm" }),
        "{}",
        told.text
    );
    let told = post(
        &world,
        labels,
        &operator,
        r#"{"set":["region=us"],"unset":["team"],"reason":"sorted"}"#,
    )
    .await;
    assert_eq!(told.json()["labels"], json!({ "region": "us" }), "{}", told.text);
    for body in [
        r#"{"reason":"nothing"}"#,
        r#"{"set":["region"],"reason":"no value"}"#,
        r#"{"set":["a=b"],"unset":["a"],"reason":"both"}"#,
        r#"{"set":["a=b","a=c"],"reason":"twice"}"#,
    ] {
        assert_eq!(
            post(&world, labels, &operator, body).await.status,
            StatusCode::BAD_REQUEST,
            "{body}"
        );
    }
    assert_eq!(
        post(
            &world,
            "/v1/connections/none/labels",
            &operator,
            r#"{"set":["a=b"],"reason":"x"}"#
        )
        .await
        .status,
        StatusCode::NOT_FOUND
    );
    let found = events(&world, &security).await;
    assert!(
        found
            .iter()
            .any(|event| is_by(event, "key revoke", &operator, "ops", "rotated"))
    );
    assert_eq!(
        found
            .iter()
            .filter(|event| is_by(event, "connection label", &operator, "ops", "sorted"))
            .count(),
        2
    );
}

#[tokio::test]
async fn a_finding_is_acknowledged_once_by_its_number() {
    let world = World::plain().await;
    let operator = credential(&world, "ops", "operator");
    world
        .until("a finding", async |world| {
            !get(world, "/v1/findings", &operator).await.json()["items"]
                .as_array()
                .unwrap()
                .is_empty()
        })
        .await;
    let finding = get(&world, "/v1/findings", &operator).await.json()["items"][0].clone();
    assert_eq!(
        (&finding["connection"], &finding["acknowledged"]),
        (&json!("acme"), &Value::Null)
    );
    let target = format!("/v1/findings/{}/acknowledge", finding["id"]);
    let told = post(&world, &target, &operator, r#"{"reason":"known"}"#).await;
    assert_eq!(told.json()["result"], "changed", "{}", told.text);
    assert_eq!(
        post(&world, &target, &operator, r#"{"reason":"known"}"#)
            .await
            .json()["result"],
        "unchanged"
    );
    let shown = get(&world, "/v1/findings", &operator).await.json();
    let acknowledged = shown["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["id"] == finding["id"])
        .unwrap();
    assert_eq!(
        acknowledged["acknowledged"]["by"],
        format!("api:ops/{}", id_of(&operator))
    );
    for none in ["999999", "-1", "x", "00000000000000000000000000000001x"] {
        let target = format!("/v1/findings/{none}/acknowledge");
        assert_eq!(
            post(&world, &target, &operator, r#"{"reason":"x"}"#).await.status,
            StatusCode::NOT_FOUND,
            "{none}"
        );
    }
}
