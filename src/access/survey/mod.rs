//! What policies allow over everything there is, for people: `policy diff`, `policy who-can`, the
//! golden matrix, findings about rules that change nothing. Not for the request path.
//!
//! Every answer here is one of the decision's own ([`ruled`](super::decide::ruled), [`View`]): the
//! questions are made from the catalogue, one for each class of requests that no rule tells apart.
//! Deliberately absent: a second reading of what rules mean.
//!
//! [`View`]: super::fields::View

pub mod diff;
pub mod idle;
pub mod lines;
pub mod names;
pub mod places;
pub mod properties;
pub mod side;
pub mod space;
pub mod who_can;

#[cfg(test)]
mod brute_force;

pub use side::Side;
pub use space::Space;
