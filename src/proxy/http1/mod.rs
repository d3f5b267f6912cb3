//! One HTTP/1 connection, served until it ends: awake while there is something to do, else asleep.
//!
//! The guard takes requests off it one after the other; each is carried by [`super::call`], and its answer
//! written, before the next is looked at. All of it is one task, so a call whose client is gone ends with it.
//!
//! When every answer is written and nothing of the next request is there, what is left is the socket, the
//! guard's place in the stream, one timer, and what the connection counts for: 1.7 KiB. The next readable byte
//! brings back the buffers. No client can tell: nothing is kept from one message to the next but buffers.

mod answer;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http_body::Body;
use http_body_util::Full;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::answer::Reply;
use super::ask::Request;
use super::client_body::ClientBody;
use super::connection::Peer;
use super::download::GateBody;
use super::drain::Listener;
use super::fields::{Fields, Known};
use super::guard::Violation;
use super::guard::request::{self, Line, Terms};
use super::io::Io;
use super::presence::Presence;
use super::stop::Stop;
use super::worker::Worker;
use crate::access::refusal::{Reason, Refusal};
use crate::audit::Network;
use crate::outbox::{Broken, Framing, Outbox};

/// How long the end of a connection may take: its last answer, then what the client still sends.
const ENDING: Duration = Duration::from_secs(2);
/// How much of what the client still sends is read and dropped, so that its last answer reaches it: more
/// than fits into the buffers on the way is a client that does not listen.
const DRAINED_BYTES: usize = 256 * 1024;

/// How much of a request's body that nobody asked for is read and dropped, so that another request may follow.
const SKIPPED_BYTES: usize = 64 * 1024;

/// How a connection stops being awake.
enum Left {
    /// With nothing to do but to wait for its client.
    AtRest,
    /// For good.
    Ended(io::Result<()>),
}

/// Serves one connection until it ends, or until the worker goes down and its requests are done.
pub async fn serve(
    worker: &Rc<Worker>,
    io: Box<Io>,
    peer: Rc<Peer>,
    presence: &mut Presence,
) -> io::Result<()> {
    // Shared with the body of the request that is being served, and with nobody else.
    let io = shared(io);
    let connection = Connection {
        worker: Rc::clone(worker),
        io: Rc::clone(&io),
        drain: worker.drain().listen(),
        peer: Rc::clone(&peer),
    };
    let ended = loop {
        if let Left::Ended(ended) = Box::pin(connection.awake()).await {
            break ended;
        }
        if !io.borrow_mut().lie_down() {
            // Invariant: at rest all bytes are used, and all answers written.
            break Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "bytes between two requests",
            ));
        }
        // Whoever sleeps keeps no text of a key.
        peer.last_key.take();
        presence.set_asleep(true);
        let ended = connection.asleep().await;
        presence.set_asleep(false);
        if let Some(ended) = ended {
            break ended;
        }
    };
    drop(connection);
    Box::pin(end(worker, io, Network::of(peer.address.ip()))).await?;
    ended
}

/// A head that the guard has passed.
fn read(head: &Bytes) -> Option<(Line, Fields, Terms)> {
    let mut fields = Fields::with_room();
    let mut is_good = true;
    let (line, terms) = request::read(head, |field| {
        let Some(known) = Known::of(field.name) else {
            return;
        };
        match HeaderValue::from_maybe_shared(head.slice_ref(field.value)) {
            Ok(value) => fields.push(known, value),
            Err(_) => is_good = false,
        }
    })?;
    is_good.then_some((line, fields, terms))
}

/// Outside of a future, which would keep the place it is moved through.
fn shared(io: Box<Io>) -> Rc<RefCell<Io>> {
    Rc::new(RefCell::new(*io))
}

/// [`super::call`]'s future.
trait Call: Future<Output = Reply> {}

impl<F: Future<Output = Reply>> Call for F {}

/// A connection and what serves it.
struct Connection {
    worker: Rc<Worker>,
    io: Rc<RefCell<Io>>,
    drain: Listener,
    peer: Rc<Peer>,
}

impl Connection {
    /// Serves requests until nothing is to be done, or the connection ends.
    async fn awake(&self) -> Left {
        self.peer.activity.set_at_rest(false);
        let mut outbox = Outbox::default();
        loop {
            let head = match self.next_head().await {
                Ok(head) => head,
                Err(left) => return left,
            };
            match self.exchange(&head, &mut outbox).await {
                Ok(true) => {}
                Ok(false) => return Left::Ended(Ok(())),
                Err(error) => return Left::Ended(Err(error)),
            }
        }
    }

    /// Polls in a turn of this task's own: what ends in it wakes nobody.
    async fn in_turn<T>(&self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
        let activity = &self.peer.activity;
        poll_fn(|cx| {
            activity.set_turn(true);
            let polled = poll(cx);
            activity.set_turn(false);
            polled
        })
        .await
    }

    async fn next_head(&self) -> Result<Bytes, Left> {
        self.in_turn(|cx| {
            if self.drain.is_told(cx) {
                return Poll::Ready(Err(Left::Ended(Ok(()))));
            }
            match self.io.borrow_mut().poll_head(cx) {
                Poll::Ready(Ok(Some(head))) => Poll::Ready(Ok(head)),
                Poll::Ready(Ok(None)) => Poll::Ready(Err(Left::Ended(Ok(())))),
                Poll::Ready(Err(error)) => Poll::Ready(Err(Left::Ended(Err(error)))),
                Poll::Pending if self.peer.activity.is_at_rest() => Poll::Ready(Err(Left::AtRest)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// One request and its answer; whether another request may follow.
    async fn exchange(&self, head: &Bytes, outbox: &mut Outbox) -> io::Result<bool> {
        let (line, fields, terms) = read(head).ok_or(io::ErrorKind::InvalidData)?;
        let body = ClientBody::http1(&self.io);
        if terms.expects && !body.is_end_stream() {
            self.io.borrow_mut().expect_body();
        }
        let reply = {
            // In place: it is large, and a box of its own would be filled by a copy.
            let call = pin!(super::call(
                Rc::clone(&self.worker),
                Rc::clone(&self.peer),
                Request { line, fields, body },
            ));
            self.carry(call).await?
        };
        let keeps_alive = self.answer(reply, terms, outbox).await?;
        Ok(keeps_alive && self.is_read_to_its_end().await)
    }

    /// The call's answer, unless its client is gone first.
    async fn carry(&self, mut call: Pin<&mut impl Call>) -> io::Result<Reply> {
        self.in_turn(|cx| match call.as_mut().poll(cx) {
            Poll::Ready(reply) => Poll::Ready(Ok(reply)),
            Poll::Pending => self.io.borrow_mut().poll_gone(cx).map(Err),
        })
        .await
    }

    /// Writes an answer to its last byte; whether another request may follow.
    async fn answer(&self, reply: Reply, terms: Terms, outbox: &mut Outbox) -> io::Result<bool> {
        let is_unwanted = poll_fn(|cx| self.io.borrow_mut().poll_answer(cx)).await?;
        let is_last = is_unwanted || self.drain.is_told_already();
        let (mut body, keeps_alive) =
            answer::begin((reply.status, &reply.fields, reply.body), terms, is_last, outbox);
        // They hold the buffer that HubSpot's head came in: no slow client keeps that.
        drop(reply.fields);
        let mut broke = None;
        let written = self
            .in_turn(|cx| self.poll_write(cx, outbox, &mut body, &mut broke))
            .await;
        if written.is_err() && outbox.framing() == Framing::Close {
            self.io.borrow_mut().cut();
        }
        written.map(|()| keeps_alive)
    }

    /// What was at hand before a body broke is written, too: an answer that has begun is no empty reply, which
    /// clients repeat.
    fn poll_write(
        &self,
        cx: &mut Context<'_>,
        outbox: &mut Outbox,
        body: &mut Option<GateBody>,
        broke: &mut Option<io::Error>,
    ) -> Poll<io::Result<()>> {
        loop {
            // The connection is not borrowed meanwhile: the body may be reading the request's.
            let waits = broke.is_none()
                && outbox.fill(body, cx).unwrap_or_else(|error| {
                    *broke = Some(broken(error));
                    false
                });
            let mut io = self.io.borrow_mut();
            while !outbox.is_written() {
                ready!(outbox.poll_write(&mut *io, cx))?;
            }
            outbox.clear();
            if waits {
                ready!(Pin::new(&mut *io).poll_flush(cx))?;
                return io.poll_gone(cx).map(Err);
            }
            if broke.is_some() || body.is_none() {
                ready!(Pin::new(&mut *io).poll_flush(cx))?;
                return Poll::Ready(broke.take().map_or(Ok(()), Err));
            }
        }
    }

    /// Whether nothing of the request is left, or so little that it is here and dropped.
    async fn is_read_to_its_end(&self) -> bool {
        let mut left = SKIPPED_BYTES;
        poll_fn(|cx| {
            let mut io = self.io.borrow_mut();
            while !io.is_between_requests() {
                match io.poll_body(cx) {
                    Poll::Ready(Ok(Some(piece))) if piece.len() <= left => left -= piece.len(),
                    _ => return Poll::Ready(false),
                }
            }
            Poll::Ready(true)
        })
        .await
    }

    /// Waits until there is something to do (`None`), or the connection's time is over, or the worker's.
    async fn asleep(&self) -> Option<io::Result<()>> {
        poll_fn(|cx| {
            if self.drain.is_told(cx) {
                return Poll::Ready(Some(Ok(())));
            }
            let stirred = self.io.borrow_mut().poll_stirred(cx);
            stirred.map(|stirred| stirred.err().map(Err))
        })
        .await
    }
}

fn broken<E: Into<Box<dyn std::error::Error + Send + Sync>>>(broken: Broken<E>) -> io::Error {
    match broken {
        Broken::Body(error) => io::Error::other(error),
        Broken::Length => io::Error::other("the answer is not as long as it says"),
    }
}

/// The last words of a connection: all that was to be answered is.
async fn end(worker: &Worker, io: Rc<RefCell<Io>>, network: Network) -> io::Result<()> {
    // Invariant: the request is gone, and its body with it.
    let Some(mut io) = Rc::into_inner(io).map(RefCell::into_inner) else {
        return Ok(());
    };
    if io.is_cut() {
        return Ok(());
    }
    let has_rest = io.has_rest();
    if let Some(violation) = io.violation() {
        worker.note_violation(&violation_refusal(violation), network);
        let answer = refusal_bytes(worker, violation);
        within(ENDING, io.write_all(&answer)).await?;
    }
    within(ENDING, poll_fn(|cx| io.poll_close(cx))).await?;
    if has_rest {
        // Bytes that nobody reads would reset the connection, and the answer with it.
        let _ = tokio::time::timeout(ENDING, io.drain(DRAINED_BYTES)).await;
    }
    Ok(())
}

async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn violation_refusal(violation: Violation) -> Refusal {
    let (cause, remedy) = violation.explain();
    let reason = match violation {
        Violation::Method => Reason::RefusedMethod,
        Violation::Target => Reason::RefusedPath,
        Violation::TargetForm | Violation::Host => Reason::RefusedHost,
        Violation::Field | Violation::Upgrade | Violation::TooLarge => Reason::RefusedHeader,
        Violation::LineEnding
        | Violation::RequestLine
        | Violation::ContentLength
        | Violation::TransferEncoding
        | Violation::Framing
        | Violation::Chunk => Reason::RefusedFraming,
    };
    Refusal::new(reason, cause, remedy)
}

/// The whole answer to a head the guard refused: there never was a request to answer.
fn refusal_bytes(worker: &Worker, violation: Violation) -> Vec<u8> {
    let own = Stop::Refused(violation_refusal(violation)).answer(worker.next_id(), None, None);
    let terms = Terms {
        is_head: false,
        is_old: false,
        keeps_alive: false,
        expects: false,
    };
    let mut outbox = Outbox::default();
    let _ = answer::begin(
        (own.status, &own.fields, Full::new(own.body.clone())),
        terms,
        true,
        &mut outbox,
    );
    let mut bytes = std::mem::take(outbox.head());
    bytes.extend_from_slice(&own.body);
    bytes
}
