//! `scopegate policy suggest`: a draft policy from a list of calls.

mod calls;
mod draft;
mod names;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use self::calls::Call;
use self::draft::{Draft, Head, install_url};
use self::names::Named;
use super::write_json;
use crate::access::catalogue::Catalogue;
use crate::access::effect::Effect;
use crate::access::explain::{self, Asked, Explanation, Under, explain, is_own_question, usual_connection};
use crate::access::json::JudgedBody;
use crate::access::object_type::ObjectType;
use crate::access::policy::Policy;
use crate::access::policy_text::mistake::Mistake;
use crate::access::policy_text::read::is_integration_name;
use crate::cli::{CommandError, Exit};

/// Longest list of calls, in bytes.
const LIST_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Most rounds in which properties that a draft denies are added to it.
const ROUNDS_MAX: usize = 16;

/// `scopegate policy suggest --calls FILE`.
#[derive(Debug, clap::Args)]
pub struct SuggestArgs {
    /// A list of calls: `METHOD TARGET [JSON]` a line, an `.http` file, or a HAR 1.2 archive; `-` =
    /// standard input. After a comment `# optional` calls are optional, until `# required`.
    #[arg(long, value_name = "FILE")]
    calls: PathBuf,
    /// The integration's name.
    #[arg(long, default_value = "draft")]
    integration: String,
    /// Who answers for it.
    #[arg(long, default_value = "owner@example.com")]
    owner: String,
    /// Where it acts.
    #[arg(long, default_value = "main")]
    connection: String,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

/// A call that the draft does not open, and why: never the call itself, which may hold secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    at: usize,
    method: &'static str,
    operation: Option<String>,
    reason: String,
    cause: String,
}

/// A draft and what it could not take in.
#[derive(Debug)]
pub struct Suggestion {
    /// The policy's text.
    pub text: Option<String>,
    draft: Draft,
    left: Vec<Left>,
    /// Where calls stand that no rule is needed for, since the gate answers them itself.
    answered: Vec<usize>,
}

/// Reads the list.
pub fn read(args: &SuggestArgs) -> Result<Vec<Call>, CommandError> {
    let name = args.calls.display().to_string();
    let bytes = crate::cli::explain::read_input(&args.calls, LIST_BYTES_MAX)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| CommandError::usage(format!("`{name}` is not UTF-8")).hint("give a text file"))?;
    calls::parse(&name, &text).map_err(|why| {
        CommandError::usage(format!("`{name}` can't be read as a list of calls: {why}"))
            .hint("write `METHOD TARGET [JSON]` lines, an `.http` file or a HAR 1.2 archive")
    })
}

/// Drafts. 1 if a call is not opened by the draft.
pub fn run(
    args: &SuggestArgs,
    calls: &[Call],
    catalogue: &Catalogue,
    now: Timestamp,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> std::io::Result<Exit> {
    let head = Head {
        integration: args.integration.clone(),
        owner: args.owner.clone(),
        connection: args.connection.clone(),
        calls: calls.len(),
    };
    let suggestion = suggest(catalogue, calls, &head, now);
    if args.json {
        write_json(out, &suggestion.json(catalogue))?;
    } else {
        write!(out, "{}", suggestion.text.as_deref().unwrap_or_default())?;
        for left in &suggestion.left {
            let operation = left.operation.as_deref().unwrap_or("unknown operation");
            writeln!(
                err,
                "{}:{}: {} {operation}: {}: {}",
                args.calls.display(),
                left.at,
                left.method,
                left.reason,
                left.cause
            )?;
        }
        for at in &suggestion.answered {
            let file = args.calls.display();
            writeln!(
                err,
                "{file}:{at}: the gate answers this itself, and no rule is needed"
            )?;
        }
        writeln!(
            err,
            "{} calls, {} not opened by the draft",
            calls.len(),
            suggestion.left.len()
        )?;
    }
    Ok(match suggestion.left.is_empty() {
        true => Exit::Fine,
        false => Exit::Findings,
    })
}

impl SuggestArgs {
    /// What can't stand in a policy is a mistake here.
    pub fn check(&self) -> Result<(), CommandError> {
        let is_plain = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_graphic() && !b"#\"'[]{},:&*!|>%`".contains(&b))
        };
        match is_integration_name(&self.integration)
            && is_integration_name(&self.connection)
            && is_plain(&self.owner)
        {
            true => Ok(()),
            false => Err(CommandError::usage("a name can't stand in a policy")
                .hint("use 1 to 64 of a-z, 0-9 and `-` for names, and an e-mail address as owner")),
        }
    }
}

/// Drafts a policy, and asks the live path's own steps about each call under it.
pub fn suggest(catalogue: &Catalogue, calls: &[Call], head: &Head, now: Timestamp) -> Suggestion {
    let mut draft = Draft::default();
    let (mut left, mut answered) = (Vec::new(), Vec::new());
    let mut understood = Vec::new();
    for call in calls {
        let asked = asked(call);
        if is_own_question(&asked) {
            let explained = explain(catalogue, &asked, None);
            match explained.cause {
                Some(cause) => {
                    left.push(call.left(explained.operation, explain::ANSWERED_BY_THE_GATE, cause));
                }
                None => answered.push(call.at),
            }
            continue;
        }
        match explain::read(catalogue, &asked) {
            Ok(read) => {
                // Without a property rule few bodies decide, and yet they name properties.
                let of_call = || JudgedBody::parse(call.body.as_deref()?).ok();
                let body = read.body.or_else(of_call);
                let named = Named::by(read.target.query(), body.as_ref().map(JudgedBody::value));
                draft.add(&read.facts, named, call.optional);
                understood.push(call);
            }
            Err(refusal) => {
                let explained = explain(catalogue, &asked, None);
                left.push(call.left(explained.operation, refusal.reason.as_str(), refusal.cause));
            }
        }
    }
    let mut suggestion = Suggestion {
        text: None,
        draft,
        left,
        answered,
    };
    if !suggestion.draft.is_empty() {
        suggestion.verify(catalogue, &understood, head, now);
    }
    suggestion
}

impl Suggestion {
    /// Adds properties that the draft denies to its calls, and lists the calls it denies all the same.
    fn verify(&mut self, catalogue: &Catalogue, calls: &[&Call], head: &Head, now: Timestamp) {
        for _ in 0..ROUNDS_MAX {
            let text = self.draft.text(catalogue, head);
            self.text = Some(text.clone());
            let policy = match load(&text, &head.integration, catalogue, now) {
                Ok(policy) => policy,
                Err(mistakes) => {
                    self.left.extend(calls.iter().map(|call| {
                        let first = mistakes.first().map(|m| m.message.clone()).unwrap_or_default();
                        call.left(None, "policy_invalid", &first)
                    }));
                    return;
                }
            };
            let under = Under {
                policy: &policy,
                ceiling: None,
                connection: usual_connection(&policy),
                now,
            };
            let denied: Vec<(&Call, Explanation)> = calls
                .iter()
                .map(|call| (*call, explain(catalogue, &asked(call), Some(&under))))
                .filter(|(_, answer)| answer.decision != Some("allow"))
                .collect();
            let added = denied
                .iter()
                .filter(|(_, answer)| self.add_denied(catalogue, answer));
            if added.count() == 0 {
                self.left.extend(denied.into_iter().map(|(call, answer)| {
                    let cause = answer
                        .cause
                        .map(str::to_owned)
                        .or(answer.remedy)
                        .unwrap_or_default();
                    call.left(answer.operation, answer.reason.unwrap_or_default(), &cause)
                }));
                return;
            }
        }
    }

    /// Adds the properties that a call was denied for; whether there were any to add.
    fn add_denied(&mut self, catalogue: &Catalogue, answer: &Explanation) -> bool {
        let [object] = answer.object_types.as_slice() else {
            return false;
        };
        let Some(object): Option<ObjectType> = catalogue.object_type(object) else {
            return false;
        };
        let named = self.draft.properties.entry(object).or_default();
        let before = (named.read.len(), named.write.len());
        for lack in &answer.lacks {
            let Some(name) = lack.strip_prefix("property:") else {
                continue;
            };
            // A write looks records up by properties, too: what may be written is added to what may
            // be read only if that was not it.
            if answer.effect == Some(Effect::Read.as_str()) || named.write.contains(name) {
                named.reads(name);
            } else {
                named.writes(name);
            }
        }
        before != (named.read.len(), named.write.len())
    }

    fn json(&self, catalogue: &Catalogue) -> serde_json::Value {
        let scopes = self.draft.scopes(catalogue);
        let left = self.left.iter().map(|left| {
            json!({
                "at": left.at,
                "method": left.method,
                "operation": left.operation,
                "reason": left.reason,
                "cause": left.cause,
            })
        });
        json!({
            "policy": self.text,
            "required_scopes": scopes.required,
            "optional_scopes": scopes.optional,
            "install_url": install_url(&scopes),
            "not_opened": left.collect::<Vec<_>>(),
        })
    }
}

impl Call {
    fn left(&self, operation: Option<String>, reason: &str, cause: &str) -> Left {
        // What stands in the place of a method may be anything: only methods are repeated.
        let methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
        Left {
            at: self.at,
            method: methods.into_iter().find(|m| *m == self.method).unwrap_or("?"),
            operation,
            reason: reason.to_owned(),
            cause: cause.to_owned(),
        }
    }
}

fn asked(call: &Call) -> Asked<'_> {
    Asked {
        method: &call.method,
        target: &call.target,
        body: call.body.as_deref(),
        content_type: call.content_type.as_deref(),
    }
}

fn load(
    text: &str,
    integration: &str,
    catalogue: &Catalogue,
    now: Timestamp,
) -> Result<Policy, Vec<Mistake>> {
    let (file, text): (Arc<str>, Arc<str>) = ("draft".into(), text.into());
    Policy::load(&file, integration, &text, catalogue, now).map(|(policy, _)| policy)
}
