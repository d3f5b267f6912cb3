//! `scopegate key`: keys that integrations send where a HubSpot token used to be.

use std::io::Write;
use std::sync::Arc;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::admin::{Admin, Purpose, ReasonArgs, columns, print, provenance, short};
use super::key_life::{end_of, later, span};
use super::{CommandError, CommandResult, Exit, Globals};
use crate::access::connection::{ConnectionName, is_name};
use crate::access::integration::Binding;
use crate::access::key::{Environment, IssuedKey, KeyId, KeyRandomness};
use crate::access::kill::KillKind;
use crate::access::policy::Policy;
use crate::access::policy::tables::ConnectionRef;
use crate::access::policy_set::PolicyState;
use crate::reports::keys;
use crate::store::{ConnectionRow, NewKey, Revoked};

/// Most keys at once: a fleet's worth; more is likely a slip.
const COUNT_MAX: u16 = 1_000;

/// Commands about keys.
#[derive(Debug, clap::Subcommand)]
pub enum KeyCommand {
    /// Make a key and print it, once, alone on stdout.
    Create(CreateArgs),
    /// List keys: never their secrets.
    List(ListArgs),
    /// Revoke a key for good.
    Revoke(RevokeArgs),
    /// Make a successor and let the old key end after an overlap.
    Rotate(RotateArgs),
}

/// Arguments of `key create`.
#[derive(Debug, Default, clap::Args)]
pub struct CreateArgs {
    /// The integration the key is for: the name of its policy.
    #[arg(long, value_name = "NAME")]
    pub integration: String,
    /// Bind it to this connection.
    #[arg(long, value_name = "NAME", conflicts_with = "any_connection")]
    pub connection: Option<String>,
    /// Bind it to none: each request names one of those its policy names.
    #[arg(long)]
    pub any_connection: bool,
    /// The last day it works (`2027-06-30`, UTC), or how long from now (`90d`, `12h`).
    #[arg(long, value_name = "DATE|90d")]
    pub expires: Option<String>,
    /// How many, one a line.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub count: u16,
    /// Why.
    #[command(flatten)]
    pub reason: ReasonArgs,
}

/// Arguments of `key list`.
#[derive(Debug, Default, clap::Args)]
pub struct ListArgs {
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
    /// Only this integration's.
    #[arg(long, value_name = "NAME")]
    pub integration: Option<String>,
}

/// Arguments of `key revoke`.
#[derive(Debug, clap::Args)]
pub struct RevokeArgs {
    /// The id: the 12 characters after `sg_l_`.
    #[arg(value_name = "ID")]
    pub id: String,
    /// Why.
    #[command(flatten)]
    pub reason: ReasonArgs,
}

/// Arguments of `key rotate`.
#[derive(Debug, clap::Args)]
pub struct RotateArgs {
    /// The old key's id.
    #[arg(value_name = "ID")]
    pub id: String,
    /// How long the old key still works (`7d`, `12h`).
    #[arg(long, value_name = "7d")]
    pub overlap: String,
    /// Why.
    #[command(flatten)]
    pub reason: ReasonArgs,
}

/// Runs a command about keys.
///
/// # Errors
/// Usage and configuration (2), unknown or ambiguous names (1), the store's failures (3).
pub fn run(command: KeyCommand, globals: &Globals) -> CommandResult {
    let admin = Admin::open(globals, purpose(&command))?;
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    execute(command, &admin, &mut out, &mut err)
}

fn purpose(command: &KeyCommand) -> Purpose {
    match command {
        KeyCommand::Create(_) => Purpose::Add,
        KeyCommand::List(_) => Purpose::Look,
        KeyCommand::Revoke(_) => Purpose::Stop,
        KeyCommand::Rotate(_) => Purpose::Change,
    }
}

fn execute(command: KeyCommand, admin: &Admin, out: &mut dyn Write, err: &mut dyn Write) -> CommandResult {
    match command {
        KeyCommand::Create(args) => create(&args, admin, out, err),
        KeyCommand::List(args) => list(&args, admin, out),
        KeyCommand::Revoke(args) => revoke(&args, admin, err),
        KeyCommand::Rotate(args) => rotate(&args, admin, out, err),
    }
}

fn create(args: &CreateArgs, admin: &Admin, out: &mut dyn Write, err: &mut dyn Write) -> CommandResult {
    if !is_name(&args.integration) {
        return Err(CommandError::usage(
            "an integration's name has 1 to 64 characters of `a-z`, `0-9` and `-`",
        ));
    }
    if !(1..=COUNT_MAX).contains(&args.count) {
        return Err(CommandError::usage(format!("`--count` is from 1 to {COUNT_MAX}")));
    }
    let by = provenance(&args.reason)?;
    let now = Timestamp::now();
    let expires = args
        .expires
        .as_deref()
        .map(|text| end_of(text, now))
        .transpose()?;
    let binding = binding(args, admin, now, err)?;
    let (issued, keys): (Vec<_>, Vec<_>) = (0..args.count)
        .map(|_| issue(&args.integration, binding, expires))
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .unzip();
    // What a key opens is sealed.
    admin.vault()?;
    admin.store.add_keys(&keys, &by)?;
    print_keys(&issued, out)?;
    admin.tell_followers(err);
    warn_of_stopped(&args.integration, admin, err);
    Ok(Exit::Fine)
}

/// A key of a stopped integration opens nothing yet. Best effort: the key is made.
fn warn_of_stopped(integration: &str, admin: &Admin, err: &mut dyn Write) {
    let kills = admin.store.kills().unwrap_or_default();
    for kill in kills {
        let (kind, name) = (kill.subject.kind(), kill.subject.name());
        if kind == KillKind::All || (kind == KillKind::Integration && name == integration) {
            // Nobody to tell if stderr is gone.
            let _ = writeln!(
                err,
                "warning: the stop of {} covers this key: nothing passes until it is ended with `scopegate revive`",
                kill.subject
            );
        }
    }
}

/// What the key is bound to: what the flags say, else the one connection there can be.
fn binding(
    args: &CreateArgs,
    admin: &Admin,
    now: Timestamp,
    err: &mut dyn Write,
) -> Result<Binding, CommandError> {
    let policy = policy_of(&args.integration, admin, now);
    if let Err(warning) = &policy
        && (args.any_connection || args.connection.is_some())
    {
        // Nobody to tell if stderr is gone.
        let _ = writeln!(err, "warning: {}", warning.message);
    }
    if args.any_connection {
        return Ok(Binding::Any);
    }
    if let Some(wanted) = &args.connection {
        let row = ConnectionName::parse(wanted)
            .map(|name| admin.store.connection_by_name(&name))
            .transpose()?
            .flatten()
            .ok_or_else(|| {
                CommandError::findings("there is no connection of that name")
                    .hint("see `scopegate connection list`")
            })?;
        if admin.config.people.is_watcher(row.name.as_str()) {
            let _ = writeln!(
                err,
                "warning: the gate watches people with connection `{}`: the key opens nothing while `people.watchers` \
                 names it",
                row.name
            );
        } else if policy.is_ok_and(|policy| !covers(&policy, &row)) {
            let _ = writeln!(
                err,
                "warning: the policy of `{}` does not name connection `{}`: the key opens nothing until it does",
                args.integration, row.name
            );
        }
        return Ok(Binding::Connection(row.id));
    }
    let flags = "say `--connection NAME`, or `--any-connection` if each request is to name one";
    // One that can't be read may be a second candidate.
    if let Some(damaged) = admin.store.connection_rows()?.damaged.first() {
        return Err(CommandError::findings(damaged.finding()).hint(flags));
    }
    match &*candidates(policy?.as_ref(), admin)? {
        [(_, id)] => Ok(Binding::Connection(*id)),
        [] => Err(CommandError::findings(format!(
            "the policy of `{}` names no connection there is",
            args.integration
        ))
        .hint("add one with `scopegate connection add`, or name it in the policy's `connections`")),
        several => {
            let names: Vec<_> = several.iter().map(|(name, _)| format!("`{name}`")).collect();
            Err(CommandError::findings(format!(
                "integration `{}` may use several connections: {}",
                args.integration,
                few(&names)
            ))
            .hint(flags))
        }
    }
}

type Candidate = (ConnectionName, crate::access::connection::ConnectionId);

/// Names for a message, not thousands of them.
fn few(names: &[String]) -> String {
    const MOST: usize = 20;
    match names.len().saturating_sub(MOST) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..MOST].join(", ")),
    }
}

/// The integration's policy, if it has one that loads.
fn policy_of(integration: &str, admin: &Admin, now: Timestamp) -> Result<Arc<Policy>, CommandError> {
    let settings = &admin.config;
    let (set, _) = admin.policies(now)?;
    match set.policy(integration, now) {
        PolicyState::Ready(policy) | PolicyState::Expired(policy) => Ok(Arc::clone(policy)),
        PolicyState::Missing => Err(CommandError::findings(format!(
            "there is no policy `{integration}.yaml`: the key would open nothing"
        ))
        .hint(format!(
            "policies are read from `{}`",
            settings.policies.display()
        ))),
        PolicyState::Invalid => Err(CommandError::findings(format!(
            "the policy of `{integration}` does not load, so the connections it names are not known"
        ))
        .hint("see `scopegate policy check`")),
    }
}

fn covers(policy: &Policy, row: &ConnectionRow) -> bool {
    policy.covers(ConnectionRef {
        name: row.name.as_str(),
        app: row.app.as_deref(),
    })
}

/// The connections a policy names, of those there are. Reads all of them: only for who names none.
fn candidates(policy: &Policy, admin: &Admin) -> Result<Vec<Candidate>, CommandError> {
    let rows = admin.store.connections()?;
    Ok(rows
        .into_iter()
        .filter(|row| !admin.config.people.is_watcher(row.name.as_str()))
        .filter(|row| covers(policy, row))
        .map(|row| (row.name, row.id))
        .collect())
}

fn issue(
    integration: &str,
    binding: Binding,
    expires: Option<Timestamp>,
) -> Result<(IssuedKey, NewKey), CommandError> {
    let mut random = KeyRandomness {
        id: [0; 12],
        secret: Zeroizing::new([0; 32]),
    };
    aws_lc_rs::rand::fill(&mut random.id)
        .and_then(|()| aws_lc_rs::rand::fill(&mut *random.secret))
        .map_err(|_| CommandError::internal("the system has no random bytes"))?;
    let issued = IssuedKey::generate(Environment::Live, &random);
    let key = NewKey {
        id: issued.id,
        hash: issued.hash,
        integration: integration.to_owned(),
        binding,
        expires,
    };
    Ok((issued, key))
}

fn print_keys(issued: &[IssuedKey], out: &mut dyn Write) -> Result<(), CommandError> {
    for key in issued {
        let line = Zeroizing::new(format!("{}\n", key.text.expose()));
        print(out, &line)?;
    }
    Ok(())
}

fn list(args: &ListArgs, admin: &Admin, out: &mut dyn Write) -> CommandResult {
    let now = Timestamp::now();
    let connections = admin.store.connections()?;
    let mut rows = vec![
        [
            "ID",
            "INTEGRATION",
            "CONNECTION",
            "STATE",
            "EXPIRES",
            "CREATED",
            "BY",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    let mut lines = String::new();
    for row in admin.store.keys()? {
        if args
            .integration
            .as_ref()
            .is_some_and(|wanted| *wanted != row.integration)
        {
            continue;
        }
        let (state, connection) = (keys::state_of(&row, now), keys::connection_of(&row, &connections));
        if args.json {
            let value = keys::json_of(&row, &connections, now);
            lines.push_str(&value.to_string());
            lines.push('\n');
        } else {
            rows.push(vec![
                row.id.to_string(),
                row.integration,
                connection.unwrap_or_else(|| "(any)".to_owned()),
                state.to_owned(),
                row.expires.map_or_else(|| "never".to_owned(), short),
                short(row.created),
                row.created_by,
            ]);
        }
    }
    let text = if args.json { lines } else { columns(&rows) };
    print(out, &text)?;
    Ok(Exit::Fine)
}

fn revoke(args: &RevokeArgs, admin: &Admin, err: &mut dyn Write) -> CommandResult {
    let by = provenance(&args.reason)?;
    let id = parse_id(&args.id)?;
    if admin.store.revoke_key(&id, &by)? == Revoked::Before {
        // Nobody to tell if stderr is gone.
        let _ = writeln!(err, "key `{id}` had been revoked before");
        return Ok(Exit::Fine);
    }
    admin.tell_followers(err);
    Ok(Exit::Fine)
}

fn rotate(args: &RotateArgs, admin: &Admin, out: &mut dyn Write, err: &mut dyn Write) -> CommandResult {
    let by = provenance(&args.reason)?;
    let old = parse_id(&args.id)?;
    let now = Timestamp::now();
    let overlap = span(&args.overlap)
        .ok_or_else(|| CommandError::usage("`--overlap` is a number of days or hours: `7d`, `12h`"))?;
    let until = later(now, overlap)?;
    // Before it is read: a row that somebody else wrote gets no successor.
    admin.vault()?;
    let row = admin
        .store
        .key(&old)?
        .filter(|row| row.revoked.is_none())
        .ok_or_else(|| {
            CommandError::findings(format!("there is no key `{old}` that is in force"))
                .hint("see `scopegate key list`")
        })?;
    let (issued, new) = issue(&row.integration, row.binding, row.expires)?;
    admin.store.rotate_key(&old, &new, until, &by)?;
    print_keys(&[issued], out)?;
    admin.tell_followers(err);
    Ok(Exit::Fine)
}

fn parse_id(text: &str) -> Result<KeyId, CommandError> {
    KeyId::parse(text).ok_or_else(|| {
        CommandError::usage("a key's id is the 12 characters after `sg_l_`").hint("see `scopegate key list`")
    })
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
