//! The command line: one file a command. Data on stdout, all else on stderr.

pub mod catalogue;
pub mod config;
pub mod explain;
pub mod health;
pub mod init;
pub mod policy;

use std::path::PathBuf;

/// Exit status of a command (contracts.md §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Fine, or allowed.
    Fine = 0,
    /// Findings, or denied.
    Findings = 1,
    /// Usage or configuration.
    Usage = 2,
    /// The gate's own fault.
    Internal = 3,
}

/// What every command accepts.
#[derive(Clone, Debug, Default)]
pub struct Globals {
    /// `--config FILE`.
    pub config: Option<PathBuf>,
}

/// A command that could not do its work: what happened, and what to do next.
#[derive(Debug)]
pub struct CommandError {
    /// The exit status.
    pub exit: Exit,
    /// Cause, lower case, no full stop. Never a secret.
    pub message: String,
    /// Remedy.
    pub hint: Option<String>,
}

impl CommandError {
    /// A mistake in arguments or configuration: exit 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            message: message.into(),
            hint: None,
        }
    }

    /// Something wrong with what the command was asked to look at: exit 1.
    pub fn findings(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Findings,
            message: message.into(),
            hint: None,
        }
    }

    /// Our own fault, or the machine's: exit 3.
    pub fn internal(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Internal,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What a command's `run` returns.
pub type CommandResult = Result<Exit, CommandError>;
