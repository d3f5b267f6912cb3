//! Statuses and header fields of answers that are well framed.

use crate::place::{Place, is_withheld};
use crate::upstream::Script;

fn answer(status: &str, lines: &str, body: &str) -> Script {
    let length = body.len();
    Script::new(format!(
        "HTTP/1.1 {status}\r\n{lines}Content-Length: {length}\r\n\r\n{body}"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_a_part_and_a_not_modified_never_reach_a_client() {
    let place = Place::new().await;
    let elsewhere = "Location: https://elsewhere.example/steal\r\nContent-Type: application/json\r\n";
    for status in [
        "300 X", "301 X", "302 X", "303 X", "304 X", "305 X", "307 X", "308 X", "399 X", "206 X", "416 X",
    ] {
        let lines = format!("{elsewhere}Content-Range: bytes 0-1/9\r\n");
        for key in [place.reader(), place.narrow()] {
            // 304 never has a body.
            let body = if status.starts_with("304") { "" } else { "{}" };
            let reply = place.under(key, answer(status, &lines, body)).await.unwrap();
            assert!(is_withheld(&reply), "{status}: {reply:?}");
            assert!(
                !reply.head.contains("elsewhere") && reply.header("location").is_none(),
                "{reply:?}"
            );
        }
        place.next_ones_are_right(status).await;
    }
    assert!(
        place
            .upstream
            .asked()
            .iter()
            .all(|asked| asked.target.starts_with("/crm/")),
        "nothing is followed"
    );
    assert_eq!(place.failures("protocol").await, 22.0, "each is counted");
    for status in ["200 X", "201 X", "202 X", "207 X", "226 X", "299 X"] {
        let reply = place
            .under(place.reader(), answer(status, elsewhere, "{}"))
            .await
            .unwrap();
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (status[..3].parse().unwrap(), "{}"),
            "{reply:?}"
        );
        assert!(reply.header("location").is_none(), "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_come_down_only_in_their_grammar_and_reason_phrases_never() {
    let place = Place::new().await;
    let lines = "Content-Type: application/json;charset=utf-8\r\n\
        Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
        Retry-After: 7\r\n\
        X-HubSpot-RateLimit-Max: 100\r\n\
        X-HubSpot-RateLimit-Daily-Remaining: 99\r\n\
        X-HubSpot-Correlation-Id: 11111111-2222-3333-4444-555555555555\r\n\
        Content-Disposition: attachment; filename=\"../../x\"\r\n\
        X-HubSpot-RateLimit-Secret-Words: 1\r\n\
        X-HubSpot-RateLimit-Remaining: canary\r\n\
        Expires: canary\r\n\
        Set-Cookie: canary=1\r\n\
        Last-Modified: canary\r\n\
        Vary: origin\r\n\
        Vary: canary\r\n\
        X-Scopegate-Decision: canary\r\n\
        Alt-Svc: h3=\"canary:443\"\r\n\
        Refresh: 0; url=http://canary/\r\n\
        Link: <http://canary/>\r\n\
        Proxy-Authenticate: canary\r\n\
        WWW-Authenticate: canary\r\n\
        Strict-Transport-Security: canary\r\n\
        Access-Control-Allow-Origin: canary\r\n\
        Via: canary\r\n";
    for status in ["200 canary", "404 canary"] {
        let reply = place
            .under(place.reader(), answer(status, lines, r#"{"message":"m"}"#))
            .await
            .unwrap();
        assert_eq!(reply.text(), r#"{"message":"m"}"#);
        assert!(
            !reply.head.contains("canary") && !reply.head.contains("secret"),
            "{reply:?}"
        );
        for (name, value) in [
            ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("retry-after", "7"),
            ("x-hubspot-ratelimit-max", "100"),
            ("x-hubspot-ratelimit-daily-remaining", "99"),
            ("x-hubspot-correlation-id", "11111111-2222-3333-4444-555555555555"),
            ("content-type", "application/json;charset=utf-8"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{reply:?}");
        }
        for name in [
            "content-disposition",
            "x-hubspot-ratelimit-remaining",
            "expires",
            "vary",
            "last-modified",
        ] {
            assert_eq!(reply.header(name), None, "{reply:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_say_once_what_it_is_is_withheld() {
    let place = Place::new().await;
    for lines in [
        "Content-Type: application/json\r\nContent-Type: text/html\r\n",
        "Content-Type: application/json\r\nContent-Type: application/json\r\n",
        "Content-Type: application/json, text/html\r\n",
        "Content-Type: json\r\n",
        "Content-Type: application/json; charset=\u{e9}\r\n",
        "Content-Type:\r\n",
        "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n",
        "Content-Encoding: br\r\n",
        "Content-Encoding: gzip, identity\r\n",
        "Content-Encoding: gzip\r\n",
    ] {
        // What claims to be gzip is seen not to be while it passes: then the transfer ends without an end.
        let reply = place.under(place.reader(), answer("200 OK", lines, "{}")).await;
        let withheld = reply
            .as_ref()
            .is_some_and(|reply| is_withheld(reply) || !reply.whole);
        assert!(
            withheld || (reply.is_none() && lines.contains("gzip")),
            "{lines}: {reply:?}"
        );
    }
    let bodiless = place
        .under(place.reader(), answer("200 OK", "Content-Type: json\r\n", ""))
        .await
        .unwrap();
    assert_eq!(
        (bodiless.status, bodiless.header("content-type")),
        (200, None),
        "nothing is nothing"
    );
    assert_eq!(place.failures("encoding").await, 4.0, "each is counted");
    place.next_ones_are_right("all of them").await;
}
