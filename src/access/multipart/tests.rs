use super::*;
use crate::access::json::Json;

const TYPE: &str = "multipart/form-data; boundary=b1";

fn split(body: &[u8], cut: usize) -> Result<Vec<Piece>, Fault> {
    let mut splitter = Splitter::new(Some(TYPE))?;
    let mut pieces: Vec<Piece> = Vec::new();
    for chunk in body.chunks(cut) {
        splitter.push(chunk);
        while let Some(piece) = splitter.next_piece()? {
            match (pieces.last_mut(), piece) {
                // How the bytes are cut says nothing.
                (Some(Piece::Data(data)), Piece::Data(more)) => *data = [&data[..], &more].concat().into(),
                (_, piece) => pieces.push(piece),
            }
        }
        assert!(
            splitter.buffer.len() <= HEAD_BYTES + cut,
            "{} bytes are held",
            splitter.buffer.len()
        );
    }
    splitter.finish().map(|()| pieces)
}

fn part(head: &str, data: &str) -> String {
    format!("--b1\r\n{head}\r\n\r\n{data}\r\n")
}

fn request(data: &str) -> String {
    part("Content-Disposition: form-data; name=\"importRequest\"", data)
}

fn file(name: &str, data: &str) -> String {
    let head = format!(
        "Content-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\nContent-Type: text/csv"
    );
    part(&head, data)
}

fn data(text: &str) -> Piece {
    Piece::Data(Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn parts_are_the_same_wherever_the_body_is_cut() {
    let odd = "a,b\r\n--b\r\n-\r\r\n--b0\r\n\r\n1,2\r\n";
    let body = [
        file("a.csv", odd),
        request("{\"name\":\"x\"}"),
        file("b.csv", ""),
        "--b1--\r\n".to_owned(),
    ]
    .concat();
    let csv = |name: &str| {
        Piece::Head(Part::File {
            name: name.into(),
            content_type: Some("text/csv".into()),
        })
    };
    let expected = vec![
        csv("a.csv"),
        data(odd),
        Piece::End,
        Piece::Head(Part::Request { is_json: false }),
        data("{\"name\":\"x\"}"),
        Piece::End,
        csv("b.csv"),
        Piece::End,
    ];
    for cut in 1..=body.len() {
        assert_eq!(
            split(body.as_bytes(), cut).as_ref(),
            Ok(&expected),
            "cut at {cut}"
        );
    }
}

#[test]
fn what_parsers_frame_differently_is_refused_wherever_it_is_cut() {
    let (one, end) = (request("{}"), "--b1--\r\n");
    let table: [(String, Fault); 19] = [
        (String::new(), Fault::Framing),
        ("--b1--".into(), Fault::NoRequest),
        (format!("preamble\r\n{one}{end}"), Fault::Framing),
        (format!("\r\n\r\n{one}{end}"), Fault::Framing),
        (format!(" {one}{end}"), Fault::Framing),
        (format!("{one}{end}epilogue"), Fault::Framing),
        (format!("{one}{end}{one}{end}"), Fault::Framing),
        (format!("{one}{end}\r\n"), Fault::Framing),
        (one.clone(), Fault::Framing),
        (format!("{one}--b1"), Fault::Framing),
        (format!("{one}--b1-"), Fault::Framing),
        (format!("{one}--b1 \r\n{end}"), Fault::Framing),
        (format!("{one}--b1x{end}"), Fault::Framing),
        (format!("{one}--b1\n{end}"), Fault::Framing),
        (one.replace("\r\n", "\n") + end, Fault::Framing),
        (format!("{one}{one}{end}"), Fault::SecondRequest),
        (format!("{one}{}{one}{end}", file("a", "1")), Fault::SecondRequest),
        (format!("{}{end}", file("a", "1")), Fault::NoRequest),
        (format!("{one}{}{end}", file("a", "1").repeat(64)), Fault::Framing),
    ];
    for (body, fault) in &table {
        for cut in [1, 3, 7, body.len().max(1)] {
            assert_eq!(
                split(body.as_bytes(), cut),
                Err(*fault),
                "{body:.300} cut at {cut}"
            );
        }
    }
    for good in [
        format!("{one}{end}"),
        format!("\r\n{one}--b1--"),
        format!("{one}{}{end}", file("a", "1").repeat(63)),
    ] {
        assert!(split(good.as_bytes(), 5).is_ok(), "{good:.200}");
    }
}

#[test]
fn a_parts_head_is_plain_or_refused() {
    let named = |name: &str| format!("Content-Disposition: form-data; {name}");
    let filed = |rest: &str| named(&format!("name=\"files\"; {rest}"));
    let typed = |rest: &str| filed(&format!("filename=\"a.csv\"\r\n{rest}"));
    let asked = |rest: &str| named(&format!("name=\"importRequest\"\r\n{rest}"));
    let table: Vec<(String, Fault)> = vec![
        (String::new(), Fault::Head),
        ("Content-Type: text/csv".into(), Fault::Head),
        (named("name=\"ImportRequest\""), Fault::Name),
        (named("name=\"importrequest\""), Fault::Name),
        (named("name=\"importRequest \""), Fault::Name),
        (named("name=\"importRequest[]\""), Fault::Name),
        (named("name=\"%69mportRequest\""), Fault::Name),
        (named("name=\"\""), Fault::Name),
        (named("filename=\"a\""), Fault::Name),
        ("Content-Disposition: form-data".into(), Fault::Name),
        (named("name*=utf-8''importRequest"), Fault::Head),
        (named("name=\"files\"; name=\"importRequest\""), Fault::Head),
        (named("name=\"files\"; NAME=\"importRequest\""), Fault::Head),
        (named("name=\"files\"; name*=utf-8''importRequest"), Fault::Head),
        (named("name=\"files\" name=\"importRequest\""), Fault::Head),
        (named("name=\"import\\Request\""), Fault::Head),
        (named("name=importRequest\""), Fault::Head),
        (named("name=\"importRequest"), Fault::Head),
        (named("name=\"importRequest\"; x=\"y\""), Fault::Head),
        (named("name=\"importRequest\";"), Fault::Head),
        (named("name =\"importRequest\""), Fault::Head),
        (
            "Content-Disposition: attachment; name=\"importRequest\"".into(),
            Fault::Head,
        ),
        (
            "Content-Disposition : form-data; name=\"importRequest\"".into(),
            Fault::Head,
        ),
        (
            " Content-Disposition: form-data; name=\"importRequest\"".into(),
            Fault::Head,
        ),
        (named("name=\"files\";\r\n name=\"importRequest\""), Fault::Head),
        (
            named("name=\"files\"\r\nContent-Disposition: form-data; name=\"importRequest\""),
            Fault::Head,
        ),
        (named("name=\"files\0\""), Fault::Head),
        (named("name=\"files\"\nX: y"), Fault::Head),
        (named("name=\"files\"\rX: y"), Fault::Head),
        (named("name=\"files\""), Fault::FileName),
        (filed("filename=\"\""), Fault::FileName),
        (filed("filename=\"..\""), Fault::FileName),
        (filed("filename=\"x; name=importRequest\""), Fault::FileName),
        (
            filed("filename*=utf-8''x%3b%20name%3dimportRequest"),
            Fault::FileName,
        ),
        (filed("filename=\"../a.csv\""), Fault::FileName),
        (filed("filename=\"C:\\a.csv\""), Fault::Head),
        (filed("filename=\"a\\\"; name=\\\"importRequest\""), Fault::Head),
        (filed("filename*=utf-8''a%0d%0aX"), Fault::FileName),
        (filed("filename*=utf-8''a%22b"), Fault::FileName),
        (filed("filename*=utf-8''a%2fb"), Fault::FileName),
        (filed("filename*=utf-8''%ff"), Fault::FileName),
        (filed("filename*=utf-16''a"), Fault::FileName),
        (
            filed("filename=a; filename*=utf-8''b; filename*=utf-8''b"),
            Fault::Head,
        ),
        (
            filed(&format!("filename=\"{}\"", "x".repeat(256))),
            Fault::FileName,
        ),
        (filed(&format!("filename=\"{}\"", "x".repeat(5000))), Fault::Head),
        (typed("Content-Type: multipart/mixed; boundary=b2"), Fault::Head),
        (typed("Content-Type: multipart/mixed"), Fault::Head),
        (typed("Content-Type: message/rfc822"), Fault::Head),
        (typed("Content-Type: text"), Fault::Head),
        (
            typed("Content-Type: text/csv; name=\"importRequest\""),
            Fault::Head,
        ),
        (
            typed("Content-Type: text/csv\r\nContent-Type: text/csv"),
            Fault::Head,
        ),
        (typed("Content-Transfer-Encoding: base64"), Fault::Head),
        (typed("Content-Encoding: gzip"), Fault::Head),
        (typed("X-Anything: 1"), Fault::Head),
        (
            asked("Content-Type: application/json; charset=utf-16"),
            Fault::Head,
        ),
        (asked("Content-Type: application/xml"), Fault::Head),
        (asked("Content-Transfer-Encoding: quoted-printable"), Fault::Head),
    ];
    for (head, fault) in &table {
        let body = part(head, "{}");
        for cut in [1, 11, body.len()] {
            assert_eq!(
                split(body.as_bytes(), cut),
                Err(*fault),
                "{head:.200} cut at {cut}"
            );
        }
    }
    let binary = [
        b"--b1\r\nContent-Disposition: form-data; name=\"\xff\"".as_slice(),
        b"\r\n\r\n",
    ]
    .concat();
    assert_eq!(split(&binary, 4), Err(Fault::Head));
    let bomb = format!("--b1\r\n{}", "X: y\r\n".repeat(100_000));
    assert_eq!(split(bomb.as_bytes(), 1000), Err(Fault::Head));
}

#[test]
fn a_plain_head_is_read_in_every_way_clients_write_it() {
    let head = |text: &str| Part::read(text.as_bytes()).unwrap();
    for (text, is_json) in [
        ("Content-Disposition: form-data; name=\"importRequest\"", false),
        ("content-disposition:form-data;name=importRequest", false),
        (
            "Content-Type: application/json\r\nContent-Disposition: form-data; name=\"importRequest\"; filename=\"blob\"",
            true,
        ),
        (
            "Content-Disposition: form-data; name=\"importRequest\"\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: 2\r\nContent-Transfer-Encoding: 8bit",
            false,
        ),
    ] {
        assert_eq!(head(text), Part::Request { is_json }, "{text}");
    }
    for (rest, name, content_type) in [
        ("filename=\"a.csv\"", "a.csv", None),
        ("filename=a.csv", "a.csv", None),
        ("filename*=UTF-8'de'K%C3%A4ufer.csv", "Käufer.csv", None),
        (
            "filename=\"=?utf-8?B?S8OkLmNzdg==?=\"; filename*=utf-8''K%C3%A4.csv",
            "Kä.csv",
            None,
        ),
        (
            "filename=\"Käufer, neue.csv\"\r\nContent-Type: Text/CSV;charset=\"ISO-8859-1\"",
            "Käufer, neue.csv",
            Some("text/csv; charset=iso-8859-1"),
        ),
        (
            "filename=\"a b.xlsx\"\r\nContent-Type: application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "a b.xlsx",
            Some("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ),
    ] {
        let expected = Part::File {
            name: name.into(),
            content_type: content_type.map(Into::into),
        };
        let text = format!("Content-Disposition: form-data; name=\"files\"; {rest}");
        assert_eq!(head(&text), expected, "{rest}");
    }
}

#[test]
fn a_content_type_has_one_plain_boundary_and_nothing_else() {
    let boundary = |text: &str| content_type_boundary(Some(text));
    for (text, expected) in [
        ("multipart/form-data; boundary=abc", "abc"),
        ("Multipart/Form-Data;BOUNDARY=\"a:b\"", "a:b"),
        (
            "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxk",
            "----WebKitFormBoundary7MA4YWxk",
        ),
    ] {
        assert_eq!(boundary(text).as_deref(), Some(expected), "{text}");
    }
    let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
    for text in [
        "",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=a, multipart/form-data; boundary=b",
        "multipart/form-data; boundary=a; charset=utf-8",
        "multipart/form-data; charset=utf-7; boundary=a",
        "multipart/form-data; boundary*=utf-8''a",
        "multipart/form-data; boundary=\"a b\"",
        "multipart/form-data; boundary=\"a\\b\"",
        "multipart/form-data; boundary=ä",
        "multipart/mixed; boundary=a",
        "application/json; boundary=a",
        "application/json",
        &long,
    ] {
        assert_eq!(boundary(text), None, "{text}");
    }
    assert_eq!(content_type_boundary(None), None);
}

#[test]
fn the_import_request_of_a_whole_body_is_found_and_held_to_strict_json() {
    let body = [file("a.csv", "x"), request("{\"name\":\"n\"}"), "--b1--".into()].concat();
    let found = import_request(body.as_bytes(), Some(TYPE)).unwrap();
    assert_eq!(found.value().get("name"), Some(&Json::String("n".into())));
    let twice = [request("{\"a\":1,\"a\":2}"), "--b1--".into()].concat();
    assert!(import_request(twice.as_bytes(), Some(TYPE)).is_err());
    assert!(import_request(body.as_bytes(), Some("application/json")).is_err());
}

proptest::proptest! {
    #[test]
    fn cutting_never_changes_what_is_read(
        pieces in proptest::collection::vec(
            proptest::sample::select(vec![
                "--b1", "--", "\r\n", "\r", "\n", "b1", "x", "\"", ";", " name=\"files\"", " filename=\"f\"",
                "Content-Disposition: form-data;", " name=\"importRequest\"", "\r\n\r\n", "\r\n--b1\r\n",
            ]), 0..40),
        cut in 1usize..9,
    ) {
        let body = pieces.concat().into_bytes();
        let whole = split(&body, body.len().max(1));
        proptest::prop_assert_eq!(split(&body, cut), whole);
    }
}
