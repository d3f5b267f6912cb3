//! `scopegate catalogue`: HubSpot's operations as the gate knows them. Offline, no policy.

use std::io::Write;
use std::path::Path;

use serde_json::json;

use super::{CommandError, CommandResult, Exit, Globals};
use crate::access::catalogue::{BodyNeed, Catalogue, Operation, Recognised, Takes};
use crate::access::facts::Touch;
use crate::access::refusal::Refusal;
use crate::access::target::Target;
use crate::catalogue_file;
use crate::config;

/// `scopegate catalogue …`.
#[derive(Debug, clap::Subcommand)]
pub enum CatalogueCommand {
    /// What a request is, whatever its spelling: operation, effect, object types, least scopes.
    Lookup {
        /// GET, POST, PUT, PATCH or DELETE.
        method: String,
        /// Path and query, as a client sends them.
        target: String,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Every operation with its id, effect and what it takes.
    List {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command: 0 known or listed, 1 refused as unknown or ambiguous.
pub fn run(command: CatalogueCommand, globals: &Globals) -> CommandResult {
    let catalogue = configured(globals)?;
    let mut out = std::io::stdout().lock();
    let outcome = match command {
        CatalogueCommand::Lookup { method, target, json } => {
            lookup(&catalogue, &method, &target, json, &mut out)
        }
        CatalogueCommand::List { json } => list(&catalogue, json, &mut out),
    };
    match outcome {
        // Whoever reads has enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Fine),
        Err(error) => Err(CommandError::internal(format!("can't write to stdout: {error}"))),
        Ok(exit) => Ok(exit),
    }
}

/// The catalogue with the additions of the configuration, if there is a configuration; offline
/// commands work without one.
pub fn configured(globals: &Globals) -> Result<Catalogue, CommandError> {
    let usual = ["scopegate.yaml", "/etc/scopegate/scopegate.yaml"];
    let is_configured = globals.config.is_some()
        || std::env::var_os("SCOPEGATE_CONFIG").is_some()
        || usual.iter().any(|path| Path::new(path).exists());
    let settings = if is_configured {
        config::load(globals.config.as_deref(), config::Overrides::default())
            .map_err(|errors| CommandError::usage(errors.to_string().trim_start_matches("error: ")))?
            .config
            .catalogue
    } else {
        config::CatalogueSettings::default()
    };
    catalogue_file::read(&settings).map_err(|error| {
        CommandError::usage(error.to_string())
            .hint("`catalogue.extra` may add operations and raise effect or scopes of known ones")
    })
}

fn lookup(
    catalogue: &Catalogue,
    method: &str,
    target: &str,
    as_json: bool,
    out: &mut dyn Write,
) -> std::io::Result<Exit> {
    let found = Target::parse(method, target).and_then(|target| Ok((catalogue.recognise(&target)?, target)));
    match found {
        Ok((recognised, target)) => {
            write_found(catalogue, &recognised, &target, as_json, out)?;
            Ok(Exit::Fine)
        }
        Err(refusal) => {
            write_refusal(&refusal, as_json, out)?;
            Ok(Exit::Findings)
        }
    }
}

fn write_found(
    catalogue: &Catalogue,
    recognised: &Recognised,
    target: &Target,
    as_json: bool,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let (Some(row), Some(operation)) = (
        catalogue.row(recognised.row),
        catalogue.operation(recognised.operation),
    ) else {
        return Err(std::io::Error::other("the catalogue lacks a row it found"));
    };
    let types: Vec<&str> = recognised
        .types
        .iter()
        .map(|t| catalogue.object_name(t))
        .collect();
    let touches = catalogue.row_touches(row, &recognised.types);
    let scopes: Vec<String> = touches.iter().map(|touch| scopes_of(catalogue, touch)).collect();
    let needed: Vec<&str> = least_scopes(catalogue, &touches);
    let risks: Vec<&str> = row.risks.names().collect();
    let judges = recognised.body_need() != BodyNeed::None;
    if as_json {
        let line = json!({
            "operation": &*operation.id,
            "template": &*row.template,
            "canonical": target.path_and_query(),
            "effect": row.effect.as_str(),
            "object_types": types,
            "scopes": needed,
            "requirement": scopes,
            "risks": risks,
            "judges_body": judges,
            "unjudged": row.is_unjudged(),
        });
        return writeln!(out, "{line}");
    }
    writeln!(out, "operation  {}", operation.id)?;
    writeln!(out, "template   {} {}", row.method.as_str(), row.template)?;
    writeln!(out, "effect     {}", row.effect.as_str())?;
    writeln!(out, "objects    {}", or_dash(&types.join(", ")))?;
    writeln!(out, "scopes     {}", scopes.join("  and  "))?;
    writeln!(out, "risks      {}", or_dash(&risks.join(", ")))?;
    if row.is_unjudged() {
        writeln!(
            out,
            "note       what it touches stands in the body: refused, even if a rule names it"
        )?;
    } else if judges {
        writeln!(out, "note       the body decides, too")?;
    }
    Ok(())
}

fn write_refusal(refusal: &Refusal, as_json: bool, out: &mut dyn Write) -> std::io::Result<()> {
    if as_json {
        let line = json!({
            "operation": null,
            "reason": refusal.reason.as_str(),
            "cause": refusal.cause,
            "remedy": refusal.remedy,
        });
        return writeln!(out, "{line}");
    }
    writeln!(out, "refused    {}", refusal.reason.as_str())?;
    writeln!(out, "cause      {}", refusal.cause)?;
    writeln!(out, "remedy     {}", refusal.remedy)
}

fn list(catalogue: &Catalogue, as_json: bool, out: &mut dyn Write) -> std::io::Result<Exit> {
    for (_, operation) in catalogue.operations() {
        if as_json {
            writeln!(out, "{}", operation_json(catalogue, operation))?;
        } else {
            let risks: Vec<&str> = operation.risks.names().collect();
            let line = format!(
                "{:<66} {:<12} {:<5} {}",
                operation.id,
                operation.effect.as_str(),
                takes(operation.takes),
                risks.join(",")
            );
            writeln!(out, "{}", line.trim_end())?;
        }
    }
    Ok(Exit::Fine)
}

fn operation_json(catalogue: &Catalogue, operation: &Operation) -> serde_json::Value {
    let rows = operation.rows.iter().filter_map(|index| catalogue.row(*index));
    let templates: Vec<String> = rows
        .map(|row| format!("{} {}", row.method.as_str(), row.template))
        .collect();
    let only: Option<Vec<&str>> = operation
        .only
        .as_ref()
        .map(|types| types.iter().map(|object| catalogue.object_name(object)).collect());
    json!({
        "operation": &*operation.id,
        "former_ids": operation.former_ids.iter().map(|id| &**id).collect::<Vec<_>>(),
        "effect": operation.effect.as_str(),
        "takes": takes(operation.takes),
        "only": only,
        "risks": operation.risks.names().collect::<Vec<_>>(),
        "unjudged": operation.unjudged,
        "templates": templates,
    })
}

fn takes(takes: Takes) -> &'static str {
    match takes {
        Takes::Nothing => "-",
        Takes::One => "type",
        Takes::Pair => "pair",
    }
}

/// `a+b|c`: any of the terms, every scope of the term.
fn scopes_of(catalogue: &Catalogue, touch: &Touch) -> String {
    let terms = touch
        .requirement
        .iter()
        .map(|term| catalogue.scope_names(term).join("+"));
    let text = terms.collect::<Vec<_>>().join("|");
    match text.is_empty() {
        true => "none known: name the operation".to_owned(),
        false => text,
    }
}

/// All scopes needed, by the first alternative of each touch; each once.
fn least_scopes<'c>(catalogue: &'c Catalogue, touches: &[Touch]) -> Vec<&'c str> {
    let mut names: Vec<&str> = Vec::new();
    for term in touches.iter().filter_map(|touch| touch.requirement.first()) {
        for name in catalogue.scope_names(term) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(method: &str, target: &str, as_json: bool) -> (String, Exit) {
        let catalogue = Catalogue::embedded().unwrap();
        let mut out = Vec::new();
        let exit = lookup(&catalogue, method, target, as_json, &mut out).unwrap();
        (String::from_utf8(out).unwrap(), exit)
    }

    #[test]
    fn a_lookup_says_what_the_request_is_in_words() {
        let (text, exit) = shown(
            "PUT",
            "/crm/v4/objects/0-1/5/associations/default/company/6",
            false,
        );
        assert_eq!(exit, Exit::Fine);
        insta::assert_snapshot!(text, @r"
        operation  crm.associations.create
        template   PUT /crm/v4/objects/{fromObjectType}/{fromObjectId}/associations/default/{toObjectType}/{toObjectId}
        effect     write
        objects    contacts, companies
        scopes     crm.objects.contacts.write  and  crm.objects.companies.write
        risks      -
        ");
    }

    #[test]
    fn a_lookup_says_the_same_to_machines() {
        let (text, _) = shown("get", "/", true);
        assert!(text.contains("\"reason\":\"refused_method\""), "{text}");
        let (text, exit) = shown("GET", "/crm/objects/v3/0-49/a%40x.io?limit=1", true);
        assert_eq!(exit, Exit::Fine);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["operation"], "crm.objects.get");
        assert_eq!(line["canonical"], "/crm/objects/v3/0-49/a%40x.io?limit=1");
        assert_eq!(line["object_types"], json!(["emails"]));
        assert_eq!(
            line["scopes"],
            json!(["crm.objects.contacts.read", "sales-email-read"])
        );
        assert_eq!(line["effect"], "read");
    }

    #[test]
    fn what_is_unknown_exits_with_one_and_says_what_to_do() {
        let (text, exit) = shown("GET", "/crm/v9/objects/contacts", false);
        assert_eq!(exit, Exit::Findings);
        assert!(
            text.contains("unknown_version") && text.contains("catalogue.versions"),
            "{text}"
        );
    }

    #[test]
    fn the_list_has_one_line_an_operation() {
        let catalogue = Catalogue::embedded().unwrap();
        let mut out = Vec::new();
        list(&catalogue, true, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), catalogue.operations().count());
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(
                line["templates"]
                    .as_array()
                    .is_some_and(|templates| !templates.is_empty())
            );
        }
        let mut out = Vec::new();
        list(&catalogue, false, &mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().lines().any(|line| {
            line.split_whitespace().collect::<Vec<_>>() == ["crm.objects.merge", "irreversible", "type"]
        }));
    }
}
