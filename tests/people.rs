//! People who leave: what a watcher sees, what each policy makes of it, and what operators are told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use jiff::Timestamp;
use scopegate::access::catalogue::Catalogue;
use scopegate::access::policy_set::PolicySet;
use scopegate::people::findings;
use scopegate::sim::{Action, Canned, Fault, Install, Matching, PortalOptions, Scopes, UserState};
use scopegate::store::Store;
use serde_json::Value;
use support::{PORTAL, Setup, World, path, policy, samples, write_secret};

/// Who made the private app behind `acme`: the portal's first user.
const INSTALLER: u64 = 9001;

const CONTACT: &str = "/crm/v3/objects/contacts/1001";
const CONTACTS: &str = "/crm/v3/objects/contacts?limit=1";
const CHANGE: &str = r#"{"properties":{"firstname":"Ann"}}"#;

const RULES: &str = "allow:\n  - scope: [crm.objects.contacts.read, crm.objects.contacts.write]\n";

const WATCHER_SCOPES: &[&str] = &[
    "settings.users.read",
    "crm.objects.owners.read",
    "account-info.security.read",
];

/// Three integrations, one of each rule, and a watcher that polls every second.
async fn world() -> World {
    let world = unwatched().await;
    add_watcher(&world, WATCHER_SCOPES);
    world
}

/// The same before the watcher's connection is there.
async fn unwatched() -> World {
    let rule = |name, rule: &str| (name, policy(name, &format!("{RULES}{rule}")));
    World::with(Setup {
        policies: vec![
            rule("blocked", ""),
            rule(
                "reading",
                "installer_removed: read-only\ninstaller_lost_rights: block\n",
            ),
            rule("alerted", "installer_removed: alert\ninstaller_lost_rights: alert\n"),
            (
                "story",
                format!("integration: story\nowner: o@example.com\nconnections: [oauthed]\n{RULES}installer_removed: alert\n"),
            ),
            (
                "strict",
                format!("integration: strict\nowner: o@example.com\nconnections: [oauthed]\n{RULES}"),
            ),
        ],
        config: "people: { watchers: [hubspot-watcher], every: 1s }\n".to_owned(),
        ..Setup::default()
    })
    .await
}

/// Installs an app by user `9002` and adds its grant as connection `oauthed`; the client id.
fn add_oauth(world: &World) -> String {
    let app = world.sim.oauth_app("marketing", &[]);
    let mut install = Install::new(&app.client_id, PORTAL, support::every_scope());
    install.user_id = Some(9002);
    let grant = world.sim.install(install).unwrap();
    let (secret, refresh) = (world.dir.path().join("secret"), world.dir.path().join("refresh"));
    write_secret(&secret, app.client_secret.expose());
    write_secret(&refresh, grant.expose());
    ok(
        world,
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
    let portal = PORTAL.to_string();
    let adding = [
        "connection",
        "add",
        "oauthed",
        "--portal",
        &portal,
        "--app",
        "marketing",
        "--refresh-token-file",
        path(&refresh),
    ];
    ok(world, &adding);
    app.client_id
}

/// Runs a command that must succeed; stdout.
fn ok(world: &World, args: &[&str]) -> String {
    let output = world.command(args);
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn key_of(world: &World, integration: &str, connection: &str) -> String {
    let args = [
        "key",
        "create",
        "--integration",
        integration,
        "--connection",
        connection,
    ];
    ok(world, &args).trim().to_owned()
}

/// Everybody, as `people list` tells machines.
fn people(world: &World) -> Vec<Value> {
    let output = world.command(&["people", "list", "--json"]);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A finding that the gate has noted, by kind and connection.
fn finding(world: &World, kind: &str, connection: &str) -> Option<Value> {
    people(world)
        .iter()
        .flat_map(|person| person["findings"].as_array().unwrap().clone())
        .find(|found| found["kind"] == kind && found["connection"] == connection && !found["id"].is_null())
}

fn email(world: &World, user: u64) -> String {
    world.sim.user_email(PORTAL, user).unwrap()
}

fn add_watcher(world: &World, scopes: &[&str]) {
    let token = world
        .sim
        .private_app(PORTAL, Scopes::new(scopes.iter().map(ToString::to_string)));
    let file = world.dir.path().join("watcher-token");
    write_secret(&file, token.expose());
    let output = world.command(&[
        "connection",
        "add",
        "hubspot-watcher",
        "--portal",
        &PORTAL.to_string(),
        "--token-file",
        path(&file),
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Status of a read and of a write.
async fn served(world: &World, key: &str) -> (u16, u16) {
    (
        world.get(CONTACTS, key).await.status.as_u16(),
        world
            .send("PATCH", CONTACT, key, Some(CHANGE))
            .await
            .status
            .as_u16(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_installer_stops_what_each_policy_says_within_two_polls() {
    let world = world().await;
    let keys = ["blocked", "reading", "alerted"].map(|name| world.key(name));
    for key in &keys {
        assert_eq!(served(&world, key).await, (200, 200));
    }
    world.sim.set_user_state(PORTAL, INSTALLER, UserState::Removed);
    world
        .until("blocked", async |world| {
            served(world, &keys[0]).await == (401, 401)
        })
        .await;
    let answer = world.get(CONTACTS, &keys[0]).await;
    assert_eq!(answer.sub_category(), "scopegate.connection");
    assert_eq!(answer.json()["context"]["state"][0], "installer_removed");
    assert_eq!(served(&world, &keys[1]).await, (200, 403));
    let answer = world.send("PATCH", CONTACT, &keys[1], Some(CHANGE)).await;
    assert_eq!(answer.sub_category(), "scopegate.denied");
    assert_eq!(answer.json()["errors"][0]["code"], "connection_installer_removed");
    assert_eq!(answer.json()["errors"][0]["context"]["lacks"][0], "installer");
    assert_eq!(answer.headers["x-should-retry"], "false");
    assert!(answer.decision().contains("rule=reading#installer_removed"));
    assert_eq!(served(&world, &keys[2]).await, (200, 200));
    let metrics = world.metrics().await;
    assert!(
        metrics.contains(r#"scopegate_installer_alerts_total{installer="gone",integration="alerted"} 2"#),
        "{metrics}"
    );
    assert!(metrics.contains(r#"scopegate_findings{kind="installer_removed"}"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivated_installer_who_comes_back_is_let_through_again_and_the_finding_is_over() {
    let world = world().await;
    let key = world.key("blocked");
    world
        .sim
        .set_user_state(PORTAL, INSTALLER, UserState::Deactivated);
    world
        .until("blocked", async |world| served(world, &key).await == (401, 401))
        .await;
    world
        .until("noted", async |world| {
            finding(world, "installer_deactivated", "acme").is_some()
        })
        .await;
    let found = finding(&world, "installer_deactivated", "acme").unwrap();
    let at = |name: &str| found[name].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert!(at("began") >= at("since"));
    let listed = ok(&world, &["connection", "list"]);
    assert!(listed.contains("installer_removed"), "{listed}");
    world.sim.set_user_state(PORTAL, INSTALLER, UserState::Active);
    world
        .until("through again", async |world| {
            served(world, &key).await == (200, 200)
        })
        .await;
    world
        .until("over", async |world| {
            finding(world, "installer_deactivated", "acme").is_none()
        })
        .await;
    world
        .until("counted", async |world| {
            let counts = samples(&world.metrics().await, "scopegate_findings");
            counts[r#"{kind="installer_deactivated"}"#] == 0.0
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installer_who_loses_the_super_admin_is_each_policys_to_judge_too() {
    let world = world().await;
    let keys = ["blocked", "reading", "alerted"].map(|name| world.key(name));
    // The rights at first sight are what is compared with.
    world
        .until("first sight", async |world| {
            people(world)
                .iter()
                .any(|person| person["accounts"][0]["super_admin"] == true)
        })
        .await;
    assert!(world.sim.set_user_rights(PORTAL, INSTALLER, false, Some(8001)));
    world
        .until("stopped", async |world| {
            served(world, &keys[1]).await == (401, 401)
        })
        .await;
    let answer = world.get(CONTACTS, &keys[1]).await;
    assert_eq!(answer.json()["context"]["state"][0], "installer_lost_rights");
    assert_eq!(
        served(&world, &keys[0]).await,
        (200, 403),
        "the default is read-only"
    );
    assert_eq!(served(&world, &keys[2]).await, (200, 200));
    world
        .until("noted", async |world| {
            finding(world, "installer_lost_rights", "acme").is_some()
        })
        .await;
    assert!(world.sim.set_user_rights(PORTAL, INSTALLER, true, None));
    world
        .until("given back", async |world| {
            served(world, &keys[1]).await == (200, 200)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_is_refused_knows_nothing_blocks_nothing_and_is_a_finding_after_a_day() {
    let world = unwatched().await;
    add_watcher(&world, &["oauth"]);
    let key = world.key("blocked");
    world.sim.set_user_state(PORTAL, INSTALLER, UserState::Removed);
    let accounts = |world: &World| people(world)[0]["accounts"].clone();
    world
        .until("polled", async |world| {
            accounts(world)[0]["unknown_why"].is_string()
        })
        .await;
    let asked = world.sim.received_count();
    world
        .until("polled again", async |world| {
            world.sim.received_count() > asked + 8
        })
        .await;
    let account = accounts(&world)[0].clone();
    assert_eq!(account["state"], "here");
    assert!(
        account["unknown_why"].as_str().unwrap().contains("403"),
        "{account}"
    );
    assert!(account["seen"].is_null());
    assert_eq!(served(&world, &key).await, (200, 200));
    assert_eq!(finding(&world, "watch_unknown_24h", "acme"), None);

    // A day later, by the same rules on the same store.
    let store = Store::open_existing(&world.home().join("data/scopegate.db")).unwrap();
    let catalogue = Catalogue::embedded().unwrap();
    let found = |ahead: u64| {
        let now = Timestamp::now() + Duration::from_secs(ahead);
        let (connections, people) = (store.connections().unwrap(), store.people().unwrap());
        let policies = PolicySet::build(&[], &catalogue, None, now, Duration::ZERO).0;
        let settings = scopegate::config::PeopleSettings::default();
        let world = findings::World {
            connections: &connections,
            people: &people,
            policies: &policies,
            settings: &settings,
            uses: &[],
        };
        world
            .findings(now)
            .iter()
            .filter(|found| found.kind.as_str() == "watch_unknown_24h")
            .count()
    };
    assert_eq!(
        (found(23 * 3600), found(24 * 3600)),
        (0, 2),
        "of `acme` and of the watcher itself"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_go_on_while_writes_fail_end_with_a_dated_finding() {
    let world = world().await;
    add_oauth(&world);
    let key = key_of(&world, "story", "oauthed");
    assert_eq!(served(&world, &key).await, (200, 200));
    world.sim.set_user_state(PORTAL, 9002, UserState::Removed);
    // HubSpot says nothing of it: reads work, writes are forbidden.
    assert_eq!(served(&world, &key).await, (200, 403));
    world
        .until("noted", async |world| {
            finding(world, "installer_removed", "oauthed").is_some()
        })
        .await;
    let who = email(&world, 9002);
    let person = people(&world)
        .into_iter()
        .find(|person| person["person"] == who.as_str())
        .unwrap();
    assert_eq!(person["state"], "removed");
    assert!(person["since"].is_string());
    let names: Vec<_> = person["connections"][0]["integrations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["integration"].clone())
        .collect();
    assert_eq!(names, ["story", "strict"]);
    let found = finding(&world, "installer_removed", "oauthed").unwrap();
    assert_eq!(found["then"]["integrations"][0]["integration"], "story");
    let output = world.command(&["people", "show", &who]);
    assert_eq!(output.status.code(), Some(1), "a finding is open");
}

#[tokio::test(flavor = "multi_thread")]
async fn reauthorisation_by_another_person_lifts_it() {
    let world = world().await;
    let client = add_oauth(&world);
    let (alerted, strict) = (
        key_of(&world, "story", "oauthed"),
        key_of(&world, "strict", "oauthed"),
    );
    world.sim.set_user_state(PORTAL, 9002, UserState::Removed);
    world
        .until("stopped", async |world| {
            served(world, &strict).await == (401, 401)
        })
        .await;
    world
        .until("noted", async |world| {
            finding(world, "installer_removed", "oauthed").is_some()
        })
        .await;
    assert!(world.sim.reauthorise(&client, PORTAL, 9003));
    world.sim.expire_access_tokens();
    // The next token says whose it is.
    world
        .until("refreshed", async |world| {
            world.get(CONTACTS, &alerted).await.status == 200
        })
        .await;
    world
        .until("lifted", async |world| served(world, &strict).await == (200, 200))
        .await;
    world
        .until("over", async |world| {
            finding(world, "installer_removed", "oauthed").is_none()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_offboards_before_hubspot_knows_and_takes_it_back() {
    let world = unwatched().await;
    add_oauth(&world);
    let keys = [key_of(&world, "strict", "oauthed"), world.key("blocked")];
    let who = email(&world, 9002);
    let plan = ok(&world, &["people", "offboard", &who, "--dry-run"]);
    assert!(plan.contains("block: every call is answered 401"), "{plan}");
    assert_eq!(served(&world, &keys[0]).await, (200, 200));
    let output = world.command(&["people", "offboard", &who, "--reason", "leaves on Friday"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("in force in gate `test` after 0."), "{said}");
    // In force when the command returns.
    assert_eq!(served(&world, &keys[0]).await, (401, 401));
    assert_eq!(served(&world, &keys[1]).await, (200, 200), "somebody else's");
    world
        .until("noted", async |world| {
            finding(world, "installer_offboarded", "oauthed").is_some()
        })
        .await;
    ok(&world, &["people", "reinstate", &who, "--reason", "a mistake"]);
    assert_eq!(served(&world, &keys[0]).await, (200, 200));
    let audit = world.audit_text();
    assert!(audit.contains("people offboard") && audit.contains("leaves on Friday"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_lets_calls_pass_until_something_else_is_found() {
    let world = world().await;
    let key = world.key("blocked");
    world
        .sim
        .set_user_state(PORTAL, INSTALLER, UserState::Deactivated);
    world
        .until("noted", async |world| {
            finding(world, "installer_deactivated", "acme").is_some()
        })
        .await;
    world
        .until("stopped", async |world| served(world, &key).await == (401, 401))
        .await;
    let id = finding(&world, "installer_deactivated", "acme").unwrap()["id"].to_string();
    ok(
        &world,
        &["people", "acknowledge", &id, "--reason", "moves on Monday"],
    );
    assert_eq!(served(&world, &key).await, (200, 200));
    world.sim.set_user_state(PORTAL, INSTALLER, UserState::Removed);
    world
        .until("stopped again", async |world| {
            served(world, &key).await == (401, 401)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_integration_uses_a_watchers_connection_and_no_watcher_an_integrations() {
    let world = world().await;
    let nosy = format!("integration: nosy\nowner: o@example.com\nconnections: [hubspot-watcher]\n{RULES}");
    std::fs::write(world.home().join("policies/nosy.yaml"), nosy).unwrap();
    world.server().reload();
    let key = key_of(&world, "nosy", "hubspot-watcher");
    world
        .until("refused", async |world| {
            let answer = world.get(CONTACTS, &key).await;
            answer.status == 401 && answer.sub_category() == "scopegate.connection"
        })
        .await;
    world
        .until("found", async |world| {
            finding(world, "watcher_covered_by_policy", "hubspot-watcher").is_some()
        })
        .await;
    // Only reading questions, on fixed paths; each round is recorded, without a token.
    rounds(&world, 1).await;
    let watching: Vec<_> = world
        .sim
        .received()
        .into_iter()
        .filter(|request| !request.target.starts_with("/oauth"))
        .map(|request| (request.method, request.target))
        .collect();
    assert!(!watching.is_empty());
    for (method, target) in &watching {
        let known = ["/settings/users/", "/crm/owners/", "/account-info/"];
        assert!(
            method == "GET" && known.iter().any(|prefix| target.starts_with(prefix)),
            "{method} {target}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_leaves_hubspot_alone_as_long_as_it_is_asked_to() {
    let world = unwatched().await;
    let limited = Action::Answer(Canned::new(429, "{}").header("retry-after", "600"));
    let users = Matching {
        target_prefix: Some("/settings/users/2026-03".to_owned()),
        ..Matching::default()
    };
    let fault = world.sim.fault(Fault::always(users, limited));
    add_watcher(&world, WATCHER_SCOPES);
    world
        .until("asked", async |world| world.sim.struck(fault) == Some(1))
        .await;
    world
        .until("unknown", async |world| {
            people(world)[0]["accounts"][0]["unknown_why"] == "HubSpot answered 429"
        })
        .await;
    // Nothing else was asked in that round.
    let asked = world.sim.received();
    let asked = asked.iter().filter(|request| {
        let target = request.target.as_str();
        target.starts_with("/crm/owners/") || target.starts_with("/account-info/2026-03/activity")
    });
    assert_eq!((asked.count(), world.sim.struck(fault)), (0, Some(1)));
    let key = world.key("blocked");
    assert_eq!(served(&world, &key).await, (200, 200));
}

/// Waits until a watcher has ended `rounds` more rounds.
async fn rounds(world: &World, rounds: usize) {
    let watched = |world: &World| {
        world
            .audit()
            .iter()
            .filter(|line| line["event"] == "watch")
            .count()
    };
    let before = watched(world);
    world
        .until("polled", async |world| watched(world) >= before + rounds)
        .await;
}

/// What the watcher knows of a user, as `people list` tells machines.
fn account_of(world: &World, user: u64) -> Value {
    let people = people(world);
    let mut accounts = people
        .iter()
        .flat_map(|person| person["accounts"].as_array().unwrap());
    accounts
        .find(|account| account["user_id"] == user)
        .unwrap_or_else(|| panic!("nobody has looked for {user}: {people:?}"))
        .clone()
}

fn answered(prefix: &str, status: u16, body: &'static str) -> Fault {
    Fault::always(Matching::path(prefix), Action::Answer(Canned::new(status, body)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_beside_it_leaves_an_account_its_number() {
    let world = world().await;
    let all = format!("integration: every\nowner: o@example.com\nconnections: [\"*\"]\n{RULES}");
    std::fs::write(world.home().join("policies/every.yaml"), all).unwrap();
    world.server().reload();
    // One connection that an integration may use, so there is nothing to choose.
    let bound = ok(&world, &["key", "create", "--integration", "every"]);
    let any = ok(
        &world,
        &["key", "create", "--integration", "every", "--any-connection"],
    );
    let named = format!("{}~{PORTAL}", any.trim());
    world
        .until("known", async |world| {
            world.get(CONTACTS, bound.trim()).await.status == 200
        })
        .await;
    let answer = world.get(CONTACTS, &named).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["x-scopegate-connection"], "acme");
    let watcher = format!("{}~hubspot-watcher", any.trim());
    assert_eq!(world.get(CONTACTS, &watcher).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_may_be_another_accounts_is_not_asked() {
    let world = unwatched().await;
    let elsewhere = world.sim.add_portal(PortalOptions::new(PORTAL + 1));
    // HubSpot can't tell whose the token is, so it is stored unverified: its users are not these.
    let telling = world.sim.fault(answered(
        "/oauth/v2/private-apps/get/access-token-info",
        503,
        "{}",
    ));
    let scopes = Scopes::new(WATCHER_SCOPES.iter().map(ToString::to_string));
    let file = world.dir.path().join("watcher-token");
    write_secret(&file, world.sim.private_app(elsewhere, scopes).expose());
    let portal = PORTAL.to_string();
    let adding = [
        "connection",
        "add",
        "hubspot-watcher",
        "--portal",
        &portal,
        "--token-file",
        path(&file),
    ];
    assert!(world.command(&adding).status.success());
    assert!(ok(&world, &["connection", "list"]).contains("unverified"));
    world
        .sim
        .set_user_state(PORTAL + 1, INSTALLER, UserState::Removed);
    rounds(&world, 3).await;
    let account = account_of(&world, INSTALLER);
    assert_eq!(account["state"], "here");
    assert!(
        account["unknown_why"]
            .as_str()
            .unwrap()
            .contains("has not said yet whose"),
        "{account}"
    );
    assert_eq!(served(&world, &world.key("blocked")).await, (200, 200));
    assert!(world.sim.struck(telling).unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_does_not_blind_the_others() {
    let world = unwatched().await;
    world
        .sim
        .fault(answered("/account-info/2026-03/activity/security", 500, "{}"));
    add_watcher(&world, WATCHER_SCOPES);
    let key = world.key("blocked");
    world.sim.set_user_state(PORTAL, INSTALLER, UserState::Removed);
    world
        .until("stopped", async |world| served(world, &key).await == (401, 401))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_users_is_no_account_that_everybody_left() {
    let world = unwatched().await;
    let missing = r#"{"status":"error","message":"not found"}"#;
    world
        .sim
        .fault(answered("/settings/users/2026-03?", 200, r#"{"results":[]}"#));
    world.sim.fault(answered(
        &format!("/settings/users/2026-03/{INSTALLER}"),
        404,
        missing,
    ));
    world.sim.fault(answered(
        &format!("/crm/owners/2026-03/{INSTALLER}"),
        404,
        missing,
    ));
    add_watcher(&world, WATCHER_SCOPES);
    rounds(&world, 3).await;
    assert_eq!(served(&world, &world.key("blocked")).await, (200, 200));
    assert_eq!(
        account_of(&world, INSTALLER)["unknown_why"],
        "users: the list is empty"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_watcher_named_can_be_killed_by_that_name() {
    let world = world().await;
    let key = world.key("alerted");
    assert_eq!(served(&world, &key).await, (200, 200));
    let who = email(&world, INSTALLER);
    // HubSpot's introspection of a private app tells a number alone.
    world
        .until("named", async |world| people(world)[0]["person"] == who.as_str())
        .await;
    world
        .until("what was done is written down", async |world| {
            let plan = ok(world, &["people", "offboard", &who, "--dry-run", "--json"]);
            let plan: Value = serde_json::from_str(&plan).unwrap();
            let alerted = &plan["person"]["connections"][0]["integrations"][0];
            let admins = &plan["can_reauthorise"][0]["super_admins"];
            alerted["integration"] == "alerted"
                && alerted["last_read"].is_string()
                && alerted["last_write"].is_string()
                && admins.as_array().is_some_and(|admins| admins.len() == 1)
        })
        .await;
    ok(&world, &["kill", "--person", &who, "--reason", "stolen laptop"]);
    assert_eq!(served(&world, &key).await, (401, 401));
    ok(&world, &["revive", "--person", &who, "--reason", "found again"]);
    assert_eq!(served(&world, &key).await, (200, 200));
}
