//! `scopegate master-key rotate`: another master key, while the gate runs. Run again after a crash, it goes on
//! where it was.
//!
//! The order is what makes it safe: the new key is on the disk before anything is wrapped with it; running
//! gates have both before the store turns; the store turns in one transaction; only then does the new key
//! take the place of the old one, which keeps a name of its own, for backups.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::admin::{Admin, ReasonArgs, print, provenance};
use super::super::{CommandError, CommandResult, Exit};
use crate::config::MasterKeySource;
use crate::store::{Follower, Provenance, Store, Turned};
use crate::vault::{HeldKeys, KeyCheck, MasterKey, Rotation, Vault, WrongMasterKey, next_to};

/// How long gates may take to take the new key: they look four times a second, one that starts has its
/// connections to read first.
const PATIENCE: Duration = Duration::from_secs(30);

/// Arguments of `master-key rotate`.
#[derive(Debug, Default, clap::Args)]
pub struct RotateArgs {
    /// The new key's file: read, or made if it is not there. Needed when the key does not come from a file:
    /// hand this one to your KMS or systemd, and point `master_key` at it before the gate's next start.
    #[arg(long, value_name = "FILE")]
    pub new_file: Option<PathBuf>,
    /// Why.
    #[command(flatten)]
    pub reason: ReasonArgs,
}

/// Where the new key lies, and what becomes of it at the end.
enum Place<'a> {
    /// Beside the key file, whose name it gets.
    Beside { file: &'a Path, next: PathBuf },
    /// Where the operator wants it.
    Apart(&'a Path),
}

impl Place<'_> {
    fn next(&self) -> &Path {
        match self {
            Self::Beside { next, .. } => next,
            Self::Apart(file) => file,
        }
    }
}

/// Rotates, or goes on with a rotation that was interrupted.
pub fn rotate(args: &RotateArgs, admin: &Admin, out: &mut dyn Write, err: &mut dyn Write) -> CommandResult {
    let by = provenance(&args.reason)?;
    let place = place(args, admin)?;
    let keys = HeldKeys::load(&admin.config.master_key, &admin.config.key_command)
        .map_err(|error| CommandError::usage(error.to_string()))?;
    if let Some(turned) = turned_before(admin, &place, &keys)? {
        print(out, &turned)?;
        return Ok(Exit::Fine);
    }
    let new = new_key(&place, &admin.store, keys.main(), err)?;
    fail::fail_point!("rotate-after-file");
    let turned = turn(admin, &keys, &new, &by)?;
    fail::fail_point!("rotate-after-turn");
    admin.tell_followers(err);
    let end = settle(&place, old_check(admin, keys.main()))?;
    print(
        out,
        &format!("{} data keys are under the new master key\n{end}", turned.wrapped),
    )?;
    for left in &turned.left {
        print(
            out,
            &format!("{left}: opens under neither key and was left: see `scopegate master-key verify`\n"),
        )?;
    }
    Ok(if turned.left.is_empty() {
        Exit::Fine
    } else {
        Exit::Findings
    })
}

fn place<'a>(args: &'a RotateArgs, admin: &'a Admin) -> Result<Place<'a>, CommandError> {
    match (&admin.config.master_key, &args.new_file) {
        (_, Some(file)) => Ok(Place::Apart(file)),
        (MasterKeySource::File(file), None) if file.is_symlink() => Err(CommandError::usage(format!(
            "`{}` is a link: whoever made it keeps the key elsewhere",
            file.display()
        ))
        .hint("give the new key a file with `--new-file`, and put it there before the gate's next start")),
        (MasterKeySource::File(file), None) => Ok(Place::Beside {
            file,
            next: next_to(file),
        }),
        (_, None) => Err(
            CommandError::usage("the master key does not come from a file").hint(
                "give `--new-file FILE` for the new one; what then, `deploy/README.md` says for each source",
            ),
        ),
    }
}

/// A store that is under the new key already: all that may be missing is the file's place.
fn turned_before(admin: &Admin, place: &Place<'_>, keys: &HeldKeys) -> Result<Option<String>, CommandError> {
    let recorded = admin.store.recorded()?;
    let Some(check) = recorded.check.as_ref() else {
        return Err(CommandError::findings(
            "the store has seen no master key yet: there is nothing to rotate",
        ));
    };
    if keys.is(admin.store.id(), check) {
        return Ok(None);
    }
    let next = MasterKey::read(place.next()).ok();
    let is_next = next.is_some_and(|key| Vault::open(&key, admin.store.id(), Some(check)).is_ok());
    if !is_next {
        return Err(CommandError::usage(WrongMasterKey.to_string()));
    }
    let end = settle(place, old_check(admin, keys.main()))?;
    Ok(Some(format!(
        "the store is under the new master key already\n{end}"
    )))
}

/// The new key, on the disk before anything depends on it. While a rotation is under way only the key it was
/// announced with counts; if its file was lost, that one comes back from the store.
fn new_key(
    place: &Place<'_>,
    store: &Store,
    old: &MasterKey,
    err: &mut dyn Write,
) -> Result<MasterKey, CommandError> {
    let path = place.next();
    let recorded = store.recorded()?;
    let announced = Rotation::next_key(old, store.id(), &recorded)
        .map_err(|error| CommandError::usage(error.to_string()))?;
    if !path.exists() {
        let lost = announced.is_some();
        let key = match announced {
            Some(key) => key,
            None => MasterKey::generate().map_err(|error| CommandError::internal(error.to_string()))?,
        };
        write_whole(path, &key).map_err(|error| {
            CommandError::usage(format!(
                "can't write the new key to `{}`: {error}",
                path.display()
            ))
            .hint("give `--new-file` with a place that can be written to")
        })?;
        if lost {
            let note =
                "the key of the rotation under way was not there: it was written again, from the store\n";
            print(err, &format!("`{}`: {note}", path.display()))?;
        }
    } else if let Some((check, _)) = &recorded.next
        && Vault::open(&read(path)?, store.id(), Some(check)).is_err()
    {
        return Err(CommandError::usage(format!(
            "a rotation to another key than the one in `{}` is under way: nothing was changed",
            path.display()
        ))
        .hint(
            "put the key it was begun with there, or move this one away: the other comes back from the store when \
             the command is run again",
        ));
    }
    give_like(place).map_err(|error| {
        CommandError::usage(format!(
            "`{}` can't be given the owner and mode of the key it is to replace: {error}",
            path.display()
        ))
        .hint(
            "run this as the key file's owner, or as root: the gate could not read the key at its next start",
        )
    })?;
    read(path)
}

fn read(path: &Path) -> Result<MasterKey, CommandError> {
    MasterKey::read(path).map_err(|error| CommandError::usage(error.to_string()))
}

/// The new key file gets owner and mode of the one it is to replace, whoever rotates: the gate reads either
/// at its next start.
fn give_like(place: &Place<'_>) -> std::io::Result<()> {
    let Place::Beside { file, next } = place else {
        return Ok(());
    };
    let (model, new) = (std::fs::metadata(file)?, File::open(next)?);
    let own = new.metadata()?;
    if (own.uid(), own.gid()) != (model.uid(), model.gid()) {
        fchown(&new, Some(model.uid()), Some(model.gid()))?;
    }
    new.set_permissions(std::fs::Permissions::from_mode(model.mode() & 0o777))
}

/// There whole or not at all, for its owner alone, and there after a crash.
fn write_whole(path: &Path, key: &MasterKey) -> std::io::Result<()> {
    let folder = folder_of(path);
    let mut file = tempfile::Builder::new()
        .prefix(".master-key-")
        .tempfile_in(&folder)?;
    file.write_all(key.to_text().expose().as_bytes())?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

fn turn(admin: &Admin, keys: &HeldKeys, new: &MasterKey, by: &Provenance) -> Result<Turned, CommandError> {
    let store = &admin.store;
    let recorded = store.recorded()?;
    let rotation = Rotation::new(keys.main(), new, store.id(), &recorded)
        .map_err(|error| CommandError::usage(error.to_string()))?;
    if rotation.old_check() == rotation.new_check() {
        return Err(CommandError::usage("the new master key is the present one")
            .hint("make another with `scopegate master-key new`"));
    }
    let waiting =
        "nothing was wrapped anew, and both keys are kept: see what the gate is doing, then run this again";
    if !store.await_announced(PATIENCE)? {
        return Err(CommandError::findings("a gate is starting and has not come so far").hint(waiting));
    }
    store.announce_master_key(&rotation, by)?;
    fail::fail_point!("rotate-after-announce");
    let followers = store.await_applied(PATIENCE)?;
    let silent = followers.iter().find_map(|follower| match follower {
        Follower::Silent { instance } => Some(instance),
        Follower::InForce { .. } => None,
    });
    if let Some(instance) = silent {
        let seconds = PATIENCE.as_secs();
        let message = format!("gate `{instance}` has not taken the new key within {seconds} s");
        return Err(CommandError::findings(message).hint(waiting));
    }
    Ok(store.turn_master_key(&rotation, by, || {
        fail::fail_point!("rotate-before-commit");
    })?)
}

/// The new key file gets its place; the old key keeps a name of its own. Returns what is left to do.
fn settle(place: &Place<'_>, old: KeyCheck) -> Result<String, CommandError> {
    let Place::Beside { file, next } = place else {
        return Ok(format!(
            "point `master_key` at the key in `{}` before the gate's next start; keep the old one for as long as there \
             are backups from before\n",
            place.next().display()
        ));
    };
    let kept = old_name(file, &old);
    let settled = || {
        give_like(place)?;
        if !kept.exists() {
            std::fs::hard_link(file, &kept)?;
        }
        fail::fail_point!("rotate-before-rename");
        std::fs::rename(next, file)?;
        File::open(folder_of(file))?.sync_all()
    };
    settled().map_err(|error| {
        CommandError::internal(format!(
            "the new key is in `{}` and could not get its place: {error}",
            next.display()
        ))
        .hint("the store is under it, and gates find it there; run this again to finish")
    })?;
    Ok(format!(
        "`{}` is the new key; the old one is `{}`: keep it for as long as there are backups from before\n",
        file.display(),
        kept.display()
    ))
}

fn old_check(admin: &Admin, old: &MasterKey) -> KeyCheck {
    let vault = Vault::open(old, admin.store.id(), None);
    vault.map_or(KeyCheck::from_stored([0; 32]), |vault| vault.key_check())
}

/// By a few digits of its tag: the same at every try, and telling nothing.
fn old_name(file: &Path, check: &KeyCheck) -> PathBuf {
    let digits: String = check
        .to_stored()
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".old-{digits}"));
    PathBuf::from(name)
}

fn folder_of(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

#[cfg(test)]
#[path = "rotate_tests.rs"]
mod tests;
