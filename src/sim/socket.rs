//! A connection whose writes a fault can take over: to send bytes no HTTP library would, or to end it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a fault told the connection.
#[derive(Debug, Default)]
struct Orders {
    /// Bytes to write in place of the answer; then the connection ends.
    raw: Option<Bytes>,
    /// End the connection at the next write.
    cut: bool,
}

/// The handle a fault holds.
#[derive(Clone, Debug, Default)]
pub(super) struct SocketControl(Arc<Mutex<Orders>>);

impl SocketControl {
    /// Writes `bytes` in place of the next answer, then ends the connection.
    pub(super) fn write_instead(&self, bytes: Bytes) {
        self.lock().raw = Some(bytes);
    }

    /// Ends the connection without the next answer.
    pub(super) fn cut(&self) {
        self.lock().cut = true;
    }

    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream under a [`SocketControl`].
#[derive(Debug)]
pub(super) struct Socket<S> {
    inner: S,
    control: SocketControl,
}

impl<S> Socket<S> {
    pub(super) fn new(inner: S, control: SocketControl) -> Self {
        Self { inner, control }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let mut orders = this.control.lock();
        if let Some(raw) = &mut orders.raw {
            while raw.has_remaining() {
                let written = ready!(Pin::new(&mut this.inner).poll_write(context, raw))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                raw.advance(written);
            }
            ready!(Pin::new(&mut this.inner).poll_flush(context))?;
            orders.raw = None;
            orders.cut = true;
        }
        if orders.cut {
            return Poll::Ready(Err(io::Error::other("ended by a fault")));
        }
        drop(orders);
        Pin::new(&mut this.inner).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
