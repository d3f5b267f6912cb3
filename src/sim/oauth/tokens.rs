//! Grants for tokens: authorization code, refresh token, client credentials. And revocation.

use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde::Serialize;

use super::errors::OAuthError;
use crate::sim::answer::Answer;
use crate::sim::call::{Call, Query};
use crate::sim::clock::millis;
use crate::sim::credentials::{App, Bearer, BearerKind, Grant, OnInstallerRemoved};
use crate::sim::options::Rotation;
use crate::sim::portal::UserState;
use crate::sim::random;
use crate::sim::scopes::Scopes;
use crate::sim::simulator::Sim;

type Granted<T> = Result<T, OAuthError>;

#[derive(Serialize)]
struct TokenAnswer<'a> {
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hub_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_use: Option<&'static str>,
    expires_in: u64,
}

/// `POST …/token`.
pub(super) fn exchange(sim: &Sim, call: &Call, form: &Query) -> Granted<Answer> {
    let kind = form.first("grant_type").unwrap_or_default();
    if !matches!(
        kind,
        "authorization_code" | "refresh_token" | "client_credentials"
    ) {
        return Err(OAuthError::GrantType);
    }
    let app = client(sim, form)?;
    match kind {
        "refresh_token" => refresh(sim, call, form, &app),
        "authorization_code" => code(sim, call, form, &app),
        _ => client_credentials(sim, call, form, &app),
    }
}

/// The app that asks, proven by one of its secrets.
pub(super) fn client(sim: &Sim, form: &Query) -> Granted<App> {
    let client_id = form.first("client_id").unwrap_or_default();
    let app = sim
        .credentials()
        .app(client_id)
        .cloned()
        .ok_or(OAuthError::ClientId)?;
    let secret = form.first("client_secret").unwrap_or_default();
    if secret.is_empty() || !app.secrets.iter().any(|known| known == secret) {
        return Err(OAuthError::ClientSecret);
    }
    Ok(app)
}

fn refresh(sim: &Sim, call: &Call, form: &Query, app: &App) -> Granted<Answer> {
    let token = form.first("refresh_token").unwrap_or_default();
    let granted = try_refresh(sim, call, token, app);
    let hub_id = granted.as_ref().ok().map(|(hub_id, _)| *hub_id);
    sim.token_log.call(token, hub_id, &call.version);
    granted.map(|(_, answer)| answer)
}

fn try_refresh(sim: &Sim, call: &Call, token: &str, app: &App) -> Granted<(u64, Answer)> {
    let mut credentials = sim.credentials();
    let Some(grant) = credentials.by_refresh(token).cloned() else {
        if let Some(id) = credentials.by_superseded(token)
            && sim.options.rotation == Rotation::RotateWithReuseDetection
        {
            credentials.kill(id, true);
        }
        return Err(OAuthError::RefreshToken);
    };
    if grant.client_id != app.client_id {
        return Err(OAuthError::MismatchedRefreshToken);
    }
    if !grant.alive || !grant.installed {
        return Err(OAuthError::RefreshToken);
    }
    let portal = sim.portal(grant.hub_id).ok_or(OAuthError::Hub)?;
    let installer = portal.read().user(grant.user_id).map(|user| user.state);
    if grant.on_installer_removed == OnInstallerRemoved::Revoked && installer != Some(UserState::Active) {
        return Err(OAuthError::RefreshToken);
    }
    let refresh_token = match sim.options.rotation {
        Rotation::Stable => Some(grant.refresh_token.clone()),
        _ => credentials.rotate(grant.id, &portal.options.hublet),
    };
    if sim.options.refresh_ends_earlier_tokens {
        credentials.remove_bearers_of(grant.id);
    }
    drop(credentials);
    let refresh_token = refresh_token.filter(|_| !sim.options.refresh_token_only_when_new || rotated(sim));
    Ok((grant.hub_id, issue(sim, call, &grant, refresh_token)))
}

fn rotated(sim: &Sim) -> bool {
    sim.options.rotation != Rotation::Stable
}

fn code(sim: &Sim, call: &Call, form: &Query, app: &App) -> Granted<Answer> {
    let code = form.first("code").unwrap_or_default();
    let mut credentials = sim.credentials();
    let entry = credentials.code(code).cloned().ok_or(OAuthError::AuthCode)?;
    let grant = credentials
        .grant(entry.grant)
        .cloned()
        .ok_or(OAuthError::AuthCode)?;
    if grant.client_id != app.client_id {
        return Err(OAuthError::AuthCode);
    }
    if entry.expires_ms <= call.now_ms {
        return Err(OAuthError::ExpiredAuthCode);
    }
    let redirect_uri = form.first("redirect_uri").unwrap_or_default();
    let registered = app.redirect_uris.is_empty() || app.redirect_uris.iter().any(|uri| uri == redirect_uri);
    if entry.redirect_uri != redirect_uri || !registered {
        return Err(OAuthError::RedirectUri);
    }
    if let Some(challenge) = &entry.challenge {
        let verifier = form.first("code_verifier").unwrap_or_default();
        let hash = digest::digest(&digest::SHA256, verifier.as_bytes());
        if URL_SAFE_NO_PAD.encode(hash.as_ref()) != *challenge {
            return Err(OAuthError::CodeVerifier);
        }
    }
    credentials.use_code(code);
    drop(credentials);
    let refresh_token = Some(grant.refresh_token.clone());
    Ok(issue(sim, call, &grant, refresh_token))
}

/// A token for the app itself, good for the webhooks journal alone.
fn client_credentials(sim: &Sim, call: &Call, form: &Query, app: &App) -> Granted<Answer> {
    let asked: Vec<&str> = form
        .first("scope")
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    if asked.iter().any(|scope| !scope.starts_with("developer.")) {
        return Err(OAuthError::Scopes);
    }
    let token = random::access_token();
    let bearer = Bearer {
        kind: BearerKind::App,
        hub_id: None,
        app_id: app.id,
        user_id: 0,
        scopes: Arc::new(Scopes::new(&asked)),
        expires_ms: Some(call.now_ms + millis(sim.options.expires_in)),
        grant: None,
    };
    sim.credentials().add_bearer(token.clone(), bearer, call.now_ms);
    Ok(Answer::ok(&TokenAnswer {
        token_type: "bearer",
        refresh_token: None,
        access_token: token,
        hub_id: None,
        user_id: None,
        scopes: None,
        token_use: Some("client_credentials"),
        expires_in: sim.options.expires_in.as_secs(),
    }))
}

fn issue(sim: &Sim, call: &Call, grant: &Grant, refresh_token: Option<String>) -> Answer {
    let token = random::access_token();
    let bearer = Bearer {
        kind: BearerKind::OAuth,
        hub_id: Some(grant.hub_id),
        app_id: grant.app_id,
        user_id: grant.user_id,
        scopes: Arc::clone(&grant.scopes),
        expires_ms: Some(call.now_ms + millis(sim.options.expires_in)),
        grant: Some(grant.id),
    };
    sim.credentials().add_bearer(token.clone(), bearer, call.now_ms);
    let detailed = sim.options.token_details && call.version != "v1";
    Answer::ok(&TokenAnswer {
        token_type: "bearer",
        refresh_token,
        access_token: token,
        hub_id: Some(grant.hub_id).filter(|_| detailed),
        user_id: Some(grant.user_id).filter(|_| detailed),
        scopes: detailed.then(|| grant.scopes.names()),
        token_use: Some("access_token").filter(|_| call.version != "v1"),
        expires_in: sim.options.expires_in.as_secs(),
    })
}

/// `POST …/token/revoke`: refresh tokens only; an unknown one is no error (RFC 7009 §2.2).
pub(super) fn revoke(sim: &Sim, _call: &Call, form: &Query) -> Granted<Answer> {
    let app = client(sim, form)?;
    let token = form
        .first("token")
        .or_else(|| form.first("refresh_token"))
        .unwrap_or_default();
    let mut credentials = sim.credentials();
    let ours = credentials
        .by_refresh(token)
        .filter(|grant| grant.client_id == app.client_id)
        .map(|g| g.id);
    if let Some(id) = ours {
        credentials.kill(id, sim.options.revoke_cascades);
    }
    Ok(Answer::bytes(StatusCode::OK, bytes::Bytes::new()))
}
