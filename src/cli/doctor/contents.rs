//! What the gate works with: store, master key, policies, keys, connections, stops, findings.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::sheet::Sheet;
use crate::access::connection::Standing;
use crate::access::policy_set::{CeilingState, PolicySet};
use crate::access::policy_text::mistake::Mistake;
use crate::access::rotation::rotation_due;
use crate::catalogue_file;
use crate::cli::admin::short;
use crate::config::Config;
use crate::policy_files;
use crate::store::{AnchorFile, Anchored, ConnectionRow, DamagedRow, KillRow, Store, StoreError, judge};
use crate::tokens::{findings, unlock, unopened_keys};

/// What ends within this time is said: long enough for a change that somebody has to review.
const POLICY_SOON: Duration = Duration::from_secs(30 * 86_400);
const KEY_SOON: Duration = Duration::from_secs(14 * 86_400);

pub(super) fn policies(sheet: &mut Sheet, config: &Config, now: Timestamp) {
    let check = format!("scopegate policy check {}", config.policies.display());
    let catalogue = match catalogue_file::read(&config.catalogue) {
        Ok(catalogue) => catalogue,
        Err(error) => {
            return sheet.broken(
                "catalogue",
                error.to_string(),
                "mend the file named in `catalogue.extra`",
            );
        }
    };
    let files = match policy_files::read_folder(&config.policies) {
        Ok(files) => files,
        Err(error) => {
            let text = format!(
                "the folder `{}` can't be read: {error}",
                config.policies.display()
            );
            return sheet.broken("policies", text, check);
        }
    };
    let (set, mistakes) = PolicySet::build(&files, &catalogue, None, now, config.limits.policies_stale);
    for mistake in mistakes.iter().filter(|mistake| Mistake::is_error(mistake)) {
        sheet.broken("policies", mistake.one_line(), check.clone());
    }
    if set.ceiling_state() == CeilingState::Broken {
        sheet.broken(
            "policies",
            "the ceiling does not load: a gate would not start",
            check,
        );
    }
    for (name, policy, _) in set.integrations() {
        let Some(expires) = policy.and_then(|policy| policy.expires_at()) else {
            continue;
        };
        let remedy = format!("review `{name}.yaml` and move its `expires`");
        if expires <= now {
            sheet.broken("policies", format!("`{name}` expired {}", short(expires)), remedy);
        } else if is_soon(expires, now, POLICY_SOON) {
            sheet.look("policies", format!("`{name}` expires {}", short(expires)), remedy);
        }
    }
    if sheet.is_fine("policies") {
        sheet.fine(
            "policies",
            format!("{} load, none expires soon", set.integrations().count()),
        );
    }
}

pub(super) fn store(sheet: &mut Sheet, store: &Store) {
    let sound = store.integrity();
    let found = match sound {
        Ok(found) => found,
        Err(error) => vec![error.to_string()],
    };
    for finding in &found {
        sheet.broken("store", finding.clone(), "restore a backup: see deploy/README.md");
    }
    if found.is_empty() {
        sheet.fine("store", "sound");
    }
}

pub(super) fn master_key(sheet: &mut Sheet, store: &Store, config: &Config) {
    let verify = "scopegate master-key verify";
    let vault = match unlock(store, &config.master_key, &config.key_command) {
        Ok(vault) => vault,
        Err(error) => return sheet.broken("master key", error.to_string(), verify),
    };
    if store.recorded().is_ok_and(|recorded| recorded.next.is_some()) {
        sheet.look(
            "master key",
            "a rotation was begun and not finished",
            "scopegate master-key rotate",
        );
    }
    let opened = unopened_keys(store, &vault).and_then(|(count, mut closed)| {
        if closed.is_empty() {
            closed = findings(store, &vault)?;
        }
        Ok((count, closed))
    });
    match opened {
        Ok((count, closed)) if closed.is_empty() => {
            sheet.fine("master key", format!("opens all {count} data keys"));
        }
        Ok((_, closed)) => closed
            .into_iter()
            .for_each(|finding| sheet.broken("master key", finding, verify)),
        Err(error) => sheet.broken("master key", error.to_string(), "scopegate store check"),
    }
}

/// Whether this is the store that a gate last worked on, or an old copy: behind [`master_key`], which unlocks it.
pub(super) fn anchor(sheet: &mut Sheet, store: &Store, config: &Config) {
    let Ok(rows) = store.row_key() else {
        return sheet.look(
            "anchor",
            "without the master key an old copy can't be told from the store",
            "scopegate master-key verify",
        );
    };
    let file = AnchorFile::of(store, &config.audit.dir);
    let look = format!("ls -l {}", file.path().display());
    let judged = match (file.read(rows), store.version()) {
        (Ok(anchor), Ok(version)) => judge(anchor, version),
        (Err(error), _) => {
            let text = format!("it can't be read, and a gate would not start: {error}");
            return sheet.broken("anchor", text, look);
        }
        (_, Err(error)) => return sheet.broken("anchor", error.to_string(), "scopegate store check"),
    };
    match judged {
        Anchored::Fine => sheet.fine("anchor", "the store is as new as when a gate last wrote to it"),
        Anchored::Unknown => sheet.look(
            "anchor",
            "none that can be believed: whether the store is an old copy can't be told; a gate begins one",
            look,
        ),
        Anchored::Old(anchor) => sheet.broken(
            "anchor",
            format!(
                "the store is an old copy of that of {}, and a gate would not start",
                short(anchor.at)
            ),
            "put the right file back, or say that it is meant: scopegate store accept-rollback --reason …",
        ),
    }
}

/// Keys, connections, stops and findings.
pub(super) fn all(sheet: &mut Sheet, store: &Store, config: &Config, now: Timestamp) {
    if let Err(error) = look_at(sheet, store, config, now) {
        sheet.broken("store", error.to_string(), "scopegate store check");
    }
}

fn look_at(sheet: &mut Sheet, store: &Store, config: &Config, now: Timestamp) -> Result<(), StoreError> {
    keys(sheet, store, now)?;
    for id in store.admin_credential_rows()?.damaged {
        let id = id.as_ref().map_or("?".to_owned(), ToString::to_string);
        sheet.broken(
            "admin",
            format!("admin credential `{id}` is damaged and opens nothing"),
            "scopegate store check",
        );
    }
    let kills = store.kills()?;
    connections(sheet, store, &kills)?;
    rotation(sheet, store, config, now)?;
    for kill in &kills {
        sheet.look(
            "stops",
            format!(
                "{} is stopped since {} by {}",
                kill.subject,
                short(kill.at),
                kill.actor
            ),
            "scopegate kill --list; scopegate revive ends it",
        );
    }
    let unreadable = store.unreadable_kills()?;
    for kill in &unreadable {
        sheet.broken("stops", kill.clone(), "scopegate store check");
    }
    if kills.is_empty() && unreadable.is_empty() {
        sheet.fine("stops", "none in force");
    }
    let open = store.open_findings()?;
    let open = open
        .iter()
        .filter(|finding| finding.acknowledged.is_none())
        .count();
    match open {
        0 => sheet.fine("people", "no open finding"),
        _ => sheet.look(
            "people",
            format!("{open} open findings about installers"),
            "scopegate people list",
        ),
    }
    Ok(())
}

fn keys(sheet: &mut Sheet, store: &Store, now: Timestamp) -> Result<(), StoreError> {
    let rows = store.key_rows()?;
    for id in &rows.damaged {
        let id = id.as_ref().map_or("?".to_owned(), ToString::to_string);
        sheet.broken(
            "keys",
            format!("key `{id}` is damaged and opens nothing"),
            "scopegate store check",
        );
    }
    let (mut live, mut expired) = (0_usize, 0_usize);
    for key in rows.sound.iter().filter(|key| key.revoked.is_none()) {
        match key.expires {
            Some(at) if at <= now => expired += 1,
            Some(at) if is_soon(at, now, KEY_SOON) => {
                live += 1;
                sheet.look(
                    "keys",
                    format!("key `{}` of `{}` expires {}", key.id, key.integration, short(at)),
                    format!("scopegate key rotate {} --overlap 7d", key.id),
                );
            }
            _ => live += 1,
        }
    }
    if sheet.is_fine("keys") {
        sheet.fine(
            "keys",
            format!("{live} live, none expires soon; {expired} expired"),
        );
    }
    Ok(())
}

fn connections(sheet: &mut Sheet, store: &Store, kills: &[KillRow]) -> Result<(), StoreError> {
    let rows = store.connection_rows()?;
    for row in &rows.damaged {
        sheet.broken("connections", DamagedRow::finding(row), "scopegate store check");
    }
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &rows.sound {
        let state = row.state(kills);
        *states.entry(state.as_str()).or_default() += 1;
        one(sheet, row, state);
    }
    let counts: Vec<String> = states
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    match counts.is_empty() {
        true => sheet.look(
            "connections",
            "there is none",
            "scopegate connection add, or connection install",
        ),
        false => sheet.fine("connections", counts.join(", ")),
    }
    Ok(())
}

/// One that is not simply in order.
fn one(sheet: &mut Sheet, row: &ConnectionRow, state: Standing) {
    let name = &row.name;
    let again = match &row.app {
        Some(app) => format!("scopegate connection install {name} --app {app}"),
        None => format!("scopegate connection rotate {name} --token-file FILE"),
    };
    // What somebody stopped on purpose is looked at; what stopped by itself is broken.
    let (on_purpose, remedy) = match state {
        Standing::Ok => match &row.health {
            None => return,
            Some(health) => {
                let remedy = format!("scopegate connection show {name}");
                return sheet.look(
                    "connections",
                    format!("`{name}` is ok, and troubled: {health}"),
                    remedy,
                );
            }
        },
        Standing::Unverified => (true, format!("scopegate connection show {name}")),
        Standing::Pending | Standing::Suspended => (true, format!("scopegate connection resume {name}")),
        Standing::Killed => (true, "scopegate kill --list".to_owned()),
        Standing::InstallerRemoved | Standing::Reauthorise | Standing::Dead => (false, again),
    };
    let text = format!(
        "`{name}` is `{}` since {}",
        state.as_str(),
        short(row.standing_since)
    );
    match on_purpose {
        true => sheet.look("connections", text, remedy),
        false => sheet.broken("connections", text, remedy),
    }
}

fn rotation(sheet: &mut Sheet, store: &Store, config: &Config, now: Timestamp) -> Result<(), StoreError> {
    let rows = store.connections()?;
    let due = rows
        .iter()
        .filter(|row| rotation_due(&row.credential_age(), config.rotation_max_age, now).is_some());
    match due.count() {
        0 => sheet.fine("rotation", "no credential is due"),
        due => sheet.look(
            "rotation",
            format!("{due} credentials are due"),
            "scopegate connection list --rotation-due",
        ),
    }
    Ok(())
}

fn is_soon(at: Timestamp, now: Timestamp, soon: Duration) -> bool {
    SignedDuration::try_from(soon)
        .ok()
        .and_then(|soon| now.checked_add(soon).ok())
        .is_some_and(|until| at <= until)
}
