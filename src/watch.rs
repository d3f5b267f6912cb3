//! Notices that a file which is re-read on change has changed.
//!
//! Folders are watched, not files: a replaced file or a swapped symbolic link is another file. The
//! folder of policies can be swapped itself, so its parent is watched for that one name, and its
//! identity is compared now and then: no event may come from behind a link.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::config::Config;
use crate::publisher::Message;

/// How often the policy folder's identity is compared.
const LOOK: Duration = Duration::from_secs(1);

/// Device and inode of a folder, behind all links.
type Identity = Option<(u64, u64)>;

/// What is watched.
pub struct Watch {
    policies: PathBuf,
    folders: Vec<PathBuf>,
    messages: Sender<Message>,
    watcher: Option<RecommendedWatcher>,
    identity: Identity,
    looked: Instant,
}

impl Watch {
    /// Nothing is watched before [`Watch::renew`].
    pub fn new(config: &Config, messages: Sender<Message>) -> Self {
        let tls = config
            .tls
            .iter()
            .flat_map(|tls| [Some(&tls.cert), Some(&tls.key), tls.client_ca.as_ref()]);
        let others = tls
            .flatten()
            .chain(&config.upstream.ca)
            .chain(&config.catalogue.extra);
        let mut folders: Vec<PathBuf> = others
            .filter_map(|file| file.parent().map(Path::to_path_buf))
            .collect();
        folders.sort();
        folders.dedup();
        folders.retain(|folder| !folder.starts_with(&config.policies));
        // A path that ends in a slash has the same parent as one that does not.
        let policies: PathBuf = config.policies.components().collect();
        Self {
            policies,
            folders,
            messages,
            watcher: None,
            identity: None,
            looked: Instant::now(),
        }
    }

    /// Watches what is there now. After every reload: what was watched may have been replaced.
    ///
    /// # Errors
    /// The system's: changes are then found by [`Watch::swapped`] and SIGHUP alone.
    pub fn renew(&mut self) -> notify::Result<()> {
        self.identity = identity(&self.policies);
        self.watcher = None;
        let (messages, policies) = (self.messages.clone(), self.policies.clone());
        let (own, folders) = (canonical(&self.policies), self.folders.clone());
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            let concerns = |path: &PathBuf| {
                path.starts_with(&policies)
                    || path.starts_with(&own)
                    || folders.iter().any(|folder| path.parent() == Some(folder))
            };
            // Reads are events, too: following them would reload for ever.
            if !event.kind.is_access() && event.paths.iter().any(concerns) {
                let _ = messages.send(Message::FilesChanged);
            }
        })?;
        watcher.watch(&self.policies, RecursiveMode::Recursive)?;
        for parent in self
            .policies
            .parent()
            .into_iter()
            .chain(self.folders.iter().map(PathBuf::as_path))
        {
            let parent = if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            };
            watcher.watch(parent, RecursiveMode::NonRecursive)?;
        }
        self.watcher = Some(watcher);
        Ok(())
    }

    /// Whether the policy folder is another one than when it was last watched. Looks once a second.
    pub fn swapped(&mut self) -> bool {
        if self.looked.elapsed() < LOOK {
            return false;
        }
        self.looked = Instant::now();
        identity(&self.policies) != self.identity
    }
}

fn identity(folder: &Path) -> Identity {
    std::fs::metadata(folder)
        .ok()
        .map(|metadata| (metadata.dev(), metadata.ino()))
}

fn canonical(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf())
}
