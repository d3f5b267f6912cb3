//! Credentials of the admin listener: what one looks like, how one is made, how a presented one is read.
//!
//! `sga_<id>_<secret>_<checksum>`: made as a gate key is ([`key`](crate::access::key)), and never one: no
//! text is both, so neither can be taken for the other. Randomness is an argument; nothing here knows a
//! store or a clock.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

use crate::access::base62;
use crate::access::key::{KeyId, KeyRandomness};
use crate::secret::Secret;

/// What secret scanners look for. Part of the contract.
pub const ADMIN_KEY_PATTERN: &str = r"\bsga_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}\b";

/// Length of a credential in bytes.
pub const ADMIN_KEY_LENGTH: usize = 67;

const PREFIX: &str = "sga_";
const SECRET_LENGTH: usize = 43;
const CHECKSUM_LENGTH: usize = 6;

/// SHA-256 of a credential's text: the only form that is stored. 256 random bits need no slow hash.
/// Compared in constant time; no `PartialEq`.
#[derive(Clone, Copy)]
pub struct AdminKeyHash([u8; 32]);

impl AdminKeyHash {
    /// Of no credential: what an unknown id is compared with, so that it costs what a known one costs.
    pub const NOBODY: Self = Self([0; 32]);

    /// A stored hash.
    pub fn from_stored(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub fn to_stored(self) -> [u8; 32] {
        self.0
    }

    /// Whether both are of the same credential, in time that does not depend on where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }

    fn of(text: &str) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

impl fmt::Debug for AdminKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminKeyHash(…)")
    }
}

/// A credential just made: its text is shown once and never stored.
pub struct IssuedAdminKey {
    /// The public id.
    pub id: KeyId,
    /// What to store.
    pub hash: AdminKeyHash,
    /// What to hand out.
    pub text: Secret,
}

impl IssuedAdminKey {
    /// Makes a credential of `random`.
    pub fn generate(random: &KeyRandomness) -> Self {
        let id_text: [u8; 12] = base62::encode(&random.id);
        let secret: Zeroizing<[u8; SECRET_LENGTH]> = Zeroizing::new(base62::encode(&random.secret));
        let mut text = String::with_capacity(ADMIN_KEY_LENGTH);
        text.push_str(PREFIX);
        text.extend(id_text.iter().map(|&byte| char::from(byte)));
        text.push('_');
        text.extend(secret.iter().map(|&byte| char::from(byte)));
        let checksum = checksum(text.as_bytes());
        text.push('_');
        text.extend(checksum.iter().map(|&byte| char::from(byte)));
        Self {
            id: KeyId::from_base62(id_text),
            hash: AdminKeyHash::of(&text),
            text: Secret::new(text),
        }
    }
}

/// A credential as somebody presented it, well-formed; nothing says yet that it is known.
#[derive(Debug)]
pub struct PresentedAdminKey {
    /// The public id to look it up by.
    pub id: KeyId,
    /// What to compare with the stored hash.
    pub hash: AdminKeyHash,
}

impl PresentedAdminKey {
    /// Reads what stood after `Bearer `, and checks every character of it. A credential with a typing
    /// mistake, and a gate key, cost no look into the store.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != ADMIN_KEY_LENGTH {
            return None;
        }
        let mut parts = text.strip_prefix(PREFIX)?.split('_');
        let id = KeyId::parse(parts.next()?)?;
        let (secret, given) = (parts.next()?, parts.next()?);
        let (checked, _) = text.as_bytes().split_at(ADMIN_KEY_LENGTH - CHECKSUM_LENGTH - 1);
        let good = parts.next().is_none()
            && secret.len() == SECRET_LENGTH
            && base62::is_base62(secret.as_bytes())
            && *given.as_bytes() == checksum(checked);
        good.then(|| Self {
            id,
            hash: AdminKeyHash::of(text),
        })
    }
}

/// Whether `text` begins with something of a credential's form, whatever its checksum.
pub(super) fn begins(text: &[u8]) -> bool {
    let Some(text) = text
        .get(..ADMIN_KEY_LENGTH)
        .and_then(|text| text.strip_prefix(PREFIX.as_bytes()))
    else {
        return false;
    };
    let mut parts = text.split(|&byte| byte == b'_');
    let mut is = |length: usize| {
        parts
            .next()
            .is_some_and(|part| part.len() == length && base62::is_base62(part))
    };
    is(12) && is(SECRET_LENGTH) && is(CHECKSUM_LENGTH)
}

fn checksum(text: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    base62::encode_u32(crc32fast::hash(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::key::{Environment, IssuedKey, PresentedKey};

    fn random(seed: u8) -> KeyRandomness {
        KeyRandomness {
            id: [seed; 12],
            secret: Zeroizing::new([seed; 32]),
        }
    }

    #[test]
    fn a_made_credential_is_read_back_with_id_and_hash() {
        for seed in [0, 1, 127, 255] {
            let issued = IssuedAdminKey::generate(&random(seed));
            assert_eq!(issued.text.expose().len(), ADMIN_KEY_LENGTH);
            let presented = PresentedAdminKey::parse(issued.text.expose()).unwrap();
            assert_eq!(presented.id, issued.id);
            assert!(presented.hash.matches(&issued.hash));
            assert!(!AdminKeyHash::NOBODY.matches(&issued.hash));
        }
    }

    #[test]
    fn the_format_is_a_contract() {
        insta::assert_snapshot!(
            IssuedAdminKey::generate(&random(7)).text.expose(),
            @"sga_vso8EmzYk4j1_1fJjkkpe9PiTw9KSulA8Ghct30vZz4HpdQ5c5b9cPF1_28olLZ"
        );
    }

    #[test]
    fn no_text_is_both_a_gate_key_and_an_admin_credential() {
        for seed in 0..=255 {
            let admin = IssuedAdminKey::generate(&random(seed));
            let admin = admin.text.expose();
            assert!(PresentedKey::read(admin).is_err());
            assert!(PresentedKey::read(&format!("{admin}~acme")).is_err());
            for environment in [Environment::Live, Environment::Demo] {
                let key = IssuedKey::generate(environment, &random(seed));
                assert!(PresentedAdminKey::parse(key.text.expose()).is_none());
            }
        }
    }

    #[test]
    fn one_wrong_character_anywhere_is_no_credential() {
        let text = IssuedAdminKey::generate(&random(3)).text.expose().to_owned();
        for place in 0..text.len() {
            for other in ["x", "y", "_", "~", " "] {
                let mut wrong = text.clone();
                wrong.replace_range(place..=place, other);
                if wrong != text {
                    assert!(PresentedAdminKey::parse(&wrong).is_none(), "{place} {other}");
                }
            }
        }
        for wrong in [
            String::new(),
            text[1..].to_owned(),
            format!("{text}~acme"),
            format!("{text} "),
            text.to_uppercase(),
            "ä".repeat(33),
            "_".repeat(67),
            "x".repeat(100_000),
        ] {
            assert!(PresentedAdminKey::parse(&wrong).is_none(), "{wrong:.80}");
        }
    }

    #[test]
    fn a_credential_is_found_wherever_it_stands_in_a_text() {
        let good = IssuedAdminKey::generate(&random(3)).text.expose().to_owned();
        let typo = format!("{}x", &good[..ADMIN_KEY_LENGTH - 1]);
        for text in [good.clone(), typo, format!("sgsga_{good}"), format!("a,{good},b")] {
            assert!(crate::access::key::stands_in(&text), "{text}");
        }
        for text in ["sga_", &good[..ADMIN_KEY_LENGTH - 1], &good[1..], "sga_contact"] {
            assert!(!crate::access::key::stands_in(text), "{text}");
        }
    }

    #[test]
    fn neither_credential_nor_hash_prints() {
        let issued = IssuedAdminKey::generate(&random(3));
        let presented = PresentedAdminKey::parse(issued.text.expose()).unwrap();
        let printed = format!("{presented:?} {:?} {:?}", issued.hash, issued.text);
        assert!(!printed.contains(&issued.text.expose()[17..60]));
        assert!(printed.contains("AdminKeyHash(…)"));
    }
}
