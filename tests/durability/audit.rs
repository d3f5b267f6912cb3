//! An audit log that fails while the gate runs: stuck, refused, removed, renamed, torn.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::place::{Place, metric, read, ready, until, write};
use crate::row;

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_stuck_or_refused_stops_what_it_can_not_record() {
    for (fault, action) in [
        ("the audit disk hangs", "audit-commit=pause"),
        (
            "the audit disk refuses (EIO)",
            "audit-commit=return(no space left)",
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
            "noticed at the next record, which goes into a file begun anew, behind a `gap` line of cause `removed`",
            "by itself",
        );
    }
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
