//! What became of each connection that a command was to change: one line each, and a count.

use std::io::Write;

use crate::access::connection::Standing;
use crate::cli::admin::{Admin, print};
use crate::cli::{CommandError, CommandResult, Exit};
use crate::store::ConnectionRow;

/// What became of one connection.
pub(super) enum What {
    /// It is in this standing now.
    Now(Standing),
    /// It was as wished already.
    Already,
    /// Something else than its standing was changed: what it is now, for people.
    Changed(String),
    /// It is gone, and so many of its keys are revoked.
    Removed(usize),
    /// It stays as it is: the reason.
    Not(CommandError),
}

/// A connection as it was before, and what became of it.
pub(super) struct Outcome {
    pub(super) before: ConnectionRow,
    pub(super) what: What,
}

impl Outcome {
    fn result(&self) -> &'static str {
        match self.what {
            What::Now(_) | What::Changed(_) | What::Removed(_) => "changed",
            What::Already => "unchanged",
            What::Not(_) => "failed",
        }
    }

    fn state(&self) -> &'static str {
        match self.what {
            What::Now(standing) => standing.as_str(),
            What::Removed(_) => "removed",
            What::Already | What::Changed(_) | What::Not(_) => self.before.standing.as_str(),
        }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.before.name.as_str(),
            "portal": self.before.portal.get(),
            "app": self.before.app,
            "before": self.before.standing.as_str(),
            "state": self.state(),
            "result": self.result(),
            "why": match &self.what {
                What::Not(error) => Some(error.message.as_str()),
                _ => None,
            },
            "keys_revoked": match self.what {
                What::Removed(keys) => Some(keys),
                _ => None,
            },
        })
    }

    fn text(&self) -> String {
        let row = &self.before;
        let head = format!("{} portal {} {}", row.name, row.portal, self.state());
        match &self.what {
            What::Now(_) => head,
            What::Already => format!("{head} already"),
            What::Changed(now) => format!("{head} {now}"),
            What::Removed(keys) => format!("{head}, {keys} keys revoked"),
            What::Not(error) => format!("{head}: {}", error.message),
        }
    }
}

/// How a command tells its outcomes.
pub(super) struct Telling {
    /// One JSON object a line.
    pub(super) json: bool,
    /// A running gate has to follow.
    pub(super) follow: bool,
}

/// Prints the outcomes, counts them, and waits for running gates to follow. Exit 1 when one was not
/// changed as wished.
pub(super) fn tell(
    outcomes: &[Outcome],
    telling: &Telling,
    admin: &Admin,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> CommandResult {
    let lines: String = outcomes
        .iter()
        .map(|outcome| {
            if telling.json {
                format!("{}\n", outcome.json())
            } else {
                format!("{}\n", outcome.text())
            }
        })
        .collect();
    let printed = print(out, &lines);
    let count = |result: &str| {
        outcomes
            .iter()
            .filter(|outcome| outcome.result() == result)
            .count()
    };
    let (changed, failed) = (count("changed"), count("failed"));
    // Nobody to tell if stderr is gone.
    let _ = writeln!(
        err,
        "{} connections: {changed} changed, {} as wished already, {failed} not changed",
        outcomes.len(),
        count("unchanged"),
    );
    if changed > 0 && telling.follow {
        admin.tell_followers(err);
    }
    printed?;
    Ok(if failed > 0 { Exit::Findings } else { Exit::Fine })
}
