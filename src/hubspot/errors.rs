//! What HubSpot's token endpoint means by an error.
//!
//! Invariant: only a word that says the *grant* is dead counts as that. An unknown 4xx is a fault of
//! configuration: one rotated client secret must not mark every portal as revoked.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Why the token endpoint gave no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFailure {
    /// Uninstalled, revoked, or the portal is gone: somebody must install again.
    DeadGrant,
    /// Client id or secret is wrong: another secret may be right.
    WrongClient,
    /// Something else in our request or the app's settings is wrong.
    Configuration,
    /// The one account is locked (423), or being moved between data centres (477): it passes by itself,
    /// and says nothing about others.
    Locked {
        /// The server's wish.
        retry_after: Option<Duration>,
    },
    /// The endpoint can't for now; it passes by itself.
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
        423 | 477 => return TokenFailure::Locked { retry_after },
        429 => {
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
    let body: ErrorBody = object(body).unwrap_or_default();
    match body.status.as_deref() {
        Some("BAD_REFRESH_TOKEN" | "BAD_HUB") => return TokenFailure::DeadGrant,
        Some("BAD_CLIENT_ID" | "BAD_CLIENT_SECRET") => return TokenFailure::WrongClient,
        Some(word) if OTHER_WORDS.iter().any(|known| word.starts_with(known)) => {
            return TokenFailure::Configuration;
        }
        _ => {}
    }
    let says = |fragment: &str| {
        [&body.message, &body.error_description]
            .into_iter()
            .flatten()
            .any(|text| text.to_ascii_lowercase().contains(fragment))
    };
    let names_client = says("unknown client id") || says("invalid client secret");
    match body.error.as_deref() {
        Some("invalid_grant") if NOT_THE_GRANT.iter().any(|words| says(words)) => TokenFailure::Configuration,
        Some("invalid_grant") => TokenFailure::DeadGrant,
        Some("access_denied") if says("unknown hub id") => TokenFailure::DeadGrant,
        Some("invalid_client") => TokenFailure::WrongClient,
        Some(_) => TokenFailure::Configuration,
        // Bodies of before RFC 6749 fields carried only a message.
        None if says("missing or invalid refresh token") || says("unknown hub id") => TokenFailure::DeadGrant,
        None if says("refresh token is invalid, expired or revoked") => TokenFailure::DeadGrant,
        None if names_client => TokenFailure::WrongClient,
        None => TokenFailure::Configuration,
    }
}

/// Reads a JSON object. A derived reader takes a list for an object whose members come in order; no answer
/// of HubSpot's means that.
pub(super) fn object<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let is_object = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    is_object.then(|| serde_json::from_slice(body).ok()).flatten()
}

/// Beginnings of HubSpot's words for what is wrong with a request rather than with a grant.
const OTHER_WORDS: [&str; 3] = ["BAD_", "MISMATCH_", "EXPIRED_"];

/// `invalid_grant` is RFC 6749's word for these, too (§5.2); none of them says that the grant is dead.
const NOT_THE_GRANT: [&str; 3] = ["not issued to this client", "auth code", "redirect uri"];

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

    /// Bodies as HubSpot sends them (behaviour notes, §1.3): with RFC 6749 members, with HubSpot's older
    /// words alone, and with a message alone.
    #[test]
    fn only_words_about_the_grant_kill_it() {
        use TokenFailure::{Configuration, DeadGrant, WrongClient};
        #[rustfmt::skip]
        let cases = [
            ("revoked", 400, r#"{"error":"invalid_grant","error_description":"refresh token is invalid, expired or revoked","status":"BAD_REFRESH_TOKEN","message":"refresh token is invalid, expired or revoked","correlationId":"x"}"#, DeadGrant),
            ("revoked, RFC members alone", 400, r#"{"error":"invalid_grant","error_description":"refresh token is invalid, expired or revoked"}"#, DeadGrant),
            ("revoked, no words at all", 400, r#"{"error":"invalid_grant"}"#, DeadGrant),
            ("revoked, old", 400, r#"{"status":"BAD_REFRESH_TOKEN","message":"missing or invalid refresh token","correlationId":"x"}"#, DeadGrant),
            ("revoked, old, 401", 401, r#"{"status":"BAD_REFRESH_TOKEN","message":"x"}"#, DeadGrant),
            ("revoked, message alone", 400, r#"{"message":"missing or invalid refresh token"}"#, DeadGrant),
            ("revoked, message alone, newer", 400, r#"{"status":"error","message":"refresh token is invalid, expired or revoked"}"#, DeadGrant),
            ("portal gone", 400, r#"{"error":"access_denied","error_description":"missing or unknown hub id","status":"BAD_HUB","message":"missing or unknown hub id"}"#, DeadGrant),
            ("portal gone, as seen in 2024", 403, r#"{"status":"BAD_HUB","message":"missing or unknown hub id"}"#, DeadGrant),
            ("portal gone, RFC members alone", 403, r#"{"error":"access_denied","error_description":"missing or unknown hub id"}"#, DeadGrant),
            ("portal gone, message alone", 403, r#"{"message":"missing or unknown hub id"}"#, DeadGrant),
            ("another client's", 400, r#"{"error":"invalid_grant","error_description":"refresh token was not issued to this client","status":"MISMATCH_REFRESH_TOKEN_CLIENT"}"#, Configuration),
            ("another client's, RFC members alone", 400, r#"{"error":"invalid_grant","error_description":"Refresh token was not issued to this client"}"#, Configuration),
            ("another client's, old", 400, r#"{"status":"MISMATCH_REFRESH_TOKEN_CLIENT","message":"x"}"#, Configuration),
            ("client id", 400, r#"{"error":"invalid_client","status":"BAD_CLIENT_ID","message":"missing or unknown client id"}"#, WrongClient),
            ("client id, old", 400, r#"{"status":"BAD_CLIENT_ID","message":"missing or unknown client id"}"#, WrongClient),
            ("client id, message alone", 400, r#"{"message":"missing or unknown client id"}"#, WrongClient),
            ("client secret", 400, r#"{"error":"invalid_client","status":"BAD_CLIENT_SECRET","message":"missing or invalid client secret"}"#, WrongClient),
            ("client secret, old", 400, r#"{"status":"BAD_CLIENT_SECRET","message":"missing or invalid client secret"}"#, WrongClient),
            ("client secret, message alone", 400, r#"{"message":"missing or invalid client secret"}"#, WrongClient),
            ("client, RFC member alone", 401, r#"{"error":"invalid_client"}"#, WrongClient),
            ("grant type", 400, r#"{"error":"unsupported_grant_type","status":"BAD_GRANT_TYPE","message":"missing or unknown grant type"}"#, Configuration),
            ("grant type, old", 400, r#"{"status":"BAD_GRANT_TYPE","message":"missing or unknown grant type"}"#, Configuration),
            ("code used twice", 400, r#"{"error":"invalid_grant","status":"BAD_AUTH_CODE","message":"missing or unknown auth code"}"#, Configuration),
            ("code used twice, RFC members alone", 400, r#"{"error":"invalid_grant","error_description":"missing or unknown auth code"}"#, Configuration),
            ("code expired", 400, r#"{"error":"invalid_grant","status":"EXPIRED_AUTH_CODE","message":"auth code has expired"}"#, Configuration),
            ("redirect URI", 400, r#"{"error":"invalid_grant","status":"MISMATCH_REDIRECT_URI_AUTH_CODE","message":"redirect URI does not match"}"#, Configuration),
            ("redirect URI, RFC members alone", 400, r#"{"error":"invalid_grant","error_description":"redirect URI does not match"}"#, Configuration),
            ("verifier", 400, r#"{"error":"invalid_grant","status":"BAD_CODE_VERIFIER"}"#, Configuration),
            ("scopes", 400, r#"{"error":"invalid_scope","status":"BAD_SCOPES"}"#, Configuration),
            ("a new word of HubSpot's", 418, r#"{"status":"BRAND_NEW_WORD","message":"x"}"#, Configuration),
            ("a new word of the RFC's", 400, r#"{"error":"something_new"}"#, Configuration),
            ("denied, nobody says why", 403, r#"{"error":"access_denied"}"#, Configuration),
            ("the edge's page", 403, "<html><title>Attention Required! | Cloudflare</title>", Configuration),
            ("not there", 404, "<html>", Configuration),
            ("nothing", 400, "", Configuration),
            ("a word of another type", 401, r#"{"error":["invalid_grant"]}"#, Configuration),
            ("a list", 400, r#"["invalid_grant"]"#, Configuration),
            ("a redirect", 302, "", Configuration),
        ];
        for (label, status, body, expected) in cases {
            assert_eq!(read(status, body), expected, "{label}: {status} {body}");
        }
    }

    #[test]
    fn a_locked_or_moving_account_says_nothing_about_the_endpoint_and_a_busy_endpoint_nothing_about_the_grant()
     {
        let retry_after = Some(Duration::from_secs(9));
        let read = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            classify(
                status,
                retry_after,
                br#"{"error":"invalid_grant","status":"BAD_REFRESH_TOKEN"}"#,
            )
        };
        for status in [423, 477] {
            assert_eq!(read(status), TokenFailure::Locked { retry_after }, "{status}");
        }
        for (status, acted_upon) in [
            (408, true),
            (429, false),
            (500, true),
            (502, true),
            (503, true),
            (599, true),
        ] {
            let busy = TokenFailure::Busy {
                retry_after,
                acted_upon,
            };
            assert_eq!(read(status), busy, "{status}");
        }
    }

    #[test]
    fn what_passes_by_itself_says_whether_it_may_have_acted() {
        for (status, acted_upon) in [(429, false), (500, true), (502, true), (504, true)] {
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
