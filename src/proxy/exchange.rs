//! One call's way to its answer's head, with what may be sent a second time.
//!
//! Only two things are: a request of which nothing was sent, and a read that the upstream left without an
//! answer by closing a connection that had served before, which is what happens when a connection idles too
//! long on its side. Once, on a connection of its own, and within a budget (`hubspot/retries.rs`). Never
//! a write of which anything may have arrived; never after a deadline: the upstream has it, and has not
//! said no. The replay after a 401 is `forward`'s: that was answered, and not executed.

use std::cell::Cell;
use std::pin::pin;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Uri};
use tokio::time::Instant;

use super::answer::is_no_http;
use super::forward::Used;
use super::outcome::Outcome;
use super::rights::Rights;
use super::stop::Stop;
use super::upload::{UpBody, UploadWatch};
use super::worker::Worker;
use crate::access::effect::Effect;
use crate::events::{UpstreamFailed, UpstreamRetried};
use crate::hubspot::breaker::AccountBit;
use crate::hubspot::client::RequestHead;
use crate::hubspot::exchange::{Answer, ExchangeError, Leave, Unanswered, Way};
use crate::metrics::{RetryResult, RetryWhy, UpstreamErrorKind};
use crate::tokens::Lease;

/// What came, or what became of the request.
pub(super) type Sent = Result<Answer<UpBody>, Unanswered<UpBody>>;

/// What all attempts have of a request's head.
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) target: Uri,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// A body as it goes up, and what is kept of it.
pub(super) struct Going {
    /// The body of the first attempt.
    pub(super) first: UpBody,
    /// What is known of a client's stream on its way.
    pub(super) watch: Option<UploadWatch>,
    /// A body that is at hand.
    pub(super) held: Bytes,
}

impl Going {
    /// The whole body, if it can be sent once more.
    pub(super) fn again(&self) -> Option<Bytes> {
        match &self.watch {
            Some(watch) => watch.replayable(),
            None => Some(self.held.clone()),
        }
    }
}

/// What all exchanges of a call have in common.
pub(super) struct Exchange<'a> {
    pub(super) worker: &'a Worker,
    pub(super) rights: &'a Rights,
    pub(super) head: &'a Head,
}

impl Exchange<'_> {
    /// Sends `body` and waits for the answer's head.
    ///
    /// Making a connection may take longer than the token lives: a token that ran out meanwhile is not
    /// sent, and the call goes up with the next one. Once; a second wait of that kind is the caller's to
    /// repeat.
    pub(super) async fn send(
        &self,
        going: &mut Going,
        used: &mut Used,
        outcome: &mut Outcome,
    ) -> Result<Sent, Stop> {
        let mut body = std::mem::replace(&mut going.first, UpBody::Empty);
        let (mut way, mut is_renewed, mut retried) = (Way::Any, false, None);
        loop {
            let sent = self.once(body, way, going, used.lease(), outcome).await;
            let mut failed = match sent {
                Ok(Err(failed)) => failed,
                Ok(Ok(answer)) => {
                    self.tell(outcome, retried, RetryResult::Ok);
                    return Ok(Ok(answer));
                }
                Err(stop) => {
                    self.tell(outcome, retried, RetryResult::Failed);
                    return Err(stop);
                }
            };
            if matches!(failed.error, ExchangeError::Withdrawn)
                && !is_renewed
                && self.rights.check().is_ok()
                && let Some(unsent) = failed.unsent.take()
            {
                is_renewed = true;
                // A request that was repeated may have been read with the token it had.
                if !self.renew(used, retried.is_some()).await {
                    // Nothing went up; the caller says why.
                    return Ok(Err(failed));
                }
                body = unsent;
                continue;
            }
            let again = match way {
                Way::Any => self.again(&failed, going, outcome),
                Way::Fresh => None,
            };
            let Some((why, again)) = again else {
                self.tell(outcome, retried, RetryResult::Failed);
                return Ok(Err(failed));
            };
            (body, way, retried) = (again, Way::Fresh, Some(why));
        }
    }

    /// The same request once more, if it may be and the budget has it.
    fn again(
        &self,
        failed: &Unanswered<UpBody>,
        going: &Going,
        outcome: &mut Outcome,
    ) -> Option<(RetryWhy, UpBody)> {
        let ExchangeError::Broken(error) = &failed.error else {
            return None;
        };
        if !failed.reused {
            return None;
        }
        let why = if error.is_unsent() {
            // Nothing of this attempt; of the one before it, if there was one, all.
            outcome.sent_upstream.set(outcome.replayed);
            RetryWhy::Unsent
        } else if outcome.repeatable && !is_no_http(error) && !error.is_body() {
            // What answered with no HTTP has answered: that is told and counted, not tried again.
            RetryWhy::Closed
        } else {
            return None;
        };
        let body = going.again()?;
        if !self.worker.gate().pools.retries.take() {
            self.tell(outcome, Some(why), RetryResult::NoBudget);
            return None;
        }
        outcome.replayed |= why == RetryWhy::Closed;
        Some((why, UpBody::full(body)))
    }

    /// Takes the connection's next token; whether the call may go on with it.
    async fn renew(&self, used: &mut Used, went_up: bool) -> bool {
        let next = tokio::select! {
            biased;
            next = self.worker.gate().live.lease_again(used.lease()) => next,
            _ = self.rights.withdrawn() => return false,
        };
        let Ok(next) = next else { return false };
        if self.rights.check().is_err() {
            return false;
        }
        used.next(next, went_up);
        true
    }

    /// One attempt with the token at hand, as long as that may be sent. A read is given up the moment its
    /// rights are withdrawn; anything else whose head has gone up runs on: half of a write helps nobody.
    async fn once(
        &self,
        body: UpBody,
        way: Way,
        going: &Going,
        lease: &Lease,
        outcome: &Outcome,
    ) -> Result<Sent, Stop> {
        let still = || self.rights.check().is_ok() && lease.is_good(Instant::now());
        let progress = going.watch.as_ref().map(UploadWatch::progress);
        let account = AccountBit::of(lease.connection().portal().get());
        let head = RequestHead {
            method: &self.head.method,
            target: &self.head.target,
            host: &self.worker.gate().upstream_host,
            authorization: Some(lease.authorization()),
            headers: &self.head.headers,
        };
        let (was_silent, is_withdrawn) = (Cell::new(false), Cell::new(false));
        let leave = Leave {
            still: &still,
            taken: &outcome.sent_upstream,
            was_silent: &was_silent,
            is_withdrawn: &is_withdrawn,
        };
        // Dropped after what it waits for, which tells it of a silence.
        let mut waiting = Waiting {
            outcome,
            is_over: false,
            was_silent: &was_silent,
            worker: self.worker,
        };
        // Where it stays: it is large.
        let mut sending = pin!(
            self.worker
                .pool()
                .send(&head, body, way, account, progress, leave)
        );
        if outcome.effect != Some(Effect::Read) {
            let sent = sending.await;
            waiting.is_over = true;
            return Ok(sent);
        }
        let sent = tokio::select! {
            biased;
            sent = &mut sending => Ok(sent),
            stop = self.rights.withdrawn() => {
                is_withdrawn.set(true);
                Err(stop)
            }
        };
        waiting.is_over = true;
        let sent = sent?;
        // A refused call says why by itself.
        if sent.is_ok() {
            self.rights.check()?;
        }
        Ok(sent)
    }

    fn tell(&self, outcome: &Outcome, why: Option<RetryWhy>, result: RetryResult) {
        if let Some(why) = why {
            UpstreamRetried {
                id: outcome.id(),
                why,
                result,
            }
            .emit(self.worker.metrics().metrics());
        }
    }
}

/// A call that waits for a connection, or for its answer. One whose caller leaves meanwhile would be noticed nowhere: of
/// an upstream that nobody waits long enough for there would be no sign at all.
struct Waiting<'a> {
    outcome: &'a Outcome,
    /// It waits no more.
    is_over: bool,
    /// It went up, and nothing was heard of it for long.
    was_silent: &'a Cell<bool>,
    worker: &'a Worker,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let (kind, detail) = if self.was_silent.get() {
            (
                UpstreamErrorKind::Unawaited,
                "it was given up after the upstream had said nothing for long",
            )
        } else if !self.is_over && !self.outcome.sent_upstream.get() {
            (
                UpstreamErrorKind::Abandoned,
                "its client left before there was a connection",
            )
        } else {
            return;
        };
        UpstreamFailed {
            id: Some(self.outcome.id()),
            kind,
            detail: &detail,
        }
        .emit(self.worker.metrics().metrics());
    }
}
