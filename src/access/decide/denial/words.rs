//! A denial in the words of a policy: what is lacking, and what to write.

use super::{Finder, Lack, Miss, push_once};
use crate::access::catalogue::Takes;
use crate::access::effect::Effect;
use crate::access::facts::ScopeIndex;
use crate::access::object_type::ObjectType;
use crate::access::policy::rule::{AllowRule, Opens};

const EVERY_TYPE: &str = "write `objects: [\"*\"]`, since the request does not say which type it touches";

impl<'a> Finder<'a> {
    pub(super) fn remedy(&self, miss: &Miss<'a>) -> String {
        let is_new = miss
            .lacks
            .iter()
            .any(|l| matches!(l, Lack::Scope(_) | Lack::Operation));
        match miss.rule {
            Some(rule) if !is_new && !is_beside_objects(rule, &miss.lacks) => self.change(rule, &miss.lacks),
            _ => self.new_rule(&miss.lacks),
        }
    }

    /// What to write in a rule that is nearly enough.
    fn change(&self, rule: &AllowRule, lacks: &[Lack]) -> String {
        let mut changes: Vec<String> = Vec::new();
        let any_type = self.is_of_any_type();
        if any_type && lacks.iter().any(|lack| matches!(lack, Lack::Object(_))) {
            changes.push(EVERY_TYPE.to_owned());
        }
        for lack in lacks {
            changes.push(match lack {
                Lack::Object(_) if any_type => continue,
                Lack::Object(object) => format!("add {} to `objects`", self.object_words(object.as_ref())),
                Lack::Effect(effect) => format!("write `effects: [{}]`", self.effects_with(rule, *effect)),
                Lack::Risk(risks) => {
                    let names: Vec<&str> = risks.names().collect();
                    format!("add `{}` to `risks`", names.join("`, `"))
                }
                Lack::Scope(_) | Lack::Operation => continue,
            });
        }
        format!("in rule `{}` {}", rule.id, changes.join(" and "))
    }

    /// Whether the request does not say which type it touches, so that it may be each of them.
    fn is_of_any_type(&self) -> bool {
        self.need.touches.len() > 2
    }

    /// The effects the rule opens now, and the one that is missing.
    fn effects_with(&self, rule: &AllowRule, effect: Effect) -> String {
        let now = match &rule.opens {
            Opens::Scopes { grants, .. } => grants
                .iter()
                .find(|g| self.requires(g.scope))
                .or(grants.first())
                .map(|g| g.effects),
            Opens::Operations { grants, .. } => grants
                .iter()
                .find(|g| g.operation == self.need.operation)
                .map(|g| g.effects),
        };
        let all: Vec<&str> = Effect::ALL
            .into_iter()
            .filter(|e| *e == effect || now.is_some_and(|now| now.contains(*e)))
            .map(Effect::as_str)
            .collect();
        all.join(", ")
    }

    fn requires(&self, scope: ScopeIndex) -> bool {
        let mut terms = self.need.touches.iter().flat_map(|t| t.requirement.iter());
        terms.any(|term| term.contains(&scope))
    }

    /// A rule to add: by scope where that opens no more than the effect asked for, else by
    /// operation, which opens least.
    fn new_rule(&self, lacks: &[Lack]) -> String {
        let scopes: Vec<&str> = lacks
            .iter()
            .filter_map(|lack| match lack {
                Lack::Scope(scope) => Some(self.scope_name(*scope)),
                _ => None,
            })
            .collect();
        let plain = lacks.iter().all(|lack| matches!(lack, Lack::Scope(_)));
        if plain && !scopes.is_empty() {
            let both = lacks.iter().any(|lack| match lack {
                Lack::Scope(scope) => self
                    .catalogue
                    .scope(*scope)
                    .is_some_and(|s| s.direction.default_effect().is_none()),
                _ => false,
            });
            let scope = match scopes.as_slice() {
                [one] => (*one).to_owned(),
                several => format!("[{}]", several.join(", ")),
            };
            return match both {
                true => format!(
                    "add the rule `{{scope: {scope}, effects: [{}]}}` to `allow`",
                    self.need.effect.as_str()
                ),
                false => format!("add the rule `{{scope: {scope}}}` to `allow`"),
            };
        }
        self.operation_rule()
    }

    fn operation_rule(&self) -> String {
        let Some(operation) = self.catalogue.operation(self.need.operation) else {
            return "add a rule that names the operation to `allow`".to_owned();
        };
        let mut rule = format!("operation: {}", operation.id);
        if operation.takes != Takes::Nothing {
            let mut objects: Vec<String> = Vec::new();
            for touch in &self.need.touches {
                if touch.object.is_some() {
                    push_once(&mut objects, self.object_word(touch.object.as_ref()).to_owned());
                }
            }
            if self.is_of_any_type() {
                objects = vec!["\"*\"".to_owned()];
            }
            rule.push_str(&format!(", objects: [{}]", objects.join(", ")));
        }
        if operation.effect != self.need.effect {
            rule.push_str(&format!(", effects: [{}]", self.need.effect.as_str()));
        }
        format!("add the rule `{{{rule}}}` to `allow`")
    }

    pub(super) fn words(&self, lacks: &[Lack]) -> Vec<String> {
        let mut words = Vec::new();
        for lack in lacks {
            match lack {
                Lack::Scope(scope) => push_once(&mut words, format!("scope:{}", self.scope_name(*scope))),
                Lack::Operation => push_once(&mut words, format!("operation:{}", self.operation_id())),
                Lack::Object(_) if self.is_of_any_type() => push_once(&mut words, "object:*".to_owned()),
                Lack::Object(object) => {
                    push_once(
                        &mut words,
                        format!("object:{}", self.object_word(object.as_ref())),
                    );
                }
                Lack::Effect(effect) => push_once(&mut words, format!("effect:{}", effect.as_str())),
                Lack::Risk(risks) => {
                    for name in risks.names() {
                        push_once(&mut words, format!("risk:{name}"));
                    }
                }
            }
        }
        words
    }

    pub(super) fn scope_name(&self, scope: ScopeIndex) -> &'a str {
        self.catalogue.scope(scope).map_or("", |s| &*s.name)
    }

    fn operation_id(&self) -> &'a str {
        self.catalogue
            .operation(self.need.operation)
            .map_or("", |operation| &*operation.id)
    }

    fn object_word<'o>(&'o self, object: Option<&'o ObjectType>) -> &'o str {
        match object {
            None => "*",
            Some(ObjectType::Custom(_)) => "custom",
            Some(object) => self.catalogue.object_name(object),
        }
    }

    fn object_words(&self, object: Option<&ObjectType>) -> String {
        match object {
            Some(ObjectType::Custom(_)) => "the custom object, by its id or name,".to_owned(),
            object => format!("`{}`", self.object_word(object)),
        }
    }
}

/// A scope rule with `objects` opens nothing that has no type, and no word in `objects` stands for that.
fn is_beside_objects(rule: &AllowRule, lacks: &[Lack]) -> bool {
    matches!(rule.opens, Opens::Scopes { .. }) && lacks.contains(&Lack::Object(None))
}
