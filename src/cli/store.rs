//! `scopegate store`: the embedded store.

use std::io::Write;
use std::path::PathBuf;

use super::admin::{Admin, Purpose, ReasonArgs, print, provenance};
use super::{CommandError, CommandResult, Exit, Globals};
use crate::access::key::KeyId;
use crate::clock;
use crate::config::{Config, Overrides};
use crate::store::{AnchorFile, Anchored, GateLock, Sealing, Store, judge};
use crate::tokens::{findings, unlock_to_seal};

/// Commands about the store.
#[derive(Debug, clap::Subcommand)]
pub enum StoreCommand {
    /// Look whether the file is sound and everything sealed in it opens.
    Check,
    /// Bring the file to this version's schema.
    Migrate(ReasonArgs),
    /// Copy the store to a new file, consistently, while the gate runs. The master key is not in it.
    Backup(BackupArgs),
    /// Say that an old copy of the store was put back on purpose.
    #[command(name = "accept-rollback")]
    AcceptRollback(ReasonArgs),
}

/// Arguments of `store backup`.
#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// The new file, mode 0600. One that is there is not replaced.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Runs a command about the store.
///
/// # Errors
/// Usage and configuration (2), the store's failures (3); findings are exit 1.
pub fn run(command: StoreCommand, globals: &Globals) -> CommandResult {
    match command {
        StoreCommand::Check => check(
            &Admin::open(globals, Purpose::Look)?,
            &mut std::io::stdout().lock(),
        ),
        StoreCommand::AcceptRollback(reason) => accept(
            &Admin::open(globals, Purpose::Look)?,
            &reason,
            &mut std::io::stdout().lock(),
        ),
        StoreCommand::Migrate(reason) => {
            let loaded = super::config::load(globals, Overrides::default())?;
            migrate(&loaded.config, &reason, &mut std::io::stdout().lock())
        }
        StoreCommand::Backup(args) => backup(
            &Admin::open(globals, Purpose::Look)?,
            &args,
            &mut std::io::stdout().lock(),
        ),
    }
}

/// Rows of a version without seals are sealed as they are: not when a newer version has written to the store,
/// unless somebody stands up for them.
fn migrate(config: &Config, reason: &ReasonArgs, out: &mut dyn Write) -> CommandResult {
    let by = provenance(reason)?;
    let (before, after) = Store::migrate(&config.store, |id, check| {
        let anchor = AnchorFile::path_of(id, &config.audit.dir);
        if by.reason.is_none() && anchor.exists() {
            return Err(CommandError::usage(format!(
                "a scopegate that seals rows has written to this store, as `{}` shows, and its rows have no seals: whoever \
                 changed them would have them sealed",
                anchor.display()
            ))
            .hint("put the right file back; if a backup of an earlier version was restored on purpose, give `--reason`"));
        }
        let sealing = unlock_to_seal(id, check, &config.master_key, &config.key_command)?;
        Ok(Sealing {
            by: Some(by.clone()),
            ..sealing
        })
    })?;
    let text = match before == after {
        true => format!("version {after} already\n"),
        false => format!("from version {before} to {after}\n"),
    };
    print(out, &text)?;
    Ok(Exit::Fine)
}

fn backup(admin: &Admin, args: &BackupArgs, out: &mut dyn Write) -> CommandResult {
    let backup = admin.store.backup(&args.file)?;
    let text = if args.json {
        let object = serde_json::json!({
            "file": args.file,
            "bytes": backup.bytes,
            "connections": backup.connections,
            "keys": backup.keys,
        });
        format!("{object}\n")
    } else {
        format!(
            "{} connections, {} keys, {} bytes in `{}`; keep the master key elsewhere: nothing in it opens without\n",
            backup.connections,
            backup.keys,
            backup.bytes,
            args.file.display()
        )
    };
    print(out, &text)?;
    Ok(Exit::Fine)
}

/// Only while no gate runs: one that does has another store in mind.
fn accept(admin: &Admin, reason: &ReasonArgs, out: &mut dyn Write) -> CommandResult {
    let by = provenance(reason)?;
    if by.reason.is_none() {
        return Err(CommandError::usage(
            "an old copy brings revoked keys back: give `--reason`",
        ));
    }
    // Held to the end: none starts meanwhile, either.
    let _lock =
        GateLock::acquire(admin.store.path()).map_err(|error| CommandError::usage(error.to_string()))?;
    admin.vault()?;
    let rows = admin.store.row_key()?;
    let file = AnchorFile::of(&admin.store, &admin.config.audit.dir);
    let failed = |error: std::io::Error| {
        CommandError::usage(format!("the store's anchor `{}`: {error}", file.path().display()))
    };
    let anchor = file.read(rows).map_err(failed)?;
    let version = admin.store.version()?;
    let Anchored::Old(anchor) = judge(anchor, version) else {
        print(
            out,
            "this store is no old copy, as far as can be told: nothing to accept\n",
        )?;
        return Ok(Exit::Fine);
    };
    let grants = admin.store.accept_old_copy(anchor.accepted(version), &by)?;
    file.write(rows, admin.store.version()?, clock::wall())
        .map_err(failed)?;
    print(
        out,
        &format!(
            "accepted: a copy of {version} transactions in place of {} by {}\n{grants} OAuth grants are uncertain: each is \
             tried once, and one that HubSpot no longer knows is shown as `reauthorise`\nkeys revoked since are in force \
             again, and emergency stops made since are gone: see `scopegate key list` and `scopegate kill --list`\n",
            anchor.version, anchor.at
        ),
    )?;
    Ok(Exit::Fine)
}

fn check(admin: &Admin, out: &mut dyn Write) -> CommandResult {
    let mut found = admin.store.integrity()?;
    found.extend(findings(&admin.store, &admin.vault()?)?);
    found.extend(admin.store.key_rows()?.damaged.iter().map(damaged_key));
    found.extend(
        admin
            .store
            .admin_credential_rows()?
            .damaged
            .iter()
            .map(damaged_credential),
    );
    found.extend(admin.store.unreadable_kills()?);
    if found.is_empty() {
        let (connections, keys) = (admin.store.connections()?.len(), admin.store.keys()?.len());
        print(
            out,
            &format!("sound: {connections} connections, {keys} keys, everything sealed opens\n"),
        )?;
        return Ok(Exit::Fine);
    }
    for finding in found {
        print(out, &format!("{finding}\n"))?;
    }
    Ok(Exit::Findings)
}

fn damaged_key(id: &Option<KeyId>) -> String {
    match id {
        Some(id) => format!(
            "key `{id}` is damaged and opens nothing: revoke it with `scopegate key revoke {id}` and create another"
        ),
        None => "a key is damaged and opens nothing: restore the store from a backup, or create another"
            .to_owned(),
    }
}

fn damaged_credential(id: &Option<KeyId>) -> String {
    match id {
        Some(id) => format!(
            "admin credential `{id}` is damaged and opens nothing: revoke it with `scopegate admin revoke {id}` and create \
             another"
        ),
        None => "an admin credential is damaged and opens nothing: restore the store from a backup, or create another"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::admin::testing::{NOWHERE, admin};
    use super::*;

    #[test]
    fn an_admin_credential_that_was_changed_is_found_until_it_is_revoked() {
        use crate::access::admin_key::AdminKeyHash;
        use crate::access::role::Role;
        use crate::store::testing::by_test;
        let (_dir, admin) = admin(NOWHERE);
        admin.vault().unwrap();
        let new = crate::store::NewAdminCredential {
            id: KeyId::parse("aaaaaaaaaaaa").unwrap(),
            hash: AdminKeyHash::from_stored([7; 32]),
            name: "alice".to_owned(),
            role: Role::Viewer,
            expires: clock::now() + std::time::Duration::from_secs(60),
        };
        admin
            .store
            .add_admin_credential(&new, clock::now(), &by_test())
            .unwrap();
        let raw = rusqlite::Connection::open(admin.store.path()).unwrap();
        raw.execute_batch("UPDATE admin_credentials SET role = 'security'")
            .unwrap();
        let mut out = Vec::new();
        assert_eq!(check(&admin, &mut out).unwrap(), Exit::Findings);
        let said = String::from_utf8(out).unwrap();
        assert!(said.contains("scopegate admin revoke aaaaaaaaaaaa"), "{said}");
        admin.store.revoke_admin_credential(&new.id, &by_test()).unwrap();
        assert_eq!(check(&admin, &mut Vec::new()).unwrap(), Exit::Fine);
    }

    #[test]
    fn an_emergency_stop_that_can_not_be_read_is_found() {
        let (_dir, admin) = admin(NOWHERE);
        let raw = rusqlite::Connection::open(admin.store.path()).unwrap();
        raw.execute(
            "INSERT INTO kills (kind, subject, reason, actor, at) VALUES ('planet', 'x', 'r', 'a', 0)",
            [],
        )
        .unwrap();
        let mut out = Vec::new();
        assert_eq!(check(&admin, &mut out).unwrap(), Exit::Findings);
        let said = String::from_utf8(out).unwrap();
        assert!(
            said.contains("`planet`") && said.contains("gates let nothing pass"),
            "{said}"
        );
    }

    #[test]
    fn rows_without_seals_are_not_sealed_where_seals_were_unless_somebody_says_why() {
        let (_dir, admin) = admin(NOWHERE);
        let raw = rusqlite::Connection::open(admin.store.path()).unwrap();
        raw.execute_batch(
            "ALTER TABLE keys DROP COLUMN seal; ALTER TABLE connections DROP COLUMN seal; DROP TABLE anchor;
             ALTER TABLE kills DROP COLUMN digest; ALTER TABLE installs DROP COLUMN seal; DELETE FROM meta WHERE name = 'row_key'; PRAGMA user_version = 10",
        )
        .unwrap();
        let anchor = AnchorFile::path_of(admin.store.id(), &admin.config.audit.dir);
        std::fs::create_dir_all(&admin.config.audit.dir).unwrap();
        std::fs::write(&anchor, "{}").unwrap();
        let (config, mut out) = (admin.config.clone(), Vec::new());
        drop(admin);
        let silent = migrate(&config, &ReasonArgs::default(), &mut out).unwrap_err();
        assert_eq!(silent.exit, Exit::Usage);
        let because = ReasonArgs {
            reason: Some("restored".to_owned()),
        };
        assert_eq!(migrate(&config, &because, &mut out).unwrap(), Exit::Fine);
        let store = Store::open_existing(&config.store).unwrap();
        let event = store.admin_events_after(0).unwrap().pop().unwrap();
        assert_eq!(
            (event.action.as_str(), event.reason.as_deref()),
            ("store migrate", Some("restored"))
        );
    }

    #[test]
    fn a_sound_store_is_said_to_be_sound() {
        let (_dir, admin) = admin(NOWHERE);
        let mut out = Vec::new();
        assert_eq!(check(&admin, &mut out).unwrap(), Exit::Fine);
        assert_eq!(out, b"sound: 0 connections, 0 keys, everything sealed opens\n");
    }
}
