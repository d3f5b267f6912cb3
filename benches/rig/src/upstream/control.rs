//! Where the driver asks what the upstream saw: `GET /counts`, `POST /keep`, `GET /heads`, `POST /forget`.
//!
//! One request a connection, one after another, on a thread apart from those that serve.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::counts::{Counts, Kept};

/// The driver is on this machine and has nothing else to do.
const WAIT: Duration = Duration::from_secs(5);

/// Starts answering; where, is returned.
pub fn start(counts: Vec<Arc<Counts>>, kept: Arc<Kept>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A driver that went away asks again or never.
            let _ = answer(&stream, &counts, &kept);
        }
    });
    Ok(address)
}

fn answer(stream: &TcpStream, counts: &[Arc<Counts>], kept: &Kept) -> io::Result<()> {
    stream.set_read_timeout(Some(WAIT))?;
    stream.set_write_timeout(Some(WAIT))?;
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let (status, body) = match first.split(' ').collect::<Vec<_>>().get(..2) {
        Some(["GET", "/counts"]) => ("200 OK", Counts::json(counts).into_bytes()),
        Some(["GET", "/heads"]) => ("200 OK", kept.text()),
        Some(["POST", "/keep"]) => {
            kept.keep(true);
            ("200 OK", Vec::new())
        }
        Some(["POST", "/forget"]) => {
            kept.keep(false);
            ("200 OK", Vec::new())
        }
        _ => ("404 Not Found", Vec::new()),
    };
    let mut out = stream;
    write!(
        out,
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )?;
    out.write_all(&body)
}
