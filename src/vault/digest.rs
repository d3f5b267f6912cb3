//! Whether a credential that is handed over is one that was handed over before, without opening any.

use aws_lc_rs::digest::{SHA256, digest};

use crate::secret::Secret;

/// SHA-256 of a credential. Those have 122 random bits at least, so nothing can be guessed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialDigest([u8; 32]);

impl CredentialDigest {
    /// The digest of a credential.
    pub fn of(credential: &Secret) -> Self {
        let mut bytes = [0; 32];
        for (to, from) in bytes
            .iter_mut()
            .zip(digest(&SHA256, credential.expose().as_bytes()).as_ref())
        {
            *to = *from;
        }
        Self(bytes)
    }

    /// As read from the store; `None` when it is no digest.
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// As written to the store: not a secret.
    pub fn as_stored(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_credential_has_the_same_digest_and_the_digest_reads_back() {
        let of = |text: &str| CredentialDigest::of(&Secret::new(text.to_owned()));
        assert_eq!(of("na1-a"), of("na1-a"));
        assert_ne!(of("na1-a"), of("na1-b"));
        assert_eq!(CredentialDigest::from_stored(of("a").as_stored()), Some(of("a")));
        assert_eq!(CredentialDigest::from_stored(b"short"), None);
    }
}
