//! Everything an upstream and a token endpoint can do wrong, against the real process. `cargo test --test faults
//! -- --nocapture` prints what was seen; the README has the same rows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod breaker;
mod certificates;
#[path = "../support/child.rs"]
mod child;
mod place;
mod script;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod token_endpoint;
mod upstream;
mod went_up;
#[path = "../support/wire.rs"]
mod wire;

#[test]
fn the_readme_says_of_each_fault_what_was_seen_of_it() {
    let readme = include_str!("../../README.md");
    let rows = table::PLAIN.iter().chain(&table::TLS).map(table::Row::markdown);
    let rows = rows.chain(token_endpoint::FAULTS.iter().map(token_endpoint::Fault::markdown));
    let missing: Vec<String> = rows
        .filter(|row| !readme.lines().any(|line| line == row))
        .collect();
    assert!(missing.is_empty(), "the README lacks:\n{}", missing.join("\n"));
}
