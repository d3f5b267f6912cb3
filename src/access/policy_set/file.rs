//! A file of the policy folder, and what it is by its name.

use std::sync::Arc;

use crate::access::policy::ceiling::FILE_NAME as CEILING_FILE;

/// One file of the policy folder, as found there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// Path as people should see it.
    pub path: Arc<str>,
    /// Path inside the folder, with `/`: `sales/crm-sync.yaml`.
    pub inside: String,
    /// The text, or why it can't be had.
    pub text: Result<Arc<str>, String>,
}

/// What a file is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind<'a> {
    /// `_ceiling.yaml` at the top.
    Ceiling,
    /// A policy, by its name without `.yaml`.
    Policy(&'a str),
    /// Cases of a policy, by the policy's name.
    Cases(&'a str),
    /// A name people would expect to be read, and is not.
    Misnamed,
    /// Something else.
    Other,
}

impl PolicyFile {
    /// What the file is.
    pub fn kind(&self) -> FileKind<'_> {
        let name = self.inside.rsplit('/').next().unwrap_or(&self.inside);
        if name == CEILING_FILE {
            return match self.inside == CEILING_FILE {
                true => FileKind::Ceiling,
                false => FileKind::Misnamed,
            };
        }
        if let Some(stem) = name.strip_suffix(".cases.yaml") {
            return FileKind::Cases(stem);
        }
        match name.strip_suffix(".yaml") {
            Some(stem) => FileKind::Policy(stem),
            None if name.ends_with(".yml") => FileKind::Misnamed,
            None => FileKind::Other,
        }
    }
}
