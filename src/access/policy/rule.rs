//! Rules as used: every name resolved against the catalogue, every default put in.

use std::sync::Arc;

use crate::access::effect::Effect;
use crate::access::facts::{Need, OperationIndex, Risks, ScopeIndex};
use crate::access::object_type::ObjectType;
use crate::access::policy_text::mistake::Span;
use crate::access::policy_text::written::Selector;

/// A set of effects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects(u8);

impl Effects {
    /// No effect.
    pub const NONE: Effects = Effects(0);

    /// One effect.
    pub fn one(effect: Effect) -> Self {
        Self(1 << effect as u8)
    }

    /// Whether `effect` is in the set.
    pub fn contains(self, effect: Effect) -> bool {
        self.0 & (1 << effect as u8) != 0
    }

    /// Both sets together.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The effects in the set, weakest first.
    pub fn iter(self) -> impl Iterator<Item = Effect> {
        Effect::ALL.into_iter().filter(move |e| self.contains(*e))
    }
}

impl FromIterator<Effect> for Effects {
    fn from_iter<I: IntoIterator<Item = Effect>>(effects: I) -> Self {
        effects
            .into_iter()
            .fold(Self::NONE, |set, effect| set.union(Self::one(effect)))
    }
}

/// A set of object types, and of "no object type at all".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objects {
    /// Every type, custom ones too.
    pub all: bool,
    /// What touches no type: a fixed row.
    pub typeless: bool,
    /// Every custom object, whatever its name.
    pub any_custom: bool,
    /// Custom objects that no rule of the file names; in `deny` only.
    pub unnamed_custom: bool,
    /// Types by their row, and custom objects by the spelling they are named with.
    pub named: Vec<ObjectType>,
}

impl Objects {
    /// Whether a touch of `object` is inside.
    pub fn contains(&self, object: Option<&ObjectType>) -> bool {
        match object {
            None => self.typeless,
            Some(_) if self.all => true,
            Some(ObjectType::Custom(_)) if self.any_custom => true,
            Some(object) => self.named.contains(object),
        }
    }
}

/// A rule of `allow`.
#[derive(Clone, Debug)]
pub struct AllowRule {
    /// `contact-report#allow[0]`, or with the author's own id.
    pub id: Arc<str>,
    /// What it opens.
    pub opens: Opens,
    /// `None` = all of the policy's.
    pub connections: Option<Vec<Selector>>,
    /// Why it is there.
    pub reason: Option<String>,
    /// Its scopes are asked for as optional ones at install.
    pub optional: bool,
    /// Where it stands.
    pub span: Span,
}

/// What an `allow` rule opens.
#[derive(Clone, Debug)]
pub enum Opens {
    /// What a reviewer reads in the names of scopes.
    Scopes {
        /// Each with the effects and objects it opens.
        grants: Vec<ScopeGrant>,
        /// Risks it takes in.
        risks: Risks,
    },
    /// Exactly these operations.
    Operations {
        /// Each with the effects it opens.
        grants: Vec<OperationGrant>,
        /// Types, where an operation takes one; both ends of a pair must be inside.
        objects: Objects,
        /// `None` = whatever the operation has: naming it is complete in itself.
        risks: Option<Risks>,
    },
}

/// One scope of a rule.
#[derive(Clone, Debug)]
pub struct ScopeGrant {
    /// The scope.
    pub scope: ScopeIndex,
    /// Its direction's effect, or the ones the rule names.
    pub effects: Effects,
    /// The type it is named after, or the ones the rule names.
    pub objects: Objects,
}

/// One operation of a rule.
#[derive(Clone, Debug)]
pub struct OperationGrant {
    /// The operation.
    pub operation: OperationIndex,
    /// Its own effect, or the ones the rule names.
    pub effects: Effects,
}

/// A rule of `deny`: what is in all of the conditions given.
#[derive(Clone, Debug)]
pub struct DenyRule {
    /// `erp-sync#deny[0]`.
    pub id: Arc<str>,
    /// Scopes of which one is named in the requirement.
    pub scopes: Option<Vec<ScopeIndex>>,
    /// Operations, wildcards written out.
    pub operations: Option<Vec<OperationIndex>>,
    /// Effects, the stronger ones put in.
    pub effects: Option<Effects>,
    /// Types of which one is touched.
    pub objects: Option<Objects>,
    /// Risks of which the request has one.
    pub risks: Option<Risks>,
    /// `None` = all of the policy's.
    pub connections: Option<Vec<Selector>>,
    /// Where it stands.
    pub span: Span,
}

impl DenyRule {
    /// Whether it denies whole scopes and has no further condition.
    pub fn is_by_scope_alone(&self) -> bool {
        self.scopes.is_some()
            && self.operations.is_none()
            && self.effects.is_none()
            && self.objects.is_none()
            && self.risks.is_none()
            && self.connections.is_none()
    }
}

impl DenyRule {
    /// Whether it catches a need, on a connection it holds for. The decision itself asks the
    /// compiled tables; a test holds the two together.
    pub fn catches(&self, need: &Need) -> bool {
        let operation = self
            .operations
            .as_ref()
            .is_none_or(|all| all.contains(&need.operation));
        let effect = self.effects.is_none_or(|set| set.contains(need.effect));
        let risk = self.risks.is_none_or(|set| set.intersects(need.risks));
        let mut touched = need.touches.iter().map(|t| t.object.as_ref());
        let object = self
            .objects
            .as_ref()
            .is_none_or(|set| touched.any(|object| set.contains(object)));
        let mut required = need.touches.iter().flat_map(|t| t.requirement.iter().flatten());
        let scope = self
            .scopes
            .as_ref()
            .is_none_or(|all| required.any(|scope| all.contains(scope)));
        operation && effect && risk && object && scope
    }
}

impl AllowRule {
    /// The sets of types it names or takes by default.
    pub fn objects(&self) -> Vec<&Objects> {
        match &self.opens {
            Opens::Scopes { grants, .. } => grants.iter().map(|grant| &grant.objects).collect(),
            Opens::Operations { objects, .. } => vec![objects],
        }
    }
}
