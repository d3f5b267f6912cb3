//! One value as written, whatever layer it came from, and the ways to read it.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A value as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing: the setting is off.
    Null,
    /// A scalar.
    Text(String),
    /// A list of scalars.
    List(Vec<String>),
}

/// Why a value can't be used: what would be accepted.
pub(super) type Reading<T> = Result<T, String>;

impl Value {
    /// From a variable of the environment or a flag: empty or `null` is nothing, `[a, b]` a list.
    pub(super) fn from_text(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() || text == "null" {
            return Value::Null;
        }
        match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(items) => Value::List(
                items
                    .split(',')
                    .map(|item| item.trim().trim_matches(['"', '\'']).to_owned())
                    .filter(|item| !item.is_empty())
                    .collect(),
            ),
            None => Value::Text(text.to_owned()),
        }
    }

    /// As YAML would have it.
    pub(super) fn shown(&self) -> String {
        match self {
            Value::Null => "null".to_owned(),
            Value::Text(text) => quoted(text),
            Value::List(items) => {
                let items: Vec<_> = items.iter().map(|item| quoted(item)).collect();
                format!("[{}]", items.join(", "))
            }
        }
    }

    pub(super) fn text(&self) -> Reading<&str> {
        match self {
            Value::Text(text) if !text.is_empty() => Ok(text),
            Value::Text(_) | Value::Null => Err("a value is needed here".to_owned()),
            Value::List(_) => Err("one value is needed here, not a list".to_owned()),
        }
    }

    pub(super) fn optional<'a, T>(&'a self, read: impl FnOnce(&'a Self) -> Reading<T>) -> Reading<Option<T>> {
        match self {
            Value::Null => Ok(None),
            other => read(other).map(Some),
        }
    }

    /// A list, or one value in place of a list of one.
    pub(super) fn list(&self) -> Vec<String> {
        match self {
            Value::Null => Vec::new(),
            Value::Text(text) => vec![text.clone()],
            Value::List(items) => items.clone(),
        }
    }

    pub(super) fn boolean(&self) -> Reading<bool> {
        match self.text()? {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("`true` or `false` is needed here".to_owned()),
        }
    }

    pub(super) fn address(&self) -> Reading<SocketAddr> {
        self.text()?.parse().map_err(|_| {
            "an IP address and a port are needed here, as `127.0.0.1:8080` or `[::1]:8080`".to_owned()
        })
    }

    /// A path; one that is not absolute is relative to `base`.
    pub(super) fn path(&self, base: &Path) -> Reading<PathBuf> {
        Ok(base.join(self.text()?))
    }

    pub(super) fn word(&self, words: &[&'static str]) -> Reading<&'static str> {
        let text = self.text()?;
        words.iter().copied().find(|word| *word == text).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
            format!("one of {} is needed here", words.join(", "))
        })
    }

    pub(super) fn count(&self, range: RangeInclusive<u64>) -> Reading<u64> {
        let count = self
            .text()?
            .parse::<u64>()
            .ok()
            .filter(|count| range.contains(count));
        count.ok_or_else(|| {
            format!(
                "a whole number from {} to {} is needed here",
                range.start(),
                range.end()
            )
        })
    }

    /// `500ms`, `5s`, `10m`, `2h`, `1d`: a whole number and one unit.
    pub(super) fn duration(&self, range: RangeInclusive<Duration>) -> Reading<Duration> {
        let text = self.text()?;
        let duration = duration(text)
            .ok_or_else(|| "a duration is needed here, as `500ms`, `5s`, `10m` or `2h`".to_owned())?;
        if range.contains(&duration) {
            return Ok(duration);
        }
        Err(format!(
            "a duration from {} to {} is needed here",
            duration_text(*range.start()),
            duration_text(*range.end())
        ))
    }

    /// `65536`, `64KiB`, `8MiB`, `1GiB`.
    pub(super) fn size(&self, range: RangeInclusive<u64>) -> Reading<u64> {
        let text = self.text()?;
        let size =
            size(text).ok_or_else(|| "a size is needed here, as `65536`, `64KiB` or `8MiB`".to_owned())?;
        if range.contains(&size) {
            return Ok(size);
        }
        Err(format!(
            "a size from {} to {} bytes is needed here",
            range.start(),
            range.end()
        ))
    }

    /// An http or https origin: no path, query or user in it. Without the slash at its end.
    pub(super) fn origin(&self) -> Reading<String> {
        let text = self.text()?;
        let needed = || "an origin is needed here, as `https://host` or `http://host:port`".to_owned();
        let uri: http::Uri = text.parse().map_err(|_| needed())?;
        let authority = uri.authority().ok_or_else(needed)?;
        let scheme = uri.scheme_str().filter(|s| matches!(*s, "http" | "https"));
        if authority.as_str().contains('@') || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err("an origin is needed here: no path, query or user in it".to_owned());
        }
        let scheme = scheme.ok_or_else(needed)?;
        Ok(format!("{scheme}://{}", authority.as_str().to_ascii_lowercase()))
    }
}

/// Whether YAML would take the text for what it is without quotes.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && text != "null"
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-/:@+".contains(c))
        && !text.ends_with(':')
        && !text.starts_with(['-', ':', '@']);
    if plain {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_millis(number.checked_mul(*millis)?))
}

/// The shortest text that reads back as `duration`.
pub(super) fn duration_text(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let unit = UNITS
        .iter()
        .rev()
        .find(|(_, unit)| millis % unit == 0 && millis > 0);
    let (name, unit) = unit.unwrap_or(&("s", 1_000));
    format!("{}{name}", millis / unit)
}

fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn durations_have_a_unit_and_are_whole() {
        let any = Duration::ZERO..=Duration::MAX;
        for (written, millis) in [
            ("500ms", 500),
            ("5s", 5_000),
            ("10m", 600_000),
            ("2h", 7_200_000),
            ("0s", 0),
        ] {
            assert_eq!(
                text(written).duration(any.clone()),
                Ok(Duration::from_millis(millis)),
                "{written}"
            );
        }
        for wrong in [
            "5",
            "",
            "s",
            "1.5s",
            "-1s",
            "5 s",
            "5S",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(text(wrong).duration(any.clone()).is_err(), "{wrong}");
        }
        assert_eq!(duration_text(Duration::from_secs(90)), "90s");
        assert_eq!(duration_text(Duration::from_secs(3600)), "1h");
    }

    #[test]
    fn sizes_are_bytes_or_binary_multiples() {
        let any = 0..=u64::MAX;
        for (written, bytes) in [
            ("65536", 65536),
            ("64KiB", 65536),
            ("8MiB", 8 << 20),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(text(written).size(any.clone()), Ok(bytes), "{written}");
        }
        for wrong in ["64KB", "1.5MiB", "GiB", "", "-1", "99999999999GiB"] {
            assert!(text(wrong).size(any.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_origin_has_no_path_query_or_user() {
        assert_eq!(
            text("https://API.hubapi.com/").origin(),
            Ok("https://api.hubapi.com".to_owned())
        );
        for wrong in [
            "api.hubapi.com",
            "ftp://x",
            "https://a@b",
            "https://x/y",
            "https://x?y",
            "",
            "https://",
        ] {
            assert!(text(wrong).origin().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_environment_can_say_nothing_and_lists() {
        assert_eq!(Value::from_text(" "), Value::Null);
        assert_eq!(Value::from_text("null"), Value::Null);
        assert_eq!(
            Value::from_text("[a, \"b c\"]"),
            Value::List(vec!["a".to_owned(), "b c".to_owned()])
        );
    }
}
