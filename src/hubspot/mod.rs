//! HubSpot spoken correctly. Knows no policy and no storage.

pub mod answer_body;
pub mod answers;
pub mod authorize;
mod awaited;
pub mod breaker;
pub mod client;
pub mod connect;
pub mod control;
pub mod endpoints;
pub mod error_body;
pub mod errors;
pub mod exchange;
pub mod forbidden;
pub mod oauth;
pub mod people;
pub mod places;
pub mod pool;
pub mod progress;
pub mod read_ahead;
pub mod retire;
pub mod retries;
mod sending;
pub mod shared;
#[cfg(test)]
pub(crate) mod simulated;
