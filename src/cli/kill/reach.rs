//! What a stop reaches now, and what to say when that is not what somebody may have meant.

use std::collections::BTreeMap;
use std::io::Write;

use crate::access::connection::ConnectionName;
use crate::access::kill::{KillKind, KillSubject};
use crate::access::policy_text::nearest::nearest;
use crate::cli::CommandError;
use crate::cli::admin::Admin;
use crate::policy_files;
use crate::reports::kills::Reach;
use crate::store::{ConnectionRow, KillRow, kills_covering};

/// Says loudly when nothing known has the name; whether something has.
pub(super) fn warn_if_unknown(
    subject: &KillSubject,
    reach: &Reach,
    admin: &Admin,
    err: &mut dyn Write,
) -> Result<bool, CommandError> {
    let name = subject.name();
    let (what, known): (&str, Vec<String>) = match subject.kind() {
        _ if !reach.connections.is_empty() || reach.keys > 0 => return Ok(true),
        KillKind::All => return Ok(true),
        KillKind::Integration => {
            let mut known: Vec<String> = policies(admin);
            known.extend(admin.store.keys()?.into_iter().map(|key| key.integration));
            ("no policy and no key of this integration is known", known)
        }
        KillKind::Connection => {
            let known = admin.store.connections()?;
            let known = known.iter().map(|row| row.name.to_string()).collect();
            ("there is no connection of this name", known)
        }
        KillKind::App => {
            let mut known: Vec<String> = admin
                .store
                .connections()?
                .into_iter()
                .filter_map(|row| row.app)
                .collect();
            known.extend(admin.store.app(name)?.map(|app| app.name));
            ("there is no app of this name", known)
        }
        KillKind::Portal => {
            let known = admin.store.connections()?;
            let known = known.iter().map(|row| row.portal.to_string()).collect();
            ("there is no connection to this portal", known)
        }
        KillKind::Person => {
            let known = admin.store.connections()?;
            let known = known
                .into_iter()
                .flat_map(|row| [row.installer_email, row.person_email])
                .flatten()
                .collect();
            (
                "no connection is known to have been installed by this person",
                known,
            )
        }
    };
    if known.iter().any(|known| known == name) {
        return Ok(true);
    }
    let meant = nearest(name, known.iter().map(String::as_str))
        .map_or_else(String::new, |meant| format!(" Did you mean `{meant}`?"));
    // Nobody to tell if stderr is gone.
    let _ = writeln!(
        err,
        "warning: NOTHING WAS STOPPED BY THIS YET: {what}.{meant} The stop is recorded and holds for what appears \
         under this name; if it is a typing mistake, stop the right one now, then revive `{name}`"
    );
    Ok(false)
}

/// A person's stop can't cover what nobody knows to be theirs.
pub(super) fn warn_of_unknown_installers(
    subject: &KillSubject,
    admin: &Admin,
    err: &mut dyn Write,
) -> Result<(), CommandError> {
    if subject.kind() != KillKind::Person {
        return Ok(());
    }
    let connections = admin.store.connections()?;
    let unknown = connections
        .iter()
        .filter(|row| row.installer_email.is_none() && row.person_email.is_none())
        .count();
    if unknown > 0 {
        let plural = if unknown == 1 { "" } else { "s" };
        // Nobody to tell if stderr is gone.
        let _ = writeln!(
            err,
            "warning: who installed {unknown} connection{plural} is not known: if it may have been this person, \
             stop them by name; see `scopegate connection list`"
        );
    }
    Ok(())
}

/// The names of policies by their files. Best effort: a folder that can't be read names none.
fn policies(admin: &Admin) -> Vec<String> {
    let files = policy_files::read_folder(&admin.config.policies).unwrap_or_default();
    files
        .iter()
        .filter_map(|file| {
            let name = file.inside.rsplit('/').next()?;
            name.strip_suffix(".yaml").map(str::to_owned)
        })
        .collect()
}

/// Stops that go on covering some of what was revived.
pub(super) fn still_stopping<'a>(
    subject: &KillSubject,
    reach: &Reach,
    kills: &'a [KillRow],
) -> Vec<&'a KillRow> {
    let integration = subject.kind() == KillKind::Integration;
    let everything = subject.kind() == KillKind::All;
    kills
        .iter()
        .filter(|kill| {
            everything
                || (integration && kill.subject.kind() == KillKind::All)
                || reach
                    .connections
                    .iter()
                    .any(|connection| kill.subject.covers(connection.covered()))
        })
        .collect()
}

/// A revival gives back what was, and that may let nothing pass either.
pub(super) fn warn_of_what_is_beneath(reach: &Reach, kills: &[KillRow], err: &mut dyn Write) {
    let mut states: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let free = reach
        .connections
        .iter()
        .filter(|row| kills_covering(kills, row).is_empty());
    for row in free {
        // Not that its installer is gone: what that stops is each policy's word.
        let standing = row.standing;
        if standing.refusal().is_some() {
            states
                .entry(standing.as_str())
                .or_default()
                .push(row.name.as_str());
        }
    }
    for (state, names) in states {
        let what = match names.as_slice() {
            [one] => format!("connection `{one}` is"),
            more => format!("{} connections are", more.len()),
        };
        // Nobody to tell if stderr is gone.
        let _ = writeln!(
            err,
            "warning: {what} `{state}` beneath: no call passes; see `scopegate connection list --state {state}`"
        );
    }
}

/// Says that connections which a command has just put in order are stopped all the same. Best effort:
/// what was commanded is done.
pub(in crate::cli) fn warn_of_stops(names: &[&ConnectionName], admin: &Admin, err: &mut dyn Write) {
    let (Ok(kills), Ok(rows)) = (admin.store.kills(), admin.store.connections()) else {
        return;
    };
    for kill in kills {
        let covered: Vec<&ConnectionRow> = rows
            .iter()
            .filter(|row| names.contains(&&row.name) && kill.subject.covers(row.covered()))
            .collect();
        let what = match covered.as_slice() {
            [] => continue,
            [one] => format!("connection `{}`", one.name),
            more => format!("{} of these connections", more.len()),
        };
        // Nobody to tell if stderr is gone.
        let _ = writeln!(
            err,
            "warning: the stop of {} covers {what}: no call passes until it is ended with `scopegate revive`",
            kill.subject
        );
    }
}

/// Says that a stop of a person no longer covers a connection, since another person, or one whom HubSpot
/// does not tell, is behind it now. Best effort: what was commanded is done.
pub(in crate::cli) fn warn_of_stops_left(before: &ConnectionRow, admin: &Admin, err: &mut dyn Write) {
    let (Ok(kills), Ok(Some(now))) = (admin.store.kills(), admin.store.connection(&before.id)) else {
        return;
    };
    for kill in kills_covering(&kills, before) {
        if !kill.subject.covers(now.covered()) {
            // Nobody to tell if stderr is gone.
            let _ = writeln!(
                err,
                "warning: the stop of {} covered connection `{}` and no longer does: as far as HubSpot tells, the new \
                 credential is not theirs; if it is, stop the connection by its name",
                kill.subject, now.name
            );
        }
    }
}
