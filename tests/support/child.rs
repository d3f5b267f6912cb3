//! The gate as operators run it: `scopegate run` in a process of its own.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs
)]

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::support::canaries::{self, Place};

/// A running gate; killed when dropped.
pub struct Gate {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub gate: SocketAddr,
    pub admin: SocketAddr,
    pub install: Option<SocketAddr>,
    log: PathBuf,
}

impl Gate {
    /// Starts it on a configuration and waits for its `ready` line.
    pub fn start(config: &Path) -> Self {
        Self::start_with(config, "info")
    }

    /// With `RUST_LOG` set to `filter`, and told to log the keys of its TLS sessions.
    pub fn start_with(config: &Path, filter: &str) -> Self {
        Self::start_at(config, filter, &[])
    }

    /// With more variables of the environment.
    pub fn start_at(config: &Path, filter: &str, more: &[(&str, &str)]) -> Self {
        Self::start_through(&[], config, filter, more)
    }

    /// Started by another program, which becomes the gate: its words come first.
    pub fn start_through(wrapper: &[&str], config: &Path, filter: &str, more: &[(&str, &str)]) -> Self {
        assert!(
            canaries::watches(config),
            "nobody would look for secrets in what a gate on {} leaves",
            config.display()
        );
        let log = config.with_file_name("stderr.log");
        // A write over a file-size limit must fail, as on a full disk, not kill the process.
        let script = r#"trap "" XFSZ; exec "$0" "$@""#;
        let mut words = wrapper.iter().copied().chain(["sh"]);
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .args(["-c", script, env!("CARGO_BIN_EXE_scopegate"), "--config"])
            .arg(config)
            .arg("run")
            .env_clear()
            .envs(std::env::vars().filter(|(name, _)| !name.starts_with("SCOPEGATE_")))
            .env("RUST_LOG", filter)
            .envs(more.iter().copied())
            .env("SSLKEYLOGFILE", config.with_file_name("tls-keys"))
            .envs(canaries::temporary_beside(config))
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let found = |name: &str| {
            let word = line.split_whitespace().find_map(|word| word.strip_prefix(name))?;
            Some(word.split_once("://").unwrap().1.parse().unwrap())
        };
        let address = |name: &str| {
            let word = line.split_whitespace().find_map(|word| word.strip_prefix(name));
            let word =
                word.unwrap_or_else(|| panic!("no ready line: {line:?} {:?}", std::fs::read_to_string(&log)));
            word.split_once("://").unwrap().1.parse().unwrap()
        };
        Self {
            gate: address("gate="),
            admin: address("admin="),
            install: found("install="),
            log,
            child,
            stdout,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Most memory it ever had, in KiB.
    pub fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// No file of it may grow beyond this; `None` lifts the limit.
    pub fn limit_files(&self, bytes: Option<u64>) {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap());
        prlimit(
            pid,
            Resource::Fsize,
            Rlimit {
                current: bytes,
                maximum: None,
            },
        )
        .unwrap();
    }

    /// Waits for its end, twenty seconds at most.
    pub fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the gate does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let running = matches!(self.child.try_wait(), Ok(None));
        if running {
            canaries::look_at_process(self.pid(), self.admin);
        }
        // Already gone is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let mut rest = Vec::new();
        // Nobody else holds its other end.
        let _ = self.stdout.read_to_end(&mut rest);
        canaries::seen(Place::Log, &rest);
    }
}
