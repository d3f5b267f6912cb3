//! `scopegate key`: keys that integrations send where a HubSpot token used to be.

use std::io::Write;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use zeroize::Zeroizing;

use super::admin::{Admin, ReasonArgs, columns, print, provenance};
use super::{CommandError, CommandResult, Exit, Globals};
use crate::access::connection::{ConnectionName, is_name};
use crate::access::integration::Binding;
use crate::access::key::{Environment, IssuedKey, KeyId, KeyRandomness};
use crate::access::policy::tables::ConnectionRef;
use crate::access::policy_set::{PolicySet, PolicyState};
use crate::store::{KeyRow, NewKey, Revoked};
use crate::{catalogue_file, policy_files};

/// Most keys at once: a fleet's worth; more is likely a slip.
const COUNT_MAX: u16 = 1_000;

/// Longest life a key may be given.
const LIFE_MAX_DAYS: i64 = 3_660;

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
    let admin = Admin::open(globals)?;
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    execute(command, &admin, &mut out, &mut err)
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
    admin.store.add_keys(&keys, &by)?;
    print_keys(&issued, out)?;
    admin.tell_followers(err);
    Ok(Exit::Fine)
}

/// What the key is bound to: what the flags say, else the one connection there can be.
fn binding(
    args: &CreateArgs,
    admin: &Admin,
    now: Timestamp,
    err: &mut dyn Write,
) -> Result<Binding, CommandError> {
    let candidates = candidates(&args.integration, admin, now);
    if let Err(warning) = &candidates
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
        if candidates.is_ok_and(|all| all.iter().all(|(name, _)| *name != row.name)) {
            let _ = writeln!(
                err,
                "warning: the policy of `{}` does not name connection `{}`: the key opens nothing until it does",
                args.integration, row.name
            );
        }
        return Ok(Binding::Connection(row.id));
    }
    let flags = "say `--connection NAME`, or `--any-connection` if each request is to name one";
    match &*candidates? {
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
                names.join(", ")
            ))
            .hint(flags))
        }
    }
}

type Candidate = (ConnectionName, crate::access::connection::ConnectionId);

/// The connections the integration's policy names, of those there are.
fn candidates(integration: &str, admin: &Admin, now: Timestamp) -> Result<Vec<Candidate>, CommandError> {
    let settings = &admin.config;
    let catalogue =
        catalogue_file::read(&settings.catalogue).map_err(|error| CommandError::usage(error.to_string()))?;
    let files = policy_files::read_folder(&settings.policies)
        .map_err(|error| CommandError::usage(format!("can't read the policies: {error}")))?;
    let (set, _) = PolicySet::build(&files, &catalogue, None, now, settings.limits.policies_stale);
    let policy = match set.policy(integration, now) {
        PolicyState::Ready(policy) | PolicyState::Expired(policy) => policy,
        PolicyState::Missing => {
            return Err(CommandError::findings(format!(
                "there is no policy `{integration}.yaml`: the key would open nothing"
            ))
            .hint(format!(
                "policies are read from `{}`",
                settings.policies.display()
            )));
        }
        PolicyState::Invalid => {
            return Err(CommandError::findings(format!(
                "the policy of `{integration}` does not load, so the connections it names are not known"
            ))
            .hint("see `scopegate policy check`"));
        }
    };
    let rows = admin.store.connections()?;
    Ok(rows
        .into_iter()
        .filter(|row| {
            policy.covers(ConnectionRef {
                name: row.name.as_str(),
                app: row.app.as_deref(),
            })
        })
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
    let connection_of = |row: &KeyRow| match row.binding {
        Binding::Any => None,
        Binding::Connection(id) => {
            let known = connections.iter().find(|connection| connection.id == id);
            Some(known.map_or_else(
                || "(removed)".to_owned(),
                |connection| connection.name.to_string(),
            ))
        }
    };
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
        let (state, connection) = (state_of(&row, now), connection_of(&row));
        if args.json {
            let value = serde_json::json!({
                "id": row.id.as_str(), "integration": row.integration, "connection": connection,
                "state": state, "expires": row.expires.map(|at| at.to_string()),
                "created": row.created.to_string(), "created_by": row.created_by,
                "revoked": row.revoked.map(|at| at.to_string()),
            });
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

fn state_of(row: &KeyRow, now: Timestamp) -> &'static str {
    if row.revoked.is_some() {
        "revoked"
    } else if row.expires.is_some_and(|at| now >= at) {
        "expired"
    } else {
        "ok"
    }
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

/// The instant from which a key given `--expires text` is worthless.
fn end_of(text: &str, now: Timestamp) -> Result<Timestamp, CommandError> {
    let malformed = || {
        CommandError::usage("`--expires` is the last day (`2027-06-30`), or how long from now (`90d`, `12h`)")
    };
    let end = match span(text) {
        Some(length) => later(now, length)?,
        None => {
            let last: Date = text.parse().map_err(|_| malformed())?;
            let first_after = last.tomorrow().map_err(|_| malformed())?;
            first_after
                .to_zoned(TimeZone::UTC)
                .map_err(|_| malformed())?
                .timestamp()
        }
    };
    if end <= now {
        return Err(CommandError::usage("`--expires` is in the past"));
    }
    if end.duration_since(now) > SignedDuration::from_hours(24 * LIFE_MAX_DAYS) {
        return Err(CommandError::usage(
            "`--expires` is more than ten years ahead: leave it out",
        ));
    }
    Ok(end)
}

/// `90d`, `12h`.
fn span(text: &str) -> Option<SignedDuration> {
    let (number, hours) = match text.as_bytes() {
        [.., b'd'] => (text.strip_suffix('d')?, 24),
        [.., b'h'] => (text.strip_suffix('h')?, 1),
        _ => return None,
    };
    let plain = (1..=5).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let count: i64 = number.parse().ok().filter(|_| plain)?;
    Some(SignedDuration::from_hours(count * hours))
}

fn later(now: Timestamp, length: SignedDuration) -> Result<Timestamp, CommandError> {
    now.checked_add(length)
        .map_err(|_| CommandError::usage("the time given is too far ahead"))
}

fn short(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%MZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::super::admin::testing::{NOWHERE, admin};
    use super::*;
    use crate::access::connection::PortalId;
    use crate::access::key::PresentedKey;
    use crate::tokens::Enrolment;

    fn policy(dir: &tempfile::TempDir, connections: &str) {
        let text = format!(
            "integration: crm\nowner: a@example.com\nconnections: {connections}\n\
             allow:\n  - scope: crm.objects.contacts.read\n"
        );
        std::fs::write(dir.path().join("policies/crm.yaml"), text).unwrap();
    }

    fn connect(admin: &Admin, name: &str, portal: u64) {
        let vault = admin.vault().unwrap();
        let client = admin.client().unwrap();
        let endpoints = crate::hubspot::oauth::Endpoints::default();
        let enrolment = Enrolment {
            store: &admin.store,
            vault: &vault,
            client: &client,
            endpoints: &endpoints,
        };
        let token = crate::secret::Secret::new("pat-na1-canary".to_owned());
        let by = provenance(&ReasonArgs::default()).unwrap();
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(enrolment.add_static(
                &ConnectionName::parse(name).unwrap(),
                PortalId::new(portal).unwrap(),
                &token,
                &by,
            ))
            .unwrap();
    }

    fn create_args() -> CreateArgs {
        CreateArgs {
            integration: "crm".to_owned(),
            count: 1,
            ..CreateArgs::default()
        }
    }

    /// Stdout and stderr, or the error.
    fn ran(command: KeyCommand, admin: &Admin) -> Result<(String, String), CommandError> {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        execute(command, admin, &mut out, &mut err)?;
        Ok((String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap()))
    }

    #[test]
    fn a_key_is_printed_alone_and_bound_to_the_only_candidate() {
        let (dir, admin) = admin(NOWHERE);
        connect(&admin, "acme", 1);
        connect(&admin, "other", 2);
        policy(&dir, "[acme]");
        let (out, err) = ran(KeyCommand::Create(create_args()), &admin).unwrap();
        let presented = PresentedKey::parse(out.strip_suffix('\n').unwrap()).unwrap();
        let row = admin.store.key(&presented.id).unwrap().unwrap();
        let acme = admin.store.connections().unwrap().remove(0);
        assert_eq!(row.binding, Binding::Connection(acme.id));
        assert!(row.hash.matches(&presented.hash));
        assert!(err.contains("no gate is running"), "{err}");
    }

    #[test]
    fn without_a_flag_several_candidates_or_none_make_no_key() {
        let (dir, admin) = admin(NOWHERE);
        policy(&dir, "[acme]");
        let error = ran(KeyCommand::Create(create_args()), &admin).unwrap_err();
        assert!(
            error.message.contains("names no connection there is"),
            "{}",
            error.message
        );
        connect(&admin, "acme", 1);
        connect(&admin, "other", 2);
        policy(&dir, "[\"*\"]");
        let error = ran(KeyCommand::Create(create_args()), &admin).unwrap_err();
        assert_eq!(error.exit, Exit::Findings);
        assert!(error.message.contains("`acme`, `other`"), "{}", error.message);
        std::fs::remove_file(dir.path().join("policies/crm.yaml")).unwrap();
        let error = ran(KeyCommand::Create(create_args()), &admin).unwrap_err();
        assert!(
            error.message.contains("no policy `crm.yaml`"),
            "{}",
            error.message
        );
        assert!(admin.store.keys().unwrap().is_empty());
    }

    #[test]
    fn flags_say_what_a_key_is_bound_to_and_a_policy_that_disagrees_is_a_warning() {
        let (dir, admin) = admin(NOWHERE);
        connect(&admin, "acme", 1);
        policy(&dir, "[elsewhere]");
        let args = CreateArgs {
            connection: Some("acme".to_owned()),
            ..create_args()
        };
        let (_, err) = ran(KeyCommand::Create(args), &admin).unwrap();
        assert!(err.contains("does not name connection `acme`"), "{err}");
        let args = CreateArgs {
            any_connection: true,
            count: 3,
            ..create_args()
        };
        let (out, _) = ran(KeyCommand::Create(args), &admin).unwrap();
        assert_eq!(out.lines().count(), 3);
        let args = CreateArgs {
            connection: Some("missing".to_owned()),
            ..create_args()
        };
        assert_eq!(
            ran(KeyCommand::Create(args), &admin).unwrap_err().exit,
            Exit::Findings
        );
    }

    #[test]
    fn a_key_lives_to_the_end_of_its_last_day() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let end = |text: &str| end_of(text, now).map(|at| at.to_string());
        assert_eq!(end("2027-06-30").unwrap(), "2027-07-01T00:00:00Z");
        assert_eq!(end("90d").unwrap(), "2027-02-20T10:00:00Z");
        assert_eq!(end("12h").unwrap(), "2026-11-22T22:00:00Z");
        assert_eq!(end("2026-11-22").unwrap(), "2026-11-23T00:00:00Z");
        for bad in [
            "",
            "d",
            "-1d",
            "0d",
            "2026-11-21",
            "tomorrow",
            "999999d",
            "9999-12-31",
            "1.5d",
            "90 d",
        ] {
            assert!(end(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn revoked_and_rotated_keys_are_listed_as_such() {
        let (dir, admin) = admin(NOWHERE);
        connect(&admin, "acme", 1);
        policy(&dir, "[acme]");
        let create = || ran(KeyCommand::Create(create_args()), &admin).unwrap().0;
        let id_of = |key: &str| PresentedKey::parse(key.trim()).unwrap().id.to_string();
        let (first, second) = (create(), create());
        let reason = ReasonArgs {
            reason: Some("leaked".to_owned()),
        };
        let revoke = || {
            KeyCommand::Revoke(RevokeArgs {
                id: id_of(&first),
                reason: reason.clone(),
            })
        };
        ran(revoke(), &admin).unwrap();
        assert!(ran(revoke(), &admin).unwrap().1.contains("revoked before"));
        let rotate = KeyCommand::Rotate(RotateArgs {
            id: id_of(&second),
            overlap: "7d".to_owned(),
            reason: ReasonArgs::default(),
        });
        let (successor, _) = ran(rotate, &admin).unwrap();
        let list = KeyCommand::List(ListArgs {
            json: true,
            integration: None,
        });
        let (out, _) = ran(list, &admin).unwrap();
        let states: Vec<(String, String, bool)> = out
            .lines()
            .map(|line| {
                let value: serde_json::Value = serde_json::from_str(line).unwrap();
                let text = |name: &str| value[name].as_str().unwrap().to_owned();
                (text("id"), text("state"), value["expires"].is_string())
            })
            .collect();
        assert!(states.contains(&(id_of(&first), "revoked".to_owned(), false)));
        assert!(states.contains(&(id_of(&second), "ok".to_owned(), true)));
        assert!(states.contains(&(id_of(&successor), "ok".to_owned(), false)));
        let (table, _) = ran(KeyCommand::List(ListArgs::default()), &admin).unwrap();
        assert_eq!(table.lines().count(), 4);
        assert!(!table.contains(&first.trim()[18..]), "never a secret");
    }
}
