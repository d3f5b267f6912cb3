//! The call goes up, with a token that the integration never sees, and its answer's head comes back.
//!
//! A 401 of the upstream was not executed, whatever the method: with a newer token the request is
//! sent once more, if all of its body is still held. The integration never sees that 401.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};

use super::answer::{is_no_http, no_http};
use super::client_body::ClientBody;
use super::echo::EchoGuard;
use super::echo_forms;
use super::exchange::{Exchange, Going, Head};
use super::judged::TOO_LARGE;
use super::multipart::Multipart;
use super::outcome::Outcome;
use super::rights::Rights;
use super::stop::Stop;
use super::upload::{UpBody, UploadBounds, UploadError, UploadWatch};
use super::worker::Worker;
use crate::access::effect::Effect;
use crate::access::refusal::Reason;
use crate::clock;
use crate::events::{UpstreamFailed, UpstreamRetried};
use crate::hubspot::exchange::{Answer, ExchangeError, Unanswered};
use crate::metrics::{RetryResult, RetryWhy, UpstreamErrorKind};
use crate::tokens::{CredentialError, FailureCause, Lease};

/// The body on its way up.
pub enum Outgoing {
    /// Rebuilt from the parsed form, or nothing.
    Judged(Bytes),
    /// The client's own stream.
    Stream(ClientBody),
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
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What follows the head.
    pub body: Outgoing,
    /// Bounds of a streamed body.
    pub bounds: UploadBounds,
}

/// The tokens that a call went up with.
pub struct Used {
    /// The last one, which the answer is for.
    lease: Lease,
    /// Those before it, which an answer may repeat as well: hardly ever any.
    former: Vec<Lease>,
}

impl Used {
    fn first(lease: Lease) -> Self {
        Self {
            lease,
            former: Vec::new(),
        }
    }

    /// The last one.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Another one takes its place.
    pub fn next(&mut self, lease: Lease, went_up: bool) {
        let former = std::mem::replace(&mut self.lease, lease);
        if went_up {
            self.former.push(former);
        }
    }

    /// What looks for them in what comes down.
    pub fn guard(&self) -> EchoGuard {
        let guard = EchoGuard::new(Arc::clone(self.lease.search()));
        let former = self.former.iter().map(Lease::search);
        former.fold(guard, |guard, search| guard.and(Arc::clone(search)))
    }

    /// Whether `text` repeats one, in any form that is looked for.
    pub fn is_in(&self, text: &[u8]) -> bool {
        let is_in = |lease: &Lease| echo_forms::holds(lease.plain().expose().as_bytes(), text);
        is_in(&self.lease) || self.former.iter().any(is_in)
    }
}

/// An answer, and what it was asked with.
pub type Answered = (Answer<UpBody>, Used);

/// Sends `call`, and once more after a 401.
pub async fn forward(
    worker: &Worker,
    lease: Lease,
    call: Call,
    rights: &Rc<Rights>,
    outcome: &mut Outcome,
) -> Result<Answered, Stop> {
    let head = Head {
        method: call.method,
        target: call.target,
        headers: call.headers,
    };
    let exchange = Exchange {
        worker,
        rights,
        head: &head,
    };
    let mut used = Used::first(lease);
    let mut going = going_up(call.body, call.bounds, outcome);
    worker.gate().pools.retries.pay_in();
    outcome.forwarding();
    outcome.rights = Some(Rc::clone(rights));
    let sent = exchange.send(&mut going, &mut used, outcome).await?;
    if let Some(watch) = &going.watch {
        outcome.request_bytes = watch.sent_bytes();
    }
    let answer = sent.map_err(|failed| stop_for(worker, outcome, going.watch.as_ref(), rights, &failed))?;
    note_status(worker, outcome, answer.status);
    if answer.status != StatusCode::UNAUTHORIZED {
        used.lease.accepted();
        if let Some(watch) = &going.watch {
            watch.forget();
        }
        return Ok((answer, used));
    }
    drop(answer);
    let renewed = tokio::select! {
        biased;
        renewed = worker.gate().live.rejected(&used.lease) => renewed.map_err(|error| {
            note_unauthorised(outcome, &used.lease, error.reason());
            credential(&error)
        })?,
        // A 401 was not executed, whatever the method: nothing is under way.
        stop = rights.withdrawn() => return Err(stop),
    };
    let held = going.again().ok_or(Stop::Credential {
        retry_after_seconds: 1,
    })?;
    // A refresh takes seconds: what was revoked meanwhile does not go up again.
    rights.check()?;
    outcome.replayed = true;
    used.next(renewed, true);
    let mut again = Going {
        first: UpBody::full(held.clone()),
        watch: None,
        held,
    };
    let sent = exchange.send(&mut again, &mut used, outcome).await?;
    let is_accepted = matches!(&sent, Ok(answer) if answer.status != StatusCode::UNAUTHORIZED);
    UpstreamRetried {
        id: outcome.id(),
        why: RetryWhy::Unauthorised,
        result: if is_accepted {
            RetryResult::Ok
        } else {
            RetryResult::Failed
        },
    }
    .emit(worker.metrics().metrics());
    let answer = sent.map_err(|failed| stop_for(worker, outcome, None, rights, &failed))?;
    note_status(worker, outcome, answer.status);
    if !is_accepted {
        // The second one: the connection is marked, and says so until something works again.
        note_unauthorised(outcome, &used.lease, Reason::ConnectionRejected);
        let error = worker.gate().live.rejected(&used.lease).await.err();
        return Err(error.map_or(
            Stop::Credential {
                retry_after_seconds: 1,
            },
            |error| credential(&error),
        ));
    }
    used.lease.accepted();
    Ok((answer, used))
}

/// The body on its way, and what is kept of it.
fn going_up(body: Outgoing, bounds: UploadBounds, outcome: &mut Outcome) -> Going {
    let (first, watch) = match body {
        Outgoing::Judged(bytes) => {
            outcome.request_bytes = bytes.len() as u64;
            return Going {
                first: UpBody::full(bytes.clone()),
                watch: None,
                held: bytes,
            };
        }
        Outgoing::Stream(incoming) => UpBody::stream(incoming, bounds),
        Outgoing::Multipart(import) => UpBody::multipart(*import, bounds),
    };
    Going {
        first,
        watch: Some(watch),
        held: Bytes::new(),
    }
}

/// Counts what HubSpot says when it has too much to do, or no faith in the token: it comes down as it is,
/// or is answered by the gate, and operators see it all the same.
fn note_status(worker: &Worker, outcome: &Outcome, status: StatusCode) {
    let kind = match status.as_u16() {
        401 => UpstreamErrorKind::Unauthorised,
        429 => UpstreamErrorKind::RateLimited,
        500..=599 => UpstreamErrorKind::ServerError,
        _ => return,
    };
    UpstreamFailed {
        id: Some(outcome.id()),
        kind,
        detail: &status,
    }
    .emit(worker.metrics().metrics());
}

/// Notes a 401 that no other token helps against: the connection's reads, or writes, fail. A token
/// endpoint that can't be reached says nothing about them.
fn note_unauthorised(outcome: &Outcome, lease: &Lease, reason: Reason) {
    if reason == Reason::ConnectionRejected
        && let Some(class) = outcome.effect.and_then(Effect::class)
    {
        let connection = lease.connection();
        connection.note_failure(class, FailureCause::Unauthorised, clock::now());
    }
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

/// Whether nothing of a request went up.
fn is_unsent(error: &ExchangeError) -> bool {
    match error {
        ExchangeError::Withdrawn => true,
        ExchangeError::Broken(error) => error.is_unsent(),
        _ => false,
    }
}

/// Whose side failed: a client's broken body is not the upstream's fault.
fn stop_for(
    worker: &Worker,
    outcome: &mut Outcome,
    watch: Option<&UploadWatch>,
    rights: &Rights,
    failed: &Unanswered<UpBody>,
) -> Stop {
    let error = &failed.error;
    if failed.unsent.is_some() || is_unsent(error) {
        // Nothing of this attempt; of the one before it, if there was one, all.
        outcome.sent_upstream.set(outcome.replayed);
    }
    if matches!(error, ExchangeError::Withdrawn) {
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
    let unsure = outcome.sent_upstream.get() && outcome.effect.is_none_or(Effect::changes_data);
    let (kind, stop) = match error {
        ExchangeError::Connect(source) => (UpstreamErrorKind::of_connect(source), Stop::Upstream { unsure }),
        ExchangeError::ConnectTimeout => (UpstreamErrorKind::ConnectTimeout, Stop::Timeout { unsure }),
        ExchangeError::Broken(source) if is_no_http(source) => (UpstreamErrorKind::Protocol, no_http(unsure)),
        ExchangeError::Broken(_) | ExchangeError::Withdrawn => {
            (UpstreamErrorKind::Closed, Stop::Upstream { unsure })
        }
        ExchangeError::HeadTimeout => (UpstreamErrorKind::HeadTimeout, Stop::Timeout { unsure }),
        ExchangeError::Held(held) => (
            UpstreamErrorKind::BreakerOpen,
            Stop::Held {
                retry_after_seconds: u32::try_from(held.retry_after.as_secs()).unwrap_or(60) + 1,
            },
        ),
        ExchangeError::NoRoom => (UpstreamErrorKind::NoConnection, Stop::Overloaded),
    };
    let detail: &dyn std::fmt::Display = match error {
        ExchangeError::Broken(source) => source,
        ExchangeError::Connect(source) => source,
        _ => error,
    };
    UpstreamFailed {
        id: Some(outcome.id()),
        kind,
        detail,
    }
    .emit(worker.metrics().metrics());
    stop
}
