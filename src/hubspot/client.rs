//! One connection to the upstream: a request goes up by it, and its answer comes back, one after the other.
//!
//! hyper's client would do the same, behind a guard that reads every answer before it: two readers, a
//! channel and a head made into a map and back. Here the guard is the reader, and whoever waits for the
//! answer drives the connection, in one task. (`benches/instructions`: of a read of 1 KB, both sides together cost
//! 25 thousand instructions in place of 48.)

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::Method;
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

use super::answers::{Head, Names, Reader, Violation};
pub use super::sending::RequestHead;
use super::sending::Sending;

/// Why a request brought no whole answer.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// It ended before it took anything of the request.
    #[error("the connection had ended before the request: {0}")]
    Unsent(#[source] io::Error),
    /// It was closed.
    #[error("the connection was closed before the answer had ended")]
    Closed,
    /// What came can be read in more than one way, or in none.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The request's own body failed, or was not as long as it said.
    #[error("the body of the request broke off")]
    Body,
}

impl WireError {
    /// What is wrong with the answer, if that is what it was.
    pub fn violation(&self) -> Option<Violation> {
        match self {
            Self::Violation(violation) => Some(*violation),
            Self::Io(_) | Self::Unsent(_) | Self::Closed | Self::Body => None,
        }
    }

    /// Whether nothing of the request can have arrived.
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::Unsent(_))
    }

    /// Whether it was the request's own side.
    pub fn is_body(&self) -> bool {
        matches!(self, Self::Body)
    }
}

/// A request of which nothing has gone up.
struct Announced {
    is_head: bool,
}

/// A connection with what is under way on it.
pub struct Connection<S, B> {
    stream: S,
    reader: Reader,
    sending: Sending<B>,
    announced: Option<Announced>,
    /// Sending failed: what was answered before that may still be there to read.
    broken: Option<WireError>,
}

impl<S, B> Connection<S, B>
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: Body<Data = Bytes> + Unpin,
{
    /// A connection on which nothing was said. Of answers' fields, those are kept that have one of `names`.
    pub fn new(stream: S, names: Names) -> Self {
        Self {
            stream,
            reader: Reader::new(names),
            sending: Sending::default(),
            announced: None,
            broken: None,
        }
    }

    /// Takes a request. It goes up when its answer is asked for.
    pub fn begin(&mut self, head: &RequestHead<'_>, body: B) {
        self.announced = Some(Announced {
            is_head: head.method == Method::HEAD,
        });
        self.sending.begin(head, body);
    }

    /// The answer's head. The request's body goes up meanwhile, and afterwards while the answer's is read.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, WireError>> {
        self.send(cx)?;
        loop {
            if let Some(head) = self.reader.head()? {
                return Poll::Ready(Ok(head));
            }
            ready!(self.poll_read(cx))?;
        }
    }

    /// The next bytes of the answer's body; `None` after its last.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, WireError>>> {
        if self.reader.has_ended() {
            return Poll::Ready(None);
        }
        self.send(cx)?;
        loop {
            if let Some(piece) = self.reader.piece()? {
                return Poll::Ready(Some(Ok(piece)));
            }
            if self.reader.has_ended() {
                return Poll::Ready(None);
            }
            ready!(self.poll_read(cx))?;
        }
    }

    /// Whether the answer's body has ended.
    pub fn has_ended(&self) -> bool {
        self.reader.has_ended()
    }

    /// How much of the answer's body is to come; `None`: nobody knows.
    pub fn left(&self) -> Option<u64> {
        self.reader.left()
    }

    /// Whether the next request may go by it. `Err`: what came behind the answer.
    pub fn is_reusable(&self) -> Result<bool, Violation> {
        if self.reader.has_surplus() {
            return Err(Violation::Unasked);
        }
        Ok(self.reader.may_serve_again() && self.sending.is_done() && self.broken.is_none())
    }

    /// Whether nothing has come since the last answer, not even an end. No system call if nothing has.
    pub fn is_quiet(&mut self) -> Result<bool, Violation> {
        let look = poll_fn(|cx| poll_read_buf(Pin::new(&mut self.stream), cx, self.reader.room()));
        // A task that had its share of reads for one turn would be told that nothing is there.
        let look = pin!(tokio::task::unconstrained(look));
        match look.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Ok(true),
            Poll::Ready(Ok(1..)) => Err(Violation::Unasked),
            Poll::Ready(Ok(0) | Err(_)) => Ok(false),
        }
    }

    /// Lets go of buffers that are too large for a connection at rest.
    pub fn rest(&mut self) {
        self.reader.rest();
        self.sending.rest();
    }

    /// Sends what can be sent now. Only the request's own fault ends the exchange at once.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), WireError> {
        if self.broken.is_some() {
            return Ok(());
        }
        let (reader, announced) = (&mut self.reader, &mut self.announced);
        let sent = self.sending.poll(&mut self.stream, cx, || {
            if let Some(request) = announced.take() {
                reader.expect(request.is_head);
            }
        });
        match sent {
            Poll::Ready(Err(WireError::Body)) => Err(WireError::Body),
            Poll::Ready(Err(WireError::Io(error)))
                if self.announced.is_some() && self.sending.is_one_record() =>
            {
                self.broken = Some(WireError::Unsent(error));
                Ok(())
            }
            Poll::Ready(Err(error)) => {
                self.broken = Some(error);
                Ok(())
            }
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// Reads until there is nothing more for now, or enough at once.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        let room = self.reader.room();
        let ended = match ready!(poll_read_buf(Pin::new(&mut self.stream), cx, room)) {
            Ok(1..) => return Poll::Ready(Ok(())),
            Ok(0) => WireError::Closed,
            Err(error) => WireError::Io(error),
        };
        // What went wrong first says more.
        Poll::Ready(Err(self.broken.take().unwrap_or(ended)))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
    use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    type Bodies = http_body_util::combinators::UnsyncBoxBody<Bytes, io::Error>;

    fn connection(room: usize) -> (Connection<DuplexStream, Bodies>, DuplexStream) {
        let (near, far) = duplex(room);
        (Connection::new(near, |_| None), far)
    }

    /// Begins a request whose headers say of framing what they should not.
    fn begin<B: Body<Data = Bytes> + Unpin>(
        connection: &mut Connection<DuplexStream, B>,
        method: &Method,
        body: B,
    ) {
        let headers = [
            (CONTENT_LENGTH, HeaderValue::from_static("7")),
            (TRANSFER_ENCODING, HeaderValue::from_static("gzip")),
        ];
        let head = RequestHead {
            method,
            target: &"/a?b=c".parse().unwrap(),
            host: &"example.com".parse().unwrap(),
            authorization: Some(&"Bearer canary".parse().unwrap()),
            headers: &headers,
        };
        connection.begin(&head, body);
    }

    fn nothing() -> Bodies {
        Empty::new().map_err(|never| match never {}).boxed_unsync()
    }

    fn whole(bytes: Vec<u8>) -> Bodies {
        Full::new(bytes.into())
            .map_err(|never| match never {})
            .boxed_unsync()
    }

    fn pieces(pieces: Vec<io::Result<Vec<u8>>>) -> Bodies {
        let frames = pieces
            .into_iter()
            .map(|piece| piece.map(|bytes| http_body::Frame::data(bytes.into())));
        StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
    }

    /// The answer's status and body.
    async fn answer(connection: &mut Connection<DuplexStream, Bodies>) -> Result<(u16, Vec<u8>), WireError> {
        let head = poll_fn(|cx| connection.poll_head(cx)).await?;
        let mut body = Vec::new();
        while let Some(piece) = poll_fn(|cx| connection.poll_piece(cx)).await {
            body.extend_from_slice(&piece?);
        }
        Ok((head.status.as_u16(), body))
    }

    /// Takes a request that is this long, answers, and hands on what it took.
    async fn serve(far: &mut DuplexStream, length: usize, answer: &[u8]) -> String {
        let mut seen = vec![0; length];
        far.read_exact(&mut seen).await.unwrap();
        far.write_all(answer).await.unwrap();
        String::from_utf8(seen).unwrap()
    }

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    const HEAD: &str = "host: example.com\r\nauthorization: Bearer canary\r\n";

    #[tokio::test]
    async fn a_request_goes_up_with_one_framing_that_is_its_bodys_own() {
        let long = "y".repeat(40_000);
        let cases = [
            (Method::GET, nothing(), String::new()),
            (Method::DELETE, nothing(), String::new()),
            (Method::POST, nothing(), "content-length: 0\r\n\r\n".into()),
            (Method::PATCH, nothing(), "content-length: 0\r\n\r\n".into()),
            (
                Method::POST,
                whole(b"{}".to_vec()),
                "content-length: 2\r\n\r\n{}".into(),
            ),
            (
                Method::PUT,
                whole(long.clone().into_bytes()),
                format!("content-length: 40000\r\n\r\n{long}"),
            ),
            (
                Method::POST,
                pieces(vec![Ok(b"ab".to_vec()), Ok(Vec::new()), Ok(b"c".to_vec())]),
                "transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n".into(),
            ),
            (
                Method::POST,
                pieces(vec![
                    Ok(long.clone().into_bytes()),
                    Ok(b"c".to_vec()),
                    Ok(long.clone().into_bytes()),
                ]),
                format!(
                    "transfer-encoding: chunked\r\n\r\n9c40\r\n{long}\r\n1\r\nc\r\n9c40\r\n{long}\r\n0\r\n\r\n"
                ),
            ),
        ];
        // One after the other by the same connection, through a pipe that is narrower than they are.
        let (mut connection, mut far) = connection(1_000);
        for (method, body, rest) in cases {
            let rest = if rest.is_empty() { "\r\n".to_owned() } else { rest };
            let expected = format!("{method} /a?b=c HTTP/1.1\r\n{HEAD}{rest}");
            begin(&mut connection, &method, body);
            let (answered, seen) = tokio::join!(answer(&mut connection), serve(&mut far, expected.len(), OK));
            assert_eq!(answered.unwrap(), (200, b"{}".to_vec()));
            assert!(seen == expected, "{seen:.300}");
            assert_eq!(connection.is_reusable(), Ok(true));
            assert_eq!(connection.is_quiet(), Ok(true));
        }
    }

    #[tokio::test]
    async fn a_body_that_is_not_as_long_as_it_says_ends_the_exchange() {
        struct Lying(Bodies, u64);
        impl Body for Lying {
            type Data = Bytes;
            type Error = io::Error;
            fn poll_frame(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<Option<Result<http_body::Frame<Bytes>, io::Error>>> {
                Pin::new(&mut self.0).poll_frame(cx)
            }
            fn size_hint(&self) -> http_body::SizeHint {
                http_body::SizeHint::with_exact(self.1)
            }
        }
        for said in [1, 3] {
            let (near, _far) = duplex(1_000);
            let mut connection = Connection::new(near, |_| None);
            begin(
                &mut connection,
                &Method::POST,
                Lying(pieces(vec![Ok(b"ab".to_vec())]), said),
            );
            let error = poll_fn(|cx| connection.poll_head(cx)).await.unwrap_err();
            assert!(error.is_body(), "{said}: {error}");
        }
        let (mut connection, _far) = connection(1_000);
        let broken = vec![Ok(b"ab".to_vec()), Err(io::Error::other("gone"))];
        begin(&mut connection, &Method::POST, pieces(broken));
        assert!(answer(&mut connection).await.unwrap_err().is_body());
    }

    #[tokio::test]
    async fn an_answer_that_comes_before_the_request_has_gone_up_is_read_and_its_connection_not_used_again() {
        let (mut connection, mut far) = connection(100);
        begin(&mut connection, &Method::POST, whole(vec![b'x'; 100_000]));
        let refusal = b"HTTP/1.1 413 X\r\nContent-Length: 2\r\n\r\n{}";
        let (answered, _) = tokio::join!(answer(&mut connection), serve(&mut far, 200, refusal));
        assert_eq!(answered.unwrap(), (413, b"{}".to_vec()));
        assert_eq!(connection.is_reusable(), Ok(false));
    }

    #[tokio::test]
    async fn an_answer_is_read_though_its_sender_takes_no_more_of_the_request() {
        let (mut connection, mut far) = connection(100);
        begin(&mut connection, &Method::POST, whole(vec![b'x'; 100_000]));
        let refusing = async {
            let mut seen = [0; 50];
            far.read_exact(&mut seen).await.unwrap();
            far.write_all(b"HTTP/1.1 413 X\r\nContent-Length: 2\r\n\r\n{}")
                .await
                .unwrap();
            drop(far);
        };
        let (answered, ()) = tokio::join!(answer(&mut connection), refusing);
        assert_eq!(answered.unwrap(), (413, b"{}".to_vec()));
        assert_eq!(connection.is_reusable(), Ok(false));
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_is_told_from_one_that_took_the_request() {
        let (mut closed, far) = connection(1_000);
        drop(far);
        assert_eq!(closed.is_quiet(), Ok(false));
        begin(&mut closed, &Method::POST, whole(b"{}".to_vec()));
        let error = answer(&mut closed).await.unwrap_err();
        assert!(error.is_unsent(), "{error}");

        // Of one longer than a TLS record, some may have arrived.
        let (mut closed, far) = connection(1_000);
        drop(far);
        begin(&mut closed, &Method::POST, whole(vec![b'x'; 20_000]));
        assert!(!answer(&mut closed).await.unwrap_err().is_unsent());

        for (cut, said) in [
            ("", "closed"),
            ("HTTP/1.1 200 OK\r\n", "closed"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", "closed"),
        ] {
            let (mut connection, mut far) = connection(1_000);
            begin(&mut connection, &Method::GET, nothing());
            let cutting = async {
                assert!(far.read(&mut [0; 1_000]).await.unwrap() > 0);
                far.write_all(cut.as_bytes()).await.unwrap();
                drop(far);
            };
            let (answered, ()) = tokio::join!(answer(&mut connection), cutting);
            let error = answered.unwrap_err();
            assert!(
                matches!(error, WireError::Closed) && error.to_string().contains(said),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn what_comes_unasked_is_never_an_answer() {
        let (mut early, mut far) = connection(1_000);
        far.write_all(OK).await.unwrap();
        assert_eq!(early.is_quiet(), Err(Violation::Unasked));

        let (mut connection, mut far) = connection(1_000);
        begin(&mut connection, &Method::GET, nothing());
        let poisoned = [OK, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"].concat();
        let (answered, _) = tokio::join!(answer(&mut connection), serve(&mut far, 20, &poisoned));
        assert_eq!(answered.unwrap(), (200, b"{}".to_vec()));
        assert_eq!(connection.is_reusable(), Err(Violation::Unasked));
    }

    #[tokio::test]
    async fn what_came_is_seen_by_a_task_that_has_had_its_share_of_reads() {
        let (mut spoilt, mut far) = connection(1_000);
        far.write_all(OK).await.unwrap();
        let (mut ended, gone) = connection(1_000);
        drop(gone);
        let looks = tokio::spawn(async move {
            // All in one turn: a spent budget makes every other read wait.
            while tokio::task::coop::has_budget_remaining() {
                tokio::task::coop::consume_budget().await;
            }
            (spoilt.is_quiet(), ended.is_quiet())
        });
        assert_eq!(looks.await.unwrap(), (Err(Violation::Unasked), Ok(false)));
    }

    #[tokio::test]
    async fn an_answer_to_head_has_no_body_whatever_length_it_says() {
        let (mut connection, mut far) = connection(1_000);
        begin(&mut connection, &Method::HEAD, nothing());
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n";
        let (answered, _) = tokio::join!(answer(&mut connection), serve(&mut far, 20, head));
        assert_eq!(answered.unwrap(), (200, Vec::new()));
        assert_eq!(connection.is_reusable(), Ok(true));
    }
}
