//! What can be wrong with a message's framing, in words for its sender.

/// What is wrong with a head or with the chunks behind it.
///
/// A head is answered with 400 and a closed connection. Chunks break off the body of a request that
/// is already being served: its own answer says so, and the connection closes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Longer than the bound, or too many fields.
    TooLarge,
    /// A line that does not end in CR LF, or a bare CR or LF.
    LineEnding,
    /// Not `METHOD SP TARGET SP HTTP/1.x`.
    RequestLine,
    /// `CONNECT` or `TRACE`.
    Method,
    /// A URL, an authority or `*` in place of a path.
    TargetForm,
    /// A target with a byte outside printable ASCII, a broken percent escape, or a fragment.
    Target,
    /// Not `name ":" value`, a folded line, an empty name, a control character in a value.
    Field,
    /// `Upgrade`: what follows would be another protocol's, if anybody on the way believes in it.
    Upgrade,
    /// No `Host`, several, or one that is not `host[:port]`.
    Host,
    /// Several lengths, or one that is not 1 to 15 digits.
    ContentLength,
    /// Anything but one `chunked`.
    TransferEncoding,
    /// A length beside a transfer coding, or a transfer coding in HTTP/1.0.
    Framing,
    /// A chunk that is not `SIZE CR LF DATA CR LF`, an extension, or a trailer field.
    Chunk,
}

impl Violation {
    /// Cause and remedy for the answer, free of client text.
    pub fn explain(self) -> (&'static str, &'static str) {
        const CLIENT: &str = "use a standard HTTP client";
        match self {
            Violation::TooLarge => (
                "the request head is too large",
                "send fewer or shorter header fields",
            ),
            Violation::LineEnding => ("the request head has a line that does not end in CR LF", CLIENT),
            Violation::RequestLine => ("the request line is not `METHOD TARGET HTTP/1.1`", CLIENT),
            Violation::Method => (
                "this method is never served",
                "use GET, POST, PUT, PATCH or DELETE",
            ),
            Violation::TargetForm => (
                "the request target must be a path, not a URL",
                "configure the gate as the client's base URL, not as its proxy",
            ),
            Violation::Target => (
                "the request target has a byte that must be percent-encoded, a broken percent escape, or a \
                 fragment",
                "percent-encode it, and leave the fragment out",
            ),
            Violation::Field => ("a header field is malformed", CLIENT),
            Violation::Upgrade => ("protocol upgrades are not served", "leave `Upgrade` out"),
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
            Violation::Chunk => (
                "a chunk of the body is malformed, or has an extension or trailer fields",
                "send plain chunks, or a length",
            ),
        }
    }
}
