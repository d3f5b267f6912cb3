//! `connection suspend`, `resume`, `remove`: one by name, or all that match.

use std::io::Write;

use futures_util::{StreamExt, stream};

use super::outcome::{Outcome, Telling, What, tell};
use super::select::Chosen;
use crate::access::connection::{ConnectionId, Standing};
use crate::cli::admin::{Admin, ReasonArgs, provenance, runtime};
use crate::cli::kill::warn_of_stops;
use crate::cli::{CommandError, CommandResult, Exit};
use crate::store::{ConnectionRow, Provenance, Resumed};
use crate::tokens::Enrolment;

/// Questions to HubSpot at one time.
const AT_ONCE: usize = 8;

/// Arguments of `connection suspend` and `resume`.
#[derive(Debug, Default, clap::Args)]
pub struct ChangeArgs {
    /// Which.
    #[command(flatten)]
    pub chosen: Chosen,
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
    /// Why.
    #[command(flatten)]
    pub reason: ReasonArgs,
}

/// Arguments of `connection remove`.
#[derive(Debug, Default, clap::Args)]
pub struct RemoveArgs {
    /// Which.
    #[command(flatten)]
    pub change: ChangeArgs,
    /// Yes, all that match: credentials and keys don't come back.
    #[arg(long)]
    pub yes: bool,
}

pub(super) fn suspend(
    args: &ChangeArgs,
    admin: &Admin,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> CommandResult {
    let by = provenance(&args.reason)?;
    let rows = args.chosen.rows(admin)?;
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let (from, to) = ([Standing::Unverified, Standing::Ok], Standing::Suspended);
    let why = by.reason.as_deref();
    let before = admin
        .store
        .change_standings(&ids, &from, to, why, "connection suspend", &by)?;
    let outcomes = rows.into_iter().zip(before).map(|(before, standing)| {
        let what = if from.contains(&standing) {
            What::Now(to)
        } else {
            as_wished(&before, standing, to)
        };
        Outcome { before, what }
    });
    finish(args, outcomes.collect(), admin, out, err)
}

pub(super) fn resume(
    args: &ChangeArgs,
    admin: &Admin,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> CommandResult {
    let by = provenance(&args.reason)?;
    let rows = args.chosen.rows(admin)?;
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let done = admin.store.resume_all(&ids, &by)?;
    let outcomes = if done
        .iter()
        .any(|done| matches!(done, Resumed::Foreign | Resumed::Unasked))
    {
        asked(rows.into_iter().zip(done).collect(), admin, &by)?
    } else {
        let resumed = rows.into_iter().zip(done);
        resumed.map(|(row, done)| resumed_as(row, done)).collect()
    };
    for outcome in &outcomes {
        if matches!(outcome.what, What::Now(Standing::Unverified)) {
            // Nobody to tell if stderr is gone.
            let _ = writeln!(
                err,
                "warning: connection `{}` is `unverified`: HubSpot has not said whose its credential is; calls pass, \
                 and the gate verifies it as soon as it can",
                outcome.before.name
            );
        }
    }
    let names: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome.before.name.clone())
        .collect();
    let exit = finish(args, outcomes, admin, out, err)?;
    warn_of_stops(&names.iter().collect::<Vec<_>>(), admin, err);
    Ok(exit)
}

/// Resumes those about which HubSpot must be asked; the rest is done already.
fn asked(
    resumed: Vec<(ConnectionRow, Resumed)>,
    admin: &Admin,
    by: &Provenance,
) -> Result<Vec<Outcome>, CommandError> {
    let (vault, client, endpoints) = (admin.vault()?, admin.client()?, admin.endpoints());
    let enrolment = Enrolment {
        store: &admin.store,
        vault: &vault,
        client: &client,
        endpoints: &endpoints,
    };
    let questions = stream::iter(resumed).map(|(row, done)| ask(&enrolment, row, done, by));
    Ok(runtime()?.block_on(questions.buffered(AT_ONCE).collect()))
}

async fn ask(enrolment: &Enrolment<'_>, before: ConnectionRow, done: Resumed, by: &Provenance) -> Outcome {
    match enrolment.resume_asked(&before, done, by).await {
        Ok(done) => resumed_as(before, done),
        Err(error) => Outcome {
            before,
            what: What::Not(error.into()),
        },
    }
}

fn resumed_as(before: ConnectionRow, done: Resumed) -> Outcome {
    let what = match done {
        Resumed::Passes(to) => What::Now(to),
        Resumed::NotSuspended(is @ Standing::Unverified) => as_wished(&before, is, is),
        Resumed::NotSuspended(is) => as_wished(&before, is, Standing::Ok),
        // Invariant: the enrolment asks and says so itself.
        Resumed::Foreign | Resumed::Unasked => {
            What::Not(CommandError::findings("the connection stays as it is"))
        }
    };
    Outcome { before, what }
}

/// It has the wished standing already, or can't have it.
fn as_wished(row: &ConnectionRow, is: Standing, wished: Standing) -> What {
    if is == wished {
        return What::Already;
    }
    What::Not(CommandError::findings(format!(
        "connection `{}` is `{}`: that can't be changed to `{}`",
        row.name,
        is.as_str(),
        wished.as_str()
    )))
}

/// The id of a connection of that name whose row can't be read: it can be removed all the same.
fn damaged(name: &str, admin: &Admin) -> Result<Option<ConnectionId>, CommandError> {
    let damaged = admin.store.connection_rows()?.damaged;
    let row = damaged
        .into_iter()
        .find(|row| row.name.as_ref().is_some_and(|known| known.as_str() == name));
    Ok(row.and_then(|row| row.id))
}

pub(super) fn remove(
    args: &RemoveArgs,
    admin: &Admin,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> CommandResult {
    let by = provenance(&args.change.reason)?;
    let chosen = &args.change.chosen;
    if let [name] = &*chosen.names
        && let Some(id) = damaged(name, admin)?
    {
        let revoked = admin.store.remove_connection(&id, &by)?;
        // Nobody to tell if stderr is gone.
        let _ = writeln!(
            err,
            "removed `{name}`, whose row was damaged, and revoked {revoked} of its keys"
        );
        admin.tell_followers(err);
        return Ok(Exit::Fine);
    }
    let rows = chosen.rows(admin)?;
    for row in &rows {
        let sharers = admin.store.sharers(&row.id)?;
        if !sharers.is_empty() {
            let _ = writeln!(
                err,
                "note: {} hold the grant of `{}`, too, and go on; revoking it at HubSpot would end them",
                super::listed(&sharers),
                row.name
            );
        }
    }
    if !chosen.by.is_empty() && !args.yes {
        return Err(CommandError::usage(format!(
            "{} connections match, and their credentials and keys don't come back: say `--yes` to remove them all",
            rows.len()
        ))
        .hint("see which they are by `scopegate connection list` with the same selectors"));
    }
    let removed = admin.store.remove_connections(&rows, &by)?;
    let outcomes = rows.into_iter().zip(removed).map(|(before, removed)| {
        let what = match removed {
            Some(keys) => What::Removed(keys),
            None => What::Not(CommandError::findings(format!(
                "connection `{}` was changed meanwhile: see what it is now and try again",
                before.name
            ))),
        };
        Outcome { before, what }
    });
    finish(&args.change, outcomes.collect(), admin, out, err)
}

/// Tells what was done: in lines, or, about one connection that was named, in words.
fn finish(
    args: &ChangeArgs,
    outcomes: Vec<Outcome>,
    admin: &Admin,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> CommandResult {
    let (json, follow) = (args.json, true);
    if !args.chosen.is_one_name() || json {
        return tell(&outcomes, &Telling { json, follow }, admin, out, err);
    }
    for Outcome { before, what } in outcomes {
        let text = match what {
            What::Now(_) | What::Changed(_) => String::new(),
            What::Already => {
                let is = before.standing.as_str();
                // Nobody to tell if stderr is gone.
                let _ = writeln!(err, "connection `{}` is `{is}` already", before.name);
                return Ok(Exit::Fine);
            }
            What::Removed(keys) => format!(
                "removed `{}`, destroyed its credential, revoked {keys} of its keys; the credential still works at \
                 HubSpot until it is revoked there\n",
                before.name
            ),
            What::Not(error) => return Err(error),
        };
        let _ = err.write_all(text.as_bytes());
    }
    admin.tell_followers(err);
    Ok(Exit::Fine)
}
