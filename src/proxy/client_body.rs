//! A request's body as the gate reads it, whatever the protocol it comes by.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::guard::chunks::Chunks;
use super::io::Io;

/// The body of a client's request.
pub enum ClientBody {
    /// There is none.
    Empty,
    /// HTTP/1: the connection is read as far as the body is asked for.
    Http1(Counted),
    /// HTTP/1, in chunks.
    Http1Chunked(Box<Chunked>),
    /// HTTP/2.
    Http2(Incoming),
}

/// A body whose length is known.
pub struct Counted {
    io: Rc<RefCell<Io>>,
    left: u64,
}

/// A body in chunks.
pub struct Chunked {
    io: Rc<RefCell<Io>>,
    chunks: Chunks,
    /// What the guard has passed, framing and all.
    passed: Bytes,
}

impl ClientBody {
    /// The body of the request whose head `io` has just handed on.
    pub fn http1(io: &Rc<RefCell<Io>>) -> Self {
        match io.borrow().body_bytes() {
            Some(0) => Self::Empty,
            Some(left) => Self::Http1(Counted {
                io: Rc::clone(io),
                left,
            }),
            None => Self::Http1Chunked(Box::new(Chunked {
                io: Rc::clone(io),
                chunks: Chunks::default(),
                passed: Bytes::new(),
            })),
        }
    }
}

impl Counted {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece = ready!(self.io.borrow_mut().poll_body(cx));
        Poll::Ready(Some(piece.and_then(|piece| {
            // The guard counts, too: neither less nor more can come.
            let piece = piece.ok_or(io::ErrorKind::UnexpectedEof)?;
            self.left = self
                .left
                .checked_sub(piece.len() as u64)
                .ok_or(io::ErrorKind::InvalidData)?;
            Ok(piece)
        })))
    }
}

impl Chunked {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        while !self.chunks.has_ended() {
            if self.passed.is_empty() {
                match ready!(self.io.borrow_mut().poll_body(cx)) {
                    Ok(Some(piece)) => self.passed = piece,
                    Ok(None) => return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
                    Err(error) => return Poll::Ready(Some(Err(error))),
                }
            }
            match self.chunks.walk(&self.passed) {
                Ok((count, true)) => return Poll::Ready(Some(Ok(self.passed.split_to(count)))),
                Ok((count, false)) => self.passed.advance(count),
                // Invariant: the guard has walked here before.
                Err(_) => return Poll::Ready(Some(Err(io::ErrorKind::InvalidData.into()))),
            }
        }
        Poll::Ready(None)
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = match self.get_mut() {
            Self::Empty => return Poll::Ready(None),
            Self::Http1(body) => ready!(body.poll(cx)),
            Self::Http1Chunked(body) => ready!(body.poll(cx)),
            Self::Http2(body) => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                return Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)));
            }
        };
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Http1(body) => body.left == 0,
            Self::Http1Chunked(body) => body.chunks.has_ended(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Http1(body) => SizeHint::with_exact(body.left),
            Self::Http1Chunked(_) => SizeHint::default(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}
