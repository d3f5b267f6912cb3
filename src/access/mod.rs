//! Who may do what. Pure: no async, no clock, no file, no network, no global.

pub mod base62;
pub mod catalogue;
pub mod connection;
pub mod decide;
pub mod decision;
pub mod effect;
pub mod explain;
pub mod facts;
pub mod fields;
pub mod gather;
pub mod graphql;
pub mod integration;
pub mod introspection;
pub mod json;
pub mod key;
pub mod multipart;
pub mod object_type;
pub mod pointer;
pub mod policy;
pub mod policy_cases;
pub mod policy_set;
pub mod policy_text;
pub mod query;
pub mod refusal;
pub mod target;
pub mod verdict;
