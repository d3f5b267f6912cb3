//! The body of an upstream answer: it drives its own connection while it is read, and gives it back
//! to the pool at a clean end.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::client::WireError;
use super::pool::{Lent, Pool};
use super::shared::Active;

/// Why an answer's body stopped.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The connection broke, or the framing was wrong.
    #[error("the upstream broke off its answer")]
    Broken(#[source] WireError),
    /// Nothing came for too long.
    #[error("the upstream stopped in the middle of its answer")]
    Idle,
}

impl AnswerError {
    /// Whether what came is no HTTP, or no TLS, rather than too little of it.
    pub fn is_nonsense(&self) -> bool {
        match self {
            Self::Broken(WireError::Violation(_)) => true,
            Self::Broken(WireError::Io(error)) => is_nonsense(error),
            Self::Broken(WireError::Unsent(_) | WireError::Closed | WireError::Body) | Self::Idle => false,
        }
    }
}

fn is_nonsense(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData)
}

/// The body of an answer; it drives its connection and returns it to the pool at a clean end.
pub struct AnswerBody<B: Body<Data = Bytes> + Unpin + 'static> {
    /// The connection, until the body has ended.
    lent: Option<Box<Lent<B>>>,
    /// The lines of the head before it.
    lines: Bytes,
    pool: Rc<Pool<B>>,
    idle_timer: Option<Pin<Box<tokio::time::Sleep>>>,
    _active: Active,
}

impl<B: Body<Data = Bytes> + Unpin + 'static> AnswerBody<B> {
    pub(super) fn new(lent: Box<Lent<B>>, lines: Bytes, pool: Rc<Pool<B>>, active: Active) -> Self {
        let mut body = Self {
            lent: Some(lent),
            lines,
            pool,
            idle_timer: None,
            _active: active,
        };
        body.give_back_at_end();
        body
    }

    /// The lines of all fields of the answer's head, as they came.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// After the last byte the connection may serve again, if both sides are done with it.
    fn give_back_at_end(&mut self) {
        if let Some(lent) = self.lent.take_if(|lent| lent.connection.has_ended()) {
            self.pool.give_back(lent);
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin + 'static> Body for AnswerBody<B> {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let this = self.get_mut();
        let Some(lent) = &mut this.lent else {
            return Poll::Ready(None);
        };
        match lent.connection.poll_piece(cx) {
            Poll::Ready(Some(Ok(piece))) => {
                this.idle_timer = None;
                // A server that knows the length does not ask again.
                this.give_back_at_end();
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Poll::Ready(Some(Err(error))) => {
                this.lent = None;
                Poll::Ready(Some(Err(AnswerError::Broken(error))))
            }
            Poll::Ready(None) => {
                this.give_back_at_end();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let wait = this.pool.answer_idle();
                let timer = this
                    .idle_timer
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
                if timer.as_mut().poll(cx).is_ready() {
                    this.lent = None;
                    return Poll::Ready(Some(Err(AnswerError::Idle)));
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.lent.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.lent.as_ref().map_or(Some(0), |lent| lent.connection.left());
        left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
