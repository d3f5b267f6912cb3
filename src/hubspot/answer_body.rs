//! The body of an upstream answer: it drives its own connection while it is read, and gives it back
//! to the pool at a clean end.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::body::Incoming;

use super::pool::{Active, Halves, Pool};

/// Why an answer's body stopped.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The connection broke, or the framing was wrong.
    #[error("the upstream broke off its answer")]
    Broken(#[source] hyper::Error),
    /// Nothing came for too long.
    #[error("the upstream stopped in the middle of its answer")]
    Idle,
}

/// The body of an answer; it drives its connection and returns it to the pool at a clean end.
pub struct AnswerBody<B: Body<Data = Bytes> + 'static>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    pub(super) incoming: Incoming,
    pub(super) halves: Option<Halves<B>>,
    pub(super) ended: bool,
    pub(super) finished: bool,
    pub(super) pool: Rc<Pool<B>>,
    pub(super) idle_timer: Option<Pin<Box<tokio::time::Sleep>>>,
    pub(super) _active: Active,
}

impl<B> AnswerBody<B>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.ended
            && let Some(halves) = &mut self.halves
        {
            self.ended = halves.poll_ended(cx);
        }
    }

    /// The last byte came: the connection may serve again if hyper says so.
    fn finish(&mut self, cx: &mut Context<'_>) {
        self.finished = true;
        self.drive(cx);
        if let Some(halves) = self.halves.take()
            && !self.ended
            && halves.is_ready()
        {
            self.pool.give_back(halves);
        }
    }
}

impl<B> Drop for AnswerBody<B>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn drop(&mut self) {
        // An answer without a body (204) is never polled at all.
        if !self.finished && self.incoming.is_end_stream() {
            self.finish(&mut Context::from_waker(std::task::Waker::noop()));
        }
    }
}

impl<B> Body for AnswerBody<B>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let this = self.get_mut();
        if this.finished {
            return Poll::Ready(None);
        }
        this.drive(cx);
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.idle_timer = None;
                if this.incoming.is_end_stream() {
                    // A server that knows the length does not ask again.
                    this.finish(cx);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.halves = None;
                this.finished = true;
                Poll::Ready(Some(Err(AnswerError::Broken(error))))
            }
            Poll::Ready(None) => {
                this.finish(cx);
                Poll::Ready(None)
            }
            Poll::Pending => {
                let wait = this.pool.answer_idle();
                let timer = this
                    .idle_timer
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
                if timer.as_mut().poll(cx).is_ready() {
                    this.halves = None;
                    this.finished = true;
                    return Poll::Ready(Some(Err(AnswerError::Idle)));
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.finished
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.incoming.size_hint()
    }
}
