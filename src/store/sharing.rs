//! Which connections hold the same grant.
//!
//! Two app entries with one client id, or one refresh token added under two names: HubSpot sees one grant.
//! Where a refresh rotates it, a holder that was not told has lost it. So holders are found by a keyed
//! fingerprint of the refresh token, and a refresh takes the lease of all and saves for all.

use rusqlite::{OptionalExtension, Transaction, params};

use super::changes::{ChangeKind, record_change, record_event};
use super::{Provenance, Store, StoreError, stored_number};
use crate::access::connection::{ConnectionId, ConnectionName};
use crate::vault::GrantPrint;

impl Store {
    /// Notes the fingerprint of the refresh token a connection holds at `generation`, and joins it with
    /// the connections that hold the same one; true when it shares its grant now. Nothing happens when
    /// the token has changed since.
    pub fn note_grant(
        &self,
        id: &ConnectionId,
        generation: u64,
        print: &GrantPrint,
        by: &Provenance,
    ) -> Result<bool, StoreError> {
        let generation = stored_number(generation)?;
        self.write(|tx| {
            let known: Option<(Option<Vec<u8>>, Option<String>)> = tx
                .query_row(
                    "SELECT grant_print, grant_id FROM connections WHERE id = ?1 AND generation = ?2
                     AND refresh_token IS NOT NULL",
                    params![id.as_str(), generation],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            let Some((noted, joined)) = known else {
                return Ok(false);
            };
            if noted.as_deref() == Some(print.as_stored()) {
                return Ok(joined.is_some());
            }
            let grant = join(tx, id, print)?;
            tx.execute(
                "UPDATE connections SET grant_print = ?2, grant_id = ?3 WHERE id = ?1",
                params![id.as_str(), print.as_stored(), grant],
            )?;
            if grant.is_some() || joined.is_some() {
                record_change(tx, ChangeKind::Connection, id.as_str())?;
            }
            if grant.is_some() {
                record_event(tx, by, "connection shares a grant", id.as_str())?;
            }
            Ok(grant.is_some())
        })
    }

    /// Names of the other connections that hold the same grant, in order. To be looked at before a grant
    /// is revoked upstream: that ends all of them.
    pub fn sharers(&self, id: &ConnectionId) -> Result<Vec<ConnectionName>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(
            "SELECT name FROM connections WHERE id <> ?1
             AND grant_id = (SELECT grant_id FROM connections WHERE id = ?1) ORDER BY name",
        )?;
        let names = statement.query_map(params![id.as_str()], |row| row.get::<_, String>(0))?;
        let mut sharers = Vec::new();
        for name in names {
            sharers.extend(ConnectionName::parse(&name?));
        }
        Ok(sharers)
    }
}

/// The common id of those that hold the grant already; makes one for the first pair.
fn join(tx: &Transaction<'_>, id: &ConnectionId, print: &GrantPrint) -> Result<Option<String>, StoreError> {
    let other: Option<(String, Option<String>)> = tx
        .query_row(
            "SELECT id, grant_id FROM connections WHERE grant_print = ?1 AND id <> ?2
             ORDER BY grant_id IS NULL LIMIT 1",
            params![print.as_stored(), id.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    match other {
        None => Ok(None),
        Some((_, Some(grant))) => Ok(Some(grant)),
        Some((other, None)) => {
            // Never an id of a connection: one that leaves must not come back by its own id.
            let grant: String = tx.query_row(
                "UPDATE connections SET grant_id = lower(hex(randomblob(16))) WHERE id = ?1 RETURNING grant_id",
                params![other],
                |row| row.get(0),
            )?;
            record_change(tx, ChangeKind::Connection, &other)?;
            Ok(Some(grant))
        }
    }
}
