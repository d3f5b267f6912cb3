//! What happens when the disk, the clock or the process fails: the real binary, and what clients, the log,
//! metrics and the next start say. With `--nocapture` each test prints its rows of a table.
//!
//! `DURABILITY_ROUNDS=50` kills that often, `DURABILITY_SAMPLES=2000` damages that many copies of the store.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

#[path = "../support/child.rs"]
mod child;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/wire.rs"]
mod wire;

mod audit;
mod clock;
mod damage;
mod held_up;
mod io_errors;
mod murder;
// Made for other tests, which use more of it.
#[allow(dead_code)]
#[path = "../kill/place.rs"]
mod oauth;
mod place;
mod processes;
mod reload;
mod rollback;
mod store;
mod synced;

/// One line of the table of faults.
pub fn row(fault: &str, seen: &str, recovery: &str) {
    println!("| {fault} | {seen} | {recovery} |");
}

/// A count from the environment, for the long run.
pub fn count(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(default)
}

/// Marsaglia's xorshift: the same samples in every run.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
