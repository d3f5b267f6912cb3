//! Credentials of a simulator: random at every start, in the shapes HubSpot's have.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// An identifier as HubSpot writes them.
pub(super) fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// An OAuth access token: opaque, starts with `C` in every published example.
pub(super) fn access_token() -> String {
    let mut bytes = [0u8; 96];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        // The operating system has no randomness: identifiers from the other source still differ.
        return format!("CN{}{}", uuid().replace('-', ""), uuid().replace('-', ""));
    }
    format!("CN{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// A refresh token or an authorization code: a UUID with the hublet before it.
pub(super) fn hublet_token(hublet: &str) -> String {
    format!("{hublet}-{}", uuid())
}

/// A private-app token or service key.
pub(super) fn static_token(hublet: &str) -> String {
    format!("pat-{hublet}-{}", uuid())
}
