//! One HTTP/2 stream of a client: given up when its answer is not taken.
//!
//! A client that keeps a stream's window shut stops neither the socket nor the connection, so no deadline
//! of theirs ends it; hyper waits for window without end. What hyper was given and has not come back for
//! is the mark of it. The stream alone is reset; its neighbours go on.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::Response;
use http_body::{Body, Frame, SizeHint};

use super::worker::Worker;
use crate::metrics::ClientEnd;

/// When hyper was last given a piece of the answer that it has not sent yet.
#[derive(Default)]
pub struct Handed(Cell<Option<Instant>>);

/// Runs the streams of one connection on its worker's own thread, each under a watch.
#[derive(Clone)]
pub struct Streams {
    /// The watch of the stream that hyper is about to spawn: it calls the service and spawns right after.
    next: Rc<Cell<Option<Rc<Handed>>>>,
    wait: Duration,
    worker: Rc<Worker>,
}

impl Streams {
    /// Streams that are given up when a piece of their answer waits longer than `wait`.
    pub fn new(wait: Duration, worker: Rc<Worker>) -> Self {
        Self {
            next: Rc::default(),
            wait,
            worker,
        }
    }

    /// Watches the answer that `call` will give.
    pub fn watch<B: Body, R: Into<Response<B>>, F: Future<Output = R>>(
        &self,
        call: F,
    ) -> impl Future<Output = Result<Response<Watched<B>>, Infallible>> + use<B, R, F> {
        let handed = Rc::new(Handed::default());
        self.next.set(Some(Rc::clone(&handed)));
        async move {
            let response: Response<B> = call.await.into();
            Ok(response.map(|body| Watched { body, handed }))
        }
    }
}

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let Some(handed) = self.next.take() else {
            tokio::task::spawn_local(stream);
            return;
        };
        let (wait, worker) = (self.wait, Rc::clone(&self.worker));
        tokio::task::spawn_local(async move {
            if within(stream, &handed, wait).await.is_none() {
                // The stream is dropped here: h2 resets it.
                worker.client_ended(ClientEnd::AnswerWait);
            }
        });
    }
}

/// Runs `stream` until it is done (`Some`), or until what was handed waits too long (`None`).
async fn within(stream: impl Future<Output = ()>, handed: &Handed, wait: Duration) -> Option<()> {
    let mut stream = pin!(stream);
    let mut timer = pin!(tokio::time::sleep(wait));
    poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(()));
        }
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let since = handed.0.get().unwrap_or(now);
            if now.saturating_duration_since(since) >= wait {
                return Poll::Ready(None);
            }
            timer.as_mut().reset((since + wait).into());
        }
        Poll::Pending
    })
    .await
}

/// An answer's body that says when hyper was given a piece of it.
pub struct Watched<B> {
    body: B,
    handed: Rc<Handed>,
}

impl<B: Body + Unpin> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        let is_piece = matches!(polled, Poll::Ready(Some(_)));
        this.handed.0.set(is_piece.then(Instant::now));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
