//! What injected faults do to a request on its way in and to its answer on the way out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_ENCODING, HeaderValue};

use super::answer::{Answer, AnswerBody, CutEnd};
use super::edge;
use super::faults::{Action, EchoPlace};
use super::service::{Connection, HANG, header};

/// Waits and hang-ups before anything is done.
pub(super) async fn before(actions: &[Action], connection: &Connection) {
    for action in actions {
        if let Action::Delay(pause) = action {
            tokio::select! {
                () = tokio::time::sleep(*pause) => {}
                () = connection.shutdown.cancelled() => {}
            }
        }
    }
}

/// An answer in place of the real one; nothing is done then.
pub(super) fn instead(actions: &[Action], correlation_id: &str, now_ms: i64) -> Option<Answer> {
    actions.iter().find_map(|action| match action {
        Action::Answer(canned) => Some(canned.answer()),
        Action::Known(known) => Some(known.answer(correlation_id, now_ms)),
        Action::CloseBeforeHead | Action::HangBeforeHead => Some(Answer::no_content()),
        Action::SwitchProtocols => {
            let mut answer = Answer::bytes(StatusCode::SWITCHING_PROTOCOLS, Bytes::new());
            answer.set("connection", HeaderValue::from_static("upgrade"));
            answer.set("upgrade", HeaderValue::from_static("websocket"));
            Some(answer)
        }
        _ => None,
    })
}

/// Spoils the answer.
pub(super) async fn after(
    actions: &[Action],
    answer: &mut Answer,
    connection: &Connection,
    authorization: Option<&HeaderValue>,
) {
    for action in actions {
        match action {
            Action::CloseBeforeHead | Action::LoseAnswer => connection.control.cut(),
            Action::Raw(bytes) => connection.control.write_instead(bytes.clone()),
            Action::HangBeforeHead => hang(connection).await,
            Action::HalfBody => cut(answer, CutEnd::Close { flushed: false }),
            Action::HangMidBody => cut(answer, CutEnd::Hang(Box::pin(tokio::time::sleep(HANG)))),
            Action::Trickle { piece_bytes, pause } => {
                let rest = answer.whole_body();
                answer.body = AnswerBody::Trickle {
                    rest,
                    piece: *piece_bytes,
                    pause: *pause,
                    timer: None,
                };
            }
            Action::EchoAuthorization(place) => echo(answer, place, authorization),
            Action::ForceGzip => set_gzip(answer, |body| edge::gzip(&body)),
            Action::BadGzip => set_gzip(answer, |body| body),
            Action::GzipBomb { decoded_bytes } => set_gzip(answer, |_| edge::gzip_bomb(*decoded_bytes)),
            Action::AddHeaders(pairs) => {
                for (name, value) in pairs.iter().filter_map(|(name, value)| header(name, value)) {
                    answer.headers.append(name, value);
                }
            }
            Action::Answer(_) | Action::Known(_) | Action::Delay(_) | Action::SwitchProtocols => {}
        }
    }
}

/// Holds the request until the connection goes, the server stops or the bound is reached; then cuts it.
async fn hang(connection: &Connection) {
    tokio::select! {
        () = tokio::time::sleep(HANG) => {}
        () = connection.shutdown.cancelled() => {}
    }
    connection.control.cut();
}

fn cut(answer: &mut Answer, end: CutEnd) {
    let body = match &answer.body {
        AnswerBody::Generated { left, chunk } => {
            answer.body = AnswerBody::Cut {
                promised: *left,
                first: Some(chunk.clone()),
                end,
            };
            return;
        }
        _ => answer.whole_body(),
    };
    let half = body.len().div_ceil(2);
    let promised = body.len().max(2) as u64;
    answer.body = AnswerBody::Cut {
        promised,
        first: Some(body.slice(..half)).filter(|b| !b.is_empty()),
        end,
    };
}

fn set_gzip(answer: &mut Answer, make: impl FnOnce(Bytes) -> Bytes) {
    if answer.headers.get(CONTENT_ENCODING).is_none() {
        answer.body = AnswerBody::whole(make(answer.whole_body()));
        answer
            .headers
            .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
}

fn echo(answer: &mut Answer, place: &EchoPlace, authorization: Option<&HeaderValue>) {
    let said = authorization
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let token = said.strip_prefix("Bearer ").unwrap_or(said);
    match place {
        EchoPlace::Header(name) => {
            if let Some((name, value)) = header(name, said) {
                answer.headers.append(name, value);
            }
        }
        EchoPlace::Body => echo_body(
            answer,
            &format!(
                "This oauth-token ({token}) does not have proper permissions! (requires any of [contacts-access])"
            ),
        ),
        EchoPlace::Base64 => echo_body(answer, &format!("debug {}", STANDARD.encode(token))),
    }
}

fn echo_body(answer: &mut Answer, message: &str) {
    let body = serde_json::json!({ "status": "error", "message": message });
    answer.body = AnswerBody::whole(Bytes::from(body.to_string()));
    answer.headers.remove(CONTENT_ENCODING);
}
