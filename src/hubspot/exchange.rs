//! One attempt to get an answer: by which connection, how it may fail, and what that tells of the upstream.

use http::Response;

use super::answers::Violation;
use super::breaker::{Fate, Held};
use super::client::WireError;

/// Which connection a request goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// An idle one if there is one.
    Any,
    /// A new one.
    Fresh,
}

/// A request that brought no answer.
pub struct Unanswered<B> {
    /// The request's body, if no connection was found to send it by.
    pub unsent: Option<B>,
    /// Why.
    pub error: ExchangeError,
    /// It went by a connection that had served before: the upstream may have closed that just when it was
    /// used again, which says nothing about the upstream.
    pub reused: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// No connection: name, network or TLS.
    #[error("the upstream can't be reached")]
    Connect(#[source] std::io::Error),
    /// No connection in time.
    #[error("the upstream did not accept a connection in time")]
    ConnectTimeout,
    /// The connection ended or spoke nonsense before the answer's head.
    #[error("the upstream ended the exchange before its answer")]
    Broken(#[source] WireError),
    /// The upstream can't be reached, as others found out: nothing was tried.
    #[error("the upstream can't be reached for now; nothing is sent until a probe is answered")]
    Held(Held),
    /// All connections are in use, or too many are being made: nothing was sent.
    #[error("no connection to the upstream became free in time")]
    NoRoom,
    /// No head in time.
    #[error("the upstream did not answer in time")]
    HeadTimeout,
    /// The caller took it back while a connection was being made, or its token ran out: nothing was sent.
    #[error("the call was withdrawn before it was sent")]
    Withdrawn,
}

/// What a failed attempt says about the upstream; `None`: nothing.
pub(super) fn fate_of(error: &ExchangeError, reused: bool) -> Option<Fate> {
    match error {
        ExchangeError::Connect(_) | ExchangeError::ConnectTimeout => Some(Fate::Unreachable),
        ExchangeError::HeadTimeout => Some(Fate::Unanswered),
        // The client's body, not the upstream.
        ExchangeError::Broken(error) if error.is_body() => None,
        ExchangeError::Broken(error) if reused && !is_answer(error) => None,
        ExchangeError::Broken(_) => Some(Fate::Unanswered),
        ExchangeError::Held(_) | ExchangeError::NoRoom | ExchangeError::Withdrawn => None,
    }
}

/// Whether something came in answer to the request, if no HTTP. What lay there before it was none.
fn is_answer(error: &WireError) -> bool {
    error
        .violation()
        .is_some_and(|violation| violation != Violation::Unasked)
}

/// HubSpot's own words are JSON. What an edge in front of it says in another form under one of these
/// statuses means that HubSpot could not be asked.
pub(super) fn fate_of_answer<T>(response: &Response<T>) -> Fate {
    let is_edges = matches!(response.status().as_u16(), 502..=504 | 520..=527 | 530);
    let kind = response.headers().get(http::header::CONTENT_TYPE);
    let is_json = kind.is_some_and(|kind| memchr::memmem::find(kind.as_bytes(), b"json").is_some());
    if is_edges && !is_json {
        Fate::Unanswered
    } else {
        Fate::Answered
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn what_is_no_http_says_something_of_the_upstream_even_on_a_connection_that_had_served() {
        let reset = || WireError::from(io::Error::from(io::ErrorKind::ConnectionReset));
        for (error, reused, fate) in [
            (WireError::Closed, false, Some(Fate::Unanswered)),
            (WireError::Closed, true, None),
            (reset(), false, Some(Fate::Unanswered)),
            (reset(), true, None),
            (Violation::Framing.into(), false, Some(Fate::Unanswered)),
            (Violation::Framing.into(), true, Some(Fate::Unanswered)),
            (Violation::StatusLine.into(), true, Some(Fate::Unanswered)),
            (Violation::Unasked.into(), true, None),
            (WireError::Body, false, None),
            (WireError::Body, true, None),
        ] {
            let what = format!("{error:?} {reused}");
            assert_eq!(fate_of(&ExchangeError::Broken(error), reused), fate, "{what}");
        }
    }

    #[test]
    fn what_hubspot_says_is_an_answer_and_an_edges_error_page_is_none() {
        use Fate::{Answered, Unanswered};
        let json = Some("application/json;charset=utf-8");
        let html = Some("text/html; charset=UTF-8");
        #[rustfmt::skip]
        let cases = [
            (200, json, Answered), (200, html, Answered), (204, None, Answered),
            (400, json, Answered), (401, json, Answered), (403, html, Answered), (404, None, Answered),
            (429, json, Answered), (429, html, Answered), (477, json, Answered),
            (500, json, Answered), (500, html, Answered),
            (502, json, Answered), (503, json, Answered), (504, json, Answered),
            (502, html, Unanswered), (503, html, Unanswered), (504, html, Unanswered), (502, None, Unanswered),
            (521, html, Unanswered), (524, html, Unanswered), (526, html, Unanswered), (530, html, Unanswered),
            (523, json, Answered),
        ];
        for (status, kind, fate) in cases {
            let mut response = Response::new(());
            *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
            if let Some(kind) = kind {
                let kind = http::HeaderValue::from_static(kind);
                response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
            }
            assert_eq!(fate_of_answer(&response), fate, "{status} {kind:?}");
        }
    }
}
