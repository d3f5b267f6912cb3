//! A folder of policies as the offline commands see it: no previous version stands in here.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::access::catalogue::Catalogue;
use crate::access::policy::Policy;
use crate::access::policy::ceiling::FILE_NAME;
use crate::access::policy_set::{CeilingState, PolicyFile, PolicySet, PolicyState};
use crate::access::policy_text::mistake::Mistake;
use crate::cli::CommandError;
use crate::policy_files;

/// What was read.
pub(in crate::cli) struct Folder {
    /// Every file.
    pub files: Vec<PolicyFile>,
    /// Policies and ceiling.
    pub set: PolicySet,
    /// Mistakes and findings of reading.
    pub mistakes: Vec<Mistake>,
}

impl Folder {
    /// Reads and builds.
    pub fn read(dir: &Path, catalogue: &Catalogue, now: Timestamp) -> Result<Self, CommandError> {
        let files = policy_files::read_folder(dir).map_err(|error| {
            CommandError::usage(format!("can't read the policies: {error}"))
                .hint("give the folder that holds the policy files")
        })?;
        Ok(Self::build(files, catalogue, now))
    }

    /// Reads one policy. What it is called does not matter: its integration is the one it names, so
    /// that a version from elsewhere can be looked at.
    pub fn read_file(path: &Path, catalogue: &Catalogue, now: Timestamp) -> Result<Self, CommandError> {
        if path.file_name().is_some_and(|name| name == FILE_NAME) {
            return Err(
                CommandError::usage("a ceiling alone allows nothing and denies nobody")
                    .hint("give the folder that holds it"),
            );
        }
        let text = policy_files::read_text(path).map_err(|why| {
            CommandError::usage(format!("can't read `{}`: {why}", path.display()))
                .hint("give a policy file, or the folder that holds it")
        })?;
        let key = |line: &str| {
            let value = line.strip_prefix("integration:")?.split_whitespace().next()?;
            Some(value.trim_matches(['"', '\'']).to_owned())
        };
        let stem = text.lines().find_map(key).unwrap_or_default();
        let file = PolicyFile {
            path: path.display().to_string().into(),
            inside: format!("{stem}.yaml"),
            text: Ok(text),
        };
        Ok(Self::build(vec![file], catalogue, now))
    }

    /// A folder of files that were read.
    pub fn build(files: Vec<PolicyFile>, catalogue: &Catalogue, now: Timestamp) -> Self {
        let (set, mistakes) = PolicySet::build(&files, catalogue, None, now, Duration::ZERO);
        Self { files, set, mistakes }
    }

    /// Nothing can be said of what a policy allows that does not load.
    pub fn must_load(&self, path: &Path) -> Result<(), CommandError> {
        let errors: Vec<String> = self
            .mistakes
            .iter()
            .filter(|mistake| mistake.is_error())
            .map(Mistake::one_line)
            .collect();
        match errors.is_empty() && self.set.ceiling_state() != CeilingState::Broken {
            true => Ok(()),
            false => Err(CommandError::usage(format!(
                "`{}` does not load as a whole\n{}",
                path.display(),
                errors.join("\n")
            ))
            .hint("see `scopegate policy check`")),
        }
    }

    /// The text of the ceiling, if there is one.
    pub fn ceiling_text(&self) -> Option<&str> {
        self.set.ceiling().map(|ceiling| &*ceiling.text)
    }

    /// The policy of an integration, expired or not.
    pub fn policy(&self, integration: &str, now: Timestamp) -> Result<&Arc<Policy>, CommandError> {
        if self.set.ceiling_state() == CeilingState::Broken {
            return Err(
                CommandError::usage("the ceiling does not load, so nothing is allowed")
                    .hint("see `scopegate policy check`"),
            );
        }
        match self.set.policy(integration, now) {
            PolicyState::Ready(policy) | PolicyState::Expired(policy) => Ok(policy),
            PolicyState::Invalid => {
                let shown: Vec<String> = self
                    .mistakes
                    .iter()
                    .filter(|m| m.is_error() && m.file.contains(integration))
                    .map(Mistake::one_line)
                    .collect();
                Err(CommandError::usage(format!(
                    "the policy of `{integration}` does not load\n{}",
                    shown.join("\n")
                ))
                .hint("see `scopegate policy check`"))
            }
            PolicyState::Missing => {
                let names: Vec<&str> = self.set.integrations().map(|(name, ..)| &**name).collect();
                Err(
                    CommandError::usage(format!("there is no policy for `{integration}`"))
                        .hint(format!("policies here: {}", names.join(", "))),
                )
            }
        }
    }

    /// The text of a file, to show mistakes in.
    pub fn texts(&self) -> HashMap<&str, &str> {
        let readable = self.files.iter().filter_map(|file| match &file.text {
            Ok(text) => Some((&*file.path, &**text)),
            Err(_) => None,
        });
        readable.collect()
    }
}
