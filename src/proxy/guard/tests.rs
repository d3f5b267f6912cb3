use super::*;

/// What passes of `bytes` when they come in pieces of `cut`, message by message, and why it stopped.
fn messages(bytes: &[u8], cut: usize) -> (Vec<Vec<u8>>, Option<Violation>) {
    handed_on(bytes, cut, usize::MAX)
}

/// The same, handed on at most `most` bytes at a time.
fn handed_on(bytes: &[u8], cut: usize, most: usize) -> (Vec<Vec<u8>>, Option<Violation>) {
    let mut guard = Guard::new(1024, 10);
    let mut out: Vec<Vec<u8>> = vec![Vec::new()];
    for piece in bytes.chunks(cut.max(1)) {
        guard.buffer().extend_from_slice(piece);
        loop {
            if let Err(violation) = guard.feed() {
                assert_eq!(guard.passable(), 0, "nothing passes behind a violation");
                assert_eq!(guard.feed(), Err(violation), "and nothing heals it");
                return (out, Some(violation));
            }
            if guard.passable() == 0 {
                break;
            }
            guard.take(most, |bytes| {
                assert!(bytes.len() <= most);
                out.last_mut().unwrap().extend_from_slice(bytes)
            });
            assert_eq!(guard.heads(), out.len() as u64, "one a message, from its head on");
            if guard.at_boundary() {
                out.push(Vec::new());
            }
        }
    }
    (out, None)
}

fn judge(bytes: &[u8]) -> Result<Vec<u8>, Violation> {
    let (messages, violation) = messages(bytes, usize::MAX);
    violation.map_or(Ok(messages.concat()), Err)
}

#[test]
fn a_plain_request_passes_unchanged_and_pipelined_ones_are_each_judged() {
    let two =
        b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x:80\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(judge(two).unwrap(), two);
    let smuggled =
        b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /c HTTP/1.1\nHost: x\r\n\r\n";
    assert_eq!(judge(smuggled), Err(Violation::LineEnding));
}

#[test]
fn what_could_be_read_two_ways_is_refused() {
    let head = |lines: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
    let host = |host: &str| format!("GET / HTTP/1.1\r\n{host}\r\n");
    let line = |line: &str| format!("{line}\r\nHost: x\r\n\r\n");
    use Violation::{
        ContentLength, Field, Framing, Host, LineEnding, Method, RequestLine, Target, TargetForm,
        TransferEncoding, Upgrade,
    };
    let table: Vec<(String, Violation)> = vec![
        (
            head("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
            Framing,
        ),
        (
            "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            Framing,
        ),
        (head("Content-Length: 1\r\nContent-Length: 1\r\n"), ContentLength),
        (head("Content-Length: +1\r\n"), ContentLength),
        (head("Content-Length: 1,1\r\n"), ContentLength),
        (head("Content-Length:\r\n"), ContentLength),
        (head("Content-Length: 1234567890123456\r\n"), ContentLength),
        (head("Transfer-Encoding: gzip, chunked\r\n"), TransferEncoding),
        (head("Transfer-Encoding: identity\r\n"), TransferEncoding),
        (
            head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            TransferEncoding,
        ),
        (head("Transfer-Encoding: \x0cchunked\r\n"), Field),
        (host(""), Host),
        (host("Host: x\r\nHost: x\r\n"), Host),
        (host("Host: x/y\r\n"), Host),
        (host("Host: u@x\r\n"), Host),
        (host("Host: x:\r\n"), Host),
        (host("Host: x:70000\r\n"), Host),
        (host("Host: x:80:80\r\n"), Host),
        (host("Host: [::1\r\n"), Host),
        (host("Host: [x]\r\n"), Host),
        (host("Host:\r\n"), Host),
        (host("Host: x:8a\r\n"), Host),
        (host("Host: x:000080\r\n"), Host),
        (host("Host: x:65536\r\n"), Host),
        (host("Host: [::1]x\r\n"), Host),
        (host("Host: [::1]:\r\n"), Host),
        (host("hOST: x\r\nHost: x\r\n"), Host),
        (head("content-LENGTH: 1\r\nContent-Length: 1\r\n"), ContentLength),
        (
            head("TRANSFER-encoding: chunked\r\nContent-Length: 1\r\n"),
            Framing,
        ),
        (head("UPGRADE: h2c\r\n"), Upgrade),
        ("GET / HTTP/1.1\nHost: x\r\n\r\n".into(), LineEnding),
        ("GET / HTTP/1.1\nHost: x\n\n".into(), LineEnding),
        ("\nGET / HTTP/1.1\r\nHost: x\r\n\r\n".into(), LineEnding),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n".into(), RequestLine),
        (head("A: b\rc\r\n"), LineEnding),
        (head("A : b\r\n"), Field),
        (head(": b\r\n"), Field),
        (head("A: b\r\n c\r\n"), Field),
        (head(" A: b\r\n"), Field),
        (head("A: b\0c\r\n"), Field),
        (head("A: b\x0b\r\n"), Field),
        (head("no colon\r\n"), Field),
        (head("Upgrade: h2c\r\n"), Upgrade),
        (line("GET /#f HTTP/1.1"), Target),
        (line("GET /<x> HTTP/1.1"), Target),
        (line("GET /é HTTP/1.1"), Target),
        (line("GET /%zz HTTP/1.1"), Target),
        (line("GET /%4 HTTP/1.1"), Target),
        (line("GET /%g4 HTTP/1.1"), Target),
        (line("GET /%4g HTTP/1.1"), Target),
        (line("GET /x?a=% HTTP/1.1"), Target),
        (line("GET x/y HTTP/1.1"), TargetForm),
        (line("GET http://x/y HTTP/1.1"), TargetForm),
        (line("OPTIONS * HTTP/1.1"), TargetForm),
        (line("CONNECT x:443 HTTP/1.1"), Method),
        (line("TRACE / HTTP/1.1"), Method),
        (line("GET  / HTTP/1.1"), RequestLine),
        (line("GET / HTTP/1.1 "), RequestLine),
        (line(" GET / HTTP/1.1"), RequestLine),
        (line("GET /"), RequestLine),
        (line("GET / HTTP/2.0"), RequestLine),
        (line("PRI * HTTP/2.0"), RequestLine),
        (line("GET / http/1.1"), RequestLine),
        (line("G(T / HTTP/1.1"), RequestLine),
        (line("GET/ HTTP/1.1"), RequestLine),
        (line("GET\t/ HTTP/1.1"), RequestLine),
        (line("GET /\tx HTTP/1.1"), Target),
        (line("/ HTTP/1.1"), RequestLine),
        (line(" / HTTP/1.1"), RequestLine),
        (line("GET HTTP/1.1"), RequestLine),
    ];
    for (bytes, expected) in table {
        let bytes = bytes.as_bytes();
        assert_eq!(judge(bytes), Err(expected), "{}", String::from_utf8_lossy(bytes));
        let (passed, violation) = messages(bytes, 1);
        assert!(violation.is_some() && passed.concat().is_empty(), "byte by byte");
    }
}

#[test]
fn what_is_wrong_already_is_said_before_the_head_is_whole() {
    for (bytes, expected) in [
        ("GET /\r\n", Violation::RequestLine),
        ("GET / HTTP/1.1\r\nHost: x\n", Violation::LineEnding),
        ("SSH-2.0-OpenSSH\r\n", Violation::RequestLine),
    ] {
        assert_eq!(judge(bytes.as_bytes()), Err(expected), "{bytes}");
    }
}

#[test]
fn a_head_is_bounded_in_bytes_and_fields() {
    let long = [b"GET / HTTP/1.1\r\nHost: x\r\nA: ".as_slice(), &[b'a'; 2000]].concat();
    assert_eq!(judge(&long), Err(Violation::TooLarge));
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(10));
    assert_eq!(judge(many.as_bytes()), Err(Violation::TooLarge));
    assert!(judge(many.replacen("A: b\r\n", "", 1).as_bytes()).is_ok());
}

#[test]
fn every_bound_is_met_to_the_byte() {
    let head = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    for (bound, passes) in [(head.len(), true), (head.len() - 1, false)] {
        for cut in [1, 3, usize::MAX] {
            let mut guard = Guard::new(bound, 10);
            let fed = head.chunks(cut.min(head.len())).try_for_each(|piece| {
                guard.buffer().extend_from_slice(piece);
                guard.feed()
            });
            let expected = if passes { Ok(()) } else { Err(Violation::TooLarge) };
            assert_eq!(fed, expected, "{bound} in pieces of {cut}");
            assert_eq!(guard.passable(), if passes { head.len() } else { 0 });
        }
    }
    // One that is not whole is borne to its bound, and no byte further.
    let mut guard = Guard::new(20, 10);
    guard.buffer().extend_from_slice(&head[..20]);
    assert_eq!((guard.feed(), guard.passable()), (Ok(()), 0));
    guard.buffer().extend_from_slice(&head[20..21]);
    assert_eq!(guard.feed(), Err(Violation::TooLarge));

    let check = |line: String, host: String, name: String| {
        let head = format!("{line} HTTP/1.1\r\nHost: {host}\r\n{name}: y\r\n\r\n");
        head::check(head.as_bytes(), 10).map(|_| ())
    };
    let (line, host, name) = ("GET /", "x", "X");
    let of = |text: &str, count: usize| text.repeat(count);
    let with_line = |text: String| check(text, host.into(), name.into());
    let with_host = |text: String| check(line.into(), text, name.into());
    assert_eq!(with_line(of("M", 32) + " /"), Ok(()));
    assert_eq!(with_line(of("M", 33) + " /"), Err(Violation::RequestLine));
    assert_eq!(with_line("GET /".to_owned() + &of("a", 59_999)), Ok(()));
    assert_eq!(
        with_line("GET /".to_owned() + &of("a", 60_000)),
        Err(Violation::TooLarge)
    );
    assert_eq!(with_host(of("h", 260)), Ok(()));
    assert_eq!(with_host(of("h", 261)), Err(Violation::Host));
    assert_eq!(with_host("a_b:65535".into()), Ok(()));
    assert_eq!(with_host("[::1]:1".into()), Ok(()));
    assert_eq!(check(line.into(), host.into(), of("X", 256)), Ok(()));
    assert_eq!(
        check(line.into(), host.into(), of("X", 257)),
        Err(Violation::Field)
    );
}

#[test]
fn every_byte_of_a_target_is_judged_as_the_parser_behind_judges_it_or_refused() {
    for byte in 0..=u8::MAX {
        for (before, behind) in [("/", ""), ("/a", "b"), ("/?", ""), ("/a?b", "c=d")] {
            let target = [before.as_bytes(), &[byte], behind.as_bytes()].concat();
            let line = [b"GET ", &target[..], b" HTTP/1.1"].concat();
            let may_pass = byte.is_ascii_graphic() && !b"#%".contains(&byte);
            let parsed =
                http::Uri::try_from(&target[..]).is_ok_and(|uri| uri.to_string().as_bytes() == target);
            let passes = head::request_line(&line).is_ok();
            assert_eq!(
                passes,
                may_pass && parsed,
                "{:?}",
                String::from_utf8_lossy(&target)
            );
        }
    }
}

#[test]
fn every_byte_of_a_host_is_a_names_or_refused() {
    for byte in 0..=u8::MAX {
        let head = [b"GET / HTTP/1.1\r\nHost: a", &[byte][..], b"b\r\n\r\n"].concat();
        let is_names = byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        assert_eq!(head::check(&head, 10).is_ok(), is_names, "{byte:#x}");
    }
}

#[test]
fn every_length_of_a_body_is_counted_to_the_byte() {
    let next = "GET /next HTTP/1.1\r\nHost: x\r\n\r\n";
    for length in (0..=130).chain([789, 1_024, 98_765]) {
        let body = "b".repeat(length);
        let first = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}");
        let chunked = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
            if length > 0 {
                format!("{length:X}\r\n{body}\r\n")
            } else {
                String::new()
            }
        );
        for first in [first, chunked] {
            let (passed, violation) = messages(format!("{first}{next}").as_bytes(), usize::MAX);
            assert_eq!(violation, None);
            assert_eq!(passed, [first.into_bytes(), next.into(), Vec::new()], "{length}");
        }
    }
}

#[test]
fn between_two_messages_and_nowhere_else_the_buffer_is_given_back() {
    let messages = "\r\nPOST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n\
                    POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok";
    let mut guard = Guard::new(1024, 10);
    let mut free = Vec::new();
    for (at, byte) in messages.bytes().enumerate() {
        guard.buffer().extend_from_slice(&[byte]);
        guard.feed().unwrap();
        if guard.passable() > 0 {
            let held = guard.passable();
            assert!(!guard.give_back_buffer(), "{held} bytes wait");
            guard.take(usize::MAX, |bytes| assert_eq!(bytes.len(), held));
        }
        assert!(guard.has_buffered() || guard.buffer().capacity() <= KEPT_BUFFER_BYTES);
        if guard.give_back_buffer() {
            free.push(at + 1);
        }
    }
    let ends = [2, messages.rfind("POST").unwrap(), messages.len()];
    assert_eq!(free, ends, "behind the empty line and behind each message");
}

#[test]
fn a_chunked_body_is_followed_to_its_end_and_the_next_head_is_seen_there() {
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n";
    let next = "GET /next HTTP/1.1\r\nHost: x\r\n\r\n";
    for chunks in [
        "0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
        "000000000000005\r\nhello\r\n000\r\n\r\n",
        "1B\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n\r\n0\r\n\r\n",
        "2\r\n\r\n\r\n0\r\n\r\n",
    ] {
        let all = format!("{head}{chunks}{next}");
        for cut in [1, 2, 3, 7, usize::MAX] {
            let (passed, violation) = messages(all.as_bytes(), cut);
            assert_eq!(violation, None, "{chunks:?} in pieces of {cut}");
            let expected = [format!("{head}{chunks}"), next.into(), String::new()];
            let passed: Vec<_> = passed.iter().map(|one| String::from_utf8_lossy(one)).collect();
            assert_eq!(passed, expected, "in pieces of {cut}");
        }
    }
}

#[test]
fn chunks_are_read_in_one_way_only() {
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    for chunks in [
        "5;ext=1\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloo\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "0000000000000005\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5\r\rhello\r\n0\r\n\r\n",
        "0\r\nX: trailer\r\n\r\n",
        "0\r\n\n",
        "0\n\n",
        "0\r\n\rX",
        "0;\n\r\n\r\n",
    ] {
        let bytes = format!("{head}{chunks}");
        for cut in [1, 4, usize::MAX] {
            let (_, violation) = messages(bytes.as_bytes(), cut);
            assert_eq!(violation, Some(Violation::Chunk), "{chunks:?} in pieces of {cut}");
        }
    }
}

#[test]
fn every_byte_around_chunks_is_what_it_must_be() {
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = "3\r\nabc\r\n0\r\n\r\n";
    for at in (0..chunks.len()).filter(|at| !chunks.as_bytes()[*at].is_ascii_alphanumeric()) {
        for byte in (0..=u8::MAX).filter(|byte| *byte != chunks.as_bytes()[at]) {
            let mut bytes = format!("{head}{chunks}").into_bytes();
            bytes[head.len() + at] = byte;
            // A digit more is another size.
            if chunks.as_bytes()[at] == b'\r' && byte.is_ascii_hexdigit() && [1, 9].contains(&at) {
                continue;
            }
            let (_, violation) = messages(&bytes, usize::MAX);
            assert_eq!(violation, Some(Violation::Chunk), "{byte:#x} at {at}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn bytes_arriving_in_pieces_are_judged_as_if_they_came_at_once(
        body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
        noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..20),
        chunked in proptest::prelude::any::<bool>(),
        cut in 1usize..9,
        most in 1usize..40,
    ) {
        let framing = if chunked { "Transfer-Encoding: chunked".into() } else { format!("Content-Length: {}", body.len()) };
        let mut bytes = format!("POST /x HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n").into_bytes();
        if chunked && !body.is_empty() {
            bytes.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
        }
        bytes.extend_from_slice(&body);
        if chunked {
            bytes.extend_from_slice(if body.is_empty() { b"0\r\n\r\n" } else { b"\r\n0\r\n\r\n" });
        }
        bytes.extend_from_slice(b"GET /y HTTP/1.1\r\nHost: x\r\n");
        bytes.extend_from_slice(&noise);
        let ((whole, at_once), (pieces, bit_by_bit)) = (messages(&bytes, usize::MAX), messages(&bytes, cut));
        proptest::prop_assert_eq!(at_once.is_some(), bit_by_bit.is_some());
        proptest::prop_assert_eq!(&whole, &pieces);
        let (handed_on, violation) = handed_on(&bytes, usize::MAX, most);
        proptest::prop_assert_eq!(at_once, violation);
        proptest::prop_assert_eq!(whole, handed_on);
    }
}
