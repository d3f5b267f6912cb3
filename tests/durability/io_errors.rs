//! A disk that fails while the gate runs: system calls of the real binary on the store's files, or on the audit log's, fail
//! as they do on a bad disk, or on a file system that the kernel has remounted read-only. `strace` makes them fail, and is
//! taken away again; only root may set it on a gate that runs, so that others skip this and say so.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::child::Gate;
use crate::place::{Faults, Place, metric, read, ready, start, until, write};
use crate::support::{Setup, World, path, policy, reader};
use crate::synced::{RULES, has_strace};
use crate::wire::{Reply, Wire, request};
use crate::{oauth, row};

/// What makes the gate's calls fail, as long as it is there.
struct Failing(Child);

impl Failing {
    /// From now on these calls of the gate fail with this error: on these files alone, if any are named.
    async fn set(gate: &Gate, files: &[PathBuf], calls: &str, error: &str) -> Self {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "signal=none"]);
        strace.args([
            "-e",
            &format!("trace={calls}"),
            "-e",
            &format!("inject={calls}:error={error}"),
        ]);
        for file in files {
            strace.args(["-P", path(file)]);
        }
        let child = strace
            .arg("-p")
            .arg(gate.pid().to_string())
            .stdin(Stdio::null())
            .spawn();
        let mut failing = Self(child.unwrap());
        until("every thread is under it", async || {
            assert!(failing.0.try_wait().unwrap().is_none(), "`strace` has ended");
            traced(gate).all(|traced| traced)
        })
        .await;
        failing
    }

    /// The disk is well again.
    async fn lift(mut self, gate: &Gate) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        until("it is gone", async || self.0.try_wait().unwrap().is_some()).await;
        assert!(!traced(gate).any(|traced| traced));
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        // Already gone is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Of each thread of the gate, whether somebody traces it.
fn traced(gate: &Gate) -> impl Iterator<Item = bool> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", gate.pid())).unwrap();
    // A thread that has ended meanwhile has no status.
    let statuses = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).ok());
    statuses.map(|status| {
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
        tracer.unwrap().trim() != "0"
    })
}

/// Whether this test can make calls fail.
fn is_possible() -> bool {
    let is_possible = has_strace() && rustix::process::getuid().is_root();
    if !is_possible {
        println!("skipped: there is no `strace`, or its user is not root");
    }
    is_possible
}

/// The store's file and its log.
fn store_files(home: &Path) -> [PathBuf; 2] {
    ["scopegate.db", "scopegate.db-wal"].map(|name| home.join("data").join(name))
}

/// Ways in which the store can't be written: in words, the calls, and what they give.
const UNWRITABLE: [(&str, &str, &str); 3] = [
    ("writes to the store's files fail", "pwrite64", "EIO"),
    (
        "the store's disk is remounted read-only",
        "pwrite64,ftruncate",
        "EROFS",
    ),
    ("syncs of the store's files fail", "fdatasync,fsync", "EIO"),
];

async fn delete(gate: &Gate, key: &str) -> Reply {
    let asked = request("DELETE", "/crm/v3/objects/contacts/1002", key, &[], "");
    Wire::open(gate.gate).await.ask(asked).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_no_writes_of_the_store_stops_refreshes_alone() {
    if !is_possible() {
        return;
    }
    for (fault, calls, error) in UNWRITABLE {
        let mut place = oauth::Place::new().await;
        let (sync, reader) = (place.key.clone(), place.other.clone());
        place.world.stop().await;
        let gate = start(&place.world.config(), &Faults::at(place.world.dir.path()));
        assert_eq!(read(&gate, &sync).await.status, 200);
        let failing = Failing::set(&gate, &store_files(&place.world.home()), calls, error).await;
        assert_eq!(
            read(&gate, &sync).await.status,
            200,
            "{fault}: a token in memory needs no store"
        );
        place.world.sim.expire_access_tokens();
        let asked = Instant::now();
        let reply = read(&gate, &sync).await;
        let waited = asked.elapsed();
        assert_eq!(reply.status, 503, "{fault}: {reply:?}");
        assert!(
            reply.text().contains("scopegate.credential"),
            "{fault}: {reply:?}"
        );
        assert!(reply.header("retry-after").is_some(), "{fault}: {reply:?}");
        assert!(waited < Duration::from_secs(10), "{fault}: {waited:?}");
        assert_eq!(
            read(&gate, &reader).await.status,
            200,
            "{fault}: others are not touched"
        );
        crate::store::store_failed(&gate, "refresh_begin", "disk I/O error").await;
        failing.lift(&gate).await;
        until("refreshes go on", async || read(&gate, &sync).await.status == 200).await;
        row(
            fault,
            &format!(
                "calls with a live token pass; a due refresh is 503 `scopegate.credential` after {waited:.1?}, and is not begun; \
                 `scopegate_store_errors_total{{op=\"refresh_begin\"}}`"
            ),
            "by itself",
        );
    }
}

/// A gate whose integration may delete a few records a day.
async fn counting() -> Place {
    let mut world = World::with(Setup {
        policies: vec![("writer", policy("writer", RULES)), ("reader", reader())],
        config: "store: { max_staleness: 2s }\n".to_owned(),
        ..Setup::default()
    })
    .await;
    let (reader, writer) = (world.key("reader"), world.key("writer"));
    world.stop().await;
    world.sim.forget_received();
    Place {
        world,
        reader,
        writer,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_counted_in_the_store_is_not_deleted_and_the_rest_goes_on() {
    if !is_possible() {
        return;
    }
    let place = counting().await;
    let gate = place.start();
    let sent = |method| {
        let received = place.world.sim.received();
        received.iter().filter(|one| one.method == method).count()
    };
    for (rounds, (fault, calls, error)) in UNWRITABLE.into_iter().enumerate() {
        let failing = Failing::set(&gate, &store_files(&place.world.home()), calls, error).await;
        let reply = delete(&gate, &place.writer).await;
        assert_eq!(reply.status, 503, "{fault}: {reply:?}");
        assert!(reply.text().contains("the store's disk"), "{fault}: {reply:?}");
        assert!(reply.header("retry-after").is_some(), "{fault}: {reply:?}");
        assert_eq!(
            sent("DELETE"),
            rounds,
            "{fault}: what is not counted does not go up"
        );
        assert_eq!(write(&gate, &place.writer).await.status, 200, "{fault}");
        assert_eq!(read(&gate, &place.reader).await.status, 200, "{fault}");
        let failed = metric(&gate, "scopegate_store_errors_total", "{op=\"write\"}").await;
        assert!(failed > rounds as f64, "{fault}: {failed}");
        failing.lift(&gate).await;
        assert_eq!(delete(&gate, &place.writer).await.status, 204, "{fault}");
    }
    let store = rusqlite::Connection::open(place.store()).unwrap();
    let counted: i64 = store
        .query_row("SELECT sum(records) FROM limit_uses", [], |row| row.get(0))
        .unwrap();
    assert_eq!(counted, 3, "what went up is counted, and nothing else");
    row(
        "a limit on deletions, and the store's files can't be written or synced",
        "a deletion is 503 `scopegate.limit` and is not forwarded; writes and reads go on; \
         `scopegate_store_errors_total{op=\"write\"}`",
        "with the next call",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_can_not_be_read_lets_nothing_through_once_there_is_something_new_in_it() {
    if !is_possible() {
        return;
    }
    let place = counting().await;
    let gate = place.start();
    assert_eq!(write(&gate, &place.writer).await.status, 200);
    let failing = Failing::set(&gate, &store_files(&place.world.home()), "pread64", "EIO").await;
    let changed = Instant::now();
    let (_, said) = place
        .command(&["key", "revoke", &place.reader[5..17], "--reason", "test"])
        .await;
    assert!(said.contains("gate `test` has not followed"), "{said}");
    until("nothing is let through", async || {
        write(&gate, &place.writer).await.status == 503
    })
    .await;
    let stopped = changed.elapsed();
    assert!(
        stopped < Duration::from_secs(8),
        "`store.max_staleness` is 2 s, and so long the command waits for the gate: {stopped:?}"
    );
    let reply = read(&gate, &place.reader).await;
    assert!(matches!(reply.status, 401 | 503), "{reply:?}");
    crate::store::store_failed(&gate, "poll", "can't be read").await;
    assert!(ready(&gate).await.contains("[-] store"));
    failing.lift(&gate).await;
    until("it goes on by itself", async || {
        write(&gate, &place.writer).await.status == 200
    })
    .await;
    assert_eq!(read(&gate, &place.reader).await.status, 401);
    row(
        "reads of the store's files fail",
        "what is cached serves; once another process has changed something, which can't be seen, all is 503 \
         `store.max_staleness` later; `scopegate_store_errors_total{op=\"poll\"}`, `/readyz` not ready",
        "by itself; what was changed meanwhile is in force with the first call",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_file_that_fails_is_left_and_its_lines_stand_once_in_the_next() {
    if !is_possible() {
        return;
    }
    for (fault, calls) in [
        ("writes to the audit file fail", "write"),
        ("syncs of the audit file fail", "fdatasync"),
    ] {
        let place = Place::new("").await;
        let gate = place.start();
        assert_eq!(write(&gate, &place.writer).await.status, 200);
        let files = crate::audit::log_files(&place);
        let failing = Failing::set(&gate, &files, calls, "EIO").await;
        let replies = [
            write(&gate, &place.writer).await,
            write(&gate, &place.writer).await,
        ];
        failing.lift(&gate).await;
        assert!(
            replies.iter().all(|reply| reply.status == 200),
            "{fault}: {replies:?}"
        );
        assert_eq!(crate::audit::log_files(&place).len(), 2, "{fault}");
        until("all is written", async || {
            metric(&gate, "scopegate_audit_oldest_unwritten_seconds", "").await == 0.0
        })
        .await;
        let lines = place.world.audit();
        for reply in &replies {
            let of = lines.iter().filter(|line| line["id"] == reply.id().as_str());
            let kinds: Vec<_> = of.map(|line| line["kind"].as_str().unwrap()).collect();
            assert_eq!(kinds, ["decision", "outcome"], "{fault}: {lines:?}");
        }
        let numbers: Vec<u64> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
        assert!(
            numbers.windows(2).all(|pair| pair[1] == pair[0] + 1),
            "{fault}: {numbers:?}"
        );
        let log = gate.log();
        assert!(log.contains("the audit log can't be written"), "{fault}: {log}");
        assert!(log.contains("Input/output error"), "{fault}: {log}");
        row(
            fault,
            "the lines that are in doubt stand once, in a file begun anew; no call is refused",
            "by itself",
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_syncs_nothing_has_no_write_go_up_and_no_record_twice() {
    if !is_possible() {
        return;
    }
    let place = counting().await;
    let gate = place.start();
    assert_eq!(write(&gate, &place.writer).await.status, 200);
    let seen = place.world.sim.received().len();
    let failing = Failing::set(&gate, &[], "fdatasync,fsync", "EIO").await;
    let asked = Instant::now();
    let reply = write(&gate, &place.writer).await;
    let waited = asked.elapsed();
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.text().contains("scopegate.audit"), "{reply:?}");
    assert!(
        waited < Duration::from_secs(8),
        "`audit.max_wait` is 2 s: {waited:?}"
    );
    assert_eq!(delete(&gate, &place.writer).await.status, 503);
    assert_eq!(place.world.sim.received().len(), seen, "neither went up");
    failing.lift(&gate).await;
    until("it goes on by itself", async || {
        write(&gate, &place.writer).await.status == 200
    })
    .await;
    let lines = place.world.audit();
    let mut decisions: Vec<_> = lines.iter().filter(|line| line["kind"] == "decision").collect();
    let all = decisions.len();
    decisions.dedup_by_key(|line| line["id"].clone());
    assert_eq!(decisions.len(), all, "{lines:?}");
    assert!(
        decisions.iter().any(|line| line["id"] == reply.id().as_str()),
        "{lines:?}"
    );
    row(
        "nothing on the disk can be synced",
        &format!("writes and deletions are 503 after {waited:.1?}, and do not go up"),
        "by itself; what was in doubt stands once, in a file begun anew",
    );
}
