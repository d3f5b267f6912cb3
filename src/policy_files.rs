//! Reads the folder of policies. What the files mean is judged elsewhere, without I/O.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::access::policy::ceiling::FILE_NAME as CEILING_FILE;
use crate::access::policy_set::{FileKind, PolicyFile};
use crate::access::policy_text::tree::FILE_BYTES_MAX;

/// Most files in a policy folder, sub-folders included: thousands of integrations with cases.
pub const FILES_MAX: usize = 20_000;

/// Deepest nesting of sub-folders. Links may lead back up; this ends the walk.
pub const DEPTH_MAX: usize = 8;

/// Reads every policy, the ceiling and the cases in `dir` and its sub-folders, sorted by path.
///
/// Names beginning with `.` or `_` are skipped, `_ceiling.yaml` excepted; links are followed. A
/// file that can't be read, is too long or no UTF-8 is delivered with the reason instead of its
/// text, so that it counts as a policy that does not load.
///
/// # Errors
/// A folder that can't be listed, or one beyond the bounds.
pub fn read_folder(dir: &Path) -> io::Result<Vec<PolicyFile>> {
    let mut files = Vec::new();
    walk(dir, "", 0, &mut files)?;
    files.sort_by(|a, b| a.inside.cmp(&b.inside));
    Ok(files)
}

fn walk(dir: &Path, inside: &str, depth: usize, files: &mut Vec<PolicyFile>) -> io::Result<()> {
    if depth > DEPTH_MAX {
        return Err(beyond(format!(
            "`{}` is nested more than {DEPTH_MAX} folders deep",
            dir.display()
        )));
    }
    let listing = fs::read_dir(dir).map_err(|error| named(dir, &error))?;
    for entry in listing {
        let entry = entry.map_err(|error| named(dir, &error))?;
        let name = entry.file_name();
        // A name that is no text is no integration's: as a file that does not load it is not overlooked.
        let name = &*name.to_string_lossy();
        if name.starts_with('.') || (name.starts_with('_') && name != CEILING_FILE) {
            continue;
        }
        let path = entry.path();
        let inside = match inside {
            "" => name.to_owned(),
            folder => format!("{folder}/{name}"),
        };
        // `metadata` follows links: mounted configuration is links into a folder that is swapped.
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => walk(&path, &inside, depth + 1, files)?,
            Ok(metadata) => {
                let text = match metadata.is_file() {
                    true => read_text(&path),
                    false => Err("it is no regular file".to_owned()),
                };
                push(&path, inside, text, files)?;
            }
            Err(error) => push(&path, inside, Err(error.to_string()), files)?,
        }
    }
    Ok(())
}

/// What is read in `dir` and its sub-folders and is a link, to a file or a folder, at most so many: where they lead to
/// somebody may change them, and no event of the folder says so. What can't be listed has none.
pub fn links(dir: &Path, most: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    links_in(dir, 0, most, &mut found);
    found
}

fn links_in(dir: &Path, depth: usize, most: usize, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        if found.len() == most {
            return;
        }
        if name.starts_with('.') || (name.starts_with('_') && name != CEILING_FILE) {
            continue;
        }
        let kind = entry.file_type();
        let is_link = kind.as_ref().is_ok_and(fs::FileType::is_symlink);
        let is_folder = match is_link {
            true => path.is_dir(),
            false => kind.is_ok_and(|kind| kind.is_dir()),
        };
        if is_link {
            found.push(path.clone());
        }
        if is_folder && depth < DEPTH_MAX {
            links_in(&path, depth + 1, most, found);
        }
    }
}

fn push(
    path: &Path,
    inside: String,
    text: Result<Arc<str>, String>,
    files: &mut Vec<PolicyFile>,
) -> io::Result<()> {
    let file = PolicyFile {
        path: path.display().to_string().into(),
        inside,
        text,
    };
    if file.kind() == FileKind::Other {
        return Ok(());
    }
    if files.len() == FILES_MAX {
        return Err(beyond(format!("there are more than {FILES_MAX} policy files")));
    }
    files.push(file);
    Ok(())
}

/// The text of one file, or why it has none.
pub fn read_text(path: &Path) -> Result<Arc<str>, String> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(FILE_BYTES_MAX)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(format!("it is longer than {FILE_BYTES_MAX} bytes"));
    }
    String::from_utf8(bytes)
        .map(Arc::from)
        .map_err(|_| "it is not UTF-8".to_owned())
}

fn named(dir: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("can't list `{}`: {error}", dir.display()))
}

fn beyond(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str, content: &[u8]) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn names(dir: &Path) -> Vec<String> {
        read_folder(dir).unwrap().into_iter().map(|f| f.inside).collect()
    }

    #[test]
    fn sub_folders_are_read_and_hidden_names_are_not() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "b.yaml",
            "sales/a.yaml",
            "sales/a.cases.yaml",
            "_ceiling.yaml",
            "_draft.yaml",
            ".hidden.yaml",
            ".git/x.yaml",
            "_old/x.yaml",
            "policy.schema.json",
            "README.md",
            "c.yml",
        ] {
            write(dir.path(), name, b"x");
        }
        assert_eq!(
            names(dir.path()),
            [
                "_ceiling.yaml",
                "b.yaml",
                "c.yml",
                "sales/a.cases.yaml",
                "sales/a.yaml"
            ]
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_as_mounted_configuration_needs_it_and_never_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "..2026_11/a.yaml", b"integration: a");
        std::os::unix::fs::symlink("..2026_11", dir.path().join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/a.yaml", dir.path().join("a.yaml")).unwrap();
        let files = read_folder(dir.path()).unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].text.as_deref(), Ok("integration: a"));
        std::os::unix::fs::symlink(".", dir.path().join("loop")).unwrap();
        assert!(read_folder(dir.path()).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_whose_name_is_no_text_is_not_overlooked() {
        use std::os::unix::ffi::OsStrExt as _;
        let dir = tempfile::tempdir().unwrap();
        let name = std::ffi::OsStr::from_bytes(b"caf\xe9.yaml");
        fs::write(dir.path().join(name), "integration: cafe").unwrap();
        assert_eq!(names(dir.path()), ["caf\u{fffd}.yaml"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_cannot_be_read_as_text_is_delivered_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "a.yaml", &[0xff, 0xfe]);
        write(dir.path(), "b.yaml", &vec![b'a'; FILE_BYTES_MAX + 1]);
        std::os::unix::fs::symlink("gone.yaml.target", dir.path().join("c.yaml")).unwrap();
        for file in read_folder(dir.path()).unwrap() {
            assert!(file.text.is_err(), "{}", file.inside);
        }
        assert!(read_folder(&dir.path().join("nowhere")).is_err());
    }
}
