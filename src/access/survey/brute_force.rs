//! The comparison of policies against every request one by one: small policies are drawn, and what
//! `policy diff` says is held to what the decision says for each row, type, connection, property and
//! value, without any class of requests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use proptest::prelude::*;
use smallvec::smallvec;

use super::diff::{What, compare};
use super::properties::Aspect;
use super::space::customs;
use super::{Side, Space};
use crate::access::catalogue::{Catalogue, Reader, Row};
use crate::access::decide::{Question, bounds, ruled};
use crate::access::effect::Effect;
use crate::access::facts::{Facts, Need, OperationIndex};
use crate::access::fields::{Entry, Names, OnExtra, Properties};
use crate::access::object_type::ObjectType;
use crate::access::policy::Policy;
use crate::access::policy::tables::ConnectionRef;

fn catalogue() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    CATALOGUE.get_or_init(|| Catalogue::embedded().unwrap())
}

fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

const ALLOW: [&str; 12] = [
    "scope: crm.objects.contacts.read",
    "scope: crm.objects.contacts.read\n    objects: [contacts, notes]",
    "scope: crm.objects.contacts.write\n    effects: [write, delete]",
    "scope: tickets\n    effects: [read, irreversible]",
    "scope: crm.objects.custom.read\n    objects: [p_car, 2-7]",
    "scope: crm.objects.owners.read",
    "operation: [crm.objects.get, crm.objects.update]\n    objects: [contacts, deals, p_car]",
    "operation: crm.objects.get\n    objects: [\"*\"]",
    "operation: [crm.associations.create, crm.associations.archive]\n    objects: [contacts, deals]",
    "operation: crm.associations.create\n    objects: [deals, p_car]",
    "operation: crm.schemas.archive\n    objects: [p_car]\n    effects: [delete, irreversible]",
    "operation: files.signed-url.get",
];

const DENY: [&str; 6] = [
    "effects: [delete]",
    "objects: [deals]",
    "objects: [p_car]",
    "scope: crm.objects.contacts.read",
    "operation: crm.associations.*\n    objects: [contacts]",
    "risks: [hands-out-url]",
];

/// What follows a rule: where it holds.
const WHERE: [&str; 4] = [
    "",
    "\n    connections: [a]",
    "\n    connections: [{app: x}]",
    "\n    connections: [b]",
];
const CONNECTIONS: [&str; 4] = ["[a]", "[a, b]", "[a, b, {app: x}]", "\"*\""];
const NAMES: [&str; 7] = ["email", "phone", "ssn", "old_ssn", "ssn_last", "stage", "x"];
const VALUES: [&str; 3] = ["won", "lost", "else"];

#[derive(Clone, Debug)]
struct Drawn {
    connections: usize,
    allow: Vec<(usize, usize)>,
    deny: Vec<(usize, usize)>,
    observes: bool,
    properties: Option<DrawnProperties>,
}

/// Types with the names to read and write, those of `"*"`, and whether hidden names deny.
type DrawnProperties = (Vec<(usize, usize, usize)>, Option<(usize, usize)>, bool);

fn drawn() -> impl Strategy<Value = Drawn> {
    let rules = |pool: usize, most| proptest::collection::vec((0..pool, 0..WHERE.len()), 0..most);
    let entries = proptest::collection::vec((0..3_usize, 0..6_usize, 0..6_usize), 0..3);
    let star = proptest::option::of((0..6_usize, 0..6_usize));
    let properties = proptest::option::of((entries, star, any::<bool>()));
    let rest = (
        rules(ALLOW.len(), 4),
        rules(DENY.len(), 2),
        any::<bool>(),
        properties,
    );
    (0..CONNECTIONS.len(), rest).prop_map(|(connections, (allow, deny, observes, properties))| Drawn {
        connections,
        allow,
        deny,
        observes,
        properties,
    })
}

fn policy(drawn: &Drawn) -> Policy {
    let mut text = format!(
        "integration: t\nowner: t\nconnections: {}\n",
        CONNECTIONS[drawn.connections]
    );
    let mut list = |key: &str, pool: &[&str], rules: &[(usize, usize)]| {
        text.push_str(&format!("{key}:{}\n", if rules.is_empty() { " []" } else { "" }));
        for (rule, place) in rules {
            // A rule's connections must be some of the policy's.
            let place = if drawn.connections < 2 { "" } else { WHERE[*place] };
            text.push_str(&format!("  - {}{place}\n", pool[*rule]));
        }
    };
    list("allow", &ALLOW, &drawn.allow);
    list("deny", &DENY, &drawn.deny);
    if drawn.observes {
        text.push_str("observe: {until: 2026-12-24, effects: [read]}\n");
    }
    let loaded = Policy::load(&"t.yaml".into(), "t", &text.as_str().into(), catalogue(), now());
    let (mut policy, _) = loaded.unwrap_or_else(|mistakes| panic!("{text}\n{mistakes:?}"));
    policy.properties = drawn.properties.as_ref().map(|(types, star, denies)| {
        let mut named = BTreeMap::new();
        for (object, read, write) in types {
            named.insert(*object, entry(*read, *write));
        }
        let named = named.into_iter().map(|(object, entry)| {
            let object = catalogue()
                .object_type(["contacts", "deals", "p_car"][object])
                .unwrap();
            let spellings = catalogue().object_spellings(&object);
            (object, spellings, entry)
        });
        let on_extra = if *denies { OnExtra::Deny } else { OnExtra::Strip };
        let star = star.map(|(read, write)| entry(read, write));
        Arc::new(Properties::new(named.collect(), star, on_extra))
    });
    policy
}

fn names(drawn: usize) -> Names {
    match drawn {
        0 => Names::none(),
        1 => Names::All,
        2 => Names::listed(["email"]),
        3 => Names::listed(["email", "ssn", "stage"]),
        4 => Names::except(["*ssn*"]),
        _ => Names::except(["*ssn", "phone"]),
    }
}

fn entry(read: usize, write: usize) -> Entry {
    let values: BTreeMap<Box<str>, Box<[Box<str>]>> = match write {
        3 => BTreeMap::from([("stage".into(), vec!["won".into()].into())]),
        4 => BTreeMap::from([("stage".into(), vec!["won".into(), "lost".into()].into())]),
        _ => BTreeMap::new(),
    };
    Entry {
        read: names(read),
        write: names(write),
        values,
    }
}

/// Connections there could be, with the place's label they fall under.
const THERE: [(&str, Option<&str>); 6] = [
    ("a", None),
    ("b", None),
    ("c", None),
    ("a", Some("x")),
    ("c", Some("x")),
    ("c", Some("y")),
];

type Call = (String, Effect, Vec<ObjectType>, usize);

/// Every call of the catalogue, one by one; pairs over a few types of each kind.
fn every_call() -> &'static Vec<(Facts, Vec<ObjectType>)> {
    static CALLS: OnceLock<Vec<(Facts, Vec<ObjectType>)>> = OnceLock::new();
    CALLS.get_or_init(|| {
        let catalogue = catalogue();
        let named = |name: &str| catalogue.object_type(name).unwrap();
        let mut objects: Vec<ObjectType> = catalogue.object_types().map(|(object, _)| object).collect();
        objects.extend(["p_car", "2-7", "p_other"].map(named));
        let few = FEW.map(named);
        let mut calls = Vec::new();
        for (operation, known) in catalogue
            .operations()
            .filter(|(operation, _)| is_asked(*operation))
        {
            for row in known.rows.iter().filter_map(|row| catalogue.row(*row)) {
                if row.is_unjudged() {
                    continue;
                }
                let mut effects = vec![row.effect];
                if row.is_irreversible_if_archived() {
                    effects.push(Effect::Irreversible);
                }
                if row.may_remove() {
                    effects.push(Effect::Delete);
                }
                let ends = catalogue.row_types(row);
                let lists: Vec<Vec<ObjectType>> = match ends.as_slice() {
                    [] => vec![vec![]],
                    [only] => {
                        let objects = only.as_ref().unwrap_or(&objects).iter();
                        objects.map(|object| vec![object.clone()]).collect()
                    }
                    [first, second, ..] => {
                        let end = |only: &Option<Vec<ObjectType>>| only.clone().unwrap_or(few.to_vec());
                        let second = end(second);
                        let pairs = end(first).into_iter().flat_map(|one| {
                            second
                                .iter()
                                .map(move |other| vec![one.clone(), other.clone()])
                                .collect::<Vec<_>>()
                        });
                        pairs.collect()
                    }
                };
                for types in lists {
                    for effect in &effects {
                        let need = Need {
                            operation,
                            effect: *effect,
                            risks: row.risks,
                            touches: catalogue.row_touches(row, &types),
                        };
                        let facts = Facts {
                            needs: smallvec![need],
                            concerns: catalogue.concerned_by(row).collect(),
                            batch: None,
                        };
                        calls.push((facts, types.clone()));
                    }
                }
            }
        }
        calls
    })
}

/// Rows whose types are no list to go through: the space's own test asks about these.
fn is_special(row: &Row) -> bool {
    row.concerns_types()
        || matches!(
            row.reader(),
            Some(
                Reader::Timeline
                    | Reader::TimelineTemplate
                    | Reader::AnyEngagement
                    | Reader::EngagementUpdate
            )
        )
}

/// Whether an operation is gone through here.
fn is_asked(operation: OperationIndex) -> bool {
    let rows = catalogue()
        .operation(operation)
        .map(|known| &*known.rows)
        .unwrap_or_default();
    !rows
        .iter()
        .filter_map(|row| catalogue().row(*row))
        .any(is_special)
}

fn passes(policy: &Policy, facts: &Facts, connection: ConnectionRef<'_>) -> bool {
    let question = Question {
        policy,
        ceiling: None,
        catalogue: catalogue(),
        facts,
        request: None,
        connection,
        now: now(),
    };
    policy.covers(connection) && ruled(&question).is_ok()
}

/// Whether a property may be read, its presence in a read passes, and it may be written, at all and
/// with each value.
fn granted(policy: &Policy, object: &ObjectType, name: &str) -> (bool, bool, Vec<bool>) {
    let bounds = bounds(policy, None);
    let view = bounds.view(object);
    let reads = view.reads(name);
    let values = VALUES.map(|value| view.writes(name) && view.may_be(name, value));
    let passes = reads || bounds.on_extra() == OnExtra::Strip;
    (reads, passes, values.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_diff_says_exactly_what_is_newly_allowed_and_newly_denied(old in drawn(), new in drawn()) {
        let (old, new) = (policy(&old), policy(&new));
        let side = |policy| Side { policy: Some(policy), ceiling: None };
        let named = side(&old).named_objects().into_iter().chain(side(&new).named_objects());
        let space = Space::new(catalogue(), &customs(named));
        let found = compare(catalogue(), &space, &side(&old), &side(&new), now());
        let place_of = |connection: ConnectionRef<'_>| {
            // Which place a connection falls under: the one that every list selects alike.
            let lists: Vec<_> = side(&old).selectors().into_iter().chain(side(&new).selectors()).collect();
            let selected = |c: ConnectionRef<'_>| -> Vec<bool> {
                lists.iter().map(|list| c.is_selected_by_any(Some(list))).collect()
            };
            let at = found.places.iter().position(|p| selected(p.connection()) == selected(connection));
            at.expect("every connection falls under a place")
        };
        for (name, app) in THERE {
            let connection = ConnectionRef { name, app };
            if !old.covers(connection) && !new.covers(connection) {
                continue;
            }
            let place = place_of(connection);
            let (mut gained, mut lost): (BTreeSet<Call>, BTreeSet<Call>) = Default::default();
            let mut typed = BTreeSet::new();
            for (facts, types) in every_call() {
                let answers = (passes(&old, facts, connection), passes(&new, facts, connection));
                if answers == (false, false) || answers == (true, true) && types.len() != 1 {
                    continue;
                }
                let id = catalogue().operation(facts.main().operation).unwrap().id.to_string();
                let types: Vec<ObjectType> = types.iter().map(|object| stand_in(&space, object)).collect();
                let call = (id, facts.effect(), types.clone(), place);
                match answers {
                    (false, true) => { gained.insert(call); }
                    (true, false) => { lost.insert(call); }
                    (true, true) if types.len() == 1 => { typed.insert((types[0].clone(), facts.effect())); }
                    _ => {}
                }
            }
            for (is_gained, expected) in [(true, gained), (false, lost)] {
                let said: BTreeSet<Call> = found.changes.iter()
                    .filter(|c| c.place == place && c.key.gained == is_gained && c.key.from.is_none())
                    .filter(|c| matches!(c.key.what, What::Call { .. }))
                    .filter(|c| c.call.is_some_and(|(operation, _)| is_asked(operation)))
                    .map(|c| {
                        let (operation, effect) = c.call.unwrap();
                        let id = catalogue().operation(operation).unwrap().id.to_string();
                        (id, effect, c.ends.to_vec(), place)
                    })
                    .collect();
                let is_tried = |(_, _, ends, _): &&Call| ends.len() < 2 || ends.iter().all(|end| few(&space, end));
                let apart: Vec<&Call> = said.symmetric_difference(&expected).filter(is_tried).collect();
                prop_assert!(apart.is_empty(), "gained {}: {:?} at {:?}", is_gained, apart, connection);
            }
            for (object, effect) in typed {
                let about = |gained: bool, aspects: &[Aspect]| found.changes.iter().any(|c| {
                    c.key.gained == gained && c.place == place && c.ends.first() == Some(&object)
                        && matches!(&c.key.what, What::Properties(aspect, _) if aspects.contains(aspect))
                });
                let pairs: Vec<_> = NAMES.iter()
                    .map(|name| (granted(&old, &object, name), granted(&new, &object, name)))
                    .collect();
                if effect == Effect::Read {
                    for is_gained in [true, false] {
                        let read = pairs.iter().any(|(o, n)| if is_gained { n.0 && !o.0 } else { o.0 && !n.0 });
                        prop_assert_eq!(about(is_gained, &[Aspect::Read]), read, "{:?} read", object);
                        let passing = pairs.iter().any(|(o, n)| if is_gained { n.1 && !o.1 } else { o.1 && !n.1 });
                        prop_assert!(!passing || about(is_gained, &[Aspect::Read, Aspect::Hidden]), "{:?} passes", object);
                    }
                }
                if effect == Effect::Write {
                    for is_gained in [true, false] {
                        let written = pairs.iter().any(|(o, n)| {
                            let (with, without) = if is_gained { (&n.2, &o.2) } else { (&o.2, &n.2) };
                            with.iter().zip(without).any(|(with, without)| *with && !without)
                        });
                        prop_assert_eq!(about(is_gained, &[Aspect::Write]), written, "{:?} write", object);
                    }
                }
            }
        }
    }
}

/// A custom object that nobody names is judged as the one that stands for all of these.
fn stand_in(space: &Space, object: &ObjectType) -> ObjectType {
    match space.objects.contains(object) {
        true => object.clone(),
        false => super::space::any_custom(),
    }
}

/// Pairs are tried one by one with a few types of each kind alone.
const FEW: [&str; 6] = ["contacts", "deals", "notes", "companies", "p_car", "p_other"];

fn few(space: &Space, object: &ObjectType) -> bool {
    let few = FEW.map(|name| stand_in(space, &catalogue().object_type(name).unwrap()));
    few.contains(object)
}
