//! What goes back to the client: the upstream's answer, judged and filtered, or the gate's own words.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use hyper::body::Body;

use super::case::Case;
use super::download::{self, Download, GateBody, Stages};
use super::downward;
use super::echo::EchoGuard;
use super::echo_forms;
use super::error_answer::Failure;
use super::filtered;
use super::forward::Answered;
use super::gunzip::Gunzip;
use super::headers;
use super::links::LinkRewriter;
use super::outcome::Outcome;
use super::rights::Rights;
use super::stop::{self, Stop};
use crate::access::facts::Facts;
use crate::access::fields::AnswerRule;
use crate::access::verdict::{Source, Verdict};
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
    Reworded(StatusCode, HeaderMap, Bytes),
    /// The upstream's, read whole.
    Whole(StatusCode, HeaderMap, Bytes),
    /// The upstream's.
    Upstream(StatusCode, HeaderMap, Box<Download>),
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
        (response, lease): Answered,
        rights: Rights,
        rule: AnswerRule,
        facts: &Facts,
    ) -> Result<Answer, Stop> {
        let (parts, answer) = response.into_parts();
        let token = lease.plain().expose();
        let echo = EchoGuard::new(Arc::clone(lease.search()));
        // All fields at once, those that nobody reads, too: a token has no CR LF in it.
        if echo.is_in(answer.lines()) {
            return Err(self.echoed_in_head());
        }
        self.check_status(parts.status)?;
        self.note_success(parts.status);
        if answer.size_hint().exact() != Some(0) && downward::has_doubtful_type(&parts.headers) {
            self.outcome.withheld(
                UpstreamErrorKind::Protocol,
                &"it does not say once, and in its grammar, what its body is",
            );
            return Err(no_http(self.outcome.changed_data()));
        }
        let gunzip = match self.coding(&parts.headers)? {
            Coding::Plain => None,
            Coding::Gzip => Some(Gunzip::new(self.worker.limits().body_bytes)),
        };
        let tally = self.begin_tally(parts.status, headers::is_json(&parts.headers));
        let links = (headers::is_json(&parts.headers) && !answer.is_end_stream()).then(|| {
            let gate = self.worker.gate();
            let own = gate
                .names
                .load()
                .origin_for(self.authority.as_deref(), self.secure);
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
        let headers = downward::downward(parts.headers, is_changed);
        // What does not come down needs no second look.
        let holds_token = |value: &HeaderValue| echo_forms::holds(token.as_bytes(), value.as_bytes());
        if headers.values().any(holds_token) {
            return Err(self.echoed_in_head());
        }
        let failure = Failure { facts, token };
        let download = Download {
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
            AnswerRule::Filter(by) if parts.status.is_success() => {
                let (shape, views) = *by;
                return self
                    .read_success(parts.status, headers, download, shape, views)
                    .await;
            }
            AnswerRule::Filter(by) => {
                return self
                    .read_failure(parts.status, headers, download, by.1, failure)
                    .await;
            }
            AnswerRule::Errors if !parts.status.is_success() => {
                let views = filtered::no_views();
                return self
                    .read_failure(parts.status, headers, download, views, failure)
                    .await;
            }
            AnswerRule::Errors | AnswerRule::Pass => {}
        }
        if !parts.status.is_success() {
            return self.rebuild_error(parts.status, headers, download, failure).await;
        }
        // A packed body's length says little of what it unpacks to.
        let length = download
            .answer
            .size_hint()
            .exact()
            .filter(|_| download.stages.gunzip.is_none());
        match length {
            Some(1..=SHORT_BYTES) => self.read_short(parts.status, headers, download).await,
            _ => self.begin_stream(parts.status, headers, download).await,
        }
    }

    /// An answer that streams. What of it is here already is judged before its head is sent: what is wrong with
    /// that becomes a 502, too.
    async fn begin_stream(
        &mut self,
        status: StatusCode,
        headers: HeaderMap,
        mut download: Download,
    ) -> Result<Answer, Stop> {
        while download.first.is_empty()
            && let Some(piece) = self.next_piece_at_hand(&mut download).await?
        {
            download.first = piece;
        }
        Ok(Answer::Upstream(status, headers, Box::new(download)))
    }

    /// An answer that is read whole before its head is sent. It goes down with its length in one piece, where
    /// a stream is chunked (links may change its length), its connection is free before the client has read a
    /// byte, and what is wrong with it becomes a 502 in place of a transfer that breaks off.
    async fn read_short(
        &mut self,
        status: StatusCode,
        headers: HeaderMap,
        mut download: Download,
    ) -> Result<Answer, Stop> {
        let mut whole = Bytes::new();
        while let Some(piece) = self.next_piece(&mut download).await? {
            whole = download::joined(whole, piece);
        }
        Ok(Answer::Whole(status, headers, whole))
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
    fn coding(&self, headers: &HeaderMap) -> Result<Coding, Stop> {
        coding(headers).inspect_err(|_| {
            self.outcome.withheld(
                UpstreamErrorKind::Encoding,
                &"its coding is none that was asked for",
            );
        })
    }

    /// The answer with the gate's own header fields.
    pub fn deliver(mut self, answer: Answer) -> Response<GateBody> {
        let verdict = self.verdict.unwrap_or(Verdict::Allow);
        let (status, mut headers, source, written) = match answer {
            Answer::Own(status, bytes) => {
                let mut headers = HeaderMap::new();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(stop::JSON_UTF8));
                (status, headers, Source::Gate, Written::Own(bytes))
            }
            Answer::Reworded(status, headers, bytes) => (status, headers, Source::Gate, Written::Own(bytes)),
            Answer::Whole(status, headers, bytes) => (status, headers, Source::Upstream, Written::Own(bytes)),
            Answer::Upstream(status, headers, download) => {
                (status, headers, Source::Upstream, Written::Upstream(download))
            }
        };
        stop::insert_decision(&mut headers, verdict, self.outcome.id(), self.rule.as_deref());
        headers.insert(stop::SOURCE, HeaderValue::from_static(source.as_str()));
        self.insert_cause(&mut headers);
        self.outcome.status = status.as_u16();
        self.outcome.source = source;
        if source == Source::Gate {
            self.linger();
        }
        let (head, outcome) = self.finish_head(headers);
        let body = match written {
            Written::Own(bytes) => GateBody::own(bytes, outcome),
            Written::Upstream(download) => GateBody::upstream(download, outcome),
        };
        respond(status, head, body)
    }

    /// The answer to a call that ended at the gate.
    pub fn stopped(mut self, stop: Stop) -> Response<GateBody> {
        let stop = self.note(stop);
        self.outcome.reason = stop.reason();
        let decided = self.verdict.filter(|verdict| verdict.passes());
        let answer = stop.answer(self.outcome.id(), decided, self.rule.as_deref());
        let (parts, mut bytes) = answer.into_parts();
        if self.bodiless {
            bytes.clear();
        }
        self.outcome.status = parts.status.as_u16();
        self.linger();
        let (head, outcome) = self.finish_head(parts.headers);
        respond(parts.status, head, GateBody::own(bytes, outcome))
    }

    fn finish_head(mut self, mut headers: HeaderMap) -> (HeaderMap, Box<Outcome>) {
        if let Some(connection) = self.connection.take()
            && let Ok(name) = HeaderValue::from_str(connection.name().as_str())
        {
            headers.insert(stop::CONNECTION, name);
        }
        if self.closes {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        (headers, self.outcome)
    }
}

fn respond(status: StatusCode, headers: HeaderMap, body: GateBody) -> Response<GateBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
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
fn coding(headers: &HeaderMap) -> Result<Coding, Stop> {
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(Coding::Plain),
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"identity") => Ok(Coding::Plain),
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"gzip") => Ok(Coding::Gzip),
        _ => Err(Stop::Answer(
            "scopegate: HubSpot's answer is in a coding that was not asked for.",
        )),
    }
}
