//! The head guard against httparse and hyper: the seeds of the fuzz target `head`, each cut in several ways,
//! and requests put together at random from what parsers have disagreed about.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use scopegate::proxy::guard;

#[path = "../support/differential.rs"]
mod differential;

use differential::check;

const CUTS: [usize; 6] = [1, 2, 3, 16, 61, usize::MAX];

#[test]
fn every_seed_is_passed_or_refused_as_its_name_says_and_read_alike_by_all() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/head");
    let mut seen = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let bytes = std::fs::read(entry.path()).unwrap();
        let input = &bytes[1..];
        for cut in CUTS {
            let passed = check(input, cut);
            let expected = match name.split_once('-').map(|(verdict, _)| verdict) {
                Some("passes") => false,
                Some("refused") => true,
                _ => panic!("{name} begins with neither `passes-` nor `refused-`"),
            };
            assert_eq!(passed.refused, expected, "{name} in pieces of {cut}: {passed:?}");
        }
        seen.insert(name);
    }
    assert!(seen.len() >= 60, "only {} seeds", seen.len());
    for one in [
        "refused-cl-te",
        "refused-te-cl",
        "refused-chunk-extension",
        "passes-chunked",
    ] {
        assert!(seen.contains(one), "{one}");
    }
}

/// Pieces of requests, good and bad, as parsers have met them.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "GET ",
        "POST ",
        "/a",
        "/%41",
        "?q=1",
        "#f",
        " HTTP/1.1\r\n",
        " HTTP/1.0\r\n",
        " HTTP/1.1\n",
        "\r\n",
        "\n",
        "\r",
        " ",
        "\t",
        "\0",
        ":",
        "Host: gate\r\n",
        "Host: gate\r\n\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 0\r\n\r\n",
        "content-length:3\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding: identity\r\n",
        "5\r\nhello\r\n",
        "0\r\n\r\n",
        "0\r\n",
        "3;x=y\r\nabc\r\n",
        "X: y\r\n",
        "X : y\r\n",
        " folded\r\n",
        "Connection: close\r\n",
        "Expect: 100-continue\r\n",
        "Upgrade: h2c\r\n",
    ];
    // Whole messages, and a head that chunks may follow: what is behind them is read from the right byte.
    let whole = [
        "GET /n HTTP/1.1\r\nHost: gate\r\n\r\n",
        "POST /c HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /c HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "POST /l HTTP/1.1\r\nHost: gate\r\nContent-Length: 4\r\n\r\nbody",
    ];
    prop_oneof![
        8 => proptest::sample::select(whole.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        8 => proptest::sample::select(known.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 1..4),
    ]
}

#[test]
fn whatever_passes_is_read_alike_by_all() {
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases())
    });
    let pieces = proptest::collection::vec(piece(), 1..14).prop_map(|pieces| pieces.concat());
    let inputs = prop_oneof![pieces, mended()];
    let cut = proptest::sample::select(CUTS.to_vec());
    let passed_whole = Cell::new(0);
    let ran = runner.run(&(inputs, cut), |(input, cut)| {
        let (passed, at_once) = (check(&input, cut), check(&input, usize::MAX));
        prop_assert_eq!(passed.refused, at_once.refused);
        prop_assert_eq!(passed.messages, at_once.messages);
        passed_whole.set(passed_whole.get() + at_once.messages);
        Ok(())
    });
    ran.unwrap();
    let least = cases() as usize / 5;
    assert!(
        passed_whole.get() >= least,
        "only {} messages passed",
        passed_whole.get()
    );
}

/// A seed that passes, with a few small things done to it.
fn mended() -> impl Strategy<Value = Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/head");
    let good = std::fs::read_dir(folder).unwrap().filter_map(|entry| {
        let entry = entry.unwrap();
        let passes = entry.file_name().into_string().unwrap().starts_with("passes-");
        passes.then(|| std::fs::read(entry.path()).unwrap()[1..].to_vec())
    });
    let edit = (any::<prop::sample::Index>(), 0..3usize, piece());
    let edits = proptest::collection::vec(edit, 0..4);
    let good = proptest::sample::select(good.collect::<Vec<_>>());
    (good, edits).prop_map(|(mut bytes, edits)| {
        for (at, dropped, piece) in edits {
            let at = at.index(bytes.len() + 1);
            let end = bytes.len().min(at + dropped);
            bytes.splice(at..end, piece);
        }
        bytes
    })
}

/// `HEAD_CASES` for a longer run.
fn cases() -> u32 {
    std::env::var("HEAD_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(2000)
}
