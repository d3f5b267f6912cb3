//! The tables, as numbered migrations. A migration that has shipped is never edited.

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::StoreError;

/// "SGAT": tells our files from other programs' databases.
const APPLICATION_ID: i64 = 0x5347_4154;

/// Number n+1 is `MIGRATIONS[n]`.
///
/// Times are milliseconds since 1970 in UTC. `connections.generation` counts the tokens of one
/// connection; `fence` counts the attempts to refresh it; both only grow.
const MIGRATIONS: &[&str] = &["CREATE TABLE meta (
        name TEXT PRIMARY KEY,
        value ANY NOT NULL
    ) STRICT;
    CREATE TABLE apps (
        name TEXT PRIMARY KEY,
        client_id TEXT NOT NULL,
        data_key BLOB NOT NULL,
        secret BLOB NOT NULL,
        secret_version INTEGER NOT NULL,
        other_secret BLOB,
        other_secret_version INTEGER,
        created_at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE connections (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        portal INTEGER NOT NULL,
        kind TEXT NOT NULL,
        app TEXT REFERENCES apps (name),
        standing TEXT NOT NULL,
        standing_why TEXT,
        standing_since INTEGER NOT NULL,
        whose TEXT NOT NULL,
        health TEXT,
        user_id INTEGER,
        scopes TEXT NOT NULL,
        data_key BLOB NOT NULL,
        generation INTEGER NOT NULL,
        access_token BLOB,
        access_obtained_at INTEGER,
        access_expires_at INTEGER,
        refresh_token BLOB,
        fence INTEGER NOT NULL DEFAULT 0,
        lease_holder TEXT,
        lease_until INTEGER,
        intent_at INTEGER,
        created_at INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX connections_app_portal ON connections (app, portal) WHERE app IS NOT NULL;
    CREATE TABLE keys (
        id TEXT PRIMARY KEY,
        hash BLOB NOT NULL,
        integration TEXT NOT NULL,
        connection TEXT,
        created_at INTEGER NOT NULL,
        created_by TEXT NOT NULL,
        expires_at INTEGER,
        revoked_at INTEGER
    ) STRICT;
    CREATE INDEX keys_connection ON keys (connection) WHERE connection IS NOT NULL;
    CREATE TABLE changes (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        id TEXT NOT NULL
    ) STRICT;
    CREATE TABLE applied (
        instance TEXT PRIMARY KEY,
        seq INTEGER NOT NULL,
        at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE audited (
        instance TEXT PRIMARY KEY,
        seq INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE admin_events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        reason TEXT
    ) STRICT;"];

/// Makes the tables in an empty file; refuses a file of another version or another program.
pub(super) fn create_or_check(connection: &Connection) -> Result<(), StoreError> {
    let needed = MIGRATIONS.len() as u32;
    match version(connection)? {
        0 => migrate(connection).map(|_| ()),
        found if found < needed => Err(StoreError::Older { found, needed }),
        found if found > needed => Err(StoreError::Newer { found, known: needed }),
        _ => Ok(()),
    }
}

/// Applies what is missing, in one transaction.
pub(super) fn migrate(connection: &Connection) -> Result<(u32, u32), StoreError> {
    apply(connection, MIGRATIONS)
}

fn apply(connection: &Connection, migrations: &[&str]) -> Result<(u32, u32), StoreError> {
    let known = migrations.len() as u32;
    let tx = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    // Read again under the lock: another process may just have done it.
    let before = version(&tx)?;
    if before > known {
        return Err(StoreError::Newer { found: before, known });
    }
    for migration in migrations.iter().skip(before as usize) {
        tx.execute_batch(migration)?;
    }
    if before == 0 {
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        let id = uuid::Uuid::new_v4().to_string();
        tx.execute(
            "INSERT INTO meta (name, value) VALUES ('store_id', ?1)",
            params![id],
        )?;
    }
    tx.pragma_update(None, "user_version", known)?;
    tx.commit()?;
    Ok((before, known))
}

/// The schema's number: 0 = an empty file.
fn version(connection: &Connection) -> Result<u32, StoreError> {
    let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, tables) {
        (APPLICATION_ID, _) => Ok(version),
        (0, 0) if version == 0 => Ok(0),
        _ => Err(StoreError::NotAStore(
            connection.path().unwrap_or("the file").to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    #[test]
    fn migrations_are_applied_in_order_and_once() {
        let connection = empty();
        let first = [MIGRATIONS[0]];
        let both = [MIGRATIONS[0], "CREATE TABLE second (x) "];
        assert_eq!(apply(&connection, &first).unwrap(), (0, 1));
        assert_eq!(apply(&connection, &both).unwrap(), (1, 2));
        assert_eq!(apply(&connection, &both).unwrap(), (2, 2));
    }

    #[test]
    fn a_migration_that_fails_leaves_nothing_half_done() {
        let connection = empty();
        let broken = [MIGRATIONS[0], "CREATE TABLE second (x); CREATE TABL third (x)"];
        assert!(apply(&connection, &broken).is_err());
        assert_eq!(version(&connection).unwrap(), 0);
        assert!(apply(&connection, MIGRATIONS).is_ok());
    }

    #[test]
    fn older_and_newer_stores_are_told_apart() {
        let connection = empty();
        apply(&connection, &[MIGRATIONS[0], "CREATE TABLE second (x)"]).unwrap();
        assert!(matches!(
            create_or_check(&connection),
            Err(StoreError::Newer { found: 2, .. })
        ));
        assert!(matches!(
            apply(&connection, MIGRATIONS),
            Err(StoreError::Newer { .. })
        ));
    }
}
