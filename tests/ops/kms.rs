//! The master key from a command: the gate runs it before it gives up the right to run anything, and the scripts
//! in `deploy/kms` keep to what a command must be.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child::Gate;
use crate::support::{World, path};
use crate::wire::{Wire, get};

const GOOD: &str = "/crm/v3/objects/contacts/1001";

fn program(at: &Path, text: &str) {
    std::fs::write(at, text).unwrap();
    std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A KMS of one key: `fake-kms decrypt FILE`; what it takes for encrypted is base64 once more.
/// It notes that it ran, and what it saw of the environment.
fn fake_kms(dir: &Path, key: &str) -> PathBuf {
    use base64::Engine;
    let encrypted = base64::engine::general_purpose::STANDARD.encode(key);
    std::fs::write(dir.join("key.kms"), encrypted).unwrap();
    let kms = dir.join("fake-kms");
    let notes = dir.join("ran");
    program(
        &kms,
        &format!(
            "#!/bin/sh\nset -eu\n[ \"$1\" = decrypt ]\nenv >> {}\necho 'canary: the plaintext is on its way' >&2\nbase64 -d \"$2\"\n",
            notes.display()
        ),
    );
    kms
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_whose_key_comes_from_a_command_runs_it_once_and_is_confined_all_the_same() {
    let mut world = World::plain().await;
    let key = world.key("reader");
    world.stop().await;
    let file = world.home().join("data/master.key");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    // The stand-in for what was encrypted; from everywhere else the key stays away.
    crate::support::canaries::given_in(&world.dir.path().join("key.kms"), &text);
    let kms = fake_kms(world.dir.path(), text.trim());
    let config = std::fs::read_to_string(world.config()).unwrap();
    let with = format!(
        "{config}master_key: {{ command: [{}, decrypt, {}], command_env: [KMS_REGION] }}\n",
        kms.display(),
        world.dir.path().join("key.kms").display()
    );
    std::fs::write(world.config(), &with).unwrap();
    let gate = Gate::start_at(
        &world.config(),
        "info",
        &[("KMS_REGION", "eu"), ("KMS_SECRET", "canary")],
    );
    assert_eq!(Wire::open(gate.gate).await.ask(get(GOOD, &key)).await.status, 200);
    let ready = crate::support::monitor(gate.admin, "/readyz?verbose").await;
    assert!(ready.contains("[+] hardening: no new privileges"), "{ready}");
    let seen = std::fs::read_to_string(world.dir.path().join("ran")).unwrap();
    assert_eq!(seen.matches("KMS_REGION=eu").count(), 1, "once: {seen}");
    assert!(!seen.contains("canary") && !seen.contains("RUST_LOG"), "{seen}");
    assert!(!gate.log().contains("canary"), "{}", gate.log());
    gate.signal(rustix::process::Signal::HUP);
    drop(gate);

    // A KMS that refuses: one clear error, without what it said.
    program(&kms, "#!/bin/sh\necho canary >&2\nexit 3\n");
    let output = world.command(&["run"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(2) && said.contains("exit status: 3"),
        "{said}"
    );
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn the_example_scripts_print_what_was_encrypted_and_fail_when_their_tool_does() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kms");
    let dir = tempfile::tempdir().unwrap();
    let key = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=";
    let encrypted = dir.path().join("encrypted");
    std::fs::write(&encrypted, "ciphertext").unwrap();
    // What each tool must have been asked, and in which form it answers.
    for (script, tool, asked, in_base64) in [
        (
            "systemd-creds",
            "systemd-creds",
            format!("decrypt --name=master.key {} -", path(&encrypted)),
            false,
        ),
        (
            "age",
            "age",
            format!("--decrypt --identity identity {}", path(&encrypted)),
            false,
        ),
        (
            "aws",
            "aws",
            format!(
                "kms decrypt --ciphertext-blob fileb://{} --encryption-context app=scopegate --query Plaintext --output text",
                path(&encrypted)
            ),
            true,
        ),
        (
            "vault",
            "vault",
            "write -field=plaintext transit/decrypt/scopegate ciphertext=ciphertext".to_owned(),
            true,
        ),
    ] {
        let tools = dir.path().join(tool);
        std::fs::create_dir(&tools).unwrap();
        let answer = match in_base64 {
            true => format!("echo {key} | base64 -w0"),
            false => format!("echo {key}"),
        };
        let stand_in = tools.join(tool);
        program(
            &stand_in,
            &format!(
                "#!/bin/sh\n[ \"$*\" = '{asked}' ] || {{ echo \"asked: $*\" >&2; exit 9; }}\n{answer}\n"
            ),
        );
        let run = || {
            let mut command = Command::new(scripts.join(script));
            command.arg(&encrypted);
            if script == "age" {
                command.arg("identity");
            }
            let paths = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
            command.env_clear().env("PATH", paths).output().unwrap()
        };
        let output = run();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {said}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), key, "{script}");
        program(&stand_in, "#!/bin/sh\nexit 4\n");
        let output = run();
        assert!(
            !output.status.success() && output.stdout.is_empty(),
            "{script} hides a failure"
        );
    }
}
