//! The guard of one HTTP/1 connection: what could be read two ways it refuses before anybody reads it.
//!
//! Servers repair or tolerate, invisibly to the service behind them: a `Content-Length` beside
//! `Transfer-Encoding`, bare LF, missing or doubled `Host`, fragments, bytes above 0x7f, chunk
//! extensions. A state machine without I/O: bytes go in by [`Guard::feed`]; what may be handed on comes
//! out by [`Guard::take_head`] and [`Guard::take_piece`], or as it came by [`Guard::take`] where hyper serves
//! behind it (the small listeners), one message after the other. What it passes, hyper reads with the same
//! method, target, fields and body boundary: tests and a fuzz target hold it to that.
//!
//! It follows every body to its end, chunked ones included: where a message ends is known here first, so that
//! a difference between two readers can only ever be a refusal, and a connection may serve on behind any
//! body. It does not judge what a request asks for, and knows no key.

pub mod chunks;
mod head;
pub mod request;
mod violation;

use bytes::{Buf, Bytes, BytesMut};

use self::chunks::Chunks;
use self::head::BodyLength;
pub use self::violation::Violation;
use crate::heads;

/// A buffer that has grown beyond this is given back when it is empty.
const KEPT_BUFFER_BYTES: usize = 16 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Collecting a head.
    Head(Collecting),
    /// Handing on a checked head and then its body: this many bytes.
    Passing { left: u64 },
    /// Handing on a checked head of this many bytes, before a chunked body.
    PassingHead { left: usize },
    /// A chunked body; so many of the buffered bytes are known to be part of it.
    Chunked { chunks: Chunks, known: usize },
    /// What came can't be read: nothing passes any more.
    Refused(Violation),
}

/// How far a head that is not whole has been looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Collecting {
    /// So many bytes hold no end of a head and no bare LF.
    scanned: usize,
    /// An empty line was skipped (RFC 9112 §2.2); there is no second.
    skipped_line: bool,
    /// The request line is whole and good.
    knows_line: bool,
}

/// The guard of one HTTP/1 connection.
#[derive(Debug)]
pub struct Guard {
    state: State,
    buffer: BytesMut,
    /// Bytes of a checked head of which nothing was handed on.
    head: usize,
    heads: u64,
    head_bytes: usize,
    header_fields: usize,
}

impl Guard {
    /// A guard at the start of a connection.
    pub fn new(head_bytes: usize, header_fields: usize) -> Self {
        Self {
            state: State::Head(Collecting::default()),
            buffer: BytesMut::new(),
            head: 0,
            heads: 0,
            head_bytes,
            header_fields,
        }
    }

    /// Where the caller reads new bytes into.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Whether the next byte to be handed on begins a new head: every message so far has been handed on
    /// to its last byte, and a new reader may take over here.
    pub fn at_boundary(&self) -> bool {
        matches!(self.state, State::Head(_))
    }

    /// Heads that were passed, whole or in part.
    pub fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether bytes wait that were read but not handed on.
    pub fn has_buffered(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Gives the buffer back, if nothing is in it and nothing is under way. `false`: there is.
    pub fn give_back_buffer(&mut self) -> bool {
        let is_free = self.at_boundary() && !self.has_buffered();
        if is_free {
            self.buffer = BytesMut::new();
        }
        is_free
    }

    /// Judges what is in the buffer; afterwards [`Guard::passable`] bytes may be handed on.
    pub fn feed(&mut self) -> Result<(), Violation> {
        let fed = match self.state {
            State::Head(collecting) => self.collect(collecting),
            State::Chunked { chunks, known } => self.follow(chunks, known),
            State::Passing { .. } | State::PassingHead { .. } => Ok(()),
            State::Refused(violation) => Err(violation),
        };
        if let Err(violation) = fed {
            self.state = State::Refused(violation);
        }
        fed
    }

    /// Looks for the end of a head, and checks the head when it is there.
    fn collect(&mut self, mut so_far: Collecting) -> Result<(), Violation> {
        if !so_far.skipped_line && !so_far.knows_line && self.buffer.starts_with(b"\r\n") {
            self.buffer.advance(2);
            so_far = Collecting {
                skipped_line: true,
                ..Collecting::default()
            };
        }
        let from = so_far.scanned.saturating_sub(3);
        let fresh = self.buffer.get(from..).unwrap_or_default();
        let end = heads::end(fresh).map(|at| from + at);
        match end {
            Some(end) if end <= self.head_bytes => {
                let head = self.buffer.get(..end).unwrap_or_default();
                self.state = match head::check(head, self.header_fields)? {
                    BodyLength::Fixed(bytes) => State::Passing {
                        left: end as u64 + bytes,
                    },
                    BodyLength::Chunked => State::PassingHead { left: end },
                };
                (self.head, self.heads) = (end, self.heads + 1);
                Ok(())
            }
            None if self.buffer.len() <= self.head_bytes => self.look_ahead(so_far),
            _ => Err(Violation::TooLarge),
        }
    }

    /// A head that is not whole: what is wrong already is said at once, not when its time is over.
    fn look_ahead(&mut self, mut so_far: Collecting) -> Result<(), Violation> {
        let bytes = self.buffer.as_ref();
        for at in memchr::memchr_iter(b'\n', bytes.get(so_far.scanned..).unwrap_or_default()) {
            let at = so_far.scanned + at;
            let line = bytes.get(..at).and_then(|line| line.strip_suffix(b"\r"));
            let line = line.ok_or(Violation::LineEnding)?;
            if !so_far.knows_line {
                head::request_line(line)?;
                so_far.knows_line = true;
            }
        }
        so_far.scanned = bytes.len();
        self.state = State::Head(so_far);
        Ok(())
    }

    /// Reads on in a chunked body.
    fn follow(&mut self, mut chunks: Chunks, known: usize) -> Result<(), Violation> {
        let read = chunks.read(self.buffer.get(known..).unwrap_or_default())?;
        self.state = State::Chunked {
            chunks,
            known: known + read,
        };
        Ok(())
    }

    /// How many buffered bytes may be handed on now.
    pub fn passable(&self) -> usize {
        match self.state {
            State::Head(_) | State::Refused(_) => 0,
            State::Passing { left } => usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len()),
            State::PassingHead { left } => left,
            State::Chunked { known, .. } => known,
        }
    }

    /// Hands on at most `most` passable bytes through `copy`.
    pub fn take(&mut self, most: usize, copy: impl FnOnce(&[u8])) {
        let count = self.passable().min(most);
        copy(self.buffer.get(..count).unwrap_or_default());
        self.buffer.advance(count);
        self.handed_on(count);
    }

    /// Hands on a whole head, if there is one, alone.
    pub fn take_head(&mut self) -> Option<Bytes> {
        (self.head > 0).then(|| self.split(self.head))
    }

    /// Hands on what there is of a body, as it is framed.
    pub fn take_piece(&mut self) -> Bytes {
        self.split(self.passable())
    }

    /// How long the body is of which the next byte is to be handed on; `None`: it is chunked.
    pub fn body_bytes(&self) -> Option<u64> {
        match self.state {
            State::Chunked { .. } => None,
            State::Passing { left } => Some(left),
            State::Head(_) | State::PassingHead { .. } | State::Refused(_) => Some(0),
        }
    }

    fn split(&mut self, count: usize) -> Bytes {
        let bytes = self.buffer.split_to(count).freeze();
        self.handed_on(count);
        bytes
    }

    fn handed_on(&mut self, count: usize) {
        self.head = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_BUFFER_BYTES {
            self.buffer = BytesMut::new();
        }
        let next_head = State::Head(Collecting::default());
        self.state = match self.state {
            State::Passing { left } if left == count as u64 => next_head,
            State::Passing { left } => State::Passing {
                left: left - count as u64,
            },
            State::PassingHead { left } if left == count => State::Chunked {
                chunks: Chunks::default(),
                known: 0,
            },
            State::PassingHead { left } => State::PassingHead { left: left - count },
            State::Chunked { chunks, known } if known == count && chunks.has_ended() => next_head,
            State::Chunked { chunks, known } => State::Chunked {
                chunks,
                known: known - count,
            },
            unchanged @ (State::Head(_) | State::Refused(_)) => unchanged,
        };
    }
}

#[cfg(test)]
mod tests;
