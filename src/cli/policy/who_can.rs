//! `scopegate policy who-can`: which integrations may make a kind of call, and by which rules.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::json;

use super::calls::{ends, ends_json, ids, labels, operations};
use super::folder::Folder;
use super::write_json;
use crate::access::catalogue::Catalogue;
use crate::access::effect::Effect;
use crate::access::fields::plan::is_plain_name;
use crate::access::object_type::ObjectType;
use crate::access::policy::Policy;
use crate::access::policy_text::nearest::did_you_mean;
use crate::access::survey::lines::Line;
use crate::access::survey::space::customs;
use crate::access::survey::who_can::{Opened, Wanted, who_can};
use crate::access::survey::{Side, Space};
use crate::cli::{CommandError, Exit};

/// `scopegate policy who-can DIR`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["operation", "effect"])))]
pub struct WhoCanArgs {
    /// Folder of policies.
    pub dir: PathBuf,
    /// Id of an operation.
    #[arg(long)]
    operation: Option<String>,
    /// An effect: read, write, delete, irreversible, auth or meta; no stronger one.
    #[arg(long)]
    effect: Option<String>,
    /// On this object type, by any of its names.
    #[arg(long)]
    object: Option<String>,
    /// Calls that may write this property if they write, and may read it otherwise.
    #[arg(long)]
    property: Option<String>,
    /// In this connection.
    #[arg(long)]
    connection: Option<String>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

impl WhoCanArgs {
    /// What is asked, with every name looked up.
    pub fn wanted(&self, catalogue: &Catalogue) -> Result<Wanted, CommandError> {
        let operation = self.operation.as_deref().map(|id| {
            let ids = catalogue.operations().map(|(_, operation)| &*operation.id);
            let found = catalogue.operation_by_id(id);
            found.ok_or_else(|| unknown("operation", id, ids))
        });
        let effect = self.effect.as_deref().map(|word| {
            let found = Effect::parse(word);
            found.ok_or_else(|| unknown("effect", word, Effect::ALL.map(Effect::as_str)))
        });
        let object = self.object.as_deref().map(|word| {
            let names = catalogue.object_types().map(|(_, name)| name);
            let found = catalogue.object_type(word);
            found.ok_or_else(|| unknown("object type", word, names))
        });
        Ok(Wanted {
            operation: operation.transpose()?,
            effect: effect.transpose()?,
            object: object.transpose()?,
            property: self.property.as_deref().map(property).transpose()?,
            connection: self.connection.clone(),
        })
    }

    /// Whether lines are for machines.
    pub fn json(&self) -> bool {
        self.json
    }
}

/// A name that no property can have would be answered with "nobody".
fn property(name: &str) -> Result<String, CommandError> {
    match is_plain_name(name) {
        true => Ok(name.to_lowercase()),
        false => Err(CommandError::usage(format!("`{name}` is no name of a property"))
            .hint("write its internal name, such as `hs_lead_status`, and no pattern")),
    }
}

fn unknown<'a>(what: &str, word: &str, there: impl IntoIterator<Item = &'a str>) -> CommandError {
    CommandError::usage(format!("there is no {what} `{word}`")).hint(did_you_mean(
        word,
        there,
        "see `scopegate catalogue list`",
    ))
}

/// Lists them. 0 when somebody can, 1 when nobody can.
pub fn run(
    folder: &Folder,
    catalogue: &Catalogue,
    wanted: &Wanted,
    now: Timestamp,
    as_json: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> std::io::Result<Exit> {
    let mut integrations = 0_usize;
    // Most policies name the same custom objects.
    let mut spaces: HashMap<Vec<ObjectType>, Space> = HashMap::new();
    for (name, policy, loads) in folder.set.integrations() {
        let Some(policy) = policy.filter(|_| loads) else {
            writeln!(err, "{name}: its policy does not load, so it can nothing")?;
            continue;
        };
        let side = Side {
            policy: Some(policy),
            ceiling: folder.set.ceiling(),
        };
        let named = side.named_objects().into_iter().chain(&wanted.object);
        let customs = customs(named);
        let space: &Space = spaces
            .entry(customs.clone())
            .or_insert_with(|| Space::new(catalogue, &customs));
        let (lines, places) = who_can(catalogue, space, &side, wanted, now);
        integrations += usize::from(!lines.is_empty());
        for line in &lines {
            let on = labels(&places, &line.places);
            if as_json {
                write_json(out, &as_value(policy, catalogue, line, &on))?;
                continue;
            }
            let everywhere = line.places.len() == places.len();
            writeln!(
                out,
                "{}",
                text(policy, catalogue, space, line, (!everywhere).then_some(&on))
            )?;
        }
    }
    if !as_json {
        let noun = if integrations == 1 {
            "integration"
        } else {
            "integrations"
        };
        writeln!(err, "{integrations} {noun} can")?;
    }
    Ok(match integrations {
        0 => Exit::Findings,
        _ => Exit::Fine,
    })
}

fn text(
    policy: &Policy,
    catalogue: &Catalogue,
    space: &Space,
    line: &Line<Opened>,
    on: Option<&Vec<&str>>,
) -> String {
    let mut words = vec![format!("{}:", policy.integration)];
    words.push(operations(catalogue, &line.operations));
    words.extend(line.effect.map(|effect| effect.as_str().to_owned()));
    words.push(ends(catalogue, space, &line.ends));
    if !line.key.properties.is_empty() {
        words.push(format!("[properties: {}]", line.key.properties));
    }
    words.extend(on.map(|on| format!("on {}", on.join(", "))));
    let observed = if line.key.observed { ", observed" } else { "" };
    words.push(format!(
        "by {}{observed} at {}",
        line.key.rule,
        place(policy, &line.key.rule)
    ));
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

/// File and line of a rule; of the file alone for what is no rule of a list.
fn place(policy: &Policy, rule: &str) -> String {
    match line_of(policy, rule) {
        Some(line) => format!("{}:{line}", policy.file),
        None => policy.file.to_string(),
    }
}

fn line_of(policy: &Policy, id: &str) -> Option<u32> {
    let rule = policy.allow.iter().find(|rule| &*rule.id == id)?;
    Some(rule.span.line)
}

fn as_value(policy: &Policy, catalogue: &Catalogue, line: &Line<Opened>, on: &[&str]) -> serde_json::Value {
    json!({
        "integration": &*policy.integration,
        "rule": line.key.rule,
        "file": &*policy.file,
        "line": line_of(policy, &line.key.rule),
        "operations": ids(catalogue, &line.operations),
        "effect": line.effect.map(Effect::as_str),
        "objects": ends_json(catalogue, &line.ends),
        "properties": Some(&line.key.properties).filter(|text| !text.is_empty()),
        "observed": line.key.observed,
        "connections": on,
    })
}
