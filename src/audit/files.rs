//! The files of one instance: `DIR/INSTANCE/YYYY-MM-DD.NNNNNN.jsonl`, a new one each day and when
//! one is full. Folders 0700, files 0600, only ever appended to.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rustix::fs::{FlockOperation, flock};
use serde::Deserialize;

use super::writer::Sink;

/// How much of a file's end is looked at to find the last whole line. Lines are far shorter: every
/// field of a record is bounded.
const TAIL_BYTES: u64 = 1024 * 1024;

/// Name of the file whose lock keeps a second writer away.
const LOCK: &str = ".lock";

/// What an earlier run left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Number of the next record.
    pub(crate) next_seq: u64,
    /// Whether the last line says that the log was closed, or there is none.
    pub(crate) ended_in_order: bool,
    /// Bytes of a torn line that were cut off.
    pub(crate) cut_bytes: u64,
}

/// The files of one instance, open for appending.
pub(super) struct Files {
    folder: PathBuf,
    /// Held for the log's life: two writers would mix their numbers. Freed by the kernel.
    _lock: File,
    file: File,
    day: Date,
    number: u32,
    /// Bytes of the file that are known to be on the disk.
    synced: u64,
    /// The last attempt failed: what stands behind `synced` is unknown.
    doubtful: bool,
    /// A file that had records was removed or renamed, or left with what may stand behind them.
    removed: bool,
    /// The file that is open stands nowhere any more: the next lines need another.
    misplaced: bool,
    max_bytes: u64,
}

/// Makes the folder and, for a moment, a file in it, and reads the names there.
pub(super) fn check(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let probe = folder.join(format!(".check-{}", std::process::id()));
    let written = private().open(&probe).and_then(|mut file| file.write_all(b"\n"));
    let removed = fs::remove_file(&probe);
    written.and(removed)?;
    names(folder).map(|_| ())
}

impl Files {
    /// Opens the newest file for appending, cut to its last whole line, or begins the first.
    pub(super) fn open(folder: &Path, max_bytes: u64, now: Timestamp) -> io::Result<(Self, Found)> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let lock = lock(folder)?;
        let names = names(folder)?;
        let mut found = Found {
            next_seq: 1,
            ended_in_order: true,
            cut_bytes: 0,
        };
        for (day, number) in names.iter().rev() {
            let mut file = private().open(path(folder, *day, *number))?;
            let tail = Tail::repair(&mut file)?;
            found.cut_bytes += tail.cut_bytes;
            if let Some(last) = tail.last {
                found.next_seq = last.seq.saturating_add(1);
                found.ended_in_order = last.is_stop() && found.cut_bytes == 0;
                break;
            }
        }
        if found.cut_bytes > 0 {
            found.ended_in_order = false;
        }
        let today = day_of(now);
        // A clock that went back must not open an older file behind a newer one.
        let (day, number) = match names.last() {
            Some((day, number)) => (*day, *number),
            None => (today, 1),
        };
        let file = private().open(path(folder, day, number))?;
        sync_folder(folder)?;
        let synced = file.metadata()?.len();
        let files = Self {
            folder: folder.to_owned(),
            _lock: lock,
            file,
            day,
            number,
            synced,
            doubtful: false,
            removed: false,
            misplaced: false,
            max_bytes,
        };
        Ok((files, found))
    }

    /// Whether the name still leads to the file that is open: what is written to one that was removed is
    /// read by nobody.
    fn stands_in_its_place(&self) -> bool {
        leads_to(&path(&self.folder, self.day, self.number), &self.file)
    }

    /// Makes the instance's folder again when somebody removed it, or another disk stands in its place; the one
    /// above is the operator's.
    fn keep_folder(&mut self) -> io::Result<()> {
        if !self.folder.try_exists()? {
            DirBuilder::new().mode(0o700).create(&self.folder)?;
        }
        if !leads_to(&self.folder.join(LOCK), &self._lock) {
            self._lock = lock(&self.folder)?;
        }
        Ok(())
    }

    fn next_file(&mut self, today: Date) -> io::Result<()> {
        self.keep_folder()?;
        let (day, number) = if today > self.day {
            (today, 1)
        } else {
            (self.day, self.number.saturating_add(1))
        };
        let file = private().open(path(&self.folder, day, number))?;
        sync_folder(&self.folder)?;
        self.synced = file.metadata()?.len();
        self.file = file;
        self.misplaced = false;
        (self.day, self.number) = (day, number);
        Ok(())
    }
}

impl Sink for Files {
    fn commit(&mut self, lines: &[u8], now: Timestamp) -> io::Result<()> {
        if self.doubtful {
            // After a failed sync the kernel may have dropped the pages and call them clean: only
            // a new file with the same lines is sure. What may stand in the old one is cut, if it can be:
            // its disk may be gone for good, and a sound one stand in its place.
            let cut = self.file.set_len(self.synced);
            if cut.is_ok() {
                // Best effort: the cut is not what anybody waits for.
                let _ = self.file.sync_all();
            }
            // One in which nothing stands need not be cut: on a disk that cuts nothing and takes nothing each attempt would
            // leave an empty file.
            let left = cut.is_err() && !self.file.metadata().is_ok_and(|file| file.len() == 0);
            if self.synced > 0 || self.misplaced || left {
                self.next_file(day_of(now))?;
                self.removed |= left;
            }
            self.doubtful = false;
        }
        let length = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        let full = self.synced > 0 && self.synced.saturating_add(length) > self.max_bytes;
        if full || day_of(now) > self.day {
            self.next_file(day_of(now))?;
        }
        self.doubtful = true;
        fail::fail_point!("audit-commit", |what| Err(io::Error::other(
            what.unwrap_or_default()
        )));
        self.file.write_all(lines)?;
        fail::fail_point!("audit-sync", |what| Err(io::Error::other(
            what.unwrap_or_default()
        )));
        self.file.sync_data()?;
        if !self.stands_in_its_place() {
            (self.removed, self.misplaced) = (true, true);
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the log's file was removed or renamed beneath it; another one is begun",
            ));
        }
        self.synced = self.synced.saturating_add(length);
        self.doubtful = false;
        Ok(())
    }

    fn take_removed(&mut self) -> bool {
        std::mem::take(&mut self.removed)
    }
}

/// The end of a file as found.
struct Tail {
    last: Option<LastLine>,
    cut_bytes: u64,
}

#[derive(Deserialize)]
struct LastLine {
    seq: u64,
    kind: String,
    #[serde(default)]
    event: serde_json::Value,
}

impl LastLine {
    fn is_stop(&self) -> bool {
        self.kind == "gate" && self.event == "stop"
    }
}

impl Tail {
    /// Cuts what is not a whole line off the end and reads the last one that is.
    fn repair(file: &mut File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let from = length.saturating_sub(TAIL_BYTES);
        file.seek(SeekFrom::Start(from))?;
        let mut tail = Vec::new();
        Read::take(&*file, TAIL_BYTES).read_to_end(&mut tail)?;
        // The line that begins before the window can't be judged.
        let whole_from = if from == 0 {
            0
        } else {
            tail.iter()
                .position(|b| *b == b'\n')
                .map_or(tail.len(), |at| at + 1)
        };
        let mut end = tail.len();
        let mut last = None;
        while end > whole_from {
            let line_end = tail.get(..end).unwrap_or_default();
            let body = line_end.strip_suffix(b"\n");
            let start = body
                .unwrap_or(line_end)
                .iter()
                .rposition(|b| *b == b'\n')
                .map_or(0, |at| at + 1);
            let line = body.and_then(|body| body.get(start..));
            if let Some(line) = line.and_then(|line| serde_json::from_slice(line).ok()) {
                last = Some(line);
                break;
            }
            end = start;
        }
        if from > 0 && last.is_none() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the newest file there is not an audit log; move it away",
            ));
        }
        let cut_bytes = u64::try_from(tail.len() - end).unwrap_or(u64::MAX);
        if cut_bytes > 0 {
            file.set_len(length - cut_bytes)?;
            file.sync_all()?;
        }
        Ok(Self { last, cut_bytes })
    }
}

/// Whether that name is the open file's.
fn leads_to(name: &Path, open: &File) -> bool {
    match (fs::metadata(name), open.metadata()) {
        (Ok(there), Ok(open)) => (there.dev(), there.ino()) == (open.dev(), open.ino()),
        _ => false,
    }
}

fn lock(folder: &Path) -> io::Result<File> {
    let lock = private().open(folder.join(LOCK))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
        rustix::io::Errno::WOULDBLOCK => io::Error::new(
            io::ErrorKind::ResourceBusy,
            "another gate writes there; give each its own `instance`",
        ),
        other => other.into(),
    })?;
    Ok(lock)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    options
}

pub(super) fn path(folder: &Path, day: Date, number: u32) -> PathBuf {
    folder.join(format!("{day}.{number:06}.jsonl"))
}

/// The files there, oldest first; others are left alone.
pub(super) fn names(folder: &Path) -> io::Result<Vec<(Date, u32)>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let parsed = name.to_str().and_then(|name| {
            let (day, number) = name.strip_suffix(".jsonl")?.split_once('.')?;
            Some((day.parse::<Date>().ok()?, number.parse::<u32>().ok()?))
        });
        names.extend(parsed);
    }
    names.sort_unstable();
    Ok(names)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn day_of(now: Timestamp) -> Date {
    now.to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: &str = "2026-11-22T12:00:00Z";

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    fn open(folder: &Path) -> (Files, Found) {
        Files::open(folder, 1000, at(NOON)).unwrap()
    }

    fn line(seq: u64, rest: &str) -> String {
        format!("{{\"seq\":{seq},{rest}}}\n")
    }

    const DECISION: &str = r#""kind":"decision""#;
    const STOP: &str = r#""kind":"gate","event":"stop""#;

    /// What a restart finds when the newest file holds `content`.
    fn found_after(content: &[u8]) -> (Found, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("2026-11-22.000001.jsonl");
        fs::write(&file, content).unwrap();
        let (files, found) = open(folder.path());
        drop(files);
        (found, fs::read(&file).unwrap())
    }

    #[test]
    fn a_log_that_was_closed_continues_with_the_next_number() {
        let content = line(1, DECISION) + &line(2, STOP);
        let (found, left) = found_after(content.as_bytes());
        let expected = Found {
            next_seq: 3,
            ended_in_order: true,
            cut_bytes: 0,
        };
        assert_eq!(found, expected);
        assert_eq!(left, content.as_bytes());
    }

    #[test]
    fn a_log_that_was_not_closed_is_a_crash_even_without_a_torn_line() {
        let (found, _) = found_after(line(9, DECISION).as_bytes());
        assert_eq!(
            (found.next_seq, found.ended_in_order, found.cut_bytes),
            (10, false, 0)
        );
    }

    #[test]
    fn torn_lines_are_cut_wherever_the_crash_hit() {
        let whole = line(1, DECISION) + &line(2, STOP);
        let next = line(3, DECISION);
        for cut in 1..next.len() {
            let content = whole.clone() + &next[..cut];
            let (found, left) = found_after(content.as_bytes());
            assert_eq!(left, whole.as_bytes(), "cut at {cut}");
            assert_eq!((found.next_seq, found.ended_in_order), (3, false));
            assert_eq!(found.cut_bytes, cut as u64);
        }
        // Blocks that a file system gave to the file but never filled.
        let (found, left) = found_after(&[whole.as_bytes(), &[0; 4096]].concat());
        assert_eq!((found.next_seq, found.cut_bytes), (3, 4096));
        assert_eq!(left, whole.as_bytes());
        let (found, left) = found_after(b"{\"seq\":1,\"ki");
        assert_eq!((found.next_seq, found.ended_in_order, left.len()), (1, false, 0));
    }

    #[test]
    fn only_the_end_of_a_large_file_is_read_and_a_foreign_one_is_left_alone() {
        let many: String = (1..40_000).map(|seq| line(seq, DECISION)).collect();
        assert!(many.len() as u64 > TAIL_BYTES);
        let (found, left) = found_after((many.clone() + "{\"seq\":400").as_bytes());
        assert_eq!((found.next_seq, found.cut_bytes), (40_000, 10));
        assert_eq!(left.len(), many.len());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("2026-11-22.000001.jsonl");
        fs::write(&file, vec![b'x'; 2 * TAIL_BYTES as usize]).unwrap();
        assert!(Files::open(folder.path(), 1000, at(NOON)).is_err());
        assert_eq!(fs::metadata(&file).unwrap().len(), 2 * TAIL_BYTES);
    }

    #[test]
    fn an_empty_newest_file_does_not_restart_the_numbers() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("2026-11-21.000001.jsonl"), line(5, STOP)).unwrap();
        fs::write(folder.path().join("2026-11-22.000001.jsonl"), "").unwrap();
        fs::write(folder.path().join("notes.txt"), "not ours").unwrap();
        let (_, found) = open(folder.path());
        assert_eq!((found.next_seq, found.ended_in_order), (6, true));
    }

    #[test]
    fn a_new_file_begins_each_day_and_when_one_is_full_and_never_in_the_middle_of_a_batch() {
        let folder = tempfile::tempdir().unwrap();
        let (mut files, _) = open(folder.path());
        files.commit(&[b'a'; 600], at(NOON)).unwrap();
        files.commit(&[b'b'; 600], at(NOON)).unwrap();
        files.commit(&[b'c'; 2000], at("2026-11-23T00:00:00Z")).unwrap();
        // A clock that was set back does not go back to an older file.
        files.commit(b"d", at(NOON)).unwrap();
        let sizes: Vec<_> = names(folder.path())
            .unwrap()
            .into_iter()
            .map(|(day, number)| fs::metadata(path(folder.path(), day, number)).unwrap().len())
            .collect();
        assert_eq!(sizes, [600, 600, 2000, 1]);
    }

    #[test]
    fn after_a_failed_attempt_the_same_lines_stand_once_in_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let (mut files, _) = open(folder.path());
        files.commit(b"first\n", at(NOON)).unwrap();
        // As a failed sync leaves it: written, not known to be on the disk.
        files.file.write_all(b"second\n").unwrap();
        files.doubtful = true;
        files.commit(b"second\n", at(NOON)).unwrap();
        let read = |number| fs::read_to_string(path(folder.path(), day_of(at(NOON)), number)).unwrap();
        assert_eq!((read(1).as_str(), read(2).as_str()), ("first\n", "second\n"));
    }

    #[test]
    fn a_file_that_can_not_be_cut_is_left_for_the_next_one_and_that_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let (mut files, _) = open(folder.path());
        files.commit(b"first\n", at(NOON)).unwrap();
        // As its disk leaves it that went read-only after an error.
        files.file = File::open(path(folder.path(), day_of(at(NOON)), 1)).unwrap();
        files.commit(b"second\n", at(NOON)).unwrap_err();
        assert!(!files.take_removed(), "not yet: there is no other file");
        files.commit(b"second\n", at(NOON)).unwrap();
        assert!(files.take_removed());
        let read = |number| fs::read_to_string(path(folder.path(), day_of(at(NOON)), number)).unwrap();
        assert_eq!((read(1).as_str(), read(2).as_str()), ("first\n", "second\n"));
    }

    #[test]
    fn another_disk_in_the_place_of_a_broken_one_is_written_and_locked() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("gate");
        let (mut files, _) = open(&folder);
        files.commit(b"first\n", at(NOON)).unwrap();
        files.file = File::open(path(&folder, day_of(at(NOON)), 1)).unwrap();
        files.commit(b"second\n", at(NOON)).unwrap_err();
        fs::rename(&folder, above.path().join("broken")).unwrap();
        fs::create_dir(&folder).unwrap();
        files.commit(b"second\n", at(NOON)).unwrap();
        let text = fs::read_to_string(path(&folder, day_of(at(NOON)), 2)).unwrap();
        assert_eq!(text, "second\n");
        assert!(Files::open(&folder, 1000, at(NOON)).is_err(), "held by this one");
    }

    #[test]
    fn a_second_gate_of_the_same_name_is_turned_away() {
        let folder = tempfile::tempdir().unwrap();
        let (files, _) = open(folder.path());
        let error = Files::open(folder.path(), 1000, at(NOON)).err().unwrap();
        assert!(error.to_string().contains("another gate writes there"), "{error}");
        drop(files);
        open(folder.path());
    }
}
