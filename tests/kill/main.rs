//! Emergency stops, seen from both sides: what integrations are told, and what HubSpot still receives.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod at_hubspot;
mod command;
mod in_flight;
mod place;
mod speed;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/wire.rs"]
mod wire;
