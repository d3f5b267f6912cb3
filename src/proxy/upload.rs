//! A request's body on its way up: nothing, judged bytes rebuilt, or the client's own stream under
//! a bound, a deadline, and a small memory for a replay.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::hubspot::pool::Progress;

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
    incoming: Incoming,
    left: u64,
    bounds: UploadBounds,
    watch: UploadWatch,
    timer: Pin<Box<Sleep>>,
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
    pub fn stream(incoming: Incoming, bounds: UploadBounds) -> (Self, UploadWatch) {
        let watch = UploadWatch {
            memory: Rc::new(RefCell::new(Memory {
                complete: true,
                ..Memory::default()
            })),
            failure: Rc::default(),
            sent: Rc::default(),
            progress: Progress::default(),
        };
        if incoming.is_end_stream() {
            watch.memory.borrow_mut().ended = true;
            return (Self::Empty, watch);
        }
        let timer = Box::pin(tokio::time::sleep(bounds.idle));
        let streamed = Streamed {
            incoming,
            left: bounds.body_bytes,
            bounds,
            watch: watch.clone(),
            timer,
        };
        (Self::Stream(Box::new(streamed)), watch)
    }
}

impl Streamed {
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

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        loop {
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers are dropped: RFC 9110 §6.5.1 lets us, and nothing of them was judged.
                    let Ok(data) = frame.into_data() else { continue };
                    if std::time::Instant::now() > self.bounds.until {
                        return self.fail(UploadError::Idle);
                    }
                    let Some(left) = self.left.checked_sub(data.len() as u64) else {
                        return self.fail(UploadError::TooLarge);
                    };
                    self.left = left;
                    self.watch.sent.set(self.watch.sent.get() + data.len() as u64);
                    self.remember(&data);
                    if self.incoming.is_end_stream() {
                        self.watch.memory.borrow_mut().ended = true;
                    }
                    self.watch.progress.made();
                    self.timer.as_mut().reset(Instant::now() + self.bounds.idle);
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Poll::Ready(Some(Err(_))) => return self.fail(UploadError::Broken),
                Poll::Ready(None) => {
                    self.watch.memory.borrow_mut().ended = true;
                    self.watch.progress.made();
                    return Poll::Ready(None);
                }
                Poll::Pending if self.timer.as_mut().poll(cx).is_ready() => {
                    return self.fail(UploadError::Idle);
                }
                Poll::Pending => {
                    self.watch.progress.waits_for_client();
                    return Poll::Pending;
                }
            }
        }
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
            UpBody::Stream(streamed) => streamed.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            UpBody::Empty | UpBody::Full(None) => SizeHint::with_exact(0),
            UpBody::Full(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            UpBody::Stream(streamed) => match streamed.incoming.size_hint().exact() {
                Some(exact) => SizeHint::with_exact(exact),
                None => SizeHint::default(),
            },
        }
    }
}
