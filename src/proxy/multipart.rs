//! An import on its way up: `importRequest` is read and judged, the files beside it stream, and every
//! part is written anew between boundaries of the gate's own.
//!
//! Nothing the client framed goes up: what HubSpot reads as parts is what the gate read as parts. The
//! boundary is random and never told, so no file can hold it.

use bytes::Bytes;
use http::HeaderValue;
use http_body::Body;
use uuid::Uuid;

use super::client_body::ClientBody;
use super::forward::Outgoing;
use super::judged::{Bounds, Reader, Share, TOO_LARGE};
use super::stop::Stop;
use crate::access::json::JudgedBody;
use crate::access::multipart::{Fault, Part, Piece, Rebuild};
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
    incoming: ClientBody,
    read_bytes: u64,
}

/// Reads the parts of `body` until `importRequest` is whole.
pub async fn read(
    body: ClientBody,
    content_type: Option<&str>,
    share: &mut Share,
    bounds: Bounds,
) -> Result<Import, Stop> {
    let rest = Rebuild::new(content_type, boundary()).map_err(refused)?;
    tokio::time::timeout(bounds.total, read_request(body, rest, share, bounds))
        .await
        .unwrap_or(Err(Stop::Body))
}

async fn read_request(
    body: ClientBody,
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
        while let Some(piece) = rest.next_piece().map_err(refused)? {
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
            return Err(refused(rest.whole().err().unwrap_or(Fault::NoRequest)));
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
        rest.take(&data);
    }
}

/// Another one each time.
fn boundary() -> String {
    format!("scopegate-{}", Uuid::new_v4().simple())
}

fn refused(fault: Fault) -> Stop {
    Stop::Refused(fault.refusal())
}

/// An import as it goes up.
pub struct Multipart {
    /// The first bytes: `importRequest`, and the files that were read with it.
    pub first: Bytes,
    /// The client's stream, from there on.
    pub incoming: ClientBody,
    /// What turns it into parts of ours.
    pub rest: Rebuild,
    /// Bytes of it that were read.
    pub read_bytes: u64,
}

impl Import {
    /// The import as it will go up, with `narrowed` in place of what was asked, and its content type.
    pub fn send(mut self, narrowed: Option<JudgedBody>) -> Result<(HeaderValue, Outgoing), Stop> {
        let content_type =
            HeaderValue::try_from(self.rest.content_type()).map_err(|_| refused(Fault::ContentType))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_is_another_one_each_time() {
        assert_ne!(boundary(), boundary());
        assert!(boundary().len() <= 70);
    }
}
