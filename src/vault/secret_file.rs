//! A credential in a file of its own: one line, for its owner alone.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::secret::Secret;

/// Why a secret could not be read. Holds nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// Not there, not ours to read, or others can read it.
    #[error("{0}")]
    Unreadable(std::io::Error),
    /// Empty, several lines, or not text.
    #[error("`{}` must hold one line with the secret and nothing else", path.display())]
    NotASecret {
        /// The file.
        path: PathBuf,
    },
}

/// The one line in `path`, without the line's end. Refused when others can read the file.
pub fn read(path: &Path) -> Result<Secret, SecretFileError> {
    let text = crate::config::secret_file::read(path).map_err(SecretFileError::Unreadable)?;
    one_line(text.expose().as_bytes()).ok_or_else(|| SecretFileError::NotASecret {
        path: path.to_owned(),
    })
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
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

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
            (&[b'x'; 70_000], false),
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
