//! The listener's routes: start and callback, by GET, and nothing else.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::ending::for_operator;
use super::pages::{Page, Reply};
use super::{Inner, Installer};
use crate::caps::Caps;
use crate::config::START_PATH;
use crate::listener::{self, Bounds, Open};
use crate::store::StoreError;
use crate::vault::VaultError;

const BOUNDS: Bounds = Bounds {
    caps: Caps {
        total: 640,       // a browser opens a few, and 150 people may come at once
        per_address: 512, // a TLS proxy stands in front: all come from there
    },
    head_bytes: 16 * 1024,
    head: Duration::from_secs(15),
    life: Duration::from_secs(120), // longer than one reply may take
    drain: Duration::from_secs(5),
};

/// How long a browser is kept waiting. An exchange goes on without it.
const REPLY: Duration = Duration::from_secs(100);

/// How long exchanges under way may take at shutdown: each is bounded by its own questions.
const FINISH: Duration = Duration::from_secs(20);

/// Serves until `shutdown`, then waits for exchanges under way. `way`: what judges heads before they are read.
///
/// # Errors
/// None after the start.
pub async fn serve<O: Open>(
    way: (TcpListener, O),
    installer: Installer,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let Installer(inner) = installer;
    let of_request = Arc::clone(&inner);
    let handler = move |_, request: Request<_>| {
        let inner = Arc::clone(&of_request);
        async move { Ok::<_, Infallible>(answer(&inner, &request).await) }
    };
    listener::serve_by("install", way, BOUNDS, handler, shutdown).await?;
    inner.tasks.close();
    if tokio::time::timeout(FINISH, inner.tasks.wait()).await.is_err() {
        tracing::warn!("an install did not end in time: a new link is needed for it");
    }
    Ok(())
}

async fn answer<B>(inner: &Arc<Inner>, request: &Request<B>) -> Response<Full<Bytes>> {
    let reply = tokio::time::timeout(REPLY, route(inner, request));
    let reply = reply.await.unwrap_or_else(|_| busy().into());
    inner.style.response(reply)
}

async fn route<B>(inner: &Arc<Inner>, request: &Request<B>) -> Reply {
    let (path, query) = (request.uri().path(), request.uri().query());
    if request.method() != Method::GET || request.uri().authority().is_some() {
        return not_found().into();
    }
    if path == START_PATH {
        return inner.start(query, request.headers()).await;
    }
    match inner.app_of_path(path) {
        Some((app, settings)) => inner.callback(app, settings, query, request.headers()).await,
        None => not_found().into(),
    }
}

fn not_found() -> Page {
    Page::bad(StatusCode::NOT_FOUND, "There is nothing here")
        .say("To connect a HubSpot account, open the link that was given to you.")
}

pub(super) fn busy() -> Page {
    Page::bad(StatusCode::SERVICE_UNAVAILABLE, "Too many people at once")
        .say("Nothing was connected yet. Wait a minute, then load this page again.")
}

pub(super) fn not_set_up() -> Page {
    for_operator(
        "The app is not set up here.",
        "Add it with `scopegate app add`, and in the configuration under `apps`.",
    )
}

pub(super) fn store_failed(error: &StoreError) -> Page {
    tracing::error!(%error, "an install could not use the store");
    Page::bad(StatusCode::SERVICE_UNAVAILABLE, "Something is wrong here").say(
        "This is not your fault. Open the link that was given to you again in some minutes; if it does not work any \
         more, ask for a new one.",
    )
}

pub(super) fn failed(error: &VaultError) -> Page {
    tracing::error!(%error, "an install could not be gone on with");
    Page::bad(StatusCode::INTERNAL_SERVER_ERROR, "Something is wrong here")
        .say("This is not your fault. Please tell whoever gave you the link: the gate's log says more.")
}
