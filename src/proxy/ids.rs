//! Correlation ids: names of calls, not secrets.

use std::cell::RefCell;

/// Random correlation ids without a system call each: 64 at a time.
#[derive(Default)]
pub struct IdSource(RefCell<Vec<u8>>);

impl IdSource {
    /// A version 4 UUID. Ids are names, not secrets.
    pub fn next(&self) -> uuid::Uuid {
        self.next_of(|bytes| aws_lc_rs::rand::fill(bytes).is_ok())
    }

    fn next_of(&self, fill: impl FnOnce(&mut [u8]) -> bool) -> uuid::Uuid {
        let mut pool = self.0.borrow_mut();
        if pool.len() < 16 {
            pool.resize(1024, 0);
            if !fill(&mut pool) {
                // Its zeros would be the next 64 ids.
                pool.clear();
                return uuid::Uuid::new_v4();
            }
        }
        let from = pool.len() - 16;
        let mut bytes = [0; 16];
        bytes.copy_from_slice(pool.get(from..).unwrap_or(&[0; 16]));
        pool.truncate(from);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_distinct_version_4_uuids() {
        let source = IdSource::default();
        let ids: std::collections::HashSet<_> = (0..500).map(|_| source.next()).collect();
        assert_eq!(ids.len(), 500);
        assert!(ids.iter().all(|id| id.get_version_num() == 4));
    }

    #[test]
    fn what_could_not_be_filled_makes_no_ids() {
        let source = IdSource::default();
        let ids: std::collections::HashSet<_> = (0..5)
            .map(|count| source.next_of(|bytes| count > 2 && aws_lc_rs::rand::fill(bytes).is_ok()))
            .collect();
        assert_eq!(ids.len(), 5);
    }
}
