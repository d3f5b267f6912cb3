//! The simulator as its clients meet it: over sockets, with HubSpot's answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod control;
mod crm;
mod faults;
mod files;
mod oauth;
mod world;
