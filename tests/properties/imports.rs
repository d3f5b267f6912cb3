//! Imports: decided by `importRequest`, sent up as they were read, or not at all.

use scopegate::sim::{Install, PortalOptions};
use serde_json::json;

use crate::portal::world;
use crate::support::{Setup, World, every_scope, path, policy, write_secret};
use crate::wire::{Reply, Wire, request};

const IMPORTS: &str = "/crm/v3/imports";
const TYPE: &str = "Content-Type: multipart/form-data; boundary=CLIENT";
const END: &str = "--CLIENT--\r\n";
const CSV: &str = "Email,First\r\na@example.com,A\r\n--CLIEN\r\n";

fn asking(property: &str) -> String {
    json!({
        "name": "n", "importOperations": {"0-1": "CREATE"}, "dateFormat": "DAY_MONTH_YEAR",
        "files": [{"fileName": "a.csv", "fileFormat": "CSV", "fileImportPage": {"hasHeader": true, "columnMappings": [
            {"columnObjectTypeId": "0-1", "columnName": "Email", "propertyName": property}]}}],
    })
    .to_string()
}

fn part(head: &str, data: &str) -> String {
    format!("--CLIENT\r\nContent-Disposition: form-data; {head}\r\n\r\n{data}\r\n")
}

fn asked(property: &str) -> String {
    part("name=\"importRequest\"", &asking(property))
}

fn file(data: &str) -> String {
    part(
        "name=\"files\"; filename=\"a.csv\"\r\nContent-Type: text/csv",
        data,
    )
}

/// Sends a body in HTTP chunks of so many bytes.
async fn send(world: &World, key: &str, body: &str, chunk_bytes: usize) -> Reply {
    let mut wire = Wire::open(world.gate).await;
    let lines = [TYPE, "Transfer-Encoding: chunked"];
    wire.write(request("POST", IMPORTS, key, &lines, "")).await;
    for chunk in body.as_bytes().chunks(chunk_bytes) {
        let framed = [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat();
        if !wire.write(framed).await {
            break;
        }
    }
    wire.write("0\r\n\r\n").await;
    wire.reply().await.expect("the gate answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_goes_up_as_it_was_judged_between_boundaries_of_the_gates_own() {
    let (world, key) = world().await;
    for body in [
        [asked("email"), file(CSV), END.into()].concat(),
        [file(CSV), asked("email"), END.into()].concat(),
        [asked("email"), file(""), file(&CSV.repeat(9_000)), END.into()].concat(),
    ] {
        for chunk_bytes in [17, 1_000, body.len()] {
            if body.len() / chunk_bytes > 20_000 {
                continue;
            }
            world.sim.forget_received();
            let reply = send(&world, &key, &body, chunk_bytes).await;
            assert_eq!(reply.verdict(), "allow", "{reply:?}");
            let received = world.sim.received();
            assert_eq!(received.len(), 1, "{received:?}");
            let content_type = received[0].header("content-type").unwrap();
            let boundary = content_type
                .strip_prefix("multipart/form-data; boundary=")
                .unwrap();
            assert!(
                boundary.starts_with("scopegate-") && boundary.len() > 30,
                "{content_type}"
            );
            let text = String::from_utf8_lossy(&received[0].body).into_owned();
            let first = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"importRequest\"\r\n\r\n{}\r\n--{boundary}\r\n\
                 Content-Disposition: form-data; name=\"files\"; filename=\"a.csv\"\r\nContent-Type: text/csv\r\n\r\n",
                asking("email")
            );
            assert!(text.starts_with(&first), "{text:.1500}");
            assert!(!text.contains("--CLIENT\r\n"), "{text:.1500}");
            if received[0].body.len() as u64 == received[0].body_bytes {
                assert!(text.ends_with(&format!("\r\n--{boundary}--\r\n")), "{text:.1500}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_into_a_property_that_may_not_be_written_is_denied_before_a_file_goes_up() {
    let (world, key) = world().await;
    world.sim.forget_received();
    for body in [
        [asked("ssn"), file(CSV), END.into()].concat(),
        [file(CSV), asked("ssn"), END.into()].concat(),
    ] {
        let reply = send(&world, &key, &body, 100).await;
        assert_eq!(
            (reply.status, reply.verdict().as_str()),
            (403, "deny"),
            "{reply:?}"
        );
        assert_eq!(reply.sub_category(), "scopegate.property");
        assert_eq!(reply.json()["context"]["deniedProperties"], json!(["ssn"]));
    }
    assert!(world.sim.received().is_empty(), "{:?}", world.sim.received());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_be_read_as_another_import_is_never_read_whole_by_anybody() {
    let (world, key) = world().await;
    let (good, a) = (asked("email"), file(CSV));
    let bad = asked("ssn");
    let long = file(&CSV.repeat(9_000));
    let renamed = |name: &str| bad.replace("name=\"importRequest\"", name);
    let table: Vec<(&str, String)> = vec![
        ("two requests", format!("{good}{bad}{END}")),
        ("a second one behind a file", format!("{good}{a}{bad}{END}")),
        ("a second one, late", format!("{good}{long}{bad}{END}")),
        (
            "another case",
            format!("{good}{long}{}{END}", renamed("name=\"ImportRequest\"")),
        ),
        (
            "an encoded name",
            format!("{good}{a}{}{END}", renamed("name*=utf-8''importRequest")),
        ),
        (
            "two names",
            format!(
                "{good}{a}{}{END}",
                renamed("name=\"files\"; name=\"importRequest\"; filename=\"x\"")
            ),
        ),
        (
            "another part",
            format!("{good}{a}{}{END}", part("name=\"x\"", "1")),
        ),
        (
            "a preamble",
            format!("{bad}\r\n{good}{a}{END}").replacen("--CLIENT", "--CLIEN", 1),
        ),
        ("an epilogue", format!("{good}{a}{END}{bad}{END}")),
        ("no final boundary", format!("{good}{a}")),
        ("no final boundary, late", format!("{good}{long}")),
        (
            "nested parts",
            format!(
                "{good}{}{END}",
                a.replace("text/csv", "multipart/mixed; boundary=IN")
            ),
        ),
        ("no request", format!("{a}{END}")),
        (
            "a header bomb",
            format!("{good}--CLIENT\r\n{}", "X: y\r\n".repeat(20_000)),
        ),
        (
            "a path for a name",
            format!("{good}{}{END}", a.replace("a.csv", "../a.csv")),
        ),
        (
            "broken JSON",
            format!("{}{a}{END}", part("name=\"importRequest\"", "{\"a\":1,\"a\":2}")),
        ),
        ("nothing", String::new()),
    ];
    for (what, body) in &table {
        for chunk_bytes in [101, body.len().max(1)] {
            world.sim.forget_received();
            let reply = send(&world, &key, body, chunk_bytes).await;
            assert_eq!(
                (reply.status, reply.sub_category().as_str()),
                (400, "scopegate.refused"),
                "{what}: {reply:?}"
            );
            for received in world.sim.received() {
                assert!(
                    !received.complete,
                    "{what}: HubSpot read a whole body: {received:?}"
                );
                assert!(
                    !String::from_utf8_lossy(&received.body).contains("ssn"),
                    "{what}: {received:?}"
                );
            }
        }
    }
    for line in [
        "Content-Type: application/json",
        "Content-Type: multipart/form-data; boundary=CLIENT; charset=utf-16",
        "Content-Type: multipart/form-data; boundary=CLIENT; boundary=OTHER",
        "Content-Type: multipart/mixed; boundary=CLIENT",
        "Content-Type: multipart/form-data",
        "Accept: */*",
    ] {
        let body = [good.as_str(), a.as_str(), END].concat();
        let reply = Wire::open(world.gate)
            .await
            .ask(request("POST", IMPORTS, &key, &[line], &body))
            .await;
        assert_eq!(
            (reply.status, reply.verdict().as_str()),
            (400, "refuse"),
            "{line}: {reply:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_before_the_request_are_held_within_the_bound_and_413_beyond_it() {
    let (world, key) = crate::portal::with("limits: { judged_body_size: 64KiB }\n").await;
    world.sim.forget_received();
    let long = file(&"x".repeat(100 * 1024));
    let reply = send(&world, &key, &format!("{long}{}{END}", asked("email")), 8_000).await;
    assert_eq!(
        (reply.status, reply.sub_category().as_str()),
        (413, "scopegate.too_large"),
        "{reply:?}"
    );
    assert!(
        reply.json()["message"]
            .as_str()
            .unwrap()
            .contains("`importRequest` as the first part")
    );
    assert!(world.sim.received().is_empty());
    let reply = send(&world, &key, &format!("{}{long}{END}", asked("email")), 8_000).await;
    assert_eq!(
        reply.verdict(),
        "allow",
        "the same in the other order passes: {reply:?}"
    );
}

/// An import's key on a connection whose token can be renewed.
async fn renewable() -> (World, String) {
    let rules = "allow:\n  - operation: crm.imports.create\n    objects: [contacts]\n";
    let world = World::with(Setup {
        policies: vec![(
            "importer",
            policy("importer", rules).replace("[acme]", "[renewed]"),
        )],
        ..Setup::default()
    })
    .await;
    let app = world.sim.oauth_app("test", &[]);
    let file = |name: &str, text: &str| {
        let file = world.dir.path().join(name);
        write_secret(&file, text);
        path(&file).to_owned()
    };
    let ok = |args: &[&str]| {
        let output = world.command(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let secret = file("secret", app.client_secret.expose());
    let id = app.client_id.clone();
    ok(&[
        "app",
        "add",
        "marketing",
        "--client-id",
        &id,
        "--secret-file",
        &secret,
    ]);
    world.sim.add_portal(PortalOptions::new(2001));
    let install = world
        .sim
        .install(Install::new(&app.client_id, 2001, every_scope()));
    let grant = file("grant", install.unwrap().expose());
    let adding = ["connection", "add", "renewed", "--portal", "2001"];
    ok(&[
        &adding[..],
        &["--app", "marketing", "--refresh-token-file", &grant],
    ]
    .concat());
    let key = ok(&[
        "key",
        "create",
        "--integration",
        "importer",
        "--connection",
        "renewed",
    ]);
    (world, key)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_still_held_is_sent_again_byte_for_byte_after_a_401() {
    let small = [asked("email"), file(CSV), END.into()].concat();
    let large = [asked("email"), file(&CSV.repeat(9_000)), END.into()].concat();
    for (body, chunk_bytes, status, seen) in [
        (&small, small.len(), 200, &[401, 200][..]),
        (&small, 10, 200, &[401, 200]),
        // Too much to be kept: whoever has it must send it again.
        (&large, 8_000, 503, &[401]),
    ] {
        // A token is not renewed twice in a row, so each case has its own.
        let (world, key) = renewable().await;
        assert_eq!(send(&world, &key, &small, 100).await.status, 200);
        world.sim.expire_access_tokens();
        world.sim.forget_received();
        let reply = send(&world, &key, body, chunk_bytes).await;
        assert_eq!(reply.status, status, "{reply:?}");
        let received = world.sim.received();
        let imports = received.iter().filter(|received| received.path() == IMPORTS);
        let statuses: Vec<u16> = imports.clone().filter_map(|received| received.status).collect();
        assert_eq!(statuses, seen);
        if let [first, again] = imports.collect::<Vec<_>>()[..] {
            assert!(again.complete && again.body_sha256 == first.body_sha256 || !first.complete);
            assert_eq!(again.header("content-type"), first.header("content-type"));
        }
    }
}
