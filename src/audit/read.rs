//! Reading the log, while a gate writes it or not: line by line, in bounded memory, changing nothing.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::files;

/// Longest line that is read. Every field of a record is bounded, so ours are far shorter.
const LINE_BYTES: usize = 256 * 1024;

/// What could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Lines that are too long, or of which `take` said that they are no record.
    pub lines: u64,
}

/// Hands every whole line that may be of `since` or later to `take`, instance by instance, in the order
/// in which it was written. The last line of the newest file may be half written: it is left out. `take`
/// says whether it understood the line, and judges the times itself: a file is a day's.
///
/// # Errors
/// A folder or a file can't be read.
pub fn lines(folder: &Path, since: Timestamp, take: impl FnMut(&[u8]) -> bool) -> io::Result<Unread> {
    lines_until(folder, since, None, take)
}

/// [`lines`], given up at an instant: a busy gate's day is more than somebody may wait for.
///
/// # Errors
/// Those of [`lines`]; [`io::ErrorKind::TimedOut`] when it was given up.
pub fn lines_until(
    folder: &Path,
    since: Timestamp,
    until: Option<Instant>,
    mut take: impl FnMut(&[u8]) -> bool,
) -> io::Result<Unread> {
    let first: Date = since.to_zoned(TimeZone::UTC).date();
    let mut unread = Unread::default();
    for instance in instances(folder)? {
        for (day, number) in files::names(&instance)? {
            if day < first {
                continue;
            }
            let file = File::open(files::path(&instance, day, number))?;
            of_file(BufReader::new(file), until, &mut unread, &mut take)?;
        }
    }
    Ok(unread)
}

fn instances(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

fn of_file(
    mut file: impl BufRead,
    until: Option<Instant>,
    unread: &mut Unread,
    take: &mut impl FnMut(&[u8]) -> bool,
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        if until.is_some_and(|until| Instant::now() >= until) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        line.clear();
        let most = LINE_BYTES as u64 + 1;
        file.by_ref().take(most).read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\n") {
            Some(whole) if take(whole) => {}
            Some(_) => unread.lines += 1,
            // The end: nothing more, or a line that is being written or was torn.
            None if line.len() <= LINE_BYTES => return Ok(()),
            None => {
                unread.lines += 1;
                skip_line(&mut file)?;
            }
        }
    }
}

fn skip_line(file: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = file.fill_buf()?;
        let end = memchr::memchr(b'\n', buffer);
        let count = end.map_or(buffer.len(), |at| at + 1);
        file.consume(count);
        if end.is_some() || count == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> (Vec<String>, Unread) {
        let (mut lines, mut unread) = (Vec::new(), Unread::default());
        let mut take = |line: &[u8]| {
            lines.push(String::from_utf8_lossy(line).into_owned());
            line.starts_with(b"{")
        };
        of_file(BufReader::with_capacity(16, text), None, &mut unread, &mut take).unwrap();
        (lines, unread)
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_a_line_too_long_is_passed_over() {
        assert_eq!(read(b"{1}\n{2}\n{\"to").0, ["{1}", "{2}"]);
        assert!(read(b"").0.is_empty());
        let long = [b"{".repeat(LINE_BYTES + 5).as_slice(), b"\n{after}\nnone\n"].concat();
        let (lines, unread) = read(&long);
        assert_eq!(lines, ["{after}", "none"]);
        assert_eq!(unread.lines, 2);
    }

    #[test]
    fn files_of_earlier_days_are_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        for instance in ["a", "b"] {
            std::fs::create_dir(dir.path().join(instance)).unwrap();
            for (day, text) in [("2026-11-20", "old\n"), ("2026-11-22", "new\n")] {
                std::fs::write(dir.path().join(format!("{instance}/{day}.000001.jsonl")), text).unwrap();
            }
        }
        let mut found = Vec::new();
        let since = "2026-11-21T12:00:00Z".parse().unwrap();
        lines(dir.path(), since, |line| {
            found.push(line.to_vec());
            true
        })
        .unwrap();
        assert_eq!(found, [b"new", b"new"]);
        let given_up = lines_until(dir.path(), since, Some(Instant::now()), |_| true);
        assert_eq!(given_up.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
