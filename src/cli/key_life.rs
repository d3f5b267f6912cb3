//! How long a key lives: what an operator writes as `--expires` and `--overlap`.

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

use super::CommandError;

/// Longest life a key may be given.
const LIFE_MAX_DAYS: i64 = 3_660;

/// The instant from which a key given `--expires text` is worthless.
pub fn end_of(text: &str, now: Timestamp) -> Result<Timestamp, CommandError> {
    let malformed = || {
        CommandError::usage("`--expires` is the last day (`2027-06-30`), or how long from now (`90d`, `12h`)")
    };
    let end = match span(text) {
        Some(length) => later(now, length)?,
        None => {
            let last: Date = text.parse().map_err(|_| malformed())?;
            let first_after = last.tomorrow().map_err(|_| malformed())?;
            first_after
                .to_zoned(TimeZone::UTC)
                .map_err(|_| malformed())?
                .timestamp()
        }
    };
    if end <= now {
        return Err(CommandError::usage("`--expires` is in the past"));
    }
    if end.duration_since(now) > SignedDuration::from_hours(24 * LIFE_MAX_DAYS) {
        return Err(CommandError::usage(
            "`--expires` is more than ten years ahead: leave it out",
        ));
    }
    Ok(end)
}

/// `90d`, `12h`.
pub fn span(text: &str) -> Option<SignedDuration> {
    let (number, hours) = match text.as_bytes() {
        [.., b'd'] => (text.strip_suffix('d')?, 24),
        [.., b'h'] => (text.strip_suffix('h')?, 1),
        _ => return None,
    };
    let plain = (1..=5).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let count: i64 = number.parse().ok().filter(|_| plain)?;
    Some(SignedDuration::from_hours(count * hours))
}

pub fn later(now: Timestamp, length: SignedDuration) -> Result<Timestamp, CommandError> {
    now.checked_add(length)
        .map_err(|_| CommandError::usage("the time given is too far ahead"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lives_to_the_end_of_its_last_day() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let end = |text: &str| end_of(text, now).map(|at| at.to_string());
        assert_eq!(end("2027-06-30").unwrap(), "2027-07-01T00:00:00Z");
        assert_eq!(end("90d").unwrap(), "2027-02-20T10:00:00Z");
        assert_eq!(end("12h").unwrap(), "2026-11-22T22:00:00Z");
        assert_eq!(end("2026-11-22").unwrap(), "2026-11-23T00:00:00Z");
        for bad in [
            "",
            "d",
            "-1d",
            "0d",
            "2026-11-21",
            "tomorrow",
            "999999d",
            "9999-12-31",
            "1.5d",
            "90 d",
        ] {
            assert!(end(bad).is_err(), "{bad}");
        }
    }
}
