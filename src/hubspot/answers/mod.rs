//! Answers of the upstream, read in one way only: what could be read two ways is refused.
//!
//! A state machine without I/O, the counterpart of the guard that stands before hyper's server. It is the
//! only reader of what comes, so nobody behind it can read it otherwise: no bare LF, no length beside
//! `Transfer-Encoding`, no several lengths, no `gzip, chunked`, no end that only the connection's end says,
//! and interim answers and trailers are taken out, since nobody needs them. What it reads, hyper's client
//! reads with the same status, fields and body: a property test holds it to that.
//!
//! A head that came in one piece costs one search and one look at each of its lines; values and bodies are
//! parts of the buffer they were read into, never copied.
//!
//! Bytes are an answer only after a request was begun ([`Reader::expect`]). What comes unasked, after an
//! answer's end say, spoils the connection: no later request gets it. Bytes that arrive after the next
//! request was begun can't be told from its answer by anybody: HTTP/1.1 has no ids. So it is the
//! pool's part to look at a connection once more before it is used again.
//!
//! What it does not do: judge what an answer says. Statuses, types and bodies are the proxy's.

mod chunks;
#[cfg(test)]
mod differential;
#[cfg(test)]
mod edges;
mod head;
#[cfg(test)]
mod tests;

use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;

use chunks::Chunks;
use head::{Body, Whole};

use crate::answer_fields::{AnswerFields, Name};

/// Longest head. HubSpot's have about 2 KiB; browsers take a quarter of a megabyte.
pub const HEAD_BYTES: usize = 64 * 1024;

/// Most header fields of a head. HubSpot's have about 25.
pub const HEAD_FIELDS: usize = 200;

/// Most interim answers to one request. The gate asks for none (it never sends `Expect`), and an edge
/// that gives early hints gives one.
pub const INTERIM_MOST: u8 = 8;

/// Most bytes of a body that are read at once where its length is known. A TLS record has 16 KiB.
const PIECE_BYTES: usize = 64 * 1024;

/// And where it is not.
const CHUNKED_BYTES: usize = 16 * 1024;

/// And of a head, with what follows it.
const HEAD_AT_ONCE_BYTES: usize = 8 * 1024;

/// What a connection at rest may keep.
const AT_REST_BYTES: usize = 16 * 1024;

/// What is wrong with an answer. The words are ours: nothing of the answer is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Before a request, or after an answer's end.
    #[error("bytes came that answer no request")]
    Unasked,
    /// Longer than the bound, or too many fields.
    #[error("its head is too large")]
    TooLarge,
    /// A line that does not end in CR LF.
    #[error("its head has a line that does not end in CR LF")]
    LineEnding,
    /// Not `HTTP/1.x NNN reason`.
    #[error("its first line is no status line of HTTP/1.1")]
    StatusLine,
    /// Not 200 to 599, and no interim one.
    #[error("its status is none that HTTP knows")]
    Status,
    /// 101: the gate never asks for another protocol.
    #[error("it switches to another protocol, which nobody asked for")]
    Switching,
    /// More than anybody needs.
    #[error("too many interim answers come before it")]
    Interim,
    /// Not `name ":" value`, a folded line, or a control byte.
    #[error("one of its header fields is malformed")]
    Field,
    /// Several lengths, or one that is not 1 to 15 digits.
    #[error("its `Content-Length` is not one number")]
    ContentLength,
    /// Anything but one `chunked`.
    #[error("its `Transfer-Encoding` is not exactly `chunked`")]
    TransferEncoding,
    /// A length beside a transfer coding, or either where there can be no body.
    #[error("it contradicts itself about its length")]
    Framing,
    /// Only the end of the connection would say where the body ends: a body that was cut would look whole.
    #[error("it does not say how long it is")]
    NoLength,
    /// Not a chunk's size alone on its line, or no CR LF after its bytes.
    #[error("its chunks are malformed")]
    Chunk,
}

#[derive(Debug)]
enum State {
    /// Nothing is asked, so nothing may come.
    Silent,
    /// Collecting a head, of whose bytes `scanned` are known to hold no end.
    Head {
        scanned: usize,
        interim: u8,
        bodiless: bool,
    },
    /// A body of which this much is to come.
    Length { left: u64 },
    /// A chunked body.
    Chunked(Chunks),
    /// Where the next answer begins is not known any more.
    Refused(Violation),
}

/// An answer's head.
#[derive(Debug)]
pub struct Head {
    /// 200 to 599.
    pub status: StatusCode,
    /// The fields that are kept, in the order they came.
    pub fields: AnswerFields,
    /// The lines of all fields, as they came.
    pub lines: Bytes,
}

/// The name of a field that is kept in [`Head::fields`], however it is spelled; `None`: it is not.
pub type Names = fn(&[u8]) -> Option<Name>;

/// Reads the answers of one connection, one after the other.
#[derive(Debug)]
pub struct Reader {
    names: Names,
    state: State,
    /// Nothing follows on this connection.
    is_last: bool,
    /// What has come and is not taken.
    buffer: BytesMut,
    /// The buffer's memory is more than what is kept at rest, however little of it is still in use.
    is_large: bool,
}

impl Reader {
    /// A reader of answers of whose fields those are kept that have one of `names`; all are checked.
    pub fn new(names: Names) -> Self {
        Self {
            names,
            state: State::Silent,
            is_last: false,
            buffer: BytesMut::new(),
            is_large: false,
        }
    }

    /// A request is begun; an answer may come. `bodiless`: to `HEAD`.
    pub fn expect(&mut self, bodiless: bool) {
        if self.has_ended() && !self.is_last {
            self.state = State::Head {
                scanned: 0,
                interim: 0,
                bodiless,
            };
        }
    }

    /// Whether no answer is due or under way.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, State::Silent)
    }

    /// Whether the next request may go by this connection: the answer has ended, nothing came behind it, and
    /// it was not to be the last.
    pub fn may_serve_again(&self) -> bool {
        self.has_ended() && !self.is_last && self.buffer.is_empty()
    }

    /// Whether bytes came that answer nothing.
    pub fn has_surplus(&self) -> bool {
        self.has_ended() && !self.buffer.is_empty()
    }

    /// Where what comes is put, with room for as much as is worth reading at once.
    pub fn room(&mut self) -> &mut BytesMut {
        let worth = match self.state {
            State::Length { left } => {
                let left = usize::try_from(left).unwrap_or(usize::MAX);
                left.saturating_sub(self.buffer.len()).clamp(1, PIECE_BYTES)
            }
            State::Chunked(_) => CHUNKED_BYTES,
            State::Silent | State::Head { .. } | State::Refused(_) => HEAD_AT_ONCE_BYTES,
        };
        if self.buffer.capacity() - self.buffer.len() < worth {
            self.buffer.reserve(worth);
            self.is_large |= self.buffer.capacity() > AT_REST_BYTES;
        }
        &mut self.buffer
    }

    /// Lets go of the room, if it is worth it.
    pub fn rest(&mut self) {
        if std::mem::take(&mut self.is_large) {
            self.buffer = BytesMut::new();
        }
    }

    /// How much of the body is to come or be taken; `None`: nobody knows.
    pub fn left(&self) -> Option<u64> {
        match self.state {
            State::Silent => Some(0),
            State::Length { left } => Some(left),
            State::Head { .. } | State::Chunked(_) | State::Refused(_) => None,
        }
    }

    /// The answer's head, once it is whole. Interim answers are taken out. Nothing is read behind a refusal.
    pub fn head(&mut self) -> Result<Option<Head>, Violation> {
        let head = self.read_head();
        self.noted(head)
    }

    /// The next bytes of the body that have come. Trailers are taken out. Nothing is read behind a refusal.
    pub fn piece(&mut self) -> Result<Option<Bytes>, Violation> {
        let piece = self.read_piece();
        self.noted(piece)
    }

    fn noted<T>(&mut self, read: Result<T, Violation>) -> Result<T, Violation> {
        if let Err(violation) = read {
            self.state = State::Refused(violation);
        }
        read
    }

    fn read_head(&mut self) -> Result<Option<Head>, Violation> {
        if let State::Refused(violation) = self.state {
            return Err(violation);
        }
        loop {
            let State::Head {
                scanned,
                interim,
                bodiless,
            } = &mut self.state
            else {
                return match self.has_surplus() {
                    true => Err(Violation::Unasked),
                    false => Ok(None),
                };
            };
            if self.buffer.is_empty() {
                return Ok(None);
            }
            let Some(end) = head::end(&self.buffer, *scanned)? else {
                *scanned = self.buffer.len();
                return Ok(None);
            };
            match head::read(self.buffer.split_to(end).freeze(), *bodiless, self.names)? {
                Whole::Interim if *interim >= INTERIM_MOST => return Err(Violation::Interim),
                Whole::Interim => {
                    *interim += 1;
                    *scanned = 0;
                }
                Whole::Final { head, body, is_last } => {
                    self.is_last = is_last;
                    self.state = match body {
                        Body::Length(0) => State::Silent,
                        Body::Length(left) => State::Length { left },
                        Body::Chunked => State::Chunked(Chunks::default()),
                    };
                    return Ok(Some(head));
                }
            }
        }
    }

    fn read_piece(&mut self) -> Result<Option<Bytes>, Violation> {
        if let State::Refused(violation) = self.state {
            return Err(violation);
        }
        while !self.buffer.is_empty() {
            match &mut self.state {
                State::Silent | State::Head { .. } | State::Refused(_) => break,
                State::Length { left } => {
                    let taken = (self.buffer.len() as u64).min(*left);
                    *left -= taken;
                    if *left == 0 {
                        self.state = State::Silent;
                    }
                    return Ok(Some(self.split(taken)));
                }
                State::Chunked(chunks) => {
                    let run = chunks.walk(&self.buffer)?;
                    if run.ended {
                        self.state = State::Silent;
                    }
                    if run.is_data {
                        return Ok(Some(self.split(run.taken as u64)));
                    }
                    self.buffer.advance(run.taken);
                }
            }
        }
        Ok(None)
    }

    /// The first `count` bytes of the buffer, of which it has as many.
    fn split(&mut self, count: u64) -> Bytes {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.buffer.split_to(count.min(self.buffer.len())).freeze()
    }
}
