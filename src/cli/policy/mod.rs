//! `scopegate policy`: what people do with policies before a gate runs them. Offline.

mod calls;
mod cases;
mod check;
mod diff;
mod folder;
mod schema;
mod show;
mod suggest;
mod who_can;

#[cfg(test)]
mod matrix;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::PathBuf;

use super::{CommandError, CommandResult, Exit, Globals};
use crate::cli::catalogue;

pub(super) use folder::Folder;

/// `scopegate policy …`.
#[derive(Debug, clap::Subcommand)]
pub enum PolicyCommand {
    /// Reads every policy of a folder: all mistakes at once, findings, and what each rule opens.
    ///
    /// A finding (a warning; never an error) is silenced by a comment on its line or the one above,
    /// or, for the file as a whole, in the comments it begins with. The reason is required:
    /// `# scopegate: ignore SG141: the search index needs every type`
    Check {
        /// Folder of policies.
        dir: PathBuf,
        /// Findings fail, too.
        #[arg(long)]
        deny_warnings: bool,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Runs the cases (`NAME.cases.yaml`) of a folder through the live path's own steps.
    Test {
        /// Folder of policies.
        dir: PathBuf,
        /// Cases of this integration alone.
        #[arg(long)]
        integration: Option<String>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// The effective permission of an integration as a table, each cell naming its rule.
    Show {
        /// Folder of policies.
        dir: PathBuf,
        /// The integration.
        #[arg(long)]
        integration: String,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Exactly what a change of policies newly allows and newly denies.
    ///
    /// Every operation, effect, object type, property, value and connection is asked about, now and
    /// whenever a policy expires or ceases to observe. Exit 1 when anything is newly allowed, 0 when
    /// not, 2 when a side does not load.
    Diff(diff::DiffArgs),
    /// Which integrations may make a kind of call, and by which rules.
    ///
    /// Exit 0 when somebody can, 1 when nobody can.
    WhoCan(who_can::WhoCanArgs),
    /// A draft policy from a list of calls, with the scopes they need and the URL to install with.
    ///
    /// Exit 0 when the draft opens every call, 1 when one is not understood or not opened.
    Suggest(suggest::SuggestArgs),
    /// Prints the JSON Schema of policies, for editors.
    Schema {
        /// The schema of `_ceiling.yaml` instead.
        #[arg(long)]
        ceiling: bool,
    },
}

/// Runs the command: 0 fine, 1 mistakes, findings that count, or cases that do not hold.
pub fn run(command: PolicyCommand, globals: &Globals) -> CommandResult {
    let mut out = std::io::stdout().lock();
    let mut err = std::io::stderr().lock();
    let now = jiff::Timestamp::now();
    if let PolicyCommand::Schema { ceiling } = command {
        return written(schema::run(ceiling, &mut out));
    }
    let catalogue = catalogue::configured(globals)?;
    let read = |dir: &PathBuf| Folder::read(dir, &catalogue, now);
    match command {
        PolicyCommand::Check {
            dir,
            deny_warnings,
            json,
        } => {
            let folder = read(&dir)?;
            let options = check::Options {
                deny_warnings,
                json,
                colour: is_terminal(),
            };
            written(check::run(&folder, &catalogue, now, &options, &mut out, &mut err))
        }
        PolicyCommand::Test {
            dir,
            integration,
            json,
        } => {
            let folder = read(&dir)?;
            if let Some(integration) = &integration {
                folder.policy(integration, now)?;
            }
            let options = cases::Options { integration, json };
            written(cases::run(&folder, &catalogue, now, &options, &mut out, &mut err))
        }
        PolicyCommand::Show {
            dir,
            integration,
            json,
        } => {
            let folder = read(&dir)?;
            let policy = folder.policy(&integration, now)?;
            written(show::run(&folder, policy, &catalogue, now, json, &mut out))
        }
        PolicyCommand::Diff(args) => {
            let folders = diff::read(&args, &catalogue, now)?;
            written(diff::run(
                &folders,
                &catalogue,
                now,
                args.json(),
                &mut out,
                &mut err,
            ))
        }
        PolicyCommand::WhoCan(args) => {
            let folder = read(&args.dir)?;
            let wanted = args.wanted(&catalogue)?;
            let json = args.json();
            written(who_can::run(
                &folder, &catalogue, &wanted, now, json, &mut out, &mut err,
            ))
        }
        PolicyCommand::Suggest(args) => {
            args.check()?;
            let calls = suggest::read(&args)?;
            written(suggest::run(&args, &calls, &catalogue, now, &mut out, &mut err))
        }
        PolicyCommand::Schema { .. } => Ok(Exit::Fine),
    }
}

/// Colour is for people at a terminal who did not say no (<https://no-color.org>).
fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none()
}

/// A reader that has enough is no failure.
pub(super) fn written(outcome: std::io::Result<Exit>) -> CommandResult {
    match outcome {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Fine),
        Err(error) => Err(CommandError::internal(format!("can't write the output: {error}"))),
        Ok(exit) => Ok(exit),
    }
}

/// One JSON object on a line of its own.
fn write_json(out: &mut dyn Write, value: &serde_json::Value) -> std::io::Result<()> {
    writeln!(out, "{value}")
}
