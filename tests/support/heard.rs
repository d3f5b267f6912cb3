//! What a client read of one connection to the gate, to be searched for secrets: HTTP/1 without the borders of its
//! chunks, HTTP/2 out of its frames, its heads out of HPACK. Of TLS, what came out of it: [`Overheard`] goes around
//! the stream that a client reads.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::{HEARD_MAX, Place, is_upstream, seen};

/// What one connection brought, kept together so that pieces hide nothing; handed in when it ends.
pub struct Heard(Arc<Mutex<Said>>);

/// Those that have not ended: a task may hold one for longer than its test takes.
static OPEN: Mutex<Vec<Weak<Mutex<Said>>>> = Mutex::new(Vec::new());

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What came so far of connections that have not ended.
pub fn unfinished() -> Vec<Vec<u8>> {
    let open: Vec<_> = locked(&OPEN).iter().filter_map(Weak::upgrade).collect();
    open.iter().map(|said| locked(said).text()).collect()
}

impl Default for Heard {
    fn default() -> Self {
        let said = Arc::<Mutex<Said>>::default();
        let mut open = locked(&OPEN);
        open.retain(|said| said.strong_count() > 0);
        open.push(Arc::downgrade(&said));
        Self(said)
    }
}

impl From<SocketAddr> for Heard {
    /// Of one who answers at this address, which may be HubSpot's place and not the gate.
    fn from(address: SocketAddr) -> Self {
        let heard = Self::default();
        locked(&heard.0).is_upstream = is_upstream(address);
        heard
    }
}

impl Heard {
    pub fn bytes(&mut self, more: &[u8]) {
        locked(&self.0).more(more);
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        seen(Place::Answer, &locked(&self.0).text());
    }
}

#[derive(Default)]
struct Said {
    is_upstream: bool,
    bytes: Vec<u8>,
    /// Once it is seen to be HTTP/2.
    frames: Option<Frames>,
}

impl Said {
    fn more(&mut self, more: &[u8]) {
        if self.is_upstream {
            return;
        }
        if let Some(frames) = &mut self.frames {
            return frames.read(more);
        }
        let room = HEARD_MAX - self.bytes.len();
        self.bytes.extend_from_slice(&more[..more.len().min(room)]);
        // A server begins with SETTINGS that are no acknowledgement: RFC 9113 §3.4.
        if matches!(*self.bytes, [_, _, _, SETTINGS, 0, 0, 0, 0, 0, ..]) {
            let bytes = std::mem::take(&mut self.bytes);
            self.frames.get_or_insert_default().read(&bytes);
        }
    }

    /// As it is searched.
    fn text(&self) -> Vec<u8> {
        match &self.frames {
            Some(frames) => frames.streams.values().flatten().copied().collect(),
            None => without_borders(&self.bytes),
        }
    }
}

/// Without the lines that begin and end chunks: what is looked for may stand on both sides of one.
fn without_borders(bytes: &[u8]) -> Vec<u8> {
    let (mut text, mut rest) = (Vec::with_capacity(bytes.len()), bytes);
    while let Some(at) = memchr::memmem::find(rest, b"\r\n") {
        let after = &rest[at + 2..];
        let digits = after.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let is_border = digits > 0 && after[digits..].starts_with(b"\r\n");
        let (kept, next) = match is_border {
            true => (at, at + 2 + digits + 2),
            false => (at + 2, at + 2),
        };
        text.extend_from_slice(&rest[..kept]);
        rest = &rest[next..];
    }
    text.extend_from_slice(rest);
    text
}

/// A connection to the gate, or the half of one that is read: what comes is handed in.
pub struct Overheard<S = TcpStream> {
    pub stream: S,
    heard: Heard,
}

impl Overheard {
    pub async fn connect(address: SocketAddr) -> std::io::Result<Self> {
        Ok(Self {
            stream: TcpStream::connect(address).await?,
            heard: Heard::from(address),
        })
    }

    pub fn into_split(self) -> (Overheard<OwnedReadHalf>, OwnedWriteHalf) {
        let (read, write) = self.stream.into_split();
        let heard = self.heard;
        (Overheard { stream: read, heard }, write)
    }
}

impl<S> Overheard<S> {
    /// Of a gate, whatever it is over.
    pub fn over(stream: S) -> Self {
        let heard = Heard::default();
        Self { stream, heard }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Overheard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        self.heard.bytes(&into.filled()[before..]);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Overheard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

// ---- HTTP/2 -----------------------------------------------------------------------------------

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// The frames of a server, read as they come.
#[derive(Default)]
struct Frames {
    /// The beginning of one whose end has not come.
    begun: Vec<u8>,
    /// The beginning of a block of fields whose end has not come.
    block: Vec<u8>,
    /// Heads and body of each stream, and what a GOAWAY says of none.
    streams: BTreeMap<u32, Vec<u8>>,
    kept: usize,
}

impl Frames {
    fn read(&mut self, more: &[u8]) {
        self.begun.extend_from_slice(more);
        let bytes = std::mem::take(&mut self.begun);
        let mut rest = bytes.as_slice();
        while let Some((head, after)) = rest.split_first_chunk::<9>() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let Some((payload, next)) = after.split_at_checked(length) else {
                break;
            };
            self.frame(head, payload);
            rest = next;
        }
        self.begun = rest.to_vec();
    }

    fn frame(&mut self, head: &[u8; 9], payload: &[u8]) {
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        let mut payload = payload;
        if matches!(kind, DATA | HEADERS) && flags & PADDED != 0 {
            let padding = payload.first().map_or(0, |length| usize::from(*length));
            payload = payload
                .get(1..payload.len().saturating_sub(padding))
                .unwrap_or_default();
        }
        if kind == HEADERS && flags & PRIORITY != 0 {
            payload = payload.get(5..).unwrap_or_default();
        }
        match kind {
            DATA => self.keep(stream, payload),
            GOAWAY => self.keep(stream, payload.get(8..).unwrap_or_default()),
            HEADERS | CONTINUATION => {
                let room = HEARD_MAX.saturating_sub(self.block.len());
                self.block.extend_from_slice(&payload[..payload.len().min(room)]);
                if flags & END_HEADERS != 0 {
                    let fields = literals(&std::mem::take(&mut self.block));
                    self.keep(stream, &fields);
                }
            }
            _ => {}
        }
    }

    fn keep(&mut self, stream: u32, text: &[u8]) {
        let text = &text[..text.len().min(HEARD_MAX - self.kept)];
        self.kept += text.len();
        self.streams.entry(stream).or_default().extend_from_slice(text);
    }
}

/// What a block of fields says in words, each on a line: RFC 7541 §6. What it names by a number alone is in the
/// static table, or was said in words before on the same connection.
fn literals(block: &[u8]) -> Vec<u8> {
    let (mut rest, mut text) = (block, Vec::new());
    while let Some(first) = rest.first() {
        let (bits, has_words) = match first {
            0x80.. => (7, false),
            0x40.. => (6, true),
            0x20.. => (5, false),
            _ => (4, true),
        };
        let Some(index) = integer(&mut rest, bits) else {
            break;
        };
        // A name, if it has no number, and a value.
        let words = if has_words { 1 + usize::from(index == 0) } else { 0 };
        for _ in 0..words {
            text.extend(string(&mut rest).unwrap_or_default());
            text.push(b'\n');
        }
    }
    text
}

/// An integer behind the bits of its first byte that belong to something else: RFC 7541 §5.1.
fn integer(from: &mut &[u8], bits: u32) -> Option<usize> {
    let (first, mut rest) = from.split_first()?;
    let most = (1 << bits) - 1;
    let mut value = usize::from(*first) & most;
    let mut shift = 0;
    while value >= most && shift < 28 {
        let (byte, after) = rest.split_first()?;
        (rest, value) = (after, value + (usize::from(byte & 0x7f) << shift));
        shift += 7;
        if *byte < 0x80 {
            break;
        }
    }
    *from = rest;
    Some(value)
}

/// A string, decoded: RFC 7541 §5.2.
fn string(from: &mut &[u8]) -> Option<Vec<u8>> {
    let is_coded = from.first()? & 0x80 != 0;
    let length = integer(from, 7)?;
    let (bytes, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(if is_coded { decoded(bytes) } else { bytes.to_vec() })
}

/// How many bits the code of each byte has, and the end's: RFC 7541, appendix B. Codes of one length follow one
/// another in the order of their bytes, so that nothing else need be known of them.
#[rustfmt::skip]
const CODE_LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28,
    28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15,
    6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22,
    20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23,
    23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22,
    22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26,
    27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27,
    26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// How many codes there are of each length, and whose they are in their order.
static CODES: LazyLock<([u32; 31], Vec<usize>)> = LazyLock::new(|| {
    let mut counts = [0; 31];
    CODE_LENGTHS
        .iter()
        .for_each(|length| counts[usize::from(*length)] += 1);
    let mut order: Vec<usize> = (0..CODE_LENGTHS.len()).collect();
    order.sort_by_key(|symbol| CODE_LENGTHS[*symbol]);
    (counts, order)
});

fn decoded(bytes: &[u8]) -> Vec<u8> {
    let (counts, order) = &*CODES;
    let bits = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| u32::from(byte >> at & 1)));
    let mut text = Vec::new();
    // The code so far and its length; the first code of that length, and its place in the order.
    let (mut code, mut length, mut first, mut place) = (0, 0, 0, 0);
    for bit in bits {
        (code, length, first) = (code << 1 | bit, length + 1, first << 1);
        let count = counts.get(length).copied().unwrap_or_default();
        if code - first < count {
            text.extend(u8::try_from(order[(place + code - first) as usize]));
            (code, length, first, place) = (0, 0, 0, 0);
        } else {
            (first, place) = (first + count, place + count);
        }
    }
    text
}
