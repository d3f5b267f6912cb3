//! `multipart/form-data` of an import, read strictly and piece by piece (RFC 7578, RFC 2046 §5.1): bytes
//! in, parts out, resumable at any byte.
//!
//! What parsers disagree on is refused: a preamble, an epilogue, padding behind a boundary, folded or
//! unknown header fields, encoded names, nested multiparts. Exactly one part `importRequest` may come,
//! and no part but it and `files`. What goes up is written anew from what was read here.

mod head;
mod rebuild;

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem::Finder;

pub use head::{Part, content_type_boundary};
pub use rebuild::Rebuild;

use super::json::JudgedBody;
use super::refusal::{Reason, Refusal};

/// Largest block of header fields of one part: a name, a file's name, a type.
const HEAD_BYTES: usize = 4 * 1024;
/// Most parts of one body: HubSpot takes a file per object type, and has fewer types than this.
const PARTS: usize = 64;

/// What is wrong with a multipart body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Another content type, or none.
    #[error("the body is no multipart/form-data with one plain boundary")]
    ContentType,
    /// Broken framing: preamble, epilogue, a cut, a boundary that is none.
    #[error("the multipart body is not whole, or holds more than its parts")]
    Framing,
    /// A part's header fields.
    #[error("a part's header fields are not plain")]
    Head,
    /// A part that is neither `importRequest` nor `files`.
    #[error("a part has another name than `importRequest` or `files`")]
    Name,
    /// The name of a file.
    #[error("a file's name is missing, or is not plain")]
    FileName,
    /// A second `importRequest`.
    #[error("`importRequest` stands twice")]
    SecondRequest,
    /// No `importRequest` at all.
    #[error("there is no `importRequest`")]
    NoRequest,
}

impl Fault {
    /// What the caller is told.
    pub const fn refusal(self) -> Refusal {
        let (cause, remedy) = match self {
            Fault::ContentType => (
                "the body of an import must be multipart/form-data with one plain boundary",
                "send it as `multipart/form-data; boundary=…`, without other parameters",
            ),
            Fault::Framing => (
                "the multipart body is not whole, or holds bytes that belong to no part",
                "begin it with a boundary and end it with the final one; build it with a standard HTTP client",
            ),
            Fault::Head => (
                "a part has header fields that can be read in more than one way",
                "send `Content-Disposition: form-data` and at most a plain `Content-Type`, in UTF-8, uncoded",
            ),
            Fault::Name => (
                "an import has the parts `importRequest` and `files` and no others",
                "write both names exactly so, and leave other parts out",
            ),
            Fault::FileName => (
                "a file has no name, or one with quotes, slashes, `;`, `=` or control characters",
                "name the file as `importRequest` names it, in plain characters",
            ),
            Fault::SecondRequest => (
                "`importRequest` stands twice",
                "send it once: the import is decided by it",
            ),
            Fault::NoRequest => (
                "the part `importRequest` is missing",
                "send it as the first part: the import is decided by it",
            ),
        };
        Refusal::new(Reason::RefusedBody, cause, remedy)
    }
}

/// A piece of a multipart body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A part begins.
    Head(Part),
    /// Some of its bytes.
    Data(Bytes),
    /// It has ended.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before anything came.
    Start,
    /// At the first boundary.
    Boundary,
    /// A part's header fields.
    Head,
    /// A part's bytes.
    Data,
    /// After the final boundary.
    Epilogue,
}

/// Splits a body into its parts. Holds at most one part's head, or as many bytes as a boundary has,
/// beside what was pushed and not yet taken.
pub struct Splitter {
    /// `CRLF--boundary`.
    delimiter: Finder<'static>,
    buffer: BytesMut,
    state: State,
    parts: usize,
    has_request: bool,
}

impl Splitter {
    /// Splits a body of this content type.
    pub fn new(content_type: Option<&str>) -> Result<Self, Fault> {
        let boundary = content_type_boundary(content_type).ok_or(Fault::ContentType)?;
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        Ok(Self {
            delimiter: Finder::new(&delimiter).into_owned(),
            // The first boundary stands at a line's start without a line before it.
            buffer: BytesMut::from(&b"\r\n"[..]),
            state: State::Start,
            parts: 0,
            has_request: false,
        })
    }

    /// Takes more of the body.
    pub fn push(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    /// The next piece; `None` until more is pushed. After a fault there is no next one.
    pub fn next_piece(&mut self) -> Result<Option<Piece>, Fault> {
        loop {
            match self.state {
                // One line end may stand before the first boundary: it is what the buffer began with.
                State::Start if b"\r\n\r\n".starts_with(&self.buffer) && self.buffer.len() < 4 => {
                    return Ok(None);
                }
                State::Start => {
                    if self.buffer.starts_with(b"\r\n\r\n") {
                        self.buffer.advance(2);
                    }
                    self.state = State::Boundary;
                }
                State::Boundary => {
                    if !self.delimiter_passed()? {
                        return Ok(None);
                    }
                }
                State::Head => return self.head(),
                State::Data => return self.data(),
                State::Epilogue if b"\r\n".starts_with(&self.buffer) => return Ok(None),
                State::Epilogue => return Err(Fault::Framing),
            }
        }
    }

    /// The body has ended: whether all of it came, an `importRequest` among it.
    pub fn finish(&self) -> Result<(), Fault> {
        match self.state {
            State::Epilogue if !self.has_request => Err(Fault::NoRequest),
            State::Epilogue if self.buffer.is_empty() || *self.buffer == *b"\r\n" => Ok(()),
            _ => Err(Fault::Framing),
        }
    }

    /// At a delimiter: whether all of its line is there. `false` = too early to tell.
    fn delimiter_passed(&mut self) -> Result<bool, Fault> {
        let delimiter = self.delimiter.needle();
        let shared = delimiter.len().min(self.buffer.len());
        if self.buffer.get(..shared) != delimiter.get(..shared) {
            return Err(Fault::Framing);
        }
        let Some(end) = self.buffer.get(delimiter.len()..delimiter.len() + 2) else {
            return Ok(false);
        };
        self.state = match end {
            b"\r\n" => State::Head,
            b"--" => State::Epilogue,
            _ => return Err(Fault::Framing),
        };
        self.buffer.advance(delimiter.len() + 2);
        Ok(true)
    }

    fn head(&mut self) -> Result<Option<Piece>, Fault> {
        let window = self.buffer.get(..HEAD_BYTES).unwrap_or(&self.buffer);
        let Some(end) = memchr::memmem::find(window, b"\r\n\r\n") else {
            return match window.len() < HEAD_BYTES {
                true => Ok(None),
                false => Err(Fault::Head),
            };
        };
        self.parts += 1;
        if self.parts > PARTS {
            return Err(Fault::Framing);
        }
        let part = Part::read(window.get(..end).unwrap_or_default())?;
        if matches!(part, Part::Request { .. }) && std::mem::replace(&mut self.has_request, true) {
            return Err(Fault::SecondRequest);
        }
        self.buffer.advance(end + 4);
        self.state = State::Data;
        Ok(Some(Piece::Head(part)))
    }

    fn data(&mut self) -> Result<Option<Piece>, Fault> {
        let ready = match self.delimiter.find(&self.buffer) {
            Some(0) => return Ok(self.delimiter_passed()?.then_some(Piece::End)),
            Some(at) => at,
            // What may begin a delimiter waits for what follows.
            None => self
                .buffer
                .len()
                .saturating_sub(self.delimiter.needle().len() - 1),
        };
        Ok((ready > 0).then(|| Piece::Data(self.buffer.split_to(ready).freeze())))
    }
}

/// The `importRequest` of a whole multipart body, for those who have one at hand.
pub fn import_request(body: &[u8], content_type: Option<&str>) -> Result<JudgedBody, Refusal> {
    let mut splitter = Splitter::new(content_type).map_err(Fault::refusal)?;
    splitter.push(body);
    let mut text = Vec::new();
    let mut is_request = false;
    while let Some(piece) = splitter.next_piece().map_err(Fault::refusal)? {
        match piece {
            Piece::Head(part) => is_request = matches!(part, Part::Request { .. }),
            Piece::Data(data) if is_request => text.extend_from_slice(&data),
            Piece::Data(_) | Piece::End => {}
        }
    }
    splitter.finish().map_err(Fault::refusal)?;
    JudgedBody::parse(&text)
}

#[cfg(test)]
mod tests;
