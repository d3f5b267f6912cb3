//! The tables, as numbered migrations. A migration that has shipped is never edited.

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::changes::record_event;
use super::seals::seal_all;
use super::{Sealing, StoreError};

/// "SGAT": tells our files from other programs' databases.
const APPLICATION_ID: i64 = 0x5347_4154;

/// Number n+1 is `MIGRATIONS[n]`.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/1-base.sql"),
    include_str!("migrations/2-credentials.sql"),
    include_str!("migrations/3-kills.sql"),
    include_str!("migrations/4-installs.sql"),
    include_str!("migrations/5-people.sql"),
    include_str!("migrations/6-health.sql"),
    include_str!("migrations/7-rotation.sql"),
    include_str!("migrations/8-grants.sql"),
    include_str!("migrations/9-limits.sql"),
    include_str!("migrations/10-admin.sql"),
    include_str!("migrations/11-anchor.sql"),
    include_str!("migrations/12-install-seal.sql"),
];

/// Makes the tables in an empty file; refuses a file of another version or another program.
pub(super) fn create_or_check(connection: &Connection) -> Result<(), StoreError> {
    let needed = MIGRATIONS.len() as u32;
    match version(connection)? {
        0 => migrate(connection, None).map(|_| ()),
        found if found < needed => Err(StoreError::Older { found, needed }),
        found if found > needed => Err(StoreError::Newer { found, known: needed }),
        _ => Ok(()),
    }
}

/// Refuses a file that is not a store of this version, and changes nothing.
pub(super) fn check(connection: &Connection) -> Result<(), StoreError> {
    let needed = MIGRATIONS.len() as u32;
    match version(connection)? {
        found if found < needed => Err(StoreError::Older { found, needed }),
        found if found > needed => Err(StoreError::Newer { found, known: needed }),
        _ => Ok(()),
    }
}

/// The version from which on rows have seals.
const SEALS: u32 = 11;

/// Whether it is a store whose rows were never sealed.
pub(super) fn without_seals(connection: &Connection) -> Result<bool, StoreError> {
    Ok((1..SEALS).contains(&version(connection)?))
}

/// Applies what is missing, in one transaction.
pub(super) fn migrate(connection: &Connection, sealing: Option<&Sealing>) -> Result<(u32, u32), StoreError> {
    apply(connection, MIGRATIONS, sealing)
}

fn apply(
    connection: &Connection,
    migrations: &[&str],
    sealing: Option<&Sealing>,
) -> Result<(u32, u32), StoreError> {
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
    if let Some(sealing) = sealing.filter(|_| (1..SEALS).contains(&before)) {
        seal_all(&tx, &sealing.rows, &sealing.stored)?;
        tx.execute(
            "INSERT INTO meta (name, value) VALUES ('key_check', ?1) ON CONFLICT (name) DO NOTHING",
            params![sealing.check.to_stored().as_slice()],
        )?;
        if let Some(by) = &sealing.by {
            record_event(&tx, by, "store migrate", "store")?;
        }
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
        assert_eq!(apply(&connection, &first, None).unwrap(), (0, 1));
        assert_eq!(apply(&connection, &both, None).unwrap(), (1, 2));
        assert_eq!(apply(&connection, &both, None).unwrap(), (2, 2));
    }

    #[test]
    fn a_migration_that_fails_leaves_nothing_half_done() {
        let connection = empty();
        let broken = [MIGRATIONS[0], "CREATE TABLE second (x); CREATE TABL third (x)"];
        assert!(apply(&connection, &broken, None).is_err());
        assert_eq!(version(&connection).unwrap(), 0);
        assert!(apply(&connection, MIGRATIONS, None).is_ok());
    }

    #[test]
    fn older_and_newer_stores_are_told_apart() {
        let known = MIGRATIONS.len() as u32;
        let older = empty();
        apply(&older, &MIGRATIONS[..1], None).unwrap();
        assert!(matches!(
            create_or_check(&older),
            Err(StoreError::Older { found: 1, needed }) if needed == known
        ));
        assert_eq!(migrate(&older, None).unwrap(), (1, known));
        assert!(create_or_check(&older).is_ok());
        let newer = empty();
        let more = [MIGRATIONS, &["CREATE TABLE one_more (x)"]].concat();
        apply(&newer, &more, None).unwrap();
        assert!(matches!(
            create_or_check(&newer),
            Err(StoreError::Newer { found, .. }) if found == known + 1
        ));
        assert!(matches!(migrate(&newer, None), Err(StoreError::Newer { .. })));
    }
}
