//! One refresh, step by step: intent, question, save, publish.
//!
//! Invariant: what HubSpot returned is saved before it is used, whether or not it rotated. The one
//! exception is a store that fails at that moment: the old grant may be dead already, so the new one is
//! used, kept in memory, and saved as soon as the store takes it.
//!
//! Between the last byte of HubSpot's answer and the durable commit lies the one window in which a crash
//! can lose a grant that rotates. Nothing is in it but reading the answer, sealing it, and one
//! transaction: keys are unwrapped before, whose the grant is is asked after.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::access::connection::{PortalId, Standing};
use crate::clock;
use crate::events::{RefreshFailure, TokenEndpoint, TokenRefreshed};
use crate::hubspot::control::ControlError;
use crate::hubspot::errors::TokenFailure;
use crate::hubspot::oauth::{self, ClientCredentials, Introspection, RefreshError, TokenAnswer};
use crate::metrics::{RefreshCause, RefreshResult, StoreOp};
use crate::store::{Begin, MachineTime, Member, NewGrant, Saved, StoreError, Ticket};
use crate::tokens::brake::{Fate, Turn};
use crate::tokens::connection::{Account, ConnectionState};
use crate::tokens::engine::{Engine, Need, jitter};
use crate::tokens::expiry::{LIFE_MAX, Validity};
use crate::tokens::flight::{Outcome, Unsaved};
use crate::tokens::give_up::{failure_of, note_standing, suspend_foreign, verified};
use crate::tokens::grant::Grant;
use crate::tokens::lease::{LiveToken, Trouble};
use crate::tokens::opened::Opened;
use crate::tokens::stock::{key_of, take_up};
use crate::vault::{KeyPrint, VaultError};

/// A lease outlasts both questions an attempt may ask, and a slow disk.
const LEASE_SPARE: Duration = Duration::from_secs(30);

/// Why a connection is suspended whose grant turned out to be another account's.
const PORTAL_CHANGED: &str = "its grant belongs to another portal now";

/// How an attempt ended, and the server's wish when to come again.
pub(super) type Ended = (Outcome, Option<Duration>);

const fn failed(trouble: Trouble) -> Ended {
    (Outcome::Failed(trouble), None)
}

const SETTLED: Ended = (Outcome::Settled, None);

/// One attempt, once it has its ticket.
pub(super) struct Attempt<'a> {
    pub(super) engine: &'a Engine,
    pub(super) connection: &'a Arc<ConnectionState>,
    /// What it held when the attempt began: it may be given another one meanwhile.
    grant: &'a Grant,
    pub(super) ticket: Arc<Ticket>,
    /// By what the credentials of the ticket's members are recognised, in their order; empty when they don't
    /// open.
    prints: Vec<KeyPrint>,
    started: Instant,
}

/// Runs one attempt to its end. Whoever asked for it may be gone by then.
pub(super) async fn attempt(
    engine: &Engine,
    connection: &Arc<ConnectionState>,
    grant: &Grant,
    need: Need,
) -> Ended {
    // Before it stands in line: what is owed to the store does not wait for the endpoint.
    match save_what_is_owed(engine, connection, grant).await {
        Ok(true) if need == Need::Repair => return SETTLED,
        Ok(_) => {}
        Err(ended) => return ended,
    }
    let Ok(_slot) = engine.at_once.acquire().await else {
        return failed(Trouble::Slow);
    };
    // What is stopped in an emergency starts nothing; a refresh under way at that moment ends as it must.
    if connection.is_killed() {
        return (Outcome::Stopped, None);
    }
    // It may have gone down while this one stood in line.
    if let Some((wait, trouble)) = engine.brake.held(Instant::now()) {
        return (Outcome::Held(trouble, wait), None);
    }
    tokio::time::sleep_until(engine.brake.turn(Instant::now())).await;
    let passage = match engine.brake.enter(Instant::now()) {
        Ok(passage) => passage,
        Err((wait, trouble)) => return (Outcome::Held(trouble, wait), None),
    };
    if engine.is_stopping() {
        return failed(Trouble::Slow);
    }
    fail::fail_point!("refresh-before-intent");
    let mut ticket = match begin(engine, connection).await {
        Ok(ticket) => ticket,
        Err(ended) => return ended,
    };
    let _given_back = GiveBack {
        engine,
        ticket: ticket.clone(),
    };
    fail::fail_point!("refresh-after-intent");
    let opened = Opened::of(&engine.parts.vault, &mut ticket);
    let attempt = Attempt {
        engine,
        connection,
        grant,
        ticket: Arc::new(ticket),
        prints: opened
            .as_ref()
            .map_or_else(|_| Vec::new(), |(opened, _)| opened.prints()),
        started: Instant::now(),
    };
    let opened = match opened {
        Ok((opened, strangers)) => {
            leave_alone(engine, connection, strangers).await;
            opened
        }
        Err(error) => return attempt.not_opened(error).await,
    };
    let (asked, client, answer) = ask(engine, &opened).await;
    fail::fail_point!("refresh-after-answer");
    match answer {
        Ok(answer) => {
            let ended = attempt.keep(&opened, asked, client, answer).await;
            attempt.note_secret(&opened, client);
            tell_endpoint(engine, passage.report(Fate::Up, Instant::now(), jitter()), None);
            ended
        }
        Err(error) => {
            let turn = passage.report(fate_of(&error), Instant::now(), jitter());
            tell_endpoint(engine, turn, Some(failure_of(&error)));
            attempt.give_up(error).await
        }
    }
}

/// Gives the lease back when an attempt panics: the next one need not wait for its end. The intent stays,
/// since the question may have been asked.
struct GiveBack<'a> {
    engine: &'a Engine,
    ticket: Ticket,
}

impl Drop for GiveBack<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let (store, ticket) = (Arc::clone(&self.engine.parts.store), self.ticket.clone());
        self.engine.parts.runtime.spawn_blocking(move || {
            if let Err(error) = store.end_refresh(&ticket, true, None) {
                // It ends by itself.
                tracing::debug!(error = %error, "lease not given back");
            }
        });
    }
}

/// Whether an error is the endpoint's, or only this grant's.
fn fate_of(error: &RefreshError) -> Fate {
    let unreachable = Fate::Down {
        trouble: Trouble::Unreachable,
        asked: None,
    };
    match error {
        RefreshError::Control(ControlError::NotSent(_) | ControlError::NoAnswer(_))
        | RefreshError::NotUnderstood { .. } => unreachable,
        RefreshError::Refused {
            failure: TokenFailure::Busy { retry_after, .. },
            ..
        } => Fate::Down {
            trouble: Trouble::Busy,
            asked: *retry_after,
        },
        RefreshError::Refused { .. } => Fate::Up,
    }
}

fn tell_endpoint(engine: &Engine, turn: Turn, failure: Option<RefreshFailure>) {
    let up = match turn {
        Turn::None => return,
        Turn::WentDown => false,
        Turn::CameBack => true,
    };
    TokenEndpoint {
        up,
        failure,
        instance: &engine.parts.instance,
    }
    .emit();
}

/// True when there was something and it is saved now.
pub(super) async fn save_what_is_owed(
    engine: &Engine,
    connection: &ConnectionState,
    grant: &Grant,
) -> Result<bool, Ended> {
    let owed = grant.flight().unsaved.clone();
    let Some(owed) = owed else {
        return Ok(false);
    };
    match save(engine, owed.ticket, owed.grant).await {
        Ok(saved) => {
            grant.flight().unsaved = None;
            tracing::info!(connection = %connection.name(), saved = saved == Saved::Yes, "grant saved late");
            Ok(true)
        }
        Err(error) => {
            engine.store_failed(StoreOp::RefreshSave, &error);
            tracing::warn!(connection = %connection.name(), error = %error, "grant still not saved");
            Err(failed(Trouble::Store))
        }
    }
}

async fn begin(engine: &Engine, connection: &Arc<ConnectionState>) -> Result<Ticket, Ended> {
    let (id, holder) = (connection.id(), engine.parts.instance.clone());
    let length = lease_length(engine);
    let begun = engine
        .on_disk(move |store| store.begin_refresh(&id, &holder, length))
        .await;
    match begun {
        Ok(Begin::Started(ticket)) => Ok(*ticket),
        Ok(Begin::Busy { .. }) => Err(read_again(engine, connection).await),
        Ok(Begin::Gone) => {
            connection.set_standing(Standing::Killed);
            Err(SETTLED)
        }
        Err(error) => {
            engine.store_failed(StoreOp::RefreshBegin, &error);
            tracing::error!(connection = %connection.name(), error = %error, "refresh not begun");
            Err(failed(Trouble::Store))
        }
    }
}

/// How long the right to refresh a grant is taken for.
pub(super) fn lease_length(engine: &Engine) -> Duration {
    engine.parts.client.longest() * 2 + LEASE_SPARE
}

/// Connections that no longer hold the grant they once shared.
async fn leave_alone(engine: &Engine, connection: &ConnectionState, strangers: Vec<Member>) {
    if strangers.is_empty() {
        return;
    }
    tracing::warn!(
        connection = %connection.name(), count = strangers.len(),
        "connections that shared this one's grant hold another one now"
    );
    let left = engine.on_disk(move |store| store.leave_alone(&strangers)).await;
    if let Err(error) = left {
        // Their leases end by themselves.
        tracing::debug!(error = %error, "leases not given back");
    }
}

/// Asks with the app's first secret, and with the next one if HubSpot does not know the first; says
/// which it was.
async fn ask(engine: &Engine, opened: &Opened) -> (Instant, usize, Result<TokenAnswer, RefreshError>) {
    let (mut asked, mut client) = (Instant::now(), 0);
    let mut last = Err(RefreshError::Refused {
        failure: TokenFailure::WrongClient,
        status: None,
    });
    for (index, credentials) in opened.clients().enumerate() {
        // A stop waits for one question.
        if index > 0 && engine.is_stopping() {
            break;
        }
        (asked, client) = (Instant::now(), index);
        let parts = &engine.parts;
        last = oauth::refresh(&parts.client, &parts.endpoints, credentials, &opened.refresh).await;
        let unknown = TokenFailure::WrongClient;
        if !matches!(&last, Err(RefreshError::Refused { failure, .. }) if *failure == unknown) {
            break;
        }
    }
    (asked, client, last)
}

impl Attempt<'_> {
    /// Lets `app show` say which of two secrets works. Best effort, and nobody waits for it.
    fn note_secret(&self, opened: &Opened, index: usize) {
        let Some((app, version)) = opened.secret_of(index) else {
            return;
        };
        let (parts, tasks) = (&self.engine.parts, &self.engine.tasks);
        let store = Arc::clone(&parts.store);
        let note = move || {
            if let Err(error) = store.note_secret_worked(&app, version) {
                tracing::debug!(error = %error, "the secret that worked is not noted");
            }
        };
        tasks.spawn_blocking_on(note, &parts.runtime);
    }

    /// Saves what came, then uses it.
    async fn keep(&self, opened: &Opened, asked: Instant, client: usize, answer: TokenAnswer) -> Ended {
        let grant = match self.seal(opened, &answer) {
            Ok(grant) => Arc::new(grant),
            Err(error) => return self.not_opened(error).await,
        };
        fail::fail_point!("refresh-before-save");
        match save(self.engine, Arc::clone(&self.ticket), Arc::clone(&grant)).await {
            Ok(Saved::Yes) => {
                let window = answer.received.elapsed();
                #[cfg(test)]
                self.engine.windows.lock().unwrap().push(window);
                fail::fail_point!("refresh-after-save");
                let refresh = answer.refresh.as_ref();
                let rotated = refresh.is_some_and(|new| new.expose() != opened.refresh.expose());
                let result = if rotated {
                    RefreshResult::Rotated
                } else {
                    RefreshResult::Ok
                };
                self.tell_saved(result, window);
            }
            Ok(Saved::Lost) => {
                self.tell(RefreshResult::Superseded);
                // Those that shared it hold it still, and have what it brought.
                for (member, key) in self.members().skip(1) {
                    let Some(holder) = self.holder(member, key) else {
                        continue;
                    };
                    let _ = read_again(self.engine, &holder).await;
                }
                return read_again(self.engine, self.connection).await;
            }
            Err(error) => {
                self.engine.store_failed(StoreOp::RefreshSave, &error);
                self.tell_failed(RefreshResult::NotDurable, RefreshCause::Store.into());
                tracing::debug!(connection = %self.connection.name(), error = %error, "not saved");
                self.grant.flight().unsaved = Some(Unsaved {
                    ticket: Arc::clone(&self.ticket),
                    grant: Arc::clone(&grant),
                });
            }
        }
        let told = match answer.hub_id {
            Some(_) => None,
            None => self.ask_portal(opened, client, &answer).await,
        };
        let hub_id = answer.hub_id.or(told.as_ref().map(|identity| identity.hub_id));
        let mut ended = SETTLED;
        for ((member, key), tokens) in self.members().zip(&grant.tokens) {
            let Some(holder) = self.holder(member, key) else {
                continue;
            };
            match (tokens.standing, &told) {
                (Some((standing, why)), _) => note_standing(&holder, standing, why.unwrap_or("verified")),
                (None, Some(identity)) => {
                    let expires = expiry(grant.obtained, answer.life);
                    self.settle_portal(&holder, member, identity.clone(), expires)
                        .await;
                }
                (None, None) => {}
            }
            let published = self.publish(&holder, (member, key), (asked, hub_id), &answer, &grant);
            if member.connection == self.ticket.own.connection {
                ended = published;
            }
        }
        ended
    }

    /// Those it was asked for, and by what the credential of each is recognised.
    pub(super) fn members(&self) -> impl Iterator<Item = (&Member, KeyPrint)> {
        self.ticket.members().zip(self.prints.iter().copied())
    }

    /// A member's live state, if it has one and still holds what was asked with: of a credential that has
    /// replaced it, nothing is known.
    pub(super) fn holder(&self, member: &Member, key: KeyPrint) -> Option<Arc<ConnectionState>> {
        let holder = match member.connection == self.connection.id() {
            true => Some(Arc::clone(self.connection)),
            false => self.grant.holder(&member.connection),
        };
        holder.filter(|holder| holder.holds(key))
    }

    fn seal(&self, opened: &Opened, answer: &TokenAnswer) -> Result<NewGrant, VaultError> {
        let obtained = clock::wall();
        let mut tokens = Vec::with_capacity(1 + self.ticket.sharers.len());
        for (index, member) in self.ticket.members().enumerate() {
            let standing = answer.hub_id.map(|hub_id| standing_of(hub_id, member.portal));
            // Another portal's access token is kept for nobody: it counts as expired from the start. So
            // does one whose portal is not known yet: a process that dies before it asked leaves nothing
            // to lend.
            let usable = standing.is_some_and(|(standing, _)| standing.refusal().is_none());
            let expires = if usable {
                expiry(obtained, answer.life)
            } else {
                obtained
            };
            tokens.push(opened.seal(index, member, answer)?.until(expires, standing));
        }
        let refresh = answer.refresh.as_ref().unwrap_or(&opened.refresh);
        Ok(NewGrant {
            obtained,
            clock: MachineTime::now(),
            scopes: answer.scopes.clone(),
            user_id: answer.user_id,
            print: self.engine.parts.vault.grant_print(refresh),
            tokens,
        })
    }

    /// The answer did not say whose it is: asks, since the portal is compared at every refresh.
    async fn ask_portal(
        &self,
        opened: &Opened,
        client: usize,
        answer: &TokenAnswer,
    ) -> Option<oauth::Identity> {
        let credentials: ClientCredentials<'_> = opened.clients().nth(client)?;
        let refresh = answer.refresh.as_ref().unwrap_or(&opened.refresh);
        let parts = &self.engine.parts;
        match oauth::introspect_grant(&parts.client, &parts.endpoints, credentials, refresh).await {
            Introspection::Known(identity) => Some(identity),
            _ => None,
        }
    }

    /// What the account behind the grant means for one member.
    async fn settle_portal(
        &self,
        holder: &Arc<ConnectionState>,
        member: &Member,
        identity: oauth::Identity,
        expires: Timestamp,
    ) {
        if identity.hub_id != member.portal.get() {
            suspend_foreign(self.engine, holder, PORTAL_CHANGED, "connection refreshed").await;
            return;
        }
        match verified(self.engine, holder, identity).await {
            Ok(()) => self.confirm_stored(member, expires).await,
            Err(error) => {
                // It stays unverified; the next refresh asks again.
                self.engine.store_failed(StoreOp::Write, &error);
                tracing::error!(connection = %holder.name(), error = %error, "verification not written");
            }
        }
    }

    /// The portal is known to be the connection's: the stored access token may serve others, too.
    async fn confirm_stored(&self, member: &Member, expires: Timestamp) {
        let (id, generation) = (member.connection, member.generation + 1);
        let confirmed = self
            .engine
            .on_disk(move |store| store.confirm_access(&id, generation, expires))
            .await;
        if let Err(error) = confirmed {
            self.engine.store_failed(StoreOp::Write, &error);
            tracing::warn!(connection = %self.connection.name(), error = %error, "stored token not confirmed");
        }
    }

    /// Lends the token from now on, unless it is another portal's by HubSpot's word, whatever the standing is
    /// by now: others write that. Where nobody told, a suspension may be for that very reason.
    fn publish(
        &self,
        holder: &ConnectionState,
        (member, key): (&Member, KeyPrint),
        (asked, hub_id): (Instant, Option<u64>),
        answer: &TokenAnswer,
        grant: &NewGrant,
    ) -> Ended {
        holder.set_uncertain(false);
        let is_usable = match hub_id {
            Some(hub_id) => hub_id == member.portal.get(),
            None => holder.standing_beneath() != Standing::Suspended,
        };
        if !is_usable {
            return SETTLED;
        }
        let before = holder.account();
        holder.set_account(Account {
            scopes: match &answer.scopes {
                Some(scopes) => self.engine.scope_lists.of(scopes),
                None => Arc::clone(&before.scopes),
            },
            user_id: answer.user_id.or(before.user_id),
        });
        let validity = Validity::of_new(asked, answer.life, jitter());
        let (generation, expires) = (member.generation + 1, expiry(grant.obtained, answer.life));
        let Some(token) = LiveToken::new(answer.access.clone(), generation, validity, Some(expires)) else {
            return failed(Trouble::Configuration);
        };
        fail::fail_point!("refresh-before-publish");
        holder.publish(token, key);
        SETTLED
    }

    /// Log line and metric of how it ended.
    pub(super) fn tell(&self, result: RefreshResult) {
        self.event(result, None, None);
    }

    /// The same of one that failed, with the cause.
    pub(super) fn tell_failed(&self, result: RefreshResult, failure: RefreshFailure) {
        self.event(result, Some(failure), None);
    }

    fn tell_saved(&self, result: RefreshResult, window: Duration) {
        self.event(result, None, Some(window));
    }

    fn event(&self, result: RefreshResult, failure: Option<RefreshFailure>, window: Option<Duration>) {
        let event = TokenRefreshed {
            connection: self.connection.name().as_str(),
            app: self.connection.app(),
            result,
            failure,
            duration: self.started.elapsed(),
            window,
        };
        event.emit(&self.engine.parts.metrics);
    }
}

/// What the account behind a fresh grant means for the connection.
fn standing_of(hub_id: u64, portal: PortalId) -> (Standing, Option<&'static str>) {
    if hub_id == portal.get() {
        (Standing::Ok, None)
    } else {
        (Standing::Suspended, Some(PORTAL_CHANGED))
    }
}

/// The end of the access token's life by the server's word.
fn expiry(obtained: Timestamp, life: Duration) -> Timestamp {
    let life = SignedDuration::try_from(life.min(LIFE_MAX)).unwrap_or_default();
    obtained.saturating_add(life).unwrap_or(obtained)
}

async fn save(engine: &Engine, ticket: Arc<Ticket>, grant: Arc<NewGrant>) -> Result<Saved, StoreError> {
    let by = engine.provenance();
    engine
        .on_disk(move |store| store.save_refreshed(&ticket, &grant, &by))
        .await
}

/// Takes up what another process wrote: of its standing only what forbids. The row is one of an earlier moment
/// by now, and to let traffic pass again is the publisher's, which reads in order.
pub(super) async fn read_again(engine: &Engine, connection: &Arc<ConnectionState>) -> Ended {
    let id = connection.id();
    match engine.on_disk(move |store| store.connection(&id)).await {
        Ok(Some(row)) => {
            if row.standing.refusal().is_some() {
                let _ = connection.settle_standing(row.standing);
            }
            if let Err(error) = take_up(connection, &row, key_of(&row, &engine.parts.vault).as_ref()) {
                tracing::error!(connection = %connection.name(), error = %error, "token can't be opened");
            }
        }
        Ok(None) => connection.set_standing(Standing::Killed),
        Err(error) => {
            engine.store_failed(StoreOp::Read, &error);
            return failed(Trouble::Store);
        }
    }
    match connection.current(Instant::now()) {
        Some(_) => SETTLED,
        None => failed(Trouble::Slow),
    }
}
