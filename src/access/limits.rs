//! How much an integration may do, in numbers: the words of `limits:`.
//!
//! A cap bounds what is counted in any span of its window's length, in each connection by itself. What
//! was used is nobody's business here: that takes a clock and a memory (`quota/`).

use std::fmt;

use super::effect::Effect;
use super::refusal::Reason;

/// Largest number a cap may have: beyond it none is meant.
pub const CAP_MOST: u32 = 1_000_000_000;
/// Longest window, in seconds: 31 days. What was used must be remembered for as long.
pub const WINDOW_SECONDS_MAX: u32 = 31 * 86_400;
/// Most that `limits.batch` may be: as many records as any request of HubSpot's API takes (adding to
/// a list).
pub const BATCH_MAX: u32 = 100_000;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counted {
    /// Calls that pass.
    Requests,
    /// Records in answers to reads.
    RecordsRead,
    /// Records that writes name.
    RecordsWritten,
    /// Records that deletions name.
    RecordsDeleted,
    /// Records that what can't be undone names.
    RecordsIrreversible,
}

impl Counted {
    /// All, in the order of a policy.
    pub const ALL: [Counted; 5] = [
        Counted::Requests,
        Counted::RecordsRead,
        Counted::RecordsWritten,
        Counted::RecordsDeleted,
        Counted::RecordsIrreversible,
    ];

    /// The policy's word; after `limit_` it is the reason's.
    pub fn as_str(self) -> &'static str {
        match self {
            Counted::Requests => "requests",
            Counted::RecordsRead => "records_read",
            Counted::RecordsWritten => "records_written",
            Counted::RecordsDeleted => "records_deleted",
            Counted::RecordsIrreversible => "records_irreversible",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|counted| counted.as_str() == word)
    }

    /// Why a call did not pass.
    pub fn reason(self) -> Reason {
        match self {
            Counted::Requests => Reason::LimitRequests,
            Counted::RecordsRead => Reason::LimitRecordsRead,
            Counted::RecordsWritten => Reason::LimitRecordsWritten,
            Counted::RecordsDeleted => Reason::LimitRecordsDeleted,
            Counted::RecordsIrreversible => Reason::LimitRecordsIrreversible,
        }
    }

    /// What counts the records of a request with this effect; nothing counts those of `auth` and `meta`.
    pub fn of_records(effect: Effect) -> Option<Self> {
        match effect {
            Effect::Meta | Effect::Auth => None,
            Effect::Read => Some(Counted::RecordsRead),
            Effect::Write => Some(Counted::RecordsWritten),
            Effect::Delete => Some(Counted::RecordsDeleted),
            Effect::Irreversible => Some(Counted::RecordsIrreversible),
        }
    }

    /// The effect whose records it counts; `None` = of every call.
    pub fn effect(self) -> Option<Effect> {
        match self {
            Counted::Requests => None,
            Counted::RecordsRead => Some(Effect::Read),
            Counted::RecordsWritten => Some(Effect::Write),
            Counted::RecordsDeleted => Some(Effect::Delete),
            Counted::RecordsIrreversible => Some(Effect::Irreversible),
        }
    }

    /// Whether what was used is kept on the disk before a call goes up, and so survives the gate.
    pub fn is_durable(self) -> bool {
        matches!(self, Counted::RecordsDeleted | Counted::RecordsIrreversible)
    }

    /// Its place in an array of all.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// At most so many in any span of so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// At most so many; never 0.
    pub most: u32,
    /// In so many seconds; never 0.
    pub window_seconds: u32,
}

/// Units of a window, the longest first.
const UNITS: [(char, u32); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Cap {
    /// Reads `50/10s`; units are `s`, `m`, `h`, `d`. `None`: that is none, or beyond the bounds.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |digits: &str| -> Option<u32> {
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            let number: u32 = digits.parse().ok().filter(|_| plain)?;
            (number > 0 && !digits.starts_with('0')).then_some(number)
        };
        let (most, window) = text.split_once('/')?;
        let unit = window.chars().last()?;
        let (_, seconds) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        let count = number(window.strip_suffix(unit)?)?;
        let cap = Self {
            most: number(most)?,
            window_seconds: count.checked_mul(seconds)?,
        };
        (cap.most <= CAP_MOST && cap.window_seconds <= WINDOW_SECONDS_MAX).then_some(cap)
    }

    /// Its window in milliseconds.
    pub fn window_ms(self) -> u64 {
        u64::from(self.window_seconds) * 1_000
    }

    /// Whether whatever passes under `self` passes under `other`.
    pub fn is_within(self, other: Self) -> bool {
        let windows = other.window_seconds.div_ceil(self.window_seconds.max(1));
        u64::from(self.most) * u64::from(windows) <= u64::from(other.most)
    }

    /// Its window as a policy writes it: `10s`.
    pub fn window(self) -> String {
        let fits = |(_, seconds): &(char, u32)| self.window_seconds.is_multiple_of(*seconds);
        let (unit, seconds) = UNITS.into_iter().find(fits).unwrap_or(('s', 1));
        format!("{}{unit}", self.window_seconds / seconds)
    }
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.most, self.window())
    }
}

/// The limits of one policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Most records that one request may name.
    pub batch: Option<u32>,
    caps: [Option<Cap>; 5],
}

impl Limits {
    /// Limits as a policy has them; of two caps on one thing the last holds.
    pub fn new(batch: Option<u32>, caps: impl IntoIterator<Item = (Counted, Cap)>) -> Self {
        let mut limits = Self {
            batch,
            caps: [None; 5],
        };
        for (counted, cap) in caps {
            if let Some(slot) = limits.caps.get_mut(counted.index()) {
                *slot = Some(cap);
            }
        }
        limits
    }

    /// The cap on what is counted, if there is one.
    pub fn cap(&self, counted: Counted) -> Option<Cap> {
        self.caps.get(counted.index()).copied().flatten()
    }

    /// Every cap there is.
    pub fn caps(&self) -> impl Iterator<Item = (Counted, Cap)> + '_ {
        let of = |counted| Some((counted, self.cap(counted)?));
        Counted::ALL.into_iter().filter_map(of)
    }

    /// Whether there is a cap at all: without one nothing is counted.
    pub fn has_caps(&self) -> bool {
        self.caps.iter().any(Option::is_some)
    }

    /// The cap on the records of requests with this effect.
    pub fn cap_on_records(&self, effect: Effect) -> Option<(Counted, Cap)> {
        let counted = Counted::of_records(effect)?;
        Some((counted, self.cap(counted)?))
    }

    /// Whether how many records a request names matters: for a batch, or for a cap on records.
    pub fn count_records(&self) -> bool {
        let on_records = |counted: &Counted| *counted != Counted::Requests && self.cap(*counted).is_some();
        self.batch.is_some() || Counted::ALL.iter().any(on_records)
    }
}

/// As a policy writes them: `requests 50/10s, batch 50`; empty when there is none.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let caps = self
            .caps()
            .map(|(counted, cap)| format!("{} {cap}", counted.as_str()));
        let batch = self.batch.map(|most| format!("batch {most}"));
        let words: Vec<String> = caps.chain(batch).collect();
        f.write_str(&words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_is_a_number_a_slash_and_a_window() {
        for (text, most, seconds, shown) in [
            ("50/10s", 50, 10, "50/10s"),
            ("5000/1h", 5000, 3600, "5000/1h"),
            ("1/60m", 1, 3600, "1/1h"),
            ("20/7d", 20, 604_800, "20/7d"),
            ("3/90s", 3, 90, "3/90s"),
            ("1000000000/31d", 1_000_000_000, 2_678_400, "1000000000/31d"),
        ] {
            let cap = Cap::parse(text).unwrap();
            assert_eq!((cap.most, cap.window_seconds), (most, seconds), "{text}");
            assert_eq!(cap.to_string(), shown);
        }
        for bad in [
            "",
            "50",
            "50/",
            "/10s",
            "50/10",
            "50/s",
            "0/10s",
            "50/0s",
            "050/10s",
            "50/010s",
            "50 / 10s",
            "-1/1s",
            "+5/1s",
            "50/10S",
            "50/10w",
            "1.5/1h",
            "50/1.5h",
            "1000000001/1s",
            "1/32d",
            "1/745h",
            "5/99999999999999s",
            "99999999999/1s",
            "5/1µ",
        ] {
            assert_eq!(Cap::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn one_cap_is_within_another_when_nothing_it_lets_through_is_too_much_for_that() {
        let cap = |text| Cap::parse(text).unwrap();
        for (inner, outer, within) in [
            ("50/10s", "50/10s", true),
            ("40/10s", "50/10s", true),
            ("60/10s", "50/10s", false),
            // In any hour there are 360 spans of ten seconds.
            ("50/10s", "18000/1h", true),
            ("50/10s", "17999/1h", false),
            ("50/1h", "50/10s", true),
            ("51/1h", "50/10s", false),
            // A window that is no multiple may be met one more time.
            ("10/7s", "20/10s", true),
            ("10/7s", "19/10s", false),
        ] {
            assert_eq!(cap(inner).is_within(cap(outer)), within, "{inner} in {outer}");
        }
    }

    #[test]
    fn limits_read_as_a_policy_writes_them() {
        let cap = |text| Cap::parse(text).unwrap();
        let limits = Limits::new(
            Some(50),
            [
                (Counted::RecordsRead, cap("5000/1h")),
                (Counted::Requests, cap("50/10s")),
            ],
        );
        assert_eq!(
            limits.to_string(),
            "requests 50/10s, records_read 5000/1h, batch 50"
        );
        assert!(limits.has_caps() && limits.count_records());
        assert_eq!(
            limits.cap_on_records(Effect::Read),
            Some((Counted::RecordsRead, cap("5000/1h")))
        );
        assert_eq!(limits.cap_on_records(Effect::Write), None);
        assert_eq!(limits.cap_on_records(Effect::Auth), None);
        let requests = Limits::new(None, [(Counted::Requests, cap("1/1s"))]);
        assert!(requests.has_caps() && !requests.count_records());
        assert!(!Limits::default().has_caps() && Limits::default().to_string().is_empty());
        for counted in Counted::ALL {
            assert_eq!(Counted::parse(counted.as_str()), Some(counted));
            assert_eq!(counted.reason().as_str(), format!("limit_{}", counted.as_str()));
            assert_eq!(
                counted.effect().and_then(Counted::of_records).unwrap_or(counted),
                counted
            );
        }
    }
}
