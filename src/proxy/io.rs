//! The byte stream of one client connection, as hyper sees it: clear text or TLS, behind the head
//! guard (HTTP/1), with a deadline for every wait.
//!
//! hyper knows no deadline for the first byte, for an idle connection apart from a slow head, or
//! for a client that stops reading. They live here, where every byte passes.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;

use super::guard::{Guard, Violation};

/// The socket below.
pub enum Socket {
    /// Clear text.
    Plain(TcpStream),
    /// TLS, handshake done.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Deadlines of a client connection.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Without a request.
    pub idle: Duration,
    /// From a head's first byte to its last.
    pub head: Duration,
    /// A client that does not read its answer.
    pub write: Duration,
}

/// How many requests of a connection are being served: shared between its service and its [`Io`].
#[derive(Clone, Default)]
pub struct Activity(Rc<Counts>);

#[derive(Default)]
struct Counts {
    now: Cell<usize>,
    ever: Cell<u64>,
}

impl Activity {
    /// One more request is being served, until the guard is dropped.
    pub fn begin(&self) -> ActiveGuard {
        self.0.now.set(self.0.now.get() + 1);
        self.0.ever.set(self.0.ever.get() + 1);
        ActiveGuard(self.clone())
    }

    fn is_idle(&self) -> bool {
        self.0.now.get() == 0
    }
}

/// A request being served.
pub struct ActiveGuard(Activity);

impl Drop for ActiveGuard {
    fn drop(&mut self) {
        let now = &self.0.0.now;
        now.set(now.get().saturating_sub(1));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Nothing,
    Request,
    Head,
}

/// A client connection's stream.
pub struct Io {
    socket: Socket,
    /// HTTP/1 only; HTTP/2 frames are h2's to judge.
    guard: Option<Guard>,
    /// Bytes read before the protocol was known (HTTP/2 only; HTTP/1's are in the guard).
    prefix: Bytes,
    violation: Option<Violation>,
    activity: Activity,
    deadlines: Deadlines,
    waiting: Waiting,
    /// Requests there had been when the timer was set: frames that are no request (pings, window
    /// updates) do not make an idle HTTP/2 connection a busy one.
    served: u64,
    read_timer: Pin<Box<Sleep>>,
    write_timer: Option<Pin<Box<Sleep>>>,
}

impl Io {
    /// An HTTP/1 stream that begins with `first`.
    pub fn http1(
        socket: Socket,
        first: &[u8],
        mut guard: Guard,
        activity: Activity,
        deadlines: Deadlines,
    ) -> Self {
        guard.buffer().extend_from_slice(first);
        Self::new(socket, Some(guard), Bytes::new(), activity, deadlines)
    }

    /// An HTTP/2 stream that begins with `first`.
    pub fn http2(socket: Socket, first: &[u8], activity: Activity, deadlines: Deadlines) -> Self {
        Self::new(socket, None, Bytes::copy_from_slice(first), activity, deadlines)
    }

    fn new(
        socket: Socket,
        guard: Option<Guard>,
        prefix: Bytes,
        activity: Activity,
        deadlines: Deadlines,
    ) -> Self {
        Self {
            socket,
            guard,
            prefix,
            violation: None,
            activity,
            deadlines,
            waiting: Waiting::Head,
            served: 0,
            read_timer: Box::pin(tokio::time::sleep(deadlines.head)),
            write_timer: None,
        }
    }

    /// What the guard refused, if it did: the connection ends with an answer of ours.
    pub fn violation(&self) -> Option<Violation> {
        self.violation
    }

    fn poll_socket_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Socket::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }

    /// Nothing to read: which deadline runs, and has it passed?
    fn poll_read_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waiting = match &self.guard {
            _ if !self.activity.is_idle() => Waiting::Nothing,
            Some(guard) if guard.has_buffered() => Waiting::Head,
            // Until the first byte the head's deadline runs, set at accept.
            _ if self.waiting == Waiting::Head => Waiting::Head,
            _ => Waiting::Request,
        };
        if waiting == Waiting::Nothing {
            self.waiting = waiting;
            return Poll::Pending;
        }
        let served = self.activity.0.ever.get();
        if waiting != self.waiting || served != self.served {
            self.served = served;
            let wait = if waiting == Waiting::Head {
                self.deadlines.head
            } else {
                self.deadlines.idle
            };
            self.read_timer.as_mut().reset(Instant::now() + wait);
            self.waiting = waiting;
        }
        match self.read_timer.as_mut().poll(cx) {
            Poll::Ready(()) => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "no request in time")))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// HTTP/1: through the guard. A head reaches hyper only when it is whole and judged; while a
    /// request is being served, nothing of the next one does.
    fn poll_read_guarded(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let Some(guard) = &mut self.guard else {
                return Poll::Ready(Ok(()));
            };
            let hold = guard.at_boundary() && !self.activity.is_idle();
            if !hold {
                if let Err(violation) = guard.feed() {
                    self.violation = Some(violation);
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "refused by the head guard",
                    )));
                }
                if guard.passable() > 0 {
                    guard.take(buf.remaining(), |bytes| buf.put_slice(bytes));
                    self.waiting = Waiting::Nothing;
                    return Poll::Ready(Ok(()));
                }
            } else if guard.has_buffered() {
                // The next request waits its turn; its bytes stay bounded in the guard.
                return Poll::Pending;
            }
            let mut chunk = [0u8; 8 * 1024];
            let mut read = ReadBuf::new(&mut chunk);
            match self.poll_socket_read(cx, &mut read) {
                Poll::Pending => return self.poll_read_deadline(cx),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) if read.filled().is_empty() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => {
                    if let Some(guard) = &mut self.guard {
                        guard.buffer().extend_from_slice(read.filled());
                    }
                }
            }
        }
    }

    fn poll_write_deadline<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write_timer = None;
            return written;
        }
        let wait = self.deadlines.write;
        let timer = self
            .write_timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client stopped reading",
            ))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.guard.is_some() {
            return this.poll_read_guarded(cx, buf);
        }
        if this.prefix.has_remaining() {
            let count = this.prefix.remaining().min(buf.remaining());
            buf.put_slice(this.prefix.get(..count).unwrap_or_default());
            this.prefix.advance(count);
            this.waiting = Waiting::Nothing;
            return Poll::Ready(Ok(()));
        }
        match this.poll_socket_read(cx, buf) {
            Poll::Pending => this.poll_read_deadline(cx),
            ready => {
                if this.waiting == Waiting::Head {
                    this.waiting = Waiting::Nothing;
                }
                ready
            }
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Socket::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        this.poll_write_deadline(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Socket::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        };
        this.poll_write_deadline(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Plain(stream) => stream.is_write_vectored(),
            Socket::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = match &mut this.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Socket::Tls(stream) => Pin::new(stream).poll_flush(cx),
        };
        this.poll_write_deadline(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = match &mut this.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        };
        this.poll_write_deadline(cx, shut)
    }
}
