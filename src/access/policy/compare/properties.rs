//! Properties that a policy grants and the ceiling hides.

use std::sync::Arc;

use super::NAMED_MAX;
use crate::access::catalogue::Catalogue;
use crate::access::facts::Surface;
use crate::access::fields::{Beyond, Bounds, Direction, Names, Properties, View};
use crate::access::object_type::ObjectType;
use crate::access::policy::Policy;
use crate::access::policy::ceiling::Ceiling;
use crate::access::policy::opens::{Opened, carries, object_label, types_of};
use crate::access::policy::resolve::properties::{Subject, subject_of};
use crate::access::policy_text::mistake::{Mistake, Span, code};
use crate::access::policy_text::properties::WrittenProperties;

const HELP: &str =
    "grant no more here, or ask whoever keeps `_ceiling.yaml`; a running gate holds to the ceiling";

/// One mistake for each kind of excess; types alike in it stand together.
pub(super) fn beyond(
    policy: &Policy,
    ceiling: &Ceiling,
    inside: &[&Opened],
    catalogue: &Catalogue,
    mistakes: &mut Vec<Mistake>,
) {
    let Some(block) = &ceiling.properties else {
        return;
    };
    let mut found: Vec<(Excess, Vec<&ObjectType>)> = Vec::new();
    for object in types_of(inside.iter().copied()) {
        let (own, most) = (
            view(policy.properties.as_ref(), object),
            view(Some(block), object),
        );
        for excess in excesses(object, inside, &own, &most, catalogue) {
            match found.iter_mut().find(|(known, _)| *known == excess) {
                Some((_, types)) => types.push(object),
                None => found.push((excess, vec![object])),
            }
        }
    }
    if found.is_empty() {
        return;
    }
    let written = policy.written_properties();
    for (excess, types) in found {
        let span = place(written.as_ref(), types.first().copied(), catalogue);
        let names: Vec<&str> = types
            .iter()
            .map(|object| object_label(catalogue, object))
            .collect();
        let message = excess.message(&some(&names, ""));
        mistakes.push(Mistake::error(code::BEYOND_CEILING, span, message).help(HELP));
    }
}

fn view(block: Option<&Arc<Properties>>, object: &ObjectType) -> View {
    let bounds = Bounds {
        policy: block.cloned(),
        ceiling: None,
    };
    bounds.view(object)
}

/// A kind of excess, apart from the type.
#[derive(Debug, PartialEq)]
enum Excess {
    /// Names, or patterns.
    Hidden(Direction, Vec<Box<str>>),
    /// All but what the ceiling lists.
    Unlisted(Direction, Names),
    /// A property may be set to these values, or to any.
    Values(Box<str>, Option<Vec<Box<str>>>),
}

fn excesses(
    object: &ObjectType,
    inside: &[&Opened],
    own: &View,
    most: &View,
    catalogue: &Catalogue,
) -> Vec<Excess> {
    let of_type = inside
        .iter()
        .filter(|opened| opened.opening.touch.object.as_ref() == Some(object));
    let ways: Vec<Direction> = of_type.filter_map(|opened| way(opened, catalogue)).collect();
    let mut excesses = Vec::new();
    for direction in Direction::BOTH.into_iter().filter(|way| ways.contains(way)) {
        let of_ceiling = most.names(direction);
        match own.names(direction).beyond(&of_ceiling) {
            Beyond::Nothing => {}
            Beyond::Names(names) => excesses.push(Excess::Hidden(direction, names)),
            Beyond::AllButListed => excesses.push(Excess::Unlisted(direction, of_ceiling)),
        }
    }
    if ways.contains(&Direction::Write) {
        let own_values = own.values();
        for (name, allowed) in most.values().into_iter().filter(|(name, _)| own.writes(name)) {
            match own_values.get(&name) {
                None => excesses.push(Excess::Values(name, None)),
                Some(values) => {
                    let more: Vec<Box<str>> =
                        values.iter().filter(|v| !allowed.contains(v)).cloned().collect();
                    if !more.is_empty() {
                        excesses.push(Excess::Values(name, Some(more)));
                    }
                }
            }
        }
    }
    excesses
}

/// Definitions are shown as far as their properties may be read.
fn way(opened: &Opened, catalogue: &Catalogue) -> Option<Direction> {
    match opened.opening.touch.surface {
        Surface::Definitions => Some(Direction::Read),
        Surface::Records | Surface::Fixed => carries(catalogue, opened),
    }
}

impl Excess {
    fn message(&self, types: &str) -> String {
        let done = |direction: &Direction| match direction {
            Direction::Read => "read",
            Direction::Write => "written",
        };
        match self {
            Self::Hidden(direction, names) => {
                let names = few(names);
                format!(
                    "the ceiling does not let {names} of {types} be {}",
                    done(direction)
                )
            }
            Self::Unlisted(direction, Names::Listed(names)) if !names.is_empty() => {
                let names = few(names);
                format!(
                    "the ceiling lets no more than {names} of {types} be {}",
                    done(direction)
                )
            }
            Self::Unlisted(direction, _) => {
                format!("the ceiling lets no property of {types} be {}", done(direction))
            }
            Self::Values(name, None) => {
                format!("the ceiling does not let `{name}` of {types} be set to any value")
            }
            Self::Values(name, Some(values)) => {
                let values = few(values);
                format!("the ceiling does not let `{name}` of {types} be set to {values}")
            }
        }
    }
}

/// Some of many names, in backticks.
fn few(names: &[impl AsRef<str>]) -> String {
    some(names, "`")
}

fn some(names: &[impl AsRef<str>], quote: &str) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(NAMED_MAX)
        .map(|name| format!("{quote}{}{quote}", name.as_ref()))
        .collect();
    match names.len().saturating_sub(NAMED_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Where the policy says it: at the type's own key, at `custom`, at `"*"`.
fn place(written: Option<&WrittenProperties>, object: Option<&ObjectType>, catalogue: &Catalogue) -> Span {
    let entries = written.map(|block| block.entries.as_slice()).unwrap_or_default();
    let about = |wanted: &dyn Fn(&Subject) -> bool| {
        let found = entries
            .iter()
            .find(|entry| subject_of(catalogue, &entry.object.value).is_some_and(|subject| wanted(&subject)));
        found.map(|entry| entry.object.span.clone())
    };
    let is_custom = matches!(object, Some(ObjectType::Custom(_)));
    about(&|subject| matches!(subject, Subject::One(one) if Some(one) == object))
        .or_else(|| about(&|subject| is_custom && *subject == Subject::AnyCustom))
        .or_else(|| about(&|subject| *subject == Subject::Every))
        .unwrap_or_else(Span::start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::policy::compare::with_ceiling;

    fn found(policy: &str, ceiling: &str) -> Vec<(u32, String)> {
        let catalogue = Catalogue::embedded().unwrap();
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        let text = format!("integration: t\nowner: t\nconnections: [a]\nallow:\n  - scope: [crm.objects.contacts.read, crm.objects.contacts.write, crm.objects.companies.read]\n{policy}").into();
        let (policy, _) = Policy::load(&"t.yaml".into(), "t", &text, &catalogue, now).unwrap();
        let text = ceiling.into();
        let (ceiling, _) = Ceiling::load(&"_ceiling.yaml".into(), &text, &catalogue).unwrap();
        let mistakes = with_ceiling(&policy, &ceiling, &catalogue, now);
        mistakes
            .into_iter()
            .map(|mistake| {
                assert!(mistake.is_error() && mistake.code == code::BEYOND_CEILING);
                (mistake.span.line, mistake.message)
            })
            .collect()
    }

    #[test]
    fn what_the_ceiling_hides_is_reported_by_type_and_direction() {
        let both = "properties:
  contacts: {read: [email, ssn], write: [email]}
  companies: {read: {except: [\"*ssn*\"]}}
";
        for (policy, ceiling, expected) in [
            (both, "deny: []\n", vec![]),
            (both, "properties: {\"*\": all}\n", vec![]),
            (
                both,
                "properties: {\"*\": {read: {except: [\"*ssn\"]}, write: all}}\n",
                vec![(7, "the ceiling does not let `ssn` of contacts be read")],
            ),
            (
                both,
                "properties: {\"*\": {read: {except: [\"*iban*\", ssn]}}}\n",
                vec![
                    (7, "the ceiling does not let `email` of contacts be written"),
                    (7, "the ceiling does not let `ssn` of contacts be read"),
                    (8, "the ceiling does not let `*iban*` of companies be read"),
                ],
            ),
            (
                both,
                "properties: {contacts: all}\n",
                vec![(8, "the ceiling lets no property of companies be read")],
            ),
            (
                "",
                "properties: {\"*\": {read: {except: [\"*ssn*\"]}, write: [email]}}\n",
                vec![
                    (
                        1,
                        "the ceiling does not let `*ssn*` of contacts, companies be read",
                    ),
                    (1, "the ceiling lets no more than `email` of contacts be written"),
                ],
            ),
            (
                "properties: {\"*\": all}\n",
                "properties: {\"*\": {read: all, write: all, values: {stage: [a]}}}\n",
                vec![(
                    6,
                    "the ceiling does not let `stage` of contacts be set to any value",
                )],
            ),
            (
                "properties: {contacts: {write: [stage], values: {stage: [a, b, c]}}}\n",
                "properties: {contacts: {write: all, values: {stage: [a]}}}\n",
                vec![(
                    6,
                    "the ceiling does not let `stage` of contacts be set to `b`, `c`",
                )],
            ),
            (
                "properties: {contacts: {write: [stage], values: {stage: [a]}}}\n",
                "properties: {contacts: {write: all, values: {stage: [a, b]}}}\n",
                vec![],
            ),
        ] {
            let mut found = found(policy, ceiling);
            found.sort();
            let expected: Vec<(u32, String)> = expected
                .into_iter()
                .map(|(line, message)| (line, message.to_owned()))
                .collect();
            assert_eq!(found, expected, "{policy} under {ceiling}");
        }
    }

    #[test]
    fn what_the_ceiling_does_not_open_is_said_once() {
        let ceiling = "allow:\n  - scope: [crm.objects.contacts.read, crm.objects.contacts.write]\nproperties: {contacts: all}\n";
        let found = found("", ceiling);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].1.contains("on companies"), "{found:?}");
    }
}
