//! scopegate: the least-privilege gate in front of HubSpot's API.

pub mod access;
pub mod audit;
pub mod catalogue_file;
pub mod cli;
pub mod config;
pub mod events;
pub mod harden;
pub mod health;
pub mod hubspot;
pub mod install;
pub mod listener;
pub mod logging;
pub mod metrics;
pub mod monitor;
pub mod people;
pub mod policy_files;
pub mod proxy;
pub mod publisher;
pub mod secret;
pub mod server;
pub mod sim;
pub mod snapshot;
pub mod store;
pub mod tokens;
pub mod vault;
pub mod watch;
