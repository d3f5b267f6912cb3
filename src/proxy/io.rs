//! The byte stream of one client connection: clear text or TLS, behind the head guard (HTTP/1) or the
//! frame meter (HTTP/2, as h2 sees it), with a deadline for every wait.
//!
//! The deadlines for the first byte, for an idle connection apart from a slow head, and for a client that
//! stops reading live here, where every byte passes. What a body may take is its reader's to say.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::io::poll_read_buf;

use super::activity::Activity;
use super::frames::FrameMeter;
use super::guard::{Guard, Violation};
use super::pace::{Pace, Rate};
use super::socket::Socket;
use super::waits::{Waiting, Waits};
use crate::metrics::ClientEnd;

/// Read at once on HTTP/1: more than most requests have in all.
const READ_BYTES: usize = 8 * 1024;

/// RFC 9110 §10.1.1: the body is wanted.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "refused by the head guard")
}

/// Deadlines of a client connection.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// When its first byte must be there, the handshake's time included.
    pub first_byte: Instant,
    /// Without a request.
    pub idle: Duration,
    /// From a head's first byte to its last.
    pub head: Duration,
    /// A client that does not read its answer.
    pub write: Duration,
    /// What it must read of it.
    pub rate: Rate,
}

/// What reads the client's bytes first.
pub enum Front {
    /// HTTP/1.
    Guard(Guard),
    /// HTTP/2, whose frames are h2's to judge.
    Meter(FrameMeter),
}

/// A client connection's stream.
pub struct Io {
    socket: Socket,
    front: Front,
    /// Bytes read before the protocol was known (HTTP/2 only; HTTP/1's are in the guard).
    prefix: Bytes,
    violation: Option<Violation>,
    activity: Activity,
    deadlines: Deadlines,
    waits: Waits,
    write_timer: Option<Pin<Box<Sleep>>>,
    pace: Pace,
    /// Something was written and is not flushed.
    unflushed: bool,
    /// What is left to be written of the answer to `Expect: 100-continue`; empty: it is to be flushed.
    interim: Option<&'static [u8]>,
    /// What was written last is not whole, and only the connection's end could say so.
    is_cut: bool,
}

impl Io {
    /// A stream that begins with `first`.
    pub fn new(socket: Socket, first: &[u8], front: Front, activity: Activity, deadlines: Deadlines) -> Self {
        let mut front = front;
        let may_sleep = matches!(front, Front::Guard(_));
        let prefix = match &mut front {
            Front::Guard(guard) => {
                guard.buffer().extend_from_slice(first);
                Bytes::new()
            }
            Front::Meter(_) => Bytes::copy_from_slice(first),
        };
        Self {
            socket,
            front,
            prefix,
            violation: None,
            activity,
            waits: Waits::new(&deadlines, may_sleep),
            write_timer: None,
            pace: Pace::new(deadlines.rate),
            unflushed: false,
            interim: None,
            is_cut: false,
            deadlines,
        }
    }

    /// What the guard refused instead of a head, if it did: the connection ends with an answer of ours.
    pub fn violation(&self) -> Option<Violation> {
        self.violation
    }

    /// An answer broke off whose end is that of the connection: a proper end would make it a whole one.
    pub fn cut(&mut self) {
        self.socket.reset_when_dropped();
        self.is_cut = true;
    }

    /// Whether nothing may be said any more.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether the client has sent, or may be sending, bytes that nobody has read as a request.
    pub fn has_rest(&self) -> bool {
        match &self.front {
            Front::Guard(guard) => self.violation.is_some() || !guard.at_boundary() || guard.has_buffered(),
            Front::Meter(_) => false,
        }
    }

    /// Reads and drops the rest of what the client sends, so that an answer it has not read yet is not
    /// lost with a reset connection: so many bytes at most.
    pub async fn drain(&mut self, most_bytes: usize) {
        use tokio::io::AsyncReadExt;
        let mut left = most_bytes;
        let mut chunk = [0u8; READ_BYTES];
        while left > 0 {
            match self.socket.read(&mut chunk).await {
                Ok(count) if count > 0 => left = left.saturating_sub(count),
                _ => return,
            }
        }
    }

    /// Whether a request is being served, or its answer still being written. On HTTP/1 from the moment
    /// its head was handed on: the service has not seen it then.
    fn is_busy(&self) -> bool {
        match &self.front {
            Front::Guard(guard) => guard.heads() > self.activity.ended() || self.unflushed,
            Front::Meter(_) => !self.activity.is_idle(),
        }
    }

    /// What of the client's is waited for.
    fn waits_for(&self) -> Waiting {
        let is_first = self.waits.waiting() == Waiting::FirstByte;
        match &self.front {
            // Nothing else may come before its end: every stream waits.
            Front::Meter(meter) if meter.is_in_header_block() => Waiting::Head,
            _ if self.is_busy() => Waiting::Nothing,
            Front::Guard(guard) if guard.has_buffered() || !guard.at_boundary() => Waiting::Head,
            _ if is_first => Waiting::FirstByte,
            _ => Waiting::Request,
        }
    }

    /// Nothing to read: which deadline runs, and has it passed?
    fn poll_read_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waiting = self.waits_for();
        if waiting == Waiting::Nothing {
            self.waits.end();
            self.activity.wake_reader_later(cx.waker());
            return Poll::Pending;
        }
        self.waits.begin(waiting, self.activity.begun());
        let over = self.waits.poll_over(cx);
        self.activity.set_at_rest(self.waits.is_rest());
        over.map(|end| Err(self.give_up(end)))
    }

    /// Gives back what only a connection in use needs. `false`: it is not at rest, and bytes would be lost.
    pub fn lie_down(&mut self) -> bool {
        let Front::Guard(guard) = &mut self.front else {
            return false;
        };
        self.write_timer = None;
        self.violation.is_none() && !self.unflushed && guard.give_back_buffer()
    }

    /// Asleep: ready when there may be something to read, or when the connection's time is over.
    pub fn poll_stirred(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(stirred) = self.socket.poll_readable(cx) {
            self.waits.woke();
            return Poll::Ready(stirred);
        }
        self.waits.poll_over(cx).map(|end| Err(self.give_up(end)))
    }

    fn give_up(&self, end: ClientEnd) -> io::Error {
        self.activity.give_up(end);
        io::Error::new(io::ErrorKind::TimedOut, end.as_str())
    }

    /// HTTP/1: the next head, whole and judged; `None`: there is none. While a request is being served, nothing
    /// of the next one is looked at.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        self.activity.set_at_rest(false);
        if self.is_busy() {
            self.activity.wake_reader_later(cx.waker());
            return Poll::Pending;
        }
        loop {
            let Front::Guard(guard) = &mut self.front else {
                return Poll::Ready(Ok(None));
            };
            if let Err(violation) = guard.feed() {
                self.violation = Some(violation);
                return Poll::Ready(Err(refused()));
            }
            if let Some(head) = guard.take_head() {
                self.waits.end();
                return Poll::Ready(Ok(Some(head)));
            }
            let has_begun = guard.has_buffered();
            match self.poll_read_ahead(cx) {
                Poll::Pending => return self.poll_read_deadline(cx).map_ok(|()| None),
                Poll::Ready(Ok(0)) if has_begun => {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(None)),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// How long the body of the request is whose head was just read; `None`: it is chunked.
    pub fn body_bytes(&self) -> Option<u64> {
        match &self.front {
            Front::Guard(guard) => guard.body_bytes(),
            Front::Meter(_) => Some(0),
        }
    }

    /// The client waits to be told that its body is wanted. It is, as soon as somebody asks for it.
    pub fn expect_body(&mut self) {
        self.interim = Some(CONTINUE);
    }

    /// The next bytes of the request's body, as they are framed; `None` behind its end.
    pub fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        ready!(self.poll_interim(cx))?;
        loop {
            let Front::Guard(guard) = &mut self.front else {
                return Poll::Ready(Ok(None));
            };
            if guard.at_boundary() {
                return Poll::Ready(Ok(None));
            }
            // Behind a head that was passed, the request's own answer says what is wrong.
            guard.feed().map_err(|_| refused())?;
            let piece = guard.take_piece();
            if !piece.is_empty() {
                return Poll::Ready(Ok(Some(piece)));
            }
            match self.poll_read_ahead(cx) {
                Poll::Pending => return self.poll_read_deadline(cx).map_ok(|()| None),
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(interim) = self.interim {
            if interim.is_empty() {
                ready!(Pin::new(&mut *self).poll_flush(cx))?;
                self.interim = None;
                break;
            }
            let count = ready!(Pin::new(&mut *self).poll_write(cx, interim))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.interim = interim.get(count..);
        }
        Poll::Ready(Ok(()))
    }

    /// The answer comes: whether the client still waits to be told that its body is wanted, and is told now that
    /// it is not. Never in the middle of telling.
    pub fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.interim == Some(CONTINUE) {
            self.interim = None;
            return Poll::Ready(Ok(true));
        }
        self.poll_interim(cx).map_ok(|()| false)
    }

    /// While a request is served whose body was read: ready when its client is gone. What it asks next stays in
    /// the guard until then, at most what one read brings.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        match &self.front {
            Front::Guard(guard) if guard.at_boundary() && !guard.has_buffered() => {}
            _ => return Poll::Pending,
        }
        match self.poll_read_ahead(cx) {
            Poll::Pending | Poll::Ready(Ok(1..)) => Poll::Pending,
            Poll::Ready(Ok(0)) => Poll::Ready(io::ErrorKind::UnexpectedEof.into()),
            Poll::Ready(Err(error)) => Poll::Ready(error),
        }
    }

    /// Whether the request was read to its end, so that another one may follow.
    pub fn is_between_requests(&self) -> bool {
        matches!(&self.front, Front::Guard(guard) if guard.at_boundary())
    }

    /// Reads from the socket into the guard's own buffer.
    fn poll_read_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Front::Guard(guard) = &mut self.front else {
            return Poll::Ready(Ok(0));
        };
        let buffer = guard.buffer();
        // A head that is being served keeps the front of the buffer: behind it is room enough, mostly.
        if buffer.capacity() - buffer.len() < READ_BYTES / 4 {
            buffer.reserve(READ_BYTES);
        }
        poll_read_buf(Pin::new(&mut self.socket), cx, buffer)
    }

    /// HTTP/2: past the meter.
    fn poll_read_metered(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.prefix.has_remaining() {
            let count = self.prefix.remaining().min(buf.remaining());
            buf.put_slice(self.prefix.get(..count).unwrap_or_default());
            self.prefix.advance(count);
        } else {
            match Pin::new(&mut self.socket).poll_read(cx, buf) {
                Poll::Pending => return self.poll_read_deadline(cx),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => {}
            }
        }
        let answered = self.activity.answered();
        let Front::Meter(meter) = &mut self.front else {
            return Poll::Ready(Ok(()));
        };
        let bytes = buf.filled().get(before..).unwrap_or_default();
        if meter.read(bytes, answered, std::time::Instant::now()).is_err() {
            return Poll::Ready(Err(self.give_up(ClientEnd::Flood)));
        }
        if self.waits.waiting() == Waiting::FirstByte {
            self.waits.end();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_written(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.unflushed = true;
        if let Poll::Ready(Ok(count)) = &written {
            self.pace.moved(*count, std::time::Instant::now);
            if let Front::Meter(meter) = &mut self.front {
                meter.wrote(*count);
            }
        }
        self.poll_write_deadline(cx, written)
    }

    fn poll_write_deadline<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write_timer = None;
            // A wait for a flush, too, ends here.
            self.pace.moved(0, std::time::Instant::now);
            return written;
        }
        if self.pace.waits(std::time::Instant::now()).is_err() {
            return Poll::Ready(Err(self.give_up(ClientEnd::BodyRate)));
        }
        let wait = self.deadlines.write;
        let timer = self
            .write_timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(self.give_up(ClientEnd::AnswerWait))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match &this.front {
            // Through the guard alone.
            Front::Guard(_) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
            Front::Meter(_) => this.poll_read_metered(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write(cx, buf);
        this.poll_written(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write_vectored(cx, bufs);
        this.poll_written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.socket).poll_flush(cx);
        if flushed.is_ready() {
            this.unflushed = false;
        }
        this.poll_write_deadline(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_close(cx)
    }
}

impl Io {
    /// Says that nothing more will be written.
    pub fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.socket).poll_shutdown(cx);
        self.poll_write_deadline(cx, shut)
    }
}

#[cfg(test)]
mod tests;
