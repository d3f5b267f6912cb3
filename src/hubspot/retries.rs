//! How often the gate may send something a second time: a budget, shared by all workers.
//!
//! Every call pays in a part of a retry, and a retry takes a whole one out; a small reserve lets a quiet
//! gate retry at all. So N calls cause at most N + N × share + reserve attempts, however many of them fail
//! and however long: an upstream in trouble is never given more to do because it is in trouble.

use std::sync::atomic::{AtomicU32, Ordering};

/// One retry, in the unit of the balance: a call pays in its share in percent.
const RETRY: u32 = 100;

/// The budget.
#[derive(Debug)]
pub struct RetryBudget {
    balance: AtomicU32,
    share: u32,
    most: u32,
}

impl RetryBudget {
    /// `percent` of calls may be retried, and `reserve` of them before anything was paid in. No more than
    /// the reserve is ever saved up: a storm finds no store of good times to spend.
    pub fn new(percent: u32, reserve: u32) -> Self {
        let most = reserve.saturating_mul(RETRY);
        Self {
            balance: AtomicU32::new(most),
            share: percent,
            most,
        }
    }

    /// A call begins.
    pub fn pay_in(&self) {
        // Full, as it is nearly always: a look, no write that other workers would have to see.
        if self.balance.load(Ordering::Relaxed) >= self.most {
            return;
        }
        let _ = self
            .balance
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |balance| {
                Some(balance.saturating_add(self.share).min(self.most))
            });
    }

    /// Takes one retry out; `false`: there is none.
    #[must_use]
    pub fn take(&self) -> bool {
        self.balance
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |balance| {
                balance.checked_sub(RETRY)
            })
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries(budget: &RetryBudget, calls: u32) -> u32 {
        (0..calls)
            .filter(|_| {
                budget.pay_in();
                budget.take()
            })
            .count() as u32
    }

    #[test]
    fn however_many_calls_fail_a_tenth_and_the_reserve_are_retried() {
        for calls in [1, 10, 100, 1_000, 100_000] {
            let budget = RetryBudget::new(10, 10);
            let retried = retries(&budget, calls);
            assert!(retried <= calls / 10 + 10, "{calls}: {retried}");
            assert!(retried >= calls.min(10), "{calls}: {retried}");
        }
    }

    #[test]
    fn good_times_are_not_saved_up() {
        let budget = RetryBudget::new(10, 3);
        (0..100_000).for_each(|_| budget.pay_in());
        assert_eq!((0..100).filter(|_| budget.take()).count(), 3);
    }

    #[test]
    fn no_share_and_no_reserve_mean_no_retry() {
        assert_eq!(retries(&RetryBudget::new(0, 0), 100), 0);
        assert_eq!(retries(&RetryBudget::new(100, 0), 100), 0);
        assert_eq!(retries(&RetryBudget::new(0, 2), 100), 2);
    }

    #[test]
    fn workers_share_it_exactly() {
        let budget = RetryBudget::new(10, 50);
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| retries(&budget, 1_000) as usize))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!((400..=450).contains(&taken), "{taken}");
    }
}
