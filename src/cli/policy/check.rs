//! `scopegate policy check`: every mistake at once, findings, and what each rule opens.

use std::io::Write;

use jiff::Timestamp;
use serde_json::json;

use super::folder::Folder;
use super::write_json;
use crate::access::catalogue::Catalogue;
use crate::access::decide::bounds;
use crate::access::fields::OnExtra;
use crate::access::limits::Limits;
use crate::access::policy::Policy;
use crate::access::policy::lint::{lint, silence};
use crate::access::policy::opens::{Opened, object_label, opened_by, types_of};
use crate::access::policy_cases;
use crate::access::policy_set::{FileKind, PolicyState};
use crate::access::policy_text::mistake::{Mistake, Severity, Span, code};
use crate::access::survey::idle::idle;
use crate::cli::Exit;
use crate::reports::granted;
use crate::reports::opened::{by_row, ids, risks, short};

/// How to check.
pub struct Options {
    /// Findings fail, too.
    pub deny_warnings: bool,
    /// One JSON object a line.
    pub json: bool,
    /// Whether mistakes are shown in colour.
    pub colour: bool,
}

/// Checks a folder. What rules open goes to `out`, mistakes and findings to `err`; with `json` all
/// goes to `out`.
pub fn run(
    folder: &Folder,
    catalogue: &Catalogue,
    now: Timestamp,
    options: &Options,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> std::io::Result<Exit> {
    let findings = findings(folder, catalogue, now);
    for (_, policy, _) in folder.set.integrations() {
        if let Some(policy) = policy {
            match options.json {
                true => opens_json(policy, catalogue, out)?,
                false => opens(policy, catalogue, out)?,
            }
        }
    }
    let texts = folder.texts();
    for finding in &findings {
        if options.json {
            write_json(out, &as_json(finding))?;
        } else {
            let text = texts.get(&*finding.file).copied().unwrap_or_default();
            writeln!(err, "{}\n", finding.render(text, options.colour))?;
        }
    }
    let errors = findings.iter().filter(|f| f.is_error()).count();
    let warnings = findings.len() - errors;
    if !options.json {
        let policies = folder.set.integrations().filter(|(_, _, loads)| *loads).count();
        writeln!(
            err,
            "{policies} policies load, {errors} mistakes, {warnings} findings"
        )?;
    }
    Ok(match errors > 0 || (options.deny_warnings && warnings > 0) {
        true => Exit::Findings,
        false => Exit::Fine,
    })
}

/// Mistakes of reading, lints, mistakes in cases; what a comment silences taken out. In the order
/// of files and lines.
fn findings(folder: &Folder, catalogue: &Catalogue, now: Timestamp) -> Vec<Mistake> {
    let mut all: Vec<Mistake> = folder.mistakes.clone();
    all.extend(folder.set.beyond_ceiling(catalogue, now));
    for (_, policy, _) in folder.set.integrations() {
        if let Some(policy) = policy {
            all.extend(lint(policy, catalogue, now));
            all.extend(idle(policy, catalogue));
        }
    }
    for file in &folder.files {
        let (FileKind::Cases(stem), Ok(text)) = (file.kind(), &file.text) else {
            continue;
        };
        if let Err(mistakes) = policy_cases::parse(&file.path, text) {
            all.extend(mistakes);
        }
        if matches!(folder.set.policy(stem, now), PolicyState::Missing) {
            all.push(
                Mistake::warning(
                    code::LINT_ORPHAN_CASES,
                    Span::start(),
                    format!("there is no policy `{stem}` for these cases"),
                )
                .help("name the file like its policy: `NAME.cases.yaml` beside `NAME.yaml`")
                .in_file(&file.path),
            );
        }
    }
    let mut kept = Vec::new();
    for file in &folder.files {
        let of_file: Vec<Mistake> = all.iter().filter(|m| m.file == file.path).cloned().collect();
        match (&file.text, file.kind()) {
            (Ok(text), FileKind::Policy(_) | FileKind::Ceiling) => {
                kept.extend(silence(text, of_file, &file.path));
            }
            _ => kept.extend(of_file),
        }
    }
    kept.sort_by(|a, b| (&a.file, a.span.line, a.span.column).cmp(&(&b.file, b.span.line, b.span.column)));
    kept
}

/// Prints what each rule of a policy opens.
fn opens(policy: &Policy, catalogue: &Catalogue, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{}  {}", policy.integration, policy.file)?;
    let opened = opened_by(&policy.allow, &policy.deny, catalogue);
    for (index, rule) in policy.allow.iter().enumerate() {
        writeln!(out, "  {}", rule.id)?;
        let of_rule = opened.iter().filter(|o| o.rules.contains(&index));
        for ((row, effect), found) in by_row(catalogue, of_rule) {
            let ids = ids(catalogue, &found);
            writeln!(out, "    {:<13} {}: {}", effect.as_str(), row.name, short(&ids))?;
        }
    }
    properties(policy, &opened, catalogue, out)?;
    if policy.limits != Limits::default() {
        writeln!(out, "  limits: {}", policy.limits)?;
    }
    writeln!(out)
}

/// What of the types opened may be read and written.
fn properties(
    policy: &Policy,
    opened: &[Opened],
    catalogue: &Catalogue,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let types = types_of(opened);
    if types.is_empty() {
        return Ok(());
    }
    let Some(block) = &policy.properties else {
        return writeln!(out, "  properties: every property of these types");
    };
    let extra = match block.on_extra {
        OnExtra::Strip => "a read that names another leaves it out",
        OnExtra::Deny => "a read that names another is denied",
    };
    writeln!(out, "  properties ({extra})")?;
    let bounds = bounds(policy, None);
    for object in types {
        let name = object_label(catalogue, object);
        writeln!(out, "    {name:<13} {}", granted::words(&bounds.view(object)))?;
    }
    Ok(())
}

fn opens_json(policy: &Policy, catalogue: &Catalogue, out: &mut dyn Write) -> std::io::Result<()> {
    let opened = opened_by(&policy.allow, &policy.deny, catalogue);
    for (index, rule) in policy.allow.iter().enumerate() {
        let of_rule = opened.iter().filter(|o| o.rules.contains(&index));
        for ((row, effect), found) in by_row(catalogue, of_rule) {
            let line = json!({
                "kind": "opens",
                "integration": &*policy.integration,
                "rule": &*rule.id,
                "effect": effect.as_str(),
                "on": row.name,
                "operations": ids(catalogue, &found),
                "risks": risks(&found),
            });
            write_json(out, &line)?;
        }
    }
    let bounds = bounds(policy, None);
    for object in types_of(&opened) {
        let line = json!({
            "kind": "properties",
            "integration": &*policy.integration,
            "on": object_label(catalogue, object),
            "properties": granted::as_json(&bounds.view(object)),
            "on_extra_property": bounds.on_extra().as_str(),
        });
        write_json(out, &line)?;
    }
    Ok(())
}

fn as_json(finding: &Mistake) -> serde_json::Value {
    json!({
        "kind": match finding.severity { Severity::Error => "error", Severity::Warning => "warning" },
        "code": finding.code,
        "file": &*finding.file,
        "line": finding.span.line,
        "column": finding.span.column,
        "message": finding.message,
        "help": finding.help,
    })
}
