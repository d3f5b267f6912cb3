//! One client connection, from socket to last answer: TLS, protocol, deadlines, draining.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::accept::Accepted;
use super::guard::{Guard, Violation};
use super::io::{Activity, Deadlines, Io, Socket};
use super::stop::Stop;
use super::worker::Worker;
use crate::access::refusal::{Reason, Refusal};
use crate::audit::Network;

/// RFC 9113 §3.4: what an HTTP/2 client sends first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the service knows of the connection a request came by.
pub struct Peer {
    /// The other end.
    pub address: SocketAddr,
    /// Whether it came under TLS.
    pub secure: bool,
    /// Requests of it being served.
    pub activity: Activity,
}

/// Runs futures of HTTP/2 streams on the worker's own thread.
#[derive(Clone, Copy)]
struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// Serves one connection until it ends, or until `drain` and its requests are done.
pub async fn serve(worker: Rc<Worker>, accepted: Accepted, drain: CancellationToken) {
    let Accepted { stream, peer, slot } = accepted;
    let _slot = slot;
    if let Err(error) = serve_socket(worker, stream, peer, drain).await {
        tracing::trace!(event = "connection.ended", error = %error, "a client connection ended early");
    }
}

async fn serve_socket(
    worker: Rc<Worker>,
    stream: std::net::TcpStream,
    address: SocketAddr,
    drain: CancellationToken,
) -> io::Result<()> {
    let stream = TcpStream::from_std(stream)?;
    stream.set_nodelay(true)?;
    let limits = worker.limits();
    let (first_byte, deadlines) = (
        limits.first_byte,
        Deadlines {
            idle: limits.idle,
            head: limits.head,
            write: limits.answer_idle,
        },
    );
    let tls = worker.tls();
    let secure = tls.is_some();
    let opening = open(stream, tls);
    let (socket, first, is_h2) = within(first_byte, opening).await?;
    let activity = Activity::default();
    let peer = Rc::new(Peer {
        address,
        secure,
        activity: activity.clone(),
    });
    if is_h2 {
        let io = Io::http2(socket, &first, activity, deadlines);
        serve_http2(worker, io, peer, drain).await
    } else {
        let guard = Guard::new(limits.head_bytes, limits.header_fields);
        let io = Io::http1(socket, &first, guard, activity, deadlines);
        serve_http1(worker, io, peer, drain).await
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "nothing came in time")))
}

/// The handshake, then just enough bytes to tell HTTP/1 from HTTP/2.
async fn open(
    stream: TcpStream,
    tls: Option<Arc<rustls::ServerConfig>>,
) -> io::Result<(Socket, Vec<u8>, bool)> {
    let Some(config) = tls else {
        let mut socket = stream;
        let (first, is_h2) = detect(&mut socket).await?;
        return Ok((Socket::Plain(socket), first, is_h2));
    };
    let mut stream = TlsAcceptor::from(config).accept(stream).await?;
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Ok((Socket::Tls(Box::new(stream)), Vec::new(), true)),
        Some(_) => Ok((Socket::Tls(Box::new(stream)), Vec::new(), false)),
        None => {
            let (first, is_h2) = detect(&mut stream).await?;
            Ok((Socket::Tls(Box::new(stream)), first, is_h2))
        }
    }
}

/// Reads until the first bytes are, or can no longer be, HTTP/2's preface.
async fn detect(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> io::Result<(Vec<u8>, bool)> {
    let mut first = Vec::with_capacity(PREFACE.len());
    loop {
        let mut buffer = [0u8; PREFACE.len()];
        let room = buffer.get_mut(first.len()..).unwrap_or_default();
        let count = stream.read(room).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        first.extend_from_slice(room.get(..count).unwrap_or_default());
        if first == PREFACE {
            return Ok((first, true));
        }
        if !PREFACE.starts_with(&first) {
            return Ok((first, false));
        }
    }
}

async fn serve_http1(worker: Rc<Worker>, io: Io, peer: Rc<Peer>, drain: CancellationToken) -> io::Result<()> {
    let network = Network::of(peer.address.ip());
    let limits = worker.limits();
    let (buffer, fields) = (limits.head_bytes.max(8 * 1024), limits.header_fields);
    let serving = Rc::clone(&worker);
    let service =
        service_fn(move |request| Box::pin(super::call(Rc::clone(&serving), Rc::clone(&peer), request)));
    let mut connection = http1::Builder::new()
        .max_buf_size(buffer)
        .max_headers(fields)
        .half_close(false)
        .title_case_headers(true) // some clients look names up in the spelling HubSpot uses
        .serve_connection(TokioIo::new(io), service);
    let mut draining = pin!(drain.cancelled());
    let mut told = false;
    let ended = poll_fn(|cx| {
        if !told && draining.as_mut().poll(cx).is_ready() {
            told = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        connection.poll_without_shutdown(cx)
    })
    .await;
    let mut io = connection.into_parts().io.into_inner();
    if let Some(violation) = io.violation() {
        worker.note_violation(&violation_refusal(violation), network);
        let answer = refusal_bytes(&worker, violation);
        within(Duration::from_secs(2), io.write_all(&answer)).await?;
    }
    within(Duration::from_secs(2), io.shutdown()).await?;
    ended.map_err(io::Error::other)
}

async fn serve_http2(worker: Rc<Worker>, io: Io, peer: Rc<Peer>, drain: CancellationToken) -> io::Result<()> {
    let limits = worker.limits();
    let (streams, head) = (limits.h2_streams, limits.head_bytes);
    let service = service_fn(move |request| super::call(Rc::clone(&worker), Rc::clone(&peer), request));
    let connection = http2::Builder::new(LocalExecutor)
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams)
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(20)
        .max_send_buf_size(256 * 1024)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .serve_connection(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    let mut draining = pin!(drain.cancelled());
    let mut told = false;
    poll_fn(|cx| {
        if !told && draining.as_mut().poll(cx).is_ready() {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx)
    })
    .await
    .map_err(io::Error::other)
}

fn violation_refusal(violation: Violation) -> Refusal {
    let (cause, remedy) = violation.explain();
    let reason = match violation {
        Violation::Target => Reason::RefusedPath,
        Violation::Host => Reason::RefusedHost,
        Violation::Field | Violation::TooLarge => Reason::RefusedHeader,
        _ => Reason::RefusedFraming,
    };
    Refusal::new(reason, cause, remedy)
}

/// The whole answer to a head the guard refused: hyper never saw a request to answer.
fn refusal_bytes(worker: &Worker, violation: Violation) -> Vec<u8> {
    let response = Stop::Refused(violation_refusal(violation)).answer(worker.next_id(), None, None);
    let mut bytes = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
    for (name, value) in response.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(
        format!(
            "content-length: {}\r\nconnection: close\r\n\r\n",
            response.body().len()
        )
        .as_bytes(),
    );
    bytes.extend_from_slice(response.body());
    bytes
}

/// Random correlation ids without a system call each: 64 at a time.
#[derive(Default)]
pub struct IdSource(RefCell<Vec<u8>>);

impl IdSource {
    /// A version 4 UUID. Ids are names, not secrets.
    pub fn next(&self) -> uuid::Uuid {
        let mut pool = self.0.borrow_mut();
        if pool.len() < 16 {
            pool.resize(1024, 0);
            if aws_lc_rs::rand::fill(&mut pool).is_err() {
                return uuid::Uuid::new_v4();
            }
        }
        let from = pool.len() - 16;
        let mut bytes = [0; 16];
        bytes.copy_from_slice(pool.get(from..).unwrap_or(&[0; 16]));
        pool.truncate(from);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn http2_is_told_by_its_whole_preface_however_it_is_cut() {
        let cases: [(&[&[u8]], bool); 4] = [
            (&[PREFACE], true),
            (&[b"P", b"RI * HTTP/2.0\r\n\r\n", b"SM\r\n\r\n"], true),
            (&[b"P", b"OST / HTTP/1.1\r\n"], false),
            (&[b"PRI * HTTP/2.0\r\n\r\nXX"], false),
        ];
        for (chunks, expected) in cases {
            let mut mock = futures_util::stream::iter(chunks.iter().map(|chunk| Ok::<_, io::Error>(*chunk)));
            let mut reader = ChunkReader(&mut mock);
            let (first, is_h2) = detect(&mut reader).await.unwrap();
            assert_eq!(is_h2, expected);
            assert!(chunks.concat().starts_with(&first));
        }
    }

    struct ChunkReader<'a, S>(&'a mut S);

    impl<'b, S: futures_util::Stream<Item = io::Result<&'b [u8]>> + Unpin> tokio::io::AsyncRead
        for ChunkReader<'_, S>
    {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
            buf: &mut tokio::io::ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            match Pin::new(&mut *self.0).poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) => {
                    let count = chunk.len().min(buf.remaining());
                    buf.put_slice(&chunk[..count]);
                    Poll::Ready(Ok(()))
                }
                Poll::Ready(Some(Err(error))) => Poll::Ready(Err(error)),
                Poll::Ready(None) => Poll::Ready(Ok(())),
                Poll::Pending => Poll::Pending,
            }
        }
    }

    #[test]
    fn ids_are_distinct_version_4_uuids() {
        let source = IdSource::default();
        let ids: std::collections::HashSet<_> = (0..500).map(|_| source.next()).collect();
        assert_eq!(ids.len(), 500);
        assert!(ids.iter().all(|id| id.get_version_num() == 4));
    }
}
