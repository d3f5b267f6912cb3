//! The routes and the listener that carries them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::error_handling::HandleErrorLayer;
use axum::extract::{RawQuery, State as Shared};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::timeout::TimeoutLayer;
use tower::{ServiceBuilder, ServiceExt};

use super::Readiness;
use crate::caps::Caps;
use crate::listener::{self, Bounds};
use crate::metrics::Metrics;

/// Requests at once: a scrape of 20,000 series is work.
const CONCURRENT: usize = 8;
/// A request that takes longer than this is of no use to its scraper.
const TIMEOUT: Duration = Duration::from_secs(5);
const BOUNDS: Bounds = Bounds {
    caps: Caps {
        total: 64, // a few scrapers and probes, with room to spare
        per_address: 16,
    },
    head_bytes: 16 * 1024,
    head: Duration::from_secs(30),
    life: Duration::from_secs(600),
    drain: TIMEOUT,
};

/// What the routes look at.
#[derive(Clone)]
pub struct State {
    /// The conditions.
    pub readiness: Arc<Readiness>,
    /// The registry.
    pub metrics: Arc<Metrics>,
}

/// Serves until `shutdown`, then lets open requests end within their time. Runs on the control
/// plane.
///
/// # Errors
/// None after the start: a failed accept is logged and tried again.
pub async fn serve(listener: TcpListener, state: State, shutdown: CancellationToken) -> io::Result<()> {
    let router = routes(state);
    let handler = move |request| router.clone().oneshot(request);
    listener::serve("monitor", listener, BOUNDS, handler, shutdown).await
}

/// Whether a path is one of the routes: for the admin listener, which may carry them, too.
pub fn is_route(path: &str) -> bool {
    ROUTES.contains(&path)
}

/// Every route.
const ROUTES: [&str; 4] = ["/livez", "/readyz", "/healthz", "/metrics"];

/// The routes, for whoever carries them.
pub fn routes(state: State) -> Router {
    let hygiene = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(|_: tower::BoxError| async {
            (StatusCode::SERVICE_UNAVAILABLE, "took too long\n")
        }))
        .layer(TimeoutLayer::new(TIMEOUT))
        .layer(GlobalConcurrencyLimitLayer::new(CONCURRENT));
    Router::new()
        .route("/livez", get(|| async { text(StatusCode::OK, "alive\n") }))
        .route("/readyz", get(readyz))
        .route("/healthz", get(readyz))
        .route("/metrics", get(metrics))
        .layer(hygiene)
        .with_state(state)
}

async fn readyz(Shared(state): Shared<State>, RawQuery(query): RawQuery) -> Response {
    let status = if state.readiness.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let verbose = query.as_deref().is_some_and(|query| {
        query
            .split('&')
            .any(|p| p == "verbose" || p.starts_with("verbose="))
    });
    if verbose {
        text(status, state.readiness.verbose())
    } else if status == StatusCode::OK {
        text(status, "ready\n")
    } else {
        text(status, "not ready\n")
    }
}

async fn metrics(Shared(state): Shared<State>) -> Response {
    // Thousands of series take milliseconds: not on a thread that refreshes tokens.
    let rendered = tokio::task::spawn_blocking(move || state.metrics.render()).await;
    match rendered {
        Ok(Ok(body)) => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            with_headers((StatusCode::OK, [(header::CONTENT_TYPE, kind)], body).into_response())
        }
        _ => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "metrics could not be written\n",
        ),
    }
}

fn text(status: StatusCode, body: impl Into<String>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    with_headers((status, kind, body.into()).into_response())
}

fn with_headers(mut response: Response) -> Response {
    const NOSNIFF: HeaderName = header::X_CONTENT_TYPE_OPTIONS;
    let headers = response.headers_mut();
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    headers.insert(NOSNIFF, header::HeaderValue::from_static("nosniff"));
    response
}
