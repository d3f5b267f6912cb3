//! What a client may see of an answer: bytes in, allowed bytes out.

mod violation;

pub use violation::Violation;

use super::shape::{Shape, Views};

/// What may be held of an answer that streams.
pub const SCRATCH_BYTES: usize = 64 * 1024;

/// One answer on its way to the client.
pub struct Filter {
    violation: Violation,
}

impl Filter {
    /// A filter for one answer. `scratch_bytes` bounds what may be held of it.
    pub fn new(_shape: &'static Shape, _views: Views, _scratch_bytes: usize) -> Self {
        Self {
            violation: Violation::NotJson,
        }
    }

    /// Feeds bytes; allowed bytes are appended to `out`. After a violation every later call is the
    /// same violation, and what was appended must not be passed on as if it were whole.
    pub fn push(&mut self, _input: &[u8], _out: &mut Vec<u8>) -> Result<(), Violation> {
        Err(self.violation)
    }

    /// The answer has ended; it must be complete JSON (an entirely empty body is fine and stays
    /// empty).
    pub fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), Violation> {
        Err(self.violation)
    }

    /// How many values were removed or replaced so far.
    pub fn stripped(&self) -> u64 {
        0
    }
}
