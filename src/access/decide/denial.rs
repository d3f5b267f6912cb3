//! Why not, and what would have to change: for people, on the slow path.
//!
//! The rules that came nearest are compared by how much each lacks; the smallest change is named.
//! A custom object's name came with the request, so it is never repeated: it is called `custom`.

use super::super::decision::Denial;
use super::super::effect::Effect;
use super::super::facts::{Need, Risks, ScopeIndex, Touch};
use super::super::object_type::ObjectType;
use super::super::policy::Policy;
use super::super::policy::named::is_beside_its_scopes;
use super::super::policy::rule::{AllowRule, DenyRule, Objects, Opens, ScopeGrant};
use super::super::policy::tables::ConnectionRef;
use super::super::refusal::Reason;
use super::{Question, observing};
use crate::access::catalogue::{Catalogue, Takes};

/// The policy's last day is over.
pub(super) fn expired(policy: &Policy) -> Denial {
    let day = policy.expires.map(|d| d.to_string()).unwrap_or_default();
    Denial {
        reason: Reason::PolicyExpired,
        lacks: Vec::new(),
        required_scopes: Vec::new(),
        rule: None,
        remedy: format!("the policy expired at the end of {day}: review it and set a later `expires`"),
    }
}

/// Facts without a need: nothing can open what asks for nothing.
pub(super) fn nothing_asked() -> Denial {
    Denial {
        reason: Reason::NoRule,
        lacks: Vec::new(),
        required_scopes: Vec::new(),
        rule: None,
        remedy: "send a request that the catalogue knows".to_owned(),
    }
}

/// What the policy itself denies or does not open.
pub(super) fn of(question: &Question<'_>) -> Denial {
    let policy = question.policy;
    let layers = policy.tables.layers(question.connection);
    let mut findings = Vec::new();
    for need in &question.facts.needs {
        let finder = Finder::new(question, need, &policy.allow);
        match policy.tables.denied(&layers, need) {
            Some(index) => {
                if let Some(rule) = policy.deny.get(usize::from(index)) {
                    findings.push(finder.denied(rule));
                }
            }
            None if policy.tables.opened(&layers, need).is_some() => {}
            None if observing(question, need).is_some() => {}
            None => findings.push(finder.nearest()),
        }
    }
    together(findings)
}

/// What the policy opens and the ceiling does not.
pub(super) fn beyond_ceiling(question: &Question<'_>) -> Denial {
    let mut findings = Vec::new();
    if let Some(ceiling) = question.ceiling {
        let layers = ceiling.tables.layers(question.connection);
        for need in &question.facts.needs {
            let allow = ceiling.allow.as_deref().unwrap_or_default();
            let finder = Finder::new(question, need, allow);
            if let Some(rule) = ceiling
                .tables
                .denied(&layers, need)
                .and_then(|index| ceiling.deny.get(usize::from(index)))
            {
                findings.push(finder.denied(rule));
            } else if ceiling.allow.is_some() && ceiling.tables.opened(&layers, need).is_none() {
                findings.push(finder.nearest());
            }
        }
    }
    let denial = together(findings);
    Denial {
        reason: Reason::Ceiling,
        // A scope added to the policy would not help: the ceiling stands above it.
        required_scopes: Vec::new(),
        remedy: format!("ask whoever keeps `_ceiling.yaml` to {}", denial.remedy),
        ..denial
    }
}

/// What one need lacks.
struct Finding {
    reason: Reason,
    lacks: Vec<String>,
    required_scopes: Vec<String>,
    rule: Option<String>,
    remedy: String,
}

/// One denial of all findings: a `deny` rule gives the reason before anything else does.
fn together(findings: Vec<Finding>) -> Denial {
    let first = findings
        .iter()
        .position(|f| f.reason == Reason::DenyRule)
        .unwrap_or(0);
    let mut denial = Denial {
        reason: Reason::NoRule,
        lacks: Vec::new(),
        required_scopes: Vec::new(),
        rule: None,
        remedy: String::new(),
    };
    if let Some(finding) = findings.get(first) {
        denial.reason = finding.reason;
        denial.rule.clone_from(&finding.rule);
    }
    for finding in findings {
        for lack in finding.lacks {
            push_once(&mut denial.lacks, lack);
        }
        for scope in finding.required_scopes {
            push_once(&mut denial.required_scopes, scope);
        }
        if denial.remedy.is_empty() {
            denial.remedy = finding.remedy;
        } else if !denial.remedy.contains(&finding.remedy) {
            denial.remedy = format!("{}, and {}", denial.remedy, finding.remedy);
        }
    }
    denial
}

fn push_once(list: &mut Vec<String>, word: String) {
    if !list.contains(&word) {
        list.push(word);
    }
}

/// Something a rule lacks to open a need.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Lack {
    Scope(ScopeIndex),
    Operation,
    Object(Option<ObjectType>),
    Effect(Effect),
    Risk(Risks),
}

/// A rule that could be changed, or the lack of one, and what is missing.
struct Miss<'a> {
    lacks: Vec<Lack>,
    rule: Option<&'a AllowRule>,
}

struct Finder<'a> {
    catalogue: &'a Catalogue,
    need: &'a Need,
    connection: ConnectionRef<'a>,
    allow: &'a [AllowRule],
}

impl<'a> Finder<'a> {
    fn new(question: &Question<'a>, need: &'a Need, allow: &'a [AllowRule]) -> Self {
        Self {
            catalogue: question.catalogue,
            need,
            connection: question.connection,
            allow,
        }
    }

    fn denied(&self, rule: &DenyRule) -> Finding {
        let mut lacks = Vec::new();
        if rule.effects.is_some() {
            lacks.push(Lack::Effect(self.need.effect));
        }
        if let Some(objects) = &rule.objects {
            let touched = self.need.touches.iter().map(|t| t.object.clone());
            lacks.extend(
                touched
                    .filter(|o| denied_object(objects, o.as_ref()))
                    .map(Lack::Object),
            );
        }
        if let Some(risks) = rule.risks {
            lacks.push(Lack::Risk(Risks(self.need.risks.0 & risks.0)));
        }
        if rule.operations.is_some() || lacks.is_empty() {
            // A denied scope is not missing either: asking for it would not help.
            lacks.push(Lack::Operation);
        }
        Finding {
            reason: Reason::DenyRule,
            lacks: self.words(&lacks),
            required_scopes: Vec::new(),
            rule: Some(rule.id.to_string()),
            remedy: format!("narrow or remove the rule `{}`", rule.id),
        }
    }

    fn nearest(&self) -> Finding {
        let miss = self.nearest_miss();
        let has = |wanted: fn(&Lack) -> bool| miss.lacks.iter().any(wanted);
        let reason = if has(|l| matches!(l, Lack::Scope(_) | Lack::Operation)) {
            Reason::NoRule
        } else if has(|l| matches!(l, Lack::Object(_))) {
            Reason::Object
        } else if has(|l| matches!(l, Lack::Effect(_))) {
            Reason::Effect
        } else {
            Reason::Risk
        };
        let scopes = miss.lacks.iter().filter_map(|lack| match lack {
            Lack::Scope(scope) => Some(self.scope_name(*scope).to_owned()),
            _ => None,
        });
        Finding {
            reason,
            required_scopes: scopes.collect(),
            lacks: self.words(&miss.lacks),
            rule: miss.rule.map(|rule| rule.id.to_string()),
            remedy: self.remedy(&miss),
        }
    }

    fn nearest_miss(&self) -> Miss<'a> {
        let by_operation = self.operation_misses().min_by_key(|miss| miss.lacks.len());
        let by_scope = self.scope_miss();
        match (by_operation, by_scope) {
            (Some(operation), Some(scope)) if scope.lacks.len() < operation.lacks.len() => scope,
            (Some(operation), _) => operation,
            (None, Some(scope)) => scope,
            (None, None) => Miss {
                lacks: vec![Lack::Operation],
                rule: None,
            },
        }
    }

    /// Rules that name the operation, each with what it lacks.
    fn operation_misses(&self) -> impl Iterator<Item = Miss<'a>> {
        let need = self.need;
        self.applicable().filter_map(move |rule| {
            let Opens::Operations {
                grants,
                objects,
                risks,
            } = &rule.opens
            else {
                return None;
            };
            let grant = grants.iter().find(|g| g.operation == need.operation)?;
            let mut lacks = Vec::new();
            for touch in &need.touches {
                let lack = Lack::Object(touch.object.clone());
                if touch.object.is_some()
                    && !objects.contains(touch.object.as_ref())
                    && !lacks.contains(&lack)
                {
                    lacks.push(lack);
                }
            }
            if !grant.effects.contains(need.effect) {
                lacks.push(Lack::Effect(need.effect));
            }
            if let Some(risks) = risks
                && !need.risks.minus(*risks).is_empty()
            {
                lacks.push(Lack::Risk(need.risks.minus(*risks)));
            }
            Some(Miss {
                lacks,
                rule: Some(rule),
            })
        })
    }

    fn applicable(&self) -> impl Iterator<Item = &'a AllowRule> {
        let connection = self.connection;
        self.allow
            .iter()
            .filter(move |rule| connection.is_selected_by_any(rule.connections.as_deref()))
    }

    /// What scope rules lack for everything the need touches; `None` if no scope opens it.
    fn scope_miss(&self) -> Option<Miss<'a>> {
        let by_name_alone = matches!(self.need.effect, Effect::Auth | Effect::Meta)
            || is_beside_its_scopes(self.catalogue, self.need.operation);
        if by_name_alone {
            return None;
        }
        let mut all = Miss {
            lacks: Vec::new(),
            rule: None,
        };
        for touch in &self.need.touches {
            let terms = touch.requirement.iter().map(|term| self.term_miss(touch, term));
            let best = terms.min_by_key(|miss| miss.lacks.len())?;
            all.rule = all.rule.or(best.rule);
            for lack in best.lacks {
                if !all.lacks.contains(&lack) {
                    all.lacks.push(lack);
                }
            }
        }
        Some(all)
    }

    fn term_miss(&self, touch: &Touch, term: &[ScopeIndex]) -> Miss<'a> {
        let mut miss = Miss {
            lacks: Vec::new(),
            rule: None,
        };
        let mut missing_effect = true;
        let add = |miss: &mut Miss<'a>, lack: Lack| {
            if !miss.lacks.contains(&lack) {
                miss.lacks.push(lack);
            }
        };
        for scope in term {
            let best = self.grants(*scope).min_by_key(|(_, grant, risks)| {
                let object = !grant.objects.contains(touch.object.as_ref());
                let risk = !self.need.risks.minus(*risks).is_empty();
                let effect = !grant.effects.contains(self.need.effect);
                (u8::from(object) + u8::from(risk), effect)
            });
            let Some((rule, grant, risks)) = best else {
                add(&mut miss, Lack::Scope(*scope));
                missing_effect &= !self.opens_by_default(*scope);
                if !self.is_default_object(*scope, touch.object.as_ref()) {
                    add(&mut miss, Lack::Object(touch.object.clone()));
                }
                if !self.need.risks.is_empty() {
                    add(&mut miss, Lack::Risk(self.need.risks));
                }
                continue;
            };
            let lacking = miss.lacks.len();
            missing_effect &= !grant.effects.contains(self.need.effect);
            if !grant.objects.contains(touch.object.as_ref()) {
                add(&mut miss, Lack::Object(touch.object.clone()));
            }
            if !self.need.risks.minus(risks).is_empty() {
                add(&mut miss, Lack::Risk(self.need.risks.minus(risks)));
            }
            if miss.rule.is_none() || miss.lacks.len() > lacking {
                miss.rule = Some(rule);
            }
        }
        if missing_effect {
            add(&mut miss, Lack::Effect(self.need.effect));
        }
        miss
    }

    fn grants(&self, scope: ScopeIndex) -> impl Iterator<Item = (&'a AllowRule, &'a ScopeGrant, Risks)> {
        self.applicable().filter_map(move |rule| match &rule.opens {
            Opens::Scopes { grants, risks } => {
                let grant = grants.iter().find(|grant| grant.scope == scope)?;
                Some((rule, grant, *risks))
            }
            Opens::Operations { .. } => None,
        })
    }

    /// Whether a plain rule by this scope opens the need's effect. One for both directions must
    /// name its effects anyway, so nothing is missing beside it.
    fn opens_by_default(&self, scope: ScopeIndex) -> bool {
        self.catalogue.scope(scope).is_some_and(|found| {
            found
                .direction
                .default_effect()
                .is_none_or(|effect| effect == self.need.effect)
        })
    }

    fn is_default_object(&self, scope: ScopeIndex, object: Option<&ObjectType>) -> bool {
        self.catalogue.scope(scope).is_some_and(|found| match object {
            None => true,
            Some(ObjectType::Custom(_)) => found.serves_custom && found.serves.is_empty(),
            Some(object) => found.named_after.as_ref() == Some(object),
        })
    }

    fn remedy(&self, miss: &Miss<'a>) -> String {
        let is_new = miss
            .lacks
            .iter()
            .any(|l| matches!(l, Lack::Scope(_) | Lack::Operation));
        match miss.rule {
            Some(rule) if !is_new => self.change(rule, &miss.lacks),
            _ => self.new_rule(&miss.lacks),
        }
    }

    /// What to write in a rule that is nearly enough.
    fn change(&self, rule: &AllowRule, lacks: &[Lack]) -> String {
        let mut changes: Vec<String> = Vec::new();
        for lack in lacks {
            changes.push(match lack {
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
            rule.push_str(&format!(", objects: [{}]", objects.join(", ")));
        }
        if operation.effect != self.need.effect {
            rule.push_str(&format!(", effects: [{}]", self.need.effect.as_str()));
        }
        format!("add the rule `{{{rule}}}` to `allow`")
    }

    fn words(&self, lacks: &[Lack]) -> Vec<String> {
        let mut words = Vec::new();
        for lack in lacks {
            match lack {
                Lack::Scope(scope) => push_once(&mut words, format!("scope:{}", self.scope_name(*scope))),
                Lack::Operation => push_once(&mut words, format!("operation:{}", self.operation_id())),
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

    fn scope_name(&self, scope: ScopeIndex) -> &'a str {
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

fn denied_object(objects: &Objects, object: Option<&ObjectType>) -> bool {
    let unnamed = objects.unnamed_custom && matches!(object, Some(ObjectType::Custom(_)));
    unnamed || objects.contains(object)
}
