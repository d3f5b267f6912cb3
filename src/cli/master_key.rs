//! `scopegate master-key`: the key that seals every credential.

use std::io::Write;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::admin::print;
use super::{CommandError, CommandResult, Exit, Globals};
use crate::vault::{MasterKey, secret_file};

/// Commands about the master key.
#[derive(Debug, clap::Subcommand)]
pub enum MasterKeyCommand {
    /// Make a master key: print it, or write it to a file for its owner alone.
    New(NewArgs),
}

/// Arguments of `master-key new`.
#[derive(Debug, clap::Args)]
pub struct NewArgs {
    /// Write it to this new file (mode 0600) and not to stdout.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Runs a command about the master key. Needs no configuration.
///
/// # Errors
/// A file that is there already, or can't be written (2).
pub fn run(command: MasterKeyCommand, _globals: &Globals) -> CommandResult {
    match command {
        MasterKeyCommand::New(args) => new(&args, &mut std::io::stdout().lock()),
    }
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
    use crate::config::MasterKeySource;

    #[test]
    fn a_new_key_can_be_loaded_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let args = NewArgs {
            out: Some(path.clone()),
        };
        new(&args, &mut Vec::new()).unwrap();
        let before = std::fs::read(&path).unwrap();
        assert!(MasterKey::load(&MasterKeySource::File(path.clone())).is_ok());
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
