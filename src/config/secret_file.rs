//! A file that holds a secret: not readable by others, and small.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::secret::Secret;

/// Largest secret in bytes: keys, tokens, URLs.
const SECRET_BYTES: u64 = 64 * 1024;

/// Reads a secret, without the line end behind it.
///
/// # Errors
/// The file can't be read, is readable by others (group-readable is fine), is too large, or is no
/// text. Messages name the path, never the content.
pub fn read(path: &Path) -> io::Result<Secret> {
    let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let shown = path.display();
    let file = File::open(path).map_err(|error| {
        io::Error::new(error.kind(), format!("the file `{shown}` can't be read: {error}"))
    })?;
    let metadata = file.metadata()?;
    if metadata.permissions().mode() & 0o007 != 0 {
        return Err(wrong(format!(
            "the file `{shown}` holds a secret and others may read it; run `chmod o= {shown}`"
        )));
    }
    let mut text = String::new();
    file.take(SECRET_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|_| wrong(format!("the file `{shown}` is not text")))?;
    if text.len() as u64 > SECRET_BYTES {
        return Err(wrong(format!(
            "the file `{shown}` is larger than {SECRET_BYTES} bytes"
        )));
    }
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    Ok(Secret::new(text))
}
