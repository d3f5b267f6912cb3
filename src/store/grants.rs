//! Refreshing a grant, as far as it is durable: lease, fence, intent, save.
//!
//! Invariant: at most one holder of the lease, and a write of generation n + 1 succeeds only while the
//! row still has generation n and the writer's own fence. A loser reads again and never writes. What is
//! said of a connection holds for all that share its grant, in one transaction.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::changes::record_event;
use super::machine_time::MachineTime;
use super::standings::{Whose, note_whose, set_standing};
use super::{GateLock, Provenance, Store, StoreError, read_number, stored_number, timestamp_opt};
use crate::access::connection::{ConnectionId, PortalId, Standing};
use crate::vault::{GrantPrint, Sealed, WrappedKey};

/// A lease that ends later than this many of its own lengths from now is over: the store's clock was set
/// back since it was taken, and nobody holds it that long.
const LEASE_LENGTHS_MAX: i64 = 2;

/// The right to refresh one grant, once.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// The connection it was asked for.
    pub own: Member,
    /// Others that hold the same grant.
    pub sharers: Vec<Member>,
    /// An earlier attempt was begun and never ended: its answer may be lost, and with a server that
    /// rotates, the refresh token with it.
    pub uncertain: bool,
    /// With what to ask: the own app first, then those of sharers.
    pub apps: Vec<AppCredentials>,
}

impl Ticket {
    /// All that hold the grant, the one it was asked for first.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        std::iter::once(&self.own).chain(&self.sharers)
    }
}

/// One connection's part in a refresh.
#[derive(Clone, Debug)]
pub struct Member {
    /// The connection.
    pub connection: ConnectionId,
    /// Generation of its tokens the ticket starts from.
    pub generation: u64,
    /// This attempt's number.
    pub fence: u64,
    /// An earlier attempt of its was begun and never ended.
    pub uncertain: bool,
    /// Sealed for field `refresh` and `generation`.
    pub refresh: Sealed,
    /// The connection's data key.
    pub data_key: WrappedKey,
    /// What the account must turn out to be.
    pub portal: PortalId,
}

/// An app's credentials, sealed.
#[derive(Clone, Debug)]
pub struct AppCredentials {
    /// The app.
    pub name: String,
    /// HubSpot's client id.
    pub client_id: String,
    /// Its data key.
    pub data_key: WrappedKey,
    /// The secrets to try, in order, with the version each is sealed for.
    pub secrets: Vec<(Sealed, u64)>,
}

/// What an attempt to begin found.
#[derive(Debug)]
pub enum Begin {
    /// The intent is durable: ask.
    Started(Box<Ticket>),
    /// Somebody else is at it, until then at the latest.
    Busy {
        /// The end of their lease, on the store's clock.
        until: Timestamp,
    },
    /// There is no such grant any more.
    Gone,
}

/// What a refresh brought.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// When the access token was received.
    pub obtained: Timestamp,
    /// The same by the machine's own clock.
    pub clock: Option<MachineTime>,
    /// Scopes, if the answer told.
    pub scopes: Option<Vec<String>>,
    /// The installer, if the answer told.
    pub user_id: Option<u64>,
    /// Of the refresh token to use from now on.
    pub print: GrantPrint,
    /// For each of [`Ticket::members`], in their order.
    pub tokens: Vec<NewTokens>,
}

/// One connection's tokens, sealed for its generation n + 1.
#[derive(Clone, Debug)]
pub struct NewTokens {
    /// Field `access`.
    pub access: Sealed,
    /// Field `refresh`.
    pub refresh: Sealed,
    /// Until when the access token may be taken up from the store.
    pub expires: Timestamp,
    /// The standing to take on together with it, and why.
    pub standing: Option<(Standing, Option<&'static str>)>,
}

/// What became of a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// It is durable.
    Yes,
    /// Somebody else's write was first, or the connection is gone: read again.
    Lost,
}

impl Store {
    /// A gate that starts alone on the store takes over what its predecessor left: its leases end now.
    /// Intents stay; they say where the predecessor may have died. Safe even if it still runs: its
    /// fence is old by the next [`Store::begin_refresh`].
    pub fn take_over_leases(&self, _alone: &GateLock) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute(
                "UPDATE connections SET lease_holder = NULL, lease_until = NULL WHERE lease_holder IS NOT NULL",
                [],
            )?;
            Ok(())
        })
    }

    /// Takes the lease for `length` on the store's clock and records the intent, durably, for all that
    /// share the grant.
    pub fn begin_refresh(
        &self,
        id: &ConnectionId,
        holder: &str,
        length: Duration,
    ) -> Result<Begin, StoreError> {
        self.take_lease(id, holder, length, true)
    }

    /// The same without an intent: so that nobody refreshes the grant meanwhile. Whoever dies with it leaves nothing
    /// that outlives the lease.
    pub fn hold_grant(&self, id: &ConnectionId, holder: &str, length: Duration) -> Result<Begin, StoreError> {
        self.take_lease(id, holder, length, false)
    }

    fn take_lease(
        &self,
        id: &ConnectionId,
        holder: &str,
        length: Duration,
        intends: bool,
    ) -> Result<Begin, StoreError> {
        let length = milliseconds(length);
        self.write(|tx| {
            if let Some(until) = lease_end(tx, id, length)? {
                return Ok(Begin::Busy { until });
            }
            let Some(ticket) = ticket(tx, id)? else {
                return Ok(Begin::Gone);
            };
            let mut statement = tx.prepare_cached(
                "UPDATE connections SET fence = ?2, lease_holder = ?3,
                     lease_until = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?4,
                     intent_at = CASE WHEN ?5
                         THEN coalesce(intent_at, CAST(unixepoch('subsec') * 1000 AS INTEGER)) ELSE intent_at END
                 WHERE id = ?1",
            )?;
            for member in ticket.members() {
                let fence = stored_number(member.fence)?;
                statement.execute(params![
                    member.connection.as_str(),
                    fence,
                    holder,
                    length,
                    intends
                ])?;
            }
            Ok(Begin::Started(Box::new(ticket)))
        })
    }

    /// Lets the access token of one generation serve until `expires`: its portal is known now. Nothing
    /// happens when the grant has moved on.
    pub fn confirm_access(
        &self,
        id: &ConnectionId,
        generation: u64,
        expires: Timestamp,
    ) -> Result<(), StoreError> {
        let generation = stored_number(generation)?;
        self.write(|tx| {
            tx.execute(
                "UPDATE connections SET access_expires_at = ?3 WHERE id = ?1 AND generation = ?2",
                params![id.as_str(), generation, expires.as_millisecond()],
            )?;
            Ok(())
        })
    }

    /// Stops every holder of a grant that is dead, as the attempt found out, and ends the attempt. False when
    /// the grant is no longer the one it asked with: somebody has replaced it meanwhile, and nothing is
    /// known about the new one. An operator's standing stays.
    pub fn end_grant(
        &self,
        ticket: &Ticket,
        (to, why, action): (Standing, &str, &str),
        by: &Provenance,
    ) -> Result<bool, StoreError> {
        self.write(|tx| {
            let mut own = false;
            for member in ticket.members() {
                let id = &member.connection;
                let changed = tx.execute(
                    "UPDATE connections SET lease_holder = NULL, lease_until = NULL, health = NULL
                     WHERE id = ?1 AND fence = ?2 AND generation = ?3",
                    params![
                        id.as_str(),
                        stored_number(member.fence)?,
                        stored_number(member.generation)?
                    ],
                )?;
                // One that an operator suspended keeps its standing, and its intent: resumed, it shows what
                // became of the grant as everybody else's does.
                if changed > 0 && may_become(tx, id, to)? {
                    set_standing(tx, id, to, Some(why))?;
                    tx.execute(
                        "UPDATE connections SET intent_at = NULL WHERE id = ?1",
                        params![id.as_str()],
                    )?;
                    record_event(tx, by, action, id.as_str())?;
                }
                own |= changed > 0 && *id == ticket.own.connection;
            }
            Ok(own)
        })
    }

    /// Ends the attempt without a grant. `keep_intent`: the question may have reached the server, so
    /// the next attempt must know. False when the attempt no longer has the lease.
    pub fn end_refresh(
        &self,
        ticket: &Ticket,
        keep_intent: bool,
        health: Option<&str>,
    ) -> Result<bool, StoreError> {
        self.write(|tx| {
            let mut ended = false;
            for member in ticket.members() {
                let changed = end_one(tx, member, keep_intent, Some(health))?;
                ended |= changed && member.connection == ticket.own.connection;
            }
            Ok(ended)
        })
    }

    /// Lets go of connections that turned out to hold another grant, as if they had not been asked for.
    pub fn leave_alone(&self, members: &[Member]) -> Result<(), StoreError> {
        self.write(|tx| {
            for member in members {
                end_one(tx, member, member.uncertain, None)?;
            }
            Ok(())
        })
    }
}

/// Saves for every member; the outcome is that of the one it was asked for.
pub(super) fn save_all(
    tx: &Transaction<'_>,
    ticket: &Ticket,
    grant: &NewGrant,
    by: &Provenance,
) -> Result<Saved, StoreError> {
    let mut own = None;
    for (member, tokens) in ticket.members().zip(&grant.tokens) {
        let saved = save_one(tx, member, grant, tokens, by)?;
        own.get_or_insert(saved);
    }
    Ok(own.unwrap_or(Saved::Lost))
}

fn save_one(
    tx: &Transaction<'_>,
    member: &Member,
    grant: &NewGrant,
    tokens: &NewTokens,
    by: &Provenance,
) -> Result<Saved, StoreError> {
    let mut statement = tx.prepare_cached(
        "UPDATE connections SET generation = ?3 + 1, access_token = ?4, access_obtained_at = ?5,
             access_expires_at = ?6, refresh_token = ?7, scopes = coalesce(?8, scopes),
             user_id = coalesce(?9, user_id), grant_print = ?10, access_boot = ?11, access_boot_ms = ?12,
             refreshed_at = CAST(unixepoch('subsec') * 1000 AS INTEGER), intent_at = NULL,
             lease_holder = NULL, lease_until = NULL, health = NULL
         WHERE id = ?1 AND fence = ?2 AND generation = ?3",
    )?;
    let changed = statement.execute(params![
        member.connection.as_str(),
        stored_number(member.fence)?,
        stored_number(member.generation)?,
        tokens.access.as_stored(),
        grant.obtained.as_millisecond(),
        tokens.expires.as_millisecond(),
        tokens.refresh.as_stored(),
        grant.scopes.as_ref().map(|scopes| scopes.join(" ")),
        grant.user_id.map(stored_number).transpose()?,
        grant.print.as_stored(),
        grant.clock.as_ref().map(|clock| clock.boot.as_str()),
        grant
            .clock
            .as_ref()
            .map(|clock| stored_number(clock.milliseconds))
            .transpose()?,
    ])?;
    if changed == 0 {
        return saved_before(tx, member);
    }
    if let Some((standing, why)) = tokens.standing {
        let foreign = standing.refusal().is_some();
        let whose = if foreign { Whose::Foreign } else { Whose::Own };
        note_whose(tx, &member.connection, whose)?;
        if may_become(tx, &member.connection, standing)? {
            set_standing(tx, &member.connection, standing, why)?;
            record_event(tx, by, "connection refreshed", member.connection.as_str())?;
        }
    }
    Ok(Saved::Yes)
}

/// `health`: what to note; `None` leaves what is noted.
fn end_one(
    tx: &Transaction<'_>,
    member: &Member,
    keep_intent: bool,
    health: Option<Option<&str>>,
) -> Result<bool, StoreError> {
    let mut statement = tx.prepare_cached(
        "UPDATE connections SET lease_holder = NULL, lease_until = NULL,
             health = CASE WHEN ?4 THEN ?5 ELSE health END,
             intent_at = CASE WHEN ?3 THEN intent_at ELSE NULL END
         WHERE id = ?1 AND fence = ?2 AND lease_holder IS NOT NULL",
    )?;
    let changed = statement.execute(params![
        member.connection.as_str(),
        stored_number(member.fence)?,
        keep_intent,
        health.is_some(),
        health.flatten(),
    ])?;
    Ok(changed > 0)
}

/// The end of a lease somebody holds on the grant, if it is one that can be.
fn lease_end(tx: &Transaction<'_>, id: &ConnectionId, length: i64) -> Result<Option<Timestamp>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT max(lease_until) FROM connections, (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now)
         WHERE (id = ?1 OR grant_id = (SELECT grant_id FROM connections WHERE id = ?1))
         AND lease_holder IS NOT NULL AND lease_until > now AND lease_until <= now + ?2",
    )?;
    let longest = length.saturating_mul(LEASE_LENGTHS_MAX);
    let until = statement.query_row(params![id.as_str(), longest], |row| row.get(0))?;
    timestamp_opt(until)
}

fn may_become(tx: &Transaction<'_>, id: &ConnectionId, new: Standing) -> Result<bool, StoreError> {
    let mut statement = tx.prepare_cached("SELECT standing FROM connections WHERE id = ?1")?;
    let word: String = statement.query_row(params![id.as_str()], |row| row.get(0))?;
    let standing = Standing::parse(&word).ok_or(StoreError::Damaged("a connection's standing"))?;
    Ok(standing.refusal().is_none() && standing != new)
}

/// Whether what could not be written now had been written by an earlier call of the same attempt.
fn saved_before(tx: &Transaction<'_>, member: &Member) -> Result<Saved, StoreError> {
    let row: Option<(i64, i64)> = tx
        .query_row(
            "SELECT fence, generation FROM connections WHERE id = ?1",
            params![member.connection.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let mine = row
        == Some((
            stored_number(member.fence)?,
            stored_number(member.generation + 1)?,
        ));
    Ok(if mine { Saved::Yes } else { Saved::Lost })
}

/// What the next attempt on a grant starts from, with the next fences.
fn ticket(tx: &Transaction<'_>, id: &ConnectionId) -> Result<Option<Ticket>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT c.id, c.generation, c.fence, c.intent_at IS NOT NULL, c.refresh_token, c.data_key, c.portal,
             a.name, a.client_id, a.data_key, a.secret, a.secret_version, a.other_secret,
             a.other_secret_version
         FROM connections c JOIN apps a ON a.name = c.app
         WHERE (c.id = ?1 OR c.grant_id = (SELECT grant_id FROM connections WHERE id = ?1))
         AND c.refresh_token IS NOT NULL
         ORDER BY c.id <> ?1, c.name",
    )?;
    let mut rows = statement.query(params![id.as_str()])?;
    let mut found: Option<Ticket> = None;
    while let Some(row) = rows.next()? {
        match (&mut found, member(row)) {
            // A sharer whose row can't be read is left out, and fails alone.
            (Some(_), Err(_)) => {}
            (Some(ticket), Ok((member, app))) => {
                ticket.uncertain |= member.uncertain;
                ticket.sharers.push(member);
                if ticket.apps.iter().all(|known| known.name != app.name) {
                    ticket.apps.push(app);
                }
            }
            (None, Ok((member, app))) if member.connection == *id => {
                found = Some(Ticket {
                    uncertain: member.uncertain,
                    own: member,
                    sharers: Vec::new(),
                    apps: vec![app],
                });
            }
            (None, Ok(_)) => return Ok(None),
            (None, Err(error)) => return Err(error),
        }
    }
    Ok(found)
}

fn member(row: &Row<'_>) -> Result<(Member, AppCredentials), StoreError> {
    let mut secrets = vec![(Sealed::from_stored(row.get(10)?), read_number(row.get(11)?)?)];
    if let (Some(other), Some(version)) = (row.get::<_, Option<Vec<u8>>>(12)?, row.get::<_, Option<i64>>(13)?)
    {
        secrets.push((Sealed::from_stored(other), read_number(version)?));
    }
    let member = Member {
        connection: ConnectionId::parse(&row.get::<_, String>(0)?)
            .ok_or(StoreError::Damaged("a connection's id"))?,
        generation: read_number(row.get(1)?)?,
        fence: read_number(row.get(2)?)? + 1,
        uncertain: row.get(3)?,
        refresh: Sealed::from_stored(row.get(4)?),
        data_key: WrappedKey::from_stored(row.get(5)?),
        portal: PortalId::new(read_number(row.get(6)?)?).ok_or(StoreError::Damaged("a portal id"))?,
    };
    let app = AppCredentials {
        name: row.get(7)?,
        client_id: row.get(8)?,
        data_key: WrappedKey::from_stored(row.get(9)?),
        secrets,
    };
    Ok((member, app))
}

fn milliseconds(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
#[path = "grants_tests.rs"]
mod tests;
