//! Notices that a file which is re-read on change has changed.
//!
//! Folders are watched, not files: a replaced file or a swapped symbolic link is another file. The
//! folder of policies can be swapped itself, so its parent is watched for that one name. No event may come from
//! behind a link: once a second the folder's identity is compared, and so is what links in it, and the other
//! files, lead to. What else lies in the folder
//! of a certificate is nobody's business: a log that is written there must not cause a reload, whose own
//! line in that log would cause the next one.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::config::Config;
use crate::policy_files::links;
use crate::publisher::Message;

/// How often what events may not tell is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Most links in the policy folder whose targets are looked at that often; a look is a system call each.
const LINKS_MAX: usize = 2_000;

/// Device and inode of a folder, behind all links.
type Identity = Option<(u64, u64)>;

/// A file behind all links, as far as one can tell without reading it: device, inode, size, and when it was
/// changed, in seconds and nanoseconds. `None`: it can't be looked at.
type Version = Option<(u64, u64, u64, i64, i64)>;

/// What is watched.
pub struct Watch {
    policies: PathBuf,
    /// Files outside the folder of policies.
    files: Vec<PathBuf>,
    messages: Sender<Message>,
    watcher: Option<RecommendedWatcher>,
    identity: Identity,
    /// The other files, and what links in the folder of policies lead to.
    elsewhere: Known,
    looked: Instant,
}

impl Watch {
    /// Nothing is watched before [`Watch::renew`].
    pub fn new(config: &Config, messages: Sender<Message>) -> Self {
        let tls = [&config.tls, &config.admin.tls]
            .into_iter()
            .flatten()
            .flat_map(|tls| [Some(&tls.cert), Some(&tls.key), tls.client_ca.as_ref()]);
        let others = tls
            .flatten()
            .chain(&config.upstream.ca)
            .chain(&config.catalogue.extra);
        let files = others
            .filter(|file| !file.starts_with(&config.policies))
            .cloned()
            .collect();
        // A path that ends in a slash has the same parent as one that does not.
        let policies: PathBuf = config.policies.components().collect();
        Self {
            policies,
            files,
            messages,
            watcher: None,
            identity: None,
            elsewhere: Known(Vec::new()),
            looked: Instant::now(),
        }
    }

    /// Watches what is there now. After every reload: what was watched may have been replaced.
    ///
    /// # Errors
    /// The system's: changes are then found by [`Watch::swapped`] and SIGHUP alone.
    pub fn renew(&mut self) -> notify::Result<()> {
        self.identity = identity(&self.policies);
        self.elsewhere = Known::look(self.files.iter().cloned().chain(links(&self.policies, LINKS_MAX)));
        self.watcher = None;
        let (messages, policies) = (self.messages.clone(), self.policies.clone());
        let (own, mut known) = (canonical(&self.policies), Known::look(self.files.iter().cloned()));
        let folders = known.folders();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let is_policies = |path: &PathBuf| path.starts_with(&policies) || path.starts_with(&own);
            if may_concern(&event, is_policies, || known.have_changed()) {
                let _ = messages.send(Message::FilesChanged);
            }
        })?;
        watcher.watch(&self.policies, RecursiveMode::Recursive)?;
        for parent in self
            .policies
            .parent()
            .into_iter()
            .chain(folders.iter().map(PathBuf::as_path))
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

    /// Whether the policy folder is another one than when it was last watched, or a file that no event may come from has
    /// changed. Looks once a second.
    pub fn swapped(&mut self) -> bool {
        if self.looked.elapsed() < LOOK {
            return false;
        }
        self.looked = Instant::now();
        identity(&self.policies) != self.identity || self.elsewhere.have_changed()
    }
}

/// Whether an event may be of what is watched. One that was lost may have been: the system says that it dropped
/// some, or that it can't tell, and a tightening must not be among them.
fn may_concern(
    event: &notify::Result<notify::Event>,
    is_policies: impl Fn(&PathBuf) -> bool,
    files_changed: impl FnOnce() -> bool,
) -> bool {
    match event {
        Err(_) => true,
        Ok(event) if event.need_rescan() => true,
        // Reads are events, too: following them would reload for ever.
        Ok(event) if event.kind.is_access() => false,
        Ok(event) => event.paths.iter().any(is_policies) || files_changed(),
    }
}

/// Files as they were when they were last looked at.
struct Known(Vec<(PathBuf, Version)>);

impl Known {
    fn look(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let looked = files.into_iter().map(|file| {
            let version = version(&file);
            (file, version)
        });
        Self(looked.collect())
    }

    /// Where events about them come from; a link of theirs is swapped there, under whatever name.
    fn folders(&self) -> Vec<PathBuf> {
        let parents = self.0.iter().filter_map(|(file, _)| file.parent());
        let mut folders: Vec<PathBuf> = parents.map(Path::to_path_buf).collect();
        folders.sort();
        folders.dedup();
        folders
    }

    /// Whether one of them is another than when that was last asked.
    fn have_changed(&mut self) -> bool {
        let mut changed = false;
        for (file, known) in &mut self.0 {
            let now = version(file);
            changed |= std::mem::replace(known, now) != now;
        }
        changed
    }
}

fn version(file: &Path) -> Version {
    let found = std::fs::metadata(file).ok()?;
    Some((
        found.dev(),
        found.ino(),
        found.size(),
        found.ctime(),
        found.ctime_nsec(),
    ))
}

fn identity(folder: &Path) -> Identity {
    std::fs::metadata(folder)
        .ok()
        .map(|metadata| (metadata.dev(), metadata.ino()))
}

fn canonical(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_policies_and_one_that_was_lost_concern_and_a_read_does_not() {
        use notify::event::{AccessKind, CreateKind, Flag};
        use notify::{Event, EventKind};

        let at = |kind: EventKind, path: &str| Ok(Event::new(kind).add_path(PathBuf::from(path)));
        let created = EventKind::Create(CreateKind::File);
        let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        let cases = [
            ("a policy", at(created, "/p/a.yaml"), false, true),
            (
                "a policy that is read",
                at(EventKind::Access(AccessKind::Any), "/p/a.yaml"),
                true,
                false,
            ),
            ("a neighbour", at(created, "/tls/gate.log"), false, false),
            ("a certificate", at(created, "/tls/gate.pem"), true, true),
            ("too many events", Ok(lost), false, true),
            ("no events", Err(notify::Error::generic("gone")), false, true),
        ];
        for (what, event, files_changed, expected) in cases {
            let concerns = may_concern(&event, |path| path.starts_with("/p"), || files_changed);
            assert_eq!(concerns, expected, "{what}");
        }
    }

    #[test]
    fn what_links_lead_to_is_noticed_when_it_changes_where_no_event_comes_from() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["policies/team", "elsewhere", "live/v1", "live/v2"] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        for name in [
            "elsewhere/a.yaml",
            "elsewhere/b.yaml",
            "live/v1/ca.pem",
            "live/v2/ca.pem",
        ] {
            std::fs::write(at(name), "one").unwrap();
        }
        for (to, link) in [
            ("elsewhere/a.yaml", "policies/a.yaml"),
            ("elsewhere/b.yaml", "policies/team/b.yaml"),
            ("live/now", "policies/linked"),
            ("live/v1", "live/now"),
            ("live/now/ca.pem", "ca.pem"),
        ] {
            std::os::unix::fs::symlink(at(to), at(link)).unwrap();
        }
        let mut config = Config::in_folder(folder.path());
        config.policies = at("policies");
        config.upstream.ca = Some(at("ca.pem"));
        let (messages, _kept) = std::sync::mpsc::channel();
        let mut watch = Watch::new(&config, messages);
        let steps: [(&str, &dyn Fn(), bool); 5] = [
            ("nothing", &|| (), false),
            (
                "a policy",
                &|| std::fs::write(at("elsewhere/a.yaml"), "other").unwrap(),
                true,
            ),
            (
                "one in a sub-folder",
                &|| std::fs::remove_file(at("elsewhere/b.yaml")).unwrap(),
                true,
            ),
            (
                "a neighbour",
                &|| std::fs::write(at("elsewhere/c.yaml"), "x").unwrap(),
                false,
            ),
            (
                "a link on the way to a folder of policies, and to a certificate",
                &|| {
                    std::os::unix::fs::symlink(at("live/v2"), at("live/next")).unwrap();
                    std::fs::rename(at("live/next"), at("live/now")).unwrap();
                },
                true,
            ),
        ];
        for (what, step, expected) in steps {
            watch.renew().unwrap();
            step();
            watch.looked = Instant::now().checked_sub(LOOK).unwrap();
            assert_eq!(watch.swapped(), expected, "{what}");
        }
    }

    /// Files beside one of ours, and ours in its ways of changing.
    #[test]
    fn a_neighbour_of_a_watched_file_is_no_change_and_every_way_to_replace_the_file_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["v1", "v2"] {
            std::fs::create_dir(at(name)).unwrap();
            std::fs::write(at(name).join("ca.pem"), "one").unwrap();
        }
        std::os::unix::fs::symlink("v1", at("..data")).unwrap();
        std::os::unix::fs::symlink("..data/ca.pem", at("ca.pem")).unwrap();
        let mut known = Known::look([at("ca.pem"), at("missing.pem")]);
        assert_eq!(known.folders(), [folder.path()]);
        let steps: [(&str, &dyn Fn(), bool); 6] = [
            ("nothing", &|| (), false),
            (
                "a log beside it",
                &|| std::fs::write(at("gate.log"), "x").unwrap(),
                false,
            ),
            (
                "written in place",
                &|| std::fs::write(at("v1/ca.pem"), "three").unwrap(),
                true,
            ),
            (
                "its link swapped",
                &|| {
                    std::os::unix::fs::symlink("v2", at("..new")).unwrap();
                    std::fs::rename(at("..new"), at("..data")).unwrap();
                },
                true,
            ),
            ("gone", &|| std::fs::remove_file(at("ca.pem")).unwrap(), true),
            ("come", &|| std::fs::write(at("missing.pem"), "x").unwrap(), true),
        ];
        for (what, step, expected) in steps {
            step();
            assert_eq!(known.have_changed(), expected, "{what}");
            assert!(!known.have_changed(), "{what}: once");
        }
    }
}
