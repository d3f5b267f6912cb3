//! The real process, killed with SIGKILL at each step of a token refresh, against a server that keeps
//! refresh tokens and against servers that rotate them. What its successor on the same store must do is
//! the table below.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use scopegate::sim::{self, Install, PortalOptions, Rotation, Sim, SimOptions};
use scopegate::tokens::failpoints;

const PORTAL: u64 = support::PORTAL;

/// What the successor finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// The first request passes.
    Works,
    /// The server rotated and the answer was lost: one connection to install again.
    Reauthorise,
    /// Whichever of the two the server's progress at the kill means.
    Either,
}

fn expectation(point: &str, rotation: Rotation) -> Expect {
    match (point, rotation) {
        (_, Rotation::Stable) => Expect::Works,
        (failpoints::AFTER_SEND, _) => Expect::Either,
        (failpoints::AFTER_ANSWER | failpoints::BEFORE_SAVE, _) => Expect::Reauthorise,
        _ => Expect::Works,
    }
}

/// Simulator, store, policy, key; no gate yet.
struct Place {
    _ward: support::canaries::Ward,
    dir: tempfile::TempDir,
    key: String,
    refresh_token: String,
    sim: Arc<Sim>,
    app_id: u64,
    _running: sim::Running,
}

impl Place {
    async fn new(rotation: Rotation) -> Self {
        Self::with(rotation, "").await
    }

    /// With lines appended to the configuration.
    async fn with(rotation: Rotation, config: &'static str) -> Self {
        let sim = Sim::new(SimOptions {
            rotation,
            ..SimOptions::default()
        });
        sim.add_portal(PortalOptions::new(PORTAL));
        let app = sim.oauth_app("marketing", &["https://example.com/callback"]);
        let install = Install::new(&app.client_id, PORTAL, support::every_scope());
        let refresh_token = sim.install(install).unwrap().expose().to_owned();
        let running = sim::start(Arc::clone(&sim), None).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let ward = support::canaries::Ward::new(dir.path(), &sim, running.address);
        let origin = running.origin.clone();
        let (place, secret) = (dir.path().to_owned(), app.client_secret.expose().to_owned());
        let (client_id, grant) = (app.client_id.clone(), refresh_token.clone());
        let key =
            tokio::task::spawn_blocking(move || set_up(&place, &origin, config, &client_id, &secret, &grant))
                .await
                .unwrap();
        Self {
            _ward: ward,
            dir,
            key,
            refresh_token,
            sim,
            app_id: app.app_id,
            _running: running,
        }
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("gate/scopegate.yaml")
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("gate.log")
    }

    /// Starts the gate, to be killed at `point` if one is given.
    fn gate(&self, point: Option<&str>) -> Gate {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scopegate"));
        command
            .args(["--config", support::path(&self.config()), "run"])
            .env("RUST_LOG", "trace")
            .envs(support::canaries::temporary_beside(&self.config()))
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(self.log()).unwrap());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SCOPEGATE_")) {
            command.env_remove(name);
        }
        if let Some(point) = point {
            command.env("SCOPEGATE_FAIL_KILL", point);
        }
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("gate=http://"))
            .unwrap_or_else(|| panic!("no ready line: {line:?}"))
            .to_owned();
        Gate { child, address }
    }

    /// The connection's state by the product's own list.
    fn state(&self) -> String {
        let config = self.config();
        let list = ["--config", support::path(&config), "connection", "list", "--json"];
        let text = support::scopegate_ok(&list);
        let row: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        row["state"].as_str().unwrap().to_owned()
    }

    /// No token in plain form in any file of the gate's folder but those the operator wrote.
    fn assert_nothing_in_the_clear(&self) {
        for entry in std::fs::read_dir(self.dir.path().join("gate/data")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                let found = memchr::memmem::find(&bytes, self.refresh_token.as_bytes());
                assert!(found.is_none(), "{}", path.display());
            }
        }
    }
}

fn set_up(
    place: &std::path::Path,
    origin: &str,
    more: &str,
    client_id: &str,
    secret: &str,
    grant: &str,
) -> String {
    let home = place.join("gate");
    support::scopegate_ok(&["init", support::path(&home)]);
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nupstream: {{ url: \"{origin}\" }}\nworkers: 1\n\
         instance: test\nshutdown: {{ delay: 0s, grace: 5s }}\n{more}"
    );
    let config = home.join("scopegate.yaml");
    std::fs::write(&config, text).unwrap();
    std::fs::write(home.join("policies/reader.yaml"), support::reader()).unwrap();
    let (secret_file, grant_file) = (place.join("secret"), place.join("grant"));
    support::write_secret(&secret_file, secret);
    support::write_secret(&grant_file, grant);
    let run = |args: &[&str]| {
        let mut all = vec!["--config", support::path(&config)];
        all.extend(args);
        support::scopegate_ok(&all)
    };
    let secret_file = support::path(&secret_file);
    run(&[
        "app",
        "add",
        "marketing",
        "--client-id",
        client_id,
        "--secret-file",
        secret_file,
    ]);
    let (portal, grant_file) = (PORTAL.to_string(), support::path(&grant_file));
    let added = run(&[
        "connection",
        "add",
        "acme",
        "--portal",
        &portal,
        "--app",
        "marketing",
        "--refresh-token-file",
        grant_file,
    ]);
    assert_eq!(added, format!("acme portal {portal} oauth ok\n"));
    run(&["key", "create", "--integration", "reader"])
        .trim()
        .to_owned()
}

struct Gate {
    child: Child,
    address: String,
}

impl Gate {
    /// Status of one read; `None` if the gate went away instead of answering.
    fn get(&self, key: &str) -> Option<u16> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        let request = format!(
            "GET /crm/v3/objects/contacts?limit=1 HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {key}\r\n\
             connection: close\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        support::canaries::seen(support::canaries::Place::Answer, answer.as_bytes());
        answer.split(' ').nth(1)?.parse().ok()
    }

    /// Waits for the process to be gone and says whether SIGKILL did it.
    fn was_killed(&mut self) -> bool {
        for _ in 0..1_000 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.signal() == Some(9);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn every_point(rotation: Rotation) {
    for point in failpoints::ALL {
        let place = Place::new(rotation).await;
        tokio::task::spawn_blocking(move || one_point(&place, point, rotation))
            .await
            .unwrap();
    }
}

fn one_point(place: &Place, point: &str, rotation: Rotation) {
    let case = format!("{point}, {rotation:?}");
    let mut gate = place.gate(Some(point));
    assert_eq!(
        gate.get(&place.key),
        None,
        "{case}: killed before it could answer"
    );
    assert!(gate.was_killed(), "{case}");
    drop(gate);

    let gate = place.gate(None);
    let status = gate.get(&place.key);
    let state = place.state();
    let found = match (status, &*state) {
        (Some(200), "ok") => Expect::Works,
        (Some(401), "reauthorise") => Expect::Reauthorise,
        other => panic!("{case}: {other:?}"),
    };
    let expected = expectation(point, rotation);
    assert!(
        expected == Expect::Either || found == expected,
        "{case}: {found:?}"
    );
    if found == Expect::Works {
        drop(gate);
        let next = place.gate(None);
        assert_eq!(
            next.get(&place.key),
            Some(200),
            "{case}: and so does the next start"
        );
    }
    place.assert_nothing_in_the_clear();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_point_costs_nothing_with_a_server_that_keeps_refresh_tokens() {
    every_point(Rotation::Stable).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_rotating_server_only_a_lost_answer_costs_one_connection() {
    every_point(Rotation::Rotate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reuse_detection_costs_no_more_than_rotation() {
    every_point(Rotation::RotateWithReuseDetection).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_token_has_to_stand_in_a_path_no_line_of_the_log_repeats_it() {
    let place = Place::with(Rotation::Rotate, "oauth: { version: v1 }\n").await;
    let place = tokio::task::spawn_blocking(move || {
        let gate = place.gate(None);
        assert_eq!(gate.get(&place.key), Some(200));
        place
    })
    .await
    .unwrap();
    let received = place.sim.received();
    let asked: Vec<_> = received
        .iter()
        .filter(|received| received.target.starts_with("/oauth/v1/refresh-tokens/"))
        .collect();
    assert!(
        asked.len() >= 2,
        "when it was added, and after the refresh: v1 does not tell the portal"
    );
    let calls = place.sim.token_calls();
    assert!(calls.iter().all(|call| call.version == "v1") && !calls.is_empty());
    let log = std::fs::read_to_string(place.log()).unwrap();
    assert!(log.contains("token refreshed"), "{log}");
    for asked in asked {
        let token = asked.target.rsplit('/').next().unwrap();
        assert!(!log.contains(token), "the log has a token of a path");
    }
    place.assert_nothing_in_the_clear();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_was_uninstalled_stops_everything_at_once_and_is_told_of_once() {
    let place = Place::new(Rotation::Stable).await;
    let place = tokio::task::spawn_blocking(move || {
        let gate = place.gate(None);
        assert_eq!(gate.get(&place.key), Some(200));
        place.sim.uninstall(place.app_id, PORTAL);
        let statuses: Vec<_> = (0..20).map(|_| gate.get(&place.key)).collect();
        assert_eq!(statuses, [Some(401); 20], "from the first request after it on");
        place
    })
    .await
    .unwrap();
    assert_eq!(place.state(), "dead");
    let log = std::fs::read_to_string(place.log()).unwrap();
    let alerts: Vec<_> = log
        .lines()
        .filter(|line| line.contains("connection.dead"))
        .collect();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert!(
        alerts[0].contains("scopegate connection install acme"),
        "{alerts:?}"
    );
    assert_eq!(
        place.sim.token_calls().len(),
        2,
        "the one that worked, and the one that told"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_row_is_answered_logged_checked_and_removed_by_name() {
    let place = Place::new(Rotation::Stable).await;
    tokio::task::spawn_blocking(move || {
        rusqlite::Connection::open(place.dir.path().join("gate/data/scopegate.db"))
            .unwrap()
            .execute("UPDATE connections SET standing = 'sideways'", [])
            .unwrap();
        let gate = place.gate(None);
        assert_eq!(gate.get(&place.key), Some(503));
        let log = std::fs::read_to_string(place.log()).unwrap();
        let lines: Vec<_> = log
            .lines()
            .filter(|line| line.contains("connection.damaged"))
            .collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("scopegate connection remove acme"), "{lines:?}");

        let run = |args: &[&str]| {
            let config = place.config();
            let output = Command::new(env!("CARGO_BIN_EXE_scopegate"))
                .args(["--config", support::path(&config)])
                .args(args)
                .output()
                .unwrap();
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        };
        let (exit, found) = run(&["store", "check"]);
        assert_eq!(exit, Some(1), "{found}");
        assert!(
            found.contains("`acme` is damaged: a connection's standing"),
            "{found}"
        );
        assert_eq!(
            run(&["connection", "remove", "acme", "--reason", "damaged"]).0,
            Some(0)
        );
        assert_eq!(gate.get(&place.key), Some(401), "its keys are revoked with it");
        assert_eq!(run(&["store", "check"]).0, Some(0));
    })
    .await
    .unwrap();
}

#[test]
fn a_wrong_master_key_is_one_clear_error_and_no_gate() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("gate");
    support::scopegate_ok(&["init", support::path(&home)]);
    let config = home.join("scopegate.yaml");
    let listen = "listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }\n";
    std::fs::write(&config, listen).unwrap();
    let start = || {
        Command::new(env!("CARGO_BIN_EXE_scopegate"))
            .args(["--config", support::path(&config), "run", "--check"])
            .output()
            .unwrap()
    };
    assert!(start().status.success());
    std::fs::remove_file(home.join("data/master.key")).unwrap();
    support::scopegate_ok(&[
        "master-key",
        "new",
        "--out",
        support::path(&home.join("data/master.key")),
    ]);
    let output = start();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(output.stdout.is_empty(), "no `ready` line");
    let lines: Vec<_> = said.lines().filter(|line| line.contains("master key")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(
        lines[0].contains("not the one this store was sealed with"),
        "{said}"
    );
}
