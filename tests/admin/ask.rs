//! Asking the admin API, politely or not.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::canaries::{self, Place};
use crate::support::{World, within};

/// An answer, whole.
pub struct Told {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Told {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// A connection that is kept open.
pub struct Line {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Line {
    pub async fn open(address: SocketAddr) -> Self {
        Self::open_from(address, Ipv4Addr::LOCALHOST.into()).await
    }

    /// From an address of this machine's own range.
    pub async fn open_from(address: SocketAddr, from: IpAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        let stream = within(socket.connect(address)).await.unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        Self {
            sender,
            host: address.to_string(),
        }
    }

    pub async fn ask(&mut self, asked: &Asked<'_>) -> Told {
        let mut request = Request::builder().method(asked.method).uri(asked.target);
        request = request.header("host", asked.host.unwrap_or(&self.host));
        if let Some(credential) = asked.credential {
            request = request.header("authorization", format!("Bearer {credential}"));
        }
        if let Some(kind) = asked.content_type {
            request = request.header("content-type", kind);
        }
        if let Some(origin) = asked.origin {
            request = request.header("origin", origin);
        }
        let body = Full::from(asked.body.unwrap_or_default().to_owned());
        let response = within(self.sender.send_request(request.body(body).unwrap()))
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        let body = within(body.collect()).await.unwrap().to_bytes();
        canaries::seen(Place::Answer, format!("{:?}", parts.headers).as_bytes());
        canaries::seen(Place::Answer, &body);
        Told {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}

/// What is asked.
#[derive(Clone, Copy, Default)]
pub struct Asked<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub credential: Option<&'a str>,
    pub body: Option<&'a str>,
    pub content_type: Option<&'a str>,
    pub host: Option<&'a str>,
    pub origin: Option<&'a str>,
}

impl<'a> Asked<'a> {
    pub fn get(target: &'a str, credential: &'a str) -> Self {
        Self {
            method: "GET",
            target,
            credential: Some(credential),
            ..Self::default()
        }
    }

    pub fn post(target: &'a str, credential: &'a str, body: &'a str) -> Self {
        Self {
            method: "POST",
            body: Some(body),
            content_type: Some("application/json"),
            ..Self::get(target, credential)
        }
    }
}

/// One question over a connection of its own.
pub async fn ask(world: &World, asked: &Asked<'_>) -> Told {
    Line::open(world.monitor).await.ask(asked).await
}

pub async fn get(world: &World, target: &str, credential: &str) -> Told {
    ask(world, &Asked::get(target, credential)).await
}

pub async fn post(world: &World, target: &str, credential: &str, body: &str) -> Told {
    ask(world, &Asked::post(target, credential, body)).await
}

/// A new credential.
pub fn credential(world: &World, name: &str, role: &str) -> String {
    let output = world.command(&["admin", "create", "--name", name, "--role", role]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.strip_suffix('\n').unwrap().to_owned()
}

/// The public id of a credential.
pub fn id_of(credential: &str) -> &str {
    &credential[4..16]
}

/// Bytes as they are; all that comes back until the gate closes.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The gate may close before all is written.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
    canaries::seen(Place::Answer, &answer);
    String::from_utf8_lossy(&answer).into_owned()
}
