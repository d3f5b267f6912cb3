//! Running the gate for years: hardening, the master key, backups, the page for whoever is on call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod backup;
#[path = "../support/child.rs"]
mod child;
mod doctor;
mod hardening;
mod kms;
mod rotation;
mod supply;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/wire.rs"]
mod wire;

use std::time::{Duration, Instant};

/// Waits until `wanted` holds: as long as a busy machine may take, only what never comes waits for it.
pub fn until(what: &str, mut wanted: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !wanted() {
        assert!(Instant::now() < end, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
