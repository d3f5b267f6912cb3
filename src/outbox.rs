//! What is to be written on an HTTP/1 connection: a head, and the body behind it, framed by its length or in
//! chunks.
//!
//! Small pieces join the head in one buffer, so that a message at hand is one write and one TLS record. Where
//! that buffer has to grow, what it leaves behind is wiped: a head that goes up holds a token.

use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::Body;
use tokio::io::AsyncWrite;
use zeroize::Zeroize;

/// Pieces up to here, what a TLS record has, are copied behind what waits to be written; longer ones are written
/// from where they are.
pub const COPIED_BYTES: usize = 16 * 1024;

/// Most bytes of a chunk's size and of the ends of its lines.
const CHUNK_FRAMING_BYTES: usize = 16 + 4;

/// How a body's end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By the length in the head, of which this much is to come.
    Length {
        /// Bytes.
        left: u64,
    },
    /// By an empty chunk.
    Chunked,
    /// By the connection's end: only for those who know no chunks.
    Close,
}

impl Framing {
    /// The framing of a body of this length, as far as it is known.
    pub fn of(length: Option<u64>) -> Self {
        length.map_or(Self::Chunked, |left| Self::Length { left })
    }
}

/// Why a body can't be written to its end.
#[derive(Debug)]
pub enum Broken<E> {
    /// It failed by itself.
    Body(E),
    /// It is not as long as it said.
    Length,
}

/// Bytes that wait to be written.
#[derive(Debug)]
pub struct Outbox {
    /// Written before `piece`. Kept from message to message.
    buffer: Vec<u8>,
    /// How much of it is written.
    written: usize,
    /// A long piece of the body.
    piece: Bytes,
    /// Written after it.
    tail: &'static [u8],
    framing: Framing,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            buffer: Vec::new(),
            written: 0,
            piece: Bytes::new(),
            tail: b"",
            framing: Framing::Length { left: 0 },
        }
    }
}

impl Outbox {
    /// Where a head is written to.
    pub fn head(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Adds to the head.
    pub fn push(&mut self, bytes: &[u8]) {
        self.push_all(&[bytes]);
    }

    /// Adds all of these to the head.
    #[inline]
    pub fn push_all(&mut self, parts: &[&[u8]]) {
        self.reserve(parts.iter().map(|part| part.len()).sum());
        for part in parts {
            self.buffer.extend_from_slice(part);
        }
    }

    /// Room for so many bytes more.
    fn reserve(&mut self, more: usize) {
        if self.buffer.capacity() - self.buffer.len() < more {
            drop(grow(&mut self.buffer, more));
        }
    }

    /// What follows the head is framed so.
    pub fn begin_body(&mut self, framing: Framing) {
        self.framing = framing;
    }

    /// How the body's end is told.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether all that waits is one short buffer of which nothing is written.
    pub fn is_one_record(&self) -> bool {
        self.written == 0 && self.piece.is_empty() && self.buffer.len() <= COPIED_BYTES
    }

    /// Takes pieces of `body` as long as there is room, and the body when it has ended; whether the next piece
    /// is waited for.
    pub fn fill<B: Body<Data = Bytes> + Unpin>(
        &mut self,
        body: &mut Option<B>,
        cx: &mut Context<'_>,
    ) -> Result<bool, Broken<B::Error>> {
        while let Some(source) = body.as_mut()
            && self.tail.is_empty()
            && self.piece.is_empty()
            && self.buffer.len() < COPIED_BYTES
        {
            let ended = match Pin::new(&mut *source).poll_frame(cx) {
                Poll::Pending => return Ok(true),
                Poll::Ready(Some(Err(error))) => return Err(Broken::Body(error)),
                Poll::Ready(None) => true,
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers are not passed on.
                    if let Ok(data) = frame.into_data() {
                        self.add(data).ok_or(Broken::Length)?;
                    }
                    source.is_end_stream()
                }
            };
            if ended {
                *body = None;
                self.end().ok_or(Broken::Length)?;
            }
        }
        Ok(false)
    }

    /// A piece of the body. `None`: more than was said.
    fn add(&mut self, data: Bytes) -> Option<()> {
        if data.is_empty() {
            return Some(());
        }
        let is_long = data.len() > COPIED_BYTES;
        self.reserve(CHUNK_FRAMING_BYTES + if is_long { 0 } else { data.len() });
        let behind: &[u8] = match &mut self.framing {
            Framing::Length { left } => {
                *left = left.checked_sub(data.len() as u64)?;
                b""
            }
            Framing::Chunked => {
                // To a vector: nothing fails.
                let _ = write!(self.buffer, "{:x}\r\n", data.len());
                b"\r\n"
            }
            Framing::Close => b"",
        };
        if is_long {
            (self.piece, self.tail) = (data, behind);
        } else {
            self.buffer.extend_from_slice(&data);
            self.buffer.extend_from_slice(behind);
        }
        Some(())
    }

    /// The body's end. `None`: less than was said.
    fn end(&mut self) -> Option<()> {
        match self.framing {
            Framing::Length { left: 0 } | Framing::Close => {}
            Framing::Length { .. } => return None,
            Framing::Chunked if self.piece.is_empty() => self.push(b"0\r\n\r\n"),
            Framing::Chunked => self.tail = b"\r\n0\r\n\r\n",
        }
        Some(())
    }

    /// What waits to be written, in this order; some of it may be empty.
    fn waiting(&self) -> [&[u8]; 3] {
        let buffer = self.buffer.get(self.written..).unwrap_or_default();
        [buffer, &self.piece, self.tail]
    }

    /// Whether nothing waits.
    pub fn is_written(&self) -> bool {
        self.waiting().iter().all(|bytes| bytes.is_empty())
    }

    /// Writes as much as may be written now: a head and the long piece behind it in one system call.
    pub fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let waiting = self.waiting();
        let mut parts = waiting.iter().filter(|bytes| !bytes.is_empty());
        let count = match (parts.next(), parts.next()) {
            (None, _) => return Poll::Ready(Ok(())),
            (Some(_), Some(_)) if stream.is_write_vectored() => {
                let slices = waiting.map(IoSlice::new);
                ready!(Pin::new(stream).poll_write_vectored(cx, &slices))?
            }
            (Some(first), _) => ready!(Pin::new(stream).poll_write(cx, first))?,
        };
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(count);
        Poll::Ready(Ok(()))
    }

    /// So many bytes of what waits are written.
    fn advance(&mut self, count: usize) {
        let of_buffer = count.min(self.buffer.len() - self.written);
        self.written += of_buffer;
        let of_piece = (count - of_buffer).min(self.piece.len());
        self.piece.advance(of_piece);
        self.tail = self.tail.get(count - of_buffer - of_piece..).unwrap_or_default();
    }

    /// Forgets all that waits.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.written = 0;
        self.piece = Bytes::new();
        self.tail = b"";
    }
}

/// Moves `buffer` to where there is room for so many bytes more. What is left is wiped.
fn grow(buffer: &mut Vec<u8>, more: usize) -> Vec<u8> {
    let room = (buffer.len() + more).max(buffer.capacity() * 2);
    let mut larger = Vec::with_capacity(room);
    larger.extend_from_slice(buffer);
    let mut left = std::mem::replace(buffer, larger);
    left.as_mut_slice().zeroize();
    left
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;

    type Frames = Vec<Result<Frame<Bytes>, &'static str>>;

    fn body(frames: Frames) -> Option<impl Body<Data = Bytes, Error = &'static str> + Unpin> {
        Some(StreamBody::new(futures_util::stream::iter(frames)))
    }

    fn data(bytes: &[u8]) -> Result<Frame<Bytes>, &'static str> {
        Ok(Frame::data(Bytes::copy_from_slice(bytes)))
    }

    /// All that is written of a body, so many bytes at a time.
    fn written(framing: Framing, frames: Frames, at_once: usize) -> Result<Vec<u8>, Broken<&'static str>> {
        let mut outbox = Outbox::default();
        outbox.head().extend_from_slice(b"head\r\n\r\n");
        outbox.begin_body(framing);
        let (mut body, mut all) = (body(frames), Vec::new());
        while body.is_some() {
            assert!(!outbox.fill(&mut body, &mut Context::from_waker(Waker::noop()))?);
            while !outbox.is_written() {
                let waiting = outbox.waiting().concat();
                let count = waiting.len().min(at_once);
                all.extend_from_slice(&waiting[..count]);
                outbox.advance(count);
            }
            outbox.clear();
        }
        Ok(all)
    }

    #[test]
    fn a_body_is_written_in_its_framing_whatever_its_pieces_are() {
        let long = vec![b'x'; COPIED_BYTES + 1];
        let frames = || vec![data(b"ab"), data(b""), data(&long), data(b"c")];
        let plain = [b"head\r\n\r\nab", &long[..], b"c"].concat();
        let chunked = [
            b"head\r\n\r\n2\r\nab\r\n4001\r\n",
            &long[..],
            b"\r\n1\r\nc\r\n0\r\n\r\n",
        ]
        .concat();
        for at_once in [1, 7, 1_000, usize::MAX] {
            let left = long.len() as u64 + 3;
            let by_length = written(Framing::Length { left }, frames(), at_once);
            assert!(by_length.unwrap() == plain);
            assert!(written(Framing::Chunked, frames(), at_once).unwrap() == chunked);
            assert!(written(Framing::Close, frames(), at_once).unwrap() == plain);
            let last_is_long = vec![data(&long)];
            let expected = [b"head\r\n\r\n4001\r\n", &long[..], b"\r\n0\r\n\r\n"].concat();
            assert!(written(Framing::Chunked, last_is_long, at_once).unwrap() == expected);
            let empty = written(Framing::Chunked, Vec::new(), at_once);
            assert_eq!(empty.unwrap(), b"head\r\n\r\n0\r\n\r\n");
        }
    }

    #[test]
    fn a_long_piece_that_is_known_to_be_the_last_is_followed_by_the_end() {
        let long = vec![b'x'; COPIED_BYTES + 1];
        let mut outbox = Outbox::default();
        outbox.begin_body(Framing::Chunked);
        let (mut body, mut all) = (Some(Full::new(Bytes::from(long.clone()))), Vec::new());
        assert!(
            !outbox
                .fill(&mut body, &mut Context::from_waker(Waker::noop()))
                .unwrap()
        );
        assert!(body.is_none(), "it says itself that it has ended");
        all.extend_from_slice(&outbox.waiting().concat());
        assert!(all == [b"4001\r\n", &long[..], b"\r\n0\r\n\r\n"].concat());
    }

    #[test]
    fn a_body_that_is_longer_or_shorter_than_it_says_or_fails_is_not_ended() {
        for left in [1, 3] {
            let broken = written(Framing::Length { left }, vec![data(b"ab")], 9);
            assert!(matches!(broken, Err(Broken::Length)), "{left}");
        }
        for framing in [Framing::Length { left: 2 }, Framing::Chunked, Framing::Close] {
            let broken = written(framing, vec![data(b"a"), Err("gone")], 9);
            assert!(matches!(broken, Err(Broken::Body("gone"))), "{framing:?}");
        }
    }

    #[test]
    fn a_buffer_that_grows_leaves_nothing_behind() {
        let mut buffer = b"Bearer canary".to_vec();
        let left = grow(&mut buffer, 100);
        assert_eq!(
            (buffer.as_slice(), left.as_slice()),
            (&b"Bearer canary"[..], &[0; 13][..])
        );
        assert!(buffer.capacity() >= 113);
    }

    #[test]
    fn whatever_joins_the_head_finds_room_made_for_it() {
        for framing in [
            Framing::Length { left: 1 << 20 },
            Framing::Chunked,
            Framing::Close,
        ] {
            for length in [1, 15, 16, 4_000, COPIED_BYTES, COPIED_BYTES + 1] {
                let mut outbox = Outbox::default();
                outbox.push(b"h");
                outbox.begin_body(framing);
                outbox.buffer.shrink_to_fit();
                outbox.add(vec![b'y'; length].into()).unwrap();
                // Grown once, by its own way: a vector that grows by itself wipes nothing, and doubles.
                let joined = if length > COPIED_BYTES { 0 } else { length };
                let room = 1 + CHUNK_FRAMING_BYTES + joined;
                assert_eq!(outbox.buffer.capacity(), room, "{framing:?} {length}");
            }
        }
    }

    #[test]
    fn a_long_piece_is_not_copied_and_nothing_is_asked_for_behind_it() {
        let long = Bytes::from(vec![b'x'; COPIED_BYTES + 1]);
        let mut outbox = Outbox::default();
        outbox.begin_body(Framing::Chunked);
        let mut frames = body(vec![Ok(Frame::data(long.clone())), Err("asked too early")]);
        assert!(outbox.is_one_record());
        assert!(
            !outbox
                .fill(&mut frames, &mut Context::from_waker(Waker::noop()))
                .unwrap()
        );
        assert!(!outbox.is_one_record());
        let [buffer, piece, tail] = outbox.waiting();
        assert_eq!((buffer, tail), (&b"4001\r\n"[..], &b"\r\n"[..]));
        assert_eq!(piece.as_ptr(), long.as_ptr());
    }

    /// Takes so many bytes of each write, and counts them.
    struct Narrow {
        taken: Vec<u8>,
        writes: usize,
        at_once: usize,
        is_vectored: bool,
    }

    impl AsyncWrite for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let count = bytes.len().min(self.at_once);
            self.taken.extend_from_slice(&bytes[..count]);
            self.writes += 1;
            Poll::Ready(Ok(count))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            self.poll_write(cx, &all)
        }

        fn is_write_vectored(&self) -> bool {
            self.is_vectored
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn a_head_and_the_long_piece_behind_it_are_one_write_where_that_can_be() {
        let long = vec![b'x'; COPIED_BYTES + 1];
        let expected = [b"head\r\n\r\n4001\r\n", &long[..], b"\r\n"].concat();
        for (at_once, is_vectored, writes) in [
            (usize::MAX, true, 1),
            (usize::MAX, false, 3),
            (7, true, expected.len().div_ceil(7)),
            (0, true, 1),
        ] {
            let mut outbox = Outbox::default();
            outbox.push(b"head\r\n\r\n");
            outbox.begin_body(Framing::Chunked);
            outbox.add(long.clone().into()).unwrap();
            let (mut cx, mut to) = (
                Context::from_waker(Waker::noop()),
                Narrow {
                    taken: Vec::new(),
                    writes: 0,
                    at_once,
                    is_vectored,
                },
            );
            let mut written = Poll::Ready(Ok(()));
            while !outbox.is_written() && matches!(written, Poll::Ready(Ok(()))) {
                written = outbox.poll_write(&mut to, &mut cx);
            }
            assert_eq!(to.writes, writes);
            match at_once {
                0 => assert!(
                    matches!(written, Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::WriteZero)
                ),
                _ => assert!(to.taken == expected),
            }
        }
    }
}
