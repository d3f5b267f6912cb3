//! What goes back to the client: the upstream's answer, judged and filtered, or the gate's own words.

use std::future::poll_fn;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use hyper::body::Body;

use super::case::Case;
use super::download::{Download, GateBody, Stages};
use super::echo::EchoGuard;
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
        if parts.status.is_informational() || parts.status.is_redirection() {
            return Err(Stop::Answer(
                "scopegate: HubSpot answered with a redirect, which the gate never follows.",
            ));
        }
        self.note_success(parts.status);
        let gunzip = match coding(&parts.headers)? {
            Coding::Plain => None,
            Coding::Gzip => Some(Gunzip::new(self.worker.limits().body_bytes)),
        };
        let echo = EchoGuard::new(lease.plain().expose());
        if parts.headers.values().any(|value| echo.is_in(value.as_bytes())) {
            tracing::error!(event = "token.echoed", id = %self.outcome.id(), "an answer's head holds the upstream token");
            return Err(Stop::Answer(
                "scopegate: HubSpot's answer can't be passed on. Tell whoever runs the gate.",
            ));
        }
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
            echo: Some(echo),
            filter: None,
            links,
        };
        let is_changed = stages.change_bytes() || rule != AnswerRule::Pass;
        let headers = headers::downward(&parts.headers, is_changed);
        let download = Download {
            first: Bytes::new(),
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
                    .read_failure(parts.status, headers, download, by.1, facts)
                    .await;
            }
            AnswerRule::Errors if !parts.status.is_success() => {
                let views = filtered::no_views();
                return self
                    .read_failure(parts.status, headers, download, views, facts)
                    .await;
            }
            AnswerRule::Errors | AnswerRule::Pass => {}
        }
        if parts.status == StatusCode::FORBIDDEN {
            return self.read_forbidden(headers, download, facts).await;
        }
        Ok(Answer::Upstream(parts.status, headers, Box::new(download)))
    }

    /// A 403 of HubSpot is read whole: why it stands there is worth a count of its own.
    async fn read_forbidden(
        &mut self,
        headers: HeaderMap,
        mut download: Download,
        facts: &Facts,
    ) -> Result<Answer, Stop> {
        let mut whole = BytesMut::new();
        while let Some(data) = poll_fn(|cx| download.poll(cx, &mut self.outcome)).await {
            let data = data.map_err(|_| Stop::Upstream { unsure: false })?;
            if whole.len() + data.len() > self.worker.limits().error_body_bytes {
                self.note_forbidden(facts, &headers, None);
                return Err(Stop::Answer(
                    "scopegate: HubSpot's refusal is too long to be passed on.",
                ));
            }
            whole.extend_from_slice(&data);
        }
        self.note_forbidden(facts, &headers, Some(&whole));
        Ok(Answer::Whole(StatusCode::FORBIDDEN, headers, whole.freeze()))
    }

    /// The answer with the gate's own header fields.
    pub fn deliver(mut self, answer: Answer) -> Response<GateBody> {
        let verdict = self.verdict.unwrap_or(Verdict::Allow);
        let (status, mut headers, source) = match &answer {
            Answer::Own(status, _) => {
                let mut headers = HeaderMap::new();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(stop::JSON_UTF8));
                (*status, headers, Source::Gate)
            }
            Answer::Reworded(status, headers, _) => (*status, headers.clone(), Source::Gate),
            Answer::Whole(status, headers, _) | Answer::Upstream(status, headers, _) => {
                (*status, headers.clone(), Source::Upstream)
            }
        };
        let upstream_id = headers.remove(stop::CORRELATION);
        stop::insert_decision(&mut headers, verdict, self.outcome.id(), self.rule.as_deref());
        if let Some(id) = upstream_id {
            // HubSpot's own id is what its support asks for; ours stands in the decision header.
            headers.insert(stop::CORRELATION, id);
        }
        headers.insert(stop::SOURCE, HeaderValue::from_static(source.as_str()));
        self.insert_cause(&mut headers);
        self.outcome.status = status.as_u16();
        self.outcome.source = source;
        let (head, outcome) = self.finish_head(headers);
        let body = match answer {
            Answer::Own(_, bytes) | Answer::Reworded(_, _, bytes) | Answer::Whole(_, _, bytes) => {
                GateBody::own(bytes, outcome)
            }
            Answer::Upstream(_, _, download) => GateBody::upstream(*download, outcome),
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
