//! Who a request is from: the credential, its portal, and whether both are in order.

use std::sync::Arc;

use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use super::call::{Call, Who};
use super::credentials::{Bearer, BearerKind, OnInstallerRemoved};
use super::portal::{Portal, PortalState, UserState};
use super::problem::{Handled, Problem};
use super::simulator::Sim;

/// The token of an `Authorization: Bearer` header; the scheme in any case.
pub(super) fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim())
        .filter(|token| !token.is_empty())
}

/// Finds the credential and its portal.
pub(super) fn authenticate(sim: &Sim, call: &Call) -> Handled<Who> {
    let token = bearer_token(&call.headers).ok_or_else(Problem::invalid_authentication)?;
    let bearer = sim
        .credentials()
        .bearer(token)
        .ok_or_else(Problem::invalid_authentication)?;
    if let Some(expired) = bearer.expires_ms.filter(|at| *at <= call.now_ms) {
        sim.token_log.expired_use(call.now_ms - expired);
        return Err(Problem::expired_authentication(expired, call.now_ms));
    }
    // An app's own token opens no account.
    let portal = bearer
        .hub_id
        .and_then(|hub_id| sim.portal(hub_id))
        .ok_or_else(Problem::invalid_authentication)?;
    check_portal(&portal)?;
    let read_only = installer_gone(sim, &bearer, &portal)?;
    Ok(Who {
        bearer,
        portal,
        read_only,
    })
}

fn check_portal(portal: &Arc<Portal>) -> Handled<()> {
    match portal.state() {
        PortalState::Open => Ok(()),
        PortalState::Migrating { retry_after_seconds } => {
            let status = StatusCode::from_u16(477).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            let mut problem = Problem::new(
                status,
                None,
                "The portal is being migrated to another data center.",
            );
            problem
                .headers
                .push(("retry-after", HeaderValue::from(retry_after_seconds)));
            Err(problem)
        }
        PortalState::Paused => Err(Problem::new(
            StatusCode::FORBIDDEN,
            Some("BANNED"),
            "HIGH_RISK_PORTAL: this portal has been suspended.",
        )),
    }
}

/// Whether the person who installed the app is gone, and what follows.
fn installer_gone(sim: &Sim, bearer: &Bearer, portal: &Portal) -> Handled<bool> {
    let (BearerKind::OAuth, Some(grant)) = (bearer.kind, bearer.grant) else {
        return Ok(false);
    };
    let active = portal
        .read()
        .user(bearer.user_id)
        .is_some_and(|user| user.state == UserState::Active);
    if active {
        return Ok(false);
    }
    let rule = sim
        .credentials()
        .grant(grant)
        .map(|grant| grant.on_installer_removed)
        .unwrap_or_default();
    match rule {
        OnInstallerRemoved::ReadOnly => Ok(true),
        OnInstallerRemoved::Unaffected => Ok(false),
        OnInstallerRemoved::Revoked => Err(Problem::invalid_authentication()),
    }
}
