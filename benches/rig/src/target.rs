//! Whom a load asks, with which keys, and where the end of an answer is. HTTP/1.1 in clear text.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// An answer that takes longer has failed.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// What is read at once.
const READ_BYTES: usize = 64 * 1024;
/// Longest head of an answer.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const FIELDS_MAX: usize = 64;

/// What is asked, of whom.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// Address and port, in clear text.
    #[arg(long, value_name = "ADDR")]
    pub target: SocketAddr,
    /// A file with one key a line; each request takes another.
    #[arg(long, value_name = "FILE")]
    pub keys: PathBuf,
    /// Path and query.
    #[arg(long)]
    pub path: String,
    /// Method.
    #[arg(long, default_value = "GET")]
    pub method: String,
    /// A file with a JSON body.
    #[arg(long, value_name = "FILE")]
    pub body: Option<PathBuf>,
    /// The one status that is right.
    #[arg(long, default_value_t = 200)]
    pub status: u16,
}

impl Target {
    /// One request a key, ready to be sent.
    pub fn requests(&self) -> io::Result<Vec<Vec<u8>>> {
        let body = self.body.as_ref().map(std::fs::read).transpose()?;
        let requests: Vec<_> = std::fs::read_to_string(&self.keys)?
            .lines()
            .map(|key| self.request(key, body.as_deref()))
            .collect();
        if requests.is_empty() {
            return Err(io::Error::other("the file of keys is empty"));
        }
        Ok(requests)
    }

    fn request(&self, key: &str, body: Option<&[u8]>) -> Vec<u8> {
        let mut text = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {key}\r\nAccept: application/json\r\n",
            self.method, self.path, self.target
        );
        if let Some(body) = body {
            text.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            ));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(body.unwrap_or_default());
        bytes
    }

    /// A connection that blocks. `from`: the loopback address it comes from.
    pub fn connect(&self, from: IpAddr) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(from, 0).into())?;
        socket.connect_timeout(&self.target.into(), ANSWER_WAIT)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_read_timeout(Some(ANSWER_WAIT))?;
        socket.set_write_timeout(Some(ANSWER_WAIT))?;
        Ok(socket.into())
    }

    /// One request and its answer, on a connection that blocks.
    pub fn ask(&self, stream: &mut TcpStream, request: &[u8]) -> io::Result<()> {
        stream.write_all(request)?;
        let mut read = Vec::new();
        while answer_end(&read, self.status)?.is_none() {
            read_more(stream, &mut read)?;
        }
        Ok(())
    }
}

/// Loopback has 16 million addresses: machine number `number` of a load has one of its own.
pub fn machine(number: usize) -> IpAddr {
    let [_, _, high, low] = u32::try_from(number + 1).unwrap_or(1).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, 1, high, low))
}

/// Reads what is there.
///
/// # Errors
/// `WouldBlock` on a stream that does not; the end of the stream is an error, too.
pub fn read_more(stream: &mut TcpStream, read: &mut Vec<u8>) -> io::Result<()> {
    let before = read.len();
    read.resize(before + READ_BYTES, 0);
    let outcome = stream.read(read.get_mut(before..).unwrap_or_default());
    read.truncate(before + outcome.as_ref().copied().unwrap_or(0));
    match outcome {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Where the answer ends, if all of it is there.
///
/// # Errors
/// Another status than the right one, or no HTTP.
pub fn answer_end(read: &[u8], status: u16) -> io::Result<Option<usize>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut answer = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head) = answer.parse(read).map_err(io::Error::other)? else {
        if read.len() > HEAD_BYTES_MAX {
            return Err(io::Error::other("an answer's head has no end"));
        }
        return Ok(None);
    };
    if answer.code != Some(status) {
        return Err(io::Error::other(format!(
            "answered {}, not {status}",
            answer.code.unwrap_or(0)
        )));
    }
    let field = |name: &str| {
        let found = answer
            .headers
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name));
        found.and_then(|field| std::str::from_utf8(field.value).ok())
    };
    if field("transfer-encoding").is_some() {
        return chunks_end(read, head);
    }
    let length = field("content-length").map_or(Ok(0), str::parse::<usize>);
    let end = head + length.map_err(io::Error::other)?;
    Ok(Some(end).filter(|end| *end <= read.len()))
}

/// Where a chunked body that begins at `at` ends, if all of it is there. Gates send neither extensions nor trailers.
pub fn chunks_end(read: &[u8], mut at: usize) -> io::Result<Option<usize>> {
    loop {
        let rest = read.get(at..).unwrap_or_default();
        let Some(line) = memchr::memmem::find(rest, b"\r\n") else {
            return Ok(None);
        };
        let size = rest
            .get(..line)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| usize::from_str_radix(digits, 16).ok())
            .ok_or(io::ErrorKind::InvalidData)?;
        at += line + 2 + size + 2;
        if at > read.len() {
            return Ok(None);
        }
        if size == 0 {
            return Ok(Some(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_framing_says() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcHTTP/1.1".as_slice();
        let chunked =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nHTTP".as_slice();
        let empty = b"HTTP/1.1 204 No Content\r\n\r\nHTTP".as_slice();
        for (bytes, status, rest) in [(whole, 200, 8), (chunked, 200, 4), (empty, 204, 4)] {
            let end = bytes.len() - rest;
            assert_eq!(answer_end(bytes, status).unwrap(), Some(end));
            for cut in 0..end {
                assert_eq!(answer_end(&bytes[..cut], status).unwrap(), None, "{cut}");
            }
            assert!(answer_end(bytes, 201).is_err());
        }
    }

    #[test]
    fn machines_are_different_addresses_of_loopback() {
        let all: std::collections::HashSet<_> = (0..70_000).map(machine).collect();
        assert!(all.iter().all(IpAddr::is_loopback));
        assert_eq!(all.len(), 65_536);
    }
}
