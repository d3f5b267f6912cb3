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
use crate::hubspot::control::ControlError;
use crate::hubspot::errors::TokenFailure;
use crate::hubspot::oauth::{self, ClientCredentials, Introspection, RefreshError, TokenAnswer};
use crate::metrics::RefreshResult;
use crate::secret::Secret;
use crate::store::{Begin, NewGrant, Saved, StoreError, Ticket};
use crate::tokens::connection::{Account, ConnectionState};
use crate::tokens::engine::{Engine, Need, jitter};
use crate::tokens::expiry::{LIFE_MAX, Validity};
use crate::tokens::flight::{Outcome, Unsaved};
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
    fail::fail_point!("refresh-before-intent");
    let ticket = match begin(engine, connection).await {
        Ok(ticket) => Arc::new(ticket),
        Err(ended) => return ended,
    };
    fail::fail_point!("refresh-after-intent");
    let opened = match Opened::of(engine, &ticket) {
        Ok(opened) => opened,
        Err(error) => return not_opened(engine, connection, &ticket, error).await,
    };
    let (asked, answer) = ask(engine, &ticket, &opened).await;
    fail::fail_point!("refresh-after-answer");
    match answer {
        Ok(answer) => keep(engine, connection, &ticket, &opened, asked, answer).await,
        Err(error) => give_up(engine, connection, &ticket, error).await,
    }
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

/// Asks with the app's first secret, and with the other one if HubSpot does not know the first.
async fn ask(
    engine: &Engine,
    ticket: &Ticket,
    opened: &Opened,
) -> (Instant, Result<TokenAnswer, RefreshError>) {
    let mut asked = Instant::now();
    let mut last = Err(RefreshError::Refused(TokenFailure::WrongClient));
    for secret in &opened.app_secrets {
        asked = Instant::now();
        let credentials = ClientCredentials {
            id: &ticket.app.client_id,
            secret,
        };
        last = oauth::refresh(
            &engine.parts.client,
            &engine.parts.endpoints,
            credentials,
            &opened.refresh,
        )
        .await;
        if !matches!(last, Err(RefreshError::Refused(TokenFailure::WrongClient))) {
            break;
        }
    }
    (asked, last)
}

/// Saves what came, then uses it.
async fn keep(
    engine: &Engine,
    connection: &Arc<ConnectionState>,
    ticket: &Arc<Ticket>,
    opened: &Opened,
    asked: Instant,
    answer: TokenAnswer,
) -> Ended {
    let rotated = answer
        .refresh
        .as_ref()
        .is_some_and(|refresh| refresh.expose() != opened.refresh.expose());
    let standing = answer.hub_id.map(|hub_id| standing_of(hub_id, ticket.portal));
    let grant = match seal(ticket, opened, &answer, standing) {
        Ok(grant) => Arc::new(grant),
        Err(error) => return not_opened(engine, connection, ticket, error).await,
    };
    fail::fail_point!("refresh-before-save");
    match save(engine, Arc::clone(ticket), Arc::clone(&grant)).await {
        Ok(Saved::Yes) => {
            fail::fail_point!("refresh-after-save");
            let result = if rotated {
                RefreshResult::Rotated
            } else {
                RefreshResult::Ok
            };
            count(engine, connection, result);
            tracing::info!(connection = %connection.name(), rotated, "token refreshed");
        }
        Ok(Saved::Lost) => {
            count(engine, connection, RefreshResult::Superseded);
            tracing::warn!(connection = %connection.name(), "another refresh was first; its token counts");
            return read_again(engine, connection).await;
        }
        Err(error) => {
            count(engine, connection, RefreshResult::NotDurable);
            tracing::error!(
                connection = %connection.name(),
                error = %error,
                "a refreshed grant could not be saved: a crash now loses it; it is tried again"
            );
            connection.flight().unsaved = Some(Unsaved {
                ticket: Arc::clone(ticket),
                grant: Arc::clone(&grant),
            });
        }
    }
    let standing = match standing {
        Some((standing, _)) => Some(standing),
        None => ask_portal(engine, connection, ticket, opened, &answer).await,
    };
    publish(connection, ticket, asked, answer, &grant, standing)
}

/// What the account behind a fresh grant means for the connection.
fn standing_of(hub_id: u64, portal: PortalId) -> (Standing, Option<&'static str>) {
    if hub_id == portal.get() {
        (Standing::Ok, None)
    } else {
        (Standing::Suspended, Some(PORTAL_CHANGED))
    }
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
    let life = SignedDuration::try_from(answer.life.min(LIFE_MAX)).unwrap_or_default();
    let seal = |field, plain| opened.key.seal(place(&opened.owner, field, generation), plain);
    Ok(NewGrant {
        access: seal(ACCESS, &answer.access)?,
        refresh: seal(REFRESH, refresh)?,
        obtained,
        expires: obtained.saturating_add(life).unwrap_or(obtained),
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

/// The answer did not say whose it is: asks, since the portal is compared at every refresh.
async fn ask_portal(
    engine: &Engine,
    connection: &ConnectionState,
    ticket: &Ticket,
    opened: &Opened,
    answer: &TokenAnswer,
) -> Option<Standing> {
    let secret = opened.app_secrets.first()?;
    let credentials = ClientCredentials {
        id: &ticket.app.client_id,
        secret,
    };
    let refresh = answer.refresh.as_ref().unwrap_or(&opened.refresh);
    let parts = &engine.parts;
    let told = oauth::introspect_grant(&parts.client, &parts.endpoints, credentials, refresh).await;
    let Introspection::Known(identity) = told else {
        return None;
    };
    let (standing, why) = standing_of(identity.hub_id, ticket.portal);
    settle(engine, connection, standing, why, "connection refreshed").await;
    Some(standing)
}

/// Lends the token from now on, unless it is another portal's.
fn publish(
    connection: &ConnectionState,
    ticket: &Ticket,
    asked: Instant,
    answer: TokenAnswer,
    grant: &NewGrant,
    standing: Option<Standing>,
) -> Ended {
    connection.set_uncertain(false);
    if let Some(standing) = standing {
        connection.settle_standing(standing);
    }
    if standing == Some(Standing::Suspended) {
        tracing::error!(connection = %connection.name(), "suspended: {PORTAL_CHANGED}");
        return SETTLED;
    }
    let before = connection.account();
    connection.set_account(Account {
        scopes: answer.scopes.unwrap_or_else(|| before.scopes.clone()),
        user_id: answer.user_id.or(before.user_id),
    });
    let validity = Validity::of_new(asked, answer.life, jitter());
    let token = LiveToken::new(
        answer.access,
        ticket.generation + 1,
        validity,
        Some(grant.expires),
    );
    let Some(token) = token else {
        return failed(Trouble::Configuration);
    };
    fail::fail_point!("refresh-before-publish");
    connection.publish(token);
    SETTLED
}

/// Ends an attempt that brought no tokens, as its failure deserves.
async fn give_up(
    engine: &Engine,
    connection: &Arc<ConnectionState>,
    ticket: &Arc<Ticket>,
    error: RefreshError,
) -> Ended {
    let name = connection.name();
    let (acted_upon, trouble, asked) = match error {
        RefreshError::Refused(TokenFailure::DeadGrant) => {
            return bury(engine, connection, ticket).await;
        }
        RefreshError::Refused(failure @ (TokenFailure::WrongClient | TokenFailure::Configuration)) => {
            tracing::error!(
                connection = %name,
                app = connection.app(),
                ?failure,
                "the token endpoint refuses the app or the request: check the app's client id and secrets; no grant was touched"
            );
            (false, Trouble::Configuration, None)
        }
        RefreshError::Refused(TokenFailure::Busy {
            retry_after,
            acted_upon,
        }) => (acted_upon, Trouble::Busy, retry_after),
        RefreshError::Control(ControlError::NotSent(_)) => (false, Trouble::Unreachable, None),
        RefreshError::Control(ControlError::NoAnswer(_)) | RefreshError::NotUnderstood => {
            (true, Trouble::Unreachable, None)
        }
    };
    let result = match trouble {
        Trouble::Configuration => RefreshResult::Configuration,
        _ => {
            tracing::warn!(connection = %name, trouble = trouble.as_str(), acted_upon, "token not refreshed; it is tried again");
            RefreshResult::Transient
        }
    };
    count(engine, connection, result);
    end(
        engine,
        connection,
        ticket,
        acted_upon || ticket.uncertain,
        Some(trouble),
    )
    .await;
    (Outcome::Failed(trouble), asked)
}

/// The grant is dead. After an attempt of unknown end, it may be our own loss: then somebody has to
/// install again, and nobody revoked anything.
async fn bury(engine: &Engine, connection: &ConnectionState, ticket: &Arc<Ticket>) -> Ended {
    let (standing, why) = if ticket.uncertain {
        (
            Standing::Reauthorise,
            "its grant was lost when a refresh broke off; it must be installed again",
        )
    } else {
        (
            Standing::Dead,
            "HubSpot says its grant is expired, revoked or uninstalled",
        )
    };
    count(engine, connection, RefreshResult::DeadGrant);
    tracing::error!(connection = %connection.name(), portal = %ticket.portal, standing = standing.as_str(), "{why}");
    connection.settle_standing(standing);
    connection.set_uncertain(false);
    settle(engine, connection, standing, Some(why), "connection grant ended").await;
    end(engine, connection, ticket, false, None).await;
    SETTLED
}

/// Writes a standing the gate found out by itself; an operator's stays.
pub(super) async fn settle(
    engine: &Engine,
    connection: &ConnectionState,
    to: Standing,
    why: Option<&'static str>,
    action: &'static str,
) {
    let (id, by) = (connection.id(), engine.provenance());
    let passing = [Standing::Ok, Standing::Unverified];
    let written = engine
        .on_disk(move |store| store.change_standing(&id, &passing, to, why, action, &by))
        .await;
    if let Err(error) = written {
        tracing::error!(connection = %connection.name(), error = %error, "standing not written");
    }
}

async fn end(
    engine: &Engine,
    connection: &ConnectionState,
    ticket: &Arc<Ticket>,
    keep_intent: bool,
    trouble: Option<Trouble>,
) {
    let ticket = Arc::clone(ticket);
    let health = trouble.map(Trouble::as_str);
    let ended = engine
        .on_disk(move |store| store.end_refresh(&ticket, keep_intent, health))
        .await;
    if let Err(error) = ended {
        // The lease ends by itself; the intent stays, which errs towards caution.
        tracing::error!(connection = %connection.name(), error = %error, "end of a refresh not written");
    }
}

/// The store's record does not open: that record is marked, nothing is guessed.
async fn not_opened(
    engine: &Engine,
    connection: &ConnectionState,
    ticket: &Arc<Ticket>,
    error: VaultError,
) -> Ended {
    tracing::error!(connection = %connection.name(), error = %error, "credentials can't be opened");
    count(engine, connection, RefreshResult::Configuration);
    end(
        engine,
        connection,
        ticket,
        ticket.uncertain,
        Some(Trouble::Configuration),
    )
    .await;
    failed(Trouble::Configuration)
}

/// Takes up what another process wrote.
async fn read_again(engine: &Engine, connection: &Arc<ConnectionState>) -> Ended {
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

fn count(engine: &Engine, connection: &ConnectionState, result: RefreshResult) {
    engine.parts.metrics.token_refresh(connection.app(), result);
}
