//! An import on its way up: `importRequest` is read and judged, the files beside it stream, and every
//! part is written anew between boundaries of the gate's own.
//!
//! Nothing the client framed goes up: what HubSpot reads as parts is what the gate read as parts. The
//! boundary is random and never told, so no file can hold it.

use bytes::Bytes;
use http::HeaderValue;
use hyper::body::{Body, Incoming};
use uuid::Uuid;

use super::forward::Outgoing;
use super::judged::{Bounds, Reader, Share, TOO_LARGE};
use super::stop::Stop;
use crate::access::json::JudgedBody;
use crate::access::multipart::{Fault, Part, Piece, Splitter};
use crate::access::refusal::{Reason, Refusal};

/// Files that come first must be held until it is known what they are for.
const REQUEST_TOO_LATE: Refusal = Refusal::new(
    Reason::TooLarge,
    "more files stand before `importRequest` than can be held until it comes",
    "send `importRequest` as the first part",
);

/// An import, read until it can be decided.
pub struct Import {
    /// What it asks for.
    pub request: JudgedBody,
    is_json: bool,
    /// Files, or parts of one, that had come by then, as they will go up.
    files: Vec<u8>,
    rest: Rebuild,
    incoming: Incoming,
    read_bytes: u64,
}

/// Reads the parts of `body` until `importRequest` is whole.
pub async fn read(
    body: Incoming,
    content_type: Option<&str>,
    share: &mut Share,
    bounds: Bounds,
) -> Result<Import, Stop> {
    let rest = Rebuild::new(content_type).map_err(refused)?;
    tokio::time::timeout(bounds.total, read_request(body, rest, share, bounds))
        .await
        .unwrap_or(Err(Stop::Body))
}

async fn read_request(
    body: Incoming,
    mut rest: Rebuild,
    share: &mut Share,
    bounds: Bounds,
) -> Result<Import, Stop> {
    let mut reader = Reader::new(body, bounds);
    let (mut text, mut files) = (Vec::new(), Vec::new());
    let mut read_bytes = 0;
    let mut request = None;
    let mut reading = None;
    loop {
        // All that came is looked at, so that what is wrong with it is known before the decision.
        while let Some(piece) = rest.splitter.next_piece().map_err(refused)? {
            match (piece, reading) {
                (Piece::Head(Part::Request { is_json }), _) => reading = Some(is_json),
                (Piece::Data(data), Some(_)) => text.extend_from_slice(&data),
                (Piece::End, Some(is_json)) => {
                    let judged = JudgedBody::parse(&text).map_err(Stop::Refused)?;
                    request = Some((judged, is_json));
                    reading = None;
                }
                (piece, None) => rest.write(&piece, &mut files),
                // Invariant of the splitter: no part begins before the last one has ended.
                (Piece::Head(_), Some(_)) => return Err(refused(Fault::Framing)),
            }
        }
        if let Some((request, is_json)) = request {
            return Ok(Import {
                request,
                is_json,
                files,
                rest,
                incoming: reader.body,
                read_bytes: read_bytes as u64,
            });
        }
        let Some(data) = reader.next().await? else {
            return Err(refused(rest.splitter.finish().err().unwrap_or(Fault::NoRequest)));
        };
        read_bytes += data.len();
        if read_bytes > bounds.bytes {
            let of_files = Stop::Refused(REQUEST_TOO_LATE);
            return Err(if files.is_empty() {
                Stop::Refused(TOO_LARGE)
            } else {
                of_files
            });
        }
        share.grow(data.len())?;
        rest.splitter.push(&data);
    }
}

fn refused(fault: Fault) -> Stop {
    Stop::Refused(fault.refusal())
}

/// An import as it goes up.
pub struct Multipart {
    /// The first bytes: `importRequest`, and the files that were read with it.
    pub first: Bytes,
    /// The client's stream, from there on.
    pub incoming: Incoming,
    /// What turns it into parts of ours.
    pub rest: Rebuild,
    /// Bytes of it that were read.
    pub read_bytes: u64,
}

impl Import {
    /// The import as it will go up, with `narrowed` in place of what was asked, and its content type.
    pub fn send(mut self, narrowed: Option<JudgedBody>) -> Result<(HeaderValue, Outgoing), Stop> {
        let content_type = self.rest.content_type().ok_or(refused(Fault::ContentType))?;
        let mut first = self
            .rest
            .request(narrowed.as_ref().unwrap_or(&self.request), self.is_json);
        first.append(&mut self.files);
        if self.incoming.is_end_stream() {
            self.rest.finish(&mut first).map_err(refused)?;
            return Ok((content_type, Outgoing::Judged(first.into())));
        }
        let streaming = Multipart {
            first: first.into(),
            incoming: self.incoming,
            rest: self.rest,
            read_bytes: self.read_bytes,
        };
        Ok((content_type, Outgoing::Multipart(Box::new(streaming))))
    }
}

/// Writes parts anew as they are read.
pub struct Rebuild {
    splitter: Splitter,
    boundary: String,
}

impl Rebuild {
    fn new(content_type: Option<&str>) -> Result<Self, Fault> {
        Ok(Self {
            splitter: Splitter::new(content_type)?,
            boundary: format!("scopegate-{}", Uuid::new_v4().simple()),
        })
    }

    fn content_type(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("multipart/form-data; boundary={}", self.boundary)).ok()
    }

    fn request(&self, request: &JudgedBody, is_json: bool) -> Vec<u8> {
        let content_type = if is_json {
            "Content-Type: application/json\r\n"
        } else {
            ""
        };
        let head = format!(
            "--{}\r\nContent-Disposition: form-data; name=\"importRequest\"\r\n{content_type}\r\n",
            self.boundary
        );
        [head.as_bytes(), &request.rebuild(), b"\r\n"].concat()
    }

    fn write(&self, piece: &Piece, out: &mut Vec<u8>) {
        match piece {
            Piece::Data(data) => out.extend_from_slice(data),
            Piece::End => out.extend_from_slice(b"\r\n"),
            Piece::Head(Part::File { name, content_type }) => {
                let content_type = content_type.as_deref().unwrap_or("application/octet-stream");
                let head = format!(
                    "--{}\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\n\
                     Content-Type: {content_type}\r\n\r\n",
                    self.boundary
                );
                out.extend_from_slice(head.as_bytes());
            }
            // Written by `request`, from what was judged.
            Piece::Head(Part::Request { .. }) => {}
        }
    }

    /// What the next bytes of the client's stream become. Nothing of a fault is in `out`.
    pub fn push(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.splitter.push(data);
        while let Some(piece) = self.splitter.next_piece()? {
            self.write(&piece, out);
        }
        Ok(())
    }

    /// The final boundary, once the client's own has come.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.splitter.finish()?;
        out.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=b1";

    /// What goes up of a stream cut like this, and the fault that stopped it.
    fn rebuilt(body: &[u8], cut: usize) -> (String, Option<Fault>) {
        let mut rebuild = Rebuild::new(Some(TYPE)).unwrap();
        let mut out = Vec::new();
        let mut fault = None;
        for chunk in body.chunks(cut) {
            fault = fault.or(rebuild.push(chunk, &mut out).err());
            if fault.is_some() {
                break;
            }
        }
        if fault.is_none() {
            fault = rebuild.finish(&mut out).err();
        }
        let text = String::from_utf8(out).unwrap();
        (text.replace(&rebuild.boundary, "OWN"), fault)
    }

    fn file(name: &str, rest: &str, data: &str) -> String {
        format!("--b1\r\ncontent-disposition: form-data; name=files; filename={name}{rest}\r\n\r\n{data}\r\n")
    }

    #[test]
    fn files_are_framed_and_named_anew_wherever_the_stream_is_cut() {
        let request = "--b1\r\nContent-Disposition: form-data; name=\"importRequest\"\r\n\r\n";
        let body = [
            request.to_owned(),
            "\r\n".into(),
            file("a.csv", "; filename*=", "").replace("; filename*=", "\r\nContent-Length: 9"),
            file(
                "\"b c.csv\"",
                "\r\nCONTENT-TYPE: Text/CSV",
                "--b2\r\n--OWN\r\n1,2",
            ),
            "--b1--".into(),
        ]
        .concat();
        let expected = "\r\n--OWN\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a.csv\"\r\n\
            Content-Type: application/octet-stream\r\n\r\n\r\n\
            --OWN\r\nContent-Disposition: form-data; name=\"files\"; filename=\"b c.csv\"\r\n\
            Content-Type: text/csv\r\n\r\n--b2\r\n--OWN\r\n1,2\r\n--OWN--\r\n";
        for cut in 1..=body.len() {
            assert_eq!(
                rebuilt(body.as_bytes(), cut),
                (expected.into(), None),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_second_request_or_a_cut_never_gets_a_final_boundary_nor_a_byte_of_its_own() {
        let request = "--b1\r\nContent-Disposition: form-data; name=\"importRequest\"\r\n\r\nSECRET\r\n";
        let first = "--b1\r\nContent-Disposition: form-data; name=\"importRequest\"\r\n\r\n\r\n";
        let (a, end) = (file("a", "", "1"), "--b1--");
        for (body, fault) in [
            (format!("{first}{a}{request}{end}"), Fault::SecondRequest),
            (
                format!("{first}{a}{}", request.replace("importR", "IMPORTR")),
                Fault::Name,
            ),
            (format!("{first}{a}{end}\r\n{request}{end}"), Fault::Framing),
            (format!("{first}{a}"), Fault::Framing),
            (format!("{first}{}", file("a", "", "1\r\n--b1-")), Fault::Framing),
        ] {
            for cut in [1, 2, 5, 64, body.len()] {
                let (out, found) = rebuilt(body.as_bytes(), cut);
                assert_eq!(found, Some(fault), "{body} cut at {cut}");
                assert!(!out.contains("OWN--") && !out.contains("SECRET"), "{out}");
            }
        }
    }

    #[test]
    fn the_boundary_is_another_one_each_time() {
        let boundary = || Rebuild::new(Some(TYPE)).unwrap().boundary;
        assert_ne!(boundary(), boundary());
        let request = JudgedBody::parse(b" { \"n\" : 1 } ").unwrap();
        let rebuild = Rebuild::new(Some(TYPE)).unwrap();
        for (is_json, line) in [(true, "Content-Type: application/json\r\n"), (false, "")] {
            let text = String::from_utf8(rebuild.request(&request, is_json)).unwrap();
            let head = "Content-Disposition: form-data; name=\"importRequest\"\r\n";
            assert_eq!(
                text,
                format!("--{}\r\n{head}{line}\r\n{{\"n\":1}}\r\n", rebuild.boundary)
            );
        }
    }
}
