//! How a connection's standing changes, and what is known of whose its credential is.
//!
//! Invariant: a connection becomes `ok` only when HubSpot has said that its credential is the portal's,
//! and one whose credential was another portal's lets nothing pass until HubSpot says otherwise. An
//! operator's word is enough to stop traffic, never to vouch for a credential.

use rusqlite::{OptionalExtension, Transaction, params};

use super::changes::{ChangeKind, record_change, record_event};
use super::connections::gone;
use super::people::note_address;
use super::{ConnectionRow, Provenance, Store, StoreError, stored_number};
use crate::access::connection::{ConnectionId, Standing};

/// Whose a connection's credential is, as far as HubSpot told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// HubSpot could not tell yet.
    Unknown,
    /// The connection's portal's.
    Own,
    /// Another portal's.
    Foreign,
}

impl Whose {
    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Own => "own",
            Self::Foreign => "foreign",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Unknown, Self::Own, Self::Foreign]
            .into_iter()
            .find(|whose| whose.as_str() == word)
    }

    /// What a new connection's standing says about it.
    pub(super) fn of_new(standing: Standing) -> Self {
        match standing {
            Standing::Ok => Self::Own,
            _ => Self::Unknown,
        }
    }
}

/// What became of a wish to resume a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// Traffic passes, in this standing: `ok`, or `unverified` when HubSpot never told whose it is.
    Passes(Standing),
    /// It is neither suspended nor pending, but in this standing; nothing changed.
    NotSuspended(Standing),
    /// Its credential was another portal's when last asked: HubSpot must be asked first.
    Foreign,
    /// It waits to be accepted, and HubSpot never told whose it is: better ask first.
    Unasked,
}

impl Store {
    /// Stops a connection: changes its standing to `to`, one that lets nothing pass, if it is one of
    /// `from`; returns the standing it had. `action` is the word in the event.
    pub fn change_standing(
        &self,
        id: &ConnectionId,
        from: &[Standing],
        to: Standing,
        why: Option<&str>,
        action: &str,
        by: &Provenance,
    ) -> Result<Standing, StoreError> {
        self.write(|tx| stop(tx, id, from, to, (why, action), by))
    }

    /// The same for many, all or none; returns the standings they had.
    pub fn change_standings(
        &self,
        ids: &[ConnectionId],
        from: &[Standing],
        to: Standing,
        why: Option<&str>,
        action: &str,
        by: &Provenance,
    ) -> Result<Vec<Standing>, StoreError> {
        self.write(|tx| {
            ids.iter()
                .map(|id| stop(tx, id, from, to, (why, action), by))
                .collect()
        })
    }

    /// Lets traffic pass again on a suspended connection, and at last on a pending one, as far as what
    /// is known of its credential allows.
    pub fn resume(&self, id: &ConnectionId, by: &Provenance) -> Result<Resumed, StoreError> {
        self.write(|tx| resume(tx, id, by))
    }

    /// The same for many, all or none.
    pub fn resume_all(&self, ids: &[ConnectionId], by: &Provenance) -> Result<Vec<Resumed>, StoreError> {
        self.write(|tx| ids.iter().map(|id| resume(tx, id, by)).collect())
    }

    /// Accepts a pending connection about whose credential HubSpot was asked and could not tell: traffic
    /// passes, and the gate verifies it as soon as it can. False when it has changed since.
    pub fn resume_unverified(
        &self,
        asked: &ConnectionRow,
        why: &str,
        by: &Provenance,
    ) -> Result<bool, StoreError> {
        self.write(|tx| {
            let as_asked = state(tx, &asked.id)? == (Standing::Pending, Whose::Unknown);
            if as_asked {
                set_standing(tx, &asked.id, Standing::Unverified, Some(why))?;
                record_event(tx, by, "connection resume", asked.id.as_str())?;
            }
            Ok(as_asked)
        })
    }

    /// Resumes a suspended or pending connection after HubSpot said that the credential in `asked` is
    /// its portal's. False when the credential or the standing has changed since: nothing is done.
    pub fn resume_verified(
        &self,
        asked: &ConnectionRow,
        user_id: Option<u64>,
        email: Option<&str>,
        scopes: &[String],
        by: &Provenance,
    ) -> Result<bool, StoreError> {
        let user_id = user_id.map(stored_number).transpose()?;
        self.write(|tx| {
            let changed = tx.execute(
                "UPDATE connections SET user_id = coalesce(?3, user_id), scopes = ?4, whose = 'own'
                 WHERE id = ?1 AND generation = ?2 AND standing IN ('suspended', 'pending')",
                params![
                    asked.id.as_str(),
                    stored_number(asked.generation)?,
                    user_id,
                    scopes.join(" ")
                ],
            )?;
            if changed > 0 {
                note_address(tx, asked.id.as_str(), email)?;
                set_standing(tx, &asked.id, Standing::Ok, None)?;
                record_event(tx, by, "connection resume", asked.id.as_str())?;
            }
            Ok(changed > 0)
        })
    }

    /// Notes what HubSpot said about an unverified connection's credential, and that it is in order.
    pub fn verify_connection(
        &self,
        id: &ConnectionId,
        user_id: Option<u64>,
        email: Option<&str>,
        scopes: &[String],
        by: &Provenance,
    ) -> Result<(), StoreError> {
        let user_id = user_id.map(stored_number).transpose()?;
        self.write(|tx| {
            let changed = tx.execute(
                "UPDATE connections SET user_id = coalesce(?2, user_id), scopes = ?3, whose = 'own', health = NULL
                 WHERE id = ?1 AND standing = 'unverified'",
                params![id.as_str(), user_id, scopes.join(" ")],
            )?;
            if changed > 0 {
                note_address(tx, id.as_str(), email)?;
                set_standing(tx, id, Standing::Ok, None)?;
                record_event(tx, by, "connection verified", id.as_str())?;
            }
            Ok(())
        })
    }

    /// Suspends a connection whose credential turned out to be another portal's. That is noted even if
    /// it lets nothing pass already; then its standing, an operator's perhaps, stays. What access token
    /// an OAuth grant has left counts as expired.
    pub fn suspend_foreign(
        &self,
        id: &ConnectionId,
        why: &str,
        action: &str,
        by: &Provenance,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            let (before, _) = state(tx, id)?;
            tx.execute(
                "UPDATE connections SET access_expires_at = access_obtained_at
                 WHERE id = ?1 AND refresh_token IS NOT NULL",
                params![id.as_str()],
            )?;
            note_whose(tx, id, Whose::Foreign)?;
            if before.refusal().is_none() {
                set_standing(tx, id, Standing::Suspended, Some(why))?;
                record_event(tx, by, action, id.as_str())?;
            }
            Ok(())
        })
    }
}

fn stop(
    tx: &Transaction<'_>,
    id: &ConnectionId,
    from: &[Standing],
    to: Standing,
    (why, action): (Option<&str>, &str),
    by: &Provenance,
) -> Result<Standing, StoreError> {
    let (before, _) = state(tx, id)?;
    if from.contains(&before) && before != to && to.refusal().is_some() {
        set_standing(tx, id, to, why)?;
        record_event(tx, by, action, id.as_str())?;
    }
    Ok(before)
}

fn resume(tx: &Transaction<'_>, id: &ConnectionId, by: &Provenance) -> Result<Resumed, StoreError> {
    let (to, why) = match state(tx, id)? {
        (Standing::Suspended | Standing::Pending, Whose::Own) => (Standing::Ok, None),
        (Standing::Suspended, Whose::Unknown) => {
            (Standing::Unverified, Some("suspended before it was verified"))
        }
        (Standing::Pending, Whose::Unknown) => return Ok(Resumed::Unasked),
        (Standing::Suspended | Standing::Pending, Whose::Foreign) => return Ok(Resumed::Foreign),
        (before, _) => return Ok(Resumed::NotSuspended(before)),
    };
    set_standing(tx, id, to, why)?;
    record_event(tx, by, "connection resume", id.as_str())?;
    Ok(Resumed::Passes(to))
}

pub(super) fn note_whose(tx: &Transaction<'_>, id: &ConnectionId, whose: Whose) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE connections SET whose = ?2 WHERE id = ?1",
        params![id.as_str(), whose.as_str()],
    )?;
    Ok(())
}

pub(super) fn set_standing(
    tx: &Transaction<'_>,
    id: &ConnectionId,
    to: Standing,
    why: Option<&str>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE connections SET standing = ?2, standing_why = ?3,
             standing_since = CAST(unixepoch('subsec') * 1000 AS INTEGER) WHERE id = ?1",
        params![id.as_str(), to.as_str(), why],
    )?;
    record_change(tx, ChangeKind::Connection, id.as_str())
}

fn state(tx: &Transaction<'_>, id: &ConnectionId) -> Result<(Standing, Whose), StoreError> {
    let words: Option<(String, String)> = tx
        .query_row(
            "SELECT standing, whose FROM connections WHERE id = ?1",
            params![id.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let (standing, whose) = words.ok_or_else(|| gone(id))?;
    let standing = Standing::parse(&standing).ok_or(StoreError::Damaged("a connection's standing"))?;
    let whose = Whose::parse(&whose).ok_or(StoreError::Damaged("whose a credential is"))?;
    Ok((standing, whose))
}

#[cfg(test)]
#[path = "standings_tests.rs"]
mod tests;
