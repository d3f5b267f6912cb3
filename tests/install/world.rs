//! A gate with the install listener on, an app at the simulator, and what operators do.

use scopegate::access::connection::ConnectionName;
use scopegate::sim::AppCredentials;
use scopegate::store::{ConnectionRow, Store};

use crate::browser::{Browser, Seen};
use crate::support::{Setup, World, path, policy, write_secret};

pub const PUBLIC: &str = "https://connect.example.com";

/// A world with app `agency`.
pub struct Installs {
    pub world: World,
    pub app: AppCredentials,
}

/// The policy of an integration that works in every portal of the app.
pub fn fleet_policy(rules: &str) -> String {
    format!("integration: fleet\nowner: test@example.com\nconnections: [{{app: agency}}]\n{rules}")
}

pub const RULES: &str =
    "allow:\n  - scope: crm.objects.contacts.read\n  - scope: crm.lists.read\n    optional: true\n";

impl Installs {
    pub async fn new() -> Self {
        Self::with("refuse", RULES).await
    }

    pub async fn with(new_portals: &str, rules: &str) -> Self {
        let setup = Setup {
            policies: vec![
                ("fleet", fleet_policy(rules)),
                (
                    "reader",
                    policy("reader", "allow:\n  - scope: crm.objects.contacts.read\n"),
                ),
            ],
            config: format!(
                "install: {{ listen: 127.0.0.1:0, public_url: \"{PUBLIC}\", authorize_url: \"SIM_ORIGIN/oauth/authorize\" }}\n\
                 apps: {{ agency: {{ redirect_uri: \"{PUBLIC}/callback\", new_portals: {new_portals} }}, other: {{ redirect_uri: \"{PUBLIC}/other\" }} }}\n"
            ),
            ..Setup::default()
        };
        let world = World::with(setup).await;
        let app = world.sim.oauth_app("agency", &[&format!("{PUBLIC}/callback")]);
        let secret = world.dir.path().join("secret");
        write_secret(&secret, app.client_secret.expose());
        let output = world.command(&[
            "app",
            "add",
            "agency",
            "--client-id",
            &app.client_id,
            "--secret-file",
            path(&secret),
        ]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Self { world, app }
    }

    /// `connection install` with these arguments: the link, and what was said.
    pub fn link(&self, args: &[&str]) -> (String, String) {
        let mut all = vec!["connection", "install"];
        all.extend(args);
        all.extend(["--app", "agency", "--reason", "asked by sales"]);
        let output = self.world.command(&all);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        (String::from_utf8(output.stdout).unwrap().trim().to_owned(), said)
    }

    /// Changes the rules of the fleet's policy.
    pub fn policy(&mut self, rules: &str) {
        std::fs::write(self.world.home().join("policies/fleet.yaml"), fleet_policy(rules)).unwrap();
    }

    /// A browser that reaches gate and simulator.
    pub fn browser(&self) -> Browser {
        let sim = self.world.sim_origin.strip_prefix("http://").unwrap();
        Browser::new(&[
            (PUBLIC, self.world.server().install.unwrap()),
            (&self.world.sim_origin, sim.parse().unwrap()),
        ])
    }

    /// Opens a link and presses its button: HubSpot's consent page.
    pub async fn consent(&self, browser: &mut Browser, link: &str) -> Seen {
        let start = browser.open(link).await;
        assert_eq!(start.status, 200, "{}", start.body);
        browser.press(&start).await
    }

    /// A whole install by an operator's link.
    pub async fn install(&self, args: &[&str], portal: u64) -> Seen {
        let (link, _) = self.link(args);
        let mut browser = self.browser();
        let consent = self.consent(&mut browser, &link).await;
        browser.agree(&consent, portal).await
    }

    pub fn store(&self) -> Store {
        Store::open(&self.world.home().join("data/scopegate.db")).unwrap()
    }

    /// Changes the store behind the gate's back.
    pub fn edit(&self, sql: &str) {
        let store = rusqlite::Connection::open(self.world.home().join("data/scopegate.db")).unwrap();
        store.execute(sql, []).unwrap();
    }

    pub fn row(&self, name: &str) -> Option<ConnectionRow> {
        let name = ConnectionName::parse(name).unwrap();
        self.store().connection_by_name(&name).unwrap()
    }

    /// A key of the fleet's integration, bound to a connection.
    pub fn key(&self, connection: &str) -> String {
        let output = self.world.command(&[
            "key",
            "create",
            "--integration",
            "fleet",
            "--connection",
            connection,
        ]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}
