//! The call goes up, with a token that the integration never sees, and its answer's head comes back.
//!
//! A 401 of the upstream was not executed, whatever the method: with a newer token the request is
//! sent once more, if all of its body is still held. The integration never sees that 401.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::judged::TOO_LARGE;
use super::multipart::Multipart;
use super::outcome::Outcome;
use super::rights::Rights;
use super::stop::Stop;
use super::upload::{UpBody, UploadBounds, UploadError, UploadWatch};
use super::worker::Worker;
use crate::access::effect::Effect;
use crate::access::refusal::Reason;
use crate::events::UpstreamFailed;
use crate::hubspot::answer_body::AnswerBody;
use crate::hubspot::pool::{ExchangeError, Progress};
use crate::metrics::UpstreamErrorKind;
use crate::tokens::{CredentialError, FailureCause, Lease};

/// The body on its way up.
pub enum Outgoing {
    /// Rebuilt from the parsed form, or nothing.
    Judged(Bytes),
    /// The client's own stream.
    Stream(Incoming),
    /// An import whose files stream, written anew.
    Multipart(Box<Multipart>),
}

/// A request as it will be sent: built from parsed values, never copied.
pub struct Call {
    /// The method.
    pub method: Method,
    /// Canonical path and query.
    pub target: Uri,
    /// From the allow-list.
    pub headers: HeaderMap,
    /// What follows the head.
    pub body: Outgoing,
    /// Bounds of a streamed body.
    pub bounds: UploadBounds,
}

/// An answer, and the token it was asked with.
pub type Answered = (Response<AnswerBody<UpBody>>, Lease);

/// Sends `call`; at most twice.
pub async fn forward(
    worker: &Worker,
    mut lease: Lease,
    call: Call,
    rights: &Rights,
    outcome: &mut Outcome,
) -> Result<Answered, Stop> {
    let Call {
        method,
        target,
        headers,
        body,
        bounds,
    } = call;
    let mut held = Bytes::new();
    let (first, watch) = match body {
        Outgoing::Judged(bytes) => {
            held = bytes.clone();
            outcome.request_bytes = bytes.len() as u64;
            (UpBody::full(bytes), None)
        }
        Outgoing::Stream(incoming) => {
            let (body, watch) = UpBody::stream(incoming, bounds);
            (body, Some(watch))
        }
        Outgoing::Multipart(import) => {
            let (body, watch) = UpBody::multipart(*import, bounds);
            (body, Some(watch))
        }
    };
    let progress = watch
        .as_ref()
        .map_or_else(Progress::default, |watch| watch.progress().clone());
    let request = build(worker, &method, &target, headers.clone(), &lease, first);
    outcome.forwarding();
    outcome.sent_upstream = true;
    outcome.rights = Some(rights.clone());
    let is_read = outcome.effect == Some(Effect::Read);
    let sent = send(worker, request, &progress, rights, &mut lease, is_read).await?;
    if let Some(watch) = &watch {
        outcome.request_bytes = watch.sent_bytes();
    }
    let response = sent.map_err(|error| stop_for(worker, outcome, watch.as_ref(), rights, &error))?;
    if response.status() != StatusCode::UNAUTHORIZED {
        lease.accepted();
        if let Some(watch) = &watch {
            watch.forget();
        }
        return Ok((response, lease));
    }
    drop(response);
    let mut renewed = tokio::select! {
        biased;
        renewed = worker.gate().live.rejected(&lease) => renewed.map_err(|error| {
            note_unauthorised(outcome, &lease, error.reason());
            credential(&error)
        })?,
        // A 401 was not executed, whatever the method: nothing is under way.
        stop = rights.withdrawn() => return Err(stop),
    };
    let held = match &watch {
        Some(watch) => watch.replayable().ok_or(Stop::Credential {
            retry_after_seconds: 1,
        })?,
        None => held,
    };
    // A refresh takes seconds: what was revoked meanwhile does not go up again.
    rights.check()?;
    outcome.replayed = true;
    let request = build(worker, &method, &target, headers, &renewed, UpBody::full(held));
    let response = send(
        worker,
        request,
        &Progress::default(),
        rights,
        &mut renewed,
        is_read,
    )
    .await?
    .map_err(|error| stop_for(worker, outcome, None, rights, &error))?;
    if response.status() == StatusCode::UNAUTHORIZED {
        // The second one: the connection is marked, and says so until something works again.
        note_unauthorised(outcome, &renewed, Reason::ConnectionRejected);
        let error = worker.gate().live.rejected(&renewed).await.err();
        return Err(error.map_or(
            Stop::Credential {
                retry_after_seconds: 1,
            },
            |error| credential(&error),
        ));
    }
    renewed.accepted();
    Ok((response, renewed))
}

/// Notes a 401 that no other token helps against: the connection's reads, or writes, fail. A token
/// endpoint that can't be reached says nothing about them.
fn note_unauthorised(outcome: &Outcome, lease: &Lease, reason: Reason) {
    if reason == Reason::ConnectionRejected
        && let Some(class) = outcome.effect.and_then(Effect::class)
    {
        let connection = lease.connection();
        connection.note_failure(class, FailureCause::Unauthorised, jiff::Timestamp::now());
    }
}

/// One exchange up to the answer's head. A read is given up the moment its rights are withdrawn; anything
/// else whose head has gone up runs on: half of a write helps nobody.
///
/// Making a connection may take longer than the token lives: a token that ran out meanwhile is not sent,
/// and the call goes up with the next one. Once; a second wait of that kind is the caller's to repeat.
async fn send(
    worker: &Worker,
    request: Request<UpBody>,
    progress: &Progress,
    rights: &Rights,
    lease: &mut Lease,
    is_read: bool,
) -> Result<Result<Response<AnswerBody<UpBody>>, ExchangeError>, Stop> {
    let unsent = match send_with(worker, request, progress, rights, lease, is_read).await? {
        Ok(response) => return Ok(Ok(response)),
        Err((Some(unsent), ExchangeError::Withdrawn)) if rights.check().is_ok() => unsent,
        Err((_, error)) => return Ok(Err(error)),
    };
    let next = tokio::select! {
        biased;
        next = worker.gate().live.lease_again(lease) => next.ok(),
        _ = rights.withdrawn() => None,
    };
    let Some(next) = next.filter(|_| rights.check().is_ok()) else {
        // Nothing went up; the caller says why.
        return Ok(Err(ExchangeError::Withdrawn));
    };
    *lease = next;
    let mut request = unsent;
    request
        .headers_mut()
        .insert(header::AUTHORIZATION, lease.authorization().clone());
    let sent = send_with(worker, request, progress, rights, lease, is_read).await?;
    Ok(sent.map_err(|(_, error)| error))
}

/// [`send`] with the token at hand, as long as that may be sent.
async fn send_with(
    worker: &Worker,
    request: Request<UpBody>,
    progress: &Progress,
    rights: &Rights,
    lease: &Lease,
    is_read: bool,
) -> Result<Result<Response<AnswerBody<UpBody>>, (Option<Request<UpBody>>, ExchangeError)>, Stop> {
    let still = || rights.check().is_ok() && lease.is_good(Instant::now());
    let sending = worker.pool().send(request, progress, &still);
    if !is_read {
        return Ok(sending.await);
    }
    let sent = tokio::select! {
        biased;
        sent = sending => sent,
        stop = rights.withdrawn() => return Err(stop),
    };
    // A refused call says why by itself.
    if sent.is_ok() {
        rights.check()?;
    }
    Ok(sent)
}

/// What a caller is told when there is no token: 401 when a person must act, else 503.
pub fn credential(error: &CredentialError) -> Stop {
    match error {
        CredentialError::Blocked(_) => Stop::Connection(error.reason()),
        CredentialError::Unavailable { retry_after, .. } => Stop::Credential {
            retry_after_seconds: u32::try_from(retry_after.as_secs()).unwrap_or(60).clamp(1, 60),
        },
    }
}

fn build(
    worker: &Worker,
    method: &Method,
    target: &Uri,
    headers: HeaderMap,
    lease: &Lease,
    body: UpBody,
) -> Request<UpBody> {
    let mut request = Request::new(body);
    *request.method_mut() = method.clone();
    *request.uri_mut() = target.clone();
    *request.headers_mut() = headers;
    let headers = request.headers_mut();
    headers.insert(header::HOST, worker.gate().upstream_host.clone());
    headers.insert(header::AUTHORIZATION, lease.authorization().clone());
    let needs_length = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
    if needs_length && matches!(request.body(), UpBody::Empty) {
        // RFC 9110 §8.6: a method that expects content says so when there is none.
        request
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    request
}

/// Whose side failed: a client's broken body is not the upstream's fault.
fn stop_for(
    worker: &Worker,
    outcome: &mut Outcome,
    watch: Option<&UploadWatch>,
    rights: &Rights,
    error: &ExchangeError,
) -> Stop {
    if matches!(error, ExchangeError::Withdrawn) {
        outcome.sent_upstream = outcome.replayed;
        return rights.check().err().unwrap_or(Stop::Credential {
            retry_after_seconds: 1,
        });
    }
    match watch.and_then(UploadWatch::failure) {
        Some(UploadError::TooLarge) => return Stop::Refused(TOO_LARGE),
        Some(UploadError::Idle | UploadError::Broken) => return Stop::Body,
        Some(UploadError::Import(fault)) => return Stop::Refused(fault.refusal()),
        None => {}
    }
    if matches!(error, ExchangeError::Connect(_) | ExchangeError::ConnectTimeout) {
        outcome.sent_upstream = false;
    }
    let unsure = outcome.sent_upstream && outcome.effect.is_none_or(Effect::changes_data);
    let (kind, stop) = match error {
        ExchangeError::Connect(source) => (UpstreamErrorKind::of_connect(source), Stop::Upstream { unsure }),
        ExchangeError::ConnectTimeout => (UpstreamErrorKind::ConnectTimeout, Stop::Timeout { unsure }),
        ExchangeError::Broken(_) | ExchangeError::Withdrawn => {
            (UpstreamErrorKind::Closed, Stop::Upstream { unsure })
        }
        ExchangeError::HeadTimeout => (UpstreamErrorKind::HeadTimeout, Stop::Timeout { unsure }),
    };
    let detail: &dyn std::fmt::Display = match error {
        ExchangeError::Connect(source) => source,
        ExchangeError::Broken(source) => source,
        ExchangeError::ConnectTimeout | ExchangeError::HeadTimeout | ExchangeError::Withdrawn => error,
    };
    UpstreamFailed {
        id: Some(outcome.id()),
        kind,
        detail,
    }
    .emit(worker.metrics().metrics());
    stop
}
