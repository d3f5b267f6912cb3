//! Errors of HubSpot's on their way down: read whole, within a bound, searched for the token in every
//! form, and written anew from what is known of them.
//!
//! The status is HubSpot's, and so are the words if they come in HubSpot's shape. What is no JSON (a
//! page of an edge), is too long, or has no known member, is replaced by words of the gate's: clients
//! always get an error that they can read.

use bytes::{Bytes, BytesMut};
use http::StatusCode;

use super::answer::Answer;
use super::case::Case;
use super::download::Download;
use super::downward;
use super::filtered::with_links;
use super::forward::Used;
use super::judged::Share;
use super::stop::{self, Stop};
use crate::access::facts::Facts;
use crate::answer_fields::{AnswerFields, Known};
use crate::hubspot::error_body;

/// What an error is read against.
#[derive(Clone, Copy)]
pub(super) struct Failure<'a> {
    /// The call's.
    pub(super) facts: &'a Facts,
    /// The tokens it went up with.
    pub(super) used: &'a Used,
}

impl Case {
    /// An error, where no property rule says what of it may be read.
    pub(super) async fn rebuild_error(
        &mut self,
        status: StatusCode,
        mut fields: AnswerFields,
        mut download: Download,
        error: Failure<'_>,
    ) -> Result<Answer, Stop> {
        let links = download.stages.links.take();
        let body = match self.read_error(status, &fields, &mut download, error).await? {
            None => return Ok(self.reworded(status, fields)),
            Some(whole) if whole.is_empty() => return Ok(Answer::Whole(status, fields, whole)),
            Some(whole) => whole,
        };
        let says_json = fields.get(Known::ContentType).is_none() || downward::is_json_in_utf8(&fields);
        fields.remove(Known::ContentDisposition);
        fields.remove(Known::ETag);
        match error_body::rebuild(&body).filter(|_| says_json) {
            None => Ok(self.reworded(status, fields)),
            Some(rebuilt) => {
                fields.set(Known::ContentType, stop::JSON_UTF8);
                Ok(Answer::Whole(status, fields, with_links(rebuilt.into(), links)))
            }
        }
    }

    /// The whole of an error, which holds no token; `None` when it is longer than the bound. What a 403
    /// says is counted and kept.
    pub(super) async fn read_error(
        &mut self,
        status: StatusCode,
        fields: &AnswerFields,
        download: &mut Download,
        error: Failure<'_>,
    ) -> Result<Option<Bytes>, Stop> {
        let most = self.worker.limits().error_body_bytes;
        let mut whole = BytesMut::new();
        let mut share = Share::of(&self.worker.gate().answers);
        while let Some(piece) = self.next_piece(download).await? {
            if whole.len() + piece.len() > most || share.grow(piece.len()).is_err() {
                if status == StatusCode::FORBIDDEN {
                    self.note_forbidden(error.facts, fields, None);
                }
                return Ok(None);
            }
            whole.extend_from_slice(&piece);
        }
        if error.used.is_in(&whole) {
            self.outcome.echoed("body", false);
            return Err(Stop::TokenEcho {
                unsure: self.outcome.changed_data(),
            });
        }
        if status == StatusCode::FORBIDDEN {
            self.note_forbidden(error.facts, fields, Some(&whole));
        }
        Ok(Some(whole.freeze()))
    }
}
