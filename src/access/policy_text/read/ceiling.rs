//! The ceiling, as written.

use super::properties::properties;
use super::rules::{RuleKind, rules};
use crate::access::policy_text::mistake::code;
use crate::access::policy_text::reader::{Reader, shown};
use crate::access::policy_text::tree::{Located, Node};
use crate::access::policy_text::written::{At, Never, Required, WrittenCeiling};

const CEILING_KEYS: [&str; 6] = [
    "allow",
    "deny",
    "properties",
    "observe",
    "expires_within",
    "require",
];

/// Reads the tree of a ceiling.
pub(super) fn read_ceiling(reader: &mut Reader, tree: Located) -> Option<WrittenCeiling> {
    if matches!(tree.node, Node::Null) {
        reader.error(
            code::WRONG_KIND,
            &tree.span,
            "this ceiling is empty",
            "write `allow`, `deny` or `properties`, or remove the file and restart the gate",
        );
        return None;
    }
    let mut entries = reader.entries("ceiling", tree)?;
    let allow = rules(reader, RuleKind::Allow, entries.take("allow"));
    let deny = rules(reader, RuleKind::Deny, entries.take("deny"));
    let properties = entries.take("properties").and_then(|v| properties(reader, v));
    let observe = entries.take("observe").and_then(|v| never(reader, v));
    let expires_within = entries.take("expires_within").and_then(|v| days(reader, v));
    let require = entries.take("require").map(|v| require(reader, v));
    reader.finish(entries, &CEILING_KEYS, &[]);
    Some(WrittenCeiling {
        allow,
        deny: deny.unwrap_or_default(),
        properties,
        observe,
        expires_within,
        require: require.unwrap_or_default(),
    })
}

fn never(reader: &mut Reader, value: Located) -> Option<At<Never>> {
    let word = reader.text("observe", value)?;
    if word.value != "never" {
        reader.error(
            code::BAD_OBSERVE,
            &word.span,
            format!("`{}` can't stand here", shown(&word.value)),
            "in a ceiling write `observe: never`, or leave it out",
        );
        return None;
    }
    Some(At {
        value: Never,
        span: word.span,
    })
}

fn days(reader: &mut Reader, value: Located) -> Option<At<u32>> {
    let word = reader.text("expires_within", value)?;
    let number = word
        .value
        .strip_suffix('d')
        .and_then(|n| n.parse::<u32>().ok())
        .filter(|n| (1..=9999).contains(n));
    match number {
        Some(value) => Some(At {
            value,
            span: word.span,
        }),
        None => {
            reader.error(
                code::BAD_DATE,
                &word.span,
                format!("`{}` is not a number of days", shown(&word.value)),
                "write it like `400d`, at most `9999d`",
            );
            None
        }
    }
}

fn require(reader: &mut Reader, value: Located) -> Vec<At<Required>> {
    let names = reader.names("require", value);
    let vocabulary = Required::ALL.map(|(word, _)| word);
    reader.words(
        names.value,
        code::UNKNOWN_KEY,
        "a key that can be required",
        &vocabulary,
        |word| {
            Required::ALL
                .iter()
                .find(|(name, _)| *name == word)
                .map(|(_, required)| *required)
        },
    )
}
