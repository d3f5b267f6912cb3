//! Plaintext of credentials, briefly: the master key, and envelope sealing under it.
//!
//! Each connection and each app has a data key of its own, wrapped by the master key; what is sealed
//! under it says in its associated data whose it is, which field and which version, so that sealed
//! bytes moved elsewhere in the store do not open. Destroying a data key destroys what it sealed.
//! Knows no store and no HubSpot; only bytes and where they belong.

mod command;
mod digest;
mod held;
mod master_key;
mod rotation;
mod rows;
mod seal;
pub mod secret_file;

pub use digest::CredentialDigest;
pub use held::{HeldKeys, next_to};
pub use master_key::{MasterKey, MasterKeyError};
pub use rotation::Rotation;
pub use rows::{RowKey, RowSeal};
pub use seal::{DataKey, KeyPrint, Owner, Place, Sealed, VaultError, WrappedKey};

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

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
    "the master key is not the one this store was sealed with: point `master_key` at the right one (after a rotation, \
     the new one), or at a fresh store"
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

/// What a store has recorded about its master key.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// The tag of the key it is sealed with; `None` = it has seen none.
    pub check: Option<KeyCheck>,
    /// What refresh tokens are recognised by, once a rotation has made it a value of its own.
    pub print_key: Option<Sealed>,
    /// A rotation under way: the next key's tag, and the key, sealed under the present one.
    pub next: Option<(KeyCheck, Sealed)>,
}

/// Opens and makes data keys. Holds subkeys of the master key, never the master key itself; while the
/// master key is being rotated, those of both.
pub struct Vault {
    store: String,
    printing: hmac::Key,
    ring: ArcSwap<Ring>,
}

/// What new data keys are wrapped with, and what else opens old ones.
struct Ring {
    current: Arc<Keys>,
    other: Option<Arc<Keys>>,
}

impl Ring {
    fn all(&self) -> impl Iterator<Item = &Arc<Keys>> {
        std::iter::once(&self.current).chain(&self.other)
    }
}

impl Vault {
    /// A vault for the store with id `store`. With `recorded`, the store's own tag, a wrong key is
    /// refused here, before any record is touched; without it, record [`Vault::key_check`].
    pub fn open(
        master: &MasterKey,
        store: &str,
        recorded: Option<&KeyCheck>,
    ) -> Result<Self, WrongMasterKey> {
        let recorded = Recorded {
            check: recorded.cloned(),
            ..Recorded::default()
        };
        Self::open_recorded(master, store, &recorded)
    }

    /// The same with all that a store has recorded: in the middle of a rotation both keys open.
    pub fn open_recorded(
        master: &MasterKey,
        store: &str,
        recorded: &Recorded,
    ) -> Result<Self, WrongMasterKey> {
        let keys = Keys::of(master, store).ok_or(WrongMasterKey)?;
        if recorded.check.as_ref().is_some_and(|check| *check != keys.check) {
            return Err(WrongMasterKey);
        }
        let printing = match &recorded.print_key {
            None => Some(Zeroizing::new(*keys.own_print)),
            Some(sealed) => keys.wrapping.open_own(rotation::PRINT_KEY, sealed).ok(),
        };
        let printing = printing.ok_or(WrongMasterKey)?;
        let vault = Self {
            store: store.to_owned(),
            printing: hmac::Key::new(hmac::HMAC_SHA256, &*printing),
            ring: ArcSwap::from_pointee(Ring {
                current: Arc::new(keys),
                other: None,
            }),
        };
        vault.follow(recorded)?;
        Ok(vault)
    }

    /// Comes to terms with what the store has recorded by now: takes a key that was announced, sealed under
    /// one that is here, and wraps with it from now on; lets the old one go once the store is under the new.
    pub fn follow(&self, recorded: &Recorded) -> Result<(), WrongMasterKey> {
        let Some(check) = &recorded.check else {
            return Ok(());
        };
        let ring = self.ring.load();
        let counts = ring
            .all()
            .find(|keys| keys.check == *check)
            .ok_or(WrongMasterKey)?;
        let next = match &recorded.next {
            None => Ring {
                current: Arc::clone(counts),
                other: None,
            },
            Some((next, sealed)) => {
                let bytes = counts.wrapping.open_own(rotation::NEXT_KEY, sealed);
                let master = MasterKey::from_bytes(*bytes.map_err(|_| WrongMasterKey)?);
                let keys = Keys::of(&master, &self.store).filter(|keys| keys.check == *next);
                Ring {
                    current: Arc::new(keys.ok_or(WrongMasterKey)?),
                    other: Some(Arc::clone(counts)),
                }
            }
        };
        self.ring.store(Arc::new(next));
        Ok(())
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
        let tag = hmac::sign(&self.ring.load().current.signing, &framed(parts));
        // Invariant: HMAC-SHA-256 has 32 bytes.
        <[u8; 32]>::try_from(tag.as_ref()).unwrap_or_default()
    }

    /// Whether `tag` is the signature of `parts`, compared in constant time.
    pub fn is_signed(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        let text = framed(parts);
        let ring = self.ring.load();
        ring.all()
            .any(|keys| hmac::verify(&keys.signing, &text, tag).is_ok())
    }

    /// What to record in a store that has no tag yet.
    pub fn key_check(&self) -> KeyCheck {
        self.ring.load().current.check.clone()
    }

    /// A new key that seals the rows of a store, and the form to store: a data key of [`Owner::store`].
    pub fn new_row_key(&self) -> Result<(RowKey, WrappedKey), VaultError> {
        let ring = self.ring.load();
        let (key, wrapped) = ring.current.wrapping.generate_signing(&Owner::store())?;
        Ok((RowKey::new(key), wrapped.made_under(&ring.current.check)))
    }

    /// The key that seals the rows of a store.
    pub fn row_key(&self, wrapped: &WrappedKey) -> Result<RowKey, VaultError> {
        let ring = self.ring.load();
        let mut opened = ring
            .all()
            .map(|keys| keys.wrapping.unwrap_signing(&Owner::store(), wrapped));
        let key = opened
            .find(Result::is_ok)
            .unwrap_or(Err(VaultError::DoesNotOpen))?;
        Ok(RowKey::new(key))
    }

    /// A new data key for `owner`, and the form to store.
    pub fn new_data_key(&self, owner: &Owner) -> Result<(DataKey, WrappedKey), VaultError> {
        let ring = self.ring.load();
        let (key, wrapped) = ring.current.wrapping.generate(owner)?;
        Ok((key, wrapped.made_under(&ring.current.check)))
    }

    /// The data key of `owner`. Fails for one that was wrapped for somebody else, or altered.
    pub fn data_key(&self, owner: &Owner, wrapped: &WrappedKey) -> Result<DataKey, VaultError> {
        let ring = self.ring.load();
        let mut opened = ring.all().map(|keys| keys.wrapping.unwrap(owner, wrapped));
        opened.find(Result::is_ok).unwrap_or(Err(VaultError::DoesNotOpen))
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(…)")
    }
}

/// Subkeys of one master key.
struct Keys {
    wrapping: seal::WrappingKey,
    signing: hmac::Key,
    /// What refresh tokens are recognised by in a store whose key was never rotated.
    own_print: Zeroizing<[u8; 32]>,
    check: KeyCheck,
}

impl Keys {
    fn of(master: &MasterKey, store: &str) -> Option<Self> {
        let signing = master.derive(b"scopegate ticket key 1")?;
        Some(Self {
            wrapping: seal::WrappingKey::new(&*master.derive(b"scopegate wrapping key 1")?)?,
            signing: hmac::Key::new(hmac::HMAC_SHA256, &*signing),
            own_print: master.derive(b"scopegate grant print 1")?,
            check: key_check(master, store)?,
        })
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
        let recorded = vault.key_check();
        assert!(Vault::open(&right, "store-a", Some(&recorded)).is_ok());
        let wrong = MasterKey::from_bytes([2; 32]);
        assert_eq!(
            Vault::open(&wrong, "store-a", Some(&recorded)).err(),
            Some(WrongMasterKey)
        );
        assert!(Vault::open(&right, "store-b", Some(&recorded)).is_err());
    }
}
