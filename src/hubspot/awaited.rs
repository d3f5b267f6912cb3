//! A request that went up, as long as its answer's head is waited for.
//!
//! A caller that waits for less than the gate does would see to it that an upstream that says nothing is never told
//! from one that is well: each call would be gone before its time was up. So one that is dropped after a long silence
//! tells the breaker of it, as a deadline does.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::breaker::{AccountBit, Breaker, Fate, Passage};
use super::progress::Progress;

/// Dropped before [`Awaited::end`], it looks how long nothing was heard.
pub(super) struct Awaited<'a> {
    pub(super) breaker: &'a Breaker,
    pub(super) passage: &'a Passage<'a>,
    pub(super) account: AccountBit,
    /// When the request was begun.
    pub(super) begun: Instant,
    /// How its body is getting on, if that is known.
    pub(super) progress: Option<&'a Progress>,
    /// The shortest silence that says something of the upstream: a caller that leaves sooner is impatient.
    pub(super) long: Duration,
    /// Set when there was one.
    pub(super) was_silent: &'a Cell<bool>,
    /// The gate itself gives it up.
    pub(super) is_withdrawn: &'a Cell<bool>,
    pub(super) is_over: bool,
}

impl Awaited<'_> {
    /// The wait is over, whatever came of it.
    pub(super) fn end(mut self) {
        self.is_over = true;
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        if self.is_over || self.is_withdrawn.get() {
            return;
        }
        let heard = self.progress.and_then(Progress::last);
        let (since, now) = (
            heard.map_or(self.begun, |last| last.max(self.begun)),
            Instant::now(),
        );
        if now.saturating_duration_since(since) >= self.long {
            self.was_silent.set(true);
            let attempt = self.passage.hand_over();
            self.breaker.report(attempt, Fate::Unanswered, self.account, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::breaker::{BreakerSettings, State};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Whether the breaker hears of a call that is dropped after so many seconds.
    fn is_heard_of(seconds: u32, progress: Option<&Progress>, is_over: bool) -> bool {
        is_heard_of_by(seconds, progress, is_over, false)
    }

    fn is_heard_of_by(seconds: u32, progress: Option<&Progress>, is_over: bool, is_withdrawn: bool) -> bool {
        let settings = BreakerSettings {
            failures: 1,
            percent: 1,
            window: 10 * SECOND,
            pause: SECOND,
            probe: SECOND,
        };
        let breaker = Breaker::new(settings, |_| {});
        let passage = breaker.enter(Instant::now()).ok().unwrap();
        let (was_silent, is_withdrawn) = (Cell::new(false), Cell::new(is_withdrawn));
        let awaited = Awaited {
            breaker: &breaker,
            passage: &passage,
            account: AccountBit::of(1),
            begun: Instant::now() - seconds * SECOND,
            progress,
            long: 20 * SECOND,
            was_silent: &was_silent,
            is_withdrawn: &is_withdrawn,
            is_over: false,
        };
        if is_over {
            awaited.end();
        } else {
            drop(awaited);
        }
        assert_eq!(was_silent.get(), breaker.state() == State::Open);
        was_silent.get()
    }

    #[test]
    fn a_caller_that_leaves_after_a_long_silence_tells_of_it_and_one_that_leaves_early_does_not() {
        assert!(is_heard_of(21, None, false));
        assert!(!is_heard_of(19, None, false));
        assert!(!is_heard_of(21, None, true), "it was answered, or failed");
        assert!(
            !is_heard_of_by(21, None, false, true),
            "its rights were withdrawn"
        );
        let upload = Progress::default();
        assert!(is_heard_of(21, Some(&upload), false));
        upload.made();
        assert!(
            !is_heard_of(21, Some(&upload), false),
            "its body went up just now"
        );
        let upload = Progress::default();
        upload.waits_for_client();
        assert!(!is_heard_of(21, Some(&upload), false), "its client was late");
    }
}
