//! scopegate: the least-privilege gate in front of HubSpot's API.

pub mod access;
pub mod cli;
pub mod config;
pub mod hubspot;
pub mod secret;
pub mod sim;
