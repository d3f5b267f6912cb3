//! The command line: one file a command. Data on stdout, all else on stderr.

mod admin;
pub mod app;
pub mod catalogue;
pub mod config;
pub mod connection;
pub mod connection_install;
pub mod credential;
pub mod demo;
pub mod denials;
pub mod doctor;
pub mod explain;
pub mod health;
pub mod init;
pub mod key;
mod key_life;
pub mod kill;
pub mod master_key;
pub mod people;
pub mod policy;
mod reserved;
mod retire;
pub mod run;
pub mod sim;
pub mod store;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;

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

/// The least-privilege gate in front of HubSpot's API.
#[derive(Debug, clap::Parser)]
#[command(name = "scopegate", version, about, max_term_width = 100)]
struct Cli {
    /// The configuration file [default: $SCOPEGATE_CONFIG, ./scopegate.yaml, /etc/scopegate/scopegate.yaml].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Simulator, gate and three sample integrations in one process, with commands to try.
    Demo(demo::DemoArgs),
    /// Run the gate.
    Run(run::RunArgs),
    /// Run the HubSpot simulator alone.
    Sim(sim::SimArgs),
    /// Make a folder with a configuration, a master key and an example policy.
    Init(init::InitArgs),
    /// Keys that integrations send where a HubSpot token used to be.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Credentials of people and programs on the admin listener.
    #[command(subcommand)]
    Admin(credential::AdminCommand),
    /// HubSpot apps.
    #[command(subcommand)]
    App(app::AppCommand),
    /// HubSpot accounts the gate can act in.
    #[command(subcommand)]
    Connection(connection::ConnectionCommand),
    /// Stop an integration, a connection, an app, a portal, a person or everything, now.
    Kill(kill::KillArgs),
    /// End what `kill` stopped.
    Revive(kill::ReviveArgs),
    /// The people behind connections, and what happens when they leave.
    #[command(subcommand)]
    People(people::PeopleCommand),
    /// What a request is, and what a policy says to it.
    Explain(explain::ExplainArgs),
    /// Check, test and show policies.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// What was not let through lately, by whom and why, with what to do about it.
    Denials(denials::DenialsArgs),
    /// HubSpot's operations as the gate knows them.
    #[command(subcommand)]
    Catalogue(catalogue::CatalogueCommand),
    /// The embedded store.
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// The key that seals every credential.
    #[command(subcommand, name = "master-key")]
    MasterKey(master_key::MasterKeyCommand),
    /// The settings in force and where each comes from.
    Config(config::ConfigArgs),
    /// Ask a running gate whether it is ready.
    Health(health::HealthArgs),
    /// One page for whoever is on call: what is wrong or soon will be, and what to do.
    Doctor(doctor::DoctorArgs),
}

/// Parses the arguments, runs the command, prints what went wrong.
pub fn main() -> ExitCode {
    let outcome = match parse(std::env::args_os()) {
        Ok(cli) => execute(cli),
        Err(Ok(reserved)) => Err(reserved),
        // Help and the version are "errors", too; it knows where each goes and how to exit.
        Err(Err(error)) => error.exit(),
    };
    let exit = outcome.unwrap_or_else(|error| {
        let mut stderr = std::io::stderr().lock();
        // Nobody to tell if stderr is gone.
        let _ = writeln!(stderr, "error: {}", error.message);
        if let Some(hint) = error.hint {
            let _ = writeln!(stderr, "help: {hint}");
        }
        error.exit
    });
    ExitCode::from(exit as u8)
}

/// Reads the arguments; what is not understood is a reserved word, or else the parser's own error.
fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Cli, Result<CommandError, clap::Error>> {
    let arguments: Vec<OsString> = arguments.collect();
    <Cli as clap::Parser>::try_parse_from(&arguments).map_err(|error| {
        let unknown = matches!(
            error.kind(),
            ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument
        );
        match reserved::find(arguments).filter(|_| unknown) {
            Some(reserved) => Ok(reserved),
            None => Err(error),
        }
    })
}

fn execute(cli: Cli) -> CommandResult {
    let globals = Globals { config: cli.config };
    match cli.command {
        Command::Demo(args) => demo::run(args, &globals),
        Command::Run(args) => run::run(args, &globals),
        Command::Sim(args) => sim::run(args, &globals),
        Command::Init(args) => init::run(args, &globals),
        Command::Key(command) => key::run(command, &globals),
        Command::Admin(command) => credential::run(command, &globals),
        Command::App(command) => app::run(command, &globals),
        Command::Connection(command) => connection::run(command, &globals),
        Command::Kill(args) => kill::kill(args, &globals),
        Command::Revive(args) => kill::revive(args, &globals),
        Command::People(command) => people::run(command, &globals),
        Command::Explain(args) => explain::run(args, &globals),
        Command::Policy(command) => policy::run(command, &globals),
        Command::Denials(args) => denials::run(args, &globals),
        Command::Catalogue(command) => catalogue::run(command, &globals),
        Command::Store(command) => store::run(command, &globals),
        Command::MasterKey(command) => master_key::run(command, &globals),
        Command::Config(args) => config::run(args, &globals),
        Command::Health(args) => health::run(args, &globals),
        Command::Doctor(args) => doctor::run(args, &globals),
    }
}
