//! No decision without a record, no permit without a decision: and what changes data is on the disk
//! before it is forwarded.

use std::collections::HashMap;

use scopegate::sim::{Action, Fault, Matching};

use crate::child::Gate;
use crate::support::{Setup, World};
use crate::wire::{Wire, get, post, request};

const GOOD: &str = "/crm/v3/objects/contacts/1001";
const CREATE: &str = "/crm/v3/objects/contacts";

fn new_contact(name: &str) -> String {
    format!(r#"{{"properties":{{"email":"{name}@example.com"}}}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_on_the_disk_before_the_upstream_has_seen_a_byte_of_it() {
    let world = World::plain().await;
    let key = world.key("writer");
    world.sim.fault(Fault::always(
        Matching::any().method("POST"),
        Action::HangBeforeHead,
    ));
    let mut wire = Wire::open(world.gate).await;
    wire.write(post(CREATE, &key, &new_contact("durable"))).await;
    world
        .until("the write has arrived", async |world| {
            !world.sim.received().is_empty()
        })
        .await;
    let audit = world.audit();
    let line = audit
        .iter()
        .find(|line| line["operation"] == "crm.objects.create")
        .expect("a record of it");
    assert_eq!(
        (&line["kind"], &line["decision"]),
        (&"decision".into(), &"allow".into()),
        "{line}"
    );
    assert!(
        audit.iter().all(|line| line["kind"] != "outcome"),
        "it has not ended yet"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_not_forwarded_and_the_gate_recovers_with_its_disk() {
    let mut world = World::with(Setup {
        config: "audit: { max_wait: 1s }\n".into(),
        ..Setup::default()
    })
    .await;
    let (writer, reader) = (world.key("writer"), world.key("reader"));
    world.stop().await;
    let gate = Gate::start(&world.config());
    let mut wire = Wire::open(gate.gate).await;
    assert_eq!(
        wire.ask(post(CREATE, &writer, &new_contact("one"))).await.status,
        201
    );
    world.sim.forget_received();

    gate.limit_files(Some(0));
    for name in ["two", "three"] {
        let reply = wire.ask(post(CREATE, &writer, &new_contact(name))).await;
        assert_eq!(
            (reply.status, reply.sub_category().as_str()),
            (503, "scopegate.audit"),
            "{reply:?}"
        );
        assert!(reply.header("retry-after").is_some());
    }
    // Reads may run ahead of the disk for `audit.max_wait`, and no longer: that has passed.
    let read = wire.ask(get(GOOD, &reader)).await;
    assert_eq!(
        (read.status, read.sub_category().as_str()),
        (503, "scopegate.audit"),
        "{read:?}"
    );
    // A denial that can't be recorded is not given as a denial either.
    let denial = wire.ask(request("DELETE", GOOD, &reader, &[], "")).await;
    assert_eq!(
        (denial.status, denial.sub_category().as_str()),
        (503, "scopegate.audit"),
        "{denial:?}"
    );
    assert!(
        world.sim.received().is_empty(),
        "nothing went up without a record"
    );
    let ready = Wire::open(gate.admin)
        .await
        .ask("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    assert_eq!(ready.status, 503, "{ready:?}");

    gate.limit_files(None);
    let mut recovered = None;
    world
        .until("the disk has taken what waited", async |_| {
            let reply = wire.ask(post(CREATE, &writer, &new_contact("four"))).await;
            let passed = reply.status == 201;
            assert!(passed || reply.sub_category() == "scopegate.audit", "{reply:?}");
            recovered = Some(reply.id());
            passed
        })
        .await;
    drop(gate);
    let audit = world.audit();
    let seqs: Vec<u64> = audit.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert!(
        seqs.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "records are missing: {seqs:?}"
    );
    let recovered = recovered.unwrap();
    assert!(audit.iter().any(|line| line["id"] == *recovered), "{audit:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_went_up_has_its_decision_and_every_decision_its_record() {
    let mut world = World::plain().await;
    let (writer, reader) = (world.key("writer"), world.key("reader"));
    let calls = [
        get(GOOD, &reader),
        get("/crm/v3/objects/contacts?limit=1", &writer),
        get("/crm/v3/objects/deals", &reader),
        get("/crm/v3/nothing", &reader),
        get("/crm/v3/objects/contacts/%2e%2e", &reader),
        post(CREATE, &writer, &new_contact("a")),
        post(CREATE, &reader, &new_contact("b")),
        post(CREATE, &writer, "{"),
        post("/crm/v3/objects/contacts/search", &reader, r#"{"limit":1}"#),
        request(
            "PATCH",
            GOOD,
            &writer,
            &["Content-Type: application/json"],
            r#"{"properties":{"phone":"1"}}"#,
        ),
        request("DELETE", GOOD, &writer, &[], ""),
        get("/oauth/v1/access-tokens/x", &reader),
    ];
    let mut answered = HashMap::new();
    for faulty in [false, true] {
        if faulty {
            world
                .sim
                .fault(Fault::always(Matching::any(), Action::CloseBeforeHead));
        }
        for bytes in &calls {
            let reply = Wire::open(world.gate).await.ask(bytes).await;
            let known = answered.insert(reply.id(), (reply.status, reply.verdict()));
            assert!(known.is_none() && reply.id().len() == 36, "{reply:?}");
        }
    }
    let went_up = world.sim.received().len();
    world.stop().await;
    let audit = world.audit();
    let decisions: HashMap<&str, &str> = audit
        .iter()
        .filter(|line| line["kind"] == "decision")
        .map(|line| (line["id"].as_str().unwrap(), line["decision"].as_str().unwrap()))
        .collect();
    let mut allowed = 0;
    for (id, (status, verdict)) in &answered {
        match decisions.get(id.as_str()) {
            Some(recorded) => {
                assert_eq!(recorded, verdict, "{id} {status}");
                allowed += usize::from(*recorded == "allow");
            }
            // Without a good key nothing is decided: such calls are counted together.
            None => assert_eq!(*status, 401, "{id} {verdict}"),
        }
    }
    assert_eq!(allowed, 10, "{decisions:?}");
    // A read that lost the connection it was the second to use goes up once more, and its record says so.
    let twice = audit.iter().filter(|line| line["replayed"] == true).count();
    assert!(twice <= 2, "one a worker's idle connection: {twice}");
    assert_eq!(went_up, allowed + twice, "as many went up as were allowed");
    for id in decisions
        .iter()
        .filter(|(_, verdict)| **verdict == "allow")
        .map(|(id, _)| *id)
    {
        let outcomes = audit
            .iter()
            .filter(|line| line["kind"] == "outcome" && line["id"] == id)
            .count();
        assert_eq!(outcomes, 1, "an allowed call has one outcome");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_waiting_and_the_log_is_closed_all_the_same() {
    let mut world = World::plain().await;
    let key = world.key("writer");
    world
        .sim
        .fault(Fault::always(Matching::any(), Action::HangBeforeHead));
    let mut wire = Wire::open(world.gate).await;
    wire.write(post(CREATE, &key, &new_contact("cut"))).await;
    world
        .until("the write has arrived", async |world| {
            !world.sim.received().is_empty()
        })
        .await;
    world.stop_at_once().await;
    let audit = world.audit();
    let last = audit.last().unwrap();
    assert_eq!(
        (&last["kind"], &last["event"]),
        (&"gate".into(), &"stop".into()),
        "{audit:#?}"
    );
    let outcome = audit
        .iter()
        .find(|line| line["kind"] == "outcome")
        .expect("an outcome although it was cut");
    assert_eq!(outcome["sent_upstream"], true, "{outcome}");
}
