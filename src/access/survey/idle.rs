//! Rules that could be left out, and what they open or deny would stay as it is: for `policy check`.
//!
//! Said of rules within one policy. A denial that catches nothing the policy opens *today* is no
//! finding: it holds against rules that are added tomorrow.

use super::places::{Place, places};
use super::side::Side;
use super::space::{Relevance, Space, customs};
use crate::access::catalogue::Catalogue;
use crate::access::effect::Effect;
use crate::access::facts::{Facts, ScopeIndex};
use crate::access::policy::Policy;
use crate::access::policy::rule::{AllowRule, DenyRule, Opens};
use crate::access::policy::tables::{Sizes, Tables};
use crate::access::policy_text::mistake::{Mistake, code};

/// Findings about rules that change nothing, and about scopes that open what can't be undone.
pub fn idle(policy: &Policy, catalogue: &Catalogue) -> Vec<Mistake> {
    let side = Side {
        policy: Some(policy),
        ceiling: None,
    };
    let customs = customs(side.named_objects().into_iter());
    let survey = Survey {
        policy,
        catalogue,
        sizes: Sizes::of(catalogue),
        places: places(&side.selectors()),
        asked: asked(&Space::new(catalogue, &customs), &side),
    };
    let mut findings = survey.allow();
    findings.extend(survey.deny());
    findings.extend(survey.irreversible_by_scope());
    findings.into_iter().map(|f| f.in_file(&policy.file)).collect()
}

/// One question for each class of calls that the policy's rules tell apart.
fn asked(space: &Space, side: &Side<'_>) -> Vec<Facts> {
    let mut relevance = Relevance::default();
    side.add_to(&mut relevance);
    let mut asked = space.points.clone();
    for pairs in &space.pairs {
        pairs.each(&relevance, &mut |facts, _| asked.push(facts.clone()));
    }
    asked
}

struct Survey<'a> {
    policy: &'a Policy,
    catalogue: &'a Catalogue,
    sizes: Sizes,
    places: Vec<Place>,
    asked: Vec<Facts>,
}

/// A call that is opened or denied, and where.
type Caught<'s> = (&'s Facts, &'s Place);

impl Survey<'_> {
    fn opened(&self, allow: &[AllowRule]) -> Vec<Caught<'_>> {
        let tables = Tables::compile(&self.sizes, allow, &[]);
        let opened = |(facts, place): &Caught<'_>| opens(&tables, facts, place);
        self.everywhere().filter(opened).collect()
    }

    fn denied(&self, deny: &[DenyRule]) -> Vec<Caught<'_>> {
        let tables = Tables::compile(&self.sizes, &[], deny);
        let denied = |(facts, place): &Caught<'_>| denies(&tables, facts, place);
        self.everywhere().filter(denied).collect()
    }

    fn everywhere(&self) -> impl Iterator<Item = Caught<'_>> {
        let places = self.places.iter();
        places.flat_map(|place| self.asked.iter().map(move |facts| (facts, place)))
    }

    /// Rules and scopes of `allow` without which as much is open. Of rules that say the same, the
    /// first stays.
    fn allow(&self) -> Vec<Mistake> {
        let mut kept = self.policy.allow.clone();
        let opened = self.opened(&kept);
        let still_open = |rules: &[AllowRule]| {
            let tables = Tables::compile(&self.sizes, rules, &[]);
            opened.iter().all(|(facts, place)| opens(&tables, facts, place))
        };
        let mut findings = Vec::new();
        for index in (0..kept.len()).rev() {
            let rule = kept.remove(index);
            let alone = self.opened(std::slice::from_ref(&rule));
            if !still_open(&kept) {
                let scopes = self.idle_scopes(&rule, &|narrower| {
                    let mut rules = kept.clone();
                    rules.push(narrower);
                    still_open(&rules)
                });
                findings.extend(scopes);
                kept.insert(index, rule);
            } else if !alone.is_empty() {
                let others: Vec<&str> = kept
                    .iter()
                    .filter(|other| {
                        let tables = Tables::compile(&self.sizes, std::slice::from_ref(other), &[]);
                        alone.iter().any(|(facts, place)| opens(&tables, facts, place))
                    })
                    .map(|other| &*other.id)
                    .collect();
                let message = format!("`{}` opens only what {} opens, too", rule.id, named(&others));
                findings.push(
                    Mistake::warning(code::LINT_REDUNDANT, rule.span.clone(), message)
                        .help("remove it; its `reason` can go to the other rule"),
                );
            }
        }
        findings
    }

    /// Scopes of a rule without which as much is open.
    fn idle_scopes(&self, rule: &AllowRule, suffices: &dyn Fn(AllowRule) -> bool) -> Vec<Mistake> {
        let Opens::Scopes { grants, .. } = &rule.opens else {
            return Vec::new();
        };
        if grants.len() < 2 {
            return Vec::new();
        }
        let scopes = grants.iter().map(|grant| grant.scope);
        let idle = scopes.filter(|scope| suffices(with_scopes(rule, |other| other != *scope)));
        let findings = idle.map(|scope| {
            let alone = self.opened(&[with_scopes(rule, |other| other == scope)]);
            let name = self.catalogue.scope(scope).map_or("", |scope| &*scope.name);
            let message = match alone.is_empty() {
                true => format!("`{name}` opens nothing in `{}`", rule.id),
                false => format!(
                    "`{name}` in `{}` opens only what another scope opens, too",
                    rule.id
                ),
            };
            Mistake::warning(code::LINT_IDLE_SCOPE, rule.span.clone(), message)
                .help("take it out: a scope that is not needed need not be asked for at install")
        });
        findings.collect()
    }

    /// Rules of `deny` that catch nothing there is, or only what another one catches. Of rules that
    /// say the same, the first stays.
    fn deny(&self) -> Vec<Mistake> {
        let mut kept = self.policy.deny.clone();
        let mut findings = Vec::new();
        for index in (0..kept.len()).rev() {
            let rule = kept.remove(index);
            let caught = self.denied(std::slice::from_ref(&rule));
            let tables = Tables::compile(&self.sizes, &[], &kept);
            if caught.is_empty() {
                let message = format!(
                    "`{}` denies nothing: no call meets all of its conditions",
                    rule.id
                );
                findings.push(
                    Mistake::warning(code::LINT_DENIES_NOTHING, rule.span.clone(), message)
                        .help("conditions of one rule must hold together; write one rule for each"),
                );
                continue;
            }
            if !caught.iter().all(|(facts, place)| denies(&tables, facts, place)) {
                kept.insert(index, rule);
                continue;
            }
            let message = format!("`{}` denies only what other `deny` rules deny, too", rule.id);
            findings.push(
                Mistake::warning(code::LINT_REDUNDANT_DENY, rule.span.clone(), message).help("remove it"),
            );
        }
        findings
    }

    /// Rules that open by scope what can't be undone: what a scope serves grows with HubSpot.
    fn irreversible_by_scope(&self) -> Vec<Mistake> {
        let is_so = |rule: &&AllowRule| match &rule.opens {
            Opens::Scopes { grants, .. } => grants.iter().any(|g| g.effects.contains(Effect::Irreversible)),
            Opens::Operations { .. } => false,
        };
        let rules = self.policy.allow.iter().filter(is_so);
        let findings = rules.filter_map(|rule| {
            let opened = self.opened(std::slice::from_ref(rule));
            let mut operations: Vec<_> = opened
                .iter()
                .filter(|(facts, _)| facts.effect() == Effect::Irreversible)
                .map(|(facts, _)| facts.main().operation)
                .collect();
            operations.sort_unstable();
            operations.dedup();
            let ids: Vec<&str> = operations
                .into_iter()
                .filter_map(|index| self.catalogue.operation(index))
                .map(|operation| &*operation.id)
                .collect();
            (!ids.is_empty()).then(|| {
                let message = format!(
                    "`{}` opens by scope what can't be undone: {}",
                    rule.id,
                    named(&ids)
                );
                Mistake::warning(code::LINT_IRREVERSIBLE_BY_SCOPE, rule.span.clone(), message)
                    .help("name the operations that are needed, in a rule of their own")
            })
        });
        findings.collect()
    }
}

fn opens(tables: &Tables, facts: &Facts, place: &Place) -> bool {
    tables
        .opened(&tables.layers(place.connection()), facts.main())
        .is_some()
}

fn denies(tables: &Tables, facts: &Facts, place: &Place) -> bool {
    tables
        .denied(&tables.layers(place.connection()), facts.main())
        .is_some()
}

/// The rule with some of its scopes.
fn with_scopes(rule: &AllowRule, keep: impl Fn(ScopeIndex) -> bool) -> AllowRule {
    let mut narrower = rule.clone();
    if let Opens::Scopes { grants, .. } = &mut narrower.opens {
        grants.retain(|grant| keep(grant.scope));
    }
    narrower
}

/// Most names in one message.
const NAMED_MAX: usize = 4;

fn named(names: &[&str]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(NAMED_MAX)
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len().saturating_sub(NAMED_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::access::policy::lint::silence;

    fn found(rules: &str) -> Vec<(&'static str, u32)> {
        let catalogue = Catalogue::embedded().unwrap();
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let text: Arc<str> = format!("integration: t\nowner: t\nconnections: [a, b]\n{rules}").into();
        let file = Arc::from("t.yaml");
        let (policy, _) = Policy::load(&file, "t", &text, &catalogue, now).unwrap();
        let findings = silence(&text, idle(&policy, &catalogue), &file);
        findings.into_iter().map(|f| (f.code, f.span.line)).collect()
    }

    #[test]
    fn a_rule_that_changes_nothing_is_found_at_its_line_and_no_other_is() {
        let contacts = "allow:\n  - scope: crm.objects.contacts.read\n";
        for (rules, expected) in [
            (contacts.to_owned(), vec![]),
            (
                format!("{contacts}  - operation: crm.objects.get\n    objects: [contacts]\n"),
                vec![(code::LINT_REDUNDANT, 6)],
            ),
            (
                format!("{contacts}  - operation: crm.objects.get\n    objects: [contacts, deals]\n"),
                vec![],
            ),
            (
                format!("{contacts}  - scope: crm.objects.contacts.read\n    connections: [a]\n"),
                vec![(code::LINT_REDUNDANT, 6)],
            ),
            (
                "allow:\n  - scope: crm.objects.contacts.read\n    connections: [a]\n  - scope: crm.objects.contacts.read\n    connections: [b]\n".to_owned(),
                vec![],
            ),
            (
                format!("{contacts}  - scope: crm.objects.contacts.read\n    # scopegate: ignore SG170: kept for the record\n  - scope: crm.objects.contacts.read\n"),
                vec![(code::LINT_REDUNDANT, 6)],
            ),
            (
                "allow:\n  - scope: [crm.objects.contacts.read, crm.schemas.contacts.read]\n".to_owned(),
                vec![(code::LINT_IDLE_SCOPE, 5)],
            ),
            (
                "allow:\n  - scope: crm.objects.contacts.write\n    effects: [irreversible]\n    reason: x\n".to_owned(),
                vec![(code::LINT_IRREVERSIBLE_BY_SCOPE, 5)],
            ),
            (
                format!("{contacts}deny:\n  - effects: [write]\n"),
                vec![],
            ),
            (
                format!("{contacts}deny:\n  - effects: [write]\n  - effects: [delete]\n"),
                vec![(code::LINT_REDUNDANT_DENY, 8)],
            ),
            (
                format!("{contacts}deny:\n  - effects: [write]\n  - objects: [contacts]\n    effects: [delete]\n"),
                vec![(code::LINT_REDUNDANT_DENY, 8)],
            ),
            (
                format!("{contacts}deny:\n  - operation: crm.objects.get\n    effects: [delete]\n"),
                vec![(code::LINT_DENIES_NOTHING, 7)],
            ),
        ] {
            assert_eq!(found(&rules), expected, "{rules}");
        }
    }
}
