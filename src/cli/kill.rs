//! `scopegate kill` and `scopegate revive`: stopping in an emergency, and ending that.
//!
//! The stop comes first: it is committed before anything is looked up, counted or asked for. A subject
//! need not exist; that nothing known is called so is said loudly, since it may be a typing mistake.

use std::io::Write;
use std::time::Instant;

use clap::ArgGroup;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::admin::{Admin, PATIENCE, ReasonArgs, columns, print, provenance, short};
use super::retire::{self, RetireArgs};
use super::{CommandError, CommandResult, Exit, Globals};
use crate::access::integration::Binding;
use crate::access::kill::{KillKind, KillSubject};
use crate::access::policy_text::nearest::nearest;
use crate::policy_files;
use crate::store::{ConnectionRow, Follower, KillRow, Killed, kills_covering};

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
    let admin = Admin::open(globals, false)?;
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    match args.list {
        true => list(&args, &admin, &mut out),
        false => stop(&args, &admin, &mut out, &mut err),
    }
}

/// Ends a stop.
///
/// # Errors
/// Usage and configuration (2), what is not stopped (1), the store's failures (3).
pub fn revive(args: ReviveArgs, globals: &Globals) -> CommandResult {
    let admin = Admin::open(globals, false)?;
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
    let reach = Reach::of(&subject, admin)?;
    let known = warn_if_unknown(&subject, &reach, admin, err)?;
    warn_of_unknown_installers(&subject, admin, err)?;
    gates.tell(err);
    if !args.json {
        print(out, &said(&subject, &killed, &reach, known))?;
    }
    let retired = retire::carry_out(args.retire, &reach.connections, admin, &by, err)
        .map_err(|error| error.hint("the stop is in force all the same; nothing was done at HubSpot"))?;
    if args.json {
        let before = match &killed {
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
    match retire::exit(&retired) {
        Exit::Fine => Ok(gates.exit()),
        not_done => Ok(not_done),
    }
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
        return Err(CommandError::findings(format!("{subject} is not stopped"))
            .hint("`scopegate kill --list` shows what is, each as it was named"));
    }
    let gates = Gates::follow(admin, since);
    gates.tell(err);
    let reach = Reach::of(&subject, admin)?;
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
        for kill in others {
            print(
                out,
                &format!("still in force: {} (`{}`)\n", kill.subject, kill.reason),
            )?;
        }
    }
    Ok(gates.exit())
}

/// Stops that go on covering some of what was revived.
fn still_stopping<'a>(subject: &KillSubject, reach: &Reach, kills: &'a [KillRow]) -> Vec<&'a KillRow> {
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

fn list(args: &KillArgs, admin: &Admin, out: &mut dyn Write) -> CommandResult {
    let kills = admin.store.kills()?;
    let mut table = vec![
        ["KIND", "SUBJECT", "SINCE", "BY", "STOPS", "REASON"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut lines = String::new();
    for kill in kills {
        let reach = Reach::of(&kill.subject, admin)?;
        let (kind, name) = (kill.subject.kind().as_str(), kill.subject.name());
        if args.json {
            let line = json!({
                "kind": kind,
                "subject": name,
                "since": kill.at.to_string(),
                "actor": kill.actor,
                "reason": kill.reason,
                "connections": reach.connections.len(),
                "keys": reach.keys,
            });
            lines.push_str(&format!("{line}\n"));
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

/// What a stop stops now.
struct Reach {
    connections: Vec<ConnectionRow>,
    keys: usize,
}

impl Reach {
    fn of(subject: &KillSubject, admin: &Admin) -> Result<Self, CommandError> {
        let mut connections = admin.store.connections()?;
        connections.retain(|row| subject.covers(row.covered()));
        let now = Timestamp::now();
        let keys = admin.store.keys()?;
        let good = keys
            .iter()
            .filter(|key| key.revoked.is_none() && key.expires.is_none_or(|expires| expires > now));
        let keys = good
            .filter(|key| match (subject.kind(), key.binding) {
                (KillKind::All, _) => true,
                (KillKind::Integration, _) => key.integration == subject.name(),
                (_, Binding::Connection(id)) => connections.iter().any(|row| row.id == id),
                (_, Binding::Any) => false,
            })
            .count();
        Ok(Self { connections, keys })
    }
}

impl std::fmt::Display for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let connections = self.connections.len();
        write!(
            f,
            "{connections} connection{}, {} key{}",
            plural(connections),
            self.keys,
            plural(self.keys)
        )
    }
}

/// Says loudly when nothing known has the name; whether something has.
fn warn_if_unknown(
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
            let known = known.into_iter().filter_map(|row| row.installer_email).collect();
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
fn warn_of_unknown_installers(
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
        .filter(|row| row.installer_email.is_none())
        .count();
    if unknown > 0 {
        let plural = if unknown == 1 { "" } else { "s" };
        // Nobody to tell if stderr is gone.
        let _ = writeln!(
            err,
            "warning: who installed {unknown} connection{plural} is not known: if it may have been this person,              stop them by name; see `scopegate connection list`"
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
        let of = |follower: &Follower| match follower {
            Follower::InForce { instance, after } => {
                json!({ "instance": instance, "in_force_after_seconds": after.as_secs_f64() })
            }
            Follower::Silent { instance } => {
                json!({ "instance": instance, "in_force_after_seconds": Value::Null })
            }
        };
        match &self.0 {
            Ok(followers) => followers.iter().map(of).collect(),
            Err(_) => Value::Null,
        }
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

/// The state of a connection as people see it: `killed` while a stop covers it, else its standing.
pub(super) fn state_of(row: &ConnectionRow, kills: &[KillRow]) -> &'static str {
    match kills_covering(kills, row).is_empty() {
        true => row.shown_standing().as_str(),
        false => crate::access::connection::Standing::Killed.as_str(),
    }
}

#[cfg(test)]
#[path = "kill_tests.rs"]
mod tests;
