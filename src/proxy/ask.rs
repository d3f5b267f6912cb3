//! A request as read: its head checked, its target canonical, its body untouched.

use http::Method;
use http_body::Body;

use super::client_body::ClientBody;
use super::fields::{Fields, Known};
use super::guard::request::Line;
use super::headers;
use super::judged::TOO_LARGE;
use super::stop::Stop;
use crate::access::connection::Selector;
use crate::access::introspection::Question;
use crate::access::refusal::{Reason, Refusal};
use crate::access::target::Target;
use crate::config::Limits;
use crate::secret::Secret;

/// RFC 9110 §9.3.1: content in a GET has no meaning, so nothing of it could be understood.
const GET_WITH_BODY: Refusal = Refusal::new(
    Reason::RefusedBody,
    "a GET request has no body",
    "send the request without a body",
);

/// A request as its connection has read it.
pub struct Request {
    /// What it asks for.
    pub line: Line,
    /// What of its fields is read.
    pub fields: Fields,
    /// What follows its head.
    pub body: ClientBody,
}

/// A request that is being carried.
pub struct Ask {
    /// What it asks for, as it came.
    pub line: Line,
    /// Its fields; credential and selector leave them as they are taken.
    pub fields: Fields,
    /// The body, until somebody reads or forwards it.
    pub body: Option<ClientBody>,
    target: Result<Target, Refusal>,
}

impl Ask {
    /// Checks the head. A target that was not understood is reported later, to callers with a key.
    pub fn read(request: Request, limits: &Limits) -> Result<Self, Stop> {
        let Request { line, fields, body } = request;
        headers::check(&line, &fields).map_err(Stop::Refused)?;
        if body.size_hint().lower() > limits.body_bytes {
            return Err(Stop::Refused(TOO_LARGE));
        }
        if line.method == Method::GET && !body.is_end_stream() {
            return Err(Stop::Refused(GET_WITH_BODY));
        }
        let target = line
            .target
            .path_and_query()
            .map_or("", http::uri::PathAndQuery::as_str);
        let target = if target.len() > limits.target_bytes {
            Err(Refusal::new(
                Reason::RefusedPath,
                "the request target is too long",
                "use a batch read instead",
            ))
        } else {
            Target::parse(line.method.as_str(), target)
        };
        Ok(Self {
            line,
            fields,
            body: Some(body),
            target,
        })
    }

    /// The canonical target.
    pub fn target(&self) -> Result<&Target, Stop> {
        self.target
            .as_ref()
            .map_err(|refusal| Stop::Refused(refusal.clone()))
    }

    /// Whether the credential itself is asked about, and the key in the path if it stands there.
    pub fn question(&self) -> Option<(Question, Option<Secret>)> {
        Question::recognise(self.target.as_ref().ok()?)
    }

    /// Takes the credential; there must be one.
    pub fn take_credential(&mut self) -> Result<Secret, Stop> {
        self.take_optional_credential()?
            .ok_or(Stop::Key(Reason::KeyMissing))
    }

    /// Takes the credential, if there is one.
    pub fn take_optional_credential(&mut self) -> Result<Option<Secret>, Stop> {
        headers::take_bearer(&mut self.fields).map_err(|_| Stop::Key(Reason::KeyMalformed))
    }

    /// Takes the selector header, if there is one.
    pub fn take_selector(&mut self) -> Option<Selector> {
        let value = self.fields.take(Known::Selector)?;
        Some(value.to_str().map_or(Selector::Unreadable, Selector::of_request))
    }
}
