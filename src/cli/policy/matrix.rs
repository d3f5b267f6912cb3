//! The golden matrix: every example policy × every operation, as text in version control, so that a
//! change of policies, tables or judgement shows as a difference that people can read.
//!
//! After a change that is meant: `UPDATE_MATRIX=1 cargo test --lib golden_matrix`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;

use super::calls::{ends as ends_text, labels};
use super::folder::Folder;
use crate::access::catalogue::Catalogue;
use crate::access::decide::{Closed, Ruled};
use crate::access::effect::Effect;
use crate::access::facts::{Facts, OperationIndex};
use crate::access::policy::Policy;
use crate::access::survey::places::{Place, places};
use crate::access::survey::properties::{readable, writable};
use crate::access::survey::space::{Ends, Relevance, customs, ends};
use crate::access::survey::{Side, Space};

const UPDATE: &str = "UPDATE_MATRIX";

/// Shortest run of operations that is written as one line.
const RUN_MIN: usize = 3;

fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn golden_matrix_of_every_example_policy_and_every_operation() {
    let catalogue = Catalogue::embedded().unwrap();
    let folder = Folder::read(&root().join("policies"), &catalogue, now()).unwrap();
    let dir = root().join("tests/data/matrix");
    let mut made = BTreeSet::new();
    for (name, ..) in folder.set.integrations() {
        let policy = folder.policy(name, now()).unwrap();
        let text = matrix(policy, &folder, &catalogue);
        let path = dir.join(format!("{name}.txt"));
        made.insert(path.clone());
        if std::env::var_os(UPDATE).is_some() {
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        let apart = golden
            .lines()
            .zip(text.lines())
            .find(|(golden, found)| golden != found);
        assert!(
            golden == text,
            "{} is not what the gate decides now. First difference: {apart:?}\n\
             If that is meant, run `{UPDATE}=1 cargo test --lib golden_matrix` and review the change",
            path.display()
        );
    }
    for file in std::fs::read_dir(&dir).unwrap() {
        let path = file.unwrap().path();
        assert!(
            made.contains(&path),
            "{} is of no policy: remove it",
            path.display()
        );
    }
}

#[test]
fn the_matrix_says_every_decision_and_joins_only_what_is_alike() {
    let catalogue = Catalogue::embedded().unwrap();
    let folder = Folder::read(&root().join("policies"), &catalogue, now()).unwrap();
    let policy = folder.policy("erp-sync", now()).unwrap();
    let text = matrix(policy, &folder, &catalogue);
    let line = |start: &str| {
        text.lines()
            .find(|line| line.starts_with(start))
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        line("crm.objects.batch.read"),
        "crm.objects.batch.read … crm.objects.search read (4 operations): contacts, companies = allow[0]; else -"
    );
    assert_eq!(
        line("crm.associations.archive delete"),
        "crm.associations.archive delete: contacts, companies to contacts, companies = allow[2]; else -"
    );
    // Every operation is in a line of its own or within a run, once.
    let counted: usize = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty() && !line.starts_with("properties of "))
        .map(|line| match line.split_once(" operations): ") {
            Some((run, _)) => run.rsplit('(').next().unwrap().parse().unwrap(),
            None => 1,
        })
        .sum();
    let space = Space::new(&catalogue, &[]);
    let singles = space
        .points
        .iter()
        .map(|facts| (facts.main().operation, facts.effect()));
    let mut all: BTreeSet<(OperationIndex, Effect)> = singles.collect();
    for pairs in &space.pairs {
        pairs.each(&Relevance::default(), &mut |facts, _| {
            all.insert((facts.main().operation, facts.effect()));
        });
    }
    assert_eq!(counted, all.len());
}

/// What is decided of one operation with one effect, by the types it touches.
type Decided = BTreeMap<Ends, BTreeSet<String>>;

fn matrix(policy: &Policy, folder: &Folder, catalogue: &Catalogue) -> String {
    let side = Side {
        policy: Some(policy),
        ceiling: folder.set.ceiling(),
    };
    let space = Space::new(catalogue, &customs(side.named_objects().into_iter()));
    let mut places = places(&side.selectors());
    places.retain(|place| side.covers(place.connection()));
    let mut text = format!(
        "# {}: what is decided of every operation, by effect and type. allow[N], deny[N]: the rule;\n\
         # -: no rule opens it; ceiling: the ceiling does not allow it. See src/cli/policy/matrix.rs.\n",
        policy.integration
    );
    properties(&side, &space, catalogue, &mut text);
    let mut known: Vec<String> = Vec::new();
    for (index, place) in places.iter().enumerate() {
        let of_place = decided(&side, &space, catalogue, place);
        let body = lines(&of_place, &space, catalogue);
        if !known.contains(&body) {
            let on = labels(&places, &[index]).join(", ");
            let _ = write!(text, "\n# on {on}\n{body}");
            known.push(body);
        }
    }
    text
}

fn properties(side: &Side<'_>, space: &Space, catalogue: &Catalogue, text: &mut String) {
    let bounds = side.bounds();
    let mut by_grant: BTreeMap<String, Vec<Ends>> = BTreeMap::new();
    for object in &space.objects {
        let view = bounds.view(object);
        let grant = format!("read {}; write {}", readable(&view), writable(&view));
        by_grant
            .entry(grant)
            .or_default()
            .push([object.clone()].into_iter().collect());
    }
    for (grant, objects) in by_grant {
        let objects = ends_text(catalogue, space, &objects);
        let _ = writeln!(text, "properties of {objects}: {grant}");
    }
}

fn decided(
    side: &Side<'_>,
    space: &Space,
    catalogue: &Catalogue,
    place: &Place,
) -> BTreeMap<(Effect, OperationIndex), Decided> {
    let mut found: BTreeMap<(Effect, OperationIndex), Decided> = BTreeMap::new();
    let mut relevance = Relevance::default();
    side.add_to(&mut relevance);
    let mut ask = |facts: &Facts, all: &[Ends]| {
        let answer = side.ruled(catalogue, facts, place.connection(), now());
        let decided = found.entry((facts.effect(), facts.main().operation)).or_default();
        for ends in all {
            decided
                .entry(ends.clone())
                .or_default()
                .insert(word(side, &answer));
        }
    };
    for facts in &space.points {
        ask(facts, &[ends(facts)]);
    }
    for pairs in &space.pairs {
        pairs.each(&relevance, &mut ask);
    }
    found
}

fn word(side: &Side<'_>, answer: &Option<Result<Ruled<'_>, Closed>>) -> String {
    let rule = |id: &str| id.split('#').next_back().unwrap_or_default().to_owned();
    match answer {
        None => "connection".to_owned(),
        Some(Ok(ruled)) => rule(ruled.rule),
        Some(Err(Closed::DenyRule(index))) => {
            let deny = side
                .policy
                .and_then(|policy| policy.deny.get(usize::from(*index)));
            deny.map_or_else(String::new, |deny| rule(&deny.id))
        }
        Some(Err(Closed::Ceiling)) => "ceiling".to_owned(),
        Some(Err(Closed::Expired)) => "expired".to_owned(),
        Some(Err(Closed::NoRule | Closed::NothingAsked | Closed::Batch(_) | Closed::Uncountable(_))) => {
            "-".to_owned()
        }
    }
}

fn lines(
    found: &BTreeMap<(Effect, OperationIndex), Decided>,
    space: &Space,
    catalogue: &Catalogue,
) -> String {
    let said: Vec<(&str, Effect, String)> = found
        .iter()
        .map(|((effect, index), decided)| {
            let id = catalogue.operation(*index).map_or("", |operation| &*operation.id);
            (id, *effect, said(decided, space, catalogue))
        })
        .collect();
    let mut text = String::new();
    for run in said.chunk_by(|one, other| (one.1, &one.2) == (other.1, &other.2)) {
        match run {
            [(first, effect, said), .., (last, ..)] if run.len() >= RUN_MIN => {
                let (effect, count) = (effect.as_str(), run.len());
                let _ = writeln!(text, "{first} … {last} {effect} ({count} operations): {said}");
            }
            few => {
                for (id, effect, said) in few {
                    let _ = writeln!(text, "{id} {}: {said}", effect.as_str());
                }
            }
        }
    }
    text
}

/// The decisions by type, the most common one last.
fn said(decided: &Decided, space: &Space, catalogue: &Catalogue) -> String {
    let mut by_word: BTreeMap<String, Vec<Ends>> = BTreeMap::new();
    for (ends, words) in decided {
        let word = words.iter().cloned().collect::<Vec<_>>().join("|");
        by_word.entry(word).or_default().push(ends.clone());
    }
    let most = by_word.iter().max_by_key(|(_, ends)| ends.len());
    let Some(most) = most.map(|(word, _)| word.clone()) else {
        return String::new();
    };
    by_word.remove(&most);
    if by_word.is_empty() {
        return most;
    }
    let parts: Vec<String> = by_word
        .into_iter()
        .map(|(word, ends)| format!("{} = {word}", ends_text(catalogue, space, &ends)))
        .collect();
    format!("{}; else {most}", parts.join("; "))
}
