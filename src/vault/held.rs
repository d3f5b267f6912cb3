//! The master key at hand, fetched before anything else is done with it.

use std::path::{Path, PathBuf};

use super::{KeyCheck, MasterKey, MasterKeyError, Recorded, Vault, WrongMasterKey};
use crate::config::{KeyCommand, MasterKeySource};

/// The key from where the settings say. Beside a key in a file may lie the next one, if a rotation was
/// interrupted between the store and the file.
pub struct HeldKeys {
    main: MasterKey,
    next: Option<(MasterKey, PathBuf)>,
}

impl HeldKeys {
    /// Fetches them.
    ///
    /// # Errors
    /// There is no key where the settings say.
    pub fn load(source: &MasterKeySource, how: &KeyCommand) -> Result<Self, MasterKeyError> {
        let main = MasterKey::load(source, how)?;
        let next = match source {
            MasterKeySource::File(path) => {
                let next = next_to(path);
                // One that can't be read counts for nothing: the other one decides.
                MasterKey::read(&next).ok().map(|key| (key, next))
            }
            _ => None,
        };
        Ok(Self { main, next })
    }

    /// The key itself.
    pub fn main(&self) -> &MasterKey {
        &self.main
    }

    /// A vault for a store, with the key that fits it.
    pub fn open(&self, store: &str, recorded: &Recorded) -> Result<Vault, WrongMasterKey> {
        let opened = Vault::open_recorded(&self.main, store, recorded);
        match (&opened, &self.next) {
            (Err(_), Some((next, path))) => {
                let vault = Vault::open_recorded(next, store, recorded)?;
                tracing::warn!(
                    event = "master_key.unfinished",
                    file = %path.display(),
                    "the store is under the next master key already: run `scopegate master-key rotate` to finish"
                );
                Ok(vault)
            }
            _ => opened,
        }
    }

    /// Whether the key itself is the one with this tag.
    pub fn is(&self, store: &str, check: &KeyCheck) -> bool {
        Vault::open(&self.main, store, Some(check)).is_ok()
    }
}

impl std::fmt::Debug for HeldKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeldKeys(…)")
    }
}

/// Where the next key lies while a key in a file is rotated.
pub fn next_to(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    PathBuf::from(name)
}
