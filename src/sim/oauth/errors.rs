//! Errors of the token endpoint: RFC 6749 members beside HubSpot's older `status` and `message`.

use http::StatusCode;
use serde::Serialize;

use crate::sim::answer::Answer;
use crate::sim::call::Call;
use crate::sim::options::V1Errors;
use crate::sim::random;
use crate::sim::simulator::Sim;

/// Why a token endpoint refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OAuthError {
    RefreshToken,
    Hub,
    MismatchedRefreshToken,
    ClientId,
    ClientSecret,
    GrantType,
    AuthCode,
    ExpiredAuthCode,
    RedirectUri,
    CodeVerifier,
    Scopes,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    status: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none", rename = "error")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "error_description")]
    error_description: Option<&'a str>,
    correlation_id: String,
}

impl OAuthError {
    /// `status`, `error`, `message`.
    fn parts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::RefreshToken => (
                "BAD_REFRESH_TOKEN",
                "invalid_grant",
                "refresh token is invalid, expired or revoked",
            ),
            Self::Hub => ("BAD_HUB", "access_denied", "missing or unknown hub id"),
            Self::MismatchedRefreshToken => (
                "MISMATCH_REFRESH_TOKEN_CLIENT",
                "invalid_grant",
                "refresh token was not issued to this client",
            ),
            Self::ClientId => ("BAD_CLIENT_ID", "invalid_client", "missing or unknown client id"),
            Self::ClientSecret => (
                "BAD_CLIENT_SECRET",
                "invalid_client",
                "missing or invalid client secret",
            ),
            Self::GrantType => (
                "BAD_GRANT_TYPE",
                "unsupported_grant_type",
                "missing or unknown grant type",
            ),
            Self::AuthCode => ("BAD_AUTH_CODE", "invalid_grant", "missing or unknown auth code"),
            Self::ExpiredAuthCode => ("EXPIRED_AUTH_CODE", "invalid_grant", "auth code has expired"),
            Self::RedirectUri => (
                "MISMATCH_REDIRECT_URI_AUTH_CODE",
                "invalid_grant",
                "redirect URI does not match the one used for the auth code",
            ),
            Self::CodeVerifier => (
                "BAD_CODE_VERIFIER",
                "invalid_grant",
                "code verifier does not match",
            ),
            Self::Scopes => ("BAD_SCOPES", "invalid_scope", "missing or unknown scopes"),
        }
    }

    /// The answer in the shape of the endpoint's version.
    pub(super) fn answer(self, sim: &Sim, call: &Call) -> Answer {
        let (status, error, message) = self.parts();
        let old = call.version == "v1" && sim.options.v1_errors == V1Errors::Old;
        let code = match self {
            Self::Hub => StatusCode::from_u16(sim.options.bad_hub_status).unwrap_or(StatusCode::BAD_REQUEST),
            _ => StatusCode::BAD_REQUEST,
        };
        Answer::json(
            code,
            &Body {
                status,
                message,
                error: Some(error).filter(|_| !old),
                error_description: Some(message).filter(|_| !old),
                correlation_id: random::uuid(),
            },
        )
    }
}
