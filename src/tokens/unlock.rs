//! Store and master key brought together: the vault that opens what the store holds.

use crate::config::MasterKeySource;
use crate::store::{Store, StoreError};
use crate::vault::{MasterKey, MasterKeyError, Vault, WrongMasterKey};

/// Why the store's secrets can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    /// No master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// Not this store's.
    #[error(transparent)]
    Wrong(#[from] WrongMasterKey),
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Loads the master key and checks it against the store; a store that has seen none takes this one.
pub fn unlock(store: &Store, source: &MasterKeySource) -> Result<Vault, UnlockError> {
    let master = MasterKey::load(source)?;
    let recorded = store.key_check()?;
    let vault = Vault::open(&master, store.id(), recorded.as_ref())?;
    if recorded.is_none() && store.record_key_check(vault.key_check())? != *vault.key_check() {
        // Another process was first, with another key.
        return Err(WrongMasterKey.into());
    }
    Ok(vault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::secret_file;

    #[test]
    fn a_store_takes_its_first_master_key_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("s.db")).unwrap();
        let source = |name: &str| {
            let path = dir.path().join(name);
            secret_file::write_new(&path, &MasterKey::generate().unwrap().to_text()).unwrap();
            MasterKeySource::File(path)
        };
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
