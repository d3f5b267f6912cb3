//! HTTP/2 by hand: frames as a client would never send them.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinHandle;

use crate::support::canaries::heard::Overheard;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A setting: RFC 9113 §6.5.1.
pub fn setting(id: u16, value: u32) -> Vec<u8> {
    [id.to_be_bytes().as_slice(), &value.to_be_bytes()].concat()
}

/// A string literal of HPACK without Huffman coding: RFC 7541 §5.2.
fn literal(text: &[u8]) -> Vec<u8> {
    let mut bytes = integer(text.len(), 7);
    bytes.extend_from_slice(text);
    bytes
}

/// An integer with a prefix of so many bits, the bits before it zero: RFC 7541 §5.1.
fn integer(value: usize, bits: u32) -> Vec<u8> {
    let most = (1usize << bits) - 1;
    if value < most {
        return vec![u8::try_from(value).unwrap()];
    }
    let mut bytes = vec![u8::try_from(most).unwrap()];
    let mut rest = value - most;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// A field that is not remembered: RFC 7541 §6.2.2.
pub fn field(name: &str, value: &str) -> Vec<u8> {
    [vec![0], literal(name.as_bytes()), literal(value.as_bytes())].concat()
}

/// A field that is remembered: RFC 7541 §6.2.1.
pub fn remembered(name: &str, value: &str) -> Vec<u8> {
    [vec![0x40], literal(name.as_bytes()), literal(value.as_bytes())].concat()
}

/// The fields every request has.
pub fn head(method: &str, target: &str) -> Vec<u8> {
    [
        field(":method", method),
        field(":path", target),
        field(":scheme", "http"),
        field(":authority", "gate"),
    ]
    .concat()
}

/// What came back.
#[derive(Debug, Default)]
pub struct Heard {
    /// The code of a GOAWAY.
    pub goaway: Option<u32>,
    pub resets: usize,
    pub answers: usize,
    pub pongs: usize,
}

/// A connection whose answers are read by a task of its own, or by nobody.
pub struct Raw {
    pub write: OwnedWriteHalf,
    reading: Option<JoinHandle<Heard>>,
    /// Nobody reads it.
    _unread: Option<Overheard<OwnedReadHalf>>,
}

impl Raw {
    /// Preface and settings sent; answers are read if `reads`.
    pub async fn open(gate: SocketAddr, settings: &[u8], reads: bool) -> Self {
        let stream = Overheard::connect(gate).await.unwrap();
        stream.stream.set_nodelay(true).unwrap();
        let (read, mut write) = stream.into_split();
        let hello = [PREFACE, &frame(SETTINGS, 0, 0, settings)].concat();
        write.write_all(&hello).await.unwrap();
        let (reading, unread) = match reads {
            true => (Some(tokio::spawn(listen(read))), None),
            false => (None, Some(read)),
        };
        Self {
            write,
            reading,
            _unread: unread,
        }
    }

    /// Sends; `false` when the gate has closed, or takes nothing for `patience`.
    pub async fn send(&mut self, bytes: &[u8], patience: Duration) -> bool {
        tokio::time::timeout(patience, self.write.write_all(bytes))
            .await
            .is_ok_and(|written| written.is_ok())
    }

    /// What came until the gate closed the connection; an error if it did not within `patience`.
    pub async fn ended(self, patience: Duration) -> Result<Heard, &'static str> {
        let Some(reading) = self.reading else {
            return Err("nobody reads");
        };
        let heard = tokio::time::timeout(patience, reading).await;
        heard.map(Result::unwrap).map_err(|_| "still open")
    }
}

async fn listen(mut read: Overheard<OwnedReadHalf>) -> Heard {
    let mut heard = Heard::default();
    let mut head = [0; 9];
    while read.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        if read.read_exact(&mut payload).await.is_err() {
            break;
        }
        match head[3] {
            GOAWAY => heard.goaway = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap())),
            RST_STREAM => heard.resets += 1,
            HEADERS => heard.answers += 1,
            PING => heard.pongs += 1,
            _ => {}
        }
    }
    heard
}
