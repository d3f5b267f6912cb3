//! Holds the code to the README: who may use whom, and links that lead somewhere.
//!
//! A module's code may name only itself and the modules in its row of the README's dependency table.
//! Comments and strings are not code; paths through `super` stay inside a module and need no row.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What the README lets a module use.
#[derive(Debug, PartialEq, Eq)]
enum Allowed {
    Everything,
    Only(BTreeSet<String>),
}

#[test]
fn modules_use_only_what_the_readme_lets_them() -> Outcome<()> {
    let table = dependency_table(&fs::read_to_string(root().join("README.md"))?)?;
    let modules: BTreeSet<String> = table.keys().cloned().collect();
    let mut mistakes = Vec::new();
    let mut there = BTreeSet::new();
    for file in files_under(&root().join("src"), "rs")? {
        let Some(module) = module_of(&file)? else {
            continue;
        };
        there.insert(module.clone());
        let Some(allowed) = table.get(&module) else {
            mistakes.push(format!("`{module}` has no row in the README's dependency table"));
            continue;
        };
        let Allowed::Only(allowed) = allowed else {
            continue;
        };
        for used in modules_named_in(&fs::read_to_string(&file)?, &modules) {
            if used != module && !allowed.contains(&used) {
                mistakes.push(format!(
                    "{} uses `{used}`, which `{module}` may not",
                    file.display()
                ));
            }
        }
    }
    for module in modules.difference(&there) {
        mistakes.push(format!(
            "the README's dependency table names `{module}`, which does not exist"
        ));
    }
    mistakes.dedup();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    Ok(())
}

/// What a request costs is told by feature: no source file may be without one, and no folder that serves
/// several may have one for whatever comes into it.
#[test]
fn every_source_file_counts_for_a_feature_of_the_budget() -> Outcome<()> {
    let table = fs::read_to_string(root().join("benches/instructions/features.tsv"))?;
    let rows: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("file\t")?.split('\t').next())
        .filter(|row| row.starts_with("src/"))
        .collect();
    for folder in ["src/", "src/access/", "src/proxy/", "src/hubspot/"] {
        assert!(!rows.contains(&folder), "`{folder}` is no feature");
    }
    let mut mistakes = Vec::new();
    for file in files_under(&root().join("src"), "rs")? {
        let file = file.strip_prefix(root())?.display().to_string();
        let named = |row: &&str| *row == file || row.ends_with('/') && file.starts_with(*row);
        if !rows.iter().any(named) {
            mistakes.push(format!(
                "`{file}` has no row in benches/instructions/features.tsv"
            ));
        }
    }
    assert!(rows.len() > 50 && mistakes.is_empty(), "{}", mistakes.join("\n"));
    Ok(())
}

/// Where a running gate decides, dates go by a time that never goes back: nobody asks the wall clock for it.
#[test]
fn the_wall_clock_is_read_in_one_place() -> Outcome<()> {
    // Commands live for a moment; the simulator is another world; a lock's text is for people.
    let others = ["src/cli/", "src/sim/", "src/clock.rs", "src/store/lock.rs"];
    let mut found = Vec::new();
    let mut looked = 0;
    for file in files_under(&root().join("src"), "rs")? {
        let name = file.strip_prefix(root())?.display().to_string();
        if others.iter().any(|other| name.starts_with(other)) || name.contains("tests") {
            continue;
        }
        looked += 1;
        let text = fs::read_to_string(&file)?;
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        for reading in ["Timestamp::now", "SystemTime::now", "Zoned::now"] {
            if code.contains(reading) {
                found.push(format!("{name}: {reading}"));
            }
        }
    }
    assert!(looked > 100, "{looked} files");
    assert!(found.is_empty(), "use `clock::now` or `clock::wall`: {found:#?}");
    Ok(())
}

#[test]
fn relative_links_in_documents_lead_to_files() -> Outcome<()> {
    let mut dead = Vec::new();
    let mut links = 0;
    for document in ["README.md", "CHANGELOG.md", "SECURITY.md", "deploy/README.md"] {
        let path = root().join(document);
        for link in relative_links(&fs::read_to_string(&path)?) {
            links += 1;
            let target = path.parent().unwrap_or(Path::new("")).join(&link);
            if !target.exists() {
                dead.push(format!("{document}: {link}"));
            }
        }
    }
    assert!(links > 0, "no link was found: is the reading of links broken?");
    assert!(dead.is_empty(), "dead links: {dead:#?}");
    Ok(())
}

#[test]
fn a_use_is_found_in_every_way_of_writing_it_and_not_in_comments_or_strings() {
    let modules: BTreeSet<String> = ["access", "store", "tokens", "vault"].map(String::from).into();
    let cases: [(&str, &[&str]); 10] = [
        ("use crate::access::Effect;", &["access"]),
        ("use crate::{access::Effect, store::Store};", &["access", "store"]),
        (
            "use crate::{\n    access::{a, vault},\n    tokens::Live,\n};",
            &["access", "tokens"],
        ),
        ("fn f(_: &crate::vault::Key) {}", &["vault"]),
        ("use scopegate::store::Store;", &["store"]),
        ("// use crate::access::Effect;\n/// See [`crate::store`].", &[]),
        ("let text = \"crate::access\"; // and crate::vault", &[]),
        (
            "let a = r#\"a \"crate::access\" b\"#; use crate::vault;",
            &["vault"],
        ),
        ("let a = r\"\\\"; use crate::vault; let quote = '\"';", &["vault"]),
        ("/* crate::access */ use crate::tokens;", &["tokens"]),
    ];
    for (code, expected) in cases {
        let found = modules_named_in(code, &modules);
        assert_eq!(
            found,
            expected.iter().map(|one| one.to_string()).collect(),
            "{code}"
        );
    }
}

#[test]
fn the_dependency_table_is_read_with_empty_cells_lists_and_everything() -> Outcome<()> {
    let text = "<!-- dependencies: begin -->\n| module | may use |\n|---|---|\n| `secret` | |\n\
                | `access` | `secret`, `config` |\n| `cli` | everything |\n<!-- dependencies: end -->\n| `x` | |";
    let table = dependency_table(text)?;
    assert_eq!(table.len(), 3);
    assert_eq!(table["secret"], Allowed::Only(BTreeSet::new()));
    assert_eq!(
        table["access"],
        Allowed::Only(["secret", "config"].map(String::from).into())
    );
    assert_eq!(table["cli"], Allowed::Everything);
    assert!(dependency_table("no table").is_err());
    Ok(())
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn dependency_table(readme: &str) -> Outcome<BTreeMap<String, Allowed>> {
    let (_, rest) = readme
        .split_once("<!-- dependencies: begin -->")
        .ok_or("the README has no dependency table")?;
    let (table, _) = rest
        .split_once("<!-- dependencies: end -->")
        .ok_or("the README's dependency table has no end")?;
    let mut rows = BTreeMap::new();
    for line in table.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let module = cells.next().unwrap_or("").trim_matches('`').to_owned();
        let uses = cells.next().ok_or_else(|| format!("no second cell: {line}"))?;
        let allowed = if uses == "everything" {
            Allowed::Everything
        } else {
            Allowed::Only(
                uses.split(',')
                    .map(|one| one.trim().trim_matches('`').to_owned())
                    .filter(|one| !one.is_empty())
                    .collect(),
            )
        };
        if rows.insert(module.clone(), allowed).is_some() {
            return Err(format!("`{module}` has two rows").into());
        }
    }
    Ok(rows)
}

/// The top-level module a source file belongs to; `None` for the crate's roots.
fn module_of(file: &Path) -> Outcome<Option<String>> {
    let inside = file.strip_prefix(root().join("src"))?;
    let first = inside.components().next().ok_or("an empty path")?;
    let name = first.as_os_str().to_str().ok_or("a path that is not UTF-8")?;
    let name = name.trim_end_matches(".rs");
    Ok((!["lib", "main"].contains(&name)).then(|| name.to_owned()))
}

fn files_under(folder: &Path, extension: &str) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_under(&path, extension)?);
        } else if path.extension().is_some_and(|one| one == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The top-level modules that `code` names through `crate::` or through the crate's own name.
fn modules_named_in(code: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let code = without_comments_and_strings(code);
    let mut found = BTreeSet::new();
    for start in ["crate::", "scopegate::"] {
        for (at, _) in code.match_indices(start) {
            let rest = &code[at + start.len()..];
            match rest.strip_prefix('{') {
                Some(group) => found.extend(heads_of_group(group)),
                None => found.extend([head_of(rest)]),
            }
        }
    }
    found.retain(|one| modules.contains(one));
    found
}

fn head_of(path: &str) -> String {
    path.trim_start()
        .chars()
        .take_while(|one| one.is_alphanumeric() || *one == '_')
        .collect()
}

/// First segments of each path in `a::b, c::{d, e}}…`, up to the brace that closes the group.
fn heads_of_group(group: &str) -> Vec<String> {
    let mut heads = vec![head_of(group)];
    let mut depth = 1;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(head_of(&group[at + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

/// `code` with comments, string literals and character literals of a quote blanked.
fn without_comments_and_strings(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("'\"'") || rest.starts_with("b'\"'") {
            rest.find("\"'").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_string_length(rest, &kept) {
            length
        } else if first == '"' {
            string_length(rest)
        } else {
            kept.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        kept.push(' ');
        rest = &rest[skipped..];
    }
    kept
}

/// Length of the raw string literal that `text` begins with, if it does; `before` is what stands before it.
fn raw_string_length(text: &str, before: &str) -> Option<usize> {
    if before.ends_with(|one: char| one.is_alphanumeric() && one != 'b' || one == '_') {
        return None; // the `r` ends a name
    }
    let after = text.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let closing = format!("\"{}", "#".repeat(hashes));
    let end = body.find(&closing).unwrap_or(body.len());
    Some((text.len() - body.len() + end + closing.len()).min(text.len()))
}

/// Length of the string literal that `text` begins with, quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Targets of `[text](target)` that are neither addresses nor places in the same document.
fn relative_links(markdown: &str) -> Vec<String> {
    markdown
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split('#').next().unwrap_or("").to_owned())
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect()
}
