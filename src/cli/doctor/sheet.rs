//! The page itself: lines with a grade, and for what is not fine the command that mends it.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::cli::Exit;
use crate::cli::admin::short;

/// Most lines of one subject: a page is read by a person in a hurry.
const PER_SUBJECT: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grade {
    Fine,
    /// Works, and should be looked at.
    Look,
    /// Something does not work.
    Broken,
}

impl Grade {
    fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Look => "look",
            Self::Broken => "broken",
        }
    }
}

#[derive(Debug)]
struct Line {
    subject: &'static str,
    grade: Grade,
    text: String,
    remedy: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Sheet {
    lines: Vec<Line>,
}

impl Sheet {
    pub(super) fn fine(&mut self, subject: &'static str, text: impl Into<String>) {
        self.lines.push(Line {
            subject,
            grade: Grade::Fine,
            text: text.into(),
            remedy: None,
        });
    }

    pub(super) fn look(&mut self, subject: &'static str, text: impl Into<String>, remedy: impl Into<String>) {
        self.add(subject, Grade::Look, text.into(), remedy.into());
    }

    pub(super) fn broken(
        &mut self,
        subject: &'static str,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(subject, Grade::Broken, text.into(), remedy.into());
    }

    fn add(&mut self, subject: &'static str, grade: Grade, text: String, remedy: String) {
        self.lines.push(Line {
            subject,
            grade,
            text: text
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect(),
            remedy: Some(remedy),
        });
    }

    /// Whether nothing was said of a subject but that it is fine.
    pub(super) fn is_fine(&self, subject: &str) -> bool {
        self.lines
            .iter()
            .filter(|line| line.subject == subject)
            .all(|line| line.grade == Grade::Fine)
    }

    pub(super) fn exit(&self) -> Exit {
        match self.lines.iter().all(|line| line.grade == Grade::Fine) {
            true => Exit::Fine,
            false => Exit::Findings,
        }
    }

    /// A line a finding, worst first within a subject as they came, and below it its remedy.
    pub(super) fn text(&self, instance: &str, now: Timestamp) -> String {
        let count = |grade| self.lines.iter().filter(|line| line.grade == grade).count();
        let mut text = format!(
            "scopegate {}, gate `{instance}`, {}: {} broken, {} to look at\n\n",
            env!("CARGO_PKG_VERSION"),
            short(now),
            count(Grade::Broken),
            count(Grade::Look),
        );
        let mut said = std::collections::BTreeMap::<&str, usize>::new();
        for line in &self.lines {
            let said = said.entry(line.subject).or_default();
            *said += 1;
            if *said > PER_SUBJECT {
                continue;
            }
            // Cannot fail: a string grows.
            let _ = writeln!(
                text,
                "{:<7} {:<14} {}",
                line.grade.as_str(),
                line.subject,
                line.text
            );
            if let Some(remedy) = &line.remedy {
                let _ = writeln!(text, "{:23}> {remedy}", "");
            }
        }
        for (subject, said) in said.into_iter().filter(|(_, said)| *said > PER_SUBJECT) {
            let _ = writeln!(
                text,
                "{:<7} {subject:<14} and {} more: `--json` has all",
                "",
                said - PER_SUBJECT
            );
        }
        text
    }

    /// All lines, one object each.
    pub(super) fn json(&self) -> String {
        let object = |line: &Line| {
            let object = serde_json::json!({
                "subject": line.subject,
                "grade": line.grade.as_str(),
                "text": line.text,
                "remedy": line.remedy,
            });
            format!("{object}\n")
        };
        self.lines.iter().map(object).collect()
    }
}
