//! The people behind credentials: what their portal's watcher saw, and whom an operator offboarded.
//!
//! What it means for a connection is not stored but derived when the connection is read
//! (`installer_claims`): another installer on the row is another answer at once.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::changes::{ChangeKind, record_change, record_event};
use super::{Provenance, Store, StoreError, read_number, stored_number, timestamp, timestamp_opt};
use crate::access::connection::{ConnectionId, PortalId};
use crate::access::installer::{About, InstallerNote, Presence};

/// A person of one portal, as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonRow {
    /// The account.
    pub portal: PortalId,
    /// Who, by HubSpot's number.
    pub user_id: u64,
    /// The address, once HubSpot told.
    pub email: Option<String>,
    /// Whether a super admin, once HubSpot told.
    pub super_admin: Option<bool>,
    /// As far as it is settled.
    pub presence: Presence,
    /// Since when.
    pub presence_since: Timestamp,
    /// Since when the person has fewer rights than at first.
    pub lost_rights_since: Option<Timestamp>,
    /// Since when the watcher cannot tell.
    pub unknown_since: Option<Timestamp>,
    /// Why not.
    pub unknown_why: Option<String>,
    /// When the watcher last could tell.
    pub seen: Option<Timestamp>,
    /// What the watcher goes by: JSON of its own.
    pub watch: String,
}

/// Who leaves by an operator's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffboardedRow {
    /// The address, in lower case.
    pub email: String,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// What a portal's watcher last learnt of those who could authorise anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchRow {
    /// The account.
    pub portal: PortalId,
    /// The watcher's connection.
    pub watcher: String,
    /// When it asked.
    pub asked: Timestamp,
    /// What went wrong then.
    pub trouble: Option<String>,
    /// Addresses of active super admins.
    pub super_admins: Vec<String>,
    /// How many other active people there are.
    pub others: u64,
}

const PERSON: &str = "portal, user_id, email, super_admin, presence, presence_since, lost_rights_since, \
     unknown_since, unknown_why, seen_at, watch";

impl Store {
    /// Everybody a watcher has looked for.
    pub fn people(&self) -> Result<Vec<PersonRow>, StoreError> {
        let reader = self.reader();
        let mut statement =
            reader.prepare_cached(&format!("SELECT {PERSON} FROM people ORDER BY portal, user_id"))?;
        let mut found = statement.query([])?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            rows.push(read(row)?);
        }
        Ok(rows)
    }

    /// One person.
    pub fn person(&self, portal: PortalId, user_id: u64) -> Result<Option<PersonRow>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(&format!(
            "SELECT {PERSON} FROM people WHERE portal = ?1 AND user_id = ?2"
        ))?;
        let mut found = statement.query(params![stored_number(portal.get())?, stored_number(user_id)?])?;
        found.next()?.map(read).transpose()
    }

    /// Keeps what a watcher saw. What changes for connections is a change that gates follow and an
    /// event for each; a connection whose installer's address was not known gets it. An address is a
    /// change that gates follow as well: an emergency stop may name it.
    pub fn note_person(&self, seen: &PersonRow, by: &Provenance) -> Result<(), StoreError> {
        let portal = stored_number(seen.portal.get())?;
        let user_id = stored_number(seen.user_id)?;
        self.write(|tx| {
            let ids = connections_of(tx, portal, user_id)?;
            let before = notes(tx, &ids)?;
            let address: Option<Option<String>> = tx
                .query_row(
                    "SELECT email FROM people WHERE portal = ?1 AND user_id = ?2",
                    params![portal, user_id],
                    |row| row.get(0),
                )
                .optional()?;
            tx.execute(
                &format!(
                    "INSERT OR REPLACE INTO people ({PERSON}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
                ),
                params![
                    portal,
                    user_id,
                    seen.email,
                    seen.super_admin,
                    seen.presence.as_str(),
                    seen.presence_since.as_millisecond(),
                    seen.lost_rights_since.map(Timestamp::as_millisecond),
                    seen.unknown_since.map(Timestamp::as_millisecond),
                    seen.unknown_why,
                    seen.seen.map(Timestamp::as_millisecond),
                    seen.watch,
                ],
            )?;
            let mut is_news = address.flatten() != seen.email;
            if let Some(email) = &seen.email {
                let named = tx.execute(
                    "UPDATE connections SET installer_email = ?3
                     WHERE portal = ?1 AND user_id = ?2 AND installer_email IS NULL",
                    params![portal, user_id, email],
                )?;
                is_news |= named > 0;
            }
            if is_news {
                // Gates stop a connection by its person's address, too: they read it again.
                for id in &ids {
                    record_change(tx, ChangeKind::Connection, id)?;
                }
            }
            tell(tx, &ids, &before, by)
        })
    }

    /// Forgets people whom no connection stands on any more; `watched` are the portals that have a
    /// watcher.
    pub fn forget_people(&self, watched: &[PortalId]) -> Result<(), StoreError> {
        let strangers = "FROM people WHERE NOT EXISTS (
             SELECT 1 FROM connections c WHERE c.portal = people.portal AND c.user_id = people.user_id)";
        let count: i64 = self
            .reader()
            .query_row(&format!("SELECT count(*) {strangers}"), [], |row| row.get(0))?;
        let unwatched: Vec<PortalId> = self
            .watches()?
            .into_iter()
            .map(|watch| watch.portal)
            .filter(|portal| !watched.contains(portal))
            .collect();
        // Looked for every few seconds: nothing is written for nothing.
        if count == 0 && unwatched.is_empty() {
            return Ok(());
        }
        self.write(|tx| {
            tx.execute(&format!("DELETE {strangers}"), [])?;
            for portal in &unwatched {
                tx.execute(
                    "DELETE FROM watches WHERE portal = ?1",
                    params![stored_number(portal.get())?],
                )?;
            }
            Ok(())
        })
    }

    /// Keeps what a watcher learnt of its portal.
    pub fn note_watch(&self, watch: &WatchRow) -> Result<(), StoreError> {
        let admins = serde_json::to_string(&watch.super_admins).unwrap_or_else(|_| "[]".to_owned());
        self.write(|tx| {
            tx.execute(
                "INSERT OR REPLACE INTO watches (portal, watcher, asked_at, trouble, super_admins, others)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    stored_number(watch.portal.get())?,
                    watch.watcher,
                    watch.asked.as_millisecond(),
                    watch.trouble,
                    admins,
                    stored_number(watch.others)?,
                ],
            )?;
            Ok(())
        })
    }

    /// What watchers learnt of their portals.
    pub fn watches(&self) -> Result<Vec<WatchRow>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(
            "SELECT portal, watcher, asked_at, trouble, super_admins, others FROM watches ORDER BY portal",
        )?;
        let mut found = statement.query([])?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            let admins: String = row.get(4)?;
            rows.push(WatchRow {
                portal: portal_of(row.get(0)?)?,
                watcher: row.get(1)?,
                asked: timestamp(row.get(2)?)?,
                trouble: row.get(3)?,
                super_admins: serde_json::from_str(&admins)
                    .map_err(|_| StoreError::Damaged("a portal's super admins"))?,
                others: read_number(row.get(5)?)?,
            });
        }
        Ok(rows)
    }

    /// Marks a person as leaving, by an operator's word. Doing it twice is doing it once. Says whether
    /// it is new.
    pub fn offboard(&self, email: &str, reason: &str, by: &Provenance) -> Result<bool, StoreError> {
        let email = email.to_ascii_lowercase();
        self.write(|tx| {
            let ids = connections_by_email(tx, &email)?;
            let before = notes(tx, &ids)?;
            let new = tx.execute(
                "INSERT INTO offboarded (email, at, actor, reason)
                 VALUES (?1, CAST(unixepoch('subsec') * 1000 AS INTEGER), ?2, ?3) ON CONFLICT (email) DO NOTHING",
                params![email, by.actor, reason],
            )?;
            if new > 0 {
                for id in &ids {
                    record_event(tx, by, "people offboard", id)?;
                }
                tell(tx, &ids, &before, by)?;
            }
            Ok(new > 0)
        })
    }

    /// Takes [`Store::offboard`] back. False when the person was not offboarded.
    pub fn reinstate(&self, email: &str, by: &Provenance) -> Result<bool, StoreError> {
        let email = email.to_ascii_lowercase();
        self.write(|tx| {
            let ids = connections_by_email(tx, &email)?;
            let before = notes(tx, &ids)?;
            let gone = tx.execute("DELETE FROM offboarded WHERE email = ?1", params![email])?;
            if gone > 0 {
                for id in &ids {
                    record_event(tx, by, "people reinstate", id)?;
                }
                tell(tx, &ids, &before, by)?;
            }
            Ok(gone > 0)
        })
    }

    /// Everybody offboarded.
    pub fn offboarded(&self) -> Result<Vec<OffboardedRow>, StoreError> {
        let reader = self.reader();
        let mut statement =
            reader.prepare_cached("SELECT email, at, actor, reason FROM offboarded ORDER BY email")?;
        let mut found = statement.query([])?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            rows.push(OffboardedRow {
                email: row.get(0)?,
                at: timestamp(row.get(1)?)?,
                actor: row.get(2)?,
                reason: row.get(3)?,
            });
        }
        Ok(rows)
    }
}

/// Reads `ABOUT SINCE ACKNOWLEDGED`, as the column of connections writes it.
pub(super) fn read_note(text: Option<String>) -> Result<Option<InstallerNote>, StoreError> {
    let damaged = || StoreError::Damaged("what is known of an installer");
    let Some(text) = text else { return Ok(None) };
    let mut words = text.split(' ');
    let (about, since, acknowledged) = (words.next(), words.next(), words.next());
    Ok(Some(InstallerNote {
        about: about.and_then(About::parse).ok_or_else(damaged)?,
        since: timestamp(since.and_then(|word| word.parse().ok()).ok_or_else(damaged)?)?,
        acknowledged: acknowledged == Some("1"),
    }))
}

/// Each connection with what there is to say about its installer, as the column of connections has it: the
/// worst that nobody has acknowledged, else the latest that somebody has.
pub(super) fn notes(tx: &Transaction<'_>, ids: &[String]) -> Result<Vec<Option<String>>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT about || ' ' || since || ' ' || acknowledged FROM installer_claims WHERE connection = ?1
         ORDER BY acknowledged, iif(acknowledged, -since, rank) LIMIT 1",
    )?;
    ids.iter()
        .map(|id| Ok(statement.query_row(params![id], |row| row.get(0)).optional()?))
        .collect()
}

/// Records a change and an event for each connection whose installer is another than before.
pub(super) fn tell(
    tx: &Transaction<'_>,
    ids: &[String],
    before: &[Option<String>],
    by: &Provenance,
) -> Result<(), StoreError> {
    let after = notes(tx, ids)?;
    for (id, (before, after)) in ids.iter().zip(before.iter().zip(after)) {
        if *before == after {
            continue;
        }
        record_change(tx, ChangeKind::Connection, id)?;
        let action = match read_note(after)? {
            None => "installer is back".to_owned(),
            Some(note) if note.acknowledged => "installer acknowledged".to_owned(),
            Some(note) => format!("installer {}", note.about.as_str().replace('_', " ")),
        };
        record_event(tx, by, &action, id)?;
    }
    Ok(())
}

/// Notes the address that HubSpot told of whoever is behind a credential; after the row's user is set, since
/// another user takes the address away that the row had.
pub(super) fn note_address(tx: &Transaction<'_>, id: &str, email: Option<&str>) -> Result<(), StoreError> {
    if let Some(email) = email {
        tx.execute(
            "UPDATE connections SET installer_email = ?2 WHERE id = ?1",
            params![id, email],
        )?;
    }
    Ok(())
}

fn connections_of(tx: &Transaction<'_>, portal: i64, user_id: i64) -> Result<Vec<String>, StoreError> {
    let mut statement =
        tx.prepare_cached("SELECT id FROM connections WHERE portal = ?1 AND user_id = ?2 ORDER BY name")?;
    let ids = statement.query_map(params![portal, user_id], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// By the address on the row, or by the one the watcher found.
fn connections_by_email(tx: &Transaction<'_>, email: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT c.id FROM connections c LEFT JOIN people p ON p.portal = c.portal AND p.user_id = c.user_id
         WHERE ?1 IN (lower(c.installer_email), lower(p.email)) ORDER BY c.name",
    )?;
    let ids = statement.query_map(params![email], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

fn portal_of(number: i64) -> Result<PortalId, StoreError> {
    PortalId::new(read_number(number)?).ok_or(StoreError::Damaged("a portal id"))
}

fn read(row: &Row<'_>) -> Result<PersonRow, StoreError> {
    let presence: String = row.get(4)?;
    Ok(PersonRow {
        portal: portal_of(row.get(0)?)?,
        user_id: read_number(row.get(1)?)?,
        email: row.get(2)?,
        super_admin: row.get(3)?,
        presence: Presence::ALL
            .into_iter()
            .find(|known| known.as_str() == presence)
            .ok_or(StoreError::Damaged("whether a person is there"))?,
        presence_since: timestamp(row.get(5)?)?,
        lost_rights_since: timestamp_opt(row.get(6)?)?,
        unknown_since: timestamp_opt(row.get(7)?)?,
        unknown_why: row.get(8)?,
        seen: timestamp_opt(row.get(9)?)?,
        watch: row.get(10)?,
    })
}

/// The connection of a stored id.
pub(super) fn connection_id(text: &str) -> Result<ConnectionId, StoreError> {
    ConnectionId::parse(text).ok_or(StoreError::Damaged("a connection's id"))
}

#[cfg(test)]
#[path = "people_tests.rs"]
mod tests;
