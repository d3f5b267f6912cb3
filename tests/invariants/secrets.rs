//! Secrets: who may open the store, how soon a revoked key is dead, what a stranger is told.

use std::path::Path;
use std::time::{Duration, Instant};

use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::{SignedDuration, Timestamp};
use scopegate::access::integration::Binding;
use scopegate::access::key::{KeyHash, KeyId};
use scopegate::config::{KeyCommand, MasterKeySource};
use scopegate::sim::{Action, Fault, Matching};
use scopegate::store::{NewKey, Provenance, Store};
use scopegate::tokens::unlock;

use crate::support::canaries::heard::Overheard;
use crate::support::{Setup, World, path, policy, scopegate_ok, write_secret};
use crate::wire::{Reply, Wire, get, post, request};

const GOOD: &str = "/crm/v3/objects/contacts/1001";

/// More than is read whole before its head goes down.
const LONG: &str = "/crm/v3/objects/contacts?limit=100";

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

    // An answer that is being read when its connection is suspended ends there, and not as a whole: a short one
    // has not begun to go down, a long one has.
    let pause = Duration::from_millis(50);
    let trickle = Action::Trickle {
        piece_bytes: 1,
        pause,
    };
    world.sim.fault(Fault::always(Matching::any(), trickle));
    world.sim.forget_received();
    let (mut short, mut long) = (Wire::open(world.gate).await, Wire::open(world.gate).await);
    short.write(get(GOOD, &other)).await;
    long.write(get(LONG, &other)).await;
    let head = long.head().await.unwrap();
    assert_eq!(head.status, 200, "{head:?}");
    world
        .until("both reads are under way", async |world| {
            world.sim.received().len() == 2
        })
        .await;
    assert!(
        world
            .command(&["connection", "suspend", "acme", "--reason", "test"])
            .status
            .success()
    );
    let reply = short.reply().await.expect("an answer of the gate's own");
    assert_eq!(reply.sub_category(), "scopegate.connection", "{reply:?}");
    let mut body = Vec::new();
    assert!(
        !long.rest(&head, &mut body).await,
        "a suspended answer ended like a whole one"
    );
    assert_eq!(
        wire.ask(get(GOOD, &other)).await.sub_category(),
        "scopegate.connection"
    );
}

/// Over HTTP/2, all at once on one connection: their statuses, in this order.
async fn side_by_side(world: &World, keys: &[&str]) -> Vec<u16> {
    let stream = Overheard::connect(world.gate).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let driver = tokio::spawn(connection);
    let answers = keys.iter().map(|key| {
        let mut sender = sender.clone();
        let request = http::Request::get(format!("http://{}{GOOD}", world.gate))
            .header("authorization", format!("Bearer {key}"))
            .body(http_body_util::Empty::<bytes::Bytes>::new())
            .unwrap();
        async move { sender.send_request(request).await.unwrap().status().as_u16() }
    });
    let statuses = futures_util::future::join_all(answers).await;
    driver.abort();
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_of_a_connection_stands_for_its_own_key_whichever_came_before() {
    let reads = |of: &str| format!("allow:\n  - scope: crm.objects.{of}.read\n");
    let world = World::with(Setup {
        policies: vec![
            ("reader", policy("reader", &reads("contacts"))),
            ("other", policy("other", &reads("companies"))),
        ],
        ..Setup::default()
    })
    .await;
    let (reader, spare, other) = (world.key("reader"), world.key("reader"), world.key("other"));
    let nowhere = format!("{reader}~nowhere");
    // The id of one and the secret of the other.
    let mixed = {
        let (id, secret): (Vec<&str>, Vec<&str>) = (reader.split('_').collect(), other.split('_').collect());
        [id[0], id[1], id[2], secret[3], secret[4]].join("_")
    };
    let keys: Vec<&str> = [
        &reader, &other, &reader, &mixed, &reader, &nowhere, &reader, &spare,
    ]
    .map(String::as_str)
    .to_vec();
    let mut wire = Wire::open(world.gate).await;
    let mut behind_one_another = async || {
        wire.write(keys.iter().map(|key| get(GOOD, key)).collect::<String>())
            .await;
        let mut statuses = Vec::new();
        for _ in &keys {
            statuses.push(wire.reply().await.expect("an answer").status);
        }
        statuses
    };
    let expected = [200, 403, 200, 401, 200, 401, 200, 200];
    assert_eq!(behind_one_another().await, expected);
    assert_eq!(side_by_side(&world, &keys).await, expected);
    // The connection came with this key last but one, and it is worth nothing from the next request on.
    let id = reader.split('_').nth(2).unwrap();
    assert!(
        world
            .command(&["key", "revoke", id, "--reason", "test"])
            .status
            .success()
    );
    let revoked = [401, 403, 401, 401, 401, 401, 401, 200];
    world
        .until("it is revoked", async |world| {
            world.get(GOOD, &reader).await.status == 401
        })
        .await;
    assert_eq!(behind_one_another().await, revoked);
    assert_eq!(side_by_side(&world, &keys).await, revoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_keys_in_rotation_both_work_until_the_old_ones_time_is_over() {
    let world = World::plain().await;
    let old = world.key("reader");
    let id = old.split('_').nth(2).unwrap();
    let output = world.command(&["key", "rotate", id, "--overlap", "12h", "--reason", "test"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let new = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    assert_ne!(old, new);
    for key in [&old, &new] {
        world
            .until("both keys work", async |world| {
                world.get(GOOD, key).await.status == 200
            })
            .await;
    }
    end_at(&world, id, 0);
    world
        .until("the old key is over", async |world| {
            world.get(GOOD, &old).await.status == 401
        })
        .await;
    assert_eq!(world.get(GOOD, &old).await.sub_category(), "scopegate.key");
    assert_eq!(world.get(GOOD, &new).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_past_its_expiry_opens_nothing() {
    let world = World::plain().await;
    let (key, other) = (world.key("reader"), world.key("reader"));
    let id = key.split('_').nth(2).unwrap();
    // An answer that would outlive the key, asked for before anybody said when the key ends.
    let trickle = Action::Trickle {
        piece_bytes: 1,
        pause: Duration::from_millis(50),
    };
    world.sim.fault(Fault::always(Matching::path(LONG), trickle));
    let mut long = Wire::open(world.gate).await;
    long.write(get(LONG, &key)).await;
    let head = long.head().await.unwrap();
    assert_eq!(head.status, 200, "{head:?}");
    // Far enough away to be seen at work on a busy machine; nobody tells the gate when the moment comes.
    end_at(&world, id, 3_000);
    assert_eq!(world.get(GOOD, &key).await.status, 200);
    world
        .until("its time is over", async |world| {
            world.get(GOOD, &key).await.status == 401
        })
        .await;
    assert!(
        !long.rest(&head, &mut Vec::new()).await,
        "what began in time ended like a whole one"
    );
    assert_eq!(world.get(GOOD, &other).await.status, 200);
    let expired = world.audit_text().contains("key_expired") || world.metrics().await.contains("key_expired");
    assert!(expired, "the reason is told to operators");
    assert!(
        !String::from_utf8_lossy(&world.get(GOOD, &key).await.body).contains("expired"),
        "and not to who has the key"
    );
}

/// Lets a key end in so many milliseconds, as a rotation with such an overlap does; rows are sealed, so that
/// nobody can write one by hand.
fn end_at(world: &World, id: &str, milliseconds: i64) {
    let store = Store::open_existing(&world.home().join("data/scopegate.db")).unwrap();
    let master = MasterKeySource::File(world.home().join("data/master.key"));
    unlock(&store, &master, &KeyCommand::default()).unwrap();
    let end = Timestamp::now() + SignedDuration::from_millis(milliseconds);
    let by = Provenance {
        actor: "test".to_owned(),
        reason: None,
    };
    // Another id, also where the old one happens to begin with the letter that is put there.
    let first = if id.starts_with('z') { 'y' } else { 'z' };
    let successor = NewKey {
        id: KeyId::parse(&format!("{first}{}", &id[1..])).unwrap(),
        hash: KeyHash::from_stored([1; 32]),
        integration: "reader".to_owned(),
        binding: Binding::Any,
        expires: None,
    };
    let old = KeyId::parse(id).unwrap();
    store.rotate_key(&old, &successor, end, &by).unwrap();
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
