//! The page for whoever is on call, of a gate that runs and of one that does not.

use crate::child::Gate;
use crate::support::{World, path, scopegate};

fn page(config: &std::path::Path, args: &[&str]) -> (Option<i32>, String) {
    let mut all = vec!["--config", path(config), "doctor"];
    all.extend(args);
    let output = scopegate(&all);
    let text = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), text + &said)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_running_gate_it_tells_readiness_hardening_reload_and_the_upstream() {
    let mut world = World::plain().await;
    let key = world.key("reader");
    world.stop().await;
    let gate = Gate::start(&world.config());
    let config = std::fs::read_to_string(world.config()).unwrap();
    let known = config.replace(
        "admin: { listen: 127.0.0.1:0 }",
        &format!("admin: {{ listen: \"{}\" }}", gate.admin),
    );
    let beside = world.home().join("beside.yaml");
    std::fs::write(&beside, known).unwrap();
    let (code, text) = page(&beside, &[]);
    for said in [
        "fine    gate           runs and is ready",
        "fine    reload         the last was without mistakes",
        "fine    hardening",
        "fine    master key     opens all",
        "fine    store          sound",
        "fine    connections    1 ok",
        "fine    stops          none in force",
        "reached from here",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    for secret in [&*key, &*world.upstream_token] {
        assert!(!text.contains(secret));
    }
    // As root it has something to say.
    let root = rustix::process::geteuid().is_root();
    assert_eq!(code, Some(i32::from(root)), "{text}");

    // Everything at once: a stop, a broken policy, an upstream that is gone.
    assert!(
        world
            .command(&["kill", "--connection", "acme", "--reason", "test"])
            .status
            .success()
    );
    std::fs::write(
        world.home().join("policies/bad.yaml"),
        "integration: bad\nallow: [",
    )
    .unwrap();
    crate::until("the gate has read it", || {
        page(&beside, &["--offline"]).1.contains("broken  reload")
    });
    let dead = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let text = std::fs::read_to_string(&beside).unwrap();
    std::fs::write(
        &beside,
        text.replace(&world.sim_origin, &format!("http://{dead}")),
    )
    .unwrap();
    let (code, text) = page(&beside, &[]);
    assert_eq!(code, Some(1));
    for said in [
        "look    connections    `acme` is `killed`",
        "> scopegate kill --list",
        "broken  policies",
        "> scopegate policy check",
        "can't be reached from here",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let (_, json) = page(&beside, &["--json"]);
    for line in json.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["remedy"].is_string() || line["grade"] == "fine", "{line}");
    }
    drop(gate);
    let (code, text) = page(&beside, &["--offline"]);
    assert!(
        code == Some(1) && text.contains("no gate runs on this store"),
        "{text}"
    );
}

#[test]
fn without_a_configuration_that_loads_there_is_no_page() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("scopegate.yaml");
    std::fs::write(&config, "no_such_setting: 1\n").unwrap();
    let (code, text) = page(&config, &[]);
    assert!(code == Some(2) && text.contains("no_such_setting"), "{text}");
}
