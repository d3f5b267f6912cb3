//! Backups taken from a gate that works, and what a restored one says of tokens that went on without it.

use scopegate::sim::{Install, Rotation, SimOptions};

use crate::child::Gate;
use crate::support::{Setup, World, every_scope, path, policy, write_secret};
use crate::wire::{Wire, get};

const GOOD: &str = "/crm/v3/objects/contacts/1001";

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_working_gate_is_sound_and_has_no_key_in_it() {
    let mut world = World::plain().await;
    let key = world.key("reader");
    world.stop().await;
    let gate = Gate::start(&world.config());
    let mut wire = Wire::open(gate.gate).await;
    let out = tempfile::tempdir().unwrap();
    let master = std::fs::read_to_string(world.home().join("data/master.key")).unwrap();
    for round in 0..5 {
        // Something is written meanwhile, by a command and by the gate.
        let more = world.key("writer");
        assert!(!more.is_empty());
        assert_eq!(wire.ask(get(GOOD, &key)).await.status, 200);
        let to = out.path().join(format!("{round}.db"));
        let output = world.command(&["store", "backup", path(&to), "--json"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (&told["connections"], &told["keys"]),
            (&1.into(), &(round + 2).into())
        );
        let again = world.command(&["store", "backup", path(&to)]);
        assert_eq!(again.status.code(), Some(2), "a backup replaces nothing");
        let bytes = std::fs::read(&to).unwrap();
        let secrets = [master.trim(), &*key, &*more, &*world.upstream_token];
        for secret in secrets {
            assert!(memchr::memmem::find(&bytes, secret.as_bytes()).is_none());
        }
        let config = std::fs::read_to_string(world.config()).unwrap();
        let beside = world.home().join("restored.yaml");
        std::fs::write(&beside, format!("{config}store: sqlite:{}\n", to.display())).unwrap();
        let check = crate::support::scopegate(&["--config", path(&beside), "store", "check"]);
        assert_eq!(
            check.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&check.stdout)
        );
    }
    let left: Vec<_> = std::fs::read_dir(out.path())
        .unwrap()
        .flatten()
        .filter(|entry| !entry.file_name().to_string_lossy().contains(".db"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_rotated_since_the_backup_is_shown_as_lost_and_the_others_work() {
    let sim = SimOptions {
        rotation: Rotation::Rotate,
        ..SimOptions::default()
    };
    let mut world = World::with(Setup {
        sim,
        policies: vec![(
            "reader",
            policy("reader", "allow:\n  - scope: crm.objects.contacts.read\n").replace("[acme]", "\"*\""),
        )],
        ..Setup::default()
    })
    .await;
    let app = world.sim.oauth_app("marketing", &[]);
    let (secret, token) = (world.dir.path().join("secret"), world.dir.path().join("refresh"));
    write_secret(&secret, app.client_secret.expose());
    let ok = |output: std::process::Output| {
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    ok(world.command(&[
        "app",
        "add",
        "marketing",
        "--client-id",
        &app.client_id,
        "--secret-file",
        path(&secret),
    ]));
    world.sim.add_portal(scopegate::sim::PortalOptions::new(2001));
    let grant = world
        .sim
        .install(Install::new(&app.client_id, 2001, every_scope()))
        .unwrap();
    write_secret(&token, grant.expose());
    ok(world.command(&[
        "connection",
        "add",
        "globex",
        "--portal",
        "2001",
        "--app",
        "marketing",
        "--refresh-token-file",
        path(&token),
    ]));
    let key = ok(world.command(&["key", "create", "--integration", "reader", "--any-connection"]));
    world.stop().await;
    let backup = world.dir.path().join("backup.db");
    ok(world.command(&["store", "backup", path(&backup)]));
    let ask = async |gate: &Gate, connection: &str| {
        let key = format!("{key}~{connection}");
        Wire::open(gate.gate)
            .await
            .ask(get("/crm/v3/objects/contacts?limit=1", &key))
            .await
    };
    // Life goes on: a refresh gives the grant another refresh token, which the backup does not have.
    let before = world.sim.current_refresh_token(&app.client_id, 2001).unwrap();
    expire(&world);
    let gate = Gate::start(&world.config());
    assert_eq!(ask(&gate, "globex").await.status, 200);
    drop(gate);
    let after = world.sim.current_refresh_token(&app.client_id, 2001).unwrap();
    assert_ne!(before.expose(), after.expose(), "the server rotates");

    let data = world.home().join("data");
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(data.join(format!("scopegate.db{end}")));
    }
    std::fs::copy(&backup, data.join("scopegate.db")).unwrap();
    expire(&world);
    // Without it the gate refuses to start: it knows how far its store had come.
    ok(world.command(&["store", "accept-rollback", "--reason", "restored"]));
    let gate = Gate::start(&world.config());
    assert_eq!(
        ask(&gate, "acme").await.status,
        200,
        "a static token is what it was"
    );
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let reply = ask(&gate, "globex").await;
        if reply.status == 401 {
            break;
        }
        assert!(reply.status == 503, "{reply:?}");
        assert!(std::time::Instant::now() < end, "{}", gate.log());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let shown = world.command(&["connection", "list", "--json"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    let globex = shown.lines().find(|line| line.contains("globex")).unwrap();
    assert!(
        globex.contains("dead") || globex.contains("reauthorise"),
        "{globex}"
    );
    let page = world.command(&["doctor", "--offline"]);
    let page = String::from_utf8(page.stdout).unwrap();
    assert!(
        page.contains("scopegate connection install globex --app marketing"),
        "{page}"
    );
}

/// As long afterwards as the access token lives.
fn expire(world: &World) {
    let store = rusqlite::Connection::open(world.home().join("data/scopegate.db")).unwrap();
    let changed = store.execute(
        "UPDATE connections SET access_expires_at = 1, access_boot_ms = NULL WHERE name = 'globex'",
        [],
    );
    assert_eq!(changed.unwrap(), 1);
}
