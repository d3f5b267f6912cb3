//! The measuring rig: what stands around a gate while it is measured. `benches/compare/run` drives it.
//!
//! It serves HubSpot's side (`upstream`) and makes the loads that wrk and h2load do not have: requests at a
//! fixed rate (`pace`) and connections that do nothing (`idle`). It knows nothing of any gate.

mod idle;
mod pace;
mod target;
mod upstream;

use std::process::ExitCode;

use clap::Parser;

/// The measuring rig of `benches/compare`.
#[derive(Debug, Parser)]
enum Command {
    /// HubSpot's side: TLS 1.3, HTTP/1.1 kept alive, answers rendered beforehand.
    Upstream(upstream::Args),
    /// Sends requests at a fixed rate, whatever the answers take, and tells how late each was answered.
    Pace(pace::Args),
    /// Writes a certificate and its key, for a gate to listen with: `gate.pem`, `gate.key`.
    Certificate(upstream::CertificateArgs),
    /// Opens connections, asks once on each, and holds them until its stdin ends.
    Idle(idle::Args),
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Upstream(args) => upstream::run(&args),
        Command::Pace(args) => pace::run(&args),
        Command::Certificate(args) => upstream::write_certificate(&args),
        Command::Idle(args) => idle::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rig: {error}");
            ExitCode::FAILURE
        }
    }
}
