//! One client connection: from its socket, through TLS, to the protocol that serves it.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::accept::Accepted;
use super::activity::Activity;
use super::frames::FrameMeter;
use super::guard::Guard;
use super::io::{Deadlines, Front, Io};
use super::lanes::Member;
use super::pace::Rate;
use super::presence::Presence;
use super::socket::Socket;
use super::worker::Worker;
use super::{http1, http2};
use crate::access::key::LastKey;
use crate::config::Limits;
use crate::metrics::ClientEnd;

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
    /// The key it counts for.
    pub member: RefCell<Option<Member>>,
    /// The key text of its last request.
    pub last_key: RefCell<LastKey>,
}

/// Serves one connection until it ends, or until the worker goes down and its requests are done.
///
/// This future is what each open connection holds for as long as it is open: whatever takes more room, and
/// is not needed while the connection is idle, has a box of its own.
pub async fn serve(worker: Rc<Worker>, accepted: Accepted) {
    let Accepted { stream, peer, slot } = accepted;
    let _slot = slot;
    let mut presence = Presence::begin(&worker);
    let served = match Box::pin(arrive(&worker, stream, peer)).await {
        Err(error) => Err(error),
        Ok(Arrived { io, peer, is_h2 }) => {
            if is_h2 {
                Box::pin(http2::serve(&worker, io, peer)).await
            } else {
                http1::serve(&worker, io, peer, &mut presence).await
            }
        }
    };
    if let Err(error) = served {
        tracing::trace!(event = "connection.ended", error = %error, "a client connection ended early");
    }
}

/// A connection whose protocol is known.
struct Arrived {
    /// Moved between the ways of serving it: boxed, the task that holds it stays small.
    io: Box<Io>,
    peer: Rc<Peer>,
    is_h2: bool,
}

/// From the socket to the first bytes, under the deadline for them.
async fn arrive(worker: &Worker, stream: std::net::TcpStream, address: SocketAddr) -> io::Result<Arrived> {
    let stream = TcpStream::from_std(stream)?;
    stream.set_nodelay(true)?;
    let limits = worker.limits();
    let tls = worker.tls();
    let secure = tls.is_some();
    let first_byte = tokio::time::Instant::now() + limits.first_byte;
    // What opens the socket owns it: pinned here, it closes behind the counting.
    let mut opening = pin!(open(worker, stream, tls));
    let Ok(opened) = tokio::time::timeout_at(first_byte, opening.as_mut()).await else {
        worker.client_ended(ClientEnd::FirstByteWait);
        return Err(io::ErrorKind::TimedOut.into());
    };
    let (socket, first, is_h2) = opened?;
    let deadlines = Deadlines {
        first_byte,
        idle: limits.idle,
        head: limits.head,
        write: limits.answer_idle,
        rate: Rate::of(limits),
    };
    let activity = Activity::counted(worker.metrics().metrics());
    let peer = Rc::new(Peer {
        address,
        secure,
        activity: activity.clone(),
        member: RefCell::default(),
        last_key: RefCell::default(),
    });
    let io = Box::new(Io::new(socket, &first, front(limits, is_h2), activity, deadlines));
    Ok(Arrived { io, peer, is_h2 })
}

fn front(limits: &Limits, is_h2: bool) -> Front {
    if is_h2 {
        let frames = limits.h2_control_frames;
        Front::Meter(FrameMeter::new(frames, std::time::Instant::now()))
    } else {
        Front::Guard(Guard::new(limits.head_bytes, limits.header_fields))
    }
}

/// The handshake, then just enough bytes to tell HTTP/1 from HTTP/2.
async fn open(
    worker: &Worker,
    stream: TcpStream,
    tls: Option<Arc<rustls::ServerConfig>>,
) -> io::Result<(Socket, Vec<u8>, bool)> {
    let Some(config) = tls else {
        let mut socket = stream;
        let (first, is_h2) = detect(&mut socket).await?;
        return Ok((Socket::Plain(socket), first, is_h2));
    };
    let accepted = TlsAcceptor::from(config).accept(stream).into_fallible().await;
    let mut stream = accepted.map_err(|(error, _still_open)| {
        if error.kind() != io::ErrorKind::UnexpectedEof {
            worker.client_ended(ClientEnd::Handshake);
        }
        error
    })?;
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

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::Poll;

    use tokio::io::AsyncWriteExt;

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

    #[tokio::test]
    async fn the_preface_is_read_to_its_end_and_no_further_wherever_it_is_cut_and_one_other_byte_is_none() {
        for at in 0..PREFACE.len() {
            let mut other = PREFACE.to_vec();
            other[at] ^= 1;
            for (sent, is_preface) in [(PREFACE, true), (&other, false)] {
                let (mut near, mut far) = tokio::io::duplex(64);
                let whole = [sent, b"frames"].concat();
                let (before, behind) = whole.split_at(at);
                let telling = async {
                    far.write_all(before).await.unwrap();
                    tokio::task::yield_now().await;
                    far.write_all(behind).await.unwrap();
                    drop(far);
                };
                let (detected, ()) = tokio::join!(detect(&mut near), telling);
                let (mut read, is_h2) = detected.unwrap();
                assert_eq!(is_h2, is_preface, "cut at {at}");
                assert!(!is_h2 || read == PREFACE, "cut at {at}");
                near.read_to_end(&mut read).await.unwrap();
                assert_eq!(read, whole, "not a byte is lost, cut at {at}");
            }
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

    /// What a future takes up, without one at hand.
    fn size_of_future<F>(_: impl Fn(Rc<Worker>, Accepted) -> F) -> usize {
        size_of::<F>()
    }

    /// Each open connection is one such task, idle or not.
    #[test]
    fn the_task_of_a_connection_is_small() {
        let (task, io) = (size_of_future(serve), size_of::<Io>());
        assert!(task <= 384 && io <= 448, "{task} and {io} bytes");
    }
}
