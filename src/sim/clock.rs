//! The simulator's time: the machine's, plus what tests have moved it forward by.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A clock that can be moved forward, so that tokens expire without anybody sleeping.
#[derive(Debug, Default)]
pub(super) struct Clock {
    ahead_ms: AtomicI64,
}

impl Clock {
    /// Milliseconds since 1970 in simulated time.
    pub(super) fn now_ms(&self) -> i64 {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        millis(real).saturating_add(self.ahead_ms.load(Ordering::Relaxed))
    }

    /// Moves simulated time forward.
    pub(super) fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(millis(by), Ordering::Relaxed);
    }
}

/// A duration in whole milliseconds, saturating.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// `2026-03-01T09:30:00.000Z`, HubSpot's form of a time.
pub(super) fn iso(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Reads a time as HubSpot accepts it: ISO 8601, a calendar date, or milliseconds since 1970.
pub(super) fn parse_time_ms(text: &str) -> Option<i64> {
    if let Ok(ms) = text.parse::<i64>() {
        return Some(ms);
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_millisecond());
    }
    let date: jiff::civil::Date = text.parse().ok()?;
    let days = date.since(jiff::civil::date(1970, 1, 1)).ok()?.get_days();
    Some(i64::from(days) * 86_400_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_three_decimals_and_read_back_in_every_accepted_form() {
        assert_eq!(iso(1_767_225_600_000), "2026-01-01T00:00:00.000Z");
        for text in [
            "2026-01-01T00:00:00.000Z",
            "2026-01-01T00:00:00Z",
            "2026-01-01",
            "1767225600000",
        ] {
            assert_eq!(parse_time_ms(text), Some(1_767_225_600_000), "{text}");
        }
        assert_eq!(parse_time_ms("soon"), None);
    }

    #[test]
    fn time_moves_forward_without_sleeping() {
        let clock = Clock::default();
        let before = clock.now_ms();
        clock.advance(Duration::from_secs(1800));
        assert!(clock.now_ms() >= before + 1_800_000);
    }
}
