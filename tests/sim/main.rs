//! The simulator as its clients meet it: over sockets, with HubSpot's answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod account;
mod associations;
mod control;
mod faults;
mod files;
mod installs;
mod oauth;
mod older_apis;
mod permissions;
mod records;
mod searches;
mod world;
