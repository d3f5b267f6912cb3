//! Secrets: who may open the store, how soon a revoked key is dead, what a stranger is told.

use std::path::Path;
use std::time::{Duration, Instant};

use scopegate::access::key::KeyId;
use scopegate::sim::{Action, Fault, Matching};
use scopegate::store::{Provenance, Store};

use crate::support::{World, path, scopegate_ok, write_secret};
use crate::wire::{Reply, Wire, get, post, request};

const GOOD: &str = "/crm/v3/objects/contacts/1001";

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_is_in_force_within_half_a_second_on_connections_that_stay_open_too() {
    let world = World::plain().await;
    let (key, other) = (world.key("reader"), world.key("reader"));
    let store = Store::open(&world.home().join("data/scopegate.db")).unwrap();
    let id = KeyId::parse(key.split('_').nth(2).unwrap()).unwrap();
    let mut wire = Wire::open(world.gate).await;
    assert_eq!(wire.ask(get(GOOD, &key)).await.status, 200);
    let by = Provenance {
        actor: "cli:test@test".into(),
        reason: None,
    };
    store.revoke_key(&id, &by).unwrap();
    let committed = Instant::now();
    let refusal = loop {
        wire.write(get(GOOD, &key)).await;
        match wire.reply().await {
            Some(reply) if reply.status != 200 => break reply,
            Some(reply) if reply.whole => {}
            // The answer to a read that is under way when its key dies is cut off.
            _ => wire = Wire::open(world.gate).await,
        }
        let waited = committed.elapsed();
        assert!(waited < Duration::from_secs(5), "the key still works");
    };
    let took = committed.elapsed();
    assert_eq!(
        (refusal.status, refusal.sub_category().as_str()),
        (401, "scopegate.key"),
        "{refusal:?}"
    );
    assert!(took < Duration::from_millis(500), "a revocation took {took:?}");
    assert_eq!(
        wire.ask(get(GOOD, &other)).await.status,
        200,
        "the other key is untouched"
    );

    // An answer that is being read when its connection is suspended ends there, and not as a whole.
    let pause = Duration::from_millis(50);
    world.sim.fault(Fault::once(
        Matching::any(),
        Action::Trickle {
            piece_bytes: 1,
            pause,
        },
    ));
    let mut reading = Wire::open(world.gate).await;
    reading.write(get(GOOD, &other)).await;
    let head = reading.head().await.unwrap();
    assert_eq!(head.status, 200, "{head:?}");
    assert!(
        world
            .command(&["connection", "suspend", "acme", "--reason", "test"])
            .status
            .success()
    );
    let mut body = Vec::new();
    assert!(
        !reading.rest(&head, &mut body).await,
        "a suspended answer ended like a whole one"
    );
    assert_eq!(
        wire.ask(get(GOOD, &other)).await.sub_category(),
        "scopegate.connection"
    );
}

fn check(config: &Path) -> (Option<i32>, String) {
    let output = crate::support::scopegate(&["--config", path(config), "run", "--check"]);
    assert!(output.stdout.is_empty());
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_master_key_or_a_foreign_store_is_one_clear_error_at_start() {
    let mut world = World::plain().await;
    world.stop().await;
    assert_eq!(check(&world.config()).0, Some(0), "as it was set up it starts");
    let other = world.dir.path().join("other");
    scopegate_ok(&["init", path(&other)]);
    let (key, other_key) = (
        world.home().join("data/master.key"),
        other.join("data/master.key"),
    );
    let own = std::fs::read_to_string(&key).unwrap();
    let foreign = std::fs::read_to_string(&other_key).unwrap();
    assert_ne!(own, foreign);

    let (code, said) = check(&{
        write_secret(&key, &foreign);
        world.config()
    });
    assert!(code == Some(2) && said.contains("master key"), "{code:?} {said}");
    assert!(!said.contains(foreign.trim()), "{said}");
    for broken in [
        "",
        "x",
        &own[..own.len() / 2],
        &format!("{}{}", own.trim(), own.trim()),
    ] {
        write_secret(&key, broken);
        let (code, said) = check(&world.config());
        assert!(
            code == Some(2) && said.contains("master"),
            "{broken:?}: {code:?} {said}"
        );
    }
    write_secret(&key, &own);
    assert_eq!(check(&world.config()).0, Some(0));

    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, said) = check(&world.config());
    assert!(code == Some(2) && said.contains("master.key"), "{code:?} {said}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();

    // This world's store in the other's home, under the other's key.
    std::fs::copy(
        world.home().join("data/scopegate.db"),
        other.join("data/scopegate.db"),
    )
    .unwrap();
    let (code, said) = check(&other.join("scopegate.yaml"));
    assert!(code == Some(2) && said.contains("master key"), "{code:?} {said}");
    std::fs::write(world.home().join("data/scopegate.db"), b"this is no store").unwrap();
    let (code, said) = check(&world.config());
    assert!(
        code == Some(2) && said.contains("scopegate.db"),
        "{code:?} {said}"
    );
}

/// The same answer, but for what differs by design.
fn comparable(mut reply: Reply) -> (u16, serde_json::Value) {
    reply.head.clear();
    let mut body = reply.json();
    body["correlationId"] = serde_json::Value::Null;
    (reply.status, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_key_nothing_is_told_about_operations_policies_or_connections() {
    let world = World::plain().await;
    let good = world.key("reader");
    let wrong_secret = {
        let parts: Vec<&str> = good.split('_').collect();
        [parts[0], parts[1], parts[2], &"A".repeat(43), parts[4]].join("_")
    };
    let body = r#"{"properties":{}}"#;
    let mut seen = Vec::new();
    for key in [
        "x",
        wrong_secret.as_str(),
        &format!("{wrong_secret}~acme"),
        &world.upstream_token,
        &good[..good.len() - 1],
    ] {
        for bytes in [
            get(GOOD, key),
            get("/crm/v3/objects/deals", key),
            get("/no/such/operation", key),
            get("/crm/v3/objects/contacts/%2e%2e", key),
            post("/crm/v3/objects/contacts", key, body),
            post("/crm/v3/objects/contacts", key, "{"),
            request("DELETE", GOOD, key, &["X-Scopegate-Connection: nowhere"], ""),
        ] {
            let reply = Wire::open(world.gate).await.ask(bytes).await;
            assert!(reply.header("x-scopegate-connection").is_none());
            seen.push(comparable(reply));
        }
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:#?}");
    assert_eq!(seen[0].0, 401);
    for lines in [
        "Authorization: Basic eDp5\r\n",
        "Authorization: Bearer\r\n",
        "Authorization: \r\n",
        "",
    ] {
        let bytes = format!(
            "GET {GOOD} HTTP/1.1\r\nHost: gate\r\n{lines}X-Api-Key: {good}\r\nCookie: hubspotapi={good}\r\n\r\n"
        );
        assert_eq!(
            comparable(Wire::open(world.gate).await.ask(bytes).await),
            seen[0],
            "{lines:?}"
        );
    }
    assert!(world.sim.received().is_empty());
}
