//! The head guard, and the reading of requests behind it, against two other readers: what passes, httparse and a
//! real hyper server read with the same method, target, fields and body, and the next request begins where the
//! guard says.
//!
//! Taken as source by the test and by the fuzz target, which each name `guard` in the module above. The
//! readings here (fields, chunks) are the plainest there are, on purpose: a third opinion.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;

use super::guard::chunks::Chunks;
use super::guard::{Guard, request};

/// Bounds of the guards and servers here; hyper's buffer can't be smaller.
const HEAD_BYTES: usize = 8 * 1024;
const FIELDS: usize = 32;

/// What stands behind a message to see where hyper ends it.
const SENTINEL: &str = "GET /-sentinel- HTTP/1.1\r\nHost: sentinel\r\n\r\n";

/// What became of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Passed {
    /// Whole messages that passed.
    pub messages: usize,
    /// Bytes of a message that is not whole.
    pub rest: usize,
    /// The guard refused what came then.
    pub refused: bool,
}

/// Runs the guard over `input` in pieces of `cut` bytes; whatever it passes is held against the others.
pub fn check(input: &[u8], cut: usize) -> Passed {
    let (messages, rest, refused) = guarded(input, cut);
    let served = served(input, cut);
    assert_eq!(served.len(), messages.len(), "other messages are served");
    for (message, served) in messages.iter().zip(served) {
        let expected = whole(message, cut);
        assert_eq!(served, expected, "another request is served");
    }
    if !rest.is_empty() {
        broken_off(&rest, cut);
    }
    Passed {
        messages: messages.len(),
        rest: rest.len(),
        refused,
    }
}

/// What passes, message by message; what of the last one passed; whether the guard refused then.
fn guarded(input: &[u8], cut: usize) -> (Vec<Vec<u8>>, Vec<u8>, bool) {
    let mut guard = Guard::new(HEAD_BYTES, FIELDS);
    let (mut messages, mut rest) = (Vec::new(), Vec::new());
    for piece in input.chunks(cut.max(1)) {
        guard.buffer().extend_from_slice(piece);
        loop {
            if guard.feed().is_err() {
                return (messages, rest, true);
            }
            if guard.passable() == 0 {
                break;
            }
            guard.take(usize::MAX, |bytes| rest.extend_from_slice(bytes));
            if guard.at_boundary() {
                messages.push(std::mem::take(&mut rest));
            }
        }
    }
    (messages, rest, false)
}

/// The whole requests, as the gate serves them.
fn served(input: &[u8], cut: usize) -> Vec<Seen> {
    let mut guard = Guard::new(HEAD_BYTES, FIELDS);
    let mut served = Vec::new();
    let mut begun: Option<(Seen, Option<u64>, Chunks)> = None;
    for piece in input.chunks(cut.max(1)) {
        guard.buffer().extend_from_slice(piece);
        loop {
            if guard.feed().is_err() {
                return served;
            }
            if let Some(head) = guard.take_head() {
                assert!(begun.is_none(), "a head in a body");
                begun = Some((serve_head(&head), guard.body_bytes(), Chunks::default()));
                if !guard.at_boundary() {
                    continue;
                }
            }
            let Some((seen, length, chunks)) = &mut begun else {
                break;
            };
            let mut piece = &guard.take_piece()[..];
            let is_over = guard.at_boundary();
            let has_more = !piece.is_empty();
            match length {
                Some(_) => seen.body.extend_from_slice(piece),
                None => {
                    while !piece.is_empty() {
                        let (count, is_data) = chunks.walk(piece).expect("chunks that passed");
                        seen.body
                            .extend_from_slice(&piece[..if is_data { count } else { 0 }]);
                        piece = &piece[count..];
                    }
                }
            }
            if is_over {
                let ended = length.map_or(chunks.has_ended(), |length| length == seen.body.len() as u64);
                assert!(ended, "the body ends elsewhere");
                served.extend(begun.take().map(|(seen, ..)| Seen { whole: true, ..seen }));
            } else if !has_more {
                break;
            }
        }
    }
    served
}

fn serve_head(head: &Bytes) -> Seen {
    let mut fields = Vec::new();
    let (line, terms) = request::read(head, |field| {
        let name = http::HeaderName::from_bytes(field.name).expect("a name that passed");
        http::HeaderValue::from_bytes(field.value).expect("a value that passed");
        fields.push((name.as_str().to_owned(), field.value.to_vec()));
    })
    .expect("a head that passed");
    fields.sort_by(|one: &(String, Vec<u8>), other| one.0.cmp(&other.0));
    assert_eq!(terms.is_old, line.version == http::Version::HTTP_10);
    Seen {
        method: line.method.as_str().to_owned(),
        target: line.target.to_string(),
        fields,
        ..Seen::default()
    }
}

/// One request as somebody read it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    method: String,
    target: String,
    /// In order of their names, and in their own order within a name.
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    /// The body has ended.
    whole: bool,
}

/// A message that passed whole, as a plain reader reads it.
fn whole(message: &[u8], cut: usize) -> Seen {
    let expected = plainly(message, true);
    let mut behind = message.to_vec();
    behind.extend_from_slice(SENTINEL.as_bytes());
    let (seen, answers) = hyper_reads(&behind, cut);
    assert_eq!(seen.first(), Some(&expected), "hyper reads another request");
    let old = message.windows(10).any(|bytes| bytes == b" HTTP/1.0\r");
    let may_close = old || expected.fields.iter().any(|(name, _)| name == "connection");
    match seen.get(1..).unwrap_or_default() {
        [] => assert!(may_close, "what follows was taken for a part of it"),
        [next] => assert_eq!(next, &plainly(SENTINEL.as_bytes(), true), "another border"),
        more => panic!("hyper reads more requests than passed: {more:?}"),
    }
    let ok = answers
        .windows(12)
        .filter(|bytes| bytes.starts_with(b"HTTP/1.") && bytes.ends_with(b"200"));
    assert_eq!(ok.count(), seen.len(), "hyper answers in its own words");
    expected
}

/// A message of which only a part has passed so far: hyper waits for the rest.
fn broken_off(part: &[u8], cut: usize) {
    let (seen, answers) = hyper_reads(part, cut);
    if !part.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        panic!("a part of a head passed");
    }
    let expected = plainly(part, false);
    assert_eq!(seen.as_slice(), [expected], "hyper reads another part");
    let head_of_answer = b"HTTP/1.1 100";
    assert!(
        answers.is_empty() || answers.starts_with(head_of_answer),
        "hyper answers half a message"
    );
}

/// Reads a message that the guard passed, and holds httparse to the same head.
fn plainly(message: &[u8], whole: bool) -> Seen {
    let end = message.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    let (head, body) = message.split_at(end);
    let text: Vec<&[u8]> = lines(&head[..end - 4]);
    let line = String::from_utf8(text[0].to_vec()).expect("a request line in ASCII");
    let words: Vec<&str> = line.split(' ').collect();
    let [method, target, version] = words[..] else {
        panic!("not three words: {line:?}");
    };
    let mut fields = Vec::new();
    for line in &text[1..] {
        let colon = line.iter().position(|byte| *byte == b':').unwrap();
        let name = String::from_utf8(line[..colon].to_vec()).unwrap();
        let is_space = |byte: &&u8| matches!(**byte, b' ' | b'\t');
        let value = &line[colon + 1..];
        let skipped = value.iter().take_while(is_space).count();
        let value = &value[skipped..];
        let kept = value.len() - value.iter().rev().take_while(is_space).count();
        fields.push((name, value[..kept].to_vec()));
    }
    httparse_agrees(head, method, target, version, &fields);
    let mut fields: Vec<_> = fields
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    let chunked = fields.iter().any(|(name, _)| name == "transfer-encoding");
    let (body, ended) = if chunked {
        dechunked(body)
    } else {
        let length = fields.iter().find(|(name, _)| name == "content-length");
        let length = length.map_or(0, |(_, value)| String::from_utf8_lossy(value).parse().unwrap());
        (body.to_vec(), body.len() == length)
    };
    assert_eq!(
        ended, whole,
        "the guard and a plain reader end the body elsewhere"
    );
    Seen {
        method: method.to_owned(),
        target: target.to_owned(),
        fields,
        body,
        whole: ended,
    }
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.windows(2).position(|bytes| bytes == b"\r\n") {
        lines.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    lines.push(rest);
    lines
}

fn httparse_agrees(head: &[u8], method: &str, target: &str, version: &str, fields: &[(String, Vec<u8>)]) {
    let mut room = [httparse::EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut room);
    let parsed = request.parse(head).expect("httparse takes what passed");
    assert_eq!(parsed, httparse::Status::Complete(head.len()), "another end");
    assert_eq!((request.method, request.path), (Some(method), Some(target)));
    let minor = if version == "HTTP/1.0" { 0 } else { 1 };
    assert_eq!(request.version, Some(minor));
    let read: Vec<_> = request
        .headers
        .iter()
        .map(|field| (field.name.to_owned(), field.value.to_vec()))
        .collect();
    assert_eq!(read, fields, "other fields");
}

/// What is in the chunks, and whether they have ended with the last byte.
fn dechunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|bytes| bytes == b"\r\n") else {
            return (body, false);
        };
        let size = std::str::from_utf8(&rest[..end]).expect("a size in ASCII");
        let size = usize::from_str_radix(size, 16).expect("a size");
        rest = &rest[end + 2..];
        let here = size.min(rest.len());
        body.extend_from_slice(&rest[..here]);
        rest = &rest[here..];
        if rest.len() < 2 {
            return (body, false);
        }
        assert_eq!(&rest[..2], b"\r\n");
        rest = &rest[2..];
        if size == 0 {
            assert!(rest.is_empty(), "bytes behind the end");
            return (body, true);
        }
    }
}

/// Gives `bytes` to a hyper server as the gate builds it, in pieces; what it reads, and what it writes.
fn hyper_reads(bytes: &[u8], cut: usize) -> (Vec<Seen>, Vec<u8>) {
    let seen: Rc<RefCell<Vec<Seen>>> = Rc::default();
    let answers: Rc<RefCell<Vec<u8>>> = Rc::default();
    let serving = Rc::clone(&seen);
    let service = service_fn(move |request| serve(Rc::clone(&serving), request));
    let duplex = Duplex {
        left: bytes.to_vec(),
        cut: cut.max(1),
        answers: Rc::clone(&answers),
    };
    let connection = http1::Builder::new()
        .max_buf_size(HEAD_BYTES)
        .max_headers(FIELDS)
        .half_close(false)
        .title_case_headers(true)
        .serve_connection(duplex, service);
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    let mut connection = pin!(connection);
    let polls = Cell::new(0);
    while woken.0.swap(false, Ordering::Relaxed) {
        polls.set(polls.get() + 1);
        assert!(polls.get() < 1_000_000, "hyper spins");
        if connection.as_mut().poll(&mut context).is_ready() {
            break;
        }
    }
    (seen.take(), answers.take())
}

async fn serve(
    seen: Rc<RefCell<Vec<Seen>>>,
    request: Request<Incoming>,
) -> Result<Response<NoBody>, Infallible> {
    let (parts, mut body) = request.into_parts();
    let mut fields: Vec<(String, Vec<u8>)> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    let at = seen.borrow().len();
    seen.borrow_mut().push(Seen {
        method: parts.method.as_str().to_owned(),
        target: parts.uri.to_string(),
        fields,
        ..Seen::default()
    });
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        match frame {
            None => {
                seen.borrow_mut()[at].whole = true;
                return Ok(Response::new(NoBody));
            }
            Some(Ok(frame)) => {
                let data = frame.into_data().expect("no trailers pass");
                seen.borrow_mut()[at].body.extend_from_slice(&data);
            }
            Some(Err(error)) => panic!("hyper can't read a body that passed: {error}"),
        }
    }
}

/// An answer without a body.
struct NoBody;

impl Body for NoBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A connection in memory: it gives its bytes piece by piece, and then says nothing more.
struct Duplex {
    left: Vec<u8>,
    cut: usize,
    answers: Rc<RefCell<Vec<u8>>>,
}

impl Read for Duplex {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let count = self.left.len().min(self.cut).min(buf.remaining());
        if count == 0 {
            return Poll::Pending;
        }
        let piece: Vec<u8> = self.left.drain(..count).collect();
        buf.put_slice(&piece);
        Poll::Ready(Ok(()))
    }
}

impl Write for Duplex {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.answers.borrow_mut().extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
