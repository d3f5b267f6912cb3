//! What commands that work on the store share: opening it, saying who did what and why, and telling
//! whether running gates follow.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{CommandError, Globals};
use crate::access::policy_set::PolicySet;
use crate::access::policy_text::mistake::Mistake;
use crate::catalogue_file;
use crate::config::{Config, Overrides};
use crate::hubspot::connect::{Upstream, upstream_tls};
use crate::hubspot::control::ControlClient;
use crate::hubspot::oauth::{Endpoints, steers};
use crate::policy_files;
pub use crate::reports::short;
use crate::store::{
    Anchor, AnchorFile, Anchored, Follower, Provenance, REASON_MAX, Store, StoreError, gate_runs, judge,
};
use crate::tokens::{EnrolError, ResumeError, UnlockError, unlock};
use crate::vault::Vault;

/// How long a command waits for running gates to follow.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Longest time a question to HubSpot may take.
const QUESTION: Duration = Duration::from_secs(20);

/// Why a state is changed: every command that changes one takes it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ReasonArgs {
    /// Why, for the record.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Settings and store, open.
pub struct Admin {
    /// The settings.
    pub config: Config,
    /// The store.
    pub store: Arc<Store>,
}

/// What a command opens the store for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To look, or to mend the store itself: any store will do.
    Look,
    /// To change what is there.
    Change,
    /// To add something: makes the store if there is none.
    Add,
    /// To stop something at once: on a store that a gate runs on, whatever the anchor says.
    Stop,
}

impl Admin {
    /// Reads the configuration and opens the store it names.
    ///
    /// # Errors
    /// Among others: it is an old copy, and the command would change it.
    pub fn open(globals: &Globals, purpose: Purpose) -> Result<Self, CommandError> {
        let config = super::config::load(globals, Overrides::default())?.config;
        let admin = match purpose {
            Purpose::Add => Self::of(config)?,
            Purpose::Look | Purpose::Change | Purpose::Stop => {
                let store = Arc::new(Store::open_existing(&config.store)?);
                Self { config, store }
            }
        };
        let any_will_do = match purpose {
            Purpose::Look => true,
            Purpose::Change | Purpose::Add => false,
            Purpose::Stop => gate_runs(admin.store.path()),
        };
        if !any_will_do {
            admin.refuse_old_copy()?;
        }
        Ok(admin)
    }

    /// An old copy counts what is done to it as if it were the store: a few commands, and it has come as far as
    /// the anchor says, and no gate sees that it is old. An anchor that can't be read says nothing: a revocation
    /// must not wait for the audit log's disk.
    fn refuse_old_copy(&self) -> Result<(), CommandError> {
        let claimed = AnchorFile::of(&self.store, &self.config.audit.dir).claimed();
        let version = self.store.version()?;
        match judge(claimed.unwrap_or_default(), version) {
            Anchored::Old(anchor) => Err(CommandError::old_copy(anchor, version)),
            Anchored::Fine | Anchored::Unknown => Ok(()),
        }
    }

    /// Opens the store of a configuration, or makes it.
    pub fn of(config: Config) -> Result<Self, CommandError> {
        let store = Arc::new(Store::open(&config.store)?);
        Ok(Self { config, store })
    }

    /// Opens what the store holds, with the configured master key.
    pub fn vault(&self) -> Result<Vault, CommandError> {
        Ok(unlock(
            &self.store,
            &self.config.master_key,
            &self.config.key_command,
        )?)
    }

    /// Asks HubSpot on the operator's behalf.
    pub fn client(&self) -> Result<ControlClient, CommandError> {
        let settings = &self.config.upstream;
        let ca = match &settings.ca {
            None => None,
            Some(path) => Some(std::fs::read(path).map_err(|error| {
                CommandError::usage(format!("can't read `upstream.ca` `{}`: {error}", path.display()))
            })?),
        };
        let tls = upstream_tls(&settings.url, ca.as_deref())
            .map_err(|error| CommandError::usage(format!("`upstream.ca`: {error}")))?;
        let upstream = Upstream::new(&settings.url, tls, settings.allow_private)
            .map_err(|error| CommandError::usage(error.to_string()))?;
        Ok(ControlClient::new(
            upstream.shared(),
            self.config.limits.connect,
            QUESTION,
        ))
    }

    /// Where HubSpot's OAuth endpoints are.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints::of(&self.config.oauth_version).unwrap_or_default()
    }

    /// The policies as a gate that starts now would load them, and what is wrong with them.
    pub fn policies(&self, now: Timestamp) -> Result<(PolicySet, Vec<Mistake>), CommandError> {
        let config = &self.config;
        let catalogue = catalogue_file::read(&config.catalogue)
            .map_err(|error| CommandError::usage(error.to_string()))?;
        let files = policy_files::read_folder(&config.policies).map_err(|error| {
            CommandError::usage(format!("`policies` `{}`: {error}", config.policies.display()))
        })?;
        let stale = config.limits.policies_stale;
        Ok(PolicySet::build(&files, &catalogue, None, now, stale))
    }

    /// Tells on `err` whether running gates have followed; never fails: the change is made.
    pub fn tell_followers(&self, err: &mut dyn Write) {
        let text = match self.store.await_applied(PATIENCE) {
            Ok(followers) if followers.is_empty() => {
                "no gate is running on this store: in force from its next start\n".to_owned()
            }
            Ok(followers) => followers.iter().map(line_of).collect(),
            Err(error) => format!("can't tell whether running gates have followed: {error}\n"),
        };
        // Nobody to tell if stderr is gone.
        let _ = err.write_all(text.as_bytes());
    }
}

fn line_of(follower: &Follower) -> String {
    match follower {
        Follower::InForce { instance, after } => {
            format!(
                "in force in gate `{instance}` after {:.1} s\n",
                after.as_secs_f64()
            )
        }
        Follower::Silent { instance } => format!(
            "warning: gate `{instance}` has not followed within {} s: see whether it still runs\n",
            PATIENCE.as_secs()
        ),
    }
}

impl CommandError {
    /// The refusal of a store that has not come as far as its anchor.
    pub fn old_copy(anchor: Anchor, version: u64) -> Self {
        Self::usage(format!(
            "the store is an old copy: it has seen {version} transactions, and {} by {}. Keys revoked since would work, \
             and refresh tokens may be dead",
            anchor.version, anchor.at
        ))
        .hint(
            "put the right file back; if this copy was restored on purpose, say so with `scopegate store accept-rollback \
             --reason …`",
        )
    }
}

/// Who runs this command, and why.
pub fn provenance(args: &ReasonArgs) -> Result<Provenance, CommandError> {
    let reason = Provenance::reason_of(args.reason.as_deref().unwrap_or_default())
        .map_err(|_| CommandError::usage(format!("`--reason` is one line of at most {REASON_MAX} bytes")))?;
    let uid = rustix::process::getuid().as_raw();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut actor = format!("cli:{}@{host}", user_name(uid).unwrap_or_else(|| uid.to_string()));
    if uid == 0
        && let Some(login) = std::env::var("SUDO_USER").ok().filter(|name| is_plain(name))
    {
        // Cannot fail: a string grows.
        let _ = write!(actor, " for {login}");
    }
    Ok(Provenance { actor, reason })
}

/// The name of a user id by `/etc/passwd`: the environment can be made to say anything.
fn user_name(uid: u32) -> Option<String> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, id) = (fields.next()?, fields.next()?, fields.next()?);
        (id.parse() == Ok(uid) && is_plain(name)).then(|| name.to_owned())
    })
}

fn is_plain(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What a command asks HubSpot on: one thread is enough.
pub fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::internal(format!("no runtime: {error}")))
}

/// Text without anything that a terminal acts upon or that moves what stands beside it: whoever can write the store, the
/// log or a name in HubSpot must not steer the reader's screen, nor make rows of its own.
fn harmless(text: &str) -> String {
    text.chars().map(shown).collect()
}

fn shown(sign: char) -> char {
    match steers(sign) {
        true => char::REPLACEMENT_CHARACTER,
        false => sign,
    }
}

/// Writes data to stdout, of its controls ends of lines and tabs alone; a closed pipe is an error like any other.
pub fn print(out: &mut dyn Write, text: &str) -> Result<(), CommandError> {
    let kept = |sign| {
        if matches!(sign, '\n' | '\t') {
            sign
        } else {
            shown(sign)
        }
    };
    // Of a secret that is shown once no copy is made, which nobody would wipe.
    let replaced = match text.chars().all(|sign| kept(sign) == sign) {
        true => None,
        false => Some(text.chars().map(kept).collect::<String>()),
    };
    out.write_all(replaced.as_deref().unwrap_or(text).as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| CommandError::internal(format!("can't write the output: {error}")))
}

/// Columns of equal width, two blanks between, nothing behind the last.
pub fn columns(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| harmless(cell)).collect())
        .collect();
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Cannot fail: a string grows.
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::NotFound { .. }
            | StoreError::Rekeyed
            | StoreError::OtherRotation
            | StoreError::NameTaken { .. }
            | StoreError::PortalTaken { .. }
            | StoreError::AppInUse { .. } => Self::findings(message),
            StoreError::File { .. }
            | StoreError::Missing(_)
            | StoreError::Exposed(_)
            | StoreError::NetworkFilesystem { .. }
            | StoreError::NotAStore(_)
            | StoreError::Older { .. }
            | StoreError::BackupExists(_)
            | StoreError::BackupFile { .. }
            | StoreError::NoReason
            | StoreError::TwoNames(_)
            | StoreError::Locked
            | StoreError::Newer { .. } => Self::usage(message),
            StoreError::Busy
            | StoreError::Damaged(_)
            | StoreError::SetBack
            | StoreError::DamagedConnection(_)
            | StoreError::BackupUnsound
            | StoreError::Displaced(_)
            | StoreError::Interrupted
            | StoreError::Sqlite(_) => Self::internal(message),
        }
    }
}

impl From<UnlockError> for CommandError {
    fn from(error: UnlockError) -> Self {
        match error {
            UnlockError::Store(error) => error.into(),
            UnlockError::MasterKey(_) | UnlockError::Wrong(_) => Self::usage(error.to_string()),
            UnlockError::Vault(_) => Self::internal(error.to_string()),
        }
    }
}

impl From<EnrolError> for CommandError {
    fn from(error: EnrolError) -> Self {
        let message = error.to_string();
        match error {
            EnrolError::Store(error) => error.into(),
            EnrolError::WrongPortal { .. }
            | EnrolError::NotGood
            | EnrolError::WrongClient(_)
            | EnrolError::NotTold(_)
            | EnrolError::Changed(_)
            | EnrolError::NoSuchApp(_) => Self::findings(message),
            EnrolError::OtherKind(_) => Self::usage(message),
            EnrolError::Vault(_) | EnrolError::NoRandomness => Self::internal(message),
        }
    }
}

impl From<ResumeError> for CommandError {
    fn from(error: ResumeError) -> Self {
        let message = error.to_string();
        match error {
            ResumeError::WrongPortal { .. } => Self::findings(message).hint(
                "give it a credential of its portal with `scopegate connection rotate`, and resume it then",
            ),
            ResumeError::NotTold { .. } => Self::findings(message).hint(
                "try again when HubSpot can be asked, or give it another credential with `scopegate connection rotate`",
            ),
            ResumeError::Changed(_) => Self::findings(message),
            ResumeError::Enrol(error) => error.into(),
        }
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::config;

    /// A configuration in a folder of its own, with a master key, against an upstream at `url`.
    pub fn admin(url: &str) -> (tempfile::TempDir, Admin) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scopegate.yaml");
        let key = crate::vault::MasterKey::generate().unwrap().to_text();
        crate::vault::secret_file::write_new(&dir.path().join("master.key"), &key).unwrap();
        std::fs::create_dir(dir.path().join("policies")).unwrap();
        let text = format!(
            "store: sqlite:scopegate.db\nmaster_key: {{ file: master.key }}\nupstream: {{ url: {url} }}\n"
        );
        std::fs::write(&path, text).unwrap();
        let loaded = config::load(Some(&path), Overrides::default()).unwrap();
        let admin = Admin::of(loaded.config).unwrap();
        admin.vault().unwrap();
        (dir, admin)
    }

    /// Where nobody listens.
    pub const NOWHERE: &str = "http://127.0.0.1:9";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_copy_is_changed_by_no_command_until_it_is_accepted() {
        let (dir, admin) = testing::admin(testing::NOWHERE);
        let globals = Globals {
            config: Some(dir.path().join("scopegate.yaml")),
        };
        let changing = [Purpose::Change, Purpose::Add, Purpose::Stop];
        for purpose in changing {
            assert!(
                Admin::open(&globals, purpose).is_ok(),
                "without an anchor: {purpose:?}"
            );
        }
        let anchor = AnchorFile::of(&admin.store, &admin.config.audit.dir);
        std::fs::create_dir_all(&admin.config.audit.dir).unwrap();
        let rows = admin.store.row_key().unwrap();
        let write = |version| anchor.write(rows, version, Timestamp::UNIX_EPOCH).unwrap();
        write(admin.store.version().unwrap());
        for purpose in changing {
            assert!(Admin::open(&globals, purpose).is_ok(), "as new: {purpose:?}");
        }
        write(admin.store.version().unwrap() + 1);
        for purpose in changing {
            let error = Admin::open(&globals, purpose).err().unwrap();
            let hint = error.hint.unwrap_or_default();
            assert!(
                error.message.contains("old copy") && hint.contains("accept-rollback"),
                "{purpose:?}: {} {hint}",
                error.message
            );
        }
        assert!(Admin::open(&globals, Purpose::Look).is_ok());
        // Who can write the audit log alone keeps nobody from a stop while a gate runs.
        let _running = crate::store::GateLock::acquire(admin.store.path()).unwrap();
        assert!(Admin::open(&globals, Purpose::Stop).is_ok());
        assert!(Admin::open(&globals, Purpose::Change).is_err());
    }

    #[test]
    fn columns_line_up() {
        let row = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect();
        let text = columns(&[row(&["a", "bcd", "e"]), row(&["long", "b", ""])]);
        assert_eq!(text, "a     bcd  e\nlong  b\n");
    }

    #[test]
    fn nothing_that_is_printed_steers_a_screen_or_makes_a_row_of_its_own() {
        let cell = "a\u{1b}[2J\u{9b}2J\u{202e}\u{2066}b\nc".to_owned();
        let mut out = Vec::new();
        print(&mut out, &columns(&[vec![cell, "d".to_owned()]])).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "a\u{fffd}[2J\u{fffd}2J\u{fffd}\u{fffd}b\u{fffd}c  d\n"
        );
        let mut out = Vec::new();
        print(&mut out, "{\"name\":\"\u{202e}x\"}\n\tü\n").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "{\"name\":\"\u{fffd}x\"}\n\tü\n");
    }

    #[test]
    fn the_actor_is_named_and_the_reason_is_one_line() {
        let reason = |text: &str| ReasonArgs {
            reason: Some(text.to_owned()),
        };
        let by = provenance(&reason(" leaked ")).unwrap();
        assert!(by.actor.starts_with("cli:"), "{}", by.actor);
        assert_eq!(by.reason.as_deref(), Some("leaked"));
        assert!(provenance(&reason("a\nb")).is_err());
        assert!(provenance(&reason(&"x".repeat(501))).is_err());
    }
}
