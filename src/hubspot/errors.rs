//! What HubSpot's token endpoint means by an error.
//!
//! Invariant: only a word that says the *grant* is dead counts as that. An unknown 4xx is a fault of
//! configuration: one rotated client secret must not mark every portal as revoked.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

/// Why the token endpoint gave no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFailure {
    /// Uninstalled, revoked, or the portal is gone: somebody must install again.
    DeadGrant,
    /// Client id or secret is wrong: another secret may be right.
    WrongClient,
    /// Something else in our request or the app's settings is wrong.
    Configuration,
    /// It passes by itself.
    Busy {
        /// The server's wish.
        retry_after: Option<Duration>,
        /// Whether the question may have been acted upon all the same: a 5xx may come from an edge
        /// in front of a server that did its work.
        acted_upon: bool,
    },
}

/// Why an authorization code brought no tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeFailure {
    /// Unknown, expired, or used before: the person must consent again.
    NotGood,
    /// Client id or secret is wrong: another secret may be right.
    WrongClient,
    /// Not the redirect URI the code was made for, or not registered.
    RedirectUri,
    /// The PKCE verifier does not match: the code was made for another browser's question.
    Verifier,
    /// Scopes that the app is not configured for.
    Scopes,
    /// The account is unknown or gone.
    Hub,
    /// Something else in our request or the app's settings is wrong.
    Configuration,
    /// It passes by itself. After a 5xx the code may have been used up.
    Busy,
}

#[derive(Deserialize, Default)]
struct ErrorBody {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    error_description: Option<String>,
}

/// Reads an answer other than 2xx of `POST /oauth/*/token` for a refresh.
///
/// HubSpot's own `status` word is the finer one and is looked at first: RFC 6749 §5.2 has
/// `invalid_grant` also for a refresh token of another client, which is no dead grant.
pub fn classify(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> TokenFailure {
    match status.as_u16() {
        // 423 and 477: locked, and being moved between data centres.
        429 | 423 | 477 => {
            return TokenFailure::Busy {
                retry_after,
                acted_upon: false,
            };
        }
        408 | 500..=599 => {
            return TokenFailure::Busy {
                retry_after,
                acted_upon: true,
            };
        }
        _ => {}
    }
    let body: ErrorBody = serde_json::from_slice(body).unwrap_or_default();
    let says = |fragment: &str| {
        [&body.message, &body.error_description]
            .into_iter()
            .flatten()
            .any(|text| text.to_ascii_lowercase().contains(fragment))
    };
    match body.status.as_deref() {
        Some("BAD_REFRESH_TOKEN" | "BAD_HUB") => return TokenFailure::DeadGrant,
        Some("BAD_CLIENT_ID" | "BAD_CLIENT_SECRET") => return TokenFailure::WrongClient,
        Some(word) if word.starts_with("BAD_") || word.starts_with("MISMATCH_") => {
            return TokenFailure::Configuration;
        }
        _ => {}
    }
    match body.error.as_deref() {
        Some("invalid_grant") if says("not issued to this client") => TokenFailure::Configuration,
        Some("invalid_grant") => TokenFailure::DeadGrant,
        Some("invalid_client") => TokenFailure::WrongClient,
        Some(_) => TokenFailure::Configuration,
        // Bodies of before RFC 6749 fields carried only a message.
        None if says("missing or invalid refresh token") || says("unknown hub id") => TokenFailure::DeadGrant,
        None => TokenFailure::Configuration,
    }
}

/// Reads an answer other than 200 of `POST /oauth/*/token` for an authorization code.
pub fn classify_code(status: StatusCode, body: &[u8]) -> CodeFailure {
    if matches!(status.as_u16(), 408 | 423 | 429 | 477 | 500..=599) {
        return CodeFailure::Busy;
    }
    let body: ErrorBody = serde_json::from_slice(body).unwrap_or_default();
    match body.status.as_deref() {
        Some("BAD_AUTH_CODE" | "EXPIRED_AUTH_CODE") => return CodeFailure::NotGood,
        Some("MISMATCH_REDIRECT_URI_AUTH_CODE") => return CodeFailure::RedirectUri,
        Some("BAD_CODE_VERIFIER") => return CodeFailure::Verifier,
        Some("BAD_CLIENT_ID" | "BAD_CLIENT_SECRET") => return CodeFailure::WrongClient,
        Some("BAD_SCOPES") => return CodeFailure::Scopes,
        Some("BAD_HUB") => return CodeFailure::Hub,
        Some(word) if word.starts_with("BAD_") || word.starts_with("MISMATCH_") => {
            return CodeFailure::Configuration;
        }
        _ => {}
    }
    match body.error.as_deref() {
        Some("invalid_grant") => CodeFailure::NotGood,
        Some("invalid_client") => CodeFailure::WrongClient,
        Some("invalid_scope") => CodeFailure::Scopes,
        _ => CodeFailure::Configuration,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_code_met_is_told_apart_by_hubspots_word_and_else_by_the_standards() {
        use CodeFailure::{Busy, Configuration, Hub, NotGood, RedirectUri, Scopes, Verifier, WrongClient};
        let read = |status, body: &str| classify_code(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        for (word, failure) in [
            ("BAD_AUTH_CODE", NotGood),
            ("EXPIRED_AUTH_CODE", NotGood),
            ("MISMATCH_REDIRECT_URI_AUTH_CODE", RedirectUri),
            ("BAD_CODE_VERIFIER", Verifier),
            ("BAD_CLIENT_SECRET", WrongClient),
            ("BAD_SCOPES", Scopes),
            ("BAD_HUB", Hub),
            ("BAD_GRANT_TYPE", Configuration),
        ] {
            let body = format!(r#"{{"status":"{word}","error":"invalid_grant"}}"#);
            assert_eq!(read(400, &body), failure, "{word}");
        }
        assert_eq!(read(400, r#"{"error":"invalid_grant"}"#), NotGood);
        assert_eq!(read(401, r#"{"error":"invalid_client"}"#), WrongClient);
        assert_eq!(read(400, "<html>"), Configuration);
        for status in [429, 500, 503, 477] {
            assert_eq!(read(status, r#"{"status":"BAD_AUTH_CODE"}"#), Busy, "{status}");
        }
    }

    fn read(status: u16, body: &str) -> TokenFailure {
        classify(StatusCode::from_u16(status).unwrap(), None, body.as_bytes())
    }

    #[test]
    fn only_words_about_the_grant_kill_it() {
        use TokenFailure::{Configuration, DeadGrant, WrongClient};
        let cases = [
            (
                400,
                r#"{"error":"invalid_grant","status":"BAD_REFRESH_TOKEN"}"#,
                DeadGrant,
            ),
            (
                400,
                r#"{"error":"invalid_grant","error_description":"refresh token is invalid, expired or revoked"}"#,
                DeadGrant,
            ),
            (400, r#"{"status":"BAD_REFRESH_TOKEN","message":"x"}"#, DeadGrant),
            (
                400,
                r#"{"message":"missing or invalid refresh token"}"#,
                DeadGrant,
            ),
            (
                403,
                r#"{"status":"BAD_HUB","message":"missing or unknown hub id"}"#,
                DeadGrant,
            ),
            (
                400,
                r#"{"error":"invalid_grant","status":"MISMATCH_REFRESH_TOKEN_CLIENT"}"#,
                Configuration,
            ),
            (
                400,
                r#"{"error":"invalid_grant","message":"Refresh token was not issued to this client"}"#,
                Configuration,
            ),
            (
                400,
                r#"{"error":"invalid_client","status":"BAD_CLIENT_SECRET"}"#,
                WrongClient,
            ),
            (401, r#"{"error":"invalid_client"}"#, WrongClient),
            (400, r#"{"status":"BAD_CLIENT_ID"}"#, WrongClient),
            (
                400,
                r#"{"status":"BAD_GRANT_TYPE","message":"missing or unknown grant type"}"#,
                Configuration,
            ),
            (400, r#"{"error":"something_new"}"#, Configuration),
            (403, r#"{"error":"access_denied"}"#, Configuration),
            (400, "", Configuration),
            (404, "<html>", Configuration),
            (401, r#"{"error":["invalid_grant"]}"#, Configuration),
            (302, "", Configuration),
        ];
        for (status, body, expected) in cases {
            assert_eq!(read(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn what_passes_by_itself_says_whether_it_may_have_acted() {
        for (status, acted_upon) in [
            (429, false),
            (423, false),
            (477, false),
            (500, true),
            (502, true),
            (504, true),
        ] {
            let invalid_grant = r#"{"error":"invalid_grant"}"#;
            assert_eq!(
                read(status, invalid_grant),
                TokenFailure::Busy {
                    retry_after: None,
                    acted_upon
                },
                "{status}"
            );
        }
    }
}
