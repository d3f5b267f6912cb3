//! The rule that came nearest to opening a need.

use super::{Finder, Lack, Miss};
use crate::access::effect::Effect;
use crate::access::facts::{Risks, ScopeIndex, Touch};
use crate::access::object_type::ObjectType;
use crate::access::policy::named::is_beside_its_scopes;
use crate::access::policy::rule::{AllowRule, Opens, ScopeGrant};

impl<'a> Finder<'a> {
    pub(super) fn nearest_miss(&self) -> Miss<'a> {
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
}
