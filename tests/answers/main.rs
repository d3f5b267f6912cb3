//! Hostile upstreams: answers byte by byte, and what of them a client gets to see.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod echoes;
mod errors;
mod framing;
mod heads;
mod place;
mod pool;
mod short;
#[path = "../support/mod.rs"]
mod support;
mod upstream;
#[path = "../support/wire.rs"]
mod wire;
