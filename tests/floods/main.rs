//! Clients that flood: each sends as much as the gate takes of what costs the gate and asks for nothing, while
//! another client goes on with its work. `cargo test --test floods -- --nocapture` prints what it cost.
//!
//! The gate is the real binary in a process of its own, so that its memory is its own. `FLOOD_TIMES` makes
//! every flood so many times as long.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

#[path = "../support/child.rs"]
mod child;
mod frames;
mod ground;
mod http1;
mod http2;
#[path = "../support/mod.rs"]
mod support;
mod way_up;
#[path = "../support/wire.rs"]
mod wire;
