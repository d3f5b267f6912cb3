//! A token endpoint of ours: rotates or not, answers by script, counts.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// The same refresh token comes back.
    Stable,
    /// A new one, and the old one is dead.
    Strict,
}

pub struct State {
    pub rotation: Rotation,
    pub hub_id: Option<u64>,
    /// Whether the answer to a refresh names the portal.
    pub tells_portal: bool,
    pub life_seconds: u64,
    pub delay: Duration,
    /// Nothing is answered while it is set.
    pub held: bool,
    /// The one good refresh token, and client secret.
    pub refresh: String,
    pub secret: String,
    /// The account of any private-app token; `None` = that endpoint is not there.
    pub static_hub: Option<u64>,
    /// Whether questions about a grant are answered; if not, as by a server that is down.
    pub introspects: bool,
    /// Whether any other question with a static token is answered 401.
    pub static_refused: bool,
    /// Answered before anything else, in order.
    pub script: VecDeque<(u16, String)>,
    /// Rotate, then hang up without an answer, this many times.
    pub lose_answers: u32,
    /// Any refresh token `grant-PORTAL` is good, that portal's, and stays the same.
    pub many: bool,
    /// Everything is answered 503 until it is not.
    pub down: bool,
    /// Calls of the token endpoint.
    pub calls: u32,
    /// When those came that brought tokens, and with which refresh token.
    pub granted: Vec<(Instant, String)>,
    /// Calls being answered now, and the most there ever were.
    pub in_flight: (u32, u32),
    issued: u32,
}

#[derive(Clone)]
pub struct Fake(pub Arc<Mutex<State>>);

impl Fake {
    pub async fn start() -> (Self, String) {
        let state = State {
            rotation: Rotation::Strict,
            hub_id: Some(super::PORTAL),
            tells_portal: true,
            life_seconds: 1800,
            delay: Duration::ZERO,
            held: false,
            refresh: "canary-refresh-0".to_owned(),
            secret: "canary-app-secret".to_owned(),
            static_hub: None,
            introspects: true,
            static_refused: false,
            script: VecDeque::new(),
            lose_answers: 0,
            many: false,
            down: false,
            calls: 0,
            granted: Vec::new(),
            in_flight: (0, 0),
            issued: 0,
        };
        let fake = Self(Arc::new(Mutex::new(state)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let fake = shared.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| fake.clone().answer(request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        (fake, url)
    }

    pub fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap());
    }

    pub fn calls(&self) -> u32 {
        self.0.lock().unwrap().calls
    }

    pub fn script(&self, status: u16, body: &str) {
        self.set(|state| state.script.push_back((status, body.to_owned())));
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let path = request.uri().path().to_owned();
        let body = request
            .into_body()
            .collect()
            .await
            .map_err(std::io::Error::other)?;
        let form: Vec<(String, String)> = form_urlencoded::parse(&body.to_bytes()).into_owned().collect();
        let field = |name: &str| {
            form.iter()
                .find(|(known, _)| known == name)
                .map_or("", |(_, value)| value)
                .to_owned()
        };
        let delay = self.0.lock().unwrap().delay;
        self.set(|state| {
            let (now, most) = state.in_flight;
            state.in_flight = (now + 1, most.max(now + 1));
        });
        tokio::time::sleep(delay).await;
        while self.0.lock().unwrap().held {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.set(|state| state.in_flight.0 -= 1);
        let (status, text) = match &*path {
            "/oauth/2026-03/token" => match self.token(&field("refresh_token"), &field("client_secret")) {
                Some(answer) => answer,
                None => return Err(std::io::Error::other("hung up")),
            },
            "/oauth/2026-03/token/revoke" => self.revoke(&field("token")),
            "/oauth/2026-03/token/introspect" => self.introspect(&field("token"), &field("client_secret")),
            "/oauth/v2/private-apps/get/access-token-info" => self.private_app(),
            _ if self.0.lock().unwrap().static_refused => (401, "{}".to_owned()),
            _ => (404, "{}".to_owned()),
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        Ok::<_, Infallible>(response).map_err(|never| match never {})
    }

    fn token(&self, refresh: &str, secret: &str) -> Option<(u16, String)> {
        let mut state = self.0.lock().unwrap();
        state.calls += 1;
        if let Some(scripted) = state.script.pop_front() {
            return Some(scripted);
        }
        if state.down {
            return Some((503, String::new()));
        }
        if secret != state.secret {
            return Some((
                401,
                r#"{"error":"invalid_client","status":"BAD_CLIENT_SECRET"}"#.to_owned(),
            ));
        }
        let portal = refresh.strip_prefix("grant-").filter(|_| state.many);
        if refresh != state.refresh && portal.is_none() {
            return Some((
                400,
                r#"{"error":"invalid_grant","status":"BAD_REFRESH_TOKEN"}"#.to_owned(),
            ));
        }
        state.issued += 1;
        let number = state.issued;
        state.granted.push((Instant::now(), refresh.to_owned()));
        if state.rotation == Rotation::Strict && portal.is_none() {
            state.refresh = format!("canary-refresh-{number}");
        }
        if state.lose_answers > 0 {
            state.lose_answers -= 1;
            return None;
        }
        let answer = serde_json::json!({
            "access_token": format!("canary-access-{number}"),
            "refresh_token": portal.map_or(&*state.refresh, |_| refresh),
            "expires_in": state.life_seconds,
            "token_type": "bearer",
            "hub_id": portal.map_or(state.hub_id, |portal| portal.parse().ok()).filter(|_| state.tells_portal),
            "scopes": ["oauth", "crm.objects.contacts.read"],
            "user_id": 77,
        });
        Some((200, answer.to_string()))
    }

    fn revoke(&self, token: &str) -> (u16, String) {
        let mut state = self.0.lock().unwrap();
        if token == state.refresh {
            state.refresh = "revoked".to_owned();
        }
        // One that is not known is no error.
        (200, String::new())
    }

    fn private_app(&self) -> (u16, String) {
        match self.0.lock().unwrap().static_hub {
            None => (404, "{}".to_owned()),
            Some(hub) => {
                let answer =
                    serde_json::json!({ "hubId": hub, "userId": 5, "appId": 1, "scopes": ["oauth"] });
                (200, answer.to_string())
            }
        }
    }

    fn introspect(&self, token: &str, secret: &str) -> (u16, String) {
        let state = self.0.lock().unwrap();
        if !state.introspects {
            return (503, "{}".to_owned());
        }
        if secret != state.secret {
            return (401, r#"{"error":"invalid_client"}"#.to_owned());
        }
        let portal = token.strip_prefix("grant-").filter(|_| state.many);
        let active = token == state.refresh || portal.is_some();
        let hub_id = portal.map_or(state.hub_id, |portal| portal.parse().ok());
        let answer =
            serde_json::json!({ "active": active, "hub_id": hub_id, "user_id": 77, "scopes": ["oauth"] });
        (200, answer.to_string())
    }
}
