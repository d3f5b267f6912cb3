//! The control path `/_sim/…`: what tests do in process, over HTTP, for who knows this start's secret.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::faults::{Fault, FaultId};
use super::portal::{PortalOptions, PortalState, UserState};
use super::recorder::Received;
use super::scopes::Scopes;
use super::service::Connection;
use super::simulator::{Install, Sim};

/// Where control begins.
pub(super) const PREFIX: &str = "/_sim/";
/// The header that carries the secret.
const HEADER: &str = "x-sim-control";
const BODY_BYTES: usize = 1024 * 1024;

/// Answers a control request: only from this machine, only with the secret.
pub(super) async fn handle(sim: &Sim, connection: &Connection, request: Request<Incoming>) -> Answer {
    if !connection.peer.ip().is_loopback() || !knows_secret(sim, request.headers()) {
        return refusal(
            StatusCode::FORBIDDEN,
            "the control path needs the secret printed at start, from this machine",
        );
    }
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES).collect().await else {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "control bodies are at most 1 MiB");
    };
    let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    match route(sim, &head.method, path, &body.to_bytes()) {
        Ok(value) => Answer::ok(&value),
        Err(refused) => *refused,
    }
}

fn knows_secret(sim: &Sim, headers: &HeaderMap) -> bool {
    let given = headers
        .get(HEADER)
        .map(|value| value.as_bytes())
        .unwrap_or_default();
    verify_slices_are_equal(given, sim.control_secret().expose().as_bytes()).is_ok()
}

type Controlled = Result<Value, Box<Answer>>;

fn route(sim: &Sim, method: &Method, path: &str, body: &Bytes) -> Controlled {
    let words: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    match (method, words.as_slice()) {
        (&Method::GET, ["requests"]) => Ok(json!({
            "count": sim.received_count(),
            "requests": sim.received().iter().map(described).collect::<Vec<_>>(),
        })),
        (&Method::DELETE, ["requests"]) => {
            sim.forget_received();
            Ok(json!({}))
        }
        (&Method::POST, ["faults"]) => {
            let fault: Fault = read(body)?;
            Ok(json!({ "id": sim.fault(fault).0 }))
        }
        (&Method::DELETE, ["faults"]) => {
            sim.clear_faults();
            Ok(json!({}))
        }
        (&Method::GET, ["faults", id]) => {
            let struck = id
                .parse()
                .ok()
                .and_then(|id| sim.struck(FaultId(id)))
                .ok_or_else(missing)?;
            Ok(json!({ "struck": struck }))
        }
        (&Method::DELETE, ["faults", id]) => {
            let removed = id.parse().is_ok_and(|id| sim.remove_fault(FaultId(id)));
            if removed { Ok(json!({})) } else { Err(missing()) }
        }
        (&Method::POST, ["expire"]) => {
            sim.expire_access_tokens();
            Ok(json!({}))
        }
        (&Method::POST, ["advance"]) => {
            let by: Advance = read(body)?;
            sim.advance(Duration::from_secs(by.seconds));
            Ok(json!({}))
        }
        (&Method::POST, [what]) => make(sim, what, body),
        _ => Err(missing()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPortal {
    hub_id: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    hub_id: u64,
    scopes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewApp {
    name: String,
    #[serde(default)]
    redirect_uris: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSecret {
    client_id: String,
    /// In place of a new secret: all but the newest are taken away.
    #[serde(default)]
    retire: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewInstall {
    client_id: String,
    hub_id: u64,
    scopes: Vec<String>,
    #[serde(default)]
    user_id: Option<u64>,
}

/// An app in many accounts at once: portals `first`, `first + 1`, …, at most 2,000, without records.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewFleet {
    client_id: String,
    first: u64,
    count: u64,
    scopes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeUser {
    hub_id: u64,
    user_id: u64,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    rights: Option<ChangeRights>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeRights {
    super_admin: bool,
    #[serde(default)]
    role_id: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reauthorise {
    client_id: String,
    hub_id: u64,
    user_id: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangePortal {
    hub_id: u64,
    state: String,
}

fn make(sim: &Sim, what: &str, body: &Bytes) -> Controlled {
    match what {
        "portals" => {
            let new: NewPortal = read(body)?;
            Ok(json!({ "hub_id": sim.add_portal(PortalOptions::new(new.hub_id)) }))
        }
        "private-apps" => {
            let new: NewToken = read(body)?;
            Ok(json!({ "token": sim.private_app(new.hub_id, Scopes::new(new.scopes)).expose() }))
        }
        "service-keys" => {
            let new: NewToken = read(body)?;
            Ok(json!({ "token": sim.service_key(new.hub_id, Scopes::new(new.scopes)).expose() }))
        }
        "apps" => {
            let new: NewApp = read(body)?;
            let uris: Vec<&str> = new.redirect_uris.iter().map(String::as_str).collect();
            let app = sim.oauth_app(&new.name, &uris);
            Ok(json!({
                "app_id": app.app_id,
                "client_id": app.client_id,
                "client_secret": app.client_secret.expose(),
            }))
        }
        "fleets" => {
            let new: NewFleet = read(body)?;
            let fleet = sim.fleet(&new.client_id, new.first, new.count, &Scopes::new(new.scopes));
            let installs = fleet
                .iter()
                .map(|(hub_id, token)| json!({ "hub_id": hub_id, "refresh_token": token.expose() }));
            Ok(json!({ "installs": installs.collect::<Vec<_>>() }))
        }
        "client-secrets" => {
            let new: NewSecret = read(body)?;
            if new.retire {
                sim.retire_client_secrets(&new.client_id);
                return Ok(json!({}));
            }
            let secret = sim.rotate_client_secret(&new.client_id).ok_or_else(missing)?;
            Ok(json!({ "client_secret": secret.expose() }))
        }
        "installs" => {
            let new: NewInstall = read(body)?;
            let mut install = Install::new(&new.client_id, new.hub_id, Scopes::new(new.scopes));
            install.user_id = new.user_id;
            let token = sim.install(install).ok_or_else(missing)?;
            Ok(json!({ "refresh_token": token.expose() }))
        }
        "users" => change_user(sim, &read(body)?),
        "reauthorisations" => {
            let new: Reauthorise = read(body)?;
            if sim.reauthorise(&new.client_id, new.hub_id, new.user_id) {
                Ok(json!({}))
            } else {
                Err(missing())
            }
        }
        "portal-states" => change_portal(sim, &read(body)?),
        _ => Err(missing()),
    }
}

fn change_user(sim: &Sim, change: &ChangeUser) -> Controlled {
    let state = match change.state.as_deref() {
        None => None,
        Some("active") => Some(UserState::Active),
        Some("deactivated") => Some(UserState::Deactivated),
        Some("removed") => Some(UserState::Removed),
        Some(_) => return Err(wrong("state is active, deactivated or removed")),
    };
    let (hub, user) = (change.hub_id, change.user_id);
    let known = sim.users(hub).contains(&user)
        && state.is_none_or(|state| sim.set_user_state(hub, user, state))
        && change
            .rights
            .as_ref()
            .is_none_or(|rights| sim.set_user_rights(hub, user, rights.super_admin, rights.role_id));
    if known { Ok(json!({})) } else { Err(missing()) }
}

fn change_portal(sim: &Sim, change: &ChangePortal) -> Controlled {
    let state = match change.state.as_str() {
        "open" => PortalState::Open,
        "paused" => PortalState::Paused,
        "migrating" => PortalState::Migrating {
            retry_after_seconds: 120,
        },
        _ => return Err(wrong("state is open, paused or migrating")),
    };
    if sim.set_portal_state(change.hub_id, state) {
        Ok(json!({}))
    } else {
        Err(missing())
    }
}

fn described(received: &Received) -> Value {
    let headers: Vec<[String; 2]> = received
        .headers
        .iter()
        .map(|(name, value)| {
            [
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            ]
        })
        .collect();
    json!({
        "sequence": received.sequence,
        "method": received.method,
        "target": received.target,
        "headers": headers,
        "body": String::from_utf8_lossy(&received.body),
        "body_bytes": received.body_bytes,
        "body_sha256": received.body_sha256,
        "complete": received.complete,
        "status": received.status,
    })
}

fn read<T: for<'de> Deserialize<'de>>(body: &Bytes) -> Result<T, Box<Answer>> {
    serde_json::from_slice(body).map_err(|error| wrong(&error.to_string()))
}

fn wrong(message: &str) -> Box<Answer> {
    Box::new(refusal(StatusCode::BAD_REQUEST, message))
}

fn missing() -> Box<Answer> {
    Box::new(refusal(
        StatusCode::NOT_FOUND,
        "the simulator has no such thing to control",
    ))
}

fn refusal(status: StatusCode, message: &str) -> Answer {
    Answer::json(status, &json!({ "status": "error", "message": message }))
}
