//! `scopegate connection`: HubSpot accounts the gate can act in.

use std::io::Write;
use std::path::PathBuf;

use jiff::Timestamp;

use super::admin::{Admin, ReasonArgs, columns, print, provenance};
use super::connection_install::{InstallArgs, install};
use super::{CommandError, CommandResult, Exit, Globals};
use crate::access::connection::{ConnectionName, PortalId, Standing};
use crate::hubspot::oauth::Endpoints;
use crate::store::{ConnectionRow, Resumed};
use crate::tokens::Enrolment;
use crate::vault::secret_file;

/// Commands about connections.
#[derive(Debug, clap::Subcommand)]
pub enum ConnectionCommand {
    /// Add a HubSpot account with its credential.
    Add(AddArgs),
    /// Make a link by which a person connects an account, or consents again.
    Install(InstallArgs),
    /// List connections: never their credentials.
    List(ListArgs),
    /// Show one connection.
    Show(ShowArgs),
    /// Stop all calls to a connection, until it is resumed.
    Suspend(ChangeArgs),
    /// Let calls pass again, or for the first time if it is pending.
    Resume(ChangeArgs),
    /// Remove a connection, destroy its credential, revoke the keys bound to it.
    Remove(ChangeArgs),
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
    /// Why.
    #[command(flatten)]
    pub reason: ReasonArgs,
}

/// Arguments of `connection list`.
#[derive(Debug, Default, clap::Args)]
pub struct ListArgs {
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `connection show`.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// Its name.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `connection suspend`, `resume`, `remove`.
#[derive(Debug, clap::Args)]
pub struct ChangeArgs {
    /// Its name.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Why.
    #[command(flatten)]
    pub reason: ReasonArgs,
}

/// Runs a command about connections.
///
/// # Errors
/// Usage and configuration (2), a wrong portal or an unknown name (1), the store's failures (3).
pub fn run(command: ConnectionCommand, globals: &Globals) -> CommandResult {
    let admin = Admin::open(globals, matches!(command, ConnectionCommand::Add(_)))?;
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    execute(command, &admin, &mut out, &mut err)
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
        ConnectionCommand::List(args) => list(&args, admin, out),
        ConnectionCommand::Show(args) => show(&args, admin, out),
        ConnectionCommand::Suspend(args) => suspend(&args, admin, err),
        ConnectionCommand::Resume(args) => resume(&args, admin, err),
        ConnectionCommand::Remove(args) => remove(&args, admin, err),
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
    let (vault, client, endpoints) = (admin.vault()?, admin.client()?, Endpoints::default());
    let enrolment = Enrolment {
        store: &admin.store,
        vault: &vault,
        client: &client,
        endpoints: &endpoints,
    };
    let runtime = runtime()?;
    let added = match &args.app {
        Some(app) => runtime.block_on(enrolment.add_grant(&name, portal, app, &credential, &by)),
        None => runtime.block_on(enrolment.add_static(&name, portal, &credential, &by)),
    }?;
    if let Some(why) = added.unverified {
        // Nobody to tell if stderr is gone.
        let _ = writeln!(
            err,
            "warning: stored as `unverified`: {why}; calls pass, and the gate verifies it as soon as it can"
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
    Ok(Exit::Fine)
}

fn list(args: &ListArgs, admin: &Admin, out: &mut dyn Write) -> CommandResult {
    let rows = admin.store.connections()?;
    if args.json {
        let lines: String = rows.iter().map(|row| format!("{}\n", json_of(row))).collect();
        print(out, &lines)?;
        return Ok(Exit::Fine);
    }
    let mut table = vec![
        ["NAME", "PORTAL", "KIND", "APP", "STATE", "TOKEN UNTIL", "TROUBLE"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for row in rows {
        table.push(vec![
            row.name.to_string(),
            row.portal.to_string(),
            row.kind.as_str().to_owned(),
            row.app.clone().unwrap_or_else(|| "-".to_owned()),
            row.standing.as_str().to_owned(),
            expires_of(&row).map_or_else(|| "-".to_owned(), short),
            trouble_of(row).unwrap_or_default(),
        ]);
    }
    print(out, &columns(&table))?;
    Ok(Exit::Fine)
}

fn show(args: &ShowArgs, admin: &Admin, out: &mut dyn Write) -> CommandResult {
    let row = find(&args.name, admin)?;
    if args.json {
        print(out, &format!("{}\n", json_of(&row)))?;
        return Ok(Exit::Fine);
    }
    let none = || "-".to_owned();
    let fields = [
        ("name", row.name.to_string()),
        ("id", row.id.to_string()),
        ("portal", row.portal.to_string()),
        ("kind", row.kind.as_str().to_owned()),
        ("app", row.app.clone().unwrap_or_else(none)),
        ("state", row.standing.as_str().to_owned()),
        ("since", short(row.standing_since)),
        ("why", row.standing_why.clone().unwrap_or_else(none)),
        ("trouble", row.health.clone().unwrap_or_else(none)),
        ("token until", expires_of(&row).map_or_else(none, short)),
        ("refreshing since", row.intent.map_or_else(none, short)),
        ("installer", row.user_id.map_or_else(none, |id| id.to_string())),
        ("scopes", row.scopes.join(" ")),
        ("added", short(row.created)),
    ];
    let rows: Vec<_> = fields
        .into_iter()
        .map(|(name, value)| vec![name.to_owned(), value])
        .collect();
    print(out, &columns(&rows))?;
    Ok(Exit::Fine)
}

fn suspend(args: &ChangeArgs, admin: &Admin, err: &mut dyn Write) -> CommandResult {
    let by = provenance(&args.reason)?;
    let row = find(&args.name, admin)?;
    let (from, to) = ([Standing::Unverified, Standing::Ok], Standing::Suspended);
    let why = by.reason.as_deref();
    let before = admin
        .store
        .change_standing(&row.id, &from, to, why, "connection suspend", &by)?;
    if !from.contains(&before) {
        return unchanged(&row, before, to, err);
    }
    admin.tell_followers(err);
    Ok(Exit::Fine)
}

fn resume(args: &ChangeArgs, admin: &Admin, err: &mut dyn Write) -> CommandResult {
    let by = provenance(&args.reason)?;
    let row = find(&args.name, admin)?;
    let (vault, client, endpoints) = (admin.vault()?, admin.client()?, Endpoints::default());
    let enrolment = Enrolment {
        store: &admin.store,
        vault: &vault,
        client: &client,
        endpoints: &endpoints,
    };
    let to = match runtime()?.block_on(enrolment.resume(&row, &by))? {
        Resumed::Passes(to) => to,
        Resumed::NotSuspended(before @ Standing::Unverified) => return unchanged(&row, before, before, err),
        Resumed::NotSuspended(before) => return unchanged(&row, before, Standing::Ok, err),
        // Invariant: the enrolment asks and says so itself.
        Resumed::Foreign => return Err(CommandError::findings("the connection stays suspended")),
    };
    if to == Standing::Unverified {
        // Nobody to tell if stderr is gone.
        let _ = writeln!(
            err,
            "warning: connection `{}` is `unverified`: it was suspended before HubSpot said whose its credential \
             is; calls pass, and the gate verifies it as soon as it can",
            row.name
        );
    }
    admin.tell_followers(err);
    Ok(Exit::Fine)
}

/// Says that a connection has the wished standing already, or that it can't have it.
fn unchanged(row: &ConnectionRow, is: Standing, wished: Standing, err: &mut dyn Write) -> CommandResult {
    if is == wished {
        // Nobody to tell if stderr is gone.
        let _ = writeln!(err, "connection `{}` is `{}` already", row.name, is.as_str());
        return Ok(Exit::Fine);
    }
    Err(CommandError::findings(format!(
        "connection `{}` is `{}`: that can't be changed to `{}`",
        row.name,
        is.as_str(),
        wished.as_str()
    )))
}

fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::internal(format!("no runtime: {error}")))
}

fn remove(args: &ChangeArgs, admin: &Admin, err: &mut dyn Write) -> CommandResult {
    let by = provenance(&args.reason)?;
    let row = find(&args.name, admin)?;
    let revoked = admin.store.remove_connection(&row.id, &by)?;
    // Nobody to tell if stderr is gone.
    let _ = writeln!(
        err,
        "removed `{}`, destroyed its credential, revoked {revoked} of its keys; the credential still works at \
         HubSpot until it is revoked there",
        row.name
    );
    admin.tell_followers(err);
    Ok(Exit::Fine)
}

fn find(name: &str, admin: &Admin) -> Result<ConnectionRow, CommandError> {
    ConnectionName::parse(name)
        .map(|name| admin.store.connection_by_name(&name))
        .transpose()?
        .flatten()
        .ok_or_else(|| {
            CommandError::findings("there is no connection of that name")
                .hint("see `scopegate connection list`")
        })
}

/// The one trouble a list has room for: why nothing passes, or else what is the matter now, or else
/// why it was not in order at the beginning.
fn trouble_of(row: ConnectionRow) -> Option<String> {
    match row.standing.refusal() {
        Some(_) => row.standing_why.or(row.health),
        None => row.health.or(row.standing_why),
    }
}

fn expires_of(row: &ConnectionRow) -> Option<Timestamp> {
    row.access.as_ref().and_then(|token| token.expires)
}

fn json_of(row: &ConnectionRow) -> serde_json::Value {
    serde_json::json!({
        "name": row.name.as_str(),
        "id": row.id.as_str(),
        "portal": row.portal.get(),
        "kind": row.kind.as_str(),
        "app": row.app,
        "state": row.standing.as_str(),
        "why": row.standing_why,
        "since": row.standing_since.to_string(),
        "trouble": row.health,
        "token_expires": expires_of(row).map(|at| at.to_string()),
        "user_id": row.user_id,
        "scopes": row.scopes,
        "created": row.created.to_string(),
    })
}

fn short(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%MZ").to_string()
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
