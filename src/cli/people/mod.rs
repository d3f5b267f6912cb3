//! `scopegate people`: who stands behind the connections, and what happens when they leave.

mod text;

use std::io::Write;
use std::time::Duration;

use jiff::Timestamp;

use super::admin::{Admin, Purpose, ReasonArgs, print, provenance};
use super::{CommandError, CommandResult, Exit, Globals};
use crate::access::catalogue::Catalogue;
use crate::access::policy_set::PolicySet;
use crate::access::policy_text::mistake::Mistake;
use crate::metrics::FindingKind;
use crate::people::findings::World;
use crate::people::register::{self, Able, Installed, Person};
use crate::store::{Acknowledging, Provenance, WatchRow};

/// Commands about people.
#[derive(Debug, clap::Subcommand)]
pub enum PeopleCommand {
    /// Everybody behind a connection, and the findings about them; exit 1 while any is open.
    List(ListArgs),
    /// One person: accounts, connections, integrations, findings; exit 1 while any is open.
    Show(ShowArgs),
    /// Treat a person as removed now, before HubSpot knows.
    Offboard(OffboardArgs),
    /// Take an offboarding back.
    Reinstate(ReinstateArgs),
    /// Say that a finding is known and accepted: calls pass, until something else is found.
    Acknowledge(AcknowledgeArgs),
}

/// Arguments of `people list`.
#[derive(Debug, Default, clap::Args)]
pub struct ListArgs {
    /// One JSON object a person and line.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `people show`.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The address, as `people list` shows it.
    #[arg(value_name = "EMAIL")]
    pub email: String,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `people offboard`.
#[derive(Debug, clap::Args)]
pub struct OffboardArgs {
    /// The address.
    #[arg(value_name = "EMAIL")]
    pub email: String,
    /// Change nothing: list what would stop, and who could authorise anew.
    #[arg(long)]
    pub dry_run: bool,
    /// With `--dry-run`: one JSON object.
    #[arg(long, requires = "dry_run")]
    pub json: bool,
    /// Why.
    #[command(flatten)]
    pub reason: ReasonArgs,
}

/// Arguments of `people reinstate`.
#[derive(Debug, clap::Args)]
pub struct ReinstateArgs {
    /// The address.
    #[arg(value_name = "EMAIL")]
    pub email: String,
    /// Why.
    #[command(flatten)]
    pub reason: ReasonArgs,
}

/// Arguments of `people acknowledge`.
#[derive(Debug, clap::Args)]
pub struct AcknowledgeArgs {
    /// The finding's number, as `people list` shows it.
    #[arg(value_name = "FINDING")]
    pub finding: i64,
    /// Why.
    #[command(flatten)]
    pub reason: ReasonArgs,
}

/// Runs a command about people.
///
/// # Errors
/// Usage and configuration (2), an unknown person or finding (1), the store's failures (3).
pub fn run(command: PeopleCommand, globals: &Globals) -> CommandResult {
    let admin = Admin::open(globals, purpose(&command))?;
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    execute(command, &admin, &mut out, &mut err)
}

fn purpose(command: &PeopleCommand) -> Purpose {
    match command {
        PeopleCommand::List(_) | PeopleCommand::Show(_) => Purpose::Look,
        PeopleCommand::Offboard(args) if args.dry_run => Purpose::Look,
        PeopleCommand::Offboard(_) => Purpose::Stop,
        PeopleCommand::Reinstate(_) | PeopleCommand::Acknowledge(_) => Purpose::Change,
    }
}

fn execute(command: PeopleCommand, admin: &Admin, out: &mut dyn Write, err: &mut dyn Write) -> CommandResult {
    match command {
        PeopleCommand::List(args) => list(&args, admin, out, err),
        PeopleCommand::Show(args) => show(&args, admin, out, err),
        PeopleCommand::Offboard(args) => offboard(&args, admin, out, err),
        PeopleCommand::Reinstate(args) => reinstate(&args, admin, err),
        PeopleCommand::Acknowledge(args) => acknowledge(&args, admin, err),
    }
}

fn list(args: &ListArgs, admin: &Admin, out: &mut dyn Write, err: &mut dyn Write) -> CommandResult {
    let (people, watches) = everybody(admin, err)?;
    if args.json {
        print(out, &people.iter().map(json_line).collect::<String>())?;
    } else {
        print(out, &text::list(&people))?;
        tell_watchers(admin, &watches, err);
    }
    Ok(exit(people.iter()))
}

fn show(args: &ShowArgs, admin: &Admin, out: &mut dyn Write, err: &mut dyn Write) -> CommandResult {
    let (people, watches) = everybody(admin, err)?;
    let person = find(&people, &args.email)?;
    let able = able(person, &people, &watches);
    let shown = if args.json {
        let mut value = serde_json::to_value(person).unwrap_or_default();
        value["can_reauthorise"] = serde_json::to_value(able).unwrap_or_default();
        format!("{value}\n")
    } else {
        text::show(person, &able)
    };
    print(out, &shown)?;
    Ok(exit(std::iter::once(person)))
}

fn offboard(args: &OffboardArgs, admin: &Admin, out: &mut dyn Write, err: &mut dyn Write) -> CommandResult {
    let (people, watches) = everybody(admin, err)?;
    let person = find(&people, &args.email)?;
    let email = person.email.as_deref().ok_or_else(|| {
        CommandError::findings(format!(
            "nobody knows the address of `{}`, and people are offboarded by it: nothing was changed",
            person.person
        ))
        .hint("stop the connections: `scopegate connection suspend`, or `scopegate kill --connection`")
    })?;
    tell_nameless(&people, err);
    for other in people.iter().filter(|other| other.person != person.person) {
        if let Some(installed) = installed_under(other, email) {
            // Nobody to tell if stderr is gone.
            let _ = writeln!(
                err,
                "warning: `{}` was installed under this address by who is `{}` now, and stops, too: offboard that \
                 address as well",
                installed.connection, other.person
            );
        }
    }
    if args.dry_run {
        let able = able(person, &people, &watches);
        let shown = if args.json {
            let value = serde_json::json!({ "person": person, "can_reauthorise": able });
            format!("{value}\n")
        } else {
            text::plan(person, &able)
        };
        print(out, &shown)?;
        return Ok(Exit::Fine);
    }
    let (by, reason) = reasoned(&args.reason)?;
    if admin.store.offboard(email, &reason, &by)? {
        print(out, &text::done(person))?;
    } else {
        let acknowledged = person
            .findings
            .iter()
            .filter(|finding| finding.kind == FindingKind::InstallerOffboarded.as_str() && !finding.is_open())
            .map(|finding| format!("`{}`", finding.connection))
            .collect::<Vec<_>>()
            .join(", ");
        // Nobody to tell if stderr is gone.
        let _ = match acknowledged.as_str() {
            "" => writeln!(err, "`{email}` is offboarded already"),
            connections => writeln!(
                err,
                "warning: `{email}` is offboarded already, but that was acknowledged for {connections}, where calls \
                 pass: reinstate and offboard again to stop them"
            ),
        };
    }
    admin.tell_followers(err);
    Ok(Exit::Fine)
}

fn reinstate(args: &ReinstateArgs, admin: &Admin, err: &mut dyn Write) -> CommandResult {
    let (by, _) = reasoned(&args.reason)?;
    if !admin.store.reinstate(&args.email, &by)? {
        return Err(CommandError::findings("nobody of that address is offboarded")
            .hint("see `scopegate people list`"));
    }
    admin.tell_followers(err);
    Ok(Exit::Fine)
}

fn acknowledge(args: &AcknowledgeArgs, admin: &Admin, err: &mut dyn Write) -> CommandResult {
    let (by, _) = reasoned(&args.reason)?;
    match admin.store.acknowledge_finding(args.finding, &by)? {
        Acknowledging::Done => {
            admin.tell_followers(err);
            Ok(Exit::Fine)
        }
        Acknowledging::Already => {
            // Nobody to tell if stderr is gone.
            let _ = writeln!(err, "finding {} is acknowledged already", args.finding);
            Ok(Exit::Fine)
        }
        Acknowledging::Over => Err(CommandError::findings(format!(
            "finding {} is over",
            args.finding
        ))),
        Acknowledging::Unknown => Err(CommandError::findings("there is no finding of that number")
            .hint("see `scopegate people list`; a running gate numbers what it finds")),
    }
}

/// What is taken back or accepted later is only understood by its reason.
fn reasoned(args: &ReasonArgs) -> Result<(Provenance, String), CommandError> {
    let by = provenance(args)?;
    match by.reason.clone() {
        Some(reason) => Ok((by, reason)),
        None => Err(CommandError::usage("this needs `--reason TEXT`: it is recorded")),
    }
}

/// Everybody, and what watchers learnt.
fn everybody(admin: &Admin, err: &mut dyn Write) -> Result<(Vec<Person>, Vec<WatchRow>), CommandError> {
    let policies = policies(admin, err)?;
    let store = &admin.store;
    let (connections, people) = (store.connections()?, store.people()?);
    let (uses, watches) = (store.last_use(None)?, store.watches()?);
    let world = World {
        connections: &connections,
        people: &people,
        policies: &policies,
        settings: &admin.config.people,
        uses: &uses,
    };
    let (noted, offboarded) = (store.open_findings()?, store.offboarded()?);
    let everybody = register::register(&world, &noted, &offboarded, &watches, Timestamp::now());
    Ok((everybody, watches))
}

/// Whoever must stop a person's grants now can't wait until policies are repaired: without them
/// integrations are not listed.
fn policies(admin: &Admin, err: &mut dyn Write) -> Result<PolicySet, CommandError> {
    let now = Timestamp::now();
    let (set, warning) = match admin.policies(now) {
        Ok((set, mistakes)) if mistakes.iter().any(Mistake::is_error) => {
            let warning =
                "a policy does not load, its integration is not listed: run `scopegate policy check`";
            (set, Some(warning.to_owned()))
        }
        Ok((set, _)) => (set, None),
        Err(error) => {
            let catalogue =
                Catalogue::embedded().map_err(|error| CommandError::internal(error.to_string()))?;
            let (none, _) = PolicySet::build(&[], &catalogue, None, now, Duration::ZERO);
            (
                none,
                Some(format!("integrations are not listed: {}", error.message)),
            )
        }
    };
    if let Some(warning) = warning {
        // Nobody to tell if stderr is gone.
        let _ = writeln!(err, "warning: {warning}");
    }
    Ok(set)
}

fn find<'a>(people: &'a [Person], email: &str) -> Result<&'a Person, CommandError> {
    people
        .iter()
        .find(|person| person.person.eq_ignore_ascii_case(email))
        .or_else(|| people.iter().find(|person| installed_under(person, email).is_some()))
        .ok_or_else(|| {
            CommandError::findings("no connection is known to stand on a person of that address").hint(
                "see `scopegate people list`; the address behind a private app or a service key is known once a \
                 watcher has looked",
            )
        })
}

/// A connection that was installed under an address, though the person may have another one by now.
fn installed_under<'a>(person: &'a Person, email: &str) -> Option<&'a Installed> {
    let is = |address: &String| address.eq_ignore_ascii_case(email);
    person
        .connections
        .iter()
        .find(|installed| installed.address.as_ref().is_some_and(is))
}

/// Who could authorise anew, in each portal the person is behind a connection of: neither the person nor
/// anybody else who was offboarded.
fn able(person: &Person, people: &[Person], watches: &[WatchRow]) -> Vec<Able> {
    let leaving: Vec<&str> = people
        .iter()
        .filter(|other| other.offboarded.is_some() || other.person == person.person)
        .filter_map(|other| other.email.as_deref())
        .collect();
    let mut portals: Vec<u64> = person
        .connections
        .iter()
        .map(|installed| installed.portal)
        .collect();
    portals.sort_unstable();
    portals.dedup();
    portals
        .into_iter()
        .filter_map(crate::access::connection::PortalId::new)
        .map(|portal| register::able(portal, watches, &leaving))
        .collect()
}

/// Connections whose installer's address nobody knows: offboarding does not find them.
fn tell_nameless(people: &[Person], err: &mut dyn Write) {
    let names: Vec<&str> = people
        .iter()
        .filter(|person| person.email.is_none())
        .flat_map(|person| &person.connections)
        .map(|installed| installed.connection.as_str())
        .collect();
    if let Some(first) = names.first() {
        let others = match names.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        // Nobody to tell if stderr is gone.
        let _ = writeln!(
            err,
            "warning: nobody knows the address of who installed `{first}`{others}: if it is this person, that is not \
             stopped by this; see `scopegate people list`"
        );
    }
}

/// Configured watchers that have not looked, or could not.
fn tell_watchers(admin: &Admin, watches: &[WatchRow], err: &mut dyn Write) {
    for name in &admin.config.people.watchers {
        let line = match watches.iter().find(|watch| watch.watcher == *name) {
            None => format!(
                "warning: watcher `{name}` has not looked yet: does its connection exist, does a gate run?\n"
            ),
            Some(WatchRow {
                trouble: Some(trouble),
                asked,
                ..
            }) => format!("warning: watcher `{name}` could not tell everything at {asked}: {trouble}\n"),
            Some(_) => continue,
        };
        // Nobody to tell if stderr is gone.
        let _ = err.write_all(line.as_bytes());
    }
    if admin.config.people.watchers.is_empty() {
        let _ = writeln!(
            err,
            "warning: nobody is watched: `people.watchers` names no connection"
        );
    }
}

fn json_line(person: &Person) -> String {
    // Names and times always serialise.
    serde_json::to_string(person).map_or_else(|_| String::new(), |text| format!("{text}\n"))
}

fn exit<'a>(mut people: impl Iterator<Item = &'a Person>) -> Exit {
    let open = people.any(|person| person.findings.iter().any(register::Finding::is_open));
    if open { Exit::Findings } else { Exit::Fine }
}

#[cfg(test)]
mod tests;
