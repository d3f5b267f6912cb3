//! A gate with a static connection `acme` and an OAuth connection `one`, and a way to stop things.

use std::process::Output;
use std::time::{Duration, Instant, SystemTime};

use scopegate::sim::{Rotation, SimOptions};
use scopegate::store::Store;

use crate::support::{Setup, World, every_scope, path, policy, write_secret};
use crate::wire::{Wire, get};

/// A read that passes.
pub const READ: &str = "/crm/v3/objects/contacts/1001";

/// Who installed connection `one`.
pub const INSTALLER: &str = "Ada.Lovelace@example.com";

/// The longest a stop may take until HubSpot sees nothing more of what it stops.
pub const MOST: Duration = Duration::from_secs(1);

pub struct Place {
    pub world: World,
    /// Of integration `sync`, bound to `one`.
    pub key: String,
    /// Of integration `reader`, bound to `acme`.
    pub other: String,
    client_id: String,
}

impl Place {
    pub async fn new() -> Self {
        Self::with("").await
    }

    /// With lines appended to the configuration.
    pub async fn with(config: &str) -> Self {
        Self::of(config, SimOptions::default()).await
    }

    /// Where every refresh brings another refresh token, and the one before is dead.
    pub async fn rotating() -> Self {
        let sim = SimOptions {
            rotation: Rotation::Rotate,
            ..SimOptions::default()
        };
        Self::of("", sim).await
    }

    async fn of(config: &str, sim: SimOptions) -> Self {
        let rules = "allow:\n  - scope: [crm.objects.contacts.read, crm.objects.contacts.write]\n  - operation: files.create\n";
        let sync = policy("sync", rules).replace("[acme]", "\"*\"");
        let narrow = crate::support::reader().replace("reader", "narrow")
            + "properties:\n  contacts: { read: [email] }\n";
        let world = World::with(Setup {
            policies: vec![
                ("sync", sync),
                ("reader", crate::support::reader()),
                ("narrow", narrow),
            ],
            config: config.to_owned(),
            sim,
            ..Setup::default()
        })
        .await;
        let app = world.sim.oauth_app("test", &[]);
        let file = |name: &str, text: &str| {
            let file = world.dir.path().join(name);
            write_secret(&file, text);
            file
        };
        let secret = file("secret", app.client_secret.expose());
        ok(
            &world,
            &[
                "app",
                "add",
                "marketing",
                "--client-id",
                &app.client_id,
                "--secret-file",
                path(&secret),
            ],
        );
        world.sim.add_portal(scopegate::sim::PortalOptions::new(2001));
        let install = scopegate::sim::Install::new(&app.client_id, 2001, every_scope());
        let grant = file("one", world.sim.install(install).unwrap().expose());
        ok(
            &world,
            &[
                "connection",
                "add",
                "one",
                "--portal",
                "2001",
                "--app",
                "marketing",
                "--refresh-token-file",
                path(&grant),
            ],
        );
        set_installer(&world, "one", INSTALLER);
        let key = ok(
            &world,
            &["key", "create", "--integration", "sync", "--connection", "one"],
        );
        let other = ok(
            &world,
            &["key", "create", "--integration", "reader", "--connection", "acme"],
        );
        world.sim.forget_received();
        Self {
            world,
            key,
            other,
            client_id: app.client_id,
        }
    }

    /// A second connection, by another name of the app, to the same portal by the same grant.
    pub fn share_grant(&self, name: &str) {
        let file = |name: &str| self.world.dir.path().join(name);
        let (secret, grant) = (file("secret"), file("one"));
        let id = &self.client_id;
        ok(
            &self.world,
            &[
                "app",
                "add",
                name,
                "--client-id",
                id,
                "--secret-file",
                path(&secret),
            ],
        );
        ok(
            &self.world,
            &[
                "connection",
                "add",
                name,
                "--portal",
                "2001",
                "--app",
                name,
                "--refresh-token-file",
                path(&grant),
            ],
        );
    }

    /// Whether HubSpot takes any refresh token of connection `one`'s grant.
    pub fn lives(&self) -> bool {
        self.world
            .sim
            .current_refresh_token(&self.client_id, 2001)
            .is_some()
    }

    /// Runs the product's own command beside what this task serves.
    pub async fn command(&self, args: &[&str]) -> Output {
        let config = self.world.config();
        let mut all = vec!["--config".to_owned(), path(&config).to_owned()];
        all.extend(args.iter().map(ToString::to_string));
        tokio::task::spawn_blocking(move || {
            crate::support::scopegate(&all.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .await
        .unwrap()
    }

    /// Stops `one` with these words besides; exit status and all that was said.
    pub async fn kill_one(&self, more: &[&str]) -> (Option<i32>, String) {
        let mut args = vec!["kill", "--connection", "one", "--reason", "test"];
        args.extend(more);
        let output = self.command(&args).await;
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }

    pub async fn ok(&self, args: &[&str]) -> String {
        let output = self.command(args).await;
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {err}");
        String::from_utf8(output.stdout).unwrap() + &err
    }

    /// Stops something with the command; when it was committed.
    pub async fn kill(&self, subject: &[&str]) -> Instant {
        let mut args = vec!["kill"];
        args.extend(subject);
        args.extend(["--reason", "test"]);
        self.ok(&args).await;
        let at = self.store().kills().unwrap().last().unwrap().at;
        let ago = SystemTime::now().duration_since(SystemTime::from(at)).unwrap();
        Instant::now() - ago
    }

    pub async fn revive(&self, subject: &[&str]) {
        let mut args = vec!["revive"];
        args.extend(subject);
        args.extend(["--reason", "over"]);
        self.ok(&args).await;
    }

    pub fn store(&self) -> Store {
        Store::open_existing(&self.world.home().join("data/scopegate.db")).unwrap()
    }

    /// How far the publisher has come in the list of changes.
    pub fn applied(&self) -> u64 {
        let store = rusqlite::Connection::open(self.world.home().join("data/scopegate.db")).unwrap();
        let applied: i64 = store
            .query_row("SELECT seq FROM applied", [], |row| row.get(0))
            .unwrap();
        applied.try_into().unwrap()
    }

    /// Calls for records that the simulator has received, with when.
    pub fn calls_up(&self) -> Vec<(String, Instant)> {
        let received = self.world.sim.received();
        received
            .iter()
            .filter(|received| !received.target.starts_with("/oauth/"))
            .map(|received| (received.target.clone(), received.at))
            .collect()
    }

    /// Waits until the simulator has received a call whose target begins so.
    pub async fn until_received(&self, prefix: &str) {
        self.world
            .until(prefix, async |world| {
                let received = world.sim.received();
                received
                    .iter()
                    .any(|received| received.target.starts_with(prefix))
            })
            .await;
    }

    /// Asks until the answer is 200: a stop that ended, a token that was there.
    pub async fn passes(&self, key: &str) {
        let reply = Wire::open(self.world.gate).await.ask(get(READ, key)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// What the audit log says became of the call with this id.
    pub async fn outcome(&self, id: &str) -> serde_json::Value {
        self.recorded("outcome", id).await
    }

    /// The line of this kind about the call with this id.
    pub async fn recorded(&self, kind: &str, id: &str) -> serde_json::Value {
        let found = |world: &World| {
            let lines = world.audit();
            lines
                .into_iter()
                .find(|line| line["kind"] == kind && line["id"] == id)
        };
        self.world
            .until("it is recorded", async |world| found(world).is_some())
            .await;
        found(&self.world).unwrap()
    }
}

pub fn ok(world: &World, args: &[&str]) -> String {
    let output = world.command(args);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {err}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// As an install records it; a running gate sees it with the next change of the connection.
fn set_installer(world: &World, connection: &str, email: &str) {
    let store = rusqlite::Connection::open(world.home().join("data/scopegate.db")).unwrap();
    let changed = store
        .execute(
            "UPDATE connections SET installer_email = ?2 WHERE name = ?1",
            [connection, email],
        )
        .unwrap();
    assert_eq!(changed, 1);
    store
        .execute(
            "INSERT INTO changes (kind, id) SELECT 'connection', id FROM connections WHERE name = ?1",
            [connection],
        )
        .unwrap();
}
