//! What is under way when a stop comes: reads are broken off, writes end, refreshes end and are kept.

use std::time::{Duration, Instant};

use scopegate::sim::{Action, Fault, Matching};

use crate::place::{MOST, Place, READ};
use crate::support::World;
use crate::wire::{Wire, get, request};

const LIST: &str = "/crm/v3/objects/contacts?limit=100";

/// Longer than any stop may take: whoever waited for it is found out.
const LONG: Duration = Duration::from_secs(4);

fn assert_prompt(killed: Instant, what: &str) {
    println!("{what}: {:.3} s after the commit", killed.elapsed().as_secs_f64());
    assert!(killed.elapsed() < LONG, "{what} waited");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_read_is_broken_off_whether_it_trickles_or_stalls() {
    let place = Place::new().await;
    place.passes(&place.key).await;
    let trickle = Action::Trickle {
        piece_bytes: 20,
        pause: Duration::from_millis(20),
    };
    for (what, action) in [
        ("a trickling answer ends", trickle),
        ("a stalled answer ends", Action::HangMidBody),
    ] {
        place.world.sim.clear_faults();
        place.world.sim.fault(Fault::once(Matching::path(LIST), action));
        let mut wire = Wire::open(place.world.gate).await;
        wire.write(get(LIST, &place.key)).await;
        let head = wire.head().await.unwrap();
        assert_eq!(head.status, 200);
        let reading = tokio::spawn(async move {
            let mut body = Vec::new();
            let whole = wire.rest(&head, &mut body).await;
            (whole, Instant::now(), head.id())
        });
        let killed = place.kill(&["--connection", "one"]).await;
        let (whole, ended, id) = reading.await.unwrap();
        let after = ended.saturating_duration_since(killed);
        println!("{what}: {:.3} s after the commit", after.as_secs_f64());
        assert!(!whole && after < MOST, "{whole} {after:?}");
        let outcome = place.outcome(&id).await;
        assert_eq!(
            (&outcome["reason"], &outcome["cut_short"], &outcome["after_kill"]),
            (
                &"connection_killed".into(),
                &true.into(),
                &serde_json::Value::Null
            ),
            "{outcome}"
        );
        place.revive(&["--connection", "one"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_held_for_its_filter_is_withheld_and_401_takes_its_place() {
    let place = Place::new().await;
    let key = place
        .ok(&["key", "create", "--integration", "narrow", "--connection", "acme"])
        .await;
    let key = key.lines().next().unwrap().to_owned();
    place.passes(&key).await;
    place.world.sim.fault(Fault::once(
        Matching::path("/crm/v3/objects/contacts?"),
        Action::HangMidBody,
    ));
    let mut wire = Wire::open(place.world.gate).await;
    wire.write(get(LIST, &key)).await;
    place.until_received("/crm/v3/objects/contacts?").await;
    let killed = place.kill(&["--integration", "narrow"]).await;
    let reply = wire.reply().await.unwrap();
    assert_eq!(
        (reply.status, reply.sub_category().as_str()),
        (401, "scopegate.key"),
        "{reply:?}"
    );
    assert_prompt(killed, "an answer that was held is refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_waits_for_hubspot_is_answered_401_at_once() {
    let place = Place::new().await;
    place.passes(&place.key).await;
    place
        .world
        .sim
        .fault(Fault::once(Matching::path(LIST), Action::Delay(LONG * 3)));
    let mut wire = Wire::open(place.world.gate).await;
    wire.write(get(LIST, &place.key)).await;
    place.until_received(LIST).await;
    let killed = place.kill(&["--integration", "sync"]).await;
    let reply = wire.reply().await.unwrap();
    assert_eq!(
        (reply.status, reply.sub_category().as_str()),
        (401, "scopegate.key")
    );
    assert_prompt(killed, "a read that waited for HubSpot is answered");
    let outcome = place.outcome(&reply.id()).await;
    assert_eq!(
        (&outcome["reason"], &outcome["sent_upstream"]),
        (&"killed".into(), &true.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_its_turn_is_on_record_as_refused_and_never_as_allowed() {
    let place = Place::with("limits: { in_flight_per_integration: 1, in_flight_wait: 30s }\n").await;
    place.passes(&place.key).await;
    place.world.sim.forget_received();
    let slow = Action::Delay(LONG * 3);
    place.world.sim.fault(Fault::always(Matching::path(LIST), slow));
    let went_up = |world: &World| {
        let received = world.sim.received();
        received.iter().filter(|request| request.target == LIST).count()
    };
    // Each worker's lane has one, and one of the two another one that waits behind it.
    let mut wires = Vec::new();
    for up in [1, 2, 2] {
        let mut wire = Wire::open(place.world.gate).await;
        wire.write(get(LIST, &place.key)).await;
        wires.push(wire);
        place
            .world
            .until("as many are up as may be", async |world| went_up(world) == up)
            .await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(went_up(&place.world), 2, "the third waits");
    place.kill(&["--integration", "sync"]).await;
    let mut ids = Vec::new();
    for wire in &mut wires {
        let reply = wire.reply().await.unwrap();
        assert_eq!(
            (reply.status, reply.sub_category().as_str()),
            (401, "scopegate.key"),
            "{reply:?}"
        );
        ids.push(reply.id());
    }
    assert_eq!(went_up(&place.world), 2);
    let waited = place.recorded("decision", &ids[2]).await;
    assert_eq!(
        (&waited["decision"], &waited["reason"]),
        (&"deny".into(), &"killed".into()),
        "{waited}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_token_is_answered_at_once_and_the_refresh_is_completed_kept_and_not_used() {
    let place = Place::new().await;
    let generation = |place: &Place| place.store().connections().unwrap().pop().unwrap().generation;
    assert_eq!(
        place.store().connections().unwrap().pop().unwrap().name.as_str(),
        "one"
    );
    let before = generation(&place);
    place
        .world
        .sim
        .fault(Fault::once(Matching::path("/oauth/"), Action::Delay(LONG)));
    let mut wire = Wire::open(place.world.gate).await;
    wire.write(get(READ, &place.key)).await;
    place.until_received("/oauth/").await;
    let killed = place.kill(&["--person", "ada.lovelace@EXAMPLE.com"]).await;
    let reply = wire.reply().await.unwrap();
    assert_eq!(
        (reply.status, reply.sub_category().as_str()),
        (401, "scopegate.connection"),
        "{reply:?}"
    );
    assert_prompt(killed, "who waited for a token is answered");
    place
        .world
        .until("the refresh under way is stored", async |_| {
            generation(&place) > before
        })
        .await;
    assert!(place.calls_up().is_empty(), "{:?}", place.calls_up());
    // No new one begins, however often somebody asks.
    place.world.sim.expire_access_tokens();
    for _ in 0..20 {
        let reply = wire.ask(get(READ, &place.key)).await;
        assert_eq!(reply.status, 401);
    }
    assert_eq!(place.world.sim.received().len(), 1, "one refresh, no call");
    place.revive(&["--person", "ada.lovelace@example.com"]).await;
    place.passes(&place.key).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_head_has_gone_up_ends_and_is_recorded_as_after_the_stop() {
    let place = Place::new().await;
    place.passes(&place.key).await;
    // A change that HubSpot takes its time for.
    let body = r#"{"properties":{"firstname":"Late"}}"#;
    let patch = request(
        "PATCH",
        READ,
        &place.key,
        &["Content-Type: application/json"],
        body,
    );
    let slow = Matching::path(READ).method("PATCH");
    place.world.sim.fault(Fault::once(slow, Action::Delay(LONG)));
    place.world.sim.forget_received();
    let mut patching = Wire::open(place.world.gate).await;
    patching.write(&patch).await;
    place.until_received(READ).await;
    // An upload in the middle of its body.
    let file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\nhalf and half\r\n--b\r\n\
         Content-Disposition: form-data; name=\"folderPath\"\r\n\r\n/a\r\n--b\r\n\
         Content-Disposition: form-data; name=\"options\"\r\n\r\n{\"access\":\"PRIVATE\"}\r\n--b--\r\n";
    let length = format!("Content-Length: {}", file.len());
    let lines = ["Content-Type: multipart/form-data; boundary=b", &length];
    let mut uploading = Wire::open(place.world.gate).await;
    let (first, rest) = file.split_at(60);
    uploading
        .write(request("POST", "/files/v3/files", &place.key, &lines, "") + first)
        .await;
    place.until_received("/files/").await;
    // And one whose first byte is still to come: its body decides, and is not there.
    let mut deciding = Wire::open(place.world.gate).await;
    let unread = request(
        "POST",
        "/crm/v3/objects/contacts",
        &place.key,
        &["Content-Type: application/json", "Content-Length: 2000"],
        "",
    );
    deciding.write(unread + "{").await;

    let killed = place.kill(&["--all"]).await;
    let refused = deciding.reply().await.unwrap();
    assert_eq!(
        (refused.status, refused.sub_category().as_str()),
        (401, "scopegate.key")
    );
    assert_prompt(killed, "a write that had not gone up is answered");
    uploading.write(rest).await;
    for (wire, status) in [(&mut uploading, 201), (&mut patching, 200)] {
        let reply = wire.reply().await.unwrap();
        assert_eq!(
            (reply.status, reply.header("x-scopegate-source")),
            (status, Some("upstream")),
            "{reply:?}"
        );
        let outcome = place.outcome(&reply.id()).await;
        assert_eq!(
            (&outcome["after_kill"], &outcome["reason"], &outcome["status"]),
            (&true.into(), &"none".into(), &status.into()),
            "{outcome}"
        );
    }
    let received = place.world.sim.received();
    let upload = received
        .iter()
        .find(|received| received.target.starts_with("/files/"));
    assert!(upload.unwrap().complete, "the whole upload arrived");
    assert!(
        !received
            .iter()
            .any(|received| received.target == "/crm/v3/objects/contacts")
    );
    let reply = patching.ask(&patch).await;
    assert_eq!(reply.status, 401, "the next one does not pass");
}
