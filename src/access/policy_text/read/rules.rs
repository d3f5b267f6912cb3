//! The rules of `allow` and `deny`, as written.

use super::connections;
use crate::access::policy_text::mistake::{Span, code};
use crate::access::policy_text::reader::{Reader, shown};
use crate::access::policy_text::tree::Located;
use crate::access::policy_text::written::{At, WrittenRule};

const RULE_KEYS: [&str; 9] = [
    "scope",
    "operation",
    "effects",
    "objects",
    "risks",
    "connections",
    "id",
    "reason",
    "optional",
];

const RULE_RESERVED: [(&str, &str); 1] = [(
    "properties",
    "property rules are a block of their own beside `allow` and `deny`, and not supported yet",
)];

/// Which list a rule stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// `allow`.
    Allow,
    /// `deny`.
    Deny,
}

impl RuleKind {
    /// The list's key.
    pub fn as_str(self) -> &'static str {
        match self {
            RuleKind::Allow => "allow",
            RuleKind::Deny => "deny",
        }
    }
}

/// A list of rules, if the key is there.
pub(super) fn rules(reader: &mut Reader, kind: RuleKind, value: Option<Located>) -> Option<Vec<WrittenRule>> {
    let items = reader.sequence(kind.as_str(), value?);
    let mut rules = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        if let Some(rule) = rule(reader, kind, index, item) {
            rules.push(rule);
        }
    }
    Some(rules)
}

fn rule(reader: &mut Reader, kind: RuleKind, index: usize, item: Located) -> Option<WrittenRule> {
    let name = format!("{}[{index}]", kind.as_str());
    let mut entries = reader.entries(&name, item)?;
    let span = entries.span.clone();
    let keys: Vec<&str> = RULE_KEYS.into_iter().filter(|k| entries.has(k)).collect();
    let rule = WrittenRule {
        span: span.clone(),
        scope: entries.take("scope").and_then(|v| reader.names("scope", v)),
        operation: entries
            .take("operation")
            .and_then(|v| reader.names("operation", v)),
        effects: entries.take("effects").and_then(|v| reader.effects(v)),
        objects: entries.take("objects").and_then(|v| reader.names("objects", v)),
        risks: entries.take("risks").and_then(|v| reader.risks(v)),
        connections: entries
            .take("connections")
            .and_then(|v| connections(reader, v, false)),
        id: entries.take("id").and_then(|v| rule_id(reader, v)),
        reason: entries.take("reason").and_then(|v| reader.text("reason", v)),
        optional: entries
            .take("optional")
            .and_then(|v| reader.boolean("optional", v)),
    };
    reader.finish(entries, &RULE_KEYS, &RULE_RESERVED);
    shape(reader, kind, &keys, &span, &rule);
    Some(rule)
}

/// What a rule must have and can't have, by the keys written (not by those read well).
fn shape(reader: &mut Reader, kind: RuleKind, keys: &[&str], span: &Span, rule: &WrittenRule) {
    let opens = ["scope", "operation"].iter().filter(|k| keys.contains(k)).count();
    match kind {
        RuleKind::Allow if opens != 1 => {
            let found = if opens == 0 { "neither" } else { "both" };
            reader.error(
                code::RULE_SHAPE,
                &head(span),
                format!("this rule has {found} of `scope` and `operation`"),
                "give an `allow` rule exactly one of them",
            );
        }
        RuleKind::Deny => {
            let judged = ["scope", "operation", "effects", "objects", "risks"];
            if !judged.iter().any(|k| keys.contains(k)) {
                reader.error(
                    code::RULE_SHAPE,
                    &head(span),
                    "this rule does not say what it denies",
                    "give it `scope`, `operation`, `effects`, `objects` or `risks`",
                );
            }
            if let Some(optional) = &rule.optional {
                reader.error(
                    code::RULE_SHAPE,
                    &optional.span,
                    "`optional` means nothing in `deny`",
                    "remove it",
                );
            }
        }
        RuleKind::Allow => {}
    }
}

/// The beginning of a place, for what concerns the whole of it.
fn head(span: &Span) -> Span {
    Span {
        bytes: span.bytes.start..span.bytes.start,
        ..span.clone()
    }
}

fn rule_id(reader: &mut Reader, value: Located) -> Option<At<String>> {
    let id = reader.text("id", value)?;
    if !is_plain_name(&id.value) {
        reader.error(
            code::BAD_RULE_ID,
            &id.span,
            format!("`{}` can't be a rule's id", shown(&id.value)),
            "use 1 to 64 letters, digits, `.`, `_` and `-`",
        );
        return None;
    }
    Some(id)
}

/// Ids of rules: `[A-Za-z0-9._-]{1,64}`. They travel in headers.
fn is_plain_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}
