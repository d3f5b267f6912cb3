//! The way into the admin listener and to the install pages: TLS where it is set, then the head guard of the data
//! plane, so that what hyper would repair is refused here, too.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use arc_swap::ArcSwap;
use bytes::{Buf, Bytes};
use rustls::ServerConfig;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::listener::{Open, Stream};
use crate::proxy::guard::{Guard, Violation};

/// Most fields in a head: neither a client of the API nor a browser behind a proxy needs more.
const FIELDS: usize = 64;

/// What is read from a socket at a time.
const CHUNK: usize = 4 * 1024;

/// What is said to a head that the guard refuses: none of it is the client's.
type Words = fn(Violation) -> (&'static str, String);

/// To a client of the API.
fn to_client(violation: Violation) -> (&'static str, String) {
    let (message, remedy) = violation.explain();
    let error = json!({ "error": { "code": "malformed", "message": message, "remedy": remedy } });
    ("application/json; charset=utf-8", format!("{error}\n"))
}

/// To a person.
fn to_person(violation: Violation) -> (&'static str, String) {
    let (cause, remedy) = violation.explain();
    let text = format!(
        "This request was not read: {cause} ({remedy}).\n\nIn a browser, clear the cookies of this site, or use another \
         browser. If that does not help, tell whoever runs the proxy in front of this page.\n"
    );
    ("text/plain; charset=utf-8", text)
}

fn refusal((kind, body): (&'static str, String)) -> Bytes {
    let length = body.len();
    format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: {kind}\r\ncache-control: no-store\r\n\
         x-content-type-options: nosniff\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into()
}

/// TLS of the admin listener, as the publisher replaces it.
pub type AdminTls = Arc<ArcSwap<ServerConfig>>;

/// The way in.
#[derive(Clone)]
pub struct Way {
    tls: Option<AdminTls>,
    head_bytes: usize,
    words: Words,
}

impl Way {
    /// To the admin API.
    pub fn admin(tls: Option<AdminTls>) -> Self {
        Self {
            tls,
            head_bytes: 8 * 1024,
            words: to_client,
        }
    }

    /// To the install pages, whose TLS is that of the proxy in front; browsers have cookies.
    pub fn install() -> Self {
        Self {
            tls: None,
            head_bytes: 16 * 1024,
            words: to_person,
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
            words: self.words,
            refused: None,
            heads: 0,
            owed: Owed::Nothing,
            waiting: None,
        })
    }
}

/// What hyper has to write for the head that was handed on last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    Nothing,
    /// An answer.
    Answer,
    /// The rest of an answer that it has begun to write.
    Rest,
}

/// A stream whose heads are judged before hyper sees a byte of them.
pub struct Guarded {
    inner: Box<dyn Stream>,
    guard: Guard,
    words: Words,
    /// A head was refused; this is what is left to write of the answer to it.
    refused: Option<Bytes>,
    /// Heads that were handed on.
    heads: u64,
    owed: Owed,
    /// Who reads, until nothing is owed any more.
    waiting: Option<Waker>,
}

impl Guarded {
    /// Whether what comes next, a message or the end, waits until the last one is answered: to an end in the middle
    /// of a request hyper says nothing at all.
    fn waits(&mut self, cx: &Context<'_>) -> bool {
        let waits = self.owed != Owed::Nothing;
        if waits {
            self.waiting = Some(cx.waker().clone());
        }
        waits
    }
}

impl AsyncRead for Guarded {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.refused.is_some() {
                // To hyper the connection is over.
                return if this.waits(cx) {
                    Poll::Pending
                } else {
                    Poll::Ready(Ok(()))
                };
            }
            if this.guard.passable() > 0 {
                if this.guard.heads() > this.heads {
                    if this.waits(cx) {
                        return Poll::Pending;
                    }
                    (this.heads, this.owed) = (this.guard.heads(), Owed::Answer);
                }
                this.guard.take(buf.remaining(), |bytes| buf.put_slice(bytes));
                return Poll::Ready(Ok(()));
            }
            if let Err(violation) = this.guard.feed() {
                let (cause, _) = violation.explain();
                tracing::debug!(cause, "a request head was refused");
                this.refused = Some(refusal((this.words)(violation)));
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
        let this = self.get_mut();
        // That a body is wanted is no answer yet.
        if this.owed == Owed::Answer && !buf.starts_with(b"HTTP/1.1 100") {
            this.owed = Owed::Rest;
        }
        Pin::new(&mut this.inner).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.inner).poll_flush(cx))?;
        // hyper comes here when all that it had to write is written.
        if this.owed == Owed::Rest {
            this.owed = Owed::Nothing;
            if let Some(waiting) = this.waiting.take() {
                waiting.wake();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Behind the answer that hyper was writing.
        while let Some(rest) = this.refused.as_mut().filter(|rest| !rest.is_empty()) {
            let count = ready!(Pin::new(&mut this.inner).poll_write(cx, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            rest.advance(count);
        }
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_as_long_as_it_says_and_names_cause_and_remedy() {
        let (cause, remedy) = Violation::TooLarge.explain();
        for words in [to_client as Words, to_person] {
            let bytes = refusal(words(Violation::TooLarge));
            let (head, body) = std::str::from_utf8(&bytes)
                .unwrap()
                .split_once("\r\n\r\n")
                .unwrap();
            let length = format!("content-length: {}", body.len());
            assert!(head.lines().any(|line| line == length), "{length}: {head}");
            assert!(body.contains(cause) && body.contains(remedy), "{body}");
        }
        let (_, body) = to_client(Violation::Host);
        assert!(serde_json::from_str::<serde_json::Value>(&body).unwrap()["error"]["code"] == "malformed");
    }
}
