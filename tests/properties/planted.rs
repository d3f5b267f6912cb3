//! Planted values: asked for in every way a client can ask, never answered.

use serde_json::{Value, json};

use crate::portal::{HIDDEN_OF_CONTACTS, holds_member, planted, upstream, world};
use crate::support::World;
use crate::wire::{Reply, Wire, get, post, request};

async fn ask(world: &World, bytes: String) -> Reply {
    Wire::open(world.gate).await.ask(bytes).await
}

/// Reads that must work, narrowed or filtered.
fn reads(email: &str) -> Vec<(&'static str, String, String)> {
    let all = format!("email,{}", HIDDEN_OF_CONTACTS.join(","));
    let listed: Vec<&str> = HIDDEN_OF_CONTACTS.iter().copied().chain(["email"]).collect();
    let get = |target: &str| ("GET", target.to_owned(), String::new());
    let post = |target: &str, body: Value| ("POST", target.to_owned(), body.to_string());
    vec![
        get("/crm/v3/objects/contacts?limit=100"),
        get(&format!("/crm/v3/objects/contacts?limit=100&properties={all}")),
        get("/crm/v3/objects/contacts?limit=5&properties=email&properties=ssn&properties=iban"),
        get(&format!("/crm/v3/objects/contacts/1001?properties={all}")),
        get(&format!("/crm/objects/2026-03/0-1/1001?properties={all}")),
        get("/crm/v3/objects/contacts/1001?propertiesWithHistory=email,ssn,iban"),
        get(&format!(
            "/crm/v3/objects/contacts/{email}?idProperty=email&properties={all}"
        )),
        get("/crm/v3/objects/companies?limit=100&properties=name,bank_account_iban"),
        post(
            "/crm/v3/objects/contacts/search",
            json!({"limit": 100, "properties": listed, "filterGroups": [{"filters": [
                {"propertyName": "email", "operator": "HAS_PROPERTY"}]}]}),
        ),
        post(
            "/crm/v3/objects/contacts/batch/read",
            json!({"properties": listed, "propertiesWithHistory": ["email", "ssn"], "inputs": [{"id": "1001"}, {"id": "1002"}]}),
        ),
        get("/contacts/v1/contact/vid/1001/profile"),
        get(&format!("/contacts/v1/contact/email/{email}/profile")),
        get(
            "/contacts/v1/lists/all/contacts/all?count=100&property=email&property=ssn&propertyMode=value_and_history",
        ),
        get("/companies/v2/companies/2001"),
        get("/companies/v2/companies/paged?limit=100&properties=name&properties=bank_account_iban"),
        get("/crm/v3/properties/contacts"),
        get("/properties/v1/contacts/properties"),
        get("/properties/v2/contacts/properties"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_read_in_any_spelling_answers_a_hidden_value() {
    let (world, key) = world().await;
    let planted = planted(&world).await;
    let first: Value = serde_json::from_str(&planted.contacts).unwrap();
    let email = first["results"][0]["properties"]["email"].as_str().unwrap();
    for (method, target, body) in reads(&email.replace('@', "%40")) {
        let own = upstream(&world, method, &target, &body).await;
        assert_eq!(own.status, 200, "the simulator knows it: {target}: {own:?}");
        let reply = ask(
            &world,
            request(method, &target, &key, &["Content-Type: application/json"], &body),
        )
        .await;
        assert_eq!(reply.status, 200, "{method} {target}: {reply:?}");
        planted.none_in(&format!("{}{}", reply.head, reply.text()), &target);
        for hidden in HIDDEN_OF_CONTACTS {
            assert!(!holds_member(&reply.json(), hidden), "{target} names `{hidden}`");
        }
        assert!(
            reply.text().len() > 100 && reply.header("etag").is_none(),
            "{target}: something is left, and nothing of the unfiltered answer: {reply:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_values_are_not_even_asked_for() {
    let (world, key) = world().await;
    let target = "/crm/v3/objects/contacts?limit=2&properties=email,ssn&propertiesWithHistory=iban";
    assert_eq!(ask(&world, get(target, &key)).await.status, 200);
    let body = json!({"properties": ["ssn", "email"], "inputs": [{"id": "1001"}]}).to_string();
    let reply = ask(&world, post("/crm/v3/objects/contacts/batch/read", &key, &body)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    for received in world.sim.received() {
        let sent = format!("{} {}", received.target, String::from_utf8_lossy(&received.body));
        assert!(
            sent.contains("email") && !sent.contains("ssn") && !sent.contains("iban"),
            "{sent}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_answer_with_nothing_hidden_in_success_part_success_and_conflict() {
    let (world, key) = world().await;
    let planted = planted(&world).await;
    let first: Value = serde_json::from_str(&planted.contacts).unwrap();
    let email = first["results"][1]["properties"]["email"]
        .as_str()
        .unwrap()
        .to_owned();
    let fresh = json!({"properties": {"email": "fresh@example.com", "firstname": "Fresh"}});
    let batch = json!({"inputs": [{"id": "1003", "properties": {"firstname": "A"}}, {"id": "999999", "properties": {"firstname": "B"}}]});
    let upsert = json!({"inputs": [{"idProperty": "email", "id": email, "properties": {"firstname": "U"}}]});
    for (method, target, body, statuses) in [
        ("POST", "/crm/v3/objects/contacts", fresh.clone(), &[201][..]),
        (
            "PATCH",
            "/crm/v3/objects/contacts/1001",
            json!({"properties": {"firstname": "New"}}),
            &[200],
        ),
        (
            "POST",
            "/crm/v3/objects/contacts/batch/update",
            batch,
            &[200, 207, 404],
        ),
        (
            "POST",
            "/crm/v3/objects/contacts/batch/upsert",
            upsert,
            &[200, 201],
        ),
        // A conflict's text names the record that has the address, and may quote more of it.
        ("POST", "/crm/v3/objects/contacts", fresh, &[409]),
        (
            "PATCH",
            "/crm/v3/objects/contacts/1002",
            json!({"properties": {"email": "fresh@example.com"}}),
            &[400, 409],
        ),
    ] {
        let reply = ask(
            &world,
            request(
                method,
                target,
                &key,
                &["Content-Type: application/json"],
                &body.to_string(),
            ),
        )
        .await;
        assert!(statuses.contains(&reply.status), "{method} {target}: {reply:?}");
        assert_eq!(reply.verdict(), "allow", "{reply:?}");
        planted.none_in(&format!("{}{}", reply.head, reply.text()), target);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_planted_value_stands_in_log_files_audit_or_metrics() {
    let (mut world, key) = world().await;
    let planted = planted(&world).await;
    for (method, target, body) in reads("nobody%40example.com") {
        ask(
            &world,
            request(method, &target, &key, &["Content-Type: application/json"], &body),
        )
        .await;
    }
    planted.none_in(&world.metrics().await, "metrics");
    world.stop().await;
    planted.none_in(&world.audit_text(), "audit");
}
