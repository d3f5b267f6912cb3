//! Any bytes as the lines of an audit log. Reading never panics, hands over every whole line as it stands and no torn
//! one, counts what it can't read, and prints nothing that a terminal would act upon. A start cuts off the end what is
//! no record, nothing in front of it and no record; what is left ends with a whole line, and a second start leaves it
//! alone and goes on with the same number.
//!
//! Input that begins with `#` stands behind more lines than a start looks at. A line `=` parts an older file from a
//! newer one.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use scopegate::audit;
use scopegate::cli::denials;
use serde::de::IgnoredAny;
use serde_json::Value;

/// A folder with the folder of an instance in it.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let make = || {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let folder = folder.expect("a folder");
        fs::create_dir(instance(folder.path())).expect("a folder in it");
        folder
    };
    FOLDER.get_or_init(make).path()
}

fn instance(folder: &Path) -> PathBuf {
    folder.join("i")
}

/// More than a megabyte of records.
fn many() -> &'static [u8] {
    static MANY: OnceLock<Vec<u8>> = OnceLock::new();
    MANY.get_or_init(|| {
        let line = |seq| {
            format!(
                "{{\"seq\":{seq},\"kind\":\"decision\",\"rule\":\"{}\"}}\n",
                "x".repeat(4000)
            )
        };
        (1..300).map(line).collect::<String>().into_bytes()
    })
}

/// The number of a line that is a record beyond doubt; the gate may see one in more.
fn seq(line: &[u8]) -> Option<u64> {
    let once = |name: &str| memchr::memmem::find_iter(line, name).count() < 2;
    // A key twice is a mistake, and an escape can hide one.
    if line.contains(&b'\\') || !["\"seq\"", "\"kind\"", "\"event\""].into_iter().all(once) {
        return None;
    }
    let Ok(Value::Object(members)) = serde_json::from_slice(line) else {
        return None;
    };
    members.get("kind")?.as_str()?;
    members.get("seq")?.as_u64()
}

fn whole_lines(bytes: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines.filter_map(|line| line.strip_suffix(b"\n"))
}

/// What reading the log hands over are the whole lines of its files, and those that are not understood are counted.
fn check_read(files: &[Vec<u8>]) {
    let mut expected = files.iter().flat_map(|file| whole_lines(file));
    let (mut handed, mut empty) = (0, 0);
    let unread = audit::lines(folder(), Timestamp::UNIX_EPOCH, |line| {
        assert_eq!(Some(line), expected.next(), "another line than stands there");
        handed += 1;
        empty += u64::from(line.is_empty());
        !line.is_empty()
    });
    assert_eq!(expected.next(), None, "a line was left out behind the {handed}th");
    assert_eq!(unread.expect("a file").lines, empty);
}

/// What a start cut: bytes at the end, back to the end of a line, and no record among them.
fn check_cut(before: &[u8], after: &[u8]) {
    assert!(
        before.starts_with(after),
        "something in front of the end was changed"
    );
    let cut = &before[after.len()..];
    assert!(
        whole_lines(cut).all(|line| seq(line).is_none()),
        "a record was cut off"
    );
    assert!(after.is_empty() || after.ends_with(b"\n"), "a torn line is left");
    if let Some(last) = whole_lines(after).next_back() {
        assert!(
            serde_json::from_slice::<IgnoredAny>(last).is_ok(),
            "the last line is no record"
        );
    }
}

fn check_start(before: &[Vec<u8>], names: &[PathBuf]) {
    let read = || {
        names
            .iter()
            .map(|name| fs::read(name).expect("the file"))
            .collect::<Vec<_>>()
    };
    let (next, ended, cut) = audit::open_hostile(&instance(folder())).expect("it starts");
    let after = read();
    let length = |files: &[Vec<u8>]| files.iter().map(Vec::len).sum::<usize>() as u64;
    assert_eq!(length(before) - length(&after), cut);
    // Whatever is older than the newest record is not looked at.
    let newest = after.iter().rposition(|file| !file.is_empty()).unwrap_or(0);
    for (at, (before, after)) in before.iter().zip(&after).enumerate() {
        match at < newest {
            true => assert!(before == after, "a file in front of the last record was changed"),
            false => check_cut(before, after),
        }
    }
    let last = after.iter().flat_map(|file| whole_lines(file)).next_back();
    match last {
        None => assert_eq!((next, ended), (1, cut == 0)),
        Some(last) => {
            if let Some(seq) = seq(last) {
                assert_eq!(next, seq.saturating_add(1));
            }
            assert!(!ended || cut == 0, "what was torn did not end in order");
        }
    }
    check_read(&after);
    let (again, _, cut) = audit::open_hostile(&instance(folder())).expect("it starts again");
    assert_eq!((again, cut), (next, 0), "a second start finds something else");
    assert!(read() == after, "a second start changes what the first one left");
}

fuzz_target!(|bytes: &[u8]| {
    let (text, unread) = denials::read_hostile(bytes);
    let lines = bytes.split(|byte| *byte == b'\n').count();
    assert!(unread <= lines);
    assert!(
        unread < lines || text.is_empty(),
        "nothing was read, and something is shown"
    );

    let mut files = match memchr::memmem::find(bytes, b"\n=\n") {
        Some(at) => vec![bytes[..=at].to_vec(), bytes[at + 3..].to_vec()],
        None => vec![bytes.to_vec()],
    };
    if bytes.first() == Some(&b'#') {
        let newest = files.last_mut().expect("one");
        newest.splice(..0, many().iter().copied());
    }
    for number in 1..=2 {
        let name = instance(folder()).join(format!("1970-01-01.{number:06}.jsonl"));
        let _ = fs::remove_file(name);
    }
    let names: Vec<PathBuf> = (1..=files.len())
        .map(|number| instance(folder()).join(format!("1970-01-01.{number:06}.jsonl")))
        .collect();
    for (name, file) in names.iter().zip(&files) {
        fs::write(name, file).expect("written");
    }
    check_read(&files);
    check_start(&files, &names);

    let acts = |sign: char| sign.is_control() && sign != '\n';
    assert!(!text.contains(acts), "a terminal would act upon it");
});
