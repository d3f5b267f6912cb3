//! HubSpot's refusals through the gate: the cause is told in the answer, counted, recorded; and a
//! connection whose writes are all refused is noticed although its reads work.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "support/child.rs"]
mod child;
mod support;

use child::Gate;
use scopegate::sim::{Action, Fault, Install, KnownFault, Matching, Scopes, UserState};
use serde_json::Value;
use support::{PORTAL, Setup, World, path, policy, samples, write_secret};

const CONTACT: &str = "/crm/v3/objects/contacts/1001";
const CHANGE: &str = r#"{"properties":{"city":"Bonn"}}"#;

/// Every known 403, and what the gate says of it on a connection that has every scope, and on one that
/// has none of those it needs.
const REFUSALS: &[(KnownFault, &str, &str)] = &[
    (KnownFault::EdgeBlock, "edge_block", "edge_block"),
    (KnownFault::EdgeChallenge, "edge_block", "edge_block"),
    (KnownFault::EdgeCode, "edge_block", "edge_block"),
    (KnownFault::NotPublic, "tier", "tier"),
    (KnownFault::MissingScope, "missing_scope", LACKS),
    (KnownFault::MissingScopeOlder, "missing_scope", LACKS),
    (KnownFault::WrongScope, "missing_scope", LACKS),
    (KnownFault::MissingScopeText, "missing_scope", LACKS),
    (KnownFault::UserPermission, "user_permission", "user_permission"),
    (KnownFault::UserPermissionOnType, "user_permission", LACKS),
    (KnownFault::ProductLibrary, "tier", LACKS),
    (KnownFault::Gated, "tier", "tier"),
    (KnownFault::GatedText, "tier", "tier"),
    (KnownFault::PortalPaused, "portal_paused", "portal_paused"),
    (KnownFault::ClientNotListed, "unknown", "unknown"),
    (KnownFault::Archived, "archived", "archived"),
    (KnownFault::SensitiveScope, "unknown", "missing_scope"),
    (KnownFault::Unexplained, "unknown", "unknown"),
];

const LACKS: &str = "missing_scope; lacks=\"crm.objects.contacts.read\"";

/// A world with a second connection, `narrow`, whose token has hardly a scope, and policies for both.
async fn world() -> World {
    let anywhere = |text: String| text.replace("[acme]", "\"*\"");
    let contacts = "allow:\n  - scope: crm.objects.contacts.read\n  - operation: crm.owners.list\n";
    let ruled = format!("{contacts}properties:\n  contacts: {{ read: [email] }}\n  \"*\": all\n");
    let world = World::with(Setup {
        policies: vec![
            ("reader", anywhere(policy("reader", contacts))),
            ("ruled", anywhere(policy("ruled", &ruled))),
        ],
        ..Setup::default()
    })
    .await;
    let token = world.sim.private_app(PORTAL, Scopes::new(["forms"]));
    let file = world.dir.path().join("narrow");
    write_secret(&file, token.expose());
    let portal = PORTAL.to_string();
    let added = world.command(&[
        "connection",
        "add",
        "narrow",
        "--portal",
        &portal,
        "--token-file",
        path(&file),
    ]);
    assert!(
        added.status.success(),
        "{}",
        String::from_utf8_lossy(&added.stderr)
    );
    world
}

fn key(world: &World, integration: &str, connection: &str) -> String {
    let args = [
        "key",
        "create",
        "--integration",
        integration,
        "--connection",
        connection,
    ];
    String::from_utf8(world.command(&args).stdout)
        .unwrap()
        .trim()
        .to_owned()
}

fn cause(answer: &support::Answer) -> &str {
    answer
        .headers
        .get("x-scopegate-cause")
        .map_or("", |value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_known_403_of_hubspots_is_told_apart_in_the_answer_the_metric_and_the_record() {
    let mut world = world().await;
    let keys = ["acme", "narrow"].map(|connection| key(&world, "reader", connection));
    let mut causes: Vec<String> = Vec::new();
    for (known, wide, narrow) in REFUSALS {
        for (key, expected) in keys.iter().zip([wide, narrow]) {
            let fault = Fault::once(Matching::path("/crm/"), Action::Known(*known));
            world.sim.fault(fault);
            let answer = world.get(CONTACT, key).await;
            assert_eq!(answer.status, 403, "{known:?}");
            assert_eq!(cause(&answer), *expected, "{known:?}: {:?}", answer.body);
            // A page of the edge's is told in the gate's words.
            let is_page = matches!(
                known,
                KnownFault::EdgeBlock | KnownFault::EdgeChallenge | KnownFault::EdgeCode
            );
            let source = if is_page { "gate" } else { "upstream" };
            assert_eq!(answer.headers["x-scopegate-source"], source, "{known:?}");
            causes.push(expected.split(';').next().unwrap().to_owned());
        }
    }
    let counted = samples(&world.metrics().await, "scopegate_forbidden_total");
    for cause in [
        "missing_scope",
        "tier",
        "edge_block",
        "user_permission",
        "portal_paused",
        "archived",
        "unknown",
    ] {
        let expected = causes.iter().filter(|known| *known == cause).count();
        let labels = format!("{{cause=\"{cause}\",integration=\"reader\"}}");
        assert_eq!(counted[&labels], expected as f64, "{cause}");
    }
    world.stop().await;
    let records = world.audit();
    let refused: Vec<&Value> = records
        .iter()
        .filter(|record| record["cause"].is_string())
        .collect();
    let mut recorded: Vec<&str> = refused
        .iter()
        .map(|record| record["cause"].as_str().unwrap())
        .collect();
    // Two workers: the order is not that of the calls.
    recorded.sort_unstable();
    causes.sort_unstable();
    assert_eq!(recorded, causes);
    let first = refused.iter().find(|record| record["lacks"].is_array()).unwrap();
    assert_eq!(first["lacks"], serde_json::json!(["crm.objects.contacts.read"]));
    assert_eq!(
        (&first["connection"], &first["operation"]),
        (&"narrow".into(), &"crm.objects.get".into())
    );
    assert!(
        records
            .iter()
            .all(|record| record["status"] != 200 || record["cause"].is_null())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hubspot_refuses_by_itself_has_the_cause_and_the_right_scope() {
    let world = world().await;
    let key = key(&world, "reader", "narrow");
    let answer = world.get(CONTACT, &key).await;
    assert_eq!((answer.status.as_u16(), cause(&answer)), (403, LACKS));
    let body = answer.json();
    assert_eq!(
        body["category"], "MISSING_SCOPES",
        "HubSpot's body goes on as it is"
    );
    assert!(body["subCategory"].is_null());
    // It asks for `contacts`; what is missing is the owners' scope.
    world.sim.fault(Fault::once(
        Matching::path("/crm/"),
        Action::Known(KnownFault::WrongScope),
    ));
    let answer = world.get("/crm/v3/owners", &key).await;
    assert_eq!(cause(&answer), "missing_scope; lacks=\"crm.objects.owners.read\"");
    assert!(String::from_utf8_lossy(&answer.body).contains("\"contacts\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cause_stands_under_property_rules_too_and_never_on_a_denial_of_the_gates() {
    let world = world().await;
    let ruled = key(&world, "ruled", "acme");
    for (known, wide, _) in REFUSALS {
        world
            .sim
            .fault(Fault::once(Matching::path("/crm/"), Action::Known(*known)));
        let answer = world.get(CONTACT, &ruled).await;
        assert_eq!(
            (answer.status.as_u16(), cause(&answer)),
            (403, *wide),
            "{known:?}"
        );
        assert!(answer.json().is_object(), "{known:?}");
    }
    for key in [&ruled, &key(&world, "reader", "acme")] {
        let denied = world.send("PATCH", CONTACT, key, Some(CHANGE)).await;
        assert_eq!(denied.status, 403);
        assert_eq!(denied.headers["x-scopegate-source"], "gate");
        assert_eq!(denied.verdict(), "deny");
        assert_eq!(cause(&denied), "");
    }
    assert_eq!(cause(&world.get(CONTACT, &ruled).await), "", "nor on what passes");
}

#[tokio::test(flavor = "multi_thread")]
async fn denials_tell_gate_and_hubspot_apart_while_the_gate_runs() {
    let world = world().await;
    let key = key(&world, "reader", "narrow");
    world.get(CONTACT, &key).await;
    world.send("PATCH", CONTACT, &key, Some(CHANGE)).await;
    let mut lines: Vec<Value> = Vec::new();
    world
        .until("both are in the log", async |world: &World| {
            let output = world.command(&["denials", "--json", "--connection", "narrow"]);
            let text = String::from_utf8(output.stdout).unwrap();
            lines = text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            assert_eq!(output.status.code(), Some(i32::from(!lines.is_empty())));
            lines.len() == 2
        })
        .await;
    let of = |by: &str| lines.iter().find(|line| line["by"] == by).unwrap();
    assert_eq!(
        of("gate")["lacks"],
        serde_json::json!(["scope:crm.objects.contacts.write"])
    );
    assert_eq!(of("hubspot")["cause"], "missing_scope");
    assert_eq!(
        of("hubspot")["remedy"],
        "add `crm.objects.contacts.read` to the app and install again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_is_a_failure_of_reads_that_a_restart_remembers() {
    let mut world = World::plain().await;
    let key = world.key("reader");
    assert_eq!(world.get(CONTACT, &key).await.status, 200);
    world.sim.fault(Fault::once(
        Matching::path("/crm/"),
        Action::Known(KnownFault::InvalidToken),
    ));
    let answer = world.get(CONTACT, &key).await;
    assert_eq!((answer.status.as_u16(), cause(&answer)), (503, ""));
    let reads = |world: &World| -> Value {
        let output = world.command(&["connection", "show", "acme", "--json"]);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["health"]["read"].take()
    };
    world.stop().await;
    assert_eq!(
        (&reads(&world)["failures"], &reads(&world)["cause"]),
        (&1.into(), &"unauthorised".into())
    );
    world.start().await;
    world.stop().await;
    assert_eq!(reads(&world)["failures"], 1, "a start forgets nothing");
    world.start().await;
    assert_eq!(world.get(CONTACT, &key).await.status, 200);
    world.stop().await;
    let after = reads(&world);
    assert_eq!(
        (&after["failures"], &after["cause"]),
        (&0.into(), &"unauthorised".into())
    );
    assert!(after["last_success"].as_str() >= after["last_failure"].as_str());
}

/// Lines of the log with this event.
fn events(log: &str, event: &str) -> usize {
    log.lines().filter(|line| line.contains(event)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_work_and_writes_that_are_all_refused_are_one_alert_and_a_finding() {
    let mut world = World::with(Setup {
        policies: vec![(
            "sync",
            policy(
                "sync",
                "allow:\n  - scope: [crm.objects.contacts.read, crm.objects.contacts.write]\n",
            )
            .replace("acme", "granted"),
        )],
        config: "health: { write_failing_after: 1s }\nlog: { format: json }\n".to_owned(),
        ..Setup::default()
    })
    .await;
    let app = world.sim.oauth_app("test", &[]);
    let mut install = Install::new(&app.client_id, PORTAL, support::every_scope());
    install.user_id = Some(9003);
    let grant = world.sim.install(install).unwrap();
    let file = |name: &str, text: &str| {
        let file = world.dir.path().join(name);
        write_secret(&file, text);
        file
    };
    let (secret, token) = (
        file("secret", app.client_secret.expose()),
        file("grant", grant.expose()),
    );
    let portal = PORTAL.to_string();
    for args in [
        vec![
            "app",
            "add",
            "m",
            "--client-id",
            &app.client_id,
            "--secret-file",
            path(&secret),
        ],
        vec![
            "connection",
            "add",
            "granted",
            "--portal",
            &portal,
            "--app",
            "m",
            "--refresh-token-file",
            path(&token),
        ],
    ] {
        let output = world.command(&args);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let key = key(&world, "sync", "granted");
    world.stop().await;
    let gate = Gate::start(&world.config());
    (world.gate, world.monitor) = (gate.gate, gate.admin);

    assert_eq!(world.send("PATCH", CONTACT, &key, Some(CHANGE)).await.status, 200);
    world.sim.set_user_state(PORTAL, 9003, UserState::Removed);
    let shown = |world: &World| -> Value {
        let output = world.command(&["connection", "show", "granted", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap()
    };
    world
        .until("the writes count as failing", async |world: &World| {
            assert_eq!(world.get(CONTACT, &key).await.status, 200, "reads go on");
            let refused = world.send("PATCH", CONTACT, &key, Some(CHANGE)).await;
            assert_eq!(
                (refused.status.as_u16(), cause(&refused)),
                (403, "user_permission")
            );
            shown(world)["health"]["write"]["failing"] == true
        })
        .await;
    let health = &shown(&world)["health"];
    assert_eq!(health["read"]["failing"], false);
    assert_eq!(health["write"]["cause"], "user_permission");
    assert!(health["write"]["failures"].as_u64().unwrap() >= 3);
    world
        .until("the metric says so", async |world: &World| {
            let each = samples(&world.metrics().await, "scopegate_connection_health");
            let sums = samples(&world.metrics().await, "scopegate_connections_failing");
            each["{class=\"read\",connection=\"granted\"}"] == 1.0
                && each["{class=\"write\",connection=\"granted\"}"] == 0.0
                && sums["{app=\"m\",class=\"write\"}"] == 1.0
                && sums["{app=\"m\",class=\"read\"}"] == 0.0
        })
        .await;
    let text = |args: &[&str]| String::from_utf8(world.command(args).stdout).unwrap();
    let sheet = text(&["connection", "show", "granted"]);
    for line in [
        "writes            FAIL; last success ",
        "finding           every write has been refused since ",
    ] {
        assert!(sheet.contains(line), "{sheet}");
    }
    assert!(
        sheet.contains("integration       sync: 1 key, last read "),
        "{sheet}"
    );
    assert!(text(&["connection", "list"]).contains("writes fail"));
    let warned = world.ready().await;
    assert!(
        warned.contains("[!] health of connection granted: every write has been refused"),
        "{warned}"
    );
    // Judged once a second: some rounds later it is still one alert.
    let rounds = std::time::Instant::now();
    world
        .until("some rounds have passed", async |world: &World| {
            world.send("PATCH", CONTACT, &key, Some(CHANGE)).await;
            rounds.elapsed() > std::time::Duration::from_millis(2_500)
        })
        .await;
    assert_eq!(
        events(&gate.log(), "connection.writes_failing"),
        1,
        "{}",
        gate.log()
    );
    assert_eq!(events(&gate.log(), "connection.reads_failing"), 0);

    world.sim.set_user_state(PORTAL, 9003, UserState::Active);
    assert_eq!(world.send("PATCH", CONTACT, &key, Some(CHANGE)).await.status, 200);
    world
        .until("it is over", async |world: &World| {
            shown(world)["health"]["write"]["failing"] == false
                && events(&gate.log(), "connection.works_again") == 1
                && !world.ready().await.contains("[!] health of")
        })
        .await;
}
