//! A HubSpot to test against: OAuth, CRM, files and the rest of what integrations call, with HubSpot's errors,
//! limits and quirks, in process or on a port of its own.
//!
//! It judges by tables of its own, not by the gate's catalogue. It keeps everything in memory, bounded. It
//! deliberately has no user interface but the page on which a person consents to an install, sends nothing
//! anywhere, and knows no credential until it has started.
//!
//! ```
//! use scopegate::sim::{PortalOptions, Scopes, Sim, SimOptions};
//!
//! let sim = Sim::new(SimOptions::default());
//! let hub = sim.add_portal(PortalOptions::new(1_000_001));
//! let token = sim.private_app(hub, Scopes::new(["crm.objects.contacts.read"]));
//! assert!(token.expose().starts_with("pat-na1-"));
//! ```

mod access;
mod account;
mod answer;
mod associations;
mod authenticate;
mod call;
mod canned;
mod clock;
mod control;
mod credentials;
mod definitions;
mod edge;
mod exports;
mod fault_effects;
mod faults;
mod files;
mod files_upload;
mod fixtures;
mod fleet;
mod graphql;
mod imports;
mod issued;
mod legacy;
mod lists;
mod oauth;
mod object_types;
mod objects;
mod options;
mod people;
mod portal;
mod problem;
mod property;
mod random;
mod rate_limit;
mod recorder;
mod records;
mod router;
mod schemas;
mod scopes;
mod server;
mod service;
mod simulator;
mod socket;
mod timeline;
mod tls;
mod token_log;
mod type_table;

pub use self::canned::{Canned, KnownFault};
pub use self::credentials::{AppScopes, OnInstallerRemoved};
pub use self::faults::{Action, EchoPlace, Fault, FaultId, Matching};
pub use self::fixtures::{PLANTED_NUMBER, PLANTED_TEXT, Planted};
pub use self::issued::Issued;
pub use self::options::{
    AbsentValues, ActivityNames, AssociationScopes, EmailContent, PairedScopes, RateLimits, Rotation,
    SimOptions, V1Errors,
};
pub use self::portal::{Fixtures, PortalOptions, PortalState, Tier, UserState};
pub use self::recorder::Received;
pub use self::scopes::Scopes;
pub use self::server::{Running, serve, start};
pub use self::simulator::{AppCredentials, Install, Sim};
pub use self::tls::{SimTls, tls};
pub use self::token_log::TokenCall;
