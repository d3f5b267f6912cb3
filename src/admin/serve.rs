//! The listener: a request's way from its head to a route and back, each step bounded in size and time.
//!
//! Who asks is settled before anything about routes is told. A route's work blocks on the store, so it is
//! done on a blocking thread of the control plane, a few at a time; the data plane knows nothing of it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::checks::{self, Known};
use super::failures::Failures;
use super::parts::{Call, Parts};
use super::refusal::{Code, Refusal};
use super::routes::{Found, Lane, Route, find};
use super::who::{Who, who_is};
use crate::access::admin_key::PresentedAdminKey;
use crate::caps::Caps;
use crate::events::AdminAnswered;
use crate::listener::{self, Bounds, Open};
use crate::metrics::AdminResult;
use crate::monitor;
use crate::store::StoreError;

const BOUNDS: Bounds = Bounds {
    caps: Caps {
        total: 64, // a handful of people and programs, and whoever scrapes
        per_address: 32,
    },
    head_bytes: 16 * 1024,
    head: Duration::from_secs(15),
    life: Duration::from_secs(600),
    drain: Duration::from_secs(5),
};

/// Longest body: the request in a question to `explain` is most of it.
const BODY_BYTES: usize = 1024 * 1024;
/// Time for a body to come in.
const BODY_WAIT: Duration = Duration::from_secs(10);
/// Time for a request from its head on: resuming may ask HubSpot twice.
const DEADLINE: Duration = Duration::from_secs(60);
/// Requests at work at one time, in each lane.
const AT_ONCE: usize = 4;

/// The API, ready to be served.
pub struct Admin {
    usual: Arc<Parts>,
    urgent: Arc<Parts>,
}

impl Admin {
    /// Of its parts. Who asks, and what is urgent, is looked up by a way into the store that no long list
    /// holds up.
    ///
    /// # Errors
    /// The store can't be opened a second time.
    pub fn new(parts: Parts) -> Result<Self, StoreError> {
        Ok(Self {
            urgent: Arc::new(parts.beside()?),
            usual: Arc::new(parts),
        })
    }
}

struct Inner {
    parts: Admin,
    stop: CancellationToken,
    known: Known,
    failures: Failures,
    usual: Arc<Semaphore>,
    urgent: Arc<Semaphore>,
    monitor: Option<Router>,
}

/// Serves until `shutdown`, then lets open requests end. `monitor`: the monitor's routes, where they have
/// no listener of their own.
///
/// # Errors
/// None after the start.
pub async fn serve<O: Open>(
    (listener, address): (TcpListener, SocketAddr),
    way: O,
    parts: Admin,
    monitor: Option<monitor::State>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let inner = Arc::new(Inner {
        known: Known::new(address, &parts.usual.config.admin),
        failures: Failures::default(),
        usual: Arc::new(Semaphore::new(AT_ONCE)),
        urgent: Arc::new(Semaphore::new(AT_ONCE)),
        monitor: monitor.map(monitor::routes),
        stop: shutdown.clone(),
        parts,
    });
    let handler = move |address, request| {
        let inner = Arc::clone(&inner);
        async move { Ok::<_, Infallible>(answer(&inner, address, request).await) }
    };
    listener::serve_by("admin", (listener, way), BOUNDS, handler, shutdown).await
}

async fn answer(inner: &Inner, address: SocketAddr, request: Request<Incoming>) -> Response<Body> {
    if let Some(router) = &inner.monitor
        && monitor::is_route(request.uri().path())
    {
        let answered = router.clone().oneshot(request).await;
        return answered.unwrap_or_else(|never| match never {});
    }
    let mut trace = Trace::default();
    let until = Instant::now() + DEADLINE;
    let carried = carry(inner, address, request, until, &mut trace);
    let answered = match tokio::time::timeout_at(until.into(), carried).await {
        Ok(answered) => answered,
        Err(_) => Err(Refusal::new(
            Code::TooLong,
            "it took too long; what was begun goes on",
            "look at what there is now before trying again",
        )),
    };
    AdminAnswered {
        result: answered
            .as_ref()
            .map_or_else(|no| no.code.result(), |_| AdminResult::Done),
        code: answered.as_ref().map_or_else(|no| no.code.as_str(), |_| "done"),
        actor: trace.actor.as_deref(),
        address: address.ip(),
        route: trace.route,
    }
    .emit(&inner.parts.usual.metrics);
    let response = match answered {
        Ok(value) => Response::new(Bytes::from(format!("{value}\n"))),
        Err(refusal) => refusal.response(trace.understood),
    };
    let mut response = response.map(Body::from);
    guard(&mut response);
    response
}

/// How far a request came: for the event about it, and for the connection's sake.
#[derive(Default)]
struct Trace {
    actor: Option<String>,
    route: Option<&'static str>,
    /// The request was read to its end: the next one begins where it should.
    understood: bool,
}

/// The steps, top to bottom.
async fn carry(
    inner: &Inner,
    address: SocketAddr,
    request: Request<Incoming>,
    until: Instant,
    trace: &mut Trace,
) -> Result<Value, Refusal> {
    inner.known.check(&request)?;
    // Without a body there is nothing left to read of it, whatever the answer.
    trace.understood = http_body::Body::is_end_stream(request.body());
    let (head, body) = request.into_parts();
    let (presented, who) = authenticate(inner, address, checks::presented(&head.headers)).await?;
    trace.actor = Some(who.actor.clone());
    let (route, named) = match find(head.method.as_str(), head.uri.path()) {
        Found::Route(route, named) => (route, named.to_owned()),
        Found::OtherMethod(methods) => {
            return Err(Refusal {
                allow: Some(methods.join(", ")),
                ..Refusal::new(
                    Code::WrongMethod,
                    "the route takes another method",
                    "see the table of routes",
                )
            });
        }
        Found::Nothing => {
            return Err(Refusal::new(
                Code::NotFound,
                "there is no such route",
                "see the table of routes",
            ));
        }
    };
    trace.route = Some(route.path);
    if !who.role.may(route.least) {
        return Err(Refusal::new(
            Code::Forbidden,
            format!("this takes the role `{}`", route.least.as_str()),
            "use a credential of that role",
        ));
    }
    let query = head.uri.query().map(str::to_owned);
    checks::query(query.as_deref(), route)?;
    let body = read_body(route, &head.headers, body).await?;
    trace.understood = true;
    let work = Work {
        route,
        named,
        query,
        body,
        presented,
        until,
        stop: inner.stop.clone(),
    };
    work.carry_out(inner).await
}

/// Who it is, or the one answer to everybody else.
async fn authenticate(
    inner: &Inner,
    address: SocketAddr,
    presented: Option<PresentedAdminKey>,
) -> Result<(PresentedAdminKey, Who), Refusal> {
    let found = match presented {
        None => Err(Refusal::unauthenticated()),
        Some(presented) => {
            let parts = Arc::clone(&inner.parts.urgent);
            let looked = move || {
                let who = who_is(&presented, &parts.store, &parts.metrics)?;
                Ok((presented, who))
            };
            blocking(looked).await
        }
    };
    found.map_err(|refusal| match refusal.code {
        Code::Unauthenticated => match inner.failures.note(address.ip(), Instant::now()) {
            None => refusal,
            Some(seconds) => Refusal {
                retry_after: Some(seconds),
                ..Refusal::new(
                    Code::TooManyFailures,
                    "too many requests from this address had no credential that works",
                    "wait; one that works is let in all the same",
                )
            },
        },
        _ => refusal,
    })
}

/// The body of a change; a look has none.
async fn read_body(route: &Route, headers: &http::HeaderMap, body: Incoming) -> Result<Bytes, Refusal> {
    if route.method == "GET" {
        return match http_body::Body::is_end_stream(&body) {
            true => Ok(Bytes::new()),
            false => Err(Refusal::new(Code::Malformed, "a look has no body", "send none")),
        };
    }
    checks::content_type(headers)?;
    let read = tokio::time::timeout(BODY_WAIT, Limited::new(body, BODY_BYTES).collect()).await;
    match read {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::new(
            Code::TooLarge,
            "the body is larger than 1 MiB",
            "ask for less at a time, or use the command line",
        )),
        Ok(Err(_)) => Err(Refusal::new(
            Code::Malformed,
            "the body did not come whole",
            "send it again",
        )),
        Err(_) => Err(Refusal::new(
            Code::TooLong,
            "the body did not come in time",
            "send it at once",
        )),
    }
}

/// A request that was understood, and may.
struct Work {
    route: &'static Route,
    named: String,
    query: Option<String>,
    body: Bytes,
    presented: PresentedAdminKey,
    until: Instant,
    stop: CancellationToken,
}

impl Work {
    async fn carry_out(self, inner: &Inner) -> Result<Value, Refusal> {
        let (lane, parts) = match self.route.lane {
            Lane::Usual => (&inner.usual, &inner.parts.usual),
            Lane::Urgent => (&inner.urgent, &inner.parts.urgent),
        };
        let turn = Arc::clone(lane).acquire_owned().await;
        let parts = Arc::clone(parts);
        blocking(move || {
            let done = self.do_it(&parts);
            // Kept to the end of the work, also when nobody waits for it any more.
            drop(turn);
            done
        })
        .await
    }

    fn do_it(&self, parts: &Parts) -> Result<Value, Refusal> {
        // Again: a body takes time, a turn takes time, and a credential may have been revoked meanwhile.
        let who = who_is(&self.presented, &parts.store, &parts.metrics)?;
        if !who.role.may(self.route.least) {
            return Err(Refusal::unauthenticated());
        }
        let query = checks::query(self.query.as_deref(), self.route)?;
        let call = Call {
            who: &who,
            named: &self.named,
            query: &query,
            body: &self.body,
            until: self.until,
            stop: &self.stop,
        };
        (self.route.handler)(parts, &call)
    }
}

/// Does work that blocks, on a thread for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(Refusal::new(
            Code::Failed,
            "the gate could not do this",
            "its log says more; report it",
        ))
    })
}

/// What every answer says to a browser that should not have got it: keep nothing, guess nothing, run
/// nothing, show it in no frame, tell nobody.
fn guard(response: &mut Response<Body>) {
    const HEADERS: [(HeaderName, &str); 6] = [
        (header::CONTENT_TYPE, "application/json; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    debug_assert!(response.status() != StatusCode::SWITCHING_PROTOCOLS);
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
}
