//! `scopegate doctor`: one page for whoever is on call. What is wrong or soon will be, each with the command
//! that mends it; nothing secret, nothing changed. Works with the gate running or stopped.
//!
//! What a running gate alone knows (readiness, hardening, the last reload) it is asked for; all else is looked
//! at here, with the rights of whoever runs the command.

mod contents;
mod gate;
mod machine;
mod sheet;

use std::io::Write;

use jiff::Timestamp;

use self::sheet::Sheet;
use super::admin::print;
use super::{CommandResult, Globals};
use crate::config::Overrides;
use crate::store::{MachineTime, Store};

/// Arguments of `doctor`.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct DoctorArgs {
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
    /// Do not try to reach the upstream.
    #[arg(long)]
    pub offline: bool,
}

/// Runs the command: exit 0 = nothing to do, 1 = something is or soon will be wrong.
///
/// # Errors
/// A configuration that does not load (2).
pub fn run(args: DoctorArgs, globals: &Globals) -> CommandResult {
    let loaded = super::config::load(globals, Overrides::default())?;
    let (config, now) = (&loaded.config, Timestamp::now());
    let mut sheet = Sheet::default();
    machine::configuration(&mut sheet, &loaded);
    gate::running(&mut sheet, config);
    machine::modes(&mut sheet, config, &loaded.file);
    machine::disk(&mut sheet, config);
    machine::audit(&mut sheet, config);
    machine::clock(&mut sheet, config, now);
    machine::machine_clock(&mut sheet, MachineTime::now().as_ref());
    contents::policies(&mut sheet, config, now);
    match Store::open_existing(&config.store) {
        Ok(store) => {
            contents::store(&mut sheet, &store);
            contents::master_key(&mut sheet, &store, config);
            contents::anchor(&mut sheet, &store, config);
            contents::all(&mut sheet, &store, config, now);
        }
        Err(error) => sheet.broken("store", error.to_string(), "scopegate store check"),
    }
    if !args.offline {
        gate::upstream(&mut sheet, config);
    }
    show(&sheet, args, &config.instance, now, &mut std::io::stdout().lock())
}

fn show(
    sheet: &Sheet,
    args: DoctorArgs,
    instance: &str,
    now: Timestamp,
    out: &mut dyn Write,
) -> CommandResult {
    let text = match args.json {
        true => sheet.json(),
        false => sheet.text(instance, now),
    };
    print(out, &text)?;
    Ok(sheet.exit())
}

#[cfg(test)]
mod tests;
