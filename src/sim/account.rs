//! The account itself: details, usage, activity, and an app uninstalling itself.

use http::Method;
use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Cx;
use super::clock::{iso, parse_time_ms};
use super::credentials::BearerKind;
use super::options::ActivityNames;
use super::people::page_of;
use super::portal::{Tier, UserState};
use super::problem::{Handled, Problem};
use super::rate_limit;
use super::scopes::Need;

const BASE: Need = &[&["oauth"]];
const SECURITY: Need = &[&["account-info.security.read"]];
/// Default and largest page of the security log.
const SECURITY_PAGE: u64 = 100;

/// Everything under `/account-info/`.
pub(super) fn route(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    if cx.call.method != Method::GET {
        return Err(Problem::method_not_allowed());
    }
    match words {
        ["details"] => details(cx),
        ["api-usage", "daily", "private-apps"] | ["api-usage", "daily"] => usage(cx),
        ["activity", "login"] => activity(cx, login),
        ["activity", "security"] => security(cx),
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

/// The security log, oldest first.
fn security(cx: Cx<'_>) -> Handled<Answer> {
    cx.who.scopes().require(SECURITY)?;
    let query = &cx.call.query;
    let limit = query.limit(SECURITY_PAGE, SECURITY_PAGE)?;
    let after = query.number("after")?.unwrap_or(0);
    let moment = |name: &str| match query.first(name) {
        None | Some("") => Ok(None),
        Some(text) => parse_time_ms(text)
            .map(Some)
            .ok_or_else(|| Problem::validation(format!("Invalid value for query parameter {name}"))),
    };
    let (from, to, user) = (
        moment("fromTimestamp")?,
        moment("toTimestamp")?,
        query.number("userId")?,
    );
    let data = cx.who.portal.read();
    let acting = data.users.iter().find(|user| user.super_admin);
    let named = |affected: u64| match cx.sim.options.activity_names {
        ActivityNames::Affected => affected,
        ActivityNames::Acting => acting.map_or(affected, |user| user.id),
    };
    let mut found = (1u64..)
        .zip(&data.security)
        .filter(|(number, event)| {
            *number > after
                && from.is_none_or(|from| event.at_ms >= from)
                && to.is_none_or(|to| event.at_ms <= to)
                && user.is_none_or(|user| named(event.user_id) == user)
        })
        .map(|(number, event)| {
            let row = json!({
                "id": format!("security-{number}"),
                "type": event.kind,
                "userId": named(event.user_id),
                "actingUser": acting.map(|user| user.email.as_str()),
                "objectId": event.user_id.to_string(),
                "createdAt": iso(event.at_ms),
            });
            (number, row)
        });
    let page: Vec<(u64, Value)> = found.by_ref().take(limit).collect();
    let more = found.next().is_some();
    let next = page.last().filter(|_| more).map(|(number, _)| *number);
    let rows = page.into_iter().map(|(_, row)| row).collect();
    let path = format!("/account-info/{}/activity/security", cx.call.version);
    Ok(Answer::ok(&page_of(cx, rows, next, &path)))
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
