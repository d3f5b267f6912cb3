//! The gate as a carrier: protocols in, the pool up, bodies of any size, deadlines, going down.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../support/child.rs"]
mod child;
mod clients;
mod connections;
mod deadlines;
mod idle;
mod process;
mod refresh;
#[path = "../support/relay.rs"]
mod relay;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod tls;
mod upstream;
#[path = "../support/wire.rs"]
mod wire;
