//! Which client secrets an app has: one, or two while one is being rotated.
//!
//! Invariant: a version is never given to another secret while anything still says what became of it.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::changes::{ChangeKind, record_change, record_event};
use super::{AppRow, Provenance, Store, StoreError, stored_number};
use crate::vault::Sealed;

/// What is changed about an app's secrets.
#[derive(Debug)]
pub enum SecretChange {
    /// This one, sealed for [`AppRow::next_version`], is tried first from now on.
    First {
        /// It.
        sealed: Sealed,
        /// Whether the one tried first so far is tried second.
        keep_other: bool,
    },
    /// The second is tried first, and the first second.
    Swap,
    /// The second is dropped.
    Finish,
}

impl AppRow {
    /// The version for the next secret.
    pub fn next_version(&self) -> u64 {
        let other = self.other_secret.as_ref().map_or(0, |(_, version)| *version);
        let worked = self.worked.map_or(0, |(version, _)| version);
        self.secret.1.max(other).max(worked) + 1
    }
}

impl Store {
    /// Changes which secrets an app has. False when they have changed since `of` was read: nothing is
    /// done. A running gate takes them at its next refresh.
    pub fn change_secrets(
        &self,
        of: &AppRow,
        change: &SecretChange,
        by: &Provenance,
    ) -> Result<bool, StoreError> {
        let known_other = of.other_secret.as_ref().map(|(_, version)| *version);
        let known_other = known_other.map(stored_number).transpose()?;
        let now_first = (&of.secret.0, of.secret.1, Some(of.secret_at));
        let now_other = match (&of.other_secret, of.other_secret_at) {
            (Some((sealed, version)), at) => Some((sealed, *version, at)),
            _ => None,
        };
        let (first, other, action) = match change {
            SecretChange::First { sealed, keep_other } => (
                (sealed, of.next_version(), None),
                Some(now_first).filter(|_| *keep_other),
                "app rotate-secret",
            ),
            SecretChange::Swap => match now_other {
                Some(now_other) => (now_other, Some(now_first), "app rotate-secret back"),
                None => return Ok(false),
            },
            SecretChange::Finish => (now_first, None, "app rotate-secret finish"),
        };
        let milliseconds = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
        let changed = self.write(|tx| {
            let changed = tx.execute(
                "UPDATE apps SET secret = ?4, secret_version = ?5,
                     secret_at = coalesce(?6, CAST(unixepoch('subsec') * 1000 AS INTEGER)),
                     other_secret = ?7, other_secret_version = ?8, other_secret_at = ?9
                 WHERE name = ?1 AND secret_version = ?2 AND other_secret_version IS ?3",
                params![
                    of.name,
                    stored_number(of.secret.1)?,
                    known_other,
                    first.0.as_stored(),
                    stored_number(first.1)?,
                    milliseconds(first.2),
                    other.map(|(sealed, ..)| sealed.as_stored()),
                    other.map(|(_, version, _)| stored_number(version)).transpose()?,
                    other.and_then(|(.., at)| milliseconds(at)),
                ],
            )?;
            if changed > 0 {
                record_change(tx, ChangeKind::App, &of.name)?;
                record_event(tx, by, action, &of.name)?;
            }
            Ok(changed > 0)
        })?;
        // A secret that was dropped is gone from the log, too.
        self.forget_log();
        Ok(changed)
    }

    /// Notes which of an app's secrets HubSpot took. Writes only when it was another one before.
    pub fn note_secret_worked(&self, name: &str, version: u64) -> Result<(), StoreError> {
        let version = stored_number(version)?;
        let known: Option<Option<i64>> = self
            .reader()
            .query_row(
                "SELECT worked_version FROM apps WHERE name = ?1",
                params![name],
                |row| row.get(0),
            )
            .optional()?;
        if known.is_none_or(|known| known == Some(version)) {
            return Ok(());
        }
        self.write(|tx| {
            tx.execute(
                "UPDATE apps SET worked_version = ?2, worked_at = CAST(unixepoch('subsec') * 1000 AS INTEGER)
                 WHERE name = ?1 AND worked_version IS NOT ?2",
                params![name, version],
            )?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::apps::tests::app;
    use crate::store::testing::{by_test, store};

    fn row(store: &Store) -> AppRow {
        store.app("marketing").unwrap().unwrap()
    }

    /// First byte and version of the first secret and of the second.
    fn secrets(store: &Store) -> ((u8, u64), Option<(u8, u64)>) {
        let of = |(sealed, version): &(Sealed, u64)| (sealed.as_stored()[0], *version);
        let row = row(store);
        (of(&row.secret), row.other_secret.as_ref().map(of))
    }

    #[test]
    fn a_secret_is_rotated_rolled_back_and_finished() {
        let (_dir, store) = store();
        store.add_app(&app("marketing", None), &by_test()).unwrap();
        let first = |byte: u8, keep_other| SecretChange::First {
            sealed: Sealed::from_stored(vec![byte]),
            keep_other,
        };
        let change = |change: SecretChange| {
            let before = store.last_change().unwrap();
            assert!(store.change_secrets(&row(&store), &change, &by_test()).unwrap());
            assert_eq!(store.last_change().unwrap(), before + 1, "gates must see it");
        };
        assert_eq!(secrets(&store), ((2, 1), None));
        change(first(5, true));
        assert_eq!(secrets(&store), ((5, 2), Some((2, 1))));
        change(SecretChange::Swap);
        assert_eq!(secrets(&store), ((2, 1), Some((5, 2))));
        let stale = row(&store);
        change(SecretChange::Swap);
        change(SecretChange::Finish);
        assert_eq!(secrets(&store), ((5, 2), None));
        assert!(row(&store).other_secret_at.is_none());
        assert!(
            !store
                .change_secrets(&stale, &SecretChange::Swap, &by_test())
                .unwrap()
        );
        change(first(6, false));
        assert_eq!(secrets(&store), ((6, 3), None));
    }

    #[test]
    fn the_secret_that_worked_is_noted_once() {
        let (_dir, store) = store();
        store.add_app(&app("marketing", Some(3)), &by_test()).unwrap();
        assert_eq!(row(&store).worked, None);
        store.note_secret_worked("marketing", 2).unwrap();
        let worked = row(&store).worked;
        assert_eq!(worked.map(|(version, _)| version), Some(2));
        store.note_secret_worked("marketing", 2).unwrap();
        assert_eq!(row(&store).worked, worked);
        store.note_secret_worked("marketing", 1).unwrap();
        assert_eq!(row(&store).worked.map(|(version, _)| version), Some(1));
        assert!(store.note_secret_worked("nobody", 1).is_ok());
    }
}
