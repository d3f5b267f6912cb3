//! One HTTP/2 connection, served until it ends.
//!
//! It does not sleep as HTTP/1's do: what its frames mean depends on all that came before, and h2 keeps that
//! to itself.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::ask::Request;
use super::client_body::ClientBody;
use super::connection::Peer;
use super::fields::Fields;
use super::guard::request::Line;
use super::io::Io;
use super::stream::Streams;
use super::worker::Worker;

/// RFC 9113 §6.5.2, all of them set: none is left to a library's default.
mod h2_limits {
    use std::time::Duration;

    /// Window of a stream.
    pub(super) const STREAM_WINDOW: u32 = 64 * 1024;
    /// Window of a connection: sixteen streams at once.
    pub(super) const CONNECTION_WINDOW: u32 = 1024 * 1024;
    /// The smallest there is.
    pub(super) const FRAME_BYTES: u32 = 16 * 1024;
    /// What a client may make us remember of its fields.
    pub(super) const HEADER_TABLE_BYTES: u32 = 4 * 1024;
    /// Streams reset before they were served (rapid reset).
    pub(super) const PENDING_RESETS: usize = 20;
    /// Streams that a client made us reset (made you reset).
    pub(super) const LOCAL_RESETS: usize = 20;
    /// Bytes of an answer that wait for window.
    pub(super) const SEND_BUFFER: usize = 256 * 1024;
    /// A peer that is gone is noticed after both.
    pub(super) const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));
}

fn read(request: http::Request<Incoming>) -> Request {
    let (parts, body) = request.into_parts();
    Request {
        fields: Fields::of(&parts.headers),
        line: Line {
            method: parts.method,
            target: parts.uri,
            version: parts.version,
        },
        body: ClientBody::Http2(body),
    }
}

/// Serves one connection until it ends, or until the worker goes down and its requests are done.
pub async fn serve(worker: &Rc<Worker>, io: Box<Io>, peer: Rc<Peer>) -> io::Result<()> {
    let limits = worker.limits();
    let (most_streams, head) = (limits.h2_streams, limits.head_bytes);
    let streams = Streams::new(limits.answer_idle, Rc::clone(worker));
    let serving = Rc::clone(worker);
    let watching = streams.clone();
    let service = service_fn(move |request: http::Request<Incoming>| {
        let request = read(request);
        // In a box: hyper and the runtime move what they are given seven times before it runs, and a call is 5 KB.
        watching.watch(Box::pin(super::call(
            Rc::clone(&serving),
            Rc::clone(&peer),
            request,
        )))
    });
    let connection = http2::Builder::new(streams)
        .timer(TokioTimer::new())
        .max_concurrent_streams(most_streams)
        .initial_stream_window_size(h2_limits::STREAM_WINDOW)
        .initial_connection_window_size(h2_limits::CONNECTION_WINDOW)
        .max_frame_size(h2_limits::FRAME_BYTES)
        .header_table_size(h2_limits::HEADER_TABLE_BYTES)
        .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(h2_limits::PENDING_RESETS)
        .max_local_error_reset_streams(h2_limits::LOCAL_RESETS)
        .max_send_buf_size(h2_limits::SEND_BUFFER)
        .adaptive_window(false)
        .keep_alive_interval(h2_limits::KEEP_ALIVE.0)
        .keep_alive_timeout(h2_limits::KEEP_ALIVE.1)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    let drain = worker.drain().listen();
    let mut told = false;
    poll_fn(|cx| {
        if !told && drain.is_told(cx) {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx)
    })
    .await
    .map_err(io::Error::other)
}
