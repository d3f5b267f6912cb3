//! `app rotate-secret`: another client secret for an app, for all its connections at once.
//!
//! The new secret is tried first and the old one second, so that it does not matter when HubSpot changes
//! over. `--finish` drops the old one when the new one is known to work.

use std::io::Write;
use std::path::PathBuf;

use crate::cli::admin::{Admin, ReasonArgs, print, provenance, runtime};
use crate::cli::{CommandError, CommandResult, Exit};
use crate::store::no_such_app;
use crate::tokens::{Enrolment, SecretError, SecretRotated, SecretRotation};
use crate::vault::secret_file;

/// Arguments of `app rotate-secret`.
#[derive(Debug, Default, clap::Args)]
pub struct RotateSecretArgs {
    /// The app's name.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// A file with the new client secret: tried first from now on, the old one second.
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "finish",
        conflicts_with = "finish"
    )]
    pub secret_file: Option<PathBuf>,
    /// Drop the old secret at once: it has leaked, or HubSpot takes it no more.
    #[arg(long, conflicts_with = "finish")]
    pub now: bool,
    /// End a rotation: drop the second secret.
    #[arg(long)]
    pub finish: bool,
    /// Don't ask HubSpot first whether it takes the secret.
    #[arg(long)]
    pub unchecked: bool,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
    /// Why.
    #[command(flatten)]
    pub reason: ReasonArgs,
}

pub(super) fn rotate(
    args: &RotateSecretArgs,
    admin: &Admin,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> CommandResult {
    let by = provenance(&args.reason)?;
    let row = admin
        .store
        .app(&args.name)?
        .ok_or_else(|| no_such_app(&args.name))?;
    let (vault, client, endpoints) = (admin.vault()?, admin.client()?, admin.endpoints());
    let enrolment = Enrolment {
        store: &admin.store,
        vault: &vault,
        client: &client,
        endpoints: &endpoints,
    };
    let runtime = runtime()?;
    let mut said = Said {
        out,
        err,
        name: &args.name,
        json: args.json,
    };
    let changed = match (&args.secret_file, args.finish) {
        (Some(file), false) => {
            let secret = secret_file::read(file).map_err(|error| CommandError::usage(error.to_string()))?;
            let how = SecretRotation {
                now: args.now,
                unchecked: args.unchecked,
            };
            let rotated = runtime.block_on(enrolment.rotate_secret(&row, &secret, how, &by))?;
            said.rotated(rotated, args.now)?
        }
        (None, true) => {
            let dropped = runtime.block_on(enrolment.finish_secret(&row, args.unchecked, &by))?;
            said.finished(dropped)?
        }
        _ => return Err(CommandError::usage("give either `--secret-file` or `--finish`")),
    };
    if changed {
        admin.tell_followers(err);
    }
    Ok(Exit::Fine)
}

/// What is said of it.
struct Said<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    name: &'a str,
    json: bool,
}

impl Said<'_> {
    /// Whether anything changed.
    fn rotated(&mut self, rotated: SecretRotated, now: bool) -> Result<bool, CommandError> {
        let name = self.name;
        let (words, result) = match rotated {
            SecretRotated::Already => ("first already", "unchanged"),
            SecretRotated::Back => ("first again", "back"),
            SecretRotated::First => ("first", "first"),
            SecretRotated::Unchecked(_) => ("first", "first_unverified"),
        };
        self.print(words, result)?;
        // Nobody to tell if stderr is gone.
        if let SecretRotated::Unchecked(why) = rotated {
            let _ = writeln!(
                self.err,
                "warning: {why}, so nobody knows yet whether it takes this secret; `scopegate app show {name}` tells \
                 after the next refresh"
            );
        }
        if rotated != SecretRotated::Already && !now {
            let _ = writeln!(
                self.err,
                "the other secret is tried second until `scopegate app rotate-secret {name} --finish`"
            );
        }
        Ok(rotated != SecretRotated::Already)
    }

    fn finished(&mut self, dropped: bool) -> Result<bool, CommandError> {
        if dropped {
            self.print("finished", "finished")?;
        } else {
            self.print("has one secret already", "unchanged")?;
        }
        Ok(dropped)
    }

    fn print(&mut self, words: &str, result: &str) -> Result<(), CommandError> {
        let text = if self.json {
            format!("{}\n", serde_json::json!({ "name": self.name, "result": result }))
        } else {
            format!("{} {words}\n", self.name)
        };
        print(self.out, &text)
    }
}

impl From<SecretError> for CommandError {
    fn from(error: SecretError) -> Self {
        let message = error.to_string();
        match error {
            SecretError::Refused(_) => Self::findings(message).hint(
                "see the app's client secret at HubSpot; say `--unchecked` to store it before HubSpot knows it",
            ),
            SecretError::UnderWay(name) => Self::findings(message).hint(format!(
                "end it with `scopegate app rotate-secret {name} --finish`, or say `--now` to drop both"
            )),
            SecretError::NotProven { .. } => {
                Self::findings(message).hint("see `scopegate app show`, or say `--unchecked` to drop the other secret anyway")
            }
            SecretError::Enrol(error) => error.into(),
        }
    }
}
