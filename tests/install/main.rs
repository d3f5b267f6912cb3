//! Installs as people go through them: an operator's command, a browser, HubSpot's consent, the callback,
//! and the connection that carries calls afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod browser;
#[path = "../support/mod.rs"]
mod support;
mod world;

mod crowds;
mod fleet;
mod flow;
mod heads;
mod process;
mod refusals;
