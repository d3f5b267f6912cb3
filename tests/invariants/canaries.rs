//! A session with every kind of traffic, then a search for its secrets in everything the gate leaves behind.

use std::path::{Path, PathBuf};

use scopegate::sim::{Action, EchoPlace, Fault, KnownFault, Matching};

use crate::child::Gate;
use crate::support::{Setup, World, path};
use crate::wire::{Wire, get, post, request};

const GOOD: &str = "/crm/v3/objects/contacts/1001";

/// What must not be found anywhere: name and text.
struct Canaries(Vec<(String, String)>);

impl Canaries {
    fn assert_absent(&self, bytes: &[u8], place: &str) {
        for (name, text) in &self.0 {
            let found = memchr::memmem::find(bytes, text.as_bytes()).is_some();
            assert!(!found, "{name} (`{text}`) stands in {place}");
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().flatten();
    entries
        .flat_map(|entry| {
            if entry.path().is_dir() {
                files(&entry.path())
            } else {
                vec![entry.path()]
            }
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_nothing_a_client_wrote_stands_in_log_metrics_audit_store_or_errors() {
    let mut world = World::with(Setup {
        tls: true,
        ..Setup::default()
    })
    .await;
    let (writer, reader, revoked) = (world.key("writer"), world.key("reader"), world.key("reader"));
    world.stop().await;
    let mut gate = Gate::start_with(
        &world.config(),
        "trace,scopegate=trace,hyper=trace,h2=trace,rusqlite=trace",
    );
    let revoked_id = revoked.split('_').nth(2).unwrap();
    assert!(
        world
            .command(&["key", "revoke", revoked_id, "--reason", "test"])
            .status
            .success()
    );
    let secret = |key: &str| key.split('_').nth(3).unwrap().to_owned();
    let mut canaries = vec![("the upstream token".to_owned(), world.upstream_token.clone())];
    for (name, key) in [("writer", &writer), ("reader", &reader), ("revoked", &revoked)] {
        canaries.push((format!("the key of {name}"), secret(key)));
    }
    for word in [
        "path-canary",
        "query-canary",
        "body-canary",
        "header-canary",
        "cookie-canary",
        "answer-canary",
        "wrong-canary",
    ] {
        canaries.push((word.to_owned(), word.to_owned()));
    }
    let canaries = Canaries(canaries);

    let echo = |place| Action::EchoAuthorization(place);
    let created = r#"{"properties":{"email":"body-canary@example.com"}}"#;
    let marked = [
        "Cookie: cookie-canary",
        "X-Api-Key: header-canary",
        "User-Agent: header-canary",
    ];
    let calls: Vec<(Option<Action>, String)> = vec![
        (
            None,
            request(
                "GET",
                "/crm/v3/objects/contacts/path-canary%40example.com?idProperty=email&x=query-canary",
                &reader,
                &marked,
                "",
            ),
        ),
        (
            None,
            get(
                "/contacts/v1/contact/email/path-canary@example.com/profile",
                &reader,
            ),
        ),
        (
            None,
            get(
                "/crm/v3/objects/deals/path-canary?query-canary=query-canary",
                &reader,
            ),
        ),
        (None, get("/path-canary/query-canary", &reader)),
        (None, get("/crm/v3/objects/contacts/path-canary%zz", &reader)),
        (
            None,
            get("/crm/v3/objects/contacts?hapikey=query-canary", &reader),
        ),
        (None, get(GOOD, &revoked)),
        (None, get(GOOD, &world.upstream_token)),
        (None, get(GOOD, "sg_l_wrong-canary")),
        (None, get(&format!("/oauth/v1/access-tokens/{reader}"), &reader)),
        (
            None,
            get(
                &format!("/oauth/v1/access-tokens/{}", world.upstream_token),
                &reader,
            ),
        ),
        (
            None,
            post(
                "/oauth/v2/private-apps/get/access-token-info",
                &reader,
                &format!(r#"{{"tokenKey":"{reader}"}}"#),
            ),
        ),
        (
            None,
            post(
                "/oauth/v1/token",
                &reader,
                &format!("grant_type=refresh_token&refresh_token={writer}"),
            ),
        ),
        (None, post("/crm/v3/objects/contacts", &writer, created)),
        (
            None,
            post(
                "/crm/v3/objects/contacts",
                &writer,
                r#"{"body-canary":1,"body-canary":2}"#,
            ),
        ),
        (None, post("/crm/v3/objects/contacts", &reader, created)),
        (
            None,
            post(
                "/crm/v3/objects/contacts/search",
                &reader,
                r#"{"query":"body-canary"}"#,
            ),
        ),
        (
            None,
            format!(
                "GET {GOOD} HTTP/1.1\r\nHost: gate\r\nHost: header-canary\r\nAuthorization: Bearer {reader}\r\n\r\n"
            ),
        ),
        (None, "path-canary\r\n\r\n".to_owned()),
        (Some(echo(EchoPlace::Body)), get(GOOD, &reader)),
        (
            Some(echo(EchoPlace::Header("x-answer-canary".into()))),
            get(GOOD, &reader),
        ),
        (
            Some(Action::Raw(
                "HTTP/1.1 200 answer-canary\r\nanswer canary\r\n\r\n".into(),
            )),
            get(GOOD, &reader),
        ),
        (Some(Action::Raw("answer-canary".into())), get(GOOD, &reader)),
        (
            Some(Action::Known(KnownFault::MissingScopeText)),
            get(GOOD, &reader),
        ),
        (Some(Action::Known(KnownFault::InvalidToken)), get(GOOD, &reader)),
        (
            Some(Action::LoseAnswer),
            post("/crm/v3/objects/contacts", &writer, created),
        ),
    ];
    let calls_made = calls.len();
    for (fault, bytes) in calls {
        if let Some(action) = fault {
            world.sim.fault(Fault::once(Matching::any(), action));
        }
        let mut wire = Wire::open(gate.gate).await;
        wire.write(&bytes).await;
        let Some(reply) = wire.reply().await else { continue };
        if reply.header("x-scopegate-source") == Some("gate") && !bytes.contains("/oauth/") {
            canaries.assert_absent(format!("{reply:?}").as_bytes(), "an answer of the gate's own");
        }
        let token = memchr::memmem::find(format!("{reply:?}").as_bytes(), world.upstream_token.as_bytes());
        assert!(
            token.is_none() || bytes.contains(&world.upstream_token),
            "the token in an answer to {bytes}"
        );
    }
    let metrics = Wire::open(gate.admin)
        .await
        .ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    assert!(metrics.text().contains("scopegate_requests_total"), "{metrics:?}");
    canaries.assert_absent(&metrics.body, "the metrics");
    let environment = std::fs::read(format!("/proc/{}/environ", gate.pid())).unwrap();
    let arguments = std::fs::read(format!("/proc/{}/cmdline", gate.pid())).unwrap();
    canaries.assert_absent(
        &[environment, arguments].concat(),
        "the environment or the arguments",
    );

    gate.signal(rustix::process::Signal::TERM);
    assert_eq!(gate.wait().code(), Some(0), "{}", gate.log());
    let log = gate.log();
    assert!(
        log.lines().count() >= calls_made,
        "a log at trace says something of each call: {log}"
    );
    canaries.assert_absent(log.as_bytes(), "the log");
    let audit = world.audit_text();
    assert!(audit.lines().count() > 20, "{audit}");
    canaries.assert_absent(audit.as_bytes(), "the audit log");
    assert!(
        !audit.contains("@example.com") && !log.contains("@example.com"),
        "an e-mail address was kept"
    );
    for file in files(&world.home().join("data")) {
        canaries.assert_absent(&std::fs::read(&file).unwrap(), path(&file));
    }
    let tls_keys = world.home().join("tls-keys");
    assert!(!tls_keys.exists(), "`SSLKEYLOGFILE` is never honoured");
    let binary = std::fs::read(env!("CARGO_BIN_EXE_scopegate")).unwrap();
    canaries.assert_absent(&binary, "the program itself");
}
