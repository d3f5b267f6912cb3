//! The text of a policy: YAML in, typed and located values out, with every mistake at once.
//!
//! Knows the format's words and nothing of the catalogue: whether a scope or an operation exists
//! is judged where they are resolved.

pub mod mistake;
pub mod nearest;
pub mod properties;
pub mod read;
pub mod reader;
mod syntax;
pub mod tree;
pub mod written;
