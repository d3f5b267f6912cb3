//! A worker's own upstream connections, kept alive and lent to one exchange at a time.
//!
//! An idle connection sits here as both of hyper's halves. The task that carries the request polls
//! the connection itself while it uses it: no second task, no wake-up between threads, no lock.
//! A connection whose exchange did not end cleanly never comes back.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::answer_body::AnswerBody;
use super::connect::{Upstream, UpstreamStream};

/// How long connections live.
#[derive(Clone, Copy, Debug)]
pub struct PoolSettings {
    /// Most idle connections.
    pub idle: usize,
    /// Longest time unused: below the upstream's own keep-alive, so that the gate closes first.
    pub idle_for: Duration,
    /// Longest life: DNS changes and certificate renewals are followed.
    pub age: Duration,
    /// Most requests on one.
    pub requests: u32,
    /// Resolve, connect and handshake together.
    pub connect: Duration,
    /// From the last progress of the request's body to the answer's head.
    pub answer_head: Duration,
    /// Between two pieces of an answer's body.
    pub answer_idle: Duration,
}

/// Counts over all workers, read by the metrics at a scrape.
#[derive(Debug, Default)]
pub struct PoolStats {
    /// Connections opened, ever.
    pub opened: AtomicU64,
    /// Requests that were answered.
    pub sent: AtomicU64,
    /// Of these, on a connection that had served one before.
    pub reused: AtomicU64,
    /// Idle now.
    pub idle: AtomicI64,
    /// In use now.
    pub active: AtomicI64,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// No connection: name, network or TLS.
    #[error("the upstream can't be reached")]
    Connect(#[source] std::io::Error),
    /// No connection in time.
    #[error("the upstream did not accept a connection in time")]
    ConnectTimeout,
    /// The connection ended or spoke nonsense before the answer's head.
    #[error("the upstream ended the exchange before its answer")]
    Broken(#[source] hyper::Error),
    /// No head in time.
    #[error("the upstream did not answer in time")]
    HeadTimeout,
    /// The caller took it back while a connection was being made, or its token ran out: nothing was sent.
    #[error("the call was withdrawn before it was sent")]
    Withdrawn,
}

/// Tells the pool how a request body is getting on, so that a slow upload is not a slow answer.
#[derive(Clone, Default)]
pub struct Progress(Rc<Upload>);

#[derive(Default)]
struct Upload {
    last: Cell<Option<Instant>>,
    client_is_late: Cell<bool>,
}

impl Progress {
    /// Something of the body went up just now.
    pub fn made(&self) {
        self.0.last.set(Some(Instant::now()));
        self.0.client_is_late.set(false);
    }

    /// The client has not sent the next piece yet: its own deadline runs, not the upstream's.
    pub fn waits_for_client(&self) {
        self.0.client_is_late.set(true);
    }

    fn last(&self) -> Option<Instant> {
        if self.0.client_is_late.get() {
            Some(Instant::now())
        } else {
            self.0.last.get()
        }
    }
}

type ClientConnection<B> = http1::Connection<TokioIo<UpstreamStream>, B>;

/// Both halves of a connection.
pub(super) struct Halves<B: Body + 'static> {
    sender: http1::SendRequest<B>,
    connection: Pin<Box<ClientConnection<B>>>,
    opened: Instant,
    version: u64,
    served: u32,
    stats: Arc<PoolStats>,
}

impl<B> Halves<B>
where
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Whether hyper would take another request.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Drives the connection; `true` when it has ended.
    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>) -> bool {
        self.connection.as_mut().poll(cx).is_ready()
    }
}

/// The idle connections of one worker.
pub struct Pool<B: Body + 'static> {
    upstream: RefCell<Upstream>,
    /// Counts how often trust was replaced: a connection of an earlier one is not used again.
    version: Cell<u64>,
    settings: PoolSettings,
    stats: Arc<PoolStats>,
    idle: RefCell<Vec<(Instant, Halves<B>)>>,
}

impl<B> Pool<B>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// An empty pool.
    pub fn new(upstream: Upstream, settings: PoolSettings, stats: Arc<PoolStats>) -> Rc<Self> {
        Rc::new(Self {
            upstream: RefCell::new(upstream),
            version: Cell::new(0),
            settings,
            stats,
            idle: RefCell::default(),
        })
    }

    /// Trust was re-read: what is idle was verified by the old one and goes.
    pub fn replace_upstream(&self, upstream: Upstream) {
        *self.upstream.borrow_mut() = upstream;
        self.version.set(self.version.get() + 1);
        let dropped = std::mem::take(&mut *self.idle.borrow_mut());
        self.stats.idle.fetch_sub(dropped.len() as i64, Ordering::Relaxed);
    }

    /// Closes what has been idle too long. Called on the worker's tick.
    pub fn sweep(&self, now: Instant) {
        let idle_for = self.settings.idle_for;
        let mut idle = self.idle.borrow_mut();
        let before = idle.len();
        idle.retain(|(since, _)| now.duration_since(*since) < idle_for);
        self.stats
            .idle
            .fetch_sub((before - idle.len()) as i64, Ordering::Relaxed);
    }

    /// Sends `request` and returns the answer's head with its body. `still` is asked after each wait
    /// that comes before the first byte. The error carries the request back if nothing of it was sent; a
    /// connection that was made for one withdrawn is kept.
    ///
    /// A request that hyper hands back unsent (the idle connection had just died) is sent again on
    /// another; anything that may have been sent is never repeated here.
    pub async fn send(
        self: &Rc<Self>,
        request: Request<B>,
        progress: &Progress,
        still: &dyn Fn() -> bool,
    ) -> Result<Response<AnswerBody<B>>, (Option<Request<B>>, ExchangeError)> {
        let mut request = request;
        let mut again = false;
        loop {
            let (halves, fresh) = match self.check_out() {
                Some(halves) => (halves, false),
                None => match self.open().await {
                    Ok(halves) => (halves, true),
                    Err(error) => return Err((Some(request), error)),
                },
            };
            // Making a connection may have taken seconds, and so may finding out that one was dead.
            if (fresh || again) && !still() {
                self.give_back(halves);
                return Err((Some(request), ExchangeError::Withdrawn));
            }
            again = true;
            match self.exchange(halves, request, progress).await {
                Ok(response) => {
                    self.stats.sent.fetch_add(1, Ordering::Relaxed);
                    if !fresh {
                        self.stats.reused.fetch_add(1, Ordering::Relaxed);
                    }
                    return Ok(response);
                }
                Err((Some(unsent), error)) => match (fresh, error) {
                    (true, error) => return Err((Some(unsent), error)),
                    (false, _) => request = unsent,
                },
                Err((None, error)) => return Err((None, error)),
            }
        }
    }

    /// The most recently used idle connection that is still alive.
    fn check_out(&self) -> Option<Halves<B>> {
        let now = Instant::now();
        loop {
            let (since, mut halves) = self.idle.borrow_mut().pop()?;
            self.stats.idle.fetch_sub(1, Ordering::Relaxed);
            if now.duration_since(since) >= self.settings.idle_for
                || now.duration_since(halves.opened) >= self.settings.age
            {
                continue;
            }
            // A close that arrived meanwhile is seen here, without a system call if nothing came.
            let mut cx = Context::from_waker(std::task::Waker::noop());
            if !halves.poll_ended(&mut cx) && halves.sender.is_ready() {
                return Some(halves);
            }
        }
    }

    async fn open(&self) -> Result<Halves<B>, ExchangeError> {
        let upstream = self.upstream.borrow().clone();
        let version = self.version.get();
        let connecting = async {
            let stream = upstream.connect().await.map_err(ExchangeError::Connect)?;
            http1::Builder::new()
                .max_headers(200)
                .handshake(TokioIo::new(stream))
                .await
                .map_err(ExchangeError::Broken)
        };
        let (sender, connection) = tokio::time::timeout(self.settings.connect, connecting)
            .await
            .map_err(|_| ExchangeError::ConnectTimeout)??;
        self.stats.opened.fetch_add(1, Ordering::Relaxed);
        Ok(Halves {
            sender,
            connection: Box::pin(connection),
            opened: Instant::now(),
            version,
            served: 0,
            stats: Arc::clone(&self.stats),
        })
    }

    /// One exchange. The error carries the request back if nothing of it was sent.
    async fn exchange(
        self: &Rc<Self>,
        mut halves: Halves<B>,
        request: Request<B>,
        progress: &Progress,
    ) -> Result<Response<AnswerBody<B>>, (Option<Request<B>>, ExchangeError)> {
        halves.served += 1;
        let active = Active::begin(&self.stats);
        let mut sending = pin!(halves.sender.try_send_request(request));
        let mut ended = false;
        let answer_head = self.settings.answer_head;
        let mut deadline = pin!(tokio::time::sleep(answer_head));
        let connection = &mut halves.connection;
        let sent = poll_fn(|cx| {
            if !ended {
                ended = connection.as_mut().poll(cx).is_ready();
            }
            if let Poll::Ready(result) = sending.as_mut().poll(cx) {
                return Poll::Ready(Some(result));
            }
            while deadline.as_mut().poll(cx).is_ready() {
                let Some(last) = progress.last() else {
                    return Poll::Ready(None);
                };
                let until = last + answer_head;
                if until <= Instant::now() {
                    return Poll::Ready(None);
                }
                deadline.as_mut().reset(until.into());
            }
            Poll::Pending
        })
        .await;
        let response = match sent {
            None => return Err((None, ExchangeError::HeadTimeout)),
            Some(Err(mut error)) => {
                let unsent = error.take_message();
                return Err((unsent, ExchangeError::Broken(error.into_error())));
            }
            Some(Ok(response)) => response,
        };
        Ok(response.map(|incoming| AnswerBody {
            incoming,
            halves: Some(halves),
            ended,
            finished: false,
            pool: Rc::clone(self),
            idle_timer: None,
            _active: active,
        }))
    }

    pub(super) fn answer_idle(&self) -> Duration {
        self.settings.answer_idle
    }

    pub(super) fn give_back(&self, halves: Halves<B>) {
        let mut idle = self.idle.borrow_mut();
        let trusted = halves.version == self.version.get();
        if trusted && halves.served < self.settings.requests && idle.len() < self.settings.idle {
            halves.stats.idle.fetch_add(1, Ordering::Relaxed);
            idle.push((Instant::now(), halves));
        }
    }
}

impl<B: Body + 'static> Drop for Pool<B> {
    fn drop(&mut self) {
        let left = self.idle.borrow().len() as i64;
        self.stats.idle.fetch_sub(left, Ordering::Relaxed);
    }
}

/// One connection in use, counted.
pub(super) struct Active(Arc<PoolStats>);

impl Active {
    fn begin(stats: &Arc<PoolStats>) -> Self {
        stats.active.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(stats))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}
