//! Installs under way: who may connect what, which browser is at it, and how far it is.
//!
//! Invariant: a state is used once, a code is exchanged only by the attempt that took it, and a
//! connection and the end of its install are one transaction. Each step seals the row anew and goes on from
//! a sealed one only: whoever writes the file without the master key can't take an install back to an
//! earlier step, nor give it to another browser.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::changes::{ChangeKind, record_change, record_event};
use super::connections::{check_free, words};
use super::health::end_failures;
use super::master_key::must_fit;
use super::rotation::standing_after;
use super::seals::{ConnectionFacts, InstallFacts};
use super::standings::set_standing;
use super::{Provenance, Store, StoreError, read_number, stored_number, timestamp, timestamp_opt};
use crate::access::connection::{ConnectionId, ConnectionName, PortalId, Standing};
use crate::vault::{CredentialDigest, RowKey, Sealed, WrappedKey};

/// How long a row is kept after its end, so that a late click is told what happened.
const KEPT_MILLISECONDS: i64 = 7 * 86_400_000;

/// Most installs that no ticket began and that are not done, begun or given up: strangers can begin those,
/// and give them up again.
const WITHOUT_TICKET_MAX: i64 = 1_000;

/// SHA-256 of something only one browser, or one person, has.
pub type Hash = [u8; 32];

/// How far an install is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstallPhase {
    /// Its ticket can be opened.
    Open,
    /// A browser was sent to HubSpot.
    Begun,
    /// A code is being used. Left behind by a process that died: nobody knows how that ended.
    Exchanging,
    /// The connection is stored.
    Done,
}

impl InstallPhase {
    const ALL: [Self; 4] = [Self::Open, Self::Begun, Self::Exchanging, Self::Done];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Begun => "begun",
            Self::Exchanging => "exchanging",
            Self::Done => "done",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == word)
    }
}

/// An install as stored.
#[derive(Clone, Debug)]
pub struct InstallRow {
    /// Random; part of the ticket.
    pub id: String,
    /// Hash of the ticket; `None`: none began it.
    pub ticket: Option<Hash>,
    /// The app.
    pub app: String,
    /// What to call the connection; `None` without a ticket.
    pub name: Option<ConnectionName>,
    /// The connection that is authorised again.
    pub connection: Option<ConnectionId>,
    /// The account it must turn out to be.
    pub portal: Option<PortalId>,
    /// `key=value`, separated by blanks.
    pub labels: String,
    /// Scopes without which nothing is stored.
    pub required: Vec<String>,
    /// Scopes that may be missing.
    pub optional: Vec<String>,
    /// Who made the ticket.
    pub by: Provenance,
    /// How far it is.
    pub phase: InstallPhase,
    /// Which use of a code this is.
    pub attempt: u64,
    /// Hash of the cookie of the browser it is bound to.
    pub browser: Option<Hash>,
    /// Hash of the state last given out.
    pub state: Option<Hash>,
    /// What the verifier is sealed with.
    pub verifier: Option<(WrappedKey, Sealed)>,
    /// When it was made.
    pub created: Timestamp,
    /// Until when the ticket can be opened.
    pub expires: Timestamp,
    /// Until when the browser may come back with the state.
    pub back_until: Option<Timestamp>,
    /// Whether its seal holds: this is how the last step left it.
    pub genuine: bool,
}

/// An install to be stored.
#[derive(Clone, Debug)]
pub struct NewInstall {
    /// Fresh and random.
    pub id: String,
    /// Hash of the ticket.
    pub ticket: Option<Hash>,
    /// The app.
    pub app: String,
    /// What to call the connection.
    pub name: Option<ConnectionName>,
    /// The connection that is authorised again.
    pub connection: Option<ConnectionId>,
    /// The account it must turn out to be.
    pub portal: Option<PortalId>,
    /// `key=value`, separated by blanks.
    pub labels: String,
    /// Scopes without which nothing is stored.
    pub required: Vec<String>,
    /// Scopes that may be missing.
    pub optional: Vec<String>,
    /// Until when the ticket can be opened.
    pub expires: Timestamp,
}

/// What sends a browser to HubSpot.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// Hash of the browser's cookie.
    pub browser: Hash,
    /// Hash of the state.
    pub state: Hash,
    /// The sealed verifier and its data key.
    pub verifier: Option<(WrappedKey, Sealed)>,
    /// Until when the browser may come back.
    pub back_until: Timestamp,
}

/// What a person granted, sealed and ready to be stored.
#[derive(Debug)]
pub struct Grant {
    /// The connection: a fresh id, or the one that is authorised again.
    pub id: ConnectionId,
    /// Its name.
    pub name: ConnectionName,
    /// The account HubSpot named.
    pub portal: PortalId,
    /// The app.
    pub app: String,
    /// `ok` or `pending`, for a new connection.
    pub standing: Standing,
    /// Why it is not `ok`.
    pub standing_why: Option<&'static str>,
    /// The generation the row must have; `None` for a new connection. Sealed for the next one, a
    /// new one's for 1.
    pub over: Option<u64>,
    /// A new data key.
    pub data_key: WrappedKey,
    /// What the grant is.
    pub handed: CredentialDigest,
    /// Field `access`.
    pub access: Sealed,
    /// Field `refresh`.
    pub refresh: Sealed,
    /// When the access token was received.
    pub obtained: Timestamp,
    /// When it expires by the server's word.
    pub expires: Timestamp,
    /// Who consented.
    pub user_id: Option<u64>,
    /// Their address.
    pub email: Option<String>,
    /// Their rights, as far as HubSpot told: JSON.
    pub rights: Option<String>,
    /// What was granted.
    pub scopes: Vec<String>,
    /// What was asked for.
    pub requested: Vec<String>,
    /// `key=value`, separated by blanks; empty keeps those of a connection that is authorised again.
    pub labels: String,
}

impl Store {
    /// Keeps a ticket that an operator made.
    pub fn add_install(&self, new: &NewInstall, by: &Provenance) -> Result<(), StoreError> {
        let rows = self.row_key()?;
        self.write(|tx| {
            purge(tx)?;
            insert(tx, rows, new, by, None)?;
            let subject = new.name.as_ref().map_or(new.app.as_str(), ConnectionName::as_str);
            record_event(tx, by, "connection install link", subject)
        })
    }

    /// Keeps an install that no ticket began, with the browser that is sent to HubSpot. False when
    /// too many are under way.
    pub fn add_begun_install(
        &self,
        new: &NewInstall,
        beginning: &Beginning,
        by: &Provenance,
    ) -> Result<bool, StoreError> {
        let rows = self.row_key()?;
        self.write(|tx| {
            purge(tx)?;
            let under_way: i64 = tx.query_row(
                "SELECT count(*) FROM installs WHERE ticket IS NULL AND phase <> 'done'",
                [],
                |row| row.get(0),
            )?;
            if under_way >= WITHOUT_TICKET_MAX {
                return Ok(false);
            }
            insert(tx, rows, new, by, Some(beginning))?;
            Ok(true)
        })
    }

    /// One install by its id.
    pub fn install(&self, id: &str) -> Result<Option<InstallRow>, StoreError> {
        self.one_install("id = ?1", params![id])
    }

    /// The install that gave out a state.
    pub fn install_of_state(&self, state: &Hash) -> Result<Option<InstallRow>, StoreError> {
        self.one_install("state = ?1", params![state.as_slice()])
    }

    /// How many installs a process left while it used a code.
    pub fn installs_broken_off(&self) -> Result<u64, StoreError> {
        let count = self.reader().query_row(
            "SELECT count(*) FROM installs WHERE phase = 'exchanging'",
            [],
            |row| row.get(0),
        )?;
        read_number(count)
    }

    fn one_install(
        &self,
        wanted: &'static str,
        value: &[&dyn rusqlite::ToSql],
    ) -> Result<Option<InstallRow>, StoreError> {
        let rows = self.row_key()?;
        let reader = self.reader();
        let mut statement = reader.prepare_cached(&format!("SELECT * FROM installs WHERE {wanted}"))?;
        let mut found = statement.query(value)?;
        found.next()?.map(|row| read(row, rows)).transpose()
    }

    /// Binds an open ticket to a browser and gives out a state; an earlier state of the same browser
    /// is void. False when the ticket is another browser's, or is being used.
    pub fn begin_install(&self, id: &str, beginning: &Beginning) -> Result<bool, StoreError> {
        let rows = self.row_key()?;
        self.write(|tx| {
            must_be_sealed(tx, rows, id)?;
            let (data_key, verifier) = parts(beginning);
            if let Some((key, _)) = &beginning.verifier {
                must_fit(tx, key)?;
            }
            let changed = tx.execute(
                "UPDATE installs SET phase = 'begun', browser = ?2, state = ?3, data_key = ?4, verifier = ?5,
                     back_until = ?6
                 WHERE id = ?1 AND phase IN ('open', 'begun') AND (browser IS NULL OR browser = ?2)",
                params![
                    id,
                    beginning.browser.as_slice(),
                    beginning.state.as_slice(),
                    data_key,
                    verifier,
                    beginning.back_until.as_millisecond()
                ],
            )?;
            seal(tx, rows, id)?;
            Ok(changed > 0)
        })
    }

    /// Takes a state, once: from here on its code is being used. The number of the attempt, or `None`
    /// when somebody else took it.
    pub fn take_install(&self, id: &str, state: &Hash) -> Result<Option<u64>, StoreError> {
        let rows = self.row_key()?;
        self.write(|tx| {
            must_be_sealed(tx, rows, id)?;
            let attempt: Option<i64> = tx
                .query_row(
                    "UPDATE installs SET phase = 'exchanging', attempt = attempt + 1
                     WHERE id = ?1 AND state = ?2 AND phase = 'begun' RETURNING attempt",
                    params![id, state.as_slice()],
                    |row| row.get(0),
                )
                .optional()?;
            seal(tx, rows, id)?;
            attempt.map(read_number).transpose()
        })
    }

    /// Lets the ticket be opened again by its browser: the attempt certainly brought nothing.
    pub fn reopen_install(&self, id: &str, attempt: u64) -> Result<(), StoreError> {
        let attempt = stored_number(attempt)?;
        let rows = self.row_key()?;
        self.write(|tx| {
            must_be_sealed(tx, rows, id)?;
            tx.execute(
                "UPDATE installs SET phase = 'open' WHERE id = ?1 AND attempt = ?2 AND phase = 'exchanging'",
                params![id, attempt],
            )?;
            seal(tx, rows, id)
        })
    }

    /// Stores a grant and ends its install, both or neither. False when the attempt, or the
    /// connection that is authorised again, has changed meanwhile.
    ///
    /// # Errors
    /// Among others: the name, or the app's connection to the portal, is taken.
    pub fn complete_install(
        &self,
        install: Option<(&str, u64)>,
        grant: &Grant,
        by: &Provenance,
    ) -> Result<bool, StoreError> {
        let rows = self.row_key()?;
        let stored = self.write(|tx| {
            if let Some((id, attempt)) = install
                && !is_mine(tx, rows, id, attempt)?
            {
                return Ok(false);
            }
            match grant.over {
                None => add(tx, rows, grant)?,
                Some(generation) if !replace(tx, grant, generation)? => return Ok(false),
                Some(_) => {}
            }
            if let Some((id, _)) = install {
                tx.execute(
                    "UPDATE installs SET phase = 'done', data_key = NULL, verifier = NULL WHERE id = ?1",
                    params![id],
                )?;
                seal(tx, rows, id)?;
            }
            record_event(tx, by, "connection install", grant.name.as_str())?;
            Ok(true)
        })?;
        if grant.over.is_some() {
            // The old sealed bytes and their data key are gone from the log, too.
            self.forget_log();
        }
        Ok(stored)
    }
}

/// The row as the last step left it, if there is one.
///
/// # Errors
/// Somebody else has altered it: sealing it again would make that genuine.
fn must_be_sealed(tx: &Transaction<'_>, rows: &RowKey, id: &str) -> Result<Option<InstallRow>, StoreError> {
    match in_transaction(tx, rows, id)? {
        Some(row) if !row.genuine => Err(StoreError::Damaged("the seal of an install")),
        row => Ok(row),
    }
}

/// Seals the row as it is now.
fn seal(tx: &Transaction<'_>, rows: &RowKey, id: &str) -> Result<(), StoreError> {
    let Some(row) = in_transaction(tx, rows, id)? else {
        return Ok(());
    };
    let seal = InstallFacts(&row).seal(rows);
    tx.execute(
        "UPDATE installs SET seal = ?2 WHERE id = ?1",
        params![id, seal.as_stored()],
    )?;
    Ok(())
}

fn in_transaction(tx: &Transaction<'_>, rows: &RowKey, id: &str) -> Result<Option<InstallRow>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT * FROM installs WHERE id = ?1")?;
    let mut found = statement.query(params![id])?;
    found.next()?.map(|row| read(row, rows)).transpose()
}

fn is_mine(tx: &Transaction<'_>, rows: &RowKey, id: &str, attempt: u64) -> Result<bool, StoreError> {
    let row = must_be_sealed(tx, rows, id)?;
    Ok(row.is_some_and(|row| row.attempt == attempt && row.phase == InstallPhase::Exchanging))
}

fn add(tx: &Transaction<'_>, rows: &RowKey, grant: &Grant) -> Result<(), StoreError> {
    check_free(tx, &grant.name, Some(&grant.app), grant.portal)?;
    must_fit(tx, &grant.data_key)?;
    let facts = ConnectionFacts {
        id: grant.id.as_str(),
        name: grant.name.as_str(),
        portal: stored_number(grant.portal.get())?,
        app: Some(&grant.app),
    };
    tx.execute(
        "INSERT INTO connections (id, name, portal, kind, app, standing, standing_why, whose, user_id, scopes,
             data_key, generation, access_token, access_obtained_at, access_expires_at, refresh_token,
             installer_email, requested_scopes, labels, installer_rights, standing_since, created_at, credential_at,
             installed_at, handed_digest, seal)
         SELECT ?1, ?2, ?3, 'oauth', ?4, ?5, ?6, 'own', ?7, ?8, ?9, 1, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
             now, now, now, now, ?18, ?19
         FROM (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now)",
        params![
            grant.id.as_str(),
            grant.name.as_str(),
            stored_number(grant.portal.get())?,
            grant.app,
            grant.standing.as_str(),
            grant.standing_why,
            grant.user_id.map(stored_number).transpose()?,
            grant.scopes.join(" "),
            grant.data_key.as_stored(),
            grant.access.as_stored(),
            grant.obtained.as_millisecond(),
            grant.expires.as_millisecond(),
            grant.refresh.as_stored(),
            grant.email,
            grant.requested.join(" "),
            grant.labels,
            grant.rights,
            grant.handed.as_stored().as_slice(),
            facts.seal(rows).as_stored(),
        ],
    )?;
    record_change(tx, ChangeKind::Connection, grant.id.as_str())
}

/// A new grant over an old one, under a new data key. What was known of the old one's health and age
/// is gone with it, and of its installer when it is another one; who is not told counts as the one
/// before. An operator's suspension stays, and so does a kill.
fn replace(tx: &Transaction<'_>, grant: &Grant, generation: u64) -> Result<bool, StoreError> {
    let before: Option<(String, Option<i64>)> = tx
        .query_row(
            "SELECT standing, user_id FROM connections
             WHERE id = ?1 AND generation = ?2 AND app = ?3 AND portal = ?4",
            params![
                grant.id.as_str(),
                stored_number(generation)?,
                grant.app,
                stored_number(grant.portal.get())?
            ],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((word, user_before)) = before else {
        return Ok(false);
    };
    let before = Standing::parse(&word).ok_or(StoreError::Damaged("a connection's standing"))?;
    let user_id = grant.user_id.map(stored_number).transpose()?;
    must_fit(tx, &grant.data_key)?;
    tx.execute(
        "UPDATE connections SET generation = generation + 1, fence = fence + 1, data_key = ?2, access_token = ?3,
             access_obtained_at = ?4, access_expires_at = ?5, refresh_token = ?6, handed_digest = ?7,
             user_id = coalesce(?8, user_id), installer_rights = ?9, scopes = ?10, requested_scopes = ?11,
             labels = CASE ?12 WHEN '' THEN labels ELSE ?12 END, whose = 'own', health = NULL,
             intent_at = NULL, lease_holder = NULL, lease_until = NULL,
             access_boot = NULL, access_boot_ms = NULL,
             rotation_marked_at = NULL, rotation_why = NULL,
             installed_at = CAST(unixepoch('subsec') * 1000 AS INTEGER),
             credential_at = CAST(unixepoch('subsec') * 1000 AS INTEGER)
         WHERE id = ?1",
        params![
            grant.id.as_str(),
            grant.data_key.as_stored(),
            grant.access.as_stored(),
            grant.obtained.as_millisecond(),
            grant.expires.as_millisecond(),
            grant.refresh.as_stored(),
            grant.handed.as_stored().as_slice(),
            user_id,
            grant.rights,
            grant.scopes.join(" "),
            grant.requested.join(" "),
            grant.labels,
        ],
    )?;
    // Apart: an address that stands beside another person than before is taken to be the other's. The
    // same person's stays when HubSpot does not tell it again: an emergency stop may go by it.
    tx.execute(
        "UPDATE connections SET installer_email = coalesce(?2, installer_email) WHERE id = ?1",
        params![grant.id.as_str(), grant.email],
    )?;
    end_failures(tx, &grant.id)?;
    let another = user_id.is_some() && user_id != user_before;
    let after = match before {
        // An operator's link asks for it.
        Standing::Pending => Standing::Ok,
        before => standing_after(before, another),
    };
    if after != before {
        set_standing(tx, &grant.id, after, None)?;
    }
    record_change(tx, ChangeKind::Connection, grant.id.as_str())?;
    Ok(true)
}

fn insert(
    tx: &Transaction<'_>,
    rows: &RowKey,
    new: &NewInstall,
    by: &Provenance,
    beginning: Option<&Beginning>,
) -> Result<(), StoreError> {
    let (data_key, verifier) = beginning.map(parts).unwrap_or_default();
    if let Some((key, _)) = beginning.and_then(|beginning| beginning.verifier.as_ref()) {
        must_fit(tx, key)?;
    }
    let phase = if beginning.is_some() {
        InstallPhase::Begun
    } else {
        InstallPhase::Open
    };
    tx.execute(
        "INSERT INTO installs (id, ticket, app, name, connection, portal, labels, required_scopes, optional_scopes,
             actor, reason, phase, browser, state, data_key, verifier, created_at, expires_at, back_until)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,
             CAST(unixepoch('subsec') * 1000 AS INTEGER), ?17, ?18)",
        params![
            new.id,
            new.ticket.as_ref().map(|hash| hash.as_slice()),
            new.app,
            new.name.as_ref().map(ConnectionName::as_str),
            new.connection.as_ref().map(ConnectionId::as_str),
            new.portal.map(|portal| stored_number(portal.get())).transpose()?,
            new.labels,
            new.required.join(" "),
            new.optional.join(" "),
            by.actor,
            by.reason,
            phase.as_str(),
            beginning.map(|beginning| beginning.browser.as_slice()),
            beginning.map(|beginning| beginning.state.as_slice()),
            data_key,
            verifier,
            new.expires.as_millisecond(),
            beginning.map(|beginning| beginning.back_until.as_millisecond()),
        ],
    )?;
    seal(tx, rows, &new.id)
}

fn parts(beginning: &Beginning) -> (Option<&[u8]>, Option<&[u8]>) {
    let sealed = beginning.verifier.as_ref();
    (
        sealed.map(|(key, _)| key.as_stored()),
        sealed.map(|(_, verifier)| verifier.as_stored()),
    )
}

fn purge(tx: &Transaction<'_>) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM installs WHERE expires_at < CAST(unixepoch('subsec') * 1000 AS INTEGER) -
             CASE WHEN ticket IS NULL THEN 0 ELSE ?1 END",
        params![KEPT_MILLISECONDS],
    )?;
    Ok(())
}

fn read(row: &Row<'_>, rows: &RowKey) -> Result<InstallRow, StoreError> {
    let damaged = StoreError::Damaged;
    let text = |column: &str| row.get::<_, String>(column);
    let hash = |column: &str| -> Result<Option<Hash>, StoreError> {
        let bytes: Option<Vec<u8>> = row.get(column)?;
        let read = |bytes: Vec<u8>| Hash::try_from(bytes).map_err(|_| damaged("a hash of an install"));
        bytes.map(read).transpose()
    };
    let name: Option<String> = row.get("name")?;
    let connection: Option<String> = row.get("connection")?;
    let portal: Option<i64> = row.get("portal")?;
    let data_key: Option<Vec<u8>> = row.get("data_key")?;
    let verifier: Option<Vec<u8>> = row.get("verifier")?;
    let seal: Option<Vec<u8>> = row.get("seal")?;
    let mut install = InstallRow {
        id: text("id")?,
        ticket: hash("ticket")?,
        app: text("app")?,
        name: name
            .map(|name| ConnectionName::parse(&name).ok_or(damaged("a connection's name")))
            .transpose()?,
        connection: connection
            .map(|id| ConnectionId::parse(&id).ok_or(damaged("a connection's id")))
            .transpose()?,
        portal: portal
            .map(|portal| PortalId::new(read_number(portal)?).ok_or(damaged("a portal id")))
            .transpose()?,
        labels: text("labels")?,
        required: words(&text("required_scopes")?),
        optional: words(&text("optional_scopes")?),
        by: Provenance {
            actor: text("actor")?,
            reason: row.get("reason")?,
        },
        phase: InstallPhase::parse(&text("phase")?).ok_or(damaged("the phase of an install"))?,
        attempt: read_number(row.get("attempt")?)?,
        browser: hash("browser")?,
        state: hash("state")?,
        verifier: data_key
            .zip(verifier)
            .map(|(key, verifier)| (WrappedKey::from_stored(key), Sealed::from_stored(verifier))),
        created: timestamp(row.get("created_at")?)?,
        expires: timestamp(row.get("expires_at")?)?,
        back_until: timestamp_opt(row.get("back_until")?)?,
        genuine: false,
    };
    install.genuine = InstallFacts(&install).hold(rows, seal.as_deref());
    Ok(install)
}

#[cfg(test)]
#[path = "installs_tests.rs"]
mod tests;
