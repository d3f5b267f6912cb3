//! `scopegate policy test`: runs the cases beside the policies.

use std::io::Write;

use jiff::Timestamp;
use serde_json::json;

use super::folder::Folder;
use super::write_json;
use crate::access::catalogue::Catalogue;
use crate::access::policy::Policy;
use crate::access::policy_cases::{Case, Outcome, parse, run as run_case};
use crate::access::policy_set::{FileKind, PolicyFile};
use crate::cli::Exit;

/// What to run.
pub struct Options {
    /// Cases of this integration alone.
    pub integration: Option<String>,
    /// One JSON object a line.
    pub json: bool,
}

/// Runs cases: 0 when all hold, 1 when one does not or can't be run.
pub fn run(
    folder: &Folder,
    catalogue: &Catalogue,
    now: Timestamp,
    options: &Options,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> std::io::Result<Exit> {
    let (mut held, mut failed) = (0_usize, 0_usize);
    let mut tested = Vec::new();
    for file in &folder.files {
        let FileKind::Cases(stem) = file.kind() else {
            continue;
        };
        if options
            .integration
            .as_deref()
            .is_some_and(|wanted| wanted != stem)
        {
            continue;
        }
        tested.push(stem);
        let (cases, policy) = match (cases(folder, file, err)?, folder.policy(stem, now)) {
            (Some(cases), Ok(policy)) => (cases, policy),
            (_, Err(error)) => {
                writeln!(err, "{}: {}", file.path, error.message)?;
                failed += 1;
                continue;
            }
            (None, Ok(_)) => {
                failed += 1;
                continue;
            }
        };
        for case in &cases {
            let outcome = run_case(case, catalogue, policy, folder.set.ceiling(), now);
            match outcome.holds {
                true => held += 1,
                false => failed += 1,
            }
            report(file, policy, case, &outcome, options.json, out)?;
        }
    }
    for (name, _, loads) in folder.set.integrations() {
        let wanted = options
            .integration
            .as_deref()
            .is_none_or(|wanted| wanted == &**name);
        if wanted && !loads && !tested.contains(&&**name) {
            writeln!(
                err,
                "{name}: its policy does not load; see `scopegate policy check`"
            )?;
            failed += 1;
        }
    }
    if !options.json {
        let loaded = folder.set.integrations().filter(|(_, _, loads)| *loads);
        for (name, ..) in loaded {
            let wanted = options
                .integration
                .as_deref()
                .is_none_or(|wanted| wanted == &**name);
            if wanted && !tested.contains(&&**name) {
                writeln!(err, "{name} has no cases")?;
            }
        }
        writeln!(err, "{held} cases hold, {failed} do not")?;
    }
    Ok(match failed {
        0 => Exit::Fine,
        _ => Exit::Findings,
    })
}

fn cases(folder: &Folder, file: &PolicyFile, err: &mut dyn Write) -> std::io::Result<Option<Vec<Case>>> {
    let text = match &file.text {
        Ok(text) => text,
        Err(why) => {
            writeln!(err, "{}: {why}", file.path)?;
            return Ok(None);
        }
    };
    match parse(&file.path, text) {
        Ok(cases) => Ok(Some(cases)),
        Err(mistakes) => {
            let texts = folder.texts();
            for mistake in mistakes {
                let text = texts.get(&*file.path).copied().unwrap_or_default();
                writeln!(err, "{}\n", mistake.render(text, false))?;
            }
            Ok(None)
        }
    }
}

fn report(
    file: &PolicyFile,
    policy: &Policy,
    case: &Case,
    outcome: &Outcome,
    as_json: bool,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let found = &outcome.explanation;
    let decision = found.decision.unwrap_or("-");
    if as_json {
        let line = json!({
            "integration": &*policy.integration,
            "file": &*file.path,
            "line": case.span.line,
            "request": format!("{} {}", case.method, case.target),
            "expect": case.expect.as_str(),
            "holds": outcome.holds,
            "because": case.because,
            "explanation": found,
        });
        return write_json(out, &line);
    }
    let word = if outcome.holds { "holds" } else { "FAILS" };
    let why: Vec<&str> = found.reason.into_iter().chain(found.rule.as_deref()).collect();
    let why = match why.as_slice() {
        [] => String::new(),
        why => format!(" ({})", why.join(", ")),
    };
    writeln!(
        out,
        "{word}  {}  {} {}: {decision}{why}",
        policy.integration, case.method, case.target
    )?;
    if outcome.holds {
        return Ok(());
    }
    writeln!(
        out,
        "       expected {} at {}:{}{}",
        case.expect.as_str(),
        file.path,
        case.span.line,
        case.because
            .as_deref()
            .map(|b| format!(", because {b}"))
            .unwrap_or_default()
    )?;
    if let Some(remedy) = &found.remedy {
        writeln!(out, "       {remedy}")?;
    }
    Ok(())
}
