//! The `properties:` block: types looked up, values held against what may be written.

use std::collections::BTreeMap;

use super::Resolver;
use crate::access::catalogue::Catalogue;
use crate::access::fields::{Entry, Names, OnExtra, Properties};
use crate::access::object_type::ObjectType;
use crate::access::policy_text::mistake::code;
use crate::access::policy_text::properties::{WrittenGrant, WrittenNames, WrittenProperties};
use crate::access::policy_text::reader::shown;
use crate::access::policy_text::written::{self, At};

/// What an entry of the block is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// `*`: every type.
    Every,
    /// `custom`: every custom object that has no entry of its own.
    AnyCustom,
    /// One type, or one custom object by one spelling.
    One(ObjectType),
}

impl Resolver<'_> {
    /// Resolves the block.
    pub fn properties(&mut self, written: &WrittenProperties, on_extra: OnExtra) -> Properties {
        let mut seen: Vec<Subject> = Vec::with_capacity(written.entries.len());
        let mut types = Vec::new();
        let (mut custom, mut star) = (None, None);
        for entry in &written.entries {
            let Some(subject) = self.subject(&entry.object) else {
                continue;
            };
            if seen.contains(&subject) {
                let message = format!(
                    "`{}` is a type that is listed already",
                    shown(&entry.object.value)
                );
                self.error(
                    code::REPEATED,
                    &entry.object,
                    message,
                    "keep one of its spellings",
                );
                continue;
            }
            seen.push(subject.clone());
            let grant = self.grant(&entry.grant);
            match subject {
                Subject::Every => star = Some(grant),
                Subject::AnyCustom => custom = Some(grant),
                Subject::One(object) => {
                    let spellings = self.catalogue.object_spellings(&object);
                    types.push((object, spellings, grant));
                }
            }
        }
        Properties::new(types, star, on_extra).with_custom(custom)
    }

    /// What an entry is about, or a mistake.
    fn subject(&mut self, word: &At<String>) -> Option<Subject> {
        let found = subject_of(self.catalogue, &word.value);
        if found.is_none() {
            self.unknown_object(word);
        }
        found
    }

    fn grant(&mut self, written: &WrittenGrant) -> Entry {
        let WrittenGrant::Directions {
            read,
            write,
            values,
            unsound,
        } = written
        else {
            return Entry::all();
        };
        let write = names(write.as_ref());
        for (name, _) in values {
            if !unsound && !write.hold(&name.value.to_lowercase()) {
                let message = format!("`{}` may not be written", name.value);
                let help =
                    "add it to `write`: `values` says what a property may be set to, and opens nothing";
                self.error(code::VALUES_NOT_WRITTEN, name, message, help);
            }
        }
        Entry {
            read: names(read.as_ref()),
            write,
            values: values
                .iter()
                .map(|(name, values)| (name.value.to_lowercase().into(), boxed(values)))
                .collect::<BTreeMap<_, _>>(),
        }
    }
}

/// What an entry of the block is about, by its key; `None` if no such type is known.
pub fn subject_of(catalogue: &Catalogue, word: &str) -> Option<Subject> {
    match word {
        "*" => Some(Subject::Every),
        "custom" => Some(Subject::AnyCustom),
        word => catalogue.object_type(word).map(Subject::One),
    }
}

/// The set that was written for a direction.
pub fn names(written: Option<&WrittenNames>) -> Names {
    match written {
        None => Names::none(),
        Some(WrittenNames::All) => Names::All,
        Some(WrittenNames::Listed(names)) => Names::listed(names.iter().map(|n| n.value.as_str())),
        Some(WrittenNames::Except(names)) => Names::except(names.iter().map(|n| n.value.as_str())),
    }
}

fn boxed(values: &written::Names) -> Box<[Box<str>]> {
    values.iter().map(|value| value.value.as_str().into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::fields::{Bounds, Direction, View};
    use crate::access::policy::Policy;
    use crate::access::policy::ceiling::Ceiling;
    use crate::access::policy_text::mistake::Mistake;

    const HEAD: &str = "integration: t\nowner: t\nconnections: [a]\n";

    fn load(catalogue: &Catalogue, rest: &str) -> Result<Policy, Vec<Mistake>> {
        let text = format!("{HEAD}{rest}").into();
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        Policy::load(&"t.yaml".into(), "t", &text, catalogue, now).map(|(policy, _)| policy)
    }

    fn view(catalogue: &Catalogue, policy: &Policy, object: &str) -> View {
        let bounds = Bounds {
            policy: policy.properties.clone(),
            ceiling: None,
        };
        bounds.view(&catalogue.object_type(object).unwrap())
    }

    #[test]
    fn a_block_bounds_types_by_whatever_spelling() {
        let catalogue = Catalogue::embedded().unwrap();
        let policy = load(
            &catalogue,
            "properties:
  Contact: {read: [Email], write: [email]}
  DEALS: {write: [dealstage], values: {DealStage: [won, 5]}}
  p_car: {read: [name]}
  custom: {read: all}
  companies: all
on_extra_property: deny
limits: {batch: 7}
",
        )
        .unwrap();
        let contacts = view(&catalogue, &policy, "0-1");
        assert!(contacts.reads("email") && contacts.writes("email"));
        assert!(!contacts.reads("phone") && !contacts.writes("phone"));
        let deals = view(&catalogue, &policy, "0-3");
        assert!(deals.may_be("dealstage", "won") && deals.may_be("dealstage", "5"));
        assert!(!deals.may_be("dealstage", "lost") && !deals.reads("dealstage"));
        assert!(view(&catalogue, &policy, "companies").reads_all());
        assert!(!view(&catalogue, &policy, "tickets").reads("subject"));
        assert_eq!(
            view(&catalogue, &policy, "p9_car").names(Direction::Read),
            Names::listed(["name"])
        );
        assert_eq!(policy.properties.as_ref().unwrap().on_extra, OnExtra::Deny);
        assert_eq!(policy.limits.batch, Some(7));
    }

    #[test]
    fn a_policy_without_a_block_is_not_bounded_at_all() {
        let catalogue = Catalogue::embedded().unwrap();
        let policy = load(&catalogue, "").unwrap();
        assert!(policy.properties.is_none() && policy.limits.batch.is_none());
        let empty = load(&catalogue, "properties: {}\n").unwrap();
        assert!(!view(&catalogue, &empty, "contacts").reads("email"));
    }

    #[test]
    fn a_rule_is_not_named_like_a_block() {
        let catalogue = Catalogue::embedded().unwrap();
        for id in ["properties", "limits", "observe"] {
            let rules = format!("deny:\n  - effects: [delete]\n    id: {id}\n");
            let mistakes = load(&catalogue, &rules).unwrap_err();
            assert_eq!(mistakes[0].code, code::BAD_RULE_ID, "{id}");
        }
    }

    #[test]
    fn a_ceiling_has_a_block_of_its_own() {
        let catalogue = Catalogue::embedded().unwrap();
        let file = "_ceiling.yaml".into();
        let text = "properties: {deals: {write: [stage], values: {stage: [won]}}, \"*\": all}\n".into();
        let (ceiling, _) = Ceiling::load(&file, &text, &catalogue).unwrap();
        let bounds = Bounds {
            policy: None,
            ceiling: ceiling.properties.clone(),
        };
        let deals = bounds.view(&catalogue.object_type("deals").unwrap());
        assert!(deals.may_be("stage", "won") && !deals.may_be("stage", "lost") && !deals.reads("stage"));
        let text = "properties: {contcts: all}\n".into();
        let mistakes = Ceiling::load(&file, &text, &catalogue).unwrap_err();
        assert_eq!(mistakes[0].code, code::UNKNOWN_OBJECT);
    }

    #[test]
    fn what_can_t_be_meant_is_an_error_with_a_remedy() {
        let catalogue = Catalogue::embedded().unwrap();
        for (block, expected, help) in [
            ("{contcts: all}", code::UNKNOWN_OBJECT, "did you mean `contacts`?"),
            ("{custm: all}", code::UNKNOWN_OBJECT, "did you mean `custom`?"),
            ("{\"con*\": all}", code::WILDCARD, "name each type"),
            ("{contacts: all, 0-1: {}}", code::REPEATED, "keep one"),
            ("{p_car: all, P_CAR: {}}", code::REPEATED, "keep one"),
            (
                "{deals: {values: {stage: [won]}}}",
                code::VALUES_NOT_WRITTEN,
                "add it to `write`",
            ),
            (
                "{deals: {write: [amount], values: {stage: [won]}}}",
                code::VALUES_NOT_WRITTEN,
                "add it to `write`",
            ),
            (
                "{deals: {write: {except: [\"st*\"]}, values: {Stage: [won]}}}",
                code::VALUES_NOT_WRITTEN,
                "add it to `write`",
            ),
        ] {
            let mistakes = load(&catalogue, &format!("properties: {block}\n")).unwrap_err();
            let codes: Vec<&str> = mistakes.iter().map(|m| m.code).collect();
            assert_eq!(codes, [expected], "{block}");
            let found = mistakes[0].help.clone().unwrap();
            assert!(found.contains(help), "{block}: {found}");
        }
        let follows = "properties: {deals: {write: [\"a b\"], values: {stage: [won]}}}\n";
        let codes: Vec<&str> = load(&catalogue, follows)
            .unwrap_err()
            .iter()
            .map(|m| m.code)
            .collect();
        assert_eq!(codes, [code::BAD_PROPERTY]);
    }
}
