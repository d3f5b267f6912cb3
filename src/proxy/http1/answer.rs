//! An answer as it is written to an HTTP/1 client: its head in the spelling that HubSpot uses, and how its body
//! is framed.

use std::cell::RefCell;

use http::StatusCode;
use http::header::HeaderName;
use http_body::Body;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::super::guard::request::Terms;
use crate::answer_fields::{AnswerFields, Known, Name};
use crate::clock;
use crate::outbox::{Framing, Outbox};

/// Writes the head of an answer; its body, if one follows, and whether another request may. `closes`: the
/// worker wants none.
pub(super) fn begin<B: Body>(
    (status, fields, body): (StatusCode, &AnswerFields, B),
    terms: Terms,
    closes: bool,
    outbox: &mut Outbox,
) -> (Option<B>, bool) {
    let (length, has_body) = (body.size_hint().exact(), !body.is_end_stream());
    // RFC 9110 §8.6: these have no length either.
    let is_lengthless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let is_bodiless = terms.is_head || is_lengthless;
    let framing = match length {
        _ if !has_body => Framing::Length { left: 0 },
        None if terms.is_old => Framing::Close,
        length => Framing::of(length),
    };
    let ends = fields.get(Known::Connection) == Some(b"close");
    let keeps_alive = terms.keeps_alive && !closes && !ends && framing != Framing::Close;
    let out = outbox.head();
    write_status(out, status, terms.is_old);
    let mut is_dated = false;
    for (name, value) in fields.iter() {
        match name {
            // Said below.
            Name::Known(Known::Connection) => continue,
            Name::Known(known) => {
                is_dated |= *known == Known::Date;
                out.extend_from_slice(known.spelled().as_bytes());
            }
            Name::Other(name) => write_name(out, name),
        }
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    match framing {
        _ if is_lengthless => {}
        // To HEAD a length is that of the answer to GET, which nobody knows.
        Framing::Length { left: 0 } if terms.is_head => {}
        Framing::Length { left } => {
            out.extend_from_slice(b"Content-Length: ");
            out.extend_from_slice(itoa::Buffer::new().format(left).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::Close => {}
    }
    match (keeps_alive, terms.is_old) {
        (false, _) => out.extend_from_slice(b"Connection: close\r\n"),
        (true, true) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (true, false) => {}
    }
    if !is_dated {
        write_date(out);
    }
    out.extend_from_slice(b"\r\n");
    outbox.begin_body(framing);
    ((has_body && !is_bodiless).then_some(body), keeps_alive)
}

fn write_status(out: &mut Vec<u8>, status: StatusCode, is_old: bool) {
    out.extend_from_slice(if is_old { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    // A word for those who can't do without one.
    let reason = status.canonical_reason().unwrap_or("Unknown");
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// `X-Hubspot-Correlation-Id`: some clients look names up in the spelling HubSpot uses.
fn write_name(out: &mut Vec<u8>, name: &HeaderName) {
    let from = out.len();
    let text = name.as_str().as_bytes();
    out.extend_from_slice(text);
    if let Some((first, rest)) = out.get_mut(from..).and_then(<[u8]>::split_first_mut) {
        first.make_ascii_uppercase();
        // Without a branch, so that it is done sixteen at a time.
        for (byte, before) in rest.iter_mut().zip(text) {
            *byte ^= u8::from((*before == b'-') & byte.is_ascii_lowercase()) << 5;
        }
    }
    out.extend_from_slice(b": ");
}

/// RFC 9110 §6.6.1: `Date`, made once a second.
fn write_date(out: &mut Vec<u8>) {
    thread_local! {
        static LAST: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
    }
    let now = clock::wall();
    LAST.with_borrow_mut(|(second, line)| {
        if *second != now.as_second() {
            *line = date_line(now);
            *second = now.as_second();
        }
        out.extend_from_slice(line.as_bytes());
    });
}

fn date_line(at: Timestamp) -> String {
    let at = at.to_zoned(TimeZone::UTC);
    at.strftime("Date: %a, %d %b %Y %H:%M:%S GMT\r\n").to_string()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{Empty, Full, StreamBody};

    use super::*;

    const GET: Terms = Terms {
        is_head: false,
        is_old: false,
        keeps_alive: true,
        expects: false,
    };

    fn written<B: Body<Data = Bytes>>(
        status: u16,
        body: B,
        terms: Terms,
        closes: bool,
    ) -> (String, bool, bool) {
        let status = StatusCode::from_u16(status).unwrap();
        let mut fields = AnswerFields::default();
        fields.set(Known::LimitMax, "1");
        let other = HeaderName::from_static("x-hubspot-ratelimit-used");
        fields.push(Name::Other(other), b"2");
        fields.set(Known::Date, "then");
        let mut outbox = Outbox::default();
        let (body, keeps_alive) = begin((status, &fields, body), terms, closes, &mut outbox);
        let head = String::from_utf8(outbox.head().clone()).unwrap();
        let said = "X-Hubspot-Ratelimit-Max: 1\r\nX-Hubspot-Ratelimit-Used: 2\r\nDate: then\r\n";
        assert!(head.contains(said), "{head}");
        (head.replace(said, ""), body.is_some(), keeps_alive)
    }

    fn stream() -> impl Body<Data = Bytes> {
        StreamBody::new(futures_util::stream::pending::<
            std::io::Result<http_body::Frame<Bytes>>,
        >())
    }

    #[test]
    fn an_answer_is_framed_by_what_its_body_is_and_whom_it_is_for() {
        let full = || Full::new(Bytes::from_static(b"{}"));
        let head = Terms { is_head: true, ..GET };
        let old = Terms {
            is_old: true,
            keeps_alive: false,
            ..GET
        };
        let old_kept = Terms { is_old: true, ..GET };
        let cases = [
            (
                written(200, full(), GET, false),
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
                true,
                true,
            ),
            (
                written(200, Empty::new(), GET, false),
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                false,
                true,
            ),
            (
                written(200, stream(), GET, false),
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                true,
                true,
            ),
            (
                written(204, Empty::new(), GET, false),
                "HTTP/1.1 204 No Content\r\n\r\n",
                false,
                true,
            ),
            (
                written(204, full(), GET, false),
                "HTTP/1.1 204 No Content\r\n\r\n",
                false,
                true,
            ),
            (
                written(477, full(), GET, true),
                "HTTP/1.1 477 Unknown\r\nContent-Length: 2\r\nConnection: close\r\n\r\n",
                true,
                false,
            ),
            (
                written(200, full(), head, false),
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
                false,
                true,
            ),
            (
                written(404, Empty::new(), head, false),
                "HTTP/1.1 404 Not Found\r\n\r\n",
                false,
                true,
            ),
            (
                written(200, full(), old, false),
                "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n",
                true,
                false,
            ),
            (
                written(200, full(), old_kept, false),
                "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n",
                true,
                true,
            ),
            (
                written(200, stream(), old_kept, false),
                "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n",
                true,
                false,
            ),
        ];
        for ((head, has_body, keeps_alive), expected, body, alive) in cases {
            assert_eq!((&head[..], has_body, keeps_alive), (expected, body, alive));
        }
    }

    #[test]
    fn the_date_has_the_preferred_form() {
        let at = Timestamp::from_second(784_111_777).unwrap();
        assert_eq!(date_line(at), "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        let mut out = Vec::new();
        write_date(&mut out);
        assert!(out.starts_with(b"Date: ") && out.ends_with(b" GMT\r\n") && out.len() == 37);
    }
}
