//! What a person is asked to grant when an account is connected: the scopes that the policies for it
//! need, and the rule each comes from.
//!
//! A rule asks for a scope only if something it opens survives the policy's `deny` rules and the
//! ceiling. A rule by operation asks for the catalogue's least scopes of the types it names; one for
//! all types (`["*"]`) asks for none, since an account that lacks a feature could then never be
//! connected. Deliberately absent: stores, clients, clocks.

mod least;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;
use smallvec::smallvec;

pub use self::least::{Least, Wanted, least};
use super::catalogue::{Catalogue, Opening, Takes};
use super::facts::{Need, Requirement, Risks, ScopeIndex, Touch};
use super::object_type::ObjectType;
use super::policy::Policy;
use super::policy::ceiling::Ceiling;
use super::policy::rule::{AllowRule, Objects, Opens, OperationGrant, ScopeGrant};
use super::policy::tables::{ConnectionRef, Layers};

/// The scope every app has (HubSpot's OAuth guide, "Scopes"): always asked for.
pub const BASE_SCOPE: &str = "oauth";

/// A leftover of HubSpot's first OAuth: no scope list has it, every code exchange brings a refresh
/// token without it, and an unknown scope aborts an install. So it is never asked for.
pub const DROPPED_SCOPE: &str = "offline";

/// A scope to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedScope {
    /// As HubSpot writes it.
    pub name: String,
    /// Whether the account may be connected without it.
    pub is_optional: bool,
    /// The rules that need it, in the order of the policies; empty for the base scope.
    pub by: Vec<AskedBy>,
}

/// The rule a scope comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedBy {
    /// The policy's file.
    pub file: Arc<str>,
    /// The rule's line in it.
    pub line: u32,
    /// The rule's id.
    pub rule: Arc<str>,
    /// Whether the rule is marked optional.
    pub is_optional: bool,
}

/// What to ask for, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// Required ones first, the base scope before all.
    pub scopes: Vec<AskedScope>,
    /// Integrations whose policies use the connection.
    pub integrations: Vec<Arc<str>>,
    /// Rules for all types, whose scopes are not asked for.
    pub unnamed: Vec<AskedBy>,
}

impl Consent {
    /// Names of the scopes that must be granted.
    pub fn required(&self) -> Vec<String> {
        self.names(false)
    }

    /// Names of those that may be.
    pub fn optional(&self) -> Vec<String> {
        self.names(true)
    }

    fn names(&self, optional: bool) -> Vec<String> {
        let picked = self.scopes.iter().filter(|scope| scope.is_optional == optional);
        picked.map(|scope| scope.name.clone()).collect()
    }
}

/// The scopes that `policies` need in a connection at `now`, as far as the ceiling goes.
pub fn asked<'p>(
    policies: impl IntoIterator<Item = &'p Policy>,
    ceiling: Option<&Ceiling>,
    connection: ConnectionRef<'_>,
    catalogue: &Catalogue,
    now: Timestamp,
) -> Consent {
    let mut consent = Consent::default();
    let mut wanted: Vec<(Wanted, AskedBy)> = Vec::new();
    let using = policies
        .into_iter()
        .filter(|policy| policy.covers(connection) && !policy.is_expired(now));
    for policy in using {
        consent.integrations.push(Arc::clone(&policy.integration));
        let judge = Judge {
            policy,
            ceiling,
            catalogue,
            layers: policy.tables.layers(connection),
            above: ceiling.map(|ceiling| ceiling.tables.layers(connection)),
        };
        let rules = policy
            .allow
            .iter()
            .filter(|rule| connection.is_selected_by_any(rule.connections.as_deref()));
        for rule in rules {
            let by = AskedBy {
                file: Arc::clone(&policy.file),
                line: rule.span.line,
                rule: Arc::clone(&rule.id),
                is_optional: rule.optional,
            };
            if is_for_all_types(rule) {
                consent.unnamed.push(by.clone());
            }
            wanted.extend(judge.requirements(rule).into_iter().map(|requirement| {
                let wanted = Wanted {
                    requirement,
                    is_optional: rule.optional,
                };
                (wanted, by.clone())
            }));
        }
    }
    let base = catalogue.scope_by_name(BASE_SCOPE);
    let all: Vec<Wanted> = wanted.iter().map(|(wanted, _)| wanted.clone()).collect();
    let Least { required, optional } = least(base, &all);
    let kinds = [(required, false), (optional, true)];
    for (scopes, is_optional) in kinds {
        for scope in scopes {
            let Some(found) = catalogue.scope(scope) else {
                continue;
            };
            let by = wanted
                .iter()
                .filter(|(wanted, _)| wanted.names(scope))
                .map(|(_, by)| by.clone());
            let mut by: Vec<AskedBy> = by.collect();
            by.dedup();
            consent.scopes.push(AskedScope {
                name: found.name.to_string(),
                is_optional,
                by,
            });
        }
    }
    consent.scopes.retain(|scope| scope.name != DROPPED_SCOPE);
    if base.is_none() {
        let base = AskedScope {
            name: BASE_SCOPE.to_owned(),
            is_optional: false,
            by: Vec::new(),
        };
        consent.scopes.insert(0, base);
    }
    consent
}

fn is_for_all_types(rule: &AllowRule) -> bool {
    matches!(&rule.opens, Opens::Operations { objects, .. } if objects.all)
}

/// One policy in one connection, asked what of its rules is left.
struct Judge<'a> {
    policy: &'a Policy,
    ceiling: Option<&'a Ceiling>,
    catalogue: &'a Catalogue,
    layers: Layers<'a>,
    above: Option<Layers<'a>>,
}

impl Judge<'_> {
    /// What a rule needs granted, each once.
    fn requirements(&self, rule: &AllowRule) -> Vec<Requirement> {
        let mut found: Vec<Requirement> = Vec::new();
        let mut add = |requirement: Requirement| {
            if !requirement.is_empty() && !found.contains(&requirement) {
                found.push(requirement);
            }
        };
        match &rule.opens {
            Opens::Scopes { grants, risks } => {
                let asked = grants.iter().filter(|grant| self.is_left(grant, *risks));
                asked.for_each(|grant| add([smallvec![grant.scope]].into_iter().collect()));
            }
            Opens::Operations { grants, objects, .. } => {
                for grant in grants {
                    self.touches(grant, objects)
                        .into_iter()
                        .filter(|touch| self.passes_some(grant, touch))
                        .for_each(|touch| add(touch.requirement));
                }
            }
        }
        found
    }

    /// Whether something that the scope opens by this rule passes. A scope that opens no operation of
    /// the catalogue by itself (HubSpot's scopes for sensitive data) is asked for as it stands.
    fn is_left(&self, grant: &ScopeGrant, risks: Risks) -> bool {
        let custom = ObjectType::Custom("custom".into());
        let mut opens_nothing = true;
        for opening in self.catalogue.openings(&custom) {
            let mut terms = opening
                .touch
                .requirement
                .iter()
                .filter(|term| term.contains(&grant.scope))
                .peekable();
            if terms.peek().is_none() {
                continue;
            }
            opens_nothing = false;
            // Of several scopes that are needed together, one opens the effect and the others are held.
            let is_held = terms.any(|term| term.len() > 1);
            for object in objects_of(&opening, &grant.objects) {
                let touch = Touch {
                    object,
                    ..opening.touch.clone()
                };
                let opens_effect =
                    grant.effects.contains(opening.effect) && opening.risks.minus(risks).is_empty();
                let is_named = grant.objects.contains(touch.object.as_ref()) && (opens_effect || is_held);
                let need = Need {
                    operation: opening.operation,
                    effect: opening.effect,
                    risks: opening.risks,
                    touches: smallvec![touch],
                };
                if is_named && self.passes(&need) {
                    return true;
                }
            }
        }
        opens_nothing && self.is_granted_above(grant.scope)
    }

    fn is_granted_above(&self, scope: ScopeIndex) -> bool {
        let rules = self.ceiling.and_then(|ceiling| ceiling.allow.as_deref());
        rules.is_none_or(|rules| {
            rules.iter().any(|rule| match &rule.opens {
                Opens::Scopes { grants, .. } => grants.iter().any(|grant| grant.scope == scope),
                Opens::Operations { .. } => false,
            })
        })
    }

    /// What an operation touches of the types a rule names.
    fn touches(&self, grant: &OperationGrant, objects: &Objects) -> Vec<Touch> {
        let takes = self
            .catalogue
            .operation(grant.operation)
            .map(|operation| operation.takes);
        if takes == Some(Takes::Nothing) {
            return self.catalogue.touches(grant.operation, None);
        }
        if objects.all {
            return Vec::new();
        }
        let custom = objects.any_custom.then(|| ObjectType::Custom("custom".into()));
        let named = objects.named.iter().chain(custom.as_ref());
        named
            .flat_map(|object| self.catalogue.touches(grant.operation, Some(object)))
            .collect()
    }

    fn passes_some(&self, grant: &OperationGrant, touch: &Touch) -> bool {
        let risks = self
            .catalogue
            .operation(grant.operation)
            .map(|operation| operation.risks)
            .unwrap_or_default();
        grant.effects.iter().any(|effect| {
            self.passes(&Need {
                operation: grant.operation,
                effect,
                risks,
                touches: smallvec![touch.clone()],
            })
        })
    }

    fn passes(&self, need: &Need) -> bool {
        let tables = &self.policy.tables;
        if tables.opened(&self.layers, need).is_none() || tables.denied(&self.layers, need).is_some() {
            return false;
        }
        let (Some(ceiling), Some(above)) = (self.ceiling, &self.above) else {
            return true;
        };
        let is_allowed = ceiling.allow.is_none() || ceiling.tables.opened(above, need).is_some();
        is_allowed && ceiling.tables.denied(above, need).is_none()
    }
}

/// The types to ask about: of the custom objects, those that the rule names.
fn objects_of(opening: &Opening, objects: &Objects) -> Vec<Option<ObjectType>> {
    match &opening.touch.object {
        Some(ObjectType::Custom(_)) => {
            let named = objects.named.iter();
            let custom = named.filter(|object| matches!(object, ObjectType::Custom(_)));
            let mut asked: Vec<Option<ObjectType>> = custom.cloned().map(Some).collect();
            if objects.all || objects.any_custom {
                asked.push(opening.touch.object.clone());
            }
            asked
        }
        object => vec![object.clone()],
    }
}
