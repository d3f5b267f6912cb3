//! `scopegate store`: the embedded store.

use std::io::Write;

use super::admin::{Admin, print};
use super::{CommandResult, Exit, Globals};
use crate::access::key::KeyId;
use crate::config::Overrides;
use crate::store::Store;
use crate::tokens::findings;

/// Commands about the store.
#[derive(Debug, clap::Subcommand)]
pub enum StoreCommand {
    /// Look whether the file is sound and everything sealed in it opens.
    Check,
    /// Bring the file to this version's schema.
    Migrate,
}

/// Runs a command about the store.
///
/// # Errors
/// Usage and configuration (2), the store's failures (3); findings are exit 1.
pub fn run(command: StoreCommand, globals: &Globals) -> CommandResult {
    match command {
        StoreCommand::Check => check(&Admin::open(globals, false)?, &mut std::io::stdout().lock()),
        StoreCommand::Migrate => {
            let loaded = super::config::load(globals, Overrides::default())?;
            let (before, after) = Store::migrate(&loaded.config.store)?;
            let text = match before == after {
                true => format!("version {after} already\n"),
                false => format!("from version {before} to {after}\n"),
            };
            print(&mut std::io::stdout().lock(), &text)?;
            Ok(Exit::Fine)
        }
    }
}

fn check(admin: &Admin, out: &mut dyn Write) -> CommandResult {
    let mut found = admin.store.integrity()?;
    found.extend(findings(&admin.store, &admin.vault()?)?);
    found.extend(admin.store.key_rows()?.damaged.iter().map(damaged_key));
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

#[cfg(test)]
mod tests {
    use super::super::admin::testing::{NOWHERE, admin};
    use super::*;

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
    fn a_sound_store_is_said_to_be_sound() {
        let (_dir, admin) = admin(NOWHERE);
        let mut out = Vec::new();
        assert_eq!(check(&admin, &mut out).unwrap(), Exit::Fine);
        assert_eq!(out, b"sound: 0 connections, 0 keys, everything sealed opens\n");
    }
}
