//! The lines that wait for the disk, each with its number.

use super::line;
use super::record::Record;

/// Room beyond this is given back: a burst must not keep its memory for ever.
const KEPT_BYTES: usize = 1 << 20;

/// Lines, numbered in their order.
pub(super) struct Numbered {
    next: u64,
    lines: Vec<u8>,
    records: u64,
}

impl Numbered {
    /// None yet; the first will have this number.
    pub(super) fn from(next: u64) -> Self {
        Self {
            next,
            lines: Vec::new(),
            records: 0,
        }
    }

    /// All of them, with their ends.
    pub(super) fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// A record's line; whether it is there.
    pub(super) fn add(&mut self, record: &Record) -> bool {
        let before = self.lines.len();
        line::number(self.next, &mut self.lines);
        let written = record.write_line(&mut self.lines);
        match &written {
            Ok(()) => self.added(),
            Err(error) => {
                // Only our own types are written, none of which can fail; if one does, the line
                // must not be half there.
                self.lines.truncate(before);
                tracing::error!(%error, "an audit record could not be written as JSON");
            }
        }
        written.is_ok()
    }

    /// A line that lacks its number alone.
    pub(super) fn add_line(&mut self, line: &[u8]) {
        line::number(self.next, &mut self.lines);
        self.lines.extend_from_slice(line);
        self.added();
    }

    fn added(&mut self) {
        self.next += 1;
        self.records += 1;
    }

    /// Forgets them, as they are on the disk; how many they were.
    pub(super) fn clear(&mut self) -> u64 {
        self.lines.clear();
        self.lines.shrink_to(KEPT_BYTES);
        std::mem::take(&mut self.records)
    }
}
