//! `scopegate admin`: credentials of the admin listener, for people and programs that look after the gate.
//!
//! Made here alone: no API makes one. A gate looks each up for every request, so a revocation is in force
//! once this command has ended, on connections that are open, too.

use std::io::Write;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::admin::{Admin, Purpose, ReasonArgs, columns, print, provenance, short};
use super::key_life::end_of;
use super::{CommandError, CommandResult, Exit, Globals};
use crate::access::admin_key::IssuedAdminKey;
use crate::access::connection::is_name;
use crate::access::key::{KeyId, KeyRandomness};
use crate::access::role::Role;
use crate::reports::credentials;
use crate::store::{AdminCredentialRow, NewAdminCredential, Revoked, StoreError};

/// Life of a credential that is given none: long enough for a rota, too short to be forgotten.
const LIFE: &str = "90d";

/// Commands about admin credentials.
#[derive(Debug, clap::Subcommand)]
pub enum AdminCommand {
    /// Make a credential and print it, once, alone on stdout.
    Create(CreateArgs),
    /// List credentials: never their secrets.
    List(ListArgs),
    /// Revoke a credential for good, at once.
    Revoke(RevokeArgs),
}

/// Arguments of `admin create`.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// Whose it is: stands in the record of everything that is done with it.
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// `viewer` looks; `operator` also suspends, resumes, revokes keys and stops one integration or
    /// connection; `security` also stops and revives everything and looks after these credentials.
    #[arg(long, value_name = "ROLE")]
    pub role: Role,
    /// The last day it works (`2027-06-30`, UTC), or how long from now (`90d`, `12h`).
    #[arg(long, value_name = "DATE|90d", default_value = LIFE)]
    pub expires: String,
    /// Why.
    #[command(flatten)]
    pub reason: ReasonArgs,
}

/// Arguments of `admin list`.
#[derive(Debug, Default, clap::Args)]
pub struct ListArgs {
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `admin revoke`.
#[derive(Debug, clap::Args)]
pub struct RevokeArgs {
    /// The id, as `admin list` shows it, or the name of one that still works.
    #[arg(value_name = "ID|NAME")]
    pub which: String,
    /// Why.
    #[command(flatten)]
    pub reason: ReasonArgs,
}

/// Runs a command about admin credentials.
///
/// # Errors
/// Usage and configuration (2), unknown or taken names (1), the store's failures (3).
pub fn run(command: AdminCommand, globals: &Globals) -> CommandResult {
    let admin = Admin::open(globals, purpose(&command))?;
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    execute(command, &admin, &mut out, &mut err)
}

fn purpose(command: &AdminCommand) -> Purpose {
    match command {
        AdminCommand::Create(_) => Purpose::Add,
        AdminCommand::List(_) => Purpose::Look,
        AdminCommand::Revoke(_) => Purpose::Stop,
    }
}

fn execute(command: AdminCommand, admin: &Admin, out: &mut dyn Write, err: &mut dyn Write) -> CommandResult {
    match command {
        AdminCommand::Create(args) => create(&args, admin, out, err),
        AdminCommand::List(args) => list(&args, admin, out),
        AdminCommand::Revoke(args) => revoke(&args, admin, err),
    }
}

fn create(args: &CreateArgs, admin: &Admin, out: &mut dyn Write, err: &mut dyn Write) -> CommandResult {
    if !is_name(&args.name) {
        return Err(CommandError::usage(
            "a credential's name has 1 to 64 characters of `a-z`, `0-9` and `-`",
        ));
    }
    let by = provenance(&args.reason)?;
    let now = Timestamp::now();
    let expires = end_of(&args.expires, now)?;
    let issued = issue()?;
    let new = NewAdminCredential {
        id: issued.id,
        hash: issued.hash,
        name: args.name.clone(),
        role: args.role,
        expires,
    };
    // Whoever makes one must have the master key: rows are sealed.
    admin.vault()?;
    admin.store.add_admin_credential(&new, now, &by)?;
    print(out, &Zeroizing::new(format!("{}\n", issued.text.expose())))?;
    // Nobody to tell if stderr is gone.
    let _ = writeln!(
        err,
        "credential `{}` of `{}`, role {}, until {}; it is not shown again",
        issued.id,
        args.name,
        args.role.as_str(),
        short(expires)
    );
    Ok(Exit::Fine)
}

fn issue() -> Result<IssuedAdminKey, CommandError> {
    let mut random = KeyRandomness {
        id: [0; 12],
        secret: Zeroizing::new([0; 32]),
    };
    aws_lc_rs::rand::fill(&mut random.id)
        .and_then(|()| aws_lc_rs::rand::fill(&mut *random.secret))
        .map_err(|_| CommandError::internal("the system has no random bytes"))?;
    Ok(IssuedAdminKey::generate(&random))
}

fn list(args: &ListArgs, admin: &Admin, out: &mut dyn Write) -> CommandResult {
    let now = Timestamp::now();
    let rows = admin.store.admin_credentials()?;
    if args.json {
        let lines: String = rows
            .iter()
            .map(|row| format!("{}\n", credentials::json_of(row, now)))
            .collect();
        print(out, &lines)?;
        return Ok(Exit::Fine);
    }
    let head = ["ID", "NAME", "ROLE", "STATE", "EXPIRES", "CREATED", "BY"];
    let mut table = vec![head.map(str::to_owned).to_vec()];
    for row in rows {
        let state = row.state(now).to_owned();
        table.push(vec![
            row.id.to_string(),
            row.name,
            row.role.as_str().to_owned(),
            state,
            short(row.expires),
            short(row.created),
            row.created_by,
        ]);
    }
    print(out, &columns(&table))?;
    Ok(Exit::Fine)
}

fn revoke(args: &RevokeArgs, admin: &Admin, err: &mut dyn Write) -> CommandResult {
    let by = provenance(&args.reason)?;
    let (id, whose) = find(&args.which, admin)?;
    let text = match admin.store.revoke_admin_credential(&id, &by)? {
        Revoked::Now => format!("credential `{id}`{whose} is revoked\n"),
        Revoked::Before => format!("credential `{id}` had been revoked before\n"),
    };
    // Nobody to tell if stderr is gone.
    let _ = err.write_all(text.as_bytes());
    Ok(Exit::Fine)
}

/// By its id, whatever else its row says, or the one that works under a name; and whose it is.
fn find(which: &str, admin: &Admin) -> Result<(KeyId, String), CommandError> {
    let named = |row: AdminCredentialRow| (row.id, format!(" of `{}`", row.name));
    if let Some(id) = KeyId::parse(which) {
        match admin.store.admin_credential(&id) {
            Ok(Some(row)) => return Ok(named(row)),
            Err(StoreError::Damaged(_)) => return Ok((id, String::new())),
            other => drop(other?),
        }
    }
    let now = Timestamp::now();
    let rows = admin.store.admin_credentials()?;
    rows.into_iter()
        .find(|row| row.name == which && row.is_good(now))
        .map(named)
        .ok_or_else(|| {
            CommandError::findings("there is no such admin credential that works")
                .hint("see `scopegate admin list`")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::admin_key::PresentedAdminKey;
    use crate::cli::admin::testing::{NOWHERE, admin};

    fn ran(command: AdminCommand, admin: &Admin) -> Result<(String, String), CommandError> {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        execute(command, admin, &mut out, &mut err)?;
        Ok((String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap()))
    }

    fn create(name: &str, expires: &str) -> AdminCommand {
        AdminCommand::Create(CreateArgs {
            name: name.to_owned(),
            role: Role::Operator,
            expires: expires.to_owned(),
            reason: ReasonArgs::default(),
        })
    }

    fn revoke(which: &str) -> AdminCommand {
        AdminCommand::Revoke(RevokeArgs {
            which: which.to_owned(),
            reason: ReasonArgs {
                reason: Some("left".to_owned()),
            },
        })
    }

    #[test]
    fn a_credential_is_printed_once_alone_and_listed_without_its_secret() {
        let (_dir, admin) = admin(NOWHERE);
        let (out, err) = ran(create("alice", LIFE), &admin).unwrap();
        let presented = PresentedAdminKey::parse(out.strip_suffix('\n').unwrap()).unwrap();
        let secret = &out[17..60];
        assert!(!err.contains(secret) && err.contains("role operator"), "{err}");
        for json in [false, true] {
            let (list, _) = ran(AdminCommand::List(ListArgs { json }), &admin).unwrap();
            assert!(
                list.contains(presented.id.as_str()) && list.contains("alice"),
                "{list}"
            );
            assert!(!list.contains(secret), "{list}");
            if json {
                let line: serde_json::Value = serde_json::from_str(&list).unwrap();
                assert_eq!(
                    (&line["role"], &line["state"]),
                    (&"operator".into(), &"ok".into())
                );
                assert_eq!(line["revoked"], serde_json::Value::Null);
            }
        }
        let row = admin.store.admin_credential(&presented.id).unwrap().unwrap();
        assert!(row.hash.matches(&presented.hash));
    }

    #[test]
    fn a_name_is_one_credential_at_a_time_and_ends_by_id_or_name() {
        let (_dir, admin) = admin(NOWHERE);
        let (first, _) = ran(create("alice", "1h"), &admin).unwrap();
        assert_eq!(
            ran(create("alice", "1h"), &admin).unwrap_err().exit,
            Exit::Findings
        );
        ran(revoke("alice"), &admin).unwrap();
        assert_eq!(ran(revoke("alice"), &admin).unwrap_err().exit, Exit::Findings);
        let (second, _) = ran(create("alice", "1h"), &admin).unwrap();
        let id = |text: &str| text[4..16].to_owned();
        let (_, err) = ran(revoke(&id(&first)), &admin).unwrap();
        assert!(err.contains("before"), "{err}");
        ran(revoke(&id(&second)), &admin).unwrap();
        let now = Timestamp::now();
        let rows = admin.store.admin_credentials().unwrap();
        assert!(rows.iter().all(|row| !row.is_good(now)));
        let events = admin.store.admin_events_after(0).unwrap();
        assert_eq!(events.len(), 4);
        assert!(events.iter().all(|event| event.actor.starts_with("cli:")));
    }

    #[test]
    fn what_is_no_name_and_no_time_is_refused_before_anything_is_stored() {
        let (_dir, admin) = admin(NOWHERE);
        for (name, expires) in [
            ("", LIFE),
            ("Alice", LIFE),
            ("a/b", LIFE),
            ("alice", "soon"),
            ("alice", "2020-01-01"),
        ] {
            let error = ran(create(name, expires), &admin).unwrap_err();
            assert_eq!(error.exit, Exit::Usage, "{name} {expires}");
        }
        assert!(admin.store.admin_credentials().unwrap().is_empty());
    }
}
