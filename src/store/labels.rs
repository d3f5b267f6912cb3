//! Labels of connections, changed many at a time.

use rusqlite::{OptionalExtension, params};

use super::changes::record_event;
use super::connections::gone;
use super::{Provenance, Store, StoreError};
use crate::access::connection::ConnectionId;
use crate::access::label::Labels;

impl Store {
    /// Gives connections these labels in place of those they have, all or none. A running gate need not
    /// see it: labels pick connections in commands.
    pub fn set_labels(&self, wished: &[(ConnectionId, Labels)], by: &Provenance) -> Result<(), StoreError> {
        self.write(|tx| {
            for (id, labels) in wished {
                let name: Option<String> = tx
                    .query_row(
                        "UPDATE connections SET labels = ?2 WHERE id = ?1 RETURNING name",
                        params![id.as_str(), labels.to_text()],
                        |row| row.get(0),
                    )
                    .optional()?;
                let name = name.ok_or_else(|| gone(id))?;
                record_event(tx, by, "connection label", &name)?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::connections::tests::new;
    use crate::store::testing::{by_test, store};

    #[test]
    fn labels_are_set_on_all_or_on_none() {
        let (_dir, store) = store();
        let (one, two) = (new(1, "one", 1), new(2, "two", 2));
        store.add_connection(&one, &by_test()).unwrap();
        let labels = Labels::new(["region=eu".parse().unwrap(), "a=b".parse().unwrap()]).unwrap();
        let wish = |id| (id, labels.clone());
        assert!(
            store
                .set_labels(&[wish(one.id), wish(two.id)], &by_test())
                .is_err()
        );
        assert!(store.connection(&one.id).unwrap().unwrap().labels.is_empty());
        store.set_labels(&[wish(one.id)], &by_test()).unwrap();
        let stored = store.connection(&one.id).unwrap().unwrap().labels;
        assert_eq!(Labels::of_stored(&stored), labels);
    }
}
