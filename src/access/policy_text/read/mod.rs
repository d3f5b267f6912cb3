//! From the tree of a document to a policy or a ceiling as written.

mod ceiling;
mod rules;

#[cfg(test)]
mod tests;

use self::ceiling::read_ceiling;
pub use self::rules::RuleKind;
use self::rules::rules;
use super::mistake::{Mistake, code};
use super::reader::{Entries, Reader, shown};
use super::tree::{self, Located, Node};
use super::written::{At, Selector, WrittenCeiling, WrittenObserve, WrittenPolicy};
use crate::access::connection::ConnectionName;
use crate::access::effect::Effect;

const POLICY_KEYS: [&str; 10] = [
    "integration",
    "description",
    "owner",
    "review_by",
    "expires",
    "connections",
    "allow",
    "deny",
    "observe",
    "mode",
];

const OBSERVE_KEYS: [&str; 3] = ["until", "effects", "risks"];

const LEAVE_OUT: &str = "leave it out until this version of the gate knows it";

/// Words of the format that a later version brings. Accepting one and not keeping it would be a
/// promise broken silently.
const POLICY_RESERVED: [(&str, &str); 5] = [
    (
        "properties",
        "leave it out: until property rules exist, narrow `objects` and `effects` instead",
    ),
    ("on_extra_property", LEAVE_OUT),
    ("installer_removed", LEAVE_OUT),
    ("installer_lost_rights", LEAVE_OUT),
    ("limits", LEAVE_OUT),
];

/// Reads a policy. `stem` is the file's name without `.yaml`.
///
/// # Errors
/// Every mistake in the text, in the order of the file.
pub fn policy(stem: &str, text: &str) -> Result<WrittenPolicy, Vec<Mistake>> {
    let mut reader = Reader::default();
    let read = tree::parse(text)
        .map_err(|mistake| vec![mistake])
        .map(|tree| read_policy(&mut reader, stem, tree))?;
    match read {
        Some(policy) if reader.mistakes.is_empty() => Ok(policy),
        _ => Err(in_order(reader.mistakes)),
    }
}

/// Reads a ceiling.
///
/// # Errors
/// Every mistake in the text, in the order of the file.
pub fn ceiling(text: &str) -> Result<WrittenCeiling, Vec<Mistake>> {
    let mut reader = Reader::default();
    let read = tree::parse(text)
        .map_err(|mistake| vec![mistake])
        .map(|tree| read_ceiling(&mut reader, tree))?;
    match read {
        Some(ceiling) if reader.mistakes.is_empty() => Ok(ceiling),
        _ => Err(in_order(reader.mistakes)),
    }
}

/// As a person goes through the file.
fn in_order(mut mistakes: Vec<Mistake>) -> Vec<Mistake> {
    mistakes.sort_by_key(|mistake| (mistake.span.line, mistake.span.column));
    mistakes
}

fn read_policy(reader: &mut Reader, stem: &str, tree: Located) -> Option<WrittenPolicy> {
    let mut entries = reader.entries("policy", tree)?;
    let top = entries.span.clone();
    let integration = integration(reader, stem, &mut entries);
    let description = entries
        .take("description")
        .and_then(|v| reader.text("description", v));
    let owner = required(
        reader,
        &mut entries,
        "owner",
        "name who answers for this integration",
    );
    let review_by = entries
        .take("review_by")
        .and_then(|v| reader.date("review_by", v));
    let expires = entries.take("expires").and_then(|v| reader.date("expires", v));
    let connections = match entries.take("connections") {
        Some(value) => connections(reader, value, true),
        None => {
            reader.missing(
                &top,
                "connections",
                "list the connections it may act in, or write \"*\"",
            );
            None
        }
    };
    let allow = rules(reader, RuleKind::Allow, entries.take("allow"));
    let deny = rules(reader, RuleKind::Deny, entries.take("deny"));
    let observe = entries.take("observe").and_then(|v| observe(reader, v));
    let mode = entries.take("mode").and_then(|v| mode(reader, v));
    reader.finish(entries, &POLICY_KEYS, &POLICY_RESERVED);
    Some(WrittenPolicy {
        integration: integration?,
        description,
        owner: owner?,
        review_by,
        expires,
        connections: connections?,
        allow: allow.unwrap_or_default(),
        deny: deny.unwrap_or_default(),
        observe,
        mode,
    })
}

fn integration(reader: &mut Reader, stem: &str, entries: &mut Entries) -> Option<At<String>> {
    let name = required(
        reader,
        entries,
        "integration",
        "write the file's name without `.yaml`",
    )?;
    if !is_integration_name(&name.value) {
        reader.error(
            code::BAD_NAME,
            &name.span,
            format!("`{}` is not a name for an integration", shown(&name.value)),
            "use 1 to 64 of a-z, 0-9 and `-`",
        );
        return None;
    }
    if name.value != stem {
        reader.error(
            code::BAD_NAME,
            &name.span,
            format!(
                "this file is named `{}`, the integration `{}`",
                shown(stem),
                name.value
            ),
            "give both the same name",
        );
        return None;
    }
    Some(name)
}

/// `[a-z0-9-]{1,64}`.
pub fn is_integration_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn required(reader: &mut Reader, entries: &mut Entries, key: &str, help: &str) -> Option<At<String>> {
    let span = entries.span.clone();
    match entries.take(key) {
        Some(value) => reader.text(key, value),
        None => {
            reader.missing(&span, key, help);
            None
        }
    }
}

fn mode(reader: &mut Reader, value: Located) -> Option<At<String>> {
    let mode = reader.text("mode", value)?;
    if mode.value != "enforce" {
        reader.error(
            code::WRONG_KIND,
            &mode.span,
            format!("`{}` is no mode", shown(&mode.value)),
            "leave `mode` out; to let calls pass for a while use `observe`",
        );
        return None;
    }
    Some(mode)
}

/// `connections:` of a policy or of a rule; `"*"` stands alone, and in a policy only.
fn connections(reader: &mut Reader, value: Located, all_allowed: bool) -> Option<At<Vec<At<Selector>>>> {
    let (items, span) = reader.list("connections", value)?;
    let before = reader.mistakes.len();
    let count = items.len();
    let mut selectors: Vec<At<Selector>> = Vec::with_capacity(count);
    for item in items {
        let Some(selector) = selector(reader, item) else {
            continue;
        };
        if selector.value == Selector::All && !(all_allowed && count == 1) {
            let help = if all_allowed {
                "write \"*\" alone, or names"
            } else {
                "leave `connections` out: a rule holds for all of the policy's"
            };
            reader.error(code::BAD_CONNECTION, &selector.span, "`*` can't stand here", help);
        } else if selectors.iter().any(|s| s.value == selector.value) {
            reader.error(
                code::REPEATED,
                &selector.span,
                "this connection stands in the list twice",
                "remove one",
            );
        } else {
            selectors.push(selector);
        }
    }
    (reader.mistakes.len() == before).then_some(At {
        value: selectors,
        span,
    })
}

/// A connection's name, `{app: NAME}` or `*`.
pub(in crate::access) fn selector(reader: &mut Reader, item: Located) -> Option<At<Selector>> {
    let span = item.span.clone();
    let selector = if matches!(item.node, Node::Map(_)) {
        let mut entries = reader.entries("connections", item)?;
        let app = required(reader, &mut entries, "app", "write `{app: NAME}`");
        reader.finish(entries, &["app"], &[("label", LEAVE_OUT)]);
        Selector::App(app?.value)
    } else {
        let name = reader.text("connections", item)?;
        if name.value == "*" {
            Selector::All
        } else {
            Selector::Name(name.value)
        }
    };
    let bad = match &selector {
        Selector::Name(name) => ConnectionName::parse(name).is_none().then_some(name),
        Selector::App(name) => (!is_integration_name(name)).then_some(name),
        Selector::All => None,
    };
    if let Some(name) = bad {
        reader.error(
            code::BAD_CONNECTION,
            &span,
            format!("`{}` can't be the name of a connection or an app", shown(name)),
            "use 1 to 64 of a-z, 0-9 and `-`; a connection's name is not digits alone",
        );
        return None;
    }
    Some(At {
        value: selector,
        span,
    })
}

fn observe(reader: &mut Reader, value: Located) -> Option<At<WrittenObserve>> {
    let mut entries = reader.entries("observe", value)?;
    let span = entries.span.clone();
    let until = match entries.take("until") {
        Some(value) => reader.date("until", value),
        None => {
            reader.missing(
                &span,
                "until",
                "say on which day observing ends: at most 60 days ahead",
            );
            None
        }
    };
    let effects = match entries.take("effects") {
        Some(value) => reader.effects(value),
        None => {
            reader.missing(&span, "effects", "say which effects pass, for example `[read]`");
            None
        }
    };
    let risks = entries.take("risks").and_then(|v| reader.risks(v));
    reader.finish(entries, &OBSERVE_KEYS, &[]);
    let effects = effects?.value;
    for effect in &effects {
        if matches!(effect.value, Effect::Irreversible | Effect::Auth) {
            reader.error(
                code::BAD_OBSERVE,
                &effect.span,
                format!("`{}` can't be observed", effect.value.as_str()),
                "remove it: such calls pass only when a rule allows them",
            );
        }
    }
    Some(At {
        value: WrittenObserve {
            until: until?,
            effects,
            risks: risks.map(|r| r.value).unwrap_or_default(),
        },
        span,
    })
}
