//! A small HTTP/1.1 listener of the control plane: few connections, bounded heads, a deadline for each
//! request. Never for integrations: their listener is the proxy's.
//!
//! What stands between a socket and HTTP (TLS, a check of heads) is the caller's [`Open`]; so it is the
//! composition root's to choose, and the surfaces served here know neither.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio::time::error::Elapsed;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::caps::{self, Caps, Over, Seat};

/// Pause after a failed accept: descriptors have run out, and come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Least time between two lines that say of connections over the caps.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// How much a listener takes on.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Open connections; more are closed.
    pub caps: Caps,
    /// Largest head in bytes.
    pub head_bytes: usize,
    /// From accept to the end of a head, and between two requests of one connection.
    pub head: Duration,
    /// Longest life of a connection. A request begun before its end has as long again; then the connection
    /// is cut, whether or not its client reads.
    pub life: Duration,
    /// How long open requests may take at shutdown.
    pub drain: Duration,
}

/// A byte stream that requests come by.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// What makes a stream of a socket, within [`Bounds::head`]; an error closes it.
pub trait Open: Clone + Send + 'static {
    /// The stream.
    type Stream: Stream;

    /// Makes it.
    fn open(&self, socket: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// Clear text, as it comes.
#[derive(Clone, Copy, Debug)]
pub struct Clear;

impl Open for Clear {
    type Stream = TcpStream;

    async fn open(&self, socket: TcpStream) -> io::Result<TcpStream> {
        Ok(socket)
    }
}

/// Serves clear text until `shutdown`, then lets open requests end. `name` is for the log.
///
/// # Errors
/// None after the start: a failed accept is logged and tried again.
pub async fn serve<H, F, B>(
    name: &'static str,
    listener: TcpListener,
    bounds: Bounds,
    handler: H,
    shutdown: CancellationToken,
) -> io::Result<()>
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let handler = move |_, request| handler(request);
    serve_by(name, (listener, Clear), bounds, handler, shutdown).await
}

/// [`serve`] by another way in, with a handler that is told the address of who asks.
///
/// # Errors
/// None after the start.
pub async fn serve_by<O, H, F, B>(
    name: &'static str,
    (listener, way): (TcpListener, O),
    bounds: Bounds,
    handler: H,
    shutdown: CancellationToken,
) -> io::Result<()>
where
    O: Open,
    H: Fn(SocketAddr, Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (open, mut turned_away) = (Arc::new(caps::Open::default()), TurnedAway::default());
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, listener = name, "a listener could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let seat = match Seat::take(&open, address.ip(), bounds.caps) {
            Ok(seat) => seat,
            Err(over) => {
                turned_away.count(name, over, Instant::now());
                continue;
            }
        };
        let (handler, shutdown, way) = (handler.clone(), shutdown.clone(), way.clone());
        tasks.spawn(async move {
            let handler = move |request| handler(address, request);
            connection(name, (stream, way), bounds, handler, shutdown).await;
            drop(seat);
        });
    }
    tasks.close();
    // Bounded: a request has its deadline, and an idle connection is closed at once.
    let _ = tokio::time::timeout(bounds.drain, tasks.wait()).await;
    Ok(())
}

/// Connections over the caps, told of now and then: whoever fills a listener must not fill the log as well.
#[derive(Default)]
struct TurnedAway {
    told: Option<Instant>,
    /// Since then.
    closed: u64,
}

impl TurnedAway {
    fn count(&mut self, name: &'static str, over: Over, now: Instant) {
        self.closed += 1;
        if self
            .told
            .is_some_and(|told| now.duration_since(told) < TELL_EVERY)
        {
            return;
        }
        let (closed, over) = (std::mem::take(&mut self.closed), over.as_str());
        self.told = Some(now);
        tracing::warn!(
            event = "listener.full",
            listener = name,
            closed,
            over,
            "connections over the caps were closed: see who holds so many, and let only those reach the listener who need it"
        );
    }
}

async fn connection<O, H, F, B>(
    name: &'static str,
    (socket, way): (TcpStream, O),
    bounds: Bounds,
    handler: H,
    shutdown: CancellationToken,
) where
    O: Open,
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let opened = tokio::select! {
        opened = tokio::time::timeout(bounds.head, way.open(socket)) => opened,
        () = shutdown.cancelled() => return,
    };
    let stream = match opened {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, listener = name, "a connection was not opened");
            return;
        }
        Err(_) => {
            tracing::debug!(listener = name, "a connection was not opened in time");
            return;
        }
    };
    let service = hyper::service::service_fn(handler);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_buf_size(bounds.head_bytes)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Ok(ended),
        () = shutdown.cancelled() => end(connection, bounds).await,
        () = tokio::time::sleep(bounds.life) => end(connection, bounds).await,
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, listener = name, "a connection ended early"),
        Err(_) => tracing::debug!(listener = name, "a connection that did not end was cut"),
    }
}

/// Lets the request under way end. A client that does not read its answers does not keep its place.
async fn end<T, S, B>(
    mut connection: Pin<&mut http1::Connection<TokioIo<T>, S>>,
    bounds: Bounds,
) -> Result<hyper::Result<()>, Elapsed>
where
    T: Stream,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    connection.as_mut().graceful_shutdown();
    tokio::time::timeout(bounds.life, connection).await
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const BOUNDS: Bounds = Bounds {
        caps: Caps {
            total: 1,
            per_address: 1,
        },
        head_bytes: 16 * 1024,
        head: Duration::from_secs(30),
        life: Duration::from_millis(500),
        drain: Duration::from_secs(1),
    };

    async fn start() -> (SocketAddr, tokio_util::sync::DropGuard) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let handler = |_| async {
            Ok(Response::new(Full::new(bytes::Bytes::from(vec![
                b'x';
                64 * 1024
            ]))))
        };
        tokio::spawn(serve("test", listener, BOUNDS, handler, stop.clone()));
        (address, stop.drop_guard())
    }

    #[tokio::test]
    async fn who_asks_and_never_reads_keeps_no_place() {
        let (address, _stop) = start().await;
        let mut greedy = TcpStream::connect(address).await.unwrap();
        // Answers to these fill every buffer there is.
        let many = "GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(200);
        greedy.write_all(many.as_bytes()).await.unwrap();
        let ask = async || {
            let mut stream = TcpStream::connect(address).await?;
            stream
                .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                .await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            io::Result::Ok(answer)
        };
        let answer = ask().await.unwrap_or_default();
        assert!(answer.is_empty(), "there is one place");
        let served = async {
            while !ask()
                .await
                .is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200"))
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), served)
            .await
            .unwrap();
        drop(greedy);
    }
}
