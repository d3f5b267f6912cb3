//! Connections to the upstream: what comes on one unasked is never given to the next request.

use crate::place::{Place, is_withheld};
use crate::upstream::Script;
use crate::wire::{Wire, get};

const POISON: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n\"poison\"";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_nobody_asked_for_is_never_given_to_the_next_request() {
    let place = Place::new().await;
    let mut wire = Wire::open(place.world.gate).await;
    for (round, poison) in [
        POISON,
        "\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "x",
        POISON,
        POISON,
    ]
    .into_iter()
    .enumerate()
    {
        let since = place.upstream.asked().len();
        let id = 100 + round;
        let first = wire
            .ask(get(&format!("/crm/v3/objects/contacts/{id}"), place.reader()))
            .await;
        assert_eq!(first.text(), format!(r#"{{"id":"{id}"}}"#));
        // The connection lies in the pool; the bytes are in the system's hands before the next request is.
        let connection = place.upstream.asked()[since].connection;
        place.upstream.blurt(connection, poison.as_bytes()).await;
        for id in 200..203 {
            let next = wire
                .ask(get(&format!("/crm/v3/objects/contacts/{id}"), place.reader()))
                .await;
            assert_eq!(
                (next.status, next.text()),
                (200, format!(r#"{{"id":"{id}"}}"#)),
                "{poison:?}: {next:?}"
            );
        }
        assert!(
            place.used_again(since).is_empty(),
            "a spoilt connection was used again after {poison:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_behind_an_answer_spoils_the_connection_and_not_the_first_one() {
    let place = Place::new().await;
    let mut wire = Wire::open(place.world.gate).await;
    let good = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    let chunked = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    let empty = "HTTP/1.1 204 No Content\r\n\r\n";
    for (first, body) in [(good, "{}"), (chunked, "{}"), (empty, "")] {
        let since = place.upstream.asked().len();
        place.upstream.say(Script::new(format!("{first}{POISON}")));
        let reply = wire
            .ask(get("/crm/v3/objects/contacts/1001", place.reader()))
            .await;
        assert_eq!((reply.text().as_str(), reply.whole), (body, true), "{reply:?}");
        for id in 300..303 {
            let next = wire
                .ask(get(&format!("/crm/v3/objects/contacts/{id}"), place.reader()))
                .await;
            assert_eq!(
                (next.status, next.text()),
                (200, format!(r#"{{"id":"{id}"}}"#)),
                "{next:?}"
            );
        }
        assert!(
            place.used_again(since).is_empty(),
            "a spoilt connection was used again"
        );
    }
    place.next_ones_are_right("them").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_withheld_is_not_asked_for_again_because_its_connection_had_served() {
    let place = Place::new().await;
    let mut wire = Wire::open(place.world.gate).await;
    for (round, bytes) in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let first = wire.ask(get("/crm/v3/objects/contacts/1", place.reader())).await;
        assert_eq!(first.status, 200, "{first:?}");
        let since = place.upstream.asked();
        place.upstream.say(Script::new(bytes));
        let reply = wire
            .ask(get("/crm/v3/objects/contacts/1001", place.reader()))
            .await;
        assert!(is_withheld(&reply), "{bytes:?}: {reply:?}");
        let asked = place.upstream.asked();
        assert_eq!(asked.len(), since.len() + 1, "asked once: {bytes:?}");
        assert_eq!(
            asked.last().map(|asked| asked.connection),
            since.last().map(|asked| asked.connection),
            "on the connection that had served"
        );
        assert_eq!(place.failures("protocol").await, (round + 1) as f64);
    }
}
