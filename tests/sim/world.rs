//! A simulator on a port, a client for it, and credentials.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs
)]

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use scopegate::sim::{self, AppCredentials, Install, PortalOptions, Running, Scopes, Sim, SimOptions};
use serde_json::Value;
use tokio::net::TcpStream;

pub const HUB: u64 = 1001;

pub struct World {
    pub sim: Arc<Sim>,
    pub origin: String,
    pub token: String,
    pub running: Running,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap())
            .unwrap_or_default()
    }
}

impl World {
    pub async fn plain() -> Self {
        Self::with(SimOptions::default()).await
    }

    pub async fn with(options: SimOptions) -> Self {
        let sim = Sim::new(options);
        sim.add_portal(PortalOptions::new(HUB));
        let token = sim.private_app(HUB, Scopes::All).expose().to_owned();
        let running = sim::start(Arc::clone(&sim), None).await.unwrap();
        Self {
            origin: running.origin.clone(),
            sim,
            token,
            running,
        }
    }

    pub fn token(&self, scopes: Scopes) -> String {
        self.sim.private_app(HUB, scopes).expose().to_owned()
    }

    /// An app installed with every scope, and its refresh token.
    pub fn installed(&self) -> (AppCredentials, String) {
        let app = self.sim.oauth_app("test", &[]);
        let token = self
            .sim
            .install(Install::new(&app.client_id, HUB, Scopes::All))
            .unwrap();
        (app, token.expose().to_owned())
    }

    pub async fn refresh(&self, path: &str, app: &AppCredentials, token: &str) -> Answer {
        let secret = app.client_secret.expose();
        let id = &app.client_id;
        let form =
            format!("grant_type=refresh_token&client_id={id}&client_secret={secret}&refresh_token={token}");
        self.form(path, &form).await
    }

    pub async fn form(&self, path: &str, form: &str) -> Answer {
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Full::from(form.to_owned()))
            .unwrap();
        self.request(request).await.unwrap()
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.as_token("GET", target, &self.token, "").await
    }

    pub async fn call(&self, method: &str, target: &str) -> Answer {
        self.as_token(method, target, &self.token, "").await
    }

    pub async fn send(&self, method: &str, target: &str, body: Value) -> Answer {
        self.as_token(method, target, &self.token, &body.to_string())
            .await
    }

    pub async fn raw_body(&self, method: &str, target: &str, body: &str) -> Answer {
        self.as_token(method, target, &self.token, body).await
    }

    pub async fn as_token(&self, method: &str, target: &str, token: &str, body: &str) -> Answer {
        self.try_as(method, target, token, body).await.unwrap()
    }

    pub async fn try_as(
        &self,
        method: &str,
        target: &str,
        token: &str,
        body: &str,
    ) -> Result<Answer, String> {
        let mut request = Request::builder().method(method).uri(target);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        self.request(request.body(Full::from(body.to_owned())).unwrap())
            .await
    }

    pub async fn request(&self, mut request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let host = self.running.address.to_string();
        request
            .headers_mut()
            .entry("host")
            .or_insert(host.parse().unwrap());
        let stream = TcpStream::connect(self.running.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let exchange = async {
            let response = sender
                .send_request(request)
                .await
                .map_err(|error| error.to_string())?;
            let (head, body) = response.into_parts();
            let body = body
                .collect()
                .await
                .map_err(|error| error.to_string())?
                .to_bytes();
            Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body,
            })
        };
        tokio::time::timeout(Duration::from_secs(20), exchange)
            .await
            .unwrap_or(Err("silence".to_owned()))
    }
}

pub fn gunzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut plain)?;
    Ok(plain)
}
