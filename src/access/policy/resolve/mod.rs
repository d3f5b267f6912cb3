//! Rules as written become rules as used: names looked up, defaults put in, and everything that
//! can't be meant reported with the nearest name that can.

mod objects;
mod operations;
pub mod properties;

use std::sync::Arc;

use self::objects::NamedObjects;

use super::rule::{AllowRule, DenyRule, Effects, Opens, ScopeGrant};
use crate::access::catalogue::Catalogue;
use crate::access::consent::DROPPED_SCOPE;
use crate::access::effect::Effect;
use crate::access::facts::{Risks, ScopeIndex};
use crate::access::object_type::ObjectType;
use crate::access::policy_text::mistake::{Mistake, code};
use crate::access::policy_text::nearest::did_you_mean;
use crate::access::policy_text::read::RuleKind;
use crate::access::policy_text::reader::shown;
use crate::access::policy_text::written::{At, Names, Selector, WrittenRule};

/// Blocks that answers and records name as they name rules: `erp-sync#properties`.
const BLOCKS: [&str; 3] = ["properties", "limits", "observe"];

/// Resolves the rules of one file and collects their mistakes.
pub struct Resolver<'a> {
    catalogue: &'a Catalogue,
    /// Name in front of `#` in a rule's id.
    owner: &'a str,
    /// Mistakes so far.
    pub mistakes: Vec<Mistake>,
    /// What was left out, and harms nothing.
    pub warnings: Vec<Mistake>,
}

impl<'a> Resolver<'a> {
    /// A resolver for the file of `owner`.
    pub fn new(catalogue: &'a Catalogue, owner: &'a str) -> Self {
        Self {
            catalogue,
            owner,
            mistakes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Resolves a list of `allow` rules.
    pub fn allow(&mut self, rules: &[WrittenRule]) -> Vec<AllowRule> {
        let mut resolved = Vec::with_capacity(rules.len());
        for (index, rule) in rules.iter().enumerate() {
            let opens = match (&rule.scope, &rule.operation) {
                (Some(scopes), None) => self.scopes(scopes, rule),
                (None, Some(operations)) => self.operations(operations, rule),
                _ => self.names_alone(rule),
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

    /// Two rules with one id could not be told apart in answers and records, nor could a rule and a
    /// block of the policy that decides.
    pub fn unique_ids(&mut self, allow: &[WrittenRule], deny: &[WrittenRule]) {
        let mut seen: Vec<&str> = Vec::new();
        for id in allow.iter().chain(deny).filter_map(|rule| rule.id.as_ref()) {
            if BLOCKS.contains(&id.value.as_str()) {
                self.error(
                    code::BAD_RULE_ID,
                    id,
                    format!("`{}` stands for a block of the policy", id.value),
                    "give the rule another id",
                );
            }
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

    /// The names of a rule that opens nothing since it has both or neither of `scope` and
    /// `operation`, which is a mistake already. Opens nothing.
    fn names_alone(&mut self, rule: &WrittenRule) -> Option<Opens> {
        if let Some(names) = &rule.scope {
            self.scope_names(&names.value);
        }
        if let Some(names) = &rule.operation {
            self.operation_names(&names.value);
        }
        if let Some(names) = &rule.objects {
            self.objects(names);
        }
        None
    }

    fn scopes(&mut self, scopes: &At<Names>, rule: &WrittenRule) -> Option<Opens> {
        let before = self.mistakes.len();
        let named = self.scope_names(&scopes.value);
        let scopes_known = self.mistakes.len() == before && rule.is_sound(&["scope"]);
        let before_objects = self.mistakes.len();
        let objects = rule.objects.as_ref().map(|names| self.objects(names));
        let objects_known = self.mistakes.len() == before_objects && rule.is_sound(&["objects"]);
        if let Some(NamedObjects { all: Some(all), .. }) = &objects {
            self.error(
                code::WILDCARD,
                all,
                "`*` can't stand in the `objects` of a scope rule".to_owned(),
                "name the types: a scope opens what a reviewer reads",
            );
        }
        if let Some(objects) = &objects {
            // A name that is not known could be the one that serves, or is served.
            if scopes_known {
                self.served(&named, objects);
            }
            if objects_known {
                self.serving(&named, objects);
            }
        }
        let effects = self.scope_effects(rule);
        let mut grants = Vec::with_capacity(named.len());
        for scope in &named {
            let effects = match effects {
                None if rule.is_sound(&["effects"]) => self.default_effects(scope),
                named => named,
            };
            let objects = match &objects {
                Some(objects) => Some(self.objects_of(scope.value, objects)),
                None if rule.is_sound(&["objects"]) => self.default_objects(scope),
                None => None,
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
            } else if name.value == DROPPED_SCOPE {
                let warning = Mistake::warning(
                    code::DROPPED_SCOPE,
                    name.span.clone(),
                    format!("HubSpot has no scope `{DROPPED_SCOPE}` any more: it is left out"),
                );
                self.warnings
                    .push(warning.help("remove it: every grant can be refreshed without it"));
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

    fn scope_name(&self, scope: ScopeIndex) -> &str {
        self.catalogue.scope(scope).map_or("?", |s| &*s.name)
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
