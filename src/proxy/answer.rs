//! What goes back to the client: the upstream's answer, judged and filtered, or the gate's own words.

use std::rc::Rc;

use bytes::Bytes;
use http::StatusCode;
use hyper::body::Body;

use super::case::Case;
use super::download::{self, Download, GateBody, Stages};
use super::downward;
use super::error_answer::Failure;
use super::filtered;
use super::forward::Answered;
use super::gunzip::Gunzip;
use super::links::LinkRewriter;
use super::outcome::Outcome;
use super::rights::Rights;
use super::stop::{self, Stop};
use crate::access::facts::Facts;
use crate::access::fields::AnswerRule;
use crate::access::verdict::{Source, Verdict};
use crate::answer_fields::{AnswerFields, Known};
use crate::hubspot::client::WireError;
use crate::metrics::UpstreamErrorKind;

/// Answers up to this are read whole, whatever their way: two records of TLS. All calls under way on a worker
/// (`limits.in_flight`) may hold as much each.
const SHORT_BYTES: u64 = 32 * 1024;

const REDIRECT: &str = "scopegate: HubSpot answered with a redirect, which the gate neither follows nor passes on. Tell whoever runs the gate.";
const REDIRECT_OF_A_WRITE: &str = "scopegate: HubSpot answered with a redirect, which the gate neither follows nor passes on. Whether the change took effect is not known: look before repeating it, and tell whoever runs the gate.";
const PART: &str = "scopegate: HubSpot answered with a part of what was asked for, and the gate asks for no parts. Tell whoever runs the gate.";

/// What goes back to the client.
pub enum Answer {
    /// The gate's own words.
    Own(StatusCode, Bytes),
    /// The gate's own words under the upstream's status.
    Reworded(StatusCode, AnswerFields, Bytes),
    /// The upstream's, read whole.
    Whole(StatusCode, AnswerFields, Bytes),
    /// The upstream's.
    Upstream(StatusCode, AnswerFields, Box<Download>),
}

/// An answer as a connection is to write it.
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// All but what says how the body is framed.
    pub fields: AnswerFields,
    /// The body.
    pub body: GateBody,
}

impl From<Reply> for http::Response<GateBody> {
    fn from(reply: Reply) -> Self {
        let mut response = Self::new(reply.body);
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.fields.into();
        response
    }
}

/// What an answer's body is made of.
enum Written {
    Own(Bytes),
    Upstream(Box<Download>),
}

impl Case {
    /// Judges the answer's head and sets up what is done to its body.
    pub async fn read_answer(
        &mut self,
        (answered, used): Answered,
        rights: Rc<Rights>,
        rule: AnswerRule,
        facts: &Facts,
    ) -> Result<Answer, Stop> {
        let (status, mut fields, answer) = (answered.status, answered.fields, answered.body);
        let echo = used.guard();
        // All fields at once, those that nobody reads, too: a token has no CR LF in it.
        if echo.is_in(answer.lines()) {
            return Err(self.echoed_in_head());
        }
        self.check_status(status)?;
        self.note_success(status);
        if answer.size_hint().exact() != Some(0) && downward::has_doubtful_type(&fields) {
            self.outcome.withheld(
                UpstreamErrorKind::Protocol,
                &"it does not say once, and in its grammar, what its body is",
            );
            return Err(no_http(self.outcome.changed_data()));
        }
        let gunzip = match self.coding(&fields)? {
            Coding::Plain => None,
            Coding::Gzip => Some(Gunzip::new(self.worker.limits().body_bytes)),
        };
        let is_json = downward::is_json(&fields);
        let tally = self.begin_tally(status, is_json);
        let links = (is_json && !answer.is_end_stream()).then(|| {
            let gate = self.worker.gate();
            let authority = self.authority.as_ref().and_then(|value| value.to_str().ok());
            let own = gate.names.load().origin_for(authority, self.secure);
            LinkRewriter::new(gate.upstream_origin.clone(), own)
        });
        let stages = Stages {
            gunzip,
            tally,
            echo: Some(echo),
            filter: None,
            links,
        };
        let is_changed = stages.change_bytes() || rule != AnswerRule::Pass;
        downward::downward(&mut fields, is_changed);
        // What does not come down needs no second look.
        if fields.iter().any(|(_, value)| used.is_in(value)) {
            return Err(self.echoed_in_head());
        }
        let failure = Failure { facts, used: &used };
        let mut download = Download {
            first: Bytes::new(),
            left: answer.size_hint().exact(),
            answer,
            stages,
            rights,
            until: self.outcome.started() + self.worker.limits().total,
            pending: Bytes::new(),
            ended: false,
            withdrawn: None,
        };
        match rule {
            AnswerRule::Filter(by) if status.is_success() => {
                let (shape, views) = *by;
                return self.read_success(status, fields, download, shape, views).await;
            }
            AnswerRule::Filter(by) => {
                return self.read_failure(status, fields, download, by.1, failure).await;
            }
            AnswerRule::Errors if !status.is_success() => {
                let views = filtered::no_views();
                return self.read_failure(status, fields, download, views, failure).await;
            }
            AnswerRule::Errors | AnswerRule::Pass => {}
        }
        if !status.is_success() {
            return self.rebuild_error(status, fields, download, failure).await;
        }
        // A packed body's length says little of what it unpacks to.
        let length = download
            .answer
            .size_hint()
            .exact()
            .filter(|_| download.stages.gunzip.is_none());
        match length {
            Some(1..=SHORT_BYTES) => {
                let whole = self.read_short(&mut download).await?;
                Ok(Answer::Whole(status, fields, whole))
            }
            _ => {
                self.begin_stream(&mut download).await?;
                Ok(Answer::Upstream(status, fields, Box::new(download)))
            }
        }
    }

    /// An answer that streams. What of it is here already is judged before its head is sent: what is wrong with
    /// that becomes a 502, too.
    async fn begin_stream(&mut self, download: &mut Download) -> Result<(), Stop> {
        while download.first.is_empty()
            && let Some(piece) = self.next_piece_at_hand(download).await?
        {
            download.first = piece;
        }
        Ok(())
    }

    /// An answer that is read whole before its head is sent. It goes down with its length in one piece, where
    /// a stream is chunked (links may change its length), its connection is free before the client has read a
    /// byte, and what is wrong with it becomes a 502 in place of a transfer that breaks off.
    async fn read_short(&mut self, download: &mut Download) -> Result<Bytes, Stop> {
        let mut whole = Bytes::new();
        while let Some(piece) = self.next_piece(download).await? {
            whole = download::joined(whole, piece);
        }
        Ok(whole)
    }

    fn echoed_in_head(&self) -> Stop {
        self.outcome.echoed("head", false);
        Stop::TokenEcho {
            unsure: self.outcome.changed_data(),
        }
    }

    /// Whether an answer of this status passes at all.
    fn check_status(&self, status: StatusCode) -> Result<(), Stop> {
        if status.is_informational() || status.is_redirection() {
            self.outcome
                .withheld(UpstreamErrorKind::Protocol, &"it is a redirect");
            return Err(Stop::Answer(match self.outcome.changed_data() {
                false => REDIRECT,
                true => REDIRECT_OF_A_WRITE,
            }));
        }
        // No range ever goes up: a part would be taken for the whole.
        if matches!(
            status,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE
        ) {
            self.outcome.withheld(
                UpstreamErrorKind::Protocol,
                &"it answers for a range that nobody asked for",
            );
            return Err(Stop::Answer(PART));
        }
        Ok(())
    }

    /// The answer's coding: none, or the one the gate can undo.
    fn coding(&self, fields: &AnswerFields) -> Result<Coding, Stop> {
        coding(fields).inspect_err(|_| {
            self.outcome.withheld(
                UpstreamErrorKind::Encoding,
                &"its coding is none that was asked for",
            );
        })
    }

    /// The answer with the gate's own header fields.
    pub fn deliver(mut self, answer: Answer) -> Reply {
        let verdict = self.verdict.unwrap_or(Verdict::Allow);
        let (status, mut fields, source, written) = match answer {
            Answer::Own(status, bytes) => {
                let mut fields = AnswerFields::with_room();
                fields.set(Known::ContentType, stop::JSON_UTF8);
                (status, fields, Source::Gate, Written::Own(bytes))
            }
            Answer::Reworded(status, fields, bytes) => (status, fields, Source::Gate, Written::Own(bytes)),
            Answer::Whole(status, fields, bytes) => (status, fields, Source::Upstream, Written::Own(bytes)),
            Answer::Upstream(status, fields, download) => {
                (status, fields, Source::Upstream, Written::Upstream(download))
            }
        };
        stop::insert_decision(&mut fields, verdict, self.outcome.id(), self.rule.as_deref());
        fields.set(Known::Source, source.as_str());
        self.insert_cause(&mut fields);
        self.outcome.status = status.as_u16();
        self.outcome.source = source;
        if source == Source::Gate {
            self.linger();
        }
        let (fields, outcome) = self.finish_head(fields);
        let body = match written {
            Written::Own(bytes) => GateBody::own(bytes, outcome),
            Written::Upstream(download) => GateBody::upstream(download, outcome),
        };
        Reply { status, fields, body }
    }

    /// The answer to a call that ended at the gate.
    pub fn stopped(mut self, stop: Stop) -> Reply {
        let stop = self.note(stop);
        self.outcome.reason = stop.reason();
        let decided = self.verdict.filter(|verdict| verdict.passes());
        let own = stop.answer(self.outcome.id(), decided, self.rule.as_deref());
        let mut bytes = own.body;
        if self.bodiless {
            bytes.clear();
        }
        self.outcome.status = own.status.as_u16();
        self.linger();
        let (fields, outcome) = self.finish_head(own.fields);
        Reply {
            status: own.status,
            fields,
            body: GateBody::own(bytes, outcome),
        }
    }

    fn finish_head(mut self, mut fields: AnswerFields) -> (AnswerFields, Box<Outcome>) {
        if let Some(connection) = self.connection.take() {
            fields.set_text(Known::ScopegateConnection, connection.name().as_str().to_owned());
        }
        if self.closes {
            fields.set(Known::Connection, "close");
        }
        (fields, self.outcome)
    }
}

/// Whether an exchange ended because the answer was no HTTP that can be read in one way only.
pub fn is_no_http(error: &WireError) -> bool {
    error.violation().is_some()
}

/// What the caller of such an exchange is told.
pub fn no_http(unsure: bool) -> Stop {
    Stop::Answer(match unsure {
        false => {
            "scopegate: what answered is no HTTP that can be read in one way only, so it is withheld. Tell whoever runs the gate."
        }
        true => {
            "scopegate: what answered is no HTTP that can be read in one way only, so it is withheld. Whether the change took effect is not known: look before repeating it, and tell whoever runs the gate."
        }
    })
}

enum Coding {
    Plain,
    Gzip,
}

/// The answer's coding: none, or the one the gate can undo.
fn coding(fields: &AnswerFields) -> Result<Coding, Stop> {
    let mut values = fields.all(Known::ContentEncoding);
    match (values.next(), values.next()) {
        (None, _) => Ok(Coding::Plain),
        (Some(one), None) if one.eq_ignore_ascii_case(b"identity") => Ok(Coding::Plain),
        (Some(one), None) if one.eq_ignore_ascii_case(b"gzip") => Ok(Coding::Gzip),
        _ => Err(Stop::Answer(
            "scopegate: HubSpot's answer is in a coding that was not asked for.",
        )),
    }
}
