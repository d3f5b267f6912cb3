//! One connection's live state: what a request may know and what a refresh changes.
//!
//! Every part changes alone, without a lock a request could wait on: flags are atomics, the token is
//! swapped whole.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::access::connection::{ConnectionId, ConnectionName, CredentialKind, PortalId, Standing};
use crate::access::effect::Class;
use crate::access::installer::{Installer, InstallerNote};
use crate::access::kill::{Covered, Kills};
use crate::access::rotation::CredentialAge;
use crate::clock;
use crate::store::{ConnectionHealth, ConnectionRow, DamagedRow, LastUse};
use crate::tokens::expiry::Phase;
use crate::tokens::grant::Grant;
use crate::tokens::lease::{CredentialError, LiveToken, Trouble};
use crate::tokens::pulse::{FailureCause, Pulse};
use crate::tokens::scope_lists::ScopeLists;
use crate::vault::KeyPrint;

/// While a connection is rejected, one call in this time is let through to see whether it is over.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// When to come again while a row can't be read: somebody has to repair it.
const DAMAGED_WAIT: Duration = Duration::from_secs(60);

/// What HubSpot said about the credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Granted scopes; shared with all who were granted the same.
    pub scopes: Arc<[String]>,
    /// The installer's numeric id.
    pub user_id: Option<u64>,
}

impl Account {
    pub(super) fn of_row(row: &ConnectionRow, lists: &ScopeLists) -> Self {
        Self {
            scopes: lists.of(&row.scopes),
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
    /// An emergency stop covers it. Apart from the standing, which a revival gives back untouched.
    killed: AtomicBool,
    /// Who installed it: a stop may name a person.
    person: ArcSwap<[Option<String>; 2]>,
    installer: AtomicU8,
    watcher: bool,
    account: ArcSwap<Account>,
    token: ArcSwapOption<LiveToken>,
    used: AtomicBool,
    uncertain: AtomicBool,
    rejected: AtomicBool,
    rejection_noted: AtomicBool,
    probe: Mutex<Option<Instant>>,
    damaged: AtomicBool,
    grant: ArcSwap<Grant>,
    pulse: Pulse,
    /// Only its name is known: its row could never be read.
    stub: bool,
    /// What its credential is sealed under: another data key means another credential. The key itself, not
    /// its wrapping, which a rotation of the master key replaces. `None` when it does not open.
    data_key: Mutex<Option<KeyPrint>>,
    age: ArcSwap<CredentialAge>,
}

impl ConnectionState {
    /// A connection as stored, without a token yet.
    pub(super) fn of_row(
        row: &ConnectionRow,
        watcher: bool,
        account: Account,
        key: Option<KeyPrint>,
    ) -> Self {
        Self {
            id: row.id,
            name: row.name.clone(),
            portal: row.portal,
            app: row.app.as_deref().map(Arc::from),
            kind: row.kind,
            standing: AtomicU8::new(row.standing as u8),
            killed: AtomicBool::new(false),
            person: ArcSwap::from_pointee(persons_of(row)),
            installer: AtomicU8::new(InstallerNote::installer(row.installer.as_ref()) as u8),
            watcher,
            account: ArcSwap::from_pointee(account),
            token: ArcSwapOption::empty(),
            used: AtomicBool::new(false),
            uncertain: AtomicBool::new(row.intent.is_some()),
            rejected: AtomicBool::new(false),
            rejection_noted: AtomicBool::new(row.health.as_deref() == Some(Trouble::Rejected.as_str())),
            probe: Mutex::new(None),
            damaged: AtomicBool::new(false),
            grant: ArcSwap::default(),
            pulse: Pulse::default(),
            stub: false,
            data_key: Mutex::new(key),
            age: ArcSwap::from_pointee(row.credential_age()),
        }
    }

    /// A connection whose row can't be read; `None` if not even id, name and portal can.
    pub(super) fn of_damaged(row: &DamagedRow) -> Option<Self> {
        Some(Self {
            id: row.id?,
            name: row.name.clone()?,
            portal: row.portal?,
            app: None,
            kind: CredentialKind::PrivateApp,
            standing: AtomicU8::new(Standing::Unverified as u8),
            killed: AtomicBool::new(false),
            person: ArcSwap::from_pointee([None, None]),
            installer: AtomicU8::new(InstallerNote::installer(None) as u8),
            watcher: false,
            account: ArcSwap::default(),
            token: ArcSwapOption::empty(),
            used: AtomicBool::new(false),
            uncertain: AtomicBool::new(false),
            rejected: AtomicBool::new(false),
            rejection_noted: AtomicBool::new(false),
            probe: Mutex::new(None),
            damaged: AtomicBool::new(true),
            grant: ArcSwap::default(),
            pulse: Pulse::default(),
            stub: true,
            data_key: Mutex::new(None),
            age: ArcSwap::from_pointee(CredentialAge {
                issued: clock::now(),
                marked: None,
                installer_gone: None,
            }),
        })
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

    /// Its state now: `killed` while an emergency stop covers it, else its standing. Read after
    /// authentication, after every wait, before the first upstream byte.
    pub fn standing(&self) -> Standing {
        match self.is_killed() {
            true => Standing::Killed,
            false => self.standing_beneath(),
        }
    }

    /// Whether an emergency stop covers it.
    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// Sets the flag as `kills` want it; to be called with the lock that orders changes of the stops.
    pub(super) fn follow_kills(&self, kills: &Kills) {
        let person = self.person.load();
        let covered = Covered {
            name: self.name.as_str(),
            app: self.app(),
            portal: self.portal,
            person: person.each_ref().map(Option::as_deref),
        };
        self.killed
            .store(kills.stop_connection(covered), Ordering::Release);
    }

    pub(super) fn set_person(&self, row: &ConnectionRow) {
        self.person.store(Arc::new(persons_of(row)));
    }

    /// Its standing without regard to emergency stops: what a refresh that was under way goes by.
    pub(super) fn standing_beneath(&self) -> Standing {
        let index = usize::from(self.standing.load(Ordering::Acquire));
        // Invariant: only `set_standing` writes it; the fall-back blocks.
        Standing::ALL.get(index).copied().unwrap_or(Standing::Killed)
    }

    /// What is known of the person behind its credential, now: read wherever the standing is.
    pub fn installer(&self) -> Installer {
        let index = usize::from(self.installer.load(Ordering::Acquire));
        // Invariant: only `set_installer` writes it; the fall-back is the strictest.
        Installer::ALL.get(index).copied().unwrap_or(Installer::Gone)
    }

    pub(super) fn set_installer(&self, installer: Installer) {
        self.installer.store(installer as u8, Ordering::Release);
    }

    /// The state to show people.
    pub fn shown_standing(&self) -> Standing {
        self.standing().shown(self.installer())
    }

    /// Whether it is the gate's own, to watch its portal's people with: no integration may use it.
    pub fn is_watcher(&self) -> bool {
        self.watcher
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
        self.grant.load().flight().unsaved.is_none()
    }

    /// Whether its row in the store can't be read: nothing passes until it can.
    pub fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Acquire)
    }

    /// Whether only its name is known: its row could never be read.
    pub(super) fn is_stub(&self) -> bool {
        self.stub
    }

    /// True when that is news.
    pub(super) fn set_damaged(&self, damaged: bool) -> bool {
        self.damaged.swap(damaged, Ordering::AcqRel) != damaged
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

    /// HubSpot carried a call out for an integration.
    pub fn note_success(&self, class: Class, integration: &Arc<str>, now: Timestamp) {
        self.pulse.succeeded(class, integration, now);
    }

    /// HubSpot refused a call: 401 or 403.
    pub fn note_failure(&self, class: Class, cause: FailureCause, now: Timestamp) {
        self.pulse.failed(class, cause, now);
    }

    /// How its reads and writes fare.
    pub fn health(&self) -> ConnectionHealth {
        self.pulse.health()
    }

    /// When each integration last read and wrote, as far as this process knows.
    pub fn uses(&self) -> Vec<LastUse> {
        self.pulse.uses(self.id)
    }

    /// Whether health or uses changed since this was last asked.
    pub fn take_pulse_change(&self) -> bool {
        self.pulse.take_changed()
    }

    /// They could not be written down: they are to be, again.
    pub fn owe_pulse(&self) {
        self.pulse.owe();
    }

    pub(super) fn resume_health(&self, health: &ConnectionHealth) {
        self.pulse.resume(health);
    }

    pub(super) fn check_standing(&self) -> Result<(), CredentialError> {
        match self.standing() {
            standing if standing.refusal().is_some() => Err(CredentialError::Blocked(standing)),
            _ if self.is_damaged() => Err(CredentialError::unavailable(Trouble::Damaged, DAMAGED_WAIT)),
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

    /// Makes a token the one that is lent, unless a later one is there already, or the credential it came
    /// of, sealed under `of`, is not the connection's any more.
    pub(super) fn publish(&self, token: LiveToken, of: KeyPrint) {
        let token = Arc::new(token);
        // Held until the token is there: who replaces the credential takes it away after that.
        let data_key = self.data_key();
        if *data_key != Some(of) {
            return;
        }
        self.token.rcu(|current| match current {
            Some(current) if current.generation > token.generation => Some(Arc::clone(current)),
            _ => Some(Arc::clone(&token)),
        });
        self.used.store(false, Ordering::Relaxed);
    }

    /// Whether its credential is the one sealed under `data_key`.
    pub(super) fn holds(&self, data_key: KeyPrint) -> bool {
        *self.data_key() == Some(data_key)
    }

    /// Held for a few instructions, never across an await.
    fn data_key(&self) -> MutexGuard<'_, Option<KeyPrint>> {
        self.data_key.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// What it has in common with others that hold the same grant.
    pub(super) fn grant(&self) -> Arc<Grant> {
        self.grant.load_full()
    }

    pub(super) fn set_grant(&self, grant: Arc<Grant>) {
        self.grant.store(grant);
    }

    /// Notes that the upstream refused the token; true the first time.
    pub(super) fn mark_rejected(&self, now: Instant) -> bool {
        *self.probe.lock().unwrap_or_else(PoisonError::into_inner) = Some(now + PROBE_EVERY);
        !self.rejected.swap(true, Ordering::AcqRel)
    }

    /// Whether the connection is rejected, if the store does not say so yet or no longer should.
    pub(super) fn rejection_to_note(&self) -> Option<bool> {
        let rejected = self.is_rejected();
        // Read first: every connection is looked at every second, and nearly none has news.
        if self.rejection_noted.load(Ordering::Relaxed) == rejected {
            return None;
        }
        (self.rejection_noted.swap(rejected, Ordering::Relaxed) != rejected).then_some(rejected)
    }

    /// What the rotation of its credential is counted from.
    pub fn credential_age(&self) -> CredentialAge {
        *self.age.load_full()
    }

    /// Takes on the credential's age; when the row holds another credential than before, forgets all that
    /// came of the old one: its token, its rejection, its back-off, what was still to be saved of it, and
    /// the refusals it met in a row. `token` is the new one's, if there is one at hand: it takes the old one's
    /// place at once, so that no call finds none.
    pub(super) fn follow_credential(
        &self,
        row: &ConnectionRow,
        now: Option<KeyPrint>,
        token: Option<LiveToken>,
    ) {
        self.age.store(Arc::new(row.credential_age()));
        {
            let mut data_key = self.data_key();
            if *data_key == now {
                return;
            }
            *data_key = now;
            self.token.store(token.map(Arc::new));
        }
        self.set_uncertain(row.intent.is_some());
        if self.is_sharing() {
            self.leave();
        } else {
            self.grant().flight().forget();
        }
        self.forget_rejection();
        self.pulse.begin_anew();
    }

    /// What kept it from asking may be over: the next call asks at once. True when it was kept.
    pub(super) fn ask_again(&self) -> bool {
        let kept = self.grant().flight().ask_again(Trouble::Configuration) || self.is_rejected();
        if kept {
            self.forget_rejection();
        }
        kept
    }

    fn forget_rejection(&self) {
        *self.probe.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.accepted();
    }

    pub(super) fn accepted(&self) {
        if self.rejected.load(Ordering::Relaxed) {
            self.rejected.store(false, Ordering::Release);
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

/// The addresses that a stop of a person may name.
fn persons_of(row: &ConnectionRow) -> [Option<String>; 2] {
    [row.installer_email.clone(), row.person_email.clone()]
}

impl std::fmt::Debug for ConnectionState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ConnectionState({} {})", self.name, self.standing().as_str())
    }
}
