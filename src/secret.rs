//! A secret value: redacted when printed, never serialised, wiped when dropped.
//!
//! Deliberately absent: `Display`, `Serialize`, `PartialEq`. Whoever needs the plain text says
//! [`Secret::expose`], which is easy to search for.

use bytes::Bytes;
use http::HeaderValue;
use http::header::InvalidHeaderValue;
use secrecy::{ExposeSecret, SecretString};
use zeroize::{Zeroize, Zeroizing};

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

/// Bytes that hold a secret, wiped when the last one who shares them lets go.
pub fn wiped(plain: Zeroizing<impl Zeroize + AsRef<[u8]> + Send + 'static>) -> Bytes {
    Bytes::from_owner(plain)
}

/// `Bearer …`, marked sensitive, and wiped as [`wiped`] says. An error: no header can hold this token.
pub fn bearer(token: &Secret) -> Result<HeaderValue, InvalidHeaderValue> {
    let text = Zeroizing::new(["Bearer ", token.expose()].concat());
    let mut value = HeaderValue::from_maybe_shared(wiped(text))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_nothing_of_itself() {
        let secret = Secret::new("pat-na1-canary".to_owned());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.expose(), "pat-na1-canary");
        let value = bearer(&secret).unwrap();
        assert_eq!(
            (value.as_bytes(), value.is_sensitive()),
            (&b"Bearer pat-na1-canary"[..], true)
        );
        assert!(bearer(&Secret::new("a\nb".to_owned())).is_err());
    }
}
