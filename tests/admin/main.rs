//! The admin API over real sockets: who gets in, what each route does, what never comes out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod ask;
mod canaries;
mod changes;
mod command;
mod heads;
mod looks;
mod races;
mod tls;
mod walk;

#[path = "../support/child.rs"]
mod child;
#[path = "../support/mod.rs"]
mod support;
