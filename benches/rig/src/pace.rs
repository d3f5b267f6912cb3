//! Open loop: requests are due at fixed moments, however long answers take, and each is timed from the moment it
//! was due. A gate that stalls is charged for all that should have been asked meanwhile.
//!
//! One thread. Before a request is due it sleeps; the last stretch, and while answers are awaited, it polls, since
//! a sleeping thread is woken later than the differences that are to be seen.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::target::{Target, answer_end, machine, read_more};

/// A sleep ends at most so much too late, as a rule.
const POLL: Duration = Duration::from_micros(150);
/// Beyond the run's own length: whatever is not answered by then has failed.
const OVERTIME: Duration = Duration::from_secs(30);

/// Arguments of `rig pace`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// Requests a second.
    #[arg(long, default_value_t = 2_000)]
    rate: u32,
    /// Connections, used in turn.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// How long it is measured.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// How long it runs before.
    #[arg(long, default_value_t = 1.0)]
    warm: f64,
}

/// A connection, and the request that is under way on it.
struct Wire {
    stream: TcpStream,
    due: Instant,
    read: Vec<u8>,
}

/// Runs and prints one JSON object.
///
/// # Errors
/// Any answer but the right one, and a connection that ends.
pub fn run(args: &Args) -> io::Result<()> {
    let requests = args.target.requests()?;
    let mut wires = (0..args.connections)
        .map(|number| open(&args.target, &requests, number))
        .collect::<io::Result<Vec<_>>>()?;
    let times = drive(args, &requests, &mut wires)?;
    println!("{}", times.json());
    Ok(())
}

/// A connection that has carried a request.
fn open(target: &Target, requests: &[Vec<u8>], number: usize) -> io::Result<Wire> {
    let mut stream = target.connect(machine(0))?;
    let request = requests
        .get(number % requests.len())
        .map_or(&[][..], Vec::as_slice);
    target.ask(&mut stream, request)?;
    stream.set_nonblocking(true)?;
    Ok(Wire {
        stream,
        due: Instant::now(),
        read: Vec::new(),
    })
}

fn drive(args: &Args, requests: &[Vec<u8>], wires: &mut [Wire]) -> io::Result<Times> {
    let spacing = Duration::from_secs(1) / args.rate.max(1);
    let begun = Instant::now() + spacing;
    let counted_from = begun + Duration::from_secs_f64(args.warm);
    let end = counted_from + Duration::from_secs_f64(args.seconds);
    let mut free: VecDeque<usize> = (0..wires.len()).collect();
    let mut busy: Vec<usize> = Vec::new();
    let mut times = Times::default();
    let mut due = begun;
    while due < end || !busy.is_empty() {
        let now = Instant::now();
        if now > end + OVERTIME {
            return Err(io::Error::other("answers did not come in time"));
        }
        while due <= now && due < end {
            let Some(number) = free.pop_front() else { break };
            let wire = wires.get_mut(number).ok_or(io::ErrorKind::NotFound)?;
            wire.due = due;
            wire.stream.write_all(times.next(requests))?;
            if due >= counted_from {
                times.sent_late.push(wire.due.elapsed());
            }
            busy.push(number);
            due += spacing;
        }
        let mut at = 0;
        while let Some(&number) = busy.get(at) {
            let wire = wires.get_mut(number).ok_or(io::ErrorKind::NotFound)?;
            if !is_answered(wire, args.target.status)? {
                at += 1;
                continue;
            }
            if wire.due >= counted_from {
                times.answered.push(wire.due.elapsed());
            }
            busy.swap_remove(at);
            free.push_back(number);
        }
        if busy.is_empty() && due < end {
            let left = due.saturating_duration_since(Instant::now());
            if left > POLL {
                std::thread::sleep(left - POLL);
            }
        }
    }
    Ok(times)
}

/// Reads what has come. The answer must be all there is.
fn is_answered(wire: &mut Wire, status: u16) -> io::Result<bool> {
    match read_more(&mut wire.stream, &mut wire.read) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
        Err(error) => return Err(error),
    }
    match answer_end(&wire.read, status)? {
        None => Ok(false),
        Some(end) if end == wire.read.len() => {
            wire.read.clear();
            Ok(true)
        }
        Some(_) => Err(io::Error::other("more came than was asked for")),
    }
}

/// What was measured.
#[derive(Default)]
struct Times {
    requests: usize,
    answered: Vec<Duration>,
    sent_late: Vec<Duration>,
}

impl Times {
    /// The next request: no key twice in a row, all of them in turn.
    fn next<'a>(&mut self, requests: &'a [Vec<u8>]) -> &'a [u8] {
        self.requests += 1;
        let at = self.requests.wrapping_mul(7_919) % requests.len().max(1);
        requests.get(at).map_or(&[], Vec::as_slice)
    }

    fn json(mut self) -> String {
        self.answered.sort_unstable();
        self.sent_late.sort_unstable();
        let of = |sorted: &[Duration], part: f64| {
            let last = sorted.len().saturating_sub(1);
            let at = (last as f64 * part).ceil() as usize;
            sorted.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e6)
        };
        format!(
            "{{\"requests\": {}, \"counted\": {}, \"p50_us\": {:.1}, \"p90_us\": {:.1}, \"p99_us\": {:.1}, \
             \"p999_us\": {:.1}, \"max_us\": {:.1}, \"sent_late_p99_us\": {:.1}}}",
            self.requests,
            self.answered.len(),
            of(&self.answered, 0.5),
            of(&self.answered, 0.9),
            of(&self.answered, 0.99),
            of(&self.answered, 0.999),
            of(&self.answered, 1.0),
            of(&self.sent_late, 0.99),
        )
    }
}
