//! A credential written otherwise: in base64, in hexadecimal digits, percent-encoded, with JSON's
//! escapes, in other letters' case, broken into lines, or one of these within another.
//!
//! For short texts that are held whole: header values and errors. A pass over a text for each form is
//! no price there; the long bodies of successes are searched for the plain form alone, as they pass.
//! What is not looked for: forms that nothing between HubSpot and a client makes by itself, like a
//! token in pieces or backwards.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memmem;

/// Below this a form may stand anywhere by accident.
const NEEDLE_BYTES: usize = 8;

/// Most times that escapes are undone: an answer within an answer within an answer.
const ROUNDS: usize = 3;

/// Whether `text` holds `token`, in any form that is looked for.
pub fn holds(token: &[u8], text: &[u8]) -> bool {
    // No form is shorter than the token itself.
    if token.is_empty() || text.len() < token.len() {
        return false;
    }
    let needles = Needles::of(token);
    if needles.are_in(text) {
        return true;
    }
    let mut text = text.to_vec();
    for _ in 0..ROUNDS {
        let mut changed = false;
        for undo in [undo_json, undo_percent] {
            if let Some(plain) = undo(&text) {
                changed = true;
                if needles.are_in(&plain) {
                    return true;
                }
                text = plain;
            }
        }
        if !changed {
            return false;
        }
    }
    false
}

/// What is searched for.
struct Needles {
    /// In lower case.
    plain: Vec<u8>,
    /// In lower case.
    hex: Vec<u8>,
    /// At each place within a group of three bytes, without the letters that depend on its neighbours;
    /// `-` and `_` of the other alphabet stand as `+` and `/`.
    base64: [Vec<u8>; 3],
}

impl Needles {
    fn of(token: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or_default();
        Self {
            plain: token.to_ascii_lowercase(),
            hex: token
                .iter()
                .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
                .collect(),
            base64: [0, 1, 2].map(|shift| base64_of(token, shift)),
        }
    }

    fn are_in(&self, text: &[u8]) -> bool {
        let squeezed: Vec<u8> = text
            .iter()
            .copied()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        let lower = squeezed.to_ascii_lowercase();
        if memmem::find(&lower, &self.plain).is_some() || is_in(&lower, &self.hex) {
            return true;
        }
        let mut one_alphabet = squeezed;
        for byte in &mut one_alphabet {
            match byte {
                b'-' => *byte = b'+',
                b'_' => *byte = b'/',
                _ => {}
            }
        }
        self.base64.iter().any(|needle| is_in(&one_alphabet, needle))
    }
}

fn is_in(text: &[u8], needle: &[u8]) -> bool {
    needle.len() >= NEEDLE_BYTES && memmem::find(text, needle).is_some()
}

/// The letters of base64 that depend on `token` alone, when `shift` bytes of its first group precede it.
fn base64_of(token: &[u8], shift: usize) -> Vec<u8> {
    let mut bytes = vec![0; shift];
    bytes.extend_from_slice(token);
    let letters = STANDARD_NO_PAD.encode(&bytes).into_bytes();
    // Two bytes before it reach into the third letter, one into the second.
    let from = if shift == 0 { 0 } else { shift + 1 };
    let to = letters.len() - usize::from(!bytes.len().is_multiple_of(3));
    letters.get(from..to).unwrap_or_default().to_vec()
}

/// `text` with `%XX` undone; `None` when there is none.
fn undo_percent(text: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut changed = false;
    while let Some(at) = memchr::memchr(b'%', rest) {
        let (before, from) = rest.split_at_checked(at)?;
        plain.extend_from_slice(before);
        match from.get(1..3).and_then(hex_value) {
            Some(byte) => {
                plain.push(u8::try_from(byte).unwrap_or_default());
                changed = true;
                rest = from.get(3..).unwrap_or_default();
            }
            None => {
                plain.push(b'%');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    plain.extend_from_slice(rest);
    changed.then_some(plain)
}

/// `text` with JSON's escapes undone; `None` when there is none. What `\u` says beyond ASCII, which no
/// token has, is replaced.
fn undo_json(text: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut changed = false;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (before, from) = rest.split_at_checked(at)?;
        plain.extend_from_slice(before);
        changed = true;
        let taken = match from.get(1) {
            Some(b'u') if from.get(2..6).and_then(hex_value).is_some() => {
                let code = from.get(2..6).and_then(hex_value).unwrap_or_default();
                plain.push(u8::try_from(code).ok().filter(u8::is_ascii).unwrap_or(b'?'));
                6
            }
            Some(b'n' | b'r' | b't' | b'b' | b'f') => {
                plain.push(b' ');
                2
            }
            Some(byte) => {
                plain.push(*byte);
                2
            }
            None => 1,
        };
        rest = from.get(taken..).unwrap_or_default();
    }
    plain.extend_from_slice(rest);
    changed.then_some(plain)
}

fn hex_value(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, digit| {
        char::from(*digit).to_digit(16).map(|value| sum << 4 | value)
    })
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};

    use super::*;

    const TOKEN: &str = "pat-na1-0f9e8d7c~>?-4b5a";

    fn hex(text: &str) -> String {
        text.bytes().map(|byte| format!("{byte:02x}")).collect()
    }

    fn percent(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02x}")).collect()
    }

    fn escaped(text: &str) -> String {
        text.bytes().map(|byte| format!("\\u{byte:04X}")).collect()
    }

    #[test]
    fn a_token_is_found_in_every_form_wherever_it_stands() {
        let lines = |text: &str| {
            text.as_bytes()
                .chunks(10)
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .collect::<Vec<_>>()
        };
        let mut forms = vec![
            TOKEN.to_owned(),
            TOKEN.to_uppercase(),
            hex(TOKEN),
            hex(TOKEN).to_uppercase(),
            percent(TOKEN),
            percent(TOKEN).to_uppercase().replace("PAT", "pat"),
            percent(&percent(TOKEN)),
            escaped(TOKEN),
            escaped(&escaped(TOKEN)),
            escaped(&percent(TOKEN)),
            percent(&escaped(TOKEN)),
            TOKEN.replace('p', "%70").replace('0', "%30"),
            TOKEN.replace('p', "\\u0070").replace('-', "\\-"),
            hex(&hex(TOKEN)).replace("x", ""),
        ];
        forms.pop();
        for before in ["", "a", "ab", "abc", "Bearer "] {
            for after in ["", "x", "xy", "xyz"] {
                let text = format!("{before}{TOKEN}{after}");
                forms.push(STANDARD.encode(&text));
                forms.push(URL_SAFE.encode(&text));
                forms.push(URL_SAFE_NO_PAD.encode(&text));
                forms.push(lines(&STANDARD.encode(&text)).join("\r\n"));
                forms.push(lines(&STANDARD.encode(&text)).join("\\n"));
                forms.push(percent(&STANDARD.encode(&text)));
                forms.push(escaped(&URL_SAFE.encode(&text)));
                forms.push(hex(&text));
            }
        }
        for form in forms {
            for text in [
                form.clone(),
                format!("<p>{form}</p>"),
                format!("{{\"message\":\"{form}\"}}"),
            ] {
                assert!(holds(TOKEN.as_bytes(), text.as_bytes()), "{text}");
            }
        }
    }

    #[test]
    fn what_is_not_the_token_is_not_taken_for_it() {
        for text in [
            "",
            "pat-na1-",
            "%",
            "%7",
            "%zz",
            "\\",
            "\\u",
            "\\u00",
            "pat%2Dna1",
            &STANDARD.encode(&TOKEN[1..]),
            &hex(&TOKEN[1..]),
            &percent(&TOKEN[1..]),
            &"%25".repeat(100),
            &"\\\\".repeat(100),
            &"A".repeat(1000),
        ] {
            assert!(!holds(TOKEN.as_bytes(), text.as_bytes()), "{text}");
        }
        assert!(!holds(b"", b"anything"));
        assert!(
            !holds(b"ab", STANDARD.encode("ab").as_bytes()),
            "too short to mean anything in another form"
        );
        assert!(holds(b"ab", b"xaby"), "plain is plain");
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_odd(token in "[ -~]{1,60}", text in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = holds(token.as_bytes(), &text);
            let planted = [&text[..], token.as_bytes(), &text[..]].concat();
            let spaceless = !token.contains(' ');
            proptest::prop_assert!(!spaceless || holds(token.as_bytes(), &planted));
        }
    }
}
