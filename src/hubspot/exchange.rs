//! One attempt to get an answer: by which connection, how it may fail, and what that tells of the upstream.

use std::cell::Cell;

use http::StatusCode;
use http_body::Body;

use super::answer_body::AnswerBody;
use super::answers::Violation;
use super::breaker::{Fate, Held};
use super::client::WireError;
use crate::answer_fields::{AnswerFields, Known};

/// Which connection a request goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// An idle one if there is one.
    Any,
    /// A new one.
    Fresh,
}

/// What the caller is asked and told on the way.
#[derive(Clone, Copy)]
pub struct Leave<'a> {
    /// Whether it may still: asked after each wait.
    pub still: &'a dyn Fn() -> bool,
    /// Set when a connection takes it: from here on some of it may have gone up.
    pub taken: &'a Cell<bool>,
    /// Set when the caller leaves and the upstream had said nothing for long.
    pub was_silent: &'a Cell<bool>,
    /// Set by a caller that gives it up for a reason of the gate's own: that is no news of the upstream.
    pub is_withdrawn: &'a Cell<bool>,
}

/// What the upstream answered.
pub struct Answer<B: Body<Data = bytes::Bytes> + Unpin + 'static> {
    /// 200 to 599.
    pub status: StatusCode,
    /// Those that are read.
    pub fields: AnswerFields,
    /// The body, and all lines of the head.
    pub body: AnswerBody<B>,
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
pub(super) fn fate_of_answer(status: StatusCode, fields: &AnswerFields) -> Fate {
    let is_edges = matches!(status.as_u16(), 502..=504 | 520..=527 | 530);
    let kind = || fields.get(Known::ContentType);
    if is_edges && kind().is_none_or(|kind| memchr::memmem::find(kind, b"json").is_none()) {
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
            let mut fields = AnswerFields::default();
            if let Some(kind) = kind {
                fields.set(Known::ContentType, kind);
            }
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(fate_of_answer(status, &fields), fate, "{status} {kind:?}");
        }
    }
}
