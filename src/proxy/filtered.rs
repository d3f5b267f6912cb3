//! An answer under property rules: what of it a client may see, decided before the head is sent where
//! the answer is short enough.
//!
//! A success is filtered in the shape that the plan names. Held whole, a violation becomes a 502;
//! longer ones stream, and a violation breaks the transfer off. An error is always read whole: its
//! words are HubSpot's fixed ones or none. Without a rule nothing here runs.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::StatusCode;
use smallvec::SmallVec;

use super::answer::{Answer, is_no_http, no_http};
use super::case::Case;
use super::download::{Download, DownloadError};
use super::downward;
use super::error_answer::Failure;
use super::face;
use super::judged::Share;
use super::links::LinkRewriter;
use super::stop::{self, Stop};
use crate::access::fields::filter::{Filter, SCRATCH_BYTES, Violation};
use crate::access::fields::{Bounds, Shape, Views, shapes};
use crate::answer_fields::{AnswerFields, Known};
use crate::hubspot::answer_body::AnswerError;

/// Answers up to this are filtered whole before their head is sent. A page of 100 records with a
/// dozen properties each has 20 to 200 KB, and one worker serves hundreds at a time.
pub const WHOLE_BYTES: u64 = 256 * 1024;

const NOT_JSON: Stop = Stop::Answer(
    "scopegate: HubSpot's answer is no JSON in UTF-8, so property rules can't be applied and it is withheld.",
);
const NOT_JSON_OF_A_WRITE: Stop = Stop::Answer(
    "scopegate: HubSpot carried the request out, but its answer is no JSON in UTF-8, so property rules can't be applied and it is withheld. Look before repeating it.",
);
const MISSHAPEN: Stop = Stop::Answer(
    "scopegate: HubSpot's answer has not the shape that is known of this operation, so property rules can't be applied and it is withheld. Tell whoever runs the gate.",
);
const MISSHAPEN_OF_A_WRITE: Stop = Stop::Answer(
    "scopegate: HubSpot carried the request out, but its answer has not the shape that is known of this operation, so property rules can't be applied and it is withheld. Look before repeating it, and tell whoever runs the gate.",
);
const UNREADABLE: Stop =
    Stop::Answer("scopegate: HubSpot's answer can't be passed on. Tell whoever runs the gate.");

/// The filter as a stage of an answer's way down.
pub struct FilterStage {
    filter: Filter,
    read_bytes: u64,
}

impl FilterStage {
    /// Filters an answer of this shape.
    pub fn new(shape: &'static Shape, views: Views) -> Box<Self> {
        Box::new(Self {
            filter: Filter::new(shape, views, SCRATCH_BYTES),
            read_bytes: 0,
        })
    }

    /// What of `chunk` may go on.
    pub fn push(&mut self, chunk: &[u8]) -> Result<Bytes, Violation> {
        self.read_bytes += chunk.len() as u64;
        let mut out = Vec::with_capacity(chunk.len());
        self.filter.push(chunk, &mut out).map(|()| out.into())
    }

    /// The last of it; an answer that ended early is a violation.
    pub fn finish(&mut self) -> Result<Bytes, Violation> {
        let mut out = Vec::new();
        self.filter.finish(&mut out).map(|()| out.into())
    }

    /// Values removed so far.
    pub fn stripped(&self) -> u64 {
        self.filter.stripped()
    }
}

/// What is held of an answer until its head is sent, with its share of the room for all of them.
struct Held {
    bytes: Vec<u8>,
    share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Held {
    /// Holds `data`, too; whether there was room for it.
    fn push(&mut self, data: &[u8]) -> bool {
        self.bytes.extend_from_slice(data);
        self.share.grow(data.len()).is_ok()
    }

    /// The bytes, which give their room back when they are gone.
    fn into_bytes(self) -> Bytes {
        match self.bytes.is_empty() {
            true => Bytes::new(),
            false => Bytes::from_owner(self),
        }
    }
}

impl Case {
    /// A 2xx answer, in the shape of its operation.
    pub(super) async fn read_success(
        &mut self,
        status: StatusCode,
        mut fields: AnswerFields,
        mut download: Download,
        shape: &'static Shape,
        views: Views,
    ) -> Result<Answer, Stop> {
        forget_descriptions(&mut fields);
        if !downward::is_json_in_utf8(&fields) {
            while let Some(piece) = self.next_piece(&mut download).await? {
                match (piece.is_empty(), self.changed_data()) {
                    (true, _) => {}
                    (false, true) => return Err(NOT_JSON_OF_A_WRITE),
                    (false, false) => return Err(NOT_JSON),
                }
            }
            return Ok(Answer::Whole(status, fields, Bytes::new()));
        }
        download.stages.filter = Some(FilterStage::new(shape, views));
        let mut held = Held {
            bytes: Vec::new(),
            share: Share::of(&self.worker.gate().answers),
        };
        while let Some(piece) = self.next_piece(&mut download).await? {
            let has_room = held.push(&piece);
            let read_bytes = download
                .stages
                .filter
                .as_ref()
                .map_or(0, |stage| stage.read_bytes);
            if !has_room || read_bytes > WHOLE_BYTES {
                download.first = held.into_bytes();
                return Ok(Answer::Upstream(status, fields, Box::new(download)));
            }
        }
        insert_stripped(&mut fields, self.outcome.stripped);
        Ok(Answer::Whole(status, fields, held.into_bytes()))
    }

    /// Any other answer: what HubSpot complains of may quote a value, so only its fixed words pass.
    pub(super) async fn read_failure(
        &mut self,
        status: StatusCode,
        mut fields: AnswerFields,
        mut download: Download,
        views: Views,
        error: Failure<'_>,
    ) -> Result<Answer, Stop> {
        forget_descriptions(&mut fields);
        let links = download.stages.links.take();
        let whole = match self.read_error(status, &fields, &mut download, error).await? {
            None => return Ok(self.reworded(status, fields)),
            Some(whole) if whole.is_empty() => return Ok(Answer::Whole(status, fields, whole)),
            Some(whole) => whole,
        };
        if !downward::is_json_in_utf8(&fields) {
            return Ok(self.reworded(status, fields));
        }
        let mut stage = FilterStage::new(&shapes::ERROR, views);
        let filtered = stage
            .push(&whole)
            .and_then(|kept| Ok([kept, stage.finish()?].concat()));
        match filtered {
            // Not an object: no error of HubSpot's, and little of it can be left.
            Ok(kept) if kept.trim_ascii_start().first() != Some(&b'{') || kept.trim_ascii() == b"{}" => {
                Ok(self.reworded(status, fields))
            }
            Ok(kept) => {
                self.outcome.stripped = stage.stripped();
                insert_stripped(&mut fields, stage.stripped());
                Ok(Answer::Whole(status, fields, with_links(kept.into(), links)))
            }
            Err(violation) => {
                self.outcome.misshapen(&violation);
                Ok(self.reworded(status, fields))
            }
        }
    }

    /// HubSpot's status in the gate's own words.
    pub(super) fn reworded(&self, status: StatusCode, mut fields: AnswerFields) -> Answer {
        fields.set(Known::ContentType, stop::JSON_UTF8);
        if status.is_server_error() && fields.get(Known::RetryAfter).is_none() {
            // As with every failure of this kind that the gate speaks of.
            fields.set(Known::RetryAfter, "1");
        }
        let body = match self.bodiless {
            true => Vec::new(),
            // An edge that gives up on HubSpot does not know what HubSpot has done.
            false => face::withheld(
                self.outcome.id(),
                status.is_server_error() && self.outcome.changed_data(),
            ),
        };
        Answer::Reworded(status, fields, body.into())
    }

    /// The next piece, which may be empty; `None` at the end.
    pub(super) async fn next_piece(&mut self, download: &mut Download) -> Result<Option<Bytes>, Stop> {
        let next = poll_fn(|cx| download.poll_piece(cx, &mut self.outcome)).await;
        self.read_piece(next, download)
    }

    /// The same as far as something has come; `None` otherwise, too.
    pub(super) async fn next_piece_at_hand(
        &mut self,
        download: &mut Download,
    ) -> Result<Option<Bytes>, Stop> {
        match poll_fn(|cx| Poll::Ready(download.poll_piece(cx, &mut self.outcome))).await {
            Poll::Ready(next) => self.read_piece(next, download),
            Poll::Pending => Ok(None),
        }
    }

    fn read_piece(
        &self,
        next: Option<Result<Bytes, DownloadError>>,
        download: &Download,
    ) -> Result<Option<Bytes>, Stop> {
        match next {
            None => Ok(None),
            Some(Ok(piece)) => Ok(Some(piece)),
            // A misshapen answer is an event of its own.
            Some(Err(error @ DownloadError::Shape(_))) => Err(self.stop_of(&error, download)),
            Some(Err(error)) => {
                self.outcome.broken_off(&error, false);
                Err(self.stop_of(&error, download))
            }
        }
    }

    fn stop_of(&self, error: &DownloadError, download: &Download) -> Stop {
        let unsure = self.changed_data();
        match error {
            DownloadError::Upstream(AnswerError::Broken(error)) if is_no_http(error) => no_http(unsure),
            DownloadError::Upstream(_) => Stop::Upstream { unsure },
            DownloadError::Limit => self.outcome.limit().unwrap_or(UNREADABLE),
            DownloadError::Total => Stop::Timeout { unsure },
            DownloadError::Shape(_) if unsure => MISSHAPEN_OF_A_WRITE,
            DownloadError::Shape(_) => MISSHAPEN,
            DownloadError::Coding(_) => UNREADABLE,
            DownloadError::Echo(_) => Stop::TokenEcho { unsure },
            DownloadError::Stopped => download.rights.check().err().unwrap_or(Stop::Upstream { unsure }),
        }
    }

    fn changed_data(&self) -> bool {
        self.outcome.changed_data()
    }
}

/// Views by which nothing may be read.
pub(super) fn no_views() -> Views {
    let none = Bounds {
        policy: Some(Arc::default()),
        ceiling: None,
    };
    Views {
        types: SmallVec::new(),
        bounds: none,
    }
}

/// What a head says of a body that no longer is what HubSpot sent: a file's name may be a record's.
fn forget_descriptions(fields: &mut AnswerFields) {
    fields.remove(Known::ContentDisposition);
    fields.remove(Known::ContentLanguage);
}

fn insert_stripped(fields: &mut AnswerFields, values: u64) {
    if values > 0 {
        fields.set_text(Known::Stripped, values.to_string());
    }
}

pub(super) fn with_links(body: Bytes, links: Option<LinkRewriter>) -> Bytes {
    match links {
        None => body,
        Some(mut links) => [links.push(body), links.finish()].concat().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::judged::Budget;

    #[test]
    fn what_is_held_of_answers_takes_room_until_its_last_byte_is_gone() {
        let room = Budget::new(10);
        let hold = |bytes: &[u8]| {
            let mut held = Held {
                bytes: Vec::new(),
                share: Share::of(&room),
            };
            let fits = held.push(bytes);
            (fits, held.into_bytes())
        };
        let (fits, first) = hold(b"eight is");
        assert!(fits && first == "eight is");
        let part = first.slice(..2);
        drop(first);
        assert!(!hold(b"too").0, "a part of it is still held");
        drop(part);
        assert!(hold(b"too").0);
        assert!(hold(b"").1.is_empty());
    }

    #[test]
    fn views_for_answers_without_a_type_let_nothing_be_read() {
        let views = no_views();
        for position in [0, 1, 7] {
            let view = views.of(position);
            assert!(!view.reads("email") && !view.reads_all(), "{position}");
        }
    }
}
