//! Holds SECURITY.md and the build to their promises: what they name exists, and what must not be forgotten is not.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

type Outcome = Result<(), Box<dyn Error>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> Result<String, Box<dyn Error>> {
    Ok(fs::read_to_string(root().join(path))?)
}

/// Every Rust file below these folders, with its text.
fn sources(folders: &[&str]) -> Result<Vec<(PathBuf, String)>, Box<dyn Error>> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path)?;
            found.push((path, text));
        }
    }
    Ok(found)
}

/// The names in lists such as "fuzz targets `a`, `b`".
fn fuzz_targets_named(text: &str) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for list in text.split("fuzz target").skip(1) {
        let mut rest = list.strip_prefix('s').unwrap_or(list);
        let mut before = " `";
        while let Some((name, after)) = rest.strip_prefix(before).and_then(|rest| rest.split_once('`')) {
            names.insert(name);
            (rest, before) = (after, ", `");
        }
    }
    names
}

/// What stands between backticks, outside blocks of code.
fn quoted(text: &str) -> Vec<&str> {
    let mut in_block = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            found.extend(line.split('`').skip(1).step_by(2));
        }
    }
    found
}

fn is_test_name(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    word.bytes().all(plain) && word.matches('_').count() >= 3 && !word.starts_with("scopegate_")
}

#[test]
fn every_test_and_file_that_security_md_names_exists() -> Outcome {
    let text = read("SECURITY.md")?;
    let code = sources(&["src", "tests"])?;
    let mut named = BTreeSet::new();
    for word in quoted(&text) {
        if is_test_name(word) {
            let test = format!("fn {word}(");
            let found = code.iter().any(|(_, text)| {
                // Its attribute stands in the lines before it.
                let before = text.find(&test).map(|at| &text[..at]);
                before.is_some_and(|before| before.lines().rev().take(4).any(|line| line.contains("test")))
            });
            assert!(found, "SECURITY.md names the test `{word}`, and there is none");
            named.insert(word);
        }
        let is_path = ["tests/", "src/", "fuzz/"]
            .iter()
            .any(|folder| word.starts_with(folder));
        let path = word.trim_end_matches(" fuzz");
        assert!(
            !is_path || path == "tests/run" || root().join(path).exists(),
            "SECURITY.md names `{word}`, which is not there"
        );
    }
    assert!(named.len() > 50, "{} tests are named", named.len());
    Ok(())
}

#[test]
fn security_md_says_of_each_requirement_what_became_of_it() -> Outcome {
    let text = read("SECURITY.md")?;
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| R")).collect();
    let wanted: Vec<String> = (1..=35).map(|number| format!("| R{number} |")).collect();
    assert_eq!(rows.len(), wanted.len());
    for (row, wanted) in rows.iter().zip(&wanted) {
        assert!(row.starts_with(wanted), "{wanted}: {row}");
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{row}");
        let state = |word: &str| cells[2].starts_with(word);
        let is_shown = cells[2..]
            .iter()
            .any(|cell| quoted(cell).into_iter().any(is_test_name));
        assert!(
            is_shown || !(state("done") || state("in part")),
            "done without a test: {row}"
        );
        let reasoned = ["not done: ", "rejected: "]
            .iter()
            .any(|word| cells[2].strip_prefix(word).is_some_and(|why| why.len() > 20));
        assert!(
            state("done") || state("in part") || reasoned,
            "neither done nor left out for a reason: {row}"
        );
    }
    Ok(())
}

#[test]
fn every_fuzz_target_that_security_md_names_or_the_build_has_exists_with_seeds() -> Outcome {
    let manifest = read("fuzz/Cargo.toml")?;
    let mut targets = BTreeSet::new();
    for entry in fs::read_dir(root().join("fuzz/targets"))? {
        let name = entry?
            .path()
            .file_stem()
            .and_then(|stem| stem.to_str())
            .map(str::to_owned);
        let name = name.ok_or("a target's name")?;
        assert!(
            manifest.contains(&format!("path = \"targets/{name}.rs\"")),
            "the target `{name}` has no place in fuzz/Cargo.toml"
        );
        let seeds = fs::read_dir(root().join("fuzz/seeds").join(&name));
        assert!(seeds?.count() >= 4, "`{name}` begins with a few seeds");
        targets.insert(name);
    }
    // What the requirement lists; a renamed target must not fall out of it.
    for name in [
        "target",
        "query",
        "json",
        "filter",
        "key",
        "store",
        "audit",
        "config",
        "callback",
        "oauth_answer",
        "sealed",
        "head",
        "answer_head",
        "error_body",
        "policy",
        "graphql",
        "multipart",
    ] {
        assert!(targets.contains(name), "no target `{name}`");
    }
    let text = read("SECURITY.md")?;
    let named = fuzz_targets_named(&text);
    assert!(named.len() >= 12, "{named:?}");
    for name in named {
        assert!(targets.contains(name), "SECURITY.md names the target `{name}`");
    }
    Ok(())
}

#[test]
fn a_test_that_starts_the_gate_has_a_ward() -> Outcome {
    let mut starting = 0;
    for (path, text) in sources(&["tests"])? {
        let shown = path.display();
        let starts = text.contains("CARGO_BIN_EXE_scopegate") && text.contains(".spawn()");
        let serves = text.contains("Prepared::new(");
        if starts || serves {
            starting += 1;
            let has = text.contains("Ward::") || text.contains("canaries::") || text.contains("World");
            assert!(
                has,
                "{shown} starts the gate, and nothing looks for secrets afterwards"
            );
        }
    }
    assert!(starting >= 4, "{starting} files start the gate");
    Ok(())
}

#[test]
fn the_build_forbids_unsafe_code_checks_overflows_and_denies_unwrap() -> Outcome {
    let manifest = read("Cargo.toml")?;
    let section = |name: &str| {
        let begins = format!("[{name}]\n");
        let from = manifest.find(&begins).map(|at| at + begins.len())?;
        let rest = &manifest[from..];
        Some(rest.find("\n[").map_or(rest, |end| &rest[..end]))
    };
    let rust = section("lints.rust").ok_or("lints")?;
    assert!(rust.contains("unsafe_code = \"forbid\""), "{rust}");
    let clippy = section("lints.clippy").ok_or("lints")?;
    for lint in ["unwrap_used", "expect_used", "panic", "todo", "unimplemented"] {
        assert!(clippy.contains(&format!("{lint} = \"deny\"")), "{lint}");
    }
    let release = section("profile.release").ok_or("the release profile")?;
    assert!(release.contains("overflow-checks = true"), "{release}");
    let dist = section("profile.dist").ok_or("the profile that is shipped")?;
    assert!(
        dist.contains("inherits = \"release\"") && !dist.contains("overflow-checks"),
        "{dist}"
    );
    assert!(read("tests/run")?.contains("cargo clippy --locked -- -D warnings"));
    // A lint that is allowed where input is read is no lint.
    for (path, text) in sources(&["src"])? {
        let shown = path.display();
        let is_test = shown.to_string().contains("tests") || shown.to_string().contains("/sim/");
        for lint in ["clippy::unwrap_used", "clippy::expect_used", "clippy::panic"] {
            let allowed = text
                .lines()
                .position(|line| line.contains("allow(") && line.contains(lint));
            let tests = text
                .lines()
                .position(|line| line.contains("cfg(test)"))
                .unwrap_or(usize::MAX);
            assert!(
                is_test || allowed.is_none_or(|line| line >= tests),
                "{shown} allows {lint} outside of tests"
            );
        }
    }
    Ok(())
}
