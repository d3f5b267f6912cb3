//! The security invariants and requirements, each proved with the bytes an attacker would send.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod answers;
mod bodies;
mod canaries;
#[path = "../support/child.rs"]
mod child;
mod framing;
mod headers;
mod heads;
mod paths;
mod records;
mod secrets;
#[path = "../support/mod.rs"]
mod support;
mod ward;
#[path = "../support/wire.rs"]
mod wire;
