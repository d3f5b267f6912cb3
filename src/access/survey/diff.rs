//! `policy diff`: what a new version of a policy allows and the old one did not, and the reverse,
//! over everything there is.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::lines::{Answer, Line, gather};
use super::places::{Place, places};
use super::properties::{Aspect, Held, differences, readable, writable};
use super::side::Side;
use super::space::{Ends, Openable, Relevance, Space, carries_linked, ends};
use crate::access::catalogue::Catalogue;
use crate::access::decide::{Closed, Ruled};
use crate::access::effect::Effect;
use crate::access::facts::{Facts, OperationIndex, Surface};
use crate::access::fields::Bounds;
use crate::access::limits::{Cap, Counted};
use crate::access::object_type::ObjectType;

/// What changes about a call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// The call as a whole; what of its properties, in words.
    Call {
        /// Whether it passes only because the policy observes.
        observed: bool,
        /// What may be read or written with it; empty where nothing is bounded.
        properties: String,
    },
    /// What it may read or write, for a call that both versions allow.
    Properties(Aspect, Vec<String>),
    /// Nothing is bounded any more, or something is for the first time.
    Bounded,
    /// How many records one request may name.
    Batch(String),
    /// How much in a span of time: of what, and in words.
    Cap(Counted, String),
    /// Everything: one version has expired, and the other has not.
    Expiry,
}

/// One way in which the versions differ.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    /// Whether the new version allows it; otherwise the old one did.
    pub gained: bool,
    /// From when on; `None` = now.
    pub from: Option<Timestamp>,
    /// What changes.
    pub what: What,
}

/// What is newly allowed comes first, then what changes sooner.
impl Ord for Change {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |change: &Self| (!change.gained, change.from);
        (key(self), &self.what).cmp(&(key(other), &other.what))
    }
}

impl PartialOrd for Change {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// All differences between two versions of one policy.
#[derive(Debug)]
pub struct Differences {
    /// Connections that the versions tell apart.
    pub places: Vec<Place>,
    /// What is different, each once.
    pub changes: Vec<Answer<Change>>,
}

/// Compares two versions of one integration's policy, each under its own ceiling.
pub fn compare(
    catalogue: &Catalogue,
    space: &Space,
    old: &Side<'_>,
    new: &Side<'_>,
    now: Timestamp,
) -> Differences {
    let lists: Vec<_> = old.selectors().into_iter().chain(new.selectors()).collect();
    let mut relevance = Relevance::default();
    old.add_to(&mut relevance);
    new.add_to(&mut relevance);
    let mut comparison = Comparison {
        catalogue,
        openable: &space.openable(&relevance),
        relevance: &relevance,
        old,
        new,
        places: places(&lists),
        known: HashSet::new(),
        changes: Vec::new(),
    };
    for (index, moment) in moments(now, &[old, new]).into_iter().enumerate() {
        comparison.at(moment, (index > 0).then_some(moment));
    }
    Differences {
        places: comparison.places,
        changes: comparison.changes,
    }
}

/// Now, and whenever later a version expires or ceases to observe.
fn moments(now: Timestamp, sides: &[&Side<'_>]) -> Vec<Timestamp> {
    let mut later: Vec<Timestamp> = Vec::new();
    for policy in sides.iter().filter_map(|side| side.policy) {
        later.extend(policy.expires_at());
        later.extend(policy.observe.as_ref().map(|observe| observe.ends_at()));
    }
    later.retain(|moment| *moment > now);
    later.sort_unstable();
    later.dedup();
    later.insert(0, now);
    later
}

struct Comparison<'a> {
    catalogue: &'a Catalogue,
    openable: &'a Openable<'a>,
    relevance: &'a Relevance<'a>,
    old: &'a Side<'a>,
    new: &'a Side<'a>,
    places: Vec<Place>,
    /// What was said already of an earlier moment.
    known: HashSet<Answer<Change>>,
    changes: Vec<Answer<Change>>,
}

/// Where and when calls are asked about.
#[derive(Clone, Copy)]
struct At {
    place: usize,
    moment: Timestamp,
    from: Option<Timestamp>,
}

/// Calls that both versions allow, by the one type they touch; `None` = none, or several at once.
type Kept = BTreeMap<Option<ObjectType>, Vec<KeptCall>>;

/// An operation, its effect, and what of its type it touches.
type KeptCall = (OperationIndex, Effect, Surface);

impl Comparison<'_> {
    fn at(&mut self, moment: Timestamp, from: Option<Timestamp>) {
        let over = |side: &Side<'_>| side.policy.is_none_or(|policy| policy.is_expired(moment));
        if from.is_some() && over(self.old) != over(self.new) {
            let gained = over(self.old);
            for place in self.covered(gained) {
                let at = At { place, moment, from };
                self.push_about_all(at, gained, What::Expiry);
            }
            return;
        }
        if over(self.old) && over(self.new) {
            return;
        }
        for place in 0..self.places.len() {
            let at = At { place, moment, from };
            let kept = self.calls(at);
            self.properties(at, &kept);
            self.batches(at, &kept);
            self.caps(at, &kept);
        }
    }

    /// Where the side that allows more holds.
    fn covered(&self, gained: bool) -> Vec<usize> {
        let side = if gained { self.new } else { self.old };
        let places = self.places.iter().enumerate();
        let covered = places.filter(|(_, place)| side.covers(place.connection()));
        covered.map(|(index, _)| index).collect()
    }

    fn push(&mut self, change: Answer<Change>) {
        let mut at_any_time = change.clone();
        at_any_time.key.from = None;
        if self.known.insert(at_any_time) {
            self.changes.push(change);
        }
    }

    /// A change that is about every call.
    fn push_about_all(&mut self, at: At, gained: bool, what: What) {
        let key = Change {
            gained,
            from: at.from,
            what,
        };
        self.push(Answer {
            key,
            call: None,
            ends: Ends::new(),
            place: at.place,
        });
    }

    /// Compares what rules open. Returns what both versions allow.
    fn calls(&mut self, at: At) -> Kept {
        let (catalogue, openable, old, new) = (self.catalogue, self.openable, self.old, self.new);
        let Some(place) = self.places.get(at.place).cloned() else {
            return Kept::new();
        };
        let connection = place.connection();
        let mut kept = Kept::new();
        if !old.covers(connection) && !new.covers(connection) {
            return kept;
        }
        let mut found = Vec::new();
        for facts in &openable.points {
            let answers = [old, new].map(|side| side.ruled(catalogue, facts, connection, at.moment));
            if answers.iter().all(passes) {
                for (object, surface) in bounded_by(facts) {
                    let calls = kept.entry(object).or_default();
                    let call = (facts.main().operation, facts.effect(), surface);
                    if calls.last() != Some(&call) {
                        calls.push(call);
                    }
                }
            } else {
                let what = self.call_change(&answers, facts, &[ends(facts)], at);
                found.extend(what);
            }
        }
        for pairs in &openable.pairs {
            pairs.each(self.relevance, &mut |facts, pairs| {
                let answers = [old, new].map(|side| side.ruled(catalogue, facts, connection, at.moment));
                let operation = facts.main().operation;
                if answers.iter().all(passes) && carries_linked(catalogue, operation) {
                    let call = (operation, facts.effect(), Surface::Records);
                    for object in pairs.iter().flatten() {
                        let calls = kept.entry(Some(object.clone())).or_default();
                        if !calls.contains(&call) {
                            calls.push(call);
                        }
                    }
                }
                found.extend(self.call_change(&answers, facts, pairs, at));
            });
        }
        for change in found {
            self.push(change);
        }
        kept
    }

    /// The changes for a call that one version allows and the other does not.
    fn call_change(
        &self,
        answers: &[Option<Result<Ruled<'_>, Closed>>; 2],
        facts: &Facts,
        all: &[Ends],
        at: At,
    ) -> Vec<Answer<Change>> {
        let [old, new] = answers;
        let (gained, ruled) = match (old, new) {
            (Some(Ok(_)), Some(Ok(_))) => return Vec::new(),
            (_, Some(Ok(ruled))) => (true, ruled),
            (Some(Ok(ruled)), _) => (false, ruled),
            _ => return Vec::new(),
        };
        let side = if gained { self.new } else { self.old };
        let changes = all.iter().map(|ends| Answer {
            key: Change {
                gained,
                from: at.from,
                what: What::Call {
                    observed: ruled.observed,
                    properties: granted(side, ends, facts.effect()),
                },
            },
            call: Some((facts.main().operation, facts.effect())),
            ends: ends.clone(),
            place: at.place,
        });
        changes.collect()
    }

    /// Compares what may be read and written with calls that both versions allow.
    fn properties(&mut self, at: At, kept: &Kept) {
        let (old, new) = (self.old.bounds(), self.new.bounds());
        if old == new || kept.is_empty() {
            return;
        }
        if old.are_none() != new.are_none() {
            self.push_about_all(at, new.are_none(), What::Bounded);
        }
        for (object, calls) in kept {
            let held = |bounds: &Bounds| match object {
                Some(object) => Held::new(bounds, bounds.view(object)),
                // A call that names no type may be about records of any.
                None => Held::new(bounds, bounds.view_of_any()),
            };
            for difference in differences(&held(&old), &held(&new)) {
                for call in concerned(difference.aspect, calls) {
                    self.push(Answer {
                        key: Change {
                            gained: difference.gained,
                            from: at.from,
                            what: What::Properties(difference.aspect, difference.names.clone()),
                        },
                        call: Some(call),
                        ends: object.iter().cloned().collect(),
                        place: at.place,
                    });
                }
            }
        }
    }

    /// Compares how many records one request may name.
    fn batches(&mut self, at: At, kept: &Kept) {
        let limit = |side: &Side<'_>| side.policy.and_then(|policy| policy.limits.batch);
        let (old, new) = (limit(self.old), limit(self.new));
        if old == new || kept.is_empty() {
            return;
        }
        let words = |limit: Option<u32>| limit.map_or("any number".to_owned(), |most| most.to_string());
        let gained = new.is_none_or(|new| old.is_some_and(|old| new > old));
        let what = What::Batch(format!("{} instead of {}", words(new), words(old)));
        self.push_about_all(at, gained, what);
    }

    /// Compares how much may pass in a span of time, of what both versions allow. Two caps of different
    /// windows may each let something through that the other does not.
    fn caps(&mut self, at: At, kept: &Kept) {
        let within = |inner: Option<Cap>, outer: Option<Cap>| match (inner, outer) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(inner), Some(outer)) => inner.is_within(outer),
        };
        let words = |cap: Option<Cap>| cap.map_or("any number".to_owned(), |cap| cap.to_string());
        for counted in Counted::ALL {
            let limit = |side: &Side<'_>| side.policy.and_then(|policy| policy.limits.cap(counted));
            let (old, new) = (limit(self.old), limit(self.new));
            let is_met = |effect: Effect| kept.values().flatten().any(|(_, of, _)| *of == effect);
            if kept.is_empty() || !counted.effect().is_none_or(is_met) {
                continue;
            }
            let what = What::Cap(counted, format!("{} instead of {}", words(new), words(old)));
            for (gained, is_so) in [(true, !within(new, old)), (false, !within(old, new))] {
                if is_so {
                    self.push_about_all(at, gained, what.clone());
                }
            }
        }
    }
}

/// The types whose property rules bound a call, and what of them it touches; `None` = any type's.
fn bounded_by(facts: &Facts) -> Vec<(Option<ObjectType>, Surface)> {
    match facts.main().touches.as_slice() {
        // A call may carry records of types it only concerns: activities of the first version.
        [touch] if touch.object.is_none() && !facts.concerns.is_empty() => {
            let concerned = facts.concerns.iter().cloned();
            concerned.map(|object| (Some(object), Surface::Records)).collect()
        }
        [touch] => vec![(touch.object.clone(), touch.surface)],
        _ => vec![(None, Surface::Records)],
    }
}

fn passes(answer: &Option<Result<Ruled<'_>, Closed>>) -> bool {
    matches!(answer, Some(Ok(_)))
}

/// What of a type's properties a call may read or write, in words; empty where nothing is bounded.
pub fn granted(side: &Side<'_>, ends: &Ends, effect: Effect) -> String {
    let bounds = side.bounds();
    match ends.as_slice() {
        [object] if !bounds.are_none() => match effect {
            Effect::Read => readable(&bounds.view(object)),
            Effect::Write => writable(&bounds.view(object)),
            Effect::Meta | Effect::Auth | Effect::Delete | Effect::Irreversible => String::new(),
        },
        _ => String::new(),
    }
}

/// The calls that a difference is about: reads for what may be read, writes for what may be written,
/// and where there are none of these all that are left (the answer to a write shows the record). Of
/// a type whose records and definitions are open, those on records.
fn concerned(aspect: Aspect, calls: &[KeptCall]) -> Vec<(OperationIndex, Effect)> {
    let wanted = match aspect {
        Aspect::Write => Effect::Write,
        Aspect::Read | Aspect::History | Aspect::Whole | Aspect::Hidden | Aspect::Unclear => Effect::Read,
    };
    let is_about = |records: bool, stronger: bool| -> Vec<(OperationIndex, Effect)> {
        let calls = calls.iter().filter(|(_, effect, surface)| {
            let of_kind = match stronger {
                true => *effect > wanted,
                false => *effect == wanted,
            };
            of_kind && (!records || *surface == Surface::Records)
        });
        calls
            .map(|(operation, effect, _)| (*operation, *effect))
            .collect()
    };
    [(true, false), (false, false), (true, true), (false, true)]
        .into_iter()
        .map(|(records, stronger)| is_about(records, stronger))
        .find(|calls| !calls.is_empty())
        .unwrap_or_default()
}

impl Differences {
    /// The changes in as few lines as say the same, what is newly allowed first.
    pub fn lines(&self) -> Vec<Line<Change>> {
        gather(self.changes.iter().cloned())
    }

    /// How many combinations of operation, effect, types and place are newly allowed, or newly
    /// denied.
    pub fn count(&self, gained: bool) -> usize {
        let of_kind = self.changes.iter().filter(|change| change.key.gained == gained);
        of_kind.count()
    }
}
