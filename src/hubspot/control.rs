//! The control plane's questions to HubSpot: token endpoint and introspection. A few a second at most,
//! so each has a connection of its own; bodies are small and bounded, and the whole has a deadline.
//!
//! The one thing a caller must know about a failure is told apart here: whether the question can have
//! arrived. A refresh that may have arrived may have rotated the grant.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, StatusCode, Uri};
use http_body_util::Full;
use tokio::time::{Instant, timeout, timeout_at};
use zeroize::Zeroizing;

use crate::answer_fields::Known;
use crate::hubspot::answers::Violation;
use crate::hubspot::client::{Connection, RequestHead, WireError};
use crate::hubspot::connect::{SharedUpstream, UpstreamStream};
use crate::secret::wiped;

/// Answers of the token endpoint are about 2 KiB; scope lists may double that.
const ANSWER_MAX: usize = 256 * 1024;

/// Asks HubSpot on the gate's own behalf.
#[derive(Clone)]
pub struct ControlClient {
    upstream: SharedUpstream,
    connect_deadline: Duration,
    deadline: Duration,
    #[cfg(test)]
    simulated: Option<std::sync::Arc<dyn super::simulated::Outside>>,
}

/// What came back, whatever the status. Prints nothing of the body.
pub struct ControlAnswer {
    /// The status.
    pub status: StatusCode,
    /// `Retry-After` in seconds, if given so.
    pub retry_after: Option<Duration>,
    /// The body, at most 256 KiB. May hold tokens: never logged, and wiped with its last owner.
    pub body: Bytes,
    /// When its last byte was here.
    pub received: Instant,
}

impl std::fmt::Debug for ControlAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ControlAnswer({}, {} bytes)", self.status, self.body.len())
    }
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The question certainly did not arrive.
    #[error("can't reach the upstream: {0}")]
    NotSent(Unsent),
    /// The question may have arrived and may have been acted upon.
    #[error("the upstream gave no complete answer: {0}")]
    NoAnswer(Unanswered),
}

/// What kept a question from arriving.
#[derive(Debug, thiserror::Error)]
pub enum Unsent {
    /// What was asked for can't stand in a request.
    #[error("the path of the request is not valid")]
    Path,
    /// What was asked can't.
    #[error("the upstream's name is not valid")]
    Name,
    /// No connection in time.
    #[error("it took too long to connect")]
    Slow,
    /// No connection: the system's or the TLS library's words.
    #[error(transparent)]
    Connect(std::io::Error),
}

/// What an answer lacked. None of it repeats what the upstream said.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// It can be read in more than one way, or in none.
    #[error("it was refused: {0}")]
    Refused(Violation),
    /// The connection ended before it did.
    #[error(transparent)]
    Broken(WireError),
    /// More than 256 KiB.
    #[error("its body is too long")]
    TooLong,
    /// It had not ended in time.
    #[error("it took too long")]
    Slow,
}

impl From<WireError> for Unanswered {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Violation(violation) => Self::Refused(violation),
            error => Self::Broken(error),
        }
    }
}

impl ControlClient {
    /// A client for `upstream`: `connect` bounds reaching it, `total` the question and its answer.
    pub fn new(upstream: SharedUpstream, connect: Duration, total: Duration) -> Self {
        Self {
            upstream,
            connect_deadline: connect,
            deadline: total,
            #[cfg(test)]
            simulated: None,
        }
    }

    /// The same with a network that a simulation makes up.
    #[cfg(test)]
    pub(crate) fn simulate(mut self, outside: std::sync::Arc<dyn super::simulated::Outside>) -> Self {
        self.simulated = Some(outside);
        self
    }

    /// What stands for the world outside the process, if a simulation does.
    #[cfg(test)]
    pub(crate) fn simulated(&self) -> Option<&std::sync::Arc<dyn super::simulated::Outside>> {
        self.simulated.as_ref()
    }

    /// Longest a call can take, from reaching the upstream to the end of the answer.
    pub fn longest(&self) -> Duration {
        self.connect_deadline + self.deadline
    }

    /// Posts a form. The form may hold secrets; it is wiped when the exchange is over, wherever it stands.
    pub async fn post_form(
        &self,
        path: &str,
        form: Zeroizing<String>,
    ) -> Result<ControlAnswer, ControlError> {
        let body = wiped(form);
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded;charset=utf-8");
        self.send(Method::POST, path, Some((kind, body)), None).await
    }

    /// Posts JSON, with an `Authorization` if given. It is wiped like a form.
    pub async fn post_json(
        &self,
        path: &str,
        json: Zeroizing<Vec<u8>>,
        authorization: Option<HeaderValue>,
    ) -> Result<ControlAnswer, ControlError> {
        let body = wiped(json);
        let kind = HeaderValue::from_static("application/json");
        self.send(Method::POST, path, Some((kind, body)), authorization)
            .await
    }

    /// Gets. The path may hold a secret: no error repeats it.
    pub async fn get(
        &self,
        path: &str,
        authorization: Option<HeaderValue>,
    ) -> Result<ControlAnswer, ControlError> {
        self.send(Method::GET, path, None, authorization).await
    }

    /// Deletes.
    pub async fn delete(
        &self,
        path: &str,
        authorization: HeaderValue,
    ) -> Result<ControlAnswer, ControlError> {
        self.send(Method::DELETE, path, None, Some(authorization)).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(HeaderValue, Bytes)>,
        authorization: Option<HeaderValue>,
    ) -> Result<ControlAnswer, ControlError> {
        #[cfg(test)]
        if let Some(outside) = &self.simulated {
            let form = body.map(|(_, form)| form).unwrap_or_default();
            return outside.ask(path.to_owned(), form, self.longest()).await;
        }
        let target: Uri = path.parse().map_err(|_| ControlError::NotSent(Unsent::Path))?;
        let upstream = self.upstream.load().upstream.clone();
        let host =
            HeaderValue::from_str(upstream.authority()).map_err(|_| ControlError::NotSent(Unsent::Name))?;
        let agent = HeaderValue::from_static(concat!("scopegate/", env!("CARGO_PKG_VERSION")));
        let mut headers = vec![
            (ACCEPT, HeaderValue::from_static("application/json")),
            (ACCEPT_ENCODING, HeaderValue::from_static("identity")),
            (USER_AGENT, agent),
        ];
        let body = body.map_or_else(Full::default, |(kind, bytes)| {
            headers.push((CONTENT_TYPE, kind));
            Full::new(bytes)
        });
        let stream = timeout(self.connect_deadline, upstream.connect())
            .await
            .map_err(|_| ControlError::NotSent(Unsent::Slow))?
            .map_err(|error| ControlError::NotSent(Unsent::Connect(error)))?;
        let mut connection = Connection::new(stream, |name| {
            let is_known = name.eq_ignore_ascii_case(Known::RetryAfter.lower().as_bytes());
            is_known.then_some(Known::RetryAfter.into())
        });
        let head = RequestHead {
            method: &method,
            target: &target,
            host: &host,
            authorization: authorization.as_ref(),
            headers: &headers,
        };
        connection.begin(&head, body);
        exchange(connection, Instant::now() + self.deadline).await
    }
}

/// One question and its answer on a connection that is closed afterwards. All of it in this one task:
/// nothing is left running when the caller gives up.
async fn exchange(
    mut connection: Connection<UpstreamStream, Full<Bytes>>,
    deadline: Instant,
) -> Result<ControlAnswer, ControlError> {
    let answer = async {
        let mut sent = false;
        let head = poll_fn(|cx| {
            let head = connection.poll_head(cx);
            if !sent {
                sent = true;
                // The first poll of the connection has handed the whole small request to the kernel.
                fail::fail_point!("control-after-send");
            }
            head
        })
        .await
        .map_err(|error| ControlError::NoAnswer(error.into()))?;
        // Room for all of it: a buffer that grew would leave tokens behind.
        let mut body = Zeroizing::new(Vec::with_capacity(ANSWER_MAX));
        while let Some(piece) = poll_fn(|cx| connection.poll_piece(cx)).await {
            let piece = piece.map_err(|error| ControlError::NoAnswer(error.into()))?;
            if body.len() + piece.len() > ANSWER_MAX {
                return Err(ControlError::NoAnswer(Unanswered::TooLong));
            }
            body.extend_from_slice(&piece);
        }
        Ok(ControlAnswer {
            status: head.status,
            retry_after: read_retry_after(head.fields.get(Known::RetryAfter)),
            body: wiped(body),
            received: Instant::now(),
        })
    };
    timeout_at(deadline, answer)
        .await
        .unwrap_or(Err(ControlError::NoAnswer(Unanswered::Slow)))
}

/// Only the number of seconds; HubSpot sends no dates there.
fn read_retry_after(value: Option<&[u8]>) -> Option<Duration> {
    let seconds: u32 = std::str::from_utf8(value?).ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hubspot::answers::HEAD_FIELDS;
    use crate::hubspot::connect::{Upstream, client_tls};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn form(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    async fn client_of(listener: &TcpListener) -> ControlClient {
        let ca = include_bytes!("../../tests/data/ca.pem");
        let url = format!("http://{}", listener.local_addr().unwrap());
        let upstream = Upstream::new(&url, client_tls(Some(ca)).unwrap(), false).unwrap();
        ControlClient::new(
            upstream.shared(),
            Duration::from_millis(500),
            Duration::from_millis(300),
        )
    }

    /// A server that reads the head and answers with fixed bytes, then closes.
    async fn answering(bytes: &'static [u8]) -> (ControlClient, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client_of(&listener).await;
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = vec![0; 4096];
            let length = stream.read(&mut seen).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            seen.truncate(length);
            String::from_utf8(seen).unwrap()
        });
        (client, server)
    }

    #[tokio::test]
    async fn a_form_is_posted_and_the_answer_read() {
        let (client, server) =
            answering(b"HTTP/1.1 429 x\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\n{}").await;
        let answer = client
            .post_form("/oauth/2026-03/token", form("a=b"))
            .await
            .unwrap();
        assert_eq!(answer.status, 429);
        assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(&answer.body[..], b"{}");
        assert_eq!(
            format!("{answer:?}"),
            "ControlAnswer(429 Too Many Requests, 2 bytes)"
        );
        let seen = server.await.unwrap();
        assert!(
            seen.starts_with("POST /oauth/2026-03/token HTTP/1.1\r\n"),
            "{seen}"
        );
        assert!(seen.ends_with("\r\n\r\na=b"), "{seen}");
    }

    #[tokio::test]
    async fn an_answer_of_as_many_fields_as_its_guard_bears_is_read() {
        let lines = "x: y\r\n".repeat(HEAD_FIELDS - 1);
        let answer = format!("HTTP/1.1 200 OK\r\n{lines}content-length: 2\r\n\r\n{{}}");
        let (client, _server) = answering(answer.leak().as_bytes()).await;
        let answer = client.post_form("/x", form("")).await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"{}"[..]));
    }

    #[tokio::test]
    async fn nothing_arrived_where_nobody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client_of(&listener).await;
        drop(listener);
        assert!(matches!(
            client.post_form("/x", form("")).await,
            Err(ControlError::NotSent(Unsent::Connect(_)))
        ));
    }

    #[tokio::test]
    async fn what_broke_off_may_have_arrived() {
        for broken in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
            b"nonsense\r\n\r\n",
        ] {
            let (client, _server) = answering(broken).await;
            assert!(
                matches!(
                    client.post_form("/x", form("")).await,
                    Err(ControlError::NoAnswer(_))
                ),
                "{broken:?}"
            );
        }
    }

    #[tokio::test]
    async fn an_answer_that_can_be_read_two_ways_is_none_and_the_error_says_so_without_its_words() {
        for doubtful in [
            &b"HTTP/1.1 200 OK\ncontent-length: 2\n\n{}"[..],
            b"HTTP/1.1 200 canary\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nx: canary\r\n\r\n{\"access_token\":\"canary\"}",
            b"HTTP/1.1 101 canary\r\nupgrade: h2c\r\n\r\n",
        ] {
            let (client, _server) = answering(doubtful).await;
            let error = client.post_form("/x", form("")).await.unwrap_err().to_string();
            assert!(
                error.contains("it was refused: ") && !error.contains("canary"),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_not_waited_for_forever() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client_of(&listener).await;
        let started = std::time::Instant::now();
        let outcome = client.post_form("/x", form("")).await;
        assert!(matches!(outcome, Err(ControlError::NoAnswer(Unanswered::Slow))));
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client_of(&listener).await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head).await.unwrap();
            while stream
                .write_all(&[b"4000\r\n", &[b'x'; 0x4000][..], b"\r\n"].concat())
                .await
                .is_ok()
            {}
        });
        assert!(matches!(
            client.post_form("/x", form("")).await,
            Err(ControlError::NoAnswer(Unanswered::TooLong))
        ));
    }
}
