//! Whether a connection that answers reads still takes writes: said once, when it has not for long.
//!
//! HubSpot does not tell when an installer leaves or loses a right. Reads go on, every write is a 403,
//! and whoever watches reads sees nothing. So each side of a connection is judged by itself.

mod watch;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

pub use watch::{Watcher, show_connections};

use crate::access::effect::Class;
use crate::store::ConnectionHealth;

/// Failures in a row before they mean anything: one may be about one record.
pub const FAILURES: u64 = 3;

/// How the other side of a connection fares meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherSide {
    /// It has worked since the failures began: the case that nobody notices.
    Works,
    /// It fails as well.
    Fails,
    /// Nobody used it.
    Unused,
}

impl OtherSide {
    /// The word in alerts and lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Works => "work",
            Self::Fails => "fail",
            Self::Unused => "are not used",
        }
    }
}

/// One side of a connection does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Reads or writes.
    pub class: Class,
    /// The first failure since the last success.
    pub since: Timestamp,
    /// How many there were.
    pub failures: u64,
    /// The cause of the last one.
    pub cause: String,
    /// How the other side fares.
    pub other: OtherSide,
}

impl Failing {
    /// `every write has been refused since 2026-11-25 10:00Z (41 times, user_permission); reads work`.
    pub fn sentence(&self) -> String {
        let (class, other) = (self.class.as_str(), self.class.other().as_str());
        format!(
            "every {class} has been refused since {} ({} times, {}); {other}s {}",
            self.since.strftime("%Y-%m-%d %H:%MZ"),
            self.failures,
            self.cause,
            self.other.as_str()
        )
    }
}

/// The finding about one side, if there is one: at least three failures and no success between them,
/// the last at least `period` after the first. What nobody tries any more stays failing until it
/// succeeds: that nobody tries does not mend it.
pub fn failing(health: &ConnectionHealth, class: Class, period: Duration) -> Option<Failing> {
    let (side, other) = (health.of(class), health.of(class.other()));
    let (since, last) = (side.failing_since?, side.failure?);
    let period = SignedDuration::try_from(period).unwrap_or(SignedDuration::MAX);
    if side.failures < FAILURES || last.duration_since(since) < period {
        return None;
    }
    let other = match other {
        other if other.failures == 0 && other.success.is_some_and(|at| at >= since) => OtherSide::Works,
        other if other.failures > 0 => OtherSide::Fails,
        _ => OtherSide::Unused,
    };
    Some(Failing {
        class,
        since,
        failures: side.failures,
        cause: side.cause.clone().unwrap_or_else(|| "unknown".to_owned()),
        other,
    })
}

/// Every finding about a connection, its reads' first.
pub fn findings(health: &ConnectionHealth, period: Duration) -> Vec<Failing> {
    let sides = Class::ALL.into_iter();
    sides.filter_map(|class| failing(health, class, period)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ClassHealth;

    const DAY: Duration = Duration::from_secs(86_400);
    const HOUR: i64 = 3_600;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + hour * HOUR).unwrap()
    }

    /// Refused so many times, from one hour to another.
    fn refused(failures: u64, since: i64, last: i64) -> ClassHealth {
        ClassHealth {
            failure: Some(at(last)),
            cause: Some("user_permission".to_owned()),
            failures,
            failing_since: (failures > 0).then(|| at(since)),
            ..ClassHealth::default()
        }
    }

    fn worked(hour: i64) -> ClassHealth {
        ClassHealth {
            success: Some(at(hour)),
            successes: 1,
            ..ClassHealth::default()
        }
    }

    #[test]
    fn writes_that_are_refused_for_a_day_while_reads_work_are_a_finding() {
        let cases = [
            ("a day, three times", worked(20), refused(3, 0, 24), true),
            ("a day, twice", worked(20), refused(2, 0, 24), false),
            ("many within 23 hours", worked(20), refused(900, 0, 23), false),
            ("a success ended the row", worked(20), refused(0, 0, 24), false),
            (
                "nothing ever",
                ClassHealth::default(),
                ClassHealth::default(),
                false,
            ),
        ];
        for (what, read, write, expected) in cases {
            let health = ConnectionHealth { read, write };
            assert_eq!(failing(&health, Class::Write, DAY).is_some(), expected, "{what}");
            assert_eq!(failing(&health, Class::Read, DAY), None, "{what}");
        }
    }

    #[test]
    fn the_finding_says_how_the_other_side_fares() {
        for (read, other) in [
            (worked(1), OtherSide::Works),
            (worked(-5), OtherSide::Unused),
            (ClassHealth::default(), OtherSide::Unused),
            (refused(1, 3, 3), OtherSide::Fails),
        ] {
            let health = ConnectionHealth {
                read,
                write: refused(4, 0, 30),
            };
            assert_eq!(failing(&health, Class::Write, DAY).unwrap().other, other);
        }
    }

    #[test]
    fn reads_are_judged_as_writes_are() {
        let health = ConnectionHealth {
            read: refused(5, 0, 48),
            write: worked(40),
        };
        let found = findings(&health, DAY);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].sentence(),
            "every read has been refused since 2027-01-15 08:00Z (5 times, user_permission); writes work"
        );
    }
}
