//! A worker's own upstream connections, kept alive and lent to one exchange at a time.
//!
//! The task that carries the request polls the connection itself while it uses it: no second task, no wake-up between threads, no lock.
//! A connection whose exchange did not end cleanly never comes back.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::Body;
use tokio::sync::oneshot;
use tokio::time::Sleep;

use super::answer_body::AnswerBody;
use super::answers::{Names, Violation};
use super::awaited::Awaited;
use super::breaker::{AccountBit, Attempt, Passage};
use super::client::{Connection, RequestHead};
use super::connect::{Upstream, UpstreamStream};
use super::exchange::{Answer, ExchangeError, Leave, Unanswered, Way, fate_of, fate_of_answer};
use super::places::{Place, Places};
use super::progress::Progress;
use super::shared::{Active, Counted, PoolStats, Shared};

/// How many connections there are, and how long they live.
#[derive(Clone, Copy, Debug)]
pub struct PoolSettings {
    /// Most connections, in use and idle together.
    pub connections: usize,
    /// Most that are being made at once: an upstream that lets every attempt hang costs no more.
    pub connecting: usize,
    /// Most requests that wait for one.
    pub waiting: usize,
    /// Most idle connections.
    pub idle: usize,
    /// Longest time unused: below the upstream's own keep-alive, so that the gate closes first.
    pub idle_for: Duration,
    /// Longest life: DNS changes and certificate renewals are followed.
    pub age: Duration,
    /// Most requests on one.
    pub requests: u32,
    /// Waiting for a place, and resolve, connect and handshake together: each at most this long.
    pub connect: Duration,
    /// From the last progress of the request's body to the answer's head.
    pub answer_head: Duration,
    /// Between two pieces of an answer's body.
    pub answer_idle: Duration,
    /// The names of an answer's fields that are read.
    pub names: Names,
}

/// A connection, lent to one exchange at a time.
pub(super) struct Lent<B> {
    pub(super) connection: Connection<UpstreamStream, B>,
    /// Runs while an answer's head is waited for. Kept for the life of the connection: setting a timer that
    /// exists to a later time is a store, making one and letting it go are two visits to the runtime's wheel.
    deadline: Pin<Box<Sleep>>,
    opened: Instant,
    version: u64,
    served: u32,
}

/// A new connection, and the place it has among all.
type Opened<B> = Result<(Box<Lent<B>>, Place), ExchangeError>;

/// What became of a connection that was being made, on its way to the call it was made for.
struct Made<B: Body<Data = Bytes> + Unpin + 'static> {
    /// Until it is heard.
    result: Option<Opened<B>>,
    pool: Rc<Pool<B>>,
    attempt: Attempt,
    account: AccountBit,
}

impl<B: Body<Data = Bytes> + Unpin + 'static> Drop for Made<B> {
    fn drop(&mut self) {
        if let Some(unheard) = self.result.take() {
            self.pool.end_unheard(unheard, self.attempt, self.account);
        }
    }
}

/// Tells operators of bytes that nobody asked for: between two requests nobody else does.
fn note_spoilt(violation: Violation) {
    tracing::warn!(event = "upstream.connection_spoilt", detail = %violation, "a connection to the upstream is not used again");
}

/// The idle connections of one worker.
pub struct Pool<B> {
    upstream: RefCell<Upstream>,
    /// Counts how often trust was replaced: a connection of an earlier one is not used again.
    version: Cell<u64>,
    settings: PoolSettings,
    shared: Arc<Shared>,
    stats: Arc<PoolStats>,
    places: Rc<Places>,
    connecting: Rc<Places>,
    /// Of those that are being made, those that nobody waits for any more.
    unheard: Rc<Places>,
    idle: RefCell<Vec<(Instant, Box<Lent<B>>)>>,
}

impl<B> Pool<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
{
    /// An empty pool.
    pub fn new(upstream: Upstream, settings: PoolSettings, shared: Arc<Shared>) -> Rc<Self> {
        Rc::new(Self {
            upstream: RefCell::new(upstream),
            version: Cell::new(0),
            places: Places::new(settings.connections, settings.waiting),
            connecting: Places::new(settings.connecting, settings.waiting),
            unheard: Places::new((settings.connecting / 4).max(1), 0),
            settings,
            stats: shared.join(),
            shared,
            idle: RefCell::default(),
        })
    }

    /// Trust was re-read: what is idle was verified by the old one and goes.
    pub fn replace_upstream(&self, upstream: Upstream) {
        *self.upstream.borrow_mut() = upstream;
        self.version.set(self.version.get() + 1);
        let dropped = std::mem::take(&mut *self.idle.borrow_mut());
        self.stats.idle.sub(dropped.len() as u64);
    }

    /// Closes what has been idle too long. Called on the worker's tick.
    pub fn sweep(&self, now: Instant) {
        let idle_for = self.settings.idle_for;
        let mut idle = self.idle.borrow_mut();
        let before = idle.len();
        idle.retain(|(since, _)| now.duration_since(*since) < idle_for);
        self.stats.idle.sub((before - idle.len()) as u64);
    }

    /// Sends a request, once, and returns the answer's head with its body. A connection that was made for one withdrawn
    /// is kept.
    ///
    /// Nothing is repeated here: what may be is for the caller to know.
    pub async fn send(
        self: &Rc<Self>,
        head: &RequestHead<'_>,
        body: B,
        way: Way,
        account: AccountBit,
        progress: Option<&Progress>,
        leave: Leave<'_>,
    ) -> Result<Answer<B>, Unanswered<B>> {
        let unsent = |body, error| Unanswered {
            unsent: Some(body),
            error,
            reused: false,
        };
        let shared = &self.shared;
        let passage = match shared.breaker.enter(Instant::now()) {
            Ok(passage) => passage,
            Err(held) => return Err(unsent(body, ExchangeError::Held(held))),
        };
        let mut waited = false;
        let place = match self.places.take_free() {
            Some(place) => place,
            None => {
                waited = true;
                match self.wait_for(&self.places).await {
                    Ok(place) => place,
                    Err(error) => return Err(unsent(body, error)),
                }
            }
        };
        if waited && !passage.stands() {
            // What was found out meanwhile holds for those who waited, too.
            drop(passage);
            return Err(match shared.breaker.enter(Instant::now()) {
                Ok(_) => unsent(body, ExchangeError::NoRoom),
                Err(held) => unsent(body, ExchangeError::Held(held)),
            });
        }
        let pooled = match way {
            Way::Any if !passage.is_probe() => self.check_out(),
            _ => None,
        };
        let (lent, reused, place) = match pooled {
            Some(lent) => (lent, true, place),
            None => match self.open(place, &passage, account).await {
                Ok((lent, place)) => (lent, false, place),
                Err(error) => {
                    if let Some(fate) = fate_of(&error, false) {
                        passage.report(fate, account, Instant::now());
                    }
                    return Err(unsent(body, error));
                }
            },
        };
        // Making a connection may have taken seconds.
        if (waited || !reused) && !(leave.still)() {
            self.give_back(lent);
            return Err(unsent(body, ExchangeError::Withdrawn));
        }
        leave.taken.set(true);
        let active = Active::begin(&self.stats, place);
        let awaited = Awaited {
            breaker: &shared.breaker,
            passage: &passage,
            account,
            begun: Instant::now(),
            progress,
            long: self.settings.connect.max(self.settings.answer_head / 5),
            was_silent: leave.was_silent,
            is_withdrawn: leave.is_withdrawn,
            is_over: false,
        };
        let begun = awaited.begun;
        let answered = self.exchange(lent, head, body, progress, begun, active).await;
        awaited.end();
        match answered {
            Ok(answer) => {
                let fate = fate_of_answer(answer.status, &answer.fields);
                passage.report(fate, account, Instant::now());
                self.stats.sent.add(1);
                if reused {
                    self.stats.reused.add(1);
                }
                Ok(answer)
            }
            Err(error) => {
                if let Some(fate) = fate_of(&error, reused) {
                    passage.report(fate, account, Instant::now());
                }
                Err(Unanswered {
                    unsent: None,
                    error,
                    reused,
                })
            }
        }
    }

    /// A place, within the time a connection may take.
    async fn wait_for(&self, places: &Rc<Places>) -> Result<Place, ExchangeError> {
        match tokio::time::timeout(self.settings.connect, places.take()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(ExchangeError::NoRoom),
        }
    }

    /// The most recently used idle connection that is still alive.
    fn check_out(&self) -> Option<Box<Lent<B>>> {
        let now = Instant::now();
        loop {
            let (since, mut lent) = self.idle.borrow_mut().pop()?;
            self.stats.idle.sub(1);
            if now.duration_since(since) >= self.settings.idle_for
                || now.duration_since(lent.opened) >= self.settings.age
            {
                continue;
            }
            // A close that arrived meanwhile is seen here, without a system call if nothing came.
            match lent.connection.is_quiet() {
                Ok(true) => return Some(lent),
                Ok(false) => {}
                Err(violation) => note_spoilt(violation),
            }
        }
    }

    /// A new connection. It is made by a task of its own, which ends what it began: whether the upstream can be reached
    /// is news for the breaker whether or not the call waits to hear it, and a client that left comes again. So many at
    /// once: clients that leave at once shall not hold the places of those who wait, nor make handshakes by the hundred.
    async fn open(self: &Rc<Self>, place: Place, passage: &Passage<'_>, account: AccountBit) -> Opened<B> {
        let connecting = match self.connecting.take_free() {
            Some(place) => place,
            None => {
                let place = self.wait_for(&self.connecting).await?;
                // Who stood in line while the upstream was found to be gone does not try it as well.
                if !passage.stands() {
                    return Err(ExchangeError::NoRoom);
                }
                place
            }
        };
        self.make_room();
        let (mut tell, told) = oneshot::channel();
        let (pool, attempt) = (Rc::clone(self), passage.hand_over());
        tokio::task::spawn_local(async move {
            let made = pool.connect_while(tell.closed()).await;
            drop(connecting);
            let Some(made) = made else {
                return pool.shared.breaker.no_news(attempt);
            };
            // Dropped here or on its way, it was for nobody.
            let _ = tell.send(Made {
                result: Some(made.map(|lent| (lent, place))),
                pool,
                attempt,
                account,
            });
        });
        let made = told.await.ok().and_then(|mut made| made.result.take());
        passage.take_back();
        made.unwrap_or_else(|| {
            let defect = io::Error::other("the task that connects ended in a defect");
            Err(ExchangeError::Connect(defect))
        })
    }

    /// A connection was made, or not, for a call that has left.
    fn end_unheard(&self, made: Opened<B>, attempt: Attempt, account: AccountBit) {
        let breaker = &self.shared.breaker;
        match made {
            Ok((lent, _place)) => {
                self.give_back(lent);
                breaker.no_news(attempt);
            }
            Err(error) => match fate_of(&error, false) {
                Some(fate) => breaker.report(attempt, fate, account, Instant::now()),
                None => breaker.no_news(attempt),
            },
        }
    }

    /// [`Self::connect`]; `None`: its caller has left, and enough are being made for nobody.
    async fn connect_while(
        &self,
        left: impl Future<Output = ()>,
    ) -> Option<Result<Box<Lent<B>>, ExchangeError>> {
        let mut connect = pin!(self.connect());
        tokio::select! {
            biased;
            made = &mut connect => return Some(made),
            () = left => {}
        }
        let _place = self.unheard.take_free()?;
        Some(connect.await)
    }

    async fn connect(&self) -> Result<Box<Lent<B>>, ExchangeError> {
        let _counted = Counted::begin(&self.stats);
        let upstream = self.upstream.borrow().clone();
        let version = self.version.get();
        let stream = tokio::time::timeout(self.settings.connect, upstream.connect())
            .await
            .map_err(|_| ExchangeError::ConnectTimeout)?
            .map_err(ExchangeError::Connect)?;
        self.stats.opened.add(1);
        Ok(Box::new(Lent {
            connection: Connection::new(stream, self.settings.names),
            deadline: Box::pin(tokio::time::sleep(self.settings.answer_head)),
            opened: Instant::now(),
            version,
            served: 0,
        }))
    }

    /// Closes what has been idle longest where one more would be too many. Each in use has its place, so
    /// that all together never are.
    fn make_room(&self) {
        let mut idle = self.idle.borrow_mut();
        let most = self.settings.connections.saturating_sub(self.places.taken());
        if idle.len() > most {
            let too_many = idle.len() - most;
            idle.drain(..too_many);
            self.stats.idle.sub(too_many as u64);
        }
    }

    /// One exchange. Whatever becomes of it, something of the request may have gone up.
    async fn exchange(
        self: &Rc<Self>,
        mut lent: Box<Lent<B>>,
        head: &RequestHead<'_>,
        body: B,
        progress: Option<&Progress>,
        begun: Instant,
        active: Active,
    ) -> Result<Answer<B>, ExchangeError> {
        lent.served += 1;
        lent.connection.begin(head, body);
        let answer_head = self.settings.answer_head;
        let (connection, deadline) = (&mut lent.connection, &mut lent.deadline);
        deadline.as_mut().reset((begun + answer_head).into());
        let head = poll_fn(|cx| {
            if let Poll::Ready(head) = connection.poll_head(cx) {
                return Poll::Ready(head.map_err(ExchangeError::Broken));
            }
            while deadline.as_mut().poll(cx).is_ready() {
                let Some(last) = progress.and_then(Progress::last) else {
                    return Poll::Ready(Err(ExchangeError::HeadTimeout));
                };
                let until = last + answer_head;
                if until <= Instant::now() {
                    return Poll::Ready(Err(ExchangeError::HeadTimeout));
                }
                deadline.as_mut().reset(until.into());
            }
            Poll::Pending
        })
        .await?;
        Ok(Answer {
            status: head.status,
            fields: head.fields,
            body: AnswerBody::new(lent, head.lines, Rc::clone(self), active),
        })
    }

    pub(super) fn answer_idle(&self) -> Duration {
        self.settings.answer_idle
    }

    /// Keeps a connection that may serve again.
    pub(super) fn give_back(&self, mut lent: Box<Lent<B>>) {
        match lent.connection.is_reusable() {
            Ok(true) => {}
            Ok(false) => return,
            Err(violation) => return note_spoilt(violation),
        }
        lent.connection.rest();
        let mut idle = self.idle.borrow_mut();
        let trusted = lent.version == self.version.get();
        if trusted && lent.served < self.settings.requests && idle.len() < self.settings.idle {
            self.stats.idle.add(1);
            idle.push((Instant::now(), lent));
        }
    }
}

impl<B> Drop for Pool<B> {
    fn drop(&mut self) {
        self.stats.idle.sub(self.idle.borrow().len() as u64);
    }
}
