//! A small HTTP/1.1 listener of the control plane: few connections, bounded heads, a deadline for each
//! request. Never for integrations: their listener is the proxy's.
//!
//! What stands between a socket and HTTP (TLS, a check of heads) is the caller's [`Open`]; so it is the
//! composition root's to choose, and the surfaces served here know neither.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::error::Elapsed;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Pause after a failed accept: descriptors have run out, and come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How much a listener takes on.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Open connections; more wait to be accepted.
    pub connections: usize,
    /// Open connections from one address; more are closed.
    pub per_address: usize,
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
    let connections = Arc::new(Semaphore::new(bounds.connections));
    let addresses = Arc::new(Addresses::default());
    let tasks = TaskTracker::new();
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&connections).acquire_owned() => permit.map_err(io::Error::other)?,
            () = shutdown.cancelled() => break,
        };
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
        let Some(place) = addresses.take(address.ip(), bounds.per_address) else {
            tracing::debug!(
                listener = name,
                "a connection beyond the most from one address was closed"
            );
            continue;
        };
        let (handler, shutdown, way) = (handler.clone(), shutdown.clone(), way.clone());
        tasks.spawn(async move {
            let handler = move |request| handler(address, request);
            connection(name, (stream, way), bounds, handler, shutdown).await;
            drop((place, permit));
        });
    }
    tasks.close();
    // Bounded: a request has its deadline, and an idle connection is closed at once.
    let _ = tokio::time::timeout(bounds.drain, tasks.wait()).await;
    Ok(())
}

/// How many connections are open from each address; no larger than the number of connections.
#[derive(Default)]
struct Addresses(Mutex<HashMap<IpAddr, usize>>);

/// One of an address's connections, until it is dropped.
struct AddressPlace(Arc<Addresses>, IpAddr);

impl Addresses {
    fn take(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<AddressPlace> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(AddressPlace(Arc::clone(self), address))
    }
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        let mut open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.1);
            }
        }
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
        connections: 1,
        per_address: 1,
        head_bytes: 16 * 1024,
        head: Duration::from_secs(30),
        life: Duration::from_millis(500),
        drain: Duration::from_secs(1),
    };

    #[test]
    fn an_address_has_its_own_places_and_leaves_none_behind() {
        let addresses = Arc::new(Addresses::default());
        let (one, two) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let places = [
            addresses.take(one, 2),
            addresses.take(one, 2),
            addresses.take(two, 2),
        ];
        assert!(places.iter().all(Option::is_some));
        assert!(addresses.take(one, 2).is_none());
        drop(places);
        assert!(addresses.take(one, 2).is_some());
        assert!(
            addresses.0.lock().unwrap().is_empty(),
            "a place that was refused or given back"
        );
    }

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
        let served = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream
                .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                .await
                .unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            answer
        };
        let answer = tokio::time::timeout(Duration::from_secs(10), served)
            .await
            .unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"));
        drop(greedy);
    }
}
