//! HubSpot spoken correctly. Knows no policy and no storage.

pub mod connect;
pub mod pool;
