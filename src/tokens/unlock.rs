//! Store and master key brought together: the vault that opens what the store holds.

use crate::config::{KeyCommand, MasterKeySource};
use crate::store::{Sealing, Store, StoreError};
use crate::vault::{HeldKeys, KeyCheck, MasterKeyError, Recorded, Vault, VaultError, WrongMasterKey};

/// Why the store's secrets can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    /// No master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// Not this store's.
    #[error(transparent)]
    Wrong(#[from] WrongMasterKey),
    /// No key could be made.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Loads the master key and checks it against the store; a store that has seen none takes this one.
pub fn unlock(store: &Store, source: &MasterKeySource, how: &KeyCommand) -> Result<Vault, UnlockError> {
    unlock_with(store, &HeldKeys::load(source, how)?)
}

/// The same with keys that were loaded before.
pub fn unlock_with(store: &Store, keys: &HeldKeys) -> Result<Vault, UnlockError> {
    let recorded = store.recorded()?;
    let vault = keys.open(store.id(), &recorded)?;
    if recorded.check.is_none() && store.record_key_check(&vault.key_check())? != vault.key_check() {
        // Another process was first, with another key.
        return Err(WrongMasterKey.into());
    }
    store.seal_rows_with(&vault)?;
    Ok(vault)
}

/// Likewise, for a store of a version that had no seals yet: what it needs to get them.
pub fn unlock_to_seal(
    id: &str,
    recorded: Option<&KeyCheck>,
    source: &MasterKeySource,
    how: &KeyCommand,
) -> Result<Sealing, UnlockError> {
    // A store without seals is older than rotations: there is nothing more to know of its master key.
    let recorded = Recorded {
        check: recorded.cloned(),
        ..Recorded::default()
    };
    let vault = HeldKeys::load(source, how)?.open(id, &recorded)?;
    let (rows, stored) = vault.new_row_key()?;
    Ok(Sealing {
        check: vault.key_check(),
        rows,
        stored,
        by: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::{MasterKey, secret_file};

    #[test]
    fn a_store_takes_its_first_master_key_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("s.db")).unwrap();
        let source = |name: &str| {
            let path = dir.path().join(name);
            secret_file::write_new(&path, &MasterKey::generate().unwrap().to_text()).unwrap();
            MasterKeySource::File(path)
        };
        let unlock = |store: &Store, source| unlock(store, source, &KeyCommand::default());
        let (first, second) = (source("a"), source("b"));
        assert!(unlock(&store, &first).is_ok());
        assert!(unlock(&store, &first).is_ok());
        let message = unlock(&store, &second).unwrap_err().to_string();
        assert!(
            message.contains("not the one this store was sealed with"),
            "{message}"
        );
    }
}
