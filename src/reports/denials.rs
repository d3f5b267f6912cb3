//! What was not let through, by whom and why, from the audit log. What the gate denied and what HubSpot
//! refused stand apart: they are mended in different places.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;
use serde::Deserialize;

use crate::audit;

/// Groups that are told apart; what goes beyond is counted.
const GROUPS: usize = 10_000;

/// Explains every word.
const REASONS: &str = include_str!("../../catalogue/reasons.tsv");

/// Which are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// From here on.
    pub since: Timestamp,
    /// Only this integration's.
    pub integration: Option<&'a str>,
    /// Only what went, or would have gone, to this connection.
    pub connection: Option<&'a str>,
}

/// What was found.
#[derive(Debug)]
pub struct Denials {
    /// The most frequent first.
    pub groups: Vec<(Group, Times)>,
    /// Lines of the log that can't be read.
    pub unread: u64,
    /// Denials beyond the groups that are told apart.
    pub beyond: u64,
}

/// Reads the log; `until` is when that is given up.
///
/// # Errors
/// A folder or a file can't be read; [`io::ErrorKind::TimedOut`] when it was given up.
pub fn read(folder: &Path, wanted: &Wanted<'_>, until: Option<Instant>) -> io::Result<Denials> {
    let mut found = Found::default();
    let unread = audit::lines_until(folder, wanted.since, until, |line| found.take(line, wanted))?;
    let mut groups: Vec<(Group, Times)> = found.groups.into_iter().collect();
    groups.sort_by(|(a, x), (b, y)| y.count.cmp(&x.count).then_with(|| a.cmp(b)));
    Ok(Denials {
        groups,
        unread: unread.lines,
        beyond: found.beyond,
    })
}

/// What any bytes are as lines of a log, and how many of them are no records.
#[cfg(fuzzing)]
pub fn read_hostile(lines: &[u8]) -> (Vec<(Group, Times)>, usize) {
    let wanted = Wanted {
        since: Timestamp::UNIX_EPOCH,
        integration: None,
        connection: None,
    };
    let mut found = Found::default();
    let lines = lines.split(|byte| *byte == b'\n');
    let unread = lines.filter(|line| !found.take(line, &wanted)).count();
    (found.groups.into_iter().collect(), unread)
}

/// Whose no it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// The gate's.
    Gate,
    /// HubSpot's.
    Hubspot,
}

impl By {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Hubspot => "hubspot",
        }
    }
}

/// Alike: by whom, to whom, what, why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// By whom.
    pub by: By,
    /// To whom.
    pub integration: String,
    /// Where it went, or would have gone.
    pub connection: Option<String>,
    /// What was asked for.
    pub operation: Option<String>,
    /// The gate's reason, or HubSpot's cause.
    pub why: String,
    lacks: Vec<String>,
    lacks_any: bool,
    detail: Option<String>,
    rule: Option<String>,
}

/// How often, and when.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// How many.
    pub count: u64,
    /// When first.
    pub first: Timestamp,
    /// When last.
    pub last: Timestamp,
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
    fn take(&mut self, line: &[u8], wanted: &Wanted<'_>) -> bool {
        let Ok(line) = serde_json::from_slice::<Line>(line) else {
            return false;
        };
        let Ok(time) = line.time.parse::<Timestamp>() else {
            return false;
        };
        let count = line.count.unwrap_or(1);
        let Some(group) = line.group().filter(|_| time >= wanted.since) else {
            return true;
        };
        let is_wanted =
            |wanted: Option<&str>, is: Option<&str>| wanted.is_none_or(|wanted| is == Some(wanted));
        if !is_wanted(wanted.integration, Some(&group.integration))
            || !is_wanted(wanted.connection, group.connection.as_deref())
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
    pub fn lacks(&self) -> String {
        match (self.lacks.is_empty(), &self.rule) {
            (false, _) => self.lacks.join(if self.lacks_any { "|" } else { " " }),
            (true, Some(rule)) => rule.clone(),
            (true, None) => "-".to_owned(),
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
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

/// A group, for programs.
pub fn json_of(group: &Group, times: &Times) -> serde_json::Value {
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
mod tests {
    use super::*;

    #[test]
    fn every_word_has_a_remedy() {
        for line in REASONS.lines().skip(2) {
            let cells: Vec<&str> = line.split('\t').collect();
            let by = match cells[0] {
                "reason" => By::Gate,
                "forbidden_cause" => By::Hubspot,
                _ => continue,
            };
            let group = Group {
                by,
                integration: "report".to_owned(),
                connection: None,
                operation: None,
                why: cells[1].to_owned(),
                lacks: Vec::new(),
                lacks_any: false,
                detail: None,
                rule: None,
            };
            assert!(group.remedy().len() > 5, "{line}");
        }
    }
}
