//! `scopegate explain`: what a request is, and what a policy says to it. Offline.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::policy::{Folder, written};
use super::{CommandError, CommandResult, Exit, Globals, catalogue};
use crate::access::catalogue::Catalogue;
use crate::access::explain::{Asked, Explanation, NeedSeen, Under, explain, usual_connection};
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
        CommandError::usage(errors.to_string().trim_start_matches("error: "))
            .hint("name the folder with `--policies DIR`")
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
    read_input(path, BODY_BYTES_MAX)
}

/// The bytes of a file or, for `-`, of standard input, within a bound.
pub(super) fn read_input(path: &Path, bytes_max: u64) -> Result<Vec<u8>, CommandError> {
    let mut bytes = Vec::new();
    let read = match path.to_str() {
        Some("-") => std::io::stdin()
            .lock()
            .take(bytes_max + 1)
            .read_to_end(&mut bytes),
        _ => std::fs::File::open(path).and_then(|f| f.take(bytes_max + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|error| CommandError::usage(format!("can't read `{}`: {error}", path.display())))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bytes_max {
        return Err(CommandError::usage(format!(
            "`{}` is longer than {bytes_max} bytes, the most that is read",
            path.display()
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

/// Everything that was looked at, then the decision, then the smallest change.
fn write_text(answer: &Explanation, out: &mut dyn Write) -> std::io::Result<()> {
    let mut line = |name: &str, value: &str| match value {
        "" => Ok(()),
        value => writeln!(out, "{name:<10} {value}"),
    };
    let seen = &answer.seen;
    line("operation", answer.operation.as_deref().unwrap_or("-"))?;
    line("template", answer.template.as_deref().unwrap_or_default())?;
    line("effect", answer.effect.unwrap_or_default())?;
    if seen.needs.is_empty() {
        line("objects", &answer.object_types.join(", "))?;
    }
    for (index, need) in seen.needs.iter().enumerate() {
        line(if index == 0 { "needs" } else { "and" }, &need_line(need))?;
    }
    line("concerns", &seen.concerns.join(", "))?;
    let batch = seen.batch.map(|records| format!("{records} records"));
    line("batch", batch.as_deref().unwrap_or_default())?;
    line("connection", seen.connection.as_deref().unwrap_or_default())?;
    line("decision", answer.decision.unwrap_or_default())?;
    if answer.observed {
        line(
            "",
            "passes only because the policy observes; recorded `would_deny`",
        )?;
    }
    line("reason", answer.reason.unwrap_or_default())?;
    line("cause", answer.cause.unwrap_or_default())?;
    line("in", seen.place.as_deref().unwrap_or_default())?;
    let rule = match (&answer.rule, &seen.rule_at) {
        (Some(rule), Some(at)) => format!("{rule} at {at}"),
        (rule, _) => rule.clone().unwrap_or_default(),
    };
    line("rule", &rule)?;
    for (index, sentence) in seen.properties.iter().enumerate() {
        line(if index == 0 { "properties" } else { "" }, sentence)?;
    }
    line("lacks", &answer.lacks.join(", "))?;
    line("remedy", answer.remedy.as_deref().unwrap_or_default())
}

/// `crm.objects.get read on contacts (crm.objects.contacts.read)`.
fn need_line(need: &NeedSeen) -> String {
    let mut words = vec![need.operation.clone(), need.effect.to_owned()];
    words.extend(
        need.raised_from
            .map(|effect| format!("(raised from {effect} by query or body)")),
    );
    if !need.risks.is_empty() {
        words.push(format!("with the risk {}", need.risks.join(", ")));
    }
    for (index, touch) in need.touches.iter().enumerate() {
        let between = if index == 0 { "on" } else { "and" };
        if !touch.on.is_empty() {
            words.push(format!("{between} {}", touch.on));
        }
        let scopes: Vec<String> = touch.scopes.iter().map(|term| term.join(" + ")).collect();
        words.push(match scopes.is_empty() {
            true => "(opened by no scope)".to_owned(),
            false => format!("({})", scopes.join(" or ")),
        });
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::policy_set::PolicyFile;

    const POLICY: &str = "integration: t
owner: t@example.com
connections: [acme, beta]
allow:
  - scope: crm.objects.contacts.read
    connections: [acme]
  - operation: crm.lists.memberships.add-and-remove
deny:
  - id: never
    effects: [irreversible]
";

    const PROPERTIES: &str = "properties:
  contacts: {read: [email, firstname]}
";

    fn explained(method: &str, target: &str, body: Option<&str>, connection: Option<&str>) -> String {
        explained_under(POLICY, method, target, body, connection)
    }

    fn explained_under(
        text: &str,
        method: &str,
        target: &str,
        body: Option<&str>,
        connection: Option<&str>,
    ) -> String {
        let catalogue = Catalogue::embedded().unwrap();
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        let file = PolicyFile {
            path: "policies/t.yaml".into(),
            inside: "t.yaml".to_owned(),
            text: Ok(text.into()),
        };
        let folder = Folder::build(vec![file], &catalogue, now);
        let policy = folder.policy("t", now).unwrap();
        let args = ExplainArgs {
            method: method.to_owned(),
            target: target.to_owned(),
            policies: None,
            integration: Some("t".to_owned()),
            connection: connection.map(str::to_owned),
            body: None,
            content_type: None,
            json: false,
        };
        let under = Under {
            policy,
            ceiling: None,
            connection: super::connection(&args, policy),
            now,
        };
        let mut out = Vec::new();
        write(&catalogue, &args, body.map(str::as_bytes), Some(&under), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_fact_the_rule_with_its_line_and_the_smallest_change_are_shown() {
        let shown: Vec<String> = [
            ("GET", "/crm/v3/objects/contacts/1?associations=deals", None, None),
            ("GET", "/crm/v3/objects/contacts/1", None, None),
            ("GET", "/crm/v3/objects/contacts/1", None, Some("beta")),
            ("GET", "/crm/v3/objects/contacts/1", None, Some("gamma")),
            (
                "DELETE",
                "/crm-object-schemas/v3/schemas/p_car?archived=true",
                None,
                None,
            ),
            (
                "PUT",
                "/crm/v3/lists/1/memberships/add-and-remove",
                Some(r#"{"recordIdsToAdd":["1"],"recordIdsToRemove":["2"]}"#),
                None,
            ),
            ("GET", "/files/v3/files/1/signed-url", None, None),
            ("GET", "/crm/v3/objects/unheard_of", None, None),
        ]
        .into_iter()
        .map(|(method, target, body, connection)| {
            format!(
                "{method} {target}\n{}",
                explained(method, target, body, connection)
            )
        })
        .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn what_becomes_of_properties_is_said_and_where_a_hidden_one_stands() {
        let text = format!("{POLICY}{PROPERTIES}");
        let hidden =
            r#"{"filterGroups":[{"filters":[{"propertyName":"phone","operator":"EQ","value":"1"}]}]}"#;
        let shown: Vec<String> = [
            ("GET", "/crm/v3/objects/contacts/1?properties=email,phone", None),
            (
                "POST",
                "/crm/v3/objects/contacts/search",
                Some(r#"{"properties":["phone","firstname"]}"#),
            ),
            ("POST", "/crm/v3/objects/contacts/search", Some(hidden)),
        ]
        .into_iter()
        .map(|(method, target, body)| {
            format!(
                "{method} {target}\n{}",
                explained_under(&text, method, target, body, None)
            )
        })
        .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }
}
