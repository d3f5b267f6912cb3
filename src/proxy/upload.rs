//! A request's body on its way up: nothing, judged bytes rebuilt, or the client's own stream under
//! a bound, a deadline, and a small memory for a replay. An import's stream is written anew on the way.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::client_body::ClientBody;
use super::multipart::Multipart;
use super::pace::{Pace, Rate};
use crate::access::multipart::{Fault, Rebuild};
use crate::hubspot::progress::Progress;

/// Why a body did not go up whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// More bytes than `limits.body_bytes`.
    #[error("the request body is over the bound")]
    TooLarge,
    /// The client stopped sending.
    #[error("the request body did not arrive in time")]
    Idle,
    /// The client went away, or its framing was wrong.
    #[error("the request body broke off")]
    Broken,
    /// A part of an import that is not allowed, or its framing.
    #[error(transparent)]
    Import(#[from] Fault),
}

/// What of a streamed body is remembered until the answer's head arrives.
#[derive(Debug, Default)]
struct Memory {
    bytes: BytesMut,
    /// All that was sent so far is in `bytes`.
    complete: bool,
    /// The body has ended.
    ended: bool,
}

/// What the request path keeps of a body that streams: its failure, and whether it can be sent again.
#[derive(Clone)]
pub struct UploadWatch {
    memory: Rc<RefCell<Memory>>,
    failure: Rc<Cell<Option<UploadError>>>,
    sent: Rc<Cell<u64>>,
    progress: Progress,
}

impl UploadWatch {
    fn new() -> Self {
        Self {
            memory: Rc::new(RefCell::new(Memory {
                complete: true,
                ..Memory::default()
            })),
            failure: Rc::default(),
            sent: Rc::default(),
            progress: Progress::default(),
        }
    }

    /// Why the upload failed, if it was the client's side that did.
    pub fn failure(&self) -> Option<UploadError> {
        self.failure.get()
    }

    /// The pool's clock for this upload.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Bytes that went up so far.
    pub fn sent_bytes(&self) -> u64 {
        self.sent.get()
    }

    /// The whole body, if it has ended and was small enough to keep.
    pub fn replayable(&self) -> Option<Bytes> {
        let memory = self.memory.borrow();
        (memory.complete && memory.ended).then(|| Bytes::copy_from_slice(&memory.bytes))
    }

    /// The answer's head is here: nothing will be sent again.
    pub fn forget(&self) {
        let mut memory = self.memory.borrow_mut();
        memory.complete = false;
        memory.bytes = BytesMut::new();
    }
}

/// Bounds of a streamed upload.
#[derive(Clone, Copy, Debug)]
pub struct UploadBounds {
    /// Most bytes.
    pub body_bytes: u64,
    /// Bytes remembered for a replay.
    pub replay_bytes: usize,
    /// Longest wait for the next bytes.
    pub idle: Duration,
    /// What must come of it while the client is waited for.
    pub rate: Rate,
    /// When it must be over.
    pub until: std::time::Instant,
}

/// The body of an upstream request.
pub enum UpBody {
    /// No body.
    Empty,
    /// Bytes at hand.
    Full(Option<Bytes>),
    /// The client's stream.
    Stream(Box<Streamed>),
}

/// A client's body that passes through.
pub struct Streamed {
    incoming: ClientBody,
    left: u64,
    bounds: UploadBounds,
    watch: UploadWatch,
    timer: Pin<Box<Sleep>>,
    pace: Pace,
    /// An import: what its stream becomes.
    import: Option<Box<Rebuilding>>,
}

/// An import's stream on its way through.
struct Rebuilding {
    /// What goes up before the stream.
    first: Bytes,
    rest: Rebuild,
    /// The final boundary has gone up.
    closed: bool,
}

impl UpBody {
    /// Bytes at hand, or nothing.
    pub fn full(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            Self::Empty
        } else {
            Self::Full(Some(bytes))
        }
    }

    /// The client's stream, with the watch that outlives it.
    pub fn stream(incoming: ClientBody, bounds: UploadBounds) -> (Self, UploadWatch) {
        let watch = UploadWatch::new();
        if incoming.is_end_stream() {
            watch.memory.borrow_mut().ended = true;
            return (Self::Empty, watch);
        }
        let streamed = Streamed::new(incoming, bounds, &watch);
        (Self::Stream(Box::new(streamed)), watch)
    }

    /// An import's stream, likewise.
    pub fn multipart(import: Multipart, bounds: UploadBounds) -> (Self, UploadWatch) {
        let watch = UploadWatch::new();
        let mut streamed = Streamed::new(import.incoming, bounds, &watch);
        streamed.left = streamed.left.saturating_sub(import.read_bytes);
        streamed.import = Some(Box::new(Rebuilding {
            first: import.first,
            rest: import.rest,
            closed: false,
        }));
        (Self::Stream(Box::new(streamed)), watch)
    }
}

impl Streamed {
    fn new(incoming: ClientBody, bounds: UploadBounds, watch: &UploadWatch) -> Self {
        Self {
            incoming,
            left: bounds.body_bytes,
            bounds,
            watch: watch.clone(),
            timer: Box::pin(tokio::time::sleep(bounds.idle)),
            pace: Pace::new(bounds.rate),
            import: None,
        }
    }

    /// All of it has been handed on.
    fn has_ended(&self) -> bool {
        match &self.import {
            Some(import) => import.closed,
            None => self.incoming.is_end_stream(),
        }
    }

    fn fail(&self, error: UploadError) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        self.watch.failure.set(Some(error));
        Poll::Ready(Some(Err(error)))
    }

    fn remember(&self, data: &Bytes) {
        let mut memory = self.watch.memory.borrow_mut();
        if !memory.complete {
            return;
        }
        if memory.bytes.len() + data.len() > self.bounds.replay_bytes {
            memory.complete = false;
            memory.bytes = BytesMut::new();
        } else {
            memory.bytes.extend_from_slice(data);
        }
    }

    /// The final boundary of an import, if it has not gone up.
    fn close(&mut self) -> Result<Option<Bytes>, Fault> {
        let Some(import) = self.import.as_mut().filter(|import| !import.closed) else {
            return Ok(None);
        };
        let mut end = Vec::new();
        import.rest.finish(&mut end)?;
        import.closed = true;
        Ok(Some(end.into()))
    }

    /// Bytes go up.
    fn hand_on(&mut self, data: Bytes) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        self.watch.progress.made();
        self.watch.sent.set(self.watch.sent.get() + data.len() as u64);
        self.remember(&data);
        if self.has_ended() {
            self.watch.memory.borrow_mut().ended = true;
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        if let Some(import) = &mut self.import
            && !import.first.is_empty()
        {
            let first = std::mem::take(&mut import.first);
            return self.hand_on(first);
        }
        loop {
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers are dropped: RFC 9110 §6.5.1 lets us, and nothing of them was judged.
                    let Ok(data) = frame.into_data() else { continue };
                    self.pace.moved(data.len(), std::time::Instant::now);
                    if std::time::Instant::now() > self.bounds.until {
                        return self.fail(UploadError::Idle);
                    }
                    let Some(left) = self.left.checked_sub(data.len() as u64) else {
                        return self.fail(UploadError::TooLarge);
                    };
                    self.left = left;
                    self.timer.as_mut().reset(Instant::now() + self.bounds.idle);
                    let data = match &mut self.import {
                        None => data,
                        Some(import) => match import.push(&data) {
                            Ok(rebuilt) if rebuilt.is_empty() => continue,
                            Ok(rebuilt) => rebuilt,
                            Err(fault) => return self.fail(fault.into()),
                        },
                    };
                    return self.hand_on(data);
                }
                Poll::Ready(Some(Err(_))) => return self.fail(UploadError::Broken),
                Poll::Ready(None) => {
                    match self.close() {
                        Ok(None) => {}
                        Ok(Some(end)) => return self.hand_on(end),
                        Err(fault) => return self.fail(fault.into()),
                    }
                    self.watch.memory.borrow_mut().ended = true;
                    self.watch.progress.made();
                    return Poll::Ready(None);
                }
                Poll::Pending if self.timer.as_mut().poll(cx).is_ready() => {
                    return self.fail(UploadError::Idle);
                }
                Poll::Pending => {
                    if self.pace.waits(std::time::Instant::now()).is_err() {
                        return self.fail(UploadError::Idle);
                    }
                    self.watch.progress.waits_for_client();
                    return Poll::Pending;
                }
            }
        }
    }
}

impl Rebuilding {
    fn push(&mut self, data: &[u8]) -> Result<Bytes, Fault> {
        let mut out = Vec::with_capacity(data.len() + 256);
        self.rest.push(data, &mut out).map(|()| out.into())
    }
}

impl Body for UpBody {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        match self.get_mut() {
            UpBody::Empty => Poll::Ready(None),
            UpBody::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            UpBody::Stream(streamed) => streamed.poll_data(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            UpBody::Empty | UpBody::Full(None) => true,
            UpBody::Full(Some(_)) => false,
            UpBody::Stream(streamed) => streamed.has_ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            UpBody::Empty | UpBody::Full(None) => SizeHint::with_exact(0),
            UpBody::Full(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            UpBody::Stream(streamed) if streamed.import.is_some() => SizeHint::default(),
            UpBody::Stream(streamed) => match streamed.incoming.size_hint().exact() {
                Some(exact) => SizeHint::with_exact(exact),
                None => SizeHint::default(),
            },
        }
    }
}
