//! When a long-lived credential is due for rotation: by its age, because its installer has gone, or
//! because somebody said so after an incident.
//!
//! A finding, never a refusal: an old credential works as well as a new one. For an OAuth grant only a
//! new authorisation by a person is a rotation (or an uninstall and a new install): refreshing it, and
//! even a server that hands out a new refresh token each time, leaves a stolen copy of the grant alive.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// What is known of a credential's age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialAge {
    /// When it was issued, or handed to the gate.
    pub issued: Timestamp,
    /// When somebody said that it must be rotated, if nobody has rotated it since.
    pub marked: Option<Timestamp>,
    /// Since when the person behind it is gone.
    pub installer_gone: Option<Timestamp>,
}

/// Why a credential is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationReason {
    /// Somebody said so: an incident.
    Marked,
    /// The person behind it is gone.
    Installer,
    /// It is older than `rotation.max_age`.
    Age,
}

impl RotationReason {
    /// The word in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Marked => "marked",
            Self::Installer => "installer",
            Self::Age => "age",
        }
    }
}

/// A credential that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationDue {
    /// Since when.
    pub since: Timestamp,
    /// Why: the most pressing reason.
    pub why: RotationReason,
}

/// When a credential of this age comes due by age alone; `None` when it never does (`max_age` 0).
pub fn rotation_at(issued: Timestamp, max_age: Duration) -> Option<Timestamp> {
    if max_age.is_zero() {
        return None;
    }
    let age = SignedDuration::try_from(max_age).ok()?;
    issued.saturating_add(age).ok()
}

/// Whether a credential is due at `now`.
pub fn rotation_due(age: &CredentialAge, max_age: Duration, now: Timestamp) -> Option<RotationDue> {
    let by_age = rotation_at(age.issued, max_age).filter(|at| *at <= now);
    let reasons = [
        (age.marked, RotationReason::Marked),
        (age.installer_gone, RotationReason::Installer),
        (by_age, RotationReason::Age),
    ];
    reasons
        .into_iter()
        .find_map(|(since, why)| since.map(|since| RotationDue { since, why }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn day(day: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + day * DAY).unwrap()
    }

    fn days(days: u64) -> Duration {
        Duration::from_secs(days * DAY as u64)
    }

    #[test]
    fn a_credential_comes_due_by_age_by_word_and_by_its_installer() {
        let plain = CredentialAge {
            issued: day(0),
            marked: None,
            installer_gone: None,
        };
        let marked = CredentialAge {
            marked: Some(day(3)),
            ..plain
        };
        let gone = CredentialAge {
            installer_gone: Some(day(2)),
            ..plain
        };
        let due = |since, why| {
            Some(RotationDue {
                since: day(since),
                why,
            })
        };
        let cases = [
            (plain, days(365), 364, None),
            (plain, days(365), 365, due(365, RotationReason::Age)),
            (plain, days(365), 500, due(365, RotationReason::Age)),
            (plain, days(0), 5_000, None),
            (marked, days(365), 3, due(3, RotationReason::Marked)),
            (marked, days(0), 4, due(3, RotationReason::Marked)),
            (gone, days(0), 4, due(2, RotationReason::Installer)),
            (marked, days(1), 400, due(3, RotationReason::Marked)),
        ];
        for (age, max_age, now, expected) in cases {
            assert_eq!(
                rotation_due(&age, max_age, day(now)),
                expected,
                "{age:?} {max_age:?} {now}"
            );
        }
    }

    #[test]
    fn a_clock_that_goes_back_makes_nothing_due() {
        let age = CredentialAge {
            issued: day(400),
            marked: None,
            installer_gone: None,
        };
        assert_eq!(rotation_due(&age, days(365), day(0)), None);
        assert_eq!(rotation_at(day(0), Duration::MAX), None);
    }
}
