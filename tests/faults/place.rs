//! The real gate in front of a scripted upstream.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scopegate::sim::{self, Install, PortalOptions, Sim, SimOptions};

use crate::child::Gate;
use crate::script::{ACCESS, REFRESH, Scripted};
use crate::support::canaries::{Ward, given_in};
use crate::support::{self, PORTAL};
use crate::wire::{Reply, Wire};

/// Longest wait for something that must happen; only a failing test ever waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

const OTHER_PORTAL: u64 = 2002;

pub const READ: &str = "/crm/v3/objects/contacts/1001";
pub const WRITE: &str = "/crm/v3/objects/contacts";
pub const RECORD: &str = r#"{"properties":{"email":"a@example.com"}}"#;

/// Deadlines short enough for a test, and no breaker: faults are looked at one call at a time.
pub const SHORT: &str = "limits: { connect_wait: 1s, answer_head_wait: 1s, answer_wait: 1s, total_wait: 4s, \
                         token_wait: 1s, breaker_failures: 0 }\n";

/// What two busy cores may add to any answer.
pub const ALLOWANCE: Duration = Duration::from_secs(3);

/// How long a setting of [`SHORT`] has the gate wait; without a name, nothing is waited for.
pub fn wait(setting: &str) -> Duration {
    if setting.is_empty() {
        return Duration::ZERO;
    }
    let (_, value) = SHORT.split_once(&format!(" {setting}: ")).unwrap();
    let (seconds, _) = value.split_once('s').unwrap();
    Duration::from_secs(seconds.parse().unwrap())
}

/// Awaits a call, and keeps how long it took if none before it took longer.
pub async fn timed<T>(longest: &mut Duration, call: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let got = call.await;
    *longest = begun.elapsed().max(*longest);
    got
}

/// How the connection is authorised.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    Static,
    /// A token, and a second account with another, which has a key of its own.
    Two,
    /// A grant whose access token lives one second.
    Grant,
}

/// What a client got.
#[derive(Debug)]
pub enum Got {
    Whole(Reply),
    /// No end, or nothing at all: nobody takes it for an answer.
    BrokenOff,
}

impl Got {
    pub fn of(reply: Option<Reply>) -> Self {
        match reply {
            Some(reply) if reply.whole => Self::Whole(reply),
            _ => Self::BrokenOff,
        }
    }

    /// As the table has it.
    pub fn word(&self) -> String {
        match self {
            Self::Whole(reply) => reply.status.to_string(),
            Self::BrokenOff => "broken off".to_owned(),
        }
    }

    /// The gate's own word for it; empty if the answer is not the gate's.
    pub fn sub_category(&self) -> String {
        match self {
            Self::Whole(reply) if reply.header("x-scopegate-source") == Some("gate") => reply.sub_category(),
            _ => String::new(),
        }
    }
}

pub struct Place {
    pub upstream: Scripted,
    pub gate: Gate,
    /// What may read and write contacts, and upload files.
    pub key: String,
    /// The token the gate has in the account, if it is one that stays.
    pub token: String,
    /// The second account's key and token, if there is one.
    pub other: (String, String),
    /// After the gate, before the folder.
    _ward: Ward,
    dir: tempfile::TempDir,
}

impl Place {
    pub async fn new(config: &str) -> Self {
        Self::with(config, Credential::Static, None).await
    }

    /// With lines for the configuration; under TLS if an authority is given.
    pub async fn with(config: &str, credential: Credential, ca_pem: Option<&str>) -> Self {
        let sim = Sim::new(SimOptions {
            expires_in: Duration::from_secs(1),
            ..SimOptions::default()
        });
        sim.add_portal(PortalOptions::new(PORTAL));
        let running = sim::start(Arc::clone(&sim), None).await.unwrap();
        let upstream = Scripted::start().await;
        let dir = tempfile::tempdir().unwrap();
        let ward = Ward::new(dir.path(), &sim, upstream.address);
        for (name, token) in [("scripted-access", ACCESS), ("scripted-refresh", REFRESH)] {
            given_in(&dir.path().join(name), token);
        }
        let home = dir.path().join("gate");
        let scheme = if ca_pem.is_some() { "https" } else { "http" };
        let text = |origin: &str, ca: &str| {
            format!(
                "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nupstream: {{ url: \"{origin}\"{ca} }}\n\
                 workers: 1\ninstance: test\nshutdown: {{ delay: 0s, grace: 5s }}\n{config}"
            )
        };
        let secret = match credential {
            Credential::Static | Credential::Two => sim.private_app(PORTAL, support::every_scope()),
            Credential::Grant => {
                let app = sim.oauth_app("marketing", &["https://example.com/callback"]);
                let install = Install::new(&app.client_id, PORTAL, support::every_scope());
                support::write_secret(&dir.path().join("app-secret"), app.client_secret.expose());
                std::fs::write(dir.path().join("app-id"), &app.client_id).unwrap();
                sim.install(install).unwrap()
            }
        };
        sim.add_portal(PortalOptions::new(OTHER_PORTAL));
        let other = sim.private_app(OTHER_PORTAL, support::every_scope());
        let other = other.expose().to_owned();
        support::write_secret(&dir.path().join("other"), &other);
        let token = secret.expose().to_owned();
        support::write_secret(&dir.path().join("secret"), &token);
        let ca = ca_pem.map_or(String::new(), |pem| {
            let file = dir.path().join("ca.pem");
            std::fs::write(&file, pem).unwrap();
            format!(", ca: {}", file.display())
        });
        let (first, then) = (
            text(&running.origin, ""),
            text(&format!("{scheme}://{}", upstream.address), &ca),
        );
        let (base, config) = (dir.path().to_owned(), home.join("scopegate.yaml"));
        let set = tokio::task::spawn_blocking(move || set_up(&base, &first, credential));
        let (key, other_key) = set.await.unwrap();
        std::fs::write(&config, then).unwrap();
        let gate = tokio::task::spawn_blocking(move || Gate::start(&config))
            .await
            .unwrap();
        Self {
            upstream,
            gate,
            key,
            token,
            other: (other_key, other),
            _ward: ward,
            dir,
        }
    }

    /// A read on a connection of its own.
    pub async fn read(&self) -> Got {
        self.ask(&crate::wire::get(READ, &self.key)).await
    }

    /// A read of the second account.
    pub async fn read_other(&self) -> Got {
        self.ask(&crate::wire::get(READ, &self.other.0)).await
    }

    /// A write on a connection of its own.
    pub async fn write(&self) -> Got {
        self.ask(&crate::wire::post(WRITE, &self.key, RECORD)).await
    }

    async fn ask(&self, request: &str) -> Got {
        let mut wire = Wire::open(self.gate.gate).await;
        wire.write(request).await;
        Got::of(wire.reply().await)
    }

    pub async fn metrics(&self) -> String {
        support::monitor(self.gate.admin, "/metrics").await
    }

    /// One sample, 0 if it is not there.
    pub async fn sample(&self, name: &str, labels: &str) -> f64 {
        support::samples(&self.metrics().await, name)
            .get(labels)
            .copied()
            .unwrap_or_default()
    }

    /// What was counted as this kind of failure.
    pub async fn errors(&self, kind: &str) -> f64 {
        self.sample("scopegate_upstream_errors_total", &format!("{{kind=\"{kind}\"}}"))
            .await
    }

    pub async fn retries(&self, why: &str, result: &str) -> f64 {
        let labels = format!("{{result=\"{result}\",why=\"{why}\"}}");
        self.sample("scopegate_upstream_retries_total", &labels).await
    }

    /// The lines of the audit log.
    pub fn audit(&self) -> Vec<serde_json::Value> {
        let folder = self.dir.path().join("gate/data/audit/test");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|file| file.extension().is_some_and(|end| end == "jsonl"))
            .collect();
        files.sort();
        let text: String = files
            .iter()
            .map(|file| std::fs::read_to_string(file).unwrap())
            .collect();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Waits until a read passes, and says after how long.
    pub async fn recovers(&self) -> Duration {
        let begun = Instant::now();
        while self.read().await.word() != "200" {
            assert!(
                begun.elapsed() < PATIENCE,
                "it never recovers: {}",
                self.gate.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        begun.elapsed()
    }

    /// Waits until something is so.
    pub async fn until(&self, what: &str, mut wanted: impl AsyncFnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !wanted(self).await {
            assert!(
                begun.elapsed() < PATIENCE,
                "not in time: {what}\n{}",
                self.gate.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Store, policies, connections and keys, by the product's own commands; the keys come back.
fn set_up(base: &std::path::Path, config: &str, credential: Credential) -> (String, String) {
    let home = base.join("gate");
    support::scopegate_ok(&["init", support::path(&home)]);
    std::fs::remove_dir_all(home.join("policies")).unwrap();
    std::fs::create_dir(home.join("policies")).unwrap();
    std::fs::write(home.join("policies/writer.yaml"), support::writer()).unwrap();
    let file: PathBuf = home.join("scopegate.yaml");
    std::fs::write(&file, config).unwrap();
    let run = |args: &[&str]| {
        let all = [&["--config", support::path(&file)], args].concat();
        support::scopegate_ok(&all)
    };
    let (portal, secret) = (PORTAL.to_string(), base.join("secret"));
    let secret = support::path(&secret);
    match credential {
        Credential::Static | Credential::Two => run(&[
            "connection",
            "add",
            "acme",
            "--portal",
            &portal,
            "--token-file",
            secret,
        ]),
        Credential::Grant => {
            let id = std::fs::read_to_string(base.join("app-id")).unwrap();
            let app_secret = base.join("app-secret");
            let app_secret = support::path(&app_secret);
            run(&[
                "app",
                "add",
                "marketing",
                "--client-id",
                &id,
                "--secret-file",
                app_secret,
            ]);
            run(&[
                "connection",
                "add",
                "acme",
                "--portal",
                &portal,
                "--app",
                "marketing",
                "--refresh-token-file",
                secret,
            ])
        }
    };
    let key = |integration| {
        let key = run(&["key", "create", "--integration", integration]);
        key.trim().to_owned()
    };
    if credential != Credential::Two {
        return (key("writer"), String::new());
    }
    let (portal, secret) = (OTHER_PORTAL.to_string(), base.join("other"));
    let secret = support::path(&secret);
    run(&[
        "connection",
        "add",
        "other",
        "--portal",
        &portal,
        "--token-file",
        secret,
    ]);
    let other = support::reader()
        .replace("reader", "other")
        .replace("[acme]", "[other]");
    std::fs::write(home.join("policies/other.yaml"), other).unwrap();
    (key("writer"), key("other"))
}
