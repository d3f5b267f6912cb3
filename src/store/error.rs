//! What can go wrong with the store, and what to do about it.

use std::path::PathBuf;

/// Names cause and remedy. Never holds a stored value.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file can't be made or opened.
    #[error("can't open the store `{}`: {cause}", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// The system's word.
        cause: std::io::Error,
    },
    /// Nobody has made it yet.
    #[error(
        "there is no store at `{}`: it is made by `scopegate connection add`, `key create`, `app add` and `run`; see \
         that `store` names the right file", .0.display()
    )]
    Missing(PathBuf),
    /// Others can open it.
    #[error("the store `{}` can be opened by everybody on this machine: run `chmod 0600 {}`", .0.display(), .0.display())]
    Exposed(PathBuf),
    /// It has a second name, which means a second log.
    #[error(
        "the store file `{}` has two names (a hard link): whoever opens it by the other one keeps another log over the \
         same bytes; remove the other name", .0.display()
    )]
    TwoNames(PathBuf),
    /// It is not what was opened.
    #[error(
        "`{}` was removed or replaced beneath the running gate: nothing is let through, since what others write there is \
         not seen; put it back, or start the gate anew", .0.display()
    )]
    Displaced(PathBuf),
    /// Rows can't be sealed.
    #[error("the master key is needed for that: rows that say who may do what are sealed")]
    Locked,
    /// Locks don't hold there.
    #[error(
        "the store is on a network file system ({kind}), where locks don't hold: put `store` on a local disk"
    )]
    NetworkFilesystem {
        /// Its name.
        kind: &'static str,
    },
    /// Some other program's database, or no database.
    #[error("`{0}` is not a scopegate store: point `store` at another file")]
    NotAStore(String),
    /// An older version's.
    #[error("the store has version {found}, this scopegate needs {needed}: run `scopegate store migrate`")]
    Older {
        /// Its version.
        found: u32,
        /// Ours.
        needed: u32,
    },
    /// A newer version's.
    #[error("the store has version {found}, this scopegate knows {known} at most: run the newer scopegate")]
    Newer {
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Its version is not the one it was written by.
    #[error(
        "the store has the version of a scopegate that sealed no rows, and the key that seals them: its version was set \
         back, and its rows can't be believed; restore it from a backup"
    )]
    SetBack,
    /// Another process has been writing for too long.
    #[error("the store is busy: another process has been writing to it for 5 s; try again")]
    Busy,
    /// A value in it can't be.
    #[error("the store is damaged: {0} in it can't be read; run `scopegate store check`")]
    Damaged(&'static str),
    /// One connection's row can't be read; the others can.
    #[error("{}", .0.finding())]
    DamagedConnection(Box<super::DamagedRow>),
    /// The name is taken.
    #[error("{what} `{name}` is there already: {remedy}")]
    NameTaken {
        /// Connection or app.
        what: &'static str,
        /// The name.
        name: String,
        /// What can be done.
        remedy: &'static str,
    },
    /// The app is connected to the portal already.
    #[error(
        "app `{app}` is connected to portal {portal} already, as `{connection}`: give that connection the new grant with \
         `scopegate connection rotate`, or remove it first"
    )]
    PortalTaken {
        /// The app.
        app: String,
        /// The portal.
        portal: u64,
        /// The connection there is.
        connection: String,
    },
    /// The app is used.
    #[error(
        "app `{app}` is used by {connections} connections: see them with `scopegate connection list --app {app}`, and \
         remove them first"
    )]
    AppInUse {
        /// The app.
        app: String,
        /// How many connections use it.
        connections: u64,
    },
    /// It is not there.
    #[error("there is no {what} `{name}`: see `scopegate {list}`")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// By which name or id.
        name: String,
        /// The command that lists them.
        list: &'static str,
    },
    /// An emergency stop, or its end, that nobody accounts for.
    #[error("an emergency stop, and its end, need a reason: give `--reason`")]
    NoReason,
    /// The master key was rotated while a credential was on its way into the store.
    #[error("the master key was rotated meanwhile: nothing was stored, try again")]
    Rekeyed,
    /// Two rotations at a time.
    #[error(
        "a rotation to another master key was begun and not finished: finish it first, with the new key it was begun \
         with"
    )]
    OtherRotation,
    /// A copy never replaces a file.
    #[error("`{}` is there already: a backup replaces nothing, give it another name", .0.display())]
    BackupExists(PathBuf),
    /// The copy can't be written.
    #[error("can't write the backup `{}`: {cause}", path.display())]
    BackupFile {
        /// Where.
        path: PathBuf,
        /// The system's word.
        cause: std::io::Error,
    },
    /// The copy was written and is not what it should be.
    #[error(
        "the copy is not what was copied, and was thrown away: run `scopegate store check`, then try again"
    )]
    BackupUnsound,
    /// The process is going down.
    #[error("work on the store was interrupted")]
    Interrupted,
    /// SQLite said something else.
    #[error("the store failed: {0}")]
    Sqlite(rusqlite::Error),
}

impl StoreError {
    /// Names the file that can't be opened: SQLite does not say which it was.
    pub(super) fn at(self, path: &std::path::Path) -> Self {
        match self {
            Self::NotAStore(_) => Self::NotAStore(path.display().to_string()),
            other => other,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::NotADatabase) => Self::NotAStore("the file".to_owned()),
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged("a page"),
            _ => Self::Sqlite(error),
        }
    }
}
