//! What a client's HTTP/2 frames cost it: those that carry no request and no body must be paid for.
//!
//! h2 bounds the memory that frames take, resets, continuations and small DATA frames; it answers
//! `SETTINGS` and `PING`, and reads `WINDOW_UPDATE`, `PRIORITY`, unknown frames and refused streams for
//! ever. Here each of those takes from an allowance that time, answered requests and answered bytes fill again:
//! a client that works never notices, one that only keeps the gate busy is cut off, by requests that it begins
//! and gives up, too. Frames are told apart
//! by their nine-byte heads; what is in them stays h2's to judge.

use std::time::{Duration, Instant};

/// RFC 9113 §3.4: the client's preface, before the first frame.
const PREFACE_BYTES: u64 = 24;
const HEAD_BYTES: usize = 9;

// RFC 9113 §6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// How fast the allowance fills by time alone: a window update a stream, a ping now and then.
const FRAMES_A_SECOND: u64 = 50;
/// What a request that is answered brings: its own head, window updates, a reset.
const FRAMES_A_REQUEST: u64 = 8;
/// Answered bytes that bring one frame: clients give window back by the kilobyte or more.
const BYTES_A_FRAME: u64 = 512;

/// The client sends frames that ask for nothing faster than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flood;

/// Reads the frame heads of one connection.
#[derive(Debug)]
pub struct FrameMeter {
    head: [u8; HEAD_BYTES],
    head_len: usize,
    /// Bytes until the next frame's head.
    skip: u64,
    in_header_block: bool,
    allowance: u64,
    most: u64,
    filled: Instant,
    requests: u64,
    written: u64,
}

impl FrameMeter {
    /// Before the preface; at most `most` frames at once.
    pub fn new(most: u64, now: Instant) -> Self {
        Self {
            head: [0; HEAD_BYTES],
            head_len: 0,
            skip: PREFACE_BYTES,
            in_header_block: false,
            allowance: most,
            most,
            filled: now,
            requests: 0,
            written: 0,
        }
    }

    /// A block of header fields has begun and not ended: nothing else may come before its end.
    pub fn is_in_header_block(&self) -> bool {
        self.in_header_block
    }

    /// Bytes of answers went out.
    pub fn wrote(&mut self, bytes: usize) {
        self.written += bytes as u64;
    }

    /// Bytes came in; `requests` = how many of the connection have been answered so far.
    pub fn read(&mut self, mut bytes: &[u8], requests: u64, now: Instant) -> Result<(), Flood> {
        let mut cost = 0;
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
                bytes = bytes.get(skipped..).unwrap_or_default();
                self.skip -= skipped as u64;
                continue;
            }
            let taken = (HEAD_BYTES - self.head_len).min(bytes.len());
            if let Some(to) = self.head.get_mut(self.head_len..self.head_len + taken) {
                to.copy_from_slice(bytes.get(..taken).unwrap_or_default());
            }
            self.head_len += taken;
            bytes = bytes.get(taken..).unwrap_or_default();
            if self.head_len == HEAD_BYTES {
                cost += self.note_frame();
            }
        }
        if cost > 0 {
            self.pay(cost, requests, now)
        } else {
            Ok(())
        }
    }

    /// A head is whole; what its frame costs.
    fn note_frame(&mut self) -> u64 {
        self.head_len = 0;
        let [high, middle, low, kind, flags, ..] = self.head;
        let length = u32::from_be_bytes([0, high, middle, low]);
        self.skip = u64::from(length);
        match kind {
            HEADERS | CONTINUATION => {
                self.in_header_block = flags & END_HEADERS == 0;
                1
            }
            DATA if length > 0 || flags & END_STREAM != 0 => 0,
            // Each is answered.
            SETTINGS | PING => 2,
            _ => 1,
        }
    }

    fn pay(&mut self, cost: u64, requests: u64, now: Instant) -> Result<(), Flood> {
        let since = now.saturating_duration_since(self.filled);
        let by_time = u64::try_from(since.as_millis())
            .unwrap_or(u64::MAX)
            .saturating_mul(FRAMES_A_SECOND)
            / 1000;
        if by_time > 0 {
            self.filled += Duration::from_millis(by_time * 1000 / FRAMES_A_SECOND);
        }
        let by_requests = requests.saturating_sub(self.requests) * FRAMES_A_REQUEST;
        let by_bytes = self.written / BYTES_A_FRAME;
        self.requests = requests;
        self.written %= BYTES_A_FRAME;
        let filled = self
            .allowance
            .saturating_add(by_time)
            .saturating_add(by_requests + by_bytes);
        self.allowance = filled.min(self.most);
        self.allowance = self.allowance.checked_sub(cost).ok_or(Flood)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let size = u32::try_from(length).unwrap().to_be_bytes();
        let mut bytes = vec![size[1], size[2], size[3], kind, flags, 0, 0, 0, 1];
        bytes.resize(HEAD_BYTES + length, 0xff);
        bytes
    }

    /// How many of these frames pass, in pieces of `cut` bytes, at one moment.
    fn passed(frame: &[u8], count: usize, cut: usize) -> usize {
        let now = Instant::now();
        let mut meter = FrameMeter::new(100, now);
        assert_eq!(meter.read(PREFACE, 0, now), Ok(()));
        for sent in 0..count {
            for piece in frame.chunks(cut) {
                if meter.read(piece, 0, now) == Err(Flood) {
                    return sent;
                }
            }
        }
        count
    }

    #[test]
    fn frames_without_a_purpose_are_counted_however_they_are_cut() {
        let cases: [(&str, Vec<u8>, usize); 8] = [
            ("pings", frame(PING, 0, 8), 50),
            ("settings", frame(SETTINGS, 0, 6), 50),
            ("window updates", frame(8, 0, 4), 100),
            ("resets", frame(3, 0, 4), 100),
            ("priorities", frame(2, 0, 5), 100),
            ("unknown", frame(77, 0, 300), 100),
            ("empty data", frame(DATA, 0, 0), 100),
            ("data", frame(DATA, 0, 700), 1000),
        ];
        for (name, bytes, expected) in cases {
            for cut in [1, 7, 9, 10, 4096] {
                assert_eq!(passed(&bytes, 1000, cut), expected, "{name} in pieces of {cut}");
            }
        }
    }

    #[test]
    fn time_requests_and_answers_fill_the_allowance_up_to_its_bound() {
        let mut now = Instant::now();
        let mut meter = FrameMeter::new(100, now);
        meter.read(PREFACE, 0, now).unwrap();
        let ping = frame(PING, 0, 8);
        let burst = |meter: &mut FrameMeter, requests: u64, now: Instant| {
            (0..1000)
                .take_while(|_| meter.read(&ping, requests, now).is_ok())
                .count()
        };
        assert_eq!(burst(&mut meter, 0, now), 50);
        now += Duration::from_secs(1);
        assert_eq!(burst(&mut meter, 0, now), 25, "a second");
        assert_eq!(burst(&mut meter, 3, now), 12, "three requests");
        meter.wrote(20 * 1024);
        assert_eq!(burst(&mut meter, 3, now), 20, "20 KiB of answers");
        now += Duration::from_secs(3600);
        assert_eq!(burst(&mut meter, 3, now), 50, "never more than the bound");
    }

    #[test]
    fn requests_that_are_begun_and_given_up_use_the_allowance_up() {
        let now = Instant::now();
        let mut meter = FrameMeter::new(100, now);
        meter.read(PREFACE, 0, now).unwrap();
        let round: Vec<u8> = [frame(HEADERS, END_HEADERS | END_STREAM, 40), frame(3, 0, 4)].concat();
        let rounds = |meter: &mut FrameMeter, answered: &dyn Fn(u64) -> u64| {
            (0..1000u64)
                .take_while(|n| meter.read(&round, answered(*n), now).is_ok())
                .count()
        };
        assert_eq!(
            rounds(&mut meter, &|n| n),
            1000,
            "each is answered before its reset"
        );
        assert_eq!(rounds(&mut meter, &|_| 1000), 50, "none is");
    }

    #[test]
    fn an_open_header_block_is_known() {
        let now = Instant::now();
        let mut meter = FrameMeter::new(100, now);
        meter.read(PREFACE, 0, now).unwrap();
        for (bytes, expected) in [
            (frame(HEADERS, 0, 10), true),
            (frame(CONTINUATION, 0, 10), true),
            (frame(CONTINUATION, END_HEADERS, 10), false),
            (frame(HEADERS, END_HEADERS, 10), false),
        ] {
            meter.read(&bytes, 0, now).unwrap();
            assert_eq!(meter.is_in_header_block(), expected);
        }
    }
}
