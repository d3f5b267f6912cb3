//! An agency's app in hundreds of accounts: brought in by one file, picked by labels, served by one client
//! secret, each reached by the name or number that a request gives and no other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::Request;
use http_body_util::Full;
use scopegate::secret::Secret;
use scopegate::sim::{Action, AppCredentials, Fault, KnownFault, Matching, Scopes};
use support::{Answer, PORTAL, Setup, World, every_scope, path, samples, write_secret};

/// The number of the agency's first account.
const FIRST: u64 = 5_000;

/// Says whose account it is.
const WHOSE: &str = "/account-info/2026-03/details";

/// An agency: simulator and gate, its app in so many accounts, a key for all of them.
struct Agency {
    world: World,
    app: AppCredentials,
    grants: Vec<(u64, Secret)>,
}

impl Agency {
    /// The app is added, nothing is imported yet.
    async fn of(count: u64) -> Self {
        let policy = "integration: agency\nowner: test@example.com\nconnections: [{app: marketing}]\n\
                      allow:\n  - operation: account-info.details.get\n";
        let world = World::with(Setup {
            policies: vec![("agency", policy.to_owned()), ("reader", support::reader())],
            ..Setup::default()
        })
        .await;
        let app = world.sim.oauth_app("marketing", &[]);
        let grants = world.sim.fleet(&app.client_id, FIRST, count, &scopes());
        let agency = Self { world, app, grants };
        let secret = agency.file("secret", agency.app.client_secret.expose());
        agency.ok(&[
            "app",
            "add",
            "marketing",
            "--client-id",
            &agency.app.client_id,
            "--secret-file",
            path(&secret),
        ]);
        agency
    }

    /// Everything is imported: even numbers are `region=eu`, odd ones `region=us`.
    async fn imported(count: u64) -> Self {
        let agency = Self::of(count).await;
        let report = agency.import(&agency.lines(), &[]);
        assert_eq!(exit(&report), 0, "{}", text(&report.stderr));
        agency
    }

    fn lines(&self) -> String {
        self.grants
            .iter()
            .map(|(portal, token)| line(*portal, token))
            .collect()
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.world.dir.path().join(name);
        write_secret(&file, text);
        file
    }

    fn import(&self, lines: &str, more: &[&str]) -> Output {
        let file = self.file("grants.jsonl", lines);
        let mut args = vec!["connection", "import", "--app", "marketing", path(&file)];
        args.extend(more);
        self.world.command(&args)
    }

    /// What a command printed, which succeeded.
    fn ok(&self, args: &[&str]) -> String {
        let output = self.world.command(args);
        assert_eq!(exit(&output), 0, "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// The connections that a list shows, by name.
    fn listed(&self, selectors: &[&str]) -> BTreeMap<String, serde_json::Value> {
        let mut args = vec!["connection", "list", "--json"];
        args.extend(selectors);
        json_lines(&self.ok(&args))
            .into_iter()
            .map(|row| (row["name"].as_str().unwrap().to_owned(), row))
            .collect()
    }

    fn states(&self) -> BTreeMap<String, usize> {
        let mut states = BTreeMap::new();
        for row in self.listed(&["--app", "marketing"]).values() {
            *states
                .entry(row["state"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
        states
    }

    fn key(&self) -> String {
        let key = self.ok(&["key", "create", "--integration", "agency", "--any-connection"]);
        key.trim().to_owned()
    }

    /// Asks every account whose it is, and counts the answers that came from the right one, and the
    /// others by status and words.
    async fn ask_all(&self, key: &str) -> BTreeMap<String, usize> {
        let asked = stream::iter(&self.grants).map(|(portal, _)| async move {
            let answer = self.ask(&format!("{key}~{portal}")).await;
            if answer.status == 200 && answer.json()["portalId"] == *portal {
                "its own".to_owned()
            } else {
                format!("{} {}", answer.status.as_u16(), answer.sub_category())
            }
        });
        let answers: Vec<String> = asked.buffer_unordered(16).collect().await;
        let mut counts = BTreeMap::new();
        for answer in answers {
            *counts.entry(answer).or_default() += 1;
        }
        counts
    }

    async fn ask(&self, key: &str) -> Answer {
        self.world.get(WHOSE, key).await
    }

    async fn ask_with_header(&self, key: &str, selector: &str) -> Answer {
        let request = Request::get(WHOSE)
            .header("host", self.world.gate.to_string())
            .header("authorization", format!("Bearer {key}"))
            .header("x-scopegate-connection", selector)
            .body(Full::<Bytes>::default())
            .unwrap();
        self.world.request(request).await.unwrap()
    }

    async fn refreshes(&self, result: &str) -> f64 {
        let labels = format!("{{app=\"marketing\",result=\"{result}\"}}");
        let all = samples(&self.world.metrics().await, "scopegate_token_refreshes_total");
        all.get(&labels).copied().unwrap_or(0.0)
    }

    /// Changes the app's secret at HubSpot; the old one works until it is retired.
    fn new_secret(&self, name: &str) -> PathBuf {
        let secret = self.world.sim.rotate_client_secret(&self.app.client_id).unwrap();
        self.file(name, secret.expose())
    }
}

fn scopes() -> Scopes {
    Scopes::new(["crm.objects.contacts.read"])
}

fn line(portal: u64, token: &Secret) -> String {
    let region = if portal.is_multiple_of(2) { "eu" } else { "us" };
    let line = serde_json::json!({
        "portal": portal,
        "refresh_token": token.expose(),
        "labels": { "region": region },
    });
    format!("{line}\n")
}

fn exit(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn json_lines(text: &str) -> Vec<serde_json::Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The word and the name of each line of an import's report.
fn results(output: &Output) -> Vec<(String, String)> {
    json_lines(&text(&output.stdout))
        .into_iter()
        .map(|line| {
            let word = |member: &str| line[member].as_str().unwrap_or_default().to_owned();
            (word("result"), word("name"))
        })
        .collect()
}

fn counted(pairs: &[(&str, usize)]) -> BTreeMap<String, usize> {
    pairs
        .iter()
        .map(|(word, count)| ((*word).to_owned(), *count))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_hundred_accounts_are_imported_twice_reached_each_and_suspended_by_label() {
    let started = Instant::now();
    let agency = Agency::of(300).await;
    let made = started.elapsed();

    let begun = Instant::now();
    let first = agency.import(&agency.lines(), &["--json"]);
    let importing = begun.elapsed();
    assert_eq!(exit(&first), 0, "{}", text(&first.stderr));
    assert!(
        text(&first.stderr).starts_with("300 lines: 300 added\n"),
        "{}",
        text(&first.stderr)
    );
    assert_eq!(
        results(&first)[7],
        ("added".to_owned(), "marketing-5007".to_owned())
    );
    assert!(importing < Duration::from_secs(30), "{importing:?}");

    // The same file again asks nothing and changes nothing.
    let before = (agency.listed(&[]), agency.world.sim.received_count());
    let again = agency.import(&agency.lines(), &[]);
    assert_eq!(exit(&again), 0);
    assert!(
        text(&again.stderr).contains("300 lines: 300 unchanged"),
        "{}",
        text(&again.stderr)
    );
    assert_eq!((agency.listed(&[]), agency.world.sim.received_count()), before);
    for output in [&first, &again] {
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(
            agency
                .grants
                .iter()
                .all(|(_, token)| !said.contains(token.expose()))
        );
    }

    let key = agency.key();
    assert_eq!(agency.ask_all(&key).await, counted(&[("its own", 300)]));
    let named = agency.ask(&format!("{key}~marketing-5123")).await;
    assert_eq!(named.json()["portalId"], 5_123);

    assert_eq!(agency.listed(&["--app", "marketing"]).len(), 300);
    assert_eq!(agency.listed(&["--label", "region=eu"]).len(), 150);
    assert_eq!(
        agency.listed(&["--label", "region=eu", "--portal", "5004"]).len(),
        1
    );
    assert_eq!(agency.listed(&[]).len(), 301, "the one beside them");

    let suspend = [
        "connection",
        "suspend",
        "--label",
        "region=eu",
        "--reason",
        "unpaid",
    ];
    let output = agency.world.command(&suspend);
    assert_eq!((exit(&output), text(&output.stdout).lines().count()), (0, 150));
    assert!(
        text(&output.stderr).contains("150 changed"),
        "{}",
        text(&output.stderr)
    );
    assert!(
        text(&output.stderr).contains("in force in gate `test`"),
        "{}",
        text(&output.stderr)
    );
    let half = counted(&[("401 scopegate.connection", 150), ("its own", 150)]);
    assert_eq!(agency.ask_all(&key).await, half);
    assert_eq!(agency.ask(&format!("{key}~5001")).await.status, 200);
    assert_eq!(agency.ask(&format!("{key}~5000")).await.status, 401);
    assert_eq!(agency.listed(&["--state", "suspended"]).len(), 150);
    // Again: as wished already.
    assert!(text(&agency.world.command(&suspend).stderr).contains("150 as wished already"));
    agency.ok(&[
        "connection",
        "resume",
        "--app",
        "marketing",
        "--state",
        "suspended",
    ]);
    assert_eq!(agency.ask_all(&key).await, counted(&[("its own", 300)]));

    let whole = started.elapsed();
    println!("300 accounts: made in {made:?}, imported in {importing:?}, all of it {whole:?}");
    assert!(whole < Duration::from_secs(60), "{whole:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_rotation_of_the_clients_secret_serves_three_hundred_accounts_and_a_wrong_one_kills_none() {
    let mut agency = Agency::imported(300).await;
    let key = agency.key();
    let all = counted(&[("its own", 300)]);
    assert_eq!(agency.ask_all(&key).await, all);
    let show = |agency: &Agency| {
        let shown = agency.ok(&["app", "show", "marketing", "--json"]);
        serde_json::from_str::<serde_json::Value>(&shown).unwrap()
    };
    assert_eq!(show(&agency)["secrets"][0]["worked_last"], true);

    // HubSpot has a new secret beside the old one. One command, whatever the number of accounts.
    let new = agency.new_secret("secret-2");
    let rotate = ["app", "rotate-secret", "marketing", "--secret-file"];
    let output = agency.world.command(&[&rotate[..], &[path(&new)]].concat());
    assert_eq!(exit(&output), 0, "{}", text(&output.stderr));
    let shown = show(&agency);
    assert_eq!(
        (&shown["rotating"], &shown["connections"]),
        (&true.into(), &300.into())
    );
    assert_eq!(shown["secrets"][1]["worked_last"], true, "{shown}");
    agency.world.sim.retire_client_secrets(&agency.app.client_id);
    agency.world.sim.expire_access_tokens();
    assert_eq!(agency.ask_all(&key).await, all);
    assert_eq!(show(&agency)["secrets"][0]["worked_last"], true);
    assert_eq!(agency.refreshes("wrong_client").await, 0.0);
    agency.ok(&["app", "rotate-secret", "marketing", "--finish"]);
    assert_eq!(show(&agency)["secrets"].as_array().unwrap().len(), 1);

    // HubSpot's secret changes, and nobody tells the gate: a fault of configuration, and no grant's end.
    let right = agency.new_secret("secret-3");
    agency.world.sim.retire_client_secrets(&agency.app.client_id);
    agency.world.stop().await;
    agency.world.start().await;
    agency.world.sim.expire_access_tokens();
    assert_eq!(
        agency.ask_all(&key).await,
        counted(&[("503 scopegate.credential", 300)])
    );
    assert!(agency.refreshes("wrong_client").await >= 300.0);
    assert_eq!(agency.states(), counted(&[("ok", 300)]));

    // What HubSpot does not take is not stored; the right one helps all of them at once.
    let wrong = agency.file("wrong", "no-secret-of-this-app");
    let refused = agency.world.command(&[&rotate[..], &[path(&wrong)]].concat());
    assert_eq!(exit(&refused), 1, "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("does not take this secret"));
    agency.ok(&[&rotate[..], &[path(&right), "--now"]].concat());
    assert_eq!(agency.ask_all(&key).await, all);
    assert_eq!(agency.states(), counted(&[("ok", 300)]));
    assert_eq!(agency.refreshes("dead_grant").await, 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_without_a_binding_reaches_the_account_it_names_and_no_other() {
    let agency = Agency::imported(4).await;
    let key = agency.key();
    let suspended = ["connection", "suspend", "--label", "region=us"];
    agency.ok(&suspended);
    let whose = async |key: String| {
        let answer = agency.ask(&key).await;
        (answer.status.as_u16(), answer.json()["portalId"].as_u64())
    };
    assert_eq!(whose(format!("{key}~5000")).await, (200, Some(5_000)));
    assert_eq!(whose(format!("{key}~marketing-5002")).await, (200, Some(5_002)));
    let by_header = agency.ask_with_header(&key, "5002").await;
    assert_eq!(by_header.json()["portalId"], 5_002);

    // Outside the policy and unknown: one and the same answer.
    let foreign = format!("{key}~{PORTAL}");
    let unknown = [
        foreign.clone(),
        format!("{key}~acme"),
        format!("{key}~9999"),
        format!("{key}~nobody"),
    ];
    let mut answers = Vec::new();
    for selector in &unknown {
        let answer = agency.ask(selector).await;
        assert_eq!(
            (answer.status.as_u16(), answer.sub_category().as_str()),
            (401, "scopegate.connection")
        );
        answers.push((answer.json()["message"].clone(), answer.json()["context"].clone()));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    let stopped = agency.ask(&format!("{key}~5001")).await;
    assert_eq!(stopped.sub_category(), "scopegate.connection");
    assert_ne!(
        stopped.json()["message"],
        answers[0].0,
        "it is known, and stopped"
    );

    // None named, or two: never a default.
    assert_eq!(agency.ask(&key).await.status, 400);
    assert_eq!(
        agency
            .ask_with_header(&format!("{key}~5000"), "5002")
            .await
            .status,
        400
    );
    let asked = agency.world.sim.received();
    let asked = asked.iter().filter(|asked| asked.target == WHOSE).count();
    assert_eq!(asked, 3, "nothing else reached HubSpot");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_line_of_a_file_has_its_own_answer_and_the_good_ones_are_stored() {
    let agency = Agency::of(6).await;
    let token = |index: usize| &agency.grants[index].1;
    agency.world.sim.uninstall(agency.app.app_id, FIRST + 2);
    let named = |portal: u64, token: &Secret, name: &str| {
        let line = serde_json::json!({ "portal": portal, "refresh_token": token.expose(), "name": name });
        format!("{line}\n")
    };
    let lines = [
        line(FIRST, token(0)),
        line(FIRST + 1, token(3)),
        line(FIRST + 2, token(2)),
        "{\"portal\": 7}\n".to_owned(),
        line(FIRST, token(4)),
        "\n".to_owned(),
        named(FIRST + 4, token(4), "acme"),
        named(FIRST + 5, token(5), "five"),
    ]
    .concat();
    let output = agency.import(
        &lines,
        &["--json", "--label", "tier=gold", "--label", "region=none"],
    );
    assert_eq!(exit(&output), 1);
    let words: Vec<String> = results(&output).into_iter().map(|(word, _)| word).collect();
    assert_eq!(
        words,
        [
            "added",
            "wrong_portal",
            "dead",
            "mistake",
            "mistake",
            "mistake",
            "added"
        ]
    );
    assert!(text(&output.stderr).contains("7 lines: 2 added, 1 dead, 3 mistake, 1 wrong_portal"));
    let rows = agency.listed(&["--label", "tier=gold"]);
    assert_eq!(rows.keys().collect::<Vec<_>>(), ["five", "marketing-5000"]);
    assert_eq!(
        rows["marketing-5000"]["labels"]["region"], "eu",
        "the line's own label wins"
    );
    assert_eq!(rows["five"]["labels"]["region"], "none");

    // Another grant is put in its place only if that is said; the connection stays the same one.
    let id = |name: &str| agency.listed(&[])[name]["id"].clone();
    let before = id("five");
    let install = scopegate::sim::Install::new(&agency.app.client_id, FIRST + 5, scopes());
    let other = agency.world.sim.install(install).unwrap();
    let output = agency.import(&line(FIRST + 5, &other), &[]);
    assert_eq!(exit(&output), 1);
    assert!(
        text(&output.stdout)
            .contains("mistake: the portal is connected already, as `five`, by another grant")
    );
    let output = agency.import(&line(FIRST + 5, &other), &["--replace", "--json"]);
    assert_eq!(
        results(&output),
        [("replaced".to_owned(), "marketing-5005".to_owned())]
    );
    let output = agency.import(&line(FIRST + 5, &other), &["--replace", "--json"]);
    assert_eq!(results(&output)[0].0, "unchanged");
    assert_eq!(id("five"), before);
    let output = agency.import(&named(FIRST + 5, &other, "six"), &[]);
    assert!(text(&output.stdout).contains("mistake: the portal is connected already, as `five`"));

    // HubSpot can't tell: stored, and verified later; not put in the place of what works.
    let fault = Fault::always(Matching::path("/oauth/"), Action::Known(KnownFault::Unavailable));
    let fault = agency.world.sim.fault(fault);
    let output = agency.import(&line(FIRST + 3, token(3)), &["--json"]);
    assert_eq!((exit(&output), results(&output)[0].0.as_str()), (0, "unverified"));
    let output = agency.import(&line(FIRST + 5, token(5)), &["--json", "--replace"]);
    assert_eq!((exit(&output), results(&output)[0].0.as_str()), (1, "failed"));
    agency.world.sim.remove_fault(fault);

    // The file holds tokens.
    let file = agency.file("open.jsonl", &line(FIRST + 1, token(1)));
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let import = ["connection", "import", "--app", "marketing"];
    let output = agency.world.command(&[&import[..], &[path(&file)]].concat());
    assert_eq!(exit(&output), 2);
    assert!(text(&output.stderr).contains("chmod"), "{}", text(&output.stderr));
    let output = agency
        .world
        .command(&["connection", "import", "--app", "sales", path(&file)]);
    assert_eq!(exit(&output), 1);
    assert!(text(&output.stderr).contains("no app `sales`"));

    // Standard input.
    let mut child = Command::new(env!("CARGO_BIN_EXE_scopegate"))
        .arg("--config")
        .arg(agency.world.config())
        .args(import)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, line(FIRST + 1, token(1)).as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(&output.stdout), "line 1: marketing-5001 portal 5001 added\n");

    // One by itself may have labels, too.
    let single = agency.file("single", token(4).expose());
    let add = [
        "connection",
        "add",
        "alone",
        "--portal",
        "5004",
        "--app",
        "marketing",
        "--label",
        "a=b",
    ];
    agency.ok(&[&add[..], &["--refresh-token-file", path(&single)]].concat());
    assert_eq!(agency.listed(&["--label", "a=b"]).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_hubspot_does_not_know_ends_an_import_before_anything_is_stored() {
    let agency = Agency::of(3).await;
    agency.world.sim.rotate_client_secret(&agency.app.client_id);
    agency.world.sim.retire_client_secrets(&agency.app.client_id);
    let output = agency.import(&agency.lines(), &[]);
    assert_eq!(exit(&output), 1);
    let said = text(&output.stderr);
    assert!(
        said.contains("stopped at line 1: HubSpot does not know app `marketing`"),
        "{said}"
    );
    assert_eq!(
        agency
            .world
            .command(&["connection", "list", "--app", "marketing"])
            .status
            .code(),
        Some(1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn selectors_pick_and_never_more_than_was_meant() {
    let agency = Agency::imported(6).await;
    let code = |args: &[&str]| {
        let output = agency.world.command(args);
        (exit(&output), text(&output.stdout), text(&output.stderr))
    };
    for (args, expected) in [
        (&["connection", "suspend"][..], 2),
        (
            &["connection", "suspend", "marketing-5000", "--app", "marketing"],
            2,
        ),
        (&["connection", "suspend", "--label", "region"], 2),
        (&["connection", "suspend", "--state", "fine"], 2),
        (&["connection", "suspend", "--label", "region=mars"], 1),
        (&["connection", "list", "--app", "sales"], 1),
        (&["connection", "suspend", "marketing-5000", "nobody"], 1),
        (&["connection", "remove", "--app", "marketing"], 2),
        (&["connection", "label", "marketing-5000"], 2),
        (&["connection", "label", "--app", "marketing", "--set", "A=b"], 2),
        (&["connection", "mark-rotation", "--app", "marketing"], 2),
        (&["app", "remove", "marketing"], 1),
    ] {
        let (exit, out, err) = code(args);
        assert_eq!((exit, out.as_str()), (expected, ""), "{args:?}: {err}");
    }
    assert_eq!(agency.states(), counted(&[("ok", 6)]));
    let (_, _, err) = code(&["app", "remove", "marketing"]);
    assert!(err.contains("used by 6 connections"), "{err}");

    agency.ok(&[
        "connection",
        "label",
        "--label",
        "region=eu",
        "--set",
        "tier=gold",
        "--unset",
        "region",
    ]);
    assert_eq!(agency.listed(&["--label", "tier=gold"]).len(), 3);
    let two = agency.ok(&[
        "connection",
        "suspend",
        "marketing-5001",
        "marketing-5003",
        "--json",
    ]);
    let rows = json_lines(&two);
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (&rows[1]["name"], &rows[1]["state"]),
        (&"marketing-5003".into(), &"suspended".into())
    );
    let shown = agency.ok(&["connection", "show", "--label", "tier=gold", "--json"]);
    assert_eq!(json_lines(&shown).len(), 3);

    let removed = agency.ok(&["connection", "remove", "--state", "suspended", "--yes"]);
    assert_eq!(removed.lines().count(), 2, "{removed}");
    agency.ok(&["connection", "remove", "--app", "marketing", "--yes"]);
    assert_eq!(agency.listed(&[]).len(), 1, "the one beside them stays");
    agency.ok(&["app", "remove", "marketing"]);
    assert_eq!(agency.ok(&["app", "list"]).lines().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_rotated_in_place_and_its_keys_stay_bound() {
    let world = World::plain().await;
    let key = world.key("reader");
    let contacts = "/crm/v3/objects/contacts?limit=1";
    assert_eq!(world.get(contacts, &key).await.status, 200);
    let file = |name: &str, text: &str| {
        let file = world.dir.path().join(name);
        write_secret(&file, text);
        file
    };
    let rotate =
        |file: &PathBuf| world.command(&["connection", "rotate", "acme", "--token-file", path(file)]);
    let row = || {
        let list = world.command(&["connection", "list", "--json"]);
        json_lines(&text(&list.stdout)).remove(0)
    };
    let before = row();

    // The old one again, another account's, none at all: nothing changes.
    let same = rotate(&file("same", &world.upstream_token));
    assert!(
        text(&same.stderr).contains("has already"),
        "{}",
        text(&same.stderr)
    );
    world.sim.add_portal(scopegate::sim::PortalOptions::new(77));
    let foreign = rotate(&file(
        "foreign",
        world.sim.private_app(77, every_scope()).expose(),
    ));
    assert!(
        text(&foreign.stderr).contains("belongs to portal 77"),
        "{}",
        text(&foreign.stderr)
    );
    let dead = rotate(&file("dead", "pat-na1-nobodys"));
    let grant = world.command(&[
        "connection",
        "rotate",
        "acme",
        "--refresh-token-file",
        path(&file("g", "x")),
    ]);
    assert_eq!(
        [exit(&same), exit(&foreign), exit(&dead), exit(&grant)],
        [1, 1, 1, 2]
    );
    assert_eq!(row(), before);

    // Marked after an incident: seen by whoever looks, and by the metrics.
    let due = async |world: &World| {
        let all = samples(&world.metrics().await, "scopegate_connections_rotation_due");
        all["{app=\"-\"}"]
    };
    assert_eq!(due(&world).await, 0.0);
    let mark = ["connection", "mark-rotation", "acme", "--reason", "laptop stolen"];
    assert_eq!(exit(&world.command(&mark)), 0);
    assert_eq!(due(&world).await, 1.0);
    let marked = row();
    assert_eq!(marked["rotation_due"]["due"], true);
    assert_eq!(marked["rotation_due"]["reason"], "laptop stolen");
    let verbose = support::monitor(world.monitor, "/readyz?verbose").await;
    assert!(verbose.contains("rotation: 1 credentials are due"), "{verbose}");
    let listed = world.command(&["connection", "list", "--rotation-due", "--json"]);
    assert_eq!(json_lines(&text(&listed.stdout)).len(), 1);

    // The old one ends at HubSpot; the gate's connection is rejected, and comes back by the new one.
    world.sim.revoke_token(&world.upstream_token);
    assert_eq!(world.get(contacts, &key).await.status, 503);
    let new = world.sim.private_app(PORTAL, every_scope());
    let output = rotate(&file("new", new.expose()));
    assert_eq!(exit(&output), 0, "{}", text(&output.stderr));
    assert_eq!(
        text(&output.stdout),
        format!("acme portal {PORTAL} private-app ok\n")
    );
    assert!(
        text(&output.stderr).contains("in force in gate `test`"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(world.get(contacts, &key).await.status, 200);
    let sent = world.sim.received().pop().unwrap();
    assert_eq!(
        sent.header("authorization").unwrap(),
        format!("Bearer {}", new.expose())
    );
    assert_eq!(due(&world).await, 0.0);
    let after = row();
    assert_eq!(
        (&after["id"], &after["rotation_due"]["due"]),
        (&before["id"], &false.into())
    );
    assert!(after["credential_since"].as_str() > before["credential_since"].as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_grant_comes_back_by_a_new_one() {
    let agency = Agency::imported(1).await;
    let key = agency.key();
    assert_eq!(agency.ask_all(&key).await, counted(&[("its own", 1)]));
    agency.world.sim.uninstall(agency.app.app_id, FIRST);
    agency.world.sim.expire_access_tokens();
    assert_eq!(
        agency.ask_all(&key).await,
        counted(&[("401 scopegate.connection", 1)])
    );
    assert_eq!(agency.states(), counted(&[("dead", 1)]));
    let install = scopegate::sim::Install::new(&agency.app.client_id, FIRST, scopes());
    let grant = agency.world.sim.install(install).unwrap();
    let file = agency.file("grant", grant.expose());
    let rotate = [
        "connection",
        "rotate",
        "marketing-5000",
        "--refresh-token-file",
        path(&file),
    ];
    assert_eq!(agency.ok(&rotate), "marketing-5000 portal 5000 oauth ok\n");
    assert_eq!(agency.ask_all(&key).await, counted(&[("its own", 1)]));
}
