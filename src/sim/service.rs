//! One request through the simulator: record, faults, who is it, do it, faults, headers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, Answered};
use super::call::{Call, Query, split_path};
use super::fault_effects;
use super::faults::Action;
use super::problem::{Handled, Problem};
use super::simulator::Sim;
use super::socket::SocketControl;
use super::{control, edge, files_upload, random, router};

/// How long a hanging answer is held at most.
pub(super) const HANG: Duration = Duration::from_secs(600);

/// What a request needs to know of its connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) scheme: &'static str,
    pub(super) peer: SocketAddr,
    pub(super) control: SocketControl,
    pub(super) shutdown: CancellationToken,
}

/// Answers a request.
pub(super) async fn respond(sim: Arc<Sim>, connection: Connection, request: Request<Incoming>) -> Answered {
    if request.uri().path().starts_with(control::PREFIX) {
        return Ok(control::handle(&sim, &connection, request).await.into_response());
    }
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str())
        .to_owned();
    let sequence = sim
        .recorder
        .begin(request.method().as_str(), &target, request.headers());
    let authorization = request.headers().get(AUTHORIZATION).cloned();
    let said = authorization
        .as_ref()
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let actions = sim.faults.strike(request.method().as_str(), &target, said);
    let accepts_gzip = edge::accepts_gzip(request.headers());
    let correlation_id = random::uuid();

    let mut answer = match early(&actions) {
        Some(answer) => answer,
        None => {
            fault_effects::before(&actions, &connection).await;
            answer(&sim, &connection, request, sequence, &actions, &correlation_id).await
        }
    };
    edge::headers(&sim, &mut answer, &correlation_id);
    if sim.options.compression && accepts_gzip {
        edge::compress(&mut answer);
    }
    fault_effects::after(&actions, &mut answer, &connection, authorization.as_ref()).await;
    sim.recorder.answered(sequence, answer.status.as_u16());
    Ok(answer.into_response())
}

/// A canned answer that does not wait for the body.
fn early(actions: &[Action]) -> Option<Answer> {
    actions.iter().find_map(|action| match action {
        Action::Answer(canned) if canned.early => Some(canned.answer()),
        _ => None,
    })
}

async fn answer(
    sim: &Arc<Sim>,
    connection: &Connection,
    request: Request<Incoming>,
    sequence: u64,
    actions: &[Action],
    correlation_id: &str,
) -> Answer {
    let (head, body) = request.into_parts();
    let (words, version) = split_path(head.uri.path());
    let raw_query = head.uri.query().unwrap_or_default().to_owned();
    let mut call = Call {
        method: head.method,
        words: folded(sim, words),
        version,
        query: Query::parse(&raw_query),
        raw_query,
        origin: origin(sim, connection.scheme, head.headers.get(HOST)),
        headers: head.headers,
        body: Bytes::new(),
        now_ms: sim.now_ms(),
    };
    let instead = fault_effects::instead(actions, correlation_id, call.now_ms);
    let handled = match instead {
        Some(answer) => collect(sim, body, sequence, Keep::Nothing).await.map(|_| answer),
        None if files_upload::takes(&call) => files_upload::handle(sim, &call, body, sequence).await,
        None => match collect(sim, body, sequence, Keep::Whole).await {
            Ok(bytes) => {
                call.body = bytes;
                router::handle(sim, &call)
            }
            Err(problem) => Err(problem),
        },
    };
    handled.unwrap_or_else(|problem| problem.answer(correlation_id))
}

/// What becomes of a body while it is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Whole,
    Nothing,
}

/// Reads a body within the bound and records it.
async fn collect(sim: &Sim, mut body: Incoming, sequence: u64, keep: Keep) -> Handled<Bytes> {
    let mut record = sim.recorder.body();
    let limit = match keep {
        Keep::Whole => sim.options.body_limit_bytes as u64,
        Keep::Nothing => sim.options.upload_limit_bytes,
    };
    let mut whole: Vec<u8> = Vec::new();
    let mut outcome = Ok(());
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            outcome = Err(Problem::validation("the request body ended early"));
            break;
        };
        if let Some(chunk) = frame.data_ref() {
            record.push(chunk);
            if record.bytes() > limit {
                outcome = Err(Problem::too_large());
                break;
            }
            if keep == Keep::Whole {
                whole.extend_from_slice(chunk);
            }
        }
    }
    sim.recorder.body_read(sequence, record, outcome.is_ok());
    outcome.map(|()| Bytes::from(whole))
}

/// Literal words in lower case, if this simulator is told to be that tolerant.
fn folded(sim: &Sim, words: Vec<String>) -> Vec<String> {
    if !sim.options.literal_case_insensitive {
        return words;
    }
    words
        .into_iter()
        .map(|word| {
            let lower = word.to_ascii_lowercase();
            if router::LITERALS.contains(&lower.as_str()) {
                lower
            } else {
                word
            }
        })
        .collect()
}

/// What links begin with: the configured origin, or what the client called.
fn origin(sim: &Sim, scheme: &str, host: Option<&HeaderValue>) -> String {
    if let Some(origin) = &sim.options.public_origin {
        return origin.clone();
    }
    let host = host
        .and_then(|host| host.to_str().ok())
        .unwrap_or("api.hubapi.com");
    format!("{scheme}://{host}")
}

/// A header name from text; used by faults.
pub(super) fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((
        HeaderName::try_from(name).ok()?,
        HeaderValue::from_str(value).ok()?,
    ))
}
