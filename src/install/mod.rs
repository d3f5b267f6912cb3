//! People connect HubSpot accounts here: an operator makes a ticket, a person opens its link, consents
//! at HubSpot, and comes back with a code.
//!
//! Two routes. *Start* needs a ticket. Opening the link shows a page and changes nothing, because mail
//! scanners open links; the page's button binds the ticket to this browser, by a `__Host-` cookie, and
//! sends it to HubSpot with a fresh `state` and a PKCE challenge. From then on another browser gets a
//! page that says so, and this one may begin again until the ticket is used or has expired. *Callback*
//! needs the state and that cookie, so a code can be brought back only by the browser that asked for it.
//!
//! The order of a callback: state taken (once), code exchanged, account and scopes compared, everything
//! sealed and stored in one transaction with the end of the ticket. What certainly brought nothing lets
//! the ticket be opened again; where nobody knows (the process died, HubSpot did not answer), it stays
//! closed, and a new link is needed.
//!
//! Installs that HubSpot's marketplace or a public link began come without a ticket: the app's
//! `new_portals` says what becomes of them. A connection that is there is never changed by one.
//!
//! Deliberately absent: scripts, redirects to where a request says (but HubSpot itself), the text of a
//! request in a page or a log line.

mod callback;
mod ending;
mod finish;
mod link;
mod marketplace;
mod pages;
mod question;
mod random;
mod serve;
mod start;
mod ticket;

pub use link::start_url;
pub use pages::Page;
#[cfg(fuzzing)]
pub use question::read_hostile;
pub use random::Random;
pub use serve::serve;
pub use ticket::{Binding, Minted, TICKET_LIFE, mint};

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use self::marketplace::{Allowance, ReturnHosts};
use self::pages::Style;
use crate::config::AppSettings;
use crate::hubspot::control::ControlClient;
use crate::hubspot::oauth::Endpoints;
use crate::metrics::Metrics;
use crate::store::{Provenance, Store, StoreError};
use crate::tokens::Enrolment;
use crate::vault::Vault;

/// Codes exchanged at one time: people click, programs don't.
const EXCHANGES: usize = 8;

/// What the listener works with.
pub struct InstallParts {
    /// Where tickets and connections are kept.
    pub store: Arc<Store>,
    /// What seals, and signs tickets.
    pub vault: Arc<Vault>,
    /// How HubSpot is asked.
    pub client: ControlClient,
    /// Where.
    pub endpoints: Endpoints,
    /// The apps, by name.
    pub apps: BTreeMap<String, AppSettings>,
    /// Where HubSpot asks for consent.
    pub authorize_url: String,
    /// This gate's name, in events.
    pub instance: String,
    /// Budgets of log lines.
    pub metrics: Arc<Metrics>,
}

/// The install flow. Cheap to clone.
#[derive(Clone)]
pub struct Installer(Arc<Inner>);

struct Inner {
    parts: InstallParts,
    style: Style,
    return_hosts: ReturnHosts,
    exchanges: Arc<Semaphore>,
    without_ticket: Allowance,
    /// Exchanges outlive the browser that began them.
    tasks: TaskTracker,
}

impl Installer {
    /// The flow, ready to be served. Says when a predecessor died while it used a code.
    pub fn new(parts: InstallParts) -> Self {
        match parts.store.installs_broken_off() {
            Ok(0) => {}
            Ok(count) => tracing::warn!(
                count,
                "installs were begun and not finished when a gate stopped: make new links for them"
            ),
            Err(error) => tracing::warn!(%error, "installs can't be read"),
        }
        for app in parts.apps.keys() {
            if matches!(parts.store.app(app), Ok(None)) {
                tracing::warn!(
                    app,
                    "the app is configured and not stored: add it with `scopegate app add`"
                );
            }
        }
        Self(Arc::new(Inner {
            style: Style::new(),
            return_hosts: ReturnHosts::of(&parts.authorize_url),
            exchanges: Arc::new(Semaphore::new(EXCHANGES)),
            without_ticket: Allowance::default(),
            tasks: TaskTracker::new(),
            parts,
        }))
    }
}

impl Inner {
    fn enrolment(&self) -> Enrolment<'_> {
        Enrolment {
            store: &self.parts.store,
            vault: &self.parts.vault,
            client: &self.parts.client,
            endpoints: &self.parts.endpoints,
        }
    }

    /// The gate itself, where no operator asked for anything.
    fn provenance(&self) -> Provenance {
        Provenance {
            actor: format!("gate:{}", self.parts.instance),
            reason: None,
        }
    }

    /// The app whose redirect URI has this path.
    fn app_of_path(&self, path: &str) -> Option<(&str, &AppSettings)> {
        let found = self
            .parts
            .apps
            .iter()
            .find(|(_, app)| app.callback_path() == path);
        found.map(|(name, app)| (name.as_str(), app))
    }

    /// Work on the disk, away from the threads that serve.
    async fn on_disk<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = Arc::clone(&self.parts.store);
        tokio::task::spawn_blocking(move || work(&store))
            .await
            .unwrap_or(Err(StoreError::Interrupted))
    }
}
