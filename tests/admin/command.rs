//! `scopegate admin` as its users run it, a start that would let credentials travel in the open, and what
//! is written about both.

use scopegate::admin::ROUTES;

use crate::ask::{credential, get};
use crate::support::{World, path, scopegate};

#[tokio::test]
async fn a_credential_is_alone_on_stdout_and_its_hash_alone_in_the_store() {
    let world = World::plain().await;
    let output = world.command(&[
        "admin",
        "create",
        "--name",
        "alice",
        "--role",
        "viewer",
        "--expires",
        "12h",
    ]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1);
    let secret = &text.trim()[17..60];
    assert!(!String::from_utf8(output.stderr).unwrap().contains(secret));
    assert_eq!(get(&world, "/v1/status", text.trim()).await.status, 200);
    for file in std::fs::read_dir(world.home().join("data")).unwrap() {
        let file = file.unwrap().path();
        if file.is_file() {
            let bytes = std::fs::read(&file).unwrap();
            assert!(
                memchr::memmem::find(&bytes, secret.as_bytes()).is_none(),
                "{}",
                file.display()
            );
        }
    }
    let listed = String::from_utf8(world.command(&["admin", "list"]).stdout).unwrap();
    assert!(listed.contains("alice") && !listed.contains(secret), "{listed}");
    let again = world.command(&["admin", "create", "--name", "alice", "--role", "operator"]);
    assert_eq!((again.status.code(), again.stdout.len()), (Some(1), 0));
    for wrong in [
        &["admin", "create", "--name", "bob", "--role", "root"][..],
        &["admin", "create", "--name", "Bob", "--role", "viewer"],
        &["admin", "create", "--name", "bob"],
        &[
            "admin",
            "create",
            "--name",
            "bob",
            "--role",
            "viewer",
            "--expires",
            "never",
        ],
    ] {
        assert_eq!(world.command(wrong).status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(
        world.command(&["admin", "revoke", "nobody"]).status.code(),
        Some(1)
    );
}

#[test]
fn an_admin_listener_in_clear_text_that_others_reach_never_starts() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("gate");
    assert!(scopegate(&["init", path(&home)]).status.success());
    let config = home.join("scopegate.yaml");
    for admin in ["listen: 0.0.0.0:0", "listen: '[::]:0'", "listen: 192.0.2.1:0"] {
        std::fs::write(&config, format!("listen: 127.0.0.1:0\nadmin: {{ {admin} }}\n")).unwrap();
        for command in [&["run"][..], &["run", "--check"], &["config", "--print"]] {
            let mut args = vec!["--config", path(&config)];
            args.extend(command);
            let output = scopegate(&args);
            assert_eq!(output.status.code(), Some(2), "{admin} {command:?}");
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.contains("needs `admin.tls`"), "{said}");
        }
    }
    // With files that are none: the start says so before it opens a port.
    std::fs::write(
        &config,
        "admin: { listen: 127.0.0.1:0, tls: { cert: none.pem, key: none.key } }\n",
    )
    .unwrap();
    for command in [&["run"][..], &["run", "--check"]] {
        let mut args = vec!["--config", path(&config)];
        args.extend(command);
        let output = scopegate(&args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("`admin.tls`"), "{said}");
    }
}

#[tokio::test]
async fn monitor_routes_stay_without_credentials_and_by_any_name() {
    let world = World::plain().await;
    credential(&world, "alice", "viewer");
    for (target, part) in [
        ("/readyz", "ready\n"),
        ("/readyz?verbose", "[+] store readable\n"),
        ("/healthz", "ready\n"),
        ("/metrics", "scopegate_admin_requests_total"),
    ] {
        let told = crate::support::monitor(world.monitor, target).await;
        assert!(told.contains(part), "{target}: {told}");
    }
    assert_eq!(crate::support::monitor(world.monitor, "/livez").await, "alive\n");
}

#[test]
fn the_patterns_for_secret_scanners_are_published() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/SECURITY.md")).unwrap();
    for pattern in [
        scopegate::access::admin_key::ADMIN_KEY_PATTERN,
        scopegate::access::key::KEY_PATTERN,
    ] {
        assert!(text.lines().any(|line| line == pattern), "{pattern}");
    }
}

#[test]
fn the_readme_shows_the_routes_there_are() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, rest) = readme.split_once("<!-- routes: begin -->").unwrap();
    let (table, _) = rest.split_once("<!-- routes: end -->").unwrap();
    let shown: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().trim_matches('`'))
                .collect()
        })
        .collect();
    let there: Vec<(String, &str)> = ROUTES
        .iter()
        .map(|route| (format!("{} {}", route.method, route.path), route.least.as_str()))
        .collect();
    let shown_routes: Vec<(String, &str)> = shown
        .iter()
        .map(|cells| (cells[0].to_owned(), cells[1]))
        .collect();
    assert_eq!(shown_routes, there);
    assert!(shown.iter().all(|cells| cells[2].len() > 10), "each is explained");
}
