//! When an idle HTTP/1 connection goes to sleep: gives its buffers and its reader back, and keeps the socket.
//!
//! Waking makes half a dozen allocations, buffers of 8 KiB among them. A client that asks again at once must not
//! pay for them each time, and one that asked once must not hold them meanwhile: most connections of a large
//! pool do nothing most of the time. So a connection sleeps as soon as it has nothing to do, unless its last
//! sleep was a short one; then it first waits for [`GRACE`].

use std::time::Duration;

use tokio::time::Instant;

/// How long a connection that is in use stays awake without a request. Asked more often than this it never
/// pays for waking; asked less often, it pays at most four times a second. Longer would let more connections
/// hold buffers at once, and what a thousand of them held stays with the process: asked three times in a row
/// and then left alone, 15 KiB each with two seconds, 2.6 with this (debug build, glibc).
pub const GRACE: Duration = Duration::from_millis(250);

/// The rests of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Rest {
    since: Instant,
    /// Its last sleep was shorter than [`GRACE`].
    is_lively: bool,
    /// Without a request, and awake all the same.
    in_grace: bool,
}

impl Rest {
    /// Before the first request: it sleeps at once.
    pub fn new(now: Instant) -> Self {
        Self {
            since: now,
            is_lively: false,
            in_grace: false,
        }
    }

    /// Nothing is to be done from now on, and the connection ends after `idle` of it. When to look again.
    pub fn begin(&mut self, now: Instant, idle: Duration) -> Instant {
        self.since = now;
        self.in_grace = self.is_lively && GRACE < idle;
        now + if self.in_grace { GRACE } else { idle }
    }

    /// The time to look again has come: until when the connection now sleeps. `None`: it was the end.
    pub fn look_again(&mut self, idle: Duration) -> Option<Instant> {
        std::mem::take(&mut self.in_grace).then(|| self.since + idle)
    }

    /// Whether it stays awake although nothing is to be done.
    pub fn is_in_grace(&self) -> bool {
        self.in_grace
    }

    /// There is something to be done again.
    pub fn end(&mut self, now: Instant) {
        self.is_lively = now.saturating_duration_since(self.since) < GRACE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(75);

    #[test]
    fn who_asks_once_sleeps_at_once_and_who_asks_again_soon_is_kept_awake_until_it_stops() {
        let begun = Instant::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let mut rest = Rest::new(begun);
        assert_eq!(
            rest.begin(at(0), IDLE),
            at(75_000),
            "the first request is answered"
        );
        assert!(!rest.is_in_grace());
        rest.end(at(100));
        assert_eq!(rest.begin(at(101), IDLE), at(351), "the second came soon");
        assert!(rest.is_in_grace());
        // Awake, it is asked on and on: nothing ends but the rest.
        assert_eq!(rest.begin(at(200), IDLE), at(450));
        assert_eq!(rest.look_again(IDLE), Some(at(75_200)), "the end has not moved");
        assert!(!rest.is_in_grace(), "now it sleeps");
        assert_eq!(rest.look_again(IDLE), None, "the next time is the end");
        rest.end(at(60_000));
        rest.begin(at(60_001), IDLE);
        assert!(!rest.is_in_grace(), "its sleep was a long one");
    }

    #[test]
    fn a_connection_that_may_idle_no_longer_than_the_grace_has_none() {
        let begun = Instant::now();
        let mut rest = Rest::new(begun);
        rest.end(begun);
        assert_eq!(rest.begin(begun, GRACE), begun + GRACE);
        assert!(!rest.is_in_grace());
        assert_eq!(rest.look_again(GRACE), None);
    }
}
