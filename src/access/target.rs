//! The request's method and target, canonical: decoded once, judged in that form, and written back
//! from it. No byte sequence of the client's travels (design.md §3, items 1 and 2).
//!
//! Accepted although not canonical: one trailing slash (dropped) and percent-encoding of what needs
//! none (decoded). Everything two parsers might read differently is refused.

use smallvec::SmallVec;

use super::key;
use super::query::Query;
use super::refusal::{Reason, Refusal};

/// Longest target, as it comes and as it goes up: extractors put the names of 400 properties into a query, 8 to 10 KB.
pub const TARGET_BYTES: usize = 32 * 1024;

/// Most path segments. The longest template has twelve; the rest is room for file paths.
pub const SEGMENTS: usize = 64;

/// The methods HubSpot's API has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Reads, in HubSpot's API without exception.
    Get,
    /// Creates; also searches and batch reads.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Archives or deletes.
    Delete,
}

impl Method {
    /// Case-sensitive, as RFC 9110 §9.1 says.
    pub fn parse(method: &str) -> Option<Self> {
        Some(match method {
            "GET" => Method::Get,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            _ => return None,
        })
    }

    /// As it goes on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// A method and a target that mean one thing only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    method: Method,
    /// The decoded segments, joined by `/`, none of which holds a `/`.
    path: String,
    /// End of each segment in `path`.
    ends: SmallVec<[u16; 16]>,
    /// Whether a segment holds a byte that must be encoded on the wire.
    encoded: bool,
    query: Query,
}

impl Target {
    /// Reads a method and an origin-form target (`/path?query`) as they came.
    pub fn parse(method: &str, target: &str) -> Result<Self, Refusal> {
        let method = Method::parse(method).ok_or(BAD_METHOD)?;
        if target.len() > TARGET_BYTES {
            return Err(TOO_LONG);
        }
        if !target.starts_with('/') {
            return Err(NOT_ORIGIN_FORM);
        }
        let (path, query) = match memchr::memchr(b'?', target.as_bytes()) {
            Some(at) => (target.get(..at).unwrap_or_default(), target.get(at + 1..)),
            None => (target, None),
        };
        let mut parsed = Self {
            method,
            path: String::with_capacity(path.len()),
            ends: SmallVec::new(),
            encoded: false,
            query: Query::parse(query.unwrap_or(""))?,
        };
        parsed.read_path(path)?;
        // Each byte that must be escaped is three afterwards: what goes up can be read again, or is refused here.
        if target.len() > TARGET_BYTES / 3 && parsed.path_and_query().len() > TARGET_BYTES {
            return Err(TOO_LONG);
        }
        Ok(parsed)
    }

    fn read_path(&mut self, path: &str) -> Result<(), Refusal> {
        if path.starts_with("//") {
            return Err(LEADING_DOUBLE_SLASH);
        }
        let inner = path.strip_prefix('/').unwrap_or(path);
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        if inner.is_empty() {
            return Ok(());
        }
        if inner.bytes().all(|byte| byte == b'/' || is_unreserved(byte)) {
            return self.read_plain(inner);
        }
        for segment in inner.split('/') {
            if !self.ends.is_empty() {
                self.path.push('/');
            }
            let start = self.path.len();
            self.read_segment(segment)?;
            self.end_segment(start)?;
        }
        Ok(())
    }

    /// A path in which nothing has to be decoded: nearly every one.
    fn read_plain(&mut self, inner: &str) -> Result<(), Refusal> {
        let mut start = 0;
        for (at, byte) in inner.bytes().enumerate() {
            if byte == b'/' {
                self.path.push_str(inner.get(start..at).unwrap_or_default());
                self.end_segment(start)?;
                self.path.push('/');
                start = at + 1;
            }
        }
        self.path.push_str(inner.get(start..).unwrap_or_default());
        self.end_segment(start)
    }

    /// The segment that begins at `start` is whole.
    fn end_segment(&mut self, start: usize) -> Result<(), Refusal> {
        match self.path.get(start..) {
            _ if self.ends.len() == SEGMENTS => Err(TOO_MANY_SEGMENTS),
            None | Some("") => Err(EMPTY_SEGMENT),
            Some("." | "..") => Err(DOT_SEGMENT),
            Some(_) => {
                // The target's bound is below 65,536, and decoding never lengthens.
                let end = u16::try_from(self.path.len()).map_err(|_| TOO_LONG)?;
                self.ends.push(end);
                Ok(())
            }
        }
    }

    fn read_segment(&mut self, segment: &str) -> Result<(), Refusal> {
        let mut bytes = Vec::with_capacity(segment.len());
        let mut rest = segment.bytes();
        while let Some(byte) = rest.next() {
            match byte {
                b'%' => bytes.push(decode(rest.next(), rest.next()).ok_or(BAD_ENCODING)?),
                // RFC 3986 §3.3 `pchar`, without `;`, which servers read as a parameter of the path.
                _ if is_unreserved(byte) => bytes.push(byte),
                b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@' => {
                    bytes.push(byte)
                }
                _ => return Err(BAD_PATH_BYTE),
            }
        }
        let decoded = std::str::from_utf8(&bytes).map_err(|_| BAD_ENCODING)?;
        for character in decoded.chars() {
            match character {
                '/' | '\\' => return Err(ENCODED_SLASH),
                '%' | '?' | '#' | ';' => return Err(ENCODED_DELIMITER),
                c if c.is_control() => return Err(BAD_PATH_BYTE),
                _ => {}
            }
        }
        self.encoded |= !bytes.iter().copied().all(is_unreserved);
        self.path.push_str(decoded);
        Ok(())
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The query.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// How many path segments there are; none for `/`.
    pub fn segment_count(&self) -> usize {
        self.ends.len()
    }

    /// A decoded segment, counted from 0. Never empty, never `.` or `..`.
    pub fn segment(&self, index: usize) -> Option<&str> {
        let end = usize::from(*self.ends.get(index)?);
        let start = match index.checked_sub(1) {
            Some(before) => usize::from(*self.ends.get(before)?) + 1,
            None => 0,
        };
        self.path.get(start..end)
    }

    /// The decoded segments.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().filter_map(move |end| {
            let segment = self.path.get(start..usize::from(*end));
            start = usize::from(*end) + 1;
            segment
        })
    }

    /// Refuses a target that holds a key of the gate: a key is for the gate alone, and goes to no
    /// upstream, whatever opens the operation.
    pub fn check_holds_no_key(&self) -> Result<(), Refusal> {
        if self.segments().any(key::stands_in) {
            return Err(KEY_IN_PATH);
        }
        let mut parameters = self.query.iter();
        match parameters.any(|(name, value)| key::stands_in(name) || key::stands_in(value)) {
            true => Err(KEY_IN_QUERY),
            false => Ok(()),
        }
    }

    /// What is forwarded: every byte but the unreserved ones (RFC 3986 §2.3) percent-encoded.
    pub fn path_and_query(&self) -> String {
        self.path_with(&self.query)
    }

    /// What is forwarded, with another query.
    pub fn path_with(&self, query: &Query) -> String {
        let mut out = String::with_capacity(self.path.len() + 1 + query.encoded_len_hint());
        out.push('/');
        if self.encoded {
            for (index, segment) in self.segments().enumerate() {
                if index > 0 {
                    out.push('/');
                }
                encode_into(&mut out, segment);
            }
        } else {
            out.push_str(&self.path);
        }
        query.write(&mut out);
        out
    }
}

/// RFC 3986 §2.3.
pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The byte two hexadecimal digits stand for.
pub(super) fn decode(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// Writes `text`, everything but unreserved bytes percent-encoded.
pub(super) fn encode_into(out: &mut String, text: &str) {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    let hex = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or('0');
    let mut rest = text;
    // Mostly all of it is plain.
    while let Some(at) = rest.bytes().position(|byte| !is_unreserved(byte)) {
        let (plain, others) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(plain);
        let end = others.bytes().position(is_unreserved).unwrap_or(others.len());
        for byte in others.bytes().take(end) {
            out.extend(['%', hex(byte >> 4), hex(byte & 15)]);
        }
        // An unreserved byte is a character of its own, so that one begins there.
        rest = others.get(end..).unwrap_or_default();
    }
    out.push_str(rest);
}

const fn path(cause: &'static str, remedy: &'static str) -> Refusal {
    Refusal::new(Reason::RefusedPath, cause, remedy)
}

const BAD_METHOD: Refusal = Refusal::new(
    Reason::RefusedMethod,
    "the method is not one that HubSpot's API has",
    "use GET, POST, PUT, PATCH or DELETE, in capitals",
);
const TOO_LONG: Refusal = path(
    "the target is longer than 32 KiB",
    "ask for fewer properties at once, or use a batch or search operation, whose list stands in the body",
);
const TOO_MANY_SEGMENTS: Refusal = path("the path has more than 64 segments", "shorten the path");
const NOT_ORIGIN_FORM: Refusal = path(
    "the target does not begin with a slash",
    "send the path and query alone; the gate chooses the host",
);
const LEADING_DOUBLE_SLASH: Refusal = path(
    "the path begins with two slashes",
    "remove the trailing slash from the base URL in the client's settings",
);
const EMPTY_SEGMENT: Refusal = path(
    "the path has an empty segment",
    "remove the doubled slash; an empty id or name may have been put into the path",
);
const DOT_SEGMENT: Refusal = path(
    "the path has a dot segment",
    "send the path without `.` and `..` segments",
);
const BAD_ENCODING: Refusal = path(
    "the path has a percent-encoding that is incomplete or not UTF-8",
    "percent-encode the UTF-8 bytes of each segment, once",
);
const ENCODED_SLASH: Refusal = path(
    "a path segment has an encoded slash or backslash",
    "a segment can't hold a slash; for the path of a file send plain slashes",
);
const ENCODED_DELIMITER: Refusal = path(
    "a path segment has an encoded `%`, `?`, `#` or `;`",
    "encode once, not twice; a name with such a character can't stand in the path",
);
const BAD_PATH_BYTE: Refusal = path(
    "the path has a control character or a byte that must be percent-encoded",
    "percent-encode each segment; control characters, backslashes and `;` are never accepted",
);

const KEY_IN_PATH: Refusal = path(
    "the path holds a key of the gate, which never goes upstream",
    "ask about a key at `/oauth/v1/access-tokens/{key}`, which the gate answers; else send it as bearer token only",
);
const KEY_IN_QUERY: Refusal = Refusal::new(
    Reason::RefusedQuery,
    "the query holds a key of the gate, which never goes upstream",
    "send the key as bearer token only",
);

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
