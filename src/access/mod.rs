//! Who may do what. Pure: no async, no clock, no file, no network, no global.

pub mod catalogue;
pub mod effect;
pub mod facts;
pub mod gather;
pub mod json;
pub mod object_type;
pub mod query;
pub mod refusal;
pub mod target;
