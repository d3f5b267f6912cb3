//! The master key is rotated under a gate that works, and both are killed at every step.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use scopegate::tokens::failpoints;

use crate::child::Gate;
use crate::support::canaries;
use crate::support::{self, World, path, scopegate, write_secret};
use crate::wire::{Wire, get};

const GOOD: &str = "/crm/v3/objects/contacts/1001";

fn rotate(world: &World, more: &[&str], kill: Option<&str>) -> Output {
    let clean = std::env::vars().filter(|(name, _)| !name.starts_with("SCOPEGATE_"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_scopegate"));
    command
        .args(["--config", path(&world.config()), "master-key", "rotate"])
        .args(more)
        .env_clear()
        .envs(clean);
    if let Some(point) = kill {
        command.env("SCOPEGATE_FAIL_KILL", point);
    }
    let output = command.output().unwrap();
    canaries::said(&["--config", path(&world.config())], &output);
    output
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn key_files(world: &World) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(world.home().join("data"))
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.contains("master"))
        .collect();
    names.sort();
    names
}

fn opens(world: &World) {
    let output = world.command(&["master-key", "verify"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let output = world.command(&["store", "check"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

/// Clients that never pause, until they are told to stop: how many requests, and what was not answered 200.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    clients: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Load {
    fn on(address: std::net::SocketAddr, key: &str) -> Self {
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let clients = (0..3).map(|_| {
            let (stop, done, key) = (Arc::clone(&stop), Arc::clone(&done), key.to_owned());
            tokio::spawn(async move {
                let mut wire = Wire::open(address).await;
                let mut bad = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let reply = wire.ask(get(GOOD, &key)).await;
                    if reply.status != 200 {
                        bad.push(format!("{reply:?}"));
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
                bad
            })
        });
        Self {
            clients: clients.collect(),
            stop,
            done,
        }
    }

    async fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            let bad = client.await.unwrap();
            assert!(bad.is_empty(), "{bad:?}");
        }
        self.done.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_under_load_disturbs_nobody_and_the_gate_goes_on_with_the_new_key() {
    let mut world = World::plain().await;
    let key = world.key("reader");
    world.stop().await;
    let gate = Gate::start(&world.config());
    let old = std::fs::read(world.home().join("data/master.key")).unwrap();
    let load = Load::on(gate.gate, &key);
    let output = tokio::task::block_in_place(|| rotate(&world, &["--reason", "yearly"], None));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(
        said(&output).contains(" data keys are under the new master key"),
        "{}",
        said(&output)
    );
    // What the gate stores from now on is under the new key: a connection that is added opens for it.
    let file = world.dir.path().join("token2");
    let token = world.sim.private_app(support::PORTAL, support::every_scope());
    write_secret(&file, token.expose());
    let rotated = tokio::task::block_in_place(|| {
        world.command(&["connection", "rotate", "acme", "--token-file", path(&file)])
    });
    assert!(rotated.status.success(), "{}", said(&rotated));
    assert!(load.end().await > 0);
    opens(&world);
    let files = key_files(&world);
    assert!(
        files.len() == 2 && files[0] == "master.key" && files[1].starts_with("master.key.old-"),
        "{files:?}"
    );
    assert_ne!(std::fs::read(world.home().join("data/master.key")).unwrap(), old);
    assert_eq!(
        std::fs::read(world.home().join("data").join(&files[1])).unwrap(),
        old
    );
    drop(gate);
    let gate = Gate::start(&world.config());
    assert_eq!(Wire::open(gate.gate).await.ask(get(GOOD, &key)).await.status, 200);
    drop(gate);
    // Both words of it are in the audit log, with the reason.
    let told: Vec<_> = world
        .audit()
        .into_iter()
        .filter(|record| record["action"] == "master-key rotate")
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0]["reason"], "yearly");
    // The old key opens nothing any more, and that is one clear error.
    std::fs::write(world.home().join("data/master.key"), &old).unwrap();
    let output = world.command(&["run"]);
    assert!(
        output.status.code() == Some(2) && said(&output).contains("not the one this store was sealed with")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_killed_at_any_step_loses_nothing_and_goes_on_when_it_is_run_again() {
    let mut world = World::plain().await;
    let key = world.key("reader");
    world.stop().await;
    let mut gate = Some(Gate::start(&world.config()));
    for (round, point) in failpoints::ROTATION.into_iter().enumerate() {
        let load = Load::on(gate.as_ref().unwrap().gate, &key);
        let killed = tokio::task::block_in_place(|| rotate(&world, &[], Some(point)));
        assert_eq!(killed.status.signal(), Some(9), "{point}: {}", said(&killed));
        load.end().await;
        opens(&world);
        // Every other time the gate has to start in the middle of it, too.
        if round % 2 == 0 {
            gate = None;
            gate = Some(Gate::start(&world.config())).or(gate);
            let mut wire = Wire::open(gate.as_ref().unwrap().gate).await;
            assert_eq!(wire.ask(get(GOOD, &key)).await.status, 200, "{point}");
        }
        let load = Load::on(gate.as_ref().unwrap().gate, &key);
        let output = tokio::task::block_in_place(|| rotate(&world, &[], None));
        assert_eq!(output.status.code(), Some(0), "{point}: {}", said(&output));
        load.end().await;
        opens(&world);
        assert!(
            !key_files(&world).contains(&"master.key.next".to_owned()),
            "{point}"
        );
    }
    drop(gate);
    let gate = Gate::start(&world.config());
    assert_eq!(Wire::open(gate.gate).await.ask(get(GOOD, &key)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_killed_while_it_takes_the_new_key_holds_the_rotation_up_and_loses_nothing() {
    let mut world = World::plain().await;
    let key = world.key("reader");
    world.stop().await;
    let mut gate = Gate::start_at(
        &world.config(),
        "info",
        &[("SCOPEGATE_FAIL_KILL", failpoints::FOLLOW_MASTER_KEY)],
    );
    let output = tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let rotating = scope.spawn(|| rotate(&world, &[], None));
            // Taken note of at once: a process that nobody has waited for still counts as one.
            assert_eq!(gate.wait().signal(), Some(9));
            rotating.join().unwrap()
        })
    });
    // It died with the announcement: nobody has to be waited for, or it is said that somebody has not answered.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", said(&output));
    opens(&world);
    let gate = Gate::start(&world.config());
    assert_eq!(Wire::open(gate.gate).await.ask(get(GOOD, &key)).await.status, 200);
    if output.status.code() == Some(1) {
        let again = tokio::task::block_in_place(|| rotate(&world, &[], None));
        assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    }
    opens(&world);
    assert_eq!(Wire::open(gate.gate).await.ask(get(GOOD, &key)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_comes_from_elsewhere_is_rotated_to_a_file_of_the_operators() {
    let mut world = World::plain().await;
    let key = world.key("reader");
    world.stop().await;
    canaries::given_in_variable("THE_KEY");
    let text = std::fs::read_to_string(world.home().join("data/master.key")).unwrap();
    let config = std::fs::read_to_string(world.config()).unwrap();
    std::fs::write(
        world.config(),
        format!("{config}master_key: {{ env: THE_KEY }}\n"),
    )
    .unwrap();
    let with = |text: &str, args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_scopegate"))
            .args(["--config", path(&world.config())])
            .args(args)
            .env("THE_KEY", text.trim())
            .output()
            .unwrap()
    };
    let gate = Gate::start_at(&world.config(), "info", &[("THE_KEY", text.trim())]);
    let refused = with(&text, &["master-key", "rotate"]);
    assert!(
        refused.status.code() == Some(2) && said(&refused).contains("--new-file"),
        "{}",
        said(&refused)
    );
    let new: PathBuf = world.dir.path().join("new.key");
    let rotated = with(&text, &["master-key", "rotate", "--new-file", path(&new)]);
    assert_eq!(rotated.status.code(), Some(0), "{}", said(&rotated));
    assert!(
        said(&rotated).contains("before the gate's next start"),
        "{}",
        said(&rotated)
    );
    assert_eq!(Wire::open(gate.gate).await.ask(get(GOOD, &key)).await.status, 200);
    drop(gate);
    let again = with(&text, &["master-key", "rotate", "--new-file", path(&new)]);
    assert!(
        again.status.success() && said(&again).contains("already"),
        "{}",
        said(&again)
    );
    assert_eq!(with(&text, &["master-key", "verify"]).status.code(), Some(2));
    let next = std::fs::read_to_string(&new).unwrap();
    assert_eq!(with(&next, &["master-key", "verify"]).status.code(), Some(0));
    let gate = Gate::start_at(&world.config(), "info", &[("THE_KEY", next.trim())]);
    assert_eq!(Wire::open(gate.gate).await.ask(get(GOOD, &key)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_master_key_does_not_open_is_named_with_its_remedy() {
    let mut world = World::plain().await;
    world.stop().await;
    let store = rusqlite::Connection::open(world.home().join("data/scopegate.db")).unwrap();
    store
        .execute("UPDATE connections SET data_key = zeroblob(61)", [])
        .unwrap();
    let output = world.command(&["master-key", "verify"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("scopegate connection rotate acme"),
        "{}",
        said(&output)
    );
    let nowhere = scopegate(&["--config", "/nowhere.yaml", "master-key", "verify"]);
    assert_eq!(nowhere.status.code(), Some(2));
}
