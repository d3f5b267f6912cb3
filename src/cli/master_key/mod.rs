//! `scopegate master-key`: the key that seals every credential.

mod rotate;

use std::io::Write;
use std::path::PathBuf;

use zeroize::Zeroizing;

pub use self::rotate::RotateArgs;
use super::admin::{Admin, Purpose, print};
use super::{CommandError, CommandResult, Exit, Globals};
use crate::tokens::{findings, unopened_keys};
use crate::vault::{MasterKey, secret_file};

/// Commands about the master key.
#[derive(Debug, clap::Subcommand)]
pub enum MasterKeyCommand {
    /// Make a master key: print it, or write it to a file for its owner alone.
    New(NewArgs),
    /// Put another master key in the place of the present one, while the gate runs. Run again after an
    /// interruption, it goes on.
    Rotate(RotateArgs),
    /// Look whether the master key opens every data key in the store, and name those it does not.
    Verify,
}

/// Arguments of `master-key new`.
#[derive(Debug, clap::Args)]
pub struct NewArgs {
    /// Write it to this new file (mode 0600) and not to stdout.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Runs a command about the master key. `new` needs no configuration.
///
/// # Errors
/// A file that is there already or can't be written, a wrong key (2); what does not open is exit 1.
pub fn run(command: MasterKeyCommand, globals: &Globals) -> CommandResult {
    let out = &mut std::io::stdout().lock();
    match command {
        MasterKeyCommand::New(args) => new(&args, out),
        MasterKeyCommand::Rotate(args) => {
            crate::tokens::failpoints::arm_from_environment();
            let admin = Admin::open(globals, Purpose::Change)?;
            rotate::rotate(&args, &admin, out, &mut std::io::stderr().lock())
        }
        MasterKeyCommand::Verify => verify(&Admin::open(globals, Purpose::Look)?, out),
    }
}

fn verify(admin: &Admin, out: &mut dyn Write) -> CommandResult {
    let vault = admin.vault()?;
    let (count, mut found) = unopened_keys(&admin.store, &vault)?;
    if found.is_empty() {
        // What data keys seal is looked at only when they open: one finding for one damage.
        found = findings(&admin.store, &vault)?;
    }
    if found.is_empty() {
        print(
            out,
            &format!("the master key opens all {count} data keys, and they all that is sealed\n"),
        )?;
        return Ok(Exit::Fine);
    }
    for finding in found {
        print(out, &format!("{finding}\n"))?;
    }
    Ok(Exit::Findings)
}

fn new(args: &NewArgs, out: &mut dyn Write) -> CommandResult {
    let text = MasterKey::generate()
        .map_err(|error| CommandError::internal(error.to_string()))?
        .to_text();
    match &args.out {
        None => print(out, &Zeroizing::new(format!("{}\n", text.expose())))?,
        Some(path) => secret_file::write_new(path, &text).map_err(|error| {
            CommandError::usage(format!("can't write `{}`: {error}", path.display()))
                .hint("a key that is there is never overwritten: what it sealed would be lost")
        })?,
    }
    Ok(Exit::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_can_be_loaded_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let args = NewArgs {
            out: Some(path.clone()),
        };
        new(&args, &mut Vec::new()).unwrap();
        let before = std::fs::read(&path).unwrap();
        assert!(MasterKey::read(&path).is_ok());
        assert_eq!(new(&args, &mut Vec::new()).unwrap_err().exit, Exit::Usage);
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn two_printed_keys_differ() {
        let printed = || {
            let mut out = Vec::new();
            new(&NewArgs { out: None }, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let (one, two) = (printed(), printed());
        assert_eq!(one.len(), 45);
        assert_ne!(one, two);
    }
}
