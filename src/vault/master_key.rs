//! The master key: 32 bytes from wherever the operator keeps them.

use std::path::{Path, PathBuf};

use aws_lc_rs::hkdf;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::config::{KeyCommand, MasterKeySource};
use crate::secret::Secret;
use crate::vault::command;
use crate::vault::secret_file::{self, SecretFileError};

const LENGTH: usize = 32;

/// Why there is no master key. Holds nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file is missing, exposed or not one line.
    #[error("master key: {0}")]
    File(#[from] SecretFileError),
    /// Not the form of a key.
    #[error(
        "the master key from {0} is not 32 bytes in base64 or hexadecimal: make one with `scopegate master-key new`"
    )]
    Malformed(String),
    /// The variable is not set.
    #[error("the environment variable `{0}`, where the master key should be, is not set")]
    NoVariable(String),
    /// systemd passed no credentials.
    #[error(
        "`$CREDENTIALS_DIRECTORY` is not set: the master key comes from the systemd credential `{0}`, so the unit needs `LoadCredential=`"
    )]
    NoCredentials(String),
    /// A credential's name is one path component.
    #[error("`{0}` is not the name of a systemd credential")]
    CredentialName(String),
    /// The command failed.
    #[error("the command `{program}` that should print the master key {what}")]
    Command {
        /// The program, without its arguments.
        program: String,
        /// What went wrong.
        what: String,
    },
    /// The system gave no random bytes.
    #[error("the system has no random bytes for a new master key")]
    NoRandomness,
}

/// 32 bytes that wrap every data key. Wiped when dropped; prints nothing.
pub struct MasterKey(Zeroizing<[u8; LENGTH]>);

impl MasterKey {
    /// A new random key.
    pub fn generate() -> Result<Self, MasterKeyError> {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        aws_lc_rs::rand::fill(&mut *bytes).map_err(|_| MasterKeyError::NoRandomness)?;
        Ok(Self(bytes))
    }

    /// A key of given bytes.
    pub fn from_bytes(bytes: [u8; LENGTH]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The form a key file holds: base64, 44 characters.
    pub fn to_text(&self) -> Secret {
        Secret::new(STANDARD.encode(self.0.as_slice()))
    }

    /// Reads base64 (as [`MasterKey::to_text`] writes it) or 64 hexadecimal digits.
    pub fn from_text(text: &Secret) -> Option<Self> {
        let text = text.expose();
        let mut bytes = Zeroizing::new([0; LENGTH]);
        if text.len() == 2 * LENGTH {
            for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
                let digits = std::str::from_utf8(pair).ok()?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                *byte = u8::from_str_radix(digits, 16).ok()?;
            }
            return Some(Self(bytes));
        }
        let decoded = Zeroizing::new(STANDARD.decode(text).ok()?);
        if decoded.len() != LENGTH {
            return None;
        }
        bytes.copy_from_slice(&decoded);
        Some(Self(bytes))
    }

    /// The key in a file.
    pub fn read(path: &Path) -> Result<Self, MasterKeyError> {
        let text = secret_file::read(path)?;
        Self::from_text(&text).ok_or_else(|| MasterKeyError::Malformed(format!("`{}`", path.display())))
    }

    /// The key from where the settings say.
    pub fn load(source: &MasterKeySource, how: &KeyCommand) -> Result<Self, MasterKeyError> {
        let (text, origin) = match source {
            MasterKeySource::File(path) => return Self::read(path),
            MasterKeySource::Env(name) => (from_environment(name)?, format!("`${name}`")),
            MasterKeySource::Credential(name) => {
                let path = credential_path(name)?;
                (secret_file::read(&path)?, format!("the credential `{name}`"))
            }
            MasterKeySource::Command(command) => (command::run(command, how)?, "the command".to_owned()),
        };
        Self::from_text(&text).ok_or(MasterKeyError::Malformed(origin))
    }

    /// The bytes, to be sealed for a gate that has to follow a rotation.
    pub(super) fn bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// A subkey for one purpose (HKDF-SHA-256, RFC 5869).
    pub(super) fn derive(&self, purpose: &[u8]) -> Option<Zeroizing<[u8; LENGTH]>> {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, b"scopegate").extract(&*self.0);
        let info = [purpose];
        extracted
            .expand(&info, hkdf::HKDF_SHA256)
            .ok()?
            .fill(&mut *bytes)
            .ok()?;
        Some(bytes)
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

fn from_environment(name: &str) -> Result<Secret, MasterKeyError> {
    let value = std::env::var_os(name).ok_or_else(|| MasterKeyError::NoVariable(name.to_owned()))?;
    secret_file::one_line(value.as_encoded_bytes())
        .ok_or_else(|| MasterKeyError::Malformed(format!("`${name}`")))
}

fn credential_path(name: &str) -> Result<PathBuf, MasterKeyError> {
    if name.is_empty() || name == "." || name == ".." || name.contains('/') {
        return Err(MasterKeyError::CredentialName(name.to_owned()));
    }
    let dir = std::env::var_os("CREDENTIALS_DIRECTORY")
        .ok_or_else(|| MasterKeyError::NoCredentials(name.to_owned()))?;
    Ok(PathBuf::from(dir).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn load(source: &MasterKeySource) -> Result<MasterKey, MasterKeyError> {
        MasterKey::load(source, &KeyCommand::default())
    }

    #[test]
    fn a_key_reads_back_from_base64_and_from_hexadecimal() {
        let key = MasterKey::from_bytes([0xab; 32]);
        let text = key.to_text();
        assert_eq!(text.expose().len(), 44);
        assert_eq!(*MasterKey::from_text(&text).unwrap().0, [0xab; 32]);
        let hex = secret(&"ab".repeat(32));
        assert_eq!(*MasterKey::from_text(&hex).unwrap().0, [0xab; 32]);
    }

    #[test]
    fn what_is_not_32_bytes_is_no_key() {
        for bad in [
            "",
            "abc",
            &"ab".repeat(31),
            &"zz".repeat(32),
            &"+a".repeat(32),
            "AAAA",
        ] {
            assert!(MasterKey::from_text(&secret(bad)).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_file_that_others_can_read_holds_no_master_key() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        secret_file::write_new(&path, &MasterKey::generate().unwrap().to_text()).unwrap();
        assert!(load(&MasterKeySource::File(path.clone())).is_ok());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let message = load(&MasterKeySource::File(path)).unwrap_err().to_string();
        assert!(message.contains("chmod"), "{message}");
    }

    #[test]
    fn a_command_can_print_the_key() {
        let text = MasterKey::from_bytes([9; 32]).to_text();
        let words = ["printf", "%s\\n", text.expose()].map(str::to_owned);
        let read = load(&MasterKeySource::Command(words.into())).unwrap();
        assert_eq!(*read.0, [9; 32]);
        let nonsense = load(&MasterKeySource::Command(vec![
            "echo".to_owned(),
            "canary".to_owned(),
        ]));
        let message = nonsense.unwrap_err().to_string();
        assert!(
            message.contains("not 32 bytes") && !message.contains("canary"),
            "{message}"
        );
    }

    #[test]
    fn a_missing_variable_or_credential_is_named() {
        let env = MasterKeySource::Env("SCOPEGATE_TEST_NO_SUCH_KEY".to_owned());
        assert!(matches!(load(&env), Err(MasterKeyError::NoVariable(_))));
        let credential = MasterKeySource::Credential("../x".to_owned());
        assert!(matches!(
            load(&credential),
            Err(MasterKeyError::CredentialName(_))
        ));
    }

    #[test]
    fn subkeys_differ_by_purpose() {
        let key = MasterKey::from_bytes([1; 32]);
        assert_ne!(*key.derive(b"a").unwrap(), *key.derive(b"b").unwrap());
        assert_ne!(*key.derive(b"a").unwrap(), [1; 32]);
    }
}
