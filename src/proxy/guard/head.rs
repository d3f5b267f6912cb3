//! One head, whole: whether it can be read in one way only, and how its body is delimited.
//!
//! Every rule is at least as strict as httparse's and hyper's, so that nothing is left for them to repair
//! or to answer in their own words.

use super::violation::Violation;
use crate::heads::{self, Fault};

/// `http::Uri` holds targets below 65,535 bytes.
const MOST_TARGET_BYTES: usize = 60_000;
/// No method of HTTP's is longer than half of this.
const MOST_METHOD_BYTES: usize = 32;
/// `http::HeaderName` ends at 65,535; nobody's name is longer than a line.
const MOST_NAME_BYTES: usize = 256;
/// A DNS name and a port, with room.
const MOST_HOST_BYTES: usize = 260;
/// Below 10^15: no reader overflows on it.
const MOST_LENGTH_DIGITS: usize = 15;

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// So many bytes.
    Fixed(u64),
    /// By its chunks.
    Chunked,
}

/// Checks a whole head, the empty line at its end included.
pub fn check(head: &[u8], most_fields: usize) -> Result<BodyLength, Violation> {
    let lines = head.strip_suffix(b"\r\n").ok_or(Violation::LineEnding)?;
    let (line, mut lines) = heads::line(lines)?;
    let version = request_line(line)?;
    let mut seen = Framing::default();
    let mut count = 0;
    while !lines.is_empty() {
        if count >= most_fields {
            return Err(Violation::TooLarge);
        }
        let (field, rest) = heads::field(lines)?;
        if field.name.len() > MOST_NAME_BYTES {
            return Err(Violation::Field);
        }
        seen.note(field.name, field.value)?;
        count += 1;
        lines = rest;
    }
    seen.body(version)
}

impl From<Fault> for Violation {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::LineEnding => Violation::LineEnding,
            Fault::Field => Violation::Field,
        }
    }
}

/// The version of a request line, which is as it must be otherwise.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Old,
    /// HTTP/1.1.
    Current,
}

/// Checks a request line without its end.
pub fn request_line(line: &[u8]) -> Result<Version, Violation> {
    let (line, version) = line.split_last_chunk().ok_or(Violation::RequestLine)?;
    let version = match version {
        b" HTTP/1.1" => Version::Current,
        b" HTTP/1.0" => Version::Old,
        _ => return Err(Violation::RequestLine),
    };
    let (method, target) = line
        .split_at_checked(heads::leading_token(line))
        .ok_or(Violation::RequestLine)?;
    let target = target.strip_prefix(b" ").ok_or(Violation::RequestLine)?;
    let classes = shared_classes(target);
    let has_space = classes & TARGET == 0 && target.contains(&b' ');
    if method.is_empty() || method.len() > MOST_METHOD_BYTES || has_space {
        return Err(Violation::RequestLine);
    }
    if method == b"CONNECT" || method == b"TRACE" {
        return Err(Violation::Method);
    }
    check_target(target, classes)?;
    Ok(version)
}

/// A path and a query in printable ASCII, with whole percent escapes. Whatever a URI may not hold but
/// some clients send (`|`, `[`, `"`) is http's to judge: what it does not take hyper would answer itself.
/// `classes`: those of all its bytes.
fn check_target(target: &[u8], classes: u8) -> Result<(), Violation> {
    if target.len() > MOST_TARGET_BYTES {
        return Err(Violation::TooLarge);
    }
    if !target.starts_with(b"/") {
        return Err(
            match target.iter().all(u8::is_ascii_graphic) && !target.is_empty() {
                true => Violation::TargetForm,
                false => Violation::Target,
            },
        );
    }
    if classes & TARGET == 0 {
        let printable = |byte: &u8| byte.is_ascii_graphic() && *byte != b'#';
        if !target.iter().all(printable) || http::Uri::try_from(target).is_err() {
            return Err(Violation::Target);
        }
    }
    if classes & NO_PERCENT != 0 {
        return Ok(());
    }
    let is_hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let whole =
        memchr::memchr_iter(b'%', target).all(|at| is_hex(target.get(at + 1)) && is_hex(target.get(at + 2)));
    if whole { Ok(()) } else { Err(Violation::Target) }
}

/// Space around a value is not part of it; nothing else is cut off.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// What a head has said so far about where its message ends, and for whom it is.
#[derive(Default)]
struct Framing {
    has_host: bool,
    length: Option<u64>,
    chunked: bool,
}

impl Framing {
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Violation> {
        // Told apart by length first: most fields are none of these.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                if self.has_host || !is_host(trim(value)) {
                    return Err(Violation::Host);
                }
                self.has_host = true;
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => return Err(Violation::Upgrade),
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.length.is_some() {
                    return Err(Violation::ContentLength);
                }
                self.length = Some(length(trim(value))?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.chunked || !trim(value).eq_ignore_ascii_case(b"chunked") {
                    return Err(Violation::TransferEncoding);
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn body(self, version: Version) -> Result<BodyLength, Violation> {
        if !self.has_host {
            return Err(Violation::Host);
        }
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Violation::Framing),
            (None, true) if version == Version::Old => Err(Violation::Framing),
            (None, true) => Ok(BodyLength::Chunked),
            (length, false) => Ok(BodyLength::Fixed(length.unwrap_or(0))),
        }
    }
}

/// `host[:port]`: a name, an IPv4 address, or an IPv6 literal in brackets.
fn is_host(value: &[u8]) -> bool {
    if value.len() > MOST_HOST_BYTES {
        return false;
    }
    if let Some(rest) = value.strip_prefix(b"[") {
        let literal = std::str::from_utf8(rest)
            .ok()
            .and_then(|rest| rest.split_once(']'));
        return literal.is_some_and(|(address, port)| {
            address.parse::<std::net::Ipv6Addr>().is_ok() && is_port_or_nothing(port.as_bytes())
        });
    }
    let in_name = |byte: &u8| CLASSES[usize::from(*byte)] & HOST != 0;
    let name = value
        .iter()
        .position(|byte| !in_name(byte))
        .unwrap_or(value.len());
    name > 0 && value.get(name..).is_some_and(is_port_or_nothing)
}

/// What may follow a host.
fn is_port_or_nothing(rest: &[u8]) -> bool {
    let Some(port) = rest.strip_prefix(b":") else {
        return rest.is_empty();
    };
    (1..=5).contains(&port.len())
        && port.iter().all(u8::is_ascii_digit)
        && number(port) <= u64::from(u16::MAX)
}

fn length(value: &[u8]) -> Result<u64, Violation> {
    if value.is_empty() || value.len() > MOST_LENGTH_DIGITS || !value.iter().all(u8::is_ascii_digit) {
        return Err(Violation::ContentLength);
    }
    Ok(number(value))
}

/// The number that a few digits say.
fn number(digits: &[u8]) -> u64 {
    digits
        .iter()
        .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))
}

/// May stand in a target without a doubt.
const TARGET: u8 = 1;
/// May stand in a host's name.
const HOST: u8 = 2;
/// Is not `%`.
const NO_PERCENT: u8 = 4;

/// What each byte may be.
static CLASSES: [u8; 256] = {
    let mut table = [NO_PERCENT; 256];
    let mut byte = 0;
    while byte < table.len() {
        if (byte as u8).is_ascii_alphanumeric() {
            table[byte] |= TARGET | HOST;
        }
        byte += 1;
    }
    table[b'%' as usize] = 0;
    let table = joined(table, TARGET, b"-._~!$&'()*+,;=:@/?%");
    joined(table, HOST, b"-._")
};

const fn joined(mut table: [u8; 256], class: u8, mut bytes: &[u8]) -> [u8; 256] {
    while let [byte, rest @ ..] = bytes {
        table[*byte as usize] |= class;
        bytes = rest;
    }
    table
}

/// The classes that all of `bytes` belong to.
fn shared_classes(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(u8::MAX, |shared, byte| shared & CLASSES[usize::from(*byte)])
}
