//! What the simulator received, for tests to read back. Bounded: the oldest request goes first.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use aws_lc_rs::digest;
use bytes::Bytes;
use http::header::HeaderMap;

/// One received request.
#[derive(Clone, Debug)]
pub struct Received {
    /// Counts from 1 in order of arrival.
    pub sequence: u64,
    /// When its head was complete.
    pub at: Instant,
    /// Method.
    pub method: String,
    /// Path and query exactly as on the wire.
    pub target: String,
    /// All headers, credentials included: this is a test double.
    pub headers: HeaderMap,
    /// The body's first bytes, up to the recorder's bound.
    pub body: Bytes,
    /// Length of the whole body in bytes.
    pub body_bytes: u64,
    /// SHA-256 of the whole body in hexadecimal; of nothing when none came.
    pub body_sha256: String,
    /// Whether the body was read to its end.
    pub complete: bool,
    /// The status it was answered with, once it was.
    pub status: Option<u16>,
}

impl Received {
    /// A header's value as text, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// The received requests.
#[derive(Debug)]
pub(super) struct Recorder {
    kept: usize,
    body_bytes: usize,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    requests: VecDeque<Received>,
    last: u64,
}

impl Recorder {
    pub(super) fn new(kept: usize, body_bytes: usize) -> Self {
        Self {
            kept,
            body_bytes,
            log: Mutex::default(),
        }
    }

    /// Takes a request's head in; the number is for what follows.
    pub(super) fn begin(&self, method: &str, target: &str, headers: &HeaderMap) -> u64 {
        let mut log = self.lock();
        log.last += 1;
        let sequence = log.last;
        if self.kept > 0 {
            if log.requests.len() >= self.kept {
                log.requests.pop_front();
            }
            log.requests.push_back(Received {
                sequence,
                at: Instant::now(),
                method: method.to_owned(),
                target: target.to_owned(),
                headers: headers.clone(),
                body: Bytes::new(),
                body_bytes: 0,
                body_sha256: String::new(),
                complete: false,
                status: None,
            });
        }
        sequence
    }

    /// A place to write a request's body to.
    pub(super) fn body(&self) -> BodyRecord {
        BodyRecord {
            on: self.kept > 0,
            first: Vec::new(),
            room: self.body_bytes,
            bytes: 0,
            hash: digest::Context::new(&digest::SHA256),
        }
    }

    /// The body has been read, to its end or not.
    pub(super) fn body_read(&self, sequence: u64, record: BodyRecord, complete: bool) {
        let hash = hex(record.hash.finish().as_ref());
        self.change(sequence, |received| {
            received.body = Bytes::from(record.first);
            received.body_bytes = record.bytes;
            received.body_sha256 = hash;
            received.complete = complete;
        });
    }

    /// The request was answered.
    pub(super) fn answered(&self, sequence: u64, status: u16) {
        self.change(sequence, |received| received.status = Some(status));
    }

    /// What is kept, oldest first.
    pub(super) fn all(&self) -> Vec<Received> {
        self.lock().requests.iter().cloned().collect()
    }

    /// Requests since the start, kept or not.
    pub(super) fn count(&self) -> u64 {
        self.lock().last
    }

    /// Forgets what is kept; the count goes on.
    pub(super) fn clear(&self) {
        self.lock().requests.clear();
    }

    fn change(&self, sequence: u64, change: impl FnOnce(&mut Received)) {
        let mut log = self.lock();
        // The newest are at the end, and a request is changed soon after it came.
        if let Some(received) = log
            .requests
            .iter_mut()
            .rev()
            .find(|received| received.sequence == sequence)
        {
            change(received);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body on its way into the recorder.
pub(super) struct BodyRecord {
    on: bool,
    first: Vec<u8>,
    room: usize,
    bytes: u64,
    hash: digest::Context,
}

impl BodyRecord {
    /// The next bytes.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        if !self.on {
            return;
        }
        self.hash.update(chunk);
        let take = self.room.saturating_sub(self.first.len()).min(chunk.len());
        self.first.extend(chunk.iter().take(take));
    }

    /// Bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorder_keeps_the_newest_requests_and_the_first_bytes_of_bodies() {
        let recorder = Recorder::new(2, 4);
        for target in ["/a", "/b", "/c"] {
            let sequence = recorder.begin("POST", target, &HeaderMap::new());
            let mut body = recorder.body();
            body.push(b"abc");
            body.push(b"def");
            recorder.body_read(sequence, body, true);
            recorder.answered(sequence, 204);
        }
        let kept = recorder.all();
        assert_eq!(
            kept.iter().map(|r| r.target.as_str()).collect::<Vec<_>>(),
            ["/b", "/c"]
        );
        assert_eq!(
            (&kept[0].body[..], kept[0].body_bytes, kept[0].status),
            (&b"abcd"[..], 6, Some(204))
        );
        assert_eq!(
            kept[0].body_sha256,
            "bef57ec7f53a6d40beb640a780a639c83bc29ac8a9816f1fc6c5c6dcd93c4721"
        );
        assert_eq!(recorder.count(), 3);
    }
}
