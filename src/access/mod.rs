//! Who may do what. Pure: no async, no clock, no file, no network, no global.

pub mod base62;
pub mod connection;
pub mod effect;
pub mod facts;
pub mod integration;
pub mod key;
pub mod object_type;
pub mod refusal;
pub mod verdict;
