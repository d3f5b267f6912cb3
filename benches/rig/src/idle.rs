//! Connections that have served one request each and then do nothing, until stdin ends.
//!
//! They come from many addresses of loopback, as from many machines: no gate's bound on one address is met.

use std::io::{self, Read, Write};

use super::target::{Target, machine};

/// Connections of one address.
const PER_ADDRESS: usize = 500;

/// Arguments of `rig idle`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// How many.
    #[arg(long, default_value_t = 1_000)]
    connections: usize,
}

/// Opens them, says `ready N`, and holds them.
///
/// # Errors
/// A connection or an answer that fails.
pub fn run(args: &Args) -> io::Result<()> {
    let requests = args.target.requests()?;
    let mut held = Vec::with_capacity(args.connections);
    for (number, request) in (0..args.connections).zip(requests.iter().cycle()) {
        let mut stream = args.target.connect(machine(number / PER_ADDRESS))?;
        args.target.ask(&mut stream, request)?;
        held.push(stream);
    }
    println!("ready {}", held.len());
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    // All of them must still be there: what was closed meanwhile is no idle connection.
    for stream in &held {
        stream.set_nonblocking(true)?;
        let is_open =
            matches!(stream.peek(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        if !is_open {
            return Err(io::Error::other("a connection was closed while it was held"));
        }
    }
    Ok(())
}
