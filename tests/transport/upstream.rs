//! HubSpot's own errors: passed on with all that clients read of them, counted by their cause.

use std::time::{Duration, Instant};

use scopegate::sim::{Action, Canned, Fault, KnownFault, Matching};

use crate::support::{World, samples};
use crate::wire::{Wire, get, post, request};

const GOOD: &str = "/crm/v3/objects/contacts/1001";

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_hubspot_come_down_with_their_body_and_what_clients_wait_by() {
    let world = World::plain().await;
    let key = world.key("reader");
    let mut wire = Wire::open(world.gate).await;
    for status in [
        400, 402, 404, 405, 409, 414, 415, 422, 423, 429, 477, 500, 501, 502, 503, 504, 520, 524,
    ] {
        let text = format!(r#"{{"status":"error","message":"own words for {status}","policyName":"DAILY"}}"#);
        let canned = Canned::new(status, text.clone())
            .header("retry-after", "7")
            .header("x-hubspot-ratelimit-remaining", "3")
            .header("x-hubspot-correlation-id", "11111111-2222-3333-4444-555555555555");
        world
            .sim
            .fault(Fault::once(Matching::any(), Action::Answer(canned)));
        let reply = wire.ask(get(GOOD, &key)).await;
        assert_eq!((reply.status, reply.text()), (status, text), "{reply:?}");
        assert_eq!(reply.header("retry-after"), Some("7"));
        assert_eq!(reply.header("x-hubspot-ratelimit-remaining"), Some("3"));
        assert_eq!(reply.header("x-scopegate-source"), Some("upstream"));
        assert_eq!(
            reply.verdict(),
            "allow",
            "an error of HubSpot's is no decision of the gate's"
        );
    }
    let known = [
        (KnownFault::TenSecondly, 429, "TEN_SECONDLY_ROLLING"),
        (KnownFault::Daily, 429, "DAILY"),
        (KnownFault::Migrating, 477, "migrated"),
        // An edge's page is none of HubSpot's errors: its status passes, in the gate's words.
        (KnownFault::BadGateway, 502, "in a form that is not known"),
        (KnownFault::EdgeTimeout, 524, "in a form that is not known"),
        (KnownFault::Conflict, 409, "Existing ID: 1001"),
    ];
    for (fault, status, word) in known {
        world
            .sim
            .fault(Fault::once(Matching::any(), Action::Known(fault)));
        let reply = wire.ask(get(GOOD, &key)).await;
        assert!(
            reply.status == status && reply.text().contains(word),
            "{fault:?}: {reply:?}"
        );
    }
    let responses = samples(&world.metrics().await, "scopegate_responses_total");
    let of_upstream = responses
        .iter()
        .filter(|(labels, _)| labels.contains(r#"source="upstream""#));
    assert_eq!(
        of_upstream.map(|(_, count)| *count).sum::<f64>(),
        22.0,
        "{responses:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_403_of_hubspot_passes_and_is_counted_by_its_cause() {
    let world = World::plain().await;
    let key = world.key("reader");
    let mut wire = Wire::open(world.gate).await;
    let table = [
        (KnownFault::MissingScope, "missing_scope"),
        (KnownFault::MissingScopeText, "missing_scope"),
        (KnownFault::UserPermission, "user_permission"),
        (KnownFault::UserPermissionOnType, "user_permission"),
        (KnownFault::NotPublic, "tier"),
        (KnownFault::Gated, "tier"),
        (KnownFault::PortalPaused, "portal_paused"),
        (KnownFault::Archived, "archived"),
        (KnownFault::Unexplained, "unknown"),
    ];
    let mut expected = std::collections::BTreeMap::new();
    for (fault, cause) in table {
        world
            .sim
            .fault(Fault::once(Matching::any(), Action::Known(fault)));
        let reply = wire.ask(get(GOOD, &key)).await;
        assert_eq!(
            (reply.status, reply.header("x-scopegate-source")),
            (403, Some("upstream")),
            "{fault:?} {reply:?}"
        );
        assert!(
            reply.json()["message"].is_string(),
            "HubSpot's own words: {reply:?}"
        );
        *expected
            .entry(format!(r#"{{cause="{cause}",integration="reader"}}"#))
            .or_insert(0.0) += 1.0;
        let counted = samples(&world.metrics().await, "scopegate_forbidden_total");
        assert_eq!(counted, expected, "after {fault:?}");
    }
    world
        .sim
        .fault(Fault::once(Matching::any(), Action::Known(KnownFault::EdgeBlock)));
    let html = wire.ask(get(GOOD, &key)).await;
    assert!(
        html.status == 403 && !html.text().contains("banned your IP"),
        "{html:?}"
    );
    assert_eq!(html.sub_category(), "scopegate.upstream");
    assert_eq!(html.header("x-scopegate-cause"), Some("edge_block"));
    let long = Canned::new(403, "x".repeat(300 * 1024));
    world
        .sim
        .fault(Fault::once(Matching::any(), Action::Answer(long)));
    let replaced = wire.ask(get(GOOD, &key)).await;
    assert_eq!(
        (replaced.status, replaced.sub_category().as_str()),
        (403, "scopegate.upstream"),
        "a refusal longer than `limits.error_body_size`"
    );
    assert_eq!(wire.ask(get(GOOD, &key)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_401_of_hubspot_never_reaches_an_integration_and_a_static_token_recovers_by_itself() {
    let world = World::plain().await;
    let key = world.key("writer");
    let mut wire = Wire::open(world.gate).await;
    let wrong_token = Action::Known(KnownFault::InvalidToken);
    world.sim.fault(Fault::once(Matching::any(), wrong_token));
    let body = r#"{"properties":{"email":"static@example.com"}}"#;
    let create = post("/crm/v3/objects/contacts", &key, body);
    let begun = Instant::now();
    let mut refused = 0;
    // A static token can't be renewed; from time to time a call is let through, to see whether it works.
    let passed = loop {
        let reply = wire.ask(&create).await;
        if reply.status != 503 {
            break reply;
        }
        refused += 1;
        assert_eq!(reply.sub_category(), "scopegate.credential", "{reply:?}");
        assert!(reply.header("retry-after").is_some() && reply.header("www-authenticate").is_none());
        assert_eq!(
            world.sim.received().len(),
            1,
            "whoever is refused meanwhile costs HubSpot nothing"
        );
        assert!(begun.elapsed() < Duration::from_secs(15), "it never recovers");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(passed.status, 201, "{passed:?}");
    assert!(refused >= 1 && world.sim.received().len() == 2);
    assert_eq!(
        wire.ask(get(GOOD, &key)).await.status,
        200,
        "from then on all pass"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_before_the_upload_has_ended_leaves_no_client_waiting_and_spoils_no_connection()
{
    let world = World::plain().await;
    let key = world.key("writer");
    for length in [200_000, 30_000_000] {
        let canned = Canned::new(400, r#"{"status":"error","message":"enough"}"#).early();
        let when = Matching::path("/files").method("POST");
        world.sim.fault(Fault::once(when, Action::Answer(canned)));
        let lines = [
            "Content-Type: multipart/form-data; boundary=b",
            &format!("Content-Length: {length}"),
        ];
        let mut wire = Wire::open(world.gate).await;
        wire.write(request("POST", "/files/v3/files", &key, &lines, ""))
            .await;
        // Whether all of it is taken is the gate's choice.
        wire.write("x".repeat(length)).await;
        let reply = wire.reply().await.expect("an answer");
        // An upstream that answers and closes while it is still being written to may break the
        // connection before its answer was read: then it is the gate that says so.
        let early = reply.status == 400 && reply.text().contains("enough");
        let broken = reply.status == 502 && reply.sub_category() == "scopegate.upstream";
        assert!(early || broken, "{length}: {reply:?}");
        for _ in 0..5 {
            let mut next = Wire::open(world.gate).await;
            assert_eq!(next.ask(get(GOOD, &key)).await.json()["id"], "1001");
        }
    }
}
