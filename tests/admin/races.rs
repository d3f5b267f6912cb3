//! Things that happen at the same time: two operators, and a credential that ends in the middle.

use http::StatusCode;
use scopegate::sim::{Action, Fault, Matching};
use scopegate::store::{Provenance, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::ask::{Asked, Line, credential, get, id_of, post};
use crate::support::canaries::heard::Overheard;
use crate::support::{World, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_operators_at_once_leave_one_state_and_an_event_for_each_change() {
    let world = World::plain().await;
    let (one, two) = (
        credential(&world, "one", "operator"),
        credential(&world, "two", "operator"),
    );
    let security = credential(&world, "sec", "security");
    let work = |credential: String, first: &'static str, second: &'static str| {
        let address = world.monitor;
        async move {
            let mut line = Line::open(address).await;
            let mut changed = 0;
            for n in 0..8 {
                let what = if n % 2 == 0 { first } else { second };
                let target = format!("/v1/connections/acme/{what}");
                let told = line
                    .ask(&Asked::post(&target, &credential, r#"{"reason":"race"}"#))
                    .await;
                assert_eq!(told.status, StatusCode::OK, "{}", told.text);
                changed += usize::from(told.json()["result"] == "changed");
            }
            changed
        }
    };
    let (a, b) = tokio::join!(
        tokio::spawn(work(one.clone(), "suspend", "resume")),
        tokio::spawn(work(two.clone(), "resume", "suspend"))
    );
    let changed = a.unwrap() + b.unwrap();
    let events = get(&world, "/v1/events?limit=1000", &security).await.json();
    let theirs: Vec<&serde_json::Value> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["reason"] == "race")
        .collect();
    assert_eq!(theirs.len(), changed, "each change once, and nothing else");
    // They alternate: a state that was changed was the other one before.
    for pair in theirs.windows(2) {
        assert_ne!(pair[0]["action"], pair[1]["action"]);
    }
    let last = theirs.last().unwrap()["action"].as_str().unwrap();
    let state = get(&world, "/v1/connections/acme", &security).await.json()["state"].clone();
    assert_eq!(
        state,
        if last == "connection suspend" {
            "suspended"
        } else {
            "ok"
        }
    );
}

#[tokio::test]
async fn a_revoked_credential_ends_on_open_connections_with_the_next_request() {
    let world = World::plain().await;
    let viewer = credential(&world, "eve", "viewer");
    let security = credential(&world, "sec", "security");
    let mut line = Line::open(world.monitor).await;
    assert_eq!(
        line.ask(&Asked::get("/v1/status", &viewer)).await.status,
        StatusCode::OK
    );
    assert!(
        world
            .command(&["admin", "revoke", id_of(&viewer), "--reason", "left"])
            .status
            .success()
    );
    let told = line.ask(&Asked::get("/v1/status", &viewer)).await;
    assert_eq!(
        (told.status, &*told.code()),
        (StatusCode::UNAUTHORIZED, "unauthenticated")
    );
    // And by the API, of the one who asks.
    let mut line = Line::open(world.monitor).await;
    let target = format!("/v1/credentials/{}/revoke", id_of(&security));
    let told = line
        .ask(&Asked::post(&target, &security, r#"{"reason":"done"}"#))
        .await;
    assert_eq!(told.json()["result"], "changed", "{}", told.text);
    assert_eq!(
        line.ask(&Asked::get("/v1/status", &security)).await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_credential_revoked_while_its_body_is_on_the_way_changes_nothing() {
    let world = World::plain().await;
    let operator = credential(&world, "ops", "operator");
    let viewer = credential(&world, "eve", "viewer");
    let body = r#"{"reason":"late"}"#;
    let head = format!(
        "POST /v1/connections/acme/suspend HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {operator}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        world.monitor,
        body.len()
    );
    let mut stream = Overheard::connect(world.monitor).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // The gate asks for the body: by then it has let the credential in.
    let mut interim = [0; 25];
    within(stream.read_exact(&mut interim)).await.unwrap();
    assert!(
        interim.starts_with(b"HTTP/1.1 100 "),
        "{}",
        String::from_utf8_lossy(&interim)
    );
    assert!(world.command(&["admin", "revoke", "ops"]).status.success());
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert_eq!(
        get(&world, "/v1/connections/acme", &viewer).await.json()["state"],
        "ok"
    );
}

#[tokio::test]
async fn an_admin_credential_opens_nothing_on_the_data_port() {
    let world = World::plain().await;
    let security = credential(&world, "sec", "security");
    world.sim.forget_received();
    let told = world.get("/crm/v3/objects/contacts/1001", &security).await;
    assert_eq!(told.status, StatusCode::UNAUTHORIZED);
    assert_eq!(told.sub_category(), "scopegate.key");
    // Nor does it travel in a target that a good key asks for.
    let key = world.key("reader");
    let told = world
        .get(&format!("/crm/v3/objects/contacts/{security}"), &key)
        .await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST);
    assert!(world.sim.received().is_empty());
    let told = post(&world, "/v1/kill", &key, r#"{"kind":"all","reason":"x"}"#).await;
    assert_eq!(told.status, StatusCode::UNAUTHORIZED);
}

/// The credential of `acme` is said to be another portal's: HubSpot has to be asked before it is resumed.
fn make_foreign(world: &World) {
    let store = Store::open_existing(&world.home().join("data/scopegate.db")).unwrap();
    let by = Provenance {
        actor: "test".to_owned(),
        reason: None,
    };
    let row = store.connections().unwrap().remove(0);
    store
        .suspend_foreign(&row.id, "another portal's", "connection suspend", &by)
        .unwrap();
}

#[tokio::test]
async fn what_hubspot_must_be_asked_about_is_resumed_by_its_word_alone() {
    let world = World::plain().await;
    let operator = credential(&world, "ops", "operator");
    make_foreign(&world);
    let resume = "/v1/connections/acme/resume";
    let everything = world
        .sim
        .fault(Fault::always(Matching::any(), Action::CloseBeforeHead));
    let told = post(&world, resume, &operator, r#"{"reason":"try"}"#).await;
    assert_eq!(
        (told.status, &*told.code()),
        (StatusCode::CONFLICT, "conflict"),
        "{}",
        told.text
    );
    assert_eq!(
        get(&world, "/v1/connections/acme", &operator).await.json()["state"],
        "suspended"
    );
    world.sim.remove_fault(everything);
    let told = post(&world, resume, &operator, r#"{"reason":"again"}"#).await;
    assert_eq!(told.json()["state"], "ok", "{}", told.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_behind_nothing_that_takes_long() {
    let world = World::plain().await;
    let operator = credential(&world, "ops", "operator");
    make_foreign(&world);
    world.sim.forget_received();
    world
        .sim
        .fault(Fault::always(Matching::any(), Action::HangBeforeHead));
    // As many as may be at work at once, all waiting for HubSpot.
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let (address, credential) = (world.monitor, operator.clone());
            tokio::spawn(async move {
                let mut line = Line::open(address).await;
                let asked = Asked::post("/v1/connections/acme/resume", &credential, r#"{"reason":"x"}"#);
                line.ask(&asked).await.status
            })
        })
        .collect();
    world
        .until("all wait for HubSpot", async |world| {
            world.sim.received().len() >= 4
        })
        .await;
    let told = post(
        &world,
        "/v1/integrations/reader/kill",
        &operator,
        r#"{"reason":"leak"}"#,
    )
    .await;
    assert_eq!(
        (told.status, &told.json()["in_force"]),
        (StatusCode::OK, &true.into()),
        "{}",
        told.text
    );
    assert!(
        waiting.iter().all(|one| !one.is_finished()),
        "the stop did not wait for them"
    );
    for one in waiting {
        one.abort();
    }
    world.sim.clear_faults();
}
