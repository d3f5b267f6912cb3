//! How much: `limits` of policies through the whole gate, over restarts and kills, and fairness between
//! integrations when one of them floods the gate.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

#[path = "../support/child.rs"]
mod child;
mod counting;
mod crash;
mod fairness;
mod overload;
mod removals;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/wire.rs"]
mod wire;
