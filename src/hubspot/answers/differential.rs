//! What is read of an answer, hyper's client reads with the same status, fields and body.

use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use http::Request;
use http_body::Body as _;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::tests::{OK, Seen, fields, read_in};
use super::*;

/// A server that has its say as soon as something was written, piece by piece, and then waits.
struct Script {
    pieces: VecDeque<Vec<u8>>,
    spoken_to: bool,
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.spoken_to {
            return Poll::Pending;
        }
        let Some(mut piece) = self.pieces.pop_front() else {
            return Poll::Pending;
        };
        let rest = piece.split_off(piece.len().min(buf.remaining()));
        buf.put_slice(&piece);
        if !rest.is_empty() {
            self.pieces.push_front(rest);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.spoken_to = true;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// hyper's reading of these bytes; `None` without an answer.
fn read_by_hyper(stream: Script) -> Option<Seen> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut builder = http1::Builder::new();
    builder.max_headers(HEAD_FIELDS);
    let mut handshake = pin!(builder.handshake(TokioIo::new(stream)));
    let Poll::Ready(Ok((mut sender, mut connection))) = handshake.as_mut().poll(&mut cx) else {
        panic!("a handshake without I/O");
    };
    let request = Request::get("/")
        .header("host", "x")
        .body(Full::new(Bytes::new()))
        .unwrap();
    let mut sending = pin!(sender.send_request(request));
    let mut ended = false;
    let mut drive = |cx: &mut Context<'_>| {
        for _ in 0..20 {
            ended = ended || Pin::new(&mut connection).poll(cx).is_ready();
        }
        ended
    };
    let mut response = None;
    for _ in 0..50 {
        drive(&mut cx);
        if let Poll::Ready(answer) = sending.as_mut().poll(&mut cx) {
            response = Some(answer.ok()?);
            break;
        }
    }
    let (parts, mut incoming) = response?.into_parts();
    let mut body = Vec::new();
    let mut whole = false;
    for _ in 0..5_000 {
        drive(&mut cx);
        match Pin::new(&mut incoming).poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => {
                body.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data))
            }
            Poll::Ready(Some(Err(_))) => break,
            Poll::Ready(None) => {
                whole = true;
                break;
            }
            Poll::Pending => {}
        }
        if incoming.is_end_stream() {
            whole = true;
            break;
        }
    }
    let ended = drive(&mut cx);
    Some(Seen {
        status: parts.status.as_u16(),
        fields: fields(parts.headers),
        body,
        whole,
        reusable: !ended && sender.is_ready(),
    })
}

fn script(bytes: &[u8], piece: usize) -> Script {
    Script {
        pieces: bytes.chunks(piece.max(1)).map(<[u8]>::to_vec).collect(),
        spoken_to: false,
    }
}

/// Pieces of answers, good and bad.
const PIECES: &[&str] = &[
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 404 \r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 204 X\r\n",
    "HTTP/1.1 100 C\r\n\r\n",
    "HTTP/1.1 304 X\r\n",
    "Content-Length: 2\r\n",
    "Content-Length: 02\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "Content-Length: 0\r\n",
    "X: \u{e9}\r\n",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "{}",
    "2\r\n{}\r\n",
    "0\r\n\r\n",
    "0\r\n",
    "A\r\n0123456789\r\n",
    "T: 1\r\n",
    ";x",
    " ",
    "\r",
    "\t",
    "\0",
    "1",
    "f",
    ":",
];

fn answers() -> impl Strategy<Value = Vec<u8>> {
    let good = prop::sample::select(vec![
        format!("{OK}Content-Length: 2\r\n\r\n{{}}"),
        format!("{OK}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"),
        format!(
            "HTTP/1.1 103 H\r\nL: x\r\n\r\n{OK}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nT: 1\r\n\r\n"
        ),
        "HTTP/1.1 204 X\r\n\r\n".to_owned(),
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
    ]);
    let edits = prop::collection::vec(
        (
            any::<prop::sample::Index>(),
            0..3usize,
            prop::sample::select(PIECES),
        ),
        0..4,
    );
    let mutated = (good, edits).prop_map(|(good, edits)| {
        let mut bytes = good.into_bytes();
        for (at, drop, piece) in edits {
            let at = at.index(bytes.len() + 1);
            let end = (at + drop).min(bytes.len());
            bytes.splice(at..end, piece.bytes());
        }
        bytes
    });
    let made = prop::collection::vec(prop::sample::select(PIECES), 0..12)
        .prop_map(|pieces| pieces.concat().into_bytes());
    prop_oneof![2 => mutated, 1 => made]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(std::env::var("ANSWER_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(600)))]

    #[test]
    fn what_is_read_hyper_reads_alike(bytes in answers(), piece in 1..80usize) {
        if let Ok(Some(seen)) = read_in(&bytes, piece, false) {
            let bare = read_by_hyper(script(&bytes, piece)).expect("hyper reads what is read here");
            prop_assert_eq!(seen.status, bare.status);
            prop_assert_eq!(&seen.fields, &bare.fields);
            prop_assert!((200..600).contains(&seen.status));
            if seen.whole {
                prop_assert!(bare.whole);
                prop_assert_eq!(&seen.body, &bare.body);
            }
            if seen.reusable {
                prop_assert!(bare.reusable);
                let surplus = read_in(&[&bytes[..], b"H"].concat(), piece, false);
                prop_assert!(!surplus.unwrap().unwrap().reusable, "a byte too many");
            }
        }
    }

    #[test]
    fn bytes_arriving_one_by_one_are_judged_as_if_they_came_at_once(bytes in answers(), piece in 1..80usize) {
        let (whole, pieces) = (read_in(&bytes, usize::MAX, false), read_in(&bytes, piece, false));
        // Of two faults, which is seen first may depend on how much has come.
        prop_assert_eq!(pieces.ok(), whole.ok());
    }
}
