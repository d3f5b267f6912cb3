//! The listener: accepts, speaks HTTP/1.1 with or without TLS, drains when told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::service::{Connection, respond};
use super::simulator::Sim;
use super::socket::{Socket, SocketControl};

/// A head must arrive in this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// A TLS handshake must end in this time.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// What is in flight may take this long to finish.
const DRAIN: Duration = Duration::from_secs(2);
/// Longest request head: the gate's clients put hundreds of property names into the query.
const HEAD_BYTES: usize = 128 * 1024;

/// A simulator that listens on a port of its own until it is dropped.
#[derive(Debug)]
pub struct Running {
    /// `http://127.0.0.1:PORT`, or `https://` under TLS.
    pub origin: String,
    /// Where it listens.
    pub address: SocketAddr,
    shutdown: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Serves `sim` on a free loopback port; for tests and the demo.
pub async fn start(sim: Arc<Sim>, tls: Option<Arc<rustls::ServerConfig>>) -> std::io::Result<Running> {
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let origin = format!("{scheme}://{address}");
    let shutdown = CancellationToken::new();
    tokio::spawn(serve(listener, sim, tls, shutdown.clone()));
    Ok(Running {
        origin,
        address,
        shutdown,
    })
}

/// Serves until `shutdown`, then lets what is in flight finish for two seconds.
pub async fn serve(
    listener: TcpListener,
    sim: Arc<Sim>,
    tls: Option<Arc<rustls::ServerConfig>>,
    shutdown: CancellationToken,
) {
    let acceptor = tls.map(TlsAcceptor::from);
    let room = Arc::new(Semaphore::new(sim.options.connections));
    let tasks = TaskTracker::new();
    let abort = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of descriptors: wait for some to be given back.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            continue;
        };
        let (sim, acceptor) = (Arc::clone(&sim), acceptor.clone());
        let (shutdown, abort) = (shutdown.clone(), abort.clone());
        let open = Open::count(&sim);
        tasks.spawn(async move {
            let (_permit, _open) = (permit, open);
            tokio::select! {
                () = abort.cancelled() => {}
                () = connection(stream, peer, sim, acceptor, shutdown) => {}
            }
        });
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
        abort.cancel();
        tasks.wait().await;
    }
}

/// One connection that is open, counted.
struct Open(Arc<Sim>);

impl Open {
    fn count(sim: &Arc<Sim>) -> Self {
        sim.connections.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(sim))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    sim: Arc<Sim>,
    acceptor: Option<TlsAcceptor>,
    shutdown: CancellationToken,
) {
    // A failure to switch Nagle off costs time, not correctness.
    let _ = stream.set_nodelay(true);
    match acceptor {
        None => exchange(stream, peer, sim, "http", shutdown).await,
        Some(acceptor) => {
            // A handshake that fails is the client's finding; there is nobody to answer.
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                exchange(stream, peer, sim, "https", shutdown).await;
            }
        }
    }
}

async fn exchange<S>(
    stream: S,
    peer: SocketAddr,
    sim: Arc<Sim>,
    scheme: &'static str,
    shutdown: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let control = SocketControl::default();
    let socket = Socket::new(stream, control.clone());
    let connection = Connection {
        scheme,
        peer,
        control,
        shutdown: shutdown.clone(),
    };
    let service = service_fn(move |request| respond(Arc::clone(&sim), connection.clone(), request));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        // As the edge writes HTTP/1.1; one old client looks for `Content-Encoding` in just this spelling.
        .title_case_headers(true)
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(socket), service);
    tokio::pin!(serving);
    tokio::select! {
        _ = serving.as_mut() => return,
        () = shutdown.cancelled() => serving.as_mut().graceful_shutdown(),
    }
    // Errors of a connection are its client's to see.
    let _ = serving.await;
}
