//! May this request pass? The answer depends on the policy, the ceiling, the facts, the
//! connection and the time given, and on nothing else.

mod denial;
mod permit;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;

pub use permit::Permit;

use super::catalogue::{BodyNeed, Catalogue, Recognised};
use super::charge::{self, Charge};
use super::decision::{Decision, Denial};
use super::facts::{Facts, Need, Touch};
use super::fields::judge::{self, Stopped};
use super::fields::{Bounds, Plan, Request};
use super::limits::Counted;
use super::object_type::ObjectType;
use super::policy::ceiling::Ceiling;
use super::policy::tables::{ConnectionRef, Layers, RuleIndex};
use super::policy::{Observe, Policy};
use super::refusal::{Reason, Refusal};

/// What is judged, by what.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The integration's policy.
    pub policy: &'a Policy,
    /// The ceiling in force.
    pub ceiling: Option<&'a Ceiling>,
    /// The catalogue both were compiled with; it is asked for names in a denial alone.
    pub catalogue: &'a Catalogue,
    /// What the request asks for.
    pub facts: &'a Facts,
    /// The request as read, which property rules look at. Without it a policy that has such rules
    /// denies: there is nothing to hold to them.
    pub request: Option<Request<'a>>,
    /// Where it goes; that the policy covers it is the caller's to know ([`Policy::covers`]).
    pub connection: ConnectionRef<'a>,
    /// Now.
    pub now: Timestamp,
}

/// Decides. No allocation when the answer is allow.
///
/// Every need of the request must be opened by the policy and by the ceiling, and denied by
/// neither.
pub fn decide(question: &Question<'_>) -> Decision {
    let facts = question.facts;
    let ruled = match ruled(question) {
        Ok(ruled) => ruled,
        Err(closed) => return deny(denial::of_closed(question, closed)),
    };
    let plan = match planned(question) {
        Ok(plan) => plan,
        Err(Stopped::Denied(denied)) => return deny(denial::of_properties(question, denied)),
        Err(Stopped::Refused(refusal)) => return Decision::Refuse(Box::new(refusal)),
    };
    let charge = match charged(question) {
        Ok(charge) => charge,
        Err(beyond) => return deny(denial::of_beyond(question, beyond)),
    };
    Decision::Allow(Permit::new(
        facts.main().operation,
        facts.effect(),
        Arc::clone(ruled.rule),
        ruled.observed,
        plan,
        charge,
    ))
}

/// What the request costs under the policy's caps on records, if there is one that counts it; an error
/// when it alone is more than the cap, so that no waiting helps.
fn charged(question: &Question<'_>) -> Result<Option<Charge>, Charge> {
    let facts = question.facts;
    let Some((_, cap)) = question.policy.limits.cap_on_records(facts.effect()) else {
        return Ok(None);
    };
    let of = |request: Request<'_>| {
        charge::of(
            question.catalogue,
            facts,
            request.recognised,
            request.target,
            request.body,
        )
    };
    match question.request.and_then(of) {
        Some(charge) if charge.records > cap.most => Err(charge),
        charge => Ok(charge),
    }
}

/// What the rules say of a request, before its properties are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruled<'a> {
    /// The rule that opened the operation, or the policy's observing.
    pub rule: &'a Arc<str>,
    /// Whether it passes only because the policy observes.
    pub observed: bool,
}

/// Why the rules do not let a request pass; the words for people are made from it when asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The policy's last day is over.
    Expired,
    /// Facts without a need: nothing can open what asks for nothing.
    NothingAsked,
    /// A `deny` rule of the policy, by its position.
    DenyRule(RuleIndex),
    /// No rule of the policy opens it.
    NoRule,
    /// The ceiling does not.
    Ceiling,
    /// More records in a batch than the policy lets one request name.
    Batch(u32),
    /// The policy caps records of a kind whose number nobody can tell before the call.
    Uncountable(Counted),
}

/// The part of the decision that rules make: what [`decide`] asks first, and all that listings and
/// comparisons over many requests need. It allocates nothing, whatever the answer.
pub fn ruled<'a>(question: &Question<'a>) -> Result<Ruled<'a>, Closed> {
    let Question {
        policy, facts, now, ..
    } = *question;
    if policy.is_expired(now) {
        return Err(Closed::Expired);
    }
    if facts.needs.is_empty() {
        // An invariant of Facts, kept by `gather`.
        return Err(Closed::NothingAsked);
    }
    let layers = policy.tables.layers(question.connection);
    if !facts.concerns.is_empty() {
        for need in &concerned(facts) {
            if let Some(index) = policy.tables.denied(&layers, need) {
                return Err(Closed::DenyRule(index));
            }
        }
    }
    let mut rule: Option<&Arc<str>> = None;
    let mut observed = None;
    for need in &facts.needs {
        if let Some(index) = policy.tables.denied(&layers, need) {
            return Err(Closed::DenyRule(index));
        }
        match opened(policy, &layers, need) {
            Some(id) => rule = rule.or(Some(id)),
            None => {
                let observe = observing(question, need).ok_or(Closed::NoRule)?;
                observed = Some(observe);
                rule = rule.or(Some(&observe.id));
            }
        }
    }
    let rule = rule.ok_or(Closed::NothingAsked)?;
    if !within_ceiling(question) {
        return Err(Closed::Ceiling);
    }
    if let Some(most) = policy.limits.batch
        && facts.batch.is_some_and(|named| named > most)
    {
        return Err(Closed::Batch(most));
    }
    if let Some(charge::Uncountable(counted)) = charge::uncountable(question.catalogue, facts, &policy.limits)
    {
        return Err(Closed::Uncountable(counted));
    }
    Ok(Ruled {
        rule: observed.map_or(rule, |observe: &Observe| &observe.id),
        observed: observed.is_some(),
    })
}

/// What property rules of policy and ceiling make of the request; `None` if there are none.
fn planned(question: &Question<'_>) -> Result<Option<Box<Plan>>, Stopped> {
    let bounds = bounds(question.policy, question.ceiling);
    if bounds.are_none() {
        return Ok(None);
    }
    let request = question.request.ok_or(Stopped::Refused(NOTHING_READ))?;
    judge::judge(question.catalogue, question.facts, request, &bounds).map(|plan| Some(Box::new(plan)))
}

/// The property rules that hold.
pub fn bounds(policy: &Policy, ceiling: Option<&Ceiling>) -> Bounds {
    Bounds {
        policy: policy.properties.clone(),
        ceiling: ceiling.and_then(|ceiling| ceiling.properties.clone()),
    }
}

/// Whether a request's body must be judged: the operation says so, or a rule of this policy does.
pub fn body_need(
    catalogue: &Catalogue,
    recognised: &Recognised,
    policy: &Policy,
    ceiling: Option<&Ceiling>,
) -> BodyNeed {
    if recognised.body_need() != BodyNeed::None {
        return recognised.body_need();
    }
    if policy.limits.count_records() && catalogue.counts_records(recognised) {
        return BodyNeed::Judge;
    }
    if policy.properties.is_none() && ceiling.is_none_or(|ceiling| ceiling.properties.is_none()) {
        return BodyNeed::None;
    }
    judge::body_need(catalogue, recognised, &bounds(policy, ceiling))
}

const NOTHING_READ: Refusal = Refusal::new(
    Reason::RefusedUnjudged,
    "property rules are in force, and the request was not read",
    "report this: the gate forgot to hand the request to the decision",
);

fn deny(denial: Denial) -> Decision {
    Decision::Deny(Box::new(denial))
}

/// The id of the `allow` rule that opens a need.
fn opened<'p>(policy: &'p Policy, layers: &Layers<'_>, need: &Need) -> Option<&'p Arc<str>> {
    let index = policy.tables.opened(layers, need)?;
    policy.allow.get(usize::from(index)).map(|rule| &rule.id)
}

/// The policy's observing, if it lets this need pass.
fn observing<'a>(question: &Question<'a>, need: &Need) -> Option<&'a Observe> {
    if question.ceiling.is_some_and(|ceiling| ceiling.observe_never) {
        return None;
    }
    let observe = question.policy.observe.as_ref()?;
    (observe.is_on(question.now)
        && observe.effects.contains(need.effect)
        && need.risks.minus(observe.risks).is_empty())
    .then_some(observe)
}

fn within_ceiling(question: &Question<'_>) -> bool {
    let Some(ceiling) = question.ceiling else {
        return true;
    };
    let layers = ceiling.tables.layers(question.connection);
    let concerns = &question.facts.concerns;
    if !concerns.is_empty() && ceiling.tables.denies_one(&layers, &concerned(question.facts)) {
        return false;
    }
    question.facts.needs.iter().all(|need| {
        ceiling.tables.denied(&layers, need).is_none()
            && (ceiling.allow.is_none() || ceiling.tables.opened(&layers, need).is_some())
    })
}

/// The operation itself on each type it concerns: nothing needs to open it there, and a `deny` may catch
/// it. Empty for all requests but the few of lists and engagements.
fn concerned(facts: &Facts) -> Vec<Need> {
    let on = |object: &ObjectType| {
        let main = facts.main();
        let touch = |touch: &Touch| Touch {
            object: Some(object.clone()),
            ..touch.clone()
        };
        Need {
            touches: main.touches.iter().take(1).map(touch).collect(),
            ..main.clone()
        }
    };
    facts.concerns.iter().map(on).collect()
}
