//! A small HTTP/1.1 listener of the control plane: few connections, bounded heads, a deadline for each
//! request. Never for integrations: their listener is the proxy's.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper_util::rt::{TokioIo, TokioTimer};
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

/// Serves until `shutdown`, then lets open requests end. `name` is for the log.
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
    let connections = Arc::new(Semaphore::new(bounds.connections));
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
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, listener = name, "a listener could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (handler, shutdown) = (handler.clone(), shutdown.clone());
        tasks.spawn(async move {
            connection(name, stream, bounds, handler, shutdown).await;
            drop(permit);
        });
    }
    tasks.close();
    // Bounded: a request has its deadline, and an idle connection is closed at once.
    let _ = tokio::time::timeout(bounds.drain, tasks.wait()).await;
    Ok(())
}

async fn connection<H, F, B>(
    name: &'static str,
    stream: TcpStream,
    bounds: Bounds,
    handler: H,
    shutdown: CancellationToken,
) where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
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
async fn end<S, B>(
    mut connection: Pin<&mut http1::Connection<TokioIo<TcpStream>, S>>,
    bounds: Bounds,
) -> Result<hyper::Result<()>, Elapsed>
where
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
        head_bytes: 16 * 1024,
        head: Duration::from_secs(30),
        life: Duration::from_millis(500),
        drain: Duration::from_secs(1),
    };

    async fn start() -> (std::net::SocketAddr, tokio_util::sync::DropGuard) {
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
