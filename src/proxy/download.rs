//! The body of an answer on its way to the client: the gate's own bytes, or the upstream's stream
//! through its stages (unpack, look for the token, filter, turn links back).
//!
//! An error ends the transfer without a proper end (no last chunk, `RST_STREAM`, over HTTP/1.0 a reset): a
//! client never takes a shortened answer for a whole one.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::answer::is_no_http;
use super::echo::{EchoGuard, TokenEchoed};
use super::filtered::FilterStage;
use super::gunzip::{Gunzip, GunzipError, STEP_BYTES};
use super::links::LinkRewriter;
use super::outcome::Outcome;
use super::rights::Rights;
use super::upload::UpBody;
use crate::access::effect::Effect;
use crate::access::fields::filter::Violation;
use crate::access::refusal::Reason;
use crate::access::tally::Tally;
use crate::hubspot::answer_body::{AnswerBody, AnswerError};
use crate::metrics::UpstreamErrorKind;

/// Why a transfer was broken off.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The upstream's side.
    #[error(transparent)]
    Upstream(#[from] AnswerError),
    /// Broken or oversized coding.
    #[error(transparent)]
    Coding(#[from] GunzipError),
    /// The answer holds the token.
    #[error(transparent)]
    Echo(#[from] TokenEchoed),
    /// Property rules can't be applied to it.
    #[error("the answer has not the shape that is known of its operation: {0}")]
    Shape(#[from] Violation),
    /// It holds more records than the policy lets be read now.
    #[error("the answer holds more records than the policy's `limits.records_read` has left")]
    Limit,
    /// The whole took too long.
    #[error("the answer took longer than a request may")]
    Total,
    /// The key was revoked, or the connection stopped, meanwhile.
    #[error("the key or the connection was stopped while the answer was being read")]
    Stopped,
}

impl DownloadError {
    /// The word it is counted under; `None`: nothing of the upstream's failed.
    pub fn kind(&self) -> Option<UpstreamErrorKind> {
        Some(match self {
            Self::Upstream(error) if error.is_nonsense() => UpstreamErrorKind::Protocol,
            Self::Upstream(AnswerError::Broken(error)) if is_no_http(error) => UpstreamErrorKind::Protocol,
            Self::Upstream(AnswerError::Broken(_)) => UpstreamErrorKind::Closed,
            Self::Upstream(AnswerError::Idle) => UpstreamErrorKind::BodyTimeout,
            Self::Coding(_) => UpstreamErrorKind::Encoding,
            Self::Echo(_) => UpstreamErrorKind::TokenEcho,
            Self::Shape(_) => UpstreamErrorKind::AnswerShape,
            Self::Total => UpstreamErrorKind::TotalTimeout,
            Self::Stopped | Self::Limit => return None,
        })
    }
}

/// What the gate does to an upstream body.
pub struct Stages {
    /// Unpack first.
    pub gunzip: Option<Gunzip>,
    /// Counts the records, under a limit on them.
    pub tally: Option<Tally>,
    /// Always on for plain bodies.
    pub echo: Option<EchoGuard>,
    /// Answers under property rules.
    pub filter: Option<Box<FilterStage>>,
    /// JSON answers.
    pub links: Option<LinkRewriter>,
}

impl Stages {
    /// Whether bytes may change, so that length and validators don't hold.
    pub fn change_bytes(&self) -> bool {
        self.gunzip.is_some() || self.filter.is_some() || self.links.is_some()
    }

    fn push(&mut self, chunk: Bytes) -> Result<Bytes, DownloadError> {
        let mut chunk = match &mut self.gunzip {
            Some(gunzip) => gunzip.push(&chunk)?,
            None => chunk,
        };
        if let Some(tally) = &mut self.tally {
            tally.push(&chunk);
        }
        if let Some(echo) = &mut self.echo {
            chunk = echo.push(chunk)?;
        }
        if let Some(filter) = &mut self.filter {
            chunk = filter.push(&chunk)?;
        }
        if let Some(links) = &mut self.links {
            chunk = links.push(chunk);
        }
        Ok(chunk)
    }

    /// What the stages still hold when the stream has ended.
    fn finish(&mut self) -> Result<Bytes, DownloadError> {
        let mut rest = match &mut self.gunzip {
            Some(gunzip) => gunzip.finish()?,
            None => Bytes::new(),
        };
        if let Some(tally) = &mut self.tally {
            tally.push(&rest);
        }
        if let Some(echo) = &mut self.echo {
            rest = joined(echo.push(rest)?, echo.finish());
        }
        if let Some(filter) = &mut self.filter {
            rest = joined(filter.push(&rest)?, filter.finish()?);
        }
        if let Some(links) = &mut self.links {
            rest = joined(links.push(rest), links.finish());
        }
        Ok(rest)
    }
}

/// What a stage handed on, and what it held back to the end.
pub(super) fn joined(passed: Bytes, held: Bytes) -> Bytes {
    match (passed.is_empty(), held.is_empty()) {
        (true, _) => held,
        (_, true) => passed,
        (false, false) => [passed, held].concat().into(),
    }
}

/// An upstream's body, and what must hold while it passes.
pub struct Download {
    /// What was read before the head was sent; it has been through the stages.
    pub first: Bytes,
    /// The stream.
    pub answer: AnswerBody<UpBody>,
    /// What is done to it.
    pub stages: Stages,
    /// How much is still to be handed on, unless the stages change it; `None`: nobody knows.
    pub left: Option<u64>,
    /// What ends a read when it is withdrawn.
    pub rights: Rc<Rights>,
    /// When it must be over.
    pub until: Instant,
    /// Packed bytes that wait to be unpacked.
    pub pending: Bytes,
    /// The stream has ended; the stages' rest is being handed on.
    pub ended: bool,
    /// Waits for the rights to be withdrawn while the upstream is silent.
    pub withdrawn: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

enum Kind {
    Own(Option<Bytes>),
    Upstream(Box<Download>),
}

/// The body of every answer.
pub struct GateBody {
    kind: Kind,
    outcome: Option<Box<Outcome>>,
}

impl GateBody {
    /// Bytes of the gate's own.
    pub fn own(bytes: Bytes, outcome: Box<Outcome>) -> Self {
        let mut outcome = outcome;
        outcome.response_bytes = bytes.len() as u64;
        outcome.open = false;
        Self {
            kind: Kind::Own(Some(bytes)),
            outcome: Some(outcome),
        }
    }

    /// An upstream's stream.
    pub fn upstream(download: Box<Download>, outcome: Box<Outcome>) -> Self {
        let mut outcome = outcome;
        outcome.open = !download.answer.is_end_stream() || !download.first.is_empty();
        Self {
            kind: Kind::Upstream(download),
            outcome: Some(outcome),
        }
    }
}

impl Download {
    /// The next bytes after all stages.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        outcome: &mut Outcome,
    ) -> Poll<Option<Result<Bytes, DownloadError>>> {
        loop {
            match self.poll_piece(cx, outcome) {
                Poll::Ready(Some(Ok(piece))) if piece.is_empty() => {}
                polled => return polled,
            }
        }
    }

    /// What a piece of the stream has become after all stages: nothing, maybe.
    pub fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        outcome: &mut Outcome,
    ) -> Poll<Option<Result<Bytes, DownloadError>>> {
        if self.ended && self.first.is_empty() {
            return Poll::Ready(None);
        }
        let is_read = outcome.effect == Some(Effect::Read);
        if is_read && self.rights.check().is_err() {
            return Poll::Ready(Some(Err(DownloadError::Stopped)));
        }
        if !self.first.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.first))));
        }
        if !self.pending.is_empty() {
            let step = self.pending.split_to(self.pending.len().min(STEP_BYTES));
            let out = self.stages.push(step);
            return Poll::Ready(Some(self.noted(out, outcome)));
        }
        let frame = match Pin::new(&mut self.answer).poll_frame(cx) {
            Poll::Pending if is_read && self.poll_withdrawn(cx) => {
                return Poll::Ready(Some(Err(DownloadError::Stopped)));
            }
            Poll::Pending => return Poll::Pending,
            Poll::Ready(frame) => frame,
        };
        if Instant::now() > self.until {
            return Poll::Ready(Some(Err(DownloadError::Total)));
        }
        let mut out = match frame {
            None => {
                self.ended = true;
                self.stages.finish()
            }
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            // Trailers are not passed on: nothing of them was judged.
            Some(Ok(frame)) => match frame.into_data() {
                // What must be unpacked is fed in small steps: a frame of it may be a bomb.
                Ok(data) if self.stages.gunzip.is_some() => {
                    self.pending = data;
                    Ok(Bytes::new())
                }
                Ok(data) => self.stages.push(data),
                Err(_) => Ok(Bytes::new()),
            },
        };
        if !self.ended && self.pending.is_empty() && self.answer.is_end_stream() {
            // The last piece goes down with what the stages held back, and with its end, in one write. Whoever takes
            // it asks no more: the call's place is free, and what is left of it is its connection's to bound.
            self.ended = true;
            out = out.and_then(|last| Ok(joined(last, self.stages.finish()?)));
        }
        Poll::Ready(Some(self.noted(out, outcome)))
    }

    /// Whether the call may no longer go on; wakes the reader when that happens while the upstream is
    /// silent.
    fn poll_withdrawn(&mut self, cx: &mut Context<'_>) -> bool {
        let rights = &self.rights;
        let withdrawn = self.withdrawn.get_or_insert_with(|| {
            let rights = Rc::clone(rights);
            Box::pin(async move {
                rights.withdrawn().await;
            })
        });
        withdrawn.as_mut().poll(cx).is_ready()
    }

    /// What the filter did goes into the books, whatever becomes of the answer.
    fn noted(
        &self,
        out: Result<Bytes, DownloadError>,
        outcome: &mut Outcome,
    ) -> Result<Bytes, DownloadError> {
        if let Some(filter) = &self.stages.filter {
            outcome.stripped = filter.stripped();
            if let Err(DownloadError::Shape(violation)) = &out {
                outcome.misshapen(violation);
            }
        }
        match &self.stages.tally {
            Some(tally) if out.is_ok() && !outcome.read_so_far(tally.records()) => Err(DownloadError::Limit),
            _ => out,
        }
    }
}

impl Body for GateBody {
    type Data = Bytes;
    type Error = DownloadError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, DownloadError>>> {
        let this = self.get_mut();
        let download = match &mut this.kind {
            Kind::Own(bytes) => {
                return Poll::Ready(bytes.take().filter(|b| !b.is_empty()).map(|b| Ok(Frame::data(b))));
            }
            Kind::Upstream(download) => download,
        };
        let Some(outcome) = &mut this.outcome else {
            return Poll::Ready(None);
        };
        match download.poll(cx, outcome) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(data))) => {
                outcome.response_bytes += data.len() as u64;
                download.left = download.left.map(|left| left.saturating_sub(data.len() as u64));
                // What the stages held back is handed on when `ended` is set.
                outcome.open =
                    !download.answer.is_end_stream() || (download.stages.change_bytes() && !download.ended);
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Poll::Ready(Some(Err(error))) => {
                outcome.reason = match (&error, download.rights.check()) {
                    (DownloadError::Stopped, Err(stop)) => stop.reason(),
                    (DownloadError::Echo(_), _) => Reason::TokenEcho,
                    (DownloadError::Limit, _) => Reason::LimitRecordsRead,
                    _ => Reason::Upstream,
                };
                outcome.broken_off(&error, true);
                this.kind = Kind::Own(None);
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => {
                outcome.open = false;
                this.outcome = None;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Own(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Kind::Upstream(download) => download.ended && download.first.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Upstream(download) if download.stages.change_bytes() => SizeHint::default(),
            Kind::Upstream(download) => download.left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
