//! The refresh state machine against a token endpoint in process: storms, rotation, failures, crashes.

mod clock;
mod crash;
mod damage;
mod enrol;
mod fake;
mod kills;
mod master_key;
mod refresh;
mod regrant;
mod retire;
mod rotate;
mod sharing;
mod simulation;
mod statics;
mod storm;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fake::Fake;
use tokio::runtime::Handle;

use crate::access::catalogue::Catalogue;
use crate::access::connection::{ConnectionName, PortalId, Standing};
use crate::access::decide::{Permit, Question, decide};
use crate::access::gather::gather;
use crate::access::policy::Policy;
use crate::access::policy::tables::ConnectionRef;
use crate::access::target::Target;
use crate::hubspot::connect::{Upstream, client_tls};
use crate::hubspot::control::ControlClient;
use crate::hubspot::oauth::Endpoints;
use crate::metrics::{Metrics, MetricsBounds};
use crate::secret::Secret;
use crate::store::{GateLock, Provenance, Store};
use crate::tokens::{ConnectionState, CredentialError, Enrolment, Lease, Live, LiveParts, TokenSettings};
use crate::vault::{MasterKey, Vault};

const PORTAL: u64 = 62515;

/// A permit as only a decision makes one: to read contacts.
fn permit() -> &'static Permit {
    static PERMIT: OnceLock<Permit> = OnceLock::new();
    PERMIT.get_or_init(|| {
        let catalogue = Catalogue::embedded().unwrap();
        let text = "integration: test\nowner: a@example.com\nconnections: [acme]\n\
                    allow:\n  - scope: crm.objects.contacts.read\n";
        let now = jiff::Timestamp::now();
        let (policy, _) = Policy::load(&"test.yaml".into(), "test", &text.into(), &catalogue, now).unwrap();
        let target = Target::parse("GET", "/crm/v3/objects/contacts").unwrap();
        let recognised = catalogue.recognise(&target).unwrap();
        let facts = gather(&catalogue, &recognised, &target, None).unwrap();
        let question = Question {
            policy: &policy,
            ceiling: None,
            catalogue: &catalogue,
            facts: &facts,
            request: None,
            connection: ConnectionRef {
                name: "acme",
                app: None,
            },
            now,
        };
        decide(&question).permit().unwrap()
    })
}

/// A store with app `marketing` and, by OAuth, connection `acme`; no gate runs yet.
struct World {
    dir: tempfile::TempDir,
    store: Arc<Store>,
    vault: Arc<Vault>,
    client: ControlClient,
    fake: Fake,
    url: String,
}

/// A gate on the world's store.
struct Gate {
    live: Live,
    _lock: GateLock,
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn name(text: &str) -> ConnectionName {
    ConnectionName::parse(text).unwrap()
}

fn portal() -> PortalId {
    PortalId::new(PORTAL).unwrap()
}

fn by_test() -> Provenance {
    Provenance {
        actor: "test".to_owned(),
        reason: None,
    }
}

impl World {
    /// Without any app or connection.
    async fn empty() -> Self {
        let (fake, url) = Fake::start().await;
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&dir.path().join("scopegate.db")).unwrap());
        let vault = Vault::open(&MasterKey::from_bytes([4; 32]), store.id(), None).unwrap();
        let ca = include_bytes!("../../../tests/data/ca.pem");
        let upstream = Upstream::new(&url, client_tls(Some(ca)).unwrap(), false).unwrap();
        let client = ControlClient::new(upstream.shared(), Duration::from_secs(2), Duration::from_secs(2));
        Self {
            dir,
            store,
            vault: Arc::new(vault),
            client,
            fake,
            url,
        }
    }

    async fn new() -> Self {
        let world = Self::empty().await;
        let endpoints = Endpoints::default();
        let enrolment = world.enrolment(&endpoints);
        enrolment
            .add_app(
                "marketing",
                "client-1",
                &secret("canary-app-secret"),
                None,
                &by_test(),
            )
            .unwrap();
        let grant = secret("canary-refresh-0");
        enrolment
            .add_grant(&name("acme"), portal(), "marketing", &grant, &by_test())
            .await
            .unwrap();
        world
    }

    fn enrolment<'a>(&'a self, endpoints: &'a Endpoints) -> Enrolment<'a> {
        Enrolment {
            store: &self.store,
            vault: &self.vault,
            client: &self.client,
            endpoints,
        }
    }

    fn gate(&self) -> Gate {
        self.gate_with(TokenSettings::default())
    }

    fn gate_with(&self, settings: TokenSettings) -> Gate {
        let lock = GateLock::acquire(self.store.path()).unwrap();
        Gate {
            live: Live::load(self.parts(settings), &lock).unwrap(),
            _lock: lock,
        }
    }

    fn parts(&self, settings: TokenSettings) -> LiveParts {
        LiveParts {
            watchers: std::collections::BTreeSet::from(["watcher".to_owned()]),
            store: Arc::clone(&self.store),
            vault: Arc::clone(&self.vault),
            client: self.client.clone(),
            endpoints: Endpoints::default(),
            runtime: Handle::current(),
            instance: "g1".to_owned(),
            metrics: Metrics::new(MetricsBounds {
                series: 100,
                connections: 10,
            })
            .unwrap(),
            settings,
        }
    }

    fn standing(&self) -> Standing {
        self.row().standing
    }

    fn row(&self) -> crate::store::ConnectionRow {
        self.store.connection_by_name(&name("acme")).unwrap().unwrap()
    }

    /// No secret in plain form in any file of the store.
    fn assert_no_canary_on_disk(&self) {
        for entry in std::fs::read_dir(self.dir.path()).unwrap() {
            let entry = entry.unwrap();
            let bytes = std::fs::read(entry.path()).unwrap();
            assert!(
                memchr::memmem::find(&bytes, b"canary").is_none(),
                "{:?}",
                entry.file_name()
            );
        }
    }
}

impl Gate {
    fn acme(&self) -> Arc<ConnectionState> {
        self.live.by_name(&name("acme")).unwrap()
    }

    /// Applies what is in the store, as the publisher does.
    fn follow(&self) {
        for change in self.live.engine().parts.store.changes_after(0).unwrap().rows {
            self.live.apply_change(&change).unwrap();
        }
    }

    async fn lease(&self) -> Result<Lease, CredentialError> {
        self.live.lease(&self.acme(), permit()).await
    }
}

/// Waits, a few seconds at most, for something that happens by itself.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..400 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

/// Lets the gate look after its tokens until the guard is dropped.
fn keep(gate: &Gate) -> tokio_util::sync::DropGuard {
    let stop = tokio_util::sync::CancellationToken::new();
    tokio::spawn(gate.live.clone().keep(stop.clone()));
    stop.drop_guard()
}

fn token_of(lease: &Lease) -> String {
    lease.authorization().to_str().unwrap().to_owned()
}
