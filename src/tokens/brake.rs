//! The token endpoint is one for all connections. When it is down, it is left alone by all of them and
//! asked by one at a time whether it is back; and at no time do all ask in the same moment.
//!
//! Pure: the clock and the dice are arguments.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::tokens::expiry::backoff;
use crate::tokens::lease::Trouble;

/// Failures in a row, over all connections, after which the endpoint counts as down.
const DOWN_AFTER: u32 = 3;

/// Longest the endpoint is left alone between two probes, unless it asks for longer itself.
const PROBE_MAX: Duration = Duration::from_secs(30);

/// What who comes while a probe is under way is told to wait at least.
const PROBE_TAKES: Duration = Duration::from_secs(1);

/// Between two calls in the long run: 50 a second. 10,000 connections in use need 7 a second; 300 that
/// all expired have their tokens after 6 s, within the time a request waits.
const GAP: Duration = Duration::from_millis(20);

/// Calls that may follow each other at once when it has been quiet.
const BURST: u32 = 16;

/// Whether a call showed the endpoint at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It answered, whatever it said.
    Up,
    /// It did not answer, or said that it can't.
    Down {
        /// What to tell those who wait.
        trouble: Trouble,
        /// The server's own wish.
        asked: Option<Duration>,
    },
}

/// What a report changed, to be logged once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing.
    None,
    /// The endpoint counts as down from now on.
    WentDown,
    /// It is back.
    CameBack,
}

/// Shared by all refreshes.
#[derive(Default)]
pub(super) struct Brake(Mutex<State>);

#[derive(Default)]
struct State {
    failures: u32,
    /// Set while the endpoint counts as down: when it may be probed.
    probe_at: Option<Instant>,
    probing: bool,
    trouble: Option<Trouble>,
    /// When the next call would be due if calls came evenly.
    due: Option<Instant>,
}

impl State {
    fn held(&self, now: Instant) -> Option<(Duration, Trouble)> {
        let at = self.probe_at?;
        let trouble = self.trouble.unwrap_or(Trouble::Unreachable);
        if now < at {
            return Some((at - now, trouble));
        }
        self.probing.then_some((PROBE_TAKES, trouble))
    }
}

impl Brake {
    /// How long nobody may call, and why; `None` when calling is fine.
    pub(super) fn held(&self, now: Instant) -> Option<(Duration, Trouble)> {
        self.state().held(now)
    }

    /// When the caller's turn is; to be waited for before [`Brake::enter`].
    pub(super) fn turn(&self, now: Instant) -> Instant {
        let mut state = self.state();
        let due = state.due.map_or(now, |due| due.max(now));
        state.due = Some(due + GAP);
        // Calls run ahead of their even pace by a burst at most.
        let ahead = GAP * (BURST - 1);
        due.checked_sub(ahead).map_or(now, |at| at.max(now))
    }

    /// Lets one call through, or says how long to wait.
    pub(super) fn enter(&self, now: Instant) -> Result<Passage<'_>, (Duration, Trouble)> {
        let mut state = self.state();
        if let Some(held) = state.held(now) {
            return Err(held);
        }
        let probe = state.probe_at.is_some();
        state.probing |= probe;
        Ok(Passage { brake: self, probe })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to call once. Dropped without a report, it changes nothing.
pub(super) struct Passage<'a> {
    brake: &'a Brake,
    probe: bool,
}

impl Passage<'_> {
    /// What became of the call.
    pub(super) fn report(self, fate: Fate, now: Instant, jitter: u8) -> Turn {
        let mut state = self.brake.state();
        match fate {
            Fate::Up => {
                let was_down = state.probe_at.take().is_some();
                state.failures = 0;
                state.probing &= !self.probe;
                if !was_down {
                    return Turn::None;
                }
                // Everybody has been waiting for this: no burst.
                state.due = Some(now + GAP * BURST);
                Turn::CameBack
            }
            Fate::Down { trouble, asked } => {
                let was_down = state.probe_at.is_some();
                if was_down && !self.probe {
                    // Under way before the others found out: tells nothing new.
                    return Turn::None;
                }
                state.failures = state.failures.saturating_add(1);
                state.trouble = Some(trouble);
                if state.failures < DOWN_AFTER {
                    return Turn::None;
                }
                let wait = backoff(state.failures - DOWN_AFTER + 1, None, jitter).min(PROBE_MAX);
                let asked = asked.map(|asked| backoff(1, Some(asked), jitter));
                state.probe_at = Some(now + asked.map_or(wait, |asked| asked.max(wait)));
                if was_down { Turn::None } else { Turn::WentDown }
            }
        }
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        if self.probe {
            self.brake.state().probing = false;
        }
    }
}

/// A wait that not everybody who is told it ends in the same second: up to half longer, or three seconds.
pub(super) fn spread(wait: Duration, jitter: u8) -> Duration {
    const SPREAD_MIN: Duration = Duration::from_secs(3);
    wait + (wait / 2).max(SPREAD_MIN).mul_f64(f64::from(jitter) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::expiry::{Phase, Validity};

    const DOWN: Fate = Fate::Down {
        trouble: Trouble::Busy,
        asked: None,
    };

    fn fail(brake: &Brake, now: Instant, times: u32) {
        for _ in 0..times {
            let passage = brake.enter(now).ok().unwrap();
            passage.report(DOWN, now, 0);
        }
    }

    #[test]
    fn three_failures_in_a_row_stop_everybody_and_one_probe_at_a_time_asks() {
        let (brake, start) = (Brake::default(), Instant::now());
        fail(&brake, start, 2);
        assert_eq!(brake.held(start), None);
        assert_eq!(
            brake.enter(start).ok().unwrap().report(DOWN, start, 0),
            Turn::WentDown
        );
        assert_eq!(brake.held(start), Some((Duration::from_secs(1), Trouble::Busy)));
        let later = start + Duration::from_secs(1);
        let probe = brake.enter(later).ok().unwrap();
        assert!(brake.enter(later).is_err(), "one at a time");
        assert_eq!(probe.report(DOWN, later, 0), Turn::None);
        assert_eq!(brake.held(later).unwrap().0, Duration::from_secs(2), "doubled");
        let later = later + Duration::from_secs(2);
        let probe = brake.enter(later).ok().unwrap();
        assert_eq!(probe.report(Fate::Up, later, 0), Turn::CameBack);
        assert_eq!(brake.held(later), None);
        fail(&brake, later, 2);
        assert_eq!(brake.held(later), None, "the past is forgotten");
    }

    #[test]
    fn a_success_in_between_means_the_endpoint_works() {
        let (brake, now) = (Brake::default(), Instant::now());
        for _ in 0..10 {
            fail(&brake, now, 2);
            brake.enter(now).ok().unwrap().report(Fate::Up, now, 0);
        }
        assert_eq!(brake.held(now), None);
    }

    #[test]
    fn a_probe_that_is_lost_blocks_nobody() {
        let (brake, start) = (Brake::default(), Instant::now());
        fail(&brake, start, 3);
        let later = start + Duration::from_secs(1);
        drop(brake.enter(later).ok().unwrap());
        assert!(brake.enter(later).is_ok());
    }

    #[test]
    fn the_servers_own_wish_is_obeyed_within_reason() {
        let (brake, now) = (Brake::default(), Instant::now());
        fail(&brake, now, 2);
        let asked = Fate::Down {
            trouble: Trouble::Busy,
            asked: Some(Duration::from_secs(90)),
        };
        brake.enter(now).ok().unwrap().report(asked, now, 0);
        assert_eq!(brake.held(now).unwrap().0, Duration::from_secs(90));
    }

    #[test]
    fn calls_come_in_a_small_burst_then_evenly_and_after_an_outage_evenly_from_the_start() {
        let (brake, start) = (Brake::default(), Instant::now());
        let first_second = |brake: &Brake, from: Instant| {
            (0..300)
                .map(|_| brake.turn(from))
                .filter(|at| *at <= from + Duration::from_secs(1))
                .count()
        };
        assert_eq!(first_second(&brake, start), 16 + 50);
        let last = brake.turn(start) - start;
        assert!(last < Duration::from_secs(7), "{last:?}");

        let brake = Brake::default();
        fail(&brake, start, 3);
        let later = start + Duration::from_secs(1);
        brake.enter(later).ok().unwrap().report(Fate::Up, later, 0);
        let evenly = first_second(&brake, later);
        assert!((50..=51).contains(&evenly), "{evenly}");
    }

    #[test]
    fn those_who_are_told_to_wait_do_not_all_come_back_in_one_second() {
        let second = Duration::from_secs(1);
        assert_eq!(spread(second, 0), second);
        assert_eq!(spread(second, 255), 4 * second);
        assert_eq!(spread(30 * second, 255), 45 * second);
    }

    /// Ten thousand accounts in use whose tokens were all issued in one moment, as after an outage, looked
    /// after ten times a second, as the keeper does while some wait.
    #[test]
    fn tokens_of_one_moment_are_renewed_evenly_over_minutes_and_all_in_time() {
        const LIFE: Duration = Duration::from_secs(1_800);
        let (brake, start) = (Brake::default(), Instant::now());
        // Every throw of the dice as often as any other.
        let mut waiting: Vec<Validity> = (0..10_000u32)
            .map(|n| Validity::of_new(start, LIFE, (n % 256) as u8))
            .collect();
        let mut asked = vec![0u32; 180];
        for tick in 13_400..18_000 {
            let now = start + Duration::from_millis(100) * tick;
            waiting.retain(|token| {
                // Who has a token lets others go first while some wait for their turn.
                let queues = brake.state().due.is_some_and(|due| due > now + GAP * BURST);
                if queues || token.phase(now) != Phase::Ageing {
                    return true;
                }
                let turn = brake.turn(now);
                assert_eq!(token.phase(turn), Phase::Ageing, "too late");
                asked[usize::try_from((turn - start).as_secs() / 10).unwrap()] += 1;
                false
            });
        }
        assert!(waiting.is_empty(), "{} were not renewed", waiting.len());
        let first = asked.iter().position(|count| *count > 0).unwrap();
        let last = asked.iter().rposition(|count| *count > 0).unwrap();
        let (most, spans) = (asked.iter().max().unwrap(), last - first + 1);
        assert!(spans >= 18, "within {spans} × 10 s: {asked:?}");
        let even = 10_000 / u32::try_from(spans).unwrap();
        assert!(*most <= even * 3 / 2, "{most} in 10 s, {even} if even: {asked:?}");
    }
}
