//! One connection's live state: what a request may know and what a refresh changes.
//!
//! Every part changes alone, without a lock a request could wait on: flags are atomics, the token is
//! swapped whole.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::access::connection::{ConnectionId, ConnectionName, CredentialKind, PortalId, Standing};
use crate::store::ConnectionRow;
use crate::tokens::expiry::Phase;
use crate::tokens::flight::Flight;
use crate::tokens::lease::{CredentialError, LiveToken, Trouble};

/// While a connection is rejected, one call in this time is let through to see whether it is over.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// What HubSpot said about the credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Granted scopes.
    pub scopes: Vec<String>,
    /// The installer's numeric id.
    pub user_id: Option<u64>,
}

impl Account {
    pub(super) fn of_row(row: &ConnectionRow) -> Self {
        Self {
            scopes: row.scopes.clone(),
            user_id: row.user_id,
        }
    }
}

/// One connection, live. Shared by every call that uses it.
pub struct ConnectionState {
    id: ConnectionId,
    name: ConnectionName,
    portal: PortalId,
    app: Option<Arc<str>>,
    kind: CredentialKind,
    standing: AtomicU8,
    account: ArcSwap<Account>,
    token: ArcSwapOption<LiveToken>,
    /// The generation last read from the store together with the rest of the row.
    stored: AtomicU64,
    used: AtomicBool,
    uncertain: AtomicBool,
    rejected: AtomicBool,
    rejection_noted: AtomicBool,
    probe: Mutex<Option<Instant>>,
    flight: Mutex<Flight>,
}

impl ConnectionState {
    /// A connection as stored, without a token yet.
    pub(super) fn of_row(row: &ConnectionRow) -> Self {
        Self {
            id: row.id,
            name: row.name.clone(),
            portal: row.portal,
            app: row.app.as_deref().map(Arc::from),
            kind: row.kind,
            standing: AtomicU8::new(row.standing as u8),
            account: ArcSwap::from_pointee(Account::of_row(row)),
            token: ArcSwapOption::empty(),
            stored: AtomicU64::new(row.generation),
            used: AtomicBool::new(false),
            uncertain: AtomicBool::new(row.intent.is_some()),
            rejected: AtomicBool::new(false),
            rejection_noted: AtomicBool::new(row.health.as_deref() == Some(Trouble::Rejected.as_str())),
            probe: Mutex::new(None),
            flight: Mutex::default(),
        }
    }

    /// Its id, for bindings and leases.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Its name, for people and policies.
    pub fn name(&self) -> &ConnectionName {
        &self.name
    }

    /// The HubSpot account it acts in.
    pub fn portal(&self) -> PortalId {
        self.portal
    }

    /// The app whose grant it is; `None` for private-app tokens and service keys.
    pub fn app(&self) -> Option<&str> {
        self.app.as_deref()
    }

    /// What credential it holds.
    pub fn kind(&self) -> CredentialKind {
        self.kind
    }

    /// Its standing now: read after authentication, after every wait, before the first upstream byte.
    pub fn standing(&self) -> Standing {
        let index = usize::from(self.standing.load(Ordering::Acquire));
        // Invariant: only `set_standing` writes it; the fall-back blocks.
        Standing::ALL.get(index).copied().unwrap_or(Standing::Killed)
    }

    pub(super) fn set_standing(&self, standing: Standing) {
        self.standing.store(standing as u8, Ordering::Release);
    }

    /// Changes a standing that lets traffic pass, and says which it was; one that does not let it pass
    /// is stronger and stays.
    pub(super) fn settle_standing(&self, to: Standing) -> Option<Standing> {
        [Standing::Ok, Standing::Unverified].into_iter().find(|from| {
            self.standing
                .compare_exchange(*from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
        })
    }

    /// Whether the process before this one may have died in a refresh of this grant.
    pub fn is_uncertain(&self) -> bool {
        self.uncertain.load(Ordering::Acquire)
    }

    pub(super) fn set_uncertain(&self, uncertain: bool) {
        self.uncertain.store(uncertain, Ordering::Release);
    }

    /// Whether the grant in use is saved; if not, a crash now would lose it.
    pub fn is_durable(&self) -> bool {
        self.flight().unsaved.is_none()
    }

    /// Granted scopes and installer, as far as HubSpot told.
    pub fn account(&self) -> Arc<Account> {
        self.account.load_full()
    }

    pub(super) fn set_account(&self, account: Account) {
        self.account.store(Arc::new(account));
    }

    /// Whether the upstream refused the connection's token and nothing has worked since.
    pub fn is_rejected(&self) -> bool {
        self.rejected.load(Ordering::Acquire)
    }

    pub(super) fn check_standing(&self) -> Result<(), CredentialError> {
        match self.standing() {
            standing if standing.refusal().is_some() => Err(CredentialError::Blocked(standing)),
            _ => Ok(()),
        }
    }

    /// The token if it may be sent, and whether it is due.
    pub(super) fn current(&self, now: Instant) -> Option<(Arc<LiveToken>, Phase)> {
        let token = self.token.load_full()?;
        match token.validity.phase(now) {
            Phase::Expired => None,
            phase => Some((token, phase)),
        }
    }

    /// When the access token expires, for display; `None` when it does not, or there is none.
    pub fn token_expires(&self) -> Option<Timestamp> {
        self.token.load().as_ref().and_then(|token| token.expires)
    }

    pub(super) fn generation(&self) -> u64 {
        self.token.load().as_ref().map_or(0, |token| token.generation)
    }

    /// Makes a token the one that is lent, unless a later one is there already.
    pub(super) fn publish(&self, token: LiveToken) {
        let token = Arc::new(token);
        self.token.rcu(|current| match current {
            Some(current) if current.generation > token.generation => Some(Arc::clone(current)),
            _ => Some(Arc::clone(&token)),
        });
        self.used.store(false, Ordering::Relaxed);
    }

    pub(super) fn mark_used(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the current token was lent at least once.
    pub(super) fn was_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// The lock is held for a few instructions, never across an await.
    pub(super) fn flight(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the upstream refused the token; true the first time.
    pub(super) fn mark_rejected(&self, now: Instant) -> bool {
        *self.probe.lock().unwrap_or_else(PoisonError::into_inner) = Some(now + PROBE_EVERY);
        !self.rejected.swap(true, Ordering::AcqRel)
    }

    /// Whether the connection is rejected, if the store does not say so yet or no longer should.
    pub(super) fn rejection_to_note(&self) -> Option<bool> {
        let rejected = self.is_rejected();
        (self.rejection_noted.swap(rejected, Ordering::Relaxed) != rejected).then_some(rejected)
    }

    pub(super) fn accepted(&self) {
        if self.rejected.load(Ordering::Relaxed) {
            self.rejected.store(false, Ordering::Release);
        }
    }

    /// Notes which grant is stored. After a later one than before, by a person's new consent perhaps,
    /// what was held against the one before is over.
    pub(super) fn see_generation(&self, stored: u64) {
        if self.stored.fetch_max(stored, Ordering::AcqRel) < stored {
            self.accepted();
            self.set_uncertain(false);
            self.flight().forget_failures();
        }
    }

    /// While rejected, lets one call in [`PROBE_EVERY`] through.
    pub(super) fn check_rejected(&self, now: Instant) -> Result<(), CredentialError> {
        if !self.is_rejected() {
            return Ok(());
        }
        let mut probe = self.probe.lock().unwrap_or_else(PoisonError::into_inner);
        match *probe {
            Some(at) if now < at => Err(CredentialError::unavailable(Trouble::Rejected, at - now)),
            _ => {
                *probe = Some(now + PROBE_EVERY);
                Ok(())
            }
        }
    }
}

impl std::fmt::Debug for ConnectionState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ConnectionState({} {})", self.name, self.standing().as_str())
    }
}
