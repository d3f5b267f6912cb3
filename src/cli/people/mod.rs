//! `scopegate people`: who stands behind the connections, and what happens when they leave.

mod text;

use std::io::Write;

use jiff::Timestamp;

use super::admin::{Admin, ReasonArgs, print, provenance};
use super::{CommandError, CommandResult, Exit, Globals};
use crate::access::policy_set::PolicySet;
use crate::access::policy_text::mistake::Mistake;
use crate::catalogue_file;
use crate::people::findings::World;
use crate::people::register::{self, Able, Person};
use crate::policy_files;
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
    let admin = Admin::open(globals, false)?;
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    execute(command, &admin, &mut out, &mut err)
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
    let (people, _) = everybody(admin, err)?;
    let person = find(&people, &args.email)?;
    let shown = if args.json {
        json_line(person)
    } else {
        text::show(person)
    };
    print(out, &shown)?;
    Ok(exit(std::iter::once(person)))
}

fn offboard(args: &OffboardArgs, admin: &Admin, out: &mut dyn Write, err: &mut dyn Write) -> CommandResult {
    let (people, watches) = everybody(admin, err)?;
    let person = find(&people, &args.email)?;
    if args.dry_run {
        let able = able(person, &watches);
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
    if admin.store.offboard(&args.email, &reason, &by)? {
        print(out, &text::done(person))?;
    } else {
        // Nobody to tell if stderr is gone.
        let _ = writeln!(err, "`{}` is offboarded already", person.person);
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

fn policies(admin: &Admin, err: &mut dyn Write) -> Result<PolicySet, CommandError> {
    let config = &admin.config;
    let catalogue =
        catalogue_file::read(&config.catalogue).map_err(|error| CommandError::usage(error.to_string()))?;
    let files = policy_files::read_folder(&config.policies).map_err(|error| {
        CommandError::usage(format!("`policies` `{}`: {error}", config.policies.display()))
    })?;
    let now = Timestamp::now();
    let (set, mistakes) = PolicySet::build(&files, &catalogue, None, now, config.limits.policies_stale);
    if mistakes.iter().any(Mistake::is_error) {
        // Nobody to tell if stderr is gone.
        let _ = writeln!(
            err,
            "warning: a policy does not load, its integration is not listed: run `scopegate policy check`"
        );
    }
    Ok(set)
}

fn find<'a>(people: &'a [Person], email: &str) -> Result<&'a Person, CommandError> {
    people
        .iter()
        .find(|person| person.person.eq_ignore_ascii_case(email))
        .ok_or_else(|| {
            CommandError::findings("no connection is known to stand on a person of that address").hint(
                "see `scopegate people list`; the address behind a private app or a service key is known once a \
                 watcher has looked",
            )
        })
}

/// Who could authorise anew, in each portal the person is behind a connection of.
fn able(person: &Person, watches: &[WatchRow]) -> Vec<Able> {
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
        .map(|portal| register::able(portal, watches, &person.person))
        .collect()
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
