//! Words of the command line that are promised and not built yet. Using one is an error that says so,
//! never "unrecognised": whoever read about it need not look for a typing mistake.
//!
//! Looked up only when the real command line did not understand the arguments, so that a word here can
//! never stand in the way of a command that exists.

use std::ffi::OsString;

use super::CommandError;

/// Commands, and groups of commands.
const COMMANDS: &[&str] = &[
    "coverage",
    "audit",
    "completions",
    "man",
    "catalogue import",
    "catalogue diff",
];

/// The error for the reserved word in the arguments of the process (its own name first), if there is one.
pub(super) fn find(arguments: impl IntoIterator<Item = OsString>) -> Option<CommandError> {
    let words = words(arguments);
    let begins = |command: &&&str| {
        let mut given = words.iter();
        command
            .split(' ')
            .all(|word| given.next().is_some_and(|given| given == word))
    };
    COMMANDS.iter().find(begins).map(|command| not_yet(command))
}

fn not_yet(what: &str) -> CommandError {
    CommandError::usage(format!("`scopegate {what}` is not supported yet"))
        .hint("see `scopegate help` for what is")
}

/// The arguments without the process's name and without `--config FILE`, which may stand anywhere.
fn words(arguments: impl IntoIterator<Item = OsString>) -> Vec<String> {
    let mut words = Vec::new();
    let mut arguments = arguments.into_iter().skip(1);
    while let Some(argument) = arguments.next() {
        let word = argument.to_string_lossy();
        if word == "--config" {
            arguments.next();
        } else if !word.starts_with("--config=") {
            words.push(word.into_owned());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::super::{Cli, Exit, parse};
    use super::*;

    fn refused(line: &str) -> Option<CommandError> {
        match parse(line.split(' ').map(OsString::from)) {
            Ok(_) => panic!("`{line}` is understood"),
            Err(refused) => refused.ok(),
        }
    }

    fn assert_reserved(line: &str, word: &str) {
        let error = refused(line).unwrap_or_else(|| panic!("`{line}` is unrecognised"));
        assert_eq!(error.exit, Exit::Usage, "{line}");
        assert_eq!(
            error.message,
            format!("`scopegate {word}` is not supported yet"),
            "{line}"
        );
    }

    #[test]
    fn a_reserved_command_is_not_supported_yet_whatever_follows() {
        for command in COMMANDS {
            for rest in ["", " --help", " --all --reason x", " a b -c --d=e"] {
                assert_reserved(&format!("scopegate {command}{rest}"), command);
            }
            assert_reserved(&format!("scopegate --config x.yaml {command}"), command);
        }
        for (line, command) in [
            ("audit verify", "audit"),
            ("catalogue --config=x import d", "catalogue import"),
        ] {
            assert_reserved(&format!("scopegate {line}"), command);
        }
    }

    #[test]
    fn what_nobody_promised_is_unrecognised_and_what_exists_is_understood() {
        for line in ["kil", "policy kill", "connection list --name x", "run --app x"] {
            assert!(refused(&format!("scopegate {line}")).is_none(), "{line}");
        }
        let line = "scopegate connection add kill --portal 1 --token-file t";
        assert!(parse(line.split(' ').map(OsString::from)).is_ok());
    }

    #[test]
    fn help_does_not_name_what_is_reserved() {
        let mut cli = Cli::command();
        cli.build();
        for command in COMMANDS {
            let found = command
                .split(' ')
                .try_fold(&cli, |at, word| at.find_subcommand(word));
            assert!(found.is_none(), "{command}");
        }
    }
}
