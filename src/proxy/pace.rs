//! Whether a client keeps up: a body that it sends, or an answer that it takes, must move so many bytes a
//! second, on average over some time of waiting for it.
//!
//! A deadline between two pieces alone lets a client hold a request open for one byte each time. Only
//! waiting for the client counts: what the upstream or the gate itself takes does not.

use std::time::{Duration, Instant};

use crate::config::Limits;

/// The least that must move; zero bytes = anything will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bytes a second.
    pub bytes_per_second: u64,
    /// Time of waiting over which they are averaged.
    pub over: Duration,
}

impl Rate {
    /// What the settings ask for.
    pub fn of(limits: &Limits) -> Self {
        Self {
            bytes_per_second: limits.body_rate,
            over: limits.body_rate_over,
        }
    }
}

/// One body's pace.
#[derive(Debug)]
pub struct Pace {
    rate: Rate,
    waiting_since: Option<Instant>,
    waited: Duration,
    bytes: u64,
}

/// The client does not keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSlow;

impl Pace {
    /// Before the first byte.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            waiting_since: None,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    /// The client is waited for. Judged here rather than when bytes come: whoever has sent the last of
    /// them is waited for no more, however long they took.
    pub fn waits(&mut self, now: Instant) -> Result<(), TooSlow> {
        if self.waiting_since.is_some() {
            return Ok(());
        }
        if self.waited >= self.rate.over {
            let wanted = u128::from(self.rate.bytes_per_second) * self.waited.as_millis();
            let moved = u128::from(self.bytes) * 1000;
            self.waited = Duration::ZERO;
            self.bytes = 0;
            if moved < wanted {
                return Err(TooSlow);
            }
        }
        self.waiting_since = Some(now);
        Ok(())
    }

    /// So many bytes moved.
    pub fn moved(&mut self, bytes: usize, now: impl FnOnce() -> Instant) {
        if let Some(since) = self.waiting_since.take() {
            self.waited += now().saturating_duration_since(since);
        }
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of waiting, then bytes.
    type Step = (u64, usize);

    /// How many steps a client gets.
    fn steps(rate: u64, steps: &[Step]) -> usize {
        let mut pace = Pace::new(Rate {
            bytes_per_second: rate,
            over: Duration::from_secs(10),
        });
        let mut now = Instant::now();
        for (taken, (seconds, bytes)) in steps.iter().enumerate() {
            if pace.waits(now) == Err(TooSlow) {
                return taken;
            }
            // Asked again while nothing came.
            assert_eq!(pace.waits(now), Ok(()));
            now += Duration::from_secs(*seconds);
            pace.moved(*bytes, || now);
        }
        steps.len()
    }

    #[test]
    fn a_trickle_is_ended_and_a_client_that_pauses_is_not() {
        let cases: [(&str, u64, &[Step], usize); 6] = [
            ("one byte each 29 s", 100, &[(29, 1), (29, 1), (29, 1)], 1),
            ("one byte a second", 100, &[(1, 1); 30], 10),
            ("just enough", 100, &[(1, 100); 30], 30),
            (
                "a long pause before a large piece",
                100,
                &[(25, 64_000), (25, 64_000)],
                2,
            ),
            ("no least rate", 0, &[(29, 1); 5], 5),
            ("the last byte is late", 100, &[(29, 1)], 1),
        ];
        for (name, rate, taken, expected) in cases {
            assert_eq!(steps(rate, taken), expected, "{name}");
        }
    }
}
