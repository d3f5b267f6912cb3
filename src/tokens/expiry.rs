//! When a token is renewed and when it is no longer sent. Pure: the clock is an argument.
//!
//! Decisions use the monotonic clock. A token stored in this run of the machine is as old as the machine's
//! own clock says; wall time counts only when the machine has started anew since, and only if it is
//! plausible.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// Longest life an access token is believed to have. HubSpot's live 1,800 s; a longer claim is more
/// likely a mistake, and believing a mistake means sending an expired token.
pub const LIFE_MAX: Duration = Duration::from_secs(24 * 3600);

/// Wall clocks of two starts of one machine may differ this much before a stored token is distrusted.
const WALL_TOLERANCE: Duration = Duration::from_secs(60);

/// When a token is due for renewal, and when it is worthless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Private-app tokens and service keys: no expiry.
    Forever,
    /// An OAuth access token.
    Until {
        /// From here on it is renewed ahead of need.
        renew: Instant,
        /// From here on it is not sent.
        unusable: Instant,
    },
}

/// What a token is good for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Use it.
    Fresh,
    /// Use it, and renew it.
    Ageing,
    /// Known to be expired: never sent.
    Expired,
}

impl Validity {
    /// The validity of a token asked for at `asked` that lives `life` by the server's word.
    ///
    /// It is counted from the question, not the answer: erring early costs a refresh, erring late a
    /// 401. Renewal begins at 75 % to 85 % of its life (`jitter` spreads connections that were started
    /// together), use ends 5 s before its end, or 5 % before for very short lives.
    pub fn of_new(asked: Instant, life: Duration, jitter: u8) -> Self {
        let life = life.min(LIFE_MAX);
        Self::spanning(asked, life, life, jitter)
    }

    /// The validity of a stored token, or `None` if it is not plausible or over.
    ///
    /// Plausible is: obtained in the past (clocks may differ by a minute), and not of a longer life
    /// than tokens have.
    pub fn of_stored(
        obtained: Timestamp,
        expires: Timestamp,
        wall: Timestamp,
        now: Instant,
        jitter: u8,
    ) -> Option<Self> {
        let life = Duration::try_from(expires.duration_since(obtained)).ok()?;
        let left = Duration::try_from(expires.duration_since(wall)).ok()?;
        let from_the_future =
            obtained.duration_since(wall) > jiff::SignedDuration::try_from(WALL_TOLERANCE).ok()?;
        if life > LIFE_MAX || left > life + WALL_TOLERANCE || from_the_future {
            return None;
        }
        let validity = Self::spanning(now, left.min(life), life, jitter);
        (validity.phase(now) != Phase::Expired).then_some(validity)
    }

    /// The validity of a token stored `elapsed` ago by a clock that nobody can set; `None` if it is over.
    ///
    /// Both times are of the wall clock at the same moment, so what lies between them is the token's life
    /// even if the clock was wrong.
    pub fn of_stored_this_run(
        obtained: Timestamp,
        expires: Timestamp,
        elapsed: Duration,
        now: Instant,
        jitter: u8,
    ) -> Option<Self> {
        let life = Duration::try_from(expires.duration_since(obtained)).ok()?;
        if life > LIFE_MAX {
            return None;
        }
        let validity = Self::spanning(now, life.checked_sub(elapsed)?, life, jitter);
        (validity.phase(now) != Phase::Expired).then_some(validity)
    }

    fn spanning(from: Instant, left: Duration, life: Duration, jitter: u8) -> Self {
        let early = life.mul_f64(0.15 + 0.10 * f64::from(jitter) / 255.0);
        let margin = Duration::from_secs(5).min(life / 20);
        Self::Until {
            renew: from + left.saturating_sub(early),
            unusable: from + left.saturating_sub(margin),
        }
    }

    /// What the token is good for at `now`.
    pub fn phase(&self, now: Instant) -> Phase {
        match *self {
            Self::Forever => Phase::Fresh,
            Self::Until { unusable, .. } if now >= unusable => Phase::Expired,
            Self::Until { renew, .. } if now >= renew => Phase::Ageing,
            Self::Until { .. } => Phase::Fresh,
        }
    }
}

/// When a stored token of this life is renewed at the earliest, by the wall clock: for display.
pub fn renewed_from(obtained: Timestamp, expires: Timestamp) -> Timestamp {
    let early = expires.duration_since(obtained) / 4;
    expires.saturating_sub(early).unwrap_or(expires)
}

/// How long to leave the token endpoint alone after `failures` failures in a row, at least 1: 1 s
/// doubling to 60 s, less up to a quarter so that connections do not move in step; `asked` is the
/// server's own `Retry-After`, believed up to five minutes.
pub fn backoff(failures: u32, asked: Option<Duration>, jitter: u8) -> Duration {
    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(60);
    const ASKED_MAX: Duration = Duration::from_secs(300);
    let doubled = FIRST
        .saturating_mul(1u32 << failures.saturating_sub(1).min(6))
        .min(LONGEST);
    let spread = doubled.mul_f64(1.0 - 0.25 * f64::from(jitter) / 255.0);
    asked.map_or(spread, |asked| spread.max(asked.min(ASKED_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_HOUR: Duration = Duration::from_secs(1800);

    fn at(validity: Validity, start: Instant, seconds: u64) -> Phase {
        validity.phase(start + Duration::from_secs(seconds))
    }

    #[test]
    fn a_token_is_renewed_before_its_end_and_never_sent_after() {
        let start = Instant::now();
        for jitter in [0, 128, 255] {
            let validity = Validity::of_new(start, HALF_HOUR, jitter);
            assert_eq!(at(validity, start, 0), Phase::Fresh);
            assert_eq!(at(validity, start, 1349), Phase::Fresh);
            assert_eq!(at(validity, start, 1531), Phase::Ageing);
            assert_eq!(at(validity, start, 1794), Phase::Ageing);
            assert_eq!(at(validity, start, 1795), Phase::Expired);
        }
    }

    #[test]
    fn jitter_spreads_renewals() {
        let start = Instant::now();
        let late = Validity::of_new(start, HALF_HOUR, 0);
        let early = Validity::of_new(start, HALF_HOUR, 255);
        assert_eq!(at(early, start, 1400), Phase::Ageing);
        assert_eq!(at(late, start, 1400), Phase::Fresh);
    }

    #[test]
    fn a_very_short_life_is_still_usable() {
        let start = Instant::now();
        let validity = Validity::of_new(start, Duration::from_secs(2), 10);
        assert_eq!(validity.phase(start), Phase::Fresh);
        assert_eq!(
            validity.phase(start + Duration::from_millis(1950)),
            Phase::Expired
        );
        assert_eq!(
            Validity::of_new(start, Duration::ZERO, 0).phase(start),
            Phase::Expired
        );
    }

    #[test]
    fn an_absurd_life_is_not_believed() {
        let start = Instant::now();
        let validity = Validity::of_new(start, Duration::MAX, 0);
        assert_eq!(validity.phase(start + LIFE_MAX), Phase::Expired);
    }

    #[test]
    fn a_stored_token_counts_only_if_its_times_are_plausible() {
        let wall = |second: i64| Timestamp::from_second(second).unwrap();
        let now = Instant::now();
        let restore = |obtained, expires, today| {
            Validity::of_stored(wall(obtained), wall(expires), wall(today), now, 0)
        };
        assert!(restore(1_000, 2_800, 1_100).is_some());
        assert!(restore(1_000, 2_800, 2_799).is_none(), "within the margin");
        assert!(restore(1_000, 2_800, 9_000).is_none(), "over");
        assert!(restore(1_000, 2_800, 500).is_none(), "obtained in the future");
        assert!(restore(1_000, 2_800, 970).is_some(), "clocks differ a little");
        assert!(restore(2_800, 1_000, 900).is_none(), "ends before it begins");
        assert!(restore(1_000, 9_000_000, 1_100).is_none(), "too long a life");
    }

    #[test]
    fn a_token_stored_in_this_run_of_the_machine_is_as_old_as_its_clock_says() {
        let wall = |second: i64| Timestamp::from_second(second).unwrap();
        let now = Instant::now();
        let restore = |obtained, expires, elapsed| {
            let elapsed = Duration::from_secs(elapsed);
            Validity::of_stored_this_run(wall(obtained), wall(expires), elapsed, now, 0)
        };
        let young = restore(1_000, 2_800, 100).unwrap();
        assert_eq!(young.phase(now), Phase::Fresh);
        assert_eq!(young.phase(now + Duration::from_secs(1_695)), Phase::Expired);
        assert!(restore(1_000, 2_800, 1_796).is_none(), "within the margin");
        assert!(restore(1_000, 2_800, 9_000).is_none(), "over");
        assert!(restore(2_800, 1_000, 0).is_none(), "ends before it begins");
        assert!(restore(1_000, 9_000_000, 0).is_none(), "too long a life");
    }

    #[test]
    fn a_restored_token_keeps_its_original_end() {
        let wall = |second: i64| Timestamp::from_second(second).unwrap();
        let now = Instant::now();
        let validity = Validity::of_stored(wall(0), wall(1800), wall(1700), now, 0).unwrap();
        assert_eq!(validity.phase(now), Phase::Ageing);
        assert_eq!(validity.phase(now + Duration::from_secs(95)), Phase::Expired);
    }

    #[test]
    fn back_off_doubles_to_a_minute_and_obeys_retry_after_within_reason() {
        assert_eq!(backoff(1, None, 0), Duration::from_secs(1));
        assert_eq!(backoff(4, None, 0), Duration::from_secs(8));
        assert_eq!(backoff(1_000, None, 0), Duration::from_secs(60));
        assert_eq!(backoff(4, None, 255), Duration::from_secs(6));
        let second = Duration::from_secs(1);
        assert_eq!(backoff(1, Some(30 * second), 0), 30 * second);
        assert_eq!(backoff(1, Some(Duration::MAX), 0), 300 * second);
        assert_eq!(backoff(9, Some(second), 0), 60 * second);
    }
}
