//! Plaintext of credentials, briefly: the master key, and envelope sealing under it.
//!
//! Each connection and each app has a data key of its own, wrapped by the master key; what is sealed
//! under it says in its associated data whose it is, which field and which version, so that sealed
//! bytes moved elsewhere in the store do not open. Destroying a data key destroys what it sealed.
//! Knows no store and no HubSpot; only bytes and where they belong.

mod digest;
mod master_key;
mod seal;
pub mod secret_file;

pub use digest::CredentialDigest;
pub use master_key::{MasterKey, MasterKeyError};
pub use seal::{DataKey, Owner, Place, Sealed, VaultError, WrappedKey};

use aws_lc_rs::hmac;

use crate::secret::Secret;

/// A tag by which a wrong master key is recognised before anything is opened with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCheck([u8; 32]);

impl KeyCheck {
    /// A stored tag.
    pub fn from_stored(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store: not a secret.
    pub fn to_stored(&self) -> [u8; 32] {
        self.0
    }
}

/// The master key does not belong to the store: nothing of it would open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the master key is not the one this store was sealed with: point `master_key` at the right one, or at a fresh store"
)]
pub struct WrongMasterKey;

/// A keyed fingerprint of a refresh token: tells whether two records hold the same one, and nothing else,
/// not even to who guesses tokens, unless they have the master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GrantPrint([u8; 32]);

impl GrantPrint {
    /// As read from the store; `None` for what is none.
    pub fn from_stored(bytes: Vec<u8>) -> Option<Self> {
        <[u8; 32]>::try_from(bytes).ok().map(Self)
    }

    /// As written to the store.
    pub fn as_stored(&self) -> &[u8] {
        &self.0
    }
}

/// Opens and makes data keys. Holds subkeys of the master key, never the master key itself.
pub struct Vault {
    wrapping: seal::WrappingKey,
    printing: hmac::Key,
    signing: hmac::Key,
    check: KeyCheck,
}

impl Vault {
    /// A vault for the store with id `store`. With `recorded`, the store's own tag, a wrong key is
    /// refused here, before any record is touched; without it, record [`Vault::key_check`].
    pub fn open(
        master: &MasterKey,
        store: &str,
        recorded: Option<&KeyCheck>,
    ) -> Result<Self, WrongMasterKey> {
        let check = key_check(master, store).ok_or(WrongMasterKey)?;
        if recorded.is_some_and(|recorded| *recorded != check) {
            return Err(WrongMasterKey);
        }
        let wrapping = master
            .derive(b"scopegate wrapping key 1")
            .and_then(|key| seal::WrappingKey::new(&key))
            .ok_or(WrongMasterKey)?;
        let printing = master
            .derive(b"scopegate grant print 1")
            .map(|key| hmac::Key::new(hmac::HMAC_SHA256, &*key))
            .ok_or(WrongMasterKey)?;
        let signing = master
            .derive(b"scopegate ticket key 1")
            .map(|key| hmac::Key::new(hmac::HMAC_SHA256, &*key))
            .ok_or(WrongMasterKey)?;
        Ok(Self {
            wrapping,
            printing,
            signing,
            check,
        })
    }

    /// By what a refresh token is recognised in another record.
    pub fn grant_print(&self, refresh_token: &Secret) -> GrantPrint {
        let tag = hmac::sign(&self.printing, refresh_token.expose().as_bytes());
        let mut print = [0; 32];
        print.copy_from_slice(tag.as_ref());
        GrantPrint(print)
    }

    /// Signs the parts of a ticket, each with its length, so that no two lists of parts are one text.
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        let tag = hmac::sign(&self.signing, &framed(parts));
        // Invariant: HMAC-SHA-256 has 32 bytes.
        <[u8; 32]>::try_from(tag.as_ref()).unwrap_or_default()
    }

    /// Whether `tag` is the signature of `parts`, compared in constant time.
    pub fn is_signed(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        hmac::verify(&self.signing, &framed(parts), tag).is_ok()
    }

    /// What to record in a store that has no tag yet.
    pub fn key_check(&self) -> &KeyCheck {
        &self.check
    }

    /// A new data key for `owner`, and the form to store.
    pub fn new_data_key(&self, owner: &Owner) -> Result<(DataKey, WrappedKey), VaultError> {
        self.wrapping.generate(owner)
    }

    /// The data key of `owner`. Fails for one that was wrapped for somebody else, or altered.
    pub fn data_key(&self, owner: &Owner, wrapped: &WrappedKey) -> Result<DataKey, VaultError> {
        self.wrapping.unwrap(owner, wrapped)
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(…)")
    }
}

fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let mut text = Vec::with_capacity(256);
    for part in parts {
        text.extend_from_slice(&(part.len() as u64).to_be_bytes());
        text.extend_from_slice(part);
    }
    text
}

fn key_check(master: &MasterKey, store: &str) -> Option<KeyCheck> {
    let key = master.derive(b"scopegate key check 1")?;
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*key), store.as_bytes());
    <[u8; 32]>::try_from(tag.as_ref()).ok().map(KeyCheck)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_recognised_under_its_own_master_key_only() {
        let vault = |byte| Vault::open(&MasterKey::from_bytes([byte; 32]), "store", None).unwrap();
        let token = |text: &str| Secret::new(text.to_owned());
        let print = vault(1).grant_print(&token("canary"));
        assert_eq!(print, vault(1).grant_print(&token("canary")));
        assert_ne!(print, vault(1).grant_print(&token("canary-2")));
        assert_ne!(print, vault(2).grant_print(&token("canary")));
        assert_eq!(GrantPrint::from_stored(print.as_stored().to_vec()), Some(print));
    }

    #[test]
    fn a_signature_holds_for_its_parts_under_its_key_and_for_nothing_else() {
        let vault = |byte| Vault::open(&MasterKey::from_bytes([byte; 32]), "store", None).unwrap();
        let tag = vault(1).sign(&[b"ab", b"c"]);
        assert!(vault(1).is_signed(&[b"ab", b"c"], &tag));
        for parts in [&[&b"a"[..], b"bc"][..], &[b"ab", b"c", b""], &[b"ab"]] {
            assert!(!vault(1).is_signed(parts, &tag));
        }
        assert!(!vault(2).is_signed(&[b"ab", b"c"], &tag));
        assert!(!vault(1).is_signed(&[b"ab", b"c"], &tag[..31]));
    }

    #[test]
    fn a_wrong_master_key_is_one_clear_error_before_anything_is_opened() {
        let right = MasterKey::from_bytes([1; 32]);
        let vault = Vault::open(&right, "store-a", None).unwrap();
        let recorded = vault.key_check().clone();
        assert!(Vault::open(&right, "store-a", Some(&recorded)).is_ok());
        let wrong = MasterKey::from_bytes([2; 32]);
        assert_eq!(
            Vault::open(&wrong, "store-a", Some(&recorded)).err(),
            Some(WrongMasterKey)
        );
        assert!(Vault::open(&right, "store-b", Some(&recorded)).is_err());
    }
}
