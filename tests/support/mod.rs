//! A world for tests: simulator and gate in this process, set up with the product's own commands.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

#[path = "canaries.rs"]
pub mod canaries;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use canaries::{Place, Ward};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use scopegate::config::{self, Overrides};
use scopegate::server::{Prepared, Server, StartOptions};
use scopegate::sim::{self, PortalOptions, Scopes, Sim, SimOptions, SimTls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// Everything a contact integration of these tests may need at HubSpot's side.
pub const PORTAL: u64 = 1001;

/// How a world differs from the plain one.
pub struct Setup {
    /// Options of the simulator.
    pub sim: SimOptions,
    /// `NAME` and text of each policy.
    pub policies: Vec<(&'static str, String)>,
    /// Lines appended to the configuration; `SIM_ORIGIN` stands for the simulator's origin.
    pub config: String,
    /// Whether the upstream is under TLS, as HubSpot is.
    pub tls: bool,
    /// The origin of another upstream than the simulator; it then can't tell whose the token is.
    pub upstream: Option<String>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            sim: SimOptions::default(),
            policies: vec![("reader", reader()), ("writer", writer())],
            config: String::new(),
            tls: false,
            upstream: None,
        }
    }
}

/// A policy that reads contacts.
pub fn reader() -> String {
    policy("reader", "allow:\n  - scope: crm.objects.contacts.read\n")
}

/// A policy that reads and writes contacts, and never more.
pub fn writer() -> String {
    policy(
        "writer",
        "allow:\n  - scope: [crm.objects.contacts.read, crm.objects.contacts.write]\n  - operation: files.create\n",
    )
}

/// A policy for connection `acme` with these rules.
pub fn policy(name: &str, rules: &str) -> String {
    format!("integration: {name}\nowner: test@example.com\nconnections: [acme]\n{rules}")
}

/// Simulator, gate, and what belongs to them.
pub struct World {
    pub sim: Arc<Sim>,
    pub sim_origin: String,
    pub upstream_token: String,
    pub gate: SocketAddr,
    pub monitor: SocketAddr,
    server: Option<Server>,
    /// Looks for secrets where they must not be when the world ends: after the server, before the folder.
    ward: Ward,
    pub dir: tempfile::TempDir,
    _running: sim::Running,
}

impl World {
    pub async fn plain() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        let sim = Sim::new(setup.sim);
        sim.add_portal(PortalOptions::new(PORTAL));
        let dir = tempfile::tempdir().unwrap();
        let tls = setup.tls.then(|| SimTls::generate(&[]).unwrap());
        if let Some(tls) = &tls {
            std::fs::write(dir.path().join("ca.pem"), &tls.ca_pem).unwrap();
        }
        let running = sim::start(Arc::clone(&sim), tls.map(|tls| tls.server))
            .await
            .unwrap();
        let ca = if setup.tls {
            format!(", ca: {}", dir.path().join("ca.pem").display())
        } else {
            String::new()
        };
        let origin = setup.upstream.unwrap_or_else(|| running.origin.clone());
        let ward = Ward::new(dir.path(), &sim, running.address);
        scopegate_ok(&["init", path(&dir.path().join("gate"))]);
        let home = dir.path().join("gate");
        std::fs::remove_dir_all(home.join("policies")).unwrap();
        std::fs::create_dir(home.join("policies")).unwrap();
        for (name, text) in &setup.policies {
            std::fs::write(home.join(format!("policies/{name}.yaml")), text).unwrap();
        }
        let text = format!(
            "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nupstream: {{ url: \"{origin}\"{ca} }}\nworkers: 2\n\
             instance: test\nshutdown: {{ delay: 0s, grace: 5s }}\n{}",
            setup.config.replace("SIM_ORIGIN", &origin)
        );
        std::fs::write(home.join("scopegate.yaml"), text).unwrap();
        let token = sim.private_app(PORTAL, every_scope()).expose().to_owned();
        let token_file = dir.path().join("token");
        write_secret(&token_file, &token);
        let world_config = home.join("scopegate.yaml");
        let portal = PORTAL.to_string();
        let adding = [
            "--config",
            path(&world_config),
            "connection",
            "add",
            "acme",
            "--portal",
            &portal,
            "--token-file",
            path(&token_file),
        ];
        let adding: Vec<String> = adding.iter().map(ToString::to_string).collect();
        tokio::task::spawn_blocking(move || {
            scopegate_ok(&adding.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .await
        .unwrap();
        sim.forget_received();
        let server = start_gate(&world_config).await;
        Self {
            gate: server.gate,
            monitor: server.admin,
            server: Some(server),
            sim,
            sim_origin: origin,
            upstream_token: token,
            ward,
            dir,
            _running: running,
        }
    }

    pub fn home(&self) -> PathBuf {
        self.dir.path().join("gate")
    }

    pub fn config(&self) -> PathBuf {
        self.home().join("scopegate.yaml")
    }

    /// Runs the product's own command on this world's configuration.
    pub fn command(&self, args: &[&str]) -> Output {
        let config = self.config();
        let mut all = vec!["--config", path(&config)];
        all.extend(args);
        scopegate(&all)
    }

    /// A new key, in force.
    pub fn key(&self, integration: &str) -> String {
        let output = self.command(&[
            "key",
            "create",
            "--integration",
            integration,
            "--connection",
            "acme",
        ]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// One request over a connection of its own.
    pub async fn send(&self, method: &str, target: &str, key: &str, body: Option<&str>) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", self.gate.to_string());
        if !key.is_empty() {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        self.request(
            request
                .body(Full::from(body.unwrap_or_default().to_owned()))
                .unwrap(),
        )
        .await
        .unwrap()
    }

    pub async fn get(&self, target: &str, key: &str) -> Answer {
        self.send("GET", target, key, None).await
    }

    pub async fn request(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let stream = TcpStream::connect(self.gate).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let driver = tokio::spawn(connection);
        let response = within(sender.send_request(request))
            .await
            .map_err(|error| error.to_string())?;
        let (parts, body) = response.into_parts();
        let body = within(body.collect())
            .await
            .map_err(|error| error.to_string())?
            .to_bytes();
        driver.abort();
        let answer = Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        };
        canaries::seen(Place::Answer, &answer.bytes());
        Ok(answer)
    }

    /// Raw bytes in, everything that comes back until the gate closes or falls silent.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.gate).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let mut chunk = [0; 4096];
        while let Ok(Ok(count)) =
            tokio::time::timeout(Duration::from_millis(700), stream.read(&mut chunk)).await
        {
            if count == 0 {
                break;
            }
            answer.extend_from_slice(&chunk[..count]);
        }
        canaries::seen(Place::Answer, &answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub async fn metrics(&self) -> String {
        monitor(self.monitor, "/metrics").await
    }

    /// What `/readyz?verbose` says.
    pub async fn ready(&self) -> String {
        monitor(self.monitor, "/readyz?verbose").await
    }

    /// The audit log as it stands, parsed.
    pub fn audit(&self) -> Vec<serde_json::Value> {
        self.audit_text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub fn audit_text(&self) -> String {
        let mut files: Vec<PathBuf> = walk(&self.home().join("data/audit"));
        files.sort();
        files
            .iter()
            .filter(|file| file.extension().is_some_and(|end| end == "jsonl"))
            .filter_map(|file| std::fs::read_to_string(file).ok())
            .collect()
    }

    /// Waits until `wanted` holds, at most five seconds.
    pub async fn until(&self, what: &str, mut wanted: impl AsyncFnMut(&World) -> bool) {
        // As long as a busy machine may take: only what never comes waits for it.
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end {
            if wanted(self).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not within thirty seconds: {what}");
    }

    /// Stops the gate; the audit log is complete afterwards.
    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            within(server.shutdown(CancellationToken::new())).await;
        }
    }

    /// Stops the gate without waiting for what is in flight.
    pub async fn stop_at_once(&mut self) {
        if let Some(server) = self.server.take() {
            let hurry = CancellationToken::new();
            hurry.cancel();
            within(server.shutdown(hurry)).await;
        }
    }

    /// Starts the gate again on what it left behind.
    pub async fn start(&mut self) {
        let server = start_gate(&self.config()).await;
        self.gate = server.gate;
        self.monitor = server.admin;
        self.server = Some(server);
    }

    /// What looks for this world's secrets where they must not be.
    pub fn ward(&self) -> &Ward {
        &self.ward
    }

    pub fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let flavour = tokio::runtime::Handle::try_current().map(|handle| handle.runtime_flavor());
        let may_block = matches!(flavour, Ok(tokio::runtime::RuntimeFlavor::MultiThread));
        if self.server.is_some() && may_block && !std::thread::panicking() {
            tokio::task::block_in_place(|| canaries::look_at_metrics(self.monitor));
        }
    }
}

/// What the monitor listener says there.
pub async fn monitor(address: SocketAddr, target: &str) -> String {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::get(target)
        .header("host", "x")
        .body(Full::<Bytes>::default())
        .unwrap();
    let response = within(sender.send_request(request)).await.unwrap();
    let text = String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    canaries::seen(Place::Metrics, text.as_bytes());
    text
}

/// A credential that may do everything, as the ones integrations used to hold.
pub fn every_scope() -> Scopes {
    let catalogue = scopegate::access::catalogue::Catalogue::embedded().unwrap();
    Scopes::new(catalogue.scopes().map(|(_, scope)| scope.name.to_string()))
}

pub async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work)
        .await
        .expect("twenty seconds are enough")
}

async fn start_gate(config: &Path) -> Server {
    for _ in 0..100 {
        let loaded = config::load(Some(config), Overrides::default())
            .unwrap_or_else(|errors| panic!("{}", errors.render(false)));
        match Prepared::new(loaded.config, StartOptions::default()).await {
            Ok(prepared) => {
                return prepared
                    .listen()
                    .await
                    .unwrap_or_else(|error| panic!("{error:?}"));
            }
            // A command that another test is just starting holds copies of this process's files, the
            // store's lock among them, until it has become another program.
            Err(error) if error.message.contains("another gate runs") => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("the store's lock was not given back");
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .flatten()
        .flat_map(|entry| {
            if entry.path().is_dir() {
                walk(&entry.path())
            } else {
                vec![entry.path()]
            }
        })
        .collect()
}

pub fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub fn write_secret(file: &Path, text: &str) {
    canaries::given_in(file, text);
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)
        .unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}

pub fn scopegate(args: &[&str]) -> Output {
    let clean = std::env::vars().filter(|(name, _)| !name.starts_with("SCOPEGATE_"));
    let output = Command::new(env!("CARGO_BIN_EXE_scopegate"))
        .args(args)
        .env_clear()
        .envs(clean)
        .envs(canaries::temporary_for(args))
        .output()
        .unwrap();
    canaries::said(args, &output);
    output
}

pub fn scopegate_ok(args: &[&str]) -> String {
    let output = scopegate(args);
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// An answer, whole.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// As a client saw it.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, value) in &self.headers {
            bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"].concat());
        }
        bytes.extend_from_slice(&self.body);
        bytes
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn decision(&self) -> &str {
        self.headers
            .get("x-scopegate-decision")
            .map_or("", |value| value.to_str().unwrap())
    }

    pub fn sub_category(&self) -> String {
        self.json()["subCategory"].as_str().unwrap_or_default().to_owned()
    }

    /// What a caller would compare two answers by.
    pub fn verdict(&self) -> String {
        self.decision().split(';').next().unwrap_or_default().to_owned()
    }
}

/// The samples of one metric, by their label text.
pub fn samples(metrics: &str, name: &str) -> BTreeMap<String, f64> {
    metrics
        .lines()
        .filter_map(|line| line.strip_prefix(name))
        .filter(|rest| rest.starts_with('{') || rest.starts_with(' '))
        .filter_map(|rest| rest.rsplit_once(' '))
        .map(|(labels, value)| (labels.to_owned(), value.parse().unwrap()))
        .collect()
}
