//! `scopegate denials`: what was not let through, by whom and why, from the audit log. What the gate
//! denied and what HubSpot refused stand apart: they are mended in different places.

use std::collections::BTreeMap;
use std::io::Write;

use jiff::Timestamp;
use serde::Deserialize;

use super::admin::{columns, print, short};
use super::{CommandError, CommandResult, Exit, Globals, key_life};
use crate::audit;
use crate::config::{Config, Overrides};

/// Groups that are told apart; what goes beyond is counted.
const GROUPS: usize = 10_000;

/// Explains every word.
const REASONS: &str = include_str!("../../catalogue/reasons.tsv");

/// Arguments of `denials`.
#[derive(Debug, clap::Args)]
pub struct DenialsArgs {
    /// How far back: `24h`, `7d`.
    #[arg(long, value_name = "SPAN", default_value = "24h")]
    pub since: String,
    /// Only this integration's.
    #[arg(long, value_name = "NAME")]
    pub integration: Option<String>,
    /// Only what went, or would have gone, to this connection.
    #[arg(long, value_name = "NAME")]
    pub connection: Option<String>,
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// Runs the command: exit 1 when there are any.
///
/// # Errors
/// Usage and configuration, no log (2); a log that can't be read (3).
pub fn run(args: DenialsArgs, globals: &Globals) -> CommandResult {
    let config = super::config::load(globals, Overrides::default())?.config;
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    execute(&args, &config, Timestamp::now(), &mut out, &mut err)
}

fn execute(
    args: &DenialsArgs,
    config: &Config,
    now: Timestamp,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> CommandResult {
    let span = key_life::span(&args.since)
        .ok_or_else(|| CommandError::usage("`--since` is how far back: `24h`, `7d`"))?;
    let since = now
        .checked_sub(span)
        .map_err(|_| CommandError::usage("`--since` is too far back"))?;
    let folder = &config.audit.dir;
    if !folder.is_dir() {
        return Err(
            CommandError::usage(format!("there is no audit log in `{}`", folder.display()))
                .hint("a gate makes it at its first start; see that `audit.dir` names the right folder"),
        );
    }
    let mut found = Found::default();
    let unread = audit::lines(folder, since, |line| found.take(line, args, since)).map_err(|error| {
        CommandError::internal(format!(
            "the audit log in `{}` can't be read: {error}",
            folder.display()
        ))
    })?;
    for (count, what) in [
        (unread.lines, "lines of the audit log can't be read"),
        (found.beyond, "more are of kinds that are not told apart"),
    ] {
        if count > 0 {
            // Nobody to tell if stderr is gone.
            let _ = writeln!(err, "warning: {count} {what}");
        }
    }
    let mut groups: Vec<(Group, Times)> = found.groups.into_iter().collect();
    groups.sort_by(|(a, x), (b, y)| y.count.cmp(&x.count).then_with(|| a.cmp(b)));
    let text = match args.json {
        true => groups
            .iter()
            .map(|(group, times)| format!("{}\n", json_of(group, times)))
            .collect(),
        false if groups.is_empty() => String::new(),
        false => table(&groups),
    };
    print(out, &text)?;
    match groups.is_empty() {
        true => {
            // Nobody to tell if stderr is gone.
            let _ = writeln!(err, "nothing was denied or refused in the last {}", args.since);
            Ok(Exit::Fine)
        }
        false => Ok(Exit::Findings),
    }
}

/// Whose no it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    Gate,
    Hubspot,
}

impl By {
    fn as_str(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Hubspot => "hubspot",
        }
    }
}

/// Alike: by whom, to whom, what, why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    by: By,
    integration: String,
    connection: Option<String>,
    operation: Option<String>,
    /// The gate's reason, or HubSpot's cause.
    why: String,
    lacks: Vec<String>,
    lacks_any: bool,
    detail: Option<String>,
    rule: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Times {
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

#[derive(Default)]
struct Found {
    groups: BTreeMap<Group, Times>,
    beyond: u64,
}

/// What is looked at of a line; whatever else stands there is not.
#[derive(Deserialize)]
struct Line {
    kind: String,
    time: String,
    integration: Option<String>,
    connection: Option<String>,
    operation: Option<String>,
    decision: Option<String>,
    reason: Option<String>,
    rule: Option<String>,
    #[serde(default)]
    lacks: Vec<String>,
    #[serde(default)]
    lacks_any: bool,
    cause: Option<String>,
    cause_detail: Option<String>,
    count: Option<u64>,
}

impl Found {
    /// Whether the line is a record.
    fn take(&mut self, line: &[u8], args: &DenialsArgs, since: Timestamp) -> bool {
        let Ok(line) = serde_json::from_slice::<Line>(line) else {
            return false;
        };
        let Ok(time) = line.time.parse::<Timestamp>() else {
            return false;
        };
        let count = line.count.unwrap_or(1);
        let Some(group) = line.group().filter(|_| time >= since) else {
            return true;
        };
        let is_wanted = |wanted: &Option<String>, is: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| is == Some(wanted))
        };
        if !is_wanted(&args.integration, Some(&group.integration))
            || !is_wanted(&args.connection, group.connection.as_deref())
        {
            return true;
        }
        if let Some(times) = self.groups.get_mut(&group) {
            times.count = times.count.saturating_add(count);
            times.first = times.first.min(time);
            times.last = times.last.max(time);
        } else if self.groups.len() < GROUPS {
            let (first, last) = (time, time);
            self.groups.insert(group, Times { count, first, last });
        } else {
            self.beyond = self.beyond.saturating_add(count);
        }
        true
    }
}

impl Line {
    /// `None`: nothing was denied.
    fn group(self) -> Option<Group> {
        let by = match (&*self.kind, self.decision.as_deref()) {
            ("decision", Some("deny" | "refuse")) => By::Gate,
            // Denials beyond fifty a second, summed up: their operations are not told.
            ("aggregate", _) => By::Gate,
            ("outcome", _) if self.cause.is_some() => By::Hubspot,
            _ => return None,
        };
        let (why, detail, rule) = match by {
            By::Gate => (self.reason?, None, self.rule),
            By::Hubspot => (self.cause?, self.cause_detail, None),
        };
        Some(Group {
            by,
            // Without one it is a stranger's, and no decision.
            integration: self.integration?,
            connection: self.connection,
            operation: self.operation,
            why,
            lacks: self.lacks,
            lacks_any: self.lacks_any,
            detail,
            rule,
        })
    }
}

impl Group {
    /// What is missing, in a word or two.
    fn lacks(&self) -> String {
        match (self.lacks.is_empty(), &self.rule) {
            (false, _) => self.lacks.join(if self.lacks_any { "|" } else { " " }),
            (true, Some(rule)) => rule.clone(),
            (true, None) => "-".to_owned(),
        }
    }

    /// What to do about it.
    fn remedy(&self) -> String {
        let named = self
            .lacks
            .iter()
            .map(|one| format!("`{one}`"))
            .collect::<Vec<_>>();
        let explained = |set, word| explain(set, word).filter(|remedy| !remedy.is_empty());
        match (self.by, &*self.why) {
            (By::Hubspot, "missing_scope") if !named.is_empty() => {
                let named = match self.lacks_any {
                    true => format!("one of {}", named.join(", ")),
                    false => named.join(" and "),
                };
                format!("add {named} to the app and install again")
            }
            (By::Hubspot, "user_permission") => format!(
                "the installer lacks a permission in HubSpot: give it to them, or let somebody else install `{}` again",
                self.connection.as_deref().unwrap_or("the connection")
            ),
            (By::Hubspot, cause) => {
                let detail = self.detail.as_deref();
                let remedy = detail.and_then(|detail| explained("forbidden_detail", detail));
                remedy
                    .or_else(|| explained("forbidden_cause", cause))
                    .unwrap_or("look at the answer")
                    .to_owned()
            }
            (By::Gate, "no_rule" | "effect" | "object" | "risk") if !named.is_empty() => format!(
                "if `{}` needs it, open {} in its policy",
                self.integration,
                named.join(" and ")
            ),
            (By::Gate, reason) => explained("reason", reason)
                .unwrap_or("look at the answer")
                .to_owned(),
        }
    }
}

/// The remedy that the table of words has.
fn explain(set: &str, word: &str) -> Option<&'static str> {
    REASONS.lines().find_map(|line| {
        let mut cells = line.split('\t');
        let is_it = cells.next() == Some(set) && cells.next() == Some(word);
        is_it.then(|| cells.nth(1)).flatten()
    })
}

fn table(groups: &[(Group, Times)]) -> String {
    let head = [
        "BY",
        "INTEGRATION",
        "CONNECTION",
        "OPERATION",
        "WHY",
        "LACKS",
        "COUNT",
        "FIRST",
        "LAST",
        "REMEDY",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    for (group, times) in groups {
        rows.push(vec![
            group.by.as_str().to_owned(),
            group.integration.clone(),
            or_dash(&group.connection),
            or_dash(&group.operation),
            group.why.clone(),
            group.lacks(),
            times.count.to_string(),
            short(times.first),
            short(times.last),
            group.remedy(),
        ]);
    }
    columns(&rows)
}

fn json_of(group: &Group, times: &Times) -> serde_json::Value {
    let why = match group.by {
        By::Gate => "reason",
        By::Hubspot => "cause",
    };
    serde_json::json!({
        "by": group.by.as_str(),
        "integration": group.integration,
        "connection": group.connection,
        "operation": group.operation,
        why: group.why,
        "lacks": group.lacks,
        "lacks_any": group.lacks_any,
        "detail": group.detail,
        "rule": group.rule,
        "count": times.count,
        "first": times.first.to_string(),
        "last": times.last.to_string(),
        "remedy": group.remedy(),
    })
}

#[cfg(test)]
#[path = "denials_tests.rs"]
mod tests;
