//! The rules of `allow` and `deny`, as written.

use super::connections;
use crate::access::policy_text::mistake::{Span, code};
use crate::access::policy_text::reader::{Entries, Reader, shown};
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
    let keys: Vec<&str> = RULE_KEYS
        .into_iter()
        .filter(|k| entries.means(k, &RULE_KEYS))
        .collect();
    let mut of = Values {
        reader,
        entries: &mut entries,
        unsound: Vec::new(),
    };
    let mut rule = WrittenRule {
        span: span.clone(),
        unsound: Vec::new(),
        scope: of.take("scope", |reader, v| Some(reader.names("scope", v))),
        operation: of.take("operation", |reader, v| Some(reader.names("operation", v))),
        effects: of.take("effects", |reader, v| Some(reader.effects(v))),
        objects: of.take("objects", |reader, v| Some(reader.names("objects", v))),
        risks: of.take("risks", |reader, v| Some(reader.risks(v))),
        connections: of.take("connections", |reader, v| Some(connections(reader, v, false))),
        id: of.take("id", rule_id),
        reason: of.take("reason", |reader, v| reader.text("reason", v)),
        optional: of.take("optional", |reader, v| reader.boolean("optional", v)),
    };
    rule.unsound = of.unsound;
    if let Some((key, _)) = entries.take_with_key("properties") {
        reader.error(
            code::RULE_SHAPE,
            &key.span,
            "`properties` can't stand in a rule",
            "write it beside `allow` and `deny`: one block `properties`, by object type, bounds every rule",
        );
    }
    reader.finish(entries, &RULE_KEYS, &[]);
    shape(reader, kind, &keys, &span, &rule);
    Some(rule)
}

/// The values of a rule, taken out one by one.
struct Values<'a> {
    reader: &'a mut Reader,
    entries: &'a mut Entries,
    unsound: Vec<&'static str>,
}

impl Values<'_> {
    fn take<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Reader, Located) -> Option<T>,
    ) -> Option<T> {
        let Some(value) = self.entries.take(key) else {
            if self.entries.means(key, &RULE_KEYS) {
                self.unsound.push(key);
            }
            return None;
        };
        let before = self.reader.mistakes.len();
        let value = read(self.reader, value);
        if self.reader.lost_values_since(before) {
            self.unsound.push(key);
        }
        value
    }
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
