//! `scopegate run`: the gate.

use std::io::Write;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{CommandError, CommandResult, Exit, Globals};
use crate::config::{self, Config, Overrides};
use crate::harden::{self, Hardening};
use crate::logging;
use crate::server::{Prepared, Server, StartOptions};
use crate::store::{MachineTime, gate_runs};
use crate::vault::HeldKeys;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Do all of a start but listening, then exit.
    #[arg(long)]
    check: bool,
    /// Exit 2 when a policy does not load, when run as root, or when a protection that the kernel has fails.
    #[arg(long)]
    strict: bool,
    /// Where integrations connect, in place of `listen`.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// In place of `admin.listen`.
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
}

/// Runs the gate until it is told to stop.
pub fn run(args: RunArgs, globals: &Globals) -> CommandResult {
    let mut overrides = Overrides::default();
    if let Some(listen) = &args.listen {
        overrides = overrides.set("listen", listen);
    }
    if let Some(admin) = &args.admin {
        overrides = overrides.set("admin.listen", admin);
    }
    let loaded = config::load(globals.config.as_deref(), overrides)
        .map_err(|errors| CommandError::usage(errors.render(false)))?;
    logging::init(loaded.config.log);
    logging::install_panic_hook();
    let mut hardening = harden::begin();
    crate::tokens::failpoints::arm_from_environment();
    for warning in &loaded.warnings {
        tracing::warn!(event = "config.warning", warning = warning.as_str());
    }
    if MachineTime::now().is_none() {
        tracing::warn!(
            event = "clock.unknown_run",
            "the kernel does not tell which run of the machine this is: the wall clock decides how old tokens are and \
             what is left of limits; let the gate read /proc/sys/kernel/random/boot_id"
        );
    }
    let options = StartOptions { strict: args.strict };
    let config = loaded.config;
    hardening
        .look_at_modes(&config, &loaded.file)
        .map_err(CommandError::usage)?;
    if args.check {
        return check(&config, options, &hardening);
    }
    if args.strict && hardening.refuses_strictly().is_some() {
        // It will be refused; all that is wrong with the rest is said first.
        Prepared::check(&config, options)?;
        refuse_strictly(options, &hardening)?;
    }
    let keys = HeldKeys::load(&config.master_key, &config.key_command)
        .map_err(|error| CommandError::usage(error.to_string()))?;
    hardening.confine(&config);
    hardening.say();
    refuse_strictly(options, &hardening)?;
    let runtime = control_plane()?;
    runtime.block_on(async {
        let prepared = Prepared::with_keys(config, options, &keys)
            .await?
            .hardened(&hardening);
        drop(keys);
        let server = prepared.listen().await?;
        // Before anybody knows that it runs: a signal that comes early is not the end of it.
        let signals = Signals::listen()?;
        say(&server.ready_line())?;
        // Not under systemd is no error.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        serve(server, signals).await
    })
}

/// A strict start takes no half measures: root, or a protection that the kernel has and refuses.
fn refuse_strictly(options: StartOptions, hardening: &Hardening) -> Result<(), CommandError> {
    match hardening.refuses_strictly() {
        Some(why) if options.strict => Err(CommandError::usage(format!("`--strict` was given, and {why}"))
            .hint("mend it, or run without `--strict`: then it is a warning")),
        _ => Ok(()),
    }
}

/// All of a start but what would disturb a gate that runs.
fn check(config: &Config, options: StartOptions, hardening: &Hardening) -> CommandResult {
    Prepared::check(config, options)?;
    refuse_strictly(options, hardening)?;
    if gate_runs(&config.store) {
        // Nobody to tell if stderr is gone.
        let _ = writeln!(
            std::io::stderr().lock(),
            "note: a gate runs on this store; it was left alone, and the store's lock was not tried"
        );
    }
    Ok(Exit::Fine)
}

/// The control plane: store, refresh, audit, monitor. Never on the path of a request.
pub fn control_plane() -> Result<tokio::runtime::Runtime, CommandError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(|error| CommandError::internal(format!("no runtime: {error}")))
}

/// One line on stdout, flushed: whoever started the gate waits for it.
pub fn say(line: &str) -> Result<(), CommandError> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(|error| CommandError::internal(format!("stdout: {error}")))
}

/// The signals a gate listens to.
pub struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    /// From here on they end nothing by themselves.
    pub fn listen() -> Result<Self, CommandError> {
        let listen = |kind| signal(kind).map_err(|error| CommandError::internal(format!("signals: {error}")));
        Ok(Self {
            term: listen(SignalKind::terminate())?,
            int: listen(SignalKind::interrupt())?,
            hup: listen(SignalKind::hangup())?,
        })
    }
}

/// Until SIGTERM or SIGINT; SIGHUP reloads; a second signal ends the waiting. A worker that ends by itself ends the gate, in
/// the same order: whoever runs it starts it anew.
pub async fn serve(server: Server, signals: Signals) -> CommandResult {
    let Signals {
        mut term,
        mut int,
        mut hup,
    } = signals;
    let failed = loop {
        tokio::select! {
            _ = term.recv() => break false,
            _ = int.recv() => break false,
            () = server.failed() => break true,
            _ = hup.recv() => server.reload(),
        }
    };
    if failed {
        tracing::error!(
            event = "gate.failed",
            "a worker has ended in a defect of scopegate's: the gate ends, and must be started anew"
        );
    }
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!(event = "gate.draining");
    let hurry = CancellationToken::new();
    let shutdown = server.shutdown(hurry.clone());
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            _ = term.recv() => hurry.cancel(),
            _ = int.recv() => hurry.cancel(),
        }
    }
    match failed {
        true => Err(CommandError::internal("a worker has ended in a defect")),
        false => Ok(Exit::Fine),
    }
}
