//! OAuth as HubSpot speaks it: refreshing a grant, and asking whose a credential is.
//!
//! Paths are data: HubSpot retires one dated version after another. Knows no storage and no policy.

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::hubspot::control::{ControlAnswer, ControlClient, ControlError};
use crate::hubspot::errors::{TokenFailure, classify};
use crate::secret::Secret;

/// What an access token lives if HubSpot does not say: shorter than its 1,800 s, so that a silent
/// change errs towards refreshing.
const LIFE_ASSUMED: Duration = Duration::from_secs(300);

/// Longest token that is taken. HubSpot says to allow 512 characters.
const TOKEN_MAX: usize = 8 * 1024;

/// Most scopes that are taken from an answer: HubSpot has about 400.
const SCOPES_MAX: usize = 2_000;

/// Where HubSpot's endpoints are.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// `POST`, form: refresh.
    pub token: String,
    /// `POST`, form: whose a token is.
    pub introspect: String,
    /// `POST`, JSON: whose a private-app token is.
    pub private_app_info: String,
    /// `GET`: the account of any token.
    pub account_details: String,
    /// `POST`, form: end a refresh token.
    pub revoke: String,
    /// `DELETE`: the app leaves the portal whose access token it shows.
    pub uninstall: String,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            token: "/oauth/2026-03/token".to_owned(),
            introspect: "/oauth/2026-03/token/introspect".to_owned(),
            private_app_info: "/oauth/v2/private-apps/get/access-token-info".to_owned(),
            account_details: "/account-info/2026-03/details".to_owned(),
            revoke: "/oauth/2026-03/token/revoke".to_owned(),
            uninstall: "/appinstalls/2026-03/external-install".to_owned(),
        }
    }
}

/// Who asks.
#[derive(Clone, Copy)]
pub struct ClientCredentials<'a> {
    /// The app's client id.
    pub id: &'a str,
    /// One of its secrets.
    pub secret: &'a Secret,
}

/// Fresh tokens.
#[derive(Debug)]
pub struct TokenAnswer {
    /// The access token.
    pub access: Secret,
    /// The refresh token to use from now on, if the answer has one: perhaps the same as before.
    pub refresh: Option<Secret>,
    /// How long the access token lives by the server's word.
    pub life: Duration,
    /// The account, if told.
    pub hub_id: Option<u64>,
    /// The installer, if told.
    pub user_id: Option<u64>,
    /// Granted scopes, if told.
    pub scopes: Option<Vec<String>>,
}

/// Why a refresh brought no tokens.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// No answer; the error says whether the question can have arrived.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// HubSpot said no.
    #[error("the token endpoint refused: {0:?}")]
    Refused(TokenFailure),
    /// HubSpot said yes, but not in a form we can read. The grant may have been rotated.
    #[error("the token endpoint's answer can't be read")]
    NotUnderstood,
}

#[derive(Deserialize)]
struct TokenBody {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: Option<u64>,
    hub_id: Option<u64>,
    user_id: Option<u64>,
    scopes: Option<Vec<String>>,
}

/// Exchanges a refresh token for fresh tokens.
pub async fn refresh(
    client: &ControlClient,
    endpoints: &Endpoints,
    credentials: ClientCredentials<'_>,
    refresh_token: &Secret,
) -> Result<TokenAnswer, RefreshError> {
    let form = form(&[
        ("grant_type", "refresh_token"),
        ("client_id", credentials.id),
        ("client_secret", credentials.secret.expose()),
        ("refresh_token", refresh_token.expose()),
    ]);
    let answer = client.post_form(&endpoints.token, &form).await?;
    if answer.status != StatusCode::OK {
        let failure = classify(answer.status, answer.retry_after, &answer.body);
        return Err(RefreshError::Refused(failure));
    }
    let body: TokenBody = serde_json::from_slice(&answer.body).map_err(|_| RefreshError::NotUnderstood)?;
    let access = token(body.access_token).ok_or(RefreshError::NotUnderstood)?;
    let refresh = match body.refresh_token {
        None => None,
        Some(text) => Some(token(text).ok_or(RefreshError::NotUnderstood)?),
    };
    Ok(TokenAnswer {
        access,
        refresh,
        life: body.expires_in.map_or(LIFE_ASSUMED, Duration::from_secs),
        hub_id: body.hub_id,
        user_id: body.user_id,
        scopes: body.scopes.map(bounded),
    })
}

/// Whose a credential is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub hub_id: u64,
    /// The installer, if told.
    pub user_id: Option<u64>,
    /// The installer's address, if told.
    pub user: Option<String>,
    /// Granted scopes; empty when not told.
    pub scopes: Vec<String>,
}

/// What an introspection brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Introspection {
    /// HubSpot told.
    Known(Identity),
    /// HubSpot says the credential is not good.
    NotGood,
    /// The app's client id or secret is wrong.
    WrongClient,
    /// HubSpot could not be reached, or did not tell: the reason, for people.
    CantTell(&'static str),
}

/// Asks whose a grant's refresh token is. Uses nothing up.
pub async fn introspect_grant(
    client: &ControlClient,
    endpoints: &Endpoints,
    credentials: ClientCredentials<'_>,
    refresh_token: &Secret,
) -> Introspection {
    #[derive(Deserialize)]
    struct Body {
        active: Option<bool>,
        hub_id: Option<u64>,
        user_id: Option<u64>,
        user: Option<String>,
        #[serde(default)]
        scopes: Vec<String>,
    }
    let form = form(&[
        ("client_id", credentials.id),
        ("client_secret", credentials.secret.expose()),
        ("token", refresh_token.expose()),
        ("token_type_hint", "refresh_token"),
    ]);
    let answer = match client.post_form(&endpoints.introspect, &form).await {
        Ok(answer) => answer,
        Err(_) => return Introspection::CantTell("HubSpot could not be reached"),
    };
    if answer.status != StatusCode::OK {
        return match classify(answer.status, None, &answer.body) {
            TokenFailure::DeadGrant => Introspection::NotGood,
            TokenFailure::WrongClient => Introspection::WrongClient,
            _ => Introspection::CantTell("HubSpot did not tell whose the grant is"),
        };
    }
    match serde_json::from_slice::<Body>(&answer.body) {
        Ok(Body {
            active: Some(false), ..
        }) => Introspection::NotGood,
        Ok(Body {
            hub_id: Some(hub_id),
            user_id,
            user,
            scopes,
            ..
        }) => Introspection::Known(Identity {
            hub_id,
            user_id,
            user: user.and_then(address),
            scopes: bounded(scopes),
        }),
        _ => Introspection::CantTell("HubSpot did not tell whose the grant is"),
    }
}

/// Asks whose a private-app token is, and, for service keys, which no introspection may know, which
/// account answers to it.
pub async fn introspect_static(
    client: &ControlClient,
    endpoints: &Endpoints,
    static_token: &Secret,
) -> (StaticKind, Introspection) {
    let text = Zeroizing::new(format!("Bearer {}", static_token.expose()));
    let Ok(mut authorization) = HeaderValue::from_str(&text) else {
        return (StaticKind::Unknown, Introspection::NotGood);
    };
    authorization.set_sensitive(true);
    match private_app_info(client, endpoints, static_token, authorization.clone()).await {
        Ok(Some(identity)) => return (StaticKind::PrivateApp, Introspection::Known(identity)),
        Ok(None) => {}
        // A private app whose introspection fails just now must not pass for a service key, whose creator
        // nobody knows.
        Err(why) => return (StaticKind::Unknown, Introspection::CantTell(why)),
    }
    match client.get(&endpoints.account_details, authorization).await {
        Err(_) => (
            StaticKind::Unknown,
            Introspection::CantTell("HubSpot could not be reached"),
        ),
        Ok(answer) => account_details(&answer),
    }
}

/// What kind of static token it turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaticKind {
    /// Known to the private-app introspection.
    PrivateApp,
    /// Good, but not known there.
    ServiceKey,
    /// Not found out.
    Unknown,
}

/// Who is behind a private-app token; `None`: it is none that the introspection knows.
async fn private_app_info(
    client: &ControlClient,
    endpoints: &Endpoints,
    static_token: &Secret,
    authorization: HeaderValue,
) -> Result<Option<Identity>, &'static str> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        hub_id: u64,
        user_id: Option<u64>,
        #[serde(default)]
        scopes: Vec<String>,
    }
    let question = serde_json::json!({ "tokenKey": static_token.expose() });
    let answer = client
        .post_json(&endpoints.private_app_info, &question, Some(authorization))
        .await
        .map_err(|_| "HubSpot could not be reached")?;
    if answer.status == StatusCode::TOO_MANY_REQUESTS || answer.status.is_server_error() {
        return Err("HubSpot did not tell whose the token is");
    }
    if answer.status != StatusCode::OK {
        return Ok(None);
    }
    let body: Option<Body> = serde_json::from_slice(&answer.body).ok();
    Ok(body.map(|body| Identity {
        hub_id: body.hub_id,
        user_id: body.user_id,
        user: None,
        scopes: bounded(body.scopes),
    }))
}

fn account_details(answer: &ControlAnswer) -> (StaticKind, Introspection) {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        portal_id: u64,
    }
    let cant_tell = Introspection::CantTell("HubSpot did not tell whose the token is");
    match answer.status {
        StatusCode::UNAUTHORIZED => (StaticKind::Unknown, Introspection::NotGood),
        StatusCode::OK => match serde_json::from_slice::<Body>(&answer.body) {
            Ok(body) => (
                StaticKind::ServiceKey,
                Introspection::Known(Identity {
                    hub_id: body.portal_id,
                    user_id: None,
                    user: None,
                    scopes: Vec::new(),
                }),
            ),
            Err(_) => (StaticKind::Unknown, cant_tell),
        },
        _ => (StaticKind::Unknown, cant_tell),
    }
}

pub(super) fn form(fields: &[(&str, &str)]) -> Zeroizing<String> {
    // Room for every byte escaped: a buffer that grew would leave secrets behind.
    let room = fields
        .iter()
        .map(|(name, value)| name.len() + 3 * value.len() + 2)
        .sum();
    let mut serializer = form_urlencoded::Serializer::new(String::with_capacity(room));
    serializer.extend_pairs(fields);
    Zeroizing::new(serializer.finish())
}

/// A token as a header can carry it.
fn token(text: String) -> Option<Secret> {
    let fine =
        !text.is_empty() && text.len() <= TOKEN_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    let token = Secret::new(text);
    fine.then_some(token)
}

/// An address as it may stand in the store and in lists: of a length that mail allows, no white space
/// and nothing a terminal would act upon.
pub fn address(text: String) -> Option<String> {
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    ((3..=254).contains(&text.len()) && text.contains('@') && text.chars().all(plain)).then_some(text)
}

/// Scopes as they may stand in the store: no more than there can be, no white space in them.
fn bounded(scopes: Vec<String>) -> Vec<String> {
    scopes
        .into_iter()
        .filter(|scope| (1..=128).contains(&scope.len()) && scope.bytes().all(|byte| byte.is_ascii_graphic()))
        .take(SCOPES_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_escaped_into_the_form() {
        let form = form(&[("client_secret", "a&b=c d+é")]);
        assert_eq!(&*form, "client_secret=a%26b%3Dc+d%2B%C3%A9");
    }

    #[test]
    fn a_token_that_could_break_a_header_is_none() {
        for bad in ["", "a b", "a\r\nx: y", "ä", &"x".repeat(9_000)] {
            assert!(token(bad.to_owned()).is_none(), "{bad:.20}");
        }
        assert!(token("CJr0-x_y~".to_owned()).is_some());
    }

    #[test]
    fn an_address_that_lists_could_not_show_is_none() {
        for bad in [
            "",
            "@",
            "ann",
            "a nn@x",
            "ann@x\u{1b}[2J",
            &format!("a@{}", "x".repeat(300)),
        ] {
            assert_eq!(address(bad.to_owned()), None, "{bad:.20}");
        }
        assert!(address("ann@example.com".to_owned()).is_some());
    }

    #[test]
    fn scopes_from_outside_are_bounded() {
        let many = (0..5_000).map(|number| format!("scope.{number}")).collect();
        assert_eq!(bounded(many).len(), SCOPES_MAX);
        let odd = vec![
            "a b".to_owned(),
            String::new(),
            "x".repeat(200),
            "fine".to_owned(),
        ];
        assert_eq!(bounded(odd), ["fine"]);
    }
}
