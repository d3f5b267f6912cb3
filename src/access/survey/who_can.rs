//! `policy who-can`: every rule of a policy that opens a kind of call.

use jiff::Timestamp;

use super::diff::granted;
use super::lines::{Answer, Line, gather};
use super::places::{Place, places};
use super::side::Side;
use super::space::{Ends, Relevance, Space, carries_linked, ends};
use crate::access::catalogue::Catalogue;
use crate::access::effect::Effect;
use crate::access::facts::{Facts, OperationIndex, Surface};
use crate::access::object_type::ObjectType;
use crate::access::policy_text::written::Selector;

/// Which calls are asked about: all of what is given must hold.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// This operation.
    pub operation: Option<OperationIndex>,
    /// This effect, no stronger one.
    pub effect: Option<Effect>,
    /// Calls that touch this type.
    pub object: Option<ObjectType>,
    /// Calls that may write this property if they write, and may read it otherwise.
    pub property: Option<String>,
    /// Calls in this connection.
    pub connection: Option<String>,
}

/// How a call is opened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opened {
    /// Id of the rule, or of the policy's observing.
    pub rule: String,
    /// Whether it passes only because the policy observes.
    pub observed: bool,
    /// What of its properties; empty where nothing is bounded.
    pub properties: String,
}

/// What a policy opens of what is wanted, and the places its lines speak of.
pub fn who_can(
    catalogue: &Catalogue,
    space: &Space,
    side: &Side<'_>,
    wanted: &Wanted,
    now: Timestamp,
) -> (Vec<Line<Opened>>, Vec<Place>) {
    let named = wanted.connection.clone().map(Selector::Name);
    let mut lists = side.selectors();
    lists.push(named.as_slice());
    let mut places = places(&lists);
    places.retain(|place| {
        let connection = place.connection();
        let is_wanted = |name: &String| connection.name == name;
        wanted.connection.as_ref().is_none_or(is_wanted) && side.covers(connection)
    });
    let mut relevance = Relevance::default();
    side.add_to(&mut relevance);
    let openable = space.openable(&relevance);
    let mut found = Vec::new();
    for (index, place) in places.iter().enumerate() {
        let mut ask = |facts: &Facts, all: &[Ends]| {
            if !wanted.is_call(facts) || !wanted.may_carry(catalogue, facts) {
                return;
            }
            let Some(Ok(ruled)) = side.ruled(catalogue, facts, place.connection(), now) else {
                return;
            };
            let effect = facts.effect();
            found.extend(
                all.iter()
                    .filter(|ends| wanted.is_about(side, ends, effect))
                    .map(|ends| {
                        let key = Opened {
                            rule: ruled.rule.to_string(),
                            observed: ruled.observed,
                            properties: granted(side, ends, effect),
                        };
                        Answer {
                            key,
                            call: Some((facts.main().operation, effect)),
                            ends: ends.clone(),
                            place: index,
                        }
                    }),
            );
        };
        for facts in &openable.points {
            ask(facts, &[ends(facts)]);
        }
        for pairs in &openable.pairs {
            pairs.each(&relevance, &mut ask);
        }
    }
    (gather(found), places)
}

impl Wanted {
    fn is_call(&self, facts: &Facts) -> bool {
        self.operation
            .is_none_or(|wanted| wanted == facts.main().operation)
            && self.effect.is_none_or(|wanted| wanted == facts.effect())
    }

    /// Whether values of properties can go through a call, if one is asked about: definitions hold
    /// none, and links neither.
    fn may_carry(&self, catalogue: &Catalogue, facts: &Facts) -> bool {
        let need = facts.main();
        self.property.is_none()
            || match need.touches.as_slice() {
                [_, _] => carries_linked(catalogue, need.operation),
                touches => touches.iter().all(|touch| touch.surface != Surface::Definitions),
            }
    }

    fn is_about(&self, side: &Side<'_>, ends: &Ends, effect: Effect) -> bool {
        if self.object.as_ref().is_some_and(|wanted| !ends.contains(wanted)) {
            return false;
        }
        let Some(name) = &self.property else {
            return true;
        };
        let bounds = side.bounds();
        // Of a call about several types at once, such as activities, any may be the one.
        let mut asked = ends
            .iter()
            .filter(|object| self.object.as_ref().is_none_or(|wanted| wanted == *object));
        asked.any(|object| match effect {
            Effect::Write => bounds.view(object).writes(name),
            // The answer to a merge is the record.
            Effect::Read | Effect::Irreversible => bounds.view(object).reads(name),
            Effect::Meta | Effect::Auth | Effect::Delete => false,
        })
    }
}
