//! The install pages stand on the internet: what could be read two ways is not read.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::canaries::heard::Overheard;
use crate::support::within;
use crate::world::Installs;

/// Everything that comes back until the gate closes or falls silent; and whether it closed.
async fn raw(address: SocketAddr, bytes: &[u8]) -> (String, bool) {
    let mut stream = Overheard::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        match tokio::time::timeout(Duration::from_secs(2), stream.read(&mut chunk)).await {
            Ok(Ok(0) | Err(_)) => return (String::from_utf8_lossy(&answer).into_owned(), true),
            Ok(Ok(count)) => answer.extend_from_slice(&chunk[..count]),
            Err(_) => return (String::from_utf8_lossy(&answer).into_owned(), false),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_not_served_to_a_head_that_could_be_read_two_ways() {
    let installs = Installs::new().await;
    let address = installs.world.server().install.unwrap();
    let good = "GET /nowhere HTTP/1.1\r\nHost: connect.example.com\r\n\r\n";
    for (what, head) in [
        ("a bare line feed", "GET / HTTP/1.1\nHost: a\n\n"),
        ("no host", "GET / HTTP/1.1\r\n\r\n"),
        ("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        (
            "a length beside chunks",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "two lengths",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        ),
        ("an absolute target", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a fragment", "GET /callback#x HTTP/1.1\r\nHost: a\r\n\r\n"),
        (
            "a broken escape",
            "GET /callback?code=%2 HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        (
            "bytes above ASCII",
            "GET /callb\u{e4}ck HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        (
            "a folded field",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        ),
        (
            "a space before the colon",
            "GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n",
        ),
    ] {
        // What follows on the same connection must never be answered.
        let (answer, closed) = within(raw(address, format!("{head}{good}").as_bytes())).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{what}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{what}: {answer}");
        assert!(answer.contains("This request was not read: "), "{what}: {answer}");
        assert!(closed, "{what}: {answer}");
        // What came before it is answered, however close behind it came.
        let (answer, closed) = within(raw(address, format!("{good}{good}{head}{good}").as_bytes())).await;
        let statuses: Vec<_> = answer
            .split("HTTP/1.1 ")
            .skip(1)
            .map(|answer| &answer[..3])
            .collect();
        assert_eq!(statuses, ["404", "404", "400"], "{what}: {answer}");
        assert!(closed, "{what}: {answer}");
    }
    let large = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nCookie: {}\r\n\r\n",
        "x".repeat(17_000)
    );
    let (answer, closed) = within(raw(address, large.as_bytes())).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && closed, "{answer}");
    assert!(
        answer.contains("the request head is too large") && answer.contains("cookies"),
        "{answer}"
    );

    // Browsers, and proxies that speak an older version to what is behind them, are served; so is the next request.
    let (answer, _) = within(raw(address, format!("{good}{good}").as_bytes())).await;
    assert_eq!(answer.matches("HTTP/1.1 404 ").count(), 2, "{answer}");
    let cookies = format!(
        "GET /nowhere HTTP/1.1\r\nHost: a\r\nCookie: {}\r\n\r\n",
        "x".repeat(12_000)
    );
    let (answer, _) = within(raw(address, cookies.as_bytes())).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    let (answer, _) = within(raw(address, b"GET /nowhere HTTP/1.0\r\nHost: a\r\n\r\n")).await;
    assert!(
        answer.contains("404 ") && answer.contains("There is nothing here"),
        "{answer}"
    );
}
