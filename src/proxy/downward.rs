//! What of an answer's header comes down: an allow-list of names, and for each of them the values that
//! its grammar has.
//!
//! A value that is not of its field's grammar is left out, as is a field that stands twice and may
//! stand once: a client never has to choose. Free text is in one of them only, a file's name in
//! `Content-Disposition`, which no path may be in. Framing, and what the gate says itself, is written
//! elsewhere.

use http::header::HeaderName;
use uuid::Uuid;

use super::stop::JSON_UTF8;
use crate::answer_fields::{AnswerFields, Known, Name};
use crate::heads;

/// Whether a value is of a field's grammar.
pub(super) type Grammar = fn(&[u8]) -> bool;

/// Longest value of any field here but `Content-Disposition`.
const VALUE_BYTES: usize = 256;

/// What comes down, but for limits of HubSpot's that the gate has no name for, and whether a value is of the field's
/// grammar. `Location`, cookies, and whatever says how a connection is used do not.
fn grammar(known: Known) -> Option<Grammar> {
    Some(match known {
        Known::ContentType => is_media_type,
        Known::ContentDisposition => is_disposition,
        Known::ContentLanguage => is_language_list,
        Known::CacheControl | Known::Vary => is_directive_list,
        Known::Date | Known::Expires | Known::LastModified => is_date,
        Known::RetryAfter => is_delay,
        Known::ETag => is_etag,
        Known::Correlation => is_uuid,
        Known::LimitMax
        | Known::LimitRemaining
        | Known::LimitInterval
        | Known::LimitDaily
        | Known::LimitDailyRemaining
        | Known::LimitSecondly
        | Known::LimitSecondlyRemaining => is_number,
        Known::ContentEncoding
        | Known::Cause
        | Known::Connection
        | Known::Decision
        | Known::ScopegateConnection
        | Known::ShouldRetry
        | Known::Source
        | Known::Stripped
        | Known::WwwAuthenticate => return None,
    })
}

/// The name of an answer's field that the gate reads, however it is spelled. What nobody reads is not kept.
pub fn read_name(name: &[u8]) -> Option<Name> {
    let is = |known: Known| {
        let is_it = name.eq_ignore_ascii_case(known.lower().as_bytes());
        is_it.then_some(Name::Known(known))
    };
    match name.len() {
        4 => is(Known::Date)
            .or_else(|| is(Known::ETag))
            .or_else(|| is(Known::Vary)),
        7 => is(Known::Expires),
        11 => is(Known::RetryAfter),
        12 => is(Known::ContentType),
        13 => is(Known::CacheControl).or_else(|| is(Known::LastModified)),
        16 => is(Known::ContentEncoding).or_else(|| is(Known::ContentLanguage)),
        19 => is(Known::ContentDisposition),
        // A limit's name may be of any length, the correlation id's included.
        24 => is(Known::Correlation).or_else(|| rate_limit_name(name)),
        _ => rate_limit_name(name),
    }
}

fn rate_limit_name(name: &[u8]) -> Option<Name> {
    let (begin, rest) = name.split_at_checked(RATE_LIMIT.len())?;
    if rest.is_empty() || !begin.eq_ignore_ascii_case(RATE_LIMIT.as_bytes()) {
        return None;
    }
    let known = RATE_LIMITS_KNOWN.into_iter().find(|known| {
        let known = known.lower().as_bytes();
        rest.eq_ignore_ascii_case(known.get(RATE_LIMIT.len()..).unwrap_or_default())
    });
    let other = || HeaderName::from_bytes(name).ok().map(Name::Other);
    known.map(Name::Known).or_else(other)
}

/// HubSpot's limits, with a number each.
const RATE_LIMIT: &str = "x-hubspot-ratelimit-";

/// Those that it sends today.
const RATE_LIMITS_KNOWN: [Known; 7] = [
    Known::LimitMax,
    Known::LimitRemaining,
    Known::LimitInterval,
    Known::LimitDaily,
    Known::LimitDailyRemaining,
    Known::LimitSecondly,
    Known::LimitSecondlyRemaining,
];

/// The words of their names: from others a name could be put together that says something.
const RATE_LIMIT_WORDS: [&str; 16] = [
    "max",
    "remaining",
    "interval",
    "milliseconds",
    "seconds",
    "daily",
    "secondly",
    "minutely",
    "hourly",
    "monthly",
    "burst",
    "limit",
    "reset",
    "used",
    "search",
    "ten",
];

/// Most of them beside those that are known.
const OTHER_LIMITS: usize = 9;

/// Takes out of an answer's header fields what does not come down. `changed`: the body is not byte for byte the
/// upstream's, so that no validator of its holds.
pub fn downward(fields: &mut AnswerFields, changed: bool) {
    let mut others = 0;
    fields.keep(|name, value, twice| {
        let grammar = match name {
            Name::Known(Known::ETag) if changed => None,
            Name::Known(known) => grammar(*known),
            Name::Other(name) if others < OTHER_LIMITS && is_rate_limit(name.as_str()) => {
                others += 1;
                Some(is_number as Grammar)
            }
            Name::Other(_) => None,
        };
        !twice && grammar.is_some_and(|grammar| grammar(value))
    });
}

/// Whether an answer says twice, or not in its grammar, what its body is: then nobody can say how a
/// client would read it.
pub fn has_doubtful_type(fields: &AnswerFields) -> bool {
    let mut types = fields.all(Known::ContentType);
    let is_good = types.next().is_none_or(is_media_type);
    !is_good || types.next().is_some()
}

/// Whether a content type is JSON: then links are looked for.
pub fn is_json(fields: &AnswerFields) -> bool {
    fields.get(Known::ContentType).is_some_and(|value| {
        if value == JSON_UTF8.as_bytes() {
            return true;
        }
        let media = value
            .split(|byte| *byte == b';')
            .next()
            .unwrap_or_default()
            .trim_ascii();
        media.eq_ignore_ascii_case(b"application/json") || media.to_ascii_lowercase().ends_with(b"+json")
    })
}

/// Whether a content type is JSON, and says no other charset than UTF-8: then it can be filtered.
pub fn is_json_in_utf8(fields: &AnswerFields) -> bool {
    let kind = fields.get(Known::ContentType);
    let Some(text) = kind.and_then(|value| std::str::from_utf8(value).ok()) else {
        return false;
    };
    let mut parameters = text.split(';').skip(1).map(str::trim);
    is_json(fields)
        && parameters.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

/// Whether all of a limit's name is known.
fn is_rate_limit(name: &str) -> bool {
    name.strip_prefix(RATE_LIMIT)
        .is_some_and(|rest| rest.len() <= 40 && rest.split('-').all(|word| RATE_LIMIT_WORDS.contains(&word)))
}

fn is_number(value: &[u8]) -> bool {
    (1..=15).contains(&value.len()) && value.iter().all(u8::is_ascii_digit)
}

/// Seconds, at most eleven days, or a date.
fn is_delay(value: &[u8]) -> bool {
    (value.len() <= 6 && is_number(value)) || is_date(value)
}

fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36 && Uuid::try_parse_ascii(value).is_ok()
}

/// RFC 9110 §5.6.7's preferred form, byte by byte: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn is_date(value: &[u8]) -> bool {
    const FORM: &[u8; 29] = b"aaa, 00 aaa 0000 00:00:00 GMT";
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'a' => byte.is_ascii_alphabetic(),
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    };
    value.len() == FORM.len() && value.iter().zip(FORM).all(fits)
}

/// `type/subtype`, and parameters.
pub(super) fn is_media_type(value: &[u8]) -> bool {
    if value == JSON_UTF8.as_bytes() {
        return true;
    }
    let is_media = |media: &[u8]| {
        let mut halves = media.split(|byte| *byte == b'/');
        halves.next().is_some_and(is_token) && halves.next().is_some_and(is_token) && halves.next().is_none()
    };
    value.len() <= VALUE_BYTES
        && with_parameters(value, |_| {}).is_some_and(|media| is_media(media.trim_ascii()))
}

/// What stands before a value's parameters, each of which is `name=value`, `name="value"` or nothing (a last semicolon
/// is common), if they are; `note` is told their names.
fn with_parameters(value: &[u8], mut note: impl FnMut(&[u8])) -> Option<&[u8]> {
    let (first, mut rest) = value.split_at(memchr::memchr(b';', value).unwrap_or(value.len()));
    while let Some(behind) = rest.strip_prefix(b";") {
        let behind = behind.trim_ascii_start();
        let (name, behind) = behind.split_at(heads::leading_token(behind));
        if name.is_empty() {
            rest = behind;
            continue;
        }
        note(name);
        let behind = behind.strip_prefix(b"=")?;
        let behind = match behind.strip_prefix(b"\"") {
            Some(quoted) => {
                let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'\\';
                let (text, behind) = quoted.split_at(memchr::memchr(b'"', quoted)?);
                text.iter().all(is_plain).then_some(())?;
                behind.strip_prefix(b"\"")?
            }
            None => {
                let length = heads::leading_token(behind);
                (length > 0).then_some(())?;
                behind.get(length..)?
            }
        };
        rest = behind.trim_ascii_start();
    }
    rest.is_empty().then_some(first)
}

/// A kind and a file's name, said once, in which is no path.
fn is_disposition(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    let climbs = [&b"/"[..], b"\\", b"%2f", b"%5c", b".."]
        .iter()
        .any(|part| memchr::memmem::find(&lower, part).is_some());
    let mut names = 0;
    let kind = with_parameters(&lower, |name| names += usize::from(name == b"filename"));
    let is_of_its_grammar = kind.is_some_and(|kind| is_token(kind.trim_ascii())) && names <= 1;
    value.len() <= 2 * VALUE_BYTES && !climbs && is_of_its_grammar
}

fn is_language_list(value: &[u8]) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-, ".contains(byte);
    value.len() <= 64 && value.iter().all(fits)
}

/// `name`, `name=number`, separated by commas; `*`.
fn is_directive_list(value: &[u8]) -> bool {
    let fits = |byte: &u8| heads::is_token(*byte) || b", =".contains(byte);
    value.len() <= VALUE_BYTES && value.iter().all(fits)
}

/// `"tag"` or `W/"tag"`.
fn is_etag(value: &[u8]) -> bool {
    let tag = value.strip_prefix(b"W/").unwrap_or(value);
    let tag = tag.strip_prefix(b"\"").and_then(|tag| tag.strip_suffix(b"\""));
    tag.is_some_and(|tag| {
        tag.len() <= 128
            && tag
                .iter()
                .all(|byte| matches!(byte, b'!'..=b'~') && *byte != b'"')
    })
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && heads::leading_token(text) == text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comes(name: &str, value: &str) -> bool {
        let mut fields = AnswerFields::default();
        let Some(read) = read_name(name.as_bytes()) else {
            return false;
        };
        fields.push(read.clone(), value.as_bytes());
        downward(&mut fields, false);
        let mut left = fields.iter();
        let first = left.next();
        assert!(first.is_none_or(|first| first == (&read, value.as_bytes())) && left.next().is_none());
        first.is_some()
    }

    #[test]
    fn a_value_comes_down_only_in_its_fields_grammar() {
        let uuid = "11111111-2222-3333-4444-55555555555a";
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let long = "x".repeat(300);
        #[rustfmt::skip]
        let table: &[(&str, &[&str], &[&str])] = &[
            ("content-type",
                &["application/json;charset=utf-8", "application/json; charset=\"utf-8\"", "text/csv;", "text/csv ; a=b;; c=\"; d\" ", "image/svg+xml"],
                &["", "json", "a/b/c", "a/ b", "application/json; x", "a/b;c=\"d\"e\"", "a/b; c=\u{e9}", "a/b\tc", &format!("a/{long}")]),
            ("content-disposition",
                &["attachment", "attachment; filename=\"q3 report.csv\"", "inline; filename*=UTF-8''%e2%82%ac.csv", "attachment; filename=\"a; b=c.pdf\";", "attachment; filename=a.csv; filename*=utf-8''a.csv"],
                &["", "attachment; filename=\"a", "attachment; filename=\"a\"; filename=\"b\"", "attachment; filename=a; FileName=b", "attachment;;=", "attachment; filename", "attachment; filename=\"a\"b", "attachment filename=a", "attachment; filename=\"../../etc/passwd\"", "attachment; filename=a\\b", "attachment; filename*=UTF-8''..%2Fx", "attachment; filename=\u{e9}", &format!("attachment; filename={long}{long}")]),
            ("content-language", &["en", "en-GB, de"], &["en;q=1", &long]),
            ("cache-control", &["no-cache, no-store, max-age=0", "private"], &["private=\"x\"", "a:b", &long]),
            ("vary", &["origin, Accept-Encoding", "*"], &["a/b", &long]),
            ("date", &[date], &["now", "Sun, 06 Nov 1994 08:49:37 CET", "1994-11-06"]),
            ("expires", &[date], &["0", "-1"]),
            ("last-modified", &[date], &["", "x"]),
            ("retry-after", &["0", "7", "86400", date], &["", "-1", "1.5", "1e9", "9999999", "soon", "1, 2"]),
            ("x-hubspot-correlation-id", &[uuid, &uuid.to_uppercase()], &["", "x", &uuid[1..], "pat-na1-1111-2222-3333-4444-55555555"]),
            ("x-hubspot-ratelimit-max", &["100", "0"], &["", "a", "1 ", "-1", "1234567890123456"]),
            ("x-hubspot-ratelimit-secondly-remaining", &["3"], &["x"]),
            ("x-hubspot-ratelimit-pat-na1-token", &[], &["1"]),
            ("x-hubspot-ratelimit-", &[], &["1"]),
            ("x-hubspot-ratelimit-max-max-max-max-max-max-max-max-max-max-max", &[], &["1"]),
            ("etag", &["\"abc\"", "W/\"abc\""], &["abc", "\"a\"b\"", "\"a b\"", "W/abc", "\""]),
            ("location", &[], &["/x"]),
            ("set-cookie", &[], &["a=b"]),
            ("x-hubspot-auth-failure", &[], &["401 Unauthorized"]),
        ];
        for (name, good, bad) in table {
            assert!(
                good.is_empty()
                    || [(*name).to_owned(), name.to_uppercase()]
                        .iter()
                        .all(|spelled| read_name(spelled.as_bytes()).unwrap().lower() == *name),
                "{name}"
            );
            for value in *good {
                assert!(comes(name, value), "{name}: {value}");
            }
            for value in *bad {
                assert!(!comes(name, value), "{name}: {value}");
            }
        }
    }

    #[test]
    fn whatever_limit_would_come_down_is_read() {
        for first in RATE_LIMIT_WORDS {
            for name in [first.to_owned(), format!("{first}-used")] {
                let name = format!("{RATE_LIMIT}{name}");
                assert!(
                    is_rate_limit(&name) && read_name(name.as_bytes()).is_some(),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn limits_that_are_known_are_made_of_the_words() {
        for known in RATE_LIMITS_KNOWN {
            let known = known.lower();
            let rest = known.strip_prefix(RATE_LIMIT).unwrap();
            assert!(
                rest.split('-').all(|word| RATE_LIMIT_WORDS.contains(&word)),
                "{known}"
            );
            assert_eq!(read_name(known.to_uppercase().as_bytes()).unwrap().lower(), known);
        }
    }

    #[test]
    fn a_field_that_stands_twice_comes_not_at_all_and_a_validator_only_with_the_same_bytes() {
        let names = [
            Known::ContentType,
            Known::RetryAfter,
            Known::LimitMax,
            Known::ETag,
        ];
        let mut names: Vec<Name> = names.map(Name::Known).to_vec();
        names.push(read_name(b"x-hubspot-ratelimit-burst").unwrap());
        let mut from = AnswerFields::default();
        for name in &names {
            let value = match name {
                Name::Known(Known::ContentType) => "a/b",
                Name::Known(Known::ETag) => "\"x\"",
                _ => "1",
            };
            from.push(name.clone(), value.as_bytes());
        }
        let down = |changed| {
            let mut fields = from.clone();
            downward(&mut fields, changed);
            fields.iter().count()
        };
        assert_eq!((down(false), down(true)), (5, 4));
        assert!(!has_doubtful_type(&from));
        for (name, value) in from.clone().iter() {
            from.push(name.clone(), value);
        }
        assert!(has_doubtful_type(&from));
        let mut down = from;
        downward(&mut down, false);
        assert_eq!(down, AnswerFields::default());
        for name in [&b"content-encoding"[..], b"Content-Encoding"] {
            assert_eq!(
                read_name(name),
                Some(Name::Known(Known::ContentEncoding)),
                "it says how the body is packed"
            );
        }
        for name in [
            &b""[..],
            b"x",
            b"set-cookie",
            b"location",
            b"x-hubspot-ratelimit-",
            b"x-hubspot-ratelimi-max",
        ] {
            assert_eq!(read_name(name), None);
        }
        assert!(!has_doubtful_type(&AnswerFields::default()));
        let mut odd = AnswerFields::default();
        odd.set(Known::ContentType, "json");
        assert!(has_doubtful_type(&odd));
    }

    #[test]
    fn only_json_in_utf8_can_be_filtered() {
        for (value, expected) in [
            (Some("application/json"), true),
            (Some("application/json;charset=utf-8"), true),
            (Some("application/json; Charset=\"UTF-8\""), true),
            (Some("application/problem+json"), true),
            (Some("application/json; charset=utf-16"), false),
            (Some("application/json; a=b; charset=utf-7"), false),
            (Some("text/html"), false),
            (Some("application/jsonl"), false),
            (Some(""), false),
            (None, false),
        ] {
            let mut fields = AnswerFields::default();
            if let Some(value) = value {
                fields.set(Known::ContentType, value);
            }
            assert_eq!(is_json_in_utf8(&fields), expected, "{value:?}");
        }
    }

    #[test]
    fn limits_without_a_name_of_ours_come_down_up_to_a_bound() {
        let mut fields = AnswerFields::default();
        let names = RATE_LIMIT_WORDS
            .iter()
            .flat_map(|one| RATE_LIMIT_WORDS.map(|two| format!("{RATE_LIMIT}{one}-{two}")));
        for name in names.take(100) {
            let name = read_name(name.as_bytes()).unwrap();
            fields.push(name, b"1");
        }
        downward(&mut fields, false);
        let others = fields.iter().filter(|(name, _)| matches!(name, Name::Other(_)));
        assert_eq!(others.count(), OTHER_LIMITS);
    }
}
