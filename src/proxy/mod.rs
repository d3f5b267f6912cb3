//! x
pub mod guard;
pub mod gunzip;
pub mod io;
pub mod links;
pub mod upload;
