//! What stands exactly on a bound, every byte of framing, and what comes behind a refusal.

use super::tests::{every_name, read_by};
use super::*;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fn asked() -> Reader {
    let mut reader = Reader::new(every_name);
    reader.expect(false);
    reader
}

/// The body of an answer that comes in pieces of this size, and whether it is whole. A byte behind it is refused.
fn judge(reader: &mut Reader, bytes: &[u8], piece: usize) -> (Vec<u8>, Result<bool, Violation>) {
    match read_by(reader, bytes, piece) {
        Err(violation) => (Vec::new(), Err(violation)),
        Ok(_) if reader.has_surplus() => (Vec::new(), Err(Violation::Unasked)),
        Ok(None) => (Vec::new(), Ok(false)),
        Ok(Some(seen)) => (seen.body, Ok(seen.whole)),
    }
}

#[test]
fn a_head_is_bounded_to_the_byte_whole_or_not() {
    let head = |bytes: usize| {
        let empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: \r\n\r\n".len();
        let fill = "x".repeat(bytes - empty);
        format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: {fill}\r\n\r\n").into_bytes()
    };
    for piece in [usize::MAX, 1000, HEAD_BYTES - 1, HEAD_BYTES] {
        let longest = head(HEAD_BYTES);
        assert_eq!(judge(&mut asked(), &longest, piece).1, Ok(true), "{piece}");
        let longer = head(HEAD_BYTES + 1);
        let refused = Err(Violation::TooLarge);
        assert_eq!(judge(&mut asked(), &longer, piece).1, refused, "{piece}");
    }
    let mut endless = head(HEAD_BYTES + 9);
    endless.truncate(HEAD_BYTES);
    assert_eq!(judge(&mut asked(), &endless, usize::MAX), (Vec::new(), Ok(false)));
    endless.push(b'x');
    assert_eq!(
        judge(&mut asked(), &endless, usize::MAX).1,
        Err(Violation::TooLarge)
    );
}

#[test]
fn trailers_are_bounded_all_together_to_the_byte() {
    let fields = |count: usize, last: usize| {
        let many = "T: 12345\r\n".repeat(count);
        format!("{CHUNKED}0\r\n{many}L:{}\r\n\r\n", "x".repeat(last)).into_bytes()
    };
    let room = 8 * 1024 - (64 + 8) * 100 - (64 + "L:".len());
    for piece in [1, 4096, usize::MAX] {
        let judged = judge(&mut asked(), &fields(100, room), piece);
        assert_eq!(judged, (Vec::new(), Ok(true)), "{piece}");
        let (_, verdict) = judge(&mut asked(), &fields(100, room + 1), piece);
        assert_eq!(verdict, Err(Violation::Chunk), "{piece}");
    }
    let short = |count: usize| format!("{CHUNKED}0\r\n{}\r\n", "T:\r\n".repeat(count)).into_bytes();
    assert_eq!(judge(&mut asked(), &short(124), usize::MAX).1, Ok(true));
    let (_, verdict) = judge(&mut asked(), &short(125), usize::MAX);
    assert_eq!(verdict, Err(Violation::Chunk), "many that are short");
}

#[test]
fn every_byte_around_chunks_and_trailers_is_what_it_must_be() {
    let chunks = b"3\r\nabc\r\n0\r\nT:1\r\n\r\n";
    let whole = [CHUNKED.as_bytes(), chunks].concat();
    assert_eq!(judge(&mut asked(), &whole, usize::MAX).1, Ok(true));
    for at in (0..chunks.len()).filter(|at| !chunks[*at].is_ascii_alphanumeric()) {
        for byte in (0..=u8::MAX).filter(|byte| *byte != chunks[at]) {
            // A digit more is another size.
            if byte.is_ascii_hexdigit() && [1, 9].contains(&at) {
                continue;
            }
            let mut bytes = whole.clone();
            bytes[CHUNKED.len() + at] = byte;
            let (_, verdict) = judge(&mut asked(), &bytes, usize::MAX);
            assert_eq!(verdict, Err(Violation::Chunk), "{byte:#x} at {at}");
        }
    }
}

#[test]
fn a_short_head_behind_a_long_interim_one_is_seen_however_they_come() {
    let hints = format!("HTTP/1.1 103 Early Hints\r\nLink: <{}>\r\n\r\n", "x".repeat(300));
    let last = "HTTP/1.1 204 No Content\r\n\r\n";
    let bytes = hints.repeat(2) + last;
    for piece in 1..=bytes.len() {
        let seen = read_by(&mut asked(), bytes.as_bytes(), piece);
        assert!(seen.unwrap().unwrap().reusable, "in pieces of {piece}");
    }
}

#[test]
fn to_head_no_body_comes_whatever_the_head_says_of_it() {
    for lines in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", ""] {
        let head = format!("HTTP/1.1 200 OK\r\n{lines}\r\n").into_bytes();
        let mut reader = Reader::new(every_name);
        reader.expect(true);
        assert_eq!(judge(&mut reader, &head, usize::MAX), (Vec::new(), Ok(true)));
        reader.expect(true);
        let with_body = [&head[..], b"0\r\n\r\n"].concat();
        let (_, verdict) = judge(&mut reader, &with_body, usize::MAX);
        assert_eq!(verdict, Err(Violation::Unasked));
    }
}

#[test]
fn nothing_passes_behind_a_refusal_even_if_a_request_is_begun() {
    let good = b"HTTP/1.1 204 No Content\r\n\r\n";
    for (refused, violation) in [
        ("HTTP/1.1 200 OK\n\n", Violation::LineEnding),
        ("HTTP/1.1 200 OK\r\nA: b\r\n\r\n", Violation::NoLength),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n;\r\n",
            Violation::Chunk,
        ),
    ] {
        for piece in [1, 7, usize::MAX] {
            let mut reader = asked();
            let judged = judge(&mut reader, refused.as_bytes(), piece);
            assert_eq!(judged.1, Err(violation));
            for _ in 0..2 {
                reader.expect(false);
                reader.room().extend_from_slice(good);
                assert_eq!(reader.head().err(), Some(violation), "{refused:?}");
                assert_eq!(reader.piece(), Err(violation), "{refused:?}");
                assert!(!reader.may_serve_again());
            }
        }
    }
    let mut silent = Reader::new(every_name);
    silent.room().extend_from_slice(good);
    assert_eq!(silent.head().err(), Some(Violation::Unasked));
    silent.expect(false);
    assert_eq!(silent.head().err(), Some(Violation::Unasked));
}
