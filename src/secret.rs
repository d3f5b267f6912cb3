//! A secret value: redacted when printed, never serialised, wiped when dropped.
//!
//! Deliberately absent: `Display`, `Serialize`, `PartialEq`. Whoever needs the plain text says
//! [`Secret::expose`], which is easy to search for.

use secrecy::{ExposeSecret, SecretString};

/// A credential in plain text, for as short a time as possible.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes ownership of `plain`; the caller keeps no copy.
    pub fn new(plain: String) -> Self {
        Self(SecretString::from(plain))
    }

    /// The plain text. Every caller is a place to review.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_nothing_of_itself() {
        let secret = Secret::new("pat-na1-canary".to_owned());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.expose(), "pat-na1-canary");
    }
}
