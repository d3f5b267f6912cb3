//! `scopegate run`: the gate.

use std::io::Write;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{CommandError, CommandResult, Exit, Globals};
use crate::config::{self, Config, Overrides};
use crate::logging;
use crate::server::{Prepared, Server, StartOptions};
use crate::store::gate_runs;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Do all of a start but listening, then exit.
    #[arg(long)]
    check: bool,
    /// Exit 2 when a policy does not load.
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
    crate::harden::no_core_dumps();
    crate::tokens::failpoints::arm_from_environment();
    for warning in &loaded.warnings {
        tracing::warn!(event = "config.warning", warning = warning.as_str());
    }
    let options = StartOptions { strict: args.strict };
    if args.check {
        return check(&loaded.config, options);
    }
    let runtime = control_plane()?;
    runtime.block_on(async {
        let prepared = Prepared::new(loaded.config, options).await?;
        let server = prepared.listen().await?;
        say(&server.ready_line())?;
        // Not under systemd is no error.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        serve(server).await
    })
}

/// All of a start but what would disturb a gate that runs.
fn check(config: &Config, options: StartOptions) -> CommandResult {
    Prepared::check(config, options)?;
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

/// Until SIGTERM or SIGINT; SIGHUP reloads; a second signal ends the waiting.
pub async fn serve(server: Server) -> CommandResult {
    let listen = |kind| signal(kind).map_err(|error| CommandError::internal(format!("signals: {error}")));
    let (mut term, mut int, mut hup) = (
        listen(SignalKind::terminate())?,
        listen(SignalKind::interrupt())?,
        listen(SignalKind::hangup())?,
    );
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = hup.recv() => server.reload(),
        }
    }
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!(event = "gate.draining");
    let hurry = CancellationToken::new();
    let shutdown = server.shutdown(hurry.clone());
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return Ok(Exit::Fine),
            _ = term.recv() => hurry.cancel(),
            _ = int.recv() => hurry.cancel(),
        }
    }
}
