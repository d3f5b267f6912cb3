//! What is shown: the same as by the command line, a page at a time.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Value, json};

use crate::ask::{credential, get, post};
use crate::support::World;

#[tokio::test]
async fn a_list_comes_in_pages_that_leave_nothing_out_and_repeat_nothing() {
    let world = World::plain().await;
    let viewer = credential(&world, "eve", "viewer");
    let made = world.command(&[
        "key",
        "create",
        "--integration",
        "reader",
        "--any-connection",
        "--count",
        "7",
    ]);
    assert!(made.status.success());
    let (mut seen, mut pages, mut target) = (BTreeSet::new(), 0, "/v1/keys?limit=3".to_owned());
    loop {
        let page = get(&world, &target, &viewer).await.json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 3);
        for item in items {
            assert!(seen.insert(item["id"].as_str().unwrap().to_owned()), "{item}");
            assert_eq!(
                (&item["integration"], &item["state"]),
                (&json!("reader"), &json!("ok"))
            );
        }
        pages += 1;
        match page["next"].as_str() {
            Some(next) => target = format!("/v1/keys?limit=3&after={next}"),
            None => break,
        }
    }
    assert_eq!((seen.len(), pages), (7, 3));
    for wrong in [
        "limit=0",
        "limit=1001",
        "limit=+3",
        "limit=x",
        "limit=3&limit=4",
        "all=1",
    ] {
        let told = get(&world, &format!("/v1/keys?{wrong}"), &viewer).await;
        assert_eq!(told.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn connections_keys_and_effective_policies_are_what_the_command_line_shows() {
    let world = World::plain().await;
    let viewer = credential(&world, "eve", "viewer");
    world.key("reader");
    let lines = |args: &[&str]| -> Vec<Value> {
        let output = world.command(args);
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    // What the gate finds out in its first moments would stand in one and not in the other.
    world
        .until("a finding", async |world| {
            let found = get(world, "/v1/findings", &viewer).await.json();
            !found["items"].as_array().unwrap().is_empty()
        })
        .await;
    let shown = get(&world, "/v1/connections", &viewer).await.json();
    assert_eq!(shown["items"], json!(lines(&["connection", "list", "--json"])));
    let one = get(&world, "/v1/connections/acme", &viewer).await.json();
    assert_eq!(one, shown["items"][0]);
    let shown = get(&world, "/v1/keys", &viewer).await.json();
    assert_eq!(shown["items"], json!(lines(&["key", "list", "--json"])));
    let folder = world.home().join("policies");
    let cells = lines(&[
        "policy",
        "show",
        folder.to_str().unwrap(),
        "--integration",
        "writer",
        "--json",
    ]);
    let shown = get(&world, "/v1/policies/writer", &viewer).await.json();
    assert!(cells.len() > 3);
    assert_eq!(shown["cells"], json!(cells));
    assert_eq!(
        get(&world, "/v1/policies/nobody", &viewer).await.status,
        StatusCode::NOT_FOUND
    );
    let security = credential(&world, "sec", "security");
    let shown = get(&world, "/v1/credentials", &security).await.json();
    let mut by_command = lines(&["admin", "list", "--json"]);
    by_command.sort_by_key(|line| line["id"].as_str().unwrap().to_owned());
    assert_eq!(shown["items"], json!(by_command));
}

#[tokio::test]
async fn an_explanation_is_the_command_lines_and_reaches_no_upstream() {
    let world = World::plain().await;
    let viewer = credential(&world, "eve", "viewer");
    world.sim.forget_received();
    let search = r#"{"properties":["email"],"limit":1}"#;
    for (method, target, body) in [
        ("GET", "/crm/v3/objects/contacts/1", None),
        ("DELETE", "/crm/v3/objects/contacts/1", None),
        ("POST", "/crm/v3/objects/contacts/search", Some(search)),
        ("GET", "/crm/v3/objects/../x", None),
        ("GET", "/unheard/of", None),
    ] {
        let question = json!({
            "method": method, "target": target, "integration": "reader", "connection": "acme",
            "body": body, "content_type": body.map(|_| "application/json"),
        });
        let told = post(&world, "/v1/explain", &viewer, &question.to_string()).await;
        let file = world.dir.path().join("body.json");
        std::fs::write(&file, body.unwrap_or_default()).unwrap();
        let mut args = vec![
            "explain",
            "--integration",
            "reader",
            "--connection",
            "acme",
            "--json",
        ];
        if body.is_some() {
            args.extend([
                "--content-type",
                "application/json",
                "--body",
                file.to_str().unwrap(),
            ]);
        }
        args.extend([method, target]);
        let by_command: Value = serde_json::from_slice(&world.command(&args).stdout).unwrap();
        assert_eq!(told.json(), by_command, "{method} {target}");
    }
    assert!(world.sim.received().is_empty());
    let alone = json!({ "method": "GET", "target": "/crm/v3/objects/contacts/1" });
    let told = post(&world, "/v1/explain", &viewer, &alone.to_string())
        .await
        .json();
    assert_eq!(
        (&told["operation"], &told["decision"]),
        (&json!("crm.objects.get"), &Value::Null)
    );
    let unknown = json!({ "method": "GET", "target": "/", "integration": "nobody" });
    let told = post(&world, "/v1/explain", &viewer, &unknown.to_string()).await;
    assert_eq!(told.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn status_integrations_and_denials_tell_how_things_stand() {
    let world = World::plain().await;
    let viewer = credential(&world, "eve", "viewer");
    let key = world.key("reader");
    let status = get(&world, "/v1/status", &viewer).await.json();
    assert_eq!(
        (&status["instance"], &status["ready"], &status["kills"]),
        (&json!("test"), &json!(true), &json!(0))
    );
    assert_eq!(
        (&status["you"]["name"], &status["you"]["role"]),
        (&json!("eve"), &json!("viewer"))
    );
    assert_eq!(
        (&status["policies"]["count"], &status["policies"]["ceiling"]),
        (&json!(2), &json!("absent"))
    );
    assert_eq!(status["conditions"]["store readable"], json!(true));
    let integrations = get(&world, "/v1/integrations", &viewer).await.json();
    let reader = &integrations["items"][0];
    assert_eq!(
        (
            &reader["integration"],
            &reader["owner"],
            &reader["state"],
            &reader["keys"],
            &reader["connections"]
        ),
        (
            &json!("reader"),
            &json!("test@example.com"),
            &json!("ready"),
            &json!(1),
            &json!(["acme"])
        )
    );
    let denied = world
        .send("DELETE", "/crm/v3/objects/contacts/1", &key, None)
        .await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN);
    world
        .until("the denial is in the log", async |world| {
            let denials = get(world, "/v1/denials?since=1h", &viewer).await.json();
            denials["items"]
                .as_array()
                .unwrap()
                .iter()
                .any(|item| item["integration"] == "reader" && item["by"] == "gate")
        })
        .await;
    let others = get(&world, "/v1/denials?integration=writer", &viewer)
        .await
        .json();
    assert_eq!(others["items"], json!([]));
    for wrong in ["since=25h", "since=0h", "since=7d", "since=x", "limit=0"] {
        let told = get(&world, &format!("/v1/denials?{wrong}"), &viewer).await;
        assert_eq!(told.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}
