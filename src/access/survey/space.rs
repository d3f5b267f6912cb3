//! Everything that can be asked: each operation, with each effect a request can raise it to, on each
//! object type or pair of types.
//!
//! A request with several needs passes if each of them does, so needs are asked about one by one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use crate::access::catalogue::{Catalogue, Row};
use crate::access::effect::Effect;
use crate::access::facts::{Facts, Need, OperationIndex, Requirement, Risks, ScopeIndex, Surface, Touch};
use crate::access::object_type::ObjectType;
use crate::access::policy::opens::ANY_CUSTOM;
use crate::access::policy::rule::{AllowRule, DenyRule, Objects, Opens};

/// Types of one or both ends of what is asked.
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
        let types = catalogue.row_types(row);
        for effect in effects(row) {
            let facts = |touches| one_need(operation, effect, row.risks, touches);
            match types.as_slice() {
                [] => {
                    let touches = catalogue.row_touches(row, &[]);
                    if seen.insert(key(effect, row.risks, &touches)) {
                        self.points.push(facts(touches));
                    }
                }
                [only] => {
                    for object in self.at_end(only) {
                        let touches = catalogue.row_touches(row, &[object]);
                        if seen.insert(key(effect, row.risks, &touches)) {
                            self.points.push(facts(touches));
                        }
                    }
                }
                [first, second, ..] => {
                    let pairs = Pairs {
                        first: self.touches(catalogue, row, first),
                        second: self.touches(catalogue, row, second),
                        facts: facts(SmallVec::new()),
                    };
                    if !self.pairs.contains(&pairs) {
                        self.pairs.push(pairs);
                    }
                }
            }
        }
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
type Asked = (Effect, Risks, Vec<(Option<ObjectType>, Surface, Requirement)>);

fn key(effect: Effect, risks: Risks, touches: &[Touch]) -> Asked {
    let touches = touches
        .iter()
        .map(|t| (t.object.clone(), t.surface, t.requirement.clone()));
    (effect, risks, touches.collect())
}

/// The effect of a row, and those that query or body can raise it to.
fn effects(row: &Row) -> SmallVec<[Effect; 3]> {
    let mut effects = smallvec![row.effect];
    let mut raised = |to: Effect| {
        let effect = row.effect.max(to);
        if !effects.contains(&effect) {
            effects.push(effect);
        }
    };
    if row.is_irreversible_if_archived() {
        raised(Effect::Irreversible);
    }
    if row.is_delete_if_removing() {
        raised(Effect::Delete);
    }
    effects
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

/// The types that facts touch.
pub fn ends(facts: &Facts) -> Ends {
    let touches = facts.needs.iter().flat_map(|need| &need.touches);
    touches.filter_map(|touch| touch.object.clone()).collect()
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
