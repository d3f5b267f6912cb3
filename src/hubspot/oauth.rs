//! OAuth as HubSpot speaks it: exchanging a code, refreshing a grant, and asking whose a credential is.
//!
//! Paths are data: HubSpot retires one dated version after another. Knows no storage and no policy.

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::hubspot::control::{ControlAnswer, ControlClient, ControlError};
use crate::hubspot::endpoints::Introspect;
use crate::hubspot::errors::{CodeFailure, TokenFailure, classify, classify_code, object};
use crate::secret::{self, Secret};

pub use crate::hubspot::endpoints::Endpoints;

/// What an access token lives if HubSpot does not say: shorter than its 1,800 s, so that a silent
/// change errs towards refreshing.
const LIFE_ASSUMED: Duration = Duration::from_secs(300);

/// Longest token that is taken. HubSpot says to allow 512 characters.
const TOKEN_MAX: usize = 8 * 1024;

/// What is escaped in a path: all but the unreserved characters of RFC 3986, §2.3.
const RESERVED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Most scopes that are taken from an answer: HubSpot has about 400.
const SCOPES_MAX: usize = 2_000;

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
    /// When the answer's last byte was here.
    pub received: tokio::time::Instant,
}

/// Why a refresh brought no tokens.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// No answer; the error says whether the question can have arrived.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// HubSpot said no.
    #[error("the token endpoint refused: {failure:?}")]
    Refused {
        /// What it means.
        failure: TokenFailure,
        /// How it was said; `None` when nobody was asked, for want of a client to ask as.
        status: Option<StatusCode>,
    },
    /// HubSpot said yes, but not in a form we can read. The grant may have been rotated.
    #[error("the token endpoint's answer can't be read")]
    NotUnderstood {
        /// Whether it is JSON, with no tokens in it.
        is_json: bool,
    },
}

#[derive(Deserialize)]
struct TokenBody {
    access_token: String,
    refresh_token: Option<String>,
    #[serde(default, deserialize_with = "life")]
    expires_in: Option<u64>,
    hub_id: Option<u64>,
    user_id: Option<u64>,
    scopes: Option<Vec<String>>,
}

/// A life in seconds. The tokens beside it are good whatever stands here: an answer that was not taken
/// for the sake of this one number would lose a grant that was rotated. What is no life counts as not said.
fn life<'de, D: serde::Deserializer<'de>>(number: D) -> Result<Option<u64>, D::Error> {
    let said = serde_json::Value::deserialize(number)?;
    Ok(said.as_u64())
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
    let answer = client.post_form(&endpoints.token, form).await?;
    if answer.status != StatusCode::OK {
        return Err(RefreshError::Refused {
            failure: classify(answer.status, answer.retry_after, &answer.body),
            status: Some(answer.status),
        });
    }
    read_tokens(&answer).ok_or_else(|| RefreshError::NotUnderstood {
        is_json: serde_json::from_slice::<IgnoredAny>(&answer.body).is_ok(),
    })
}

/// Why an exchange brought no tokens.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// No answer; the error says whether the question can have arrived.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// HubSpot said no.
    #[error("the token endpoint refused the code: {0:?}")]
    Refused(CodeFailure),
    /// HubSpot said yes, but not in a form we can read: the code is used up.
    #[error("the token endpoint's answer can't be read")]
    NotUnderstood,
}

/// What a browser brought back, and what proves that it is ours.
#[derive(Clone, Copy)]
pub struct AuthorizationCode<'a> {
    /// Single use.
    pub code: &'a Secret,
    /// As in the question.
    pub redirect_uri: &'a str,
    /// The PKCE verifier, if the question had a challenge.
    pub verifier: Option<&'a Secret>,
}

/// Exchanges an authorization code for tokens. The answer always has a refresh token.
pub async fn exchange(
    client: &ControlClient,
    endpoints: &Endpoints,
    credentials: ClientCredentials<'_>,
    code: AuthorizationCode<'_>,
) -> Result<(TokenAnswer, Secret), ExchangeError> {
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("client_id", credentials.id),
        ("client_secret", credentials.secret.expose()),
        ("redirect_uri", code.redirect_uri),
        ("code", code.code.expose()),
    ];
    if let Some(verifier) = code.verifier {
        fields.push(("code_verifier", verifier.expose()));
    }
    let form = form(&fields);
    let answer = client.post_form(&endpoints.token, form).await?;
    if answer.status != StatusCode::OK {
        return Err(ExchangeError::Refused(classify_code(answer.status, &answer.body)));
    }
    let mut tokens = read_tokens(&answer).ok_or(ExchangeError::NotUnderstood)?;
    let refresh = tokens.refresh.take().ok_or(ExchangeError::NotUnderstood)?;
    Ok((tokens, refresh))
}

fn read_tokens(answer: &ControlAnswer) -> Option<TokenAnswer> {
    let body: TokenBody = object(&answer.body)?;
    let access = token(body.access_token)?;
    let refresh = match body.refresh_token {
        None => None,
        Some(text) => Some(token(text)?),
    };
    Some(TokenAnswer {
        access,
        refresh,
        life: body.expires_in.map_or(LIFE_ASSUMED, Duration::from_secs),
        hub_id: body.hub_id,
        user_id: body.user_id,
        scopes: body.scopes.map(bounded),
        received: answer.received,
    })
}

/// Any bytes as the token endpoint's answer: whether it brings tokens, and what its refusal would mean.
#[cfg(fuzzing)]
pub fn read_hostile(status: StatusCode, body: &[u8]) -> (Option<TokenAnswer>, TokenFailure, CodeFailure) {
    let answer = ControlAnswer {
        status,
        retry_after: None,
        body: bytes::Bytes::copy_from_slice(body),
        received: tokio::time::Instant::now(),
    };
    let failure = classify(status, None, body);
    (read_tokens(&answer), failure, classify_code(status, body))
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
    let asked = match &endpoints.introspect {
        Introspect::Form(path) => {
            let form = form(&[
                ("client_id", credentials.id),
                ("client_secret", credentials.secret.expose()),
                ("token", refresh_token.expose()),
                ("token_type_hint", "refresh_token"),
            ]);
            client.post_form(path, form).await
        }
        Introspect::InPath(before) => client.get(&token_path(before, refresh_token), None).await,
    };
    let answer = match asked {
        Ok(answer) => answer,
        Err(_) => return Introspection::CantTell("HubSpot could not be reached"),
    };
    let in_path = matches!(endpoints.introspect, Introspect::InPath(_));
    if answer.status != StatusCode::OK {
        return match classify(answer.status, None, &answer.body) {
            TokenFailure::DeadGrant => Introspection::NotGood,
            TokenFailure::WrongClient => Introspection::WrongClient,
            // v1 knows only good tokens; an unknown one is a path that is not there.
            _ if in_path && answer.status == StatusCode::NOT_FOUND => Introspection::NotGood,
            _ => Introspection::CantTell("HubSpot did not tell whose the grant is"),
        };
    }
    match object(&answer.body) {
        Some(Body {
            active: Some(false), ..
        }) => Introspection::NotGood,
        Some(Body {
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

/// On whose rights calls with a grant go, as HubSpot tells of its access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Standpoint {
    /// The app is one that each user installs for themself: the installer's rights bound every call.
    pub user_level: bool,
    /// The installer is a service account, not a person.
    pub service_account: bool,
}

/// Asks on whose rights an access token acts; `None` when HubSpot does not tell.
pub async fn standpoint(
    client: &ControlClient,
    endpoints: &Endpoints,
    credentials: ClientCredentials<'_>,
    access: &Secret,
) -> Option<Standpoint> {
    #[derive(Deserialize)]
    struct Body {
        signed_access_token: Signed,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Signed {
        is_user_level: bool,
        is_service_account: bool,
    }
    // v1 would have the access token in a path, for a fact that is only shown.
    let Introspect::Form(path) = &endpoints.introspect else {
        return None;
    };
    let form = form(&[
        ("client_id", credentials.id),
        ("client_secret", credentials.secret.expose()),
        ("token", access.expose()),
        ("token_type_hint", "access_token"),
    ]);
    let answer = client.post_form(path, form).await.ok()?;
    let body: Body = object(&answer.body)?;
    Some(Standpoint {
        user_level: body.signed_access_token.is_user_level,
        service_account: body.signed_access_token.is_service_account,
    })
}

/// Asks whose a private-app token is, and, for service keys, which no introspection may know, which
/// account answers to it.
pub async fn introspect_static(
    client: &ControlClient,
    endpoints: &Endpoints,
    static_token: &Secret,
) -> (StaticKind, Introspection) {
    let Ok(authorization) = secret::bearer(static_token) else {
        return (StaticKind::Unknown, Introspection::NotGood);
    };
    match private_app_info(client, endpoints, static_token, authorization.clone()).await {
        Ok(Some(identity)) => return (StaticKind::PrivateApp, Introspection::Known(identity)),
        Ok(None) => {}
        // A private app whose introspection fails just now must not pass for a service key, whose creator
        // nobody knows.
        Err(why) => return (StaticKind::Unknown, Introspection::CantTell(why)),
    }
    match client.get(&endpoints.account_details, Some(authorization)).await {
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
    let question = token_question(static_token).ok_or("the token can't stand in a question")?;
    let answer = client
        .post_json(&endpoints.private_app_info, question, Some(authorization))
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

/// `{"tokenKey":"…"}`: a secret as a whole.
fn token_question(token: &Secret) -> Option<Zeroizing<Vec<u8>>> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Question<'a> {
        token_key: &'a str,
    }
    let token_key = token.expose();
    // Room for every byte escaped: a buffer that grew would leave the token behind.
    let room = br#"{"tokenKey":""}"#.len() + r"\u0000".len() * token_key.len();
    let mut json = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *json, &Question { token_key }).ok()?;
    Some(json)
}

/// A path that ends in a token: a secret as a whole, never to be logged.
fn token_path(before: &str, token: &Secret) -> Zeroizing<String> {
    // Room for every byte escaped: a buffer that grew would leave the token behind.
    let mut path = String::with_capacity(before.len() + 3 * token.expose().len());
    path.push_str(before);
    path.extend(percent_encoding::utf8_percent_encode(token.expose(), RESERVED));
    Zeroizing::new(path)
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

/// Whether a terminal acts upon this sign, or moves what stands beside it: controls, ends of lines and paragraphs, and
/// marks, embeddings, overrides and isolates of direction (Unicode Standard Annex 9).
pub fn steers(sign: char) -> bool {
    let moves = matches!(sign, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    moves || sign.is_control()
}

/// An address as it may stand in the store and in lists: of a length that mail allows, no white space
/// and nothing a terminal would act upon.
pub fn address(text: String) -> Option<String> {
    let plain = |c: char| !c.is_whitespace() && !steers(c);
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
    fn a_question_about_a_token_never_outgrows_its_buffer() {
        let plain = Secret::new("pat-na1-\"\\\u{1}".to_owned());
        let question = token_question(&plain).unwrap();
        assert_eq!(&**question, br#"{"tokenKey":"pat-na1-\"\\\u0001"}"#);
        let room = question.capacity();
        assert_eq!(room, 15 + 6 * plain.expose().len(), "no other buffer was needed");
    }

    #[test]
    fn a_token_in_a_path_is_one_segment_of_it() {
        let path = token_path(
            "/oauth/v1/refresh-tokens/",
            &Secret::new("na1-a/b?c#d".to_owned()),
        );
        assert_eq!(&**path, "/oauth/v1/refresh-tokens/na1-a%2Fb%3Fc%23d");
    }

    #[test]
    fn a_token_that_could_break_a_header_is_none() {
        for bad in ["", "a b", "a\r\nx: y", "ä", &"x".repeat(9_000)] {
            assert!(token(bad.to_owned()).is_none(), "{bad:.20}");
        }
        assert!(token("CJr0-x_y~".to_owned()).is_some());
    }

    #[test]
    fn a_life_that_is_none_loses_no_tokens() {
        for (said, life) in [
            (r#""expires_in":1800,"#, Duration::from_secs(1800)),
            (r#""expires_in":-5,"#, LIFE_ASSUMED),
            (r#""expires_in":0,"#, Duration::ZERO),
            (r#""expires_in":"soon","#, LIFE_ASSUMED),
            (r#""expires_in":1e300,"#, LIFE_ASSUMED),
            (r#""expires_in":null,"#, LIFE_ASSUMED),
            (r#""expires_in":{},"#, LIFE_ASSUMED),
            ("", LIFE_ASSUMED),
        ] {
            let body = format!(r#"{{"access_token":"a",{said}"refresh_token":"r"}}"#);
            let answer = ControlAnswer {
                status: StatusCode::OK,
                retry_after: None,
                body: body.into(),
                received: tokio::time::Instant::now(),
            };
            let tokens = read_tokens(&answer).unwrap();
            assert_eq!(tokens.life, life, "{said}");
            assert_eq!(tokens.refresh.unwrap().expose(), "r", "{said}");
        }
    }

    #[test]
    fn an_address_that_lists_could_not_show_is_none() {
        for bad in [
            "",
            "@",
            "ann",
            "a nn@x",
            "ann@x\u{1b}[2J",
            "ann@x\u{202e}moc",
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
