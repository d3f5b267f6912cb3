//! At most one refresh of a grant at a time, and when the next may be tried. Whoever needs a token
//! joins the one under way.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::store::{NewGrant, Ticket};
use crate::tokens::brake::spread;
use crate::tokens::expiry::backoff;
use crate::tokens::lease::Trouble;

/// Between two attempts to save what the store would not take: a disk that fails is left alone that long, and
/// one that is well again has it soon.
const OWED_PAUSE: Duration = Duration::from_secs(2);

/// How a refresh ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There is a token, or the connection's standing says why not.
    Settled,
    /// There is none for now.
    Failed(Trouble),
    /// Nobody was asked, because who began it was stopped in an emergency: others that wait may begin anew.
    Stopped,
    /// Nobody was asked: the token endpoint is left alone for this long.
    Held(Trouble, Duration),
}

/// Tells everybody who waits; `None` until it is over.
pub(super) type Landing = watch::Receiver<Option<Outcome>>;

/// A grant's refreshes, one after the other.
#[derive(Default)]
pub(super) struct Flight {
    /// The one under way.
    pub(super) under_way: Option<Landing>,
    /// When the last forced one began.
    pub(super) forced: Option<Instant>,
    /// A grant received and in use that the store would not take.
    pub(super) unsaved: Option<Unsaved>,
    failures: u32,
    not_before: Option<(Instant, Trouble)>,
}

/// What must still be saved: sealed, so that the memory of a crash holds no refresh token.
#[derive(Clone)]
pub(super) struct Unsaved {
    pub(super) ticket: Arc<Ticket>,
    pub(super) grant: Arc<NewGrant>,
}

impl Flight {
    /// How long to wait before the next attempt, and why.
    pub(super) fn must_wait(&self, now: Instant) -> Option<(Duration, Trouble)> {
        let (at, trouble) = self.not_before?;
        (now < at).then(|| (at - now, trouble))
    }

    /// Whether one is under way, or a grant waits to be saved.
    pub(super) fn is_busy(&self) -> bool {
        self.under_way.is_some() || self.unsaved.is_some()
    }

    /// Ends a back-off that `trouble` began, and lets a forced refresh begin at once. True when there
    /// was one.
    pub(super) fn ask_again(&mut self, trouble: Trouble) -> bool {
        let kept = self.not_before.is_some_and(|(_, why)| why == trouble);
        if kept {
            self.failures = 0;
            self.not_before = None;
        }
        self.forced = None;
        kept
    }

    /// Forgets all that was about an earlier credential; one under way lands all the same.
    pub(super) fn forget(&mut self) {
        *self = Self {
            under_way: self.under_way.take(),
            ..Self::default()
        };
    }

    /// Ends the one under way: a failure puts the next one off.
    pub(super) fn land(&mut self, outcome: Outcome, asked: Option<Duration>, now: Instant, jitter: u8) {
        self.under_way = None;
        match outcome {
            // Nothing was forced, either.
            Outcome::Stopped => self.forced = None,
            Outcome::Settled => {
                self.failures = 0;
                self.not_before = None;
            }
            Outcome::Failed(trouble) => {
                // No token came of it that could have been refused: the back-off paces the next one.
                self.forced = None;
                // However often it was: until what is owed to the store is saved, a crash loses it.
                let pause = if self.unsaved.is_some() {
                    OWED_PAUSE
                } else {
                    self.failures = self.failures.saturating_add(1);
                    backoff(self.failures, asked, jitter)
                };
                self.not_before = Some((now + pause, trouble));
            }
            // The endpoint's failure, not this grant's.
            Outcome::Held(trouble, wait) => self.not_before = Some((now + spread(wait, jitter), trouble)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_puts_the_next_attempt_off_and_a_success_forgets_it() {
        let mut flight = Flight::default();
        let now = Instant::now();
        assert_eq!(flight.must_wait(now), None);
        flight.land(Outcome::Failed(Trouble::Busy), None, now, 0);
        let (wait, trouble) = flight.must_wait(now).unwrap();
        assert_eq!((wait, trouble), (Duration::from_secs(1), Trouble::Busy));
        flight.land(Outcome::Failed(Trouble::Busy), None, now, 0);
        assert_eq!(flight.must_wait(now).unwrap().0, Duration::from_secs(2));
        assert!(flight.must_wait(now + Duration::from_secs(2)).is_none());
        flight.land(Outcome::Settled, None, now, 0);
        assert!(flight.must_wait(now).is_none());
        flight.land(Outcome::Failed(Trouble::Busy), None, now, 0);
        assert_eq!(flight.must_wait(now).unwrap().0, Duration::from_secs(1));
    }
}
