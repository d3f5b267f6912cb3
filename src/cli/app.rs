//! `scopegate app`: HubSpot apps whose OAuth grants the gate refreshes.

mod secret;
mod show;

use std::io::Write;
use std::path::PathBuf;

pub use self::secret::RotateSecretArgs;
pub use self::show::{ListArgs, ShowArgs};
use super::admin::{Admin, Purpose, ReasonArgs, print, provenance};
use super::{CommandError, CommandResult, Exit, Globals};
use crate::access::connection::is_name;
use crate::tokens::Enrolment;
use crate::vault::secret_file;

/// Longest client id that is taken: HubSpot's are UUIDs.
const CLIENT_ID_MAX: usize = 128;

/// Commands about apps.
#[derive(Debug, clap::Subcommand)]
pub enum AppCommand {
    /// Add an app with its client id and secret.
    Add(AddArgs),
    /// List apps, and how many connections each has.
    List(ListArgs),
    /// Show an app: which secrets it has, since when, and which one works.
    Show(ShowArgs),
    /// Change an app's client secret for all its connections at once, without a gap.
    RotateSecret(RotateSecretArgs),
    /// Remove an app that no connection uses.
    Remove(RemoveArgs),
}

/// Arguments of `app remove`.
#[derive(Debug, Default, clap::Args)]
pub struct RemoveArgs {
    /// Its name.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
    /// Why.
    #[command(flatten)]
    pub reason: ReasonArgs,
}

/// Arguments of `app add`.
#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// What to call it: `[a-z0-9-]`.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// HubSpot's client id.
    #[arg(long, value_name = "ID")]
    pub client_id: String,
    /// A file with the client secret.
    #[arg(long, value_name = "FILE")]
    pub secret_file: PathBuf,
    /// A file with a second secret that is valid, too, while one is being rotated.
    #[arg(long, value_name = "FILE")]
    pub other_secret_file: Option<PathBuf>,
    /// Why.
    #[command(flatten)]
    pub reason: ReasonArgs,
}

/// Runs a command about apps.
///
/// # Errors
/// Usage and configuration (2), a name that is taken (1), the store's failures (3).
pub fn run(command: AppCommand, globals: &Globals) -> CommandResult {
    let admin = Admin::open(globals, purpose(&command))?;
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    execute(command, &admin, &mut out, &mut err)
}

fn purpose(command: &AppCommand) -> Purpose {
    match command {
        AppCommand::Add(_) => Purpose::Add,
        AppCommand::List(_) | AppCommand::Show(_) => Purpose::Look,
        AppCommand::RotateSecret(_) | AppCommand::Remove(_) => Purpose::Change,
    }
}

fn execute(command: AppCommand, admin: &Admin, out: &mut dyn Write, err: &mut dyn Write) -> CommandResult {
    match command {
        AppCommand::Add(args) => add(&args, admin, out),
        AppCommand::List(args) => show::list(&args, admin, out),
        AppCommand::Show(args) => show::show(&args, admin, out),
        AppCommand::RotateSecret(args) => secret::rotate(&args, admin, out, err),
        AppCommand::Remove(args) => remove(&args, admin, out, err),
    }
}

fn remove(args: &RemoveArgs, admin: &Admin, out: &mut dyn Write, err: &mut dyn Write) -> CommandResult {
    let by = provenance(&args.reason)?;
    admin.store.remove_app(&args.name, &by)?;
    if args.json {
        let object = serde_json::json!({ "name": args.name, "result": "removed" });
        print(out, &format!("{object}\n"))?;
    }
    // Nobody to tell if stderr is gone.
    let _ = writeln!(
        err,
        "removed `{}` and destroyed its secrets; they still work at HubSpot until the app is deleted there",
        args.name
    );
    Ok(Exit::Fine)
}

fn add(args: &AddArgs, admin: &Admin, out: &mut dyn Write) -> CommandResult {
    if !is_name(&args.name) {
        return Err(CommandError::usage(
            "an app's name has 1 to 64 characters of `a-z`, `0-9` and `-`",
        ));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !(1..=CLIENT_ID_MAX).contains(&args.client_id.len()) || !args.client_id.bytes().all(plain) {
        return Err(CommandError::usage(
            "`--client-id` is what HubSpot shows as the app's client id: letters, digits and `-`",
        ));
    }
    let by = provenance(&args.reason)?;
    let read =
        |file: &PathBuf| secret_file::read(file).map_err(|error| CommandError::usage(error.to_string()));
    let secret = read(&args.secret_file)?;
    let other = args.other_secret_file.as_ref().map(read).transpose()?;
    let (vault, client, endpoints) = (admin.vault()?, admin.client()?, admin.endpoints());
    let enrolment = Enrolment {
        store: &admin.store,
        vault: &vault,
        client: &client,
        endpoints: &endpoints,
    };
    enrolment.add_app(&args.name, &args.client_id, &secret, other.as_ref(), &by)?;
    print(out, &format!("{} client {}\n", args.name, args.client_id))?;
    Ok(Exit::Fine)
}

#[cfg(test)]
#[path = "app_tests.rs"]
mod life;

#[cfg(test)]
mod tests {
    use super::super::admin::testing::{NOWHERE, admin};
    use super::*;
    use crate::secret::Secret;

    fn args(dir: &tempfile::TempDir, name: &str, client_id: &str) -> AddArgs {
        let secret_file = dir.path().join("secret");
        if !secret_file.exists() {
            let secret = Secret::new("canary-secret".to_owned());
            secret_file::write_new(&secret_file, &secret).unwrap();
        }
        AddArgs {
            name: name.to_owned(),
            client_id: client_id.to_owned(),
            other_secret_file: Some(secret_file.clone()),
            secret_file,
            reason: ReasonArgs::default(),
        }
    }

    #[test]
    fn an_apps_secrets_are_sealed_and_its_name_is_taken() {
        let (dir, admin) = admin(NOWHERE);
        let mut out = Vec::new();
        add(&args(&dir, "marketing", "c-1"), &admin, &mut out).unwrap();
        assert_eq!(out, b"marketing client c-1\n");
        assert!(
            admin
                .store
                .app("marketing")
                .unwrap()
                .unwrap()
                .other_secret
                .is_some()
        );
        for file in ["scopegate.db", "scopegate.db-wal"] {
            let bytes = std::fs::read(dir.path().join(file)).unwrap();
            assert!(memchr::memmem::find(&bytes, b"canary").is_none(), "{file}");
        }
        let again = add(&args(&dir, "marketing", "c-1"), &admin, &mut out).unwrap_err();
        assert_eq!(again.exit, Exit::Findings);
    }

    #[test]
    fn a_name_or_client_id_that_can_not_be_is_refused() {
        let (dir, admin) = admin(NOWHERE);
        for (name, client_id) in [("A", "c"), ("a", ""), ("a", "c d"), ("a", "c&d")] {
            let error = add(&args(&dir, name, client_id), &admin, &mut Vec::new()).unwrap_err();
            assert_eq!(error.exit, Exit::Usage, "{name} {client_id}");
        }
    }
}
