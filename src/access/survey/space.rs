//! Everything that can be asked: each operation, with each effect a request can raise it to, on each
//! object type or pair of types.
//!
//! A request with several needs passes if each of them does, so needs are asked about one by one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use crate::access::catalogue::{Catalogue, ENGAGEMENTS, Reader, Row};
use crate::access::effect::Effect;
use crate::access::facts::{Facts, Need, OperationIndex, Requirement, Risks, ScopeIndex, Surface, Touch};
use crate::access::gather::timeline_types;
use crate::access::object_type::ObjectType;
use crate::access::policy::opens::ANY_CUSTOM;
use crate::access::policy::rule::{AllowRule, DenyRule, Objects, Opens};

/// What is touched or concerned: no type, one, both ends of a pair, or more, all at once.
pub type Ends = SmallVec<[ObjectType; 2]>;

/// Everything that can be asked of HubSpot.
#[derive(Debug)]
pub struct Space {
    /// Facts with one need that touches one type or none.
    pub points: Vec<Facts>,
    /// Rows that take a type at either end.
    pub pairs: Vec<Pairs>,
    /// Every object type asked about.
    pub objects: Vec<ObjectType>,
}

/// A row that takes a type at either end: what each end may be.
#[derive(Debug, PartialEq, Eq)]
pub struct Pairs {
    facts: Facts,
    first: Vec<Touch>,
    second: Vec<Touch>,
}

/// A custom object that no policy can name: it stands for those that no rule names.
pub fn any_custom() -> ObjectType {
    ObjectType::Custom(Arc::from(ANY_CUSTOM))
}

impl Space {
    /// The space of a catalogue, with the custom objects that are named somewhere and one that
    /// stands for all others.
    pub fn new(catalogue: &Catalogue, customs: &[ObjectType]) -> Self {
        let mut objects: Vec<ObjectType> = catalogue.object_types().map(|(object, _)| object).collect();
        objects.push(any_custom());
        objects.extend(customs.iter().cloned());
        let mut space = Self {
            points: Vec::new(),
            pairs: Vec::new(),
            objects,
        };
        for (index, operation) in catalogue.operations() {
            let mut seen = HashSet::new();
            let rows = operation.rows.iter().filter_map(|row| catalogue.row(*row));
            // A row whose types stand in a body that is not judged is refused, whatever the rules say.
            for row in rows.filter(|row| !row.is_unjudged()) {
                space.add(catalogue, index, row, &mut seen);
            }
        }
        space
    }

    fn add(&mut self, catalogue: &Catalogue, operation: OperationIndex, row: &Row, seen: &mut Seen) {
        for effect in row.effects() {
            let facts = |touches| one_need(operation, effect, row.risks, touches);
            if let [first, second, ..] = catalogue.row_types(row).as_slice() {
                let pairs = Pairs {
                    first: self.touches(catalogue, row, first),
                    second: self.touches(catalogue, row, second),
                    facts: facts(SmallVec::new()),
                };
                if !self.pairs.contains(&pairs) {
                    self.pairs.push(pairs);
                }
                continue;
            }
            for types in self.types(catalogue, row) {
                for concerns in self.concerns(catalogue, row) {
                    let mut facts = facts(catalogue.row_touches(row, &types));
                    facts.concerns = concerns;
                    if seen.insert(key(&facts)) {
                        self.points.push(facts);
                    }
                }
            }
        }
    }

    /// What a request that is no pair may touch: no type, one, or all at once, where only HubSpot knows
    /// which.
    fn types(&self, catalogue: &Catalogue, row: &Row) -> Vec<Vec<ObjectType>> {
        let every = || catalogue.any_type().collect();
        let each = |types: Vec<ObjectType>| types.into_iter().map(|object| vec![object]);
        match (row.reader(), catalogue.row_types(row).first()) {
            (Some(Reader::TimelineTemplate), _) => vec![every()],
            (Some(Reader::Timeline), _) => each(timeline_types(catalogue)).chain([every()]).collect(),
            (_, None) => vec![Vec::new()],
            (_, Some(only)) => each(self.at_end(only)).collect(),
        }
    }

    /// Sets of types that a request may concern without touching them.
    fn concerns(&self, catalogue: &Catalogue, row: &Row) -> Vec<Ends> {
        let with = |known: &Ends, object: &ObjectType| {
            let mut concerns = known.clone();
            if !concerns.contains(object) {
                concerns.push(object.clone());
            }
            concerns
        };
        let is_any_engagement = matches!(
            row.reader(),
            Some(Reader::AnyEngagement | Reader::EngagementUpdate)
        );
        let known: Ends = match is_any_engagement {
            true => ENGAGEMENTS
                .iter()
                .filter_map(|name| catalogue.object_type(name))
                .collect(),
            false => catalogue.concerned_by(row).collect(),
        };
        let names_more = row.concerns_types() || is_any_engagement && row.template.contains("{objectType}");
        let more = self.objects.iter().filter(|_| names_more);
        let mut sets: Vec<Ends> = more.map(|object| with(&known, object)).collect();
        if row.concerns_types() || sets.is_empty() {
            sets.insert(0, known);
        }
        sets
    }

    fn at_end(&self, only: &Option<Vec<ObjectType>>) -> Vec<ObjectType> {
        only.as_ref().unwrap_or(&self.objects).clone()
    }

    fn touches(&self, catalogue: &Catalogue, row: &Row, only: &Option<Vec<ObjectType>>) -> Vec<Touch> {
        let ends = self.at_end(only).into_iter();
        ends.flat_map(|object| catalogue.row_touches(row, &[object]))
            .collect()
    }
}

impl Space {
    /// What rules can open at all.
    pub fn openable(&self, relevance: &Relevance<'_>) -> Openable<'_> {
        let can_open = |facts: &&Facts| {
            let need = facts.main();
            relevance.can_open(need.operation, &need.touches)
        };
        let pairs_open = |pairs: &&Pairs| {
            let operation = pairs.facts.main().operation;
            relevance.can_open(operation, &pairs.first) || relevance.can_open(operation, &pairs.second)
        };
        Openable {
            points: self.points.iter().filter(can_open).collect(),
            pairs: self.pairs.iter().filter(pairs_open).collect(),
        }
    }
}

/// The part of a space that some rules can open.
#[derive(Debug)]
pub struct Openable<'s> {
    /// Facts that touch one type or none.
    pub points: Vec<&'s Facts>,
    /// Rows that take a type at either end.
    pub pairs: Vec<&'s Pairs>,
}

/// Custom objects that rules name, each once.
pub fn customs<'a>(named: impl Iterator<Item = &'a ObjectType>) -> Vec<ObjectType> {
    let mut customs: Vec<ObjectType> = named
        .filter(|object| matches!(object, ObjectType::Custom(_)))
        .cloned()
        .collect();
    customs.sort();
    customs.dedup();
    customs
}

type Seen = HashSet<Asked>;

/// What tells one question about an operation from another.
type Asked = (
    Effect,
    Risks,
    Vec<(Option<ObjectType>, Surface, Requirement)>,
    Ends,
);

fn key(facts: &Facts) -> Asked {
    let need = facts.main();
    let touches = need.touches.iter();
    let touches = touches.map(|t| (t.object.clone(), t.surface, t.requirement.clone()));
    (need.effect, need.risks, touches.collect(), facts.concerns.clone())
}

fn one_need(operation: OperationIndex, effect: Effect, risks: Risks, touches: SmallVec<[Touch; 2]>) -> Facts {
    Facts {
        needs: smallvec![Need {
            operation,
            effect,
            risks,
            touches,
        }],
        concerns: SmallVec::new(),
        batch: None,
    }
}

/// The types that facts touch, or else concern.
pub fn ends(facts: &Facts) -> Ends {
    let touches = facts.needs.iter().flat_map(|need| &need.touches);
    let touched: Ends = touches.filter_map(|touch| touch.object.clone()).collect();
    match touched.is_empty() {
        true => facts.concerns.clone(),
        false => touched,
    }
}

/// How ids of the operations begin that link two records, or list ids that are linked. The oldest lists
/// of associated records touch both ends, too, and carry the records themselves.
const LINKS: [&str; 3] = [
    "crm.associations.",
    "crm-associations.",
    "crm.limits.associations.",
];

/// Whether values of properties can go through a call on both ends of a pair.
pub fn carries_linked(catalogue: &Catalogue, operation: OperationIndex) -> bool {
    let operation = catalogue.operation(operation);
    operation.is_some_and(|operation| !LINKS.iter().any(|link| operation.id.starts_with(link)))
}

/// What rules look at in a touch. Touches that agree in it are decided alike: the tables ask which
/// sets of types hold the type, and which scopes of the requirement a rule names.
#[derive(Debug, Default)]
pub struct Relevance<'r> {
    sets: Vec<&'r Objects>,
    scopes: HashSet<ScopeIndex>,
    operations: HashSet<OperationIndex>,
    observes: bool,
}

#[derive(PartialEq, Eq, Hash)]
struct Class {
    /// A custom object is a class of its own: whether a rule names it changes which it falls under.
    custom: Option<ObjectType>,
    within: Vec<bool>,
    requirement: Vec<Vec<Option<ScopeIndex>>>,
}

impl<'r> Relevance<'r> {
    /// Takes in rules.
    pub fn add(&mut self, allow: &'r [AllowRule], deny: &'r [DenyRule]) {
        for rule in allow {
            self.sets.extend(rule.objects());
            match &rule.opens {
                Opens::Scopes { grants, .. } => self.scopes.extend(grants.iter().map(|grant| grant.scope)),
                Opens::Operations { grants, .. } => {
                    self.operations.extend(grants.iter().map(|grant| grant.operation));
                }
            }
        }
        for rule in deny {
            self.sets.extend(&rule.objects);
            self.scopes.extend(rule.scopes.iter().flatten());
        }
    }

    /// Says that calls pass which no rule opens.
    pub fn observes(&mut self) {
        self.observes = true;
    }

    /// Whether a rule can open an operation that touches one of these: it names the operation, or a
    /// scope of the requirement. What no rule can open need not be asked about.
    fn can_open(&self, operation: OperationIndex, touches: &[Touch]) -> bool {
        let mut scopes = touches
            .iter()
            .flat_map(|touch| touch.requirement.iter().flatten());
        self.observes
            || self.operations.contains(&operation)
            || scopes.any(|scope| self.scopes.contains(scope))
    }

    fn class(&self, touch: &Touch) -> Class {
        let object = touch.object.as_ref();
        let named = |scope: &ScopeIndex| self.scopes.contains(scope).then_some(*scope);
        Class {
            custom: object.filter(|o| matches!(o, ObjectType::Custom(_))).cloned(),
            within: self.sets.iter().map(|set| set.contains(object)).collect(),
            requirement: touch
                .requirement
                .iter()
                .map(|term| term.iter().map(named).collect())
                .collect(),
        }
    }

    fn classes<'t>(&self, touches: &'t [Touch]) -> Vec<Vec<&'t Touch>> {
        let mut at: HashMap<Class, usize> = HashMap::new();
        let mut classes: Vec<Vec<&Touch>> = Vec::new();
        for touch in touches {
            let next = classes.len();
            let position = *at.entry(self.class(touch)).or_insert(next);
            match classes.get_mut(position) {
                Some(class) => class.push(touch),
                None => classes.push(vec![touch]),
            }
        }
        classes
    }
}

impl Pairs {
    /// Asks about each pair of classes of types, and says all pairs of types the answer is for.
    pub fn each(&self, relevance: &Relevance<'_>, ask: &mut dyn FnMut(&Facts, &[Ends])) {
        let firsts = relevance.classes(&self.first);
        let seconds = relevance.classes(&self.second);
        let mut facts = self.facts.clone();
        for first in &firsts {
            for second in &seconds {
                let (Some(one), Some(other)) = (first.first(), second.first()) else {
                    continue;
                };
                if let Some(need) = facts.needs.first_mut() {
                    need.touches = smallvec![(*one).clone(), (*other).clone()];
                }
                let pairs = first.iter().flat_map(|one| {
                    let other = second.iter().filter_map(|touch| touch.object.clone());
                    other.filter_map(|other| Some(smallvec![one.object.clone()?, other]))
                });
                ask(&facts, &pairs.collect::<Vec<Ends>>());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::explain::{Asked, read};

    /// Whether a question of the space is the one a request's need asks.
    fn asks(space: &Space, need: &Need, concerns: &[ObjectType]) -> bool {
        let is_like = |facts: &Facts| {
            let known = facts.main();
            (known.operation, known.effect, known.risks) == (need.operation, need.effect, need.risks)
        };
        match need.touches.as_slice() {
            [one, other] => space.pairs.iter().any(|pairs| {
                is_like(&pairs.facts) && pairs.first.contains(one) && pairs.second.contains(other)
            }),
            _ => space.points.iter().any(|facts| {
                is_like(facts) && facts.main().touches == need.touches && *facts.concerns == *concerns
            }),
        }
    }

    #[test]
    fn whatever_a_request_asks_for_is_a_question_of_the_space() {
        let catalogue = Catalogue::embedded().unwrap();
        let car = catalogue.object_type("p_car").unwrap();
        let space = Space::new(&catalogue, &[car]);
        let removal = r#"{"recordIdsToAdd":["1"],"recordIdsToRemove":["2"]}"#;
        let link = r#"{"properties":{},"associations":[{"to":{"id":"1"},"types":[{"associationCategory":"HUBSPOT_DEFINED","associationTypeId":279}]}]}"#;
        let list = r#"{"name":"x","objectTypeId":"0-1","processingType":"MANUAL"}"#;
        let engagement =
            r#"{"engagement":{"type":"NOTE"},"associations":{"contactIds":[1]},"metadata":{"body":"x"}}"#;
        let export = r#"{"exportType":"VIEW","format":"CSV","exportName":"x","language":"EN","objectType":"CONTACT","objectProperties":["email"]}"#;
        let graphql = r#"{"query":"query { CRM { contact_collection { items { email } } } }"}"#;
        for (method, target, body) in [
            ("GET", "/crm/v3/objects/p_car/1?associations=contacts,deals", ""),
            ("DELETE", "/crm-object-schemas/v3/schemas/p_car?archived=true", ""),
            ("PUT", "/crm/v3/lists/1/memberships/add-and-remove", removal),
            (
                "PUT",
                "/crm/v3/lists/1/update-list-filters",
                r#"{"filterBranch":{"filterBranchType":"OR"}}"#,
            ),
            ("POST", "/crm/v3/lists", list),
            ("GET", "/crm/v3/lists/object-type-id/0-1/name/x", ""),
            ("POST", "/crm/v3/objects/contacts", link),
            (
                "POST",
                "/crm/v3/timeline/events",
                r#"{"eventTemplateId":"1","email":"a@example.com"}"#,
            ),
            (
                "POST",
                "/crm/v3/timeline/events",
                r#"{"eventTemplateId":"1","objectId":"1"}"#,
            ),
            ("GET", "/integrators/timeline/v3/events/1/2", ""),
            ("POST", "/engagements/v1/engagements", engagement),
            ("GET", "/engagements/v1/engagements/1", ""),
            (
                "GET",
                "/engagements/v1/engagements/associated/contact/1/paged",
                "",
            ),
            ("POST", "/crm/v3/exports/export/async", export),
            ("POST", "/collector/graphql", graphql),
            (
                "PUT",
                "/crm-associations/v1/associations",
                r#"{"fromObjectId":1,"toObjectId":2,"category":"HUBSPOT_DEFINED","definitionId":1}"#,
            ),
        ] {
            let asked = Asked {
                method,
                target,
                body: (!body.is_empty()).then_some(body.as_bytes()),
                content_type: None,
            };
            let read = read(&catalogue, &asked);
            let read = read.unwrap_or_else(|refusal| panic!("{method} {target}: {refusal:?}"));
            for (index, need) in read.facts.needs.iter().enumerate() {
                let concerns = if index == 0 { &*read.facts.concerns } else { &[] };
                assert!(
                    asks(&space, need, concerns),
                    "{method} {target}: {need:?} {concerns:?}"
                );
            }
        }
    }
}
