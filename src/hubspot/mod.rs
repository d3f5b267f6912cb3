//! HubSpot spoken correctly. Knows no policy and no storage.

pub mod answer_body;
pub mod authorize;
pub mod connect;
pub mod control;
pub mod endpoints;
pub mod errors;
pub mod forbidden;
pub mod oauth;
pub mod people;
pub mod pool;
pub mod retire;
