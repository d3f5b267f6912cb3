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
use super::decision::{Decision, Denial};
use super::facts::{Facts, Need, Touch};
use super::fields::judge::{self, Stopped};
use super::fields::{Bounds, Plan, Request};
use super::object_type::ObjectType;
use super::policy::ceiling::Ceiling;
use super::policy::tables::{ConnectionRef, Layers};
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
    let Question {
        policy, facts, now, ..
    } = *question;
    if policy.is_expired(now) {
        return deny(denial::expired(policy));
    }
    if facts.needs.is_empty() {
        // Invariant of Facts, kept by `gather`; without it there is nothing to allow.
        return deny(denial::nothing_asked());
    }
    let layers = policy.tables.layers(question.connection);
    if policy.tables.denies_one(&layers, &concerned(facts)) {
        return deny(denial::of(question));
    }
    let mut rule: Option<&Arc<str>> = None;
    let mut observed = None;
    for need in &facts.needs {
        if policy.tables.denied(&layers, need).is_some() {
            return deny(denial::of(question));
        }
        match opened(policy, &layers, need) {
            Some(id) => rule = rule.or(Some(id)),
            None => match observing(question, need) {
                Some(observe) => {
                    observed = Some(observe);
                    rule = rule.or(Some(&observe.id));
                }
                None => return deny(denial::of(question)),
            },
        }
    }
    if !within_ceiling(question) {
        return deny(denial::beyond_ceiling(question));
    }
    if let Some(most) = policy.limits.batch
        && facts.batch.is_some_and(|named| named > most)
    {
        return deny(denial::of_batch(question, most));
    }
    let plan = match planned(question) {
        Ok(plan) => plan,
        Err(Stopped::Denied(denied)) => return deny(denial::of_properties(question, denied)),
        Err(Stopped::Refused(refusal)) => return Decision::Refuse(Box::new(refusal)),
    };
    match rule {
        Some(rule) => Decision::Allow(Permit::new(
            Arc::clone(&policy.integration),
            facts.main().operation,
            facts.effect(),
            Arc::clone(observed.map_or(rule, |observe| &observe.id)),
            observed.is_some(),
            plan,
        )),
        None => deny(denial::of(question)),
    }
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
    if policy.limits.batch.is_some() && catalogue.counts_records(recognised) {
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
    if ceiling.tables.denies_one(&layers, &concerned(question.facts)) {
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
