//! The injected token: no answer repeats it to a client, plain or in another form.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::place::{Place, is_withheld};
use crate::upstream::Script;
use crate::wire::Reply;

use crate::support::canaries::heard::Overheard;

const JSON: &str = "Content-Type: application/json\r\n";

fn answer(status: u16, lines: &str, body: impl AsRef<[u8]>) -> Script {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 {status} X\r\n{lines}Content-Length: {}\r\n\r\n",
        body.len()
    );
    Script::new([head.as_bytes(), body].concat())
}

fn chunked(status: u16, lines: &str, body: &str, piece: usize) -> Script {
    let mut text = format!("HTTP/1.1 {status} X\r\n{lines}Transfer-Encoding: chunked\r\n\r\n");
    for chunk in body.as_bytes().chunks(piece) {
        text.push_str(&format!(
            "{:x}\r\n{}\r\n",
            chunk.len(),
            std::str::from_utf8(chunk).unwrap()
        ));
    }
    Script::new(text + "0\r\n\r\n").in_pieces_of(16)
}

fn gzip(plain: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The token in every form that is looked for in heads and errors.
fn forms(token: &str) -> Vec<String> {
    let each = |form: fn(u8) -> String| token.bytes().map(form).collect::<String>();
    let mut forms = vec![
        token.to_owned(),
        token.to_uppercase(),
        each(|byte| format!("{byte:02x}")),
        each(|byte| format!("{byte:02X}")),
        each(|byte| format!("%{byte:02x}")),
        each(|byte| format!("%25{byte:02X}")),
        token.replace('-', "%2D"),
        each(|byte| format!("\\u{byte:04x}")),
        each(|byte| format!("\\u{byte:04X}")),
        token.replacen('p', "\\u0070", 1),
    ];
    for before in ["", "x", "xy", "Bearer "] {
        forms.push(STANDARD.encode(format!("{before}{token}")));
        forms.push(URL_SAFE_NO_PAD.encode(format!("{before}{token}xyz")));
    }
    forms
}

/// Nothing of the token but a beginning that says nothing is in what came down.
fn assert_clean(reply: &Reply, token: &str, what: &str) {
    let seen = format!("{}{}", reply.head, reply.text()).to_lowercase();
    for form in forms(token) {
        assert!(!seen.contains(&form.to_lowercase()), "{what}: {reply:?}");
    }
    assert!(
        !seen.contains(&token.to_lowercase()[..token.len() - 1]),
        "{what}: {reply:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_repeats_the_token_is_withheld_and_counted() {
    let place = Place::new().await;
    let token = place.world.upstream_token.clone();
    let mut struck = 0.0;
    // Plain, wherever it stands, even where nothing comes down.
    for name in [
        "X-Debug",
        "Set-Cookie",
        "Location",
        "ETag",
        "Content-Language",
        "X-HubSpot-Correlation-Id",
    ] {
        for status in [200, 404] {
            let reply = place
                .under(
                    place.reader(),
                    answer(status, &format!("{JSON}{name}: {token}\r\n"), "{}"),
                )
                .await
                .unwrap();
            assert!(is_withheld(&reply), "{name}: {reply:?}");
            assert_clean(&reply, &token, name);
            struck += 1.0;
        }
    }
    // In other forms, where it could come down.
    for form in forms(&token) {
        for lines in [
            format!("{JSON}ETag: \"{form}\"\r\n"),
            format!("{JSON}Content-Disposition: attachment; filename=\"{form}\"\r\n"),
            format!("{JSON}Cache-Control: {form}\r\n"),
            format!("{JSON}Vary: {form}\r\n"),
            format!("Content-Type: application/json; x=\"{form}\"\r\n"),
            format!("Content-Type: image/{form}\r\n"),
        ] {
            let reply = place
                .under(place.reader(), answer(200, &lines, "{}"))
                .await
                .unwrap();
            assert_clean(&reply, &token, &lines);
            // What is not of its field's grammar just does not come down.
            if reply.status == 502 && reply.text().contains("must not be passed on") {
                struck += 1.0;
            }
        }
    }
    // In a field's name, too, though no such field would come down.
    let named =
        format!("HTTP/1.1 200 X\r\n{JSON}X-HubSpot-RateLimit-{token}: 1\r\nContent-Length: 2\r\n\r\n{{}}");
    let reply = place.under(place.reader(), Script::new(named)).await.unwrap();
    assert!(is_withheld(&reply), "{reply:?}");
    assert_clean(&reply, &token, "a field's name");
    struck += 1.0;
    // In a reason, in interim answers, in trailers: none of these come down.
    let unmasked = [
        format!("HTTP/1.1 200 {token}\r\n{JSON}Content-Length: 2\r\n\r\n{{}}"),
        format!(
            "HTTP/1.1 103 {token}\r\nLink: {token}\r\n\r\nHTTP/1.1 200 X\r\n{JSON}Content-Length: 2\r\n\r\n{{}}"
        ),
        format!(
            "HTTP/1.1 200 X\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\nX-{token}: {token}\r\n\r\n"
        ),
        // Half in one value and half in another.
        format!(
            "HTTP/1.1 200 X\r\n{JSON}X-HubSpot-RateLimit-Max: {}\r\nX-HubSpot-RateLimit-Remaining: {}\r\nContent-Length: 2\r\n\r\n{{}}",
            &token[..20],
            &token[20..]
        ),
    ];
    for bytes in unmasked {
        let reply = place
            .under(place.reader(), Script::new(bytes.clone()))
            .await
            .unwrap();
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (200, "{}"),
            "{bytes}: {reply:?}"
        );
        assert_clean(&reply, &token, &bytes);
        assert!(
            !reply.head.to_lowercase().contains(&token[20..].to_lowercase()),
            "{reply:?}"
        );
    }
    assert!(struck > 30.0, "{struck}");
    assert_eq!(place.failures("token_echo").await, struck);
    let recorded = async |world: &crate::support::World| {
        world.audit_text().matches(r#""reason":"token_echo""#).count() as f64 >= struck
    };
    place.world.until("the outcomes are recorded", recorded).await;
    assert!(!place.world.audit_text().contains(&token));
    place.next_ones_are_right("them").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_repeats_the_token_in_any_form_is_withheld() {
    let place = Place::new().await;
    let token = place.world.upstream_token.clone();
    let mut struck = 0.0;
    for form in forms(&token) {
        let shapes = [
            (
                JSON,
                format!(r#"{{"status":"error","message":"no such token: {form}"}}"#),
            ),
            (JSON, format!(r#"{{"message":"m","debug":"{form}"}}"#)),
            (JSON, format!(r#"{{"message":"m","context":{{"{form}":["x"]}}}}"#)),
            ("Content-Type: text/html\r\n", format!("<html>{form}</html>")),
            ("", form.clone()),
        ];
        for (number, (lines, body)) in shapes.into_iter().enumerate() {
            for key in [place.reader(), place.narrow()] {
                let status = [400, 403, 429, 500, 503][number];
                let reply = place.under(key, answer(status, lines, &body)).await.unwrap();
                assert!(is_withheld(&reply), "{body}: {reply:?}");
                assert_clean(&reply, &token, &body);
                struck += 1.0;
            }
        }
    }
    let packed = answer(
        500,
        &format!("{JSON}Content-Encoding: gzip\r\n"),
        gzip(&format!(r#"{{"message":"{token}"}}"#)),
    );
    assert!(is_withheld(&place.under(place.reader(), packed).await.unwrap()));
    assert_eq!(place.failures("token_echo").await, struck + 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_that_repeats_the_token_is_broken_off_before_its_last_byte() {
    let place = Place::new().await;
    let token = place.world.upstream_token.clone();
    let long = format!(r#"{{"x":"{}{token}"}}"#, "y".repeat(70_000));
    let short = format!(r#"{{"x":"{token}"}}"#);
    let text = "Content-Type: text/plain\r\n";
    let packed = format!("{JSON}Content-Encoding: gzip\r\n");
    let scripts = || {
        vec![
            answer(200, JSON, &short),
            answer(200, JSON, &long),
            answer(200, text, &token),
            answer(200, "", format!("{token}{token}")),
            chunked(200, JSON, &short, 1),
            chunked(200, text, &long, 1_000),
            chunked(207, JSON, &short, 7),
            answer(200, &packed, gzip(&short)),
            answer(200, &packed, gzip(&long)).in_pieces_of(40),
        ]
    };
    let mut struck = 0.0;
    for script in scripts() {
        let what = format!("{:.200}", String::from_utf8_lossy(&script.bytes));
        // One that is short and says how long it is is read whole before anything of it goes down.
        let is_short =
            script.bytes.len() < 4_096 && what.contains("Content-Length") && !what.contains("gzip");
        let reply = place.under(place.reader(), script).await;
        let reply = reply.unwrap_or_else(|| panic!("no answer at all: {what}"));
        struck += 1.0;
        assert!(
            is_withheld(&reply) || (!reply.whole && !is_short),
            "{what}: {reply:?}"
        );
        assert_clean(&reply, &token, &what);
        place.next_ones_are_right(&what).await;
    }
    // Under property rules they are held whole, and it is the shape that stops some of them.
    for script in scripts() {
        let reply = place.under(place.narrow(), script).await.unwrap();
        assert!(is_withheld(&reply), "{reply:?}");
        assert_clean(&reply, &token, "under rules");
    }
    assert!(place.failures("token_echo").await >= struck);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http2_a_broken_off_answer_is_a_reset_stream() {
    let place = Place::new().await;
    let token = place.world.upstream_token.clone();
    let stream = Overheard::connect(place.world.gate).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let driver = tokio::spawn(connection);
    // More than is read at once: the answer has begun when its end comes.
    let filler = "y".repeat(300_000);
    for (end, is_whole) in [("", true), (token.as_str(), false), ("", true)] {
        place.upstream.say(answer(
            200,
            "Content-Type: text/plain\r\n",
            format!("{filler}{end}"),
        ));
        let request = http::Request::get(format!(
            "http://{}/crm/v3/objects/contacts/1001",
            place.world.gate
        ))
        .header("authorization", format!("Bearer {}", place.reader()))
        .body(Empty::<Bytes>::new())
        .unwrap();
        // The reset may overtake the head.
        let whole = match sender.send_request(request).await {
            Ok(response) => {
                assert_eq!(response.status(), 200);
                response
                    .into_body()
                    .collect()
                    .await
                    .map(|body| body.to_bytes().len())
                    .ok()
            }
            Err(_) => None,
        };
        assert_eq!(whole, is_whole.then_some(filler.len()), "{end}");
    }
    driver.abort();
}
