//! The head of a request that the guard has passed, as it is served.

use bytes::Bytes;
use http::{Method, Uri, Version};

use crate::heads::{self, Field};

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// The method.
    pub method: Method,
    /// The target: path and query over HTTP/1, with scheme and authority over HTTP/2.
    pub target: Uri,
    /// The version of its connection.
    pub version: Version,
}

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

/// Reads a whole head, the empty line at its end included; `note` is told each field, without the space around its
/// value. `None`: it is no head, which the guard would have refused.
pub fn read(head: &Bytes, mut note: impl FnMut(Field<'_>)) -> Option<(Line, Terms)> {
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
    let line = Line {
        method: Method::from_bytes(method).ok()?,
        target: Uri::from_maybe_shared(head.slice_ref(target)).ok()?,
        version: if is_old {
            Version::HTTP_10
        } else {
            Version::HTTP_11
        },
    };
    let mut terms = Terms {
        is_head: line.method == Method::HEAD,
        is_old,
        keeps_alive: !is_old,
        expects: false,
    };
    while !lines.is_empty() {
        let (mut field, rest) = heads::field(lines).ok()?;
        field.value = field.value.trim_ascii();
        terms.note(field.name, field.value);
        note(field);
        lines = rest;
    }
    Some((line, terms))
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

    fn read(head: &Bytes) -> Option<(Line, Terms)> {
        super::read(head, |_| {})
    }

    fn terms(head: &str) -> Terms {
        read(&Bytes::copy_from_slice(head.as_bytes())).unwrap().1
    }

    #[test]
    fn a_head_is_read_as_it_stands() {
        let head = "PATCH /a%20b?c=d HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-a:\t 2 \r\nX-Empty:\r\n\r\n";
        let mut fields = Vec::new();
        let note = |field: Field<'_>| fields.push((field.name.to_vec(), field.value.to_vec()));
        let (line, terms) = super::read(&Bytes::from_static(head.as_bytes()), note).unwrap();
        let expected = Line {
            method: Method::PATCH,
            target: Uri::from_static("/a%20b?c=d"),
            version: Version::HTTP_11,
        };
        assert_eq!(line, expected);
        let expected = [("Host", "x"), ("X-A", "1"), ("x-a", "2"), ("X-Empty", "")];
        assert_eq!(fields, expected.map(|(name, value)| (name.into(), value.into())));
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
