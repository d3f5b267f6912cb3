//! The harness that searches for secrets after every test, seen to find them: one planted in each place, in each
//! form, and what no exception covers.

use std::collections::BTreeSet;
use std::path::Path;

use scopegate::sim::{PortalOptions, Sim, SimOptions};

use crate::child::Gate;
use crate::support::canaries::{ALLOWED, HEARD_MAX, Heard, Kind, Place, Ward, forms, seen};
use crate::support::{PORTAL, World, every_scope, write_secret};

/// A folder as a gate leaves it, with one secret of each kind that only the simulator knows.
struct Left {
    ward: Ward,
    dir: tempfile::TempDir,
    token: String,
}

fn left() -> Left {
    let sim = Sim::new(SimOptions::default());
    sim.add_portal(PortalOptions::new(PORTAL));
    let token = sim.private_app(PORTAL, every_scope()).expose().to_owned();
    let dir = tempfile::tempdir().unwrap();
    let ward = Ward::new(dir.path(), &sim, "127.0.0.1:1".parse().unwrap());
    std::fs::create_dir_all(dir.path().join("gate/data/audit/test")).unwrap();
    Left { ward, dir, token }
}

fn about(findings: &[String], what: &str) -> bool {
    findings.iter().any(|finding| finding.contains(what))
}

#[tokio::test]
async fn a_token_in_any_form_and_any_place_is_found() {
    let left = left();
    assert_eq!(left.ward.findings(), [] as [String; 0]);
    let mut names = BTreeSet::new();
    for (number, (form, bytes)) in forms(left.token.as_bytes()).into_iter().enumerate() {
        names.insert(form);
        // In the middle of other text, so that base64 has neighbours at both sides.
        let text = [&b"{\"a\":\""[..], &bytes, b"\"}\n"].concat();
        for (file, place) in [
            ("gate/stderr.log", Place::Log),
            ("gate/data/audit/test/1.jsonl", Place::Audit),
            ("gate/data/scopegate.db", Place::Store),
            ("gate/data/scopegate.db-wal", Place::Store),
            ("gate/data/scopegate.db-shm", Place::Store),
            ("gate/data/master.key", Place::MasterKeyFile),
            ("gate/policies/x.yaml", Place::OtherFile),
            ("gate/tmp/.hidden", Place::OtherFile),
        ] {
            let file = left.dir.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &text).unwrap();
            let findings = left.ward.findings();
            let wanted = format!("AccessToken ({form}) stands in {place:?}: {}", file.display());
            assert!(about(&findings, &wanted), "{number}: {wanted}: {findings:?}");
            std::fs::remove_file(&file).unwrap();
        }
        assert_eq!(left.ward.findings(), [] as [String; 0], "{form}");
    }
    assert_eq!(names.len(), 7, "{names:?}");
    left.ward.dismiss();
}

#[tokio::test]
async fn a_token_inside_encoded_text_is_found_at_every_alignment() {
    use base64::Engine;
    let left = left();
    let log = left.dir.path().join("gate/stderr.log");
    for before in ["", "a", "ab", "abc", "Bearer "] {
        let text = format!("{before}{} and more", left.token);
        for encoded in [
            base64::engine::general_purpose::STANDARD.encode(&text),
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&text),
        ] {
            std::fs::write(&log, encoded).unwrap();
            assert!(about(&left.ward.findings(), "AccessToken (base64"), "{before:?}");
        }
    }
    // Cut short, as a log line may be.
    std::fs::write(&log, &left.token[..left.token.len() - 3]).unwrap();
    assert!(about(&left.ward.findings(), "AccessToken (plain)"));
    left.ward.dismiss();
}

#[tokio::test]
async fn what_clients_saw_and_what_was_said_is_searched_too() {
    let left = left();
    for place in [
        Place::Answer,
        Place::Log,
        Place::Metrics,
        Place::Command,
        Place::Process,
    ] {
        assert!(!about(&left.ward.findings(), &format!("stands in {place:?}")));
        seen(place, format!("x{}x", left.token).as_bytes());
        assert!(about(
            &left.ward.findings(),
            &format!("AccessToken (plain) stands in {place:?}")
        ));
    }
    // An answer that comes in pieces is one answer; what is beyond its bound is not kept.
    let other = left_over_pieces(&left);
    assert!(about(&other, "AccessToken (plain) stands in Answer"), "{other:?}");
    left.ward.dismiss();
}

fn left_over_pieces(first: &Left) -> Vec<String> {
    let left = left();
    let mut heard = Heard::default();
    for piece in left.token.as_bytes().chunks(5) {
        heard.bytes(piece);
    }
    heard.bytes(&vec![b'x'; HEARD_MAX]);
    heard.bytes(first.token.as_bytes());
    drop(heard);
    let findings = left.ward.findings();
    left.ward.dismiss();
    findings
}

#[test]
fn every_kind_is_forbidden_wherever_no_exception_is_written_down() {
    for (kind, place, why) in ALLOWED {
        assert!(why.len() > 20, "{kind:?} {place:?} has a reason");
        let credential = !matches!(kind, Kind::Address | Kind::HiddenValue);
        let shown_by_design = matches!(
            (kind, place),
            (Kind::MasterKey, Place::MasterKeyFile)
                | (Kind::GateKey, Place::Command | Place::Answer)
                | (Kind::AdminCredential, Place::Command)
        );
        assert!(
            !credential || shown_by_design,
            "a credential may stand in {place:?}"
        );
        assert!(
            !matches!(
                place,
                Place::Log | Place::Metrics | Place::Process | Place::OtherFile
            ),
            "{kind:?} may stand in {place:?}"
        );
    }
}

/// A leak by the running program's own outputs, and every kind of secret of a real world.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_every_kind_are_known_to_the_ward_of_a_real_world() {
    let mut world = World::plain().await;
    let key = world.key("reader");
    let app = world.sim.oauth_app("agency", &[]);
    let install = scopegate::sim::Install::new(&app.client_id, PORTAL, every_scope());
    let grant = world.sim.install(install).unwrap().expose().to_owned();
    let given = "given-by-the-test-0123456789";
    write_secret(&world.dir.path().join("given"), given);
    let issued = world.sim.issued();
    let made = world.command(&["admin", "create", "--name", "ward", "--role", "viewer"]);
    let credential = String::from_utf8(made.stdout).unwrap();
    assert!(credential.starts_with("sga_"), "{credential:?}");
    world.stop().await;
    let gate = Gate::start(&world.config());
    // A master key that is replaced stays one, wherever its file went.
    let data = world.home().join("data");
    let replaced = std::fs::read_to_string(data.join("master.key")).unwrap();
    let rotated = tokio::task::block_in_place(|| world.command(&["master-key", "rotate"]));
    assert!(rotated.status.success(), "{rotated:?}");
    for entry in std::fs::read_dir(data).unwrap() {
        let file = entry.unwrap().path();
        if file.to_string_lossy().contains("master.key.old-") {
            std::fs::remove_file(file).unwrap();
        }
    }
    let master = std::fs::read_to_string(world.home().join("data/master.key")).unwrap();
    let planted = issued
        .hidden_values
        .iter()
        .find(|value| value.starts_with("PLANTED-"));
    let leak = world.home().join("tmp/leak");
    for (kind, text) in [
        ("MasterKey", master.trim()),
        ("AccessToken", &world.upstream_token),
        ("RefreshToken", &grant),
        ("ClientSecret", app.client_secret.expose()),
        ("GateKey", &key),
        ("AdminCredential", credential.trim()),
        ("MasterKey", replaced.trim()),
        ("GivenSecret", given),
        ("Address", &issued.addresses[0]),
        ("HiddenValue", planted.unwrap()),
    ] {
        assert_eq!(world.ward().findings(), [] as [String; 0], "before {kind}");
        std::fs::write(&leak, text).unwrap();
        let findings = world.ward().findings();
        assert!(
            about(&findings, &format!("{kind} (plain) stands in OtherFile")),
            "{kind}: {findings:?}"
        );
        std::fs::remove_file(&leak).unwrap();
    }
    // The decoded key, as a core or a swapped page would have it.
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(master.trim())
        .unwrap();
    std::fs::write(&leak, [b"....".as_slice(), &bytes].concat()).unwrap();
    assert!(about(&world.ward().findings(), "MasterKey (plain)"));
    std::fs::remove_file(&leak).unwrap();
    assert!(refuses_cores(gate.pid()), "no core file and no debugger");
    drop(gate);
}

#[test]
#[should_panic(expected = "nobody would look for secrets")]
fn a_gate_below_no_ward_is_not_even_started() {
    let dir = tempfile::tempdir().unwrap();
    drop(Gate::start(&dir.path().join("scopegate.yaml")));
}

fn refuses_cores(pid: u32) -> bool {
    let limits = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    core.split_whitespace().skip(4).take(2).eq(["0", "0"])
}
