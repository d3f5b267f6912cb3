//! What a token is: v1 paths, dated introspection, private-app token info.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::errors::OAuthError;
use super::tokens::client;
use crate::sim::answer::Answer;
use crate::sim::call::{Call, Query};
use crate::sim::credentials::{Bearer, BearerKind, Grant};
use crate::sim::problem::{Handled, Problem};
use crate::sim::simulator::Sim;

/// What both spellings of introspection say of an access token.
#[derive(Serialize)]
struct AccessToken<'a> {
    token: &'a str,
    user: String,
    hub_domain: String,
    scopes: Vec<&'a str>,
    signed_access_token: serde_json::Value,
    hub_id: u64,
    app_id: u64,
    expires_in: i64,
    user_id: u64,
    token_type: &'static str,
    is_private_distribution: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    active: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_use: Option<&'static str>,
    /// The documentation's name of `token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<&'a str>,
}

#[derive(Serialize)]
struct RefreshToken<'a> {
    token: &'a str,
    user: String,
    hub_domain: String,
    scopes: Vec<&'a str>,
    hub_id: u64,
    client_id: &'a str,
    user_id: u64,
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    active: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_use: Option<&'static str>,
    /// The documentation's name of `token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

/// `GET /oauth/v1/access-tokens/{token}`.
pub(super) fn access_token_v1(sim: &Sim, call: &Call, token: &str) -> Handled<Answer> {
    let bearer = sim
        .credentials()
        .bearer(token)
        .filter(|bearer| bearer.kind == BearerKind::OAuth);
    let bearer = bearer.ok_or_else(Problem::not_found)?;
    if let Some(at) = bearer.expires_ms.filter(|at| *at <= call.now_ms) {
        return Err(Problem::expired_authentication(at, call.now_ms));
    }
    Ok(Answer::ok(&describe_access(sim, call, token, &bearer)))
}

/// `GET /oauth/v1/refresh-tokens/{token}`.
pub(super) fn refresh_token_v1(sim: &Sim, token: &str) -> Handled<Answer> {
    let grant = sim
        .credentials()
        .by_refresh(token)
        .filter(|grant| grant.alive)
        .cloned();
    let grant = grant.ok_or_else(Problem::not_found)?;
    Ok(Answer::ok(&describe_refresh(sim, token, &grant)))
}

/// `POST …/token/introspect`: an app asks about tokens of its own; anything else is inactive.
pub(super) fn dated(sim: &Sim, call: &Call, form: &Query) -> Result<Answer, OAuthError> {
    let app = client(sim, form)?;
    let named = ["token", "access_token", "refresh_token"];
    let token = named.iter().find_map(|name| form.first(name)).unwrap_or_default();
    let (bearer, grant) = {
        let credentials = sim.credentials();
        (credentials.bearer(token), credentials.by_refresh(token).cloned())
    };
    if let Some(bearer) = bearer
        && bearer.app_id == app.id
        && bearer.expires_ms.is_some_and(|at| at > call.now_ms)
    {
        let mut described = describe_access(sim, call, token, &bearer);
        described.active = Some(true);
        described.client_id = Some(app.client_id);
        described.token_use = Some("access_token");
        described.access_token = Some(token);
        return Ok(Answer::ok(&described));
    }
    if let Some(grant) = grant.filter(|grant| grant.client_id == app.client_id && grant.alive) {
        let mut described = describe_refresh(sim, token, &grant);
        described.active = Some(true);
        described.app_id = Some(grant.app_id);
        described.token_use = Some("refresh_token");
        described.refresh_token = Some(token);
        return Ok(Answer::ok(&described));
    }
    Ok(Answer::ok(&json!({ "active": false })))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenKey {
    token_key: String,
}

/// `POST /oauth/v2/private-apps/get/access-token-info`: no `Authorization` is needed.
pub(super) fn private_app(sim: &Sim, call: &Call) -> Handled<Answer> {
    let asked: TokenKey = call.json()?;
    let bearer = sim.credentials().bearer(&asked.token_key);
    let bearer =
        bearer.filter(|bearer| matches!(bearer.kind, BearerKind::PrivateApp | BearerKind::ServiceKey));
    let bearer = bearer.ok_or_else(Problem::invalid_authentication)?;
    let scopes: Vec<&str> = bearer.scopes.names();
    Ok(Answer::ok(&json!({
        "userId": bearer.user_id,
        "hubId": bearer.hub_id,
        "appId": bearer.app_id,
        "scopes": scopes,
    })))
}

fn describe_access<'a>(sim: &Sim, call: &Call, token: &'a str, bearer: &'a Arc<Bearer>) -> AccessToken<'a> {
    let hub_id = bearer.hub_id.unwrap_or_default();
    let (user, hub_domain, hublet) = owner(sim, hub_id, bearer.user_id);
    let expires_ms = bearer.expires_ms.unwrap_or(i64::MAX);
    let scopes: Vec<&str> = bearer.scopes.names();
    AccessToken {
        token,
        user,
        hub_domain,
        signed_access_token: json!({
            "expiresAt": expires_ms,
            "scopes": STANDARD.encode(scopes.join(" ")),
            "hubId": hub_id,
            "userId": bearer.user_id,
            "appId": bearer.app_id,
            "signature": STANDARD.encode(hub_id.to_be_bytes()),
            "scopeToScopeGroupPks": "",
            "newSignature": STANDARD.encode(bearer.app_id.to_be_bytes()),
            "hublet": hublet,
            "trialScopes": "",
            "trialScopeToScopeGroupPks": "",
            "isUserLevel": false,
            "installingUserId": bearer.user_id,
            "isServiceAccount": false,
            "isPrivateDistribution": false,
            "appInstallId": bearer.grant,
        }),
        scopes,
        hub_id,
        app_id: bearer.app_id,
        expires_in: (expires_ms - call.now_ms) / 1000,
        user_id: bearer.user_id,
        token_type: "access",
        is_private_distribution: false,
        active: None,
        client_id: None,
        token_use: None,
        access_token: None,
    }
}

fn describe_refresh<'a>(sim: &Sim, token: &'a str, grant: &'a Grant) -> RefreshToken<'a> {
    let (user, hub_domain, _) = owner(sim, grant.hub_id, grant.user_id);
    RefreshToken {
        token,
        user,
        hub_domain,
        scopes: grant.scopes.names(),
        hub_id: grant.hub_id,
        client_id: &grant.client_id,
        user_id: grant.user_id,
        token_type: "refresh",
        active: None,
        app_id: None,
        token_use: None,
        refresh_token: None,
    }
}

/// The installer's address, the customer's web domain, the hublet.
fn owner(sim: &Sim, hub_id: u64, user_id: u64) -> (String, String, String) {
    let domain = format!("portal-{hub_id}.example.com");
    let Some(portal) = sim.portal(hub_id) else {
        return (String::new(), domain, "na1".to_owned());
    };
    let email = portal
        .read()
        .user(user_id)
        .map(|user| user.email.clone())
        .unwrap_or_default();
    (email, domain, portal.options.hublet.clone())
}
