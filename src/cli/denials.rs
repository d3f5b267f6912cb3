//! `scopegate denials`: what was not let through, by whom and why, from the audit log. What the gate
//! denied and what HubSpot refused stand apart: they are mended in different places.

use std::io::Write;

use jiff::Timestamp;

use super::admin::{columns, print, short};
use super::{CommandError, CommandResult, Exit, Globals, key_life};
use crate::config::{Config, Overrides};
use crate::reports::denials::{self, Group, Times, Wanted, json_of};

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
    let wanted = Wanted {
        since,
        integration: args.integration.as_deref(),
        connection: args.connection.as_deref(),
    };
    let found = denials::read(folder, &wanted, None).map_err(|error| {
        CommandError::internal(format!(
            "the audit log in `{}` can't be read: {error}",
            folder.display()
        ))
    })?;
    for (count, what) in [
        (found.unread, "lines of the audit log can't be read"),
        (found.beyond, "more are of kinds that are not told apart"),
    ] {
        if count > 0 {
            // Nobody to tell if stderr is gone.
            let _ = writeln!(err, "warning: {count} {what}");
        }
    }
    let groups = found.groups;
    let text = match args.json {
        true => groups.iter().map(|(group, times)| line(group, times)).collect(),
        false if groups.is_empty() => String::new(),
        false => table(&groups),
    };
    print(out, &text)?;
    match groups.is_empty() {
        true => {
            // Nobody to tell if stderr is gone.
            let _ = writeln!(
                err,
                "nothing{} was denied or refused in the last {}",
                of(args),
                args.since
            );
            Ok(Exit::Fine)
        }
        false => Ok(Exit::Findings),
    }
}

/// Any bytes as the lines of an audit log, read as the command reads them: what it would print, and how many
/// lines are no records.
#[cfg(fuzzing)]
pub fn read_hostile(lines: &[u8]) -> (String, usize) {
    let (groups, unread) = denials::read_hostile(lines);
    if groups.is_empty() {
        return (String::new(), unread);
    }
    let rows = groups.iter().map(|(group, times)| line(group, times));
    let mut printed = Vec::new();
    // Cannot fail: a list grows.
    let _ = print(&mut printed, &(rows.collect::<String>() + &table(&groups)));
    (String::from_utf8_lossy(&printed).into_owned(), unread)
}

fn line(group: &Group, times: &Times) -> String {
    json_of(group, times).to_string() + "\n"
}

/// What was asked for: a mistyped name has no denials, either.
fn of(args: &DenialsArgs) -> String {
    let mut text = String::new();
    for (what, name) in [
        ("integration", &args.integration),
        ("connection", &args.connection),
    ] {
        if let Some(name) = name {
            text.push_str(&format!(" of {what} `{name}`"));
        }
    }
    text
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
        let cells = [
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
        ];
        rows.push(cells.into());
    }
    columns(&rows)
}

#[cfg(test)]
#[path = "denials_tests.rs"]
mod tests;
