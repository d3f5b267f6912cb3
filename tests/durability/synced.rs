//! What must be durable was synced before the upstream saw a byte: by the system calls of the real binary, as `strace`
//! sees them. What other tests read back may stand in the page cache, which outlives a process and not a machine.
//!
//! `TEST_NEEDS_STRACE=1`, as `tests/run` sets it, makes a missing `strace` a failure.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::child::Gate;
use crate::place::{Place, until};
use crate::support::{Setup, World, policy};
use crate::wire::{Wire, request};

pub const RULES: &str = "allow:
  - scope: crm.objects.contacts.write
    effects: [write, delete]
    reason: the test deletes
limits: { records_deleted: 100/1d }
";

/// What the gate did, in the order it was done.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Step {
    /// A decision went into a file of the audit log.
    Audited,
    /// That file was synced.
    AuditSynced,
    /// The count of a limit on deletions went into the store's log.
    Counted,
    /// It was synced.
    StoreSynced,
    /// A request with this method's first letter went to the upstream.
    Sent(char),
}

/// The steps in what `strace` wrote. Calls that others came between stand on two lines; the second is when they were done.
fn steps(trace: &str) -> Vec<Step> {
    let mut files: HashMap<u32, String> = HashMap::new();
    let mut begun: HashMap<&str, String> = HashMap::new();
    let mut steps = Vec::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        let call = if let Some(half) = call.strip_suffix("<unfinished ...>") {
            begun.insert(thread, half.to_owned());
            continue;
        } else if let Some(rest) = call.strip_prefix("<... ") {
            let (_, end) = rest.split_once(" resumed>").unwrap();
            begun.remove(thread).unwrap_or_default() + end
        } else {
            call.to_owned()
        };
        let (Some((name, rest)), Some((_, result))) = (call.split_once('('), call.rsplit_once(" = ")) else {
            continue;
        };
        let result = result.split(' ').next().unwrap().parse::<i64>().unwrap_or(-1);
        if name == "openat" {
            if let (Ok(number), Some(path)) = (u32::try_from(result), rest.split('"').nth(1)) {
                files.insert(number, path.to_owned());
            }
            continue;
        }
        let number: u32 = rest
            .chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
            .parse()
            .unwrap_or(0);
        let file = files.get(&number).map_or("", String::as_str);
        let (is_log, is_store) = (file.ends_with(".jsonl"), file.ends_with("scopegate.db-wal"));
        match name {
            "write" if is_log && result > 0 && rest.contains(r#"\"decision\""#) => steps.push(Step::Audited),
            "fdatasync" | "fsync" if is_log && result == 0 => steps.push(Step::AuditSynced),
            "pwrite64" if is_store && result > 0 && holds_count(rest) => steps.push(Step::Counted),
            "fdatasync" | "fsync" if is_store && result == 0 => steps.push(Step::StoreSynced),
            "sendto" | "writev" | "sendmsg" | "write" => {
                let sent = ["PATCH /crm", "DELETE /crm"]
                    .into_iter()
                    .find(|head| rest.contains(&format!("\"{head}")));
                steps.extend(sent.and_then(|head| head.chars().next()).map(Step::Sent));
            }
            _ => {}
        }
    }
    steps
}

/// Whether a row of a count is among the bytes: what is counted stands right behind the connection's id. The schema has
/// the word in a sentence.
fn holds_count(bytes: &str) -> bool {
    let mut found = bytes.match_indices("records_deleted");
    found.any(|(at, _)| {
        bytes
            .get(..at)
            .unwrap()
            .ends_with(|before: char| before.is_ascii_alphanumeric())
    })
}

pub fn has_strace() -> bool {
    let found = Command::new("strace")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let found = found.is_ok_and(|status| status.success());
    assert!(
        found || std::env::var_os("TEST_NEEDS_STRACE").is_none(),
        "`strace` is missing, and TEST_NEEDS_STRACE says that it must be there"
    );
    found
}

/// A gate whose calls go to `trace`. `strace` stands beside it: the process that is started is the gate.
fn start_traced(config: &Path, trace: &Path) -> Gate {
    let calls = "trace=openat,write,writev,sendto,sendmsg,pwrite64,fdatasync,fsync";
    let wrapper = [
        "strace",
        "-D",
        "-f",
        "-qq",
        "-s",
        "65536",
        "-e",
        calls,
        "-e",
        "signal=none",
        "-o",
    ];
    let wrapper: Vec<&str> = wrapper.into_iter().chain([trace.to_str().unwrap()]).collect();
    Gate::start_through(&wrapper, config, "info", &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_goes_up_after_its_record_was_synced_and_a_deletion_after_its_count_was_too() {
    if !has_strace() {
        println!("skipped: there is no `strace`");
        return;
    }
    let mut world = World::with(Setup {
        policies: vec![("writer", policy("writer", RULES))],
        ..Setup::default()
    })
    .await;
    let writer = world.key("writer");
    world.stop().await;
    world.sim.forget_received();
    let place = Place {
        world,
        reader: String::new(),
        writer,
    };
    let outside = tempfile::tempdir().unwrap();
    let trace = outside.path().join("trace");
    let gate = start_traced(&place.world.config(), &trace);
    let contact = "/crm/v3/objects/contacts/1001";
    let body = r#"{"properties":{"firstname":"Ada"}}"#;
    let patch = request(
        "PATCH",
        contact,
        &place.writer,
        &["Content-Type: application/json"],
        body,
    );
    let delete = request("DELETE", contact, &place.writer, &[], "");
    let mut wire = Wire::open(gate.gate).await;
    assert_eq!(wire.ask(patch).await.status, 200);
    assert_eq!(wire.ask(delete).await.status, 204);
    let all = || steps(&String::from_utf8_lossy(&std::fs::read(&trace).unwrap()));
    until("both are seen", async || all().contains(&Step::Sent('D'))).await;

    let steps = all();
    let sent = |method| steps.iter().position(|step| *step == Step::Sent(method)).unwrap();
    let (patched, deleted) = (sent('P'), sent('D'));
    assert!(patched < deleted, "{steps:?}");
    let behind = |from: usize, to: usize, wanted: &[Step]| {
        let mut left = wanted.iter();
        let mut next = left.next();
        for step in steps.get(from..to).unwrap() {
            if Some(step) == next {
                next = left.next();
            }
        }
        next.is_none()
    };
    assert!(
        behind(0, patched, &[Step::Audited, Step::AuditSynced]),
        "{steps:?}"
    );
    assert!(
        behind(patched, deleted, &[Step::Audited, Step::AuditSynced]),
        "{steps:?}"
    );
    assert!(
        !steps.get(..patched).unwrap().contains(&Step::Counted),
        "{steps:?}"
    );
    assert!(
        behind(patched, deleted, &[Step::Counted, Step::StoreSynced]),
        "{steps:?}"
    );
}

#[test]
fn calls_are_read_in_the_order_they_were_done() {
    let trace = concat!(
        "7 openat(AT_FDCWD, \"/a/2026-01-01-1.jsonl\", O_RDWR) = 9\n",
        "7 openat(AT_FDCWD, \"/a/scopegate.db-wal\", O_RDWR) = 10\n",
        "8 write(9, \"{\\\"kind\\\":\\\"gate\\\"}\"..., 20) = 20\n",
        "8 write(9, \"{\\\"kind\\\":\\\"decision\\\"}\"..., 120) = 120\n",
        "8 fdatasync(9 <unfinished ...>\n",
        "9 pwrite64(10, \"\\0\\25con_1records_deleted\\3\", 32, 0) = 32\n",
        "9 pwrite64(10, \"-- records_deleted or\", 32, 0) = 32\n",
        "9 fdatasync(10) = -1 EIO (Input/output error)\n",
        "8 <... fdatasync resumed>) = 0\n",
        "9 sendto(12, \"PATCH /crm/v3\"..., 300, 0, NULL, 0) = 300\n",
    );
    let expected = [Step::Audited, Step::Counted, Step::AuditSynced, Step::Sent('P')];
    assert_eq!(steps(trace), expected);
}
