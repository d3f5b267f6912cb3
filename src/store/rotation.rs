//! Replacing what is long-lived: a connection's credential in place, and saying that one must be.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::changes::{ChangeKind, record_change, record_event};
use super::connections::gone;
use super::health::end_failures;
use super::master_key::must_fit;
use super::people::note_address;
use super::standings::set_standing;
use super::{ConnectionRow, Provenance, Store, StoreError, StoredToken, stored_number};
use crate::access::connection::{ConnectionId, CredentialKind, Standing};
use crate::vault::{CredentialDigest, Sealed, WrappedKey};

/// A credential that HubSpot says is the connection's portal's.
#[derive(Debug)]
pub struct NewCredential {
    /// What it turned out to be.
    pub kind: CredentialKind,
    /// A new data key: what was sealed under the old one opens no more.
    pub data_key: WrappedKey,
    /// The static token, sealed for the row's generation + 1.
    pub access: Option<StoredToken>,
    /// OAuth: the grant, sealed for the row's generation + 1.
    pub refresh: Option<Sealed>,
    /// Who is behind it.
    pub user_id: Option<u64>,
    /// Their address, if told.
    pub email: Option<String>,
    /// Granted scopes; empty when not told.
    pub scopes: Vec<String>,
    /// What it is.
    pub handed: CredentialDigest,
    /// It is the one the connection has already, so its age does not begin anew.
    pub same: bool,
}

impl Store {
    /// Puts `new` in the place of the credential that `of` was read with. Id, name, labels and the keys
    /// bound to it stay. Returns the standing it has then; `None` when the connection has changed
    /// since: read again, seal again.
    ///
    /// What stopped the connection for its credential's sake is over. What an operator stopped stays
    /// stopped, and so does one whose installer is gone while the same person is behind the new
    /// credential. A refresh under way comes to nothing: fence and generation have moved on.
    pub fn replace_credential(
        &self,
        of: &ConnectionRow,
        new: &NewCredential,
        by: &Provenance,
    ) -> Result<Option<Standing>, StoreError> {
        let generation = stored_number(of.generation)?;
        let user_id = new.user_id.map(stored_number).transpose()?;
        let replaced = self.write(|tx| {
            let access = new.access.as_ref();
            let scopes = (!new.scopes.is_empty()).then(|| new.scopes.join(" "));
            let before: Option<(String, Option<i64>)> = tx
                .query_row(
                    "SELECT standing, user_id FROM connections WHERE id = ?1 AND generation = ?2",
                    params![of.id.as_str(), generation],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            let Some((before, user_before)) = before else {
                return Ok(None);
            };
            // The same credential is the same person's, even if nobody is told this time.
            let user_id = user_id.or(user_before.filter(|_| new.same));
            let before = Standing::parse(&before).ok_or(StoreError::Damaged("a connection's standing"))?;
            must_fit(tx, &new.data_key)?;
            tx.execute(
                "UPDATE connections SET generation = generation + 1, fence = fence + 1, lease_holder = NULL,
                     lease_until = NULL, intent_at = NULL, health = NULL, whose = 'own', kind = ?2, data_key = ?3,
                     access_token = ?4, access_obtained_at = ?5, access_expires_at = ?6, refresh_token = ?7,
                     installer_email = iif(user_id IS ?8, installer_email, NULL),
                     installer_rights = iif(user_id IS ?8, installer_rights, NULL),
                     user_id = ?8, scopes = coalesce(?9, scopes), handed_digest = ?10,
                     credential_at = iif(?11, credential_at, CAST(unixepoch('subsec') * 1000 AS INTEGER)),
                     rotation_marked_at = iif(?11, rotation_marked_at, NULL),
                     rotation_why = iif(?11, rotation_why, NULL)
                 WHERE id = ?1",
                params![
                    of.id.as_str(),
                    new.kind.as_str(),
                    new.data_key.as_stored(),
                    access.map(|token| token.sealed.as_stored()),
                    access.map(|token| token.obtained.as_millisecond()),
                    access.and_then(|token| token.expires.map(Timestamp::as_millisecond)),
                    new.refresh.as_ref().map(Sealed::as_stored),
                    user_id,
                    scopes,
                    new.handed.as_stored().as_slice(),
                    new.same,
                ],
            )?;
            end_failures(tx, &of.id)?;
            note_address(tx, of.id.as_str(), new.email.as_deref())?;
            let another = user_id.is_some() && user_id != user_before;
            let after = standing_after(before, another);
            if after != before {
                set_standing(tx, &of.id, after, None)?;
            }
            record_change(tx, ChangeKind::Connection, of.id.as_str())?;
            record_event(tx, by, "connection rotate", of.name.as_str())?;
            Ok(Some(after))
        })?;
        // The old sealed bytes and their data key are gone from the log, too.
        self.forget_log();
        Ok(replaced)
    }

    /// Notes that credentials must be rotated, whatever their age, until they are.
    pub fn mark_rotation(&self, ids: &[ConnectionId], by: &Provenance) -> Result<(), StoreError> {
        self.write(|tx| {
            for id in ids {
                let name: Option<String> = tx
                    .query_row(
                        "UPDATE connections SET
                             rotation_marked_at = coalesce(rotation_marked_at,
                                 CAST(unixepoch('subsec') * 1000 AS INTEGER)),
                             rotation_why = ?2
                         WHERE id = ?1 RETURNING name",
                        params![id.as_str(), by.reason],
                        |row| row.get(0),
                    )
                    .optional()?;
                let name = name.ok_or_else(|| gone(id))?;
                record_change(tx, ChangeKind::Connection, id.as_str())?;
                record_event(tx, by, "connection mark-rotation", &name)?;
            }
            Ok(())
        })
    }
}

/// What a good credential makes of a standing; `another`: somebody else is behind it than before.
pub(super) fn standing_after(before: Standing, another: bool) -> Standing {
    match before {
        Standing::Ok | Standing::Unverified | Standing::Dead | Standing::Reauthorise => Standing::Ok,
        Standing::InstallerRemoved if another => Standing::Ok,
        Standing::InstallerRemoved | Standing::Pending | Standing::Suspended | Standing::Killed => before,
    }
}

#[cfg(test)]
#[path = "rotation_tests.rs"]
mod tests;
