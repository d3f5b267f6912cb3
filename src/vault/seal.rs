//! AES-256-GCM under data keys, bound to the place the sealed bytes belong to.
//!
//! Nonces are random, 96 bits: a data key seals two tokens per refresh, some 35,000 a year, far below
//! the 2^32 that random nonces allow (NIST SP 800-38D, 8.3); the master key wraps one data key per
//! connection.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::KeyCheck;
use crate::secret::Secret;

const FORMAT: u8 = 1;
const NONCE_LENGTH: usize = 12;
const TAG_LENGTH: usize = 16;
const KEY_LENGTH: usize = 32;

/// Longest plain text that is sealed. HubSpot's access tokens have up to 512 characters.
const PLAIN_MAX: usize = 64 * 1024;

/// Why sealed bytes did not open. Says nothing about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// Altered, moved from elsewhere, of another version, or sealed under another key.
    #[error("a sealed value in the store does not open: it was altered, or belongs to another record")]
    DoesNotOpen,
    /// Longer than anything that is sealed.
    #[error("a value is too long to be sealed")]
    TooLong,
    /// The system gave no random bytes.
    #[error("the system has no random bytes")]
    NoRandomness,
}

/// Whose data key it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner(String);

impl Owner {
    /// A connection, by id.
    pub fn connection(id: &crate::access::connection::ConnectionId) -> Self {
        Self(format!("connection:{id}"))
    }

    /// An install under way, by id.
    pub fn install(id: &str) -> Self {
        Self(format!("install:{id}"))
    }

    /// An app, by name.
    pub fn app(name: &str) -> Self {
        Self(format!("app:{name}"))
    }

    /// The store itself, for the few values that are nobody's.
    pub fn store() -> Self {
        Self("store".to_owned())
    }
}

/// Where a sealed value belongs. Opening it for any other place fails.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Whose record.
    pub owner: &'a Owner,
    /// Which field of it.
    pub field: &'static str,
    /// Which version of the field: the generation of a token.
    pub version: u64,
}

/// Bytes sealed under a data key, as the store holds them.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// As read from the store.
    pub fn from_stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// As written to the store.
    pub fn as_stored(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// A data key wrapped by the master key, as the store holds it.
#[derive(Clone)]
pub struct WrappedKey {
    bytes: Vec<u8>,
    /// Which master key wrapped it, if that was just now: the store takes it only while that one counts.
    under: Option<KeyCheck>,
}

impl WrappedKey {
    /// As read from the store.
    pub fn from_stored(bytes: Vec<u8>) -> Self {
        Self { bytes, under: None }
    }

    /// As written to the store.
    pub fn as_stored(&self) -> &[u8] {
        &self.bytes
    }

    /// The check value of the master key that wrapped it; `None` for one that came from the store.
    pub fn under(&self) -> Option<&KeyCheck> {
        self.under.as_ref()
    }

    pub(super) fn made_under(mut self, check: &KeyCheck) -> Self {
        self.under = Some(check.clone());
        self
    }
}

impl PartialEq for WrappedKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for WrappedKey {}

impl std::fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WrappedKey({} bytes)", self.bytes.len())
    }
}

/// What a data key is recognised by, however it is wrapped: another master key changes the wrapping alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPrint([u8; 32]);

impl KeyPrint {
    fn of(raw: &[u8]) -> Self {
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, raw),
            b"scopegate data key print 1",
        );
        // Invariant: HMAC-SHA-256 has 32 bytes.
        Self(<[u8; 32]>::try_from(tag.as_ref()).unwrap_or_default())
    }
}

/// Seals and opens the values of one owner.
pub struct DataKey {
    key: RandomizedNonceKey,
    print: KeyPrint,
}

impl DataKey {
    fn of(raw: &[u8]) -> Option<Self> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, raw).ok()?;
        let print = KeyPrint::of(raw);
        Some(Self { key, print })
    }

    /// What it is recognised by.
    pub fn print(&self) -> KeyPrint {
        self.print
    }

    /// Seals `plain` for `place`.
    pub fn seal(&self, place: Place<'_>, plain: &Secret) -> Result<Sealed, VaultError> {
        let context = context(place.owner, place.field, place.version);
        seal(&self.key, &context, plain.expose().as_bytes()).map(Sealed)
    }

    /// Opens what was sealed for exactly this place.
    pub fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<Secret, VaultError> {
        let context = context(place.owner, place.field, place.version);
        let plain = open(&self.key, &context, &sealed.0)?;
        let text = std::str::from_utf8(&plain).map_err(|_| VaultError::DoesNotOpen)?;
        Ok(Secret::new(text.to_owned()))
    }
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey(…)")
    }
}

/// Wraps data keys; derived from the master key.
pub(super) struct WrappingKey(RandomizedNonceKey);

impl WrappingKey {
    pub(super) fn new(key: &[u8; KEY_LENGTH]) -> Option<Self> {
        RandomizedNonceKey::new(&AES_256_GCM, key).ok().map(Self)
    }

    pub(super) fn generate(&self, owner: &Owner) -> Result<(DataKey, WrappedKey), VaultError> {
        let mut raw = Zeroizing::new([0; KEY_LENGTH]);
        aws_lc_rs::rand::fill(&mut *raw).map_err(|_| VaultError::NoRandomness)?;
        let wrapped = seal(&self.0, &context(owner, "data-key", 0), &*raw)?;
        let key = DataKey::of(&*raw).ok_or(VaultError::NoRandomness)?;
        Ok((key, WrappedKey::from_stored(wrapped)))
    }

    /// A new key of the same kind, for signing in place of sealing.
    pub(super) fn generate_signing(&self, owner: &Owner) -> Result<(hmac::Key, WrappedKey), VaultError> {
        let mut raw = Zeroizing::new([0; KEY_LENGTH]);
        aws_lc_rs::rand::fill(&mut *raw).map_err(|_| VaultError::NoRandomness)?;
        let wrapped = seal(&self.0, &context(owner, "data-key", 0), &*raw)?;
        Ok((
            hmac::Key::new(hmac::HMAC_SHA256, &*raw),
            WrappedKey::from_stored(wrapped),
        ))
    }

    pub(super) fn unwrap_signing(
        &self,
        owner: &Owner,
        wrapped: &WrappedKey,
    ) -> Result<hmac::Key, VaultError> {
        let raw = open(&self.0, &context(owner, "data-key", 0), &wrapped.bytes)?;
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &raw))
    }

    pub(super) fn unwrap(&self, owner: &Owner, wrapped: &WrappedKey) -> Result<DataKey, VaultError> {
        let raw = open(&self.0, &context(owner, "data-key", 0), &wrapped.bytes)?;
        DataKey::of(&raw).ok_or(VaultError::DoesNotOpen)
    }

    /// The same data key, wrapped by this key in place of `old`.
    pub(super) fn rewrap(
        &self,
        old: &WrappingKey,
        owner: &Owner,
        wrapped: &WrappedKey,
    ) -> Result<WrappedKey, VaultError> {
        let context = context(owner, "data-key", 0);
        let raw = open(&old.0, &context, &wrapped.bytes)?;
        seal(&self.0, &context, &raw).map(WrappedKey::from_stored)
    }

    /// Seals 32 bytes that are the store's own.
    pub(super) fn seal_own(&self, field: &str, bytes: &[u8; KEY_LENGTH]) -> Result<Sealed, VaultError> {
        seal(&self.0, &context(&Owner::store(), field, 0), bytes).map(Sealed)
    }

    /// Opens what [`WrappingKey::seal_own`] sealed.
    pub(super) fn open_own(
        &self,
        field: &str,
        sealed: &Sealed,
    ) -> Result<Zeroizing<[u8; KEY_LENGTH]>, VaultError> {
        let plain = open(&self.0, &context(&Owner::store(), field, 0), &sealed.0)?;
        let mut bytes = Zeroizing::new([0; KEY_LENGTH]);
        if plain.len() != KEY_LENGTH {
            return Err(VaultError::DoesNotOpen);
        }
        bytes.copy_from_slice(&plain);
        Ok(bytes)
    }
}

/// The associated data: a list whose members carry their lengths, so that no two places share one.
fn context(owner: &Owner, field: &str, version: u64) -> Vec<u8> {
    let version = version.to_be_bytes();
    let members: [&[u8]; 4] = [&[FORMAT], owner.0.as_bytes(), field.as_bytes(), &version];
    let mut context = Vec::with_capacity(128);
    for member in members {
        context.extend_from_slice(&(member.len() as u64).to_be_bytes());
        context.extend_from_slice(member);
    }
    context
}

/// Format byte, nonce, cipher text, tag.
fn seal(key: &RandomizedNonceKey, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, VaultError> {
    if plain.len() > PLAIN_MAX {
        return Err(VaultError::TooLong);
    }
    // Room for the tag from the start: a buffer that grew would leave plain text behind.
    let mut text = Vec::with_capacity(plain.len() + TAG_LENGTH);
    text.extend_from_slice(plain);
    let nonce = key
        .seal_in_place_append_tag(Aad::from(context), &mut text)
        .map_err(|_| VaultError::NoRandomness)?;
    let mut sealed = Vec::with_capacity(1 + NONCE_LENGTH + text.len());
    sealed.push(FORMAT);
    sealed.extend_from_slice(nonce.as_ref());
    sealed.extend_from_slice(&text);
    Ok(sealed)
}

fn open(key: &RandomizedNonceKey, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let rest = sealed.strip_prefix(&[FORMAT]).ok_or(VaultError::DoesNotOpen)?;
    let (nonce, text) = rest
        .split_first_chunk::<NONCE_LENGTH>()
        .ok_or(VaultError::DoesNotOpen)?;
    let mut buffer = Zeroizing::new(text.to_vec());
    let length = key
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(context),
            &mut buffer,
        )
        .map_err(|_| VaultError::DoesNotOpen)?
        .len();
    buffer.truncate(length);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::connection::ConnectionId;
    use crate::vault::{MasterKey, Vault};

    fn vault() -> Vault {
        Vault::open(&MasterKey::from_bytes([7; 32]), "store", None).unwrap()
    }

    fn owner(seed: u8) -> Owner {
        Owner::connection(&ConnectionId::generate([seed; 12]))
    }

    fn place<'a>(owner: &'a Owner, field: &'static str, version: u64) -> Place<'a> {
        Place {
            owner,
            field,
            version,
        }
    }

    #[test]
    fn what_was_sealed_opens_in_its_place_only() {
        let vault = vault();
        let (mine, other) = (owner(1), owner(2));
        let (key, wrapped) = vault.new_data_key(&mine).unwrap();
        let plain = Secret::new("canary".to_owned());
        let sealed = key.seal(place(&mine, "access", 3), &plain).unwrap();
        let key = vault.data_key(&mine, &wrapped).unwrap();
        assert_eq!(
            key.open(place(&mine, "access", 3), &sealed).unwrap().expose(),
            "canary"
        );
        for elsewhere in [
            place(&mine, "refresh", 3),
            place(&mine, "access", 2),
            place(&other, "access", 3),
        ] {
            assert_eq!(key.open(elsewhere, &sealed).err(), Some(VaultError::DoesNotOpen));
        }
    }

    #[test]
    fn a_data_key_moved_to_another_record_does_not_unwrap() {
        let vault = vault();
        let (_, wrapped) = vault.new_data_key(&owner(1)).unwrap();
        assert!(vault.data_key(&owner(2), &wrapped).is_err());
        let app = Owner::app("x");
        assert!(vault.data_key(&app, &wrapped).is_err());
    }

    #[test]
    fn every_altered_or_cut_byte_is_noticed() {
        let vault = vault();
        let owner = owner(1);
        let (key, _) = vault.new_data_key(&owner).unwrap();
        let sealed = key
            .seal(place(&owner, "access", 1), &Secret::new("x".to_owned()))
            .unwrap();
        for index in 0..sealed.0.len() {
            let mut altered = sealed.clone();
            altered.0[index] ^= 1;
            assert!(key.open(place(&owner, "access", 1), &altered).is_err(), "{index}");
            let cut = Sealed(sealed.0[..index].to_vec());
            assert!(key.open(place(&owner, "access", 1), &cut).is_err(), "cut {index}");
        }
    }

    #[test]
    fn sealing_the_same_twice_gives_different_bytes_without_the_plain_text() {
        let vault = vault();
        let owner = owner(1);
        let (key, wrapped) = vault.new_data_key(&owner).unwrap();
        let plain = Secret::new("canary-canary".to_owned());
        let one = key.seal(place(&owner, "access", 1), &plain).unwrap();
        let two = key.seal(place(&owner, "access", 1), &plain).unwrap();
        assert_ne!(one, two);
        assert!(memchr::memmem::find(&one.0, b"canary").is_none());
        assert_eq!(
            format!("{one:?} {wrapped:?} {key:?}"),
            "Sealed(42 bytes) WrappedKey(61 bytes) DataKey(…)"
        );
    }

    #[test]
    fn what_is_too_long_is_not_sealed() {
        let vault = vault();
        let owner = owner(1);
        let (key, _) = vault.new_data_key(&owner).unwrap();
        let long = Secret::new("x".repeat(PLAIN_MAX + 1));
        assert_eq!(
            key.seal(place(&owner, "access", 1), &long).err(),
            Some(VaultError::TooLong)
        );
    }
}
