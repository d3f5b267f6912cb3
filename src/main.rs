//! Runs the command line and maps its outcome to an exit status.

use std::process::ExitCode;

fn main() -> ExitCode {
    scopegate::cli::main()
}
