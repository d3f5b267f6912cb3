//! What a reload reads from files, apart from putting it in force.

use std::sync::Arc;

use jiff::Timestamp;

use crate::access::catalogue::Catalogue;
use crate::access::policy_set::PolicySet;
use crate::access::policy_text::mistake::Mistake;
use crate::catalogue_file;
use crate::config::Config;
use crate::policy_files;
use crate::snapshot::Snapshot;

/// Catalogue and policies as the files have them; where one can't be read, as they were.
pub(super) struct FilesRead {
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) policies: PolicySet,
    pub(super) mistakes: Vec<Mistake>,
    /// What could not be read at all, and why.
    pub(super) failed: Vec<(&'static str, String)>,
}

impl FilesRead {
    pub(super) fn of(config: &Config, before: &Snapshot, now: Timestamp) -> Self {
        fail::fail_point!("reload-read");
        let mut failed = Vec::new();
        let catalogue = match catalogue_file::read_anew(&config.catalogue, &before.catalogue) {
            Ok(catalogue) => catalogue,
            Err(error) => {
                failed.push(("catalogue", error.to_string()));
                Arc::clone(&before.catalogue)
            }
        };
        let stale = config.limits.policies_stale;
        let (policies, mistakes) = match policy_files::read_folder(&config.policies) {
            Ok(files) => PolicySet::build(&files, &catalogue, Some(&before.policies), now, stale),
            Err(error) => {
                failed.push(("policies", format!("`{}`: {error}", config.policies.display())));
                (before.policies.unreadable(&catalogue, now, stale), Vec::new())
            }
        };
        Self {
            catalogue,
            policies,
            mistakes,
            failed,
        }
    }
}
