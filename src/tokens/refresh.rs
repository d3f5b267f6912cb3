//! One refresh, step by step: intent, question, save, publish.
//!
//! Invariant: what HubSpot returned is saved before it is used, whether or not it rotated. The one
//! exception is a store that fails at that moment: the old grant may be dead already, so the new one is
//! used, kept in memory, and saved as soon as the store takes it.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::access::connection::{PortalId, Standing};
use crate::events::TokenRefreshed;
use crate::hubspot::errors::TokenFailure;
use crate::hubspot::oauth::{self, ClientCredentials, Introspection, RefreshError, TokenAnswer};
use crate::metrics::RefreshResult;
use crate::secret::Secret;
use crate::store::{Begin, NewGrant, Saved, StoreError, Ticket};
use crate::tokens::connection::{Account, ConnectionState};
use crate::tokens::engine::{Engine, Need, jitter};
use crate::tokens::expiry::{LIFE_MAX, Validity};
use crate::tokens::flight::{Outcome, Unsaved};
use crate::tokens::give_up::{note_standing, suspend_foreign, verified};
use crate::tokens::lease::{LiveToken, Trouble};
use crate::tokens::stock::{ACCESS, APP_SECRET, REFRESH, take_up};
use crate::vault::{DataKey, Owner, Place, VaultError};

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
    pub(super) ticket: Arc<Ticket>,
    started: Instant,
}

/// Runs one attempt to its end. Whoever asked for it may be gone by then.
pub(super) async fn attempt(engine: &Engine, connection: &Arc<ConnectionState>, need: Need) -> Ended {
    let Ok(_slot) = engine.at_once.acquire().await else {
        return failed(Trouble::Slow);
    };
    match save_what_is_owed(engine, connection).await {
        Ok(true) if need == Need::Repair => return SETTLED,
        Ok(_) => {}
        Err(ended) => return ended,
    }
    // What is stopped in an emergency starts nothing; a refresh under way at that moment ends as it must.
    if connection.is_killed() {
        return SETTLED;
    }
    fail::fail_point!("refresh-before-intent");
    let ticket = match begin(engine, connection).await {
        Ok(ticket) => Arc::new(ticket),
        Err(ended) => return ended,
    };
    fail::fail_point!("refresh-after-intent");
    let attempt = Attempt {
        engine,
        connection,
        ticket,
        started: Instant::now(),
    };
    attempt.run().await
}

/// True when there was something and it is saved now.
async fn save_what_is_owed(engine: &Engine, connection: &ConnectionState) -> Result<bool, Ended> {
    let Some(owed) = connection.flight().unsaved.clone() else {
        return Ok(false);
    };
    match save(engine, owed.ticket, owed.grant).await {
        Ok(saved) => {
            connection.flight().unsaved = None;
            tracing::info!(connection = %connection.name(), saved = saved == Saved::Yes, "grant saved late");
            Ok(true)
        }
        Err(error) => {
            tracing::warn!(connection = %connection.name(), error = %error, "grant still not saved");
            Err(failed(Trouble::Store))
        }
    }
}

async fn begin(engine: &Engine, connection: &Arc<ConnectionState>) -> Result<Ticket, Ended> {
    let (id, holder) = (connection.id(), engine.parts.instance.clone());
    let length = engine.parts.client.longest() * 2 + LEASE_SPARE;
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
            tracing::error!(connection = %connection.name(), error = %error, "refresh not begun");
            Err(failed(Trouble::Store))
        }
    }
}

/// The plain credentials of one attempt; wiped when it ends.
struct Opened {
    owner: Owner,
    key: DataKey,
    refresh: Secret,
    app_secrets: Vec<Secret>,
}

impl Opened {
    fn of(engine: &Engine, ticket: &Ticket) -> Result<Self, VaultError> {
        let vault = &engine.parts.vault;
        let owner = Owner::connection(&ticket.connection);
        let key = vault.data_key(&owner, &ticket.data_key)?;
        let refresh = key.open(place(&owner, REFRESH, ticket.generation), &ticket.refresh)?;
        let app = Owner::app(&ticket.app.name);
        let app_key = vault.data_key(&app, &ticket.app.data_key)?;
        let app_secrets = ticket
            .app
            .secrets
            .iter()
            .map(|(sealed, version)| app_key.open(place(&app, APP_SECRET, *version), sealed))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            owner,
            key,
            refresh,
            app_secrets,
        })
    }
}

fn place<'a>(owner: &'a Owner, field: &'static str, version: u64) -> Place<'a> {
    Place {
        owner,
        field,
        version,
    }
}

/// What the token endpoint said, when the question went out, and with which of the app's secrets.
struct Asked {
    at: Instant,
    secret: usize,
    answer: Result<TokenAnswer, RefreshError>,
}

/// Asks with the app's first secret, and with the other one if HubSpot does not know the first.
async fn ask(engine: &Engine, ticket: &Ticket, opened: &Opened) -> Asked {
    let mut asked = Asked {
        at: Instant::now(),
        secret: 0,
        answer: Err(RefreshError::Refused(TokenFailure::WrongClient)),
    };
    for (index, secret) in opened.app_secrets.iter().enumerate() {
        asked.at = Instant::now();
        asked.secret = index;
        let credentials = ClientCredentials {
            id: &ticket.app.client_id,
            secret,
        };
        asked.answer = oauth::refresh(
            &engine.parts.client,
            &engine.parts.endpoints,
            credentials,
            &opened.refresh,
        )
        .await;
        if !matches!(
            asked.answer,
            Err(RefreshError::Refused(TokenFailure::WrongClient))
        ) {
            break;
        }
    }
    asked
}

impl Attempt<'_> {
    async fn run(&self) -> Ended {
        let opened = match Opened::of(self.engine, &self.ticket) {
            Ok(opened) => opened,
            Err(error) => return self.not_opened(error).await,
        };
        let asked = ask(self.engine, &self.ticket, &opened).await;
        fail::fail_point!("refresh-after-answer");
        match asked.answer {
            Ok(answer) => {
                let ended = self.keep(&opened, asked.at, asked.secret, answer).await;
                self.note_secret(asked.secret);
                ended
            }
            Err(error) => self.give_up(error).await,
        }
    }

    /// Lets `app show` say which of two secrets works. Best effort, and nobody waits for it.
    fn note_secret(&self, index: usize) {
        let Some((_, version)) = self.ticket.app.secrets.get(index) else {
            return;
        };
        let (app, version) = (self.ticket.app.name.clone(), *version);
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
    async fn keep(&self, opened: &Opened, asked: Instant, secret: usize, answer: TokenAnswer) -> Ended {
        let standing = answer
            .hub_id
            .map(|hub_id| standing_of(hub_id, self.ticket.portal));
        let grant = match seal(&self.ticket, opened, &answer, standing) {
            Ok(grant) => Arc::new(grant),
            Err(error) => return self.not_opened(error).await,
        };
        fail::fail_point!("refresh-before-save");
        match save(self.engine, Arc::clone(&self.ticket), Arc::clone(&grant)).await {
            Ok(Saved::Yes) => {
                fail::fail_point!("refresh-after-save");
                let refresh = answer.refresh.as_ref();
                let rotated = refresh.is_some_and(|new| new.expose() != opened.refresh.expose());
                self.tell(if rotated {
                    RefreshResult::Rotated
                } else {
                    RefreshResult::Ok
                });
            }
            Ok(Saved::Lost) => {
                self.tell(RefreshResult::Superseded);
                return read_again(self.engine, self.connection).await;
            }
            Err(error) => {
                self.tell(RefreshResult::NotDurable);
                tracing::debug!(connection = %self.connection.name(), error = %error, "not saved");
                self.connection.flight().unsaved = Some(Unsaved {
                    ticket: Arc::clone(&self.ticket),
                    grant: Arc::clone(&grant),
                });
            }
        }
        match standing {
            Some((standing, why)) => note_standing(self.connection, standing, why.unwrap_or("verified")),
            None => self.ask_portal(opened, secret, &answer, &grant).await,
        }
        self.publish(asked, answer, &grant)
    }

    /// The answer did not say whose it is: asks, since the portal is compared at every refresh.
    async fn ask_portal(&self, opened: &Opened, secret: usize, answer: &TokenAnswer, grant: &NewGrant) {
        let Some(secret) = opened.app_secrets.get(secret) else {
            return;
        };
        let credentials = ClientCredentials {
            id: &self.ticket.app.client_id,
            secret,
        };
        let refresh = answer.refresh.as_ref().unwrap_or(&opened.refresh);
        let parts = &self.engine.parts;
        let told = oauth::introspect_grant(&parts.client, &parts.endpoints, credentials, refresh).await;
        let Introspection::Known(identity) = told else {
            return;
        };
        if identity.hub_id != self.ticket.portal.get() {
            suspend_foreign(
                self.engine,
                self.connection,
                PORTAL_CHANGED,
                "connection refreshed",
            )
            .await;
            return;
        }
        match verified(self.engine, self.connection, identity).await {
            Ok(_) => self.confirm_stored(expiry(grant.obtained, answer.life)).await,
            Err(error) => {
                // It stays unverified; the next refresh asks again.
                tracing::error!(connection = %self.connection.name(), error = %error, "verification not written");
            }
        }
    }

    /// The portal is known to be the connection's: the stored access token may serve others, too.
    async fn confirm_stored(&self, expires: Timestamp) {
        let (id, generation) = (self.connection.id(), self.ticket.generation + 1);
        let confirmed = self
            .engine
            .on_disk(move |store| store.confirm_access(&id, generation, expires))
            .await;
        if let Err(error) = confirmed {
            tracing::warn!(connection = %self.connection.name(), error = %error, "stored token not confirmed");
        }
    }

    /// Lends the token from now on, unless it is another portal's.
    fn publish(&self, asked: Instant, answer: TokenAnswer, grant: &NewGrant) -> Ended {
        let connection = self.connection;
        connection.set_uncertain(false);
        if connection.standing_beneath() == Standing::Suspended && !self.is_own_portal(&answer) {
            return SETTLED;
        }
        let before = connection.account();
        connection.set_account(Account {
            scopes: answer.scopes.unwrap_or_else(|| before.scopes.clone()),
            user_id: answer.user_id.or(before.user_id),
        });
        let validity = Validity::of_new(asked, answer.life, jitter());
        let generation = self.ticket.generation + 1;
        let expires = expiry(grant.obtained, answer.life);
        let Some(token) = LiveToken::new(answer.access, generation, validity, Some(expires)) else {
            return failed(Trouble::Configuration);
        };
        fail::fail_point!("refresh-before-publish");
        connection.publish(token);
        SETTLED
    }

    fn is_own_portal(&self, answer: &TokenAnswer) -> bool {
        answer.hub_id == Some(self.ticket.portal.get())
    }

    /// Log line and metric of how it ended.
    pub(super) fn tell(&self, result: RefreshResult) {
        let event = TokenRefreshed {
            connection: self.connection.name().as_str(),
            app: self.connection.app(),
            result,
            duration: self.started.elapsed(),
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

fn seal(
    ticket: &Ticket,
    opened: &Opened,
    answer: &TokenAnswer,
    standing: Option<(Standing, Option<&'static str>)>,
) -> Result<NewGrant, VaultError> {
    let generation = ticket.generation + 1;
    let refresh = answer.refresh.as_ref().unwrap_or(&opened.refresh);
    let obtained = Timestamp::now();
    // Another portal's access token is kept for nobody: it counts as expired from the start. So does one
    // whose portal is not known yet: a process that dies before it asked leaves nothing to lend.
    let usable = standing.is_some_and(|(standing, _)| standing.refusal().is_none());
    let expires = if usable {
        expiry(obtained, answer.life)
    } else {
        obtained
    };
    let seal = |field, plain| opened.key.seal(place(&opened.owner, field, generation), plain);
    Ok(NewGrant {
        access: seal(ACCESS, &answer.access)?,
        refresh: seal(REFRESH, refresh)?,
        obtained,
        expires,
        scopes: answer.scopes.clone(),
        user_id: answer.user_id,
        standing,
    })
}

async fn save(engine: &Engine, ticket: Arc<Ticket>, grant: Arc<NewGrant>) -> Result<Saved, StoreError> {
    let by = engine.provenance();
    engine
        .on_disk(move |store| store.save_refreshed(&ticket, &grant, &by))
        .await
}

/// Takes up what another process wrote.
pub(super) async fn read_again(engine: &Engine, connection: &Arc<ConnectionState>) -> Ended {
    let id = connection.id();
    match engine.on_disk(move |store| store.connection(&id)).await {
        Ok(Some(row)) => {
            connection.set_standing(row.standing);
            if let Err(error) = take_up(connection, &row, &engine.parts.vault) {
                tracing::error!(connection = %connection.name(), error = %error, "token can't be opened");
            }
        }
        Ok(None) => connection.set_standing(Standing::Killed),
        Err(_) => return failed(Trouble::Store),
    }
    match connection.current(Instant::now()) {
        Some(_) => SETTLED,
        None => failed(Trouble::Slow),
    }
}
