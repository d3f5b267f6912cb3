//! Who else could read what the gate keeps secret, or replace that and what it goes by: by the modes of files
//! and folders.
//!
//! Readable by others is a finding; writable by others is a reason not to start: whoever can replace the
//! store, the audit log, a policy or the configuration need not break in.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::config::{Config, MasterKeySource};

const OTHERS_WRITE: u32 = 0o002;
const OTHERS_ALL: u32 = 0o007;
/// Nobody removes or renames another's file in such a folder.
const STICKY: u32 = 0o1000;

/// How deep policies are looked for, and how many: as far as they are read.
const DEPTH: usize = 8;
const POLICIES: usize = 20_000;

/// Most links on the way to a file: as many as Linux follows.
const LINKS: usize = 40;

/// A file or folder that others can get at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub path: PathBuf,
    /// What it is to the gate.
    pub what: &'static str,
    /// Others can replace it, or what is in it.
    pub writable: bool,
    /// The command that mends it.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let can = if self.writable { "changed" } else { "read" };
        write!(
            f,
            "{} `{}` can be {can} by everybody on this machine: run `{}`",
            self.what,
            self.path.display(),
            self.remedy
        )
    }
}

/// Every file and folder that others can get at, of a gate that is configured by `file`. What is not there is
/// somebody else's finding.
pub fn findings(config: &Config, file: &Path) -> Vec<Finding> {
    let mut found = Vec::new();
    let folders = |path: &Path, what| -> Vec<Finding> {
        let folders = folders_of(path).into_iter();
        folders.filter_map(|folder| look(&folder, what)).collect()
    };
    found.extend(folders(&config.store, "the store's folder"));
    found.extend(look(&config.store, "the store"));
    found.extend(look(&config.audit.dir, "the audit log's folder"));
    found.extend(look(
        &config.audit.dir.join(&config.instance),
        "the audit log's folder",
    ));
    if let MasterKeySource::File(path) = &config.master_key {
        found.extend(look(path, "the master key"));
        found.extend(folders(path, "the master key's folder"));
    }
    for tls in config.tls.iter().chain(&config.admin.tls) {
        found.extend(look(&tls.key, "the TLS key"));
        found.extend(folders(&tls.key, "the TLS key's folder"));
    }
    gone_by(config, file, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    found
}

/// What says what the gate lets through, and whom it believes: anybody may read it.
fn gone_by(config: &Config, file: &Path, found: &mut Vec<Finding>) {
    let mut add = |path: &Path, what| found.extend(look(path, what).and_then(writable_alone));
    let trust = config.tls.iter().chain(&config.admin.tls);
    let mut add_with_folder = |path: &Path, what, folder_is| {
        add(path, what);
        for folder in folders_of(path) {
            add(&folder, folder_is);
        }
    };
    add_with_folder(file, "the configuration", "the configuration's folder");
    for tls in trust.clone() {
        add_with_folder(&tls.cert, "the TLS certificate", "the TLS certificate's folder");
    }
    for ca in trust
        .filter_map(|tls| tls.client_ca.as_ref())
        .chain(&config.upstream.ca)
    {
        add_with_folder(
            ca,
            "a file of trusted certificates",
            "the folder of a file of trusted certificates",
        );
    }
    if let Some(extra) = &config.catalogue.extra {
        add_with_folder(
            extra,
            "the additions to the catalogue",
            "the folder of the additions to the catalogue",
        );
    }
    add_with_folder(
        &config.policies,
        "the policies folder",
        "the folder that the policies folder is in",
    );
    let mut left = POLICIES;
    policies(&config.policies, DEPTH, &mut left, &mut |path, what| {
        add(path, what)
    });
}

/// Where a file can be replaced: the folder of each link that leads to it, be it the file's own name or one of the
/// folders of its path, and of what it is at last.
///
/// Folders above these are left alone: what a container is given is often open to everybody at its root.
fn folders_of(path: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    // The way there without a link, as far as it was gone, and the names that are left, the next one last.
    let (mut real, mut left) = (PathBuf::new(), names_of(path));
    while let Some(name) = left.pop() {
        if name == ".." {
            if real.file_name().is_some() {
                real.pop();
            } else if !real.has_root() {
                real.push(name);
            }
            continue;
        }
        real.push(name);
        let Ok(target) = real.read_link() else { continue };
        if folders.len() == LINKS {
            break;
        }
        real.pop();
        folders.push(real.clone());
        left.extend(names_of(&target));
    }
    folders.extend(real.parent().map(Path::to_path_buf));
    folders
}

/// The names in a path, the first one last.
fn names_of(path: &Path) -> Vec<OsString> {
    let names = path.components().filter(|name| *name != Component::CurDir);
    names.rev().map(|name| name.as_os_str().to_owned()).collect()
}

fn policies(folder: &Path, depth: usize, left: &mut usize, add: &mut dyn FnMut(&Path, &'static str)) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if *left == 0 {
            return;
        }
        *left -= 1;
        let is_folder = path.is_dir();
        let is_policy = path.extension().is_some_and(|end| end == "yaml" || end == "yml");
        if (is_folder || is_policy) && path.is_symlink() {
            for folder in folders_of(&path) {
                add(&folder, "the folder of a policy");
            }
        }
        if is_folder {
            add(&path, "a folder of policies");
            if depth > 0 {
                policies(&path, depth - 1, left, add);
            }
        } else if is_policy {
            add(&path, "a policy");
        }
    }
}

/// That others can read it is as it should be.
fn writable_alone(finding: Finding) -> Option<Finding> {
    finding.writable.then(|| Finding {
        remedy: format!("chmod o-w {}", finding.path.display()),
        ..finding
    })
}

fn look(path: &Path, what: &'static str) -> Option<Finding> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let metadata = std::fs::metadata(path).ok()?;
    let (mode, folder) = (metadata.mode(), metadata.is_dir());
    // Whether the mount is read-only says nothing: under `ProtectSystem=` or a read-only bind mount all is, to the gate
    // alone.
    let writable = mode & OTHERS_WRITE != 0 && !(folder && mode & STICKY != 0);
    // What lies in an open folder has modes of its own: that names can be seen is no finding.
    let open = !folder && mode & OTHERS_ALL != 0;
    (writable || open).then(|| Finding {
        path: path.to_owned(),
        what,
        writable,
        remedy: match folder {
            true => format!("chmod o-w {}", path.display()),
            false => format!("chmod o= {}", path.display()),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_others_can_read_is_found_and_what_they_can_replace_is_worse() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::in_folder(dir.path());
        let data = dir.path().join("data");
        std::fs::create_dir_all(data.join("audit")).unwrap();
        let key = data.join("master.key");
        std::fs::write(&key, "x").unwrap();
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        // File or folder, its mode, what is found: nothing, that it can be read, that it can be changed.
        for (path, mode, found) in [
            (&key, 0o600, None),
            (&key, 0o640, None),
            (&key, 0o604, Some(false)),
            (&key, 0o602, Some(true)),
            (&data, 0o700, None),
            (&data, 0o755, None),
            (&data, 0o777, Some(true)),
            (&data, 0o1777, None),
            (&data.join("audit"), 0o703, Some(true)),
        ] {
            set(&key, 0o600);
            set(&data, 0o700);
            set(&data.join("audit"), 0o700);
            set(path, mode);
            let findings = findings(&config, &dir.path().join("scopegate.yaml"));
            assert_eq!(
                findings.first().map(|finding| finding.writable),
                found,
                "{path:?} {mode:o} {findings:?}"
            );
            for finding in findings {
                assert!(finding.to_string().contains("chmod o"), "{finding}");
            }
        }
    }

    #[test]
    fn folders_in_which_what_the_gate_goes_by_could_be_replaced_are_found_behind_links_too() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in [
            "gate",
            "trust",
            "between",
            "behind",
            "rows",
            "shared/policies",
            "handed",
            "team",
            "others/more",
            "tls",
            "pki/v1",
            "pki-v2",
            "mount/issued",
            "etc/releases/1",
            "keys/1",
            "disk/1",
        ] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        for name in [
            "gate/scopegate.yaml",
            "behind/ca.pem",
            "rows/extra.tsv",
            "team/a.yaml",
            "tls/gate.pem",
            "mount/issued/clients.pem",
        ] {
            std::fs::write(at(name), "x").unwrap();
        }
        std::fs::write(at("tls/gate.key"), "x").unwrap();
        std::fs::set_permissions(at("tls/gate.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
        for (target, link) in [
            ("../between/ca.pem", "trust/ca.pem"),
            ("../behind/ca.pem", "between/ca.pem"),
            ("../../handed/a.yaml", "shared/policies/a.yaml"),
            ("../team/a.yaml", "handed/a.yaml"),
            ("../../others/more", "shared/policies/more"),
            ("v1/../../pki-v2", "pki/current"),
            ("../mount/issued", "pki-v2/clients"),
            ("releases/1", "etc/now"),
            ("../../../gate/scopegate.yaml", "etc/releases/1/scopegate.yaml"),
            ("1", "keys/now"),
            ("1", "disk/now"),
        ] {
            std::os::unix::fs::symlink(target, at(link)).unwrap();
        }
        let mut config = Config::in_folder(&at("gate"));
        config.store = at("disk/now/scopegate.db");
        config.master_key = MasterKeySource::File(at("keys/now/master.key"));
        config.upstream.ca = Some(at("trust/ca.pem"));
        config.catalogue.extra = Some(at("rows/extra.tsv"));
        config.policies = at("shared/policies/");
        config.tls = Some(crate::config::TlsFiles {
            cert: at("tls/gate.pem"),
            key: at("tls/gate.key"),
            client_ca: Some(at("pki/current/clients/clients.pem")),
        });
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        for name in [
            "trust",
            "between",
            "behind",
            "rows",
            "shared",
            "handed",
            "team",
            "others",
            "tls",
            "pki",
            "pki-v2",
            "mount/issued",
            "gate",
            "etc",
            "etc/releases/1",
            "keys",
            "keys/1",
            "disk",
            "disk/1",
        ] {
            assert_eq!(
                findings(&config, &at("etc/now/scopegate.yaml")),
                [],
                "before {name}"
            );
            set(&at(name), 0o777);
            let found = findings(&config, &at("etc/now/scopegate.yaml"));
            assert!(
                found.len() == 1 && found[0].writable && found[0].path.ends_with(name),
                "{name}: {found:?}"
            );
            set(&at(name), 0o1777);
            assert_eq!(
                findings(&config, &at("etc/now/scopegate.yaml")),
                [],
                "{name} with the sticky bit"
            );
            set(&at(name), 0o755);
        }
        // A file is replaced in its folder. Above that, what is mounted is often open at its root.
        set(&at("mount"), 0o777);
        assert_eq!(findings(&config, &at("etc/now/scopegate.yaml")), []);
        std::os::unix::fs::symlink("round", at("round")).unwrap();
        config.upstream.ca = Some(at("round/ca.pem"));
        assert_eq!(
            findings(&config, &at("etc/now/scopegate.yaml")),
            [],
            "somebody else's finding"
        );
    }

    #[test]
    fn what_the_gate_goes_by_may_be_read_by_others_and_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let mut config = Config::in_folder(dir.path());
        config.upstream.ca = Some(at("ca.pem"));
        config.catalogue.extra = Some(at("extra.tsv"));
        std::fs::create_dir_all(at("policies/team")).unwrap();
        let file = at("scopegate.yaml");
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        for name in [
            "scopegate.yaml",
            "ca.pem",
            "extra.tsv",
            "policies/reader.yaml",
            "policies/team/writer.yaml",
        ] {
            std::fs::write(at(name), "x").unwrap();
            set(&at(name), 0o644);
            assert_eq!(findings(&config, &file), [], "{name}");
            set(&at(name), 0o666);
            let found = findings(&config, &file);
            assert!(
                found.len() == 1 && found[0].writable && found[0].remedy.starts_with("chmod o-w "),
                "{name} {found:?}"
            );
            set(&at(name), 0o644);
        }
        for name in ["", "policies", "policies/team"] {
            set(&at(name), 0o777);
            assert!(
                findings(&config, &file).iter().any(|finding| finding.writable),
                "{name}"
            );
            set(&at(name), 0o755);
        }
        assert_eq!(findings(&config, &file), []);
    }
}
