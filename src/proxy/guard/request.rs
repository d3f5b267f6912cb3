//! The head of a request that the guard has passed, as it is served.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri, Version};

use crate::heads;

/// What a request's head says of its exchange, beside what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Its answer has no body.
    pub is_head: bool,
    /// HTTP/1.0: its client knows no chunks.
    pub is_old: bool,
    /// Another request may follow.
    pub keeps_alive: bool,
    /// Its body comes when it was said to be wanted.
    pub expects: bool,
}

/// The name of a field that is kept, however it is spelled; `None`: it is not.
pub type Names = fn(&[u8]) -> Option<HeaderName>;

/// Reads a whole head, the empty line at its end included; of its fields those are kept that have one of `names`.
/// `None`: it is none, which the guard would have refused.
pub fn read(head: &Bytes, names: Names) -> Option<(Request<()>, Terms)> {
    let lines = head.strip_suffix(b"\r\n")?;
    let (line, mut lines) = heads::line(lines).ok()?;
    let (line, version) = line.split_last_chunk()?;
    let is_old = match version {
        b" HTTP/1.1" => false,
        b" HTTP/1.0" => true,
        _ => return None,
    };
    let (method, target) = line.split_at_checked(heads::leading_token(line))?;
    let target = target.strip_prefix(b" ")?;
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(method).ok()?;
    *request.uri_mut() = Uri::from_maybe_shared(head.slice_ref(target)).ok()?;
    *request.version_mut() = if is_old {
        Version::HTTP_10
    } else {
        Version::HTTP_11
    };
    let mut terms = Terms {
        is_head: *request.method() == Method::HEAD,
        is_old,
        keeps_alive: !is_old,
        expects: false,
    };
    let mut map = HeaderMap::with_capacity(12);
    while !lines.is_empty() {
        let (field, rest) = heads::field(lines).ok()?;
        let value = field.value.trim_ascii();
        terms.note(field.name, value);
        if let Some(name) = names(field.name) {
            let value = HeaderValue::from_maybe_shared(head.slice_ref(value)).ok()?;
            map.try_append(name, value).ok()?;
        }
        lines = rest;
    }
    *request.headers_mut() = map;
    Some((request, terms))
}

impl Terms {
    fn note(&mut self, name: &[u8], value: &[u8]) {
        match name.len() {
            10 if name.eq_ignore_ascii_case(b"connection") => {
                for word in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    if word.eq_ignore_ascii_case(b"close") {
                        self.keeps_alive = false;
                    } else if word.eq_ignore_ascii_case(b"keep-alive") && self.is_old {
                        self.keeps_alive = true;
                    }
                }
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                self.expects = !self.is_old && value.eq_ignore_ascii_case(b"100-continue");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &Bytes) -> Option<(Request<()>, Terms)> {
        super::read(head, |name| HeaderName::from_bytes(name).ok())
    }

    fn terms(head: &str) -> Terms {
        read(&Bytes::copy_from_slice(head.as_bytes())).unwrap().1
    }

    #[test]
    fn a_head_is_read_as_it_stands() {
        let head = "PATCH /a%20b?c=d HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-a:\t 2 \r\nX-Empty:\r\n\r\n";
        let (request, terms) = read(&Bytes::from_static(head.as_bytes())).unwrap();
        assert_eq!(
            (request.method(), request.uri().to_string()),
            (&Method::PATCH, "/a%20b?c=d".into())
        );
        assert_eq!(request.version(), Version::HTTP_11);
        let fields: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        assert_eq!(
            fields,
            [
                ("host", &b"x"[..]),
                ("x-a", b"1"),
                ("x-a", b"2"),
                ("x-empty", b"")
            ]
        );
        let expected = Terms {
            is_head: false,
            is_old: false,
            keeps_alive: true,
            expects: false,
        };
        assert_eq!(terms, expected);
        for broken in [
            "",
            "\r\n",
            "GET / HTTP/1.1\r\n",
            "GET  / HTTP/1.1\r\n\r\n",
            "GET / HTTP/2\r\n\r\n",
            "GET / HTTP/1.1\r\nA : b\r\n\r\n",
        ] {
            assert!(
                read(&Bytes::from_static(broken.as_bytes())).is_none(),
                "{broken:?}"
            );
        }
    }

    #[test]
    fn who_keeps_alive_and_who_waits_for_a_word_is_known() {
        let keeps = |lines: &str| terms(&format!("GET / HTTP/{lines}\r\n\r\n")).keeps_alive;
        for kept in [
            "1.1",
            "1.1\r\nConnection: keep-alive",
            "1.1\r\nConnection: x, y",
            "1.0\r\nConnection: Keep-Alive",
        ] {
            assert!(keeps(kept), "{kept}");
        }
        for ended in [
            "1.0",
            "1.1\r\nConnection: close",
            "1.1\r\nconnection: a ,\tCLOSE",
            "1.0\r\nConnection: keep-alive\r\nConnection: close",
            "1.1\r\nConnection: close\r\nConnection: keep-alive",
        ] {
            assert!(!keeps(ended), "{ended}");
        }
        assert!(terms("HEAD / HTTP/1.1\r\n\r\n").is_head);
        assert!(terms("POST / HTTP/1.1\r\nExpect: 100-Continue\r\n\r\n").expects);
        assert!(!terms("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").expects);
        assert!(!terms("POST / HTTP/1.1\r\nExpect: x\r\n\r\n").expects);
    }
}
