use http::{HeaderMap, HeaderName};

use super::*;

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

/// An answer as somebody reads it.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) fields: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    pub(super) whole: bool,
    pub(super) reusable: bool,
}

/// What is read of an answer that comes in pieces of this size; `None`: its head has not come whole.
pub(super) fn read_in(bytes: &[u8], piece: usize, bodiless: bool) -> Result<Option<Seen>, Violation> {
    let mut reader = Reader::new(every_name);
    reader.expect(bodiless);
    read_by(&mut reader, bytes, piece)
}

/// The same by a reader at hand.
pub(super) fn read_by(reader: &mut Reader, bytes: &[u8], piece: usize) -> Result<Option<Seen>, Violation> {
    let mut seen = None;
    for piece in bytes.chunks(piece.max(1)) {
        reader.room().extend_from_slice(piece);
        if seen.is_none() {
            seen = reader.head()?.map(|head| Seen {
                status: head.status.as_u16(),
                fields: fields(head.fields),
                body: Vec::new(),
                whole: false,
                reusable: false,
            });
        }
        if let Some(seen) = &mut seen {
            while let Some(piece) = reader.piece()? {
                assert!(!piece.is_empty());
                seen.body.extend_from_slice(&piece);
            }
        }
    }
    Ok(seen.map(|mut seen| {
        seen.whole = reader.has_ended();
        seen.reusable = reader.may_serve_again();
        assert!(!(seen.reusable && reader.has_surplus()));
        seen
    }))
}

pub(super) fn every_name(name: &[u8]) -> Option<Name> {
    HeaderName::from_bytes(name).ok().map(Name::Other)
}

/// In the order in which a map has them.
pub(super) fn fields(of: impl Into<HeaderMap>) -> Vec<(String, Vec<u8>)> {
    of.into()
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect()
}

fn read(bytes: impl AsRef<[u8]>) -> Result<Option<Seen>, Violation> {
    read_in(bytes.as_ref(), usize::MAX, false)
}

/// Whether it is whole.
fn judge(bytes: impl AsRef<[u8]>) -> Result<bool, Violation> {
    read(bytes).map(|seen| seen.is_some_and(|seen| seen.whole))
}

#[test]
fn a_well_formed_answer_is_read_and_the_connection_may_serve_again() {
    let ten = "0123456789";
    for (answer, status, body) in [
        (format!("{OK}Content-Length: 2\r\n\r\n{{}}"), 200, "{}".to_owned()),
        (
            format!("{OK}content-length:2\r\nX-Empty:\r\nX-Latin: \u{e9}\r\n\r\n{{}}"),
            200,
            "{}".into(),
        ),
        (format!("{OK}Content-Length: 0\r\n\r\n"), 200, String::new()),
        (
            format!("{OK}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"),
            200,
            "{}".into(),
        ),
        (
            format!("{OK}Transfer-Encoding: CHUNKED\r\n\r\n000a\r\n{ten}\r\nA\r\n{ten}\r\n0\r\n\r\n"),
            200,
            format!("{ten}{ten}"),
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n".into(), 204, String::new()),
        (
            "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n".into(),
            204,
            String::new(),
        ),
        (
            "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n".into(),
            200,
            String::new(),
        ),
        (
            "HTTP/1.1 429 \r\nContent-Length: 0\r\n\r\n".into(),
            429,
            String::new(),
        ),
        (
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n".into(),
            304,
            String::new(),
        ),
    ] {
        for piece in [1, 2, 3, 50, 1_000] {
            let seen = read_in(answer.as_bytes(), piece, false).unwrap().unwrap();
            assert_eq!(
                (seen.status, &seen.body[..]),
                (status, body.as_bytes()),
                "{answer}"
            );
            assert!(seen.whole && seen.reusable, "{answer}");
        }
    }
    for unfinished in [
        "HTTP/1.1 200 OK\r\n",
        "HTT",
        &format!("{OK}Content-Length: 3\r\n\r\n{{}}"),
        &format!("{OK}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n"),
    ] {
        assert_eq!(judge(unfinished), Ok(false), "{unfinished}");
    }
}

#[test]
fn fields_are_read_in_their_order_without_the_space_around_them() {
    let lines = "X-B: 2\r\nx-a:\t 1 \t\r\nX-B:3\r\nX-Empty: \r\n";
    let seen = read(format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 0\r\n\r\n"))
        .unwrap()
        .unwrap();
    let expected = [
        ("x-b", "2"),
        ("x-b", "3"),
        ("x-a", "1"),
        ("x-empty", ""),
        ("content-length", "0"),
    ];
    let seen: Vec<_> = seen
        .fields
        .iter()
        .map(|(name, value)| (&name[..], std::str::from_utf8(value).unwrap()))
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn of_fields_that_are_not_kept_all_is_checked_and_the_framing_holds() {
    let mut reader = Reader::new(|name| every_name(name).filter(|name| name.lower() == "x-a"));
    reader.expect(false);
    reader
        .room()
        .extend_from_slice(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-B: 2\r\nContent-Length: 1\r\n\r\n{");
    let head = reader.head().unwrap().unwrap();
    assert_eq!(fields(head.fields), [("x-a".to_owned(), b"1".to_vec())]);
    assert_eq!(head.lines, "X-A: 1\r\nX-B: 2\r\nContent-Length: 1\r\n");
    assert_eq!(reader.piece().unwrap().unwrap(), "{");
    assert!(reader.may_serve_again());
    reader.expect(false);
    reader
        .room()
        .extend_from_slice(b"HTTP/1.1 200 OK\r\nX-B: \0\r\n\r\n");
    assert_eq!(reader.head().unwrap_err(), Violation::Field);
}

#[test]
fn a_connection_ends_with_the_answer_that_says_so() {
    for last in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: Keep-Alive, CLOSE\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 X\r\nconnection:close\r\n\r\n",
    ] {
        let seen = read(last).unwrap().unwrap();
        assert!(seen.whole && !seen.reusable, "{last}");
    }
    let seen = read("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert!(seen.unwrap().reusable);
}

#[test]
fn what_could_be_read_two_ways_is_refused() {
    use Violation::*;
    let head = |lines: &str| format!("{OK}{lines}\r\n\r\n{{}}");
    let chunked = |body: &str| format!("{OK}Transfer-Encoding: chunked\r\n\r\n{body}");
    #[rustfmt::skip]
    let table = [
        (head("Content-Length: 2\r\nTransfer-Encoding: chunked"), Framing),
        (head("Transfer-Encoding: chunked\r\nContent-Length: 2"), Framing),
        (head("Content-Length: 2\r\nContent-Length: 2"), ContentLength),
        (head("Content-Length: 2, 2"), ContentLength),
        (head("Content-Length: +2"), ContentLength),
        (head("Content-Length: -2"), ContentLength),
        (head("Content-Length: 0x2"), ContentLength),
        (head("Content-Length:"), ContentLength),
        (head("Content-Length: 1234567890123456"), ContentLength),
        (head("Content-Length: 99999999999999999999"), ContentLength),
        (head("Transfer-Encoding: gzip, chunked"), TransferEncoding),
        (head("Transfer-Encoding: chunked, chunked"), TransferEncoding),
        (head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), TransferEncoding),
        (head("Transfer-Encoding: identity"), TransferEncoding),
        (head("Transfer-Encoding:"), TransferEncoding),
        (head("Transfer-Encoding: xchunked"), TransferEncoding),
        (head("Transfer-Encoding: \u{b}chunked"), Field),
        (head("X-Nothing: 1"), NoLength),
        (head("Connection: close"), NoLength),
        (head("Content-Length : 2"), Field),
        (head("Content-Length: 2\r\n X: folded"), Field),
        (head("Content-Length: 2\r\n\tfolded"), Field),
        (head("Content-Length: 2\r\nno colon"), Field),
        (head("Content-Length: 2\r\n: nameless"), Field),
        (head("Content-Length: 2\r\nX: a\0b"), Field),
        (head("Content-Length: 2\r\nX: a\u{1b}b"), Field),
        (head("Content-Length: 2\r\nX\u{e9}: a"), Field),
        (head("Content-Length: 2\r\nX: a\rb"), LineEnding),
        (head("Content-Length: 2\nX: a"), LineEnding),
        ("HTTP/1.1 200 OK\nContent-Length: 2\n\n{}".into(), LineEnding),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\n\n{}".into(), LineEnding),
        ("HTTP/1.1 200 OK\n\r\n\r\n".into(), LineEnding),
        ("\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".into(), StatusLine),
        ("HTTP/2 200\r\n\r\n".into(), StatusLine),
        ("HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n".into(), StatusLine),
        ("http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into(), StatusLine),
        ("HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n".into(), StatusLine),
        ("HTTP/1.1\t200 OK\r\nContent-Length: 0\r\n\r\n".into(), StatusLine),
        ("HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n".into(), StatusLine),
        ("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n".into(), StatusLine),
        ("HTTP/1.1 +20 OK\r\nContent-Length: 0\r\n\r\n".into(), StatusLine),
        ("HTTP/1.1 200 O\u{7}K\r\nContent-Length: 0\r\n\r\n".into(), StatusLine),
        ("HTTP/1.1 200 O\u{e9}\r\nContent-Length: 0\r\n\r\n".into(), StatusLine),
        ("ICY 200 OK\r\n\r\n".into(), StatusLine),
        ("<html>".into(), StatusLine),
        ("\0\u{1}\u{2}".into(), StatusLine),
        ("HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n".into(), Status),
        ("HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n".into(), Status),
        ("HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n".into(), Status),
        ("HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n".into(), Status),
        ("HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n".into(), Switching),
        ("HTTP/1.1 100 X\r\nContent-Length: 2\r\n\r\n{}".into(), Framing),
        ("HTTP/1.1 103 X\r\nTransfer-Encoding: chunked\r\n\r\n".into(), Framing),
        ("HTTP/1.0 100 X\r\n\r\n".into(), Framing),
        ("HTTP/1.1 204 X\r\nContent-Length: 2\r\n\r\n{}".into(), Framing),
        ("HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), Framing),
        ("HTTP/1.1 304 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), Framing),
        ("HTTP/1.0 200 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), Framing),
        ("HTTP/1.0 200 X\r\n\r\nuntil the end".into(), NoLength),
        (chunked("\r\n"), Chunk),
        (chunked("zz\r\n{}\r\n0\r\n\r\n"), Chunk),
        (chunked("2;a=b\r\n{}\r\n0\r\n\r\n"), Chunk),
        (chunked("2 \r\n{}\r\n0\r\n\r\n"), Chunk),
        (chunked(" 2\r\n{}\r\n0\r\n\r\n"), Chunk),
        (chunked("0x2\r\n{}\r\n0\r\n\r\n"), Chunk),
        (chunked("-2\r\n{}\r\n0\r\n\r\n"), Chunk),
        (chunked("2\n{}\r\n0\r\n\r\n"), Chunk),
        (chunked("2\r{}\r\n0\r\n\r\n"), Chunk),
        (chunked("2\r\n{}0\r\n\r\n"), Chunk),
        (chunked("2\r\n{}\n0\r\n\r\n"), Chunk),
        (chunked("3\r\n{}\r\n0\r\n\r\n"), Chunk),
        (chunked("1\r\n{}\r\n0\r\n\r\n"), Chunk),
        (chunked("fffffffffffffffff\r\n"), Chunk),
        (chunked("0000000000000000\r\n\r\n"), Chunk),
        (chunked("0\r\nX: a\nY: b\r\n\r\n"), Chunk),
        (chunked("0\r\nX: a\0\r\n\r\n"), Chunk),
        (chunked("0\r\nno colon\r\n\r\n"), Chunk),
        (chunked("0\r\n: nameless\r\n\r\n"), Chunk),
        (chunked("0\r\n folded: a\r\n\r\n"), Chunk),
        (chunked("0\r\n\rX"), Chunk),
    ];
    for (bytes, expected) in table {
        assert_eq!(judge(&bytes), Err(expected), "{bytes:?}");
    }
}

#[test]
fn a_bare_lf_is_refused_before_the_head_is_whole_wherever_it_is_cut() {
    for head in [
        "HTTP/1.1 200 OK\r\nA: b\n\r\n",
        "HTTP/1.1 200 OK\nA: b\r\n",
        "HTTP/1.1 200 OK\r\n\n",
    ] {
        for piece in 1..=head.len() {
            let mut reader = Reader::new(every_name);
            reader.expect(false);
            let seen = head.as_bytes().chunks(piece).find_map(|piece| {
                reader.room().extend_from_slice(piece);
                reader.head().err()
            });
            assert_eq!(seen, Some(Violation::LineEnding), "{head:?} in pieces of {piece}");
        }
    }
}

#[test]
fn heads_interim_answers_and_trailers_are_bounded() {
    let long = format!("{OK}X: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(HEAD_BYTES));
    assert_eq!(judge(&long), Err(Violation::TooLarge));
    let endless = format!("{OK}X: {}", "x".repeat(HEAD_BYTES));
    assert_eq!(judge(&endless), Err(Violation::TooLarge));
    let fields = |count: usize| {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{}\r\n",
            "A: b\r\n".repeat(count - 1)
        )
    };
    assert_eq!(judge(fields(HEAD_FIELDS)), Ok(true));
    assert_eq!(judge(fields(HEAD_FIELDS + 1)), Err(Violation::TooLarge));
    let interim = |count: u8| {
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n".repeat(count.into());
        format!("{hints}{OK}Content-Length: 2\r\n\r\n{{}}")
    };
    assert_eq!(judge(interim(INTERIM_MOST)), Ok(true));
    assert_eq!(judge(interim(INTERIM_MOST + 1)), Err(Violation::Interim));
    let trailer = |bytes: usize| {
        format!(
            "{OK}Transfer-Encoding: chunked\r\n\r\n0\r\nX: {}\r\n\r\n",
            "x".repeat(bytes)
        )
    };
    assert_eq!(judge(trailer(8_000)), Ok(true));
    assert_eq!(judge(trailer(9_000)), Err(Violation::Chunk));
}

#[test]
fn interim_answers_and_trailers_are_taken_out() {
    let body = format!("{OK}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n");
    let whole =
        format!("HTTP/1.1 100 X\r\nA: b\r\n\r\nHTTP/1.1 103 Y\r\n\r\n{body}X-Late: 1\r\nY: 2\r\n\r\n");
    let bare = read(format!("{body}\r\n")).unwrap().unwrap();
    for piece in [1, 2, 3, 50, 1000] {
        let seen = read_in(whole.as_bytes(), piece, false).unwrap().unwrap();
        assert!(seen.reusable);
        assert_eq!(seen, bare, "{piece}");
    }
}

#[test]
fn bytes_that_answer_nothing_spoil_the_connection_but_not_the_answer_before_them() {
    let mut reader = Reader::new(every_name);
    reader.room().extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    assert!(reader.has_surplus() && !reader.may_serve_again());
    assert_eq!(reader.head().unwrap_err(), Violation::Unasked);

    let answer = format!("{OK}Content-Length: 2\r\n\r\n{{}}");
    for surplus in ["\r\n", "x", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"] {
        let seen = read(format!("{answer}{surplus}")).unwrap().unwrap();
        assert_eq!(seen.body, b"{}");
        assert!(seen.whole && !seen.reusable);
    }

    let mut reader = Reader::new(every_name);
    for _ in 0..3 {
        reader.expect(false);
        reader.room().extend_from_slice(answer.as_bytes());
        assert!(reader.head().unwrap().is_some());
        assert_eq!(reader.piece().unwrap().unwrap(), "{}");
        assert!(reader.may_serve_again());
    }
    let seen = read_in(format!("{OK}Content-Length: 500\r\n\r\n").as_bytes(), 9, true)
        .unwrap()
        .unwrap();
    assert!(seen.whole && seen.reusable, "to HEAD a length is no body");
}

#[test]
fn room_is_for_what_is_worth_reading_at_once_and_a_large_one_is_given_up_at_rest() {
    let mut reader = Reader::new(every_name);
    reader.expect(false);
    reader
        .room()
        .extend_from_slice(format!("{OK}Content-Length: 1000000\r\n\r\n").as_bytes());
    assert!(reader.head().unwrap().is_some());
    assert_eq!(reader.left(), Some(1_000_000));
    let room = reader.room();
    assert!((PIECE_BYTES..2 * PIECE_BYTES).contains(&(room.capacity() - room.len())));
    room.extend_from_slice(&[b'x'; PIECE_BYTES]);
    assert_eq!(reader.piece().unwrap().unwrap().len(), PIECE_BYTES);
    assert_eq!(reader.left(), Some(1_000_000 - PIECE_BYTES as u64));
    let large = reader.room().capacity();
    reader.rest();
    assert!(large > AT_REST_BYTES && reader.buffer.capacity() <= AT_REST_BYTES);

    // Though all of it is handed on, its memory is the buffer's as long as the buffer is there.
    let mut reader = Reader::new(every_name);
    reader.expect(false);
    let head = format!("{OK}Content-Length: {PIECE_BYTES}\r\n\r\n");
    reader.room().extend_from_slice(head.as_bytes());
    assert!(reader.head().unwrap().is_some());
    reader.room().extend_from_slice(&[b'x'; PIECE_BYTES]);
    drop(reader.piece().unwrap().unwrap());
    assert!(reader.may_serve_again());
    reader.rest();
    assert!(!reader.buffer.try_reclaim(AT_REST_BYTES + 1));
}
