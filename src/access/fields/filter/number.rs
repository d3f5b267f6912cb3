//! Numbers and the words `true`, `false` and `null` (RFC 8259 §3, §6).

use super::{TOKEN_BYTES, Violation};

/// Where the number or word that starts at `at` ends; `None` if more bytes must come first.
/// `last` says that none will.
pub fn word_end(bytes: &[u8], at: usize, last: bool) -> Result<Option<usize>, Violation> {
    let rest = bytes.get(at..).unwrap_or_default();
    let word: &[u8] = match rest.first() {
        Some(b't') => b"true",
        Some(b'f') => b"false",
        Some(b'n') => b"null",
        _ => return number_end(rest, last).map(|length| length.map(|length| at + length)),
    };
    let common = rest.iter().zip(word).take_while(|(a, b)| a == b).count();
    match (common == word.len(), common == rest.len(), last) {
        (true, _, _) => Ok(Some(at + common)),
        (false, true, false) => Ok(None),
        (false, true, true) => Err(Violation::Truncated),
        (false, false, _) => Err(Violation::NotJson),
    }
}

fn number_end(rest: &[u8], last: bool) -> Result<Option<usize>, Violation> {
    let is_part = |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
    let length = rest.iter().take(TOKEN_BYTES + 1).take_while(is_part).count();
    if length > TOKEN_BYTES {
        return Err(Violation::TokenTooLong);
    }
    if length == rest.len() && !last {
        return Ok(None);
    }
    match is_number(rest.get(..length).unwrap_or_default()) {
        true => Ok(Some(length)),
        false => Err(Violation::NotJson),
    }
}

fn is_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, text) = digits(text);
    let whole_is_right = match whole {
        [b'0'] => true,
        [first, ..] => *first != b'0',
        [] => false,
    };
    let (fraction_is_right, text) = match text.strip_prefix(b".") {
        Some(text) => one_or_more(text),
        None => (true, text),
    };
    let exponent = text.strip_prefix(b"e").or_else(|| text.strip_prefix(b"E"));
    let (exponent_is_right, text) = match exponent {
        Some(text) => {
            let signless = text.strip_prefix(b"+").or_else(|| text.strip_prefix(b"-"));
            one_or_more(signless.unwrap_or(text))
        }
        None => (true, text),
    };
    whole_is_right && fraction_is_right && exponent_is_right && text.is_empty()
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.split_at_checked(length).unwrap_or((text, &[]))
}

fn one_or_more(text: &[u8]) -> (bool, &[u8]) {
    let (digits, rest) = digits(text);
    (!digits.is_empty(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_rfc() {
        for good in [
            "0",
            "-0",
            "7",
            "10",
            "-12",
            "0.5",
            "1.25",
            "1e5",
            "1E+5",
            "0e-05",
            "-1.5e300",
            "123456789012345678901234567890",
        ] {
            assert_eq!(word_end(good.as_bytes(), 0, true), Ok(Some(good.len())), "{good}");
            assert_eq!(word_end(good.as_bytes(), 0, false), Ok(None), "{good}");
            let followed = format!("{good},");
            assert_eq!(
                word_end(followed.as_bytes(), 0, false),
                Ok(Some(good.len())),
                "{good}"
            );
        }
        for bad in [
            "", "-", "+1", "01", "-01", ".5", "1.", "1.e5", "1e", "1e+", "1.5.5", "1e5e5", "--1", "1-", "0x",
            "Infinity", "NaN",
        ] {
            let followed = format!("{bad},");
            let end = word_end(followed.as_bytes(), 0, false);
            assert!(end.is_err() || end == Ok(Some(1)) && bad == "0x", "{bad}");
        }
    }

    #[test]
    fn words_wait_for_their_end_and_take_no_other_letters() {
        for (bytes, last, expected) in [
            ("true", false, Ok(Some(4))),
            ("null]", false, Ok(Some(4))),
            ("fals", false, Ok(None)),
            ("fals", true, Err(Violation::Truncated)),
            ("trux", false, Err(Violation::NotJson)),
            ("True", false, Err(Violation::NotJson)),
            ("nul,", false, Err(Violation::NotJson)),
        ] {
            assert_eq!(word_end(bytes.as_bytes(), 0, last), expected, "{bytes}");
        }
        let long = "1".repeat(TOKEN_BYTES + 1);
        assert_eq!(word_end(long.as_bytes(), 0, false), Err(Violation::TokenTooLong));
    }
}
