//! HubSpot's OAuth endpoints: consent, tokens, introspection, revocation, in their v1, v3 and dated
//! spellings.

mod authorize;
mod errors;
mod introspect;
mod tokens;

use http::Method;

use self::errors::OAuthError;
use super::answer::Answer;
use super::call::{Call, Query};
use super::problem::{Handled, Problem};
use super::simulator::Sim;

/// Everything under `/oauth/`.
pub(super) fn route(sim: &Sim, call: &Call, words: &[&str]) -> Handled<Answer> {
    let (post, get, delete) = (
        call.method == Method::POST,
        call.method == Method::GET,
        call.method == Method::DELETE,
    );
    let modern = call.version == "v3" || call.is_dated();
    match (call.version.as_str(), words) {
        ("", ["authorize"]) => authorize::handle(sim, call, None),
        ("", [portal, "authorize"]) => authorize::handle(sim, call, Some(portal)),
        ("", ["marketplace"]) if get => authorize::marketplace(sim, call),
        ("", ["installed"]) if get => Ok(authorize::installed()),
        ("v1", ["token"]) if post => Ok(settle(sim, call, tokens::exchange(sim, call, &form(call)?))),
        (_, ["token"]) if post && modern => Ok(settle(sim, call, tokens::exchange(sim, call, &form(call)?))),
        (_, ["token", "introspect"]) if post && modern => {
            Ok(settle(sim, call, introspect::dated(sim, call, &form(call)?)))
        }
        (_, ["token", "revoke"]) if post && modern => {
            Ok(settle(sim, call, tokens::revoke(sim, call, &form(call)?)))
        }
        ("v1", ["access-tokens", token]) if get => introspect::access_token_v1(sim, call, token),
        ("v1", ["refresh-tokens", token]) if get => introspect::refresh_token_v1(sim, token),
        ("v1", ["refresh-tokens", token]) if delete => {
            sim.revoke_token(token);
            Ok(Answer::no_content())
        }
        ("v2", ["private-apps", "get", "access-token-info"]) if post => introspect::private_app(sim, call),
        (_, ["token"] | ["token", "introspect" | "revoke"]) if modern => Err(Problem::method_not_allowed()),
        ("v1", ["token"] | ["access-tokens" | "refresh-tokens", _]) => Err(Problem::method_not_allowed()),
        _ => Err(Problem::not_found()),
    }
}

/// The form in the body; v1 takes parameters from the query as well.
fn form(call: &Call) -> Handled<Query> {
    let is_form = call
        .headers
        .get("content-type")
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value
                .to_ascii_lowercase()
                .starts_with("application/x-www-form-urlencoded")
        });
    let body = std::str::from_utf8(&call.body).unwrap_or_default();
    let mut text = if is_form { body.to_owned() } else { String::new() };
    if call.version == "v1" && !call.raw_query.is_empty() {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(&call.raw_query);
    }
    Ok(Query::parse(&text))
}

fn settle(sim: &Sim, call: &Call, outcome: Result<Answer, OAuthError>) -> Answer {
    outcome.unwrap_or_else(|error| error.answer(sim, call))
}
