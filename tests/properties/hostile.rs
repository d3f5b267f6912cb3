//! Answers that HubSpot never sends, or sends on its worst day: what a client sees of them.

use std::time::Duration;

use scopegate::sim::{Action, Canned, Fault, Matching};
use serde_json::{Value, json};

use crate::child::Gate;
use crate::portal::{narrow, with, world};
use crate::support::{Setup, World};
use crate::wire::{Reply, Wire, get, request};

const LIST: &str = "/crm/v3/objects/contacts?limit=100";
/// Stands for every value that must not be seen, and is one that is searched for wherever it might stand.
const HIDDEN: &str = "PLANTED-contacts-ssn-9000";

async fn ask(world: &World, bytes: String, actions: Vec<Action>) -> Option<Reply> {
    for action in actions {
        world.sim.fault(Fault::once(Matching::any(), action));
    }
    let mut wire = Wire::open(world.gate).await;
    wire.write(bytes).await;
    wire.reply().await
}

fn typed(content_type: &str, body: impl Into<bytes::Bytes>) -> Vec<Action> {
    vec![Action::Answer(
        Canned::new(200, body).header("content-type", content_type),
    )]
}

fn raw(text: &str) -> Vec<Action> {
    vec![Action::Raw(text.to_owned().into())]
}

fn pieces(piece_bytes: usize) -> Action {
    Action::Trickle {
        piece_bytes,
        pause: Duration::from_millis(2),
    }
}

const RECORD: &str =
    r#"{"results":[{"id":"1","properties":{"email":"e@example.com","ssn":"PLANTED-contacts-ssn-9000"}}]}"#;

fn page(records: usize) -> String {
    let record =
        |n: usize| json!({"id": n.to_string(), "properties": {"email": "e@example.com", "ssn": HIDDEN}});
    json!({"results": (0..records).map(record).collect::<Vec<_>>()}).to_string()
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// It is passed on without the hidden value.
    Filtered,
    /// A 502 in the gate's own words.
    Withheld,
    /// Nothing of a body, under this status.
    Empty(u16),
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_filtered_or_withheld_whatever_it_says_it_is() {
    use Then::{Empty, Filtered, Withheld};
    let (world, key) = world().await;
    let utf16: Vec<u8> = RECORD.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cut = &RECORD[..RECORD.len() - 9];
    let length = RECORD.len();
    let head =
        |status: &str, more: &str| format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{more}");
    let whole =
        |status: &str, more: &str| format!("{}content-length: {length}\r\n\r\n{RECORD}", head(status, more));
    let table: Vec<(&str, Then, Vec<Action>)> = vec![
        ("plain", Filtered, typed("application/json", RECORD)),
        (
            "another JSON",
            Filtered,
            typed("application/vnd.api+json", RECORD),
        ),
        (
            "odd spelling",
            Filtered,
            typed("Application/JSON ; charset=UTF-8", RECORD),
        ),
        (
            "UTF-16 said",
            Withheld,
            typed("application/json; charset=utf-16", RECORD),
        ),
        (
            "two charsets",
            Withheld,
            typed("application/json; charset=utf-8; charset=utf-16", RECORD),
        ),
        (
            "two types",
            Withheld,
            typed("application/json, text/html", RECORD),
        ),
        ("UTF-16 not said", Withheld, typed("application/json", utf16)),
        ("text/json", Withheld, typed("text/json", RECORD)),
        ("lines of JSON", Withheld, typed("application/x-ndjson", RECORD)),
        (
            "no type",
            Withheld,
            raw(&format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{RECORD}"
            )),
        ),
        (
            "two documents",
            Withheld,
            typed("application/json", format!("{RECORD}\n{RECORD}")),
        ),
        (
            "a mark before it",
            Withheld,
            typed("application/json", format!("\u{feff}{RECORD}")),
        ),
        (
            "no UTF-8",
            Withheld,
            typed(
                "application/json",
                [&b"{\"results\":[],\"a\":\"\xff"[..], HIDDEN.as_bytes(), b"\"}"].concat(),
            ),
        ),
        (
            "half a pair",
            Withheld,
            typed(
                "application/json",
                format!(r#"{{"results":[],"total":"\ud800{HIDDEN}"}}"#),
            ),
        ),
        (
            "a comment",
            Withheld,
            typed("application/json", format!("{RECORD}/* */")),
        ),
        (
            "a comma too many",
            Withheld,
            typed(
                "application/json",
                r#"{"results":[{"id":"1","properties":{"ssn":"PLANTED-contacts-ssn-9000",}}]}"#,
            ),
        ),
        (
            "single quotes",
            Withheld,
            typed(
                "application/json",
                "{'results':[{'ssn':'PLANTED-contacts-ssn-9000'}]}",
            ),
        ),
        (
            "a name with escapes",
            Filtered,
            typed(
                "application/json",
                r#"{"results":[{"id":"1","properties":{"s\u0073n":"PLANTED-contacts-ssn-9000","\u0065mail":"e@example.com"}}]}"#,
            ),
        ),
        (
            "members with escapes",
            Filtered,
            typed(
                "application/json",
                r#"{"r\u0065sults":[{"id":"1","propert\u0069es":{"ssn":"PLANTED-contacts-ssn-9000","email":"e@example.com"}}]}"#,
            ),
        ),
        (
            "a name twice, once escaped",
            Withheld,
            typed(
                "application/json",
                r#"{"results":[{"id":"1","properties":{"email":"a"},"propert\u0069es":{"email":"PLANTED-contacts-ssn-9000"}}]}"#,
            ),
        ),
        (
            "names in other case",
            Withheld,
            typed(
                "application/json",
                r#"{"Results":[{"id":"1","Properties":{"ssn":"PLANTED-contacts-ssn-9000"}}]}"#,
            ),
        ),
        (
            "a value that is an object",
            Withheld,
            typed(
                "application/json",
                r#"{"results":[{"id":"1","properties":{"email":{"ssn":"PLANTED-contacts-ssn-9000"}}}]}"#,
            ),
        ),
        (
            "a value that is a list",
            Withheld,
            typed(
                "application/json",
                r#"{"results":[{"id":"1","properties":{"email":["PLANTED-contacts-ssn-9000"]}}]}"#,
            ),
        ),
        (
            "a record in a list",
            Withheld,
            typed("application/json", format!("{{\"results\":[[{RECORD}]]}}")),
        ),
        (
            "an error that says 200",
            Filtered,
            typed(
                "application/json",
                r#"{"status":"error","message":"PLANTED-contacts-ssn-9000","results":[],"context":null,"e@example.com":1,"category":"email"}"#,
            ),
        ),
        (
            "gzip that is none",
            Withheld,
            vec![
                Action::Answer(Canned::new(200, RECORD).header("content-type", "application/json")),
                Action::BadGzip,
            ],
        ),
        (
            "gzip",
            Filtered,
            vec![Action::Answer(Canned::new(200, RECORD)), Action::ForceGzip],
        ),
        (
            "an unknown coding",
            Withheld,
            raw(&whole("200 OK", "content-encoding: br\r\n")),
        ),
        (
            "two codings",
            Withheld,
            raw(&whole("200 OK", "content-encoding: gzip, gzip\r\n")),
        ),
        (
            "half of it",
            Withheld,
            vec![Action::Answer(Canned::new(200, RECORD)), Action::HalfBody],
        ),
        (
            "cut in a hidden value",
            Withheld,
            raw(&format!(
                "{}content-length: {}\r\n\r\n{cut}",
                head("200 OK", ""),
                cut.len()
            )),
        ),
        (
            "a length too long",
            Withheld,
            raw(&format!(
                "{}content-length: {}\r\n\r\n{RECORD}",
                head("200 OK", ""),
                length + 5
            )),
        ),
        (
            "to the end of the connection",
            Withheld,
            raw(&format!(
                "{}connection: close\r\n\r\n{RECORD}",
                head("200 OK", "")
            )),
        ),
        (
            "chunks without an end",
            Withheld,
            raw(&format!(
                "{}transfer-encoding: chunked\r\n\r\n{length:x}\r\n{RECORD}\r\n",
                head("200 OK", "")
            )),
        ),
        (
            "hints before it",
            Filtered,
            raw(&format!(
                "HTTP/1.1 103 Early Hints\r\nlink: <{HIDDEN}>\r\n\r\n{}",
                whole("200 OK", "")
            )),
        ),
        (
            "a trailer",
            Filtered,
            raw(&format!(
                "{}transfer-encoding: chunked\r\ntrailer: x-a\r\n\r\n{length:x}\r\n{RECORD}\r\n0\r\nx-a: {HIDDEN}\r\n\r\n",
                head("200 OK", "")
            )),
        ),
        (
            "headers with values",
            Filtered,
            raw(&whole(
                "200 OK",
                &format!(
                    "x-a: {HIDDEN}\r\nlocation: /{HIDDEN}\r\nlink: <{HIDDEN}>\r\netag: \"{HIDDEN}\"\r\nset-cookie: a={HIDDEN}\r\n"
                ),
            )),
        ),
        ("a part", Withheld, raw(&whole("206 Partial Content", ""))),
        ("accepted", Filtered, raw(&whole("202 Accepted", ""))),
        ("another status of success", Filtered, raw(&whole("299 Fine", ""))),
        (
            "moved",
            Withheld,
            raw(&whole(
                "301 Moved",
                &format!("location: https://api.hubapi.com/{HIDDEN}\r\n"),
            )),
        ),
        (
            "not modified",
            Withheld,
            raw(&format!("{}\r\n", head("304 Not Modified", ""))),
        ),
        (
            "no content with content",
            Withheld,
            raw(&whole("204 No Content", "")),
        ),
        ("no content", Empty(204), raw("HTTP/1.1 204 No Content\r\n\r\n")),
        ("nothing", Empty(200), typed("application/json", "")),
        (
            "nothing of no type",
            Empty(200),
            raw("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        ),
    ];
    for coding in ["whole", "in pieces"] {
        for (what, then, actions) in &table {
            let mut actions = actions.clone();
            if coding == "in pieces" && matches!(actions.as_slice(), [Action::Answer(_)]) {
                actions.push(pieces(1));
            }
            let reply = ask(&world, get(LIST, &key), actions).await.unwrap();
            let seen = format!("{what}, {coding}: {reply:?}");
            assert!(!seen.contains("PLANTED"), "{seen}");
            assert!(reply.whole, "{seen}");
            match then {
                Filtered => {
                    assert!((200..300).contains(&reply.status), "{seen}");
                    assert!(reply.header("x-scopegate-stripped").is_some(), "{seen}");
                    let left = reply.json();
                    assert!(left.get("results").is_some_and(Value::is_array), "{seen}");
                }
                Withheld => assert_eq!(
                    (reply.status, reply.sub_category().as_str()),
                    (502, "scopegate.upstream"),
                    "{seen}"
                ),
                Empty(status) => assert_eq!((reply.status, reply.body.len()), (*status, 0), "{seen}"),
            }
        }
    }
    let after = ask(&world, get(LIST, &key), vec![]).await.unwrap();
    assert_eq!(after.status, 200, "nothing of all that stays: {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_any_kind_keeps_its_status_and_quotes_nothing() {
    let (world, key) = world().await;
    let quotes = [
        RECORD.to_owned(),
        json!({"status": {"ssn": HIDDEN}, "category": [HIDDEN], "message": {"a": HIDDEN}, "errors": HIDDEN, "context": [HIDDEN], "links": {"a": HIDDEN}}).to_string(),
        json!({"message": HIDDEN, "errors": [[HIDDEN], HIDDEN, {"message": HIDDEN, "in": HIDDEN, "context": {"ssn": [HIDDEN]}}]}).to_string(),
        format!("\"{HIDDEN}\""),
        format!("[{{\"ssn\":\"{HIDDEN}\"}}]"),
        format!(r#"{{"message":"a","message":"{HIDDEN}"}}"#),
        format!(r#"{{"message":"You have reached your secondly limit.{HIDDEN}"}}"#),
        format!(r#"{{"message":"You have reached your secondly limit.","mess\u0061ges":"{HIDDEN}"}}"#),
        format!(r#"{{"status":"error"}} {HIDDEN}"#),
        HIDDEN.to_owned(),
        format!("{{\"a\":\"{}{HIDDEN}", "x".repeat(300_000)),
    ];
    for status in [
        400, 403, 404, 405, 409, 415, 422, 423, 429, 477, 500, 502, 503, 504, 524, 599,
    ] {
        for (body, content_type) in quotes.iter().flat_map(|body| {
            [
                (body, "application/json"),
                (body, "text/plain"),
                (body, "application/json; charset=utf-16"),
            ]
        }) {
            let answer = Canned::new(status, body.clone())
                .header("content-type", content_type)
                .header("content-disposition", HIDDEN);
            let reply = ask(&world, get(LIST, &key), vec![Action::Answer(answer)])
                .await
                .unwrap();
            let seen = format!("{status} {content_type} {body:.300}: {reply:.1500?}");
            assert!(
                !format!("{}{}", reply.head, reply.text()).contains("PLANTED"),
                "{seen}"
            );
            assert!(reply.whole, "{seen}");
            assert_eq!(reply.status, status, "{seen}");
            assert!(reply.json().is_object(), "{seen}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_that_breaks_anywhere_never_ends_like_a_whole_one() {
    let (world, key) = world().await;
    let good = page(6_000);
    let begins: Vec<usize> = good.match_indices("{\"id\"").map(|(at, _)| at).collect();
    let near = |bytes: usize| begins.iter().copied().find(|at| *at >= bytes).unwrap();
    for (what, at) in [
        ("at the start", begins[0]),
        ("before the border", near(256 * 1024)),
        ("behind the border", near(400 * 1024)),
        ("at the end", begins[5_999]),
    ] {
        for bad in [
            r#"{"id":"1","properties":["PLANTED-contacts-ssn-9000"]},"#,
            r#"{"id":"1","properties":{"email":{"a":"PLANTED-contacts-ssn-9000"}}},"#,
            r#""PLANTED-contacts-ssn-9000","#,
            r#"{"id":"1","id":"PLANTED-contacts-ssn-9000"},"#,
        ] {
            let body = format!("{}{bad}{}", &good[..at], &good[at..]);
            for version in ["HTTP/1.1", "HTTP/1.0"] {
                let bytes = get(LIST, &key).replace("HTTP/1.1", version);
                let Some(reply) = ask(&world, bytes, typed("application/json", body.clone())).await else {
                    continue;
                };
                let seen = format!(
                    "{what} {version} {bad}: {} {} bytes",
                    reply.head,
                    reply.body.len()
                );
                assert!(!reply.text().contains("PLANTED"), "{seen}");
                let is_own = reply.status == 502 && reply.whole;
                let is_json = serde_json::from_slice::<Value>(&reply.body).is_ok();
                assert!(is_own || !is_json, "{seen}");
                // Over HTTP/1.0, too: the connection is reset.
                assert!(is_own || !reply.whole, "{seen}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_whole_document_breaks_the_transfer_wherever_chunks_end() {
    let (world, key) = with("limits: { answers_total_size: 0, in_flight_per_integration: 200 }\n").await;
    let body = format!("{RECORD} {RECORD}");
    for piece_bytes in [1, RECORD.len(), RECORD.len() + 1] {
        for version in ["HTTP/1.1", "HTTP/1.0"] {
            let mut actions = typed("application/json", body.clone());
            actions.push(Action::Trickle {
                piece_bytes,
                pause: Duration::from_millis(if piece_bytes == 1 { 1 } else { 100 }),
            });
            let bytes = get(LIST, &key).replace("HTTP/1.1", version);
            let Some(reply) = ask(&world, bytes, actions).await else {
                continue;
            };
            let seen = format!("{piece_bytes} {version}: {reply:?}");
            assert!(!seen.contains("PLANTED"), "{seen}");
            assert!(reply.status == 502 || !reply.whole, "{seen}");
            if let (200, Ok(left)) = (reply.status, serde_json::from_slice::<Value>(&reply.body)) {
                assert_eq!(left["results"].as_array().unwrap().len(), 1, "{seen}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn removals_show_nothing_whatever_they_are_answered_with() {
    let (world, key) = world().await;
    for (body, content_type) in [
        (RECORD, "application/json"),
        (HIDDEN, "text/plain"),
        (&*format!("[{RECORD}]"), "application/json"),
    ] {
        let bytes = request("DELETE", "/crm/v3/objects/contacts/1009", &key, &[], "");
        let reply = ask(&world, bytes, typed(content_type, body.to_owned()))
            .await
            .unwrap();
        assert!(
            !format!("{reply:?}").contains("PLANTED"),
            "{content_type}: {reply:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_shows_no_body_and_no_length_of_what_is_hidden() {
    let (world, key) = world().await;
    let bytes = get(LIST, &key).replace("GET ", "HEAD ");
    for action in [
        typed("application/json", RECORD),
        typed("text/plain", HIDDEN),
        vec![],
    ] {
        for one in action {
            world.sim.fault(Fault::once(Matching::any(), one));
        }
        let mut wire = Wire::open(world.gate).await;
        wire.write(&bytes).await;
        let reply = wire.head().await.unwrap();
        assert!(!reply.head.contains("PLANTED"), "{}", reply.head);
        assert_ne!(
            reply.header("content-length"),
            Some(RECORD.len().to_string().as_str()),
            "{}",
            reply.head
        );
        world.sim.clear_faults();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_of_many_answers_at_once_is_bounded() {
    let mut peaks = Vec::new();
    for (config, may_be_held) in [
        (
            "limits: { answers_total_size: 0, in_flight_per_integration: 200 }\n",
            0..=0,
        ),
        (
            "limits: { answers_total_size: 4MiB, in_flight_per_integration: 200 }\n",
            1..=100,
        ),
        (
            "limits: { answers_total_size: 256MiB, in_flight_per_integration: 200 }\n",
            200..=200,
        ),
    ] {
        let mut world = World::with(Setup {
            policies: vec![("narrow", narrow())],
            config: config.to_owned(),
            ..Setup::default()
        })
        .await;
        let key = world.key("narrow");
        world.stop().await;
        let gate = Gate::start_with(&world.config(), "info");
        let record = |n: usize| json!({"id": n.to_string(), "properties": {"email": "x".repeat(400)}});
        let body = json!({"results": (0..560).map(record).collect::<Vec<_>>()}).to_string();
        assert!((245_000..262_144).contains(&body.len()), "{}", body.len());
        world.sim.fault(Fault::always(
            Matching::any(),
            Action::Answer(Canned::new(200, body.clone())),
        ));
        world.sim.fault(Fault::always(
            Matching::any(),
            Action::Trickle {
                piece_bytes: 16 * 1024,
                pause: Duration::from_millis(100),
            },
        ));
        let before = gate.peak_kib();
        let calls = (0..200).map(|_| async {
            let mut wire = Wire::open(gate.gate).await;
            wire.ask(get(LIST, &key)).await
        });
        let replies = futures_util::future::join_all(calls).await;
        // What was held whole has a length; the others stream.
        let held = replies
            .iter()
            .filter(|reply| reply.header("content-length").is_some())
            .count();
        assert!(may_be_held.contains(&held), "{config}: {held} were held");
        for reply in replies {
            assert_eq!((reply.status, reply.whole), (200, true), "{:.300}", reply.head);
            assert_eq!(reply.json()["results"].as_array().unwrap().len(), 560);
        }
        peaks.push(gate.peak_kib() - before);
    }
    assert!(peaks[1] < peaks[2], "{peaks:?} KiB");
}
