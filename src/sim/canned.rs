//! Answers of HubSpot's that tests ask for by name: every row of its failures that clients tell apart.

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::answer::{Answer, JSON};
use super::faults::text_bytes;
use super::problem::{Context, Detail, LimitFacts, Problem};

/// An answer given whole.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Canned {
    /// Status.
    pub status: u16,
    /// Headers; `content-type` is HubSpot's JSON unless given.
    pub headers: Vec<(String, String)>,
    /// Body.
    #[serde(deserialize_with = "text_bytes")]
    pub body: Bytes,
    /// Whether to answer before the request's body was read.
    pub early: bool,
}

impl Canned {
    /// A status and a body.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            body: body.into(),
            ..Self::default()
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Answers before the body was read.
    pub fn early(mut self) -> Self {
        self.early = true;
        self
    }

    pub(super) fn answer(&self) -> Answer {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let mut answer = Answer::bytes(status, self.body.clone());
        answer.set("content-type", JSON);
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name.as_str());
            let value = HeaderValue::from_str(value);
            if let (Ok(name), Ok(value)) = (name, value) {
                if name == "content-type" {
                    answer.headers.insert(name, value);
                } else {
                    answer.headers.append(name, value);
                }
            }
        }
        answer
    }
}

/// HubSpot's failures, as public dumps show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownFault {
    /// 401 for a token that has run out.
    ExpiredToken,
    /// 401 for an unknown credential.
    InvalidToken,
    /// 403 HTML of the edge: an address was banned.
    EdgeBlock,
    /// 403 HTML of the edge: solve a challenge first.
    EdgeChallenge,
    /// 403 text of the edge, its short form for programs.
    EdgeCode,
    /// 403: the endpoint is not for this tier; adding scopes will not help.
    NotPublic,
    /// 403 with `requiredGranularScopes`.
    MissingScope,
    /// 403 with `requiredScopes`, the older member, and all of them needed.
    MissingScopeOlder,
    /// 403 that asks for `contacts`, whatever was called: seen where the owners' scope was missing.
    WrongScope,
    /// 403 of a protected property (wording unverified).
    SensitiveScope,
    /// 403 of old APIs: scopes in the text, and the token's beginning, too.
    MissingScopeText,
    /// 403: the person behind the credential may not.
    UserPermission,
    /// 403 that names object type, portal and scopes.
    UserPermissionOnType,
    /// 403 of the same kind, about the product library.
    ProductLibrary,
    /// 403 `GATED`.
    Gated,
    /// 403 `MISSING_PERMISSIONS`, and gated all the same.
    GatedText,
    /// 403 of a suspended portal (wording unverified).
    PortalPaused,
    /// 403 `BANNED` that is about a client, not about the portal.
    ClientNotListed,
    /// 403 about an archived record (wording unverified).
    Archived,
    /// 403 without anything to go by.
    Unexplained,
    /// 409.
    Conflict,
    /// 423.
    Locked,
    /// 429 of the ten-second window.
    TenSecondly,
    /// 429 of the day.
    Daily,
    /// 429 of the search window, older body.
    Secondly,
    /// 429 of the search window, newer body.
    SearchRateLimits,
    /// 477 with `Retry-After: 120`.
    Migrating,
    /// 500 with HubSpot's body.
    InternalError,
    /// 502 HTML of the edge.
    BadGateway,
    /// 503.
    Unavailable,
    /// 524 HTML of the edge after 100 s.
    EdgeTimeout,
}

impl KnownFault {
    /// The answer, told apart from a real one by nothing.
    pub(super) fn answer(self, correlation_id: &str, now_ms: i64) -> Answer {
        match self {
            Self::EdgeBlock => html(
                403,
                "<!DOCTYPE html><html><head><title>Access denied | api.hubapi.com used Cloudflare to restrict \
                 access</title></head><body><h1>Error 1006</h1><p>The owner of this website (api.hubapi.com) has \
                 banned your IP address.</p></body></html>",
            ),
            Self::EdgeChallenge => html(
                403,
                "<!DOCTYPE html><html lang=\"en-US\"><head><title>Just a moment...</title></head><body><noscript>Enable \
                 JavaScript and cookies to continue</noscript><script src=\"/cdn-cgi/challenge-platform/h/g/orchestrate\"\
                 ></script></body></html>",
            ),
            Self::EdgeCode => {
                let mut answer =
                    Answer::bytes(StatusCode::FORBIDDEN, Bytes::from_static(b"error code: 1020"));
                answer.set(
                    "content-type",
                    HeaderValue::from_static("text/plain; charset=UTF-8"),
                );
                answer
            }
            Self::BadGateway => html(502, "<html><head><title>502 Bad Gateway</title></head></html>"),
            Self::EdgeTimeout => html(
                524,
                "<html><head><title>524: A timeout occurred</title></head></html>",
            ),
            _ => self.problem(now_ms).answer(correlation_id),
        }
    }

    fn problem(self, now_ms: i64) -> Box<Problem> {
        match self {
            Self::ExpiredToken => Problem::expired_authentication(now_ms - 5_000, now_ms),
            Self::InvalidToken => Problem::invalid_authentication(),
            Self::MissingScope => {
                Problem::missing_scopes(vec!["crm.objects.contacts.read".to_owned()], false)
            }
            Self::WrongScope => Problem::missing_scopes(vec!["contacts".to_owned()], false),
            Self::MissingScopeOlder => Problem::new(
                StatusCode::FORBIDDEN,
                Some("MISSING_SCOPES"),
                "This app hasn't been granted all required scopes to make this call.",
            )
            .detail(Detail {
                message: "All of the following scopes are required.".to_owned(),
                code: None,
                place: None,
                context: Some(Context(vec![(
                    "requiredScopes".to_owned(),
                    vec!["crm.objects.contacts.read".to_owned()],
                )])),
            }),
            Self::UserPermission => Problem::user_permission(),
            Self::TenSecondly | Self::Daily | Self::Secondly => self.limit(),
            Self::Migrating => {
                let mut problem = coded(477, None, "The portal is being migrated to another data center.");
                problem
                    .headers
                    .push(("retry-after", HeaderValue::from_static("120")));
                problem
            }
            Self::Locked => coded(423, None, "The resource is currently locked."),
            Self::Conflict => coded(409, Some("CONFLICT"), "Contact already exists. Existing ID: 1001"),
            Self::SearchRateLimits => {
                coded(429, Some("RATE_LIMITS"), "You have reached your secondly limit.")
            }
            Self::InternalError => coded(500, None, "internal error"),
            Self::Unavailable => coded(503, None, "Service temporarily unavailable"),
            _ => self.forbidden(),
        }
    }

    fn forbidden(self) -> Box<Problem> {
        let (category, message) = match self {
            Self::NotPublic => (
                Some("MISSING_SCOPES"),
                "The scope needed for this API call isn't available for public use.",
            ),
            Self::MissingScopeText => (
                None,
                "This oauth-token does not have proper permissions! (requires any of [contacts-access])",
            ),
            Self::UserPermissionOnType => (
                None,
                "You do not have permissions to view objects of object type 0-5 in portal 1 (requires one of \
                 [tickets-read, tickets-access])",
            ),
            Self::ProductLibrary => (
                None,
                "You do not have permissions to view objects of object type PRODUCT in portal 1 (requires one of \
                 [product library])",
            ),
            Self::SensitiveScope => (
                None,
                "Reading sensitive data properties requires a sensitive data scope.",
            ),
            Self::Gated => (Some("GATED"), "The feature is gated for this portal."),
            Self::GatedText => (
                Some("MISSING_PERMISSIONS"),
                "This feature is gated for this portal",
            ),
            Self::ClientNotListed => (Some("BANNED"), "The client is not allow-listed."),
            Self::PortalPaused => (
                Some("BANNED"),
                "HIGH_RISK_PORTAL: this portal has been suspended.",
            ),
            Self::Archived => (None, "The object has been archived and can't be changed."),
            _ => (None, "There was a problem with the request."),
        };
        Problem::new(StatusCode::FORBIDDEN, category, message)
    }

    fn limit(self) -> Box<Problem> {
        let (message, policy, window) = match self {
            Self::Daily => ("You have reached your daily limit.", "DAILY", "daily"),
            Self::Secondly => ("You have reached your secondly limit.", "SECONDLY", "secondly"),
            _ => (
                "You have reached your ten_secondly_rolling limit.",
                "TEN_SECONDLY_ROLLING",
                "ten-secondly",
            ),
        };
        let group = format!("publicapi:private_app-api-calls-{window}:1:1");
        Problem::rate_limit(message, LimitFacts { policy, group })
    }
}

fn coded(status: u16, category: Option<&'static str>, message: &str) -> Box<Problem> {
    Problem::new(
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        category,
        message,
    )
}

fn html(status: u16, body: &'static str) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = Answer::bytes(status, Bytes::from_static(body.as_bytes()));
    answer.set(
        "content-type",
        HeaderValue::from_static("text/html; charset=UTF-8"),
    );
    answer
}
