//! From the tree of a document to a policy or a ceiling as written.

mod ceiling;
mod limits;
mod properties;
mod rules;

#[cfg(test)]
mod tests;

use self::ceiling::read_ceiling;
use self::limits::limits;
use self::properties::{on_extra, properties};
pub use self::rules::RuleKind;
use self::rules::rules;
use super::mistake::{Mistake, code};
use super::nearest::did_you_mean;
use super::properties::WrittenProperties;
use super::reader::{Entries, Reader, shown};
use super::tree::{self, Located, Node};
use super::written::{At, Selector, WrittenCeiling, WrittenObserve, WrittenPolicy};
use crate::access::connection::ConnectionName;
use crate::access::effect::Effect;
use crate::access::fields::OnExtra;
use crate::access::installer::InstallerRule;

const POLICY_KEYS: [&str; 15] = [
    "integration",
    "description",
    "owner",
    "review_by",
    "expires",
    "connections",
    "allow",
    "deny",
    "properties",
    "on_extra_property",
    "installer_removed",
    "installer_lost_rights",
    "limits",
    "observe",
    "mode",
];

const OBSERVE_KEYS: [&str; 3] = ["until", "effects", "risks"];

const LEAVE_OUT: &str = "leave it out until this version of the gate knows it";

/// What could be read of a file, and every mistake of its text.
///
/// With a mistake there is usually something read, too, so that the names in it are judged at
/// once; whoever uses it must see that a file with a mistake does not load.
#[derive(Debug)]
pub struct Reading<T> {
    /// What could be read; whole if there is no mistake.
    pub written: Option<T>,
    /// All of them errors, in the order of reading.
    pub mistakes: Vec<Mistake>,
}

impl<T> Reading<T> {
    fn of(text: &str, read: impl FnOnce(&mut Reader, Located) -> Option<T>) -> Self {
        let mut reader = Reader::default();
        let written = match tree::parse(text) {
            Ok(tree) => read(&mut reader, tree),
            Err(mistake) => {
                reader.mistakes.push(mistake);
                None
            }
        };
        Self {
            written,
            mistakes: reader.mistakes,
        }
    }
}

/// Reads a policy. `stem` is the file's name without `.yaml`.
pub fn policy(stem: &str, text: &str) -> Reading<WrittenPolicy> {
    Reading::of(text, |reader, tree| read_policy(reader, stem, tree))
}

/// Reads a ceiling.
pub fn ceiling(text: &str) -> Reading<WrittenCeiling> {
    Reading::of(text, read_ceiling)
}

fn read_policy(reader: &mut Reader, stem: &str, tree: Located) -> Option<WrittenPolicy> {
    let mut entries = reader.entries("policy", tree)?;
    let integration = integration(reader, stem, &mut entries);
    let description = entries
        .take("description")
        .and_then(|v| reader.text("description", v));
    let owner = required(
        reader,
        &mut entries,
        &POLICY_KEYS,
        "owner",
        "name who answers for this integration",
    );
    let review_by = entries
        .take("review_by")
        .and_then(|v| reader.date("review_by", v));
    let expires = entries.take("expires").and_then(|v| reader.date("expires", v));
    let connections = policy_connections(reader, &mut entries);
    let allow = rules(reader, RuleKind::Allow, entries.take("allow"));
    let deny = rules(reader, RuleKind::Deny, entries.take("deny"));
    let (properties, on_extra_property) = property_rules(reader, &mut entries);
    let installer_removed = installer_rule(reader, &mut entries, "installer_removed");
    let installer_lost_rights = installer_rule(reader, &mut entries, "installer_lost_rights");
    let limits = entries.take("limits").and_then(|v| limits(reader, v));
    let observe = entries.take("observe").and_then(|v| observe(reader, v));
    let mode = entries.take("mode").and_then(|v| mode(reader, v));
    reader.finish(entries, &POLICY_KEYS, &[]);
    Some(WrittenPolicy {
        integration,
        description,
        owner,
        review_by,
        expires,
        connections,
        allow: allow.unwrap_or_default(),
        deny: deny.unwrap_or_default(),
        properties,
        on_extra_property,
        installer_removed,
        installer_lost_rights,
        limits,
        observe,
        mode,
    })
}

/// `properties` and `on_extra_property`, which means nothing without it.
fn property_rules(
    reader: &mut Reader,
    entries: &mut Entries,
) -> (Option<At<WrittenProperties>>, Option<At<OnExtra>>) {
    let is_there = entries.means("properties", &POLICY_KEYS);
    let block = entries.take("properties").and_then(|v| properties(reader, v));
    let on_extra = entries
        .take("on_extra_property")
        .and_then(|v| on_extra(reader, v));
    if let Some(on_extra) = &on_extra
        && !is_there
    {
        reader.error(
            code::MISSING_KEY,
            &on_extra.span,
            "`on_extra_property` means nothing without `properties`",
            "add `properties`, or remove it",
        );
    }
    (block, on_extra)
}

/// What becomes of calls when the person behind the credential leaves, or loses rights.
fn installer_rule(
    reader: &mut Reader,
    entries: &mut Entries,
    key: &'static str,
) -> Option<At<InstallerRule>> {
    let word = reader.text(key, entries.take(key)?)?;
    let found = InstallerRule::WORDS.iter().find(|(name, _)| *name == word.value);
    if found.is_none() {
        reader.error(
            code::WRONG_KIND,
            &word.span,
            format!("`{}` is nothing that can be done", shown(&word.value)),
            did_you_mean(
                &word.value,
                InstallerRule::WORDS.map(|(name, _)| name),
                "write `block`, `read-only` or `alert`",
            ),
        );
    }
    Some(At {
        value: found?.1,
        span: word.span,
    })
}

fn integration(reader: &mut Reader, stem: &str, entries: &mut Entries) -> Option<At<String>> {
    let name = required(
        reader,
        entries,
        &POLICY_KEYS,
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

fn required(
    reader: &mut Reader,
    entries: &mut Entries,
    known: &[&str],
    key: &str,
    help: &str,
) -> Option<At<String>> {
    let value = reader.required(entries, known, key, help)?;
    reader.text(key, value)
}

/// The policy's own connections, if all of them could be read: rules are compared with them.
fn policy_connections(reader: &mut Reader, entries: &mut Entries) -> Option<At<Vec<At<Selector>>>> {
    let value = reader.required(
        entries,
        &POLICY_KEYS,
        "connections",
        "list the connections it may act in, or write \"*\"",
    )?;
    let before = reader.mistakes.len();
    let selectors = connections(reader, value, true);
    (!reader.lost_values_since(before)).then_some(selectors)
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
fn connections(reader: &mut Reader, value: Located, all_allowed: bool) -> At<Vec<At<Selector>>> {
    let (items, span) = reader.list("connections", value);
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
    At {
        value: selectors,
        span,
    }
}

/// A connection's name, `{app: NAME}` or `*`.
pub(in crate::access) fn selector(reader: &mut Reader, item: Located) -> Option<At<Selector>> {
    let span = item.span.clone();
    let selector = if matches!(item.node, Node::Map(_)) {
        let mut entries = reader.entries("connections", item)?;
        let app = required(reader, &mut entries, &["app"], "app", "write `{app: NAME}`");
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
    let until = reader.required(
        &mut entries,
        &OBSERVE_KEYS,
        "until",
        "say on which day observing ends: at most 60 days ahead",
    );
    let until = until.and_then(|value| reader.date("until", value));
    let effects = reader.required(
        &mut entries,
        &OBSERVE_KEYS,
        "effects",
        "say which effects pass, for example `[read]`",
    );
    let effects = effects.map(|value| reader.effects(value).value);
    let effects = effects.unwrap_or_default();
    let risks = entries.take("risks").map(|v| reader.risks(v));
    reader.finish(entries, &OBSERVE_KEYS, &[]);
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
