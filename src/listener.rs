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
            () = turned_away.due() => {
                turned_away.tell(name, Instant::now());
                continue;
            }
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
    turned_away.tell(name, Instant::now());
    tasks.close();
    // Bounded: a request has its deadline, and an idle connection is closed at once.
    let _ = tokio::time::timeout(bounds.drain, tasks.wait()).await;
    Ok(())
}

/// Connections over the caps, told of now and then: whoever fills a listener must not fill the log as well. The first
/// one is told of at once; what comes behind it when the time is over, whether or not there is another one by then.
#[derive(Default)]
struct TurnedAway {
    told: Option<Instant>,
    /// Since then, over the cap of all.
    connections: u64,
    /// Since then, over the cap of their address.
    connections_per_address: u64,
}

impl TurnedAway {
    fn count(&mut self, name: &'static str, over: Over, now: Instant) {
        match over {
            Over::Total => self.connections += 1,
            Over::Address => self.connections_per_address += 1,
        }
        if self.tell_at().is_none_or(|at| at <= now) {
            self.tell(name, now);
        }
    }

    /// Waits until what nobody was told of is to be told.
    async fn due(&self) {
        match self.tell_at().filter(|_| self.is_left()) {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Tells what nobody was told of, if there is anything.
    fn tell(&mut self, name: &'static str, now: Instant) {
        if !self.is_left() {
            return;
        }
        let told = std::mem::take(self);
        self.told = Some(now);
        tracing::warn!(
            event = "listener.full",
            listener = name,
            connections = told.connections,
            connections_per_address = told.connections_per_address,
            "connections over the caps were closed: see who holds so many, and let only those reach the listener who need it"
        );
    }

    fn is_left(&self) -> bool {
        self.connections + self.connections_per_address > 0
    }

    /// The earliest time of the next line; `None`: any.
    fn tell_at(&self) -> Option<Instant> {
        self.told.map(|told| told + TELL_EVERY)
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
    use std::io::Write;
    use std::sync::Mutex;

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

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
            let sink = self.clone();
            tracing_subscriber::fmt()
                .with_ansi(false)
                .with_writer(move || sink.clone())
                .finish()
        }

        /// Over the cap of all and over that of an address, line by line.
        fn told(&self) -> Vec<(u64, u64)> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            let number = |line: &str, name: &str| {
                let (_, after) = line.split_once(&format!(" {name}=")).unwrap();
                after.split_whitespace().next().unwrap().parse().unwrap()
            };
            let lines = text.lines().filter(|line| line.contains("listener.full"));
            lines
                .map(|line| {
                    (
                        number(line, "connections"),
                        number(line, "connections_per_address"),
                    )
                })
                .collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_are_turned_away_are_told_of_within_a_minute_or_at_the_end() {
        let lines = Lines::default();
        let _logged = tracing::subscriber::set_default(lines.subscriber());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let bounds = Bounds {
            caps: Caps {
                total: 0,
                per_address: 1,
            },
            ..BOUNDS
        };
        let handler = |_| async { Ok(Response::new(Full::new(bytes::Bytes::new()))) };
        let serving = tokio::spawn(serve("test", listener, bounds, handler, stop.clone()));
        let come = async |many: usize| {
            for _ in 0..many {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let _ = stream.read(&mut [0; 1]).await;
            }
        };
        come(7).await;
        assert_eq!(lines.told(), [(1, 0)], "at once");
        tokio::time::sleep(TELL_EVERY + Duration::from_secs(1)).await;
        assert_eq!(lines.told(), [(1, 0), (6, 0)], "and nobody comes any more");
        tokio::time::sleep(10 * TELL_EVERY).await;
        assert_eq!(lines.told().len(), 2, "there is nothing to tell");
        come(3).await;
        assert_eq!(lines.told()[2..], [(1, 0)]);
        stop.cancel();
        serving.await.unwrap().unwrap();
        assert_eq!(lines.told()[3..], [(2, 0)]);
    }

    #[test]
    fn each_cap_is_told_of_by_itself() {
        let lines = Lines::default();
        tracing::subscriber::with_default(lines.subscriber(), || {
            let (mut turned_away, now) = (TurnedAway::default(), Instant::now());
            for over in [Over::Address, Over::Total, Over::Address, Over::Address] {
                turned_away.count("test", over, now);
            }
            turned_away.count("test", Over::Total, now + TELL_EVERY);
        });
        assert_eq!(lines.told(), [(0, 1), (2, 2)]);
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
