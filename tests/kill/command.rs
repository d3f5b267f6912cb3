//! The commands, what they record and show, and what a restart and a broken store do to a stop.

use serde_json::Value;

use crate::place::{Place, READ};
use crate::support::samples;
use crate::wire::{Wire, get, request};

async fn asked(place: &Place, key: &str) -> u16 {
    Wire::open(place.world.gate)
        .await
        .ask(get(READ, key))
        .await
        .status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_says_what_it_stops_and_how_fast_and_is_recorded_with_reason_and_actor() {
    let place = Place::new().await;
    let said = place
        .ok(&[
            "kill",
            "--integration",
            "sync",
            "--reason",
            "key in a public repository",
        ])
        .await;
    assert!(
        said.contains("stopped integration `sync`: 0 connections, 1 key\n"),
        "{said}"
    );
    assert!(said.contains("in force in gate `test` after 0."), "{said}");
    let again = place
        .ok(&["kill", "--integration", "sync", "--reason", "once more"])
        .await;
    assert!(
        again.contains("is stopped already") && again.contains("key in a public repository"),
        "{again}"
    );
    let list = place.ok(&["kill", "--list", "--json"]).await;
    let row: Value = serde_json::from_str(list.trim()).unwrap();
    assert_eq!(
        (&row["kind"], &row["subject"], &row["reason"], &row["keys"]),
        (
            &"integration".into(),
            &"sync".into(),
            &"key in a public repository".into(),
            &1.into()
        )
    );
    assert!(row["actor"].as_str().unwrap().starts_with("cli:"));
    assert_eq!(asked(&place, &place.key).await, 401);
    place
        .world
        .until("command and refusal are in the audit log", async |world| {
            let lines = world.audit();
            let admin = lines.iter().any(|line| {
                line["kind"] == "admin"
                    && line["action"] == "kill"
                    && line["subject"] == "integration sync"
                    && line["reason"] == "key in a public repository"
                    && line["actor"].as_str().unwrap().starts_with("cli:")
            });
            let refused = lines.iter().any(|line| {
                line["kind"] == "decision"
                    && line["decision"] == "deny"
                    && line["reason"] == "killed"
                    && line["integration"] == "sync"
            });
            admin && refused
        })
        .await;
    let metrics = place.world.metrics().await;
    let killed = samples(&metrics, "scopegate_killed");
    assert_eq!(killed[r#"{kind="integration"}"#], 1.0, "{killed:?}");
    assert_eq!(killed.values().sum::<f64>(), 1.0);
    let denied = r#"scopegate_requests_total{decision="deny",effect="-",integration="sync",operation="other",reason="killed"} 1"#;
    assert!(metrics.contains(denied), "{metrics}");

    let revived = place
        .ok(&[
            "revive",
            "--integration",
            "sync",
            "--reason",
            "key rotated",
            "--json",
        ])
        .await;
    let told: Value = serde_json::from_str(revived.lines().next().unwrap()).unwrap();
    assert!(
        told["gates"][0]["in_force_after_seconds"].as_f64().unwrap() < 2.0,
        "{told}"
    );
    assert_eq!(asked(&place, &place.key).await, 200);
    place
        .world
        .until("the revival is in the audit log", async |world| {
            let lines = world.audit();
            lines
                .iter()
                .any(|line| line["action"] == "revive" && line["reason"] == "key rotated")
        })
        .await;
    let metrics = place.world.metrics().await;
    assert_eq!(samples(&metrics, "scopegate_killed").values().sum::<f64>(), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typing_mistake_is_said_loudly_and_the_stop_holds_for_what_appears_later() {
    let place = Place::new().await;
    let said = place
        .ok(&["kill", "--integration", "synk", "--reason", "x"])
        .await;
    assert!(said.contains("NOTHING WAS STOPPED BY THIS YET"), "{said}");
    assert!(said.contains("Did you mean `sync`?"), "{said}");
    for (flag, name) in [
        ("--connection", "on"),
        ("--app", "marketin"),
        ("--portal", "2002"),
        ("--person", "ada.lovelac@example.com"),
    ] {
        let said = place.ok(&["kill", flag, name, "--reason", "x"]).await;
        assert!(said.contains("NOTHING WAS STOPPED BY THIS YET"), "{flag}: {said}");
    }
    assert_eq!(asked(&place, &place.key).await, 200);
    // What comes later is born stopped.
    let later = place
        .world
        .command(&["key", "create", "--integration", "synk", "--connection", "one"]);
    let later = String::from_utf8(later.stdout).unwrap().trim().to_owned();
    let body = Wire::open(place.world.gate)
        .await
        .ask(get(READ, &later))
        .await
        .json();
    assert_eq!(body["context"]["state"][0], "killed", "{body}");

    let gone = place
        .command(&["revive", "--integration", "sync", "--reason", "x"])
        .await;
    assert_eq!(gone.status.code(), Some(1));
    for args in [
        &["kill", "--integration", "sync"][..],
        &["kill", "--integration", "sync", "--reason", " "],
        &["kill", "--reason", "x"],
        &["kill", "--integration", "Sync", "--reason", "x"],
        &["kill", "--integration", "sync", "--all", "--reason", "x"],
        &["kill", "--portal", "acme", "--reason", "x"],
        &["kill", "--person", "ada", "--reason", "x"],
        &["kill", "--all", "--reason", "two\nlines"],
        &["revive", "--integration", "synk"],
    ] {
        let output = place.command(args).await;
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
    assert_eq!(place.store().kills().unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_a_stopped_connection_is_killed_and_what_was_beneath_comes_back() {
    let place = Place::new().await;
    place
        .ok(&["connection", "suspend", "one", "--reason", "planned"])
        .await;
    place.kill(&["--portal", "2001"]).await;
    place.kill(&["--connection", "one"]).await;
    let state = async || {
        let show = place.ok(&["connection", "show", "one", "--json"]).await;
        let row: Value = serde_json::from_str(show.lines().next().unwrap()).unwrap();
        row["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state().await, "killed");
    place
        .world
        .until("the metrics say so", async |world| {
            let metrics = world.metrics().await;
            metrics.contains(r#"scopegate_connection_state{connection="one",state="killed"} 1"#)
        })
        .await;
    let said = place.ok(&["revive", "--portal", "2001", "--reason", "x"]).await;
    assert!(said.contains("still in force: connection `one`"), "{said}");
    assert_eq!(state().await, "killed");
    place.revive(&["--connection", "one"]).await;
    assert_eq!(state().await, "suspended");
    let body = Wire::open(place.world.gate)
        .await
        .ask(get(READ, &place.key))
        .await
        .json();
    assert_eq!(body["context"]["state"][0], "suspended");
    place.ok(&["connection", "resume", "one", "--reason", "x"]).await;
    place
        .world
        .until("it passes again", async |_| {
            asked(&place, &place.key).await == 200
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_still_calls_a_stopped_connection_is_on_record_with_its_name() {
    let place = Place::new().await;
    place.kill(&["--app", "marketing"]).await;
    let reply = Wire::open(place.world.gate)
        .await
        .ask(get(READ, &place.key))
        .await;
    assert_eq!(reply.header("x-scopegate-connection"), Some("one"), "{reply:?}");
    let id = reply.id();
    place
        .world
        .until("the refusal is recorded", async |world| {
            world.audit().iter().any(|line| {
                line["id"] == id.as_str()
                    && line["decision"] == "deny"
                    && line["reason"] == "connection_killed"
                    && line["connection"] == "one"
                    && line["integration"] == "sync"
            })
        })
        .await;
    let told = reply.text();
    assert!(
        told.contains("stopped in an emergency") && !told.contains("marketing"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_keys_introspection_says_inactive() {
    let place = Place::new().await;
    let question = async |key: &str| {
        let form = format!("token={key}&client_id=x");
        let lines = ["Content-Type: application/x-www-form-urlencoded"];
        let asking = request("POST", "/oauth/2026-03/token/introspect", key, &lines, &form);
        let reply = Wire::open(place.world.gate).await.ask(asking).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["active"].as_bool().unwrap()
    };
    assert!(question(&place.key).await);
    for subject in [&["--integration", "sync"], &["--connection", "one"]] {
        place.kill(subject).await;
        assert!(!question(&place.key).await, "{subject:?}");
        place.revive(subject).await;
        assert!(question(&place.key).await, "{subject:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_survives_a_restart_and_one_made_meanwhile_is_in_force_before_the_gate_listens() {
    let mut place = Place::new().await;
    place.kill(&["--connection", "one"]).await;
    place.world.stop().await;
    let said = place
        .ok(&["kill", "--integration", "reader", "--reason", "x"])
        .await;
    assert!(said.contains("no gate is running on this store"), "{said}");
    place.world.start().await;
    let metrics = place.world.metrics().await;
    assert_eq!(samples(&metrics, "scopegate_killed").values().sum::<f64>(), 2.0);
    let ready = Wire::open(place.world.monitor)
        .await
        .ask("GET /readyz?verbose HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    assert_eq!(ready.status, 200, "{ready:?}");
    assert!(ready.text().contains("kill connection: 1 in force"), "{ready:?}");
    assert_eq!(asked(&place, &place.key).await, 401);
    assert_eq!(asked(&place, &place.other).await, 401);
    assert!(place.calls_up().is_empty());
    place.revive(&["--connection", "one"]).await;
    assert_eq!(asked(&place, &place.key).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_can_not_read_the_stops_answers_503() {
    let place = Place::with("store: { max_staleness: 1s }\n").await;
    assert_eq!(asked(&place, &place.key).await, 200);
    let store = rusqlite::Connection::open(place.world.home().join("data/scopegate.db")).unwrap();
    store
        .execute(
            "UPDATE meta SET value = 'damaged' WHERE name = 'kills_version'",
            [],
        )
        .unwrap();
    place
        .world
        .until("nothing passes", async |_| asked(&place, &place.key).await == 503)
        .await;
    store
        .execute("UPDATE meta SET value = 1 WHERE name = 'kills_version'", [])
        .unwrap();
    place
        .world
        .until("it passes again", async |_| {
            asked(&place, &place.key).await == 200
        })
        .await;
}
