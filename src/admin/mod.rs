//! The admin API: operators' and security's HTTP surface, on a listener of its own.
//!
//! One table of routes ([`ROUTES`]) says what there is and which role it takes at least; what is not in it
//! can't be reached. Who asks is looked up for every request, so that a revoked credential ends at once, on
//! connections that are open, too. What is changed is changed by the store's own functions, as by the
//! command line, with who and why in the same transaction.
//!
//! Deliberately absent: the request path (`proxy`), sessions and cookies, CORS, any route that gives out a
//! token, a key's secret or a hash, and any that makes a key or a credential.

mod change;
mod checks;
mod credentials;
mod failures;
mod look;
mod page;
mod parts;
mod refusal;
mod routes;
mod serve;
mod stop;
mod who;

pub use parts::Parts;
pub use refusal::Code;
pub use routes::{Lane, ROUTES, Route};
pub use serve::{Admin, serve};
