//! What a running gate still needs of the file system and the network, as the configuration says.
//!
//! Landlock knows files, not names: a rule stands on what is there when it is made. So folders are
//! named, not files, and above each file that is re-read its folder, in which it may be replaced; behind a
//! symbolic link, which may be swapped, the folder of what it leads to.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::store::real_path;

/// Needed by the C library to resolve names: its settings, which are replaced now and then, its modules, and
/// where resolvers keep what `/etc/resolv.conf` links to. `/proc`: the id of this run of the machine; other
/// processes' memory stays closed, Landlock forbids tracing. All of it anybody may read.
const SYSTEM: [&str; 10] = [
    "/etc",
    "/usr",
    "/lib",
    "/lib64",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/var/lib/ca-certificates",
    "/proc",
    "/dev/urandom",
];

/// Where the system's roots are looked for, and the resolver's settings: links here and there, to folders that
/// are none of the above (`/var/lib/ca-certificates` on SUSE, `/nix/store`).
const FOLLOWED: [&str; 8] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/pki/tls/certs",
    "/etc/resolv.conf",
];

/// Written to by name now and then.
const DEVICES: [&str; 1] = ["/dev/null"];

/// DNS over TCP: what the C library falls back to.
const DNS: u16 = 53;

/// Most entries of the policies folder whose links are looked at.
const LINKS: usize = 10_000;

/// Folders, files and ports.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// May be read, with all that is below.
    pub(super) read: BTreeSet<PathBuf>,
    /// May be read and changed, with all that is below.
    pub(super) write: BTreeSet<PathBuf>,
    /// Devices that may be read and written.
    pub(super) devices: BTreeSet<PathBuf>,
    /// Ports that may be listened on.
    pub(super) listen: BTreeSet<u16>,
    /// Ports that may be connected to.
    pub(super) connect: BTreeSet<u16>,
}

impl Places {
    /// Those of a gate with these settings. Makes the folders it will write to, as it would do later.
    pub(super) fn of(config: &Config) -> Self {
        let mut places = Self {
            devices: DEVICES.iter().map(PathBuf::from).collect(),
            ..Self::default()
        };
        places.read.extend(SYSTEM.iter().map(PathBuf::from));
        places.read.extend(config.hardening.read.iter().cloned());
        // Where the system's roots are when somebody says that they are elsewhere.
        let roots = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
            .into_iter()
            .filter_map(std::env::var_os);
        let roots: Vec<PathBuf> = roots.map(PathBuf::from).collect();
        for file in FOLLOWED
            .iter()
            .map(Path::new)
            .chain(roots.iter().map(PathBuf::as_path))
        {
            places.leads_to(file);
        }
        places.read.extend(roots);
        for file in reread(config) {
            places.may_be_replaced(&file);
        }
        places.may_be_replaced(&config.policies);
        places.read.insert(config.policies.clone());
        places.links_in(&config.policies);
        // Behind a link: its log and its lock lie beside what the link leads to.
        let store = real_path(&config.store);
        let store = store.parent().map(Path::to_path_buf).unwrap_or_default();
        for folder in [store, config.audit.dir.clone()] {
            // What can't be made is reported by whoever needs it.
            let _ = std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder);
            places.write.insert(folder);
        }
        let listeners = [
            Some(config.listen),
            Some(config.admin_listen),
            config.monitor_listen,
            config.install.listen,
        ];
        places.listen.extend(
            listeners
                .into_iter()
                .flatten()
                .map(|address: SocketAddr| address.port()),
        );
        places.connect.extend([DNS, upstream_port(&config.upstream.url)]);
        places
    }

    /// The folder of what a link leads to; of a folder, that folder, and those of what is linked in it.
    fn leads_to(&mut self, path: &Path) {
        let Ok(real) = path.canonicalize() else { return };
        if real.is_dir() {
            self.links_to(&real);
            if is_a_place(&real) {
                self.read.insert(real);
            }
        } else {
            self.beside(real);
        }
    }

    /// The folder of a file; of one right below the root, say in `/run`, the file alone: too much lies beside.
    fn beside(&mut self, file: PathBuf) {
        match file.parent() {
            Some(folder) if folder.components().count() > 2 => self.read.insert(folder.to_owned()),
            _ => self.read.insert(file),
        };
    }

    /// Certificates that are links, as distributions make them by the hundred into one folder or two.
    fn links_to(&mut self, folder: &Path) {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries.take(LINKS) {
            let path = entry.path();
            if let Some(real) = path.canonicalize().ok().filter(|real| real.is_file()) {
                self.beside(real);
            }
        }
    }

    /// `path` and the folders in which it, or anything on the way to it, may be replaced.
    fn may_be_replaced(&mut self, path: &Path) {
        let mut nodes: Vec<PathBuf> = path
            .ancestors()
            .filter(|ancestor| ancestor.is_symlink())
            .filter_map(|link| link.canonicalize().ok())
            .collect();
        nodes.push(path.components().collect());
        for node in nodes {
            if let Some(folder) = node.parent().filter(|folder| is_a_place(folder)) {
                self.read.insert(folder.to_owned());
            }
        }
    }

    /// Policies that are links: an operator's own doing, as long as they are there at the start.
    fn links_in(&mut self, folder: &Path) {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries.take(LINKS) {
            let path = entry.path();
            if path.is_symlink() {
                self.may_be_replaced(&path);
            }
        }
    }
}

/// Files that are read again when they change.
fn reread(config: &Config) -> Vec<PathBuf> {
    let tls = config.tls.iter().chain(&config.admin.tls).flat_map(|tls| {
        [Some(&tls.cert), Some(&tls.key), tls.client_ca.as_ref()]
            .into_iter()
            .flatten()
    });
    tls.chain(&config.upstream.ca)
        .chain(&config.catalogue.extra)
        .cloned()
        .collect()
}

/// Not the root, and not nowhere: a rule on either would open everything.
fn is_a_place(folder: &Path) -> bool {
    folder
        .components()
        .any(|part| matches!(part, std::path::Component::Normal(_)))
}

fn upstream_port(url: &str) -> u16 {
    let url: Option<http::Uri> = url.parse().ok();
    let clear = url
        .as_ref()
        .is_some_and(|url| url.scheme() == Some(&http::uri::Scheme::HTTP));
    let port = url.as_ref().and_then(http::Uri::port_u16);
    port.unwrap_or(if clear { 80 } else { 443 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(dir: &Path) -> Config {
        std::fs::create_dir_all(dir.join("policies")).unwrap();
        Config::in_folder(dir)
    }

    #[test]
    fn the_folders_of_what_is_read_again_and_of_what_is_written_are_in_reach_and_nothing_above() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("gate");
        let mut config = folder(&home);
        config.upstream.ca = Some(dir.path().join("trust/ca.pem"));
        config.audit.dir = dir.path().join("log/audit");
        let places = Places::of(&config);
        for read in [home.clone(), home.join("policies"), dir.path().join("trust")] {
            assert!(places.read.contains(&read), "{read:?} {places:?}");
        }
        assert_eq!(
            places.write,
            [home.join("data"), dir.path().join("log/audit")]
                .into_iter()
                .collect()
        );
        assert!(
            dir.path().join("log/audit").is_dir(),
            "a rule needs a folder to stand on"
        );
        for above in [dir.path(), Path::new("/"), Path::new("/tmp")] {
            assert!(!places.read.contains(above) && !places.write.contains(above));
        }
    }

    #[test]
    fn a_store_behind_a_link_is_written_to_where_it_lies() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = folder(&dir.path().join("gate"));
        let disk = dir.path().canonicalize().unwrap().join("disk");
        std::fs::create_dir(&disk).unwrap();
        std::fs::write(disk.join("real.db"), "").unwrap();
        config.store = dir.path().join("gate/scopegate.db");
        std::os::unix::fs::symlink(disk.join("real.db"), &config.store).unwrap();
        let places = Places::of(&config);
        assert!(places.write.contains(&disk), "{places:?}");
        assert!(
            !places.write.contains(&dir.path().join("gate")),
            "policies lie there: {places:?}"
        );
    }

    #[test]
    fn behind_a_link_the_folder_of_what_it_leads_to_may_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("gate");
        let release = dir.path().join("releases/7");
        std::fs::create_dir_all(&release).unwrap();
        std::fs::create_dir_all(dir.path().join("shared")).unwrap();
        std::fs::write(dir.path().join("shared/a.yaml"), "").unwrap();
        let mut config = folder(&home);
        std::os::unix::fs::symlink(&release, home.join("current")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("shared/a.yaml"), release.join("a.yaml")).unwrap();
        config.policies = home.join("current/");
        let places = Places::of(&config);
        let base = dir.path().canonicalize().unwrap();
        for read in [base.join("releases"), base.join("shared")] {
            assert!(places.read.contains(&read), "{read:?} {places:?}");
        }
    }

    #[test]
    fn roots_that_are_links_can_be_read_where_they_lie() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        for name in ["etc", "etc/certs", "lib", "lib/single"] {
            std::fs::create_dir(base.join(name)).unwrap();
        }
        std::fs::write(base.join("lib/bundle.pem"), "").unwrap();
        std::fs::write(base.join("lib/single/one.pem"), "").unwrap();
        let link = |to: &str, at: &str| std::os::unix::fs::symlink(base.join(to), base.join(at)).unwrap();
        link("lib/bundle.pem", "etc/ca-bundle.pem");
        link("lib/single/one.pem", "etc/certs/one.pem");
        let reached = |name: &str| {
            let mut places = Places::default();
            places.leads_to(&base.join(name));
            places.read.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(reached("etc/ca-bundle.pem"), [base.join("lib")]);
        assert_eq!(
            reached("etc/certs"),
            [base.join("etc/certs"), base.join("lib/single")]
        );
        assert!(reached("etc/none").is_empty());
    }

    #[test]
    fn a_root_is_never_opened_because_of_a_file_in_it() {
        let mut config = Config::in_folder(Path::new("/nowhere"));
        config.upstream.ca = Some(PathBuf::from("/ca.pem"));
        config.catalogue.extra = Some(PathBuf::from("extra.tsv"));
        let mut places = Places::default();
        for file in reread(&config) {
            places.may_be_replaced(&file);
        }
        assert!(places.read.is_empty(), "{places:?}");
    }

    #[test]
    fn the_upstreams_port_is_the_only_one_to_connect_to_besides_dns() {
        for (url, port) in [
            ("https://api.hubapi.com", 443),
            ("http://127.0.0.1:9000", 9000),
            ("http://localhost", 80),
        ] {
            assert_eq!(upstream_port(url), port, "{url}");
        }
    }
}
