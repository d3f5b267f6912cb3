//! Credentials of the admin listener: hashes, what they may, when they end.
//!
//! A gate looks one up for every request, so there is nothing to follow: what is revoked here is revoked
//! everywhere, at once.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::changes::record_event;
use super::seals::AdminFacts;
use super::{Provenance, Revoked, Store, StoreError, timestamp, timestamp_opt};
use crate::access::admin_key::AdminKeyHash;
use crate::access::key::KeyId;
use crate::access::role::Role;
use crate::vault::RowKey;

const COLUMNS: &str = "id, hash, name, role, created_at, created_by, expires_at, revoked_at, seal";

/// A credential as stored.
#[derive(Clone, Debug)]
pub struct AdminCredentialRow {
    /// Public id.
    pub id: KeyId,
    /// SHA-256 of its text.
    pub hash: AdminKeyHash,
    /// Whose it is: stands in events with the id.
    pub name: String,
    /// What it may.
    pub role: Role,
    /// When it was made.
    pub created: Timestamp,
    /// By whom.
    pub created_by: String,
    /// From here on it is worthless.
    pub expires: Timestamp,
    /// Since when it has been revoked.
    pub revoked: Option<Timestamp>,
}

impl AdminCredentialRow {
    /// Whether it is good at `now`.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && now < self.expires
    }

    /// `ok`, `expired` or `revoked`.
    pub fn state(&self, now: Timestamp) -> &'static str {
        match (self.revoked, now < self.expires) {
            (Some(_), _) => "revoked",
            (None, false) => "expired",
            (None, true) => "ok",
        }
    }

    /// Who it is in events: `api:NAME/ID`, since a name may be given again.
    pub fn actor(&self) -> String {
        format!("api:{}/{}", self.name, self.id)
    }
}

/// Every credential.
#[derive(Debug, Default)]
pub struct AdminCredentialRows {
    /// Those that can be read.
    pub sound: Vec<AdminCredentialRow>,
    /// Ids of those that can't, or whose seal does not hold, where not even the id is damaged.
    pub damaged: Vec<Option<KeyId>>,
}

/// A credential to be stored.
#[derive(Debug)]
pub struct NewAdminCredential {
    /// Public id.
    pub id: KeyId,
    /// SHA-256 of its text.
    pub hash: AdminKeyHash,
    /// Whose it is.
    pub name: String,
    /// What it may.
    pub role: Role,
    /// From here on it is worthless.
    pub expires: Timestamp,
}

impl Store {
    /// Every credential, in whatever state, oldest first.
    pub fn admin_credentials(&self) -> Result<Vec<AdminCredentialRow>, StoreError> {
        Ok(self.admin_credential_rows()?.sound)
    }

    /// Every credential, and apart those whose row can't be read: these open nothing.
    pub fn admin_credential_rows(&self) -> Result<AdminCredentialRows, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM admin_credentials ORDER BY created_at, id"
        ))?;
        let mut found = statement.query([])?;
        let mut rows = AdminCredentialRows::default();
        // An error here is the file's, and nothing can be relied on; one in `read` is the row's.
        while let Some(row) = found.next()? {
            match read(row, self.rows.get()) {
                Ok(sound) => rows.sound.push(sound),
                Err(_) => rows
                    .damaged
                    .push(row.get::<_, String>("id").ok().and_then(|id| KeyId::parse(&id))),
            }
        }
        Ok(rows)
    }

    /// One credential, in whatever state. One whose row can't be read is [`StoreError::Damaged`].
    pub fn admin_credential(&self, id: &KeyId) -> Result<Option<AdminCredentialRow>, StoreError> {
        let reader = self.reader();
        let mut statement =
            reader.prepare_cached(&format!("SELECT {COLUMNS} FROM admin_credentials WHERE id = ?1"))?;
        let mut found = statement.query(params![id.as_str()])?;
        let row = found.next()?;
        row.map(|row| read(row, self.rows.get()).map_err(|_| StoreError::Damaged("an admin credential")))
            .transpose()
    }

    /// Adds one. No two that are good at `now` have the same name.
    pub fn add_admin_credential(
        &self,
        new: &NewAdminCredential,
        now: Timestamp,
        by: &Provenance,
    ) -> Result<(), StoreError> {
        let facts = AdminFacts {
            id: new.id.as_str(),
            hash: new.hash.to_stored(),
            name: &new.name,
            role: new.role.as_str(),
            expires: new.expires.as_millisecond(),
        };
        let seal = facts.seal(self.row_key()?);
        self.write(|tx| {
            let taken: Option<i64> = tx
                .query_row(
                    "SELECT 1 FROM admin_credentials WHERE name = ?1 AND revoked_at IS NULL AND expires_at > ?2",
                    params![new.name, now.as_millisecond()],
                    |row| row.get(0),
                )
                .optional()?;
            if taken.is_some() {
                return Err(StoreError::NameTaken {
                    what: "an admin credential",
                    name: new.name.clone(),
                    remedy: "revoke it first with `scopegate admin revoke`, or take another name",
                });
            }
            tx.execute(
                "INSERT INTO admin_credentials (id, hash, name, role, created_at, created_by, expires_at, seal)
                 VALUES (?1, ?2, ?3, ?4, CAST(unixepoch('subsec') * 1000 AS INTEGER), ?5, ?6, ?7)",
                params![
                    facts.id,
                    facts.hash.as_slice(),
                    facts.name,
                    facts.role,
                    by.actor,
                    facts.expires,
                    seal.as_stored(),
                ],
            )?;
            let subject = format!("{}/{} {}", new.name, new.id, new.role.as_str());
            record_event(tx, by, "admin create", &subject)
        })
    }

    /// Revokes one for good.
    pub fn revoke_admin_credential(&self, id: &KeyId, by: &Provenance) -> Result<Revoked, StoreError> {
        self.write(|tx| {
            let changed = tx.execute(
                "UPDATE admin_credentials SET revoked_at = CAST(unixepoch('subsec') * 1000 AS INTEGER), seal = NULL
                 WHERE id = ?1 AND revoked_at IS NULL",
                params![id.as_str()],
            )?;
            let name = name_of(tx, id)?;
            if changed == 0 {
                return Ok(Revoked::Before);
            }
            record_event(tx, by, "admin revoke", &format!("{name}/{id}"))?;
            Ok(Revoked::Now)
        })
    }
}

fn name_of(tx: &Transaction<'_>, id: &KeyId) -> Result<String, StoreError> {
    tx.query_row(
        "SELECT name FROM admin_credentials WHERE id = ?1",
        params![id.as_str()],
        |row| row.get(0),
    )
    .optional()?
    .ok_or_else(|| StoreError::NotFound {
        what: "admin credential with id",
        name: id.to_string(),
        list: "admin list",
    })
}

/// With the key that seals rows at hand, one that is not revoked must hold its seal.
fn read(row: &Row<'_>, rows: Option<&RowKey>) -> Result<AdminCredentialRow, StoreError> {
    let found = parse(row)?;
    if let Some(rows) = rows.filter(|_| found.revoked.is_none()) {
        let facts = AdminFacts {
            id: found.id.as_str(),
            hash: found.hash.to_stored(),
            name: &found.name,
            role: found.role.as_str(),
            expires: found.expires.as_millisecond(),
        };
        facts.check(rows, row.get::<_, Option<Vec<u8>>>("seal")?.as_deref())?;
    }
    Ok(found)
}

fn parse(row: &Row<'_>) -> Result<AdminCredentialRow, StoreError> {
    const DAMAGED: StoreError = StoreError::Damaged("an admin credential");
    let (id, hash): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
    Ok(AdminCredentialRow {
        id: KeyId::parse(&id).ok_or(DAMAGED)?,
        hash: <[u8; 32]>::try_from(hash)
            .map(AdminKeyHash::from_stored)
            .map_err(|_| DAMAGED)?,
        name: row.get(2)?,
        role: Role::parse(&row.get::<_, String>(3)?).ok_or(DAMAGED)?,
        created: timestamp(row.get(4)?)?,
        created_by: row.get(5)?,
        expires: timestamp(row.get(6)?)?,
        revoked: timestamp_opt(row.get(7)?)?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::testing::{by_test, store};

    fn new(id: &str, name: &str, now: Timestamp) -> NewAdminCredential {
        NewAdminCredential {
            id: KeyId::parse(id).unwrap(),
            hash: AdminKeyHash::from_stored([7; 32]),
            name: name.to_owned(),
            role: Role::Operator,
            expires: now + Duration::from_secs(60),
        }
    }

    #[test]
    fn a_credential_is_kept_with_its_role_and_ends_by_revocation_or_time() {
        let (_dir, store) = store();
        let now = Timestamp::now();
        let alice = new("aaaaaaaaaaaa", "alice", now);
        store.add_admin_credential(&alice, now, &by_test()).unwrap();
        let row = store.admin_credential(&alice.id).unwrap().unwrap();
        assert_eq!(
            (row.role, row.state(now), row.is_good(now)),
            (Role::Operator, "ok", true)
        );
        assert_eq!(row.actor(), "api:alice/aaaaaaaaaaaa");
        assert!(row.hash.matches(&alice.hash));
        assert_eq!(
            (row.state(row.expires), row.is_good(row.expires)),
            ("expired", false)
        );
        assert_eq!(
            store.revoke_admin_credential(&alice.id, &by_test()).unwrap(),
            Revoked::Now
        );
        assert_eq!(
            store.revoke_admin_credential(&alice.id, &by_test()).unwrap(),
            Revoked::Before
        );
        let row = store.admin_credential(&alice.id).unwrap().unwrap();
        assert_eq!((row.state(now), row.is_good(now)), ("revoked", false));
    }

    #[test]
    fn a_name_is_free_again_when_its_credential_is_over() {
        let (_dir, store) = store();
        let now = Timestamp::now();
        let add = |id: &str, now| store.add_admin_credential(&new(id, "alice", now), now, &by_test());
        add("aaaaaaaaaaaa", now).unwrap();
        assert!(matches!(
            add("bbbbbbbbbbbb", now),
            Err(StoreError::NameTaken { .. })
        ));
        let later = now + Duration::from_secs(60);
        add("cccccccccccc", later).unwrap();
        let id = KeyId::parse("cccccccccccc").unwrap();
        store.revoke_admin_credential(&id, &by_test()).unwrap();
        add("dddddddddddd", later).unwrap();
    }

    #[test]
    fn each_change_stands_with_an_event_and_what_failed_leaves_none() {
        let (_dir, store) = store();
        let now = Timestamp::now();
        let alice = new("aaaaaaaaaaaa", "alice", now);
        store.add_admin_credential(&alice, now, &by_test()).unwrap();
        let _ = store.add_admin_credential(&new("bbbbbbbbbbbb", "alice", now), now, &by_test());
        store.revoke_admin_credential(&alice.id, &by_test()).unwrap();
        let nobody = KeyId::parse("zzzzzzzzzzzz").unwrap();
        assert!(matches!(
            store.revoke_admin_credential(&nobody, &by_test()),
            Err(StoreError::NotFound { .. })
        ));
        let events = store.admin_events_after(0).unwrap();
        let told: Vec<_> = events
            .iter()
            .map(|event| (event.action.as_str(), event.subject.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("admin create", "alice/aaaaaaaaaaaa operator"),
                ("admin revoke", "alice/aaaaaaaaaaaa")
            ]
        );
    }

    #[test]
    fn a_row_that_can_not_be_read_is_an_error_and_opens_nothing() {
        let (_dir, store) = store();
        let now = Timestamp::now();
        let alice = new("aaaaaaaaaaaa", "alice", now);
        store.add_admin_credential(&alice, now, &by_test()).unwrap();
        store
            .write(|tx| Ok(tx.execute("UPDATE admin_credentials SET role = 'root'", [])?))
            .unwrap();
        assert!(matches!(
            store.admin_credential(&alice.id),
            Err(StoreError::Damaged(_))
        ));
        store
            .add_admin_credential(&new("bbbbbbbbbbbb", "bob", now), now, &by_test())
            .unwrap();
        let rows = store.admin_credential_rows().unwrap();
        let sound: Vec<&str> = rows.sound.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(
            (sound, rows.damaged),
            (vec!["bob"], vec![Some(alice.id)]),
            "the others are still told"
        );
    }
}
