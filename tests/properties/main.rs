//! Property rules on the wire: what is hidden never reaches a client, whatever it asks and whatever
//! HubSpot answers; what is denied says so; an import goes up as it was judged.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod answers;
#[path = "../support/child.rs"]
mod child;
mod denials;
mod hostile;
mod imports;
mod planted;
mod portal;
#[path = "../support/mod.rs"]
mod support;
mod sweep;
#[path = "../support/wire.rs"]
mod wire;
