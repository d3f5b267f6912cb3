//! What a reviewer should look at although the policy loads, and how to silence it with a reason.

mod limits;
mod properties;

use jiff::Timestamp;

use super::Policy;
use super::opens::{Opened, opened_by};
use super::rule::{AllowRule, Opens};
use crate::access::catalogue::Catalogue;
use crate::access::effect::Effect;
use crate::access::facts::Risks;
use crate::access::policy_text::mistake::{Mistake, Span, code};
use crate::access::policy_text::written::Selector;

/// The words a silencing comment begins with: `# scopegate: ignore SG141: reason`.
const SILENCE: &str = "# scopegate: ignore ";

/// Warnings about a policy that loads, in the order of the file. What `opened` says comes from
/// [`opened_by`] without denials.
pub fn lint(policy: &Policy, catalogue: &Catalogue, now: Timestamp) -> Vec<Mistake> {
    let mut findings = Vec::new();
    dates(policy, now, &mut findings);
    if !policy
        .text
        .lines()
        .next()
        .unwrap_or_default()
        .contains("yaml-language-server:")
    {
        findings.push(
            Mistake::warning(
                code::LINT_NO_SCHEMA_COMMENT,
                Span::start(),
                "the first line does not name the schema, so editors can't help",
            )
            .help("begin with `# yaml-language-server: $schema=./policy.schema.json`"),
        );
    }
    if policy.connections.contains(&Selector::All) {
        findings.push(
            Mistake::warning(
                code::LINT_ALL_CONNECTIONS,
                key_span(&policy.text, "connections"),
                "this policy holds for every connection, those of tomorrow too",
            )
            .help("name the connections, or an app"),
        );
    }
    let before = opened_by(&policy.allow, &[], catalogue);
    let after = opened_by(&policy.allow, &policy.deny, catalogue);
    for (index, rule) in policy.allow.iter().enumerate() {
        rule_findings(rule, index, &before, &after, catalogue, &mut findings);
    }
    properties::findings(policy, &after, catalogue, &mut findings);
    limits::findings(policy, &after, catalogue, &mut findings);
    findings.sort_by_key(|finding| (finding.span.line, finding.span.column));
    findings.into_iter().map(|f| f.in_file(&policy.file)).collect()
}

fn rule_findings(
    rule: &AllowRule,
    index: usize,
    before: &[Opened],
    after: &[Opened],
    catalogue: &Catalogue,
    findings: &mut Vec<Mistake>,
) {
    let mut warn = |code, message: String, help: &str| {
        findings.push(Mistake::warning(code, rule.span.clone(), message).help(help));
    };
    let of = |all: &[Opened]| all.iter().filter(|o| o.rules.contains(&index)).count();
    if rule.objects().iter().any(|objects| objects.all) {
        warn(
            code::LINT_ALL_OBJECTS,
            format!("`{}` opens every object type, those of tomorrow too", rule.id),
            "name the types",
        );
    }
    if of(before) == 0 {
        warn(
            code::LINT_OPENS_NOTHING,
            format!("`{}` opens nothing", rule.id),
            "check its `effects`, `objects` and `risks`, or remove it",
        );
    } else if of(after) == 0 {
        warn(
            code::LINT_SHADOWED,
            format!("`{}` opens only what `deny` takes back", rule.id),
            "remove it, or narrow the `deny` rule",
        );
    }
    let unnamed = unnamed_risks(rule, catalogue);
    if !unnamed.is_empty() {
        let names: Vec<&str> = unnamed.names().collect();
        warn(
            code::LINT_UNNAMED_RISK,
            format!(
                "`{}` names operations with the risk {}",
                rule.id,
                names.join(", ")
            ),
            "name it in `risks`, so that a reader of the policy sees it",
        );
    }
    let destroys = before
        .iter()
        .filter(|o| o.rules.contains(&index))
        .any(|o| matches!(o.opening.effect, Effect::Delete | Effect::Irreversible));
    if destroys && rule.reason.is_none() {
        warn(
            code::LINT_DESTRUCTIVE_WITHOUT_REASON,
            format!("`{}` opens deletion and has no `reason`", rule.id),
            "say in `reason` why it is needed",
        );
    }
}

/// Risks of the operations a rule names without saying so.
fn unnamed_risks(rule: &AllowRule, catalogue: &Catalogue) -> Risks {
    match &rule.opens {
        Opens::Operations {
            grants, risks: None, ..
        } => grants
            .iter()
            .filter_map(|grant| catalogue.operation(grant.operation))
            .fold(Risks::default(), |all, operation| all.union(operation.risks)),
        _ => Risks::default(),
    }
}

fn dates(policy: &Policy, now: Timestamp, findings: &mut Vec<Mistake>) {
    let mut warn = |code, key: &str, message: &str, help: &str| {
        let span = key_span(&policy.text, key);
        findings.push(Mistake::warning(code, span, message).help(help));
    };
    if policy.is_review_overdue(now) {
        warn(
            code::LINT_REVIEW_OVERDUE,
            "review_by",
            "the day of review has passed",
            "review the policy and set a later day",
        );
    }
    if policy.is_expired(now) {
        warn(
            code::LINT_EXPIRED,
            "expires",
            "this policy has expired: everything is denied",
            "review it and set a later day, or remove it",
        );
    }
    if policy.observe.as_ref().is_some_and(|observe| !observe.is_on(now)) {
        warn(
            code::LINT_OBSERVE_ENDED,
            "observe",
            "observing has ended",
            "remove `observe`, and allow by rules what is needed",
        );
    }
}

/// The place of a top-level key, for findings about a value that reading has turned into another.
pub fn key_span(text: &str, key: &str) -> Span {
    let mut start = 0;
    for (line, content) in (1_u32..).zip(text.split_inclusive('\n')) {
        let is_key = content
            .strip_prefix(key)
            .is_some_and(|rest| rest.trim_start().starts_with(':'));
        if is_key {
            return Span {
                line,
                column: 1,
                bytes: start..start + key.len(),
            };
        }
        start += content.len();
    }
    Span::start()
}

/// Takes out the warnings that a comment silences: on the same line or the one above, for the
/// file as a whole in the comments it begins with. Adds mistakes of the comments themselves.
///
/// Errors can't be silenced.
pub fn silence(text: &str, findings: Vec<Mistake>, file: &std::sync::Arc<str>) -> Vec<Mistake> {
    let mut comments = comments(text);
    let head = text.lines().take_while(|line| line.starts_with('#')).count();
    let mut kept = Vec::new();
    // A file that does not load is not looked through for findings: no comment is idle for that.
    let is_broken = findings.iter().any(Mistake::is_error);
    for finding in findings {
        let line = usize::try_from(finding.span.line).unwrap_or(usize::MAX);
        let comment = comments.iter_mut().find(|comment| {
            let near = comment.line == line || comment.line + 1 == line;
            comment.code == finding.code && (near || (line == 1 && comment.line <= head))
        });
        match comment {
            Some(comment) if !finding.is_error() && comment.has_reason && comment.is_exact => {
                comment.used = true;
            }
            _ => kept.push(finding),
        }
    }
    for comment in comments {
        let mistake = match comment {
            Comment { is_exact: false, .. } => Mistake::warning(
                code::LINT_MISWRITTEN_SILENCE,
                comment.span,
                "this comment silences nothing: it is not written as a silencing comment is",
            )
            .help("write `# scopegate: ignore SG141: why it is right here`"),
            Comment {
                has_reason: false, ..
            } => Mistake::warning(
                code::SILENCE_WITHOUT_REASON,
                comment.span,
                "a silencing comment needs a reason",
            )
            .help("write `# scopegate: ignore SG141: why it is right here`"),
            Comment { used: false, .. } if !is_broken => Mistake::warning(
                code::LINT_IDLE_SILENCE,
                comment.span,
                format!("nothing here is found that `{}` would silence", comment.code),
            )
            .help("remove the comment, or put it above the line it is about"),
            _ => continue,
        };
        kept.push(mistake.in_file(file));
    }
    kept
}

struct Comment {
    line: usize,
    span: Span,
    code: String,
    has_reason: bool,
    /// Whether it has the form of a silencing comment; if not it only looks like one.
    is_exact: bool,
    used: bool,
}

/// Where a comment begins that silences or is meant to: `scopegate` and `ignore` or a code, in
/// whatever spelling, after a `#`.
fn silencing_at(line: &str) -> Option<(usize, bool)> {
    if let Some(at) = line.find(SILENCE) {
        return Some((at, true));
    }
    let at = line.match_indices('#').map(|(at, _)| at).find(|at| {
        let comment = line.get(at + 1..).unwrap_or_default().to_ascii_lowercase();
        let rest = comment
            .trim_start_matches(['#', ' ', '\t'])
            .strip_prefix("scopegate");
        let words = rest.map(|rest| rest.trim_start_matches([' ', '\t', ':', '-', ',']));
        words.is_some_and(|words| {
            words.starts_with("ignore") || words.starts_with("allow") || words.starts_with("sg1")
        })
    })?;
    Some((at, false))
}

fn comments(text: &str) -> Vec<Comment> {
    let mut comments = Vec::new();
    let mut start = 0;
    for (line, content) in (1_u32..).zip(text.split_inclusive('\n')) {
        if let Some((at, is_exact)) = silencing_at(content) {
            let words = content.get(at + SILENCE.len()..).unwrap_or_default().trim();
            let (code, reason) = words.split_once(':').unwrap_or((words, ""));
            comments.push(Comment {
                line: usize::try_from(line).unwrap_or(usize::MAX),
                span: Span {
                    line,
                    column: u32::try_from(content.get(..at).map_or(0, |c| c.chars().count())).unwrap_or(0)
                        + 1,
                    bytes: start + at..start + content.trim_end().len(),
                },
                code: code.trim().to_owned(),
                has_reason: !reason.trim().is_empty(),
                is_exact,
                used: false,
            });
        }
        start += content.len();
    }
    comments
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn found(rest: &str) -> Vec<(&'static str, u32)> {
        let catalogue = Catalogue::embedded().unwrap();
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let text: Arc<str> = format!(
            "# yaml-language-server: $schema=x\nintegration: t\nowner: t\n{rest}properties: {{\"*\": all}}\n"
        )
        .into();
        let file = Arc::from("t.yaml");
        let (policy, mut warnings) = Policy::load(&file, "t", &text, &catalogue, now).unwrap();
        warnings.extend(lint(&policy, &catalogue, now));
        silence(&text, warnings, &file)
            .into_iter()
            .map(|f| (f.code, f.span.line))
            .collect()
    }

    #[test]
    fn each_lint_finds_its_case_at_its_line() {
        for (rest, code, line) in [
            ("connections: \"*\"\n", code::LINT_ALL_CONNECTIONS, 4),
            ("connections: [a]\nexpires: 2026-01-01\n", code::LINT_EXPIRED, 5),
            (
                "connections: [a]\nreview_by: 2026-01-01\n",
                code::LINT_REVIEW_OVERDUE,
                5,
            ),
            (
                "connections: [a]\nobserve: {until: 2026-01-01, effects: [read]}\n",
                code::LINT_OBSERVE_ENDED,
                5,
            ),
            (
                "connections: [a]\nallow:\n  - operation: crm.objects.get\n    objects: [\"*\"]\n",
                code::LINT_ALL_OBJECTS,
                6,
            ),
            (
                "connections: [a]\nallow:\n  - operation: crm.objects.archive\n    objects: [deals]\n",
                code::LINT_DESTRUCTIVE_WITHOUT_REASON,
                6,
            ),
            (
                "connections: [a]\nallow:\n  - scope: crm.objects.contacts.read\n    effects: [delete]\n",
                code::LINT_OPENS_NOTHING,
                6,
            ),
            (
                "connections: [a]\nallow:\n  - scope: crm.objects.contacts.read\ndeny:\n  - effects: [read]\n",
                code::LINT_SHADOWED,
                6,
            ),
            (
                "connections: [a]\nallow:\n  - operation: files.signed-url.get\n",
                code::LINT_UNNAMED_RISK,
                6,
            ),
        ] {
            assert_eq!(found(rest), [(code, line)], "{rest}");
        }
        // What only some requests of an operation do is something, too.
        let raised = "connections: [a]\nallow:\n  - operation: crm.lists.memberships.add-and-remove\n    effects: [delete]\n";
        let expected = [(code::LINT_DESTRUCTIVE_WITHOUT_REASON, 6)];
        assert_eq!(found(raised), expected);
        assert!(found("connections: [a]\nallow:\n  - scope: crm.objects.contacts.read\n").is_empty());
    }

    #[test]
    fn a_comment_with_a_reason_silences_a_warning_and_no_other_is_taken_for_one_silently() {
        let rule = "  - operation: crm.objects.get\n    objects: [\"*\"]\n";
        let above =
            format!("connections: [a]\nallow:\n  # scopegate: ignore SG141: the index needs all\n{rule}");
        assert!(found(&above).is_empty());
        let bare = format!("connections: [a]\nallow:\n  # scopegate: ignore SG141\n{rule}");
        assert_eq!(
            found(&bare),
            [(code::LINT_ALL_OBJECTS, 7), (code::SILENCE_WITHOUT_REASON, 6)]
        );
        for near in [
            "# scopegate:ignore SG141: the index needs all",
            "# scopegate ignore SG141: the index needs all",
            "#scopegate: ignore SG141: the index needs all",
            "# scopegate: Ignore SG141",
            "# Scopegate: SG141: the index needs all",
            "# scopegate: ignore",
        ] {
            let text = format!("connections: [a]\nallow:\n  {near}\n{rule}");
            assert_eq!(
                found(&text),
                [(code::LINT_ALL_OBJECTS, 7), (code::LINT_MISWRITTEN_SILENCE, 6)],
                "{near}"
            );
        }
        assert!(found("connections: [a]\n# scopegate reads this file\nallow: []\n").is_empty());
        let idle = "connections: [a]\n# scopegate: ignore SG141: nothing to see\nallow: []\n";
        assert_eq!(found(idle), [(code::LINT_IDLE_SILENCE, 5)]);
    }
}
