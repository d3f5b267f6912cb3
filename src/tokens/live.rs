//! Every connection, live. The map never leaves this module: a look-up clones the `Arc` out, so no
//! guard can be held across an await.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use foldhash::fast::RandomState;
use futures_util::future::join_all;
use smallvec::SmallVec;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::access::connection::{ConnectionId, ConnectionName, CredentialKind, PortalId, Standing};
use crate::access::decide::Permit;
use crate::access::installer::InstallerNote;
use crate::access::kill::Kills;
use crate::events::StoreFailed;
use crate::metrics::StoreOp;
use crate::store::{Change, ChangeKind, ConnectionRow, DamagedRow, GateLock, PageMark, StoreError};
use crate::tokens::brake::spread;
use crate::tokens::connection::{Account, ConnectionState};
use crate::tokens::engine::{Engine, LiveParts, Need, Start, jitter};
use crate::tokens::expiry::Phase;
use crate::tokens::flight::{Landing, Outcome};
use crate::tokens::grant::Grant;
use crate::tokens::keeper;
use crate::tokens::lease::{CredentialError, Lease, Trouble};
use crate::tokens::refresh::save_what_is_owed;
use crate::tokens::stock::{key_of, print_of, stored_token, take_up};
use crate::vault::DataKey;

/// How long a stop waits for the store: a write waits 5 s for another process's.
const DISK_SPARE: Duration = Duration::from_secs(10);

/// Every connection of the gate, and how to get a token for one. Cheap to clone.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    connections: DashMap<ConnectionId, Arc<ConnectionState>, RandomState>,
    by_name: DashMap<ConnectionName, ConnectionId>,
    by_portal: DashMap<PortalId, SmallVec<[ConnectionId; 2]>>,
    /// Grants that several connections hold, by the store's id for them.
    shared: DashMap<String, Arc<Grant>>,
    /// The emergency stops in force. The lock is held while flags are set and while a connection comes:
    /// none slips in between.
    kills: Mutex<Arc<Kills>>,
    /// Connections of which it could not be noted which grant they hold.
    unnoted: Mutex<HashSet<ConnectionId>>,
    engine: Arc<Engine>,
}

impl Live {
    /// Reads every connection. `alone` proves that no other gate runs on the store, so what a
    /// predecessor left is taken over. Blocks on the disk.
    ///
    /// # Errors
    /// The store can't be read. A single record that can't be read or does not open is logged, and has
    /// no token.
    pub fn load(parts: LiveParts, alone: &GateLock) -> Result<Self, StoreError> {
        parts.store.take_over_leases(alone)?;
        parts.store.checkpoint_apart()?;
        let kills = Arc::new(parts.store.kill_state()?);
        let engine = Arc::new(Engine::new(parts));
        let live = Self(Arc::new(Inner {
            connections: DashMap::default(),
            by_name: DashMap::new(),
            by_portal: DashMap::new(),
            shared: DashMap::new(),
            kills: Mutex::new(kills),
            unnoted: Mutex::default(),
            engine,
        }));
        live.put_all()?;
        live.resume_health();
        Ok(live)
    }

    /// Reads every connection, and once more if some were found to hold the same grant: those read before it
    /// was known do not share it yet. Returns the ids of all that are there.
    fn put_all(&self) -> Result<HashSet<ConnectionId>, StoreError> {
        let (there, noted) = self.put_pages()?;
        match noted {
            true => Ok(self.put_pages()?.0),
            false => Ok(there),
        }
    }

    /// Page by page: a hundred thousand rows are never in memory together, and the reader is free in between.
    fn put_pages(&self) -> Result<(HashSet<ConnectionId>, bool), StoreError> {
        let store = &self.0.engine.parts.store;
        let (mut there, mut noted) = (HashSet::new(), false);
        // Of many that can't be noted one is tried: each waits for a store that is locked.
        let mut may_note = true;
        let mut mark = Some(PageMark::START);
        while let Some(at) = mark {
            let (rows, next) = store.connection_page(at)?;
            for row in &rows.sound {
                there.insert(row.id);
                let what = self.put_noted(row, may_note)?;
                may_note &= what != Noted::Not;
                noted |= what == Noted::Now;
            }
            for row in &rows.damaged {
                there.extend(row.id);
                self.put_damaged(row);
            }
            mark = next;
        }
        Ok((there, noted))
    }

    /// Puts a connection after its grant was looked at: who else holds it is known then, or when that can be noted.
    fn put_noted(&self, row: &ConnectionRow, may_note: bool) -> Result<Noted, StoreError> {
        let engine = &self.0.engine;
        let key = key_of(row, &engine.parts.vault);
        let noted = note_grant(engine, row, key.as_ref(), may_note);
        let again = match noted {
            Noted::Now => engine.parts.store.connection(&row.id)?,
            Noted::Before | Noted::Not => None,
        };
        match again {
            Some(row) => self.put(&row, key_of(&row, &engine.parts.vault).as_ref()),
            None => self.put(row, key.as_ref()),
        }
        let mut unnoted = self.unnoted();
        match noted {
            Noted::Not => unnoted.insert(row.id),
            Noted::Before | Noted::Now => unnoted.remove(&row.id),
        };
        Ok(noted)
    }

    /// Tries once more to note which grants connections hold that could not be noted before; ends with the first that
    /// still can't. Whether there is none left. Blocks on the disk.
    pub fn note_again(&self) -> bool {
        let left: Vec<ConnectionId> = self.unnoted().iter().copied().collect();
        for id in left {
            let noted = match self.0.engine.parts.store.connection(&id) {
                Ok(Some(row)) => self.put_noted(&row, true).unwrap_or(Noted::Not),
                // Gone, or stopped by itself.
                Ok(None) | Err(StoreError::DamagedConnection(_)) => Noted::Before,
                Err(_) => Noted::Not,
            };
            if noted == Noted::Not {
                return false;
            }
            self.unnoted().remove(&id);
        }
        true
    }

    fn unnoted(&self) -> MutexGuard<'_, HashSet<ConnectionId>> {
        self.0.unnoted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up the health that was written down. Without it every connection begins anew: no reason
    /// not to start.
    fn resume_health(&self) {
        match self.0.engine.parts.store.connection_health() {
            Ok(all) => {
                for (id, health) in all {
                    if let Some(connection) = self.connection(&id) {
                        connection.resume_health(&health);
                    }
                }
            }
            Err(error) => {
                tracing::warn!(error = %error, "what is known of connections' health can't be read: it begins anew");
            }
        }
    }

    /// Reads what a change names again: what the publisher calls for each change. Changes of keys are
    /// none of its business. An app's secrets are read at every refresh; what waited because of them
    /// tries again at once. Blocks on the disk.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn apply_change(&self, change: &Change) -> Result<(), StoreError> {
        match change.kind {
            ChangeKind::Connection => {}
            ChangeKind::App => {
                self.ask_again(|app| app == change.id);
                return Ok(());
            }
            ChangeKind::MasterKey => return self.follow_master_key(),
            _ => return Ok(()),
        }
        // What a damaged row speaks of is found by reading everything.
        let Some(id) = ConnectionId::parse(&change.id) else {
            return self.reload();
        };
        match self.0.engine.parts.store.connection(&id) {
            Ok(Some(row)) => {
                self.put_noted(&row, true)?;
            }
            Ok(None) => self.remove(&id),
            // Its own trouble: the changes behind it are for others.
            Err(StoreError::DamagedConnection(row)) => self.put_damaged(&row),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Takes a master key that was announced, or lets the one go that no longer counts. Until that is done the
    /// change is not applied: whoever rotates waits for it.
    fn follow_master_key(&self) -> Result<(), StoreError> {
        let parts = &self.0.engine.parts;
        fail::fail_point!("follow-master-key");
        let recorded = parts.store.recorded()?;
        parts.vault.follow(&recorded).map_err(|_| StoreError::Rekeyed)?;
        tracing::info!(
            event = "master_key.followed",
            under_way = recorded.next.is_some(),
            "the gate works with the store's present master key"
        );
        Ok(())
    }

    /// Reads everything again: for a publisher that missed changes. Blocks on the disk.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn reload(&self) -> Result<(), StoreError> {
        self.follow_master_key()?;
        // One that is added meanwhile is not among those known before.
        let before = self.all();
        let there = self.put_all()?;
        for known in before {
            if !there.contains(&known.id()) {
                self.remove(&known.id());
            }
        }
        self.ask_again(|_| true);
        Ok(())
    }

    /// Takes other emergency stops in force: every connection's flag follows before this returns.
    pub fn apply_kills(&self, kills: &Arc<Kills>) {
        let mut in_force = self.kills();
        *in_force = Arc::clone(kills);
        for connection in self.all() {
            connection.follow_kills(&in_force);
        }
    }

    /// Connections of these apps that wait because HubSpot refused the app ask again now: those that
    /// waited were in use. At most as many at once as the engine lets.
    fn ask_again(&self, is_meant: impl Fn(&str) -> bool) {
        for connection in self.all() {
            let of_app = connection.app().is_some_and(&is_meant);
            if of_app && connection.ask_again() && connection.standing().refusal().is_none() {
                // Whether it flies or has a token already: the next call will tell.
                let _ = Engine::start(&self.0.engine, &connection, Need::Now);
            }
        }
    }

    /// Looks after the tokens until `stop`: to be spawned on the control plane.
    pub async fn keep(self, stop: CancellationToken) {
        keeper::run(self, stop).await;
    }

    /// Ends refreshes in order: at shutdown, after requests have ended. None begins any more; those under way
    /// have as long as a question to HubSpot may take, since a rotated grant whose answer is not waited for is
    /// lost. What is still owed to the store is then tried once more, whatever the pause it is in. What has not
    /// ended by then is found by its intent at the next start.
    pub async fn finish(&self) {
        let engine = &self.0.engine;
        engine.stop();
        let longest = engine.parts.client.longest() + DISK_SPARE;
        if timeout(longest, engine.tasks.wait()).await.is_err() {
            tracing::warn!("a token refresh did not end in time");
        }
        if timeout(DISK_SPARE, self.save_what_is_owed()).await.is_err() {
            tracing::error!("the store did not take in time what is owed to it: a grant may be lost");
        }
    }

    /// All together, so that one transaction takes them; twice, by two that hold it, is once.
    async fn save_what_is_owed(&self) {
        let mut owing = self.all();
        owing.retain(|connection| !connection.is_durable());
        // How it went is logged.
        join_all(owing.iter().map(async |connection| {
            let _ = save_what_is_owed(&self.0.engine, connection, &connection.grant()).await;
        }))
        .await;
    }

    /// The connection of an id.
    pub fn connection(&self, id: &ConnectionId) -> Option<Arc<ConnectionState>> {
        self.0.connections.get(id).map(|entry| Arc::clone(entry.value()))
    }

    /// The connection of a name.
    pub fn by_name(&self, name: &ConnectionName) -> Option<Arc<ConnectionState>> {
        let id = *self.0.by_name.get(name)?.value();
        self.connection(&id)
    }

    /// The connections of a portal: several when several apps are installed there.
    pub fn by_portal(&self, portal: PortalId) -> SmallVec<[Arc<ConnectionState>; 2]> {
        let ids = self
            .0
            .by_portal
            .get(&portal)
            .map(|entry| entry.value().clone())
            .unwrap_or_default();
        ids.iter().filter_map(|id| self.connection(id)).collect()
    }

    /// Every connection, in no order.
    pub fn all(&self) -> Vec<Arc<ConnectionState>> {
        self.0
            .connections
            .iter()
            .map(|entry| Arc::clone(entry.value()))
            .collect()
    }

    /// Lends the connection's token against the proof that the call was allowed.
    ///
    /// Waits only when there is no token that may be sent, and no longer than the settings say.
    ///
    /// # Errors
    /// The connection's standing forbids it, or there is no token for now.
    pub async fn lease(
        &self,
        connection: &Arc<ConnectionState>,
        _permit: &Permit,
    ) -> Result<Lease, CredentialError> {
        self.lend(connection).await
    }

    /// The same, as long as nothing has to be waited for: nearly always. `None`: something has.
    ///
    /// # Errors
    /// The connection's standing forbids it.
    pub fn lease_at_hand(
        &self,
        connection: &Arc<ConnectionState>,
        _permit: &Permit,
    ) -> Result<Option<Lease>, CredentialError> {
        self.at_hand(connection)
    }

    /// Another lease in the place of one whose token ran out before the call went up: the first was lent
    /// against a permit.
    ///
    /// # Errors
    /// As for the first.
    pub async fn lease_again(&self, lease: &Lease) -> Result<Lease, CredentialError> {
        self.lend(&lease.connection).await
    }

    pub(super) async fn lend(&self, connection: &Arc<ConnectionState>) -> Result<Lease, CredentialError> {
        match self.at_hand(connection)? {
            Some(lease) => Ok(lease),
            None => self.obtain(connection, Need::Now).await,
        }
    }

    /// The lending itself, where a token is at hand. Invariant: only [`Live::lease`] and [`Live::lease_at_hand`], with a
    /// permit, [`Live::lease_again`], with what they lent, and [`Live::ask`], for the gate's own questions, come here
    /// and to [`Live::obtain`].
    fn at_hand(&self, connection: &Arc<ConnectionState>) -> Result<Option<Lease>, CredentialError> {
        let now = Instant::now();
        connection.check_standing()?;
        connection.check_rejected(now)?;
        if let Some((token, phase)) = connection.current(now) {
            connection.mark_used();
            if phase == Phase::Ageing {
                // In the background; this call has a token that is still good.
                let _ = Engine::start(&self.0.engine, connection, Need::Ahead);
            }
            return Ok(Some(Lease {
                connection: Arc::clone(connection),
                token,
            }));
        }
        Ok(None)
    }

    /// What to do about an upstream 401: a lease to replay the call with, once.
    ///
    /// Another token if there is one by now; else one forced refresh, for OAuth grants only, at most
    /// one in 60 s a connection. To be called for the replay's own 401, too: it then says `Rejected`.
    ///
    /// # Errors
    /// The token can't be replaced: the connection counts as rejected until a call is accepted.
    pub async fn rejected(&self, lease: &Lease) -> Result<Lease, CredentialError> {
        let connection = &lease.connection;
        connection.check_standing()?;
        let refused = lease.token.generation;
        if let Some((token, _)) = connection.current(Instant::now())
            && token.generation > refused
        {
            return Ok(Lease {
                connection: Arc::clone(connection),
                token,
            });
        }
        if connection.kind() != CredentialKind::OAuth {
            return Err(self.mark_rejected(connection));
        }
        self.obtain(connection, Need::Replace(refused)).await
    }

    /// Has the token refreshed, waits for it, and lends it.
    async fn obtain(&self, connection: &Arc<ConnectionState>, need: Need) -> Result<Lease, CredentialError> {
        let mut start = Engine::start(&self.0.engine, connection, need);
        if let Start::Flying(landing) = start {
            start = match self.landed(landing).await {
                // Begun by another holder of the grant, which is stopped. Once: the next is its own.
                Ok(Outcome::Stopped) => Engine::start(&self.0.engine, connection, need),
                Ok(_) => Start::Met,
                Err(trouble) => return Err(self.not_landed(connection, trouble)),
            };
        }
        match start {
            Start::Met => {}
            Start::Flying(landing) => {
                if let Err(trouble) = self.landed(landing).await {
                    return Err(self.not_landed(connection, trouble));
                }
            }
            Start::Later(trouble, wait) => {
                return Err(CredentialError::unavailable(trouble, spread(wait, jitter())));
            }
            Start::Never if matches!(need, Need::Replace(_)) => return Err(self.mark_rejected(connection)),
            Start::Never => {
                let trouble = Trouble::Configuration;
                return Err(CredentialError::unavailable(trouble, Duration::from_secs(60)));
            }
        }
        connection.check_standing()?;
        let (token, _) = connection
            .current(Instant::now())
            .ok_or_else(|| CredentialError::unavailable(Trouble::Slow, Duration::ZERO))?;
        connection.mark_used();
        Ok(Lease {
            connection: Arc::clone(connection),
            token,
        })
    }

    fn not_landed(&self, connection: &ConnectionState, trouble: Trouble) -> CredentialError {
        if let Err(blocked) = connection.check_standing() {
            return blocked;
        }
        let wait = connection.grant().flight().must_wait(Instant::now());
        CredentialError::unavailable(
            trouble,
            wait.map_or(Duration::ZERO, |(wait, _)| spread(wait, jitter())),
        )
    }

    async fn landed(&self, mut landing: Landing) -> Result<Outcome, Trouble> {
        let wait = self.0.engine.parts.settings.wait;
        match timeout(wait, landing.wait_for(Option::is_some)).await {
            Ok(Ok(outcome)) => match *outcome {
                Some(Outcome::Failed(trouble) | Outcome::Held(trouble, _)) => Err(trouble),
                Some(outcome) => Ok(outcome),
                None => Err(Trouble::Slow),
            },
            // The task is gone, or takes longer than a request waits.
            Ok(Err(_)) | Err(_) => Err(Trouble::Slow),
        }
    }

    /// One alert when it begins; over as soon as a call is accepted.
    fn mark_rejected(&self, connection: &ConnectionState) -> CredentialError {
        if connection.mark_rejected(Instant::now()) {
            tracing::error!(
                connection = %connection.name(),
                "HubSpot refuses the connection's token: it was rotated or deactivated; give the new one with `scopegate \
                 connection rotate`"
            );
        }
        CredentialError::unavailable(Trouble::Rejected, Duration::from_secs(5))
    }

    /// Held for no longer than a pass over all connections, never across an await.
    fn kills(&self) -> MutexGuard<'_, Arc<Kills>> {
        self.0.kills.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn engine(&self) -> &Arc<Engine> {
        &self.0.engine
    }

    /// Adds a connection or brings it up to date.
    fn put(&self, row: &ConnectionRow, key: Option<&DataKey>) {
        // Repaired: what it is is known only now.
        if self.connection(&row.id).is_some_and(|known| known.is_stub()) {
            self.remove(&row.id);
        }
        let engine = &self.0.engine;
        let (account, print) = (Account::of_row(row, &engine.scope_lists), key.map(DataKey::print));
        let kills = self.kills();
        let connection = match self.connection(&row.id) {
            Some(known) => {
                known.set_standing(row.standing);
                known.set_installer(InstallerNote::installer(row.installer.as_ref()));
                known.set_account(account);
                known.set_person(row);
                known.follow_kills(&kills);
                let is_known = print.is_none_or(|print| known.holds(print));
                // What can't be opened is told below.
                let stored = (!is_known).then(|| stored_token(row, key).ok().flatten());
                known.follow_credential(row, print, stored.flatten().map(|(token, _)| token));
                known.set_damaged(false);
                known
            }
            None => {
                let watcher = engine.parts.watchers.contains(row.name.as_str());
                let new = ConnectionState::of_row(row, watcher, account, print);
                new.follow_kills(&kills);
                self.insert(new)
            }
        };
        drop(kills);
        // One that leaves others takes nothing of theirs along.
        let own = || match connection.is_sharing() {
            true => Arc::default(),
            false => connection.grant(),
        };
        let grant = match &row.grant_id {
            Some(id) => Arc::clone(&self.0.shared.entry(id.clone()).or_insert_with(own)),
            None => own(),
        };
        connection.hold(&grant);
        if let Err(error) = take_up(&connection, row, key) {
            tracing::error!(connection = %row.name, error = %error, "the connection's token can't be opened");
        }
    }

    fn insert(&self, new: ConnectionState) -> Arc<ConnectionState> {
        let (id, new) = (new.id(), Arc::new(new));
        self.0.connections.insert(id, Arc::clone(&new));
        self.0.by_name.insert(new.name().clone(), id);
        self.0.by_portal.entry(new.portal()).or_default().push(id);
        new
    }

    /// Nothing passes on a connection whose row can't be read; all others go on.
    fn put_damaged(&self, row: &DamagedRow) {
        let known = row.id.and_then(|id| self.connection(&id));
        let news = match known {
            Some(known) => known.set_damaged(true),
            None => {
                if let Some(new) = ConnectionState::of_damaged(row) {
                    new.follow_kills(&self.kills());
                    self.insert(new);
                }
                true
            }
        };
        if news {
            tracing::error!(
                event = "connection.damaged",
                finding = row.finding(),
                "a connection can't be read"
            );
        }
    }

    /// Calls that hold the connection see it as killed.
    fn remove(&self, id: &ConnectionId) {
        let Some((_, gone)) = self.0.connections.remove(id) else {
            return;
        };
        gone.set_standing(Standing::Killed);
        self.0.by_name.remove_if(gone.name(), |_, named| named == id);
        if let Some(mut ids) = self.0.by_portal.get_mut(&gone.portal()) {
            ids.retain(|known| known != id);
        }
        self.0
            .by_portal
            .remove_if(&gone.portal(), |_, ids| ids.is_empty());
        drop(gone);
        self.0.shared.retain(|_, grant| grant.is_held());
    }
}

/// Whether the store knows which grant a connection holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Noted {
    /// As before, or there is none to be known.
    Before,
    /// Since now.
    Now,
    /// Not yet: till then the connection counts as one that shares nothing.
    Not,
}

/// Finds out whether other connections hold the same grant, and notes it, if it may. What could not be noted holds up
/// no change: those behind it are others'.
fn note_grant(engine: &Engine, row: &ConnectionRow, key: Option<&DataKey>, may_note: bool) -> Noted {
    let (store, vault) = (&engine.parts.store, &engine.parts.vault);
    // One that does not open is complained about where it is used.
    let Some(Ok(Some(print))) = key.map(|key| print_of(row, key, vault)) else {
        return Noted::Before;
    };
    if row.grant_print == Some(print) {
        return Noted::Before;
    }
    if !may_note {
        return Noted::Not;
    }
    match store.note_grant(&row.id, row.generation, &print, &engine.provenance()) {
        Ok(_) => Noted::Now,
        Err(error) => {
            StoreFailed {
                op: StoreOp::Write,
                detail: &error,
            }
            .emit(&engine.parts.metrics);
            Noted::Not
        }
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Live({} connections)", self.0.connections.len())
    }
}
