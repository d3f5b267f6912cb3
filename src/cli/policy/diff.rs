//! `scopegate policy diff`: exactly what a change of policies newly allows and newly denies.

use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::calls::{ends, ends_json, ids, labels, operations};
use super::folder::Folder;
use super::write_json;
use crate::access::catalogue::Catalogue;
use crate::access::effect::Effect;
use crate::access::object_type::ObjectType;
use crate::access::policy::Policy;
use crate::access::survey::diff::{Change, Differences, What, compare};
use crate::access::survey::lines::Line;
use crate::access::survey::places::Place;
use crate::access::survey::properties::Aspect;
use crate::access::survey::space::customs;
use crate::access::survey::{Side, Space};
use crate::cli::{CommandError, Exit};

/// `scopegate policy diff OLD NEW`.
#[derive(Debug, clap::Args)]
pub struct DiffArgs {
    /// The policies as they were: a folder, or one file.
    old: PathBuf,
    /// The policies as they will be: a folder, or one file.
    new: PathBuf,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

impl DiffArgs {
    #[cfg(test)]
    pub(super) fn new(old: &Path, new: &Path) -> Self {
        Self {
            old: old.to_owned(),
            new: new.to_owned(),
            json: false,
        }
    }

    /// Whether lines are for machines.
    pub fn json(&self) -> bool {
        self.json
    }
}

/// Reads both sides. One that does not load can't be compared: what it allows is not known.
pub fn read(args: &DiffArgs, catalogue: &Catalogue, now: Timestamp) -> Result<[Folder; 2], CommandError> {
    for path in [&args.old, &args.new] {
        if let Err(error) = std::fs::metadata(path) {
            return Err(
                CommandError::usage(format!("can't read `{}`: {error}", path.display()))
                    .hint("give a policy file, or the folder that holds the policy files"),
            );
        }
    }
    if args.old.is_dir() != args.new.is_dir() {
        return Err(
            CommandError::usage("one of the two is a folder, and the other is not")
                .hint("compare two folders, or two files"),
        );
    }
    let read = |path: &Path| -> Result<Folder, CommandError> {
        let folder = match path.is_dir() {
            true => Folder::read(path, catalogue, now)?,
            false => Folder::read_file(path, catalogue, now)?,
        };
        folder.must_load(path)?;
        Ok(folder)
    };
    Ok([read(&args.old)?, read(&args.new)?])
}

/// Compares. 1 if anything is newly allowed.
pub fn run(
    [old, new]: &[Folder; 2],
    catalogue: &Catalogue,
    now: Timestamp,
    as_json: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> std::io::Result<Exit> {
    let ceilings_differ = old.ceiling_text() != new.ceiling_text();
    let (mut gained, mut lost) = (0, 0);
    // Making a space takes as long as asking about it, and most policies name the same custom objects.
    let mut spaces: HashMap<Vec<ObjectType>, Space> = HashMap::new();
    for (name, pair) in pairs(old, new) {
        let [before, after] = pair;
        let is_same = matches!((&before, &after), (Some(a), Some(b)) if a.text == b.text);
        if is_same && !ceilings_differ {
            continue;
        }
        let sides = [
            Side {
                policy: before.map(|policy| &**policy),
                ceiling: old.set.ceiling(),
            },
            Side {
                policy: after.map(|policy| &**policy),
                ceiling: new.set.ceiling(),
            },
        ];
        let customs = customs(sides.iter().flat_map(Side::named_objects));
        let space: &Space = spaces
            .entry(customs.clone())
            .or_insert_with(|| Space::new(catalogue, &customs));
        let [from, to] = &sides;
        let differences = compare(catalogue, space, from, to, now);
        gained += differences.count(true);
        lost += differences.count(false);
        let shown = Shown {
            integration: &name,
            catalogue,
            space,
            sides: &sides,
            places: &differences.places,
        };
        shown.all(&differences, as_json, out)?;
    }
    if !as_json {
        writeln!(err, "{gained} newly allowed, {lost} newly denied")?;
    }
    Ok(match gained {
        0 => Exit::Fine,
        _ => Exit::Findings,
    })
}

type PairOfPolicies<'f> = [Option<&'f Arc<Policy>>; 2];

/// Every integration of either side, with its policy on both.
fn pairs<'f>(old: &'f Folder, new: &'f Folder) -> Vec<(Arc<str>, PairOfPolicies<'f>)> {
    let names: BTreeSet<&Arc<str>> = [old, new]
        .into_iter()
        .flat_map(|folder| folder.set.integrations().map(|(name, ..)| name))
        .collect();
    let of = |folder: &'f Folder, wanted: &str| {
        let mut all = folder.set.integrations();
        let found = all.find(|(name, ..)| &***name == wanted);
        found.and_then(|(_, policy, _)| policy)
    };
    let pairs = names.into_iter();
    pairs
        .map(|name| (Arc::clone(name), [of(old, name), of(new, name)]))
        .collect()
}

/// One integration's differences on their way to people.
struct Shown<'a> {
    integration: &'a str,
    catalogue: &'a Catalogue,
    space: &'a Space,
    sides: &'a [Side<'a>; 2],
    places: &'a [Place],
}

impl Shown<'_> {
    fn all(&self, differences: &Differences, as_json: bool, out: &mut dyn Write) -> std::io::Result<()> {
        for line in differences.lines() {
            match as_json {
                true => write_json(out, &self.json(&line))?,
                false => writeln!(out, "{}", self.text(&line))?,
            }
        }
        Ok(())
    }

    fn text(&self, line: &Line<Change>) -> String {
        let sign = if line.key.gained { '+' } else { '-' };
        let mut words = vec![format!("{sign} {}:", self.integration)];
        words.push(operations(self.catalogue, &line.operations));
        words.extend(line.effect.map(|effect| effect.as_str().to_owned()));
        words.push(ends(self.catalogue, self.space, &line.ends));
        words.push(detail(line));
        if !self.is_everywhere(line) {
            words.push(format!("on {}", labels(self.places, &line.places).join(", ")));
        }
        if let Some(from) = line.key.from {
            words.push(format!("from {} on", day(from)));
        }
        words.retain(|word| !word.is_empty());
        words.join(" ")
    }

    /// Whether a line holds wherever the side that allows more does.
    fn is_everywhere(&self, line: &Line<Change>) -> bool {
        let [old, new] = self.sides;
        let side = if line.key.gained { new } else { old };
        let mut places = self.places.iter().enumerate();
        places.all(|(index, place)| !side.covers(place.connection()) || line.places.contains(&index))
    }

    fn json(&self, line: &Line<Change>) -> Value {
        let (kind, names) = match &line.key.what {
            What::Call { .. } => ("call", None),
            What::Properties(aspect, names) => (aspect_word(*aspect), Some(names)),
            What::Bounded => ("unbounded", None),
            What::Batch(_) => ("batch", None),
            What::Cap(counted, _) => (counted.as_str(), None),
            What::Expiry => ("expiry", None),
        };
        let (observed, granted) = match &line.key.what {
            What::Call { observed, properties } => (*observed, Some(properties).filter(|p| !p.is_empty())),
            _ => (false, None),
        };
        json!({
            "change": if line.key.gained { "allowed" } else { "denied" },
            "integration": self.integration,
            "what": kind,
            "operations": ids(self.catalogue, &line.operations),
            "effect": line.effect.map(|effect| effect.as_str()),
            "objects": ends_json(self.catalogue, &line.ends),
            "properties": names,
            "granted": granted,
            "observed": observed,
            "connections": labels(self.places, &line.places),
            "from": line.key.from.map(day),
        })
    }
}

/// What changes, in brackets where it is less than a call.
fn detail(line: &Line<Change>) -> String {
    let by_effect = |aspect: Aspect, names: &[String]| {
        let names = names.join(", ");
        let reads = line.effect == Some(Effect::Read);
        match aspect {
            Aspect::Read if reads => format!("[properties: {names}]"),
            Aspect::Read => format!("[properties in answers: {names}]"),
            Aspect::Write => format!("[properties: {names}]"),
            Aspect::History => format!("[history of: {names}]"),
            Aspect::Hidden => format!("[asking for hidden properties passes without them: {names}]"),
            Aspect::Whole => "[whole records: URLs, identities, exports]".to_owned(),
            Aspect::Unclear => {
                "[properties: too many kinds of names to compare, so anything may be]".to_owned()
            }
        }
    };
    match &line.key.what {
        What::Call {
            observed: true,
            properties,
        } if properties.is_empty() => "[observed]".to_owned(),
        What::Call {
            observed: true,
            properties,
        } => format!("[observed; properties: {properties}]"),
        What::Call { properties, .. } if properties.is_empty() => String::new(),
        What::Call { properties, .. } => format!("[properties: {properties}]"),
        What::Properties(aspect, names) => by_effect(*aspect, names),
        What::Bounded => "calls that can't be judged under a property rule".to_owned(),
        What::Batch(text) => format!("records in one request: {text}"),
        What::Cap(counted, text) => format!("limits.{}: {text}", counted.as_str()),
        What::Expiry => match line.key.gained {
            true => "everything the new version allows, since the old one expires,".to_owned(),
            false => "everything the old version allows, since the new one expires,".to_owned(),
        },
    }
}

fn aspect_word(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Read => "read",
        Aspect::History => "history",
        Aspect::Whole => "whole",
        Aspect::Hidden => "hidden",
        Aspect::Write => "write",
        Aspect::Unclear => "unclear",
    }
}

fn day(moment: Timestamp) -> String {
    moment.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}
