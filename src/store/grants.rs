//! Refreshing a grant, as far as it is durable: lease, fence, intent, save.
//!
//! Invariant: at most one holder of the lease, and a write of generation n + 1 succeeds only while the
//! row still has generation n and the writer's own fence. A loser reads again and never writes.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use super::changes::record_event;
use super::standings::{Whose, note_whose, set_standing};
use super::{GateLock, Provenance, Store, StoreError, read_number, stored_number, timestamp_opt};
use crate::access::connection::{ConnectionId, PortalId, Standing};
use crate::vault::{Sealed, WrappedKey};

/// The right to refresh one grant, once.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// Whose grant.
    pub connection: ConnectionId,
    /// Generation of the grant the ticket starts from.
    pub generation: u64,
    /// This attempt's number.
    pub fence: u64,
    /// An earlier attempt was begun and never ended: its answer may be lost, and with a server that
    /// rotates, the refresh token with it.
    pub uncertain: bool,
    /// Sealed for field `refresh` and `generation`.
    pub refresh: Sealed,
    /// The connection's data key.
    pub data_key: WrappedKey,
    /// What the account must turn out to be.
    pub portal: PortalId,
    /// With what to ask.
    pub app: AppCredentials,
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

/// What a refresh brought, sealed for generation n + 1.
#[derive(Debug)]
pub struct NewGrant {
    /// Field `access`.
    pub access: Sealed,
    /// Field `refresh`.
    pub refresh: Sealed,
    /// When the access token was received.
    pub obtained: Timestamp,
    /// When it expires by the server's word.
    pub expires: Timestamp,
    /// Scopes, if the answer told.
    pub scopes: Option<Vec<String>>,
    /// The installer, if the answer told.
    pub user_id: Option<u64>,
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

    /// Takes the lease for `length` on the store's clock and records the intent, durably.
    pub fn begin_refresh(
        &self,
        id: &ConnectionId,
        holder: &str,
        length: Duration,
    ) -> Result<Begin, StoreError> {
        let length = milliseconds(length);
        self.write(|tx| {
            let busy: Option<i64> = tx
                .query_row(
                    "SELECT lease_until FROM connections WHERE id = ?1 AND lease_holder IS NOT NULL
                     AND lease_until > CAST(unixepoch('subsec') * 1000 AS INTEGER)",
                    params![id.as_str()],
                    |row| row.get(0),
                )
                .optional()?;
            if let Some(until) = timestamp_opt(busy)? {
                return Ok(Begin::Busy { until });
            }
            let Some(ticket) = ticket(tx, id)? else {
                return Ok(Begin::Gone);
            };
            tx.execute(
                "UPDATE connections SET fence = ?2, lease_holder = ?3,
                     lease_until = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?4,
                     intent_at = coalesce(intent_at, CAST(unixepoch('subsec') * 1000 AS INTEGER))
                 WHERE id = ?1",
                params![id.as_str(), stored_number(ticket.fence)?, holder, length],
            )?;
            Ok(Begin::Started(Box::new(ticket)))
        })
    }

    /// Saves generation n + 1, ends intent and lease: before the new access token is used.
    ///
    /// Saving twice is saving once: when a commit's outcome was not known, the same call tells it.
    /// The standing changes only if the connection lets traffic pass: an operator's suspension in the
    /// meantime stays.
    pub fn save_refreshed(
        &self,
        ticket: &Ticket,
        grant: &NewGrant,
        by: &Provenance,
    ) -> Result<Saved, StoreError> {
        let fence = stored_number(ticket.fence)?;
        let generation = stored_number(ticket.generation)?;
        let user_id = grant.user_id.map(stored_number).transpose()?;
        self.write(|tx| {
            let changed = tx.execute(
                "UPDATE connections SET generation = ?3 + 1, access_token = ?4, access_obtained_at = ?5,
                     access_expires_at = ?6, refresh_token = ?7, scopes = coalesce(?8, scopes),
                     user_id = coalesce(?9, user_id), intent_at = NULL, lease_holder = NULL,
                     lease_until = NULL, health = NULL
                 WHERE id = ?1 AND fence = ?2 AND generation = ?3",
                params![
                    ticket.connection.as_str(),
                    fence,
                    generation,
                    grant.access.as_stored(),
                    grant.obtained.as_millisecond(),
                    grant.expires.as_millisecond(),
                    grant.refresh.as_stored(),
                    grant.scopes.as_ref().map(|scopes| scopes.join(" ")),
                    user_id,
                ],
            )?;
            if changed == 0 {
                return saved_before(tx, ticket);
            }
            if let Some((standing, why)) = grant.standing {
                let foreign = standing.refusal().is_some();
                let whose = if foreign { Whose::Foreign } else { Whose::Own };
                note_whose(tx, &ticket.connection, whose)?;
                if may_become(tx, &ticket.connection, standing)? {
                    set_standing(tx, &ticket.connection, standing, why)?;
                    record_event(tx, by, "connection refreshed", ticket.connection.as_str())?;
                }
            }
            Ok(Saved::Yes)
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

    /// Stops a connection whose grant is dead, as the attempt found out, and ends the attempt. False when
    /// the grant is no longer the one it asked with: somebody has replaced it meanwhile, and nothing is
    /// known about the new one. An operator's standing stays.
    pub fn end_grant(
        &self,
        ticket: &Ticket,
        (to, why, action): (Standing, &str, &str),
        by: &Provenance,
    ) -> Result<bool, StoreError> {
        let (fence, generation) = (stored_number(ticket.fence)?, stored_number(ticket.generation)?);
        self.write(|tx| {
            let changed = tx.execute(
                "UPDATE connections SET lease_holder = NULL, lease_until = NULL, health = NULL, intent_at = NULL
                 WHERE id = ?1 AND fence = ?2 AND generation = ?3",
                params![ticket.connection.as_str(), fence, generation],
            )?;
            if changed > 0 && may_become(tx, &ticket.connection, to)? {
                set_standing(tx, &ticket.connection, to, Some(why))?;
                record_event(tx, by, action, ticket.connection.as_str())?;
            }
            Ok(changed > 0)
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
        let fence = stored_number(ticket.fence)?;
        self.write(|tx| {
            let changed = tx.execute(
                "UPDATE connections SET lease_holder = NULL, lease_until = NULL, health = ?4,
                     intent_at = CASE WHEN ?3 THEN intent_at ELSE NULL END
                 WHERE id = ?1 AND fence = ?2 AND lease_holder IS NOT NULL",
                params![ticket.connection.as_str(), fence, keep_intent, health],
            )?;
            Ok(changed > 0)
        })
    }
}

fn may_become(tx: &Transaction<'_>, id: &ConnectionId, new: Standing) -> Result<bool, StoreError> {
    let word: String = tx.query_row(
        "SELECT standing FROM connections WHERE id = ?1",
        params![id.as_str()],
        |row| row.get(0),
    )?;
    let standing = Standing::parse(&word).ok_or(StoreError::Damaged("a connection's standing"))?;
    Ok(standing.refusal().is_none() && standing != new)
}

/// Whether what could not be written now had been written by an earlier call of the same attempt.
fn saved_before(tx: &Transaction<'_>, ticket: &Ticket) -> Result<Saved, StoreError> {
    let row: Option<(i64, i64)> = tx
        .query_row(
            "SELECT fence, generation FROM connections WHERE id = ?1",
            params![ticket.connection.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let mine = row
        == Some((
            stored_number(ticket.fence)?,
            stored_number(ticket.generation + 1)?,
        ));
    Ok(if mine { Saved::Yes } else { Saved::Lost })
}

/// What the next attempt on a grant starts from, with the next fence.
fn ticket(tx: &Transaction<'_>, id: &ConnectionId) -> Result<Option<Ticket>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT c.generation, c.fence, c.intent_at IS NOT NULL, c.refresh_token, c.data_key, c.portal,
             a.name, a.client_id, a.data_key, a.secret, a.secret_version, a.other_secret,
             a.other_secret_version
         FROM connections c JOIN apps a ON a.name = c.app
         WHERE c.id = ?1 AND c.refresh_token IS NOT NULL",
    )?;
    let mut rows = statement.query(params![id.as_str()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let mut secrets = vec![(Sealed::from_stored(row.get(9)?), read_number(row.get(10)?)?)];
    if let (Some(other), Some(version)) = (row.get::<_, Option<Vec<u8>>>(11)?, row.get::<_, Option<i64>>(12)?)
    {
        secrets.push((Sealed::from_stored(other), read_number(version)?));
    }
    Ok(Some(Ticket {
        connection: *id,
        generation: read_number(row.get(0)?)?,
        fence: read_number(row.get(1)?)? + 1,
        uncertain: row.get(2)?,
        refresh: Sealed::from_stored(row.get(3)?),
        data_key: WrappedKey::from_stored(row.get(4)?),
        portal: PortalId::new(read_number(row.get(5)?)?).ok_or(StoreError::Damaged("a portal id"))?,
        app: AppCredentials {
            name: row.get(6)?,
            client_id: row.get(7)?,
            data_key: WrappedKey::from_stored(row.get(8)?),
            secrets,
        },
    }))
}

fn milliseconds(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
#[path = "grants_tests.rs"]
mod tests;
