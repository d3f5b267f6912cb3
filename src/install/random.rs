//! What only one browser has: 256 random bits, of which the store keeps a hash.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::store::Hash;
use crate::vault::VaultError;

/// Characters of 32 bytes in base64url.
const LENGTH: usize = 43;

/// A cookie's value, a state, or a PKCE verifier.
#[derive(Clone, Debug)]
pub struct Random(Secret);

impl Random {
    /// A new one.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn new() -> Result<Self, VaultError> {
        let mut bytes = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(&mut *bytes).map_err(|_| VaultError::NoRandomness)?;
        Ok(Self(Secret::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()))))
    }

    /// One that a browser sent; `None` when it can't be one of ours.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (text.len() == LENGTH && text.bytes().all(plain)).then(|| Self(Secret::new(text.to_owned())))
    }

    /// The text.
    pub(super) fn secret(&self) -> &Secret {
        &self.0
    }

    /// What the store keeps of it.
    pub(super) fn hash(&self) -> Hash {
        hash_of(self.0.expose().as_bytes())
    }

    /// The S256 challenge of it as a verifier (RFC 7636, section 4.2).
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.hash())
    }
}

/// SHA-256.
pub(super) fn hash_of(bytes: &[u8]) -> Hash {
    let digest = digest::digest(&digest::SHA256, bytes);
    // Invariant: SHA-256 has 32 bytes.
    Hash::try_from(digest.as_ref()).unwrap_or_default()
}

/// Compares two hashes in constant time.
pub(super) fn is_same(one: &Hash, other: &Hash) -> bool {
    verify_slices_are_equal(one, other).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_new_and_reads_back_and_nothing_else_does() {
        let (one, two) = (Random::new().unwrap(), Random::new().unwrap());
        assert_ne!(one.hash(), two.hash());
        let again = Random::parse(one.secret().expose()).unwrap();
        assert!(is_same(&again.hash(), &one.hash()));
        assert!(!is_same(&one.hash(), &two.hash()));
        for bad in [
            "",
            "short",
            &"x".repeat(44),
            &"ä".repeat(43),
            &format!("{}=", "x".repeat(42)),
        ] {
            assert!(Random::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_challenge_is_the_one_of_the_standard() {
        // RFC 7636, appendix B.
        let verifier = Random::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        assert_eq!(
            verifier.challenge(),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }
}
