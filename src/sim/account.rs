//! The account itself: details, usage, activity, and an app uninstalling itself.

use http::Method;
use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Cx;
use super::clock::iso;
use super::credentials::BearerKind;
use super::portal::{Tier, UserState};
use super::problem::{Handled, Problem};
use super::rate_limit;
use super::scopes::Need;

const BASE: Need = &[&["oauth"]];
const SECURITY: Need = &[&["account-info.security.read"]];

/// Everything under `/account-info/`.
pub(super) fn route(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    if cx.call.method != Method::GET {
        return Err(Problem::method_not_allowed());
    }
    match words {
        ["details"] => details(cx),
        ["api-usage", "daily", "private-apps"] | ["api-usage", "daily"] => usage(cx),
        ["activity", "login"] => activity(cx, login),
        ["activity", "security"] => activity(cx, security),
        ["activity", "audit-logs"] => activity(cx, audit),
        _ => Err(Problem::not_found()),
    }
}

fn details(cx: Cx<'_>) -> Handled<Answer> {
    cx.who.scopes().require(BASE)?;
    let options = &cx.who.portal.options;
    let minutes = options.utc_offset_minutes;
    let sign = if minutes < 0 { '-' } else { '+' };
    let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
    let domain = if options.hublet == "na1" {
        "app.hubspot.com".into()
    } else {
        format!("app-{}.hubspot.com", options.hublet)
    };
    Ok(Answer::ok(&json!({
        "portalId": options.hub_id,
        "accountType": if options.tier == Tier::Free { "STANDARD" } else { "DEVELOPER_TEST" },
        "timeZone": "Europe/Berlin",
        "companyCurrency": "EUR",
        "additionalCurrencies": ["USD"],
        "utcOffset": format!("{sign}{hours:02}:{rest:02}"),
        "utcOffsetMilliseconds": minutes * 60_000,
        "uiDomain": domain,
        "dataHostingLocation": options.hublet,
    })))
}

fn usage(cx: Cx<'_>) -> Handled<Answer> {
    cx.who.scopes().require(BASE)?;
    let portal = &cx.who.portal;
    let now = cx.call.now_ms;
    Ok(Answer::ok(&json!({ "results": [{
        "name": "private-apps-api-calls-daily",
        "usageLimit": rate_limit::daily_cap(portal.options.tier),
        "currentUsage": rate_limit::used_today(cx.sim, portal.hub_id()),
        "collectedAt": iso(now),
        "fetchStatus": "SUCCESS",
        "resetsAt": iso(now - now.rem_euclid(86_400_000) + 86_400_000),
    }] })))
}

fn activity(cx: Cx<'_>, rows: fn(Cx<'_>) -> Vec<Value>) -> Handled<Answer> {
    cx.who.scopes().require(SECURITY)?;
    Ok(Answer::ok(&json!({ "results": rows(cx) })))
}

fn login(cx: Cx<'_>) -> Vec<Value> {
    let data = cx.who.portal.read();
    let active = data.users.iter().filter(|user| user.state == UserState::Active);
    active
        .map(|user| {
            json!({
                "id": format!("login-{}", user.id),
                "userId": user.id,
                "email": user.email,
                "loginAt": iso(user.created_ms),
                "loginSucceeded": true,
            })
        })
        .collect()
}

fn security(cx: Cx<'_>) -> Vec<Value> {
    let data = cx.who.portal.read();
    let gone = data.users.iter().filter(|user| user.state != UserState::Active);
    gone.map(|user| {
        let kind = if user.state == UserState::Removed {
            "REMOVE_USER"
        } else {
            "DEACTIVATE_USER"
        };
        json!({
            "id": format!("security-{}", user.id),
            "type": kind,
            "userId": user.id,
            "actingUser": user.email,
            "objectId": user.id.to_string(),
            "createdAt": iso(cx.call.now_ms),
        })
    })
    .collect()
}

fn audit(cx: Cx<'_>) -> Vec<Value> {
    let data = cx.who.portal.read();
    let first = data.users.first();
    first
        .map(|user| {
            json!({
                "id": "audit-1",
                "category": "LOGIN",
                "subCategory": "LOGIN_SUCCEEDED",
                "action": "PERFORM",
                "occurredAt": iso(user.created_ms),
                "actingUser": { "userId": user.id, "userEmail": user.email },
            })
        })
        .into_iter()
        .collect()
}

/// `DELETE /appinstalls/…/external-install`: the app leaves the portal whose token it shows.
pub(super) fn uninstall(cx: Cx<'_>) -> Handled<Answer> {
    if cx.call.method != Method::DELETE {
        return Err(Problem::method_not_allowed());
    }
    cx.who.scopes().require(BASE)?;
    if cx.who.bearer.kind != BearerKind::OAuth {
        return Err(Problem::validation("Only an OAuth app can uninstall itself."));
    }
    cx.sim.uninstall(cx.who.bearer.app_id, cx.who.portal.hub_id());
    Ok(Answer::no_content())
}
