//! The head guard: what it passes, hyper reads with the same method, target, fields and body
//! boundary; what could be read two ways it refuses before hyper sees a byte of it.
//!
//! hyper repairs or tolerates, invisibly to the service behind it: a `Content-Length` beside
//! `Transfer-Encoding`, bare LF, missing or doubled `Host`, fragments, bytes above 0x7f. A state
//! machine without I/O: bytes go in by [`Guard::feed`], what may be handed on comes out by
//! [`Guard::take`].
//!
//! Bodies with a length are counted, so the next head is seen where it begins. After a chunked
//! body the connection is not reused (the service closes it), so chunks need no second parser here.

use bytes::{Buf, BytesMut};

/// What is wrong with a head. Each is answered with 400 and a closed connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Longer than the bound, or too many fields.
    TooLarge,
    /// A line that does not end in CR LF, a bare CR, or a control character.
    LineEnding,
    /// Not `METHOD SP TARGET SP HTTP/1.x`.
    RequestLine,
    /// A target with a byte outside printable ASCII, or a fragment.
    Target,
    /// Not `name ":" value`, a folded line, or an empty name.
    Field,
    /// No `Host`, several, or one that is not `host[:port]`.
    Host,
    /// Several lengths, or one that is not 1 to 15 digits.
    ContentLength,
    /// Anything but one `chunked`.
    TransferEncoding,
    /// A length beside a transfer coding, or a transfer coding in HTTP/1.0.
    Framing,
}

impl Violation {
    /// Cause and remedy for the answer, free of client text.
    pub fn explain(self) -> (&'static str, &'static str) {
        match self {
            Violation::TooLarge => (
                "the request head is too large",
                "send fewer or shorter header fields",
            ),
            Violation::LineEnding => (
                "the request head has a line that does not end in CR LF",
                "use a standard HTTP client",
            ),
            Violation::RequestLine => (
                "the request line is not `METHOD TARGET HTTP/1.1`",
                "use a standard HTTP client",
            ),
            Violation::Target => (
                "the request target has a byte that must be percent-encoded, or a fragment",
                "percent-encode it, and leave the fragment out",
            ),
            Violation::Field => ("a header field is malformed", "use a standard HTTP client"),
            Violation::Host => (
                "the request must have exactly one valid `Host`",
                "send `Host` once",
            ),
            Violation::ContentLength => (
                "`Content-Length` is not one number",
                "send `Content-Length` once, in digits",
            ),
            Violation::TransferEncoding => (
                "`Transfer-Encoding` is not exactly `chunked`",
                "send `chunked`, or a length",
            ),
            Violation::Framing => (
                "`Content-Length` and `Transfer-Encoding` contradict each other",
                "send one of the two, over HTTP/1.1",
            ),
        }
    }
}

/// `http::Uri` holds targets below 65,535 bytes.
const MOST_PLAIN_TARGET_BYTES: usize = 60_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Collecting a head; `scanned` bytes of it are known to hold no end of head.
    Head { scanned: usize },
    /// Handing on a checked head and then its body: this many bytes.
    Passing { left: u64 },
    /// A chunked body: everything passes until the connection closes.
    Open,
}

/// The guard of one HTTP/1 connection.
#[derive(Debug)]
pub struct Guard {
    state: State,
    buffer: BytesMut,
    head_bytes: usize,
    header_fields: usize,
}

impl Guard {
    /// A guard at the start of a connection.
    pub fn new(head_bytes: usize, header_fields: usize) -> Self {
        Self {
            state: State::Head { scanned: 0 },
            buffer: BytesMut::new(),
            head_bytes,
            header_fields,
        }
    }

    /// Where the caller reads new bytes into.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Whether the next byte to be handed on begins a new head.
    pub fn at_boundary(&self) -> bool {
        matches!(self.state, State::Head { .. })
    }

    /// Whether bytes wait that were read but not handed on.
    pub fn has_buffered(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Judges what is in the buffer; afterwards [`Guard::passable`] bytes may be handed on.
    pub fn feed(&mut self) -> Result<(), Violation> {
        let State::Head { scanned } = self.state else {
            return Ok(());
        };
        // RFC 9112 §2.2: empty lines before a request line may be skipped; we skip none but CR LF.
        if scanned == 0 {
            while self.buffer.starts_with(b"\r\n") {
                self.buffer.advance(2);
            }
        }
        let from = scanned.saturating_sub(3);
        let end = memchr::memmem::find(self.buffer.get(from..).unwrap_or_default(), b"\r\n\r\n")
            .map(|at| from + at + 4);
        match end {
            Some(end) if end <= self.head_bytes => {
                let body = check_head(self.buffer.get(..end).unwrap_or_default(), self.header_fields)?;
                self.state = match body {
                    BodyLength::Fixed(bytes) => State::Passing {
                        left: end as u64 + bytes,
                    },
                    BodyLength::Chunked => State::Open,
                };
                Ok(())
            }
            Some(_) => Err(Violation::TooLarge),
            None if self.buffer.len() > self.head_bytes => Err(Violation::TooLarge),
            None => {
                // A bare LF LF would never be seen as the end of a head: say so at once.
                if memchr::memmem::find(self.buffer.get(from..).unwrap_or_default(), b"\n\n").is_some() {
                    return Err(Violation::LineEnding);
                }
                self.state = State::Head {
                    scanned: self.buffer.len(),
                };
                Ok(())
            }
        }
    }

    /// How many buffered bytes may be handed on now.
    pub fn passable(&self) -> usize {
        match self.state {
            State::Head { .. } => 0,
            State::Passing { left } => usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len()),
            State::Open => self.buffer.len(),
        }
    }

    /// Hands on at most `most` passable bytes through `copy`.
    pub fn take(&mut self, most: usize, copy: impl FnOnce(&[u8])) {
        let count = self.passable().min(most);
        copy(self.buffer.get(..count).unwrap_or_default());
        self.buffer.advance(count);
        if self.buffer.is_empty() && self.buffer.capacity() > 16 * 1024 {
            self.buffer = BytesMut::new();
        }
        if let State::Passing { left } = &mut self.state {
            *left -= count as u64;
            if *left == 0 {
                self.state = State::Head { scanned: 0 };
            }
        }
    }
}

enum BodyLength {
    Fixed(u64),
    Chunked,
}

/// Checks a whole head, `\r\n\r\n` included, and says how long the body after it is.
fn check_head(head: &[u8], most_fields: usize) -> Result<BodyLength, Violation> {
    let mut lines = head.get(..head.len().saturating_sub(4)).unwrap_or_default();
    let mut next_line = || -> Option<Result<&[u8], Violation>> {
        if lines.is_empty() {
            return None;
        }
        let end = memchr::memchr2(b'\r', b'\n', lines).unwrap_or(lines.len());
        let line = lines.get(..end).unwrap_or_default();
        let rest = lines.get(end..).unwrap_or_default();
        if rest.is_empty() {
            lines = rest;
        } else if let Some(after) = rest.strip_prefix(b"\r\n") {
            lines = after;
        } else {
            return Some(Err(Violation::LineEnding));
        }
        Some(Ok(line))
    };
    let old = check_request_line(next_line().ok_or(Violation::RequestLine)??)?;
    let mut hosts = 0usize;
    let mut length: Option<u64> = None;
    let mut chunked = false;
    let mut fields = 0usize;
    while let Some(line) = next_line() {
        let (name, value) = split_field(line?)?;
        fields += 1;
        if fields > most_fields {
            return Err(Violation::TooLarge);
        }
        if name.eq_ignore_ascii_case(b"host") {
            hosts += 1;
            check_host(value)?;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            if length.is_some() {
                return Err(Violation::ContentLength);
            }
            length = Some(parse_length(value)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Violation::TransferEncoding);
            }
            chunked = true;
        }
    }
    if hosts != 1 {
        return Err(Violation::Host);
    }
    match (length, chunked) {
        (Some(_), true) => Err(Violation::Framing),
        (None, true) if old => Err(Violation::Framing),
        (None, true) => Ok(BodyLength::Chunked),
        (length, false) => Ok(BodyLength::Fixed(length.unwrap_or(0))),
    }
}

/// Whether the request is HTTP/1.0.
fn check_request_line(line: &[u8]) -> Result<bool, Violation> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Violation::RequestLine);
    };
    if method.is_empty() || method.len() > 32 || !method.iter().all(|byte| is_token(*byte)) {
        return Err(Violation::RequestLine);
    }
    if !is_target(target) {
        return Err(Violation::Target);
    }
    match version {
        b"HTTP/1.1" => Ok(false),
        b"HTTP/1.0" => Ok(true),
        _ => Err(Violation::RequestLine),
    }
}

/// Whether hyper reads it as a target, too: one that it does not it answers itself, with neither
/// content type nor id. Its own parser is asked only about what clients hardly ever send.
fn is_target(target: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(byte);
    if target.starts_with(b"/") && target.len() < MOST_PLAIN_TARGET_BYTES && target.iter().all(plain) {
        return true;
    }
    let printable = |byte: &u8| (0x21..=0x7e).contains(byte) && *byte != b'#';
    target.iter().all(printable) && http::Uri::try_from(target).is_ok()
}

fn split_field(line: &[u8]) -> Result<(&[u8], &[u8]), Violation> {
    let colon = memchr::memchr(b':', line).ok_or(Violation::Field)?;
    let (name, value) = (
        line.get(..colon).unwrap_or_default(),
        line.get(colon + 1..).unwrap_or_default(),
    );
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Err(Violation::Field);
    }
    let value = value.trim_ascii();
    if value
        .iter()
        .any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f)
    {
        return Err(Violation::Field);
    }
    Ok((name, value))
}

/// `host[:port]`: a name, an IPv4 address, or an IPv6 literal in brackets.
fn check_host(value: &[u8]) -> Result<(), Violation> {
    let valid = !value.is_empty()
        && value.len() <= 260
        && value
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(byte));
    if valid { Ok(()) } else { Err(Violation::Host) }
}

fn parse_length(value: &[u8]) -> Result<u64, Violation> {
    if value.is_empty() || value.len() > 15 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Violation::ContentLength);
    }
    Ok(value
        .iter()
        .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(bytes: &[u8]) -> Result<Vec<u8>, Violation> {
        let mut guard = Guard::new(1024, 10);
        guard.buffer().extend_from_slice(bytes);
        let mut out = Vec::new();
        loop {
            guard.feed()?;
            if guard.passable() == 0 {
                return Ok(out);
            }
            guard.take(usize::MAX, |bytes| out.extend_from_slice(bytes));
        }
    }

    #[test]
    fn a_plain_request_passes_unchanged_and_pipelined_ones_are_each_judged() {
        let two = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x:80\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(judge(two).unwrap(), two);
        let smuggled =
            b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /c HTTP/1.1\nHost: x\r\n\r\n";
        assert_eq!(judge(smuggled), Err(Violation::LineEnding));
    }

    #[test]
    fn what_could_be_read_two_ways_is_refused() {
        let table: &[(&[u8], Violation)] = &[
            (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", Violation::Framing),
            (b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", Violation::Framing),
            (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", Violation::ContentLength),
            (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n", Violation::ContentLength),
            (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", Violation::ContentLength),
            (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1234567890123456\r\n\r\n", Violation::ContentLength),
            (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Violation::TransferEncoding),
            (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", Violation::TransferEncoding),
            (b"GET / HTTP/1.1\r\n\r\n", Violation::Host),
            (b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", Violation::Host),
            (b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", Violation::Host),
            (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", Violation::Host),
            (b"GET / HTTP/1.1\nHost: x\r\n\r\n", Violation::LineEnding),
            (b"GET / HTTP/1.1\nHost: x\n\n", Violation::LineEnding),
            (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", Violation::LineEnding),
            (b"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", Violation::Field),
            (b"GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", Violation::Field),
            (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", Violation::Field),
            (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", Violation::Field),
            (b"GET /#f HTTP/1.1\r\nHost: x\r\n\r\n", Violation::Target),
            (b"GET /<x> HTTP/1.1\r\nHost: x\r\n\r\n", Violation::Target),
            (b"GET x/y HTTP/1.1\r\nHost: x\r\n\r\n", Violation::Target),
            (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n", Violation::Target),
            (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", Violation::RequestLine),
            (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", Violation::RequestLine),
            (b"GET /\r\nHost: x\r\n\r\n", Violation::RequestLine),
        ];
        for (bytes, expected) in table {
            assert_eq!(judge(bytes), Err(*expected), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_head_is_bounded_in_bytes_and_fields() {
        let long = [b"GET / HTTP/1.1\r\nHost: x\r\nA: ".as_slice(), &[b'a'; 2000]].concat();
        assert_eq!(judge(&long), Err(Violation::TooLarge));
        let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(10));
        assert_eq!(judge(many.as_bytes()), Err(Violation::TooLarge));
    }

    proptest::proptest! {
        #[test]
        fn bytes_arriving_one_by_one_are_judged_as_if_they_came_at_once(
            body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
            noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..20),
        ) {
            let mut bytes = format!("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
            bytes.extend_from_slice(&body);
            bytes.extend_from_slice(b"GET /y HTTP/1.1\r\nHost: x\r\n");
            bytes.extend_from_slice(&noise);
            let mut guard = Guard::new(1024, 10);
            let mut out = Vec::new();
            let mut verdict = Ok(());
            for byte in &bytes {
                guard.buffer().extend_from_slice(&[*byte]);
                if let Err(violation) = guard.feed() {
                    verdict = Err(violation);
                    break;
                }
                guard.take(usize::MAX, |bytes| out.extend_from_slice(bytes));
            }
            match judge(&bytes) {
                Ok(whole) => proptest::prop_assert_eq!(whole, out),
                Err(violation) => proptest::prop_assert_eq!(verdict, Err(violation)),
            }
        }
    }
}
