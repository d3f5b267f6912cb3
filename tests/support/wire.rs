//! One connection to the gate, byte by byte: what goes out is exactly what a test writes, what comes
//! back is read as strictly as a careful client would.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs
)]

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::canaries::heard::Heard;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for anything the gate owes. Only a failing test ever waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection.
pub struct Wire<S = TcpStream> {
    pub stream: S,
    buffer: Vec<u8>,
    heard: Heard,
    /// The connection ended, and not properly.
    broke: bool,
}

/// One answer.
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    /// The body ended as its head had announced.
    pub whole: bool,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{} (whole: {})", self.head, self.text(), self.whole)
    }
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .next()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// `allow`, `deny` or `refuse`; empty when the answer does not say.
    pub fn verdict(&self) -> String {
        self.header("x-scopegate-decision")
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    /// The id under which the audit log has it.
    pub fn id(&self) -> String {
        let decision = self.header("x-scopegate-decision").unwrap_or_default();
        let id = decision.split("; ").find_map(|part| part.strip_prefix("id="));
        id.unwrap_or_default().to_owned()
    }

    pub fn sub_category(&self) -> String {
        self.json()["subCategory"].as_str().unwrap_or_default().to_owned()
    }
}

impl Wire {
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut wire = Self::over(stream);
        wire.heard = Heard::from(address);
        wire
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub fn over(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            heard: Heard::default(),
            broke: false,
        }
    }

    /// Writes all of it. A gate that has closed already is a finding of the reads that follow.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let written = async {
            self.stream.write_all(bytes.as_ref()).await.is_ok() && self.stream.flush().await.is_ok()
        };
        tokio::time::timeout(PATIENCE, written)
            .await
            .expect("the gate takes bytes in time")
    }

    /// Writes a request and reads its answer.
    pub async fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Reply {
        assert!(self.write(bytes).await, "the gate closed the connection");
        self.reply().await.expect("the gate answers")
    }

    /// The next answer, whole; `None` when the connection ends instead.
    pub async fn reply(&mut self) -> Option<Reply> {
        let mut reply = self.head().await?;
        let mut body = Vec::new();
        reply.whole = self.rest(&reply, &mut body).await;
        reply.body = body;
        Some(reply)
    }

    /// The body behind a head; `true` when it ended as the head had announced.
    pub async fn rest(&mut self, head: &Reply, into: &mut Vec<u8>) -> bool {
        let bodiless = head.status < 200 || matches!(head.status, 204 | 304);
        let length = head
            .header("content-length")
            .map(|value| value.parse::<usize>().unwrap());
        let chunked = head.header("transfer-encoding") == Some("chunked");
        match (bodiless, chunked, length) {
            (true, _, _) => true,
            (false, true, _) => self.chunks(into).await,
            (false, false, Some(length)) => self.bytes(length, into).await,
            (false, false, None) => {
                while self.more().await {}
                into.append(&mut self.buffer);
                !self.broke
            }
        }
    }

    /// The next answer's head.
    pub async fn head(&mut self) -> Option<Reply> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8(self.buffer.drain(..end + 4).collect()).unwrap();
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                return Some(Reply {
                    status,
                    head,
                    body: Vec::new(),
                    whole: false,
                });
            }
            if !self.more().await {
                assert!(
                    self.buffer.is_empty(),
                    "an answer breaks off: {}",
                    String::from_utf8_lossy(&self.buffer)
                );
                return None;
            }
        }
    }

    /// `true` when the connection has ended, and nothing came before its end.
    pub async fn has_ended(&mut self) -> bool {
        while self.more().await {}
        self.buffer.is_empty()
    }

    /// Reads once; `false` at the end of the connection, however it ends.
    pub async fn more(&mut self) -> bool {
        self.buffer.reserve(64 * 1024);
        let before = self.buffer.len();
        match tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await {
            Err(_) => panic!(
                "the gate neither answers nor closes; so far: {}",
                String::from_utf8_lossy(&self.buffer)
            ),
            Ok(read) => {
                self.heard.bytes(&self.buffer[before..]);
                self.broke |= read.is_err();
                read.is_ok_and(|count| count > 0)
            }
        }
    }

    /// Counts and drops the next `length` bytes of a body, at most; returns how many came.
    pub async fn skip(&mut self, length: u64) -> u64 {
        let mut came = 0;
        loop {
            came += self.buffer.len() as u64;
            self.buffer.clear();
            if came >= length || !self.more().await {
                return came;
            }
        }
    }

    async fn bytes(&mut self, length: usize, into: &mut Vec<u8>) -> bool {
        while self.buffer.len() < length {
            if !self.more().await {
                into.append(&mut self.buffer);
                return false;
            }
        }
        into.extend(self.buffer.drain(..length));
        true
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|window| window == b"\r\n") {
                let line = String::from_utf8(self.buffer.drain(..end + 2).collect()).unwrap();
                return Some(line.trim_end().to_owned());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    async fn chunks(&mut self, into: &mut Vec<u8>) -> bool {
        loop {
            let Some(line) = self.line().await else {
                return false;
            };
            let size = usize::from_str_radix(&line, 16).unwrap_or_else(|_| panic!("a chunk size: {line}"));
            if !self.bytes(size, into).await {
                return false;
            }
            if size == 0 {
                // Nothing stands between the last chunk and the end: the gate passes no trailers.
                return self.line().await.is_some_and(|line| line.is_empty());
            }
            if self.line().await.is_none() {
                return false;
            }
        }
    }
}

/// A whole request with these header lines and this body, its length announced when there is one.
pub fn request(method: &str, target: &str, key: &str, lines: &[&str], body: &str) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer {key}\r\n");
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text + "\r\n" + body
}

/// A plain `GET`.
pub fn get(target: &str, key: &str) -> String {
    request("GET", target, key, &[], "")
}

/// A `POST` of JSON.
pub fn post(target: &str, key: &str, body: &str) -> String {
    request("POST", target, key, &["Content-Type: application/json"], body)
}
