//! Connections: which account, which credential (sealed), in what standing.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::changes::{ChangeKind, record_change, record_event};
use super::keys::end_keys_of;
use super::machine_time::{MachineTime, machine_time};
use super::master_key::must_fit;
use super::people::read_note;
use super::seals::ConnectionFacts;
use super::standings::Whose;
use super::{Provenance, Store, StoreError, read_number, stored_number, timestamp, timestamp_opt};
use crate::access::connection::{ConnectionId, ConnectionName, CredentialKind, PortalId, Standing};
use crate::access::installer::{Installer, InstallerNote};
use crate::access::label::Labels;
use crate::access::rotation::CredentialAge;
use crate::vault::{CredentialDigest, GrantPrint, RowKey, Sealed, WrappedKey};

const COLUMNS: &str = "id, name, portal, kind, app, standing, standing_why, standing_since, whose, health, \
     user_id, scopes, data_key, generation, access_token, access_obtained_at, access_expires_at, refresh_token, \
     intent_at, created_at, installer_email, installer_rights, installed_at, requested_scopes, labels, refreshed_at, \
     credential_at, grant_print, grant_id, access_boot, access_boot_ms, rotation_marked_at, rotation_why, handed_digest, seal, \
     (SELECT email FROM people p WHERE p.portal = connections.portal AND p.user_id = connections.user_id) \
     AS person_email, \
     (SELECT about || ' ' || since || ' ' || acknowledged FROM installer_claims \
     WHERE connection = connections.id \
     ORDER BY acknowledged, iif(acknowledged, -since, rank) LIMIT 1) AS installer_note";

/// Connections read at once by who goes through all of them: the reader is let go in between, and a hundred
/// thousand rows never stand in memory together.
const PAGE: i64 = 500;

/// An access token as stored.
#[derive(Clone, Debug)]
pub struct StoredToken {
    /// Sealed for field `access` and the connection's generation.
    pub sealed: Sealed,
    /// When it was received.
    pub obtained: Timestamp,
    /// `None`: it does not expire.
    pub expires: Option<Timestamp>,
}

/// A connection as stored.
#[derive(Clone, Debug)]
pub struct ConnectionRow {
    /// Never reused.
    pub id: ConnectionId,
    /// Unique.
    pub name: ConnectionName,
    /// The account.
    pub portal: PortalId,
    /// What credential it holds.
    pub kind: CredentialKind,
    /// The app whose grant it is.
    pub app: Option<String>,
    /// Its standing.
    pub standing: Standing,
    /// Why it is not `ok`, for people.
    pub standing_why: Option<String>,
    /// Since when.
    pub standing_since: Timestamp,
    /// Whose its credential is, as far as HubSpot told.
    pub whose: Whose,
    /// What troubles it without changing its standing: `rejected`, `configuration`, ….
    pub health: Option<String>,
    /// The installer's numeric id.
    pub user_id: Option<u64>,
    /// Granted scopes.
    pub scopes: Vec<String>,
    /// Its data key, wrapped.
    pub data_key: WrappedKey,
    /// Counts its tokens; what is sealed is sealed for this number.
    pub generation: u64,
    /// The access token, or the static token.
    pub access: Option<StoredToken>,
    /// OAuth: sealed for field `refresh`.
    pub refresh: Option<Sealed>,
    /// When a refresh was begun that has not ended: the process may have died in it.
    pub intent: Option<Timestamp>,
    /// When it was added.
    pub created: Timestamp,
    /// The installer's address when the grant was made, as HubSpot told.
    pub installer_email: Option<String>,
    /// The installer's address as a watcher last saw it: people change theirs.
    pub person_email: Option<String>,
    /// The installer's rights at that time: JSON, for people.
    pub installer_rights: Option<String>,
    /// When a person consented; `None` when a token was handed over.
    pub installed: Option<Timestamp>,
    /// What the install asked for; `scopes` is what was granted.
    pub requested_scopes: Vec<String>,
    /// `key` and `value`, in their order.
    pub labels: Vec<(String, String)>,
    /// When a refresh last succeeded.
    pub refreshed: Option<Timestamp>,
    /// When the long-lived credential in use was issued: what its rotation is counted from.
    pub credential_at: Timestamp,
    /// By which the same refresh token is recognised elsewhere; `None` = not looked at yet.
    pub grant_print: Option<GrantPrint>,
    /// The same in all connections that share this one's grant; `None` = nobody else has it.
    pub grant_id: Option<String>,
    /// When the access token was received by the machine's own clock.
    pub access_clock: Option<MachineTime>,
    /// What there is to say about the installer: derived from what is known of people.
    pub installer: Option<InstallerNote>,
    /// Since when it must be rotated on somebody's word, and why.
    pub rotation_marked: Option<(Timestamp, Option<String>)>,
    /// What the credential was when it was handed over.
    pub handed: Option<CredentialDigest>,
}

impl ConnectionRow {
    /// The state to show: of a connection that lets calls pass, that its installer is gone.
    pub fn shown_standing(&self) -> Standing {
        self.standing
            .shown(InstallerNote::installer(self.installer.as_ref()))
    }

    /// What its rotation is counted from.
    pub fn credential_age(&self) -> CredentialAge {
        let gone = self
            .installer
            .filter(|note| note.about.installer() == Installer::Gone);
        CredentialAge {
            issued: self.credential_at,
            marked: self.rotation_marked.as_ref().map(|(at, _)| *at),
            installer_gone: gone.map(|note| note.since),
        }
    }
}

/// A connection whose row can't be read: it has no token, and others are not touched by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRow {
    /// Its id, if that can be read.
    pub id: Option<ConnectionId>,
    /// Its name, if that can be read.
    pub name: Option<ConnectionName>,
    /// Its portal, if that can be read.
    pub portal: Option<PortalId>,
    /// What can't be read.
    pub what: String,
}

/// Every connection.
#[derive(Debug, Default)]
pub struct ConnectionRows {
    /// Those that can be read, by name.
    pub sound: Vec<ConnectionRow>,
    /// Those that can't.
    pub damaged: Vec<DamagedRow>,
}

/// How far [`Store::connection_page`] has come.
#[derive(Clone, Copy, Debug)]
pub struct PageMark(i64);

impl PageMark {
    /// Before the first connection.
    pub const START: Self = Self(i64::MIN);
}

/// A connection to be stored.
#[derive(Debug)]
pub struct NewConnection {
    /// Fresh and random.
    pub id: ConnectionId,
    /// Unique.
    pub name: ConnectionName,
    /// The account.
    pub portal: PortalId,
    /// What credential it holds.
    pub kind: CredentialKind,
    /// The app whose grant it is.
    pub app: Option<String>,
    /// `ok` or `unverified`.
    pub standing: Standing,
    /// Why not `ok`.
    pub standing_why: Option<String>,
    /// The installer's numeric id.
    pub user_id: Option<u64>,
    /// The installer's address.
    pub installer_email: Option<String>,
    /// Granted scopes.
    pub scopes: Vec<String>,
    /// Its data key, wrapped.
    pub data_key: WrappedKey,
    /// The static token, or an access token just received; sealed for generation 1.
    pub access: Option<StoredToken>,
    /// OAuth: sealed for generation 1.
    pub refresh: Option<Sealed>,
    /// Its labels.
    pub labels: Labels,
    /// What the credential is as it was handed over; `None` when nobody will hand it over again.
    pub handed: Option<CredentialDigest>,
}

impl Store {
    /// Every connection that can be read, by name. One damaged row must not stop all others:
    /// [`Store::connection_rows`] tells of it.
    pub fn connections(&self) -> Result<Vec<ConnectionRow>, StoreError> {
        Ok(self.connection_rows()?.sound)
    }

    /// Every connection, and apart those whose row can't be read.
    pub fn connection_rows(&self) -> Result<ConnectionRows, StoreError> {
        let reader = self.reader();
        let mut statement =
            reader.prepare_cached(&format!("SELECT {COLUMNS} FROM connections ORDER BY name"))?;
        let mut found = statement.query([])?;
        let mut rows = ConnectionRows::default();
        // An error here is the file's, and nothing can be relied on; one in `read` is the row's.
        while let Some(row) = found.next()? {
            match read(row, self.rows.get()) {
                Ok(sound) => rows.sound.push(sound),
                Err(error) => rows.damaged.push(DamagedRow::of(row, &error)),
            }
        }
        Ok(rows)
    }

    /// Some connections after `mark`, in no order that means anything, and the mark to go on from; `None`:
    /// there are no more. What is added or removed between two pages may or may not be seen: whoever must
    /// not miss it reads the number of the last change before the first page.
    pub fn connection_page(&self, mark: PageMark) -> Result<(ConnectionRows, Option<PageMark>), StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(&format!(
            "SELECT {COLUMNS}, rowid AS place FROM connections WHERE rowid > ?1 ORDER BY rowid LIMIT ?2"
        ))?;
        let mut found = statement.query(params![mark.0, PAGE])?;
        let mut rows = ConnectionRows::default();
        let mut next = None;
        while let Some(row) = found.next()? {
            next = Some(PageMark(row.get("place")?));
            match read(row, self.rows.get()) {
                Ok(sound) => rows.sound.push(sound),
                Err(error) => rows.damaged.push(DamagedRow::of(row, &error)),
            }
        }
        Ok((rows, next))
    }

    /// One connection by id.
    pub fn connection(&self, id: &ConnectionId) -> Result<Option<ConnectionRow>, StoreError> {
        self.one_connection("id", id.as_str())
    }

    /// One connection by name.
    pub fn connection_by_name(&self, name: &ConnectionName) -> Result<Option<ConnectionRow>, StoreError> {
        self.one_connection("name", name.as_str())
    }

    /// The connection of an app to a portal.
    pub fn connection_of(&self, app: &str, portal: PortalId) -> Result<Option<ConnectionRow>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM connections WHERE app = ?1 AND portal = ?2"
        ))?;
        let mut found = statement.query(params![app, stored_number(portal.get())?])?;
        found.next()?.map(|row| read(row, self.rows.get())).transpose()
    }

    fn one_connection(&self, column: &'static str, value: &str) -> Result<Option<ConnectionRow>, StoreError> {
        let reader = self.reader();
        let mut statement =
            reader.prepare_cached(&format!("SELECT {COLUMNS} FROM connections WHERE {column} = ?1"))?;
        let mut found = statement.query(params![value])?;
        let row = found.next()?;
        row.map(|row| {
            read(row, self.rows.get()).map_err(|error| match error {
                StoreError::Damaged(_) | StoreError::Sqlite(_) => {
                    StoreError::DamagedConnection(Box::new(DamagedRow::of(row, &error)))
                }
                error => error,
            })
        })
        .transpose()
    }

    /// Whether name, and app with portal, are free; to be asked before a grant is used up on them.
    pub fn check_connection_free(
        &self,
        name: &ConnectionName,
        app: Option<&str>,
        portal: PortalId,
    ) -> Result<(), StoreError> {
        let reader = self.reader();
        let tx = reader.unchecked_transaction()?;
        check_free(&tx, name, app, portal)
    }

    /// Adds a connection. Name, and app with portal, must be free.
    pub fn add_connection(&self, new: &NewConnection, by: &Provenance) -> Result<(), StoreError> {
        let portal = stored_number(new.portal.get())?;
        let user_id = new.user_id.map(stored_number).transpose()?;
        let facts = ConnectionFacts {
            id: new.id.as_str(),
            name: new.name.as_str(),
            portal,
            app: new.app.as_deref(),
        };
        let seal = facts.seal(self.row_key()?);
        self.write(|tx| {
            check_free(tx, &new.name, new.app.as_deref(), new.portal)?;
            must_fit(tx, &new.data_key)?;
            let access = new.access.as_ref();
            tx.execute(
                "INSERT INTO connections (id, name, portal, kind, app, standing, standing_why, whose, user_id, scopes,
                     data_key, generation, access_token, access_obtained_at, access_expires_at, refresh_token,
                     installer_email, labels, handed_digest, seal, standing_since, created_at, credential_at)
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 1, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, now, now, now
                 FROM (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now)",
                params![
                    new.id.as_str(),
                    new.name.as_str(),
                    portal,
                    new.kind.as_str(),
                    new.app,
                    new.standing.as_str(),
                    new.standing_why,
                    Whose::of_new(new.standing).as_str(),
                    user_id,
                    new.scopes.join(" "),
                    new.data_key.as_stored(),
                    access.map(|token| token.sealed.as_stored()),
                    access.map(|token| token.obtained.as_millisecond()),
                    access.and_then(|token| token.expires.map(Timestamp::as_millisecond)),
                    new.refresh.as_ref().map(Sealed::as_stored),
                    new.installer_email,
                    new.labels.to_text(),
                    new.handed.as_ref().map(|digest| digest.as_stored().as_slice()),
                    seal.as_stored(),
                ],
            )?;
            record_change(tx, ChangeKind::Connection, new.id.as_str())?;
            record_event(tx, by, "connection add", new.name.as_str())
        })
    }

    /// Removes a connection, destroys its data key, and revokes the keys bound to it; says how many.
    pub fn remove_connection(&self, id: &ConnectionId, by: &Provenance) -> Result<usize, StoreError> {
        let revoked = self.write(|tx| remove(tx, id, by))?;
        self.forget_log();
        Ok(revoked)
    }

    /// Removes connections, all or none; says how many keys of each are revoked. One whose standing is
    /// no longer what the row says is left alone (`None`): it may be none that was meant.
    pub fn remove_connections(
        &self,
        rows: &[ConnectionRow],
        by: &Provenance,
    ) -> Result<Vec<Option<usize>>, StoreError> {
        let removed = self.write(|tx| {
            let mut removed = Vec::with_capacity(rows.len());
            for row in rows {
                let standing: Option<String> = tx
                    .query_row(
                        "SELECT standing FROM connections WHERE id = ?1",
                        params![row.id.as_str()],
                        |row| row.get(0),
                    )
                    .optional()?;
                removed.push(if standing.as_deref() == Some(row.standing.as_str()) {
                    Some(remove(tx, &row.id, by)?)
                } else {
                    None
                });
            }
            Ok(removed)
        })?;
        self.forget_log();
        Ok(removed)
    }

    /// Notes what troubles a connection, for lists; changes nothing a gate must see.
    pub fn note_health(&self, id: &ConnectionId, health: Option<&str>) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute(
                "UPDATE connections SET health = ?2 WHERE id = ?1 AND health IS NOT ?2",
                params![id.as_str(), health],
            )?;
            Ok(())
        })
    }
}

fn remove(tx: &Transaction<'_>, id: &ConnectionId, by: &Provenance) -> Result<usize, StoreError> {
    let name: Option<String> = tx
        .query_row(
            "DELETE FROM connections WHERE id = ?1 RETURNING name",
            params![id.as_str()],
            |row| row.get(0),
        )
        .optional()?;
    let name = name.ok_or_else(|| gone(id))?;
    let revoked = end_keys_of(tx, id, by)?;
    record_change(tx, ChangeKind::Connection, id.as_str())?;
    record_event(tx, by, "connection remove", &name)?;
    Ok(revoked)
}

pub(super) fn check_free(
    tx: &Transaction<'_>,
    name: &ConnectionName,
    app: Option<&str>,
    portal: PortalId,
) -> Result<(), StoreError> {
    let named: Option<i64> = tx
        .query_row(
            "SELECT 1 FROM connections WHERE name = ?1",
            params![name.as_str()],
            |row| row.get(0),
        )
        .optional()?;
    if named.is_some() {
        return Err(StoreError::NameTaken {
            what: "connection",
            name: name.to_string(),
            remedy: "choose another name, or remove it first with `scopegate connection remove`",
        });
    }
    let Some(app) = app else { return Ok(()) };
    let there: Option<String> = tx
        .query_row(
            "SELECT name FROM connections WHERE app = ?1 AND portal = ?2",
            params![app, stored_number(portal.get())?],
            |row| row.get(0),
        )
        .optional()?;
    match there {
        None => Ok(()),
        Some(connection) => Err(StoreError::PortalTaken {
            app: app.to_owned(),
            portal: portal.get(),
            connection,
        }),
    }
}

pub(super) fn gone(id: &ConnectionId) -> StoreError {
    StoreError::NotFound {
        what: "connection with id",
        name: id.to_string(),
        list: "connection list",
    }
}

/// With the key that seals rows at hand, the row must hold its seal.
fn read(row: &Row<'_>, rows: Option<&RowKey>) -> Result<ConnectionRow, StoreError> {
    let connection = parse(row)?;
    if let Some(rows) = rows {
        let seal: Option<Vec<u8>> = row.get("seal")?;
        let facts = ConnectionFacts {
            id: connection.id.as_str(),
            name: connection.name.as_str(),
            portal: stored_number(connection.portal.get())?,
            app: connection.app.as_deref(),
        };
        facts.check(rows, seal.as_deref())?;
    }
    Ok(connection)
}

fn parse(row: &Row<'_>) -> Result<ConnectionRow, StoreError> {
    let damaged = StoreError::Damaged;
    let text = |column: &str| row.get::<_, String>(column);
    let access = match row.get::<_, Option<Vec<u8>>>("access_token")? {
        None => None,
        Some(sealed) => Some(StoredToken {
            sealed: Sealed::from_stored(sealed),
            obtained: timestamp(row.get("access_obtained_at")?)?,
            expires: timestamp_opt(row.get("access_expires_at")?)?,
        }),
    };
    Ok(ConnectionRow {
        id: ConnectionId::parse(&text("id")?).ok_or(damaged("a connection's id"))?,
        name: ConnectionName::parse(&text("name")?).ok_or(damaged("a connection's name"))?,
        portal: PortalId::new(read_number(row.get("portal")?)?).ok_or(damaged("a portal id"))?,
        kind: CredentialKind::parse(&text("kind")?).ok_or(damaged("a connection's kind"))?,
        app: row.get("app")?,
        standing: Standing::parse(&text("standing")?).ok_or(damaged("a connection's standing"))?,
        standing_why: row.get("standing_why")?,
        standing_since: timestamp(row.get("standing_since")?)?,
        whose: Whose::parse(&text("whose")?).ok_or(damaged("whose a credential is"))?,
        health: row.get("health")?,
        user_id: row
            .get::<_, Option<i64>>("user_id")?
            .map(read_number)
            .transpose()?,
        scopes: words(&text("scopes")?),
        data_key: WrappedKey::from_stored(row.get("data_key")?),
        generation: read_number(row.get("generation")?)?,
        access,
        refresh: row
            .get::<_, Option<Vec<u8>>>("refresh_token")?
            .map(Sealed::from_stored),
        intent: timestamp_opt(row.get("intent_at")?)?,
        created: timestamp(row.get("created_at")?)?,
        installer_email: row.get("installer_email")?,
        person_email: row.get("person_email")?,
        installer_rights: row.get("installer_rights")?,
        installed: timestamp_opt(row.get("installed_at")?)?,
        requested_scopes: words(&text("requested_scopes")?),
        labels: text("labels")?
            .split_ascii_whitespace()
            .filter_map(|label| label.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        refreshed: timestamp_opt(row.get("refreshed_at")?)?,
        credential_at: timestamp(row.get("credential_at")?)?,
        grant_print: row
            .get::<_, Option<Vec<u8>>>("grant_print")?
            .and_then(GrantPrint::from_stored),
        grant_id: row.get("grant_id")?,
        access_clock: machine_time(row.get("access_boot")?, row.get("access_boot_ms")?),
        installer: read_note(row.get("installer_note")?)?,
        rotation_marked: match timestamp_opt(row.get("rotation_marked_at")?)? {
            None => None,
            Some(at) => Some((at, row.get("rotation_why")?)),
        },
        handed: row
            .get::<_, Option<Vec<u8>>>("handed_digest")?
            .map(|bytes| CredentialDigest::from_stored(&bytes).ok_or(damaged("a digest")))
            .transpose()?,
    })
}

impl DamagedRow {
    fn of(row: &Row<'_>, error: &StoreError) -> Self {
        let text = |column: &str| row.get::<_, String>(column).ok();
        Self {
            id: text("id").and_then(|id| ConnectionId::parse(&id)),
            name: text("name").and_then(|name| ConnectionName::parse(&name)),
            portal: row
                .get::<_, i64>("portal")
                .ok()
                .and_then(|portal| read_number(portal).ok())
                .and_then(PortalId::new),
            what: match error {
                StoreError::Damaged(what) => (*what).to_owned(),
                // SQLite's words could quote a value.
                _ => "a column".to_owned(),
            },
        }
    }

    /// Cause and remedy, for a log line or a finding.
    pub fn finding(&self) -> String {
        let name = self.name.as_ref().map_or("?", ConnectionName::as_str);
        format!(
            "connection `{name}` is damaged: {} in its row can't be read, or was changed by another program than scopegate; remove it with `scopegate connection remove \
             {name}` and add it again, or restore the store from a backup",
            self.what
        )
    }
}

pub(super) fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
#[path = "connections_tests.rs"]
pub(super) mod tests;
