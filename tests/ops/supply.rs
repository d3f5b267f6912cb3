//! What is shipped with the program: its bill of materials, and the unit that runs it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_bill_of_materials_names_what_is_linked_with_the_pinned_checksums_and_nothing_of_the_tests() {
    let run = || {
        let output = Command::new(root().join("deploy/sbom"))
            .args(["--target", "x86_64-unknown-linux-gnu"])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    let bytes = run();
    assert_eq!(bytes, run(), "the same tree, the same bytes");
    let bom: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(
        (&bom["bomFormat"], &bom["specVersion"]),
        (&"CycloneDX".into(), &"1.6".into())
    );
    assert_eq!(bom["metadata"]["component"]["name"], "scopegate");
    let components = bom["components"].as_array().unwrap();
    let named = |scope: &str| -> BTreeSet<&str> {
        components
            .iter()
            .filter(|component| component["scope"] == scope)
            .map(|component| component["name"].as_str().unwrap())
            .collect()
    };
    let linked = named("required");
    for name in [
        "hyper",
        "rustls",
        "aws-lc-sys",
        "libsqlite3-sys",
        "landlock",
        "seccompiler",
        "httparse",
    ] {
        assert!(linked.contains(name), "{name}");
    }
    let built = named("excluded");
    assert!(
        built.contains("cc"),
        "what runs while it is built is told apart: {built:?}"
    );
    for name in ["criterion", "insta", "jsonschema", "ring", "openssl-sys"] {
        assert!(!linked.contains(name) && !built.contains(name), "{name}");
    }
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for component in components {
        let hash = component["hashes"][0]["content"].as_str().unwrap();
        assert!(hash.len() == 64 && lock.contains(hash), "{component}");
        let licence = component["licenses"][0]["expression"].as_str().unwrap();
        assert!(!licence.is_empty() && !licence.contains('/'), "{component}");
    }
}

#[test]
fn scripts_that_are_shipped_can_be_read_by_their_shell() {
    for script in [
        "reproduce",
        "kms/age",
        "kms/aws",
        "kms/systemd-creds",
        "kms/vault",
    ] {
        let path = root().join("deploy").join(script);
        let output = Command::new("bash").arg("-n").arg(&path).output().unwrap();
        assert!(
            output.status.success(),
            "{script}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// Each line of the unit that the gate's own hardening leans on, or that goes further than it can.
#[test]
fn the_unit_takes_away_what_the_gate_does_not_need() {
    let unit = std::fs::read_to_string(root().join("deploy/scopegate.service")).unwrap();
    let lines: BTreeSet<&str> = unit.lines().map(str::trim).collect();
    for line in [
        "DynamicUser=yes",
        "UMask=0077",
        "LimitCORE=0",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "CapabilityBoundingSet=",
        "MemoryDenyWriteExecute=yes",
        "SystemCallArchitectures=native",
        "SystemCallFilter=@system-service",
        // Without these the gate could not confine itself.
        "SystemCallFilter=seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self",
    ] {
        assert!(lines.contains(line), "{line}");
    }
    // It hides which run of the machine this is, by which ages of tokens and counts of calls outlive a restart.
    assert!(!lines.contains("ProcSubset=pid"));
    let image = std::fs::read_to_string(root().join("deploy/Containerfile")).unwrap();
    assert!(image.contains("\nFROM scratch\n") && image.contains("\nUSER 65532:65532\n"));
}
