//! The head of an answer, read line by line, and how long the body behind it is.

use bytes::Bytes;
use http::StatusCode;

use super::{HEAD_BYTES, HEAD_FIELDS, Head, Names, Violation};
use crate::answer_fields::AnswerFields;
use crate::heads::{self, Fault};

/// What a whole head is.
pub(super) enum Whole {
    /// 1xx: another one follows.
    Interim,
    /// The answer's.
    Final {
        head: Head,
        body: Body,
        /// Nothing follows on this connection: HTTP/1.0, or it says so.
        is_last: bool,
    },
}

impl From<Fault> for Violation {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::LineEnding => Violation::LineEnding,
            Fault::Field => Violation::Field,
        }
    }
}

/// What follows a head.
pub(super) enum Body {
    Length(u64),
    Chunked,
}

/// Where the head at the beginning of `bytes` ends; `scanned` bytes of it are known to hold no end.
pub(super) fn end(bytes: &[u8], scanned: usize) -> Result<Option<usize>, Violation> {
    // What begins otherwise is no head, however long one would wait for its end.
    let begins = bytes.len().min(b"HTTP/1.".len());
    if bytes.get(..begins) != b"HTTP/1.".get(..begins) {
        return Err(Violation::StatusLine);
    }
    let from = scanned.saturating_sub(3);
    let fresh = bytes.get(from..).unwrap_or_default();
    match heads::end(fresh) {
        Some(at) if from + at <= HEAD_BYTES => Ok(Some(from + at)),
        Some(_) => Err(Violation::TooLarge),
        None if bytes.len() > HEAD_BYTES => Err(Violation::TooLarge),
        // It would never be seen as the end of a line: say so at once.
        None if has_bare_lf(fresh) => Err(Violation::LineEnding),
        None => Ok(None),
    }
}

/// Whether a LF follows anything but a CR. The first byte is the one before those that are looked at.
fn has_bare_lf(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes)
        .filter(|at| *at > 0)
        .any(|at| bytes.get(at - 1) != Some(&b'\r'))
}

/// Reads a whole head, CR LF CR LF included. `bodiless`: it answers `HEAD`.
pub(super) fn read(head: Bytes, bodiless: bool, names: Names) -> Result<Whole, Violation> {
    let lines = head.strip_suffix(b"\r\n").unwrap_or_default();
    let (line, lines) = heads::line(lines)?;
    let (is_old, status) = read_status_line(line)?;
    let fields = Fields::read(&head, lines, names)?;
    match status {
        101 => return Err(Violation::Switching),
        100..=199 if is_old || fields.length.is_some() || fields.chunked => return Err(Violation::Framing),
        100..=199 => return Ok(Whole::Interim),
        200..=599 => {}
        _ => return Err(Violation::Status),
    }
    Ok(Whole::Final {
        body: fields.body(status, is_old, bodiless)?,
        is_last: is_old || fields.closes,
        head: Head {
            status: StatusCode::from_u16(status).map_err(|_| Violation::Status)?,
            fields: fields.kept,
            lines: head.slice_ref(lines),
        },
    })
}

/// A head's fields, and what of them says where its body and its connection end.
struct Fields {
    kept: AnswerFields,
    length: Option<u64>,
    chunked: bool,
    closes: bool,
}

impl Fields {
    fn read(head: &Bytes, mut lines: &[u8], names: Names) -> Result<Self, Violation> {
        let mut read = Self {
            kept: AnswerFields::of(head.clone()),
            length: None,
            chunked: false,
            closes: false,
        };
        let mut count = 0;
        while !lines.is_empty() {
            let (field, rest) = heads::field(lines)?;
            if count >= HEAD_FIELDS {
                return Err(Violation::TooLarge);
            }
            let value = field.value.trim_ascii();
            read.note(field.name, value)?;
            if let Some(name) = names(field.name) {
                read.kept.push(name, value);
            }
            count += 1;
            lines = rest;
        }
        Ok(read)
    }

    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Violation> {
        // Told apart by length first: most fields are none of these.
        match name.len() {
            10 if name.eq_ignore_ascii_case(b"connection") => {
                let mut words = value.split(|byte| *byte == b',');
                self.closes |= words.any(|word| word.trim_ascii().eq_ignore_ascii_case(b"close"));
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.length.is_some() {
                    return Err(Violation::ContentLength);
                }
                self.length = Some(parse_length(value)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Violation::TransferEncoding);
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn body(&self, status: u16, is_old: bool, bodiless: bool) -> Result<Body, Violation> {
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Violation::Framing),
            (None, true) if is_old => Err(Violation::Framing),
            // RFC 9110 §8.6: a length here is that of an answer to GET.
            (_, false) if bodiless || status == 304 => Ok(Body::Length(0)),
            (None, true) if bodiless => Ok(Body::Length(0)),
            (None | Some(0), false) if status == 204 => Ok(Body::Length(0)),
            _ if matches!(status, 204 | 304) => Err(Violation::Framing),
            (None, true) => Ok(Body::Chunked),
            (Some(length), false) => Ok(Body::Length(length)),
            (None, false) => Err(Violation::NoLength),
        }
    }
}

/// Whether it is HTTP/1.0's, and the status.
fn read_status_line(line: &[u8]) -> Result<(bool, u16), Violation> {
    let (is_old, rest) = if let Some(rest) = line.strip_prefix(b"HTTP/1.1 ") {
        (false, rest)
    } else if let Some(rest) = line.strip_prefix(b"HTTP/1.0 ") {
        (true, rest)
    } else {
        return Err(Violation::StatusLine);
    };
    let (digits, reason) = rest.split_at_checked(3).ok_or(Violation::StatusLine)?;
    let reason_is_fine = match reason.split_first() {
        None => true,
        Some((b' ', words)) => words.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')),
        Some(_) => false,
    };
    if !digits.iter().all(u8::is_ascii_digit) || !reason_is_fine {
        return Err(Violation::StatusLine);
    }
    let status = digits
        .iter()
        .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    Ok((is_old, status))
}

fn parse_length(value: &[u8]) -> Result<u64, Violation> {
    if value.is_empty() || value.len() > 15 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Violation::ContentLength);
    }
    Ok(value
        .iter()
        .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}
