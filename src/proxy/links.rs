//! Paging links in answers, turned back to the gate.
//!
//! HubSpot's `paging.next.link` names its own host: a client that follows it would leave the gate.
//! Only a JSON member `link` whose value begins with the upstream's origin is changed. Inside a
//! string the quotes around `link` would be escaped, so nothing else can match. The search is one
//! `memmem`; what might continue in the next chunk is held back, a few hundred bytes at the most.

use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;

const MEMBER: &[u8] = b"\"link\"";

/// What looks for it, made once.
static MEMBER_SEARCH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MEMBER));

/// White space tolerated on either side of the colon.
const SPACES_MOST: usize = 16;

/// The longest run that is ever held back: member, colon, white space, quote, origin, one byte.
const HELD_BYTES_MOST: usize = MEMBER.len() + 2 * SPACES_MOST + 2 + 256;

/// What follows at a place where a link might stand.
enum Found {
    /// The origin stands at this range.
    Origin(std::ops::Range<usize>),
    /// Something else.
    Other,
    /// Too early to tell.
    Unfinished,
}

/// Rewrites links in a body that passes chunk by chunk.
pub struct LinkRewriter {
    from: Bytes,
    to: Bytes,
    held: BytesMut,
}

impl LinkRewriter {
    /// Links that begin with `from` will begin with `to`; both are origins without a final slash.
    pub fn new(from: Bytes, to: Bytes) -> Self {
        Self {
            from,
            to,
            held: BytesMut::new(),
        }
    }

    /// The next bytes to hand on. Without a link and without a held byte, `chunk` itself.
    pub fn push(&mut self, chunk: Bytes) -> Bytes {
        let window = if self.held.is_empty() {
            chunk
        } else {
            self.held.extend_from_slice(&chunk);
            std::mem::take(&mut self.held).freeze()
        };
        let mut changed: Option<BytesMut> = None;
        let mut copied = 0;
        let mut from = 0;
        let mut end = window.len();
        while let Some(at) = MEMBER_SEARCH.find(window.get(from..).unwrap_or_default()) {
            let at = from + at;
            match self.look(&window, at + MEMBER.len()) {
                Found::Origin(range) => {
                    let out = changed.get_or_insert_with(|| BytesMut::with_capacity(window.len() + 64));
                    out.extend_from_slice(window.get(copied..range.start).unwrap_or_default());
                    out.extend_from_slice(&self.to);
                    copied = range.end;
                    from = range.end;
                }
                Found::Other => from = at + MEMBER.len(),
                Found::Unfinished => {
                    end = at;
                    break;
                }
            }
        }
        if end == window.len() {
            end -= partial_member(window.get(from..).unwrap_or_default());
        }
        self.held.extend_from_slice(window.get(end..).unwrap_or_default());
        match changed {
            None => window.slice(..end),
            Some(mut out) => {
                out.extend_from_slice(window.get(copied..end).unwrap_or_default());
                out.freeze()
            }
        }
    }

    /// What was held back, when the body has ended.
    pub fn finish(&mut self) -> Bytes {
        std::mem::take(&mut self.held).freeze()
    }

    /// Reads `: "ORIGIN` from `at`, and the byte after it, which must end the authority.
    fn look(&self, window: &[u8], at: usize) -> Found {
        let Some(colon) = skip_spaces(window, at) else {
            return Found::Unfinished;
        };
        if window.get(colon) != Some(&b':') {
            return Found::Other;
        }
        let Some(quote) = skip_spaces(window, colon + 1) else {
            return Found::Unfinished;
        };
        if window.get(quote) != Some(&b'"') {
            return Found::Other;
        }
        let value = window.get(quote + 1..).unwrap_or_default();
        let shared = value.len().min(self.from.len());
        if value.get(..shared) != self.from.get(..shared) {
            return Found::Other;
        }
        match value.get(self.from.len()) {
            None => Found::Unfinished,
            Some(b'/' | b'?' | b'"') => Found::Origin(quote + 1..quote + 1 + self.from.len()),
            Some(_) => Found::Other,
        }
    }
}

/// The first byte at or after `at` that is not white space; `None` when the window ends first.
/// More than [`SPACES_MOST`] of them end the search: the caller then finds no colon or quote.
fn skip_spaces(window: &[u8], at: usize) -> Option<usize> {
    let rest = window.get(at..)?;
    let spaces = rest
        .iter()
        .take(SPACES_MOST)
        .take_while(|byte| byte.is_ascii_whitespace())
        .count();
    (spaces < rest.len()).then_some(at + spaces)
}

/// How many bytes at the end of `window` begin the member's name.
fn partial_member(window: &[u8]) -> usize {
    (1..MEMBER.len())
        .rev()
        .find(|len| *len <= window.len() && window.ends_with(MEMBER.get(..*len).unwrap_or_default()))
        .unwrap_or(0)
}

/// Longest origin the rewriter takes; longer ones are refused at start.
pub const ORIGIN_BYTES_MOST: usize = HELD_BYTES_MOST - MEMBER.len() - 2 * SPACES_MOST - 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn rewrite(chunks: &[&[u8]]) -> String {
        let mut rewriter = LinkRewriter::new(
            Bytes::from_static(b"https://api.hubapi.com"),
            Bytes::from_static(b"http://127.0.0.1:8080"),
        );
        let mut out = Vec::new();
        for chunk in chunks {
            out.extend_from_slice(&rewriter.push(Bytes::copy_from_slice(chunk)));
            assert!(rewriter.held.len() <= HELD_BYTES_MOST);
        }
        out.extend_from_slice(&rewriter.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_a_link_member_that_begins_with_the_upstream_origin_is_changed() {
        let table = [
            (
                r#"{"paging":{"next":{"after":"9","link":"https://api.hubapi.com/crm/v3/objects/contacts?after=9"}}}"#,
                r#"{"paging":{"next":{"after":"9","link":"http://127.0.0.1:8080/crm/v3/objects/contacts?after=9"}}}"#,
            ),
            (
                r#"{"link" : "https://api.hubapi.com/x"}"#,
                r#"{"link" : "http://127.0.0.1:8080/x"}"#,
            ),
            (
                r#"{"link":"https://api.hubapi.com.evil.example/x"}"#,
                r#"{"link":"https://api.hubapi.com.evil.example/x"}"#,
            ),
            (
                r#"{"url":"https://api.hubapi.com/x"}"#,
                r#"{"url":"https://api.hubapi.com/x"}"#,
            ),
            (
                r#"{"note":"\"link\":\"https://api.hubapi.com/x\""}"#,
                r#"{"note":"\"link\":\"https://api.hubapi.com/x\""}"#,
            ),
            (r#"{"link":null,"link":"#, r#"{"link":null,"link":"#),
        ];
        for (before, after) in table {
            assert_eq!(rewrite(&[before.as_bytes()]), after);
        }
    }

    #[test]
    fn a_link_is_found_wherever_the_chunks_are_cut() {
        let body = br#"{"a":"\"li","paging":{"next":{"link": "https://api.hubapi.com/crm"}},"link":"https://api.hubapi.com/2","lin":1}"#;
        let whole = rewrite(&[body]);
        assert_eq!(whole.matches("http://127.0.0.1:8080/").count(), 2);
        for first in 0..body.len() {
            for second in [first, (first + 1).min(body.len()), (first + 7).min(body.len())] {
                assert_eq!(
                    rewrite(&[&body[..first], &body[first..second], &body[second..]]),
                    whole
                );
            }
        }
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(rewrite(&bytes), whole);
    }

    #[test]
    fn a_chunk_without_a_link_is_handed_on_uncopied() {
        let mut rewriter =
            LinkRewriter::new(Bytes::from_static(b"https://u"), Bytes::from_static(b"http://g"));
        let chunk = Bytes::from_static(b"{\"results\":[]}");
        assert_eq!(rewriter.push(chunk.clone()).as_ptr(), chunk.as_ptr());
    }

    proptest::proptest! {
        #[test]
        fn cutting_never_changes_the_outcome(
            pieces in proptest::collection::vec(
                proptest::sample::select(vec!["\"link\"", ":", " ", "\"https://api.hubapi.com", "/x\"", "\\\"", "link", "\""]), 0..30),
            cut in 1usize..9,
        ) {
            let body = pieces.concat().into_bytes();
            let whole = rewrite(&[&body]);
            let chunks: Vec<&[u8]> = body.chunks(cut).collect();
            proptest::prop_assert_eq!(rewrite(&chunks), whole);
        }
    }
}
