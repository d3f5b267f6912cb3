//! A request on its way up: its head is written once into the connection's own buffer, and its body follows
//! as it comes, framed by what its size hint says.
//!
//! Small pieces join the head in the buffer, so that a request at hand is one write and one TLS record.

use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Uri};
use http_body::Body;
use tokio::io::AsyncWrite;
use zeroize::Zeroize;

use super::client::WireError;
use crate::outbox::{Framing, Outbox};

/// What a connection at rest may keep.
const AT_REST_BYTES: usize = 8 * 1024;

/// The head of a request. Where its body ends is not in it: that is the body's to say.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// Path and query.
    pub target: &'a Uri,
    /// `Host`.
    pub host: &'a HeaderValue,
    /// Overrides what stands in `headers`.
    pub authorization: Option<&'a HeaderValue>,
    /// All others. A length or transfer coding is left out.
    pub headers: &'a [(HeaderName, HeaderValue)],
}

/// What of a request has not gone up.
pub(super) struct Sending<B> {
    /// Kept from request to request.
    outbox: Outbox,
    /// Where the token stands in it.
    secret: Range<usize>,
    body: Option<B>,
    is_flushed: bool,
}

impl<B> Default for Sending<B> {
    fn default() -> Self {
        Self {
            outbox: Outbox::default(),
            secret: 0..0,
            body: None,
            is_flushed: true,
        }
    }
}

impl<B> Sending<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// Takes a request; nothing of it goes up yet.
    pub(super) fn begin(&mut self, head: &RequestHead<'_>, body: B) {
        self.clear();
        self.is_flushed = false;
        let target = head.target.path_and_query().map_or("/", |target| target.as_str());
        let line = [head.method.as_str(), " ", target, " HTTP/1.1\r\n"];
        self.outbox.push_all(&line.map(str::as_bytes));
        self.write_fields(head);
        let framing = Framing::of(body.size_hint().exact());
        self.outbox.begin_body(framing);
        let has_body = !body.is_end_stream();
        match framing {
            Framing::Length { left } if has_body => self.write_length(left),
            Framing::Chunked if has_body => self.write_field(&header::TRANSFER_ENCODING, b"chunked"),
            // RFC 9110 §8.6: a method that expects content says so when there is none.
            _ if matches!(*head.method, Method::POST | Method::PUT | Method::PATCH) => self.write_length(0),
            _ => {}
        }
        self.outbox.push(b"\r\n");
        self.body = has_body.then_some(body);
    }

    fn write_fields(&mut self, head: &RequestHead<'_>) {
        self.write_field(&header::HOST, head.host.as_bytes());
        if let Some(authorization) = head.authorization {
            let from = self.outbox.head().len();
            self.write_field(&header::AUTHORIZATION, authorization.as_bytes());
            self.secret = from..self.outbox.head().len();
        }
        for (name, value) in head.headers {
            // These are ours to say.
            let is_ours = matches!(
                *name,
                header::HOST | header::AUTHORIZATION | header::CONTENT_LENGTH | header::TRANSFER_ENCODING
            );
            if !is_ours {
                self.write_field(name, value.as_bytes());
            }
        }
    }

    fn write_length(&mut self, length: u64) {
        let mut digits = itoa::Buffer::new();
        self.write_field(&header::CONTENT_LENGTH, digits.format(length).as_bytes());
    }

    fn write_field(&mut self, name: &HeaderName, value: &[u8]) {
        self.outbox
            .push_all(&[name.as_str().as_bytes(), b": ", value, b"\r\n"]);
    }

    /// Lets go of a buffer that is too large for a connection at rest.
    pub(super) fn rest(&mut self) {
        let buffer = self.outbox.head();
        if buffer.capacity() > AT_REST_BYTES {
            std::mem::take(buffer).zeroize();
        }
    }

    /// Whether all of it has gone up.
    pub(super) fn is_done(&self) -> bool {
        self.is_flushed
    }

    /// Whether what waits is so short that it is one TLS record, which arrives whole or not at all.
    pub(super) fn is_one_record(&self) -> bool {
        self.outbox.is_one_record()
    }

    /// Sends as much as may be sent now; `wrote` is called whenever some of it went up. Ready: all has.
    pub(super) fn poll<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        mut wrote: impl FnMut(),
    ) -> Poll<Result<(), WireError>> {
        while !self.is_flushed {
            let waits = self
                .outbox
                .fill(&mut self.body, cx)
                .map_err(|_| WireError::Body)?;
            while !self.outbox.is_written() {
                ready!(self.outbox.poll_write(stream, cx))?;
                wrote();
            }
            self.clear();
            if waits || self.body.is_none() {
                ready!(Pin::new(&mut *stream).poll_flush(cx))?;
                if waits {
                    return Poll::Pending;
                }
                self.is_flushed = true;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Forgets what has gone up; of the token nothing stays.
    fn clear(&mut self) {
        self.wipe();
        self.outbox.clear();
    }

    fn wipe(&mut self) {
        if let Some(secret) = self.outbox.head().get_mut(std::mem::take(&mut self.secret)) {
            secret.zeroize();
        }
    }
}

impl<B> Drop for Sending<B> {
    fn drop(&mut self) {
        self.outbox.head().zeroize();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use http_body_util::{Empty, Full};

    use super::*;

    #[test]
    fn at_rest_no_long_buffer_is_kept() {
        for (length, is_kept) in [(100, true), (16 * 1024, false)] {
            let mut sending = Sending::default();
            let head = RequestHead {
                method: &Method::POST,
                target: &Uri::from_static("/"),
                host: &HeaderValue::from_static("example.com"),
                authorization: None,
                headers: &[],
            };
            sending.begin(&head, Full::new(Bytes::from(vec![b'x'; length])));
            let mut cx = Context::from_waker(Waker::noop());
            let sent = sending.poll(&mut tokio::io::sink(), &mut cx, || ());
            assert!(matches!(sent, Poll::Ready(Ok(()))) && sending.outbox.head().is_empty());
            sending.rest();
            let kept = sending.outbox.head().capacity();
            assert_eq!((1..=AT_REST_BYTES).contains(&kept), is_kept, "{length}: {kept}");
        }
    }

    #[test]
    fn of_a_token_that_has_gone_up_nothing_stays() {
        let mut sending = Sending::default();
        let headers = [
            (header::AUTHORIZATION, HeaderValue::from_static("canary")),
            (header::ACCEPT, HeaderValue::from_static("*/*")),
            (header::HOST, HeaderValue::from_static("elsewhere")),
        ];
        let head = RequestHead {
            method: &Method::GET,
            target: &Uri::from_static("/a?b=c"),
            host: &HeaderValue::from_static("example.com"),
            authorization: Some(&HeaderValue::from_static("Bearer canary")),
            headers: &headers,
        };
        sending.begin(&head, Empty::<Bytes>::new());
        let text = |sending: &mut Sending<_>| String::from_utf8(sending.outbox.head().clone()).unwrap();
        let whole =
            "GET /a?b=c HTTP/1.1\r\nhost: example.com\r\nauthorization: Bearer canary\r\naccept: */*\r\n\r\n";
        assert_eq!(text(&mut sending), whole);
        sending.wipe();
        let left = text(&mut sending);
        assert!(
            !left.contains("canary") && left.contains("example.com") && left.contains("*/*"),
            "{left}"
        );
    }
}
