//! Simulator, store, policy, key; and the gate's process, one life after the other.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use scopegate::access::connection::{ConnectionName, PortalId};
use scopegate::config::MasterKeySource;
use scopegate::hubspot::connect::{Upstream, client_tls};
use scopegate::hubspot::control::ControlClient;
use scopegate::hubspot::oauth::Endpoints;
use scopegate::secret::Secret;
use scopegate::sim::{self, AppCredentials, Install, PortalOptions, Rotation, Sim, SimOptions};
use scopegate::store::{ConnectionRow, Provenance, Store};
use scopegate::tokens::{Enrolment, unlock};
use scopegate::vault::{Owner, Place as Where, Vault};

use crate::{Kill, LIFE, support};

/// Connections, with their apps and portals: `twin` holds the same grant as `one`, under another app entry.
pub const CONNECTIONS: [(&str, &str, u64); 4] = [
    ("one", "marketing", 2001),
    ("two", "marketing", 2002),
    ("three", "marketing", 2003),
    ("twin", "twins", 2001),
];

pub struct Place {
    pub sim: Arc<Sim>,
    pub key: String,
    pub app: AppCredentials,
    _ward: support::canaries::Ward,
    dir: tempfile::TempDir,
    lives: usize,
    running: sim::Running,
}

impl Place {
    pub async fn new(rotation: Rotation) -> Self {
        let sim = Sim::new(SimOptions {
            rotation,
            expires_in: LIFE,
            recorded_requests: 0,
            ..SimOptions::default()
        });
        let app = sim.oauth_app("marketing", &[]);
        for portal in [2001, 2002, 2003] {
            sim.add_portal(PortalOptions::new(portal));
        }
        let running = sim::start(Arc::clone(&sim), None).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let ward = support::canaries::Ward::new(dir.path(), &sim, running.address);
        let mut place = Self {
            sim,
            key: String::new(),
            app,
            _ward: ward,
            dir,
            lives: 0,
            running,
        };
        place.key = tokio::task::block_in_place(|| place.set_up());
        let names: Vec<_> = CONNECTIONS.iter().map(|(name, ..)| *name).collect();
        place.install_again(&names).await;
        place
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("gate")
    }

    fn config(&self) -> PathBuf {
        self.home().join("scopegate.yaml")
    }

    fn set_up(&self) -> String {
        let home = self.home();
        support::scopegate_ok(&["init", support::path(&home)]);
        let origin = &self.running.origin;
        let text = format!(
            "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nupstream: {{ url: \"{origin}\" }}\nworkers: 2\n\
             instance: test\nshutdown: {{ delay: 0s, grace: 5s }}\nlog: {{ format: json }}\n\
             limits: {{ in_flight: 4096, in_flight_per_integration: 4096, connections_per_key: 4096 }}\n"
        );
        std::fs::write(self.config(), text).unwrap();
        std::fs::remove_dir_all(home.join("policies")).unwrap();
        std::fs::create_dir(home.join("policies")).unwrap();
        let policy = support::reader().replace("[acme]", "\"*\"");
        std::fs::write(home.join("policies/reader.yaml"), policy).unwrap();
        let secret = self.dir.path().join("secret");
        support::write_secret(&secret, self.app.client_secret.expose());
        for app in ["marketing", "twins"] {
            self.run(&[
                "app",
                "add",
                app,
                "--client-id",
                &self.app.client_id,
                "--secret-file",
                support::path(&secret),
            ]);
        }
        let key = self.run(&["key", "create", "--integration", "reader", "--any-connection"]);
        key.trim().to_owned()
    }

    fn run(&self, args: &[&str]) -> String {
        let config = self.config();
        let mut all = vec!["--config", support::path(&config)];
        all.extend(args);
        support::scopegate_ok(&all)
    }

    /// Starts the gate, to be killed as wished.
    pub async fn start(&mut self, kill: Kill) -> Gate {
        self.lives += 1;
        let log = self.dir.path().join(format!("life-{}.log", self.lives));
        let mut command = Command::new(env!("CARGO_BIN_EXE_scopegate"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SCOPEGATE_")) {
            command.env_remove(name);
        }
        if let Kill::At(point, pass, _) = kill {
            command.env("SCOPEGATE_FAIL_KILL", format!("{point}:{pass}"));
        }
        command
            .args(["--config", support::path(&self.config()), "run"])
            .env("RUST_LOG", "info")
            .envs(support::canaries::temporary_beside(&self.config()))
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap());
        tokio::task::block_in_place(|| {
            let mut child = command.spawn().unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap())
                .read_line(&mut line)
                .unwrap();
            let address = line
                .split_whitespace()
                .find_map(|word| word.strip_prefix("gate=http://"))
                .unwrap_or_else(|| panic!("no ready line: {line:?} {:?}", std::fs::read_to_string(&log)));
            Gate {
                address: address.parse().unwrap(),
                child,
                log,
            }
        })
    }

    /// The store and what opens it, while no gate runs.
    pub fn open(&self) -> (Arc<Store>, Vault) {
        let store = Store::open_existing(&self.home().join("data/scopegate.db")).unwrap();
        let vault = unlock(
            &store,
            &MasterKeySource::File(self.home().join("data/master.key")),
            &scopegate::config::KeyCommand::default(),
        )
        .unwrap();
        (Arc::new(store), vault)
    }

    /// The refresh token a dead gate left on the disk.
    pub fn stored_refresh_token(row: &ConnectionRow, vault: &Vault) -> Secret {
        let owner = Owner::connection(&row.id);
        let place = Where {
            owner: &owner,
            field: "refresh",
            version: row.generation,
        };
        let key = vault.data_key(&owner, &row.data_key).unwrap();
        key.open(place, row.refresh.as_ref().unwrap()).unwrap()
    }

    /// Somebody authorises these connections anew, as an operator would: removed, then added.
    pub async fn install_again(&self, names: &[&str]) {
        if names.is_empty() {
            return;
        }
        let by = Provenance {
            actor: "test".to_owned(),
            reason: None,
        };
        let (store, vault) = self.open();
        let ca = include_bytes!("../data/ca.pem");
        let upstream = Upstream::new(&self.running.origin, client_tls(Some(ca)).unwrap(), false).unwrap();
        let wait = Duration::from_secs(5);
        let client = ControlClient::new(upstream.shared(), wait, wait);
        let enrolment = Enrolment {
            store: &store,
            vault: &vault,
            client: &client,
            endpoints: &Endpoints::default(),
        };
        for (name, app, portal) in CONNECTIONS.iter().filter(|(name, ..)| names.contains(name)) {
            let known = ConnectionName::parse(name).unwrap();
            if let Some(row) = store.connection_by_name(&known).unwrap() {
                store.remove_connection(&row.id, &by).unwrap();
            }
            let token = match *name {
                "twin" => self.sim.current_refresh_token(&self.app.client_id, *portal),
                _ => {
                    let install = Install::new(&self.app.client_id, *portal, support::every_scope());
                    self.sim.install(install)
                }
            };
            let portal = PortalId::new(*portal).unwrap();
            enrolment
                .add_grant(&known, portal, app, &token.unwrap(), &by)
                .await
                .unwrap();
        }
        let twin = store
            .connection_by_name(&ConnectionName::parse("twin").unwrap())
            .unwrap();
        if let Some(twin) = twin.filter(|_| names.contains(&"twin")) {
            assert_eq!(
                store.sharers(&twin.id).unwrap().len(),
                1,
                "the twin's grant is known to be shared"
            );
        }
    }
}

/// The gate's process.
pub struct Gate {
    pub address: SocketAddr,
    child: Child,
    log: PathBuf,
}

impl Gate {
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Waits for its death, which must be by SIGKILL, and says when it was noticed.
    pub async fn wait(&mut self) -> Instant {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert_eq!(status.signal(), Some(9), "{status}: {}", self.log());
                return Instant::now();
            }
            assert!(Instant::now() < until, "it was not killed: {}", self.log());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// The refreshes of this life that were saved.
    pub fn refreshes(&self) -> Vec<Refreshed> {
        let log = self.log();
        assert!(!log.contains("panicked"), "{log}");
        log.lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter_map(|line| Refreshed::of(&line))
            .collect()
    }
}

/// One refresh as the gate's log tells it.
pub struct Refreshed {
    pub connection: String,
    /// When HubSpot was asked.
    pub asked: jiff::Timestamp,
    /// From the last byte of the answer to the durable commit.
    pub window_us: u64,
}

impl Refreshed {
    fn of(line: &serde_json::Value) -> Option<Self> {
        // Wherever the log's format puts fields.
        let field = |name: &str| line.get(name).or_else(|| line.get("fields")?.get(name));
        let window_us = field("window_us")?.as_u64()?;
        let at: jiff::Timestamp = field("timestamp")?.as_str()?.parse().unwrap();
        let took = Duration::from_micros(field("duration_us")?.as_u64()?);
        Some(Self {
            connection: field("connection")?.as_str()?.to_owned(),
            asked: at - took,
            window_us,
        })
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // Already gone is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
