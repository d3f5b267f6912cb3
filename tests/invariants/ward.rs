//! The harness that searches for secrets after every test, seen to find them: one planted in each place, in each
//! form, and what no exception covers.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::Path;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use scopegate::sim::{PLANTED_NUMBER, PLANTED_TEXT, PortalOptions, Sim, SimOptions};

use crate::child::Gate;
use crate::support::canaries::heard::{Heard, Overheard};
use crate::support::canaries::{ALLOWED, HEARD_MAX, Kind, Place, Ward, forms, given_in, seen};
use crate::support::{PORTAL, World, every_scope, write_secret};

/// A folder as a gate leaves it, with one secret of each kind that only the simulator knows.
struct Left {
    ward: Ward,
    dir: tempfile::TempDir,
    token: String,
    /// Values of hidden properties: of the first record and the last, a former one, a number and a date.
    planted: [String; 5],
}

fn left() -> Left {
    let sim = Sim::new(SimOptions::default());
    sim.add_portal(PortalOptions::new(PORTAL));
    let token = sim.private_app(PORTAL, every_scope()).expose().to_owned();
    let dir = tempfile::tempdir().unwrap();
    let ward = Ward::new(dir.path(), &sim, "127.0.0.1:1".parse().unwrap());
    std::fs::create_dir_all(dir.path().join("gate/data/audit/test")).unwrap();
    let all = sim.issued().hidden_values;
    let is_text = |value: &&String| value.starts_with(PLANTED_TEXT);
    let texts = || all.iter().filter(is_text);
    let planted = [
        texts().next(),
        texts().next_back(),
        texts().rfind(|value| value.ends_with("-before")),
        all.iter().rfind(|value| value.starts_with(PLANTED_NUMBER)),
        all.iter().rfind(|value| value.starts_with("160")),
    ];
    Left {
        ward,
        dir,
        token,
        planted: planted.map(|value| value.unwrap().clone()),
    }
}

fn about(findings: &[String], what: &str) -> bool {
    findings.iter().any(|finding| finding.contains(what))
}

/// Plants each form of a secret in all of these files.
fn assert_found(left: &Left, kind: Kind, secret: &str, files: &[(&str, Place)]) {
    assert_eq!(left.ward.findings(), [] as [String; 0]);
    let mut names = BTreeSet::new();
    for (number, (form, bytes)) in forms(secret.as_bytes()).into_iter().enumerate() {
        names.insert(form);
        // In the middle of other text, so that base64 has neighbours at both sides.
        let text = [&b"{\"a\":\""[..], &bytes, b"\"}\n"].concat();
        for (file, _) in files {
            let file = left.dir.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &text).unwrap();
        }
        let findings = left.ward.findings();
        for (file, place) in files {
            let file = left.dir.path().join(file);
            let wanted = format!("{kind:?} ({form}) stands in {place:?}: {}", file.display());
            assert!(about(&findings, &wanted), "{number}: {wanted}: {findings:?}");
            std::fs::remove_file(&file).unwrap();
        }
        assert_eq!(left.ward.findings(), [] as [String; 0], "{form}");
    }
    assert_eq!(names.len(), 7, "{names:?}");
}

const FILES: [(&str, Place); 8] = [
    ("gate/stderr.log", Place::Log),
    ("gate/data/audit/test/1.jsonl", Place::Audit),
    ("gate/data/scopegate.db", Place::Store),
    ("gate/data/scopegate.db-wal", Place::Store),
    ("gate/data/scopegate.db-shm", Place::Store),
    ("gate/data/master.key", Place::MasterKeyFile),
    ("gate/policies/x.yaml", Place::OtherFile),
    ("gate/tmp/.hidden", Place::OtherFile),
];

#[tokio::test]
async fn a_token_in_any_form_and_any_place_is_found() {
    let left = left();
    assert_found(&left, Kind::AccessToken, &left.token, &FILES);
    left.ward.dismiss();
}

#[tokio::test]
async fn a_hidden_value_in_any_form_and_any_place_is_found_whoevers_it_is() {
    let left = left();
    for (number, value) in left.planted.iter().enumerate() {
        let files = if number == 0 { &FILES[..] } else { &FILES[1..2] };
        assert_found(&left, Kind::HiddenValue, value, files);
    }
    left.ward.dismiss();
}

#[tokio::test]
async fn a_token_inside_encoded_text_is_found_at_every_alignment() {
    use base64::Engine;
    let left = left();
    let log = left.dir.path().join("gate/stderr.log");
    let planted = left.planted.iter().map(|value| ("HiddenValue", value));
    for (kind, secret) in planted.chain([("AccessToken", &left.token)]) {
        for before in ["", "a", "ab", "abc", "Bearer "] {
            let text = format!("{before}{secret} and more");
            for encoded in [
                base64::engine::general_purpose::STANDARD.encode(&text),
                base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&text),
            ] {
                std::fs::write(&log, encoded).unwrap();
                let wanted = format!("{kind} (base64");
                assert!(about(&left.ward.findings(), &wanted), "{before:?} {secret}");
            }
        }
    }
    // Cut short, as a log line may be.
    for (kind, secret) in [("AccessToken", &left.token), ("HiddenValue", &left.planted[1])] {
        std::fs::write(&log, &secret[..secret.len() - 3]).unwrap();
        assert!(about(&left.ward.findings(), &format!("{kind} (plain)")));
    }
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

#[tokio::test]
async fn chunks_of_http1_and_frames_of_http2_hide_nothing() {
    let left = left();
    let hear = |bytes: &[u8]| {
        let mut heard = Heard::default();
        bytes.chunks(7).for_each(|piece| heard.bytes(piece));
    };
    let found = |what: &str| about(&left.ward.findings(), &format!("{what} (plain) stands in Answer"));
    // Neither half alone is as much as is recognised.
    let (begin, end) = left.token.split_at(left.token.len() / 2);
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let chunks = [begin, end, ""].map(chunk).concat();
    hear(format!("HTTP/1.1 200 OK\r\n\r\n{chunks}").as_bytes());
    assert!(found("AccessToken"), "in two chunks");

    // RFC 7541, appendix C.6.1: the head of a redirect, coded by Huffman; and padded, and cut in two.
    let location = "https://www.example.com";
    given_in(&left.dir.path().join("given"), location);
    let head = "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff\
                6e919d29ad171863c78f0b97c8e9ae82ae43d3";
    let head: Vec<u8> = (0..head.len() / 2)
        .map(|at| u8::from_str_radix(&head[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    let frame = |kind: u8, flags: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, 1][..], payload].concat()
    };
    let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100];
    let padded = [&[3][..], &head[..40], &[0; 3]].concat();
    let fields = [frame(1, 0x8, &padded), frame(9, 0x4, &head[40..])].concat();
    assert!(!found("GivenSecret"));
    hear(&[&settings[..], &fields].concat());
    assert!(found("GivenSecret"), "in a head of HTTP/2");
    left.ward.dismiss();
}

#[tokio::test]
async fn what_came_over_a_connection_that_is_still_open_is_searched_too() {
    let left = left();
    let mut heard = Heard::default();
    heard.bytes(left.token.as_bytes());
    let findings = left.ward.findings();
    assert!(about(&findings, "AccessToken (plain) stands in Answer"));
    left.ward.dismiss();
}

/// A client of hyper's reads this over HTTP/2, in a field of the head or in a body of many frames.
async fn read_over_http2(text: &str, is_in_head: bool) {
    let (field, body) = if is_in_head { (text, "") } else { ("x", text) };
    let (field, body) = (field.to_owned(), body.to_owned());
    let (near, far) = tokio::io::duplex(4096);
    let answer = service_fn(move |_: Request<Incoming>| {
        let pieces = body.as_bytes().chunks(10).map(Bytes::copy_from_slice);
        let frames: Vec<_> = pieces
            .map(|piece| Ok::<_, Infallible>(Frame::data(piece)))
            .collect();
        let body = StreamBody::new(futures_util::stream::iter(frames));
        let answer = Response::builder().header("x-test", &field).body(body);
        async { answer }
    });
    let gate = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let gate = tokio::spawn(gate.serve_connection(TokioIo::new(far), answer));
    let stream = TokioIo::new(Overheard::over(near));
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream)
        .await
        .unwrap();
    let driver = tokio::spawn(connection);
    let request = Request::get("http://gate/").body(Empty::<Bytes>::new()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    answer.into_body().collect().await.unwrap();
    // It is handed in when the connection ends.
    drop(sender);
    driver.await.unwrap().unwrap();
    gate.abort();
}

#[tokio::test]
async fn what_a_client_reads_over_http2_is_searched_as_it_was_meant() {
    for is_in_head in [true, false] {
        let left = left();
        read_over_http2(&left.token, is_in_head).await;
        let findings = left.ward.findings();
        assert!(
            about(&findings, "AccessToken (plain) stands in Answer"),
            "in its head: {is_in_head}: {findings:?}"
        );
        left.ward.dismiss();
    }
}

/// Connections that a file of tests opens by itself without handing over what comes: how many, and why.
const UNHEARD: &[(&str, usize, &str)] = &[
    ("tests/support/relay.rs", 1, "it goes to the upstream"),
    ("tests/faults/script.rs", 2, "it goes to the upstream"),
    ("tests/durability/murder.rs", 1, "it goes to the simulator"),
    ("tests/floods/way_up.rs", 1, "it goes to the upstream"),
    ("tests/support/canaries.rs", 1, "the harness itself: metrics"),
    ("tests/support/heard.rs", 1, "the harness itself"),
    ("tests/support/wire.rs", 1, "the harness itself"),
    ("tests/transport/process.rs", 1, "nobody listens any more"),
    ("tests/install/crowds.rs", 3, "nothing, or one small page"),
    ("tests/install/process.rs", 1, "nobody reads it"),
];

/// How often a text opens a connection, and how often it hands one over.
fn connections(text: &str) -> (usize, usize) {
    let count = |words: &[&str]| words.iter().map(|word| text.matches(word).count()).sum();
    (
        count(&["TcpStream::connect", "TcpSocket::new_v", "UnixStream::connect"]),
        count(&["Overheard::over(", "Wire::over(", "canaries::seen"]),
    )
}

#[test]
fn what_a_test_reads_of_a_connection_of_its_own_is_handed_over() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open = vec![root.join("tests")];
    let mut wrong = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        // The simulator's own tests have no gate; this file has the words that are looked for.
        let is_left_out = name.starts_with("tests/sim/") || name == "tests/invariants/ward.rs";
        if !name.ends_with(".rs") || is_left_out {
            continue;
        }
        let (opened, handed_over) = connections(&std::fs::read_to_string(&path).unwrap());
        let listed = UNHEARD.iter().find(|(file, ..)| *file == name);
        let unheard = opened.saturating_sub(handed_over);
        if unheard != listed.map_or(0, |(_, count, _)| *count) {
            wrong.push(format!("{name}: {unheard}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "connections whose bytes nobody searches, see `Overheard`: {wrong:#?}"
    );
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
