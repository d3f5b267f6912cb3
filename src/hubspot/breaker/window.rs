//! How many attempts of late were made and failed, and whose: counted by all workers, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// Parts the window is counted in: what is older than the window goes in steps of a tenth of it.
const SLOTS: usize = 10;

#[derive(Default)]
struct Slot {
    /// Which stretch of time it counts (24 bits), failures (20 bits), attempts (20 bits).
    counts: AtomicU64,
    /// Accounts that were answered, and accounts that were not. Not exact at the moment a slot begins anew.
    answered: AtomicU64,
    failed: AtomicU64,
}

/// Attempts of late.
pub(super) struct Window {
    slots: [Slot; SLOTS],
    slot_ms: u64,
}

/// What the window holds.
pub(super) struct Sum {
    pub(super) failures: u32,
    pub(super) attempts: u32,
    /// Some account was answered and has no failures.
    pub(super) others_are_fine: bool,
}

impl Window {
    pub(super) fn new(window_ms: u64) -> Self {
        Self {
            slots: Default::default(),
            slot_ms: (window_ms / SLOTS as u64).max(1),
        }
    }

    /// Counts an attempt of an account, which is one bit.
    pub(super) fn count(&self, failed: bool, account: u64, now_ms: u64) {
        let stretch = now_ms / self.slot_ms;
        let slot = &self.slots[(stretch % SLOTS as u64) as usize];
        let mut counts = slot.counts.load(Ordering::Relaxed);
        loop {
            let is_new = stretch_of(counts) != stretch & STRETCH_MASK;
            let (failures, attempts) = if is_new { (0, 0) } else { counts_of(counts) };
            let next = packed(stretch, failures + u32::from(failed), attempts + 1);
            match slot
                .counts
                .compare_exchange_weak(counts, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) if is_new => {
                    slot.answered.store(0, Ordering::Relaxed);
                    slot.failed.store(0, Ordering::Relaxed);
                    break;
                }
                Ok(_) => break,
                Err(seen) => counts = seen,
            }
        }
        let accounts = if failed { &slot.failed } else { &slot.answered };
        if accounts.load(Ordering::Relaxed) & account == 0 {
            accounts.fetch_or(account, Ordering::Relaxed);
        }
    }

    /// All that is not older than the window.
    pub(super) fn sum(&self, now_ms: u64) -> Sum {
        let stretch = now_ms / self.slot_ms;
        let (mut failures, mut attempts, mut answered, mut failed) = (0u32, 0u32, 0u64, 0u64);
        for slot in &self.slots {
            let counts = slot.counts.load(Ordering::Relaxed);
            let age = stretch.wrapping_sub(stretch_of(counts)) & STRETCH_MASK;
            if age < SLOTS as u64 {
                let (more_failures, more_attempts) = counts_of(counts);
                failures += more_failures;
                attempts += more_attempts;
                answered |= slot.answered.load(Ordering::Relaxed);
                failed |= slot.failed.load(Ordering::Relaxed);
            }
        }
        Sum {
            failures,
            attempts,
            others_are_fine: answered & !failed != 0,
        }
    }

    /// Begins anew.
    pub(super) fn forget(&self) {
        for slot in &self.slots {
            slot.counts.store(0, Ordering::Relaxed);
            slot.answered.store(0, Ordering::Relaxed);
            slot.failed.store(0, Ordering::Relaxed);
        }
    }
}

const COUNT_BITS: u32 = 20;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const STRETCH_MASK: u64 = (1 << (64 - 2 * COUNT_BITS)) - 1;

fn packed(stretch: u64, failures: u32, attempts: u32) -> u64 {
    let bounded = |count: u32| u64::from(count).min(COUNT_MASK);
    (stretch & STRETCH_MASK) << (2 * COUNT_BITS) | bounded(failures) << COUNT_BITS | bounded(attempts)
}

fn stretch_of(counts: u64) -> u64 {
    counts >> (2 * COUNT_BITS)
}

fn counts_of(counts: u64) -> (u32, u32) {
    (
        ((counts >> COUNT_BITS) & COUNT_MASK) as u32,
        (counts & COUNT_MASK) as u32,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_never_overflow_into_each_other() {
        for (stretch, failures, attempts) in [(0, 0, 0), (7, 3, 9), (u64::MAX, u32::MAX, u32::MAX)] {
            let counts = packed(stretch, failures, attempts);
            assert_eq!(stretch_of(counts), stretch & STRETCH_MASK);
            let most = COUNT_MASK as u32;
            assert_eq!(counts_of(counts), (failures.min(most), attempts.min(most)));
        }
    }
}
