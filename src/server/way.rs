//! The way into the admin listener and to the install pages: TLS where it is set, then the head guard of the data
//! plane, so that what hyper would repair is refused here, too.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::listener::{Open, Stream};
use crate::proxy::guard::Guard;

/// Most fields in a head: neither a client of the API nor a browser behind a proxy needs more.
const FIELDS: usize = 64;

/// What is read from a socket at a time.
const CHUNK: usize = 4 * 1024;

/// To a head that the guard refuses. The same words whatever is wrong with it: a browser or a client
/// library sends none of these.
const NO_CALL: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json; charset=utf-8\r\n\
    cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\ncontent-length: 124\r\n\r\n\
    {\"error\":{\"code\":\"malformed\",\"message\":\"the request head is not strict HTTP/1.1\",\
    \"remedy\":\"send a plain HTTP/1.1 request\"}}\n";

/// The same to people.
const NO_PAGE: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n\
    cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\ncontent-length: 139\r\n\r\n\
    This request can't be read in one way only, so it was not read. Use another browser, or tell whoever runs \
    the proxy in front of this page.\n";

/// TLS of the admin listener, as the publisher replaces it.
pub type AdminTls = Arc<ArcSwap<ServerConfig>>;

/// The way in.
#[derive(Clone)]
pub struct Way {
    tls: Option<AdminTls>,
    head_bytes: usize,
    refused: &'static [u8],
}

impl Way {
    /// To the admin API.
    pub fn admin(tls: Option<AdminTls>) -> Self {
        Self {
            tls,
            head_bytes: 8 * 1024,
            refused: NO_CALL,
        }
    }

    /// To the install pages, whose TLS is that of the proxy in front; browsers have cookies.
    pub fn install() -> Self {
        Self {
            tls: None,
            head_bytes: 16 * 1024,
            refused: NO_PAGE,
        }
    }
}

impl Open for Way {
    type Stream = Guarded;

    async fn open(&self, socket: TcpStream) -> io::Result<Guarded> {
        let inner: Box<dyn Stream> = match &self.tls {
            None => Box::new(socket),
            Some(tls) => Box::new(TlsAcceptor::from(tls.load_full()).accept(socket).await?),
        };
        Ok(Guarded {
            inner,
            guard: Guard::new(self.head_bytes, FIELDS),
            refusal: self.refused,
            refused: None,
        })
    }
}

/// A stream whose heads are judged before hyper sees a byte of them.
pub struct Guarded {
    inner: Box<dyn Stream>,
    guard: Guard,
    /// What is said to a head that is refused.
    refusal: &'static [u8],
    /// A head was refused; so much of the answer to it is written.
    refused: Option<usize>,
}

impl AsyncRead for Guarded {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            // To hyper the connection is over: it writes what it owes and shuts down.
            if this.refused.is_some() {
                return Poll::Ready(Ok(()));
            }
            if this.guard.passable() > 0 {
                this.guard.take(buf.remaining(), |bytes| buf.put_slice(bytes));
                return Poll::Ready(Ok(()));
            }
            if this.guard.feed().is_err() {
                this.refused = Some(0);
                continue;
            }
            if this.guard.passable() > 0 {
                continue;
            }
            let mut chunk = [0; CHUNK];
            let mut read = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.guard.buffer().extend_from_slice(read.filled());
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Behind whatever hyper still owed to earlier requests.
        while let Some(written) = this.refused
            && let Some(rest) = this.refusal.get(written..).filter(|rest| !rest.is_empty())
        {
            let count = ready!(Pin::new(&mut this.inner).poll_write(cx, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            this.refused = Some(written + count);
        }
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_refused_head_is_as_long_as_it_says() {
        for refusal in [NO_CALL, NO_PAGE] {
            let text = std::str::from_utf8(refusal).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let length = format!("content-length: {}", body.len());
            assert!(head.lines().any(|line| line == length), "{length}: {head}");
        }
        let (_, body) = std::str::from_utf8(NO_CALL)
            .unwrap()
            .split_once("\r\n\r\n")
            .unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(body).unwrap()["error"]["code"] == "malformed");
    }
}
