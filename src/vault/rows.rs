//! Seals over what rows say in plain columns: whose key it is, which account a connection is.
//!
//! Sealed bytes are bound to their place by their associated data; plain columns are not, and whoever can
//! write the store could lift a key's rights by editing one. A seal is a tag under a key that only the
//! master key opens. The key is the store's own and wrapped like a data key, so that another master key
//! means wrapping it anew, never sealing every row anew.

use aws_lc_rs::hmac;

use super::framed;

/// Makes and checks seals of rows. Prints nothing.
#[derive(Clone)]
pub struct RowKey(hmac::Key);

/// A seal, as the store holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowSeal([u8; 32]);

impl RowSeal {
    /// As written to the store.
    pub fn as_stored(&self) -> &[u8] {
        &self.0
    }
}

impl RowKey {
    pub(super) fn new(key: hmac::Key) -> Self {
        Self(key)
    }

    /// The seal of these parts, the kind of row first. Each part is framed by its length: no two lists of
    /// parts are one text.
    pub fn seal(&self, parts: &[&[u8]]) -> RowSeal {
        let tag = hmac::sign(&self.0, &framed(parts));
        let mut seal = [0; 32];
        // Invariant: HMAC-SHA-256 has 32 bytes.
        seal.copy_from_slice(tag.as_ref());
        RowSeal(seal)
    }

    /// Whether `seal` is the seal of these parts, compared in constant time.
    pub fn holds(&self, parts: &[&[u8]], seal: &[u8]) -> bool {
        hmac::verify(&self.0, &framed(parts), seal).is_ok()
    }
}

impl std::fmt::Debug for RowKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RowKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use crate::vault::{MasterKey, Vault};

    #[test]
    fn a_seal_holds_for_its_parts_and_opens_under_its_master_key_alone() {
        let vault = |byte| Vault::open(&MasterKey::from_bytes([byte; 32]), "store", None).unwrap();
        let (key, wrapped) = vault(1).new_row_key().unwrap();
        let seal = key.seal(&[b"key", b"a", b""]);
        let again = vault(1).row_key(&wrapped).unwrap();
        assert!(again.holds(&[b"key", b"a", b""], seal.as_stored()));
        for parts in [&[&b"key"[..], b"", b"a"][..], &[b"key", b"a"], &[b"keya", b""]] {
            assert!(!again.holds(parts, seal.as_stored()));
        }
        assert!(!again.holds(&[b"key", b"a", b""], &seal.as_stored()[..31]));
        assert!(!again.holds(&[b"key", b"a", b""], &[]));
        assert!(vault(2).row_key(&wrapped).is_err());
        let (other, _) = vault(1).new_row_key().unwrap();
        assert!(!other.holds(&[b"key", b"a", b""], seal.as_stored()));
    }
}
