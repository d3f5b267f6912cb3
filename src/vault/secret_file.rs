//! Reading a secret from a file, and only from one that others can't read.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::secret::Secret;

/// Longest secret in a file. A HubSpot token has up to 512 characters.
const LENGTH_MAX: u64 = 16 * 1024;

/// Read or write for others.
const OTHERS: u32 = 0o006;

/// Why a secret could not be read. Holds nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// Not there, or not ours to read.
    #[error("can't read `{}`: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's word.
        cause: std::io::Error,
    },
    /// Others can read it.
    #[error("`{}` can be read by everybody on this machine: run `chmod o= {}`", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// Empty, too long, several lines, or not text.
    #[error("`{}` must hold one line with the secret and nothing else", path.display())]
    NotASecret {
        /// The file.
        path: PathBuf,
    },
}

/// The one line in `path`, without the line's end, as [`open`] lets it be read.
pub fn read(path: &Path) -> Result<Secret, SecretFileError> {
    let unreadable = |cause| SecretFileError::Unreadable {
        path: path.to_owned(),
        cause,
    };
    let not_a_secret = || SecretFileError::NotASecret {
        path: path.to_owned(),
    };
    let file = open(path)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(LENGTH_MAX as usize + 1));
    file.take(LENGTH_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LENGTH_MAX {
        return Err(not_a_secret());
    }
    one_line(&bytes).ok_or_else(not_a_secret)
}

/// A file with secrets, open for reading, if others can't read it.
///
/// Mode and content are of the same open file. Group-readable is fine; a pipe has no mode to check.
pub fn open(path: &Path) -> Result<File, SecretFileError> {
    let unreadable = |cause| SecretFileError::Unreadable {
        path: path.to_owned(),
        cause,
    };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_file() && metadata.mode() & OTHERS != 0 {
        return Err(SecretFileError::Exposed {
            path: path.to_owned(),
        });
    }
    Ok(file)
}

/// Text of one line: printable ASCII, as every HubSpot credential and every key is.
pub(super) fn one_line(bytes: &[u8]) -> Option<Secret> {
    let text = std::str::from_utf8(bytes).ok()?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let printable = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_graphic());
    printable.then(|| Secret::new(line.to_owned()))
}

/// Writes a new file that only its owner can read, and fails if it exists.
pub fn write_new(path: &Path, secret: &Secret) -> std::io::Result<()> {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let written = file
        .write_all(secret.expose().as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a secret is none; the error that is returned is the one that matters.
        let _ = std::fs::remove_file(path);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn with_mode(content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn group_readable_is_fine_world_readable_is_not() {
        for (mode, fine) in [
            (0o600, true),
            (0o640, true),
            (0o400, true),
            (0o644, false),
            (0o602, false),
        ] {
            let (_dir, path) = with_mode(b"pat-na1-x\n", mode);
            assert_eq!(read(&path).is_ok(), fine, "{mode:o}");
        }
    }

    #[test]
    fn one_printable_line_is_a_secret() {
        for (content, fine) in [
            (&b"abc"[..], true),
            (b"abc\n", true),
            (b"abc\r\n", true),
            (b"", false),
            (b"\n", false),
            (b"a b", false),
            (b"a\nb\n", false),
            (b"a\0", false),
            ("ä".as_bytes(), false),
            (&[b'x'; 20_000], false),
        ] {
            let (_dir, path) = with_mode(content, 0o600);
            assert_eq!(read(&path).is_ok(), fine, "{content:?}");
        }
    }

    #[test]
    fn a_message_names_the_file_and_never_the_secret() {
        let (_dir, path) = with_mode(b"pat na1 canary", 0o600);
        let message = read(&path).unwrap_err().to_string();
        assert!(message.contains("secret"));
        assert!(!message.contains("canary"));
    }

    #[test]
    fn a_new_secret_file_is_for_its_owner_and_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let secret = Secret::new("abc".to_owned());
        write_new(&path, &secret).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(read(&path).unwrap().expose(), "abc");
        assert!(write_new(&path, &secret).is_err());
    }
}
