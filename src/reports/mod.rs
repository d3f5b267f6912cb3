//! What store, policies and audit log tell, in the one shape that `--json` and the admin API share.
//!
//! Reads only. Never a credential, a hash or a sealed byte: what is shown here may be shown to whoever may
//! look at all. How it is laid out for people is the command line's.

pub mod connections;
pub mod credentials;
pub mod denials;
pub mod granted;
pub mod keys;
pub mod kills;
pub mod opened;
pub mod permission;
mod surroundings;

pub use surroundings::{Surroundings, Usage};

use jiff::Timestamp;

/// `2026-11-26 12:40Z`: a moment in a sentence.
pub fn short(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%MZ").to_string()
}
