//! What of a client's is waited for while there is nothing to read, and until when: one timer for all of it,
//! made with the connection and set anew without an allocation.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::io::Deadlines;
use super::rest::Rest;
use crate::metrics::ClientEnd;

/// What of a client's is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Nothing that has no deadline of its own.
    Nothing,
    /// Its first byte.
    FirstByte,
    /// Its next request.
    Request,
    /// The rest of a head.
    Head,
}

/// The waits of one connection's reader.
pub struct Waits {
    waiting: Waiting,
    /// Requests there had been when the timer was set: frames that are no request (pings, window
    /// updates) do not make an idle HTTP/2 connection a busy one.
    served: u64,
    /// When it sleeps meanwhile. Without, it never does.
    rest: Option<Rest>,
    timer: Pin<Box<Sleep>>,
    idle: Duration,
    head: Duration,
}

impl Waits {
    /// A connection that has said nothing yet; whether it may sleep.
    pub fn new(deadlines: &Deadlines, may_sleep: bool) -> Self {
        Self {
            waiting: Waiting::FirstByte,
            served: 0,
            rest: may_sleep.then(|| Rest::new(Instant::now())),
            timer: Box::pin(tokio::time::sleep_until(deadlines.first_byte)),
            idle: deadlines.idle,
            head: deadlines.head,
        }
    }

    /// What is waited for.
    pub fn waiting(&self) -> Waiting {
        self.waiting
    }

    /// Nothing is any more.
    pub fn end(&mut self) {
        self.waiting = Waiting::Nothing;
    }

    /// For `waiting`, from now on, unless it was so before. `served`: requests there have been.
    pub fn begin(&mut self, waiting: Waiting, served: u64) {
        let is_new_request = served != self.served && waiting == Waiting::Request;
        if waiting == self.waiting && !is_new_request {
            return;
        }
        self.served = served;
        self.waiting = waiting;
        let now = Instant::now();
        let until = match (waiting, &mut self.rest) {
            (Waiting::Head, _) => now + self.head,
            (_, Some(rest)) => rest.begin(now, self.idle),
            (_, None) => now + self.idle,
        };
        self.timer.as_mut().reset(until);
    }

    /// Ready when it took too long.
    pub fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<ClientEnd> {
        ready!(self.timer.as_mut().poll(cx));
        if self.waiting == Waiting::Request
            && let Some(until) = self.rest.as_mut().and_then(|rest| rest.look_again(self.idle))
        {
            self.timer.as_mut().reset(until);
            ready!(self.timer.as_mut().poll(cx));
        }
        Poll::Ready(match self.waiting {
            Waiting::FirstByte => ClientEnd::FirstByteWait,
            Waiting::Head => ClientEnd::HeadWait,
            Waiting::Nothing | Waiting::Request => ClientEnd::IdleWait,
        })
    }

    /// Whether the connection may sleep through the wait.
    pub fn is_rest(&self) -> bool {
        let is_idle = matches!(self.waiting, Waiting::FirstByte | Waiting::Request);
        is_idle && self.rest.is_some_and(|rest| !rest.is_in_grace())
    }

    /// It slept, and something came. Whoever has not asked yet says nothing of how often it will.
    pub fn woke(&mut self) {
        if self.waiting == Waiting::Request
            && let Some(rest) = &mut self.rest
        {
            rest.end(Instant::now());
        }
    }
}
