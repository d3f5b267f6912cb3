//! What a running gate has given up, seen from outside, and that it does its work all the same.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use crate::child::Gate;
use crate::support::{World, monitor, path, policy, reader, samples, scopegate};
use crate::until;
use crate::wire::{Wire, get};

const GOOD: &str = "/crm/v3/objects/contacts/1001";

/// One field of `/proc/PID/status`, for every thread of the process.
fn of_every_thread(pid: u32, field: &str) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("status")).ok())
        .map(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
            line.trim_start_matches(':').trim().to_owned()
        })
        .collect()
}

async fn verbose(gate: &Gate) -> String {
    monitor(gate.admin, "/readyz?verbose").await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_thread_is_confined_and_the_gate_says_what_is_in_force() {
    let mut world = World::plain().await;
    let key = world.key("reader");
    world.stop().await;
    let gate = Gate::start(&world.config());
    assert_eq!(Wire::open(gate.gate).await.ask(get(GOOD, &key)).await.status, 200);
    let said = verbose(&gate).await;
    for measure in [
        "no core dumps",
        "memory closed",
        "new files for their owner",
        "no new privileges",
    ] {
        assert!(
            said.contains(&format!("[+] hardening: {measure}")),
            "{measure}: {said}"
        );
    }
    assert!(
        of_every_thread(gate.pid(), "NoNewPrivs")
            .iter()
            .all(|value| value == "1")
    );
    let metrics = monitor(gate.admin, "/metrics").await;
    let measures = samples(&metrics, "scopegate_hardening");
    assert_eq!(measures.len(), 9, "{measures:?}");
    // A kernel without one of them says so, and nothing more can be seen. Whether it has them is the kernel's to say.
    let has = |file: &str, word: &str| std::fs::read_to_string(file).is_ok_and(|text| text.contains(word));
    for (measure, is_there) in [
        (
            "dangerous system calls refused",
            has("/proc/sys/kernel/seccomp/actions_avail", "errno"),
        ),
        (
            "other files out of reach",
            has("/sys/kernel/security/lsm", "landlock"),
        ),
    ] {
        let is_said = said.contains(&format!("[+] hardening: {measure}"));
        assert!(is_said || !is_there, "the kernel has it, {measure}: {said}");
    }
    if said.contains("[+] hardening: dangerous system calls refused") {
        let modes = of_every_thread(gate.pid(), "Seccomp");
        assert!(
            modes.len() >= 6 && modes.iter().all(|mode| mode == "2"),
            "{modes:?}"
        );
        assert_eq!(measures["{measure=\"calls\"}"], 1.0);
    } else {
        assert!(
            said.contains("dangerous system calls refused (seccomp): not available"),
            "{said}"
        );
    }
    if !said.contains("[+] hardening: other files out of reach") {
        assert!(
            said.contains("other files out of reach (Landlock): not available"),
            "{said}"
        );
    }
    let log = gate.log();
    assert!(log.contains("gate.hardened"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_read_again_still_are_and_others_are_out_of_reach() {
    let mut world = World::plain().await;
    let key = world.key("reader");
    world.stop().await;
    let config = std::fs::read_to_string(world.config()).unwrap();
    let releases = world.home().join("releases");
    for release in ["1", "2"] {
        std::fs::create_dir_all(releases.join(release)).unwrap();
    }
    std::fs::write(releases.join("1/reader.yaml"), reader()).unwrap();
    std::fs::write(
        releases.join("2/reader.yaml"),
        policy("reader", "allow:\n  - scope: crm.objects.companies.read\n"),
    )
    .unwrap();
    std::os::unix::fs::symlink(releases.join("1"), world.home().join("current")).unwrap();
    std::fs::write(world.config(), format!("{config}policies: current/\n")).unwrap();
    let gate = Gate::start(&world.config());
    let confined = verbose(&gate)
        .await
        .contains("[+] hardening: other files out of reach");
    let mut wire = Wire::open(gate.gate).await;
    assert_eq!(wire.ask(get(GOOD, &key)).await.status, 200);

    // A whole release is put in the place of another, by a link.
    let next = world.home().join("next");
    std::os::unix::fs::symlink(releases.join("2"), &next).unwrap();
    std::fs::rename(&next, world.home().join("current")).unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        if wire.ask(get(GOOD, &key)).await.status == 403 {
            break;
        }
        assert!(
            std::time::Instant::now() < end,
            "the swap is not followed: {}",
            gate.log()
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }

    // A policy that leads out of all that the configuration names: there for everybody else to read.
    let elsewhere = tempfile::tempdir().unwrap();
    let outside = elsewhere.path().join("outside.yaml");
    std::fs::write(
        &outside,
        policy("outside", "allow:\n  - scope: crm.objects.contacts.read\n"),
    )
    .unwrap();
    assert!(std::fs::read(&outside).is_ok());
    std::os::unix::fs::symlink(&outside, releases.join("2/outside.yaml")).unwrap();
    gate.signal(rustix::process::Signal::HUP);
    if confined {
        until("the gate says that it can't read it", || {
            let log = gate.log();
            log.contains("outside") && log.contains("ermission denied")
        });
    }
    assert_eq!(
        wire.ask(get(GOOD, &key)).await.status,
        403,
        "and goes on with what was in force"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_work_beside_a_confined_gate_and_its_log_begins_new_files() {
    let mut world = World::plain().await;
    world.stop().await;
    let config = std::fs::read_to_string(world.config()).unwrap();
    std::fs::write(
        world.config(),
        format!("{config}audit: {{ dir: data/audit, file_size: 1MiB }}\n"),
    )
    .unwrap();
    let gate = Gate::start(&world.config());
    let key = world.key("reader");
    let mut wire = Wire::open(gate.gate).await;
    let files = || {
        std::fs::read_dir(world.home().join("data/audit/test"))
            .unwrap()
            .count()
    };
    let before = files();
    // Two records a request, some 700 bytes each.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(90);
    while files() == before {
        assert!(std::time::Instant::now() < end, "no new file: {}", gate.log());
        for _ in 0..50 {
            assert_eq!(wire.ask(get(GOOD, &key)).await.status, 200);
        }
    }
    let file = world.dir.path().join("token2");
    world.sim.add_portal(scopegate::sim::PortalOptions::new(1002));
    let token = world.sim.private_app(1002, crate::support::every_scope());
    crate::support::write_secret(&file, token.expose());
    let added = world.command(&[
        "connection",
        "add",
        "globex",
        "--portal",
        "1002",
        "--token-file",
        path(&file),
    ]);
    let said = String::from_utf8(added.stderr).unwrap();
    assert!(
        added.status.success() && said.contains("in force in gate"),
        "{said}"
    );
    for args in [
        &["store", "check"][..],
        &["store", "migrate"],
        &["master-key", "verify"],
    ] {
        let output = world.command(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
    }
    let health = format!("{config}admin: {{ listen: \"{}\" }}\n", gate.admin).replacen(
        "admin: { listen: 127.0.0.1:0 }\n",
        "",
        1,
    );
    let beside = world.home().join("beside.yaml");
    std::fs::write(&beside, health).unwrap();
    let shown = scopegate(&["--config", path(&beside), "health", "--verbose"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.contains("hardening: no new privileges: in force"),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_start_refuses_root_and_files_that_others_can_change_are_always_refused() {
    let mut world = World::plain().await;
    world.stop().await;
    let strict = world.command(&["run", "--strict", "--check"]);
    let said = String::from_utf8(strict.stderr).unwrap();
    if rustix::process::geteuid().is_root() {
        assert!(strict.status.code() == Some(2) && said.contains("root"), "{said}");
        assert_eq!(world.command(&["run", "--check"]).status.code(), Some(0));
        let gate = Gate::start(&world.config());
        assert!(
            verbose(&gate)
                .await
                .contains("[!] hardening: unprivileged user: not in force")
        );
        assert!(gate.log().contains("the gate runs as root"));
    } else {
        assert_eq!(strict.status.code(), Some(0), "{said}");
    }
    let data = world.home().join("data");
    let set = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(&data, 0o777);
    for args in [&["run"][..], &["run", "--check"]] {
        let output = world.command(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(2) && said.contains("chmod o-w"),
            "{said}"
        );
    }
    set(&data, 0o700);
    let config = std::fs::read_to_string(world.config()).unwrap();
    std::fs::write(world.config(), format!("{config}hardening: {{ sandbox: off }}\n")).unwrap();
    let gate = Gate::start(&world.config());
    assert!(verbose(&gate).await.contains("`hardening.sandbox` is `off`"));
    assert!(gate.log().contains("gate.not_hardened"));
    assert!(
        of_every_thread(gate.pid(), "Seccomp")
            .iter()
            .all(|mode| mode == "0")
    );
}

/// Needs root, to become somebody else who is nobody in particular; as anybody else, that is who we are.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_of_the_same_user_reads_the_gates_memory_or_environment_and_no_other_user_its_files() {
    let mut world = World::plain().await;
    world.stop().await;
    let root = rustix::process::geteuid().is_root();
    let nobody = |program: &str, args: &[&str]| {
        let mut command = match root {
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", program]);
                command
            }
            false => Command::new(program),
        };
        command.args(args);
        command
    };
    // Where nobody may go: the test's own folders are its user's alone.
    let program = world.dir.path().join("scopegate");
    std::fs::copy(env!("CARGO_BIN_EXE_scopegate"), &program).unwrap();
    if root {
        assert!(
            Command::new("chown")
                .args(["-R", "65534:65534", path(world.dir.path())])
                .status()
                .unwrap()
                .success()
        );
    }
    let mut child = nobody(path(&program), &["--config", path(&world.config()), "run"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(child.stdout.take().unwrap()),
        &mut line,
    )
    .unwrap();
    assert!(line.starts_with("ready "), "{line}");
    let pid = child.id();
    let owner = std::fs::metadata(format!("/proc/{pid}/mem")).unwrap().uid();
    assert_eq!(
        owner, 0,
        "a process that is not dumpable belongs to root, as far as tracing goes"
    );
    for file in ["mem", "environ", "maps", "auxv"] {
        let read = nobody("head", &["-c", "1", &format!("/proc/{pid}/{file}")])
            .output()
            .unwrap();
        let said = String::from_utf8(read.stderr).unwrap();
        assert!(
            !read.status.success() && said.contains("denied"),
            "{file}: {said}"
        );
    }
    // Everything it made is its own: store, locks, audit log.
    let (mut left, mut files) = (vec![world.home().join("data")], Vec::new());
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let (path, metadata) = (entry.path(), entry.metadata().unwrap());
            let mode = metadata.mode() & 0o077;
            assert_eq!(mode, 0, "{path:?} {mode:o}");
            match metadata.is_dir() {
                true => left.push(path),
                false => files.push(entry.file_name().into_string().unwrap()),
            }
        }
    }
    for made in ["scopegate.db", ".jsonl"] {
        assert!(files.iter().any(|file| file.ends_with(made)), "{made}: {files:?}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
