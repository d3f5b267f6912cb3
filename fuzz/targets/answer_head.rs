//! Answers of an upstream: what is read of them, hyper's client reads with the same status, fields and body, and
//! both see the same end.
#![no_main]

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::Body;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::rt::{Read, ReadBufCursor, Write};
use libfuzzer_sys::fuzz_target;
use scopegate_fuzz::answer_fields::Name;
use scopegate_fuzz::answers::{HEAD_FIELDS, Reader, Violation};

/// Says its bytes once something was written, and then waits.
struct Script {
    bytes: Vec<u8>,
    said: usize,
    spoken_to: bool,
}

impl Read for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut to: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &self.bytes[self.said..];
        if !self.spoken_to || rest.is_empty() {
            return Poll::Pending;
        }
        let count = rest.len().min(to.remaining());
        to.put_slice(&rest[..count]);
        self.said += count;
        Poll::Ready(Ok(()))
    }
}

impl Write for Script {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.spoken_to = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[derive(Debug, PartialEq)]
struct Seen {
    status: u16,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    whole: bool,
}

/// hyper's reading of these bytes, and whether it would use the connection again.
fn read_by_hyper(bytes: &[u8]) -> Option<(Seen, bool)> {
    let mut cx = Context::from_waker(Waker::noop());
    let script = Script {
        bytes: bytes.to_vec(),
        said: 0,
        spoken_to: false,
    };
    let mut builder = http1::Builder::new();
    builder.max_headers(HEAD_FIELDS);
    let mut handshake = pin!(builder.handshake(script));
    let Poll::Ready(Ok((mut sender, mut connection))) = handshake.as_mut().poll(&mut cx) else {
        panic!("a handshake without I/O");
    };
    let request = http::Request::get("/")
        .header("host", "x")
        .body(Full::new(Bytes::new()))
        .ok()?;
    let mut sending = pin!(sender.send_request(request));
    let mut ended = false;
    let mut response = None;
    for _ in 0..20 {
        ended = ended || Pin::new(&mut connection).poll(&mut cx).is_ready();
        if let Poll::Ready(answer) = sending.as_mut().poll(&mut cx) {
            response = Some(answer.ok()?);
            break;
        }
    }
    let (parts, mut incoming) = response?.into_parts();
    let (mut body, mut whole) = (Vec::new(), false);
    for _ in 0..100_000 {
        ended = ended || Pin::new(&mut connection).poll(&mut cx).is_ready();
        match Pin::new(&mut incoming).poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => {
                body.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data))
            }
            Poll::Ready(None) => {
                whole = true;
                break;
            }
            Poll::Ready(Some(Err(_))) => break,
            Poll::Pending if ended => break,
            // What hyper has not handed on by now waits for bytes that never come.
            Poll::Pending => {
                ended = ended || Pin::new(&mut connection).poll(&mut cx).is_ready();
                match Pin::new(&mut incoming).poll_frame(&mut cx) {
                    Poll::Pending => break,
                    Poll::Ready(Some(Ok(frame))) => {
                        body.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                    }
                    Poll::Ready(None) => {
                        whole = true;
                        break;
                    }
                    Poll::Ready(Some(Err(_))) => break,
                }
            }
        }
    }
    whole = whole || incoming.is_end_stream();
    for _ in 0..3 {
        ended = ended || Pin::new(&mut connection).poll(&mut cx).is_ready();
    }
    let seen = Seen {
        status: parts.status.as_u16(),
        fields: fields(&parts.headers),
        body,
        whole,
    };
    Some((seen, !ended && sender.is_ready()))
}

fn fields(map: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    map.iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect()
}

/// The gate's reading of these bytes in pieces of this length, and whether it would use the connection again.
fn read(bytes: &[u8], piece: usize) -> Result<Option<(Seen, bool)>, Violation> {
    let mut reader = Reader::new(|name| HeaderName::from_bytes(name).ok().map(Name::Other));
    reader.expect(false);
    let mut seen = None;
    for piece in bytes.chunks(piece.max(1)) {
        reader.room().extend_from_slice(piece);
        if seen.is_none() {
            seen = reader.head()?.map(|head| Seen {
                status: head.status.as_u16(),
                fields: fields(&head.fields.into()),
                body: Vec::new(),
                whole: false,
            });
        }
        let Some(seen) = &mut seen else { continue };
        while let Some(piece) = reader.piece()? {
            seen.body.extend_from_slice(&piece);
        }
    }
    assert!(seen.is_some() || !reader.has_ended());
    Ok(seen.map(|mut seen| {
        seen.whole = reader.has_ended();
        (seen, reader.may_serve_again())
    }))
}

fuzz_target!(|input: &[u8]| {
    let [piece, bytes @ ..] = input else {
        return;
    };
    let Ok(Some((seen, reusable))) = read(bytes, usize::from(*piece)) else {
        return;
    };
    assert!((200..600).contains(&seen.status));
    let (bare, reuses) = read_by_hyper(bytes).expect("hyper reads what is read here");
    assert_eq!((bare.status, &bare.fields), (seen.status, &seen.fields));
    if seen.whole {
        assert_eq!(bare, seen, "both see the same end");
    } else {
        assert!(!bare.whole);
    }
    assert!(!reusable || seen.whole && reuses);
});
