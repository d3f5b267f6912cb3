//! From one master key to another: data keys stay what they are and are wrapped anew.
//!
//! The new key reaches a running gate sealed under the old one, in the store, and only while the rotation is
//! under way: such a gate can neither read key files nor run commands any more.

use zeroize::Zeroizing;

use super::{KeyCheck, Keys, MasterKey, Owner, Recorded, Sealed, VaultError, WrappedKey, WrongMasterKey};

/// The store's own values, as their associated data names them.
pub(super) const PRINT_KEY: &str = "grant-print-key";
pub(super) const NEXT_KEY: &str = "next-master-key";

/// Both keys, and what is kept from the old one.
pub struct Rotation {
    old: Keys,
    new: Keys,
    announced: Sealed,
    print_key: Sealed,
}

impl Rotation {
    /// From `old`, the key that the store with id `store` is sealed with, to `new`.
    pub fn new(
        old: &MasterKey,
        new: &MasterKey,
        store: &str,
        recorded: &Recorded,
    ) -> Result<Self, WrongMasterKey> {
        let old = Keys::of(old, store).ok_or(WrongMasterKey)?;
        let next = Keys::of(new, store).ok_or(WrongMasterKey)?;
        if recorded.check.as_ref() != Some(&old.check) {
            return Err(WrongMasterKey);
        }
        // Records go on being compared: what they were compared by goes along.
        let print_key = match &recorded.print_key {
            None => Zeroizing::new(*old.own_print),
            Some(sealed) => old
                .wrapping
                .open_own(PRINT_KEY, sealed)
                .map_err(|_| WrongMasterKey)?,
        };
        let sealed = |result: Result<Sealed, VaultError>| result.map_err(|_| WrongMasterKey);
        Ok(Self {
            announced: sealed(old.wrapping.seal_own(NEXT_KEY, new.bytes()))?,
            print_key: sealed(next.wrapping.seal_own(PRINT_KEY, &print_key))?,
            old,
            new: next,
        })
    }

    /// The key that a rotation under way was announced with: for when its file was lost. `None` when none is
    /// under way.
    pub fn next_key(
        old: &MasterKey,
        store: &str,
        recorded: &Recorded,
    ) -> Result<Option<MasterKey>, WrongMasterKey> {
        let Some((check, sealed)) = &recorded.next else {
            return Ok(None);
        };
        let old = Keys::of(old, store).ok_or(WrongMasterKey)?;
        let bytes = old.wrapping.open_own(NEXT_KEY, sealed);
        let next = MasterKey::from_bytes(*bytes.map_err(|_| WrongMasterKey)?);
        match Keys::of(&next, store) {
            Some(keys) if keys.check == *check => Ok(Some(next)),
            _ => Err(WrongMasterKey),
        }
    }

    /// The tag of the key that counted so far.
    pub fn old_check(&self) -> &KeyCheck {
        &self.old.check
    }

    /// The tag of the key that is to count.
    pub fn new_check(&self) -> &KeyCheck {
        &self.new.check
    }

    /// The new key for running gates, sealed under the old one.
    pub fn announced(&self) -> &Sealed {
        &self.announced
    }

    /// What refresh tokens are recognised by, sealed under the new key.
    pub fn print_key(&self) -> &Sealed {
        &self.print_key
    }

    /// The same data key under the new master key; one that is already is left as it is.
    pub fn rewrap(&self, owner: &Owner, wrapped: &WrappedKey) -> Result<WrappedKey, VaultError> {
        if self.new.wrapping.unwrap(owner, wrapped).is_ok() {
            return Ok(wrapped.clone());
        }
        self.new.wrapping.rewrap(&self.old.wrapping, owner, wrapped)
    }
}

impl std::fmt::Debug for Rotation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rotation(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::vault::{Place, Vault};

    const STORE: &str = "store";

    fn master(byte: u8) -> MasterKey {
        MasterKey::from_bytes([byte; 32])
    }

    fn recorded(byte: u8) -> Recorded {
        let vault = Vault::open(&master(byte), STORE, None).unwrap();
        Recorded {
            check: Some(vault.key_check()),
            ..Recorded::default()
        }
    }

    #[test]
    fn data_keys_go_over_to_the_new_key_and_open_what_they_sealed() {
        let owner = Owner::app("x");
        let place = Place {
            owner: &owner,
            field: "secret",
            version: 1,
        };
        let old = Vault::open(&master(1), STORE, None).unwrap();
        let (key, wrapped) = old.new_data_key(&owner).unwrap();
        let sealed = key.seal(place, &Secret::new("canary".to_owned())).unwrap();
        let rotation = Rotation::new(&master(1), &master(2), STORE, &recorded(1)).unwrap();
        let again = rotation.rewrap(&owner, &wrapped).unwrap();
        assert_ne!(again, wrapped);
        assert_eq!(rotation.rewrap(&owner, &again).unwrap(), again, "twice is once");
        let new = Vault::open(&master(2), STORE, Some(rotation.new_check())).unwrap();
        let under_new = new.data_key(&owner, &again).unwrap();
        assert_eq!(under_new.open(place, &sealed).unwrap().expose(), "canary");
        assert_eq!(under_new.print(), key.print(), "it is the same key");
        assert_ne!(old.new_data_key(&owner).unwrap().0.print(), key.print());
        assert!(new.data_key(&owner, &wrapped).is_err() && old.data_key(&owner, &again).is_err());
        assert!(
            rotation.rewrap(&Owner::app("y"), &wrapped).is_err(),
            "somebody else's stays closed"
        );
    }

    #[test]
    fn a_running_vault_follows_an_announcement_and_lets_the_old_key_go_at_the_end() {
        let (owner, token) = (Owner::app("x"), Secret::new("na1-refresh".to_owned()));
        let mut state = recorded(1);
        let running = Vault::open_recorded(&master(1), STORE, &state).unwrap();
        let (print, ticket) = (running.grant_print(&token), running.sign(&[b"a"]));
        let (_, before) = running.new_data_key(&owner).unwrap();
        let rotation = Rotation::new(&master(1), &master(2), STORE, &state).unwrap();
        state.next = Some((rotation.new_check().clone(), rotation.announced().clone()));
        running.follow(&state).unwrap();
        running.follow(&state).unwrap();
        let (_, between) = running.new_data_key(&owner).unwrap();
        assert_eq!(between.under(), Some(rotation.new_check()));
        assert!(running.data_key(&owner, &before).is_ok() && running.data_key(&owner, &between).is_ok());
        assert!(running.is_signed(&[b"a"], &ticket));
        let started = Vault::open_recorded(&master(1), STORE, &state).unwrap();
        assert!(
            started.data_key(&owner, &between).is_ok(),
            "a gate that starts in the middle"
        );
        let state = Recorded {
            check: Some(rotation.new_check().clone()),
            print_key: Some(rotation.print_key().clone()),
            next: None,
        };
        running.follow(&state).unwrap();
        assert!(running.data_key(&owner, &before).is_err() && running.data_key(&owner, &between).is_ok());
        assert!(
            !running.is_signed(&[b"a"], &ticket),
            "links end with the key that signed them"
        );
        for vault in [running, Vault::open_recorded(&master(2), STORE, &state).unwrap()] {
            assert_eq!(
                vault.grant_print(&token),
                print,
                "grants are recognised as before"
            );
        }
        assert!(Vault::open_recorded(&master(1), STORE, &state).is_err());
        let twice = Rotation::new(&master(2), &master(3), STORE, &state).unwrap();
        let state = Recorded {
            check: Some(twice.new_check().clone()),
            print_key: Some(twice.print_key().clone()),
            next: None,
        };
        let third = Vault::open_recorded(&master(3), STORE, &state).unwrap();
        assert_eq!(third.grant_print(&token), print);
    }

    #[test]
    fn neither_a_foreign_key_nor_an_altered_announcement_is_followed() {
        let state = recorded(1);
        assert!(Rotation::new(&master(9), &master(2), STORE, &state).is_err());
        let rotation = Rotation::new(&master(1), &master(2), STORE, &state).unwrap();
        let vault = Vault::open_recorded(&master(1), STORE, &state).unwrap();
        let announce = |check: &KeyCheck, sealed: Vec<u8>| Recorded {
            next: Some((check.clone(), Sealed::from_stored(sealed))),
            ..state.clone()
        };
        let good = rotation.announced().as_stored().to_vec();
        let mut altered = good.clone();
        altered[20] ^= 1;
        for wrong in [
            announce(rotation.new_check(), altered),
            announce(rotation.old_check(), good),
            recorded(7),
        ] {
            assert!(vault.follow(&wrong).is_err());
            assert!(!matches!(
                Rotation::next_key(&master(1), STORE, &wrong),
                Ok(Some(_))
            ));
        }
        let good = announce(rotation.new_check(), rotation.announced().as_stored().to_vec());
        let next = Rotation::next_key(&master(1), STORE, &good).unwrap().unwrap();
        assert_eq!(next.bytes(), master(2).bytes());
        assert!(Rotation::next_key(&master(2), STORE, &good).is_err());
        assert_eq!(
            vault.key_check(),
            *rotation.old_check(),
            "what is in force stays in force"
        );
    }
}
