//! What a client may see of an answer: bytes in, allowed bytes out.
//!
//! It is a tokenizer of its own that walks the answer along its [`Shape`]. Kept values are copied
//! as ranges of bytes, removed ones are gone over; both must be JSON (RFC 8259), or nothing more
//! comes out. It stops at any byte and goes on with the next, and holds no more than a stack, one
//! bounded scratch, and the names it has met.
//!
//! A lenient reader must not see in the output what the filter did not: names are compared
//! unescaped, an object of which anything is kept has each name once, and what is removed goes with
//! its name.

mod lookahead;
mod names;
mod number;
mod owners;
mod pass;
mod plain;
mod range;
mod scan;
#[cfg(test)]
mod tests;
mod text;
mod value;
mod violation;
mod walk;

use owners::Owners;
use text::Utf8;
pub use violation::Violation;
use walk::Walk;

use super::shape::{Shape, Views};

/// What may be held of an answer that streams.
pub const SCRATCH_BYTES: usize = 64 * 1024;
/// How many times that an object may have which must be held whole, as schemas must: HubSpot lets a
/// type have 1,000 properties of a portal's own, and describes each in some 700 bytes.
const WHOLE_OBJECTS: usize = 16;
/// Deepest nesting of arrays and objects.
pub const DEPTH: usize = 64;
/// Longest name of a member or property, and longest number, quotes included. HubSpot's names have
/// at most 100 characters.
const TOKEN_BYTES: usize = 4096;
/// How many bytes are added to a rest at a time, so that a small one is soon done with and a large
/// one does not grow by much more than it may.
const STEP_BYTES: std::ops::RangeInclusive<usize> = 1024..=16 * 1024;

/// One answer on its way to the client.
pub struct Filter {
    walk: Walk,
    utf8: Utf8,
    /// What was not taken yet: the begin of a token, or of a part that is held.
    rest: Vec<u8>,
    is_empty: bool,
    violation: Option<Violation>,
}

impl Filter {
    /// A filter for one answer. `scratch_bytes` bounds what may be held of it until it is known
    /// whose it is.
    pub fn new(shape: &'static Shape, views: Views, scratch_bytes: usize) -> Self {
        Self {
            walk: Walk::new(shape, Owners::new(views), scratch_bytes),
            utf8: Utf8::default(),
            rest: Vec::new(),
            is_empty: true,
            violation: None,
        }
    }

    /// Feeds bytes; allowed bytes are appended to `out`. After a violation every later call is the
    /// same violation, and what was appended must not be passed on as if it were whole.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Violation> {
        let pushed = self.go_on().and_then(|()| self.take(input, out));
        self.remember(pushed)
    }

    /// The answer has ended; it must be complete JSON (an entirely empty body is fine and stays
    /// empty).
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Violation> {
        let finished = self.go_on().and_then(|()| self.end(out));
        self.remember(finished)
    }

    /// How many values were removed or replaced so far.
    pub fn stripped(&self) -> u64 {
        self.walk.stripped
    }

    fn go_on(&self) -> Result<(), Violation> {
        self.violation.map_or(Ok(()), Err)
    }

    fn remember(&mut self, result: Result<(), Violation>) -> Result<(), Violation> {
        self.violation = result.err();
        result
    }

    fn take(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), Violation> {
        self.is_empty &= input.is_empty();
        self.utf8.push(input)?;
        while !self.rest.is_empty() && !input.is_empty() {
            let step = input
                .len()
                .min(self.rest.len().clamp(*STEP_BYTES.start(), *STEP_BYTES.end()));
            let (more, after) = input.split_at_checked(step).unwrap_or((input, &[]));
            self.rest.extend_from_slice(more);
            let taken = self.walk.pass(&self.rest, false, out)?;
            let left = self.rest.len().saturating_sub(taken);
            if left <= more.len() {
                self.rest.clear();
                input = input.get(more.len() - left..).unwrap_or_default();
            } else {
                self.rest.drain(..taken);
                input = after;
            }
        }
        if self.rest.is_empty() {
            let taken = self.walk.pass(input, false, out)?;
            self.rest
                .extend_from_slice(input.get(taken..).unwrap_or_default());
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Violation> {
        if self.is_empty {
            return Ok(());
        }
        self.walk.pass(&self.rest, true, out)?;
        self.rest.clear();
        match self.walk.is_done() {
            true => Ok(()),
            false => Err(Violation::Truncated),
        }
    }
}
