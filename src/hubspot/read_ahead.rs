//! An upstream's TCP stream beneath TLS: when much is coming, it is read ahead.
//!
//! rustls asks for 4 KiB at a time, until it knows how long a record is. For an answer of 20 KB that is six system
//! calls; ahead of it they are two. A short answer is read into rustls's own buffer as before, without a copy.
//!
//! What is read ahead are records as they came, sealed. A buffer of 64 KiB is a thread's, lent to the connection that
//! reads; an answer that waits for its client may hold one, and another one is made for the next that reads ahead.
//!
//! What is written in one piece goes by `send`: rustls writes every record as a list of one, and what `writev` is
//! more than that was a fortieth of the kernel's time for a 1 KB read (sampled, 64 connections).

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

/// Read at once: four records, and what a socket has mostly got.
const AHEAD_BYTES: usize = 64 * 1024;

thread_local! {
    /// A buffer that nobody uses.
    static SPARE: Cell<Option<BytesMut>> = const { Cell::new(None) };
}

/// A stream that is read ahead.
#[derive(Debug)]
pub struct ReadAhead<S> {
    stream: S,
    /// What has come and was not asked for, from `taken` on.
    ahead: BytesMut,
    taken: usize,
    /// The last read was given all that it had room for: there is more, most likely.
    is_more_likely: bool,
}

impl<S> ReadAhead<S> {
    /// A stream of which nothing was read.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            ahead: BytesMut::new(),
            taken: 0,
            is_more_likely: false,
        }
    }

    /// Hands out what was read ahead, and gives the buffer back behind its last byte.
    fn hand_out(&mut self, buf: &mut ReadBuf<'_>) {
        let waiting = self.ahead.get(self.taken..).unwrap_or_default();
        let count = waiting.len().min(buf.remaining());
        buf.put_slice(waiting.get(..count).unwrap_or_default());
        self.taken += count;
        if self.taken == self.ahead.len() {
            self.taken = 0;
            let mut spare = std::mem::take(&mut self.ahead);
            spare.clear();
            SPARE.set(Some(spare));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if !this.ahead.is_empty() {
            this.hand_out(buf);
            return Poll::Ready(Ok(()));
        }
        if !this.is_more_likely || buf.remaining() >= AHEAD_BYTES {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            this.is_more_likely = buf.remaining() == 0 && buf.filled().len() > before;
            return Poll::Ready(Ok(()));
        }
        let mut ahead = SPARE.take().unwrap_or_default();
        ahead.reserve(AHEAD_BYTES);
        let read = poll_read_buf(Pin::new(&mut this.stream), cx, &mut ahead);
        let Poll::Ready(Ok(count)) = read else {
            SPARE.set(Some(ahead));
            return read.map_ok(|_| ());
        };
        this.is_more_likely = count >= AHEAD_BYTES;
        this.ahead = ahead;
        this.hand_out(buf);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.get_mut().stream);
        let mut pieces = bufs.iter().filter(|piece| !piece.is_empty());
        match (pieces.next(), pieces.next()) {
            (Some(only), None) => stream.poll_write(cx, only),
            _ => stream.poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Gives what it has, as much as is asked for; then it waits, or says that it has ended.
    struct Source {
        bytes: Vec<u8>,
        has_ended: bool,
        asked: Vec<usize>,
    }

    impl AsyncRead for Source {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.asked.push(buf.remaining());
            if self.bytes.is_empty() && !self.has_ended {
                return Poll::Pending;
            }
            let count = self.bytes.len().min(buf.remaining());
            buf.put_slice(&self.bytes[..count]);
            self.bytes.drain(..count);
            Poll::Ready(Ok(()))
        }
    }

    fn read(from: &mut ReadAhead<Source>, most: usize) -> Poll<Vec<u8>> {
        let mut room = vec![0; most];
        let mut buf = ReadBuf::new(&mut room);
        let read = Pin::new(from).poll_read(&mut Context::from_waker(Waker::noop()), &mut buf);
        read.map(|read| {
            read.unwrap();
            buf.filled().to_vec()
        })
    }

    fn source(bytes: Vec<u8>, has_ended: bool) -> ReadAhead<Source> {
        ReadAhead::new(Source {
            bytes,
            has_ended,
            asked: Vec::new(),
        })
    }

    #[test]
    fn bytes_come_in_order_and_once_however_they_are_asked_for() {
        let all: Vec<u8> = (0..200_000_u32).map(|number| (number % 251) as u8).collect();
        for most in [1, 5, 4_096, 16_406, AHEAD_BYTES, 100_000] {
            let mut from = source(all.clone(), true);
            let mut seen = Vec::new();
            loop {
                match read(&mut from, most) {
                    Poll::Ready(bytes) if bytes.is_empty() => break,
                    Poll::Ready(bytes) => seen.extend_from_slice(&bytes),
                    Poll::Pending => panic!("there is more"),
                }
            }
            assert!(seen == all, "{most}");
        }
    }

    #[test]
    fn a_short_answer_is_asked_for_as_the_reader_asks_and_a_long_one_ahead() {
        let mut from = source(vec![1; 1_500], false);
        assert_eq!(
            read(&mut from, 4_096).map(|bytes| bytes.len()),
            Poll::Ready(1_500)
        );
        assert_eq!(read(&mut from, 4_096), Poll::Pending);
        assert_eq!(from.stream.asked, [4_096, 4_096]);

        let mut from = source(vec![2; 20_000], false);
        let mut left = 20_000;
        while left > 0 {
            let Poll::Ready(bytes) = read(&mut from, 4_096) else {
                panic!("{left} bytes are there")
            };
            left -= bytes.len();
        }
        assert_eq!(read(&mut from, 4_096), Poll::Pending);
        assert_eq!(
            from.stream.asked,
            [4_096, AHEAD_BYTES, 4_096],
            "two reads, and a look"
        );
    }

    #[test]
    fn at_rest_no_buffer_is_kept_and_the_next_reader_has_the_same() {
        let mut from = source(vec![3; 10_000], false);
        while read(&mut from, 4_096).is_ready() {}
        assert_eq!(from.ahead.capacity(), 0);
        let spare = SPARE.take().expect("it was given back");
        assert!(spare.is_empty() && spare.capacity() >= AHEAD_BYTES);
        let place = spare.as_ptr();
        SPARE.set(Some(spare));
        let mut other = source(vec![4; 10_000], false);
        while read(&mut other, 4_096).is_ready() {}
        assert_eq!(SPARE.take().map(|spare| spare.as_ptr()), Some(place));
    }

    #[test]
    fn nothing_is_asked_for_without_room_and_an_end_is_an_end() {
        let mut from = source(vec![5; 4_096], true);
        assert_eq!(read(&mut from, 0), Poll::Ready(Vec::new()));
        assert!(from.stream.asked.is_empty());
        assert_eq!(
            read(&mut from, 4_096).map(|bytes| bytes.len()),
            Poll::Ready(4_096)
        );
        for _ in 0..2 {
            assert_eq!(
                read(&mut from, 4_096),
                Poll::Ready(Vec::new()),
                "also when more was likely"
            );
        }
    }

    /// Takes all that is written, and notes in how many pieces; in one that is no list, 0.
    #[derive(Default)]
    struct Sink {
        bytes: Vec<u8>,
        pieces: Vec<usize>,
    }

    impl AsyncWrite for Sink {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.pieces.push(0);
            self.bytes.extend_from_slice(buf);
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bufs: &[io::IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.pieces.push(bufs.len());
            let before = self.bytes.len();
            bufs.iter().for_each(|piece| self.bytes.extend_from_slice(piece));
            Poll::Ready(Ok(self.bytes.len() - before))
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn one_piece_is_written_as_one_and_several_together() {
        let mut to = ReadAhead::new(Sink::default());
        let lists: [&[&[u8]]; 5] = [&[b"ab"], &[b"", b"c", b""], &[b"d", b"e"], &[b""], &[]];
        for list in lists {
            let pieces: Vec<_> = list.iter().map(|piece| io::IoSlice::new(piece)).collect();
            let cx = &mut Context::from_waker(Waker::noop());
            let Poll::Ready(Ok(count)) = Pin::new(&mut to).poll_write_vectored(cx, &pieces) else {
                panic!("it takes all")
            };
            assert_eq!(count, list.concat().len());
        }
        assert_eq!(to.stream.bytes, b"abcde");
        assert_eq!(to.stream.pieces, [0, 0, 2, 1, 0]);
    }
}
