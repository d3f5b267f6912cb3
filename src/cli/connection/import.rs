//! `connection import`: a file of refresh tokens, one account a line, brought into the store. Running it
//! again changes nothing.

mod line;

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Write};
use std::path::PathBuf;

use futures_util::{StreamExt, stream};

use self::line::{Line, Mistake, read_lines};
use crate::access::connection::Standing;
use crate::access::label::{Label, Labels};
use crate::cli::admin::{Admin, ReasonArgs, print, provenance, runtime};
use crate::cli::{CommandError, CommandResult, Exit};
use crate::store::{Provenance, StoreError};
use crate::tokens::{BringError, Brought, EnrolError, Enrolment};
use crate::vault::secret_file;

/// Questions to HubSpot at one time: its token endpoint is one for all accounts, and has limits.
const AT_ONCE: usize = 8;

/// Arguments of `connection import`.
#[derive(Debug, Default, clap::Args)]
pub struct ImportArgs {
    /// Lines as `{"portal": 123, "refresh_token": "…", "name": "acme", "labels": {"region": "eu"}}`;
    /// name and labels may be left out. `-` reads standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The app whose grants they are, as added with `scopegate app add`.
    #[arg(long, value_name = "NAME")]
    pub app: String,
    /// Put another grant in the place of the one that is there.
    #[arg(long)]
    pub replace: bool,
    /// A label for all of them; a line's own label of the same key wins.
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<Label>,
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
    /// Why.
    #[command(flatten)]
    pub reason: ReasonArgs,
}

/// What became of one line.
struct Report {
    line: usize,
    name: Option<String>,
    portal: Option<u64>,
    result: &'static str,
    why: Option<String>,
    fine: bool,
}

pub(super) fn import(
    args: &ImportArgs,
    admin: &Admin,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> CommandResult {
    let by = provenance(&args.reason)?;
    let labels = Labels::new(args.labels.clone()).map_err(|error| CommandError::usage(error.to_string()))?;
    if admin.store.app(&args.app)?.is_none() {
        return Err(EnrolError::NoSuchApp(args.app.clone()).into());
    }
    let source: Box<dyn Read> = if args.file.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(secret_file::open(&args.file).map_err(|error| CommandError::usage(error.to_string()))?)
    };
    let lines = read_lines(&mut BufReader::new(source), &args.app, &labels)?;
    if lines.is_empty() {
        return Err(CommandError::usage("there is no line to import"));
    }
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut fine = true;
    let stopped = bring_all(lines, args, admin, &by, &mut |report| {
        *counts.entry(report.result).or_default() += 1;
        fine &= report.fine;
        let text = if args.json { json(report) } else { text(report) };
        print(out, &text)
    });
    let counted: Vec<String> = counts
        .iter()
        .map(|(result, count)| format!("{count} {result}"))
        .collect();
    // Nobody to tell if stderr is gone.
    let _ = writeln!(
        err,
        "{} lines: {}",
        counts.values().sum::<usize>(),
        counted.join(", ")
    );
    if ["added", "replaced", "unverified"]
        .iter()
        .any(|word| counts.contains_key(word))
    {
        admin.tell_followers(err);
    }
    stopped?;
    Ok(if fine { Exit::Fine } else { Exit::Findings })
}

/// Brings each line into the store and reports it, in the order of the file. What can be no better for
/// the next line ends it: an app that HubSpot does not know, a store that fails.
fn bring_all(
    lines: Vec<Line>,
    args: &ImportArgs,
    admin: &Admin,
    by: &Provenance,
    report: &mut dyn FnMut(&Report) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let (vault, client, endpoints) = (admin.vault()?, admin.client()?, admin.endpoints());
    let enrolment = Enrolment {
        store: &admin.store,
        vault: &vault,
        client: &client,
        endpoints: &endpoints,
    };
    let brought = stream::iter(lines).map(|line| bring(line, &enrolment, args.replace, by));
    let mut brought = brought.buffered(AT_ONCE).boxed_local();
    runtime()?.block_on(async {
        while let Some(done) = brought.next().await {
            report(&done?)?;
        }
        Ok(())
    })
}

async fn bring(
    line: Line,
    enrolment: &Enrolment<'_>,
    replace: bool,
    by: &Provenance,
) -> Result<Report, CommandError> {
    let wished = match line.wished {
        Ok(wished) => wished,
        Err(Mistake { portal, what }) => {
            return Ok(Report {
                line: line.number,
                name: None,
                portal,
                result: "mistake",
                why: Some(what),
                fine: false,
            });
        }
    };
    let outcome = enrolment.bring(&wished, replace, by).await;
    let (result, why, fine) = match outcome {
        Ok(Brought::Added(None)) => ("added", None, true),
        Ok(Brought::Added(Some(why))) => ("unverified", Some(why.to_owned()), true),
        Ok(Brought::Unchanged) => ("unchanged", None, true),
        Ok(Brought::Labelled) => ("labelled", None, true),
        Ok(Brought::Replaced(Standing::Ok)) => ("replaced", None, true),
        Ok(Brought::Replaced(standing)) => {
            let why = format!("it is `{}` as before", standing.as_str());
            ("replaced", Some(why), true)
        }
        Err(error) => {
            let result = word_of(&error).ok_or_else(|| fatal(error, line.number))?;
            (result.0, Some(result.1), false)
        }
    };
    let name = wished.name.as_ref().unwrap_or(&wished.default_name);
    Ok(Report {
        line: line.number,
        name: Some(name.to_string()),
        portal: Some(wished.portal.get()),
        result,
        why,
        fine,
    })
}

/// The word and the reason for a line that failed by itself; `None`: the next would fail, too.
fn word_of(error: &BringError) -> Option<(&'static str, String)> {
    let why = error.to_string();
    match error {
        BringError::OtherName(_) | BringError::OtherGrant(_) | BringError::Labels(_) => {
            Some(("mistake", why))
        }
        BringError::Enrol(error) => match error {
            EnrolError::WrongPortal { .. } => Some(("wrong_portal", why)),
            EnrolError::NotGood => Some(("dead", why)),
            EnrolError::Store(StoreError::NameTaken { .. } | StoreError::PortalTaken { .. })
            | EnrolError::OtherKind(_) => Some(("mistake", why)),
            EnrolError::NotTold(_) | EnrolError::Changed(_) | EnrolError::Vault(_) => Some(("failed", why)),
            EnrolError::WrongClient(_)
            | EnrolError::NoSuchApp(_)
            | EnrolError::NoRandomness
            | EnrolError::Store(_) => None,
        },
    }
}

/// What ends an import.
fn fatal(error: BringError, line: usize) -> CommandError {
    let mut error: CommandError = match error {
        BringError::Enrol(error) => error.into(),
        other => CommandError::findings(other.to_string()),
    };
    error.message = format!("stopped at line {line}: {}", error.message);
    error.hint("lines reported above are stored; run it again when this is repaired")
}

fn json(report: &Report) -> String {
    let line = serde_json::json!({
        "line": report.line,
        "name": report.name,
        "portal": report.portal,
        "result": report.result,
        "why": report.why,
    });
    format!("{line}\n")
}

fn text(report: &Report) -> String {
    let mut text = format!("line {}:", report.line);
    if let Some(name) = &report.name {
        text.push_str(&format!(" {name}"));
    }
    if let Some(portal) = report.portal {
        text.push_str(&format!(" portal {portal}"));
    }
    text.push_str(&format!(" {}", report.result));
    if let Some(why) = &report.why {
        text.push_str(&format!(": {why}"));
    }
    text.push('\n');
    text
}
