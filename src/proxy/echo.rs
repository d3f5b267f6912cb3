//! The injected token must never come back: an answer that repeats it is cut off before the client
//! can read it whole.
//!
//! Plain form only, across chunk borders: a tail that begins the token is held until the next chunk
//! tells. Encoded forms are not looked for here.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;

/// The answer repeats the token that was injected into its request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer repeats the upstream credential")]
pub struct TokenEchoed;

/// Looks for the tokens of one call in a body that passes chunk by chunk.
pub struct EchoGuard {
    finder: Arc<Finder<'static>>,
    /// Of the tokens that went up before: hardly ever any.
    former: Vec<Arc<Finder<'static>>>,
    held: BytesMut,
}

impl EchoGuard {
    /// Looks for what `finder` looks for; an empty token is never found.
    pub fn new(finder: Arc<Finder<'static>>) -> Self {
        Self {
            finder,
            former: Vec::new(),
            held: BytesMut::new(),
        }
    }

    /// Looks for what `finder` looks for, too.
    pub fn and(mut self, finder: Arc<Finder<'static>>) -> Self {
        self.former.push(finder);
        self
    }

    fn finders(&self) -> impl Iterator<Item = &Finder<'static>> {
        std::iter::once(&*self.finder).chain(self.former.iter().map(|finder| &**finder))
    }

    /// Whether `bytes`, a header value say, holds a token.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.finders()
            .any(|finder| !finder.needle().is_empty() && finder.find(bytes).is_some())
    }

    /// The next bytes that may be handed on.
    pub fn push(&mut self, chunk: Bytes) -> Result<Bytes, TokenEchoed> {
        let window = if self.held.is_empty() {
            chunk
        } else {
            self.held.extend_from_slice(&chunk);
            std::mem::take(&mut self.held).freeze()
        };
        if self.is_in(&window) {
            return Err(TokenEchoed);
        }
        let keep = window.len() - self.partial(&window);
        self.held
            .extend_from_slice(window.get(keep..).unwrap_or_default());
        Ok(window.slice(..keep))
    }

    /// What was held back, when the body has ended.
    pub fn finish(&mut self) -> Bytes {
        std::mem::take(&mut self.held).freeze()
    }

    /// How many bytes at the end of `window` begin a token.
    fn partial(&self, window: &[u8]) -> usize {
        self.finders()
            .map(|finder| Self::partial_of(finder.needle(), window))
            .max()
            .unwrap_or(0)
    }

    fn partial_of(needle: &[u8], window: &[u8]) -> usize {
        let Some(first) = needle.first() else { return 0 };
        let from = window.len().saturating_sub(needle.len() - 1);
        let tail = window.get(from..).unwrap_or_default();
        memchr::memchr_iter(*first, tail)
            .find(|at| needle.starts_with(tail.get(*at..).unwrap_or_default()))
            .map_or(0, |at| tail.len() - at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(token: &str) -> EchoGuard {
        EchoGuard::new(Arc::new(Finder::new(token).into_owned()))
    }

    fn pass(token: &str, chunks: &[&[u8]]) -> Result<Vec<u8>, TokenEchoed> {
        let mut guard = guard(token);
        let mut out = Vec::new();
        for chunk in chunks {
            out.extend_from_slice(&guard.push(Bytes::copy_from_slice(chunk))?);
        }
        out.extend_from_slice(&guard.finish());
        Ok(out)
    }

    #[test]
    fn a_token_is_found_wherever_it_is_cut_and_no_byte_of_it_gets_out() {
        let body = b"aaapat-na1-pat-na1-xyz.";
        for cut in 0..body.len() {
            assert_eq!(
                pass("pat-na1-xyz", &[&body[..cut], &body[cut..]]),
                Err(TokenEchoed)
            );
            let mut guard = guard("pat-na1-xyz");
            let mut out = Vec::new();
            for byte in body {
                match guard.push(Bytes::copy_from_slice(&[*byte])) {
                    Ok(bytes) => out.extend_from_slice(&bytes),
                    Err(TokenEchoed) => break,
                }
            }
            assert_eq!(out, b"aaapat-na1-");
        }
    }

    #[test]
    fn no_byte_of_any_of_several_tokens_gets_out_wherever_it_is_cut() {
        let several = || {
            let finder = |token: &str| Arc::new(Finder::new(token).into_owned());
            EchoGuard::new(finder("abcd"))
                .and(finder("cdefgh"))
                .and(finder(""))
        };
        for (body, out) in [("xxabcdx", "xx"), ("xxcdefghx", "xx"), ("xabccdefgh", "xabc")] {
            let body = body.as_bytes();
            for cut in 0..body.len() {
                let mut guard = several();
                let mut passed = Vec::new();
                for chunk in [&body[..cut], &body[cut..]] {
                    match guard.push(Bytes::copy_from_slice(chunk)) {
                        Ok(bytes) => passed.extend_from_slice(&bytes),
                        Err(TokenEchoed) => break,
                    }
                }
                assert!(out.as_bytes().starts_with(&passed), "{passed:?} at {cut}");
                assert!(several().is_in(body));
            }
        }
        let mut guard = several();
        let passed = guard
            .push(Bytes::from_static(b"abcdef".get(1..).unwrap()))
            .unwrap();
        assert_eq!([passed, guard.finish()].concat(), b"bcdef");
    }

    #[test]
    fn everything_else_passes_whole() {
        let body = b"pat-na1-pat-na1-xy pat-na1-xyy pat-na1-xy";
        for cut in 0..body.len() {
            assert_eq!(pass("pat-na1-xyz", &[&body[..cut], &body[cut..]]).unwrap(), body);
        }
        assert_eq!(pass("", &[b"x"]).unwrap(), b"x");
    }
}
