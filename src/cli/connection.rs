//! `scopegate connection`: HubSpot accounts the gate can act in.

mod change;
mod import;
mod label;
mod outcome;
mod rotate;
mod rotation;
mod select;
mod sheet;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

pub use self::change::{ChangeArgs, RemoveArgs};
pub use self::import::ImportArgs;
pub use self::label::{LabelArgs, MarkArgs};
pub use self::rotate::RotateArgs;
pub use self::select::{Chosen, Selectors};
use super::admin::{Admin, Purpose, ReasonArgs, columns, print, provenance, runtime, short};
use super::connection_install::{InstallArgs, install};
use super::kill::warn_of_stops;
use super::{CommandError, CommandResult, Exit, Globals};
use crate::access::connection::{ConnectionName, PortalId, Standing};
use crate::access::label::{Label, Labels};
use crate::access::rotation::rotation_due;
use crate::reports::Surroundings;
use crate::reports::connections::{expires_of, json_of};
use crate::store::ConnectionRow;
use crate::tokens::{Candidate, Enrolment};
use crate::vault::secret_file;

/// Commands about connections.
#[derive(Debug, clap::Subcommand)]
pub enum ConnectionCommand {
    /// Add a HubSpot account with its credential.
    Add(AddArgs),
    /// Make a link by which a person connects an account, or consents again.
    Install(InstallArgs),
    /// Add many accounts of one app from a file of refresh tokens; again is no change.
    Import(ImportArgs),
    /// List connections: never their credentials.
    List(ListArgs),
    /// Show connections, each whole.
    Show(ShowArgs),
    /// Set and unset labels, which pick connections in other commands.
    Label(LabelArgs),
    /// Replace a connection's credential in place: keys and policies stay bound to it.
    Rotate(RotateArgs),
    /// Say that credentials must be rotated now, whatever their age: after an incident.
    MarkRotation(MarkArgs),
    /// Stop all calls to connections, until they are resumed.
    Suspend(ChangeArgs),
    /// Let calls pass again, or at last on one that waits to be accepted.
    Resume(ChangeArgs),
    /// Remove connections, destroy their credentials, revoke the keys bound to them.
    Remove(RemoveArgs),
}

/// Arguments of `connection add`.
#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// What to call it: `[a-z0-9-]`, not digits alone.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The HubSpot account's id, as it must turn out to be.
    #[arg(long, value_name = "ID")]
    pub portal: String,
    /// A file with a private-app token or a service key.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["app", "refresh_token_file"], required_unless_present = "app")]
    pub token_file: Option<PathBuf>,
    /// The app of an OAuth grant, as added with `scopegate app add`.
    #[arg(long, value_name = "NAME", requires = "refresh_token_file")]
    pub app: Option<String>,
    /// A file with the grant's refresh token.
    #[arg(long, value_name = "FILE", requires = "app")]
    pub refresh_token_file: Option<PathBuf>,
    /// A label to sort it by; may be given several times.
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<Label>,
    /// Why.
    #[command(flatten)]
    pub reason: ReasonArgs,
}

/// Arguments of `connection list`.
#[derive(Debug, Default, clap::Args)]
pub struct ListArgs {
    /// Which: all without a selector.
    #[command(flatten)]
    pub by: Selectors,
    /// Only those whose credential is due for rotation.
    #[arg(long)]
    pub rotation_due: bool,
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `connection show`.
#[derive(Debug, Default, clap::Args)]
pub struct ShowArgs {
    /// Which.
    #[command(flatten)]
    pub chosen: Chosen,
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// Runs a command about connections.
///
/// # Errors
/// Usage and configuration (2), a wrong portal or an unknown name (1), the store's failures (3).
pub fn run(command: ConnectionCommand, globals: &Globals) -> CommandResult {
    let admin = Admin::open(globals, purpose(&command))?;
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    execute(command, &admin, &mut out, &mut err)
}

fn purpose(command: &ConnectionCommand) -> Purpose {
    match command {
        ConnectionCommand::Add(_) => Purpose::Add,
        ConnectionCommand::List(_) | ConnectionCommand::Show(_) => Purpose::Look,
        ConnectionCommand::Install(args) if args.dry_run => Purpose::Look,
        ConnectionCommand::Suspend(_) => Purpose::Stop,
        ConnectionCommand::Install(_)
        | ConnectionCommand::Import(_)
        | ConnectionCommand::Label(_)
        | ConnectionCommand::Rotate(_)
        | ConnectionCommand::MarkRotation(_)
        | ConnectionCommand::Resume(_)
        | ConnectionCommand::Remove(_) => Purpose::Change,
    }
}

fn execute(
    command: ConnectionCommand,
    admin: &Admin,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> CommandResult {
    match command {
        ConnectionCommand::Add(args) => add(&args, admin, out, err),
        ConnectionCommand::Install(args) => install(&args, admin, out, err),
        ConnectionCommand::Import(args) => import::import(&args, admin, out, err),
        ConnectionCommand::List(args) => list(&args, admin, out),
        ConnectionCommand::Show(args) => show(&args, admin, out),
        ConnectionCommand::Label(args) => label::label(&args, admin, out, err),
        ConnectionCommand::Rotate(args) => rotate::rotate(&args, admin, out, err),
        ConnectionCommand::MarkRotation(args) => label::mark(&args, admin, out, err),
        ConnectionCommand::Suspend(args) => change::suspend(&args, admin, out, err),
        ConnectionCommand::Resume(args) => change::resume(&args, admin, out, err),
        ConnectionCommand::Remove(args) => change::remove(&args, admin, out, err),
    }
}

fn add(args: &AddArgs, admin: &Admin, out: &mut dyn Write, err: &mut dyn Write) -> CommandResult {
    let name = ConnectionName::parse(&args.name).ok_or_else(|| {
        CommandError::usage(
            "a connection's name has 1 to 64 characters of `a-z`, `0-9` and `-`, and is not digits alone",
        )
    })?;
    let portal = PortalId::parse(&args.portal).ok_or_else(|| {
        CommandError::usage("`--portal` is the account's id: digits, as HubSpot shows them")
    })?;
    let labels = Labels::new(args.labels.clone()).map_err(|error| CommandError::usage(error.to_string()))?;
    let by = provenance(&args.reason)?;
    let file = match (&args.token_file, &args.refresh_token_file) {
        (Some(file), None) | (None, Some(file)) => file,
        _ => {
            return Err(CommandError::usage(
                "give either `--token-file`, or `--app` with `--refresh-token-file`",
            ));
        }
    };
    let credential = secret_file::read(file).map_err(|error| CommandError::usage(error.to_string()))?;
    let (vault, client, endpoints) = (admin.vault()?, admin.client()?, admin.endpoints());
    let enrolment = Enrolment {
        store: &admin.store,
        vault: &vault,
        client: &client,
        endpoints: &endpoints,
    };
    let runtime = runtime()?;
    let candidate = Candidate {
        name: &name,
        portal,
        app: args.app.as_deref(),
        credential: &credential,
        labels: &labels,
    };
    let added = runtime.block_on(enrolment.enrol(candidate, &by))?;
    if let Some(why) = added.unverified {
        // Nobody to tell if stderr is gone.
        let _ = writeln!(
            err,
            "warning: stored as `unverified`: {why}; calls pass, and the gate verifies it as soon as it can"
        );
    }
    if !added.shares_with.is_empty() {
        // Nobody to tell if stderr is gone.
        let _ = writeln!(
            err,
            "note: `{name}` shares its grant with {}",
            listed(&added.shares_with)
        );
    }
    let standing = if added.unverified.is_some() {
        Standing::Unverified
    } else {
        Standing::Ok
    };
    let line = format!(
        "{name} portal {portal} {} {}\n",
        added.kind.as_str(),
        standing.as_str()
    );
    print(out, &line)?;
    admin.tell_followers(err);
    warn_of_stops(&[&name], admin, err);
    Ok(Exit::Fine)
}

/// Names for a sentence.
fn listed(names: &[ConnectionName]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

fn surroundings(admin: &Admin) -> Result<Surroundings, CommandError> {
    let now = Timestamp::now();
    let policies = admin.policies(now).ok().map(|(policies, _)| Arc::new(policies));
    Ok(Surroundings::read(&admin.store, &admin.config, policies, now)?)
}

fn list(args: &ListArgs, admin: &Admin, out: &mut dyn Write) -> CommandResult {
    let around = surroundings(admin)?;
    let mut rows = args.by.rows(admin)?;
    if args.rotation_due {
        rows.retain(|row| rotation_due(&row.credential_age(), around.max_age, around.now()).is_some());
    }
    if args.json {
        let lines: String = rows
            .iter()
            .map(|row| format!("{}\n", json_of(row, &around)))
            .collect();
        print(out, &lines)?;
        return Ok(Exit::Fine);
    }
    let mut table = vec![
        [
            "NAME",
            "PORTAL",
            "KIND",
            "APP",
            "STATE",
            "HEALTH",
            "TOKEN UNTIL",
            "TROUBLE",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for row in rows {
        table.push(vec![
            row.name.to_string(),
            row.portal.to_string(),
            row.kind.as_str().to_owned(),
            row.app.clone().unwrap_or_else(|| "-".to_owned()),
            around.state(&row).to_owned(),
            sheet::mark(&row, &around).to_owned(),
            expires_of(&row).map_or_else(|| "-".to_owned(), short),
            trouble_of(row, &around).unwrap_or_default(),
        ]);
    }
    print(out, &columns(&table))?;
    Ok(Exit::Fine)
}

fn show(args: &ShowArgs, admin: &Admin, out: &mut dyn Write) -> CommandResult {
    let around = surroundings(admin)?;
    let rows = args.chosen.rows(admin)?;
    let shown: Vec<String> = rows
        .iter()
        .map(|row| {
            if args.json {
                format!("{}\n", json_of(row, &around))
            } else {
                sheet::sheet(row, &around)
            }
        })
        .collect();
    print(out, &shown.join(if args.json { "" } else { "\n" }))?;
    Ok(Exit::Fine)
}

/// The one trouble a list has room for: why nothing passes, or else what is the matter now, or else
/// why it was not in order at the beginning.
fn trouble_of(row: ConnectionRow, around: &Surroundings) -> Option<String> {
    if let Some(kill) = around.kills(&row).first() {
        return Some(format!("stop of {}: {}", kill.subject, kill.reason));
    }
    match row.standing.refusal() {
        Some(_) => row.standing_why.or(row.health),
        None => row.health.or(row.standing_why),
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
