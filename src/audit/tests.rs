//! The log as its users see it: what is refused, when, and what stands in the files afterwards.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use super::files::Found;
use super::*;
use crate::access::connection::ConnectionName;
use crate::access::effect::Effect;
use crate::access::key::KeyId;
use crate::access::refusal::Reason;
use crate::access::verdict::{Source, Verdict};

fn settings(dir: &Path) -> AuditSettings {
    AuditSettings {
        dir: dir.to_owned(),
        durable_reads: false,
        queue_records: 100,
        max_wait: Duration::from_millis(300),
        file_bytes: 1 << 20,
    }
}

/// What the names in a record are borrowed from.
struct Names {
    integration: Arc<str>,
    connection: ConnectionName,
    object_types: [Arc<str>; 1],
}

fn names_of(integration: &str) -> Names {
    Names {
        integration: integration.into(),
        connection: ConnectionName::parse("acme").unwrap(),
        object_types: ["contacts".into()],
    }
}

fn names() -> Names {
    names_of("contact-report")
}

impl Names {
    fn decision(&self, effect: Effect, verdict: Verdict) -> DecisionRecord<'_> {
        DecisionRecord {
            time: Timestamp::now(),
            id: Uuid::new_v4(),
            integration: &self.integration,
            key: KeyId::parse("abcdefghijkl").unwrap(),
            connection: Some(&self.connection),
            portal: Some(4711),
            operation: Some("crm.objects.list"),
            template: Some("/crm/v3/objects/{objectType}"),
            effect: Some(effect),
            object_types: &self.object_types,
            verdict,
            rule: Some("contact-report#allow[0]"),
            reason: if verdict.passes() {
                Reason::None
            } else {
                Reason::NoRule
            },
            limit: None,
            lacks: &[],
            policy: "sha256:p",
            catalogue: "sha256:c",
            snapshot: 7,
            network: Network::of("203.0.113.9".parse::<IpAddr>().unwrap()),
        }
    }
}

/// Hands a decision over, and waits as long as it must be waited for.
async fn decided(handle: &Handle, effect: Effect, verdict: Verdict) -> Result<(), AuditRefused> {
    on_disk(handle.decided(&names().decision(effect, verdict))).await
}

/// A read of an integration, which nobody waits for.
fn push_read_of(handle: &Handle, integration: &str) -> Result<(), AuditRefused> {
    let recording = handle.decided(&names_of(integration).decision(Effect::Read, Verdict::Allow))?;
    assert!(recording.is_none());
    Ok(())
}

fn push_read(handle: &Handle) -> Result<(), AuditRefused> {
    push_read_of(handle, "contact-report")
}

fn outcome() -> OutcomeRecord<'static> {
    OutcomeRecord {
        time: Timestamp::now(),
        id: Uuid::new_v4(),
        integration: "contact-report",
        status: 200,
        source: Source::Upstream,
        reason: Reason::None,
        sent_upstream: true,
        cut_short: false,
        replayed: false,
        after_kill: false,
        stripped: 0,
        refused: None,
        request_bytes: 0,
        response_bytes: 1234,
        duration: Duration::from_millis(80),
        upstream: Duration::from_millis(79),
    }
}

#[test]
fn an_outcome_of_a_403_stands_alone_and_every_other_has_no_member_more() {
    let line = |record: &OutcomeRecord<'_>| {
        let mut line = Vec::new();
        record.write_line(&mut line);
        String::from_utf8(line).unwrap()
    };
    let plain = line(&outcome());
    assert!(
        !plain.contains("cause") && !plain.contains("connection"),
        "{plain}"
    );
    let lacks = ["tickets".to_owned()];
    let line = line(&OutcomeRecord {
        status: 403,
        refused: Some(RefusedRecord {
            cause: "missing_scope",
            lacks: &lacks,
            lacks_any: false,
            detail: Some("corrected"),
            connection: "acme",
            operation: Some("crm.objects.list"),
        }),
        ..outcome()
    });
    assert!(line.starts_with(",\"kind\":\"outcome\""), "{line}");
    let members = "\"cause\":\"missing_scope\",\"lacks\":[\"tickets\"],\"cause_detail\":\"corrected\",\
                   \"connection\":\"acme\",\"operation\":\"crm.objects.list\",\"request_bytes\"";
    assert!(line.contains(members), "{line}");
}

/// The lines of all files in a folder, oldest first.
fn lines(folder: &Path) -> Vec<Value> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    names.sort();
    let text: String = names
        .iter()
        .map(|name| std::fs::read_to_string(name).unwrap())
        .collect();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn kinds(lines: &[Value]) -> Vec<String> {
    let kind = |line: &Value| match line["event"].as_str() {
        Some(event) => format!("{}:{event}", line["kind"].as_str().unwrap()),
        None => line["kind"].as_str().unwrap().to_owned(),
    };
    lines.iter().map(kind).collect()
}

fn assert_numbered(lines: &[Value]) {
    for (n, line) in lines.iter().enumerate() {
        assert_eq!(line["seq"], n as u64 + 1, "{line}");
    }
}

/// A disk that can be told to fail or to hang.
#[derive(Clone, Default)]
struct Disk {
    written: Arc<Mutex<Vec<u8>>>,
    commits: Arc<Mutex<u32>>,
    full: Arc<AtomicBool>,
    hangs: Arc<AtomicBool>,
}

impl Disk {
    fn auditor(&self, settings: &AuditSettings) -> Auditor {
        let found = Found {
            next_seq: 1,
            ended_in_order: true,
            cut_bytes: 0,
        };
        Auditor::with_sink(settings, Box::new(self.clone()), found).unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.written.lock().unwrap().clone()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Sink for Disk {
    fn commit(&mut self, lines: &[u8], _: Timestamp) -> io::Result<()> {
        while self.hangs.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if self.full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        *self.commits.lock().unwrap() += 1;
        self.written.lock().unwrap().extend_from_slice(lines);
        Ok(())
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

/// Waits for what another thread does, within bounds.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_decision_and_its_outcome_stand_in_the_file_with_every_field_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let auditor = Auditor::start(&settings(folder.path()), "gate-1").unwrap();
    let handle = auditor.handle();
    push_read(&handle).unwrap();
    handle.ended(&outcome()).unwrap();
    assert!(auditor.stop());
    let lines = lines(&folder.path().join("gate-1"));
    assert_eq!(kinds(&lines), ["gate:start", "decision", "outcome", "gate:stop"]);
    assert_numbered(&lines);
    let members = |line: &Value| line.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        members(&lines[1]),
        [
            "catalogue",
            "connection",
            "decision",
            "effect",
            "id",
            "integration",
            "key",
            "kind",
            "network",
            "object_types",
            "operation",
            "policy",
            "portal",
            "reason",
            "rule",
            "seq",
            "snapshot",
            "template",
            "time"
        ]
    );
    assert_eq!(lines[1]["network"], "203.0.113.0/24");
    assert_eq!(lines[1]["decision"], "allow");
    let time = lines[1]["time"].as_str().unwrap();
    assert!(
        time.len() == "2026-11-22T12:00:00.000000Z".len() && time.ends_with('Z'),
        "{time}"
    );
    assert_eq!(lines[1]["reason"], "none");
    assert_eq!(lines[2]["duration_us"], 80_000);
    assert_eq!(
        members(&lines[2]),
        [
            "duration_us",
            "id",
            "integration",
            "kind",
            "reason",
            "request_bytes",
            "response_bytes",
            "sent_upstream",
            "seq",
            "source",
            "status",
            "time",
            "upstream_us"
        ]
    );
}

#[test]
fn a_crash_leaves_a_gap_line_and_the_numbers_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("gate-1");
    let auditor = Auditor::start(&settings(folder.path()), "gate-1").unwrap();
    push_read(&auditor.handle()).unwrap();
    assert!(auditor.stop());
    let newest = std::fs::read_dir(&own).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        path.extension().is_some_and(|e| e == "jsonl").then_some(path)
    });
    let newest = newest.unwrap();
    let text = std::fs::read_to_string(&newest).unwrap();
    // A crash in the middle of the last line.
    std::fs::write(&newest, &text[..text.len() - 20]).unwrap();
    assert!(Auditor::start(&settings(folder.path()), "gate-1").unwrap().stop());
    assert!(Auditor::start(&settings(folder.path()), "gate-1").unwrap().stop());
    let lines = lines(&own);
    assert_numbered(&lines);
    assert_eq!(
        kinds(&lines),
        [
            "gate:start",
            "decision",
            "gap",
            "gate:start",
            "gate:stop",
            "gate:start",
            "gate:stop"
        ]
    );
    assert_eq!(lines[2]["cause"], "crash");
    assert!(lines[2]["cut_bytes"].as_u64().unwrap() > 0);
}

#[test]
fn folders_and_files_are_closed_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data/audit");
    let auditor = Auditor::start(&settings(&dir), "gate-1").unwrap();
    assert!(auditor.stop());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join("gate-1")), 0o700);
    for entry in std::fs::read_dir(dir.join("gate-1")).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[test]
fn a_durable_record_is_on_the_disk_when_its_wait_ends_and_waiters_share_a_sync() {
    let disk = Disk::default();
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    // Fifty of one integration are within its share.
    settings.queue_records = 1_000;
    let auditor = disk.auditor(&settings);
    let handle = auditor.handle();
    runtime().block_on(async {
        decided(&handle, Effect::Write, Verdict::Allow).await.unwrap();
        assert_eq!(kinds(&disk.lines()), ["gate:start", "decision"]);
        let before = *disk.commits.lock().unwrap();
        disk.hangs.store(true, Ordering::SeqCst);
        let many =
            futures_util::future::join_all((0..50).map(|_| decided(&handle, Effect::Delete, Verdict::Allow)));
        let release = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            disk.hangs.store(false, Ordering::SeqCst);
        };
        let (results, ()) = tokio::join!(many, release);
        assert!(results.iter().all(Result::is_ok));
        let syncs = *disk.commits.lock().unwrap() - before;
        assert!(syncs <= 3, "{syncs} syncs for 50 waiters");
    });
    assert!(auditor.stop());
    assert_numbered(&disk.lines());
}

#[test]
fn reads_are_written_within_their_time_without_anybody_waiting() {
    let disk = Disk::default();
    let folder = tempfile::tempdir().unwrap();
    let auditor = disk.auditor(&settings(folder.path()));
    let handle = auditor.handle();
    runtime()
        .block_on(decided(&handle, Effect::Read, Verdict::Allow))
        .unwrap();
    eventually("the read is written", || disk.lines().len() == 2);
    eventually("nothing waits", || {
        auditor.watch().oldest_unwritten() == Duration::ZERO
    });
    assert_eq!(auditor.watch().counts().written, 2);
    assert!(auditor.stop());
}

#[test]
fn with_durable_all_a_read_waits_as_a_write_does() {
    let disk = Disk::default();
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.durable_reads = true;
    let auditor = disk.auditor(&settings);
    disk.full.store(true, Ordering::SeqCst);
    let handle = auditor.handle();
    // A denial does not go upstream: it need not wait.
    let denied = runtime().block_on(decided(&handle, Effect::Write, Verdict::Deny));
    assert_eq!(denied, Ok(()));
    let refused = runtime().block_on(decided(&handle, Effect::Read, Verdict::Allow));
    assert_eq!(refused, Err(AuditRefused::Slow));
    disk.full.store(false, Ordering::SeqCst);
    assert!(auditor.stop());
}

#[test]
fn a_full_disk_refuses_writes_after_their_wait_then_reads_and_recovers_by_itself() {
    let disk = Disk::default();
    let folder = tempfile::tempdir().unwrap();
    let auditor = disk.auditor(&settings(folder.path()));
    let (handle, watch) = (auditor.handle(), auditor.watch());
    assert!(watch.writable());
    disk.full.store(true, Ordering::SeqCst);
    let started = Instant::now();
    let write = runtime().block_on(decided(&handle, Effect::Write, Verdict::Allow));
    assert_eq!(write, Err(AuditRefused::Slow));
    assert!(started.elapsed() >= Duration::from_millis(300));
    assert_eq!(push_read(&handle), Err(AuditRefused::Stale));
    assert!(!watch.writable());
    assert!(watch.oldest_unwritten() >= Duration::from_millis(300));
    // What has happened is still taken: its request was decided before.
    assert_eq!(handle.ended(&outcome()), Ok(()));
    disk.full.store(false, Ordering::SeqCst);
    eventually("the log recovers", || {
        watch.writable() && watch.oldest_unwritten() == Duration::ZERO
    });
    assert_eq!(push_read(&handle), Ok(()));
    runtime()
        .block_on(decided(&handle, Effect::Write, Verdict::Allow))
        .unwrap();
    assert!(auditor.stop());
    let lines = disk.lines();
    assert_numbered(&lines);
    // The late write stands there, too: the record came before the refusal.
    assert_eq!(
        kinds(&lines),
        [
            "gate:start",
            "decision",
            "outcome",
            "decision",
            "decision",
            "gate:stop"
        ]
    );
    assert_eq!(watch.counts().refused, 2);
}

#[test]
fn a_hung_disk_fills_the_queue_refuses_at_once_and_says_afterwards_what_is_missing() {
    let disk = Disk::default();
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.max_wait = Duration::from_secs(30);
    let auditor = disk.auditor(&settings);
    let handle = auditor.handle();
    disk.hangs.store(true, Ordering::SeqCst);
    push_read(&handle).unwrap();
    // The writer holds what it has drained; from here on the queue fills.
    eventually("the writer holds the first record", || handle.queued() == 0);
    for n in 0..100 {
        push_read_of(&handle, &format!("i{n}")).unwrap();
    }
    assert_eq!(push_read_of(&handle, "i100"), Err(AuditRefused::Full));
    for _ in 0..100 {
        handle.ended(&outcome()).unwrap();
    }
    assert_eq!(handle.ended(&outcome()), Err(AuditRefused::Full));
    disk.hangs.store(false, Ordering::SeqCst);
    assert!(auditor.stop());
    let lines = disk.lines();
    assert_numbered(&lines);
    let gaps: Vec<_> = lines.iter().filter(|line| line["kind"] == "gap").collect();
    assert_eq!(gaps.len(), 1);
    assert_eq!(
        (&gaps[0]["cause"], &gaps[0]["records"]),
        (&"overflow".into(), &1.into())
    );
    assert_eq!(
        lines.iter().filter(|line| line["kind"] == "decision").count(),
        101
    );
    assert_eq!(lines.iter().filter(|line| line["kind"] == "outcome").count(), 100);
}

#[test]
fn one_integration_does_not_fill_the_queue_for_the_others() {
    let disk = Disk::default();
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.max_wait = Duration::from_secs(30);
    let auditor = disk.auditor(&settings);
    let handle = auditor.handle();
    disk.hangs.store(true, Ordering::SeqCst);
    push_read(&handle).unwrap();
    eventually("the writer holds the first record", || handle.queued() == 0);
    let taken = (0..100).filter(|_| push_read_of(&handle, "i1").is_ok()).count();
    assert_eq!(taken, 12 + 25, "an eighth that nobody minds, and then a quarter");
    handle.ended(&outcome()).unwrap();
    let other = (0..100).filter(|_| push_read_of(&handle, "i2").is_ok()).count();
    assert_eq!(other, 25);
    disk.hangs.store(false, Ordering::SeqCst);
    eventually("the queue is written", || handle.queued() == 0);
    assert!(push_read_of(&handle, "i1").is_ok(), "and its share with it");
    assert!(auditor.stop());
}

#[test]
fn after_the_stop_nothing_is_taken_and_nothing_taken_before_is_lost() {
    let disk = Disk::default();
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.queue_records = 1 << 20;
    let auditor = disk.auditor(&settings);
    let pushers: Vec<_> = (0..4)
        .map(|_| {
            let handle = auditor.handle();
            std::thread::spawn(move || {
                let mut taken = 0u64;
                while push_read(&handle) == Ok(()) {
                    taken += 1;
                }
                taken
            })
        })
        .collect();
    let late = auditor.handle();
    std::thread::sleep(Duration::from_millis(30));
    assert!(auditor.stop());
    let taken: u64 = pushers.into_iter().map(|pusher| pusher.join().unwrap()).sum();
    assert_eq!(push_read(&late), Err(AuditRefused::Stopped));
    let lines = disk.lines();
    assert_numbered(&lines);
    assert_eq!(lines.len() as u64, taken + 2);
    assert_eq!(lines.last().unwrap()["event"], "stop");
}

#[test]
fn a_stop_on_a_dead_disk_ends_and_says_so() {
    let disk = Disk::default();
    let folder = tempfile::tempdir().unwrap();
    let auditor = disk.auditor(&settings(folder.path()));
    push_read(&auditor.handle()).unwrap();
    disk.full.store(true, Ordering::SeqCst);
    assert!(!auditor.stop());
}

#[test]
fn strangers_become_one_line_and_loud_denials_become_a_sum() {
    let disk = Disk::default();
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.queue_records = 10_000;
    let auditor = disk.auditor(&settings);
    let (one, two) = (auditor.handle(), auditor.handle());
    for n in 0..1000u32 {
        let address = IpAddr::from([198, 51, 100, n as u8]);
        one.stranger(Reason::KeyUnknown, Network::of(address));
        two.stranger(Reason::KeyUnknown, Network::of(address));
    }
    let names = names();
    let loud = DecisionRecord {
        time: Timestamp::UNIX_EPOCH,
        ..names.decision(Effect::Write, Verdict::Deny)
    };
    for _ in 0..1000 {
        assert!(one.decided(&loud).unwrap().is_none());
    }
    let watch = auditor.watch();
    assert!(auditor.stop());
    let lines = disk.lines();
    assert_numbered(&lines);
    let aggregates: Vec<_> = lines.iter().filter(|line| line["kind"] == "aggregate").collect();
    assert_eq!(aggregates.len(), 2, "{aggregates:?}");
    assert_eq!(aggregates[0]["count"], 2000);
    assert_eq!(aggregates[0]["network"], "198.51.100.0/24");
    assert_eq!(aggregates[0].get("integration"), None);
    assert_eq!(aggregates[1]["count"], 950);
    assert_eq!(aggregates[1]["integration"], "contact-report");
    assert_eq!(watch.counts().folded, 950);
    assert_eq!(lines.iter().filter(|line| line["kind"] == "decision").count(), 50);
}

#[test]
fn denials_that_leave_no_line_keep_nobody_waiting() {
    let disk = Disk::default();
    let folder = tempfile::tempdir().unwrap();
    let auditor = disk.auditor(&settings(folder.path()));
    let (handle, watch) = (auditor.handle(), auditor.watch());
    let names = names();
    let loud = DecisionRecord {
        time: Timestamp::UNIX_EPOCH,
        ..names.decision(Effect::Write, Verdict::Deny)
    };
    let deny = |count: u32| (0..count).for_each(|_| drop(handle.decided(&loud).unwrap()));
    // Within its share of the queue.
    for written in [26, 51] {
        deny(25);
        eventually("each has a line", || watch.counts().written == written);
    }
    deny(10);
    eventually("these have none", || watch.counts().folded == 10);
    // Longer than anything may wait for the disk; the sum of them is written after ten seconds.
    std::thread::sleep(Duration::from_millis(400));
    assert!(watch.writable());
    assert_eq!(watch.oldest_unwritten(), Duration::ZERO);
    assert_eq!(push_read(&handle), Ok(()));
    assert!(auditor.stop());
}

#[test]
fn a_durable_wait_can_be_awaited_from_another_runtime_and_from_local_tasks() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let disk = Disk::default();
    let folder = tempfile::tempdir().unwrap();
    let auditor = disk.auditor(&settings(folder.path()));
    let handle = auditor.handle();
    let future = assert_send(decided(&handle, Effect::Write, Verdict::Allow));
    runtime().block_on(future).unwrap();
    let local = tokio::task::LocalSet::new();
    let not_send = std::rc::Rc::new(());
    local.block_on(&runtime(), async {
        let handle = handle.clone();
        let task = tokio::task::spawn_local(async move {
            let _kept = not_send;
            decided(&handle, Effect::Write, Verdict::Allow).await
        });
        task.await.unwrap().unwrap();
    });
    assert!(auditor.stop());
}

#[test]
fn every_address_of_a_network_is_the_same_network() {
    let network = |text: &str| Network::of(text.parse().unwrap()).to_string();
    assert_eq!(network("203.0.113.77"), "203.0.113.0/24");
    assert_eq!(network("::ffff:203.0.113.77"), "203.0.113.0/24");
    assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1::/48");
}

#[test]
fn a_log_that_is_dropped_closes_in_order_all_the_same() {
    let disk = Disk::default();
    let folder = tempfile::tempdir().unwrap();
    let auditor = disk.auditor(&settings(folder.path()));
    push_read(&auditor.handle()).unwrap();
    drop(auditor);
    eventually("the log is closed", || {
        kinds(&disk.lines()) == ["gate:start", "decision", "gate:stop"]
    });
}

#[test]
fn a_queue_whose_handles_are_gone_is_let_go_once_it_owes_nothing() {
    let disk = Disk::default();
    let folder = tempfile::tempdir().unwrap();
    let auditor = disk.auditor(&settings(folder.path()));
    let kept = auditor.handle();
    for _ in 0..10 {
        push_read(&auditor.handle()).unwrap();
    }
    auditor
        .handle()
        .stranger(Reason::KeyMissing, Network::of(IpAddr::from([192, 0, 2, 1])));
    eventually("the queues are let go", || {
        // A push makes the writer look.
        push_read(&kept).unwrap();
        auditor.shared.queue_count() == 2
    });
    assert!(auditor.stop());
    let lines = disk.lines();
    let aggregate = lines.iter().find(|line| line["kind"] == "aggregate").unwrap();
    assert_eq!(aggregate["reason"], "key_missing");
}
