//! Rules as written become rules as used: names looked up, defaults put in, and everything that
//! can't be meant reported with the nearest name that can.

use std::sync::Arc;

use super::rule::{AllowRule, DenyRule, Effects, Objects, Opens, OperationGrant, ScopeGrant};
use crate::access::catalogue::{Catalogue, Takes};
use crate::access::effect::Effect;
use crate::access::facts::{OperationIndex, Risks, ScopeIndex};
use crate::access::object_type::ObjectType;
use crate::access::policy_text::mistake::{Mistake, code};
use crate::access::policy_text::nearest::did_you_mean;
use crate::access::policy_text::read::RuleKind;
use crate::access::policy_text::reader::shown;
use crate::access::policy_text::written::{At, Names, Selector, WrittenRule};

/// Resolves the rules of one file and collects their mistakes.
pub struct Resolver<'a> {
    catalogue: &'a Catalogue,
    /// Name in front of `#` in a rule's id.
    owner: &'a str,
    /// Mistakes so far.
    pub mistakes: Vec<Mistake>,
}

/// Types named in a rule, not yet matched with what its scopes serve.
struct NamedObjects {
    all: Option<At<()>>,
    types: Vec<At<NamedType>>,
}

#[derive(Clone, PartialEq, Eq)]
enum NamedType {
    /// `custom`: every custom object.
    AnyCustom,
    One(ObjectType),
}

impl<'a> Resolver<'a> {
    /// A resolver for the file of `owner`.
    pub fn new(catalogue: &'a Catalogue, owner: &'a str) -> Self {
        Self {
            catalogue,
            owner,
            mistakes: Vec::new(),
        }
    }

    /// Resolves a list of `allow` rules.
    pub fn allow(&mut self, rules: &[WrittenRule]) -> Vec<AllowRule> {
        let mut resolved = Vec::with_capacity(rules.len());
        for (index, rule) in rules.iter().enumerate() {
            let opens = match (&rule.scope, &rule.operation) {
                (Some(scopes), _) => self.scopes(scopes, rule),
                (None, Some(operations)) => self.operations(operations, rule),
                (None, None) => None,
            };
            if let Some(opens) = opens {
                resolved.push(AllowRule {
                    id: self.rule_id(RuleKind::Allow, index, rule),
                    opens,
                    connections: connections(rule),
                    reason: rule.reason.as_ref().map(|r| r.value.clone()),
                    optional: rule.optional.as_ref().is_some_and(|o| o.value),
                    span: rule.span.clone(),
                });
            }
        }
        resolved
    }

    /// Resolves a list of `deny` rules.
    pub fn deny(&mut self, rules: &[WrittenRule]) -> Vec<DenyRule> {
        let mut resolved = Vec::with_capacity(rules.len());
        for (index, rule) in rules.iter().enumerate() {
            let scopes = rule.scope.as_ref().map(|names| self.scope_names(&names.value));
            let operations = rule.operation.as_ref().map(|names| self.denied_operations(names));
            let objects = rule.objects.as_ref().map(|names| self.denied_objects(names));
            resolved.push(DenyRule {
                id: self.rule_id(RuleKind::Deny, index, rule),
                scopes: scopes.map(|all| all.into_iter().map(|s| s.value).collect()),
                operations,
                effects: rule.effects.as_ref().map(|named| and_stronger(&named.value)),
                objects,
                risks: rule.risks.as_ref().map(|named| union(&named.value)),
                connections: connections(rule),
                span: rule.span.clone(),
            });
        }
        resolved
    }

    /// Two rules with one id could not be told apart in answers and records.
    pub fn unique_ids(&mut self, allow: &[WrittenRule], deny: &[WrittenRule]) {
        let mut seen: Vec<&str> = Vec::new();
        for id in allow.iter().chain(deny).filter_map(|rule| rule.id.as_ref()) {
            if seen.contains(&id.value.as_str()) {
                self.error(
                    code::BAD_RULE_ID,
                    id,
                    format!("`{}` is the id of two rules", id.value),
                    "give each its own",
                );
            }
            seen.push(&id.value);
        }
    }

    fn rule_id(&self, kind: RuleKind, index: usize, rule: &WrittenRule) -> Arc<str> {
        match &rule.id {
            Some(id) => format!("{}#{}", self.owner, id.value).into(),
            None => format!("{}#{}[{index}]", self.owner, kind.as_str()).into(),
        }
    }

    fn error<T>(&mut self, code: &'static str, at: &At<T>, message: String, help: impl Into<String>) {
        self.mistakes
            .push(Mistake::error(code, at.span.clone(), message).help(help));
    }

    fn scopes(&mut self, scopes: &At<Names>, rule: &WrittenRule) -> Option<Opens> {
        let before = self.mistakes.len();
        let named = self.scope_names(&scopes.value);
        let objects = rule.objects.as_ref().map(|names| self.objects(names));
        if let Some(NamedObjects { all: Some(all), .. }) = &objects {
            self.error(
                code::WILDCARD,
                all,
                "`*` can't stand in the `objects` of a scope rule".to_owned(),
                "name the types: a scope opens what a reviewer reads",
            );
        }
        if let Some(objects) = &objects {
            self.served(&named, objects);
        }
        let effects = self.scope_effects(rule);
        let mut grants = Vec::with_capacity(named.len());
        for scope in &named {
            let effects = effects.or_else(|| self.default_effects(scope));
            let objects = match &objects {
                Some(objects) => Some(self.objects_of(scope.value, objects)),
                None => self.default_objects(scope),
            };
            if let (Some(effects), Some(objects)) = (effects, objects) {
                grants.push(ScopeGrant {
                    scope: scope.value,
                    effects,
                    objects,
                });
            }
        }
        let risks = rule.risks.as_ref().map(|r| union(&r.value)).unwrap_or_default();
        (self.mistakes.len() == before).then_some(Opens::Scopes { grants, risks })
    }

    fn scope_names(&mut self, names: &Names) -> Vec<At<ScopeIndex>> {
        let mut scopes = Vec::with_capacity(names.len());
        for name in names {
            if let Some(index) = self.catalogue.scope_by_name(&name.value) {
                scopes.push(At {
                    value: index,
                    span: name.span.clone(),
                });
            } else if name.value.contains('*') {
                let help = "name each scope: a wildcard would open what nobody has read";
                let message = format!("`{}` has a wildcard", shown(&name.value));
                self.error(code::WILDCARD, name, message, help);
            } else {
                let help = did_you_mean(
                    &name.value,
                    self.catalogue.scopes().map(|(_, scope)| &*scope.name),
                    "`scopegate catalogue list` shows the scopes there are",
                );
                let message = format!("unknown scope `{}`", shown(&name.value));
                self.error(code::UNKNOWN_SCOPE, name, message, help);
            }
        }
        scopes
    }

    fn scope_effects(&mut self, rule: &WrittenRule) -> Option<Effects> {
        let named = rule.effects.as_ref()?;
        for effect in &named.value {
            if matches!(effect.value, Effect::Auth | Effect::Meta) {
                self.error(
                    code::BAD_EFFECT,
                    effect,
                    format!("no scope opens the effect `{}`", effect.value.as_str()),
                    "name the operation in a rule of its own",
                );
            }
        }
        Some(named.value.iter().map(|effect| effect.value).collect())
    }

    fn default_effects(&mut self, scope: &At<ScopeIndex>) -> Option<Effects> {
        let found = self.catalogue.scope(scope.value)?;
        if let Some(effect) = found.direction.default_effect() {
            return Some(Effects::one(effect));
        }
        let message = format!("`{}` is a scope for reading and writing at once", found.name);
        self.error(
            code::EFFECTS_REQUIRED,
            scope,
            message,
            "add `effects`, for example `effects: [read]`",
        );
        None
    }

    /// The type a scope is named after, or its own rows that touch no type.
    fn default_objects(&mut self, scope: &At<ScopeIndex>) -> Option<Objects> {
        let found = self.catalogue.scope(scope.value)?;
        if let Some(object) = &found.named_after {
            return Some(Objects {
                typeless: true,
                named: vec![object.clone()],
                ..Objects::default()
            });
        }
        if found.serves.is_empty() {
            return Some(Objects {
                typeless: true,
                any_custom: found.serves_custom,
                ..Objects::default()
            });
        }
        let served = self.names_of(&found.serves);
        let message = format!("`{}` serves several types and is named after none", found.name);
        let help = format!("add `objects` with some of: {served}");
        self.error(code::OBJECTS_REQUIRED, scope, message, help);
        None
    }

    /// Each type must be served by one of the rule's scopes, and each scope must serve one.
    fn served(&mut self, scopes: &[At<ScopeIndex>], objects: &NamedObjects) {
        for object in &objects.types {
            if scopes.is_empty() || scopes.iter().any(|s| self.serves(s.value, &object.value)) {
                continue;
            }
            let served: Vec<ObjectType> = scopes
                .iter()
                .filter_map(|s| self.catalogue.scope(s.value))
                .flat_map(|s| s.serves.clone())
                .collect();
            let help = match served.is_empty() {
                true => "leave `objects` out: this scope serves no object type".to_owned(),
                false => format!("it serves: {}", self.names_of(&served)),
            };
            let message = match scopes {
                [one] => format!(
                    "`{}` does not serve `{}`",
                    self.scope_name(one.value),
                    self.word_of(&object.value)
                ),
                _ => format!("none of these scopes serves `{}`", self.word_of(&object.value)),
            };
            self.error(code::OBJECT_NOT_SERVED, object, message, help);
        }
        for scope in scopes {
            let idle = !objects.types.is_empty()
                && !objects.types.iter().any(|o| self.serves(scope.value, &o.value));
            if idle && scopes.len() > 1 {
                let message = format!(
                    "`{}` serves none of these `objects`",
                    self.scope_name(scope.value)
                );
                self.error(
                    code::OBJECT_NOT_SERVED,
                    scope,
                    message,
                    "give it a rule of its own",
                );
            }
        }
    }

    fn serves(&self, scope: ScopeIndex, object: &NamedType) -> bool {
        let Some(scope) = self.catalogue.scope(scope) else {
            return false;
        };
        match object {
            NamedType::AnyCustom | NamedType::One(ObjectType::Custom(_)) => scope.serves_custom,
            NamedType::One(object) => scope.serves.contains(object),
        }
    }

    /// The named types that this scope serves. Its rows without a type belong to the type it is
    /// named after.
    fn objects_of(&self, scope: ScopeIndex, objects: &NamedObjects) -> Objects {
        let named_after = self.catalogue.scope(scope).and_then(|s| s.named_after.clone());
        let mut set = Objects::default();
        for object in objects.types.iter().filter(|o| self.serves(scope, &o.value)) {
            match &object.value {
                NamedType::AnyCustom => set.any_custom = true,
                NamedType::One(object) => {
                    set.typeless |= named_after.as_ref() == Some(object);
                    set.named.push(object.clone());
                }
            }
        }
        set
    }

    fn operations(&mut self, names: &At<Names>, rule: &WrittenRule) -> Option<Opens> {
        let before = self.mistakes.len();
        let mut found: Vec<At<OperationIndex>> = Vec::with_capacity(names.value.len());
        for name in &names.value {
            if name.value.contains('*') {
                self.error(
                    code::WILDCARD,
                    name,
                    format!("`{}` has a wildcard", shown(&name.value)),
                    "name each operation: wildcards stand in `deny` only",
                );
            } else if let Some(operation) = self.operation(name) {
                found.push(operation);
            }
        }
        let objects = rule.objects.as_ref().map(|names| self.objects(names));
        let first_typed = found.iter().find(|o| self.takes_types(o.value)).cloned();
        match (&objects, &rule.objects, first_typed) {
            (None, _, Some(operation)) => {
                let id = self.operation_id(operation.value).to_owned();
                self.error(
                    code::OBJECTS_REQUIRED,
                    &operation,
                    format!("`{id}` takes an object type"),
                    "add `objects` with the types you mean, or `objects: [\"*\"]` for all",
                );
            }
            (Some(_), Some(written), None) if !found.is_empty() => {
                self.error(
                    code::OBJECT_NOT_SERVED,
                    written,
                    "these operations take no object type".to_owned(),
                    "leave `objects` out",
                );
            }
            _ => {}
        }
        let effects: Option<Effects> = rule
            .effects
            .as_ref()
            .map(|named| named.value.iter().map(|e| e.value).collect());
        let grants = found
            .iter()
            .map(|operation| OperationGrant {
                operation: operation.value,
                effects: effects.unwrap_or_else(|| self.own_effect(operation.value)),
            })
            .collect();
        (self.mistakes.len() == before).then(|| Opens::Operations {
            grants,
            objects: objects.map(|o| any_of(&o)).unwrap_or_default(),
            risks: rule.risks.as_ref().map(|named| union(&named.value)),
        })
    }

    fn operation(&mut self, name: &At<String>) -> Option<At<OperationIndex>> {
        if let Some(index) = self.catalogue.operation_by_id(&name.value) {
            return Some(At {
                value: index,
                span: name.span.clone(),
            });
        }
        let help = did_you_mean(
            &name.value,
            self.catalogue.operations().map(|(_, operation)| &*operation.id),
            "`scopegate catalogue lookup METHOD TARGET` shows a request's operation",
        );
        let message = format!("unknown operation `{}`", shown(&name.value));
        self.error(code::UNKNOWN_OPERATION, name, message, help);
        None
    }

    /// Operations of a `deny` rule; `*` as the last segment stands for all that begin so.
    fn denied_operations(&mut self, names: &At<Names>) -> Vec<OperationIndex> {
        let mut denied = Vec::new();
        for name in &names.value {
            let prefix = name.value.strip_suffix('*');
            match prefix {
                None if !name.value.contains('*') => {
                    denied.extend(self.operation(name).map(|o| o.value));
                }
                Some(prefix) if (prefix.is_empty() || prefix.ends_with('.')) && !prefix.contains('*') => {
                    let matched = self.beginning_with(prefix);
                    if matched.is_empty() {
                        let help = "`scopegate catalogue list` shows the operations there are";
                        let message = format!("no operation begins with `{}`", shown(prefix));
                        self.error(code::UNKNOWN_OPERATION, name, message, help);
                    }
                    denied.extend(matched);
                }
                _ => {
                    let help = "write it as the whole last segment: `crm.objects.*`";
                    let message = format!("`*` can't stand here in `{}`", shown(&name.value));
                    self.error(code::WILDCARD, name, message, help);
                }
            }
        }
        denied
    }

    fn beginning_with(&self, prefix: &str) -> Vec<OperationIndex> {
        self.catalogue
            .operations()
            .filter(|(_, operation)| {
                operation.id.starts_with(prefix)
                    || operation.former_ids.iter().any(|id| id.starts_with(prefix))
            })
            .map(|(index, _)| index)
            .collect()
    }

    /// A denied custom object has other spellings that HubSpot alone knows: the rule catches
    /// every custom object that no rule of this file names, too.
    fn denied_objects(&mut self, names: &At<Names>) -> Objects {
        let named = self.objects(names);
        let mut set = any_of(&named);
        for object in &named.types {
            if let NamedType::One(ObjectType::Custom(_)) = object.value {
                set.unnamed_custom = true;
                self.mistakes.push(
                    Mistake::warning(
                        code::LINT_CUSTOM_DENY,
                        object.span.clone(),
                        "a custom object has several spellings, and HubSpot alone knows which mean the same",
                    )
                    .help("this rule also denies every custom object that no rule here names: better name in `allow` the ones you mean"),
                );
            }
        }
        set
    }

    fn objects(&mut self, names: &At<Names>) -> NamedObjects {
        let mut named = NamedObjects {
            all: None,
            types: Vec::new(),
        };
        for name in &names.value {
            if name.value == "*" {
                if names.value.len() > 1 {
                    self.error(
                        code::WILDCARD,
                        name,
                        "`*` stands beside other types".to_owned(),
                        "write `[\"*\"]` alone, or the types",
                    );
                }
                named.all = Some(At {
                    value: (),
                    span: name.span.clone(),
                });
                continue;
            }
            let found = match name.value.as_str() {
                "custom" => Some(NamedType::AnyCustom),
                word => self.catalogue.object_type(word).map(NamedType::One),
            };
            match found {
                Some(value) if named.types.iter().any(|t| t.value == value) => self.error(
                    code::REPEATED,
                    name,
                    format!(
                        "`{}` is a type that stands in this list already",
                        shown(&name.value)
                    ),
                    "remove one",
                ),
                Some(value) => named.types.push(At {
                    value,
                    span: name.span.clone(),
                }),
                None => self.unknown_object(name),
            }
        }
        named
    }

    fn unknown_object(&mut self, name: &At<String>) {
        if name.value.contains('*') {
            let message = format!("`{}` has a wildcard", shown(&name.value));
            self.error(code::WILDCARD, name, message, "name each type");
            return;
        }
        let names: Vec<String> = self
            .catalogue
            .object_types()
            .map(|(_, name)| name.to_owned())
            .chain(["custom".to_owned()])
            .collect();
        let help = did_you_mean(
            &name.value,
            names.iter().map(String::as_str),
            "a custom object is written `2-123` or `p_name`",
        );
        let message = format!("unknown object type `{}`", shown(&name.value));
        self.error(code::UNKNOWN_OBJECT, name, message, help);
    }

    fn takes_types(&self, operation: OperationIndex) -> bool {
        self.catalogue
            .operation(operation)
            .is_some_and(|operation| operation.takes != Takes::Nothing)
    }

    fn operation_id(&self, operation: OperationIndex) -> &str {
        self.catalogue.operation(operation).map_or("?", |o| &*o.id)
    }

    fn own_effect(&self, operation: OperationIndex) -> Effects {
        self.catalogue
            .operation(operation)
            .map_or(Effects::NONE, |o| Effects::one(o.effect))
    }

    fn scope_name(&self, scope: ScopeIndex) -> &str {
        self.catalogue.scope(scope).map_or("?", |s| &*s.name)
    }

    fn word_of<'o>(&'o self, object: &'o NamedType) -> &'o str {
        match object {
            NamedType::AnyCustom => "custom",
            NamedType::One(object) => self.catalogue.object_name(object),
        }
    }

    fn names_of(&self, objects: &[ObjectType]) -> String {
        let names: Vec<&str> = objects.iter().map(|o| self.catalogue.object_name(o)).collect();
        names.join(", ")
    }
}

fn connections(rule: &WrittenRule) -> Option<Vec<Selector>> {
    rule.connections
        .as_ref()
        .map(|all| all.value.iter().map(|s| s.value.clone()).collect())
}

fn union(risks: &[At<Risks>]) -> Risks {
    risks
        .iter()
        .fold(Risks::default(), |all, risk| all.union(risk.value))
}

/// A denied effect denies the stronger ones.
fn and_stronger(named: &[At<Effect>]) -> Effects {
    Effect::ALL
        .into_iter()
        .filter(|effect| named.iter().any(|n| effect.is_at_least(n.value)))
        .collect()
}

fn any_of(named: &NamedObjects) -> Objects {
    Objects {
        all: named.all.is_some(),
        any_custom: named.types.iter().any(|t| t.value == NamedType::AnyCustom),
        named: named
            .types
            .iter()
            .filter_map(|t| match &t.value {
                NamedType::One(object) => Some(object.clone()),
                NamedType::AnyCustom => None,
            })
            .collect(),
        ..Objects::default()
    }
}
