//! What is counted, what a used-up limit looks like, and what is given back.

use scopegate::sim::{Action, Canned, Fault, Matching};
use serde_json::Value;

use crate::removals::{REMOVALS, RULES, Removal};
use crate::support::{Answer, Setup, World, policy, samples};

const LIST: &str = "/crm/v3/objects/contacts?limit=5";

const EVERYTHING: &str = "allow:
  - scope: [crm.objects.contacts.read]
  - scope: crm.objects.contacts.write
    effects: [write, delete]
    reason: the tests delete
";

/// A world whose integration `desk` has these limits, and its key.
async fn desk(limits: &str) -> (World, String) {
    let text = policy("desk", &format!("{EVERYTHING}{RULES}limits: {limits}\n"));
    let world = World::with(Setup {
        policies: vec![
            ("desk", text),
            ("other", crate::support::reader().replace("reader", "other")),
        ],
        ..Setup::default()
    })
    .await;
    let key = world.key("desk");
    (world, key)
}

fn error(answer: &Answer) -> Value {
    answer.json()["errors"][0].clone()
}

fn first(value: &Value) -> &str {
    value[0].as_str().unwrap_or_default()
}

/// How many calls HubSpot saw since the last look.
fn seen(world: &World) -> usize {
    let seen = world.sim.received().len();
    world.sim.forget_received();
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_on_requests_stops_the_call_that_is_one_too_many_and_says_so_everywhere() {
    let (mut world, key) = desk("{requests: 3/1h}").await;
    world.sim.forget_received();
    for n in 0..3 {
        // What is denied, or not understood, uses nothing.
        assert_eq!(world.get("/crm/v3/objects/deals", &key).await.status, 403);
        assert_eq!(world.get("/crm/v3/objects//x", &key).await.status, 400);
        assert_eq!(world.get(LIST, &key).await.status, 200, "{n}");
    }
    for _ in 0..2 {
        let answer = world.get(LIST, &key).await;
        assert_eq!(answer.status, 429);
        assert_eq!(answer.verdict(), "deny");
        assert!(
            answer.decision().contains("rule=desk#limits"),
            "{}",
            answer.decision()
        );
        assert_eq!(answer.headers["retry-after"], "60");
        assert_eq!(answer.sub_category(), "scopegate.limit");
        assert_eq!(answer.json()["policyName"], "TEN_SECONDLY_ROLLING");
        let context = error(&answer)["context"].clone();
        assert_eq!(
            (first(&context["limit"]), first(&context["cap"])),
            ("requests", "3/1h")
        );
        let seconds: u64 = first(&context["retryAfterSeconds"]).parse().unwrap();
        assert!((3_500..=3_660).contains(&seconds), "{seconds}");
    }
    assert_eq!(seen(&world), 3);
    let other = world.key("other");
    assert_eq!(
        world.get(LIST, &other).await.status,
        200,
        "the limit is one integration's"
    );
    let metrics = world.metrics().await;
    assert!(metrics.contains(r#"decision="deny",effect="read",integration="desk",operation="crm.objects.list",reason="limit_requests"} 2"#), "{metrics}");
    let used = samples(&metrics, "scopegate_limit_used_ratio");
    assert_eq!(
        used.get(r#"{integration="desk",limit="requests"}"#),
        Some(&1.0),
        "{used:?}"
    );
    world.stop().await;
    let audit = world.audit();
    let denied: Vec<&Value> = audit
        .iter()
        .filter(|line| line["reason"] == "limit_requests")
        .collect();
    assert_eq!(denied.len(), 2);
    assert_eq!(denied[0]["decision"], "deny");
    assert_eq!(denied[0]["lacks"][0], "limit:requests");
    let limit = &denied[0]["limit"];
    assert_eq!(
        (&limit["most"], &limit["window_seconds"], &limit["used"]),
        (&3.into(), &3600.into(), &3.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_has_passed_lets_calls_through_again() {
    let (world, key) = desk("{requests: 2/2s}").await;
    let ask = async || world.get(LIST, &key).await.status.as_u16();
    // However slow the machine: what came within one window is what the gate was asked in it.
    world
        .until("more than two in two seconds", async |world| {
            world.get(LIST, &key).await.status == 429
        })
        .await;
    world
        .until("the window has passed", async |_| ask().await == 200)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_counted_as_the_answer_holds_them_and_no_page_passes_that_could_be_too_much() {
    let (world, key) = desk("{records_read: 12/1h}").await;
    let read = async |target: &str| {
        let answer = world.get(target, &key).await;
        let records = match answer.status.as_u16() {
            200 => answer.json()["results"].as_array().map_or(1, Vec::len),
            _ => 0,
        };
        (answer.status.as_u16(), records, answer)
    };
    // Alone more than the limit: never, and the answer says what would help.
    let (status, _, answer) = read("/crm/v3/objects/contacts?limit=13").await;
    assert_eq!(status, 429);
    assert_eq!(answer.headers["x-should-retry"], "false");
    assert!(answer.json().get("policyName").is_none());
    assert!(
        first(&error(&answer)["context"]["remedy"]).contains("at most 12"),
        "{}",
        answer.json()
    );
    assert_eq!(read("/crm/v3/objects/contacts?limit=5").await.1, 5);
    // Found nothing, cost nothing, although a hundred could have come.
    let nothing = r#"{"filterGroups":[{"filters":[{"propertyName":"email","operator":"EQ","value":"nobody@nowhere.example"}]}],"limit":7}"#;
    for _ in 0..3 {
        let answer = world
            .send("POST", "/crm/v3/objects/contacts/search", &key, Some(nothing))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        assert_eq!(answer.json()["results"].as_array().unwrap().len(), 0);
    }
    assert_eq!(
        read("/crm/v3/objects/contacts/404404").await.0,
        404,
        "and this cost nothing"
    );
    assert_eq!(read("/crm/v3/objects/contacts/1001").await.0, 200);
    let (status, _, answer) = read("/crm/v3/objects/contacts").await;
    assert_eq!(status, 429, "ten could come, six are left");
    let context = &error(&answer)["context"];
    assert_eq!((first(&context["used"]), first(&context["asked"])), ("6", "10"));
    let batch = |n: usize| {
        let ids: Vec<String> = (0..n).map(|n| format!(r#"{{"id":"{}"}}"#, 1001 + n)).collect();
        format!(r#"{{"properties":["email"],"inputs":[{}]}}"#, ids.join(","))
    };
    let ask = async |n| {
        world
            .send(
                "POST",
                "/crm/v3/objects/contacts/batch/read",
                &key,
                Some(&batch(n)),
            )
            .await
    };
    assert_eq!(ask(7).await.status, 429);
    assert_eq!(ask(6).await.status, 200);
    assert_eq!(read("/crm/v3/objects/contacts/1001").await.0, 429);
    // Definitions are no records.
    assert_eq!(world.get("/crm/v3/properties/contacts", &key).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_more_records_than_are_left_never_gets_through_whole() {
    const FILTER: &str = "properties: {contacts: {read: [email]}}\n";
    // A long one streams where nothing is filtered, and has begun when its records come.
    for (properties, padding, is_held) in [
        ("", 0, true),
        ("", 400_000, false),
        (FILTER, 0, true),
        (FILTER, 40_000, true),
    ] {
        let text = policy(
            "desk",
            &format!("{EVERYTHING}{properties}limits: {{records_read: 10/1h}}\n"),
        );
        let mut world = World::with(Setup {
            policies: vec![("desk", text)],
            ..Setup::default()
        })
        .await;
        let key = world.key("desk");
        let record = |n: usize| {
            format!(
                r#"{{"id":"{n}","properties":{{"email":"e{n}@example.com"}},"createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-01T00:00:00Z","archived":false}}"#
            )
        };
        let records: Vec<String> = (0..11).map(record).collect();
        let body = format!(r#"{{{}"results":[{}]}}"#, " ".repeat(padding), records.join(","));
        world.sim.fault(Fault::once(
            Matching::path("/crm/v3/objects/contacts"),
            Action::Answer(Canned::new(200, body)),
        ));
        let request = http::Request::get(LIST)
            .header("host", world.gate.to_string())
            .header("authorization", format!("Bearer {key}"))
            .body(http_body_util::Full::default())
            .unwrap();
        match world.request(request).await {
            // Held until it was counted.
            Ok(answer) => {
                assert_eq!(answer.status, 429, "{properties} {padding}");
                assert!(is_held, "{properties} {padding}: it streams");
            }
            Err(_) => assert!(!is_held, "{properties} {padding}: the transfer breaks off"),
        }
        world.stop().await;
        let audit = world.audit();
        let outcome = audit.iter().rfind(|line| line["kind"] == "outcome").unwrap();
        assert_eq!(outcome["reason"], "limit_records_read", "{outcome}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_does_not_fit_is_refused_whole() {
    let (world, key) = desk("{records_written: 5/1h}").await;
    let batch = |n: usize| {
        let inputs: Vec<String> = (0..n)
            .map(|n| format!(r#"{{"id":"{}","properties":{{"firstname":"Ada"}}}}"#, 1001 + n))
            .collect();
        format!(r#"{{"inputs":[{}]}}"#, inputs.join(","))
    };
    let ask = async |n| {
        let answer = world
            .send(
                "POST",
                "/crm/v3/objects/contacts/batch/update",
                &key,
                Some(&batch(n)),
            )
            .await;
        answer.status.as_u16()
    };
    world.sim.forget_received();
    assert_eq!(ask(3).await, 200);
    assert_eq!(ask(3).await, 429);
    assert_eq!(seen(&world), 1, "nothing of it went up");
    assert_eq!(ask(2).await, 200);
    let one = world
        .send(
            "PATCH",
            "/crm/v3/objects/contacts/1001",
            &key,
            Some(r#"{"properties":{"firstname":"Ada"}}"#),
        )
        .await;
    assert_eq!(one.status, 429);
    assert_eq!(
        world.get(LIST, &key).await.status,
        200,
        "reads have no limit here"
    );
}

/// Removes one contact.
async fn remove(world: &World, removal: Removal, id: usize, key: &str) -> Answer {
    let (method, target, body) = removal.one(id);
    world.send(method, &target, key, body.as_deref()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_counts_after_a_restart_and_what_never_went_up_is_given_back() {
    for removal in REMOVALS {
        let (mut world, key) = desk(&format!("{{{}: 3/1d, records_written: 1/1d}}", removal.limit())).await;
        let delete = async |world: &World, id| remove(world, removal, id, &key).await.status.as_u16();
        world.sim.forget_received();
        assert_eq!(delete(&world, 1001).await, 204, "{removal:?}");
        let (target, three) = removal.three();
        let together = world.send("POST", target, &key, Some(three)).await;
        assert_eq!(together.status, 429, "{removal:?}: two are left");
        let context = &error(&together)["context"];
        assert_eq!(
            (
                first(&context["limit"]),
                first(&context["used"]),
                first(&context["asked"])
            ),
            (removal.limit(), "1", "3")
        );
        assert_eq!(seen(&world), 1, "{removal:?}: nothing of it went up");
        // An upstream that can't be reached.
        world.stop().await;
        let config = std::fs::read_to_string(world.config()).unwrap();
        std::fs::write(
            world.config(),
            config.replace(&world.sim_origin, "http://127.0.0.1:9"),
        )
        .unwrap();
        world.start().await;
        for _ in 0..4 {
            assert_eq!(delete(&world, 1002).await, 502, "{removal:?}: each is given back");
        }
        world.stop().await;
        std::fs::write(world.config(), config).unwrap();
        world.start().await;
        assert_eq!(delete(&world, 1002).await, 204, "{removal:?}");
        assert_eq!(delete(&world, 1003).await, 204, "{removal:?}");
        assert_eq!(delete(&world, 1004).await, 429, "{removal:?}");
        world.stop().await;
        world.start().await;
        assert_eq!(delete(&world, 1004).await, 429, "{removal:?}");
        // A connection has its own count; so has what is written, in memory alone.
        assert_eq!(seen(&world), 2, "{removal:?}");
        world.stop().await;
        let audit = world.audit();
        let decided = audit.iter().filter(|line| {
            line["kind"] == "decision" && line["effect"] == removal.effect() && line["decision"] == "allow"
        });
        assert_eq!(
            decided.count(),
            3 + 4,
            "{removal:?}: each that was let through is on record"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_and_what_can_not_be_undone_are_counted_apart_over_a_restart() {
    let (mut world, key) = desk("{records_deleted: 1/1d, records_irreversible: 2/1d}").await;
    world.sim.forget_received();
    let ask = async |world: &World, removal, id| remove(world, removal, id, &key).await.status.as_u16();
    assert_eq!(ask(&world, Removal::Deletes, 1001).await, 204);
    assert_eq!(ask(&world, Removal::Erases, 1002).await, 204);
    world.stop().await;
    world.start().await;
    // One used up leaves the other what it has.
    assert_eq!(ask(&world, Removal::Deletes, 1003).await, 429);
    assert_eq!(ask(&world, Removal::Erases, 1004).await, 204);
    assert_eq!(ask(&world, Removal::Erases, 1005).await, 429);
    assert_eq!(seen(&world), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_counted_is_denied_under_a_limit_on_records() {
    let rules = "allow:
  - scope: crm.objects.contacts.read
  - operation: crm.exports.export.async
    objects: [contacts]
    risks: [bulk-export, hands-out-url]
";
    let with = format!("{rules}limits: {{records_read: 100000/1h}}\n");
    let world = World::with(Setup {
        policies: vec![
            ("with", policy("with", &with)),
            ("without", policy("without", rules)),
        ],
        ..Setup::default()
    })
    .await;
    let export = r#"{"exportType":"VIEW","exportName":"x","format":"CSV","language":"EN","objectType":"contacts","objectProperties":["email"],"associatedObjectType":null}"#;
    let ask = async |name: &str| {
        let key = world.key(name);
        world
            .send("POST", "/crm/v3/exports/export/async", &key, Some(export))
            .await
    };
    let denied = ask("with").await;
    assert_eq!(denied.status, 429, "{}", denied.json());
    assert_eq!(error(&denied)["code"], "limit_records_read");
    assert!(
        first(&error(&denied)["context"]["remedy"]).contains("can't be told"),
        "{}",
        denied.json()
    );
    assert_eq!(denied.headers["x-should-retry"], "false");
    let allowed = ask("without").await;
    assert!(allowed.status.is_success(), "{}", allowed.json());
    // What the live path says, `explain` says.
    let home = world.home();
    let output = world.command(&[
        "explain",
        "--policies",
        crate::support::path(&home.join("policies")),
        "--integration",
        "with",
        "--json",
        "--body",
        crate::support::path(&file(&world, export)),
        "POST",
        "/crm/v3/exports/export/async",
    ]);
    let explained: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&explained["decision"], &explained["reason"]),
        (&"deny".into(), &"limit_records_read".into()),
        "{explained}"
    );
}

fn file(world: &World, text: &str) -> std::path::PathBuf {
    let file = world.dir.path().join("body.json");
    std::fs::write(&file, text).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_holds_for_what_only_observing_lets_through_and_follows_its_policy() {
    let until = jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date()
        .checked_add(jiff::Span::new().days(30))
        .unwrap();
    let text = |limits: &str| {
        policy(
            "desk",
            &format!("observe: {{until: {until}, effects: [read]}}\nlimits: {limits}\n"),
        )
    };
    let world = World::with(Setup {
        policies: vec![("desk", text("{requests: 2/1h}"))],
        ..Setup::default()
    })
    .await;
    let key = world.key("desk");
    let ask = async || world.get(LIST, &key).await.status.as_u16();
    assert_eq!((ask().await, ask().await, ask().await), (200, 200, 429));
    let change =
        |limits: &str| std::fs::write(world.home().join("policies/desk.yaml"), text(limits)).unwrap();
    change("{requests: 3/1h}");
    world.until("one more", async |_| ask().await == 200).await;
    assert_eq!(ask().await, 429);
    // Another window forgets nothing.
    change("{requests: 3/2h}");
    world
        .until("the other window", async |world| {
            let answer = world.get(LIST, &key).await;
            answer.status == 429 && first(&error(&answer)["context"]["cap"]) == "3/2h"
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_can_not_be_written_refuses_deletions_and_counts_nothing_for_them() {
    for removal in REMOVALS {
        let (mut world, key) = desk(&format!("{{{}: 2/1d}}", removal.limit())).await;
        let delete = async |world: &World, id| remove(world, removal, id, &key).await;
        world.sim.forget_received();
        let store = rusqlite::Connection::open(world.home().join("data/scopegate.db")).unwrap();
        store.execute_batch("BEGIN IMMEDIATE").unwrap();
        let answer = delete(&world, 1003).await;
        assert_eq!(
            (answer.status.as_u16(), answer.sub_category()),
            (503, "scopegate.limit".to_owned()),
            "{removal:?}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        assert!(answer.headers.contains_key("retry-after"));
        assert_eq!(error(&answer)["code"], "limit_store");
        assert_eq!(world.get(LIST, &key).await.status, 200, "reads do not need it");
        assert_eq!(seen(&world), 1, "{removal:?}: the read alone");
        store.execute_batch("ROLLBACK").unwrap();
        drop(store);
        world
            .until("what waited is through", async |world| {
                delete(world, 1003).await.status == 204
            })
            .await;
        assert_eq!(
            delete(&world, 1004).await.status,
            204,
            "{removal:?}: what was refused did not count"
        );
        assert_eq!(delete(&world, 1005).await.status, 429, "{removal:?}");
        world.stop().await;
        world.start().await;
        assert_eq!(delete(&world, 1005).await.status, 429, "{removal:?}");
        world.stop().await;
        let audit = world.audit();
        let outcome = audit
            .iter()
            .find(|line| line["kind"] == "outcome" && line["reason"] == "limit_store")
            .unwrap();
        assert_eq!(
            (&outcome["status"], &outcome["sent_upstream"]),
            (&503.into(), &false.into()),
            "{removal:?}"
        );
    }
}
