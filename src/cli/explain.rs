//! `scopegate explain`: what a request is, and what a policy says to it. Offline.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::policy::{Folder, written};
use super::{CommandError, CommandResult, Exit, Globals, catalogue};
use crate::access::catalogue::Catalogue;
use crate::access::explain::{Asked, Explanation, Under, explain, usual_connection};
use crate::access::policy::Policy;
use crate::access::policy::tables::ConnectionRef;
use crate::config;

/// Largest body that is judged: the request path's own bound.
const BODY_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// `scopegate explain METHOD TARGET`.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// GET, POST, PUT, PATCH or DELETE.
    pub method: String,
    /// Path and query, as a client sends them.
    pub target: String,
    /// Folder of policies; default: the configuration's.
    #[arg(long, requires = "integration")]
    pub policies: Option<PathBuf>,
    /// Whose policy decides; without it the request is only explained.
    #[arg(long)]
    pub integration: Option<String>,
    /// Connection the request goes to; default: the first the policy names.
    #[arg(long, requires = "integration")]
    pub connection: Option<String>,
    /// File with the body; `-` = standard input.
    #[arg(long)]
    pub body: Option<PathBuf>,
    /// The body's `Content-Type`.
    #[arg(long)]
    pub content_type: Option<String>,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Runs the command: 0 allowed or only explained, 1 denied or refused.
pub fn run(args: ExplainArgs, globals: &Globals) -> CommandResult {
    let catalogue = catalogue::configured(globals)?;
    let now = jiff::Timestamp::now();
    let folder = match &args.integration {
        Some(_) => Some(Folder::read(&policies(&args, globals)?, &catalogue, now)?),
        None => None,
    };
    let policy = match (&folder, &args.integration) {
        (Some(folder), Some(integration)) => Some(folder.policy(integration, now)?),
        _ => None,
    };
    let under = match (&folder, policy) {
        (Some(folder), Some(policy)) => Some(Under {
            policy,
            ceiling: folder.set.ceiling(),
            connection: connection(&args, policy),
            now,
        }),
        _ => None,
    };
    let body = args.body.as_deref().map(read_body).transpose()?;
    let mut out = std::io::stdout().lock();
    written(write(
        &catalogue,
        &args,
        body.as_deref(),
        under.as_ref(),
        &mut out,
    ))
}

fn policies(args: &ExplainArgs, globals: &Globals) -> Result<PathBuf, CommandError> {
    if let Some(dir) = &args.policies {
        return Ok(dir.clone());
    }
    let loaded = config::load(globals.config.as_deref(), config::Overrides::default()).map_err(|errors| {
        CommandError::usage(errors.to_string()).hint("name the folder with `--policies DIR`")
    })?;
    Ok(loaded.config.policies)
}

/// The connection named, or the policy's first. What app a name belongs to, only the store knows.
fn connection<'a>(args: &'a ExplainArgs, policy: &'a Policy) -> ConnectionRef<'a> {
    match &args.connection {
        Some(name) => ConnectionRef { name, app: None },
        None => usual_connection(policy),
    }
}

fn read_body(path: &Path) -> Result<Vec<u8>, CommandError> {
    let mut bytes = Vec::new();
    let read = match path.to_str() {
        Some("-") => std::io::stdin()
            .lock()
            .take(BODY_BYTES_MAX + 1)
            .read_to_end(&mut bytes),
        _ => std::fs::File::open(path).and_then(|f| f.take(BODY_BYTES_MAX + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|error| CommandError::usage(format!("can't read the body `{}`: {error}", path.display())))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > BODY_BYTES_MAX {
        return Err(CommandError::usage(format!(
            "the body is longer than {BODY_BYTES_MAX} bytes, the most that is judged"
        )));
    }
    Ok(bytes)
}

fn write(
    catalogue: &Catalogue,
    args: &ExplainArgs,
    body: Option<&[u8]>,
    under: Option<&Under<'_>>,
    out: &mut dyn Write,
) -> std::io::Result<Exit> {
    let asked = Asked {
        method: &args.method,
        target: &args.target,
        body,
        content_type: args.content_type.as_deref(),
    };
    let answer = explain(catalogue, &asked, under);
    if args.json {
        let line = serde_json::to_string(&answer).map_err(std::io::Error::other)?;
        writeln!(out, "{line}")?;
    } else {
        write_text(&answer, out)?;
    }
    Ok(match answer.decision {
        None | Some("allow") => Exit::Fine,
        Some(_) => Exit::Findings,
    })
}

fn write_text(answer: &Explanation, out: &mut dyn Write) -> std::io::Result<()> {
    let mut line = |name: &str, value: &str| match value {
        "" => Ok(()),
        value => writeln!(out, "{name:<10} {value}"),
    };
    line("operation", answer.operation.as_deref().unwrap_or("-"))?;
    line("template", answer.template.as_deref().unwrap_or_default())?;
    line("effect", answer.effect.unwrap_or_default())?;
    line("objects", &answer.object_types.join(", "))?;
    line("scopes", &answer.scopes.join(", "))?;
    line("decision", answer.decision.unwrap_or_default())?;
    if answer.observed {
        line(
            "",
            "passes only because the policy observes; recorded `would_deny`",
        )?;
    }
    line("reason", answer.reason.unwrap_or_default())?;
    line("cause", answer.cause.unwrap_or_default())?;
    line("rule", answer.rule.as_deref().unwrap_or_default())?;
    line("lacks", &answer.lacks.join(", "))?;
    line("remedy", answer.remedy.as_deref().unwrap_or_default())
}
