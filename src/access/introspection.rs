//! Questions about the credential itself: requests that the gate answers on its own.
//!
//! Recognised before the catalogue and every rule, by the live path and by those that explain it.

use super::target::{Method, Target};
use crate::secret::Secret;

/// Which question it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// `GET /oauth/v1/access-tokens/{token}`.
    AccessToken,
    /// `POST /oauth/v2/private-apps/get/access-token-info`, JSON.
    PrivateApp,
    /// `POST /oauth/{version}/token/introspect`, form.
    Introspect,
    /// `POST /oauth/{version}/token`: the gate issues no tokens.
    Token,
}

impl Question {
    /// The template, for audit.
    pub fn template(self) -> &'static str {
        match self {
            Question::AccessToken => "/oauth/v1/access-tokens/{token}",
            Question::PrivateApp => "/oauth/v2/private-apps/get/access-token-info",
            Question::Introspect => "/oauth/{version}/token/introspect",
            Question::Token => "/oauth/{version}/token",
        }
    }

    /// Recognises a question, and the key that stands in the path.
    pub fn recognise(target: &Target) -> Option<(Self, Option<Secret>)> {
        let mut segments = target.segments();
        if segments.next()? != "oauth" {
            return None;
        }
        let rest: [Option<&str>; 5] = std::array::from_fn(|_| segments.next());
        match (target.method(), rest) {
            (Method::Get, [Some("v1"), Some("access-tokens"), Some(token), None, None]) => {
                Some((Question::AccessToken, Some(Secret::new(token.to_owned()))))
            }
            (
                Method::Post,
                [
                    Some("v2"),
                    Some("private-apps"),
                    Some("get"),
                    Some("access-token-info"),
                    None,
                ],
            ) => Some((Question::PrivateApp, None)),
            (Method::Post, [Some(_), Some("token"), Some("introspect"), None, None]) => {
                Some((Question::Introspect, None))
            }
            (Method::Post, [Some(_), Some("token"), None, None, None]) => Some((Question::Token, None)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognised(method: &str, target: &str) -> Option<(Question, Option<String>)> {
        let target = Target::parse(method, target).unwrap();
        Question::recognise(&target).map(|(question, key)| (question, key.map(|k| k.expose().to_owned())))
    }

    #[test]
    fn questions_are_recognised_by_method_and_path_alone() {
        for (method, target, expected) in [
            (
                "GET",
                "/oauth/v1/access-tokens/abc",
                Some((Question::AccessToken, Some("abc".to_owned()))),
            ),
            (
                "POST",
                "/oauth/v2/private-apps/get/access-token-info",
                Some((Question::PrivateApp, None)),
            ),
            (
                "POST",
                "/oauth/v3/token/introspect",
                Some((Question::Introspect, None)),
            ),
            ("POST", "/oauth/2026-03/token", Some((Question::Token, None))),
            ("POST", "/oauth/v1/access-tokens/abc", None),
            ("GET", "/oauth/v2/access-tokens/abc", None),
            ("GET", "/oauth/v1/access-tokens", None),
            ("GET", "/oauth/v1/refresh-tokens/abc", None),
            ("POST", "/oauth/v1/token/revoke", None),
            ("POST", "/crm/v3/token/introspect", None),
        ] {
            assert_eq!(recognised(method, target), expected, "{method} {target}");
        }
    }
}
