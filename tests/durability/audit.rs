//! An audit log that fails while the gate runs: stuck, refused, removed, renamed, torn.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::child::Gate;
use crate::place::{Place, READ, metric, patch, read, ready, until, write};
use crate::row;
use crate::wire::{Wire, request};

/// Files of the log, in their order.
pub fn log_files(place: &Place) -> Vec<PathBuf> {
    let files = std::fs::read_dir(place.audit_dir())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .collect();
    files.sort();
    files
}

/// Whether a record waits for the disk.
async fn waits(gate: &Gate) -> bool {
    metric(gate, "scopegate_audit_oldest_unwritten_seconds", "").await > 0.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_does_not_wait_for_the_record_of_the_one_before() {
    let place = Place::new("").await;
    let mut gate = place.start();
    assert_eq!(read(&gate, &place.reader).await.status, 200);
    place.faults().set(&["audit-sync=sleep(1500)"]).await;
    let revoke = async |key: &str| {
        let (code, said) = place
            .command(&["key", "revoke", &key[5..17], "--reason", "leaked"])
            .await;
        assert_eq!(code, 0, "{said}");
        let told = said
            .split("after ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        told.unwrap_or_else(|| panic!("{said}")).parse::<f64>().unwrap()
    };
    for key in [&place.reader, &place.writer] {
        let told = revoke(key).await;
        // The record of the one before waits for 1.5 s.
        assert!(told <= 1.2, "{told} s");
    }
    place.faults().set(&[]).await;
    let recorded = || {
        let lines = place.world.audit();
        let revoked = lines.iter().filter(|line| line["action"] == "key revoke");
        revoked
            .map(|line| line["subject"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    until("both are recorded", async || recorded().len() == 2).await;
    gate.signal(Signal::TERM);
    gate.wait();
    let gate = place.start();
    assert_eq!(read(&gate, &place.reader).await.status, 401);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let expected = [&place.reader[5..17], &place.writer[5..17]];
    assert_eq!(
        recorded(),
        expected,
        "each once, in order, after another start, too"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_stuck_or_refused_stops_what_it_can_not_record() {
    for (fault, action) in [
        ("the audit disk hangs", "audit-commit=pause"),
        ("the audit disk takes lines and does not sync", "audit-sync=pause"),
        ("the audit disk refuses", "audit-commit=return(no space left)"),
        (
            "the audit disk fails at the sync",
            "audit-sync=return(input/output error)",
        ),
    ] {
        let place = Place::new("").await;
        let gate = place.start();
        assert_eq!(write(&gate, &place.writer).await.status, 200);
        assert_eq!(read(&gate, &place.reader).await.status, 200);
        place.faults().set(&[action]).await;
        let seen = place.world.sim.received().len();
        let asked = Instant::now();
        let reply = write(&gate, &place.writer).await;
        let waited = asked.elapsed();
        assert_eq!(reply.status, 503, "{fault}: {reply:?}");
        assert!(reply.text().contains("scopegate.audit"), "{fault}: {reply:?}");
        assert!(
            waited < Duration::from_secs(8),
            "{fault}: `audit.max_wait` is 2 s: {waited:?}"
        );
        until("reads stop", async || {
            let reply = read(&gate, &place.reader).await;
            reply.status == 503 && reply.text().contains("scopegate.audit")
        })
        .await;
        let stopped = asked.elapsed();
        assert!(ready(&gate).await.contains("audit"), "{fault}");
        assert!(
            metric(&gate, "scopegate_audit_oldest_unwritten_seconds", "").await >= 1.0,
            "{fault}"
        );
        let upstream = place.world.sim.received();
        assert!(
            upstream[seen..].iter().all(|one| one.method == "GET"),
            "{fault}: no write went up"
        );
        place.faults().set(&[]).await;
        until("it goes on by itself", async || {
            write(&gate, &place.writer).await.status == 200 && read(&gate, &place.reader).await.status == 200
        })
        .await;
        // What was read meanwhile is recorded, late.
        let reads = upstream[seen..].len();
        until("every read that went up is recorded", async || {
            let allowed = place.world.audit();
            let allowed = allowed.iter().filter(|line| {
                line["kind"] == "decision" && line["integration"] == "reader" && line["decision"] == "allow"
            });
            allowed.count() > reads
        })
        .await;
        row(
            fault,
            &format!(
                "a write is 503 `scopegate.audit` after {waited:.1?}, reads from {stopped:.1?} on; nothing unrecorded is \
                 written; `scopegate_audit_oldest_unwritten_seconds` grows, not ready"
            ),
            "by itself; what was read meanwhile is recorded late",
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_removed_or_renamed_beneath_is_begun_anew_with_a_gap() {
    for fault in ["removed", "renamed", "its folder removed"] {
        let place = Place::new("").await;
        let gate = place.start();
        assert_eq!(write(&gate, &place.writer).await.status, 200);
        let folder = place.audit_dir();
        let file = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|end| end == "jsonl"))
            .unwrap();
        match fault {
            "removed" => std::fs::remove_file(&file).unwrap(),
            "renamed" => std::fs::rename(&file, file.with_extension("jsonl.1")).unwrap(),
            _ => std::fs::remove_dir_all(&folder).unwrap(),
        }
        let reply = write(&gate, &place.writer).await;
        assert!(matches!(reply.status, 200 | 503), "{fault}: {reply:?}");
        let id = reply.id();
        until("it goes on by itself", async || {
            write(&gate, &place.writer).await.status == 200
        })
        .await;
        until("the gap is marked", async || {
            let lines = place.world.audit();
            lines
                .iter()
                .any(|line| line["kind"] == "gap" && line["cause"] == "removed")
        })
        .await;
        // What was passed after the fault is in the log that can be read.
        if reply.status == 200 {
            let lines = place.world.audit();
            assert!(
                lines.iter().any(|line| line["id"] == id.as_str()),
                "{fault}: {lines:?}"
            );
        }
        assert!(
            gate.log().contains("removed or renamed beneath"),
            "{fault}: {}",
            gate.log()
        );
        row(
            &format!("the audit file is {fault}"),
            "noticed at the next record, which goes into a file begun anew, with a `gap` line of cause `removed` behind it",
            "by itself",
        );
    }
}

/// Its client left, or the record was too late: then it is known that nothing went up.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_waited_for_its_record_in_vain_has_an_outcome_that_says_it_did_not_go_up() {
    let place = Place::new("").await;
    let gate = place.start();
    place.faults().set(&["audit-commit=pause"]).await;
    let mut leaving = Wire::open(gate.gate).await;
    // All of it is read, so that its end is noticed.
    leaving
        .write(request("PATCH", READ, &place.writer, &[], ""))
        .await;
    until("its record waits", async || waits(&gate).await).await;
    drop(leaving);
    let reply = write(&gate, &place.writer).await;
    assert!(
        reply.status == 503 && reply.text().contains("scopegate.audit"),
        "{reply:?}"
    );
    place.faults().set(&[]).await;
    until("the disk has taken them", async || !waits(&gate).await).await;
    let lines = place.world.audit();
    let of = |kind: &str| {
        let of_kind = lines.iter().filter(|line| line["kind"] == kind);
        of_kind
            .filter(|line| line["integration"] == "writer")
            .collect::<Vec<_>>()
    };
    let (decisions, outcomes) = (of("decision"), of("outcome"));
    assert!(
        decisions.iter().all(|line| line["decision"] == "allow"),
        "{decisions:?}"
    );
    let ids = |lines: &[&serde_json::Value]| {
        let mut ids: Vec<_> = lines
            .iter()
            .map(|line| line["id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(
        (decisions.len(), ids(&decisions)),
        (2, ids(&outcomes)),
        "{lines:?}"
    );
    for outcome in outcomes {
        assert_eq!(outcome["sent_upstream"], false, "{outcome}");
        let expected = match outcome["id"] == reply.id().as_str() {
            true => (503, "audit"),
            false => (0, "none"),
        };
        assert_eq!(
            (outcome["status"].as_u64(), outcome["reason"].as_str()),
            (Some(expected.0), Some(expected.1)),
            "{lines:#?}"
        );
    }
    assert!(place.world.sim.received().is_empty(), "nothing went up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_only_the_stop_line_finds_is_said_before_the_log_ends() {
    let place = Place::new("").await;
    let mut gate = place.start();
    let id = write(&gate, &place.writer).await.id();
    until("its outcome is written", async || {
        let lines = place.world.audit();
        lines
            .iter()
            .any(|line| line["kind"] == "outcome" && line["id"] == id.as_str())
    })
    .await;
    std::fs::remove_file(log_files(&place).first().unwrap()).unwrap();
    gate.signal(Signal::TERM);
    assert!(gate.wait().success(), "{}", gate.log());
    let lines = place.world.audit();
    let is_gap = |line: &serde_json::Value, cause| line["kind"] == "gap" && line["cause"] == cause;
    assert!(lines.iter().any(|line| is_gap(line, "removed")), "{lines:?}");
    assert_eq!(lines.last().unwrap()["event"], "stop", "{lines:?}");
    drop(gate);
    let gate = place.start();
    assert_eq!(write(&gate, &place.writer).await.status, 200);
    let lines = place.world.audit();
    assert!(!lines.iter().any(|line| is_gap(line, "crash")), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_after_a_removal_is_not_filled_with_empty_files() {
    let place = Place::new("").await;
    let gate = place.start();
    assert_eq!(write(&gate, &place.writer).await.status, 200);
    until("all is written", async || !waits(&gate).await).await;
    // The first commit finds out that the file is gone; from the second on the disk is full.
    place
        .faults()
        .set(&["audit-commit=1*off->return(no space left)"])
        .await;
    std::fs::remove_file(log_files(&place).first().unwrap()).unwrap();
    assert_eq!(write(&gate, &place.writer).await.status, 503);
    assert!(
        gate.log().contains("removed or renamed beneath"),
        "{}",
        gate.log()
    );
    let files = log_files(&place);
    assert_eq!(files.len(), 1, "after some twenty attempts: {files:?}");
    place.faults().set(&[]).await;
    until("it goes on by itself", async || {
        write(&gate, &place.writer).await.status == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_whose_audit_disk_hangs_ends_all_the_same_and_says_what_is_lost() {
    let place = Place::new("").await;
    let mut gate = place.start();
    place.faults().set(&["audit-sync=pause"]).await;
    let mut wire = Wire::open(gate.gate).await;
    wire.write(patch(&place.writer)).await;
    until("its record waits", async || waits(&gate).await).await;
    gate.signal(Signal::TERM);
    // Within twenty seconds, or the test ends here.
    gate.wait();
    assert!(
        gate.log().contains("not all audit records reached the disk"),
        "{}",
        gate.log()
    );
    assert!(place.world.sim.received().is_empty(), "nothing went up");
    row(
        "the audit disk hangs while the gate stops",
        "it ends after at most twice `audit.max_wait` more, and says `audit.incomplete`",
        "start it again",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_while_the_answer_about_it_waits_for_the_disk_is_told_of_as_unknown() {
    let place = Place::new("audit: { durable: all, max_wait: 30s }\n").await;
    let gate = place.start();
    let question = format!(
        "POST /oauth/v3/token/introspect HTTP/1.1\r\nHost: gate\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\ntoken={}",
        "token=".len() + place.reader.len(),
        place.reader
    );
    let mut wire = Wire::open(gate.gate).await;
    let good = wire.ask(&question).await;
    assert_eq!(
        (good.status, &good.json()["active"]),
        (200, &true.into()),
        "{good:?}"
    );
    place.faults().set(&["audit-commit=pause"]).await;
    wire.write(&question).await;
    until("its record waits", async || waits(&gate).await).await;
    let id = place.reader["sg_l_".len()..].get(..12).unwrap();
    let (status, said) = place.command(&["key", "revoke", id]).await;
    assert_eq!(status, 0, "{said}");
    until("the gate knows", async || {
        read(&gate, &place.reader).await.status == 401
    })
    .await;
    place.faults().set(&[]).await;
    let late = wire.reply().await.unwrap();
    assert_eq!(
        (late.status, late.text().as_str()),
        (200, r#"{"active":false}"#),
        "{late:?}"
    );
    until("its outcome is written", async || {
        let lines = place.world.audit();
        let mut outcomes = lines.iter().filter(|line| line["kind"] == "outcome");
        outcomes.any(|line| line["id"] == late.id().as_str() && line["reason"] == "key_revoked")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_last_line_is_cut_and_said_and_no_whole_line_is_lost() {
    let place = Place::new("").await;
    let mut gate = place.start();
    let id = write(&gate, &place.writer).await.id();
    gate.signal(Signal::KILL);
    gate.wait();
    let file = std::fs::read_dir(place.audit_dir())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .unwrap();
    let mut text = std::fs::read_to_string(&file).unwrap();
    text.push_str("{\"seq\":99,\"kind\":\"decision\",\"id\":\"");
    std::fs::write(&file, text).unwrap();
    let gate = place.start();
    assert_eq!(write(&gate, &place.writer).await.status, 200);
    let lines = place.world.audit();
    let gap = lines
        .iter()
        .find(|line| line["kind"] == "gap" && line["cut_bytes"].as_u64() > Some(0));
    assert!(gap.is_some(), "{lines:?}");
    assert!(
        lines.iter().any(|line| line["id"] == id.as_str()),
        "what was durable is there"
    );
    row(
        "the last line of the audit log is torn",
        "it is cut at the start and a `gap` line says how much",
        "by itself",
    );
}
