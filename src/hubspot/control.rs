//! The control plane's questions to HubSpot: token endpoint and introspection. A few a second at most,
//! so each has a connection of its own; bodies are small and bounded, and the whole has a deadline.
//!
//! The one thing a caller must know about a failure is told apart here: whether the question can have
//! arrived. A refresh that may have arrived may have rotated the grant.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout, timeout_at};

use crate::hubspot::connect::{SharedUpstream, UpstreamStream};

/// Answers of the token endpoint are about 2 KiB; scope lists may double that.
const ANSWER_MAX: usize = 256 * 1024;

/// Asks HubSpot on the gate's own behalf.
#[derive(Clone)]
pub struct ControlClient {
    upstream: SharedUpstream,
    connect_deadline: Duration,
    deadline: Duration,
}

/// What came back, whatever the status.
#[derive(Debug)]
pub struct ControlAnswer {
    /// The status.
    pub status: StatusCode,
    /// `Retry-After` in seconds, if given so.
    pub retry_after: Option<Duration>,
    /// The body, at most 256 KiB. May hold tokens: never logged.
    pub body: Bytes,
    /// When its last byte was here.
    pub received: Instant,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The question certainly did not arrive.
    #[error("can't reach the upstream: {0}")]
    NotSent(String),
    /// The question may have arrived and may have been acted upon.
    #[error("the upstream gave no complete answer: {0}")]
    NoAnswer(String),
}

impl ControlClient {
    /// A client for `upstream`: `connect` bounds reaching it, `total` the question and its answer.
    pub fn new(upstream: SharedUpstream, connect: Duration, total: Duration) -> Self {
        Self {
            upstream,
            connect_deadline: connect,
            deadline: total,
        }
    }

    /// Longest a call can take, from reaching the upstream to the end of the answer.
    pub fn longest(&self) -> Duration {
        self.connect_deadline + self.deadline
    }

    /// Posts a form. The form may hold secrets; it is not kept.
    pub async fn post_form(&self, path: &str, form: &str) -> Result<ControlAnswer, ControlError> {
        let body = Bytes::copy_from_slice(form.as_bytes());
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded;charset=utf-8");
        self.send(Method::POST, path, Some((kind, body)), None).await
    }

    /// Posts JSON, with an `Authorization` if given.
    pub async fn post_json(
        &self,
        path: &str,
        json: &serde_json::Value,
        authorization: Option<HeaderValue>,
    ) -> Result<ControlAnswer, ControlError> {
        let body = Bytes::from(json.to_string());
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
        let request = self.request(method, path, body, authorization)?;
        let upstream = self.upstream.load().upstream.clone();
        let stream = timeout(self.connect_deadline, upstream.connect())
            .await
            .map_err(|_| ControlError::NotSent("it took too long to connect".to_owned()))?
            .map_err(|error| ControlError::NotSent(error.to_string()))?;
        exchange(stream, request, Instant::now() + self.deadline).await
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<(HeaderValue, Bytes)>,
        authorization: Option<HeaderValue>,
    ) -> Result<Request<Full<Bytes>>, ControlError> {
        let mut builder = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.upstream.load().upstream.authority())
            .header(ACCEPT, "application/json")
            .header(ACCEPT_ENCODING, "identity")
            .header(USER_AGENT, concat!("scopegate/", env!("CARGO_PKG_VERSION")));
        if let Some(mut authorization) = authorization {
            authorization.set_sensitive(true);
            builder = builder.header(AUTHORIZATION, authorization);
        }
        let body = match body {
            Some((kind, bytes)) => {
                builder = builder.header(CONTENT_TYPE, kind);
                Full::new(bytes)
            }
            None => Full::default(),
        };
        builder
            .body(body)
            .map_err(|_| ControlError::NotSent("the path of the request is not valid".to_owned()))
    }
}

/// One question and its answer on a connection that is closed afterwards.
async fn exchange(
    stream: UpstreamStream,
    request: Request<Full<Bytes>>,
    deadline: Instant,
) -> Result<ControlAnswer, ControlError> {
    let no_answer = |what: &str| ControlError::NoAnswer(what.to_owned());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| ControlError::NotSent(error.to_string()))?;
    let answer = async move {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| ControlError::NoAnswer(error.to_string()))?;
        let status = response.status();
        let retry_after = read_retry_after(response.headers().get(RETRY_AFTER));
        let body = Limited::new(response.into_body(), ANSWER_MAX)
            .collect()
            .await
            .map_err(|_| no_answer("its body broke off or is too long"))?
            .to_bytes();
        Ok(ControlAnswer {
            status,
            retry_after,
            body,
            received: Instant::now(),
        })
    };
    timeout_at(deadline, drive(connection, answer))
        .await
        .unwrap_or_else(|_| Err(no_answer("it took too long")))
}

/// Polls the connection beside the answer, in this one task: nothing is left running when the caller
/// gives up.
async fn drive<T>(
    connection: impl Future<Output = hyper::Result<()>>,
    answer: impl Future<Output = Result<T, ControlError>>,
) -> Result<T, ControlError> {
    let mut connection = pin!(connection);
    let mut answer = pin!(answer);
    let mut open = true;
    let mut sent = false;
    poll_fn(|cx| {
        if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
            return Poll::Ready(answer);
        }
        if open && connection.as_mut().poll(cx).is_ready() {
            open = false;
        }
        if !sent {
            sent = true;
            // The first poll of the connection has handed the whole small request to the kernel.
            fail::fail_point!("control-after-send");
        }
        answer.as_mut().poll(cx)
    })
    .await
}

/// Only the number of seconds; HubSpot sends no dates there.
fn read_retry_after(value: Option<&HeaderValue>) -> Option<Duration> {
    let seconds: u32 = value?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hubspot::connect::{Upstream, client_tls};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

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
        let answer = client.post_form("/oauth/2026-03/token", "a=b").await.unwrap();
        assert_eq!(answer.status, 429);
        assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(&answer.body[..], b"{}");
        let seen = server.await.unwrap();
        assert!(
            seen.starts_with("POST /oauth/2026-03/token HTTP/1.1\r\n"),
            "{seen}"
        );
        assert!(seen.ends_with("\r\n\r\na=b"), "{seen}");
    }

    #[tokio::test]
    async fn nothing_arrived_where_nobody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client_of(&listener).await;
        drop(listener);
        assert!(matches!(
            client.post_form("/x", "").await,
            Err(ControlError::NotSent(_))
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
                matches!(client.post_form("/x", "").await, Err(ControlError::NoAnswer(_))),
                "{broken:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_not_waited_for_forever() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client_of(&listener).await;
        let started = std::time::Instant::now();
        let outcome = client.post_form("/x", "").await;
        assert!(matches!(outcome, Err(ControlError::NoAnswer(_))));
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
            client.post_form("/x", "").await,
            Err(ControlError::NoAnswer(_))
        ));
    }
}
