//! The lines of an HTTP/1 head, as the guard of requests and the reader of answers take them apart: where a
//! head ends, its first line, its fields.
//!
//! Every byte of every head is looked at, so it is done in few steps: sixteen at a time.
//!
//! What it does not do: say what fields mean. That is each one's own.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not end in CR LF, or a bare CR or LF stands in it.
    LineEnding,
    /// It is not `name ":" value`, or its value has a control byte.
    Field,
}

/// Behind the first CR LF CR LF. LF CR is searched, the pair in its middle: it stands nowhere else in a
/// good head, so that the search stops only once, and not at each line's end as one for all four does.
pub fn end(bytes: &[u8]) -> Option<usize> {
    static MIDDLE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\n\r"));
    let mut from = 0;
    loop {
        let at = from + MIDDLE.find(bytes.get(from..)?)?;
        if at > 0 && bytes.get(at - 1..at + 3) == Some(b"\r\n\r\n") {
            return Some(at + 3);
        }
        from = at + 1;
    }
}

/// The first of some lines without its CR LF, and those behind it.
pub fn line(lines: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let end = memchr::memchr2(b'\r', b'\n', lines).ok_or(Fault::LineEnding)?;
    let (line, rest) = lines.split_at_checked(end).ok_or(Fault::LineEnding)?;
    let rest = rest.strip_prefix(b"\r\n").ok_or(Fault::LineEnding)?;
    Ok((line, rest))
}

/// A field.
#[derive(Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// A token.
    pub name: &'a [u8],
    /// Without control bytes but tabs; the space around it is still there.
    pub value: &'a [u8],
}

/// The field in the first of some lines, and the lines behind it.
#[inline(always)]
pub fn field(lines: &[u8]) -> Result<(Field<'_>, &[u8]), Fault> {
    read_field(lines).ok_or_else(|| match line(lines) {
        Ok(_) => Fault::Field,
        Err(fault) => fault,
    })
}

#[inline(always)]
fn read_field(lines: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let (name, rest) = lines.split_at_checked(leading_token(lines))?;
    let rest = rest.strip_prefix(b":").filter(|_| !name.is_empty())?;
    let (value, rest) = rest.split_at_checked(leading_text(rest))?;
    Some((Field { name, value }, rest.strip_prefix(b"\r\n")?))
}

/// How many bytes at the beginning are a token's.
pub fn leading_token(bytes: &[u8]) -> usize {
    // What all names have that anybody uses.
    let is_common =
        |byte: u8| ((byte | 0x20).wrapping_sub(b'a') < 26) | (byte.wrapping_sub(b'0') < 10) | (byte == b'-');
    leading(bytes, is_common, is_token)
}

/// How many bytes at the beginning may stand in a value.
pub fn leading_text(bytes: &[u8]) -> usize {
    leading(bytes, |byte| (byte >= b' ') & (byte != 0x7f), is_text)
}

/// How many bytes at the beginning are of a class. `is_common` says so of most of them, without a branch or a look
/// into memory: sixteen are looked at together.
#[inline(always)]
fn leading(bytes: &[u8], is_common: impl Fn(u8) -> bool, is_of_class: impl Fn(u8) -> bool) -> usize {
    let mut rest = bytes;
    while let Some((sixteen, after)) = rest.split_first_chunk() {
        let first = first_uncommon(sixteen, &is_common);
        if first == sixteen.len() {
            rest = after;
            continue;
        }
        // The rest of the sixteen one by one: bytes that are looked at together again for each of them would be a way
        // to make a head dear.
        let (_, uncommon) = sixteen.split_at(first);
        if let Some(at) = uncommon.iter().position(|byte| !is_of_class(*byte)) {
            return bytes.len() - rest.len() + first + at;
        }
        rest = after;
    }
    while let Some((byte, after)) = rest.split_first()
        && is_of_class(*byte)
    {
        rest = after;
    }
    bytes.len() - rest.len()
}

/// Where the first byte is that is not common; their number if all are. A map over an array is what the compiler makes
/// vector instructions of: 30 of them, where a loop that writes marks takes 300.
#[inline(always)]
fn first_uncommon(bytes: &[u8; 16], is_common: impl Fn(u8) -> bool) -> usize {
    let marks = bytes.map(|byte| if is_common(byte) { 0 } else { u8::MAX });
    (u128::from_le_bytes(marks).trailing_zeros() / 8) as usize
}

/// Whether a byte may stand in a token: RFC 9110 §5.6.2.
pub fn is_token(byte: u8) -> bool {
    static TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < table.len() {
            table[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        let mut others: &[u8] = b"!#$%&'*+-.^_`|~";
        while let [byte, rest @ ..] = others {
            table[*byte as usize] = true;
            others = rest;
        }
        table
    };
    TOKEN[usize::from(byte)]
}

/// Whether a byte may stand in a value: RFC 9110 §5.5.
fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_judged_alike_wherever_it_stands_and_whatever_is_around_it() {
        for byte in 0..=u8::MAX {
            for length in 1..20 {
                for at in 0..length {
                    for around in [b'a', b'-', b'Z', b'9', b'_', b'~'] {
                        let mut bytes = vec![around; length];
                        bytes[at] = byte;
                        let token = bytes.iter().take_while(|byte| is_token(**byte)).count();
                        assert_eq!(leading_token(&bytes), token, "{bytes:?}");
                        let text = bytes.iter().take_while(|byte| is_text(**byte)).count();
                        assert_eq!(leading_text(&bytes), text, "{bytes:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_pair_of_bytes_is_judged_alike_though_one_carries_into_the_other() {
        for (first, second) in (0..=u8::MAX).flat_map(|one| (0..=u8::MAX).map(move |two| (one, two))) {
            let bytes = [b'a', first, second, b'a', b'a', b'a', b'a', b'a', b':'];
            let token = bytes.iter().take_while(|byte| is_token(**byte)).count();
            assert_eq!(leading_token(&bytes), token, "{bytes:?}");
            let text = bytes.iter().take_while(|byte| is_text(**byte)).count();
            assert_eq!(leading_text(&bytes), text, "{bytes:?}");
        }
    }

    #[test]
    fn token_bytes_are_those_of_the_standard() {
        let tokens: Vec<u8> = (0..=u8::MAX).filter(|byte| is_token(*byte)).collect();
        let expected = b"!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~";
        assert_eq!(tokens, expected);
    }

    #[test]
    fn text_bytes_are_those_of_the_standard() {
        let others = (0..=u8::MAX).filter(|byte| !is_text(*byte));
        let control = (0..=8).chain(10..=31).chain([127]);
        assert!(others.eq(control), "tabs, printable ASCII and what is above it");
    }

    /// Every string of these bytes that is not longer.
    fn every_string(alphabet: &'static [u8], longest: u32) -> impl Iterator<Item = Vec<u8>> {
        let base = alphabet.len();
        (0..=longest).flat_map(move |length| {
            (0..base.pow(length)).map(move |number| {
                let digits = (0..length).map(|place| number / base.pow(place) % base);
                digits.map(|digit| alphabet[digit]).collect()
            })
        })
    }

    #[test]
    fn every_short_text_ends_where_a_plain_search_says() {
        let mut ends = 0;
        for bytes in every_string(b"\r\na", 9) {
            let plain = bytes.windows(4).position(|four| four == b"\r\n\r\n");
            assert_eq!(end(&bytes), plain.map(|at| at + 4), "{bytes:?}");
            ends += usize::from(plain.is_some());
        }
        assert!(ends > 1_000, "{ends}");
    }

    /// Name, value, and what is behind their line.
    type Parts<'a> = (&'a [u8], &'a [u8], &'a [u8]);

    /// The field in the first line as the plainest of readers sees it.
    fn plain_field(lines: &[u8]) -> Result<Parts<'_>, Fault> {
        let stop = lines.iter().position(|byte| b"\r\n".contains(byte));
        let (line, rest) = lines.split_at(stop.ok_or(Fault::LineEnding)?);
        let rest = rest.strip_prefix(b"\r\n").ok_or(Fault::LineEnding)?;
        let colon = line.iter().position(|byte| *byte == b':').ok_or(Fault::Field)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let is_good = !name.is_empty() && name.iter().all(|byte| is_token(*byte));
        if !is_good || !value.iter().all(|byte| is_text(*byte)) {
            return Err(Fault::Field);
        }
        Ok((name, value, rest))
    }

    #[test]
    fn every_short_field_is_read_as_the_plainest_reader_reads_it() {
        let mut good = 0;
        for bytes in every_string(b"a: \t\r\n\0", 7) {
            let read = field(&bytes).map(|(field, rest)| (field.name, field.value, rest));
            assert_eq!(read, plain_field(&bytes), "{bytes:?}");
            good += usize::from(read.is_ok());
        }
        assert!(good > 500, "{good}");
    }

    proptest::proptest! {
        #[test]
        fn a_long_field_is_read_as_the_plainest_reader_reads_it(
            name in "[a-zA-Z-]{1,40}",
            value in "[ -~\u{e9}\t]{0,80}",
            at in proptest::prelude::any::<proptest::sample::Index>(),
            byte in proptest::prelude::any::<u8>(),
        ) {
            let mut bytes = format!("{name}:{value}\r\nB: c\r\n").into_bytes();
            proptest::prop_assert!(field(&bytes).is_ok());
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let read = field(&bytes).map(|(field, rest)| (field.name, field.value, rest));
            proptest::prop_assert_eq!(read, plain_field(&bytes));
        }
    }

    #[test]
    fn a_head_ends_behind_its_first_empty_line_only() {
        let cases: &[(&[u8], Option<usize>)] = &[
            (b"", None),
            (b"\r\n\r\n", Some(4)),
            (b"\n\r\n\r\n", Some(5)),
            (b"\n\r\n", None),
            (b"a\r\n\r", None),
            (b"a\n\r\r\n\r\nb\r\n\r\n", Some(7)),
            (b"a\r\n\rb\r\n\r\n", Some(9)),
            (b"a\r\nb\r\n\r\nc\r\n\r\n", Some(8)),
            (b"\n\r\n\r\r\n\n\r\n", None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(end(bytes), *expected, "{bytes:?}");
            let whole = bytes.windows(4).position(|four| four == b"\r\n\r\n");
            assert_eq!(whole.map(|at| at + 4), *expected);
        }
    }

    #[test]
    fn a_line_that_ends_badly_is_that_before_it_is_a_bad_field() {
        type Read = Result<(&'static [u8], &'static [u8]), Fault>;
        let cases: &[(&[u8], Read)] = &[
            (b"A: b\r\nC: d\r\n", Ok((b"A", b" b"))),
            (b"A:\r\n", Ok((b"A", b""))),
            (b"x_y.z~1: \t\xc3\xa9 \r\n", Ok((b"x_y.z~1", b" \t\xc3\xa9 "))),
            (b"A:b:c\r\n", Ok((b"A", b"b:c"))),
            (b"no colon\r\n", Err(Fault::Field)),
            (b": b\r\n", Err(Fault::Field)),
            (b"A : b\r\n", Err(Fault::Field)),
            (b" A: b\r\n", Err(Fault::Field)),
            (b"A: b\0\r\n", Err(Fault::Field)),
            (b"A: b\x7f\r\n", Err(Fault::Field)),
            (b"\r\n", Err(Fault::Field)),
            (b"A: b\0\n", Err(Fault::LineEnding)),
            (b"A: b\0\rc\r\n", Err(Fault::LineEnding)),
            (b"A: b\rc\r\n", Err(Fault::LineEnding)),
            (b"A: b\n", Err(Fault::LineEnding)),
            (b"A\rb: c\r\n", Err(Fault::LineEnding)),
            (b"A: b\r\r\n", Err(Fault::LineEnding)),
            (b"A: b", Err(Fault::LineEnding)),
            (b"", Err(Fault::LineEnding)),
        ];
        for (lines, expected) in cases {
            let read = field(lines).map(|(field, _)| (field.name, field.value));
            assert_eq!(read, *expected, "{lines:?}");
        }
        assert_eq!(field(b"A: b\r\nC: d\r\n").unwrap().1, b"C: d\r\n");
        assert_eq!(line(b"\r\nC: d\r\n"), Ok((&b""[..], &b"C: d\r\n"[..])));
    }
}
