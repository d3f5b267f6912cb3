//! Any answer of the token endpoint: tokens are taken only if headers can carry them, their life is what was said, and
//! nothing but a word for it makes a grant count as dead.
//!
//! The first byte chooses the status.
#![no_main]

use std::time::Duration;

use http::StatusCode;
use libfuzzer_sys::fuzz_target;
use scopegate::hubspot::errors::TokenFailure;
use scopegate::hubspot::oauth;
use serde_json::Value;

/// What a life counts as that is not said, or is none: HubSpot's is 1,800 s; see `hubspot/oauth.rs`.
const NOT_SAID: Duration = Duration::from_secs(300);

/// All texts in a value, as they are meant.
fn texts(value: &Value, into: &mut String) {
    match value {
        Value::String(text) => {
            into.push_str(&text.to_lowercase());
            into.push('\n');
        }
        Value::Array(values) => values.iter().for_each(|value| texts(value, into)),
        Value::Object(members) => members.values().for_each(|value| texts(value, into)),
        _ => {}
    }
}

const STATUSES: [u16; 12] = [200, 204, 302, 400, 401, 403, 404, 423, 429, 477, 500, 503];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, body)) = bytes.split_first() else {
        return;
    };
    let status = StatusCode::from_u16(STATUSES[usize::from(*first) % STATUSES.len()]).expect("a status");
    let (tokens, failure, _) = oauth::read_hostile(status, body);
    if let Some(tokens) = tokens {
        for token in [Some(&tokens.access), tokens.refresh.as_ref()]
            .into_iter()
            .flatten()
        {
            let text = token.expose();
            assert!(!text.is_empty() && text.len() <= 8 * 1024);
            assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        if let Ok(said) = serde_json::from_slice::<Value>(body) {
            let life = said["expires_in"].as_u64().map_or(NOT_SAID, Duration::from_secs);
            assert_eq!(tokens.life, life);
        }
        let scopes = tokens.scopes.unwrap_or_default();
        assert!(scopes.len() <= 2_000);
        assert!(scopes.iter().all(|scope| !scope.contains([' ', '\n', '\r'])));
    }
    if failure == TokenFailure::DeadGrant {
        assert!(!status.is_server_error(), "a server that is down buries nobody");
        let words = [
            "invalid_grant",
            "bad_refresh_token",
            "bad_hub",
            "unknown hub id",
            "refresh token",
        ];
        // What can't be read as a value at all (a number without end) may still have the members that are looked at.
        let mut text = String::new();
        let said = |text: &str| words.iter().any(|word| text.contains(word));
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => {
                texts(&value, &mut text);
                assert!(said(&text), "buried without a word for it: {text}");
            }
            Err(_) => {
                text = String::from_utf8_lossy(body).to_lowercase();
                assert!(
                    said(&text) || text.contains('\\'),
                    "buried without a word for it: {text}"
                );
            }
        }
    }
});
