//! Framing: an answer that can be read in two ways is read in none, and its connection serves nobody else.

use crate::place::{Place, is_withheld};
use crate::upstream::Script;

/// What a client must see.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Want {
    /// This body, whole, with status 200.
    Body(&'static str),
    /// This status without a body.
    Empty(u16),
    /// The gate's 502; nothing of the answer.
    Withheld,
    /// The head may have passed, but never an end that looks whole; nor is there no answer, which clients repeat.
    NeverWhole,
}

use Want::{Body, Empty, NeverWhole, Withheld};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

/// Bytes as the upstream says them, whether it then closes, and what must come of it.
fn table() -> Vec<(String, bool, Want)> {
    let lines = |lines: &str| format!("{OK}{lines}\r\n\r\n{{}}");
    let chunked = |body: &str| format!("{OK}Transfer-Encoding: chunked\r\n\r\n{body}");
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    let answer = lines("Content-Length: 2");
    let stay = |bytes: String, want| (bytes, false, want);
    let close = |bytes: String, want| (bytes, true, want);
    vec![
        // Good ones: what is strict must not be wrong.
        stay(answer.clone(), Body("{}")),
        stay(lines("content-length:2\r\nX:\r\nY: \u{e9}"), Body("{}")),
        stay(chunked("2\r\n{}\r\n0\r\n\r\n"), Body("{}")),
        stay(chunked("1\r\n{\r\n0001\r\n}\r\n000\r\n\r\n"), Body("{}")),
        stay(chunked("2\r\n{}\r\n0\r\nX-Trailer: 1\r\n\r\n"), Body("{}")),
        stay("HTTP/1.1 200\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}".into(), Body("{}")),
        stay("HTTP/1.1 204 No Content\r\n\r\n".into(), Empty(204)),
        stay("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n".into(), Empty(204)),
        stay("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into(), Empty(200)),
        stay("HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n".into(), Empty(404)),
        stay(format!("HTTP/1.1 100 Continue\r\n\r\n{answer}"), Body("{}")),
        stay(format!("HTTP/1.1 102 Processing\r\nX: 1\r\n\r\n{hints}{answer}"), Body("{}")),
        close(format!("{OK}Connection: close\r\nContent-Length: 2\r\n\r\n{{}}"), Body("{}")),
        stay("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}".into(), Body("{}")),
        stay("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}".into(), Body("{}")),
        // Lengths and codings that contradict each other, or themselves.
        stay(lines("Content-Length: 2\r\nTransfer-Encoding: chunked"), Withheld),
        stay(lines("Transfer-Encoding: chunked\r\nContent-Length: 2"), Withheld),
        stay(lines("Content-Length: 2\r\nContent-Length: 2"), Withheld),
        stay(lines("Content-Length: 2\r\nContent-Length: 3"), Withheld),
        stay(lines("Content-Length: 2, 2"), Withheld),
        stay(lines("Content-Length: +2"), Withheld),
        stay(lines("Content-Length: -2"), Withheld),
        stay(lines("Content-Length: 0x2"), Withheld),
        stay(lines("Content-Length: 2 2"), Withheld),
        stay(lines("Content-Length:"), Withheld),
        stay(lines("Content-Length: 0000000000000002"), Withheld),
        stay(lines("Content-Length: 18446744073709551618"), Withheld),
        stay(lines("Transfer-Encoding: gzip, chunked"), Withheld),
        stay(lines("Transfer-Encoding: chunked, chunked"), Withheld),
        stay(lines("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), Withheld),
        stay(lines("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"), Withheld),
        stay(lines("Transfer-Encoding: identity"), Withheld),
        stay(lines("Transfer-Encoding: ,chunked"), Withheld),
        stay(lines("Transfer-Encoding: xchunked"), Withheld),
        stay(lines("Transfer-Encoding:"), Withheld),
        stay("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n".into(), Withheld),
        // Ends that only the connection's end says.
        close(format!("{OK}\r\n{{}}"), Withheld),
        close(format!("{OK}Connection: close\r\n\r\n{{}}"), Withheld),
        close("HTTP/1.0 200 OK\r\n\r\n{}".into(), Withheld),
        // Line ends, folds, names, values.
        stay("HTTP/1.1 200 OK\nContent-Length: 2\n\n{}".into(), Withheld),
        stay(lines("Content-Length: 2\nX: a"), Withheld),
        stay(lines("Content-Length: 2\r\nX: a\rb"), Withheld),
        stay(lines("Content-Length: 2\r\n folded: a"), Withheld),
        stay(lines("X: a\r\n\tContent-Length: 3\r\nContent-Length: 2"), Withheld),
        stay(lines("Content-Length : 2"), Withheld),
        stay(lines("Content-Length: 2\r\nno colon"), Withheld),
        stay(lines("Content-Length: 2\r\n: nameless"), Withheld),
        stay(lines("Content-Length: 2\r\nX(Y): a"), Withheld),
        stay(lines("Content-Length: 2\r\nX: a\0b"), Withheld),
        stay(lines("Content-Length: 2\r\nX: a\u{7f}b"), Withheld),
        // First lines and statuses.
        stay(format!("\r\n{answer}"), Withheld),
        stay("HTTP/2 200\r\nContent-Length: 0\r\n\r\n".into(), Withheld),
        stay("HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n".into(), Withheld),
        stay("HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n".into(), Withheld),
        stay("HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n".into(), Withheld),
        stay("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n".into(), Withheld),
        stay("HTTP/1.1 000 No\r\nContent-Length: 0\r\n\r\n".into(), Withheld),
        stay("HTTP/1.1 600 No\r\nContent-Length: 0\r\n\r\n".into(), Withheld),
        stay("HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n".into(), Withheld),
        stay("HTTP/1.1 200 O\u{8}K\r\nContent-Length: 0\r\n\r\n".into(), Withheld),
        stay("ICY 200 OK\r\n\r\n".into(), Withheld),
        stay("{\"id\":\"1001\"}".into(), Withheld),
        stay("\0\0\0\0".into(), Withheld),
        close(String::new(), Withheld),
        close("HTTP/1.1 200 OK\r\nContent-Le".into(), Withheld),
        // Interim answers that are none, too many of them, and another protocol.
        stay("HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n".into(), Withheld),
        stay(format!("HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\n{{}}{answer}"), Withheld),
        stay(format!("{}{answer}", hints.repeat(9)), Withheld),
        close(hints.into(), Withheld),
        // Bodies where there are none.
        stay("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}".into(), Withheld),
        stay("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), Withheld),
        // Sizes.
        stay(format!("{OK}X: {}\r\nContent-Length: 2\r\n\r\n{{}}", "x".repeat(70_000)), Withheld),
        stay(format!("{OK}{}Content-Length: 2\r\n\r\n{{}}", "A: b\r\n".repeat(200)), Withheld),
        stay(format!("{OK}X: {}", "x".repeat(70_000)), Withheld),
        // Chunks.
        stay(chunked("zz\r\n{}\r\n0\r\n\r\n"), NeverWhole),
        stay(chunked("2;ext=1\r\n{}\r\n0\r\n\r\n"), NeverWhole),
        stay(chunked("2 \r\n{}\r\n0\r\n\r\n"), NeverWhole),
        stay(chunked("0x2\r\n{}\r\n0\r\n\r\n"), NeverWhole),
        stay(chunked("2\n{}\n0\n\n"), NeverWhole),
        stay(chunked("2\r\n{}0\r\n\r\n"), NeverWhole),
        stay(chunked("1\r\n{}\r\n0\r\n\r\n"), NeverWhole),
        stay(chunked("3\r\n{}\r\n0\r\n\r\n"), NeverWhole),
        stay(chunked("ffffffffffffffffff\r\n{}"), NeverWhole),
        stay(chunked("2\r\n{}\r\n0\r\nX: a\nY: b\r\n\r\n"), NeverWhole),
        stay(chunked(&format!("2\r\n{{}}\r\n0\r\nX: {}\r\n\r\n", "x".repeat(9_000))), NeverWhole),
        close(chunked("2\r\n{}\r\n"), NeverWhole),
        close(chunked("2\r\n{}\r\n0\r\n"), NeverWhole),
        close(format!("{OK}Content-Length: 100\r\n\r\n{{}}"), NeverWhole),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_be_read_two_ways_is_withheld_and_its_connection_serves_nobody_else() {
    let place = Place::new().await;
    for (bytes, closes, want) in table() {
        let what = format!("{bytes:.120?}");
        let since = place.upstream.asked().len();
        let script = Script {
            bytes: bytes.clone().into(),
            piece: None,
            closes,
        };
        let reply = place.under(place.reader(), script).await;
        match (want, &reply) {
            (Body(text), Some(reply)) => {
                assert_eq!(
                    (reply.status, reply.text().as_str(), reply.whole),
                    (200, text, true),
                    "{what}"
                );
                let says_more = reply.head.contains("railer") || reply.header("link").is_some();
                assert!(!says_more, "{what}: {reply:?}");
            }
            (Empty(status), Some(reply)) => {
                assert_eq!(
                    (reply.status, reply.body.len(), reply.whole),
                    (status, 0, true),
                    "{what}"
                );
            }
            (Withheld, Some(reply)) => assert!(is_withheld(reply), "{what}: {reply:?}"),
            (NeverWhole, Some(reply)) => assert!(!reply.whole || is_withheld(reply), "{what}: {reply:?}"),
            (_, None) => panic!("no answer at all: {what}"),
        }
        place.next_ones_are_right(&what).await;
        if matches!(want, Withheld | NeverWhole) {
            let again = place.used_again(since);
            assert!(again.is_empty(), "its connection was used again: {what}");
        }
    }
    let asked = place.upstream.asked();
    let connections = asked.iter().map(|asked| asked.connection).max().unwrap() + 1;
    assert!(
        connections * 2 < asked.len(),
        "good connections are kept: {connections} for {}",
        asked.len()
    );
    assert!(
        place.failures("protocol").await >= 60.0,
        "{}",
        place.world.metrics().await
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn under_property_rules_nothing_of_a_doubtful_answer_passes() {
    let place = Place::new().await;
    for (bytes, closes, want) in table() {
        let script = Script {
            bytes: bytes.clone().into(),
            // Cut anywhere, it is judged as if it came at once.
            piece: (bytes.len() < 400).then_some(7),
            closes,
        };
        let reply = place.under(place.narrow(), script).await.unwrap();
        match want {
            Body(_) | Empty(_) => assert!(reply.whole && !is_withheld(&reply), "{bytes:.120?}: {reply:?}"),
            Withheld | NeverWhole => assert!(is_withheld(&reply), "{bytes:.120?}: {reply:?}"),
        }
    }
    place.next_ones_are_right("all of them").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_withheld_is_told_to_look_before_it_repeats() {
    let place = Place::new().await;
    for bytes in [
        "HTTP/1.1 201 Created\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "HTTP/1.1 303 See Other\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n",
    ] {
        let reply = place.under_a_write(Script::new(bytes)).await.unwrap();
        assert!(is_withheld(&reply), "{reply:?}");
        assert!(reply.text().contains("look before repeating it"), "{reply:?}");
        place.next_ones_are_right(bytes).await;
    }
}
