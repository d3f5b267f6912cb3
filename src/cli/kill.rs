//! `scopegate kill` and `scopegate revive`: stopping in an emergency, and ending that.
//!
//! The stop comes first: it is committed before anything is looked up, counted or asked for. A subject
//! need not exist; that nothing known is called so is said loudly, since it may be a typing mistake.

mod reach;

pub(super) use self::reach::{warn_of_stops, warn_of_stops_left};

use std::io::Write;
use std::time::Instant;

use clap::ArgGroup;
use serde_json::{Value, json};

use self::reach::{still_stopping, warn_if_unknown, warn_of_unknown_installers, warn_of_what_is_beneath};
use super::admin::{Admin, PATIENCE, Purpose, ReasonArgs, columns, print, provenance, short};
use super::retire::{self, RetireArgs};
use super::{CommandError, CommandResult, Exit, Globals};
use crate::access::kill::{KillKind, KillSubject};
use crate::reports::kills::{self, Reach};
use crate::store::{Follower, Killed, Provenance};

/// What is stopped or revived: exactly one of these.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SubjectArgs {
    /// An integration: all its keys.
    #[arg(long, value_name = "NAME")]
    pub integration: Option<String>,
    /// A connection.
    #[arg(long, value_name = "NAME")]
    pub connection: Option<String>,
    /// All connections of an app.
    #[arg(long, value_name = "NAME")]
    pub app: Option<String>,
    /// All connections to a HubSpot account.
    #[arg(long, value_name = "ID")]
    pub portal: Option<String>,
    /// All connections that a person installed.
    #[arg(long, value_name = "EMAIL")]
    pub person: Option<String>,
    /// Everything.
    #[arg(long)]
    pub all: bool,
}

/// Arguments of `kill`.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(group = ArgGroup::new("what").required(true).args(["integration", "connection", "app", "portal", "person", "all", "list"]))]
pub struct KillArgs {
    /// What to stop.
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// Why: one line, for the record.
    #[command(flatten)]
    pub reason: ReasonArgs,
    /// What to do at HubSpot.
    #[command(flatten)]
    pub retire: RetireArgs,
    /// Show what is stopped, by whom and why.
    #[arg(long)]
    pub list: bool,
    /// JSON: one object, or with `--list` one a line.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `revive`.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(group = ArgGroup::new("what").required(true).args(["integration", "connection", "app", "portal", "person", "all"]))]
pub struct ReviveArgs {
    /// What to let pass again: named exactly as it was stopped.
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// Why: one line, for the record.
    #[command(flatten)]
    pub reason: ReasonArgs,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Stops something, or shows what is stopped.
///
/// # Errors
/// Usage and configuration (2), the store's failures (3). A gate that has not followed in time is exit 1.
pub fn kill(args: KillArgs, globals: &Globals) -> CommandResult {
    let purpose = if args.list { Purpose::Look } else { Purpose::Stop };
    let admin = Admin::open(globals, purpose)?;
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    match args.list {
        true => list(&args, &admin, &mut out),
        false => stop(&args, &admin, &mut out, &mut err),
    }
}

/// Nothing of exactly this name is stopped; what may be meant is.
fn not_stopped(subject: &KillSubject, admin: &Admin) -> Result<CommandError, CommandError> {
    let reach = Reach::of(subject, &admin.store)?;
    let kills = admin.store.kills()?;
    let others: Vec<String> = still_stopping(subject, &reach, &kills)
        .into_iter()
        .map(|kill| kill.subject.to_string())
        .collect();
    let error = match others.is_empty() {
        true if subject.kind() == KillKind::All => CommandError::findings("there is no stop of everything"),
        true => CommandError::findings(format!("{subject} is not stopped")),
        false => CommandError::findings(format!(
            "{subject} is not stopped by that name; it is covered by the stop of {}",
            others.join(", ")
        )),
    };
    Ok(
        error
            .hint("`scopegate kill --list` shows what is stopped, each as it was named: revive exactly that"),
    )
}

/// Ends a stop.
///
/// # Errors
/// Usage and configuration (2), what is not stopped (1), the store's failures (3).
pub fn revive(args: ReviveArgs, globals: &Globals) -> CommandResult {
    let admin = Admin::open(globals, Purpose::Change)?;
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    end(&args, &admin, &mut out, &mut err)
}

impl SubjectArgs {
    fn subject(&self) -> Result<KillSubject, CommandError> {
        let named = [
            (KillKind::Integration, &self.integration),
            (KillKind::Connection, &self.connection),
            (KillKind::App, &self.app),
            (KillKind::Portal, &self.portal),
            (KillKind::Person, &self.person),
        ];
        let mut named = named
            .into_iter()
            .filter_map(|(kind, name)| Some((kind, name.as_deref()?)));
        match (named.next(), named.next(), self.all) {
            (None, None, true) => Ok(KillSubject::all()),
            (Some((kind, name)), None, false) => {
                KillSubject::parse(kind, name).ok_or_else(|| malformed(kind))
            }
            _ => Err(CommandError::usage(
                "name one: `--integration`, `--connection`, `--app`, `--portal`, `--person` or `--all`",
            )),
        }
    }
}

fn malformed(kind: KillKind) -> CommandError {
    CommandError::usage(match kind {
        KillKind::Portal => "`--portal` is the account's id: digits, as HubSpot shows them",
        KillKind::Person => "`--person` is the e-mail address of whoever installed the connection",
        KillKind::Connection => {
            "a connection's name has 1 to 64 characters of `a-z`, `0-9` and `-`, and is not digits alone"
        }
        KillKind::Integration | KillKind::App | KillKind::All => {
            "a name has 1 to 64 characters of `a-z`, `0-9` and `-`"
        }
    })
}

fn stop(args: &KillArgs, admin: &Admin, out: &mut dyn Write, err: &mut dyn Write) -> CommandResult {
    let subject = args.subject.subject()?;
    let by = provenance(&args.reason)?;
    // Before the commit: the time told is never shorter than the truth.
    let since = Instant::now();
    let killed = admin.store.kill(&subject, &by)?;
    let gates = Gates::follow(admin, since);
    // Before anything else is read: whatever fails from here on, this is known.
    gates.tell(err);
    let retired = show(args, (&subject, &killed, &gates), admin, &by, out, err).map_err(|error| {
        let done = "the stop is recorded and holds all the same";
        let hint = error
            .hint
            .as_ref()
            .map_or_else(|| done.to_owned(), |hint| format!("{done}; {hint}"));
        error.hint(hint)
    })?;
    match retire::exit(&retired) {
        Exit::Fine => Ok(gates.exit()),
        not_done => Ok(not_done),
    }
}

/// Says what was stopped, and does at HubSpot what is asked for.
fn show(
    args: &KillArgs,
    (subject, killed, gates): (&KillSubject, &Killed, &Gates),
    admin: &Admin,
    by: &Provenance,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Vec<retire::Done>, CommandError> {
    let reach = Reach::of(subject, &admin.store)?;
    let known = warn_if_unknown(subject, &reach, admin, err)?;
    warn_of_unknown_installers(subject, admin, err)?;
    if !args.json {
        print(out, &said(subject, killed, &reach, known))?;
    }
    let retired = retire::carry_out(args.retire, &reach.connections, admin, by, err)
        .map_err(|error| error.hint("nothing was done at HubSpot"))?;
    if args.json {
        let before = match killed {
            Killed::Now => Value::Null,
            Killed::Before(row) => json!(row.at.to_string()),
        };
        let told = json!({
            "kind": subject.kind().as_str(),
            "subject": subject.name(),
            "killed_before": before,
            "known": known,
            "connections": reach.connections.len(),
            "keys": reach.keys,
            "gates": gates.json(),
            "at_hubspot": retired.iter().map(retire::Done::json).collect::<Vec<_>>(),
        });
        print(out, &format!("{told}\n"))?;
    }
    Ok(retired)
}

fn said(subject: &KillSubject, killed: &Killed, reach: &Reach, known: bool) -> String {
    match killed {
        Killed::Now if !known => format!("recorded, and stops nothing yet: {subject}\n"),
        Killed::Now => format!("stopped {subject}: {reach}\n"),
        Killed::Before(row) => format!(
            "{subject} is stopped already, since {} by {} (`{}`): {reach}\n",
            short(row.at),
            row.actor,
            row.reason
        ),
    }
}

fn end(args: &ReviveArgs, admin: &Admin, out: &mut dyn Write, err: &mut dyn Write) -> CommandResult {
    let subject = args.subject.subject()?;
    let by = provenance(&args.reason)?;
    let since = Instant::now();
    if !admin.store.revive(&subject, &by)? {
        return Err(not_stopped(&subject, admin)?);
    }
    let gates = Gates::follow(admin, since);
    gates.tell(err);
    let reach = Reach::of(&subject, &admin.store)?;
    let kills = admin.store.kills()?;
    let others = still_stopping(&subject, &reach, &kills);
    if args.json {
        let others: Vec<Value> = others
            .iter()
            .map(|kill| json!({ "kind": kill.subject.kind().as_str(), "subject": kill.subject.name() }))
            .collect();
        let told = json!({
            "kind": subject.kind().as_str(),
            "subject": subject.name(),
            "still_stopped_by": others,
            "gates": gates.json(),
        });
        print(out, &format!("{told}\n"))?;
    } else {
        print(out, &format!("revived {subject}: {reach}\n"))?;
        warn_of_what_is_beneath(&reach, &kills, err);
        for kill in others {
            print(
                out,
                &format!("still in force: {} (`{}`)\n", kill.subject, kill.reason),
            )?;
        }
    }
    Ok(gates.exit())
}

fn list(args: &KillArgs, admin: &Admin, out: &mut dyn Write) -> CommandResult {
    let kills = admin.store.kills()?;
    let mut table = vec![
        ["KIND", "SUBJECT", "SINCE", "BY", "STOPS", "REASON"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut lines = String::new();
    for kill in kills {
        let reach = Reach::of(&kill.subject, &admin.store)?;
        let (kind, name) = (kill.subject.kind().as_str(), kill.subject.name());
        if args.json {
            lines.push_str(&format!("{}\n", kills::json_of(&kill, &reach)));
            continue;
        }
        let name = if name.is_empty() { "-" } else { name };
        table.push(vec![
            kind.to_owned(),
            name.to_owned(),
            short(kill.at),
            kill.actor,
            reach.to_string(),
            kill.reason,
        ]);
    }
    print(out, &if args.json { lines } else { columns(&table) })?;
    Ok(Exit::Fine)
}

/// What running gates said.
struct Gates(Result<Vec<Follower>, String>);

impl Gates {
    fn follow(admin: &Admin, since: Instant) -> Self {
        Self(
            admin
                .store
                .await_kills(since, PATIENCE)
                .map_err(|error| error.to_string()),
        )
    }

    fn tell(&self, err: &mut dyn Write) {
        let text = match &self.0 {
            Ok(followers) if followers.is_empty() => {
                "no gate is running on this store: in force from its next start\n".to_owned()
            }
            Ok(followers) => followers.iter().map(line_of).collect(),
            Err(error) => format!("warning: can't tell whether running gates have followed: {error}\n"),
        };
        // Nobody to tell if stderr is gone.
        let _ = err.write_all(text.as_bytes());
    }

    fn json(&self) -> Value {
        self.0
            .as_ref()
            .map_or(Value::Null, |followers| kills::gates(followers))
    }

    /// Not fine unless every gate has answered.
    fn exit(&self) -> Exit {
        let answered = |follower: &Follower| matches!(follower, Follower::InForce { .. });
        match &self.0 {
            Ok(followers) if followers.iter().all(answered) => Exit::Fine,
            _ => Exit::Findings,
        }
    }
}

fn line_of(follower: &Follower) -> String {
    match follower {
        Follower::InForce { instance, after } => {
            format!(
                "in force in gate `{instance}` after {:.2} s\n",
                after.as_secs_f64()
            )
        }
        Follower::Silent { instance } => format!(
            "warning: gate `{instance}` HAS NOT ANSWERED within {} s: it may still let calls pass; end its process\n",
            PATIENCE.as_secs()
        ),
    }
}

#[cfg(test)]
#[path = "kill_tests.rs"]
mod tests;
