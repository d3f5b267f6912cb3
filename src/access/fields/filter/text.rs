//! Strings: where they end, what their escapes stand for (RFC 8259 §7), and UTF-8 over all bytes.

use super::scan::Specials;
use super::{TOKEN_BYTES, Violation};

/// How far a string goes in a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It ends; this is the byte after its closing quote.
    At(usize),
    /// It does not end here. What is before this byte is whole; there may be the begin of an escape.
    Cut(usize),
}

/// How far the string goes that `at` is in, not in one of its escapes.
#[inline]
pub fn end(bytes: &[u8], mut at: usize, specials: &mut Specials) -> Result<End, Violation> {
    loop {
        let hit = specials.next(bytes, at);
        match bytes.get(hit) {
            Some(b'"') => return Ok(End::At(hit + 1)),
            Some(b'\\') => match escape_end(bytes, hit)? {
                Some(end) => at = end,
                None => return Ok(End::Cut(hit)),
            },
            Some(_) => return Err(Violation::NotJson),
            None => return Ok(End::Cut(hit)),
        }
    }
}

/// Where the string ends whose opening quote is at `at`; `None` if more bytes must come first. It
/// is held until it is whole, so its length is bounded.
pub fn token_end(bytes: &[u8], at: usize, specials: &mut Specials) -> Result<Option<usize>, Violation> {
    let (end, length) = match end(bytes, at + 1, specials)? {
        End::At(end) => (Some(end), end - at),
        End::Cut(_) => (None, bytes.len() - at),
    };
    match length > TOKEN_BYTES {
        true => Err(Violation::TokenTooLong),
        false => Ok(end),
    }
}

/// Where the escape whose backslash is at `at` ends; `None` if more bytes must come first. Both
/// halves of a surrogate pair are one escape; half a pair is none.
pub fn escape_end(bytes: &[u8], at: usize) -> Result<Option<usize>, Violation> {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.get(1) {
        None => Ok(None),
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(Some(at + 2)),
        Some(b'u') => match hex(rest.get(2..).unwrap_or_default())? {
            None => Ok(None),
            Some(0xD800..=0xDBFF) => low_half(rest.get(6..).unwrap_or_default()).map(|there| match there {
                true => Some(at + 12),
                false => None,
            }),
            Some(0xDC00..=0xDFFF) => Err(Violation::NotJson),
            Some(_) => Ok(Some(at + 6)),
        },
        Some(_) => Err(Violation::NotJson),
    }
}

/// Whether the second half of a surrogate pair is there; `false` if more bytes must come first.
fn low_half(rest: &[u8]) -> Result<bool, Violation> {
    let begins = rest.iter().zip(b"\\u").all(|(a, b)| a == b);
    match (begins, hex(rest.get(2..).unwrap_or_default())) {
        (false, _) => Err(Violation::NotJson),
        (true, Ok(Some(0xDC00..=0xDFFF))) => Ok(true),
        (true, Ok(None)) => Ok(false),
        (true, _) => Err(Violation::NotJson),
    }
}

/// The number that four hexadecimal digits make; `None` if more bytes must come first.
fn hex(rest: &[u8]) -> Result<Option<u16>, Violation> {
    let mut code = 0;
    let mut length = 0;
    for byte in rest.iter().take(4) {
        let digit = char::from(*byte).to_digit(16).ok_or(Violation::NotJson)?;
        code = code << 4 | digit as u16;
        length += 1;
    }
    Ok((length == 4).then_some(code))
}

/// What a string stands for. `inner` is what is between its quotes, its escapes already found right.
pub fn unescaped(inner: &[u8]) -> Result<String, Violation> {
    let mut text: Vec<u8> = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (plain, escape) = rest.split_at_checked(at).ok_or(Violation::NotJson)?;
        text.extend_from_slice(plain);
        let end = escape_end(escape, 0)?.ok_or(Violation::NotJson)?;
        let (escape, after) = escape.split_at_checked(end).ok_or(Violation::NotJson)?;
        let stands_for = meaning(escape)?;
        text.extend_from_slice(stands_for.encode_utf8(&mut [0; 4]).as_bytes());
        rest = after;
    }
    text.extend_from_slice(rest);
    String::from_utf8(text).map_err(|_| Violation::NotJson)
}

/// The character that one whole escape stands for.
fn meaning(escape: &[u8]) -> Result<char, Violation> {
    Ok(match escape.get(1).copied().unwrap_or_default() {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let unit = |at: usize| hex(escape.get(at..).unwrap_or_default());
            let units = [unit(2)?, unit(8)?];
            let mut decoded = char::decode_utf16(units.into_iter().flatten());
            let first = decoded.next().and_then(Result::ok);
            first.ok_or(Violation::NotJson)?
        }
        same => char::from(same),
    })
}

/// Whether all bytes so far are UTF-8, whatever the pieces they come in. A character without its end
/// is no concern of its own: it can only stand in a string, which has no end then either.
#[derive(Default)]
pub struct Utf8 {
    /// The bytes of a character whose end has not come.
    begun: [u8; 4],
    length: usize,
}

impl Utf8 {
    /// Takes the next bytes.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), Violation> {
        while self.length > 0
            && let Some((first, rest)) = bytes.split_first()
        {
            if let Some(place) = self.begun.get_mut(self.length) {
                *place = *first;
            }
            self.length += 1;
            bytes = rest;
            let begun = self.begun;
            self.check(begun.get(..self.length).ok_or(Violation::NotJson)?)?;
        }
        match self.length {
            0 => self.check(bytes),
            _ => Ok(()),
        }
    }

    fn check(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let Err(error) = std::str::from_utf8(bytes) else {
            self.length = 0;
            return Ok(());
        };
        if error.error_len().is_some() {
            return Err(Violation::NotJson);
        }
        let begun = bytes.get(error.valid_up_to()..).unwrap_or_default();
        self.length = begun.len();
        self.begun
            .iter_mut()
            .zip(begun)
            .for_each(|(to, from)| *to = *from);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &[u8]) -> Result<Option<usize>, Violation> {
        token_end(text, 0, &mut Specials::new())
    }

    #[test]
    fn a_string_ends_at_its_own_quote() {
        for (text, end, stands_for) in [
            (r#""""#, 2, ""),
            (r#""a" "#, 3, "a"),
            (r#""\""x"#, 4, "\""),
            (r#""\\""#, 4, "\\"),
            (r#""\u0065mail""#, 12, "email"),
            (r#""a\/\b\f\n\r\t""#, 15, "a/\u{8}\u{c}\n\r\t"),
            (r#""\uD83D\ude00!""#, 15, "😀!"),
            (r#""é\u00E9""#, 10, "éé"),
        ] {
            assert_eq!(string(text.as_bytes()), Ok(Some(end)), "{text}");
            assert_eq!(
                unescaped(&text.as_bytes()[1..end - 1]).unwrap(),
                stands_for,
                "{text}"
            );
            for cut in 0..end {
                assert_eq!(string(&text.as_bytes()[..cut]), Ok(None), "{text} {cut}");
            }
        }
    }

    #[test]
    fn what_is_no_string_is_refused() {
        for text in [
            "\"\n\"",
            "\"\0",
            r#""\x""#,
            r#""\u00g0""#,
            r#""\u+123""#,
            r#""\ud800""#,
            r#""\ud800\n""#,
            r#""\ud800\u0041""#,
            r#""\udc00""#,
            r#""\ud800\ud800""#,
            r#""\U0041""#,
        ] {
            assert_eq!(string(text.as_bytes()), Err(Violation::NotJson), "{text}");
        }
        let long = format!("\"{}", "x".repeat(TOKEN_BYTES));
        assert_eq!(string(long.as_bytes()), Err(Violation::TokenTooLong));
    }

    #[test]
    fn characters_may_come_in_pieces_but_must_be_characters() {
        for text in ["plain", "é", "€uro", "a😀b", "日本語"] {
            for first in 0..=text.len() {
                for second in first..=text.len() {
                    let mut utf8 = Utf8::default();
                    for piece in [
                        &text.as_bytes()[..first],
                        &text.as_bytes()[first..second],
                        &text.as_bytes()[second..],
                    ] {
                        utf8.push(piece).unwrap();
                    }
                    assert_eq!(utf8.length, 0, "{text}");
                }
            }
        }
        for bytes in [
            &b"\xff"[..],
            b"\xc0\x80",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xe2\x82x",
            b"\x80",
        ] {
            for cut in 0..bytes.len() {
                let mut utf8 = Utf8::default();
                let pushed = utf8.push(&bytes[..cut]).and_then(|()| utf8.push(&bytes[cut..]));
                assert_eq!(pushed, Err(Violation::NotJson), "{bytes:?}");
            }
        }
        let mut utf8 = Utf8::default();
        utf8.push(b"\xe2\x82").unwrap();
        assert_eq!(utf8.length, 2);
    }
}
