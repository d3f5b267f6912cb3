//! The simulator as its clients meet it: over sockets, with HubSpot's answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod account;
mod associations;
mod bodies;
mod consent;
mod control;
mod faults;
mod files;
mod graphql;
mod imports;
mod installs;
mod lists;
mod oauth;
mod older_apis;
mod permissions;
mod planted;
mod records;
mod searches;
mod world;
