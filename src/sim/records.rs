//! Records of one object type in one portal.

use std::collections::{BTreeMap, HashMap};

/// Versions of one property that are kept; HubSpot keeps 20 (45 for contacts).
const VERSIONS_KEPT: usize = 20;

/// A former value of a property.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) value: String,
    pub(super) at_ms: i64,
    pub(super) source: &'static str,
}

/// One record.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) id: u64,
    pub(super) properties: BTreeMap<String, String>,
    /// Newest first; only of properties that changed after creation.
    history: BTreeMap<String, Vec<Version>>,
    pub(super) created_ms: i64,
    pub(super) updated_ms: i64,
    pub(super) archived_ms: Option<i64>,
}

impl Record {
    /// A record made now.
    pub(super) fn new(id: u64, created_ms: i64, updated_ms: i64) -> Self {
        Self {
            id,
            properties: BTreeMap::new(),
            history: BTreeMap::new(),
            created_ms,
            updated_ms,
            archived_ms: None,
        }
    }

    /// A value, unless absent.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }

    /// All versions of a property, newest first.
    pub(super) fn versions(&self, name: &str) -> Vec<Version> {
        if let Some(versions) = self.history.get(name) {
            return versions.clone();
        }
        let first = |value: &String| Version {
            value: value.clone(),
            at_ms: self.created_ms,
            source: "IMPORT",
        };
        self.properties.get(name).map(first).into_iter().collect()
    }

    /// Lets a property have had another value before its present one.
    pub(super) fn remember(&mut self, name: &str, former: String) {
        let Some(present) = self.value(name).map(str::to_owned) else {
            return;
        };
        let versions = [(present, self.updated_ms), (former, self.created_ms)];
        let versions = versions.map(|(value, at_ms)| Version {
            value,
            at_ms,
            source: "IMPORT",
        });
        self.history.insert(name.to_owned(), versions.into());
    }

    /// Sets a value; an empty one clears it.
    fn set(&mut self, name: &str, value: String, now_ms: i64) {
        let mut versions = self.versions(name);
        versions.insert(
            0,
            Version {
                value: value.clone(),
                at_ms: now_ms,
                source: "INTEGRATION",
            },
        );
        versions.truncate(VERSIONS_KEPT);
        self.history.insert(name.to_owned(), versions);
        if value.is_empty() {
            self.properties.remove(name);
        } else {
            self.properties.insert(name.to_owned(), value);
        }
    }
}

/// A change that would give two records one unique value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) property: String,
    pub(super) value: String,
    pub(super) by: u64,
}

/// All records of a type.
#[derive(Clone, Debug)]
pub(super) struct Table {
    records: BTreeMap<u64, Record>,
    /// Unique property -> lower-case value -> id.
    unique: BTreeMap<String, HashMap<String, u64>>,
    /// Ids that were merged away, and into which record.
    merged: HashMap<u64, u64>,
    next_id: u64,
}

impl Table {
    /// An empty table whose ids start at `first_id`.
    pub(super) fn new(first_id: u64) -> Self {
        Self {
            records: BTreeMap::new(),
            unique: BTreeMap::new(),
            merged: HashMap::new(),
            next_id: first_id,
        }
    }

    /// Declares a property whose values are unique. Values already there are indexed, the first one wins.
    pub(super) fn declare_unique(&mut self, name: &str) {
        let mut index = HashMap::new();
        for record in self
            .records
            .values()
            .filter(|record| record.archived_ms.is_none())
        {
            if let Some(value) = record.value(name) {
                index.entry(value.to_lowercase()).or_insert(record.id);
            }
        }
        self.unique.insert(name.to_owned(), index);
    }

    /// Whether `name` identifies records.
    pub(super) fn is_unique(&self, name: &str) -> bool {
        self.unique.contains_key(name)
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// A record, archived or not, following merges.
    pub(super) fn get(&self, id: u64) -> Option<&Record> {
        self.records
            .get(&id)
            .or_else(|| self.records.get(self.merged.get(&id)?))
    }

    /// The id of the record with this unique value.
    pub(super) fn find_unique(&self, name: &str, value: &str) -> Option<u64> {
        self.unique.get(name)?.get(&value.to_lowercase()).copied()
    }

    /// Records whose id is greater than `after`, in order of id.
    pub(super) fn after(&self, after: u64) -> impl Iterator<Item = &Record> {
        self.records
            .range(after.saturating_add(1)..)
            .map(|(_, record)| record)
    }

    /// Every record that is not archived.
    pub(super) fn live(&self) -> impl Iterator<Item = &Record> {
        self.records
            .values()
            .filter(|record| record.archived_ms.is_none())
    }

    /// Makes a record; nothing happens when a unique value is taken.
    pub(super) fn create(&mut self, values: BTreeMap<String, String>, now_ms: i64) -> Result<u64, Taken> {
        let id = self.next_id;
        self.check_unique(id, &values)?;
        let mut record = Record::new(id, now_ms, now_ms);
        record.properties = values;
        record.properties.retain(|_, value| !value.is_empty());
        self.next_id += 1;
        self.index(&record);
        self.records.insert(id, record);
        Ok(id)
    }

    /// Puts a fixture record in place as it is.
    pub(super) fn put(&mut self, record: Record) {
        self.next_id = self.next_id.max(record.id + 1);
        self.index(&record);
        self.records.insert(record.id, record);
    }

    /// Changes values of a live record. `Ok(false)`: no such record.
    pub(super) fn update(
        &mut self,
        id: u64,
        values: BTreeMap<String, String>,
        now_ms: i64,
    ) -> Result<bool, Taken> {
        self.check_unique(id, &values)?;
        let Some(record) = self
            .records
            .get_mut(&id)
            .filter(|record| record.archived_ms.is_none())
        else {
            return Ok(false);
        };
        for (name, value) in values {
            if let Some(index) = self.unique.get_mut(&name) {
                if let Some(old) = record.value(&name) {
                    index.remove(&old.to_lowercase());
                }
                if !value.is_empty() {
                    index.insert(value.to_lowercase(), id);
                }
            }
            record.set(&name, value, now_ms);
        }
        record.updated_ms = now_ms;
        Ok(true)
    }

    /// Archives a record; `false` when there is none or it was archived before.
    pub(super) fn archive(&mut self, id: u64, now_ms: i64) -> bool {
        let Some(record) = self
            .records
            .get_mut(&id)
            .filter(|record| record.archived_ms.is_none())
        else {
            return false;
        };
        record.archived_ms = Some(now_ms);
        record.updated_ms = now_ms;
        for (name, index) in &mut self.unique {
            if let Some(value) = record.value(name) {
                index.remove(&value.to_lowercase());
            }
        }
        true
    }

    /// Erases a record for good.
    pub(super) fn erase(&mut self, id: u64, now_ms: i64) -> bool {
        self.archive(id, now_ms);
        self.records.remove(&id).is_some()
    }

    /// Merges `other` into `primary`: values the primary lacks are taken over, then `other` is gone.
    pub(super) fn merge(&mut self, primary: u64, other: u64, now_ms: i64) -> bool {
        let live = |table: &Self, id| {
            table
                .records
                .get(&id)
                .is_some_and(|record| record.archived_ms.is_none())
        };
        if primary == other || !live(self, primary) || !live(self, other) {
            return false;
        }
        let values = self
            .records
            .get(&other)
            .map(|record| record.properties.clone())
            .unwrap_or_default();
        self.erase(other, now_ms);
        self.merged.insert(other, primary);
        if let Some(record) = self.records.get(&primary) {
            let missing: BTreeMap<_, _> = values
                .into_iter()
                .filter(|(name, _)| !record.properties.contains_key(name))
                .collect();
            // Invariant: `other` has left the index, so its unique values are free.
            return self.update(primary, missing, now_ms).unwrap_or(false);
        }
        false
    }

    fn check_unique(&self, id: u64, values: &BTreeMap<String, String>) -> Result<(), Taken> {
        for (name, value) in values {
            if let Some(by) = self.find_unique(name, value).filter(|by| *by != id) {
                return Err(Taken {
                    property: name.clone(),
                    value: value.clone(),
                    by,
                });
            }
        }
        Ok(())
    }

    fn index(&mut self, record: &Record) {
        if record.archived_ms.is_some() {
            return;
        }
        for (name, index) in &mut self.unique {
            if let Some(value) = record.value(name) {
                index.insert(value.to_lowercase(), record.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn people() -> Table {
        let mut table = Table::new(1);
        table.declare_unique("email");
        table
            .create(values(&[("email", "Ada@example.com"), ("firstname", "Ada")]), 10)
            .unwrap();
        table
            .create(values(&[("email", "bob@example.com"), ("phone", "1")]), 10)
            .unwrap();
        table
    }

    #[test]
    fn a_unique_value_names_one_record_in_any_case_and_cannot_be_taken_twice() {
        let mut table = people();
        assert_eq!(table.find_unique("email", "ada@EXAMPLE.com"), Some(1));
        let taken = table
            .create(values(&[("email", "ADA@example.com")]), 20)
            .unwrap_err();
        assert_eq!(
            taken,
            Taken {
                property: "email".into(),
                value: "ADA@example.com".into(),
                by: 1
            }
        );
        assert!(
            table
                .update(2, values(&[("email", "ada@example.com")]), 20)
                .is_err()
        );
        assert!(table.archive(1, 20));
        assert!(table.create(values(&[("email", "ada@example.com")]), 30).is_ok());
    }

    #[test]
    fn a_merge_keeps_the_primary_value_takes_over_what_it_lacks_and_redirects_the_other_id() {
        let mut table = people();
        assert!(table.merge(1, 2, 20));
        let record = table.get(2).unwrap();
        assert_eq!(
            (record.id, record.value("email"), record.value("phone")),
            (1, Some("Ada@example.com"), Some("1"))
        );
        assert!(!table.merge(1, 2, 30));
        assert!(!table.merge(1, 1, 30));
    }

    #[test]
    fn history_has_the_newest_value_first_and_is_bounded() {
        let mut table = people();
        for n in 0..50 {
            table
                .update(1, values(&[("firstname", &format!("Ada {n}"))]), 20 + n)
                .unwrap();
        }
        let versions = table.get(1).unwrap().versions("firstname");
        assert_eq!(
            (versions.len(), versions[0].value.as_str()),
            (VERSIONS_KEPT, "Ada 49")
        );
    }
}
