//! A store that fails while the gate runs: it can't be written, its files are taken away, the disk is full or
//! read-only.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use scopegate::sim::Install;

use crate::child::Gate;
use crate::place::{Faults, PATIENCE, Place, copy, metric, read, ready, search, start, until, write};
use crate::support::{every_scope, write_secret};
use crate::{oauth, row};

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_can_not_be_written_stops_refreshes_alone_and_is_caught_up_with() {
    let mut place = oauth::Place::new().await;
    let (sync, reader) = (place.key.clone(), place.other.clone());
    place.world.stop().await;
    let faults = Faults::at(place.world.dir.path());
    let gate = start(&place.world.config(), &faults);
    assert_eq!(read(&gate, &sync).await.status, 200);
    faults.set(&["store-commit=return"]).await;
    assert_eq!(
        read(&gate, &sync).await.status,
        200,
        "a token in memory needs no store"
    );
    place.world.sim.expire_access_tokens();
    let asked = Instant::now();
    let reply = read(&gate, &sync).await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(asked.elapsed() < Duration::from_secs(15));
    assert!(reply.text().contains("scopegate.credential"), "{reply:?}");
    assert!(reply.header("retry-after").is_some(), "{reply:?}");
    assert_eq!(read(&gate, &reader).await.status, 200, "others are not touched");
    assert!(gate.log().contains("refresh not begun"), "{}", gate.log());
    store_failed(&gate, "refresh_begin", "full").await;
    // A revocation by a command, whose own commit works, is in force all the same.
    let output = place
        .command(&["key", "revoke", &reader[5..17], "--reason", "test"])
        .await;
    assert!(output.status.success());
    until("the revocation is in force", async || {
        read(&gate, &reader).await.status == 401
    })
    .await;
    faults.set(&[]).await;
    until("refreshes go on", async || read(&gate, &sync).await.status == 200).await;
    assert_eq!(
        place
            .world
            .sim
            .received()
            .iter()
            .filter(|one| one.status == Some(500))
            .count(),
        0
    );
    row(
        "the store can't be written",
        "calls with a live token pass, stops and revocations hold; a due refresh is 503 `scopegate.credential` with \
         `Retry-After`; `scopegate_store_errors_total{op=\"refresh_begin\"}` and the log's line name it",
        "by itself",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_can_not_be_written_holds_up_no_change_of_others_and_is_told_what_was_applied() {
    let staleness = "store: { max_staleness: 3s }\n";
    let mut place = oauth::Place::with(staleness).await;
    let (sync, reader) = (place.key.clone(), place.other.clone());
    let create = ["key", "create", "--integration", "reader", "--connection", "acme"];
    let said = place.ok(&create).await;
    let other = said.lines().next().unwrap();
    place.world.stop().await;
    let faults = Faults::at(place.world.dir.path());
    let gate = start(&place.world.config(), &faults);
    assert_eq!(read(&gate, &sync).await.status, 200);
    assert_eq!(read(&gate, &reader).await.status, 200);
    faults.set(&["store-commit=return"]).await;
    // The gate notes whose grant it is before it takes the new one up.
    let app = place.store().app("marketing").unwrap().unwrap();
    let install = Install::new(&app.client_id, 2001, every_scope());
    let grant = place.world.dir.path().join("again");
    write_secret(&grant, place.world.sim.install(install).unwrap().expose());
    place
        .ok(&[
            "connection",
            "rotate",
            "one",
            "--refresh-token-file",
            grant.to_str().unwrap(),
            "--reason",
            "test",
        ])
        .await;
    place
        .ok(&["key", "revoke", &reader[5..17], "--reason", "test"])
        .await;
    until("the revocation behind it is in force", async || {
        read(&gate, &reader).await.status == 401
    })
    .await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let reply = read(&gate, other).await;
    assert_eq!(
        reply.status, 200,
        "what is known of the store is fresh: {reply:?}"
    );
    store_failed(&gate, "write", "full").await;
    assert!(place.applied() < place.store().last_change().unwrap());
    faults.set(&[]).await;
    until("commands are told, without another change", async || {
        place.applied() == place.store().last_change().unwrap()
    })
    .await;
    assert_eq!(read(&gate, &reader).await.status, 401);
    row(
        "the store can't be written, and a connection gets a new grant",
        "changes behind it are in force; `scopegate_store_errors_total{op=\"write\"}`",
        "what was applied is written back by itself",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_can_not_be_read_stops_no_call() {
    let place = Place::new("store: { max_staleness: 3s }\n").await;
    let gate = place.start();
    assert_eq!(read(&gate, &place.reader).await.status, 200);
    let raw = rusqlite::Connection::open(place.store()).unwrap();
    raw.busy_timeout(PATIENCE).unwrap();
    raw.execute(
        "INSERT INTO admin_events (at, actor, action, subject) VALUES (9223372036854775807, 'x', 'x', 'x')",
        [],
    )
    .unwrap();
    until("the gate has found it", async || {
        metric(&gate, "scopegate_store_errors_total", "{op=\"write\"}").await > 0.0
    })
    .await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(read(&gate, &place.reader).await.status, 200);
    let (code, said) = place
        .command(&["key", "revoke", &place.reader[5..17], "--reason", "test"])
        .await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(read(&gate, &place.reader).await.status, 401);
}

/// Log and metric name what was wanted of the store, and the log what the store said.
pub async fn store_failed(gate: &Gate, op: &str, said: &str) {
    let labels = format!("{{op=\"{op}\"}}");
    assert!(metric(gate, "scopegate_store_errors_total", &labels).await > 0.0);
    let log = gate.log();
    let named = log
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|line| line["message"] == "the store could not be used" && line["op"] == op)
        .any(|line| {
            line["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains(said))
        });
    assert!(named, "no line with {op} and `{said}`: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_locked_stops_refreshes_alone_and_is_named() {
    let mut place = oauth::Place::new().await;
    let (sync, reader) = (place.key.clone(), place.other.clone());
    place.world.stop().await;
    let gate = start(&place.world.config(), &Faults::at(place.world.dir.path()));
    assert_eq!(read(&gate, &sync).await.status, 200);
    let other = rusqlite::Connection::open(place.world.home().join("data/scopegate.db")).unwrap();
    other.busy_timeout(PATIENCE).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    place.world.sim.expire_access_tokens();
    place.world.sim.forget_received();
    let asked = Instant::now();
    let reply = read(&gate, &sync).await;
    let waited = asked.elapsed();
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.text().contains("scopegate.credential"), "{reply:?}");
    assert!(waited < Duration::from_secs(15), "{waited:?}");
    until("it is counted", async || {
        metric(&gate, "scopegate_store_errors_total", "{op=\"refresh_begin\"}").await > 0.0
    })
    .await;
    store_failed(&gate, "refresh_begin", "the store is busy").await;
    assert!(!asked_for_tokens(&place), "nobody is asked before it is noted");
    assert_eq!(read(&gate, &reader).await.status, 200, "others are not touched");
    other.execute_batch("ROLLBACK").unwrap();
    until("refreshes go on", async || read(&gate, &sync).await.status == 200).await;
    row(
        "the store is locked by another program",
        &format!(
            "as when it can't be written; a due refresh is 503 after {waited:.1?}, \
             `scopegate_store_errors_total{{op=\"refresh_begin\"}}`"
        ),
        "by itself",
    );
}

fn asked_for_tokens(place: &oauth::Place) -> bool {
    let received = place.world.sim.received();
    received
        .iter()
        .any(|one| one.path().ends_with("/token") && one.status.is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_under_way_when_the_disk_fills_is_used_named_and_saved_late() {
    let mut place = oauth::Place::new().await;
    let sync = place.key.clone();
    place.world.stop().await;
    let faults = Faults::at(place.world.dir.path());
    let gate = start(&place.world.config(), &faults);
    assert_eq!(read(&gate, &sync).await.status, 200);
    // It has begun and has its answer; then the disk is full.
    faults.set(&["refresh-before-save=sleep(4000)"]).await;
    place.world.sim.forget_received();
    place.world.sim.expire_access_tokens();
    let (reply, ()) = tokio::join!(read(&gate, &sync), async {
        until("HubSpot has answered", async || asked_for_tokens(&place)).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        faults.set(&["store-commit=return"]).await;
    });
    assert_eq!(reply.status, 200, "what came is used: {reply:?}");
    store_failed(&gate, "refresh_save", "full").await;
    let labels = "{cause=\"store\"}";
    assert!(metric(&gate, "scopegate_token_refresh_failures_total", labels).await > 0.0);
    let log = gate.log();
    assert!(log.contains("a refreshed token could not be saved"), "{log}");
    assert_eq!(read(&gate, &sync).await.status, 200);
    faults.set(&[]).await;
    until("it is saved", async || gate.log().contains("grant saved late")).await;
    assert_eq!(read(&gate, &sync).await.status, 200);
    row(
        "the store can't be written when a refresh has its answer",
        "the new token is used from memory; `scopegate_store_errors_total{op=\"refresh_save\"}`, `not_durable`, cause \
         `store`",
        "saved by itself",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_a_full_disk_would_not_take_is_saved_when_the_gate_is_stopped_in_order() {
    let mut place = oauth::Place::rotating().await;
    let sync = place.key.clone();
    place.world.stop().await;
    let faults = Faults::at(place.world.dir.path());
    let mut gate = start(&place.world.config(), &faults);
    assert_eq!(read(&gate, &sync).await.status, 200);
    faults.set(&["refresh-before-save=sleep(2000)"]).await;
    place.world.sim.forget_received();
    place.world.sim.expire_access_tokens();
    let (reply, ()) = tokio::join!(read(&gate, &sync), async {
        until("HubSpot has answered", async || asked_for_tokens(&place)).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        faults.set(&["store-commit=return"]).await;
    });
    assert_eq!(reply.status, 200, "what came is used: {reply:?}");
    // Its last refresh token is dead by now, the new one nowhere but in memory.
    until("it was tried again and failed, more than once", async || {
        gate.log().matches("grant still not saved").count() >= 3
    })
    .await;
    faults.set(&[]).await;
    gate.signal(Signal::TERM);
    assert_eq!(gate.wait().code(), Some(0), "{}", gate.log());
    assert!(gate.log().contains("grant saved late"), "{}", gate.log());
    drop(gate);
    place.world.sim.expire_access_tokens();
    let gate = start(&place.world.config(), &faults);
    let reply = read(&gate, &sync).await;
    assert_eq!(
        reply.status, 200,
        "the next start asks with the new refresh token: {reply:?}"
    );
    row(
        "the store can't be written when a refresh has its answer, and the gate is stopped once it can",
        "what is owed is saved at the stop",
        "none needed",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_panics_gives_its_lease_back() {
    let mut place = oauth::Place::new().await;
    let sync = place.key.clone();
    place.world.stop().await;
    let faults = Faults::at(place.world.dir.path());
    let gate = start(&place.world.config(), &faults);
    assert_eq!(read(&gate, &sync).await.status, 200);
    faults.set(&["refresh-after-answer=1*panic(test)"]).await;
    place.world.sim.expire_access_tokens();
    assert_eq!(read(&gate, &sync).await.status, 503);
    let began = Instant::now();
    until("the next refresh is not held up", async || {
        read(&gate, &sync).await.status == 200
    })
    .await;
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "a lease is 90 s: {:?}",
        began.elapsed()
    );
    row(
        "a defect in a refresh (a panic)",
        "503 for that connection, `panic.id` in the log",
        "by itself: the lease is given back, the intent kept",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_taken_away_beneath_the_gate_stop_it_and_lose_nothing() {
    for end in ["-wal", "-shm", ""] {
        let place = Place::new("").await;
        let mut gate = place.start();
        assert_eq!(read(&gate, &place.reader).await.status, 200);
        let (code, said) = place
            .command(&["key", "revoke", &place.writer[5..17], "--reason", "test"])
            .await;
        assert_eq!(code, 0, "{said}");
        let name = format!("{}{end}", place.store().display());
        let kept = place.world.dir.path().join("kept");
        if end.is_empty() {
            // Renamed: the same file, elsewhere; another one is put in its place.
            std::fs::rename(&name, &kept).unwrap();
            std::fs::copy(&kept, &name).unwrap();
            std::fs::set_permissions(&name, std::fs::Permissions::from_mode(0o600)).unwrap();
        } else {
            std::fs::remove_file(&name).unwrap();
        }
        let gone = Instant::now();
        until("nothing is let through", async || {
            read(&gate, &place.reader).await.status == 503
        })
        .await;
        let after = gone.elapsed();
        // What refuses calls and what says why are two threads.
        until("the log says why", async || {
            gate.log().contains("removed or replaced beneath")
        })
        .await;
        assert!(metric(&gate, "scopegate_store_errors_total", "{op=\"poll\"}").await > 0.0);
        assert!(ready(&gate).await.contains("store"));
        if end.is_empty() {
            std::fs::rename(&kept, &name).unwrap();
            until("put back, it goes on by itself", async || {
                read(&gate, &place.reader).await.status == 200
            })
            .await;
        } else {
            gate.signal(Signal::KILL);
            gate.wait();
            gate = place.start();
        }
        assert_eq!(read(&gate, &place.reader).await.status, 200, "`{end}`");
        assert_eq!(
            read(&gate, &place.writer).await.status,
            401,
            "`{end}`: revoked stays revoked"
        );
        row(
            &format!("`scopegate.db{end}` is removed or replaced beneath the gate"),
            &format!("503 from {after:.1?} on, `/readyz` says so, log and metric name the file"),
            if end.is_empty() {
                "by itself when the file is put back; else start the gate anew"
            } else {
                "start the gate anew; what the log held was saved into the store"
            },
        );
    }
}

/// A small disk with a copy of what lies in the second folder, in place of the first.
const SMALL: &str =
    r#"mount -t tmpfs -o size=8m,mode=700 none "$0" && cp -a "$1"/. "$0" && shift && exec "$@""#;

/// The same, read-only from then on.
const READ_ONLY: &str =
    r#"mount -t tmpfs none "$0" && cp -a "$1"/. "$0" && mount -o remount,ro "$0" && shift && exec "$@""#;

/// Words before the gate's: its data lies on a disk of its own, of which it has a copy of `from`.
fn on_a_disk<'a>(script: &'a str, data: &'a str, from: &'a str) -> Vec<&'a str> {
    let unshare = if rustix::process::getuid().is_root() {
        "-m"
    } else {
        "-rm"
    };
    vec!["unshare", unshare, "sh", "-c", script, data, from]
}

/// Whether this machine lets a test mount anything.
fn can_mount() -> bool {
    let (dir, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let words = on_a_disk(
        SMALL,
        crate::support::path(dir.path()),
        crate::support::path(from.path()),
    );
    Command::new(words[0])
        .args(&words[1..])
        .arg("true")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The gate's data as the gate sees it.
fn inside(gate: &Gate, data: &Path) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root{}", gate.pid(), data.display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_what_can_not_be_recorded_and_goes_on_when_there_is_room() {
    if !can_mount() {
        row(
            "a full disk",
            "not tried: this machine lets nobody mount a disk",
            "-",
        );
        return;
    }
    let place = Place::new("").await;
    let data = place.world.home().join("data");
    let staged = place.world.dir.path().join("staged");
    copy(&data, &staged);
    let words = on_a_disk(SMALL, crate::support::path(&data), crate::support::path(&staged));
    let mut gate = Gate::start_through(&words, &place.world.config(), "info", &[]);
    assert_eq!(write(&gate, &place.writer).await.status, 200);
    let filler = inside(&gate, &data).join("filler");
    let full = fill(&filler);
    assert!(full > 0, "the disk is small");
    // The last page of the log may have room for a few records more.
    until("the log has no room left", async || {
        write(&gate, &place.writer).await.status == 503
    })
    .await;
    let seen = place.world.sim.received().len();

    let asked = Instant::now();
    let reply = write(&gate, &place.writer).await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.text().contains("scopegate.audit"), "{reply:?}");
    assert!(asked.elapsed() < Duration::from_secs(10));
    // A page that is given back may have room for one more, which is then recorded: so both are waited for.
    let refused =
        |reply: &crate::wire::Reply| reply.status == 503 && reply.text().contains("scopegate.audit");
    until("reads stop, too", async || {
        refused(&read(&gate, &place.reader).await)
    })
    .await;
    let stopped = asked.elapsed();
    until("searches stop, too", async || {
        refused(&search(&gate, &place.reader).await)
    })
    .await;
    assert!(
        gate.log().contains("the audit log can't be written"),
        "{}",
        gate.log()
    );
    until("the metric shows it", async || {
        metric(&gate, "scopegate_audit_oldest_unwritten_seconds", "").await > 0.0
    })
    .await;
    assert!(ready(&gate).await.contains("audit"));
    let received = place.world.sim.received();
    assert!(
        received[seen..].iter().all(|one| one.method != "PATCH"),
        "no write went up without its record"
    );

    std::fs::remove_file(&filler).unwrap();
    until("it goes on by itself", async || {
        write(&gate, &place.writer).await.status == 200 && read(&gate, &place.reader).await.status == 200
    })
    .await;
    assert!(gate.log().contains("can be written again"), "{}", gate.log());

    // And nothing of it is torn.
    let lines = lines_of(&inside(&gate, &data).join("audit/test"));
    let numbers: Vec<u64> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert!(
        numbers.windows(2).all(|pair| pair[1] > pair[0]),
        "numbers only grow: {numbers:?}"
    );
    gate.signal(Signal::TERM);
    assert_eq!(gate.wait().code(), Some(0), "{}", gate.log());

    // A disk that nobody can write to is a clear error of the start.
    let words = on_a_disk(
        READ_ONLY,
        crate::support::path(&data),
        crate::support::path(&staged),
    );
    let output = Command::new(words[0])
        .args(&words[1..])
        .args([env!("CARGO_BIN_EXE_scopegate"), "--config"])
        .arg(place.world.config())
        .arg("run")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("Read-only file system"), "{said}");
    row(
        "the disk is full (store and audit on it)",
        &format!(
            "writes are 503 `scopegate.audit`, reads after {stopped:.1?}; none went up without its record; `/readyz` not ready"
        ),
        "by itself, at the next attempt",
    );
}

fn fill(filler: &Path) -> u64 {
    use std::io::Write;
    let mut file = std::fs::File::create(filler).unwrap();
    let mut written = 0;
    for size in [64 * 1024, 4096, 512, 1] {
        let block = vec![b'x'; size];
        while file.write_all(&block).is_ok() {
            written += size as u64;
        }
    }
    written
}

fn lines_of(folder: &Path) -> Vec<serde_json::Value> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .collect();
    files.sort();
    files
        .iter()
        .flat_map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect::<Vec<_>>()
        })
        .collect()
}
