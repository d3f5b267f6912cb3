//! A part of a count: one thread's, read by others.
//!
//! A count that several threads change is passed to and fro between their cores, and each change locks it. Where each
//! has a part of its own, a change is a load and a store, and whoever asks adds the parts up.

use std::sync::atomic::{AtomicU64, Ordering};

/// One thread's part. Others' are added to it by wrapping addition: what one thread took up and another let go is less
/// than nothing in one of two parts, and right in their sum.
///
/// Invariant: only one thread changes it. Changes that two make at once may be lost; nothing worse happens.
#[derive(Debug, Default)]
pub struct Part(AtomicU64);

impl Part {
    /// So many more.
    pub fn add(&self, more: u64) {
        self.set(self.0.load(Ordering::Relaxed).wrapping_add(more));
    }

    /// So many less.
    pub fn sub(&self, less: u64) {
        self.set(self.0.load(Ordering::Relaxed).wrapping_sub(less));
    }

    fn set(&self, count: u64) {
        self.0.store(count, Ordering::Release);
    }

    /// How many there are. By any thread.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// All parts together.
pub fn sum(parts: impl IntoIterator<Item = u64>) -> u64 {
    parts.into_iter().fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_takes_up_and_another_lets_go_is_nothing() {
        let (one, two) = (Part::default(), Part::default());
        one.add(3);
        two.sub(2);
        assert_eq!(sum([one.get(), two.get()]), 1);
        two.sub(1);
        assert_eq!(sum([one.get(), two.get()]), 0);
    }

    #[test]
    fn what_a_thread_has_counted_is_seen_by_another() {
        let part = std::sync::Arc::new(Part::default());
        let counted = std::sync::Arc::clone(&part);
        let counting = std::thread::spawn(move || (0..10_000).for_each(|_| counted.add(1)));
        let mut seen = 0;
        while seen < 10_000 {
            let now = part.get();
            assert!(now >= seen, "{now} after {seen}");
            seen = now;
        }
        counting.join().unwrap();
    }
}
