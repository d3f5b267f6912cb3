//! A simulator, a configured gate as a process of its own, and faults that are switched while it runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::child::Gate;
use crate::support::{Setup, World, monitor, path, samples};
use crate::wire::{Reply, Wire, get, post, request};

/// A read that passes.
pub const READ: &str = "/crm/v3/objects/contacts/1001";

/// How long anything may take on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

pub struct Place {
    pub world: World,
    /// Of integration `reader`.
    pub reader: String,
    /// Of integration `writer`.
    pub writer: String,
}

impl Place {
    pub async fn new(config: &str) -> Self {
        let mut world = World::with(Setup {
            config: config.to_owned(),
            ..Setup::default()
        })
        .await;
        let (reader, writer) = (world.key("reader"), world.key("writer"));
        world.stop().await;
        world.sim.forget_received();
        Self {
            world,
            reader,
            writer,
        }
    }

    pub fn store(&self) -> PathBuf {
        self.world.home().join("data/scopegate.db")
    }

    pub fn audit_dir(&self) -> PathBuf {
        self.world.home().join("data/audit/test")
    }

    pub fn faults(&self) -> Faults {
        Faults::at(self.world.dir.path())
    }

    pub fn start(&self) -> Gate {
        start(&self.world.config(), &self.faults())
    }

    /// Tries to start a gate that must refuse; exit status and what it said.
    pub fn refused(&self) -> (i32, String) {
        refused(&self.world.config())
    }

    pub async fn command(&self, args: &[&str]) -> (i32, String) {
        let config = self.world.config();
        let mut all = vec!["--config".to_owned(), path(&config).to_owned()];
        all.extend(args.iter().map(ToString::to_string));
        tokio::task::spawn_blocking(move || {
            let output = crate::support::scopegate(&all.iter().map(String::as_str).collect::<Vec<_>>());
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(!said.contains("a defect in scopegate"), "{all:?}: {said}");
            (output.status.code().unwrap(), said)
        })
        .await
        .unwrap()
    }
}

/// Starts a gate that listens to `faults`.
pub fn start(config: &Path, faults: &Faults) -> Gate {
    Gate::start_at(config, "info", &[("SCOPEGATE_FAIL_FILE", path(&faults.0))])
}

/// Starts a gate that must refuse; exit status and what it said.
pub fn refused(config: &Path) -> (i32, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_scopegate"))
        .arg("--config")
        .arg(config)
        .arg("run")
        .env_clear()
        .envs(std::env::vars().filter(|(name, _)| !name.starts_with("SCOPEGATE_")))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let until = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            let _ = child.kill();
            panic!("a gate that should refuse to start runs");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains("a defect in scopegate"), "{said}");
    (output.status.code().unwrap(), said)
}

/// Fail points of a process that runs, by the file it follows.
pub struct Faults(PathBuf);

impl Faults {
    pub fn at(folder: &Path) -> Self {
        Self(folder.join("faults"))
    }

    /// Sets these and no others, and waits until they are in force.
    pub async fn set(&self, lines: &[&str]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let next = self.0.with_extension("next");
        std::fs::write(&next, &text).unwrap();
        std::fs::rename(&next, &self.0).unwrap();
        let seen = self.0.with_file_name("faults.seen");
        until("the fault is in force", async || {
            std::fs::read_to_string(&seen).is_ok_and(|seen| seen == text)
        })
        .await;
    }
}

pub async fn until(what: &str, mut wanted: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !wanted().await {
        assert!(Instant::now() < end, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub async fn read(gate: &Gate, key: &str) -> Reply {
    Wire::open(gate.gate).await.ask(get(READ, key)).await
}

pub async fn write(gate: &Gate, key: &str) -> Reply {
    Wire::open(gate.gate).await.ask(patch(key)).await
}

/// What [`write`] asks.
pub fn patch(key: &str) -> String {
    request(
        "PATCH",
        READ,
        key,
        &["Content-Type: application/json"],
        r#"{"properties":{"firstname":"Ada"}}"#,
    )
}

/// A search: a read that comes as a `POST`.
pub async fn search(gate: &Gate, key: &str) -> Reply {
    let asked = post("/crm/v3/objects/contacts/search", key, r#"{"limit":1}"#);
    Wire::open(gate.gate).await.ask(asked).await
}

/// One sample of the gate's metrics; labels as they are written, or empty.
pub async fn metric(gate: &Gate, name: &str, labels: &str) -> f64 {
    let text = monitor(gate.admin, "/metrics").await;
    samples(&text, name).get(labels).copied().unwrap_or(0.0)
}

pub async fn ready(gate: &Gate) -> String {
    monitor(gate.admin, "/readyz?verbose").await
}

pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => {
                std::fs::copy(entry.path(), target).unwrap();
            }
        }
    }
}

impl Faults {
    /// Sets these for a process that is not there yet.
    pub fn set_before_start(&self, lines: &[&str]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(&self.0, text).unwrap();
    }
}
