//! The gate as a process of its own: killed in the middle of an install, started with another master
//! key, and logging all it can.

use std::sync::Arc;
use std::time::{Duration, Instant};

use scopegate::sim::{self, PortalOptions, Sim, SimOptions};
use scopegate::tokens::failpoints;

use crate::browser::Browser;
use crate::support::canaries::Ward;
use crate::support::{path, scopegate_ok, write_secret};
use crate::world::{PUBLIC, RULES, fleet_policy};

#[path = "../support/child.rs"]
pub mod child;
use child::Gate;

pub struct Outside {
    _ward: Ward,
    dir: tempfile::TempDir,
    sim: Arc<Sim>,
    running: sim::Running,
}

impl Outside {
    pub async fn new() -> Self {
        let sim = Sim::new(SimOptions::default());
        sim.add_portal(PortalOptions::new(2002));
        let running = sim::start(Arc::clone(&sim), None).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let ward = Ward::new(dir.path(), &sim, running.address);
        let home = dir.path().join("gate");
        scopegate_ok(&["init", path(&home)]);
        std::fs::remove_file(home.join("policies/contact-report.yaml")).unwrap();
        std::fs::write(home.join("policies/fleet.yaml"), fleet_policy(RULES)).unwrap();
        let origin = &running.origin;
        let text = format!(
            "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nupstream: {{ url: \"{origin}\" }}\nworkers: 1\n\
             shutdown: {{ delay: 0s, grace: 5s }}\n\
             install: {{ listen: 127.0.0.1:0, public_url: \"{PUBLIC}\", authorize_url: \"{origin}/oauth/authorize\" }}\n\
             apps: {{ agency: {{ redirect_uri: \"{PUBLIC}/callback\" }} }}\n"
        );
        std::fs::write(home.join("scopegate.yaml"), text).unwrap();
        let app = sim.oauth_app("agency", &[&format!("{PUBLIC}/callback")]);
        let secret = dir.path().join("secret");
        write_secret(&secret, app.client_secret.expose());
        let outside = Self {
            _ward: ward,
            dir,
            sim,
            running,
        };
        outside.command(&[
            "app",
            "add",
            "agency",
            "--client-id",
            &app.client_id,
            "--secret-file",
            path(&secret),
        ]);
        outside
    }

    pub fn config(&self) -> std::path::PathBuf {
        self.dir.path().join("gate/scopegate.yaml")
    }

    fn command(&self, args: &[&str]) -> String {
        let config = self.config();
        scopegate_ok(&[&["--config", path(&config)], args].concat())
    }

    pub fn link(&self) -> String {
        let args = [
            "connection",
            "install",
            "acme",
            "--app",
            "agency",
            "--portal",
            "2002",
        ];
        self.command(&args).trim().to_owned()
    }

    fn browser(&self, gate: &Gate) -> Browser {
        Browser::new(&[
            (PUBLIC, gate.install.unwrap()),
            (&self.running.origin, self.running.address),
        ])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_killed_between_exchange_and_save_stores_nothing_and_says_so_afterwards() {
    for point in [
        failpoints::INSTALL_AFTER_EXCHANGE,
        failpoints::INSTALL_BEFORE_SAVE,
    ] {
        let outside = Outside::new().await;
        let mut gate = Gate::start_at(&outside.config(), "info", &[("SCOPEGATE_FAIL_KILL", point)]);
        let link = outside.link();
        let mut browser = outside.browser(&gate);
        let start = browser.open(&link).await;
        let consent = browser.press(&start).await;
        let back = browser.decide(&consent, 2002, "allow").await;
        let callback = back.location().unwrap().to_owned();
        let mut other = browser.clone();
        let lost = tokio::spawn(async move { other.get(&callback).await });
        assert!(!gate.wait().success(), "{point}");
        assert!(lost.await.is_err(), "the browser sees the connection break off");
        assert_eq!(
            outside.command(&["connection", "list"]).lines().count(),
            1,
            "{point}: nothing stored"
        );

        let gate = Gate::start(&outside.config());
        assert!(gate.log().contains("begun and not finished"), "{}", gate.log());
        let mut browser = Browser {
            cookies: browser.cookies.clone(),
            ..outside.browser(&gate)
        };
        let seen = browser.get(&link).await;
        assert_eq!(
            seen.title(),
            "This was begun and not finished",
            "{point}: {}",
            seen.body
        );
        // Installing once more does no harm.
        let link = outside.link();
        let start = browser.open(&link).await;
        let consent = browser.press(&start).await;
        assert_eq!(
            browser.agree(&consent, 2002).await.title(),
            "The account is connected"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_goes_away_does_not_stop_an_install() {
    let outside = Outside::new().await;
    let gate = Gate::start(&outside.config());
    let link = outside.link();
    let mut browser = outside.browser(&gate);
    let start = browser.open(&link).await;
    let consent = browser.press(&start).await;
    let callback = browser
        .decide(&consent, 2002, "allow")
        .await
        .location()
        .unwrap()
        .to_owned();
    let target = callback.strip_prefix(PUBLIC).unwrap();
    let cookie = browser.cookies.values().next().unwrap();
    let before = outside.sim.received_count();
    {
        use std::io::Write as _;
        let mut stream = std::net::TcpStream::connect(gate.install.unwrap()).unwrap();
        let head =
            format!("GET {target} HTTP/1.1\r\nhost: x\r\ncookie: __Host-scopegate-install={cookie}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        while outside.sim.received_count() == before && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    let until = Instant::now() + Duration::from_secs(10);
    while outside.command(&["connection", "list"]).lines().count() < 2 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(
        outside.command(&["connection", "list"]).contains("acme"),
        "{}",
        gate.log()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_master_key_opens_no_link_and_starts_no_gate() {
    let outside = Outside::new().await;
    let link = outside.link();
    let key = outside.dir.path().join("gate/data/master.key");
    let right = std::fs::read_to_string(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    scopegate_ok(&["master-key", "new", "--out", path(&key)]);
    let config = outside.config();
    let run = crate::support::scopegate(&["--config", path(&config), "run"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&run.stderr).contains("not the one this store was sealed with"));
    let args = [
        "--config",
        path(&config),
        "connection",
        "install",
        "b",
        "--app",
        "agency",
    ];
    let minted = crate::support::scopegate(&args);
    assert_eq!(
        minted.status.code(),
        Some(2),
        "{}",
        String::from_utf8_lossy(&minted.stderr)
    );
    assert!(minted.stdout.is_empty());
    std::fs::remove_file(&key).unwrap();
    write_secret(&key, &right);
    let gate = Gate::start(&config);
    assert_eq!(
        outside.browser(&gate).get(&link).await.status,
        200,
        "nothing was lost"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_ticket_state_code_cookie_or_verifier_is_logged_or_stored() {
    let outside = Outside::new().await;
    let gate = Gate::start_with(&outside.config(), "trace");
    let link = outside.link();
    let mut browser = outside.browser(&gate);
    let start = browser.open(&link).await;
    let consent = browser.press(&start).await;
    let back = browser.decide(&consent, 2002, "allow").await;
    let callback = back.location().unwrap().to_owned();
    let mut stranger = browser.another();
    stranger.get(&callback).await;
    assert_eq!(browser.get(&callback).await.status, 200);
    browser.get(&callback).await;
    let query = |url: &str, name: &str| {
        let rest = url.split(&format!("{name}=")).nth(1).unwrap();
        rest.split('&').next().unwrap().to_owned()
    };
    let cookie = browser.cookies.values().next().unwrap().clone();
    let ours = [
        query(&link, "ticket"),
        query(&callback, "state"),
        query(&callback, "code"),
        cookie,
    ];
    let log = gate.log();
    assert!(
        log.contains("step=\"connected\"") || log.contains("connected"),
        "{log}"
    );
    for secret in &ours {
        assert!(!log.contains(secret.as_str()), "{secret} in {log}");
    }
    let received = outside.sim.received();
    let exchange = received
        .iter()
        .find(|request| request.path() == "/oauth/2026-03/token")
        .unwrap();
    let sent: Vec<(String, String)> = form_urlencoded::parse(&exchange.body).into_owned().collect();
    let field = |name: &str| sent.iter().find(|(key, _)| key == name).unwrap().1.clone();
    let more = [field("code_verifier"), field("client_secret")];
    assert!(more.iter().all(|secret| !log.contains(secret.as_str())));
    for secret in ours.iter().chain(&more) {
        let found = std::process::Command::new("grep")
            .args(["-r", "-l", "-a", "-F", "-e", secret])
            .arg(outside.dir.path().join("gate/data"))
            .output()
            .unwrap();
        assert!(
            found.stdout.is_empty(),
            "{secret} in {}",
            String::from_utf8_lossy(&found.stdout)
        );
    }
}
